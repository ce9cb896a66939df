"""The members of a .pt2 file, read without executing anything in the file.

`torch.export.load` is not used: it unpickles with code allowed when a safe load fails, and it evaluates text of the
file (symbolic sizes). Weights in a .pt2 are raw bytes and the program is JSON, so reading both needs neither torch nor
a pickle. The pickles in an archive (its example inputs) are never loaded, only scanned: a file with a pickle that could
call something is rejected as malicious.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from ..errors import ModelError

MAX_BYTES = 256 * 2**20
"""Maximum unpacked size of an archive: far more than any microcontroller's flash."""

_DTYPES = ("float16", "bfloat16", "float32", "float64", "uint8", "int8", "int16", "int32", "int64", "bool")
_STORAGES = ("Half", "BFloat16", "Float", "Double", "Byte", "Char", "Short", "Int", "Long", "Bool")
_HARMLESS = {
    "collections OrderedDict",
    "torch Size",
    "torch device",
    "torch.storage TypedStorage",
    "torch.storage UntypedStorage",
    "torch._utils _rebuild_parameter",
    "torch._utils _rebuild_tensor_v2",
    *(f"torch {kind}" for kind in _DTYPES),
    *(f"torch {kind}Storage" for kind in _STORAGES),
}
_CALLS_BY_STACK = {"STACK_GLOBAL", "INST", "OBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"}
_PICKLE_ENDINGS = (".pt", ".pth", ".pkl", ".pickle")


def read_members(source: Path | BinaryIO, name: str) -> Mapping[str, bytes]:
    """Every member's content by its name inside the archive's root folder.

    `name` is for messages. Raises ModelError if the file is missing, not a zip archive, damaged, too large, ambiguous,
    or contains a pickle that could run code.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            members = _unpack(archive, name)
        _refuse_harmful(members, name)
    except FileNotFoundError:
        raise ModelError(f"{name}: no such file") from None
    except OSError as error:
        raise ModelError(f"{name}: cannot be read: {error.strerror or error}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        raise ModelError(f"{name}: not a whole .pt2 file (a zip archive): {error}") from None
    return members


def _unpack(archive: zipfile.ZipFile, name: str) -> dict[str, bytes]:
    _check_size(archive, name)
    members: dict[str, bytes] = {}
    for info in archive.infolist():
        member = _without_root(info.filename)
        if member in members:
            raise ModelError(f"{name}: holds {member!r} twice, so that what it means would depend on the reader")
        members[member] = archive.read(info)
    return members


def _check_size(archive: zipfile.ZipFile, name: str) -> None:
    unpacked_bytes = sum(info.file_size for info in archive.infolist())
    if unpacked_bytes > MAX_BYTES:
        raise ModelError(
            f"{name}: unpacks to {unpacked_bytes} bytes, more than the {MAX_BYTES} allowed: "
            "no such model fits a microcontroller"
        )


def _without_root(filename: str) -> str:
    """'net/models/model.json' is models/model.json; files of torch 2.7 and before have no root folder."""
    root, slash, rest = filename.partition("/")
    return rest if slash else root


def _refuse_harmful(members: Mapping[str, bytes], name: str) -> None:
    for member, content in members.items():
        if not member.endswith(_PICKLE_ENDINGS) or not content:
            continue
        for pickled in _pickles(content, f"{name}: {member}"):
            if culprit := _harm(pickled):
                raise ModelError(
                    f"{name}: {member} is a pickle that {culprit}; loading it could run code, so the file is refused. "
                    "Get the model from its source and save it with torch.export.save."
                )


def _pickles(content: bytes, name: str) -> Iterator[bytes]:
    """The pickle streams of a file of torch.save: a zip archive, or the stream itself in its oldest format."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        yield content
        return
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        _check_size(archive, name)
        yield from (archive.read(info) for info in archive.infolist() if info.filename.endswith(_PICKLE_ENDINGS))


def _harm(pickled: bytes) -> str | None:
    """The first effect of a pickle beyond building tensors; None without one. As strict as torch's `weights_only`."""
    end = 0
    try:
        for opcode, argument, position in pickletools.genops(pickled):
            if opcode.name == "GLOBAL" and argument not in _HARMLESS:
                return f"calls {str(argument).replace(' ', '.')}"
            if opcode.name in _CALLS_BY_STACK:
                return f"uses the opcode {opcode.name}"
            end = (position or 0) + 1
    except ValueError as error:
        return f"cannot be parsed ({error})"
    return "hides more behind its end" if end != len(pickled) else None
