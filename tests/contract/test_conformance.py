"""Which operations of the contract the server describes as the contract does; never fewer."""

import json
from pathlib import Path

from penstock.server.app import Server
from penstock.server.settings import Settings
from tests.contract.conformance import CONTRACT, operation, route

LIST = Path(__file__).with_name("conforming.txt")


def conforming() -> dict[str, list[str]]:
    """What each operation of the contract lacks: nothing where it conforms."""
    want = json.loads(CONTRACT.read_text())
    got = Server(Settings(database_url="sqlite:///unused.db", services=False)).api.openapi()
    mine = {
        (route(path.removeprefix("/api")), method): op
        for path, operations in got["paths"].items()
        for method, op in operations.items()
    }
    faults = {}
    for path, operations in want["paths"].items():
        for method, op in operations.items():
            match = mine.get((route(path), method))
            lacks = ["absent"] if match is None else operation(want, op, got, match)
            faults[f"{method.upper()} {path}"] = lacks
    return faults


def test_no_operation_that_conformed_is_lost() -> None:
    faults = conforming()
    lost = {name: faults.get(name) for name in LIST.read_text().splitlines() if faults.get(name)}
    assert not lost


def test_every_operation_that_conforms_is_listed() -> None:
    listed = LIST.read_text().splitlines()
    new = sorted(name for name, lacks in conforming().items() if not lacks and name not in listed)
    assert not new, f"Well done; add to {LIST.name}, in order:\n" + "\n".join(new)


def test_the_list_is_in_order_and_names_operations_of_the_contract() -> None:
    listed = LIST.read_text().splitlines()
    assert listed == sorted(set(listed))
    assert set(listed) <= set(conforming())
