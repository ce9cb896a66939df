"""Rules of states."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from .. import Graph, Level, Role, Tensor, Update
from ..ops import Reshape


def state_problems(graph: Graph, level: Level) -> Iterator[str]:
    counts = Counter(u.state for u in graph.updates)
    yield from (f"state {i} is updated {n} times" for i, n in counts.items() if n > 1)
    for t in graph.tensors.values():
        if t.role is Role.STATE and t.id not in counts:
            yield f"{_named(t)} is a state and has no update"
    for i in graph.outputs:
        if i in counts:
            yield f"output {i} is a state, expected what an operation writes"
    if level is Level.LOWERABLE:
        views = [i for i in graph.outputs if shows_state(graph, i)]
        yield from (f"output {i} is a state under another shape, expected a copy (passes.run_passes)" for i in views)
    for update in graph.updates:
        yield from _update_problems(graph, update)


def shows_state(graph: Graph, tensor: int) -> bool:
    """Whether a tensor is a state with another shape."""
    maker = graph.producer(tensor)
    while isinstance(maker, Reshape):
        tensor = maker.inputs[0]
        if graph[tensor].role is Role.STATE:
            return True
        maker = graph.producer(tensor)
    return False


def _named(t: Tensor) -> str:
    return f"tensor {t.id} ({t.name!r})"


def _update_problems(graph: Graph, update: Update) -> Iterator[str]:
    for i in (update.state, update.value):
        if i not in graph.tensors:
            yield f"an update names tensor {i}, which is not in the table"
            return
    state, value = graph[update.state], graph[update.value]
    if state.role is not Role.STATE:
        yield f"{_named(state)} is updated and has role {state.role}, expected {Role.STATE}"
    if value.role not in (Role.ACTIVATION, Role.INPUT):
        yield f"{_named(value)}, the next value of {_named(state)}, has role {value.role}, expected an activation"
    elif value.role is Role.ACTIVATION and graph.producer(value.id) is None:
        yield f"{_named(value)}, the next value of {_named(state)}, is never written"
    for word in ("dtype", "shape", "q"):
        kept, new = getattr(state, word), getattr(value, word)
        if kept != new:
            yield f"{_named(value)} has {word} {new}, expected {kept} as {_named(state)}, whose next value it is"
            return
