"""Short ways to say a request and to lay out what a test is about."""

from dataclasses import dataclass
from typing import Any

import httpx

Json = Any


@dataclass
class Api:
    """Calls that must succeed give the answer's JSON; `call` gives any answer as it is."""

    client: httpx.AsyncClient

    async def call(
        self, method: str, path: str, body: Json = None, **options: Any
    ) -> httpx.Response:
        """Any answer, whatever its status."""
        if body is not None:
            options["json"] = body
        return await self.client.request(method, path, **options)

    async def get(self, path: str, **params: str) -> Json:
        """The JSON of a successful GET."""
        return _json(await self.call("GET", path, params=params))

    async def post(self, path: str, body: Json = None) -> Json:
        """The JSON of a successful POST."""
        return _json(await self.call("POST", path, {} if body is None else body))

    async def patch(self, path: str, body: Json) -> None:
        """A successful PATCH."""
        _json(await self.call("PATCH", path, body))

    async def delete(self, path: str) -> None:
        """A successful DELETE."""
        _json(await self.call("DELETE", path))

    async def make_flow(self, name: str = "hello", **fields: Json) -> str:
        """The id of a new flow."""
        flow = await self.post("/flows/", {"name": name, **fields})
        return str(flow["id"])

    async def make_flow_run(self, flow_id: str, state: Json = None, **fields: Json) -> Json:
        """A new run of that flow; `state` is a type (`"RUNNING"`) or a whole state."""
        body: dict[str, Json] = {"flow_id": flow_id, **fields}
        if state is not None:
            body["state"] = {"type": state} if isinstance(state, str) else state
        return await self.post("/flow_runs/", body)


def _json(answer: httpx.Response) -> Json:
    assert answer.is_success, f"{answer.status_code}: {answer.text}"
    return answer.json() if answer.content else None
