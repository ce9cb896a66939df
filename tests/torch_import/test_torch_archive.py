"""Files that are damaged or made to harm: one clear sentence, and nothing in them runs."""

from __future__ import annotations

import io
import json
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mcuquant.errors import McuquantError, ModelError
from mcuquant.torch_import import archive
from mcuquant.torch_import.from_torch import load_pt2

RESAVE = "Load it with the torch that wrote it and save it again with torch.export.save of torch 2.13."
MODEL, SAMPLES = "models/model.json", "data/sample_inputs/model.pt"
WEIGHTS, CONSTANTS = "data/weights/model_weights_config.json", "data/constants/model_constants_config.json"


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x) * torch.tensor(2.0)


@pytest.fixture(scope="module")
def members() -> dict[str, bytes]:
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(Net(), (torch.zeros(1, 4),)), buffer)
    with zipfile.ZipFile(buffer) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "net.pt2"


def write(path: Path, members: dict[str, bytes], **options: Any) -> None:
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in members.items():
            archive.writestr(f"net/{name}", content)


def failure(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_pt2(path)
    return str(caught.value)


class Evil:
    """A pickle of this creates a file when it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return open, (str(self.target), "w")


def saved(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def edited(content: bytes, change: Callable[[Any], None]) -> bytes:
    value = json.loads(content)
    change(value)
    return json.dumps(value).encode()


def test_a_sound_file_is_read(path: Path, members: dict[str, bytes]) -> None:
    write(path, members, compression=zipfile.ZIP_DEFLATED)
    assert [op.kind for op in load_pt2(path).ops] == ["FullyConnected", "Mul"]


def test_torch_itself_would_run_the_evil_pickle(path: Path, members: dict[str, bytes], tmp_path: Path) -> None:
    """What the scan is for; when torch refuses this some day, the scan has done its work."""
    write(path, members | {SAMPLES: saved(((Evil(tmp_path / "pwned"),), {}))})
    code = "import sys, torch; torch.export.load(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(path)], check=False, capture_output=True)
    assert (tmp_path / "pwned").exists()


def test_an_evil_pickle_is_refused_and_not_run(path: Path, members: dict[str, bytes], tmp_path: Path) -> None:
    write(path, members | {SAMPLES: saved(((Evil(tmp_path / "pwned"),), {}))})
    assert failure(path) == (
        f"{path}: {SAMPLES} is a pickle that calls io.open; loading it could run code, so the file is refused. "
        "Get the model from its source and save it with torch.export.save."
    )
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("protocol", "culprit"), [(0, "calls io.open"), (2, "calls io.open"), (4, "uses the opcode STACK_GLOBAL")]
)
@pytest.mark.parametrize("member", [SAMPLES, "data/weights/model.pt", "data/constants/model.pt", "extra/x.pkl"])
def test_a_bare_pickle_is_refused_wherever_it_is(
    path: Path, members: dict[str, bytes], tmp_path: Path, member: str, protocol: int, culprit: str
) -> None:
    write(path, members | {member: pickle.dumps(Evil(tmp_path / "pwned"), protocol)})
    assert failure(path).startswith(f"{path}: {member} is a pickle that {culprit}; loading it could run code")
    assert not (tmp_path / "pwned").exists()


def test_a_pickle_behind_a_harmless_one_is_refused(path: Path, members: dict[str, bytes], tmp_path: Path) -> None:
    write(path, members | {SAMPLES: pickle.dumps(1, 2) + pickle.dumps(Evil(tmp_path / "pwned"), 2)})
    assert failure(path).startswith(f"{path}: {SAMPLES} is a pickle that hides more behind its end;")


@pytest.mark.parametrize(
    ("config", "name", "change"),
    [
        (WEIGHTS, "fc.weight", {"use_pickle": True}),
        (CONSTANTS, "lifted_tensor_0", {"path_name": "custom_obj_0"}),
        (CONSTANTS, "lifted_tensor_0", {"path_name": "opaque_obj_0"}),
    ],
)
def test_a_pickled_weight_or_object_is_refused(
    path: Path, members: dict[str, bytes], tmp_path: Path, config: str, name: str, change: dict[str, Any]
) -> None:
    folder = config.rpartition("/")[0]
    content = edited(members[config], lambda c: c["config"][name].update(change))
    file = json.loads(content)["config"][name]["path_name"]
    write(path, members | {config: content, f"{folder}/{file}": pickle.dumps(Evil(tmp_path / "pwned"))})
    assert failure(path) == (
        f"{path}: {folder}/{file} ({name!r}) is a pickled object, which could run code when loaded. "
        "Use plain tensors as parameters, buffers and constants."
    )
    assert not (tmp_path / "pwned").exists()


def test_text_of_a_size_is_not_evaluated(path: Path, members: dict[str, bytes], tmp_path: Path) -> None:
    """torch.export.load hands symbolic sizes to sympy, which evaluates them."""
    attack = f"open({str(tmp_path / 'pwned')!r}, 'w')"

    def change(model: Any) -> None:
        sizes = model["graph_module"]["graph"]["tensor_values"]["x"]["sizes"]
        sizes[0] = {"as_expr": {"expr_str": attack, "hint": None}}

    write(path, members | {MODEL: edited(members[MODEL], change)})
    assert load_pt2(path)[0].shape == (1, 4)
    assert not (tmp_path / "pwned").exists()


def test_a_name_is_only_a_name(path: Path, members: dict[str, bytes]) -> None:
    text = members[MODEL].replace(b'"linear"', b'"*/ \\" x=__import__(\'os\').abort()\\n"')
    write(path, members | {MODEL: text})
    assert [op.kind for op in load_pt2(path).ops] == ["FullyConnected", "Mul"]


def test_a_missing_file(path: Path) -> None:
    assert failure(path) == f"{path}: no such file"


def test_a_folder(tmp_path: Path) -> None:
    assert failure(tmp_path) == f"{tmp_path}: cannot be read: Is a directory"


def test_a_file_that_is_no_archive(path: Path) -> None:
    path.write_bytes(b"hello")
    assert failure(path) == f"{path}: not a whole .pt2 file (a zip archive): File is not a zip file"


def test_any_truncation_is_noticed(path: Path, members: dict[str, bytes]) -> None:
    """Where the inner archive of the example inputs is the last thing left, its directory passes for the file's."""
    write(path, members)
    whole = path.read_bytes()
    reasons = ("not a whole .pt2 file (a zip archive): ", f"holds no {MODEL}, so it is not a file of torch.export.save")
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        assert failure(path).startswith(tuple(f"{path}: {reason}" for reason in reasons))


def test_any_flipped_byte_gives_a_graph_or_one_sentence(path: Path, members: dict[str, bytes]) -> None:
    write(path, members)
    whole = path.read_bytes()
    said = []
    for position in range(0, len(whole), 61):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        try:
            load_pt2(path)
        except McuquantError as error:
            said.append(str(error))
    assert len(said) > 20
    assert not any("\n" in sentence for sentence in said)


def test_a_zip_bomb(path: Path, members: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_BYTES", 100_000)
    write(path, members | {"extra/bomb": bytes(10**6)}, compression=zipfile.ZIP_DEFLATED)
    size = sum(map(len, members.values())) + 10**6
    assert failure(path) == (
        f"{path}: unpacks to {size} bytes, more than the 100000 allowed: no such model fits a microcontroller"
    )


def test_a_declared_size_that_is_a_lie(path: Path, members: dict[str, bytes]) -> None:
    """The directory claims 16 bytes for a megabyte of zeros."""
    write(path, {"extra/bomb": bytes(10**6)} | members, compression=zipfile.ZIP_DEFLATED)
    content = path.read_bytes().replace(struct.pack("<L", 10**6), struct.pack("<L", 16))
    path.write_bytes(content)
    assert failure(path) == f"{path}: not a whole .pt2 file (a zip archive): Bad CRC-32 for file 'net/extra/bomb'"


def test_a_member_that_is_there_twice(path: Path, members: dict[str, bytes]) -> None:
    write(path, members)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"other/{MODEL}", b"{}")
    assert failure(path) == f"{path}: holds {MODEL!r} twice, so that what it means would depend on the reader"


@pytest.mark.parametrize("missing", [MODEL, WEIGHTS, CONSTANTS])
def test_a_missing_member(path: Path, members: dict[str, bytes], missing: str) -> None:
    write(path, {name: content for name, content in members.items() if name != missing})
    assert failure(path) == f"{path}: holds no {missing}, so it is not a file of torch.export.save"


def test_a_missing_weight(path: Path, members: dict[str, bytes]) -> None:
    write(path, {name: content for name, content in members.items() if name != "data/weights/weight_0"})
    assert failure(path) == f"{path}: data/weights/weight_0: is missing from the archive"


def test_a_weight_that_is_too_short(path: Path, members: dict[str, bytes]) -> None:
    write(path, members | {"data/weights/weight_0": bytes(40)})
    assert failure(path) == f"{path}: data/weights/weight_0: has 40 bytes, its shape [3, 4] needs 48"


@pytest.mark.parametrize(
    ("key", "values", "said"),
    [
        ("sizes", [-3, 4], "has a negative size, stride or offset"),
        ("strides", [-4, 1], "has a negative size, stride or offset"),
        ("sizes", [3, 400], "has 48 bytes, its shape [3, 400] needs 1632"),
    ],
)
def test_a_weight_outside_its_bytes(
    path: Path, members: dict[str, bytes], key: str, values: list[int], said: str
) -> None:
    def change(config: Any) -> None:
        config["config"]["fc.weight"]["tensor_meta"][key] = [{"as_int": v} for v in values]

    write(path, members | {WEIGHTS: edited(members[WEIGHTS], change)})
    assert failure(path) == f"{path}: data/weights/weight_0: {said}"


def test_a_weight_that_repeats_a_few_bytes_for_ever(path: Path, members: dict[str, bytes]) -> None:
    def change(config: Any) -> None:
        meta = config["config"]["fc.weight"]["tensor_meta"]
        meta["sizes"], meta["strides"] = [{"as_int": 10**6}] * 2, [{"as_int": 0}] * 2

    write(path, members | {WEIGHTS: edited(members[WEIGHTS], change)})
    assert failure(path) == (
        f"{path}: data/weights/weight_0: has shape [1000000, 1000000], more than the 268435456 bytes allowed"
    )


def test_a_file_of_an_older_torch(path: Path, members: dict[str, bytes]) -> None:
    write(path, members | {"data/weights/model.pt": saved({"fc.weight": torch.zeros(3, 4)})})
    assert failure(path) == f"{path}: was saved by an older torch, with pickled weights. {RESAVE}"


def test_another_version_of_the_schema(path: Path, members: dict[str, bytes]) -> None:
    content = edited(members[MODEL], lambda m: m.update(schema_version={"major": 9, "minor": 1}, torch_version="3.0"))
    write(path, members | {MODEL: content})
    assert failure(path) == f"{path}: has schema version 9 (torch 3.0), expected 8. {RESAVE}"


def test_a_big_endian_file(path: Path, members: dict[str, bytes]) -> None:
    write(path, members | {"byteorder": b"big"})
    assert failure(path) == f"{path}: was saved on a big-endian machine. Save it on a little-endian one."


def test_a_program_that_is_not_one(path: Path, members: dict[str, bytes]) -> None:
    write(path, members | {MODEL: b'{"schema_version": {"major": 8}}'})
    assert failure(path) == (
        f"{path}: its program is not what torch.export.save writes (KeyError: 'graph_module'). {RESAVE}"
    )
    write(path, members | {MODEL: b"[" * 100_000})
    assert failure(path).startswith(f"{path}: its program is not what torch.export.save writes (RecursionError: ")


def test_arguments_that_do_not_fit(path: Path, members: dict[str, bytes]) -> None:
    def change(model: Any) -> None:
        model["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][1] = {"as_int": 5}

    write(path, members | {MODEL: edited(members[MODEL], change)})
    assert failure(path) == (
        "Net: the arguments of aten.linear in module fc (Linear) do not fit each other "
        "(cannot reshape array of size 5 into shape (4))"
    )


def test_an_input_too_large_to_be_true(path: Path, members: dict[str, bytes]) -> None:
    def change(model: Any) -> None:
        model["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][1] = {"as_int": 10**12}

    write(path, members | {MODEL: edited(members[MODEL], change)})
    assert failure(path) == "input 'x' of Net has 1 x 1000000000000 elements; expected 1 to 67,108,864"
