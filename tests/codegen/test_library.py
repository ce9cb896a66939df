"""`--app library`: the network alone, built by each build system that can be had here, several in one program."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from configparser import ConfigParser
from pathlib import Path

import layers
import numpy as np
import pytest
from click.testing import CliRunner
from nets import Net

from mcuquant import flow
from mcuquant.arithmetic import interpreter
from mcuquant.cli import main
from mcuquant.errors import OutputError
from mcuquant.firmware_build.build import write
from mcuquant.ir import Array, Graph
from mcuquant.project.project import Project
from mcuquant.tflite.writer.to_tflite import to_tflite

NAMES = ("ears", "eyes")
STRICT = "-Wall -Wextra -Wconversion -Werror"
PROGRAM = """
#include <stdio.h>
#include "mq_ears.h"
#include "mq_eyes.h"

static _Alignas(16) uint8_t arena[MQ_EARS_ARENA_BYTES + MQ_EYES_ARENA_BYTES];

static void run(const mq_model_t *model)
{
    if (fread(mq_input(model, arena, 0), 1, model->inputs[0].bytes, stdin) == model->inputs[0].bytes) {
        model->run(arena);
        fwrite(mq_output(model, arena, 0), 1, model->outputs[0].bytes, stdout);
    }
}

int main(void)
{
    run(&mq_ears);
    run(&mq_eyes);
    return mq_quantize(&mq_ears.inputs[0], 0.0f) == mq_ears.inputs[0].zero_point ? 0 : 1;
}
"""
NEEDS_CMAKE = pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")

NEEDS_CXX = pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")


def network(seed: int, shape: tuple[int, ...]) -> Graph:
    """Two convolutions, a mean over the image, classes: kernels of the fast kind among them."""
    net = Net(np.random.default_rng(seed))
    x = layers.conv2d(net, net.input((1, *shape)), outputs=8)
    x = layers.conv2d(net, x, outputs=8, pointwise=True)
    return net.graph(layers.fully_connected(net, x, outputs=4), name=f"net{seed}")


GRAPHS = {"ears": network(1, (1, 40, 3)), "eyes": network(2, (12, 12, 3))}


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a library of each network."""
    folder = tmp_path_factory.mktemp("libraries")
    for name, graph in GRAPHS.items():
        flow.compile(graph, output=folder / name, name=name, app="library")
    return folder


def samples() -> list[Array]:
    rng = np.random.default_rng(3)
    return [rng.integers(-128, 128, graph[graph.inputs[0]].shape, np.int8) for graph in GRAPHS.values()]


def check_program(program: Path) -> None:
    """Its answers are the interpreter's for both networks."""
    inputs = samples()
    sent = b"".join(x.tobytes() for x in inputs)
    done = subprocess.run([program], input=sent, capture_output=True, check=True)
    expected = [interpreter.run(g, [x])[0] for g, x in zip(GRAPHS.values(), inputs, strict=True)]
    assert done.stdout == b"".join(y.tobytes() for y in expected)
    assert len(set(done.stdout)) > 4


def call(command: Sequence[object], folder: Path) -> str:
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


APP = """
cmake_minimum_required(VERSION 3.13)
project(app LANGUAGES C)
add_subdirectory(ears)
add_subdirectory(eyes)
add_executable(app main.c)
target_link_libraries(app PRIVATE mq_ears mq_eyes)
"""


@NEEDS_CMAKE
def test_cmake_links_two_networks(libraries: Path, tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).symlink_to(libraries / name)
    write({"CMakeLists.txt": APP, "main.c": PROGRAM}, tmp_path)
    call(["cmake", "-S", ".", "-B", "build", f"-DCMAKE_C_FLAGS={STRICT}"], tmp_path)
    call(["cmake", "--build", "build"], tmp_path)
    check_program(tmp_path / "build" / "app")


