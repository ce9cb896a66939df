"""Boards behind a GDB server: QEMU's stub with no firmware of its own, and servers that fail on purpose."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import layers
import numpy as np
import pytest
from click.testing import CliRunner
from nets import Net

from mcuquant import flow
from mcuquant.boards.board import load_board
from mcuquant.cli import main
from mcuquant.device.gdb_remote import GdbRemote
from mcuquant.device.gdb_transport import GdbTransport, ProbeImage
from mcuquant.device.probe_server import ProbeServer
from mcuquant.device.transport import open_port
from mcuquant.errors import BoardError, DeviceError, ToolError
from mcuquant.firmware_build.symbols import functions
from mcuquant.ir import Array, Graph
from mcuquant.project.project import Project

pytestmark = pytest.mark.emulator

RAM = "ram=0x20000000:96K"
CORES = {
    "cortex-m3": "mps2-an385",
    "cortex-m4": "mps2-an386",
    "cortex-m7": "mps2-an500",
    "cortex-m33": "mps2-an505",
    "cortex-m55": "mps3-an547",
}
MEMORY = {"cortex-m33": "ram=0x10000000:96K", "cortex-m55": "ram=0x10000000:96K"}
"""Secure memory, which these two begin in, is elsewhere."""


def network() -> Graph:
    net = Net(np.random.default_rng(5))
    x = layers.conv2d(net, net.input((1, 6, 6, 2)), outputs=5)
    return net.graph(layers.fully_connected(net, x, outputs=4))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def stub(machine: str) -> Iterator[str]:
    """QEMU, halted, without firmware; the address of its GDB server."""
    port = free_port()
    arguments = ["-display", "none", "-monitor", "none", "-serial", "none", "-S", "-gdb", f"tcp:localhost:{port}"]
    process = subprocess.Popen(["qemu-system-arm", "-machine", machine, *arguments, "-icount", "shift=0"])
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("localhost", port), 0.1):
                break
            threading.Event().wait(0.05)
        yield f"localhost:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Project]:
    made: dict[str, Project] = {}

    def of(core: str) -> Project:
        if core not in made:
            board = f"generic:{core},{MEMORY.get(core, RAM)}"
            made[core] = flow.compile(network(), board, tmp_path_factory.mktemp("probe") / "net")
        return made[core]

    return of


def samples(count: int) -> Array:
    return np.random.default_rng(1).integers(-128, 128, (count, 6, 6, 2), np.int8)


@pytest.mark.parametrize(
    "core", ["cortex-m4", *(pytest.param(c, marks=pytest.mark.slow) for c in CORES if c != "cortex-m4")]
)
def test_a_core_behind_a_gdb_server_computes_what_this_machine_does(
    projects: Callable[[str], Project], core: str
) -> None:
    project, x = projects(core), samples(3)
    with stub(CORES[core]) as address:
        with project.connect(f"gdb:{address}") as dut:
            assert np.array_equal(dut.run(x), project.run_host(x)[0])
            assert dut.info.core == core
            measurement = dut.bench(1)
            assert len(measurement.layers) == len(project.manifest["layers"])
            assert measurement.notes == (
                "The clock of the board is not known: the times assume 1 MHz.",
                "QEMU is behind the GDB server: its timer counts no cycles.",
            )
        with project.connect(f"gdb:{address}") as again:
            assert np.array_equal(again.run(x[:1]), project.run_host(x[:1])[0])


@pytest.mark.slow
def test_the_command_line_takes_a_gdb_server(projects: Callable[[str], Project], tmp_path: Path) -> None:
    project = projects("cortex-m4")
    np.save(tmp_path / "x.npy", samples(2))
    with stub("mps2-an386") as address:
        arguments = ["--inputs", str(tmp_path / "x.npy"), "--outputs", str(tmp_path / "y.npy"), "--gdb", address]
        result = CliRunner().invoke(main, ["run", str(project.directory), *arguments])
        assert result.exit_code == 0, result.output
        assert np.array_equal(np.load(tmp_path / "y.npy"), project.run_host(samples(2))[0])
        layers_ = CliRunner().invoke(main, ["validate", str(project.directory), "--layers", "--gdb", address])
        assert layers_.exit_code == 0, layers_.output
    both = CliRunner().invoke(main, ["bench", str(project.directory), "--gdb", "a:1", "--probe", "auto"])
    assert "--gdb and --probe are two ways to one board: give one" in both.output
    port = CliRunner().invoke(main, ["bench", str(project.directory), "--gdb", "a:1", "--port", "COM1"])
    assert "--gdb and --probe are ways to the board in place of --port: leave it out" in port.output


@contextlib.contextmanager
def running(project: Project) -> Iterator[tuple[GdbRemote, GdbTransport, ProbeImage]]:
    """The project's firmware, waiting for a request."""
    with stub("mps2-an386") as address:
        remote, image = GdbRemote(open_port(f"gdb:{address}", 0)), ProbeImage.of(project.firmware.elf)
        transport = GdbTransport(remote, image)
        heard = b""
        while b"m-ready" not in heard:
            heard += transport.read(5.0)
        yield remote, transport, image
        transport.close()


