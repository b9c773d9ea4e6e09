"""Events: `/events`."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import Response

from penstock.api.headers import attempt_of
from penstock.api.routes import Doors, empty_response, json_response, read_query
from penstock.api.streams import streams
from penstock.contract.enums import Countable, TimeUnit
from penstock.contract.rest import events as shapes
from penstock.contract.rest.wire import DateTime
from penstock.core.errors import Forbidden, InvalidInput
from penstock.core.page_tokens import read_page_token, write_page_token
from penstock.store.events import (
    EventKey,
    count_events,
    count_events_by_name,
    count_events_by_resource,
    count_events_in_spans,
    event_shape,
    page_events,
)

#: how far back a filter looks that does not say since when
_LOOK_BACK = timedelta(days=180)
_MAX_SPANS = 10_000


class _NextPage(BaseModel):
    """What a page token holds: the same question, and where its next page starts."""

    model_config = ConfigDict(extra="forbid")

    filter: shapes.EventFilter
    limit: Annotated[int, Field(ge=1, le=shapes.MAX_EVENT_PAGE)]
    total: Annotated[int, Field(ge=0)]
    occurred: DateTime
    id: UUID


class PageTokenQuery(BaseModel):
    """Query of `GET /events/filter/next`."""

    token: Annotated[str, Field(alias="page-token")]


_PAGE = TypeAdapter(_NextPage)


async def create_events(request: Request, body: list[shapes.Event]) -> Response:
    """Take in events; answered once they and the task runs they report are committed."""
    await streams(request).create_events(body, datetime.now(UTC), attempt_of(request))
    return empty_response()


async def read_events(request: Request, body: shapes.EventsFilterBody | None = None) -> Response:
    """The first page of the events that match, newest first unless the filter orders otherwise."""
    body = body or shapes.EventsFilterBody()
    filter = _bounded(body.filter, datetime.now(UTC))
    total = await streams(request).events.read(partial(count_events, filter=filter))
    return await _answer(request, filter, body.limit, total, None, f"{request.url.path}/next")


async def read_next_events(request: Request) -> Response:
    """A further page, by the token in the answer before."""
    token = read_query(request, PageTokenQuery).token
    try:
        page = _PAGE.validate_json(read_page_token(token))
    except (ValidationError, ValueError):
        raise Forbidden("The page token was not made by this server") from None
    after = EventKey(page.occurred, page.id)
    return await _answer(request, page.filter, page.limit, page.total, after, request.url.path)


async def count_by(
    request: Request, countable: Countable, body: shapes.EventsCountBody
) -> Response:
    """How many events match, by name, by resource or over time."""
    if countable not in list(Countable):
        known = ", ".join(Countable)
        raise InvalidInput(f"Events are counted by one of {known}", ("path", "countable"))
    filter = _bounded(body.filter, datetime.now(UTC))
    store = streams(request).events
    if countable == Countable.event:
        groups = await store.read(partial(count_events_by_name, filter=filter))
    elif countable == Countable.resource:
        groups = await store.read(partial(count_events_by_resource, filter=filter))
    else:
        unit, interval = body.time_unit, body.time_interval
        if countable == Countable.day:
            unit, interval = TimeUnit.day, 1.0
        try:
            return json_response(await _count_over_time(request, filter, _span(unit, interval)))
        except OverflowError:
            message = "These intervals reach beyond the years 1 to 9999; take shorter ones"
            raise InvalidInput(message, ("body", "time_interval")) from None
    return json_response(groups)


def _bounded(filter: shapes.EventFilter | None, now: datetime) -> shapes.EventFilter:
    """The filter with both ends of its time said, so that pages do not move."""
    filter = filter or shapes.EventFilter()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    occurred = shapes.EventOccurredFilter(
        since=filter.occurred.since or midnight - _LOOK_BACK, until=filter.occurred.until or now
    )
    return filter.model_copy(update={"occurred": occurred})


async def _answer(
    request: Request,
    filter: shapes.EventFilter,
    limit: int,
    total: int,
    after: EventKey | None,
    next_path: str,
) -> Response:
    # one more than asked for tells whether there is a next page
    page = partial(page_events, filter=filter, limit=limit + 1, after=after)
    rows = await streams(request).events.read(page) if limit else []
    next_page = None
    if len(rows) > limit:
        rows = rows[:limit]
        last = rows[-1]
        content = _NextPage(
            filter=filter, limit=limit, total=total, occurred=last.occurred, id=last.id
        )
        token = write_page_token(_PAGE.dump_json(content, exclude_none=True))
        url: URL = request.url.replace(path=next_path, query=f"page-token={token}")
        next_page = str(url)
    shape = {"events": [event_shape(r) for r in rows], "total": total, "next_page": next_page}
    return json_response(shape)


def _span(unit: TimeUnit, interval: float) -> timedelta:
    return timedelta(**{f"{unit.value}s": interval})


async def _count_over_time(
    request: Request, filter: shapes.EventFilter, span: timedelta
) -> list[dict[str, object]]:
    since, until = filter.occurred.since, filter.occurred.until
    assert since is not None
    assert until is not None
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    start = epoch + (since - epoch) // span * span
    spans = max(0, -((start - until) // span))
    if spans > _MAX_SPANS:
        raise InvalidInput(
            f"That makes {spans} intervals, more than {_MAX_SPANS}; take longer ones",
            ("body", "time_interval"),
        )
    count = partial(count_events_in_spans, filter=filter, start=start, span=span, spans=spans)
    counts = await streams(request).events.read(count)
    return [
        {
            "value": str(i),
            "label": (start + i * span).isoformat(),
            "count": n,
            "start_time": start + i * span,
            "end_time": start + (i + 1) * span - timedelta(microseconds=1),
        }
        for i, n in enumerate(counts)
    ]


router = Doors(prefix="/events", tag="Events")
router.door("POST", "", create_events, status=204)
router.door("POST", "/filter", read_events, answers=shapes.EventPage)
router.door("GET", "/filter/next", read_next_events, answers=shapes.EventPage, query=PageTokenQuery)
router.door("POST", "/count-by/{countable}", count_by, answers=list[shapes.EventCount])
