"""Messages between a worker and its fork server."""

import os
import socket
import threading

from penstock.worker.launch import Launch, receive_message, send_message


def test_a_message_of_any_size_arrives_with_its_file_descriptor() -> None:
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()
    message = {"do": "spawn", "text": "é" * 1_000_000}
    with ours, theirs:
        sender = threading.Thread(target=send_message, args=(ours, message, [writer]))
        sender.start()
        received = receive_message(theirs)
        sender.join()
    assert received is not None
    found, (fd,) = received
    assert found == message
    os.close(writer)
    os.write(fd, b"through the copy")
    os.close(fd)
    assert os.read(reader, 100) == b"through the copy"
    os.close(reader)


def test_a_message_that_breaks_off_is_the_end() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        ours.sendall(b"\0\0\0\x09half")
        ours.close()
        assert receive_message(theirs) is None


def test_a_launch_survives_the_journey() -> None:
    launch = Launch("/srv", "f.py:main", {"A": "1"}, {"B": "2"}, None, ("sh", "-c", "true"))
    assert Launch.from_message(launch.to_message()) == launch