@NEEDS_CMAKE
@pytest.mark.emulator
def test_cmake_builds_for_the_board_s_core(libraries: Path, tmp_path: Path) -> None:
    toolchain = libraries / "eyes" / "cmake" / "arm-none-eabi.cmake"
    flags = [f"-DCMAKE_TOOLCHAIN_FILE={toolchain}", f"-DCMAKE_C_FLAGS={STRICT}"]
    call(["cmake", "-S", libraries / "eyes", "-B", "build", *flags], tmp_path)
    call(["cmake", "--build", "build"], tmp_path)
    symbols = call(["arm-none-eabi-nm", "build/libmq_eyes.a"], tmp_path)
    assert " T mq_eyes_run" in symbols
    assert "Tag_CPU_arch: v7E-M" in call(["arm-none-eabi-readelf", "-A", "build/libmq_eyes.a"], tmp_path)


ZEPHYR = """
cmake_minimum_required(VERSION 3.20)
project(app LANGUAGES C)
add_library(zephyr_interface INTERFACE)
macro(zephyr_include_directories)
  foreach(folder ${ARGN})
    get_filename_component(path ${folder} ABSOLUTE)
    target_include_directories(zephyr_interface INTERFACE ${path})
  endforeach()
endmacro()
macro(zephyr_library_named name)
  set(ZEPHYR_CURRENT_LIBRARY ${name})
  add_library(${name} STATIC "")
  target_link_libraries(${name} PUBLIC zephyr_interface)
  set_property(GLOBAL APPEND PROPERTY ZEPHYR_LIBS ${name})
endmacro()
macro(zephyr_library_sources)
  target_sources(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endmacro()
macro(zephyr_library_compile_options)
  target_compile_options(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endmacro()
set(CONFIG_MQ_EARS y)
set(CONFIG_MQ_EYES ${WITH_EYES})
add_subdirectory(ears/zephyr ears)
add_subdirectory(eyes/zephyr eyes)
get_property(libraries GLOBAL PROPERTY ZEPHYR_LIBS)
add_executable(app main.c)
target_link_libraries(app PRIVATE zephyr_interface -Wl,--whole-archive ${libraries} -Wl,--no-whole-archive)
"""
"""Zephyr's own macros, as far as a module uses them, and its way of linking: every object of every library."""


