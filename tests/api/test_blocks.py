"""Blocks: types, schemas and documents, what they nest, and what of them is secret."""

import asyncio
import uuid
from pathlib import Path
from typing import Any

import pytest

from penstock.core.block_schemas import block_schema_checksum
from penstock.server.app import Server
from tests.api.calls import Api, Json

pytestmark = pytest.mark.anyio

MASK = "********"
NOBODY = str(uuid.uuid4())
CHILD_FIELDS: dict[str, Any] = {
    "title": "Key",
    "type": "object",
    "properties": {"code": {"type": "string"}},
    "secret_fields": ["code"],
    "block_type_slug": "key",
    "block_schema_references": {},
}
FIELDS: dict[str, Any] = {
    "title": "Door",
    "type": "object",
    "properties": {"factor": {"type": "number", "default": 1.0}},
    "secret_fields": ["password", "headers.*", "login.token"],
    "block_type_slug": "door",
}


async def make_type(api: Api, slug: str = "door", **fields: Json) -> str:
    kind = await api.post("/block_types/", {"name": slug.title(), "slug": slug, **fields})
    return str(kind["id"])


async def make_schema(api: Api, type_id: str, fields: Json = None, **more: Json) -> str:
    body = {"block_type_id": type_id, "fields": FIELDS if fields is None else fields, **more}
    return str((await api.post("/block_schemas/", body))["id"])


class Doors:
    """A block type with a schema, and short ways to its documents."""

    def __init__(self, api: Api, type_id: str, schema_id: str) -> None:
        self.api, self.type_id, self.schema_id = api, type_id, schema_id

    def body(self, name: str | None, data: Json, **fields: Json) -> Json:
        ids = {"block_type_id": self.type_id, "block_schema_id": self.schema_id}
        return {"data": data, **ids, **({"name": name} if name else {}), **fields}

    async def save(self, name: str | None, data: Json, **fields: Json) -> Json:
        return await self.api.post("/block_documents/", self.body(name, data, **fields))

    async def data(self, id: str) -> Json:
        """All of the data, secrets included."""
        document = await self.api.get(f"/block_documents/{id}", include_secrets="true")
        return document["data"]


@pytest.fixture
async def doors(api: Api) -> Doors:
    type_id = await make_type(api)
    return Doors(api, type_id, await make_schema(api, type_id))


@pytest.fixture
async def keys(api: Api) -> Doors:
    """A second block type, whose blocks stand in others."""
    type_id = await make_type(api, "key")
    return Doors(api, type_id, await make_schema(api, type_id, CHILD_FIELDS))


def reference(id: str) -> Json:
    return {"$ref": {"block_document_id": id}}


# Types


async def test_block_types_are_found_changed_and_deleted(api: Api) -> None:
    id = await make_type(api, "my-door", description="d")
    kind = await api.get("/block_types/slug/my-door")
    assert (kind["id"], kind["name"], kind["description"]) == (id, "My-Door", "d")
    assert kind["is_protected"] is False
    await api.patch(f"/block_types/{id}", {"description": None, "logo_url": "l"})
    kind = await api.get(f"/block_types/{id}")
    assert (kind["description"], kind["logo_url"]) == (None, "l")
    await api.delete(f"/block_types/{id}")
    for path in (f"/block_types/{id}", "/block_types/slug/my-door"):
        assert (await api.call("GET", path)).status_code == 404
    assert (await api.call("PATCH", f"/block_types/{id}", {})).status_code == 404
    assert (await api.call("DELETE", f"/block_types/{id}")).status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "Door", "slug": "door"}, 409),
        ({"name": "prefectly fine", "slug": "fine"}, 403),
        ({"name": "a/b", "slug": "ab"}, 422),
        ({"name": "ab", "slug": "A b"}, 422),
        ({"name": "ab", "slug": "ab", "is_protected": True}, 422),
    ],
)
async def test_block_types_that_will_not_do_are_refused(
    api: Api, doors: Doors, body: Json, status: int
) -> None:
    assert (await api.call("POST", "/block_types/", body)).status_code == status


