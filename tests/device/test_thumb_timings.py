"""The cycle model's table of encodings against the disassembler: both must see the same instruction."""

from __future__ import annotations

import ctypes
import random
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

EMULATOR = Path(__file__).resolve().parents[2] / "firmware" / "emulator"
NEXT, BRANCH, JUMP, CALL, RETURN = range(5)
MEMORY, PIPELINED, CONDITIONAL = 1, 2, 4
CONDITIONS = "eq|ne|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le"
NOP = 0xBF00

WRAPPER = """
#include "mq_thumb.h"
uint32_t timing(uint32_t insn, uint32_t bytes, uint32_t core);
uint32_t timing(uint32_t insn, uint32_t bytes, uint32_t core)
{
    mq_timing_t t = mq_timing(insn, bytes, (mq_core_t)core);
    return t.cycles | (uint32_t)t.flow << 16 | ((uint32_t)t.flags & 7) << 24 | mq_it_length(insn, bytes) << 28;
}
"""


@dataclass(frozen=True)
class Timing:
    cycles: int
    flow: int = NEXT
    flags: int = 0
    it_length: int = 0


@dataclass(frozen=True)
class Line:
    """One disassembled instruction."""

    code: int
    bytes: int
    mnemonic: str
    operands: str

    @property
    def registers(self) -> int:
        """How many registers stand in braces."""
        inside = re.search(r"{(.*)}", self.operands)
        count = 0
        for part in inside[1].split(",") if inside else []:
            first, _, last = part.strip().partition("-")
            numbers = [int(re.sub(r"\D", "", r) or -1) for r in (first, last)] if last else [0, 0]
            count += numbers[1] - numbers[0] + 1
        return count


class Table:
    """mq_thumb.h, built for this machine."""

    def __init__(self, folder: Path) -> None:
        (folder / "wrapper.c").write_text(WRAPPER)
        strict = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-Wno-unused-function"]
        command = ["gcc", "-shared", "-fPIC", *strict, f"-I{EMULATOR}", str(folder / "wrapper.c"), "-o"]
        subprocess.run([*command, str(folder / "table.so")], check=True)
        self._timing = ctypes.CDLL(str(folder / "table.so")).timing
        self._timing.restype = ctypes.c_uint32

    def timing(self, line: Line, core: int) -> Timing:
        packed = self._timing(line.code, line.bytes, core)
        return Timing(packed & 0xFFFF, packed >> 16 & 0xFF, packed >> 24 & 0xF, packed >> 28)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    if shutil.which("gcc") is None:
        pytest.skip("no gcc for this machine")
    return Table(tmp_path_factory.mktemp("thumb"))


def disassemble(halfwords: Sequence[int], folder: Path) -> Iterator[Line]:
    (folder / "code.bin").write_bytes(b"".join(h.to_bytes(2, "little") for h in halfwords))
    command = [
        "arm-none-eabi-objdump",
        "-D",
        "-b",
        "binary",
        "-m",
        "arm",
        "-M",
        "force-thumb",
        str(folder / "code.bin"),
    ]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for match in re.finditer(r"^ *[0-9a-f]+:\t([0-9a-f]{4})(?: ([0-9a-f]{4}))? *\t(\S+)(?:\t(.*))?$", text, re.M):
        known = not re.search(r"UNDEFINED|UNPREDICTABLE|{}", match[0]) and not match[3].startswith(".")
        if known:
            code = int(match[1] + (match[2] or ""), 16)
            yield Line(code, 4 if match[2] else 2, match[3], (match[4] or "").partition(";")[0].partition("@")[0])


FIXED = {
    "mla": (1, 2), "mls": (1, 2), "smull": (1, 5), "umull": (1, 5), "smlal": (1, 7), "umlal": (1, 7),
    "sdiv": (12, 12), "udiv": (12, 12), "mrs": (2, 2), "msr": (2, 2), "cpsie": (2, 2), "cpsid": (2, 2), "isb": (3, 3),
}  # fmt: skip
FLOAT = {
    "vdiv": 14, "vsqrt": 14, "vmla": 3, "vmls": 3, "vnmla": 3, "vnmls": 3, "vfma": 3, "vfms": 3, "vfnma": 3, "vfnms": 3,
    "vadd": 1, "vsub": 1, "vmul": 1, "vnmul": 1, "vabs": 1, "vneg": 1, "vcmp": 1, "vcmpe": 1, "vcvt": 1, "vcvtr": 1,
    "vmrs": 1, "vmsr": 1,
}  # fmt: skip
EXCLUSIVE = r"(ldr|str)ex[bh]?$"


