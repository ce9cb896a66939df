"""The assembler checks the lengths that computed jumps rely on."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import ARM, compile_c

SOURCE = r"""
#include "kernels/mq_common.h"
void f(void)
{
    __asm__ volatile(MQ_STEPS_OF_LENGTH("nop.w\n nop.w\n", "2", "%s"));
}
"""


def compiled(length: str, folder: Path) -> None:
    (folder / "f.c").write_text(SOURCE % length)
    compile_c(["arm-none-eabi-gcc", *ARM["cortex-m4"], "-c"], [folder / "f.c"], folder, "-o", str(folder / "f.o"))


@pytest.mark.emulator
def test_steps_of_another_length_are_refused(tmp_path: Path) -> None:
    compiled("4", tmp_path)
    with pytest.raises(AssertionError, match="the steps are not of 6 bytes each"):
        compiled("6", tmp_path)
