"""An emulated board behind a TCP port, one client at a time: what an exporter of a farm serves. DIR PORT"""

from __future__ import annotations

import socket
import sys
import threading

from mcuquant.device.emulator import Emulator
from mcuquant.device.transport import Transport
from mcuquant.errors import DeviceError
from mcuquant.project.project import Project


def main(directory: str, port: int) -> None:
    project = Project.open(directory)
    with socket.create_server(("127.0.0.1", port)) as listener, Emulator(project.board, project.firmware.elf) as board:
        print(f"serving {project.board.name}", flush=True)
        while True:
            connection, _ = listener.accept()
            with connection:
                serve(connection, board.transport)


def serve(connection: socket.socket, board: Transport) -> None:
    """Until the client closes."""
    is_open = threading.Event()
    is_open.set()
    thread = threading.Thread(target=to_client, args=(connection, board, is_open))
    thread.start()
    while data := received(connection):
        board.write(data)
    is_open.clear()
    thread.join()


def received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(4096)
    except OSError:
        return b""


def to_client(connection: socket.socket, board: Transport, is_open: threading.Event) -> None:
    while is_open.is_set():
        try:
            data = board.read(0.05)
            connection.sendall(data)
        except (OSError, DeviceError):
            return


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
