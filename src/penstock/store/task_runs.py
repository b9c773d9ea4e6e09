"""Statements that make task runs, of reports above all. Lists and counts: `task_run_lists`."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Text, bindparam, cast, delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import JSON

from penstock.core import documents
from penstock.core.states import State
from penstock.store.bulk_rows import insert_rows
from penstock.store.statements import Row, Statement
from penstock.store.states import state_values
from penstock.store.tables import WORKSPACE, flow_run, state, task_run, task_run_tag
from penstock.store.transaction import Transaction

_COLUMNS = [f"{c.name}" for c in task_run.c]
_ONCE = "ON CONFLICT DO NOTHING"
# What a report of another server may have written meanwhile stays when it is newer.
_UPSERT = (
    "ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(
        f'"{c}" = excluded."{c}"' for c in _COLUMNS if c not in ("id", "workspace_id", "created")
    )
    + " WHERE task_run.state_timestamp IS NULL"
    " OR task_run.state_timestamp < excluded.state_timestamp"
)
#: what a task run has that was not said of it
_UNSAID: dict[str, Any] = dict.fromkeys(_COLUMNS) | {
    "workspace_id": WORKSPACE,
    "empirical_policy": documents.EMPTY_OBJECT,
    "tags": documents.EMPTY_ARRAY,
    "labels": documents.EMPTY_OBJECT,
    "task_inputs": documents.EMPTY_OBJECT,
    "run_count": 0,
    "flow_run_run_count": 0,
    "total_run_time": 0.0,
}


def _by_keys(keys: Any, task_key: Any, dynamic_key: Any) -> Statement:
    # Not a join: without statistics SQLite would read all of the flow run for each key.
    of_run = task_run.c.flow_run_id == bindparam("flow_run_id", type_=task_run.c.id.type)
    wanted = select(task_key, dynamic_key).select_from(keys)
    same = tuple_(task_run.c.task_key, task_run.c.dynamic_key).in_(wanted)
    return Statement(select(task_run).where(of_run, same))


def _sqlite_by_keys() -> Statement:
    keys = func.json_each(bindparam("keys")).table_valued("value", name="keys")
    part = keys.c.value.op("->>", return_type=Text())
    return _by_keys(keys, part("$[0]"), part("$[1]"))


def _postgres_by_keys() -> Statement:
    each = func.json_array_elements(cast(bindparam("keys"), JSON))
    keys = each.table_valued("value", name="keys")
    part = cast(keys.c.value, JSON).op("->>", return_type=Text())
    return _by_keys(keys, part(0), part(1))


_SELECT_BY_KEYS = {"sqlite": _sqlite_by_keys(), "postgresql": _postgres_by_keys()}
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
_KEY = (
    task_run.c.task_key == bindparam("task_key"),
    task_run.c.dynamic_key == bindparam("dynamic_key"),
)
_SELECT_ID = Statement(
    select(task_run.c.id).where(
        task_run.c.flow_run_id == bindparam("flow_run_id", type_=task_run.c.id.type), *_KEY
    )
)
_SELECT_ID_ALONE = Statement(
    select(task_run.c.id).where(task_run.c.flow_run_id.is_(None), *_KEY).limit(1)
)
_SELECT_HOLDER = Statement(
    select(flow_run.c.state_type, flow_run.c.attempt_id, flow_run.c.attempt_expires_at).where(
        flow_run.c.id == bindparam("id")
    )
)
_DELETE_TAG = Statement(
    delete(task_run_tag).where(
        task_run_tag.c.tag == bindparam("tag"),
        task_run_tag.c.task_run_id == bindparam("task_run_id"),
    )
)


def select_attempt_holder(tx: Transaction, flow_run_id: UUID) -> Row | None:
    """The state type and attempt of a flow run; None when there is none with this id."""
    return tx.row(_SELECT_HOLDER, id=flow_run_id)


def lock_reports(tx: Transaction, flow_run_id: UUID) -> None:
    """Let the reports of one flow run be recorded one after another (SQLite: they are anyway)."""
    if tx.is_postgres:
        tx.run_rows(_LOCK, (str(flow_run_id),))


def lock_natural_key(
    tx: Transaction, flow_run_id: UUID | None, task_key: str, dynamic_key: str
) -> None:
    """Let task runs of one natural key be made one after another; as lock_reports in flow runs."""
    if flow_run_id is not None:
        lock_reports(tx, flow_run_id)
    elif tx.is_postgres:
        tx.run_rows(_LOCK, (documents.dump([task_key, dynamic_key]),))


def select_task_run_id(
    tx: Transaction, flow_run_id: UUID | None, task_key: str, dynamic_key: str
) -> UUID | None:
    """The id of the task run with this natural key; None when there is none."""
    keys = {"task_key": task_key, "dynamic_key": dynamic_key}
    found: UUID | None
    if flow_run_id is None:
        found = tx.value(_SELECT_ID_ALONE, **keys)
    else:
        found = tx.value(_SELECT_ID, flow_run_id=flow_run_id, **keys)
    return found


def insert_task_run(tx: Transaction, row: Sequence[Any], tags: list[str], new: State) -> None:
    """Insert a row that `task_run_values` made, with its tags and its first state."""
    values = dict(zip(_COLUMNS, row, strict=True))
    id, flow_run_id = values["id"], values["flow_run_id"]
    insert_rows(tx, task_run, [row])
    insert_rows(tx, state, [task_state_values(new, flow_run_id or id, id)])
    replace_task_run_tags(tx, [(id, [], tags)])


def select_task_runs_by_keys(
    tx: Transaction, flow_run_id: UUID, keys: Iterable[tuple[str, str]]
) -> list[Row]:
    """The flow run's task runs with these (task key, dynamic key)."""
    statement = _SELECT_BY_KEYS[tx.dialect.name]
    return tx.rows(statement, flow_run_id=flow_run_id, keys=documents.dump(list(keys)))


