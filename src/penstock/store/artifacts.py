"""Statements of artifacts and of the newest artifact of each key, and rows <-> shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Select,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from penstock.contract.rest.filters import ArtifactCollectionFilter, ArtifactFilter
from penstock.core import documents
from penstock.core.ids import new_id
from penstock.store.filter_scopes import Scope, artifact_conditions
from penstock.store.statements import Row, Statement
from penstock.store.tables import WORKSPACE, artifact, artifact_collection
from penstock.store.transaction import Transaction

if TYPE_CHECKING:
    from penstock.contract.rest.artifacts import ArtifactCreate

_collection = artifact_collection.c
_SELECT = Statement(select(artifact).where(artifact.c.id == bindparam("id")))
_INSERT = Statement(
    insert(artifact).values({c.name: bindparam(c.name, type_=c.type) for c in artifact.c})
)
_OF_KEY = (_collection.workspace_id == WORKSPACE, _collection.key == bindparam("of_key"))
#: changes nothing; on PostgreSQL others who would change the collection wait
_LOCK_COLLECTION = Statement(
    update(artifact_collection).where(*_OF_KEY).values(latest_id=_collection.latest_id)
)
_NEWEST_OF_KEY = Statement(
    select(artifact.c.id)
    .where(artifact.c.workspace_id == WORKSPACE, artifact.c.key == bindparam("key"))
    .order_by(artifact.c.created.desc(), artifact.c.id.desc())
    .limit(1)
)
_POINT_TO = Statement(
    update(artifact_collection)
    .where(*_OF_KEY)
    .values(
        latest_id=bindparam("newest", type_=_collection.latest_id.type),
        updated=bindparam("now", type_=_collection.updated.type),
    )
)
_DELETE_COLLECTION = Statement(delete(artifact_collection).where(*_OF_KEY))
_SELECT_LATEST_ID = Statement(select(_collection.latest_id).where(*_OF_KEY))
_TOUCH_COLLECTION = Statement(
    update(artifact_collection)
    .where(_collection.latest_id == bindparam("latest"), *_OF_KEY)
    .values(updated=bindparam("now", type_=_collection.updated.type))
)


def _upsert(insert: Any) -> Statement:
    new = insert.values({c.name: bindparam(c.name, type_=c.type) for c in _collection})
    changed = {"latest_id": new.excluded.latest_id, "updated": new.excluded.updated}
    return Statement(
        new.on_conflict_do_update(index_elements=["workspace_id", "key"], set_=changed)
    )


_UPSERT_COLLECTION = {
    "sqlite": _upsert(sqlite.insert(artifact_collection)),
    "postgresql": _upsert(postgresql.insert(artifact_collection)),
}
_SELECT_COLLECTIONS: Select[Any] = (
    select(
        _collection.id,
        _collection.created,
        _collection.updated,
        _collection.key,
        _collection.latest_id,
        *[
            artifact.c[name]
            for name in ("type", "description", "data", "metadata_", "flow_run_id", "task_run_id")
        ],
    )
    .join(artifact, artifact.c.id == _collection.latest_id)
    .where(_collection.workspace_id == WORKSPACE)
)
_SELECT_LATEST = Statement(_SELECT_COLLECTIONS.where(_collection.key == bindparam("key")))


def _keys(table: Any) -> dict[str, list[Any]]:
    # Without a key comes first, as NULL does on SQLite.
    return {
        "CREATED_DESC": [table.created.desc(), table.id.desc()],
        "UPDATED_DESC": [table.updated.desc(), table.id.desc()],
        "ID_DESC": [table.id.desc()],
        "KEY_DESC": [table.key.desc().nulls_last(), table.id.desc()],
        "KEY_ASC": [table.key.asc().nulls_first(), table.id.asc()],
    }


_ARTIFACT_KEYS = _keys(artifact.c)
_COLLECTION_KEYS = _keys(_collection)


def artifact_shape(row: Row) -> dict[str, Any]:
    """Artifact (of a row of `artifact`) or ArtifactCollection (of one with `latest_id`)."""
    shape: dict[str, Any] = row._asdict()
    shape.pop("workspace_id", None)
    for name in ("data", "metadata_"):
        text = shape[name]
        shape[name] = None if text is None else documents.Fragment(text)
    return shape


# ------------------------------------------------------------------ reading


def select_artifact(tx: Transaction, id: UUID) -> Row | None:
    """One artifact's row; None when there is none with this id."""
    return tx.row(_SELECT, id=id)


def select_latest_artifact(tx: Transaction, key: str) -> dict[str, Any] | None:
    """The newest artifact of a key; None when there is none.

    compat: as prefect 3.8.8 has it, with the id and the times of the key's collection.
    """
    row = tx.row(_SELECT_LATEST, key=key)
    if row is None:
        return None
    shape = artifact_shape(row)
    del shape["latest_id"]
    return shape


def page_artifacts(
    tx: Transaction,
    scope: Scope,
    filter: ArtifactFilter | None,
    sort: str,
    limit: int,
    offset: int,
) -> list[dict[str, Any]]:
    """One page of the artifacts that match."""
    if limit == 0:
        return []
    query = select(artifact).where(*artifact_conditions(scope, filter))
    query = query.order_by(*_ARTIFACT_KEYS[sort]).limit(limit).offset(offset)
    return [artifact_shape(row) for row in tx.rows(query)]


