"""`variable` and `concurrency-limit`: set, read, list, delete."""

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
