"""What vendors say of registers: their SVD files as pyOCD bundles them, and tests/data/registers where it has none."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

_DATA = Path(__file__).resolve().parents[1] / "data" / "registers"


@dataclass(frozen=True)
class Description:
    """One chip. Addresses are by PERIPHERAL_REGISTER, (lowest bit, width) by PERIPHERAL_REGISTER_FIELD."""

    source: str
    peripherals: Mapping[str, int]
    interrupts: Mapping[str, int]
    registers: Mapping[str, int]
    fields: Mapping[str, tuple[int, int]]


def from_data(chip: str) -> Description:
    """Facts that were read from the vendor's public header, which its `source` names."""
    read = json.loads((_DATA / f"{chip}.json").read_text())
    return Description(
        read["source"],
        {name: int(base, 16) for name, base in read["peripherals"].items()},
        read["interrupts"],
        {name: int(address, 16) for name, address in read["registers"].items()},
        {name: (low, width) for name, (low, width) in read["fields"].items()},
    )


def from_svd(name: str) -> Description:
    """A file of pyOCD's svd_data.zip."""
    with files("pyocd").joinpath("debug/svd/svd_data.zip").open("rb") as file, zipfile.ZipFile(file) as bundle:
        root = ET.fromstring(bundle.read(name))
    by_name = {_text(p, "name"): p for p in root.iter("peripheral")}
    registers: dict[str, int] = {}
    fields: dict[str, tuple[int, int]] = {}
    for peripheral, element in by_name.items():
        like = by_name.get(element.get("derivedFrom", ""))
        own = element.find("registers")
        body = own if own is not None else (like.find("registers") if like is not None else None)
        for register, offset, node in _registers(body, "", 0) if body is not None else ():
            registers[f"{peripheral}_{register}"] = _number(element, "baseAddress") + offset
            fields.update({f"{peripheral}_{register}_{f}": bits for f, bits in _fields(node)})
    bases = {peripheral: _number(element, "baseAddress") for peripheral, element in by_name.items()}
    interrupts = {_text(i, "name"): _number(i, "value") for i in root.iter("interrupt")}
    return Description(f"pyOCD's {name}", bases, interrupts, registers, fields)


def _registers(parent: ET.Element, prefix: str, base: int) -> Iterator[tuple[str, int, ET.Element]]:
    """Registers of clusters are CLUSTER_REGISTER, those of arrays REGISTER0, REGISTER1, ..."""
    for node in parent:
        if node.tag not in ("register", "cluster"):
            continue
        for i in range(_number(node, "dim", 1)):
            name = prefix + _text(node, "name").replace("[%s]", str(i)).replace("%s", str(i))
            offset = base + _number(node, "addressOffset") + i * _number(node, "dimIncrement", 0)
            if node.tag == "cluster":
                yield from _registers(node, f"{name}_", offset)
            else:
                yield name, offset, node


def _fields(register: ET.Element) -> Iterator[tuple[str, tuple[int, int]]]:
    for field in register.iter("field"):
        span = field.find("bitRange")
        if span is not None and span.text is not None:
            high, low = (int(text) for text in span.text.strip("[]").split(":"))
        elif field.find("bitOffset") is not None:
            low = _number(field, "bitOffset")
            high = low + _number(field, "bitWidth", 1) - 1
        else:
            low, high = _number(field, "lsb"), _number(field, "msb")
        yield _text(field, "name"), (low, high - low + 1)


def _text(node: ET.Element, tag: str) -> str:
    found = node.findtext(tag)
    assert found is not None, f"no <{tag}> in <{node.tag}>"
    return found.strip()


def _number(node: ET.Element, tag: str, default: int | None = None) -> int:
    found = node.findtext(tag)
    if found is None:
        assert default is not None, f"no <{tag}> in <{node.tag}>"
        return default
    return int(found, 0)