async def test_the_systems_block_types_are_there_from_the_first_question_on(api: Api) -> None:
    named = {"block_types": {"name": {"like_": "WEBHOOK"}}}
    found = [kind["slug"] for kind in await api.post("/block_types/filter", named)]
    assert len(found) == 8
    assert "slack-webhook" in found
    notifying = {"block_schemas": {"block_capabilities": {"all_": ["notify"]}}}
    assert len(await api.post("/block_types/filter", notifying)) == 9
    everything = await api.post("/block_types/filter")
    assert [k["name"] for k in everything] == sorted(k["name"] for k in everything)
    assert len(await api.post("/block_types/filter", {"limit": 3, "offset": 2})) == 3
    some = {"block_types": {"slug": {"any_": ["secret", "nothing"]}}}
    assert [k["slug"] for k in await api.post("/block_types/filter", some)] == ["secret"]
    assert await api.get("/block_capabilities/") == [
        "get-directory",
        "notify",
        "put-directory",
        "read-path",
        "write-path",
    ]


async def test_protected_types_stay_and_others_come_back_only_when_asked_for(api: Api) -> None:
    secret = await api.get("/block_types/slug/secret")
    refused = await api.call("DELETE", f"/block_types/{secret['id']}")
    assert refused.status_code == 403
    body = {"block_schemas": {"block_type_id": {"any_": [secret["id"]]}}}
    (schema,) = await api.post("/block_schemas/filter", body)
    assert (await api.call("DELETE", f"/block_schemas/{schema['id']}")).status_code == 403
    slack = await api.get("/block_types/slug/slack-webhook")
    await api.delete(f"/block_types/{slack['id']}")
    path = "/block_types/slug/slack-webhook"
    assert (await api.call("GET", path)).status_code == 404
    assert await api.post("/block_types/install_system_block_types") is None
    assert (await api.call("GET", path)).status_code == 200
    assert await api.get("/block_types/slug/secret") == secret


# Schemas


async def test_a_schema_is_stored_once_under_the_checksum_that_clients_compute(api: Api) -> None:
    type_id = await make_type(api)
    body = {"block_type_id": type_id, "fields": FIELDS, "capabilities": ["b", "a"]}
    first = await api.call("POST", "/block_schemas/", body)
    again = await api.call("POST", "/block_schemas/", body | {"capabilities": ["c"]})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    schema = first.json()
    assert schema["checksum"] == block_schema_checksum(FIELDS)
    assert schema["fields"] == FIELDS | {"block_schema_references": {}}
    assert '"default":1.0' in first.text
    assert (schema["version"], schema["capabilities"]) == ("non-versioned", ["b", "a"])
    assert schema["block_type"]["slug"] == "door"
    newer = await api.post("/block_schemas/", body | {"version": "2"})
    path = f"/block_schemas/checksum/{schema['checksum']}"
    assert (await api.get(path))["id"] == newer["id"]
    assert (await api.get(path, version="non-versioned"))["id"] == schema["id"]
    assert (await api.call("GET", path, params={"version": "3"})).status_code == 404
    assert await api.get(f"/block_schemas/{newer['id']}") == newer


async def test_schemas_are_listed_the_newest_first_and_filtered(api: Api, doors: Doors) -> None:
    second = await make_schema(api, doors.type_id, {}, version="2", capabilities=["a", 'b"c'])

    async def found(**criteria: Json) -> list[str]:
        schemas = await api.post("/block_schemas/filter", {"block_schemas": criteria})
        return [s["id"] for s in schemas]

    assert await found(block_type_id={"any_": [doors.type_id]}) == [second, doors.schema_id]
    assert await found(block_capabilities={"all_": ["a", 'b"c']}) == [second]
    assert await found(block_capabilities={"all_": ["a", "c"]}) == []
    assert await found(version={"any_": ["2"]}) == [second]
    either = {"version": {"any_": ["2"]}, "id": {"any_": [doors.schema_id]}}
    assert await found(operator="or_", **either) == [second, doors.schema_id]
    assert await found(operator="and_", **either) == []
    assert len(await api.post("/block_schemas/filter", {"limit": 1, "offset": 1})) == 1


