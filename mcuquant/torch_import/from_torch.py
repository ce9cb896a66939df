"""PyTorch networks to graphs, through torch.export.

A module is exported and read back in the form of a .pt2 file, so that one reader serves both. Only `from_torch` imports
torch: a .pt2 file is read without it.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ModelError
from ..ir import Graph
from .archive import read_members
from .exported_program import parse
from .translate import translate

if TYPE_CHECKING:
    import torch


def from_torch(module: torch.nn.Module, example: Any) -> Graph:
    """The FLOAT graph of `module` for one sample.

    `example` is an input (tensor or float array), or a tuple of inputs; (N, ...) is cut to its first sample. An input
    (N,C,H,W) becomes (1,H,W,C) of the graph, (N,C,L) becomes (1,1,L,C); outputs likewise. The module is traced in
    evaluation mode and does not change. Raises UnsupportedOpError with every unsupported operation, ModelError for
    other problems.
    """
    torch = _import_torch()
    inputs = tuple(_one_sample(torch, part) for part in _parts(example))
    name = type(module).__name__
    with _evaluating(module):
        archive = io.BytesIO()
        try:
            torch.export.save(_functional(_exported(torch, module, inputs)), archive)
        except Exception as error:  # torch.export raises many unrelated types
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelError(f"{name}: torch.export cannot trace it: {reason}") from error
    return translate(parse(read_members(archive, name), name))


def load_pt2(path: str | os.PathLike[str]) -> Graph:
    """The FLOAT graph of a file of `torch.export.save`; nothing in the file is executed.

    Raises ModelError if the file is missing, damaged, malicious or of another version, UnsupportedOpError as
    `from_torch`.
    """
    return translate(parse(read_members(Path(path), str(path)), str(path)))


def _exported(torch: Any, module: Any, inputs: tuple[Any, ...]) -> Any:
    with warnings.catch_warnings():
        # recurrent modules also store their parameters in a list
        warnings.filterwarnings("ignore", "The tensor attribute.*_flat_weights.*assigned during export", UserWarning)
        return torch.export.export(module, inputs)


_WRITERS = ("aten.copy_", "aten.fill_", "aten.zero_", "aten.index_put_", "aten.masked_fill_")


def _functional(program: Any) -> Any:
    """`program` without writes into parts of tensors, which become concatenations of pieces."""
    targets = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    writes = any(target.startswith(_WRITERS) for target in targets)
    if not writes:
        return program
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # warnings of torch about its own code
        return program.run_decompositions({})


def _import_torch() -> Any:
    try:
        import torch
    except ImportError:
        raise ModelError("PyTorch is not installed; get it with: pip install 'mcuquant[torch]'") from None
    return torch


def _parts(example: Any) -> Sequence[Any]:
    return example if isinstance(example, tuple | list) else (example,)


def _one_sample(torch: Any, part: Any) -> Any:
    try:
        tensor = torch.as_tensor(part)
    except (TypeError, ValueError, RuntimeError):
        raise ModelError(
            f"the example holds a {type(part).__name__}; expected a tensor or an array of floats"
        ) from None
    if tensor.dtype == torch.float64 and not isinstance(part, torch.Tensor):
        tensor = tensor.float()  # the default of numpy and Python, which networks do not rely on
    return tensor[:1] if tensor.ndim > 1 else tensor


@contextmanager
def _evaluating(module: torch.nn.Module) -> Iterator[None]:
    """In evaluation mode; each submodule gets its own mode back."""
    modes = {part: part.training for part in module.modules()}
    with suppress(NotImplementedError):  # an exported program has one mode
        module.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training