@NEEDS_CMAKE
def test_zephyr_s_macros_link_two_networks_whole(libraries: Path, tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).symlink_to(libraries / name)
    write({"CMakeLists.txt": ZEPHYR, "main.c": PROGRAM}, tmp_path)
    call(["cmake", "-S", ".", "-B", "build", "-DWITH_EYES=y"], tmp_path)
    call(["cmake", "--build", "build"], tmp_path)
    check_program(tmp_path / "build" / "app")
    call(["cmake", "-S", ".", "-B", "one", "-DWITH_EYES="], tmp_path)
    assert "mq_eyes" not in call(["cmake", "--build", "one", "--target", "help"], tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_zephyr_s_module_points_to_what_is_there(libraries: Path, name: str) -> None:
    yaml = pytest.importorskip("yaml")
    folder = libraries / name
    module = yaml.safe_load((folder / "zephyr" / "module.yml").read_text())
    assert module == {"name": f"mq_{name}", "build": {"cmake": "zephyr", "kconfig": "zephyr/Kconfig"}}
    assert (folder / module["build"]["kconfig"]).read_text().splitlines()[1] == f"config MQ_{name.upper()}"


ARDUINO = """
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
struct Port {
    void begin(long) {}
    void println(int value) { std::printf("%d\\n", value); }
};
static Port Serial;
static void delay(unsigned long) { std::exit(0); }
"""
"""As much of Arduino.h as the example uses; its build adds the include and main()."""


@NEEDS_CXX
@pytest.mark.parametrize("name", NAMES)
def test_arduino_s_example_runs(libraries: Path, tmp_path: Path, name: str) -> None:
    """By the rules of Arduino's build: sketch as C++, library in C compiled for size, src/ on the include path."""
    folder = libraries / name
    sketch = (folder / "examples" / name / f"{name}.ino").read_text()
    write({"Arduino.h": ARDUINO}, tmp_path)
    write({"sketch.cpp": f'#include "Arduino.h"\n{sketch}\nint main() {{ setup(); for (;;) loop(); }}\n'}, tmp_path)
    sources = sorted((folder / "src").glob("*.c"))
    flags = ["-Os", *STRICT.split(), f"-I{folder / 'src'}"]
    call(["gcc", "-std=gnu11", *flags, "-c", *sources], tmp_path)
    call(["g++", "-std=gnu++17", *flags, "sketch.cpp", *(f"{s.stem}.o" for s in sources), "-o", "sketch"], tmp_path)
    graph = GRAPHS[name]
    x = graph[graph.inputs[0]]
    (y,) = interpreter.run(graph, [np.full(x.shape, x.zero_point, np.int8)])
    assert call([tmp_path / "sketch"], tmp_path).split() == [str(v) for v in y.reshape(-1)]


def test_arduino_s_properties_are_complete(libraries: Path) -> None:
    """The mandatory ones of Arduino's library specification (1.5, revision 2.2), and archives: two libraries link."""
    parser = ConfigParser()
    parser.read_string("[library]\n" + (libraries / "ears" / "library.properties").read_text())
    properties = parser["library"]
    needed = ("version", "author", "maintainer", "sentence", "paragraph", "category", "url", "architectures")
    assert all(properties[name] for name in needed)
    assert (properties["name"], properties["includes"]) == ("mq_ears", "mq_ears.h")
    assert properties["dot_a_linkage"] == "true"


def test_platformio_s_manifest_names_the_header(libraries: Path) -> None:
    manifest = json.loads((libraries / "ears" / "library.json").read_text())
    assert (manifest["name"], manifest["headers"]) == ("mq_ears", "mq_ears.h")
    assert (manifest["build"]["flags"], manifest["build"]["unflags"]) == (["-O2"], ["-Os"])


@pytest.mark.skipif(shutil.which("pio") is None, reason="PlatformIO is not installed")
def test_platformio_packs_it(libraries: Path, tmp_path: Path) -> None:
    """Which checks the manifest by PlatformIO's own schema."""
    call(["pio", "pkg", "pack", libraries / "ears", "-o", tmp_path / "ears.tar.gz"], tmp_path)
    listed = call([sys.executable, "-m", "tarfile", "-l", tmp_path / "ears.tar.gz"], tmp_path).split()
    assert {"library.json", "src/mq_ears.c"} <= set(listed)


def test_all_objects_of_two_libraries_link(libraries: Path, tmp_path: Path) -> None:
    """As a makefile of one's own would, without archives."""
    write({"main.c": PROGRAM}, tmp_path)
    sources = [path for name in NAMES for path in sorted((libraries / name / "src").glob("*.c"))]
    includes = [f"-I{libraries / name / 'src'}" for name in NAMES]
    call(["gcc", "-std=c11", "-O2", *STRICT.split(), *includes, *sources, "main.c", "-o", "app"], tmp_path)
    check_program(tmp_path / "app")


def test_the_command_line_says_what_was_made(tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(to_tflite(GRAPHS["ears"]))
    output = tmp_path / "ears"
    arguments = ["compile", str(tmp_path / "net.tflite"), "--app", "library", "--name", "ears", "-o", str(output)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith(
        f"Wrote {output}: a library for CMake, Zephyr, Arduino and PlatformIO, and model.tflite.\n\n"
        f"Next: cat {output}/README.md\n"
    )
    assert not (output / "Makefile").exists()
    assert not (output / "firmware.elf").exists()


def test_a_library_is_no_firmware(libraries: Path) -> None:
    project = Project.open(libraries / "ears")
    with pytest.raises(OutputError) as caught:
        _ = project.firmware
    folder = libraries / "ears"
    assert str(caught.value) == f"{folder} is a library, and no board runs it alone; compile it with --app dut too"
    with pytest.raises(OutputError) as caught:
        project.run_host(samples()[0])
    assert str(caught.value) == f"{folder} is a library, without a program to run; compile it with --app dut too"