async def test_nested_schemas_are_stored_apart_and_read_back_complete(api: Api) -> None:
    house, key = await make_type(api, "house"), await make_type(api, "key")
    checksum = block_schema_checksum(CHILD_FIELDS)
    link = {"block_type_slug": "key", "block_schema_checksum": checksum}
    fields = {
        "title": "House",
        "properties": {"front": {"$ref": "#/definitions/Key"}},
        "definitions": {"Key": CHILD_FIELDS},
        "block_schema_references": {"front": link},
    }
    stored = await api.get(f"/block_schemas/{await make_schema(api, house, fields)}")
    assert stored["fields"] == fields
    child = await api.get(f"/block_schemas/checksum/{checksum}")
    assert child["block_type_id"] == key
    unknown = {"definitions": {"K": {**CHILD_FIELDS, "block_type_slug": "lock"}}}
    body = {"block_type_id": house, "fields": {**fields, "title": "Other", **unknown}}
    refused = await api.call("POST", "/block_schemas/", body)
    assert refused.status_code == 409
    assert "'lock'" in refused.json()["detail"]
    body = {"block_type_id": NOBODY, "fields": {}}
    assert (await api.call("POST", "/block_schemas/", body)).status_code == 404


async def test_deleting_a_schema_or_a_type_deletes_what_is_of_it(api: Api, doors: Doors) -> None:
    one = await doors.save("one", {})
    await api.delete(f"/block_schemas/{doors.schema_id}")
    assert (await api.call("GET", f"/block_documents/{one['id']}")).status_code == 404
    assert (await api.call("DELETE", f"/block_schemas/{doors.schema_id}")).status_code == 404
    doors.schema_id = await make_schema(api, doors.type_id)
    two = await doors.save("two", {})
    await api.delete(f"/block_types/{doors.type_id}")
    assert (await api.call("GET", f"/block_documents/{two['id']}")).status_code == 404
    assert (await api.call("GET", f"/block_schemas/{doors.schema_id}")).status_code == 404


# Documents


async def test_a_document_is_read_with_or_without_its_secrets(api: Api, doors: Doors) -> None:
    data = {
        "password": "p",
        "headers": {"a": "1", "deep": {"b": 2}},
        "login": {"token": "t", "user": "u"},
        "factor": 1.0,
    }
    document = await doors.save("front", data)
    hidden = {
        "password": MASK,
        "headers": {"a": MASK, "deep": {"b": MASK}},
        "login": {"token": MASK, "user": "u"},
        "factor": 1.0,
    }
    assert document["data"] == hidden
    assert (document["name"], document["block_type_name"]) == ("front", "Door")
    assert document["block_type"]["slug"] == document["block_schema"]["block_type"]["slug"]
    path = "/block_types/slug/door/block_documents"
    for read in (
        f"/block_documents/{document['id']}",
        f"{path}/name/front",
    ):
        assert (await api.get(read)) == document
        assert (await api.get(read, include_secrets="true"))["data"] == data
    (listed,) = await api.get(path)
    assert listed["data"] == hidden
    (listed,) = await api.get(path, include_secrets="true")
    assert listed["data"] == data
    (listed,) = await api.post("/block_documents/filter", {"include_secrets": True})
    assert listed["data"] == data
    await api.delete(f"/block_documents/{document['id']}")
    for read in (f"/block_documents/{document['id']}", f"{path}/name/front"):
        assert (await api.call("GET", read)).status_code == 404
    assert (await api.call("GET", "/block_types/slug/none/block_documents")).status_code == 404


async def test_documents_that_will_not_do_are_refused(api: Api, doors: Doors, keys: Doors) -> None:
    await doors.save("front", {})
    for body, status in [
        (doors.body("front", {}), 409),
        (doors.body(None, {}), 422),
        (doors.body("Front", {}), 422),
        (doors.body("a", None), 422),
        (doors.body("a", {}, block_type_id=NOBODY), 409),
        (doors.body("a", {}, block_schema_id=NOBODY), 409),
        (doors.body("a", {}, block_schema_id=keys.schema_id), 409),
        (doors.body("a", {"key": reference(NOBODY)}), 409),
        (doors.body("a", {"key": reference("no id")}), 400),
    ]:
        answer = await api.call("POST", "/block_documents/", body)
        assert answer.status_code == status, (body, answer.text)
    assert await api.post("/block_documents/count") == 1


async def test_a_change_merges_and_keeps_secrets_that_come_back_masked(
    api: Api, doors: Doors
) -> None:
    data = {"password": "p", "headers": {"a": "1", "b": "2"}, "open": True}
    id = (await doors.save("front", data))["id"]
    path = f"/block_documents/{id}"
    await api.patch(path, {"data": {"headers": {"a": MASK, "c": "3"}, "open": False}})
    assert await doors.data(id) == {"password": "p", "headers": {"a": "1", "c": "3"}, "open": False}
    await api.patch(path, {"data": {"password": MASK, "new": 1}, "merge_existing_data": False})
    assert await doors.data(id) == {"password": "p", "new": 1}
    await api.patch(path, {"data": {"password": "q"}})
    assert await doors.data(id) == {"password": "q", "new": 1}
    await api.patch(path, {})
    assert await doors.data(id) == {"password": "q", "new": 1}
    assert (await api.call("PATCH", f"/block_documents/{NOBODY}", {})).status_code == 404


