"""Block types, schemas and documents; capabilities; where results are stored by default."""

from uuid import uuid4

from tests.wire.differences.pair import NOWHERE, Answer, Pair
from tests.wire.differences.registry import sequence

FIELDS = {
    "title": "Difference",
    "type": "object",
    "properties": {
        "user": {"title": "User", "type": "string"},
        "password": {"title": "Password", "type": "string", "format": "password"},
        "number": {"title": "Number", "type": "number", "default": 1.0},
        "deep": {"title": "Deep", "type": "object"},
    },
    "required": ["user"],
    "block_type_slug": "difference",
    "secret_fields": ["password", "deep.*"],
    "block_schema_references": {},
}
#: blocks outlive a run of all sequences on a server that is kept
TYPE = {"name": "Difference", "slug": "difference"}
DOCUMENT = "/block_types/slug/{slug}/block_documents/name/{block_document_name}"


def _without_blocks(pair: Pair) -> None:
    """What an earlier run of this sequence has left is deleted, without comparing."""

    def delete(server: object) -> None:
        answer = server.get("/block_types/slug/difference")  # type: ignore[attr-defined]
        if answer.status_code == 200:
            server.delete(f"/block_types/{answer.json()['id']}")  # type: ignore[attr-defined]

    pair.each(delete)


@sequence
def blocks(pair: Pair) -> None:
    """A type, its schemas, its documents with secrets; what is refused; what is protected."""
    _without_blocks(pair)
    made = pair.post("/block_types/", {**TYPE, "description": "d", "logo_url": "http://x.y/z.png"})
    for body in (
        TYPE,
        {"name": "Prefect Mine", "slug": "prefect-mine"},
        {"name": "prefect", "slug": "x"},
        {"name": "Upper Slug", "slug": "Upper Slug"},
        {"name": "", "slug": "empty"},
        {"name": "a/b", "slug": "a-b"},
        {"name": "x"},
        {**TYPE, "no_such_field": 1},
    ):
        pair.post("/block_types/", body)
    pair.get("/block_types/{id}", id=made["id"])
    pair.get("/block_types/slug/{slug}", slug="difference")
    pair.get("/block_types/slug/{slug}", slug="nobody")
    for body in ({"description": "after"}, {"logo_url": None}, {"name": "x"}, {}):
        pair.patch("/block_types/{id}", body, id=made["id"])
        pair.get("/block_types/{id}", id=made["id"])
    for condition in ({"slug": {"any_": ["difference"]}}, {"name": {"like_": "DIFFER"}}):
        pair.post("/block_types/filter", {"block_types": condition})
    schema_body = {"block_type_id": made["id"], "fields": FIELDS, "capabilities": ["b", "a"]}
    schema = pair.post("/block_schemas/", schema_body)
    pair.post("/block_schemas/", schema_body)
    second = pair.post("/block_schemas/", {**schema_body, "version": "2"})
    for change in (
        {"block_type_id": NOWHERE},
        {"fields": {}},
        {"fields": {**FIELDS, "secret_fields": []}},
        {"capabilities": None},
        {"no_such_field": 1},
    ):
        pair.post("/block_schemas/", {**schema_body, **change})
    pair.get("/block_schemas/{id}", id=schema["id"])
    by_checksum = "/block_schemas/checksum/{checksum}"
    for version in (None, "2", "nothing"):
        params = None if version is None else {"version": version}
        pair.get(by_checksum, checksum=schema["checksum"], params=params)
    pair.get(by_checksum, checksum="sha256:0")
    of_type = {"block_type_id": {"any_": [made["id"]]}}
    for condition in (
        of_type,
        {**of_type, "version": {"any_": ["2"]}},
        {**of_type, "block_capabilities": {"all_": ["a"]}},
        {**of_type, "block_capabilities": {"all_": ["z"]}},
        {"id": {"any_": [second["id"]]}},
    ):
        pair.post("/block_schemas/filter", {"block_schemas": condition})
    _documents(pair, made, schema, second)
    pair.delete("/block_schemas/{id}", id=second["id"])
    pair.delete("/block_types/{id}", id=made["id"])
    pair.get("/block_schemas/{id}", id=schema["id"])


