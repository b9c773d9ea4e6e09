"""What the server tells about itself: `/ready`, `/csrf-token`."""

from datetime import datetime
from uuid import UUID

from penstock.contract.rest.wire import WireAnswer


class CsrfToken(WireAnswer):
    """A token that a client sends with every change request."""

    id: UUID
    created: datetime | None
    updated: datetime | None
    token: str
    client: str
    expiration: datetime


class ReadyMessage(WireAnswer):
    """Answer of `GET /ready`."""

    message: str
