"""Forget CSRF tokens that have expired: every client object of the contract asks for one."""

from datetime import datetime
from functools import partial

from penstock.store.csrf_tokens import CHUNK, delete_expired_csrf_tokens
from penstock.store.database import Database

EVERY_SECONDS = 600


async def forget_csrf_tokens(db: Database, now: datetime) -> int:
    """How many were forgotten."""
    done, gone = 0, CHUNK
    while gone == CHUNK:
        gone = await db.write(partial(delete_expired_csrf_tokens, now=now))
        done += gone
    return done
