"""Empty a server between two sequences, so that none sees what another has left."""

import httpx

from tests.wire.differences.pair import NO_ANSWER, send_again

#: lists, and what deletes one of theirs; what is not served is passed over
SWEPT = (
    ("/flow_runs/filter", "/flow_runs/{id}"),
    ("/task_runs/filter", "/task_runs/{id}"),
    ("/deployments/filter", "/deployments/{id}"),
    ("/flows/filter", "/flows/{id}"),
    ("/work_pools/filter", "/work_pools/{name}"),
    ("/variables/filter", "/variables/{id}"),
    ("/artifacts/filter", "/artifacts/{id}"),
    ("/concurrency_limits/filter", "/concurrency_limits/{id}"),
    ("/v2/concurrency_limits/filter", "/v2/concurrency_limits/{id}"),
    ("/saved_searches/filter", "/saved_searches/{id}"),
)


def sweep(server: httpx.Client) -> None:
    """Delete everything that sequences make, but for logs, events and blocks."""
    for listed, deleted in SWEPT:
        before: set[str] = set()
        while rows := _rows(server, listed):
            ids = {row["id"] for row in rows}
            if ids <= before:
                break  # what cannot be deleted stays
            before |= ids
            for row in rows:
                send_again(server, "DELETE", deleted.format(**row))


def _rows(server: httpx.Client, path: str) -> list[dict[str, str]]:
    answer = send_again(server, "POST", path, json={})
    if answer.status_code == NO_ANSWER:
        raise RuntimeError(answer.text)
    rows: list[dict[str, str]] = answer.json() if answer.status_code == 200 else []
    return rows
