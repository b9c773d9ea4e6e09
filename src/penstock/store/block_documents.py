"""Statements of block documents: their data is stored encrypted, what it refers to beside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import bindparam, delete, func, insert, select, update

from penstock.contract.enums import BlockDocumentSort
from penstock.core import documents
from penstock.core.block_schemas import SecretPath, masked, secret_paths
from penstock.core.errors import BadRequest
from penstock.core.ids import new_id
from penstock.store.block_conditions import (
    block_document_condition,
    block_schema_condition,
    block_type_condition,
)
from penstock.store.block_schemas import TYPE_COLUMNS, block_schema_shape, select_block_schemas
from penstock.store.block_types import block_type_shape
from penstock.store.secrets import Secrets, secrets_of
from penstock.store.statements import Row, Statement
from penstock.store.tables import (
    WORKSPACE,
    block_document,
    block_document_reference,
    block_schema,
    block_type,
)
from penstock.store.transaction import Transaction

if TYPE_CHECKING:
    from penstock.contract.rest.blocks import BlockDocumentsCountBody

#: how deep documents may stand in one another
MAX_NESTING = 50
#: bytes that the documents shown in others may take in one answer, each as often as it is shown
MAX_INLINED = 64 * 2**20
_PER_REFERENCE = 4000

_ID = block_document.c.id.type
_REF = block_document_reference.c
_WITH_TYPE = select(*block_document.c, *TYPE_COLUMNS).join(
    block_type, block_type.c.id == block_document.c.block_type_id
)
_INSERT = Statement(
    insert(block_document).values(
        {c.name: bindparam(c.name, type_=c.type) for c in block_document.c}
    )
)
_INSERT_REFERENCE = Statement(
    insert(block_document_reference).values(
        {c.name: bindparam(c.name, type_=c.type) for c in block_document_reference.c}
    )
)
_SELECT = Statement(_WITH_TYPE.where(block_document.c.id == bindparam("id", type_=_ID)))
_SELECT_BY_NAME = Statement(
    _WITH_TYPE.where(
        block_document.c.workspace_id == WORKSPACE,
        block_type.c.slug == bindparam("slug"),
        block_document.c.name == bindparam("name"),
    )
)
_SELECT_NAMED = Statement(
    select(block_document.c.id).where(
        block_document.c.workspace_id == WORKSPACE,
        block_document.c.block_type_id == bindparam("type_id", type_=_ID),
        block_document.c.name == bindparam("name"),
    )
)
_UPDATE = Statement(
    update(block_document)
    .where(
        block_document.c.id == bindparam("which", type_=_ID),
        block_document.c.data == bindparam("seen"),
    )
    .values(
        data=bindparam("data"),
        block_schema_id=bindparam("block_schema_id", type_=_ID),
        updated=bindparam("now", type_=block_document.c.updated.type),
    )
)
_REFERENCES = select(_REF.parent_id, _REF.child_id, _REF.name).order_by(_REF.name)
_SELECT_REFERENCES = Statement(
    _REFERENCES.where(_REF.parent_id == bindparam("parent_id", type_=_ID))
)
_DELETE_REFERENCES_OF = Statement(
    delete(block_document_reference).where(_REF.parent_id == bindparam("parent_id", type_=_ID))
)
_SELECT_SOME = Statement(
    select(block_document.c.id, block_document.c.data)
    .where(block_document.c.id > bindparam("after", type_=_ID))
    .order_by(block_document.c.id)
    .limit(bindparam("limit"))
)
_REENCRYPT = Statement(
    update(block_document)
    .where(
        block_document.c.id == bindparam("which", type_=_ID),
        block_document.c.data == bindparam("seen"),
    )
    .values(data=bindparam("data"))
)
_KEYS: dict[BlockDocumentSort, list[Any]] = {
    BlockDocumentSort.NAME_ASC: [block_document.c.name.asc(), block_document.c.id],
    BlockDocumentSort.NAME_DESC: [block_document.c.name.desc(), block_document.c.id],
    BlockDocumentSort.BLOCK_TYPE_AND_NAME_ASC: [
        block_type.c.name.asc(),
        block_document.c.name.asc(),
        block_document.c.id,
    ],
}


# ------------------------------------------------------------------ reading


def select_block_document(tx: Transaction, id: UUID) -> Row | None:
    """The row of a block document with its type; None when there is none."""
    return tx.row(_SELECT, id=id)


def select_block_document_rows(tx: Transaction, ids: Sequence[UUID]) -> list[Row]:
    """The rows of those of these documents that exist, with their types."""
    return tx.rows(_WITH_TYPE.where(block_document.c.id.in_(ids)))


def select_block_document_by_name(tx: Transaction, slug: str, name: str) -> Row | None:
    """The row of the document of this name and type, with its type; None when there is none."""
    return tx.row(_SELECT_BY_NAME, slug=slug, name=name)


def _scoped(query: Any, scope: BlockDocumentsCountBody) -> Any:
    query = query.where(block_document.c.workspace_id == WORKSPACE)
    condition = block_document_condition(scope.block_documents)
    if condition is not None:
        query = query.where(condition)
    condition = block_type_condition(scope.block_types)
    if condition is not None:
        query = query.where(condition)
    condition = block_schema_condition(scope.block_schemas)
    if condition is not None:
        schemas = select(block_schema.c.id).where(condition)
        query = query.where(block_document.c.block_schema_id.in_(schemas))
    return query


def page_block_documents(
    tx: Transaction,
    scope: BlockDocumentsCountBody,
    sort: BlockDocumentSort | None,
    limit: int,
    offset: int,
) -> list[Row]:
    """The rows of one page of the documents in that scope, with their types."""
    query = _scoped(_WITH_TYPE, scope).order_by(*_KEYS[sort or BlockDocumentSort.NAME_ASC])
    return tx.rows(query.limit(limit).offset(offset))


def count_block_documents(tx: Transaction, scope: BlockDocumentsCountBody) -> int:
    """How many documents are in that scope."""
    counted = select(func.count().label("documents")).select_from(block_document)
    joined = counted.join(block_type, block_type.c.id == block_document.c.block_type_id)
    return int(tx.value(_scoped(joined, scope)))


class DocumentTree:
    """Some documents, those that they refer to, and so on: everything that is shown of them."""

    def __init__(self, tx: Transaction, rows: Sequence[Row]) -> None:
        self._tx = tx
        self._inlined = 0
        self._own: dict[UUID, dict[str, Any]] = {}
        self._paths: dict[UUID, list[SecretPath]] = {}
        self._rows: dict[UUID, Row] = {row.id: row for row in rows}
        #: by document: (name of the value, document that it refers to)
        self._children: defaultdict[UUID, list[tuple[str, UUID]]] = defaultdict(list)
        waiting = list(self._rows)
        while waiting:
            waiting = self._look_below(waiting)
        schema_ids = {row.block_schema_id for row in self._rows.values()}
        self._schemas = select_block_schemas(tx, list(schema_ids))

    def _look_below(self, parents: list[UUID]) -> list[UUID]:
        for found in select_references(self._tx, parents):
            self._children[found.parent_id].append((found.name, found.child_id))
        wanted = {c for p in parents for _, c in self._children[p]} - self._rows.keys()
        if not wanted:
            return []
        rows = self._tx.rows(_WITH_TYPE.where(block_document.c.id.in_(wanted)))
        self._rows |= {row.id: row for row in rows}
        return [row.id for row in rows]

    def shape(self, id: UUID, *, include_secrets: bool) -> dict[str, Any]:
        """One of the documents as BlockDocument."""
        row = self._rows[id]
        data = self.data(id, include_secrets=include_secrets)
        kind = block_type_shape(row, "type_")
        return {
            "id": row.id,
            "created": row.created,
            "updated": row.updated,
            "name": row.name,
            "data": documents.Fragment(documents.dump(data)),
            "block_schema_id": row.block_schema_id,
            "block_schema": block_schema_shape(self._schemas[row.block_schema_id]),
            "block_type_id": row.block_type_id,
            "block_type_name": row.type_name,
            "block_type": kind,
            "block_document_references": self._references(id, ()),
            "is_anonymous": row.is_anonymous,
        }

    def data(
        self, id: UUID, *, include_secrets: bool, above: tuple[UUID, ...] = ()
    ) -> dict[str, Any]:
        """A document's data, with what it refers to in its place."""
        data = dict(self.own_data(id))
        for name, child in self._below(id, above):
            self._count(child)
            data[name] = self.data(child, include_secrets=include_secrets, above=(*above, id))
        if include_secrets:
            return data
        return masked(data, self.secret_paths(id))

    def weigh(self, children: Iterable[UUID], above: tuple[UUID, ...] = ()) -> None:
        """Raise BadRequest when a document that shows these could not be read."""
        for child in children:
            self._count(child)
            self.weigh([below for _, below in self._below(child, above)], (*above, child))

    def own_data(self, id: UUID) -> dict[str, Any]:
        """A document's data without what it refers to."""
        if id not in self._own:
            token = self._rows[id].data
            self._own[id] = documents.load(secrets_of(self._tx).decrypt(self._tx, token))
        return self._own[id]

    def secret_paths(self, id: UUID) -> list[SecretPath]:
        """Where the secrets stand in a document's data."""
        schema_id = self._rows[id].block_schema_id
        if schema_id not in self._paths:
            self._paths[schema_id] = secret_paths(documents.load(self._schemas[schema_id].fields))
        return self._paths[schema_id]

    def references(self, id: UUID) -> dict[str, UUID]:
        """What a document refers to: by name of the value, the document."""
        return dict(self._children[id])

    def shows(self, id: UUID, value: Any) -> bool:
        """Whether a value is the document's data, with or without its secrets."""
        return value in (
            self.data(id, include_secrets=True),
            self.data(id, include_secrets=False),
        )

    def _below(self, id: UUID, above: tuple[UUID, ...]) -> list[tuple[str, UUID]]:
        # Two changes at once may have made a circle, which neither of them saw.
        if len(above) >= MAX_NESTING:
            return []
        return [
            (name, child)
            for name, child in self._children[id]
            if child in self._rows and child != id and child not in above
        ]

    def _count(self, child: UUID) -> None:
        self._inlined += _PER_REFERENCE + len(self._rows[child].data)
        if self._inlined > MAX_INLINED:
            raise BadRequest("The block documents refer to more than can be read at once")

    def _references(self, id: UUID, above: tuple[UUID, ...]) -> dict[str, Any]:
        found = {}
        for name, child in self._below(id, above):
            row = self._rows[child]
            found[name] = {
                "block_document": {
                    "id": row.id,
                    "name": row.name,
                    "block_type": block_type_shape(row, "type_"),
                    "is_anonymous": row.is_anonymous,
                    "block_document_references": self._references(child, (*above, id)),
                }
            }
        return found