def test_a_mailbox_that_the_firmware_has_overwritten_is_said(projects: Callable[[str], Project]) -> None:
    with running(projects("cortex-m4")) as (remote, transport, image):
        remote.write(image.mailbox + 8, b"\xff\xff\x00\x00")
        with pytest.raises(DeviceError) as caught:
            transport._take()
        assert str(caught.value) == f"{remote.name}: the mailbox holds nonsense: the firmware has overwritten it"


def test_a_core_that_stops_elsewhere_is_an_error(projects: Callable[[str], Project]) -> None:
    """Stopped in the middle of a computation by another hand: here by a breakpoint of its own."""
    project = projects("cortex-m4")
    step = next(f for f in functions(project.firmware.elf) if f.name == "mq_crc32")
    with running(project) as (remote, transport, _):
        remote.set_breakpoint(step.address)
        transport.write(b"name%")
        with pytest.raises(DeviceError) as caught:
            transport.read(5.0)
        where = f"{step.address:#010x}"
        assert str(caught.value) == (
            f"{remote.name}: the core stopped at {where} by itself: locked up, or stopped by another client"
        )


Replies = dict[str, str | None]


def _serve(connection: socket.socket, replies: Replies, commands: list[str]) -> None:
    """Answers packets by their beginning, and keeps them; `None` closes the connection."""
    data = b""
    with contextlib.suppress(OSError), connection:
        while chunk := connection.recv(4096):
            data += chunk
            while len(data.partition(b"#")[2]) >= 2:
                packet, _, rest = data.partition(b"#")
                data, command = rest[2:], packet.partition(b"$")[2].decode("latin-1")
                commands.append(command)
                reply = next((r for start, r in replies.items() if command.startswith(start)), "")
                if reply is None:
                    return
                body = reply.encode("latin-1")
                connection.sendall(b"+$" + body + b"#%02x" % (sum(body) % 256))


@contextlib.contextmanager
def server(replies: Replies, commands: list[str] | None = None) -> Iterator[GdbRemote]:
    """The client of a server that answers from a table."""
    with socket.create_server(("localhost", 0)) as listener:
        heard = [] if commands is None else commands
        thread = threading.Thread(target=lambda: _serve(listener.accept()[0], replies, heard))
        thread.start()
        port = open_port(f"gdb:localhost:{listener.getsockname()[1]}", 0)
        try:
            yield GdbRemote(port)
        finally:
            port.close()
            thread.join(5)


def test_memory_that_cannot_be_written_is_said() -> None:
    with server({"qSupported": "PacketSize=400", "M": "E01"}) as remote, pytest.raises(DeviceError) as caught:
        remote.write(0x2000_0000, b"1234")
    assert str(caught.value) == f"{remote.name}: memory at 0x20000000 cannot be written (reply 'E01')"


def test_a_connection_that_is_cut_is_said() -> None:
    with server({"qSupported": "PacketSize=400", "m": None}) as remote, pytest.raises(DeviceError) as caught:
        remote.read(0x2000_0000, 4)
    assert str(caught.value) == f"{remote.name}: the connection was closed"


def test_flash_is_erased_and_written() -> None:
    commands: list[str] = []
    with server({"qSupported": "PacketSize=100", "vFlash": "OK"}, commands) as remote:
        remote.program(0x0800_0000, b"ab" * 100)
    first, *pieces, last = (c for c in commands if c.startswith("vFlash"))
    assert (first, last) == ("vFlashErase:8000000,c8", "vFlashDone")
    written = [piece.split(":", 2)[1:] for piece in pieces]
    assert "".join(data for _, data in written) == "ab" * 100
    assert [int(at, 16) for at, _ in written] == [0x0800_0000 + i for i in range(0, 200, 96)]
    with server({"vFlashWrite": "OK"}) as remote, pytest.raises(DeviceError) as caught:
        remote.program(0, b"1")
    assert str(caught.value) == f"{remote.name}: flash at 0x00000000 cannot be erased (reply '')"