async def test_a_document_moves_to_another_schema_of_its_type_only(
    api: Api, doors: Doors, keys: Doors
) -> None:
    id = (await doors.save("front", {"password": "p"}))["id"]
    path = f"/block_documents/{id}"
    open_schema = await make_schema(api, doors.type_id, {"title": "open"})
    for schema in (keys.schema_id, NOBODY):
        answer = await api.call("PATCH", path, {"block_schema_id": schema, "data": {}})
        assert answer.status_code == 400
    # sent back as it was shown under the schema that masks it
    body = {"block_schema_id": open_schema, "data": {"password": MASK}}
    await api.patch(path, body | {"merge_existing_data": False})
    document = await api.get(path)
    assert (document["block_schema_id"], document["data"]) == (open_schema, {"password": "p"})


async def test_anonymous_documents_are_listed_only_when_asked_for(api: Api, doors: Doors) -> None:
    nameless = await doors.save(None, {}, is_anonymous=True)
    assert nameless["name"].startswith("anonymous-")
    await doors.save("b-front", {})
    await doors.save("a-back", {})

    async def names(**body: Json) -> list[str]:
        return [d["name"] for d in await api.post("/block_documents/filter", body)]

    assert await names() == ["a-back", "b-front"]
    assert await names(sort="NAME_DESC") == ["b-front", "a-back"]
    assert await names(limit=1, offset=1) == ["b-front"]
    assert await names(block_documents={"is_anonymous": {"eq_": True}}) == [nameless["name"]]
    assert len(await names(block_documents={"is_anonymous": None})) == 3
    assert await names(block_documents={"name": {"like_": "FRONT"}}) == ["b-front"]
    assert await names(block_documents={"name": {"any_": ["a-back", "c"]}}) == ["a-back"]
    assert await names(block_documents={"block_type_id": {"any_": [NOBODY]}}) == []
    assert await names(block_types={"slug": {"any_": ["key"]}}) == []
    assert len(await names(block_schemas={"id": {"any_": [doors.schema_id]}})) == 2
    counted = {"block_documents": {"is_anonymous": {"eq_": True}}}
    assert await api.post("/block_documents/count", counted) == 1
    assert len(await api.get("/block_types/slug/door/block_documents")) == 2


async def test_documents_are_sorted_by_type_and_name(api: Api, doors: Doors, keys: Doors) -> None:
    for of, name in ((keys, "a"), (doors, "b"), (doors, "a")):
        await of.save(name, {})
    body = {"sort": "BLOCK_TYPE_AND_NAME_ASC"}
    found = await api.post("/block_documents/filter", body)
    assert [(d["block_type_name"], d["name"]) for d in found] == [
        ("Door", "a"),
        ("Door", "b"),
        ("Key", "a"),
    ]


# Documents in documents


async def test_a_document_shows_those_that_it_refers_to(
    api: Api, doors: Doors, keys: Doors
) -> None:
    key = await keys.save("spare", {"code": "123", "teeth": 4})
    front = await doors.save("front", {"key": reference(key["id"]), "open": True})
    assert front["data"] == {"key": {"code": MASK, "teeth": 4}, "open": True}
    told = front["block_document_references"]["key"]["block_document"]
    assert (told["id"], told["name"], told["block_type"]["slug"]) == (key["id"], "spare", "key")
    house = await doors.save("house", {"front": reference(front["id"])})
    assert house["data"]["front"]["key"] == {"code": MASK, "teeth": 4}
    assert await doors.data(house["id"]) == {
        "front": {"key": {"code": "123", "teeth": 4}, "open": True}
    }
    inner = house["block_document_references"]["front"]["block_document"]
    assert inner["block_document_references"]["key"]["block_document"]["id"] == key["id"]
    await api.patch(f"/block_documents/{key['id']}", {"data": {"code": "456"}})
    assert (await doors.data(house["id"]))["front"]["key"]["code"] == "456"
    await api.delete(f"/block_documents/{key['id']}")
    assert await doors.data(house["id"]) == {"front": {"open": True}}


