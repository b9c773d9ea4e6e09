"""How many flow runs there are by state, by deployment and state, by hour and state: always exact.

Triggers keep the counts, so that whatever writes a run counts it, and in the same transaction. On
SQLite they change the counts themselves. On PostgreSQL that would make all writers wait for the
same few rows: there each change is a row of its own in `flow_run_change`, reads add those up, and
`fold_changes` makes counts of them now and then.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    func,
    select,
    union_all,
)

from penstock.contract.enums import Operator
from penstock.contract.rest import filters as wire
from penstock.store.column_types import EPOCH, Id
from penstock.store.filters import Condition, plain
from penstock.store.tables import flow_run, flow_run_count
from penstock.store.transaction import Transaction

#: PostgreSQL only; made by `create_counting`
flow_run_change = Table(
    "flow_run_change",
    MetaData(),
    Column("deployment_id", Id),
    # hours since 1970; null: no time is known
    Column("hour", BigInteger),
    Column("state_type", Text, nullable=False),
    Column("runs", Integer, nullable=False),
)

_HOUR = timedelta(hours=1)
_STATES, _DEPLOYMENTS, _HOURS = "state", "deployment", "hour"


class Countable(NamedTuple):
    """A filter whose runs are counted: by state, and by deployment or by time or by neither."""

    #: None: all states
    states: list[str] | None = None
    deployments: Sequence[UUID] | None = None
    #: whole hours since 1970, the second one excluded; None: without an end on that side
    hours: tuple[int | None, int | None] | None = None
    #: what the filter asks for outside those hours: runs of it that fulfil any of these
    rest: Sequence[Condition] = ()


# ------------------------------------------------------------------ keeping the counts

#: what stands where a dimension does not divide, or a run has no deployment or no time
_NO_DEPLOYMENT, _NO_HOUR = UUID(int=0), -(10**9)
_SQLITE_KEYS = {
    _STATES: f"zeroblob(16), {_NO_HOUR}",
    _DEPLOYMENTS: f"coalesce({{row}}.deployment_id, zeroblob(16)), {_NO_HOUR}",
    _HOURS: f"zeroblob(16), coalesce({{row}}.expected_start_time / 3600000000, {_NO_HOUR})",
}
_INTO = "INSERT INTO flow_run_count (dimension, deployment_id, hour, state_type, runs)"
_CONFLICT = "ON CONFLICT (dimension, deployment_id, hour, state_type) DO UPDATE SET"


def _sqlite_step(row: str, by: int) -> str:
    """Statements of a trigger that count a row (by 1) or count it no more (by -1)."""
    return " ".join(
        f"{_INTO} VALUES ('{dimension}', {key.format(row=row)}, coalesce({row}.state_type, ''), "
        f"{by}) {_CONFLICT} runs = runs + ({by});"
        for dimension, key in _SQLITE_KEYS.items()
    )


_SQLITE = [
    f"CREATE TRIGGER flow_run_inserted AFTER INSERT ON flow_run BEGIN {_sqlite_step('NEW', 1)} END",
    f"CREATE TRIGGER flow_run_deleted AFTER DELETE ON flow_run BEGIN {_sqlite_step('OLD', -1)} END",
    "CREATE TRIGGER flow_run_moved AFTER UPDATE OF state_type, expected_start_time ON flow_run "
    "WHEN OLD.state_type IS NOT NEW.state_type "
    "OR OLD.expected_start_time IS NOT NEW.expected_start_time "
    f"BEGIN {_sqlite_step('OLD', -1)} {_sqlite_step('NEW', 1)} END",
]

_POSTGRES_HOUR = "floor(extract(epoch FROM {row}expected_start_time) / 3600)::bigint"
_POSTGRES_ROW = "({row}deployment_id, " + _POSTGRES_HOUR + ", coalesce({row}state_type, ''), {by})"


def _postgres_many(of: str, count: str) -> str:
    return (
        f"INSERT INTO flow_run_change SELECT deployment_id, {_POSTGRES_HOUR.format(row='')}, "
        f"coalesce(state_type, ''), {count} FROM {of} GROUP BY 1, 2, 3;"
    )


def _postgres_function(name: str, body: str) -> str:
    return (
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN {body} RETURN NULL; END $$"
    )


_POSTGRES = [
    "CREATE TABLE flow_run_change (deployment_id uuid, hour bigint, state_type text NOT NULL, "
    "runs integer NOT NULL)",
    _postgres_function("flow_run_inserted", _postgres_many("inserted", "count(*)")),
    _postgres_function("flow_run_deleted", _postgres_many("deleted", "-count(*)")),
    _postgres_function(
        "flow_run_moved",
        "INSERT INTO flow_run_change VALUES "
        f"{_POSTGRES_ROW.format(row='OLD.', by=-1)}, {_POSTGRES_ROW.format(row='NEW.', by=1)};",
    ),
    "CREATE TRIGGER flow_run_inserted AFTER INSERT ON flow_run "
    "REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION flow_run_inserted()",
    "CREATE TRIGGER flow_run_deleted AFTER DELETE ON flow_run "
    "REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION flow_run_deleted()",
    "CREATE TRIGGER flow_run_moved AFTER UPDATE ON flow_run FOR EACH ROW "
    "WHEN (OLD.state_type IS DISTINCT FROM NEW.state_type "
    "OR OLD.expected_start_time IS DISTINCT FROM NEW.expected_start_time) "
    "EXECUTE FUNCTION flow_run_moved()",
]


def create_counting(run: Callable[[str], Any], *, postgres: bool) -> None:
    """Make the triggers, by `run`, which executes SQL text, and count the runs that there are."""
    for statement in _POSTGRES if postgres else _SQLITE:
        run(statement)
    if postgres:
        run(_postgres_many("flow_run", "count(*)").rstrip(";"))
        return
    for dimension, key in _SQLITE_KEYS.items():
        run(
            f"{_INTO} SELECT '{dimension}', {key.format(row='flow_run')}, "
            "coalesce(state_type, ''), count(*) FROM flow_run GROUP BY 2, 3, 4"
        )


_FOLD = f"""
WITH gone AS (DELETE FROM flow_run_change RETURNING *),
counted AS (
    SELECT '{_STATES}' AS dimension, '{_NO_DEPLOYMENT}'::uuid AS deployment_id,
        {_NO_HOUR} AS hour, state_type, runs FROM gone
    UNION ALL SELECT '{_DEPLOYMENTS}', coalesce(deployment_id, '{_NO_DEPLOYMENT}'), {_NO_HOUR},
        state_type, runs FROM gone
    UNION ALL SELECT '{_HOURS}', '{_NO_DEPLOYMENT}', coalesce(hour, {_NO_HOUR}),
        state_type, runs FROM gone
)
{_INTO}
SELECT dimension, deployment_id, hour, state_type, sum(runs) FROM counted GROUP BY 1, 2, 3, 4
HAVING sum(runs) <> 0 ORDER BY 1, 2, 3, 4
{_CONFLICT} runs = flow_run_count.runs + excluded.runs
RETURNING 1
"""


def fold_changes(tx: Transaction) -> int:
    """Make counts of the changes there are (PostgreSQL); how many counts have changed."""
    return len(tx.run_rows(_FOLD, ())) if tx.is_postgres else 0


# ------------------------------------------------------------------ reading the counts


def sum_counts(tx: Transaction, wanted: Countable) -> int:
    """How many runs a countable filter asks for, those of `rest` left out."""
    queries = [_in_counts(wanted)]
    if tx.is_postgres:
        queries.append(_in_changes(wanted))
    runs = union_all(*queries).subquery("counted")
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
    table = flow_run_change.c
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
    return _by_whole_hours(found, expected.after_, expected.before_)


def _is_plain(part: Any, criterion: str) -> bool:
    """Whether a part of a filter asks for nothing but this criterion, if for anything."""
    if part is None:
        return True
    others = part.model_fields_set - {criterion, "operator"}
    return all(getattr(part, name) is None for name in others)


def _by_whole_hours(
    found: Countable, after: datetime | None, before: datetime | None
) -> Countable | None:
    expected = flow_run.c.expected_start_time
    first = end = None
    rest = []
    if after is not None:
        first = -((EPOCH - after) // _HOUR)
        rest.append(expected < EPOCH + first * _HOUR)
    if before is not None:
        end = (before - EPOCH) // _HOUR
        rest.append(expected >= EPOCH + end * _HOUR)
    # Before 1970 the engines do not agree on which hour it is.
    first_is_known = first is None or first >= 0
    if not first_is_known or (end is not None and end <= (first or 0)):
        return None
    return found._replace(hours=(first, end), rest=rest)