def block_document_shapes(
    tx: Transaction, rows: Sequence[Row], *, include_secrets: bool
) -> list[dict[str, Any]]:
    """The documents of these rows as BlockDocument."""
    tree = DocumentTree(tx, rows)
    return [tree.shape(row.id, include_secrets=include_secrets) for row in rows]


def select_references(tx: Transaction, parent_ids: Sequence[UUID]) -> list[Row]:
    """What these documents refer to, by name of the value: (parent_id, child_id, name)."""
    if len(parent_ids) == 1:  # mostly; then nothing has to be rendered
        return tx.rows(_SELECT_REFERENCES, parent_id=parent_ids[0])
    return tx.rows(_REFERENCES.where(_REF.parent_id.in_(parent_ids)))


def select_document_exists(tx: Transaction, type_id: UUID, name: str) -> bool:
    """Whether a block type has a document of this name."""
    return tx.value(_SELECT_NAMED, type_id=type_id, name=name) is not None


def select_existing_ids(tx: Transaction, ids: Sequence[UUID]) -> set[UUID]:
    """Those of these ids that are of block documents."""
    query = select(block_document.c.id).where(block_document.c.id.in_(ids))
    return {row.id for row in tx.rows(query)}


# ------------------------------------------------------------------ writing


def insert_block_document(tx: Transaction, values: Mapping[str, Any], now: datetime) -> UUID:
    """Insert a document; its id. Conflict when its type has one of this name."""
    id = new_id(now)
    row = {"id": id, "workspace_id": WORKSPACE, "created": now, "updated": now, **values}
    tx.run(_INSERT, **row)
    return id