async def test_changing_a_document_keeps_replaces_or_drops_its_references(
    api: Api, doors: Doors, keys: Doors
) -> None:
    key = await keys.save("spare", {"code": "123"})
    front = await doors.save("front", {"key": reference(key["id"])})
    path = f"/block_documents/{front['id']}"

    async def referred() -> list[str]:
        return list((await api.get(path))["block_document_references"])

    await api.patch(path, {"data": {"open": True}})
    assert await referred() == ["key"]
    # read with masks, changed elsewhere, sent back whole
    shown = (await api.get(path))["data"]
    await api.patch(path, {"data": {**shown, "open": False}, "merge_existing_data": False})
    assert await referred() == ["key"]
    assert await doors.data(front["id"]) == {"key": {"code": "123"}, "open": False}
    await api.patch(path, {"data": {"key": {"code": "inline"}}})
    assert await referred() == []
    assert (await doors.data(front["id"]))["key"] == {"code": "inline"}
    await api.patch(path, {"data": {"key": reference(key["id"])}})
    assert await referred() == ["key"]
    await api.patch(path, {"data": {"open": True}, "merge_existing_data": False})
    assert await doors.data(front["id"]) == {"open": True}


async def test_documents_never_refer_to_themselves(api: Api, doors: Doors) -> None:
    inner = (await doors.save("inner", {}))["id"]
    outer = (await doors.save("outer", {"in": reference(inner)}))["id"]
    for to in (inner, outer):
        body = {"data": {"out": reference(to)}}
        answer = await api.call("PATCH", f"/block_documents/{inner}", body)
        assert answer.status_code == 400, to
    assert await doors.data(inner) == {}


async def test_documents_that_would_fill_the_memory_are_refused(api: Api, doors: Doors) -> None:
    id = (await doors.save("level-0", {"x": "y" * 100}))["id"]
    for level in range(1, 25):  # each shows the one below twice
        answer = await api.call(
            "POST",
            "/block_documents/",
            doors.body(f"level-{level}", {"a": reference(id), "b": reference(id)}),
        )
        if answer.status_code != 201:
            break
        id = answer.json()["id"]
    assert answer.status_code == 400
    assert 8 < level < 24
    assert await api.post("/block_documents/count") == level
    assert (await api.call("GET", f"/block_documents/{id}")).status_code == 200


async def test_changes_at_the_same_time_lose_nothing(api: Api, doors: Doors) -> None:
    id = (await doors.save("front", {}))["id"]
    path = f"/block_documents/{id}"
    await asyncio.gather(*[api.patch(path, {"data": {f"n{i}": i}}) for i in range(3)])
    assert await doors.data(id) == {"n0": 0, "n1": 1, "n2": 2}


async def test_whole_numbers_of_any_size_and_odd_texts_are_kept(api: Api, doors: Doors) -> None:
    data = {"big": 2**80, "float": 1.0, "text": "a\x00b\ud7ffé", "__prefect_kind": "json"}
    id = (await doors.save("odd", data))["id"]
    assert await doors.data(id) == data


# What is secret stays secret


def bytes_below(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("penstock*"))


