"""Tables of what runs use and leave behind: variables, artifacts, blocks, keys. See `tables`."""

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Table,
    Text,
    UniqueConstraint,
)

from penstock.store.column_types import Document, Id, Time
from penstock.store.table_parts import metadata, partial_index, stamps, workspace_column

variable = Table(
    "variable",
    metadata,
    Column("id", Id, primary_key=True),
    workspace_column(),
    *stamps(),
    Column("name", Text, nullable=False),
    Column("value", Document, nullable=False),
    Column("tags", Document, nullable=False),
    UniqueConstraint("workspace_id", "name"),
)

artifact = Table(
    "artifact",
    metadata,
    Column("id", Id, primary_key=True),
    workspace_column(),
    *stamps(),
    Column("key", Text),
    Column("type", Text),
    Column("description", Text),
    Column("data", Document),
    Column("metadata_", Document),
    Column("flow_run_id", Id),
    Column("task_run_id", Id),
    Index("ix_artifact_created", "created", "id"),
    Index("ix_artifact_key", "key", "created"),
)
partial_index("ix_artifact_flow_run_id", artifact, "flow_run_id IS NOT NULL", "flow_run_id")
partial_index("ix_artifact_task_run_id", artifact, "task_run_id IS NOT NULL", "task_run_id")

artifact_collection = Table(
    "artifact_collection",
    metadata,
    Column("id", Id, primary_key=True),
    workspace_column(),
    *stamps(),
    Column("key", Text, nullable=False),
    Column("latest_id", Id, nullable=False),
    UniqueConstraint("workspace_id", "key"),
)

saved_search = Table(
    "saved_search",
    metadata,
    Column("id", Id, primary_key=True),
    workspace_column(),
    *stamps(),
    Column("name", Text, nullable=False),
    Column("filters", Document, nullable=False),
    UniqueConstraint("workspace_id", "name"),
)

block_type = Table(
    "block_type",
    metadata,
    Column("id", Id, primary_key=True),
    workspace_column(),
    *stamps(),
    Column("name", Text, nullable=False),
    Column("slug", Text, nullable=False),
    Column("logo_url", Text),
    Column("documentation_url", Text),
    Column("description", Text),
    Column("code_example", Text),
    Column("is_protected", Boolean, nullable=False),
    UniqueConstraint("workspace_id", "slug"),
)

block_schema = Table(
    "block_schema",
    metadata,
    Column("id", Id, primary_key=True),
    workspace_column(),
    *stamps(),
    Column("checksum", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("block_type_id", Id, nullable=False),
    # complete, nested definitions included, spelt as it came: the checksum depends on it
    Column("fields", Document, nullable=False),
    Column("capabilities", Document, nullable=False),
    UniqueConstraint("workspace_id", "checksum", "version"),
    Index("ix_block_schema_block_type_id", "block_type_id", "created"),
)

block_document = Table(
    "block_document",
    metadata,
    Column("id", Id, primary_key=True),
    workspace_column(),
    *stamps(),
    Column("name", Text, nullable=False),
    # encrypted JSON text, without the values that refer to other documents
    Column("data", Text, nullable=False),
    Column("is_anonymous", Boolean, nullable=False),
    Column("block_type_id", Id, nullable=False),
    Column("block_schema_id", Id, nullable=False),
    UniqueConstraint("workspace_id", "block_type_id", "name"),
    Index("ix_block_document_block_schema_id", "block_schema_id"),
)

block_document_reference = Table(
    "block_document_reference",
    metadata,
    Column("id", Id, primary_key=True),
    Column("parent_id", Id, nullable=False),
    Column("child_id", Id, nullable=False),
    Column("name", Text, nullable=False),
    UniqueConstraint("parent_id", "name"),
    Index("ix_block_document_reference_child_id", "child_id"),
)

setting = Table(
    "setting",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Document, nullable=False),
)

csrf_token = Table(
    "csrf_token",
    metadata,
    Column("client", Text, primary_key=True),
    Column("token", Text, nullable=False),
    Column("expires_at", Time, nullable=False),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Id, primary_key=True),
    workspace_column(),
    Column("created", Time, nullable=False),
    Column("name", Text, nullable=False),
    # SHA-256 of the key, hexadecimal; the key itself is random and never stored
    Column("key_hash", Text, nullable=False),
    UniqueConstraint("workspace_id", "name"),
    UniqueConstraint("key_hash"),
)
