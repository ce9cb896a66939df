"""Feeds damaged models to mcuquant, all the way to sources, and says what it did with each.

    python tests/tflite_fuzzer.py FIRST_SEED COUNT MODEL.tflite...   damaged, the seeds going round the models
    python tests/tflite_fuzzer.py MODEL.tflite...                    as they are

prints one line of JSON: how many ended how, and every finding with its model, seed and reason. Findings are exceptions
other than McuquantError, messages that cannot be printed, more than 5 s or 512 MB, and warnings. Run it in a process of
its own: it limits its own memory and may be killed by what it tests.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import numpy as np
from tflite_mutations import mutant

from mcuquant import flow
from mcuquant.errors import CalibrationWarning, McuquantError
from mcuquant.ir import Array, Graph
from mcuquant.ir.metrics import total_macs

LIMIT_SECONDS = 20.0
"""Of processor time; a busy or slow machine needs several times what an idle one does (at most 3 s)."""
LIMIT_BYTES = 512 << 20
MAX_MESSAGE = 20000
MOST_WORK = 5_000_000
"""Multiply-accumulates and elements of a float network that is run."""


class Finding(Exception):  # noqa: N818 - it is what the fuzzer looks for
    """Something that must not happen."""


class TimedOut(BaseException):
    """Not an Exception, so that no handler under test takes it for its own."""


def outcome(data: bytes) -> str:
    """How far the file came: refused (with a sentence), or the sources are made. Raises Finding.

    Float networks are calibrated on a few samples first, unless to run them would take long.
    """
    try:
        graph = flow.from_tflite(data)
    except McuquantError as error:
        return _refusal(error, "refused on import")
    try:
        if graph.is_float:
            if _work(graph) > MOST_WORK:
                return "float"
            graph = flow.quantize(graph, _samples(graph))
        with TemporaryDirectory() as folder:
            flow.compile(graph, output=Path(folder) / "project", build_firmware=False)
    except McuquantError as error:
        return _refusal(error, f"refused by {type(error).__name__}")
    return "sources"


def _work(graph: Graph) -> int:
    return total_macs(graph) + sum(t.elements for t in graph.tensors.values())


def _samples(graph: Graph) -> list[Array]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(3, *graph[i].shape[1:])).astype(np.float32) for i in graph.inputs]


def _refusal(error: McuquantError, what: str) -> str:
    message = str(error)
    if not message or len(message) > MAX_MESSAGE or not message.replace("\n", "").isprintable():
        raise Finding(f"a message nobody can read: {message[:200]!r}")
    return what


def attempt(data: bytes) -> str:
    """`outcome` under the clock (of this process alone: other work on the machine does not count), with all that goes
    wrong turned into a Finding.
    """
    signal.setitimer(signal.ITIMER_PROF, LIMIT_SECONDS)
    try:
        return outcome(data)
    except Finding:
        raise
    except TimedOut as error:
        raise Finding(f"more than {LIMIT_SECONDS} s: {_last_frames(error)}") from None
    except (Exception, RecursionError) as error:
        raise Finding(f"{type(error).__name__}: {str(error)[:300]}: {_last_frames(error)}") from None
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _last_frames(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    return " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in reversed(frames))


def _time_out(signum: int, frame: FrameType | None) -> None:
    raise TimedOut


def limit_memory() -> None:
    """LIMIT_BYTES above what the imports took: allocations beyond fail with MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + LIMIT_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


Case = tuple[str, int | None, Callable[[], bytes]]
"""Name of the model, seed of the damage, and the file."""


def damaged(models: Sequence[Path], first: int, count: int) -> Iterator[Case]:
    """The seeds go round the models."""
    originals = [path.read_bytes() for path in models]
    for seed in range(first, first + count):
        which = seed % len(models)
        yield models[which].name, seed, partial(mutant, originals[which], seed)


def undamaged(models: Sequence[Path]) -> Iterator[Case]:
    yield from ((path.name, None, path.read_bytes) for path in models)


def fuzz(cases: Iterable[Case]) -> dict[str, Any]:
    ends: Counter[str] = Counter()
    findings = []
    for name, seed, make in cases:
        try:
            ends[attempt(make())] += 1
        except Finding as finding:
            findings.append({"model": name, "seed": seed, "reason": str(finding)})
    return {"ends": dict(ends), "findings": findings, "peak_bytes": peak_bytes()}


def peak_bytes() -> int:
    """Most memory this program ever held. Not of getrusage, which counts what the process was before it ran this."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def main(arguments: list[str]) -> None:
    numbers = [int(a) for a in arguments[:2] if a.isdecimal()]
    models = [Path(a) for a in arguments[len(numbers) :]]
    cases = damaged(models, *numbers) if numbers else undamaged(models)
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", CalibrationWarning)
    signal.signal(signal.SIGPROF, _time_out)
    limit_memory()
    print(json.dumps(fuzz(cases)))


if __name__ == "__main__":
    main(sys.argv[1:])
