"""What the server writes into its log holds no secret, not even at the level `debug`."""

import base64
import logging

import pytest
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from penstock.server import websocket_protocol

UPGRADE = (
    b"GET /api/events/in HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
    + base64.b64encode(b"0" * 16)
    + b"\r\nAuthorization: Bearer open-sesame\r\n\r\n"
)


def test_tokens_that_come_by_websocket_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("uvicorn.error")
    caplog.set_level(logging.DEBUG, logger.name)
    frames: ServerProtocol = websocket_protocol._Frames(logger=logger)
    frames.receive_data(UPGRADE)
    [request] = frames.events_received()
    frames.send_response(frames.accept(request))  # type: ignore[arg-type]
    frames.receive_data(Frame(Opcode.TEXT, b'{"token": "open-sesame"}').serialize(mask=True))
    assert len(frames.events_received()) == 1
    assert "open-sesame" not in caplog.text