def _documents(pair: Pair, made: Answer, schema: Answer, second: Answer) -> None:
    data = {"user": "me", "password": "secret", "deep": {"a": "hidden", "b": {"c": 1}}}
    body = {"block_type_id": made["id"], "block_schema_id": schema["id"]}
    document = pair.post("/block_documents/", {**body, "name": "one", "data": data})
    anonymous = pair.post("/block_documents/", {**body, "is_anonymous": True, "data": data})
    for change in (
        {"name": "one"},
        {"name": None},
        {"name": "Upper"},
        {"name": "a/b"},
        {"name": ""},
        {"name": "x", "block_schema_id": NOWHERE},
        {"name": "x", "block_type_id": NOWHERE},
        {"name": "less", "data": {}},
        {"name": "more", "data": {"unknown": 1}},
        {"name": "x", "no_such_field": 1},
    ):
        pair.post("/block_documents/", {**body, "data": data, **change})
    for secrets in ("true", "false"):
        params = {"include_secrets": secrets}
        pair.get("/block_documents/{id}", id=document["id"], params=params)
        pair.get(DOCUMENT, slug="difference", block_document_name="one", params=params)
        pair.get("/block_types/slug/{slug}/block_documents", slug="difference", params=params)
    pair.get("/block_documents/{id}", id=anonymous["id"])
    pair.get(DOCUMENT, slug="difference", block_document_name="nobody")
    pair.get(DOCUMENT, slug="nobody", block_document_name="one")
    one = {"id": document["id"], "params": {"include_secrets": "true"}}
    for change in (
        {"data": {"user": "you"}},
        {"data": {"password": "********"}},
        {"data": {"password": "new", "deep": {"a": "********"}}},
        {"data": {"user": "only"}, "merge_existing_data": False},
        {"data": data, "block_schema_id": second["id"]},
        {"data": {}, "block_schema_id": NOWHERE},
        {},
        {"name": "x"},
    ):
        pair.patch("/block_documents/{id}", change, id=document["id"])
        pair.get("/block_documents/{id}", **one)
    for condition in (
        {"block_type_id": {"any_": [made["id"]]}},
        {"block_type_id": {"any_": [made["id"]]}, "is_anonymous": {"eq_": True}},
        {"name": {"any_": ["one"]}},
        {"name": {"like_": "ES"}},
        {"id": {"any_": [document["id"]]}},
    ):
        for secrets in (True, False):
            of = {"block_documents": condition, "include_secrets": secrets}
            pair.post("/block_documents/filter", {**of, "sort": "NAME_ASC"})
        pair.post("/block_documents/count", {"block_documents": condition})
    pair.post(
        "/block_documents/filter",
        {
            "block_types": {"slug": {"any_": ["difference"]}},
            "block_schemas": {"block_capabilities": {"all_": ["a"]}},
            "limit": 1,
        },
    )
    pair.put("/admin/storage", {"default_result_storage_block_id": document["id"]})
    pair.get("/admin/storage")
    pair.put("/admin/storage", {"default_result_storage_block_id": NOWHERE})
    pair.delete("/admin/storage")
    pair.get("/admin/storage")
    pair.delete("/admin/storage")
    for _ in range(2):
        pair.delete("/block_documents/{id}", id=document["id"])
        pair.get("/block_documents/{id}", id=anonymous["id"])


@sequence
def blocks_inside_blocks(pair: Pair) -> None:
    """A document that refers to another; schemas with definitions."""
    _without_blocks(pair)
    made = pair.post("/block_types/", TYPE)
    inner = pair.post("/block_schemas/", {"block_type_id": made["id"], "fields": FIELDS})
    outer_fields = {
        "title": "Outer",
        "type": "object",
        "properties": {"inner": {"$ref": "#/definitions/Difference"}},
        "required": ["inner"],
        "block_type_slug": "difference",
        "secret_fields": ["inner.password"],
        "block_schema_references": {
            "inner": {
                "block_type_slug": "difference",
                "block_schema_checksum": inner["checksum"],
            }
        },
        "definitions": {"Difference": FIELDS},
    }
    outer = pair.post("/block_schemas/", {"block_type_id": made["id"], "fields": outer_fields})
    pair.get("/block_schemas/{id}", id=outer["id"])
    ids = {"block_type_id": made["id"]}
    child = pair.post(
        "/block_documents/",
        {
            **ids,
            "block_schema_id": inner["id"],
            "name": "child",
            "data": {"user": "me", "password": "p"},
        },
    )
    reference = {"$ref": {"block_document_id": child["id"]}}
    parent = pair.post(
        "/block_documents/",
        {**ids, "block_schema_id": outer["id"], "name": "parent", "data": {"inner": reference}},
    )
    for secrets in ("true", "false"):
        pair.get("/block_documents/{id}", id=parent["id"], params={"include_secrets": secrets})
    pair.delete("/block_documents/{id}", id=child["id"])
    pair.get("/block_documents/{id}", id=parent["id"])
    pair.post(
        "/block_documents/",
        {
            **ids,
            "block_schema_id": outer["id"],
            "name": "dangling",
            "data": {"inner": {"$ref": {"block_document_id": NOWHERE}}},
        },
    )
    pair.delete("/block_types/{id}", id=made["id"])


@sequence
def storage_of_results(pair: Pair) -> None:
    """A block that stores files may be where results go by default."""
    found = pair.get("/block_types/slug/{slug}", slug="local-file-system", compared=False)
    of_type = {"block_schemas": {"block_type_id": {"any_": [found["id"]]}}}
    schema = pair.post("/block_schemas/filter", of_type, compared=False)[0]
    document = pair.post(
        "/block_documents/",
        {
            "block_type_id": found["id"],
            "block_schema_id": schema["id"],
            "name": f"results-{uuid4().hex[:8]}",
            "data": {"basepath": "/tmp/results"},
        },
        compared=False,
    )
    pair.put("/admin/storage", {"default_result_storage_block_id": document["id"]})
    pair.get("/admin/storage")
    pair.delete("/admin/storage")
    pair.get("/admin/storage")
    pair.delete("/block_documents/{id}", id=document["id"])


@sequence
def blocks_of_the_server(pair: Pair) -> None:
    """The types that the client registers; their protection; the views of collections."""
    pair.post("/block_types/install_system_block_types", {})
    for slug in ("secret", "json", "date-time", "webhook", "slack-webhook", "local-file-system"):
        found = pair.get("/block_types/slug/{slug}", slug=slug)
        pair.patch("/block_types/{id}", {"description": "mine"}, id=found["id"])
        pair.delete("/block_types/{id}", id=found["id"])
    pair.get("/block_capabilities/")
    for view in ("aggregate-worker-metadata", "nothing"):
        pair.get("/collections/views/{view}", view=view)
