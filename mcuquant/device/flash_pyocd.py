"""Flashing with pyOCD's Python interface: writes the ELF file and reads every byte back."""

from __future__ import annotations

from typing import Any

from .flash_job import Job, State


def run(job: Job) -> str:
    """Writes the firmware, reads it back, and resets the board. Raises DeviceError with the state of the board."""
    from pyocd.core.helpers import ConnectHelper

    probe = _probe(job, ConnectHelper.get_all_connected_probes(blocking=False))
    options = {"target_override": job.names.pyocd, "hide_programming_progress": True}
    session = ConnectHelper.session_with_chosen_probe(blocking=False, unique_id=probe, options=options)
    if session is None:
        raise job.error(f"probe {probe} is gone", State.UNTOUCHED)
    state = State.UNTOUCHED
    try:
        with session:
            state = State.PARTIAL
            _program(session, job)
            state = State.UNVERIFIED
            wrong = _first_wrong(session.target, job)
            if wrong is None:
                session.target.reset()
    except KeyboardInterrupt:
        raise job.error("pyOCD was interrupted", state) from None
    except Exception as error:  # USB libraries have exceptions of their own
        raise job.error(f"pyOCD failed: {error}{_help(job, state)}", state) from error
    if wrong is not None:
        raise job.error(f"what was read back differs from address {wrong:#010x} on", State.UNVERIFIED)
    return f"read back through probe {probe} and equal"


def _probe(job: Job, probes: list[Any]) -> str:
    """The unique id of the probe to use. pyOCD would otherwise ask in the terminal."""
    ids = sorted(str(probe.unique_id) for probe in probes)
    candidates = [i for i in ids if job.probe is None or job.probe.casefold() in i.casefold()]
    listed = ", ".join(ids)
    if len(candidates) == 1 or job.probe in candidates:
        uid = job.probe if job.probe in candidates else candidates[0]
        if sum(uid.casefold() in i.casefold() for i in ids) == 1:
            return uid
        raise job.error(f"probe {uid} cannot be told from others: {listed}; unplug one", State.UNTOUCHED)
    if not ids:
        raise job.error("no debug probe is plugged in, or none may be opened (on Linux: udev rules)", State.UNTOUCHED)
    if not candidates:
        raise job.error(f"no probe {job.probe!r} is plugged in, only {listed}", State.UNTOUCHED)
    raise job.error(
        f"{len(candidates)} debug probes are plugged in: {', '.join(candidates)}; choose one with --probe",
        State.UNTOUCHED,
    )


def _program(session: Any, job: Job) -> None:
    from pyocd.flash.file_programmer import FileProgrammer

    FileProgrammer(session, no_reset=True).program(str(job.elf))


def _first_wrong(target: Any, job: Job) -> int | None:
    """The first address whose byte differs from the file."""
    target.reset_and_halt()
    for part in job.parts:
        data = bytes(target.read_memory_block8(part.address, len(part.data)))
        if data != part.data:
            return part.address + next(i for i, (a, b) in enumerate(zip(data, part.data, strict=False)) if a != b)
    return None


def _help(job: Job, state: State) -> str:
    name = job.names.pyocd
    return f" (is target {name} known? pyocd pack install {name})" if state is State.UNTOUCHED else ""
