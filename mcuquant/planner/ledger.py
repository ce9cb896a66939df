"""Cycles and flash of a selection of kernels, and how one becomes another with less flash, step by step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .options import Option

Options = Mapping[int, Sequence[Option]]
"""Of each operation, by its index; the fastest first."""
_MOST_WORK = 400_000
"""Exchanges of one kernel that are weighed in all: a few seconds. A network of a hundred layers needs a tenth."""


@dataclass(frozen=True, slots=True)
class Selection:
    """One option of each operation, with the cycles and the bytes of flash of all together."""

    options: tuple[tuple[int, Option], ...]
    cycles: int
    network_flash_bytes: int


@dataclass(slots=True)
class Ledger:
    """A selection that changes; counts the steps that use each C function, for it is in flash while one does."""

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
    """From the fastest selection to less and less flash, each time by what loses the fewest cycles a byte.

    Exchanged is the kernel of one operation, or those of all that share one, whose code then goes. As long as there are
    exchanges that stay within `most_cycles`, it is one of these.
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
    """Of options that take the same flash, the fastest."""
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
    """For each C function, all operations that call it by another kernel: the fastest, or with least new code."""

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
    """(Whether it takes too many cycles, those lost for each byte won); None where none is won."""
    before = {op: ledger.options[op] for op in move}
    cycles, nbytes = ledger.cycles, ledger.network_flash_bytes
    ledger.exchange_all(move)
    lost, won, is_slow = ledger.cycles - cycles, nbytes - ledger.network_flash_bytes, ledger.cycles > most_cycles
    ledger.exchange_all(before)
    return (is_slow, lost / won) if won > 0 else None
