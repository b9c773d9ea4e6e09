"""What a worker tells its fork server, and how it travels: a Launch, and framed JSON messages
with file descriptors over a Unix socket.
"""

import array
import json
import os
import socket
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

Message = dict[str, Any]

_HEADER = struct.Struct("!I")
_MAX_FDS = 2


@dataclass(frozen=True)
class Launch:
    """Everything a process needs to become one flow run."""

    #: Folder of the flow's code; None means the working directory.
    path: str | None
    #: `file.py:function`, relative to `path`; None when `argv` does not need it.
    entrypoint: str | None
    #: The whole environment, but for what differs from run to run.
    env: dict[str, str]
    #: Run id, attempt id and the like: added to `env` in the run's process.
    run_env: dict[str, str]
    #: Where the process starts; None keeps the worker's own.
    working_dir: str | None
    #: Executed in place of the flow when given: a user's command, or another interpreter.
    argv: tuple[str, ...] | None = None

    @property
    def revision(self) -> str:
        """Equal for runs that can share one imported flow, files' contents aside."""
        return json.dumps([self.path, self.entrypoint, self.working_dir, sorted(self.env.items())])

    def to_message(self) -> Message:
        """The launch as it travels."""
        return asdict(self)

    @classmethod
    def from_message(cls, message: Message) -> "Launch":
        """The launch that `to_message` wrote."""
        argv = message["argv"]
        return cls(**{**message, "argv": None if argv is None else tuple(argv)})


def send_message(control: socket.socket, message: Message, fds: Sequence[int] = ()) -> None:
    """Write one message; the receiver gets its own copies of `fds`."""
    payload = json.dumps(message).encode()
    header = _HEADER.pack(len(payload))
    if fds:
        socket.send_fds(control, [header], list(fds))
    else:
        control.sendall(header)
    control.sendall(payload)


def receive_message(control: socket.socket) -> tuple[Message, list[int]] | None:
    """The next message and its file descriptors; None when the other side is gone."""
    try:
        header, fds = _receive_header(control)
        if len(header) < _HEADER.size:
            return None
        payload = _receive_exactly(control, _HEADER.unpack(header)[0])
    except OSError:
        return None
    return None if payload is None else (json.loads(payload), fds)


def _receive_header(control: socket.socket) -> tuple[bytes, list[int]]:
    """Like `socket.recv_fds`, but the descriptors are closed on exec from the first moment."""
    space = socket.CMSG_SPACE(_MAX_FDS * array.array("i").itemsize)
    header, ancillary, _, _ = control.recvmsg(_HEADER.size, space, socket.MSG_CMSG_CLOEXEC)
    fds = array.array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
    for fd in fds:
        os.set_inheritable(fd, False)
    return header, list(fds)


def _receive_exactly(control: socket.socket, size: int) -> bytes | None:
    chunks = []
    while size:
        chunk = control.recv(min(size, 1 << 16))
        if not chunk:
            return None
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)
