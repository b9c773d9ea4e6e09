"""The block types that every server has, stored when blocks are first asked for.

What they are like stands in system_block_types.json. Storing them late keeps starting a server
quick, and costs servers without blocks nothing.
"""

from datetime import datetime
from importlib.resources import files
from typing import Any

from penstock.contract.rest.blocks import NON_VERSIONED
from penstock.core import documents
from penstock.operations.block_schemas import schema_values
from penstock.store.block_schemas import insert_missing_block_schemas
from penstock.store.block_types import insert_missing_block_types, select_block_type_ids
from penstock.store.database import Database
from penstock.store.stored_settings import select_setting, upsert_setting
from penstock.store.transaction import Transaction

#: to be raised with every change of system_block_types.json
EDITION = 1
_KEY = "system_block_types_edition"


async def ensure_system_block_types(db: Database, now: datetime) -> None:
    """Store the system's block types, once per database and edition.

    One that a user has deleted since stays deleted.
    """
    if db.engine.memory.get(_KEY) == EDITION:
        return

    def store_once(tx: Transaction) -> None:
        if select_setting(tx, _KEY) != EDITION:
            install_system_block_types(tx, now)

    await db.write(store_once)
    db.engine.memory[_KEY] = EDITION


def install_system_block_types(tx: Transaction, now: datetime) -> None:
    """Store those of the system's block types that are missing."""
    types: list[dict[str, Any]] = documents.load(
        files("penstock.operations").joinpath("system_block_types.json").read_text("utf-8")
    )
    insert_missing_block_types(
        tx,
        [{n: t[n] for n in ("slug", "name", "description", "is_protected")} for t in types],
        now,
    )
    ids = select_block_type_ids(tx, [t["slug"] for t in types])
    insert_missing_block_schemas(
        tx,
        [
            schema_values(ids[t["slug"]], t["fields"], t["capabilities"], NON_VERSIONED)
            for t in types
        ],
        now,
    )
    upsert_setting(tx, _KEY, EDITION)
