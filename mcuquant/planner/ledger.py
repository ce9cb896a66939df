"""Cycles and flash of a selection of kernels, and the exchanges that reduce its flash step by step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .options import Option

Options = Mapping[int, Sequence[Option]]
"""The options of each operation, by its index; the fastest first."""
_MOST_WORK = 400_000
"""Budget of a descent in exchanges: a few seconds. A network of a hundred layers needs a tenth of it."""


@dataclass(frozen=True, slots=True)
class Selection:
    """One option for each operation, with the total cycles and bytes of flash."""

    options: tuple[tuple[int, Option], ...]
    cycles: int
    network_flash_bytes: int


@dataclass(slots=True)
class Ledger:
    """A mutable selection. It counts the steps that use each C function; a function in use is in flash."""

    is_shared: bool
    options: dict[int, Option]
    cycles: int = 0
    network_flash_bytes: int = 0
    users: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for option in self.options.values():
            self._enter(option, 1)

    def exchange(self, op: int, option: Option) -> None:
        self._enter(self.options[op], -1)
        self._enter(option, 1)
        self.options[op] = option

    def exchange_all(self, exchanges: Mapping[int, Option]) -> None:
        for op, option in exchanges.items():
            self.exchange(op, option)

    def _enter(self, option: Option, sign: int) -> None:
        self.cycles += sign * option.cycles(self.is_shared)
        self.network_flash_bytes += sign * option.own_bytes(self.is_shared)
        for function in option.functions(self.is_shared):
            before = self.users[function.name]
            self.users[function.name] += sign
            self.network_flash_bytes += function.size(before + sign) - function.size(before)

    def selection(self) -> Selection:
        return Selection(tuple(self.options.items()), self.cycles, self.network_flash_bytes)


def descent(options: Options, is_shared: bool, most_cycles: float) -> Iterator[Selection]:
    """From the fastest selection to less and less flash; each exchange costs the fewest cycles per saved byte.

    An exchange replaces the kernel of one operation, or the kernels of all operations that share one, whose code is
    then saved. Exchanges within `most_cycles` have priority.
    """
    ledger = Ledger(is_shared, {op: alternatives[0] for op, alternatives in options.items()})
    differing = {op: _differing(alternatives, is_shared) for op, alternatives in options.items()}
    work = 0
    while True:
        yield ledger.selection()
        moves = [*_single_moves(ledger, differing), *_family_moves(ledger, differing)]
        work += len(moves)
        rates = [(*rate, i) for i, move in enumerate(moves) if (rate := _rate(ledger, move, most_cycles)) is not None]
        if not rates or work > _MOST_WORK:
            return
        ledger.exchange_all(moves[min(rates)[-1]])


def _differing(alternatives: Sequence[Option], is_shared: bool) -> list[Option]:
    """The fastest of options with equal flash."""
    first: dict[object, Option] = {}
    for option in alternatives:
        first.setdefault((option.own_bytes(is_shared), option.functions(is_shared)), option)
    return list(first.values())


def _single_moves(ledger: Ledger, options: Options) -> Iterator[dict[int, Option]]:
    return (
        {op: option}
        for op, alternatives in options.items()
        for option in alternatives
        if option is not ledger.options[op]
    )


def _family_moves(ledger: Ledger, options: Options) -> Iterator[dict[int, Option]]:
    """For each C function, an exchange of all operations that call it: for their fastest other kernel, or the one with
    the least new code.
    """

    def new_bytes(option: Option) -> int:
        return sum(f.nbytes for f in option.functions(ledger.is_shared) if not ledger.users[f.name])

    for name in sorted(name for name, count in ledger.users.items() if count > 1):
        calling = [op for op, option in ledger.options.items() if _calls(option, name, ledger.is_shared)]
        others = {op: [o for o in options[op] if not _calls(o, name, ledger.is_shared)] for op in calling}
        if all(others.values()):
            yield {op: some[0] for op, some in others.items()}
            yield {op: min(some, key=new_bytes) for op, some in others.items()}


def _calls(option: Option, name: str, is_shared: bool) -> bool:
    return any(function.name == name for function in option.functions(is_shared))


def _rate(ledger: Ledger, move: Mapping[int, Option], most_cycles: float) -> tuple[bool, float] | None:
    """(whether the exchange exceeds the cycles, lost cycles per saved byte); None if it saves nothing."""
    before = {op: ledger.options[op] for op in move}
    cycles, nbytes = ledger.cycles, ledger.network_flash_bytes
    ledger.exchange_all(move)
    lost, won, is_slow = ledger.cycles - cycles, nbytes - ledger.network_flash_bytes, ledger.cycles > most_cycles
    ledger.exchange_all(before)
    return (is_slow, lost / won) if won > 0 else None