def update_block_document(
    tx: Transaction, id: UUID, data: str, schema_id: UUID, *, seen: str, now: datetime
) -> bool:
    """Change a document whose stored data is still as `seen`; False when it is not."""
    given = {"data": data, "block_schema_id": schema_id, "now": now}
    return tx.run(_UPDATE, which=id, seen=seen, **given) > 0


def replace_references(
    tx: Transaction, parent_id: UUID, references: Mapping[str, UUID], now: datetime
) -> None:
    """Let a document refer to exactly these: by name of the value, the document."""
    tx.run(_DELETE_REFERENCES_OF, parent_id=parent_id)
    tx.run_many(
        _INSERT_REFERENCE,
        [
            {"id": new_id(now), "parent_id": parent_id, "child_id": child, "name": name}
            for name, child in references.items()
        ],
    )


def _delete_block_documents(tx: Transaction, ids: Sequence[UUID]) -> int:
    if not ids:
        return 0
    referring = _REF.parent_id.in_(ids) | _REF.child_id.in_(ids)
    tx.run(delete(block_document_reference).where(referring))
    return tx.run(delete(block_document).where(block_document.c.id.in_(ids)))


def delete_block_document(tx: Transaction, id: UUID) -> bool:
    """Delete a document, also from those that refer to it; False when there was none."""
    return _delete_block_documents(tx, [id]) > 0


def delete_documents_of_type(tx: Transaction, type_id: UUID, limit: int) -> int:
    """Delete up to so many documents of a block type; how many."""
    return _delete_some(tx, block_document.c.block_type_id == type_id, limit)


def delete_documents_of_schema(tx: Transaction, schema_id: UUID, limit: int) -> int:
    """Delete up to so many documents of a block schema; how many."""
    return _delete_some(tx, block_document.c.block_schema_id == schema_id, limit)


def _delete_some(tx: Transaction, condition: Any, limit: int) -> int:
    query = select(block_document.c.id).where(condition).limit(limit)
    return _delete_block_documents(tx, [row.id for row in tx.rows(query)])


def reencrypt_block_documents(
    tx: Transaction, secrets: Secrets, after: UUID, limit: int
) -> list[UUID]:
    """Encrypt the documents after that id anew, up to so many; their ids in order."""
    rows = tx.rows(_SELECT_SOME, after=after, limit=limit)
    many = [{"which": r.id, "seen": r.data, "data": secrets.reencrypt(tx, r.data)} for r in rows]
    tx.run_many(_REENCRYPT, many)
    return [row.id for row in rows]
