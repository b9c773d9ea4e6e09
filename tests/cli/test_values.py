"""`variable`, `concurrency-limit`, `work-queue` and `artifact`: set, read, list, delete."""

from penstock.sdk.client import Client
from tests.cli.conftest import Shell, unique


def test_a_variable_is_set_changed_read_and_deleted(shell: Shell, client: Client) -> None:
    name = unique("rows").replace("-", "_")
    assert shell("variable", "set", name, '{"rows": 100}', "--tag", "etl").code == 0
    assert client.read_variable_by_name(name).value == {"rows": 100}
    assert shell("variable", "get", name, "-o", "json").json["tags"] == ["etl"]
    assert shell("variable", "set", name, "plain text").out == f"Set variable '{name}'.\n"
    changed = client.read_variable_by_name(name)
    assert (changed.value, changed.tags) == ("plain text", ["etl"])
    listed = shell("variable", "ls", "--tag", "etl", "--limit", "500", "-o", "json").json
    assert name in [entry["name"] for entry in listed]
    assert shell("variable", "delete", name, "--yes").code == 0
    missing = shell("variable", "get", name)
    assert missing.code == 1
    assert "There is no variable" in missing.err
    assert shell("variable", "delete", name, "--yes").code == 1


def test_a_limit_is_set_changed_read_and_deleted(shell: Shell, client: Client) -> None:
    name = unique("database")
    assert shell("concurrency-limit", "set", name, "5").code == 0
    again = shell("concurrency-limit", "set", name, "2", "--slot-decay-per-second", "0.5")
    assert again.out == f"Set limit '{name}' to 2.\n"
    found = client.read_concurrency_limit(name)
    assert (found.limit, found.slot_decay_per_second) == (2, 0.5)
    assert shell("concurrency-limit", "inspect", name, "-o", "json").json["limit"] == 2
    listed = shell("concurrency-limit", "ls", "--limit", "500")
    assert any(line.startswith(name) for line in listed.lines)
    assert shell("concurrency-limit", "delete", name, "--yes").code == 0
    for command in (("inspect", name), ("delete", name, "--yes")):
        missing = shell("concurrency-limit", *command)
        assert missing.code == 1
        assert "There is no limit" in missing.err


def test_a_queue_is_made_paused_resumed_and_deleted(shell: Shell, client: Client) -> None:
    pool = unique("pool")
    client.create_work_pool(pool, type="process")
    in_pool = ("--pool", pool)
    assert shell("work-queue", "create", "urgent", *in_pool, "--priority", "1").code == 0
    again = shell("work-queue", "create", "urgent", *in_pool)
    assert "has a queue 'urgent'" in again.err
    lines = shell("work-queue", "ls", *in_pool).lines
    assert [line.split()[0] for line in lines[1:]] == ["urgent", "default"]
    assert shell("work-queue", "pause", "urgent", *in_pool).out == "Paused work queue 'urgent'.\n"
    assert client.read_work_queue(pool, "urgent").is_paused
    shell("work-queue", "resume", "urgent", *in_pool)
    assert not shell("work-queue", "inspect", "urgent", *in_pool, "-o", "json").json["is_paused"]
    assert shell("work-queue", "delete", "urgent", *in_pool, "--yes").code == 0
    missing = shell("work-queue", "pause", "urgent", *in_pool)
    assert (missing.code, "There is no work queue" in missing.err) == (1, True)
    assert "no work pool" in shell("work-queue", "create", "q", "--pool", unique("no")).err


def test_artifacts_are_listed_and_the_newest_of_a_key_is_shown(
    shell: Shell, client: Client
) -> None:
    key = unique("report")
    for text in ("old", "new"):
        client.create_artifact(key=key, type="markdown", data=text)
    listed = shell("artifact", "ls", "--key", key, "-o", "json").json
    assert [entry["data"] for entry in listed] == ["new", "old"]
    assert shell("artifact", "inspect", key, "-o", "json").json["data"] == "new"
    by_id = shell("artifact", "inspect", listed[1]["id"], "-o", "json").json
    assert by_id["data"] == "old"
    assert shell("artifact", "inspect", unique("none")).code == 1
