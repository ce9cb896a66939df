"""What the linker's map says, of one written by hand; test_benchmarks holds a real one against the ELF."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcuquant.errors import ToolError
from mcuquant.firmware_build.linkmap import network_bytes, sizes

MAP = """\
Discarded input sections

 .text.mq_model_input
                0x00000000       0x14 build/mq_model.o

Memory Configuration

Linker script and memory map

LOAD build/mq_model.o

.text           0x00000080      0x200
 *(.text*)
 .text.mq_model_run
                0x00000080       0x20 build/mq_model.o
                0x00000080                mq_model_run
 *fill*         0x000000a0        0x2
 .text          0x000000a4       0x10 build/mq.o
 .text.main     0x000000b4       0x30 build/app/mq_main.o
 .rodata.weights_0
                0x000000f0      0x100 build/mq_model.o
 .rodata.str1.4
                0x000001f0        0x8 build/app/mq_app.o
                                 0x18 (size before relaxing)
 .text          0x00000200        0x4 /usr/lib/libc_nano.a(lib_a-strlen.o)

.bss            0x20000000       0x40
 .bss.arena     0x20000000       0x40 build/mq_model.o
 .comment       0x00000000       0x26 build/mq_model.o
 .debug_line    0x00000000       0x87 /usr/lib/libc_nano.a(lib_a-strlen.o)
 .ARM.attributes
                0x00000000       0x34 build/mq.o
"""


@pytest.fixture
def link_map(tmp_path: Path) -> Path:
    path = tmp_path / "firmware.map"
    path.write_text(MAP)
    return path


def test_what_was_kept_counts_where_it_lies(link_map: Path) -> None:
    assert sizes(link_map, 0, 0x1000) == {
        "build/mq_model.o": 0x120,
        "build/mq.o": 0x10,
        "build/app/mq_main.o": 0x30,
        "build/app/mq_app.o": 0x8,
        "/usr/lib/libc_nano.a(lib_a-strlen.o)": 0x4,
    }
    assert sizes(link_map, 0x2000_0000, 0x2000_1000) == {"build/mq_model.o": 0x40}


def test_the_network_is_the_model_and_what_models_share(link_map: Path) -> None:
    assert network_bytes(link_map, 0, 0x1000) == 0x130


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "firmware.map"
    with pytest.raises(ToolError) as error:
        sizes(path, 0, 1)
    assert str(error.value) == (
        f"the linker's map {path} cannot be read: No such file or directory; build the project again"
    )
    path.write_text("# Address Size Symbol\n")
    with pytest.raises(ToolError) as error:
        sizes(path, 0, 1)
    assert str(error.value) == f"{path} is not a map of GNU ld: it has no line 'Linker script and memory map'"