async def test_secrets_are_neither_in_the_database_nor_in_errors_nor_in_events(
    api: Api, doors: Doors, server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "hunter2-hunter2"
    id = (await doors.save("front", {"password": secret}))["id"]
    bad = doors.body("Bad Name", {"password": secret})
    refused = [
        await api.call("POST", "/block_documents/", bad),
        await api.call("POST", "/block_documents/", doors.body("front", {"password": secret})),
        await api.call("PATCH", f"/block_documents/{id}", {"data": [secret]}),
        await api.call("PATCH", f"/block_documents/{id}", {"daat": {"password": secret}}),
    ]
    assert [answer.status_code for answer in refused] == [422, 409, 422, 422]
    assert not [answer for answer in refused if secret in answer.text]
    assert secret not in caplog.text
    database = server.database
    assert database is not None
    if database.is_postgres:
        return
    stored = await asyncio.to_thread(bytes_below, tmp_path)
    assert b"front" in stored
    assert secret.encode() not in stored


# Job variables


def template(default: Json, **property: Json) -> Json:
    variable = {"type": "object", "default": default, **property}
    return {
        "job_configuration": {"credentials": "{{ credentials }}"},
        "variables": {"properties": {"credentials": variable}},
    }


async def test_a_block_may_be_the_default_of_a_job_variable(api: Api, doors: Doors) -> None:
    block = await doors.save("front", {"password": "p", "user": "u"})
    wanted = {"properties": {"user": {"type": "string"}}, "required": ["user"]}
    pool = {"name": "p", "type": "process"}
    job = template(reference(block["id"]), **wanted)
    await api.post("/work_pools/", {**pool, "base_job_template": job})
    flow = await api.make_flow()
    body = {"name": "d", "flow_id": flow, "work_pool_name": "p"}
    path = f"/deployments/{(await api.post('/deployments/', body))['id']}/create_flow_run"
    assert (await api.post(path))["job_variables"] == {}
    await api.patch(f"/block_documents/{block['id']}", {"data": {"user": 5, "password": "hush"}})
    refused = await api.call("POST", path, {})
    assert refused.status_code == 422
    assert "credentials.user" in refused.text
    assert "hush" not in refused.text
    await api.post(path, {"job_variables": {"credentials": {"user": "v"}}})
    await api.delete(f"/block_documents/{block['id']}")
    assert (await api.call("POST", path, {})).status_code == 404


async def test_a_template_whose_block_is_missing_or_unfit_is_refused(
    api: Api, doors: Doors
) -> None:
    block = await doors.save("front", {"user": "u"})
    unfit = template(reference(block["id"]), properties={"user": {"type": "integer"}})
    for job, status in [
        (template(reference(NOBODY)), 404),
        (template(reference("no id")), 404),
        (unfit, 422),
        (template(reference(block["id"])), 201),
    ]:
        body = {"name": "p", "type": "process", "base_job_template": job}
        assert (await api.call("POST", "/work_pools/", body)).status_code == status


# Where results are kept, and which workers are known


async def test_results_are_kept_in_a_block_that_holds_files(api: Api, doors: Doors) -> None:
    path, key = "/admin/storage", "default_result_storage_block_id"
    assert await api.get(path) == {key: None}
    kind = await api.get("/block_types/slug/local-file-system")
    body = {"block_schemas": {"block_type_id": {"any_": [kind["id"]]}}}
    (schema,) = await api.post("/block_schemas/filter", body)
    folder = await Doors(api, kind["id"], schema["id"]).save("results", {"basepath": "/tmp/r"})
    unfit = await doors.save("front", {})
    for id, status in [(NOBODY, 404), (unfit["id"], 422), (None, 422), (folder["id"], 200)]:
        assert (await api.call("PUT", path, {key: id})).status_code == status
    assert await api.get(path) == {key: folder["id"]}
    await api.delete(path)
    assert await api.get(path) == {key: None}
    assert (await api.call("PUT", path, {key: folder["id"]})).json() == {key: folder["id"]}
    await api.delete(f"/block_documents/{folder['id']}")
    assert await api.get(path) == {key: None}


async def test_every_known_type_of_worker_has_a_template_that_makes_a_pool(api: Api) -> None:
    view = await api.get("/collections/views/aggregate-worker-metadata")
    assert view["prefect"]["process"]["type"] == "process"
    for kinds in view.values():
        for kind, about in kinds.items():
            job = about["default_base_job_configuration"]
            pool = {"name": kind, "type": kind, "base_job_template": job}
            assert (await api.post("/work_pools/", pool))["base_job_template"] == job
    assert (await api.call("GET", "/collections/views/other")).status_code == 404


async def test_schemas_that_would_grow_beyond_all_bounds_are_refused(api: Api) -> None:
    kind = await make_type(api)

    def chain(length: int, pad: int) -> Json:
        """Each definition refers to the next one, so the first needs all the others."""
        links = {
            f"d{n}": {
                "block_type_slug": "door",
                "title": f"d{n}",
                "description": "x" * pad,
                "properties": {"next": {"$ref": f"#/definitions/d{n + 1}"}},
            }
            for n in range(length)
        }
        return {"title": "Chain", "properties": {}, "definitions": links}

    for fields in (
        chain(101, 0),
        chain(100, 2_000),
        {"secret_fields": [f"a{n}" for n in range(1_001)]},
    ):
        body = {"block_type_id": kind, "fields": fields}
        answer = await api.call("POST", "/block_schemas/", body)
        assert answer.status_code == 400, answer.text
    assert (
        await api.post(
            "/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [kind]}}}
        )
        == []
    )
    assert await make_schema(api, kind, chain(20, 100))
