"""The server's default for where results are kept: a block document that files can be put in."""

from uuid import UUID

from penstock.core import documents
from penstock.core.errors import InvalidInput, NotFound
from penstock.store.block_documents import select_block_document
from penstock.store.block_schemas import select_block_schema
from penstock.store.stored_settings import delete_setting, select_setting, upsert_setting
from penstock.store.transaction import Transaction

_KEY = "default_result_storage_block_id"
#: what a block must be able to do, to keep results
_NEEDED = frozenset({"read-path", "write-path"})


def read_result_storage(tx: Transaction) -> UUID | None:
    """The id of the block; None when none was chosen, or it was deleted since."""
    text = select_setting(tx, _KEY)
    if text is None or select_block_document(tx, UUID(text)) is None:
        return None
    return UUID(text)


def update_result_storage(tx: Transaction, id: UUID) -> None:
    """Choose the block. Raises NotFound, InvalidInput (422) for one that cannot hold files."""
    row = select_block_document(tx, id)
    if row is None:
        raise NotFound(f"There is no block document {id}")
    schema = select_block_schema(tx, row.block_schema_id)
    able = set() if schema is None else set(documents.load(schema.capabilities))
    if missing := sorted(_NEEDED - able):
        raise InvalidInput(
            f"The block document {id} cannot keep results: it lacks {', '.join(missing)}",
            ("body", _KEY),
        )
    upsert_setting(tx, _KEY, str(id))


def clear_result_storage(tx: Transaction) -> None:
    """Choose none."""
    delete_setting(tx, _KEY)
