"""The chip families of firmware/port, each with its schema."""

from __future__ import annotations

from .chip_clocks import MHZ, fixed_clock, pll_of_f1, pll_of_h7, pll_of_l4, pll_of_rp, pll_with_input
from .chip_family import ChipFamily, ChipKey, UartPort
from .generic_board import PROBE_PORT


def _interval(least: int, most: int) -> range:
    return range(least, most + 1)


_HSE = (
    ChipKey("hse_hz", _interval(4 * MHZ, 50 * MHZ), "frequency of the external clock or crystal"),
    ChipKey("hse_is_bypassed", (0, 1), "1 when the external clock is a signal (an ST-LINK's MCO), 0 for a crystal"),
)
_WAIT_STATES = "wait states at clock_hz and the board's supply voltage, from the reference manual"
_DIVIDERS = (1, 2, 4, 8, 16)
_ALTERNATE = ChipKey("uart_alternate", _interval(0, 15), "alternate function number of the UART pins")
_NOT_LP = ChipKey("uart_is_lp", (0,), "1 when the serial port is an LPUART")
_LP = ChipKey("uart_is_lp", (0, 1), _NOT_LP.meaning)
_PLL_N = "PLL multiplier; the build stops when the PLL does not produce clock_hz"
_PLL = (
    ChipKey("pll_input_hz", (MHZ, 2 * MHZ), "PLL input frequency after its first divider"),
    ChipKey("pll_n", _interval(50, 432), _PLL_N),
    ChipKey("pll_p", (2, 4, 6, 8), "PLL output divider"),
    ChipKey("apb1_divider", _DIVIDERS, "divider from the core clock to the first peripheral bus"),
    ChipKey("apb2_divider", _DIVIDERS, "divider from the core clock to the second peripheral bus"),
)
_RP = (
    ChipKey("pll_multiplier", _interval(16, 320), "PLL multiplier of the 12 MHz crystal"),
    ChipKey("pll_postdiv1", _interval(1, 7), "first output divider of the PLL; the second one is 2"),
)
_STM32_F4 = {
    "USART1": UartPort(0x4001_1000, 37),
    "USART2": UartPort(0x4000_4400, 38),
    "USART3": UartPort(0x4000_4800, 39),
}
_STM32_USART3 = {"USART3": UartPort(0x4000_4800, 39)}
_STM32_L4 = {
    "USART1": UartPort(0x4001_3800, 37),
    "USART2": UartPort(0x4000_4400, 38),
    "LPUART1": UartPort(0x4000_8000, 70),
}
_NRF_UART = {"UART0": UartPort(0x4000_2000, 2)}

FAMILIES = {
    family.name: family
    for family in (
        ChipFamily(
            "stm32f1",
            (ChipKey("hse_hz", _interval(4 * MHZ, 24 * MHZ), _HSE[0].meaning),),
            {"USART1": UartPort(0x4001_3800, 37)},
            pll_of_f1,
        ),
        ChipFamily(
            "stm32f4",
            (
                *_HSE,
                *_PLL,
                ChipKey("flash_wait_states", _interval(0, 7), _WAIT_STATES),
                ChipKey("voltage_scale", _interval(0, 3), "the regulator's VOS field; 0 keeps the reset value"),
                ChipKey("needs_overdrive", (0, 1), "1 when clock_hz requires the regulator's over-drive mode"),
                _ALTERNATE,
            ),
            _STM32_F4,
            pll_with_input(100 * MHZ),
        ),
        ChipFamily(
            "stm32f7",
            (*_HSE, *_PLL, ChipKey("flash_wait_states", _interval(0, 15), _WAIT_STATES), _ALTERNATE, _NOT_LP),
            _STM32_USART3,
            pll_with_input(100 * MHZ),
        ),
        ChipFamily("stm32g0", (_ALTERNATE, _NOT_LP), {"USART2": UartPort(0x4000_4400, 28)}, fixed_clock(64 * MHZ)),
        ChipFamily(
            "stm32h7",
            (
                *_HSE,
                ChipKey("pll_n", _interval(4, 512), _PLL_N),
                ChipKey("flash_wait_states", _interval(0, 15), _WAIT_STATES),
                _ALTERNATE,
                _NOT_LP,
            ),
            _STM32_USART3,
            pll_of_h7,
        ),
        ChipFamily(
            "stm32l4",
            (
                ChipKey("pll_n", _interval(8, 127), _PLL_N),
                ChipKey("flash_wait_states", _interval(0, 15), _WAIT_STATES),
                ChipKey("needs_boost", (0, 1), "1 when clock_hz requires the regulator's boost mode (STM32L4+)"),
                _ALTERNATE,
                _LP,
            ),
            _STM32_L4,
            pll_of_l4,
        ),
        ChipFamily("stm32u5", (_ALTERNATE, _NOT_LP), {"USART1": UartPort(0x4001_3800, 61)}, fixed_clock(160 * MHZ)),
        ChipFamily(
            "nrf51",
            (ChipKey("timer_irq", (8,), "interrupt number of TIMER0"),),
            _NRF_UART,
            fixed_clock(16 * MHZ),
        ),
        ChipFamily("nrf52", (), _NRF_UART, fixed_clock(64 * MHZ)),
        ChipFamily("rp2040", _RP, {"UART0": UartPort(0x4003_4000, 20)}, pll_of_rp),
        ChipFamily("rp2350", _RP, {"UART0": UartPort(0x4007_0000, 33)}, pll_of_rp),
        ChipFamily("lm3s", (), {"UART0": UartPort(0x4000_C000, 5)}),
        ChipFamily("mps2"),
        ChipFamily(PROBE_PORT),
    )
}
"""The families by name. A family of a new folder in firmware/port must be listed here."""
