"""The server's streams, for doors and websockets."""

from starlette.requests import HTTPConnection

from penstock.operations.streams import Streams


def streams(connection: HTTPConnection) -> Streams:
    """The hub and the stores of logs and events of this server."""
    found: Streams = connection.app.state.streams
    return found