def test_registers_are_numbered_by_the_description() -> None:
    replies: Replies = {
        "qSupported": "PacketSize=400;qXfer:features:read+",
        "qXfer:features:read:target.xml": 'l<target><xi:include href="core.xml"/></target>',
        "qXfer:features:read:core.xml": 'l<feature><reg name="r0" regnum="3"/><reg name="xpsr"/></feature>',
    }
    with server(replies) as remote:
        assert remote.xpsr == 4
    with server({"qSupported": ""}) as remote:
        assert remote.xpsr == 25


def test_other_firmware_is_refused(tmp_path: Path) -> None:
    project = flow.compile(network(), "qemu-mps2-an386", tmp_path / "net")
    with pytest.raises(ToolError) as caught:
        ProbeImage.of(project.firmware.elf)
    assert str(caught.value) == (
        f"{project.firmware.elf} has no mq_probe_exchange: compile it for a board of port 'probe' (--board generic:...)"
    )


SCRIPT = """
import socket, sys, time
port = int(sys.argv[sys.argv.index("--port") + 1])
listener = socket.create_server(("localhost", port))
print("GDB server listening on port %d (core 0)" % port, flush=True)
time.sleep(60)
"""


def test_a_server_is_started_for_a_probe(tmp_path: Path) -> None:
    (tmp_path / "pyocd.py").write_text(SCRIPT)
    with ProbeServer("066DFF", (sys.executable, str(tmp_path / "pyocd.py"))) as address:
        assert address.startswith("localhost:")
    (tmp_path / "pyocd.py").write_text("raise SystemExit('No available debug probes are connected')")
    with pytest.raises(ToolError) as caught, ProbeServer("auto", (sys.executable, str(tmp_path / "pyocd.py"))):
        pass
    assert str(caught.value) == (
        "pyOCD ended: No available debug probes are connected; `pyocd list` shows the connected probes"
    )


def test_a_generic_board_is_one_line() -> None:
    board = load_board("generic:cortex-m33,ram=0x20000000:64K,flash=0x08000000:1M,clock=80M")
    assert (board.name, board.cpu, board.clock_hz, board.port) == (
        "generic-cortex-m33",
        "cortex-m33",
        80_000_000,
        "probe",
    )
    assert (board.flash.bytes, board.ram.bytes) == (1 << 20, 64 << 10)
    ram_only = load_board("generic:cortex-m0plus,ram=0x20000000:32K,code=24K")
    assert (ram_only.flash.origin, ram_only.flash.bytes) == (0x2000_0000, 24 << 10)
    assert (ram_only.ram.origin, ram_only.ram.bytes) == (0x2000_6000, 8 << 10)
    assert ram_only.has_assumed_clock
    assert not board.has_assumed_clock


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("generic:cortex-m99,ram=0x0:1K", "core 'cortex-m99' is not known; known cores: "),
        (
            "generic:cortex-m4",
            "board 'generic:cortex-m4' names no RAM: add ram=ORIGIN:BYTES, such as ram=0x20000000:64K",
        ),
        (
            "generic:cortex-m4,rom=1",
            "board 'generic:cortex-m4,rom=1': 'rom=1' is not one of ram=ORIGIN:BYTES, flash=ORIGIN:BYTES, code=BYTES, "
            "clock=HZ",
        ),
        (
            "generic:cortex-m4,ram=20000000:64K",
            "board 'generic:cortex-m4,ram=20000000:64K': ram='20000000:64K' is not a region; write ORIGIN:BYTES, such "
            "as 0x20000000:64K",
        ),
        (
            "generic:cortex-m4,ram=0x20000000:64Q",
            "board 'generic:cortex-m4,ram=0x20000000:64Q': '64Q' of 'ram' is not a number, such as 65536, 64K or 2M",
        ),
    ],
)
def test_what_a_generic_board_may_not_say(text: str, message: str) -> None:
    with pytest.raises(BoardError) as caught:
        load_board(text)
    assert str(caught.value).startswith(message)
