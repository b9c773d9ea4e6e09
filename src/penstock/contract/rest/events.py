"""Events: wire shapes of `/events` and of the event websockets."""

from datetime import datetime
from typing import Annotated, Any, NotRequired
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError
from typing_extensions import TypeAliasType, TypedDict

from penstock.contract.enums import EventOrder, TimeUnit
from penstock.contract.rest.filters import MAX_ENTRIES, Ids, Texts
from penstock.contract.rest.wire import (
    NO_NUL,
    DateTime,
    ListBody,
    Payload,
    Text,
    WireAnswer,
    WireModel,
)

MAX_LABELS = 500
MAX_RELATED = 100
MAX_EVENT_PAGE = 50


def _cleaned(labels: dict[str, str], *required: str) -> dict[str, str]:
    for label in required:
        if not labels.get(label):
            raise PydanticCustomError(
                "resource_label", "A resource needs the label {label}", {"label": label}
            )
    # An event has some twenty labels, so they are looked at together.
    if "\0" in "".join(labels):
        raise PydanticCustomError("resource_label", "The name of a label must not contain NUL")
    if "\0" in "".join(labels.values()):
        # A state's message is one of the labels; refusing it would lose the state.
        return {label: value.replace("\0", "") for label, value in labels.items()}
    return labels


def _resource(labels: dict[str, str]) -> dict[str, str]:
    return _cleaned(labels, "prefect.resource.id")


def _related_resource(labels: dict[str, str]) -> dict[str, str]:
    return _cleaned(labels, "prefect.resource.id", "prefect.resource.role")


_EventLabels = Annotated[dict[str, str], Field(max_length=MAX_LABELS)]

#: What an event is about: labels, `prefect.resource.id` among them.
Resource = TypeAliasType("Resource", Annotated[_EventLabels, AfterValidator(_resource)])
#: What else an event has to do with; `prefect.resource.role` says how.
RelatedResource = TypeAliasType(
    "RelatedResource", Annotated[_EventLabels, AfterValidator(_related_resource)]
)
#: Labels and their wanted values: `*` matches any text, a leading `!` negates.
ResourceSpecification = TypeAliasType(
    "ResourceSpecification",
    Annotated[dict[Text, Text | Texts], Field(max_length=MAX_LABELS)],
)


class Event(TypedDict):
    """Something that happened to a resource, as clients send it."""

    # A dictionary, not a model: a task run makes three of these.
    id: UUID
    occurred: DateTime
    event: Annotated[str, StringConstraints(pattern=NO_NUL, max_length=1024)]
    resource: Resource
    related: NotRequired[Annotated[list[RelatedResource], Field(max_length=MAX_RELATED)]]
    payload: NotRequired[Payload]
    #: The event that came before this one.
    follows: NotRequired[UUID | None]


class ReceivedEvent(WireAnswer):
    """An event as the server keeps it."""

    id: UUID
    occurred: datetime
    event: str
    resource: Resource
    related: list[RelatedResource] = Field(default_factory=list)
    payload: dict[str, Any] = Field(default_factory=dict)
    follows: UUID | None = None
    received: datetime | SkipJsonSchema[None] = None


class EventOccurredFilter(WireModel):
    """Events by the time they occurred. None: 180 days back, until now."""

    since: DateTime | SkipJsonSchema[None] = None
    until: DateTime | SkipJsonSchema[None] = None


class EventNameFilter(WireModel):
    """Events by name."""

    prefix: Texts | None = None
    exclude_prefix: Texts | None = None
    name: Texts | None = None
    exclude_name: Texts | None = None


class EventResourceFilter(WireModel):
    """Events by the resource they are about."""

    id: Texts | None = None
    id_prefix: Texts | None = None
    labels: ResourceSpecification | None = None
    #: Only the newest event of each resource.
    distinct: bool = False


class EventRelatedFilter(WireModel):
    """Events by their related resources."""

    id: Texts | None = None
    role: Texts | None = None
    resources_in_roles: Annotated[list[tuple[Text, Text]], Field(max_length=MAX_ENTRIES)] | None = (
        None
    )
    labels: ResourceSpecification | None = None


class EventAnyResourceFilter(WireModel):
    """Events by any resource, the primary one or a related one."""

    id: Texts | None = None
    id_prefix: Texts | None = None
    labels: ResourceSpecification | None = None


class EventIDFilter(WireModel):
    """Events with one of these ids."""

    id: Ids | None = None


class EventTextFilter(WireModel):
    """Events that contain words."""

    query: Annotated[str, StringConstraints(pattern=NO_NUL, max_length=200)]


class EventFilter(WireModel):
    """Which events."""

    occurred: EventOccurredFilter = Field(default_factory=EventOccurredFilter)
    event: EventNameFilter | None = None
    resource: EventResourceFilter | None = None
    related: EventRelatedFilter | list[EventRelatedFilter] | None = None
    any_resource: EventAnyResourceFilter | list[EventAnyResourceFilter] | None = None
    id: EventIDFilter = Field(default_factory=EventIDFilter)
    text: EventTextFilter | None = None
    order: EventOrder = EventOrder.DESC


class EventPage(WireAnswer):
    """One page of events."""

    events: list[ReceivedEvent]
    total: int
    #: Full URL of the next page; null on the last one.
    next_page: str | None


class EventCount(WireAnswer):
    """How many events fall into one group."""

    value: str
    label: str
    count: int
    start_time: datetime
    end_time: datetime


class EventsFilterBody(ListBody):
    """Body of `POST /events/filter`."""

    filter: EventFilter | None = None
    limit: Annotated[int, Field(ge=0, le=MAX_EVENT_PAGE)] = MAX_EVENT_PAGE


class EventsCountBody(ListBody):
    """Body of `POST /events/count-by/{countable}`."""

    filter: EventFilter
    time_unit: TimeUnit = TimeUnit.day
    time_interval: Annotated[float, Field(ge=0.01, allow_inf_nan=False)] = 1.0
