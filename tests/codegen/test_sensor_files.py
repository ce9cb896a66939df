"""The files of a sensor driver, and which ones are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcuquant.codegen.node_settings import NodeSettings
from mcuquant.codegen.sensor_files import MOST_HEADERS, sensor_files
from mcuquant.errors import ModelError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sources, and vendor/ with headers in it."""
    for name in ("imu.c", "bus.c", "bus.h", "vendor/hal/spi.h", "vendor/notes.txt", "empty/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"/* {name} */\n")
    return tmp_path


def test_sources_have_their_names_and_headers_their_paths(folder: Path) -> None:
    files = sensor_files([folder / "imu.c", folder / "bus.c"], [folder / "vendor"])
    assert files == {"imu.c": "/* imu.c */\n", "bus.c": "/* bus.c */\n", "hal/spi.h": "/* vendor/hal/spi.h */\n"}


def test_one_file_given_twice_is_one_file(folder: Path) -> None:
    assert list(sensor_files([folder / "imu.c", folder / "imu.c"])) == ["imu.c"]


def refused(sources: list[Path], *folders: Path) -> str:
    with pytest.raises(ModelError) as error:
        sensor_files(sources, folders)
    return str(error.value)


def test_what_is_no_driver_is_refused(folder: Path) -> None:
    imu, header = folder / "imu.c", folder / "bus.h"
    assert refused([header]) == f"the sensor needs at least one .c file, found {header}"
    assert refused([]) == "the sensor needs at least one .c file, found no file"
    text = folder / "vendor" / "notes.txt"
    assert refused([imu, text]) == f"{text} is not a file of a sensor driver: expected .c and .h files"
    empty = folder / "empty"
    assert refused([imu], empty) == f"{empty} has 0 .h files, expected 1 to {MOST_HEADERS:,}"


def test_two_files_of_one_name_are_refused(folder: Path) -> None:
    other = folder / "vendor" / "imu.c"
    other.write_text("int other;\n")
    assert refused([folder / "imu.c", other]) == (
        f"{folder / 'imu.c'} and {other} would both be src/sensor/imu.c; rename one of them"
    )


def test_names_and_bytes_that_a_makefile_or_c_cannot_have(folder: Path) -> None:
    bad = folder / "my imu.c"
    bad.write_text("")
    assert refused([bad]) == f"{bad}: names of sensor files may have letters, digits, '_', '.', '+' and '-'"
    latin = folder / "latin.c"
    latin.write_bytes(b"/* 5 \xb5s */")
    assert refused([latin]) == f"{latin} is not UTF-8 at byte 5; convert it: iconv -f latin1 -t utf-8 latin.c"


def test_a_single_text_is_a_file() -> None:
    assert NodeSettings(0.0, 1.0, sensor="int x;").sensor_files == {"node_sensor.c": "int x;"}
    assert NodeSettings(0.0, 1.0).sensor_files is None
