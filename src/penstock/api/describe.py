"""The application as FastAPI sees it: for the OpenAPI document and its pages, not for answering.

FastAPI and the schemas of two hundred answers take a second to load, which a server that nobody
asks for its description should not spend.
"""

from collections.abc import Iterable, Sequence

from fastapi import APIRouter, FastAPI
from starlette.responses import JSONResponse, Response

from penstock import __version__
from penstock.api.dispatch import Socket
from penstock.api.routes import Doors


class _Json(JSONResponse):
    """Tells FastAPI that the answer's schema is that of `answers`; doors answer themselves."""


def describe(resources: Iterable[Doors], sockets: Sequence[Socket], prefix: str) -> FastAPI:
    """An application that knows every door and websocket under that prefix."""
    app = FastAPI(
        title="Penstock",
        version=__version__,
        openapi_url=f"{prefix}/openapi.json",
        docs_url="/docs",
        redoc_url=None,
    )
    router = APIRouter(prefix=prefix)
    for resource in resources:
        for door in resource.doors:
            router.add_api_route(
                door.path,
                door.endpoint,
                methods=[door.method],
                tags=[door.tag],
                status_code=door.status,
                response_model=door.answers,
                response_class=Response if door.status == 204 else _Json,
                **door.options,
            )
    app.include_router(router)
    for path, endpoint in sockets:
        app.add_api_websocket_route(prefix + path, endpoint)
    return app
