"""The examples for continuous integration: YAML of the right form, whose commands run here on a small network."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from documents import DOCS, blocks
from tutorials import TUTORIALS, environment, titled

from mcuquant.cli import system_checks

CI = DOCS / "ci"
STUBS = ("sudo", "apt-get", "pip", "rm", "python3")
"""Programs that would change this machine: they only note their arguments."""
ON_RUNNERS = {"make", "gcc", "libc6-dev"}
"""Debian packages that GitHub's images contain."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository as the examples expect it: the network and samples of the first tutorial, and the tests."""
    root = tmp_path_factory.mktemp("ci")
    files = {titled(block): block.text for block in blocks((TUTORIALS / "torch.md").read_text(encoding="utf-8"))}
    for name in ("net.py", "train.py"):
        (root / name).write_text(files[name])
    shutil.copy(CI / "test_firmware.py", root)
    bash("python train.py", root)
    return root


def bash(script: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a script as both services do, with an error at the first failing command. `log` gets the stubs' calls."""
    env = {**environment(folder), **more}
    for name in STUBS:
        path = folder / ".bin" / name
        path.write_text(f'#!/bin/sh\necho {name} "$@" >> "{folder / "calls.log"}"\n')
        path.chmod(0o755)
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=600, check=False)


def passed(script: str, folder: Path, **more: str) -> str:
    done = bash(script, folder, **more)
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout


def calls(folder: Path) -> list[str]:
    log = folder / "calls.log"
    text = log.read_text() if log.exists() else ""
    log.unlink(missing_ok=True)
    return text.splitlines()


def github() -> Mapping[str, Any]:
    (job,) = yaml.safe_load((CI / "github.yml").read_text())["jobs"].values()
    return dict(job)


def github_commands() -> dict[str, str]:
    return {step["name"]: step["run"] for step in github()["steps"] if "run" in step}


def gitlab() -> Mapping[str, Any]:
    return dict(yaml.safe_load((CI / "gitlab-ci.yml").read_text())["firmware"])


def needed_packages() -> set[str]:
    """Debian packages of every tool that `mcuquant doctor` looks for."""
    remedies = [check.remedy for check in system_checks._tool_checks()]
    return {name for text in remedies if "apt-get install" in text for name in text.split("install ")[1].split()}


def installed(lines: list[str]) -> set[str]:
    (line,) = (line for line in lines if "apt-get install" in line)
    return {word for word in line.split("install ")[1].split() if not word.startswith("-")}


def test_the_steps_have_the_form_of_github_actions() -> None:
    job = github()
    assert job["runs-on"].startswith("ubuntu-")
    assert all(("run" in step) != ("uses" in step) for step in job["steps"])
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"]) for step in job["steps"] if "uses" in step)
    assert list(yaml.safe_load((CI / "github.yml").read_text())[True]) == ["push", "pull_request"]  # YAML 1.1: on


def test_the_job_has_the_form_of_gitlab() -> None:
    text = yaml.safe_load((CI / "gitlab-ci.yml").read_text())
    assert gitlab()["stage"] in text["stages"]
    assert gitlab()["image"] == "$IMAGE"
    assert set(gitlab()) == {"stage", "image", "script", "after_script", "artifacts"}
    assert all(isinstance(line, str) for line in (*gitlab()["script"], *gitlab()["after_script"]))


def test_both_services_run_the_same_commands() -> None:
    ours = [text for name, text in github_commands().items() if name != "Install"]
    assert [line.partition(" >")[0] for line in gitlab()["script"]] == [line.partition(" >")[0] for line in ours]


