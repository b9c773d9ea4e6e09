"""Blocks through the client: every call of theirs, on a real server."""

from collections.abc import Iterator

import pytest

from penstock.sdk.client import Client
from penstock.sdk.errors import ApiError, Conflict, NotFound


@pytest.fixture
def server(sqlite_server_url: str) -> Iterator[Client]:
    with Client(sqlite_server_url) as client:
        yield client


def test_blocks_are_saved_loaded_changed_and_deleted(server: Client) -> None:
    kind = server.create_block_type(name="Door", slug="door", description="a")
    server.update_block_type(kind.id, description="b")
    assert server.read_block_type(kind.id).description == "b"
    assert server.read_block_type_by_slug("door").id == kind.id
    fields = {"title": "Door", "secret_fields": ["code"]}
    schema = server.create_block_schema(block_type_id=kind.id, fields=fields, capabilities=["c"])
    assert server.create_block_schema(block_type_id=kind.id, fields=fields).id == schema.id
    assert server.read_block_schema(schema.id) == schema
    assert server.read_block_schema_by_checksum(schema.checksum, version="non-versioned") == schema
    of_type = {"block_type_id": {"any_": [kind.id]}}
    assert server.read_block_schemas(block_schemas=of_type) == [schema]
    assert "c" in server.read_block_capabilities()
    ids = {"block_type_id": kind.id, "block_schema_id": schema.id}
    block = server.create_block_document(**ids, name="front", data={"code": "1", "open": True})
    with pytest.raises(Conflict):
        server.create_block_document(**ids, name="front")
    assert server.read_block_document(block).data == {"code": "********", "open": True}
    server.update_block_document(block, data={"open": False})
    data = {"code": "1", "open": False}
    for loaded in (
        server.read_block_document(block, include_secrets=True),
        server.read_block_document_by_name("door", "front", include_secrets=True),
        *server.read_block_documents_of_type("door", include_secrets=True),
        *server.read_block_documents(include_secrets=True),
    ):
        assert loaded.data == data
    assert server.count_block_documents() == 1
    server.delete_block_document(block)
    with pytest.raises(NotFound):
        server.read_block_document(block)
    server.delete_block_schema(schema.id)
    server.delete_block_type(kind.id)
    assert "door" not in [kind.slug for kind in server.read_block_types()]


def test_what_the_server_knows_of_itself_about_blocks(server: Client) -> None:
    server.install_system_block_types()
    folder = server.read_block_type_by_slug("local-file-system")
    of_type = {"block_type_id": {"any_": [folder.id]}}
    (schema,) = server.read_block_schemas(block_schemas=of_type)
    ids = {"block_type_id": folder.id, "block_schema_id": schema.id}
    block = server.create_block_document(**ids, name="results", data={"basepath": "/tmp"})
    assert server.read_result_storage() is None
    server.update_result_storage(block)
    assert server.read_result_storage() == str(block)
    server.clear_result_storage()
    assert server.read_result_storage() is None
    with pytest.raises(ApiError):
        server.update_result_storage(folder.id)
    view = server.read_collection_view("aggregate-worker-metadata")
    assert "process" in view["prefect"]