def page_latest_artifacts(
    tx: Transaction,
    scope: Scope,
    filter: ArtifactCollectionFilter | None,
    sort: str,
    limit: int,
    offset: int,
) -> list[dict[str, Any]]:
    """One page of the keys whose newest artifacts match."""
    if limit == 0:
        return []
    query = _SELECT_COLLECTIONS.where(*artifact_conditions(scope, filter))
    query = query.order_by(*_COLLECTION_KEYS[sort]).limit(limit).offset(offset)
    return [artifact_shape(row) for row in tx.rows(query)]


def count_artifacts(tx: Transaction, scope: Scope, filter: ArtifactFilter | None) -> int:
    """How many artifacts match."""
    query = select(func.count().label("artifacts")).select_from(artifact)
    return int(tx.value(query.where(*artifact_conditions(scope, filter))))


def count_latest_artifacts(
    tx: Transaction, scope: Scope, filter: ArtifactCollectionFilter | None
) -> int:
    """Of how many keys the newest artifact matches."""
    query = select(func.count().label("keys")).select_from(
        artifact_collection.join(artifact, artifact.c.id == _collection.latest_id)
    )
    query = query.where(_collection.workspace_id == WORKSPACE)
    return int(tx.value(query.where(*artifact_conditions(scope, filter))))


# ------------------------------------------------------------------ writing


def insert_artifact(tx: Transaction, new: ArtifactCreate, now: datetime) -> UUID:
    """Insert an artifact, from now on the newest of its key; its id."""
    id = new_id(now)
    tx.run(
        _INSERT,
        id=id,
        workspace_id=WORKSPACE,
        created=now,
        updated=now,
        key=new.key,
        type=new.type,
        description=new.description,
        data=_text(new.data),
        metadata_=_text(new.metadata_),
        flow_run_id=new.flow_run_id,
        task_run_id=new.task_run_id,
    )
    if new.key is not None:
        tx.run(
            _UPSERT_COLLECTION[tx.dialect.name],
            id=new_id(now),
            workspace_id=WORKSPACE,
            created=now,
            updated=now,
            key=new.key,
            latest_id=id,
        )
    return id


def _text(document: Any) -> str | None:
    return None if document is None else documents.dump(document)


def update_artifact(tx: Transaction, row: Row, changes: Mapping[str, Any], now: datetime) -> None:
    """Change these columns of an artifact, given as they travel."""
    values = {
        column: value if column == "description" else _text(value)
        for column, value in changes.items()
    }
    tx.run(update(artifact).where(artifact.c.id == row.id).values(**values, updated=now))
    if row.key is not None:
        tx.run(_TOUCH_COLLECTION, latest=row.id, of_key=row.key, now=now)


def delete_artifacts(tx: Transaction, rows: Sequence[Row], now: datetime) -> None:
    """Delete these artifacts (`id`, `key`), at most some 500; the newest of what is left of each
    key takes its place."""
    ids = [row.id for row in rows]
    keys = sorted({row.key for row in rows if row.key is not None})
    for key in keys:  # in order, so that two who delete never wait for each other
        tx.run(_LOCK_COLLECTION, of_key=key)
    tx.run(delete(artifact).where(artifact.c.id.in_(ids)))
    gone = set(ids)
    for key in keys:
        if tx.value(_SELECT_LATEST_ID, of_key=key) not in gone:
            continue
        newest = tx.value(_NEWEST_OF_KEY, key=key)
        if newest is None:
            tx.run(_DELETE_COLLECTION, of_key=key)
        else:
            tx.run(_POINT_TO, of_key=key, newest=newest, now=now)


# ------------------------------------------------------------------ retention

_PARTS = (artifact.c.data, artifact.c.description, artifact.c.metadata_)


class text_bytes(FunctionElement[int]):
    """The bytes of a text in UTF-8."""

    type = BigInteger()
    inherit_cache = True


@compiles(text_bytes, "sqlite")
def _bytes_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return f"length(CAST({compiler.process(element.clauses, **options)} AS BLOB))"


@compiles(text_bytes, "postgresql")
def _bytes_postgres(element: Any, compiler: Any, **options: Any) -> str:
    return f"octet_length({compiler.process(element.clauses, **options)})"


_size = sum((func.coalesce(text_bytes(part), 0) for part in _PARTS), literal(0))
_SUM_BYTES = Statement(select(func.coalesce(func.sum(_size), 0).label("bytes")))


def sum_artifact_bytes(tx: Transaction) -> int:
    """The bytes of all artifacts' data, descriptions and metadata."""
    return int(tx.value(_SUM_BYTES))


def delete_oldest_artifacts(
    tx: Transaction, before: datetime | None, beyond: int | None, limit: int, now: datetime
) -> int:
    """Delete the oldest artifacts: those created before, or so many as have so many bytes
    together; at most `limit`. How many."""
    query = select(artifact.c.id, artifact.c.key, type_coerce(_size, BigInteger).label("size"))
    if before is not None:
        query = query.where(artifact.c.created < before)
    rows = tx.rows(query.order_by(artifact.c.created, artifact.c.id).limit(limit))
    if beyond is not None:
        before_it = accumulate((row.size for row in rows), initial=0)
        rows = [row for row, size in zip(rows, before_it, strict=False) if size < beyond]
    if rows:
        delete_artifacts(tx, rows, now)
    return len(rows)


def delete_artifacts_of_run(tx: Transaction, flow_run_id: UUID, limit: int, now: datetime) -> int:
    """Delete up to so many artifacts of a run; how many."""
    query = select(artifact.c.id, artifact.c.key).where(artifact.c.flow_run_id == flow_run_id)
    rows = tx.rows(query.limit(limit))
    if rows:
        delete_artifacts(tx, rows, now)
    return len(rows)
