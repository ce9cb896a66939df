"""Ports: pseudo-terminals and sockets stand for those of a desk."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tinyfw

from mcuquant.device.fake import FakeBoard, FakeFirmware
from mcuquant.device.link import Link
from mcuquant.device.transport import SerialTransport, SocketTransport, open_port
from mcuquant.errors import DeviceError

FIRMWARE = FakeFirmware(tinyfw.INPUTS, tinyfw.OUTPUTS, 4, tinyfw.network)


def message(action: Callable[[], object]) -> str:
    with pytest.raises(DeviceError) as caught:
        action()
    return str(caught.value)


def served(board: FakeBoard, read: Callable[[], bytes], write: Callable[[bytes], object]) -> threading.Thread:
    """A thread that passes bytes between a fake board and a port's other end, until that is closed."""

    def serve() -> None:
        try:
            write(board.read(0))
            while data := read():
                board.write(data)
                write(board.read(0))
        except OSError:
            return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


def test_over_a_pseudo_terminal() -> None:
    master, slave = os.openpty()
    thread = served(FakeBoard(FIRMWARE), lambda: os.read(master, 4096), lambda data: os.write(master, data))
    x = tinyfw.samples(np.random.default_rng(5))
    with Link(SerialTransport(os.ttyname(slave), 115_200)) as link:
        link.load(x)
        assert link.run().outputs == tinyfw.network(x)[3]
    os.close(slave)
    os.close(master)
    thread.join(5)


def test_a_port_that_another_program_holds() -> None:
    master, slave = os.openpty()
    path = os.ttyname(slave)
    first = SerialTransport(path, 115_200)
    assert message(lambda: SerialTransport(path, 115_200)) == (
        f"{path}: cannot be opened: Resource temporarily unavailable (another program holds the port; close it)"
    )
    first.close()
    os.close(slave)
    os.close(master)


def test_a_port_that_vanishes() -> None:
    master, slave = os.openpty()
    path = os.ttyname(slave)
    transport = SerialTransport(path, 115_200)
    os.close(slave)
    os.close(master)
    said = message(lambda: [transport.read(0.1) for _ in range(3)])
    assert said.startswith(f"{path}: the port is gone (unplugged, or taken by another program): ")
    transport.close()


def test_a_port_that_is_not_there() -> None:
    assert message(lambda: open_port("/dev/ttyNONE", 115_200)) == (
        "/dev/ttyNONE: cannot be opened: No such file or directory"
    )


def test_sockets_by_name(tmp_path: Path) -> None:
    path = tmp_path / "port"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)
    transport = open_port(f"unix:{path}", 115_200)
    peer, _ = listener.accept()
    peer.sendall(b"abc")
    assert transport.read(1.0) == b"abc"
    assert transport.read(0.01) == b""
    peer.close()
    assert message(lambda: transport.read(1.0)) == f"unix:{path}: the connection was closed"
    transport.close()
    listener.close()
    assert message(lambda: open_port("tcp:nowhere", 1)) == "tcp:nowhere: a network port is written tcp:HOST:PORT"
    assert (
        message(lambda: open_port(f"unix:{path}x", 1)) == f"unix:{path}x: cannot be opened: No such file or directory"
    )


def test_a_socket_says_why_it_was_closed() -> None:
    ours, theirs = socket.socketpair()
    transport = SocketTransport(ours, "board", lambda: "QEMU ended with status 1")
    theirs.close()
    assert message(lambda: transport.read(1.0)) == "board: the connection was closed: QEMU ended with status 1"
    transport.close()
