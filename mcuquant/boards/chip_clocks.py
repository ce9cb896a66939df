"""The clock trees of the ports: the complaints about the settings in `[chip]` that do not make `clock_hz`."""

from __future__ import annotations

from collections.abc import Iterator

from .chip_family import Chip, Clock

MHZ = 1_000_000
_STM32_INTERNAL_HZ = 16 * MHZ
_RP_CRYSTAL_HZ = 12 * MHZ


def pll_with_input(vco_least_hz: int) -> Clock:
    """The PLL of STM32F4 and F7: RM0090, section 6.3.2 (VCO from 100 to 432 MHz); RM0385, section 5.3.2."""

    def complaints(chip: Chip, clock_hz: int) -> Iterator[str]:
        if chip["hse_hz"] % chip["pll_input_hz"]:
            yield f"'chip.pll_input_hz' {chip['pll_input_hz']} does not divide 'chip.hse_hz' {chip['hse_hz']}"
        vco_hz = chip["pll_input_hz"] * chip["pll_n"]
        yield from _vco_complaint(vco_hz, vco_least_hz, 432 * MHZ)
        yield from _clock_complaint("pll_input_hz * pll_n / pll_p", vco_hz / chip["pll_p"], clock_hz)

    return complaints


def pll_of_l4(chip: Chip, clock_hz: int) -> Iterator[str]:
    """RM0351, section 6.2.5, and RM0432: the VCO runs from 64 to 344 MHz; the port divides 16 MHz by 4."""
    vco_hz = _STM32_INTERNAL_HZ // 4 * chip["pll_n"]
    yield from _vco_complaint(vco_hz, 64 * MHZ, 344 * MHZ)
    yield from _clock_complaint("4 MHz * pll_n / 2", vco_hz / 2, clock_hz)


def pll_of_h7(chip: Chip, clock_hz: int) -> Iterator[str]:
    """RM0433, section 8.5.5: the wide VCO runs from 192 to 836 MHz; the port's PLL input is 2 MHz."""
    if chip["hse_hz"] % (2 * MHZ):
        yield f"'chip.hse_hz' must be a multiple of 2000000 (the PLL's input), found {chip['hse_hz']}"
    vco_hz = 2 * MHZ * chip["pll_n"]
    yield from _vco_complaint(vco_hz, 192 * MHZ, 836 * MHZ)
    yield from _clock_complaint("2 MHz * pll_n / 2", vco_hz / 2, clock_hz)


def pll_of_rp(chip: Chip, clock_hz: int) -> Iterator[str]:
    """RP2040 data sheet, section 2.18.2: the VCO runs from 750 to 1600 MHz."""
    vco_hz = _RP_CRYSTAL_HZ * chip["pll_multiplier"]
    yield from _vco_complaint(vco_hz, 750 * MHZ, 1600 * MHZ)
    yield from _clock_complaint(
        "12 MHz * pll_multiplier / pll_postdiv1 / 2", vco_hz / chip["pll_postdiv1"] / 2, clock_hz
    )


def pll_of_f1(chip: Chip, clock_hz: int) -> Iterator[str]:
    """RM0041, section 6.3.2: the multiplier is a whole number from 2 to 16."""
    if clock_hz % chip["hse_hz"] or not 2 <= clock_hz // chip["hse_hz"] <= 16:
        yield f"'clock_hz' must be 2 to 16 times 'chip.hse_hz' {chip['hse_hz']}, found {clock_hz}"


def fixed_clock(hz: int) -> Clock:
    def complaints(_: Chip, clock_hz: int) -> Iterator[str]:
        if clock_hz != hz:
            yield f"'clock_hz' must be {hz}, the only clock of this chip family's port, found {clock_hz}"

    return complaints


def _vco_complaint(vco_hz: int, least_hz: int, most_hz: int) -> Iterator[str]:
    if not least_hz <= vco_hz <= most_hz:
        limits = f"{least_hz // MHZ} to {most_hz // MHZ} MHz"
        yield f"[chip] makes the PLL's oscillator run at {vco_hz / MHZ:g} MHz; its limits are {limits}"


def _clock_complaint(formula: str, actual_hz: float, clock_hz: int) -> Iterator[str]:
    if actual_hz != clock_hz:
        yield f"[chip] makes a clock of {actual_hz / MHZ:g} MHz ({formula}), but 'clock_hz' is {clock_hz / MHZ:g} MHz"
