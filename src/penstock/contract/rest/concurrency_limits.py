"""Concurrency limits: wire shapes of `/v2/concurrency_limits`, and of `/concurrency_limits`, where
each is the limit of a tag."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from penstock.contract.rest.wire import (
    MAX_PAGE,
    Int32,
    ListBody,
    Name,
    NaturalInt32,
    Offset,
    PageLimit,
    PositiveInt32,
    ShortText,
    WireAnswer,
    WireBody,
    WireModel,
)

#: Slots per second.
Decay = Annotated[float, Field(ge=0, allow_inf_nan=False)]
#: Seconds for which a lease holds its slots.
LeaseSeconds = Annotated[float, Field(ge=60, le=86400)]
Names = Annotated[list[ShortText], Field(max_length=500)]
#: A tag becomes part of a limit's name.
Tag = Annotated[ShortText, Field(max_length=490)]
Mode = Literal["concurrency", "rate_limit"]


class ConcurrencyLimitV2Create(WireModel):
    """A limit to create."""

    name: Name
    limit: NaturalInt32
    active: bool = True
    active_slots: NaturalInt32 = 0
    denied_slots: NaturalInt32 = 0
    slot_decay_per_second: Decay = 0


class ConcurrencyLimitV2Update(WireModel):
    """The changes of a limit; null and absent fields stay as they are."""

    name: Name | None = None
    limit: NaturalInt32 | None = None
    active: bool | None = None
    active_slots: NaturalInt32 | None = None
    denied_slots: NaturalInt32 | None = None
    slot_decay_per_second: Decay | None = None


class ConcurrencyLimitV2(WireAnswer):
    """A limit, with what waits are computed from."""

    id: UUID
    created: datetime | None
    updated: datetime | None
    name: str
    limit: int
    active: bool = True
    active_slots: int = 0
    denied_slots: int = 0
    slot_decay_per_second: float = 0
    avg_slot_occupancy_seconds: float = 2.0


class ConcurrencyLimitsV2FilterBody(ListBody):
    """Body of `POST /v2/concurrency_limits/filter`."""

    limit: PageLimit = MAX_PAGE
    offset: Offset = 0


class MinimalConcurrencyLimitResponse(WireAnswer):
    """A limit of which slots were taken or given back."""

    id: UUID
    name: str
    limit: int


class SlotsIncrementBody(WireBody):
    """Slots to take of every named limit, or of none."""

    slots: PositiveInt32
    names: Names
    mode: Mode = "concurrency"
    #: Ignored: a name without a limit limits nothing.
    create_if_missing: bool | None = Field(default=None, json_schema_extra={"deprecated": True})


class ConcurrencyLeaseHolder(WireModel):
    """Who holds a lease."""

    type: Literal["flow_run", "task_run", "deployment"]
    id: UUID


class SlotsIncrementWithLeaseBody(WireBody):
    """As SlotsIncrementBody, held until the lease ends."""

    slots: PositiveInt32
    names: Names
    mode: Mode = "concurrency"
    lease_duration: LeaseSeconds = 300
    holder: ConcurrencyLeaseHolder | None = None


class ConcurrencyLimitWithLeaseResponse(WireAnswer):
    """The lease that holds slots of these limits."""

    lease_id: UUID
    limits: list[MinimalConcurrencyLimitResponse]


class SlotsDecrementBody(WireBody):
    """Slots to give back that no lease holds."""

    slots: PositiveInt32
    names: Names
    #: How long they were held, all of them together.
    occupancy_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    #: Ignored.
    create_if_missing: bool = Field(default=False, json_schema_extra={"deprecated": True})


class LeaseReleaseBody(WireBody):
    """A lease to end."""

    lease_id: UUID


class LeaseRenewBody(WireBody):
    """For how long a lease lasts from now."""

    lease_duration: LeaseSeconds = 300


class ConcurrencyLimitCreate(WireModel):
    """The limit of a tag, to create or to overwrite."""

    tag: Tag
    concurrency_limit: Int32


class ConcurrencyLimit(WireAnswer):
    """The limit of a tag."""

    id: UUID
    created: datetime | None
    updated: datetime | None
    tag: str
    concurrency_limit: int
    #: The task runs that hold its slots.
    active_slots: list[UUID] = Field(default_factory=list)


class ConcurrencyLimitsFilterBody(ListBody):
    """Body of `POST /concurrency_limits/filter`."""

    limit: PageLimit = MAX_PAGE
    offset: Offset = 0


class TagSlotsBody(WireBody):
    """Tags of whose limits a task run takes slots, or gives them back."""

    names: Names
    task_run_id: UUID


class TagSlotsResetBody(WireBody):
    """The task runs that hold the slots of a tag from now on."""

    slot_override: Annotated[list[UUID], Field(max_length=10_000)] | None = None
