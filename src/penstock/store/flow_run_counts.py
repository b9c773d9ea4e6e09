"""How many flow runs there are by state, by deployment and state, by hour and state: always exact.

Triggers keep count, so that whatever writes a run counts it, and in the same transaction. To change
the counts there would make all writers of PostgreSQL wait for the same few rows, and cost SQLite
seven times as much: each change is a row of its own in `flow_run_change`. Reads add those up, and
`fold_changes` makes counts of them now and then.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Select, func, select, union_all

from penstock.contract.enums import Operator
from penstock.contract.rest import filters as wire
from penstock.store.column_types import EPOCH
from penstock.store.filters import Condition, plain
from penstock.store.statements import Statement
from penstock.store.tables import flow_run_change, flow_run_count
from penstock.store.transaction import Transaction

_HOUR, _TICK = timedelta(hours=1), timedelta(microseconds=1)
_STATES, _DEPLOYMENTS, _HOURS = "state", "deployment", "hour"


class Countable(NamedTuple):
    """A filter whose runs are counted: by state, and by deployment or by time or by neither."""

    #: None: all states
    states: list[str] | None = None
    deployments: Sequence[UUID] | None = None
    #: whole hours since 1970, the second one excluded; None: without an end on that side
    hours: tuple[int | None, int | None] | None = None
    #: the filters of the runs before and after those hours
    rest: Sequence[wire.FlowRunFilter] = ()


# ------------------------------------------------------------------ keeping the counts

#: what stands where a dimension does not divide, or a run has no deployment or no time
_NO_DEPLOYMENT, _NO_HOUR = UUID(int=0), -(10**9)
_INTO = "INSERT INTO flow_run_change (deployment_id, hour, state_type, runs)"
_MOVED = (
    "OLD.state_type {differs} NEW.state_type "
    "OR OLD.expected_start_time {differs} NEW.expected_start_time"
)
_SQLITE_ROW = (
    "(coalesce({row}.deployment_id, zeroblob(16)), "
    f"coalesce({{row}}.expected_start_time / 3600000000, {_NO_HOUR}), "
    "coalesce({row}.state_type, ''), {by})"
)
_SQLITE = [
    "CREATE TRIGGER flow_run_inserted AFTER INSERT ON flow_run "
    f"BEGIN {_INTO} VALUES {_SQLITE_ROW.format(row='NEW', by=1)}; END",
    "CREATE TRIGGER flow_run_deleted AFTER DELETE ON flow_run "
    f"BEGIN {_INTO} VALUES {_SQLITE_ROW.format(row='OLD', by=-1)}; END",
    "CREATE TRIGGER flow_run_moved AFTER UPDATE OF state_type, expected_start_time ON flow_run "
    f"WHEN {_MOVED.format(differs='IS NOT')} "
    f"BEGIN {_INTO} VALUES {_SQLITE_ROW.format(row='OLD', by=-1)}; "
    f"{_INTO} VALUES {_SQLITE_ROW.format(row='NEW', by=1)}; END",
    f"{_INTO} SELECT coalesce(deployment_id, zeroblob(16)), "
    f"coalesce(expected_start_time / 3600000000, {_NO_HOUR}), coalesce(state_type, ''), count(*) "
    "FROM flow_run GROUP BY 1, 2, 3",
]

_POSTGRES_ROW = (
    f"(coalesce({{row}}deployment_id, '{_NO_DEPLOYMENT}'), "
    f"coalesce(floor(extract(epoch FROM {{row}}expected_start_time) / 3600)::bigint, {_NO_HOUR}), "
    "coalesce({row}state_type, ''), {by})"
)


def _postgres_many(of: str, count: str) -> str:
    row = _POSTGRES_ROW.format(row="", by=count).strip("()") + ")"
    return f"{_INTO} SELECT {row} FROM {of} GROUP BY 1, 2, 3;"


def _postgres_function(name: str, body: str) -> str:
    return (
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN {body} RETURN NULL; END $$"
    )


_POSTGRES = [
    _postgres_function("flow_run_inserted", _postgres_many("inserted", "count(*)")),
    _postgres_function("flow_run_deleted", _postgres_many("deleted", "-count(*)")),
    _postgres_function(
        "flow_run_moved",
        f"{_INTO} VALUES {_POSTGRES_ROW.format(row='OLD.', by=-1)}, "
        f"{_POSTGRES_ROW.format(row='NEW.', by=1)};",
    ),
    "CREATE TRIGGER flow_run_inserted AFTER INSERT ON flow_run "
    "REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION flow_run_inserted()",
    "CREATE TRIGGER flow_run_deleted AFTER DELETE ON flow_run "
    "REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION flow_run_deleted()",
    "CREATE TRIGGER flow_run_moved AFTER UPDATE ON flow_run FOR EACH ROW "
    f"WHEN ({_MOVED.format(differs='IS DISTINCT FROM')}) EXECUTE FUNCTION flow_run_moved()",
    _postgres_many("flow_run", "count(*)"),
]


def create_counting(run: Callable[[str], Any], *, postgres: bool) -> None:
    """Make the triggers, by `run`, which executes SQL text, and count the runs that there are."""
    for statement in _POSTGRES if postgres else _SQLITE:
        run(statement)


_CHANGE = flow_run_change.c
_ANY_CHANGE = Statement(select(_CHANGE.runs).limit(1))
_COUNT_COLUMNS = "dimension, deployment_id, hour, state_type, runs"
_FOLD = f"""
INSERT INTO flow_run_count ({_COUNT_COLUMNS})
SELECT dimension, deployment_id, hour, state_type, sum(runs) FROM (
    SELECT '{_STATES}' AS dimension, {{no_deployment}} AS deployment_id, {_NO_HOUR} AS hour,
        state_type, runs FROM {{changes}}
    UNION ALL SELECT '{_DEPLOYMENTS}', deployment_id, {_NO_HOUR}, state_type, runs FROM {{changes}}
    UNION ALL SELECT '{_HOURS}', {{no_deployment}}, hour, state_type, runs FROM {{changes}}
) AS counted
GROUP BY dimension, deployment_id, hour, state_type
HAVING sum(runs) <> 0 ORDER BY dimension, deployment_id, hour, state_type
ON CONFLICT (dimension, deployment_id, hour, state_type)
DO UPDATE SET runs = flow_run_count.runs + excluded.runs
"""
#: changes that one unit of work folds: after a long time without that there may be millions
CHUNK = 5_000
# Writers go on meanwhile: only what is taken out of the table may be counted.
_FOLD_POSTGRES = (
    "WITH gone AS (DELETE FROM flow_run_change WHERE ctid = ANY(ARRAY("
    f"SELECT ctid FROM flow_run_change LIMIT {CHUNK})) RETURNING *), folded AS ("
    + _FOLD.format(changes="gone", no_deployment=f"'{_NO_DEPLOYMENT}'::uuid")
    + ") SELECT count(*) FROM gone"
)
_FIRST_SQLITE = f"(SELECT rowid, * FROM flow_run_change ORDER BY rowid LIMIT {CHUNK})"
_FOLD_SQLITE = _FOLD.format(changes=_FIRST_SQLITE, no_deployment="zeroblob(16)")
_FORGET_SQLITE = (
    f"DELETE FROM flow_run_change WHERE rowid IN (SELECT rowid FROM {_FIRST_SQLITE}) RETURNING 1"
)


def has_changes(tx: Transaction) -> bool:
    """Whether there is anything to fold."""
    return tx.value(_ANY_CHANGE) is not None


def fold_changes(tx: Transaction) -> int:
    """Make counts of up to CHUNK of the changes there are; of how many."""
    if tx.is_postgres:
        return int(tx.run_rows(_FOLD_POSTGRES, ())[0][0])
    tx.run_rows(_FOLD_SQLITE, ())
    return len(tx.run_rows(_FORGET_SQLITE, ()))


# ------------------------------------------------------------------ reading the counts


def sum_counts(tx: Transaction, wanted: Countable) -> int:
    """How many runs a countable filter asks for, those of `rest` left out."""
    runs = union_all(_in_counts(wanted), _in_changes(wanted)).subquery("counted")
    return int(tx.value(select(func.coalesce(func.sum(runs.c.runs), 0).label("runs"))))


def _within(hour: Any, first: int | None, end: int | None) -> list[Condition]:
    # No time lies before a bound, or after it.
    known = [hour > _NO_HOUR] if first is None else [hour >= first]
    return known if end is None else [*known, hour < end]


def _in_counts(wanted: Countable) -> Select[Any]:
    table = flow_run_count.c
    query = select(table.runs.label("runs"))
    if wanted.deployments is not None:
        query = query.where(
            table.dimension == _DEPLOYMENTS, table.deployment_id.in_(wanted.deployments)
        )
    elif wanted.hours is not None:
        query = query.where(table.dimension == _HOURS, *_within(table.hour, *wanted.hours))
    else:
        query = query.where(table.dimension == _STATES)
    return query if wanted.states is None else query.where(table.state_type.in_(wanted.states))


def _in_changes(wanted: Countable) -> Select[Any]:
    table = _CHANGE
    query = select(table.runs.label("runs"))
    if wanted.deployments is not None:
        query = query.where(table.deployment_id.in_(wanted.deployments))
    if wanted.hours is not None:
        query = query.where(*_within(table.hour, *wanted.hours))
    return query if wanted.states is None else query.where(table.state_type.in_(wanted.states))


# ------------------------------------------------------------------ which filters are countable

_COUNTABLE = frozenset({"operator", "state", "deployment_id", "expected_start_time"})


def countable(filter: wire.FlowRunFilter | None) -> Countable | None:
    """What the counts answer of a filter; None when all its runs have to be looked at."""
    if filter is None:
        return Countable()
    said = {name for name in filter.model_fields_set if getattr(filter, name) is not None}
    if said - _COUNTABLE or filter.operator is not Operator.and_:
        return None
    state, of, expected = filter.state, filter.deployment_id, filter.expected_start_time
    if not (_is_plain(state, "type") and _is_plain(of, "any_")):
        return None
    found = Countable()
    if state is not None and state.type is not None:
        if not _is_plain(state.type, "any_"):
            return None
        found = found._replace(states=plain(state.type.any_))
    if of is not None and of.any_ is not None:
        found = found._replace(deployments=of.any_)
    if expected is None or (expected.after_ is None and expected.before_ is None):
        return found
    if found.deployments is not None:
        return None
    return _by_whole_hours(found, filter, expected)


def _is_plain(part: Any, criterion: str) -> bool:
    """Whether a part of a filter asks for nothing but this criterion, if for anything."""
    if part is None:
        return True
    others = part.model_fields_set - {criterion, "operator"}
    return all(getattr(part, name) is None for name in others)


def _by_whole_hours(
    found: Countable,
    filter: wire.FlowRunFilter,
    expected: wire.FlowRunFilterExpectedStartTime,
) -> Countable | None:
    after, before = expected.after_, expected.before_
    first = end = None
    rest = []

    def between(since: datetime, until: datetime) -> wire.FlowRunFilter:
        times = expected.model_copy(update={"after_": since, "before_": until})
        return filter.model_copy(update={"expected_start_time": times})

    if after is not None:
        first = -((EPOCH - after) // _HOUR)
        if EPOCH + first * _HOUR > after:
            rest.append(between(after, EPOCH + first * _HOUR - _TICK))
    if before is not None:
        end = (before - EPOCH) // _HOUR
        rest.append(between(EPOCH + end * _HOUR, before))
    # Before 1970 the engines do not agree on which hour it is.
    first_is_known = first is None or first >= 0
    if not first_is_known or (end is not None and end <= (first or 0)):
        return None
    return found._replace(hours=(first, end), rest=rest)
