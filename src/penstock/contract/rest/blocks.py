"""Blocks: their types, schemas and documents, and the filters of their lists."""

import re
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from penstock.contract.enums import BlockDocumentSort, Operator
from penstock.contract.rest.filters import Ids, Texts
from penstock.contract.rest.wire import (
    MAX_PAGE,
    Document,
    ListBody,
    Name,
    Offset,
    PageLimit,
    ShortText,
    Text,
    WireAnswer,
    WireBody,
    WireModel,
)

NON_VERSIONED = "non-versioned"
_DASHED = re.compile("[a-z0-9-]+")


def _dashed(text: str) -> str:
    if not _DASHED.fullmatch(text):
        raise PydanticCustomError(
            "dashed_name", "This has at least one of: lowercase letters, numbers and dashes"
        )
    return text


Dashed = Annotated[ShortText, AfterValidator(_dashed)]
DocumentName = Annotated[Name, AfterValidator(_dashed)]
Capabilities = Annotated[list[ShortText], Field(max_length=500)]


# -- types ---------------------------------------------------------------------------------------


class BlockTypeUpdate(WireModel):
    """The changes of a block type; only fields that were sent count."""

    logo_url: Text | None = None
    documentation_url: Text | None = None
    description: Text | None = None
    code_example: Text | None = None


class BlockTypeCreate(BlockTypeUpdate):
    """A block type to create."""

    name: Name
    slug: Dashed


class BlockType(WireAnswer):
    """A kind of blocks."""

    id: UUID
    created: datetime | None
    updated: datetime | None
    name: Name
    slug: str
    logo_url: str | None = None
    documentation_url: str | None = None
    description: str | None = None
    code_example: str | None = None
    #: cannot be deleted, because clients rely on it
    is_protected: bool = False


# -- schemas -------------------------------------------------------------------------------------


class BlockSchemaCreate(WireModel):
    """A block schema to create."""

    block_type_id: UUID
    #: JSON Schema, with `secret_fields` and `block_schema_references`
    fields: Document = Field(default_factory=dict)
    capabilities: Capabilities = Field(default_factory=list)
    version: ShortText = NON_VERSIONED


class BlockSchema(WireAnswer):
    """What the data of a type's blocks are like."""

    id: UUID
    created: datetime | None
    updated: datetime | None
    checksum: str
    fields: dict[str, Any] = Field(default_factory=dict)
    block_type_id: UUID | None
    block_type: BlockType | None = None
    capabilities: list[str] = Field(default_factory=list)
    version: str = NON_VERSIONED


# -- documents -----------------------------------------------------------------------------------


class BlockDocumentCreate(WireModel):
    """A block document to create."""

    name: DocumentName | None = None
    data: Document = Field(default_factory=dict)
    block_schema_id: UUID
    block_type_id: UUID
    #: belongs to one object, and is not listed
    is_anonymous: bool = False

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.name is None and not self.is_anonymous:
            raise PydanticCustomError("name_missing", "A block document needs a name")
        return self


class BlockDocumentUpdate(WireModel):
    """The changes of a block document."""

    block_schema_id: UUID | None = None
    data: Document = Field(default_factory=dict)
    #: keep the values that `data` does not name
    merge_existing_data: bool = True


class BlockDocument(WireAnswer):
    """A saved block."""

    id: UUID
    created: datetime | None
    updated: datetime | None
    name: Name | None = None
    data: dict[str, Any] = Field(default_factory=dict)
    block_schema_id: UUID
    block_schema: BlockSchema | None = None
    block_type_id: UUID
    block_type_name: str | None = None
    block_type: BlockType | None = None
    #: by name of the value: the documents that stand in `data` by reference
    block_document_references: dict[str, dict[str, Any]] = Field(default_factory=dict)
    is_anonymous: bool = False


# -- filters -------------------------------------------------------------------------------------


class BlockTypeFilterName(WireModel):
    """Block types by a part of their name."""

    like_: Text | None = None


