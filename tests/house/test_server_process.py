"""The fixture that other tests lean on: a real server that starts, answers and ends well."""

import httpx


def test_a_real_server_answers_on_each_database(server_url: str) -> None:
    answer = httpx.get(f"{server_url}/health", timeout=10)
    assert (answer.status_code, answer.json()) == (200, True)
