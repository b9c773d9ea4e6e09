"""Artifacts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.sdk.calls.answers import Fields, Id, given, many, nothing, number, one, quoted
from penstock.sdk.wire import Call

if TYPE_CHECKING:
    from penstock.contract.rest.artifacts import Artifact, ArtifactCollection

ARTIFACT = ("artifacts", "Artifact")


def create_artifact(
    *,
    key: str | None = None,
    type: str | None = None,
    description: str | None = None,
    data: Any = None,
    metadata_: Fields | None = None,
    flow_run_id: Id | None = None,
    task_run_id: Id | None = None,
) -> Call[Artifact]:
    """Creates an artifact, from now on the newest of its key."""
    body = given(
        key=key,
        type=type,
        description=description,
        data=data,
        metadata_=metadata_,
        flow_run_id=flow_run_id,
        task_run_id=task_run_id,
    )
    return Call("POST", "/artifacts/", one(*ARTIFACT), body, repeatable=False)


def read_artifact(artifact_id: Id) -> Call[Artifact]:
    """The artifact with this id."""
    return Call("GET", f"/artifacts/{artifact_id}", one(*ARTIFACT))


def read_latest_artifact(key: str) -> Call[Artifact]:
    """The newest artifact of this key; its id and times are those of the key's collection."""
    return Call("GET", f"/artifacts/{quoted(key)}/latest", one(*ARTIFACT))


def read_artifacts(**filter_body: Any) -> Call[list[Artifact]]:
    """The artifacts that match `artifacts`, `flow_runs`, ..., `sort`, `limit`, `offset`."""
    return Call("POST", "/artifacts/filter", many(*ARTIFACT), filter_body)


def read_latest_artifacts(**filter_body: Any) -> Call[list[ArtifactCollection]]:
    """The keys whose newest artifacts match."""
    parse = many("artifacts", "ArtifactCollection")
    return Call("POST", "/artifacts/latest/filter", parse, filter_body)


def count_artifacts(**filter_body: Any) -> Call[int]:
    """How many artifacts match."""
    return Call("POST", "/artifacts/count", number, filter_body)


def count_latest_artifacts(**filter_body: Any) -> Call[int]:
    """Of how many keys the newest artifact matches."""
    return Call("POST", "/artifacts/latest/count", number, filter_body)


def update_artifact(artifact_id: Id, **fields: Any) -> Call[None]:
    """Changes the given fields of the artifact."""
    return Call("PATCH", f"/artifacts/{artifact_id}", nothing, fields)


def delete_artifact(artifact_id: Id) -> Call[None]:
    """Deletes the artifact."""
    return Call("DELETE", f"/artifacts/{artifact_id}", nothing)