def of_branch(line: Line, name: str) -> Timing | None:
    target = line.operands.strip()
    if re.fullmatch(f"b({CONDITIONS})", name) or name in ("cbz", "cbnz"):
        return Timing(1, BRANCH, CONDITIONAL)
    if name == "b":
        return Timing(1, BRANCH)
    if name in ("bl", "blx"):
        return Timing(1, CALL)
    if name == "bx" or (name == "mov" and target.startswith("pc, ")):
        return Timing(1, RETURN if target.endswith("lr") else JUMP)
    if name == "add" and target.startswith("pc, "):
        return Timing(1, JUMP)
    return Timing(2, JUMP, MEMORY) if name in ("tbb", "tbh") else None


def of_access(line: Line, name: str) -> Timing | None:
    to_pc = line.operands.startswith("pc,")
    if name in ("push", "pop") or re.fullmatch(r"(ldm|stm)(ia|db)?", name):
        returns = name[0] in "lp" and name != "push" and "pc}" in line.operands
        return Timing(1 + line.registers, RETURN if returns else NEXT, MEMORY)
    if name in ("ldrd", "strd"):
        return Timing(3, NEXT, MEMORY)
    if name == "ldr" and to_pc:
        return Timing(2, RETURN if "[sp" in line.operands else JUMP, MEMORY)
    if re.match(EXCLUSIVE, name) or re.fullmatch(r"ldrs?[bh]?t?", name):
        return Timing(2, NEXT, MEMORY | PIPELINED)
    return Timing(1, NEXT, MEMORY) if re.fullmatch(r"str[bh]?t?", name) else None


def of_float(line: Line, name: str) -> Timing | None:
    wide = line.operands.lstrip("{").startswith("d")
    if name in ("vldr", "vstr"):
        return Timing(3 if wide else 2, NEXT, MEMORY)
    if re.fullmatch(r"vpush|vpop|(vldm|vstm)(ia|db)", name):
        doubles = re.search(r"{d", line.operands) is not None
        return Timing(1 + line.registers * (2 if doubles else 1), NEXT, MEMORY)
    if name == "vmov":
        cores = len(re.findall(r"\b(?:r\d+|sl|fp|ip|sp|lr)\b", line.operands))
        return Timing(2 if cores == 2 else 1)
    return Timing(FLOAT[name]) if name in FLOAT else None


def bare(mnemonic: str) -> str:
    """Without width, type and, where it says no more, the S of the flags."""
    name = re.sub(r"\.[nw]$|\.f32.*$|\.[su]32.*$", "", mnemonic)
    return name[:-1] if name.endswith("s") and name[:-1] in WIDE and name not in WIDE else name


def by_name(line: Line, core: int) -> Timing | None:
    """What the instruction costs by its mnemonic; None where this test has no opinion."""
    name = bare(line.mnemonic)
    if name.startswith("v"):
        is_single = ".f64" not in line.mnemonic and ".f16" not in line.mnemonic
        return of_float(line, name) if line.code >> 24 in (0xEC, 0xED, 0xEE) and is_single else None
    if re.fullmatch("it[te]{0,3}", name):
        return Timing(1, it_length=len(name) - 1)
    found = of_branch(line, name) or of_access(line, name)
    if found:
        return found
    if name in FIXED:
        return Timing(FIXED[name][core])
    return Timing(1)


def disagreements(table: Table, lines: Sequence[Line], core: int) -> list[str]:
    return [
        f"{line.code:0{line.bytes * 2}x} {line.mnemonic} {line.operands}: {table.timing(line, core)}, not {expected}"
        for line in lines
        if (expected := by_name(line, core)) and table.timing(line, core) != expected
    ]


@pytest.mark.emulator
@pytest.mark.parametrize("core", [0, 1])
def test_every_narrow_instruction(table: Table, tmp_path: Path, core: int) -> None:
    """All of them, each with NOPs behind it, which an IT makes conditional instead of the next."""
    halfwords = [h for code in range(0xE800) for h in (code, NOP, NOP, NOP, NOP)]
    lines = [
        line
        for line in disassemble(halfwords, tmp_path)
        if not line.mnemonic.startswith("nop") and not (line.mnemonic in ("bx", "blx") and line.code & 7)
    ]
    assert len({line.code for line in lines}) > 50_000
    assert disagreements(table, lines, core) == []


