"""What the contract looks up in a registry: `/collections/views/{view}`. Ours comes along."""

from importlib.resources import files
from typing import Any

from starlette.responses import Response

from penstock.api.routes import Doors, json_response
from penstock.core import documents
from penstock.core.errors import NotFound

#: by package, then by type of worker: among others the template of a new work pool
_WORKER_TYPES = "aggregate-worker-metadata"


async def read_view_content(view: str) -> Response:
    """A view's content. 404 for all but `aggregate-worker-metadata`."""
    if view != _WORKER_TYPES:
        raise NotFound(f"There is no view {view!r}")
    text = files("penstock.operations").joinpath("worker_types.json").read_text("utf-8")
    return json_response(documents.Fragment(text))


router = Doors(prefix="/collections", tag="Collections")
router.door("GET", "/views/{view}", read_view_content, answers=dict[str, Any])
