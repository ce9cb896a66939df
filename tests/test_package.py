"""The wheel: what it holds, what it does not, and that it works away from the checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import mcuquant

ROOT = Path(__file__).resolve().parent.parent


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


def run_away(code: str, target: Path, cwd: Path) -> str:
    """Run Python code that finds mcuquant in `target` alone, not in the checkout."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"PYTHONPATH": str(target)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=cwd, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    (found,) = folder.glob("mcuquant-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    pip("install", "--no-deps", "--target", str(target), str(wheel))
    return target


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def files(*folders: str) -> set[str]:
    """Paths of the checkout's files below `folders`."""
    found = (path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file())
    return {path.relative_to(ROOT).as_posix() for path in found if "__pycache__" not in path.parts}


def test_the_wheel_holds_the_package_and_its_assets(wheel: Path) -> None:
    assets = {f"mcuquant/_assets/{name}" for name in files("templates", "firmware", "boards")}
    missing = (files("mcuquant") | assets) - names(wheel)
    assert len(assets) > 10
    assert missing == set()


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    strangers = [n for n in names(wheel) if not re.match(r"mcuquant(-[0-9.]+\.dist-info)?/", n)]
    leftovers = [n for n in names(wheel) if "__pycache__" in n or n.endswith((".pyc", ".o", ".elf"))]
    assert strangers == []
    assert leftovers == []


def test_the_wheel_carries_its_licence_and_says_so(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (licence,) = [n for n in archive.namelist() if n.endswith("/licenses/LICENSE")]
        (metadata,) = [archive.read(n).decode() for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        assert b"Apache License" in archive.read(licence)
    assert "License-Expression: Apache-2.0" in metadata


def test_only_the_extras_ask_for_torch_and_tflite_micro(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = [archive.read(n).decode() for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
    heavy = re.findall(r"^Requires-Dist: ((?:torch|tflite-micro)\b.*)$", metadata, re.MULTILINE)
    assert heavy
    assert all("extra ==" in requirement for requirement in heavy)


def test_it_works_installed_away_from_the_checkout(installed: Path, tmp_path: Path) -> None:
    code = "import mcuquant, sys; from mcuquant.cli import main; print(mcuquant.__file__); main(['boards'])"
    printed = run_away(code, installed, tmp_path)
    assert printed.startswith(str(installed / "mcuquant"))
    assert "qemu-mps2-an386" in printed


def test_using_tflite_needs_neither_torch_nor_tflite_micro(installed: Path, tmp_path: Path) -> None:
    code = """
import sys
sys.modules["torch"] = sys.modules["tflite_micro"] = None  # importing either now fails
import mcuquant
from mcuquant import flow
from mcuquant.tflite.reader import from_tflite
from mcuquant.tflite.writer import to_tflite
from mcuquant.cli import main
main(["--help"])
"""
    assert "compile" in run_away(code, installed, tmp_path)


def test_the_source_archive_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    code = "import sys, hatchling.build as b; print(b.build_sdist(sys.argv[1]))"
    pip("install", "--target", str(tmp_path / "hatch"), "hatchling>=1.27")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "hatch")}
    command = [sys.executable, "-c", code, str(tmp_path)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    (archive,) = tmp_path.glob("mcuquant-*.tar.gz")
    (tmp_path / "unpacked").mkdir()
    subprocess.run(["tar", "-xzf", archive, "-C", tmp_path / "unpacked"], check=True)
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert not list(unpacked.rglob("__pycache__"))
    pip("wheel", "--no-deps", "--wheel-dir", str(tmp_path), str(unpacked))
    (rebuilt,) = tmp_path.glob("mcuquant-*.whl")
    assert names(rebuilt) == names(wheel)


def test_the_interface_is_listed_and_importable() -> None:
    assert dir(mcuquant) == sorted(mcuquant.__all__)
    assert all(getattr(mcuquant, name) is not None for name in dir(mcuquant))


def test_the_entry_points_are_the_command_and_the_pytest_plugin(installed: Path, tmp_path: Path) -> None:
    """The plugin's is read from the wheel: an editable installation keeps the entry points of its last set-up."""
    code = """
from importlib.metadata import distribution
for point in distribution("mcuquant").entry_points:
    print(point.group, point.name, point.value, callable(point.load()), hasattr(point.load(), "pytest_addoption"))
"""
    assert sorted(run_away(code, installed, tmp_path).splitlines()) == [
        "console_scripts mcuquant mcuquant.__main__:start True False",
        "pytest11 mcuquant mcuquant.testing.pytest_plugin False True",
    ]