# The wide instructions that a Cortex-M4F has, by mnemonic without suffixes. A random word is often another core's.
WIDE_NAMES = """
adc add addw and asr bfc bfi bic clz cmn cmp eor lsl lsr mov movt movw mvn orn orr pkhbt pkhtb rbit rev ror rsb
sbc sbfx sel ssat ssat16 sub subw sxtab sxtab16 sxtah sxtb16 teq tst ubfx usat usat16 uxtab uxtab16 uxtah uxtb16
qadd qdadd qdsub qsub qadd16 qadd8 qsub16 qsub8 sadd16 sadd8 ssub16 ssub8 shadd16 uadd16 uadd8 usub16 usub8
uhadd16 usad8 usada8 mla mls mul smull umull smlal umlal umaal sdiv udiv smlabb smlabt smlatb smlatt smlad
smladx smlalbb smlalbt smlaltb smlaltt smlald smlaldx smlawb smlawt smlsd smlsdx smlsld smlsldx smmla smmlar
smmls smmlsr smmul smmulr smuad smuadx smulbb smulbt smultb smultt smulwb smulwt smusd smusdx ldrd strd ldmia
ldmdb stmia stmdb push pop tbb tbh ldr ldrb ldrh ldrsb ldrsh ldrt ldrbt ldrht ldrsbt ldrsht str strb strh strt
strbt strht ldrex ldrexb ldrexh strex strexb strexh bl b beq bne bcs bcc bmi bpl bvs bvc bhi bls bge blt bgt ble
isb dsb dmb clrex pld pli vldr vstr vldmia vldmdb vstmia vstmdb vpush vpop vmov vmrs vmsr vdiv vsqrt vmla vmls
vnmla vnmls vfma vfms vfnma vfnms vadd vsub vmul vnmul vabs vneg vcmp vcmpe vcvt vcvtr
"""
WIDE = frozenset(WIDE_NAMES.split())
SPACES = [(0xE800, 0xEC00), (0xEC00, 0xEF00), (0xF000, 0xF800), (0xF800, 0xFA00), (0xFA00, 0xFC00)]


def is_defined(line: Line) -> bool:
    """Leaves out what ARMv7-M calls unpredictable or has not, and the disassembler prints all the same."""
    name = bare(line.mnemonic)
    writes_pc = line.operands.startswith("pc") and name != "ldr"
    too_many = name[:4] in ("vldm", "vstm", "vpus", "vpop") and line.code & 0xFF > 32
    is_system = name in ("vldr", "vstr") and line.operands[0] not in "sd"
    return line.bytes == 4 and name in WIDE and not (writes_pc or too_many or is_system)


M0PLUS = 2


def on_m0plus(line: Line) -> Timing | None:
    """Cortex-M0+ TRM (ARM DDI 0484C), table 3-1, without the cycle of a taken branch."""
    name = re.sub(r"\.n$", "", line.mnemonic)
    branch = of_branch(line, name)
    if branch and line.bytes == 2:
        return branch if name not in ("cbz", "cbnz") else None
    if name in ("push", "pop", "stmia", "ldmia"):
        is_return = name == "pop" and "pc}" in line.operands
        return Timing((2 if is_return else 1) + line.registers, RETURN if is_return else NEXT, MEMORY)
    if re.fullmatch(r"(ldr|str)(s?[bh])?", name):
        return Timing(2, NEXT, MEMORY)
    if name in ("bl", "mrs", "msr", "isb", "dsb", "dmb"):
        return Timing(2, CALL) if name == "bl" else Timing(3)
    return Timing(1) if re.fullmatch(ONE_CYCLE, name) else None


ONE_CYCLE = (
    "(movs?|adds?|subs?|cmp|cmn|adcs|sbcs|ands|orrs|eors|bics|mvns|tst|muls|negs|rsbs|lsls|lsrs|asrs|rors|rev|rev16|revsh"
    "|sxtb|sxth|uxtb|uxth|cpsie|cpsid)"
)


@pytest.mark.emulator
def test_every_instruction_of_armv6m(table: Table, tmp_path: Path) -> None:
    draw = random.Random(7)
    wide = [h for _ in range(2000) for h in (0xF000 | draw.randrange(0x800), 0xD000 | draw.randrange(0x1000) | 0x800)]
    system = [0xF3EF, 0x8010, 0xF380, 0x8810, 0xF3BF, 0x8F4F, 0xF3BF, 0x8F5F, 0xF3BF, 0x8F6F]
    lines = list(disassemble([*range(0xE800), *system, *wide], tmp_path))
    defined = [line for line in lines if not (line.mnemonic in ("bx", "blx") and line.code & 7)]
    known = [(line, expected) for line in defined if (expected := on_m0plus(line))]
    assert len(known) > 45_000
    assert {"bl", "mrs", "msr", "isb", "dsb", "dmb", "pop", "muls"} <= {line.mnemonic for line, _ in known}
    assert [(line, timing) for line, timing in known if table.timing(line, M0PLUS) != timing] == []


@pytest.mark.emulator
@pytest.mark.parametrize("core", [0, 1])
def test_random_wide_instructions(table: Table, tmp_path: Path, core: int) -> None:
    draw = random.Random(20240)
    halfwords = [h for _ in range(80_000) for h in (draw.randrange(*draw.choice(SPACES)), draw.randrange(1 << 16))]
    lines = [line for line in disassemble(halfwords, tmp_path) if is_defined(line)]
    assert len({bare(line.mnemonic) for line in lines}) > 120
    assert len(lines) > 20_000
    assert disagreements(table, lines, core) == []
