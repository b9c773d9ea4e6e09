"""Artifacts: `/artifacts`."""

from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from penstock.api.routes import Doors, database, empty_response, json_response
from penstock.contract.rest import artifacts as shapes
from penstock.core.errors import NotFound
from penstock.operations import artifacts
from penstock.store import artifacts as store
from penstock.store.filter_scopes import scope_of
from penstock.store.transaction import Transaction


async def create_artifact(request: Request, body: shapes.ArtifactCreate) -> Response:
    """Create an artifact, from now on the newest of its key."""
    unit = partial(artifacts.create_artifact, body=body, now=datetime.now(UTC))
    return json_response(await database(request).write(unit), 201)


async def read_artifact(request: Request, id: UUID) -> Response:
    """One artifact."""

    def read(tx: Transaction) -> dict[str, Any]:
        return store.artifact_shape(artifacts.required_artifact(tx, id))

    return json_response(await database(request).read(read))


async def read_latest_artifact(request: Request, key: str) -> Response:
    """The newest artifact of a key."""
    found = await database(request).read(partial(store.select_latest_artifact, key=key))
    if found is None:
        raise NotFound(f"There is no artifact with the key {key!r}")
    return json_response(found)


async def read_artifacts(
    request: Request, body: shapes.ArtifactsFilterBody | None = None
) -> Response:
    """One page of the artifacts that match."""
    body = body or shapes.ArtifactsFilterBody()
    page = partial(
        store.page_artifacts,
        scope=scope_of(body, body.artifacts),
        filter=body.artifacts,
        sort=body.sort,
        limit=body.limit,
        offset=body.offset,
    )
    return json_response(await database(request).read(page))


async def read_latest_artifacts(
    request: Request, body: shapes.LatestArtifactsFilterBody | None = None
) -> Response:
    """One page of the keys whose newest artifacts match."""
    body = body or shapes.LatestArtifactsFilterBody()
    page = partial(
        store.page_latest_artifacts,
        scope=scope_of(body, body.artifacts),
        filter=body.artifacts,
        sort=body.sort,
        limit=body.limit,
        offset=body.offset,
    )
    return json_response(await database(request).read(page))


async def count_artifacts(
    request: Request, body: shapes.ArtifactsCountBody | None = None
) -> Response:
    """How many artifacts match."""
    body = body or shapes.ArtifactsCountBody()
    scope = scope_of(body, body.artifacts)
    count = partial(store.count_artifacts, scope=scope, filter=body.artifacts)
    return json_response(await database(request).read(count))


async def count_latest_artifacts(
    request: Request, body: shapes.LatestArtifactsCountBody | None = None
) -> Response:
    """Of how many keys the newest artifact matches."""
    body = body or shapes.LatestArtifactsCountBody()
    scope = scope_of(body, body.artifacts)
    count = partial(store.count_latest_artifacts, scope=scope, filter=body.artifacts)
    return json_response(await database(request).read(count))


async def update_artifact(request: Request, id: UUID, body: shapes.ArtifactUpdate) -> Response:
    """Change what was sent."""
    unit = partial(artifacts.update_artifact, id=id, body=body, now=datetime.now(UTC))
    await database(request).write(unit)
    return empty_response()


async def delete_artifact(request: Request, id: UUID) -> Response:
    """Delete an artifact."""
    unit = partial(artifacts.delete_artifact, id=id, now=datetime.now(UTC))
    await database(request).write(unit)
    return empty_response()


_ONE = "/{id:uuid}"
_Artifact = shapes.Artifact

router = Doors(prefix="/artifacts", tag="Artifacts")
# described as 200, answered with 201: so the contract and its server have it
router.door("POST", "/", create_artifact, answers=_Artifact)
router.door("POST", "/filter", read_artifacts, answers=list[_Artifact])
router.door("POST", "/count", count_artifacts, answers=int)
router.door(
    "POST", "/latest/filter", read_latest_artifacts, answers=list[shapes.ArtifactCollection]
)
router.door("POST", "/latest/count", count_latest_artifacts, answers=int)
router.door("GET", "/{key}/latest", read_latest_artifact, answers=_Artifact)
router.door("GET", _ONE, read_artifact, answers=_Artifact)
router.door("PATCH", _ONE, update_artifact, status=204)
router.door("DELETE", _ONE, delete_artifact, status=204)