def select_task_runs_by_ids(tx: Transaction, ids: Iterable[UUID]) -> list[Row]:
    """The task runs with these ids."""
    return tx.rows(select(task_run).where(task_run.c.id.in_(list(ids))))


def task_run_values(
    known: Row | None, id: UUID, said: Mapping[str, Any], now: datetime
) -> list[Any]:
    """A whole row: what is known of a task run (or a new one starts with), and what was said."""
    if known is None:
        begun = {"id": id, "created": now, "name": said["task_key"]}
        begun["expected_start_time"] = said["state_timestamp"]
        values = {**_UNSAID, **begun, **said}
    else:
        values = {**known._asdict(), **said}
    values["updated"] = now
    return [values[c] for c in _COLUMNS]


def upsert_task_runs(tx: Transaction, rows: Sequence[Sequence[Any]]) -> None:
    """Insert or replace the rows that `task_run_values` made, unless what is there is newer."""
    insert_rows(tx, task_run, rows, tail=_UPSERT)


def task_state_values(new: State, run_id: UUID, task_run_id: UUID) -> tuple[Any, ...]:
    """A state's row, in the order of its table's columns."""
    values = state_values(new, run_id, task_run_id)
    return tuple(values.values())


def insert_states_once(tx: Transaction, rows: Sequence[Sequence[Any]]) -> None:
    """Insert the rows of `task_state_values`; one that is there already is left as it is."""
    insert_rows(tx, state, rows, tail=_ONCE)


def replace_task_run_tags(
    tx: Transaction, changes: Sequence[tuple[UUID, list[str], list[str]]]
) -> None:
    """Make the side table say which tags task runs have: (id, tags before, tags now) of each."""
    added = [(tag, id) for id, old, new in changes for tag in new if tag not in old]
    gone = [
        {"tag": tag, "task_run_id": id} for id, old, new in changes for tag in old if tag not in new
    ]
    insert_rows(tx, task_run_tag, added, tail=_ONCE)
    tx.run_many(_DELETE_TAG, gone)