@pytest.mark.emulator
def test_the_commands_run_and_gate(folder: Path) -> None:
    steps, summary = github_commands(), folder / "summary.md"
    passed(steps["Install"], folder)
    assert installed(calls(folder)) | ON_RUNNERS == needed_packages()
    for name in ("Build", "Test under QEMU", "Measure"):
        passed(steps[name], folder)
    cases = list(ET.parse(folder / "junit.xml").iter("testcase"))
    assert [case.get("name") for case in cases] == ["test_accuracy", "test_cycles", "test_flash", "test_ram"]
    assert all("mcuquant.digest" in {p.get("name") for p in case.iter("property")} for case in cases)
    measured = json.loads((folder / "bench.json").read_text())
    (folder / "baseline.json").write_text(json.dumps(measured))
    passed(steps["Compare with the main branch"], folder, GITHUB_STEP_SUMMARY=str(summary))
    assert f"| cycles | {measured['cycles']:,} | {measured['cycles']:,} | +0.00 % |" in summary.read_text()
    kept = next(step for step in github()["steps"] if "upload-artifact" in step.get("uses", ""))["with"]["path"]
    assert all((folder / path).is_file() for path in kept.split())

    (folder / "baseline.json").write_text(json.dumps({**measured, "cycles": int(measured["cycles"] / 1.05)}))
    worse = bash(steps["Compare with the main branch"], folder, GITHUB_STEP_SUMMARY=str(summary))
    assert worse.returncode == 1
    assert f"**{measured['cycles']:,}** | **+5.00 %** |" in summary.read_text()
    last = gitlab()["script"][-1]
    assert bash(last, folder).returncode == 1
    assert "**+5.00 %**" in passed("\n".join(gitlab()["after_script"]), folder)
    artifacts = gitlab()["artifacts"]
    assert all((folder / path).is_file() for path in (*artifacts["paths"], artifacts["reports"]["junit"]))


@pytest.mark.emulator
@pytest.mark.parametrize(
    ("limit", "strict", "text"),
    [
        ("min_accuracy=0.9", "min_accuracy=1.01", "samples .* are classified correctly on qemu-mps2-an386"),
        ("max_cycles=100_000", "max_cycles=10", "one inference takes .* at most 10 were expected"),
        ("max_bytes=64_000", "max_bytes=10", "bytes of flash on .* at most 10 were expected"),
        ("max_bytes=16_000", "max_bytes=10", "bytes of RAM on .* at most 10 were expected"),
    ],
)
def test_each_limit_fails_the_job(limit: str, strict: str, text: str, folder: Path) -> None:
    if not (folder / "build" / "net").is_dir():
        passed(github_commands()["Build"], folder)
    tests = (CI / "test_firmware.py").read_text()
    assert limit in tests
    (folder / "test_firmware.py").write_text(tests.replace(limit, strict))
    done = bash(github_commands()["Test under QEMU"], folder)
    (folder / "test_firmware.py").write_text(tests)
    assert done.returncode == 1
    (failure,) = ET.parse(folder / "junit.xml").iter("failure")
    assert re.search(text, str(failure.get("message")))


def instructions() -> list[tuple[str, str]]:
    """Instructions of the Containerfile and their arguments."""
    lines = [line for line in (CI / "Containerfile").read_text().splitlines() if not line.startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in whole.splitlines() if line]


def test_the_container_has_what_doctor_looks_for(tmp_path: Path) -> None:
    assert [word for word, _ in instructions()] == ["FROM", "RUN", "RUN", "ENV", "RUN", "WORKDIR"]
    pip = tmp_path / "venv" / "bin" / "pip"
    pip.parent.mkdir(parents=True)
    pip.write_text(f'#!/bin/sh\necho pip "$@" >> "{tmp_path / "calls.log"}"\n')
    pip.chmod(0o755)
    for word, text in instructions():
        if word == "RUN":
            passed(text.replace("/opt/mcuquant", str(tmp_path / "venv")), tmp_path)
    lines = calls(tmp_path)
    assert installed(lines) - {"python3", "python3-venv"} == needed_packages()
    assert f"python3 -m venv {tmp_path / 'venv'}" in lines
    assert "pip install --no-cache-dir mcuquant[hil,torch]" in lines


@pytest.mark.skipif(shutil.which("apt-cache") is None, reason="needs apt-cache")
def test_the_packages_exist_in_debian() -> None:
    names = needed_packages() | {"python3", "python3-venv"}
    known = subprocess.run(["apt-cache", "show", *sorted(names)], capture_output=True, text=True, check=False).stdout
    if not known:
        pytest.skip("the package lists of this machine are empty")
    assert names <= set(re.findall(r"^Package: (.*)$", known, re.MULTILINE))