class BlockTypeFilterSlug(WireModel):
    """Block types with one of these slugs."""

    any_: Texts | None = None


class BlockTypeFilter(WireModel):
    """Which block types."""

    name: BlockTypeFilterName | None = None
    slug: BlockTypeFilterSlug | None = None


class BlockSchemaFilterBlockTypeId(WireModel):
    """Block schemas of one of these types."""

    any_: Ids | None = None


class BlockSchemaFilterCapabilities(WireModel):
    """Block schemas with all these capabilities."""

    all_: Annotated[list[Text], Field(max_length=100)] | None = None


class BlockSchemaFilterId(WireModel):
    """Block schemas with one of these ids."""

    any_: Ids | None = None


class BlockSchemaFilterVersion(WireModel):
    """Block schemas with one of these versions."""

    any_: Texts | None = None


class BlockSchemaFilter(WireModel):
    """Which block schemas."""

    operator: Operator = Operator.and_
    block_type_id: BlockSchemaFilterBlockTypeId | None = None
    block_capabilities: BlockSchemaFilterCapabilities | None = None
    id: BlockSchemaFilterId | None = None
    version: BlockSchemaFilterVersion | None = None


class BlockDocumentFilterBlockTypeId(WireModel):
    """Block documents of one of these types."""

    any_: Ids | None = None


class BlockDocumentFilterId(WireModel):
    """Block documents with one of these ids."""

    any_: Ids | None = None


class BlockDocumentFilterIsAnonymous(WireModel):
    """Block documents that are anonymous, or that are not."""

    eq_: bool | None = None


class BlockDocumentFilterName(WireModel):
    """Block documents by name, or by a part of it."""

    any_: Texts | None = None
    like_: Text | None = None


class BlockDocumentFilter(WireModel):
    """Which block documents; the anonymous ones only when asked for."""

    operator: Operator = Operator.and_
    id: BlockDocumentFilterId | None = None
    is_anonymous: BlockDocumentFilterIsAnonymous | None = BlockDocumentFilterIsAnonymous(eq_=False)
    block_type_id: BlockDocumentFilterBlockTypeId | None = None
    name: BlockDocumentFilterName | None = None


# -- bodies --------------------------------------------------------------------------------------


class BlockTypesFilterBody(ListBody):
    """Body of `POST /block_types/filter`."""

    block_types: BlockTypeFilter | None = None
    block_schemas: BlockSchemaFilter | None = None
    limit: PageLimit = MAX_PAGE
    offset: Offset = 0


class BlockSchemasFilterBody(ListBody):
    """Body of `POST /block_schemas/filter`."""

    block_schemas: BlockSchemaFilter | None = None
    limit: PageLimit = MAX_PAGE
    offset: Offset = 0


class BlockDocumentsCountBody(ListBody):
    """Body of `POST /block_documents/count`."""

    block_documents: BlockDocumentFilter | None = None
    block_types: BlockTypeFilter | None = None
    block_schemas: BlockSchemaFilter | None = None


class BlockDocumentsFilterBody(BlockDocumentsCountBody):
    """Body of `POST /block_documents/filter`."""

    include_secrets: bool = False
    sort: BlockDocumentSort | None = BlockDocumentSort.NAME_ASC
    limit: PageLimit = MAX_PAGE
    offset: Offset = 0


# -- queries -------------------------------------------------------------------------------------


class SecretsQuery(WireBody):
    """Query of what reads block documents."""

    #: the values themselves in place of asterisks
    include_secrets: bool = False


class BlockSchemaVersionQuery(WireBody):
    """Query of `GET /block_schemas/checksum/{checksum}`."""

    version: str | None = None


# -- where results are kept ----------------------------------------------------------------------


class ServerDefaultResultStorage(WireAnswer):
    """The block in which results are kept that name no storage."""

    default_result_storage_block_id: UUID | None = None


class ServerDefaultResultStorageUpdate(WireBody):
    """Which block to keep results in."""

    default_result_storage_block_id: UUID
