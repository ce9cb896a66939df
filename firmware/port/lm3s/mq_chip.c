/* Stellaris LM3S: the 200 MHz of the PLL, divided; UART0 on PA0 (receive) and PA1 (transmit). */
#include "port/cortexm/mq_chip.h"

#include "board.h"
#include "port/lm3s/mq_registers.h"
#include "port/pl011/mq_pl011.h"

enum { PLL_HZ = 200000000, MAIN_OSCILLATOR = 0, CRYSTAL_8_MHZ = 0xE, CRYSTAL_HZ = 8000000 };
enum { UART_PINS = 3, GATE_DELAY_CLOCKS = 8 };

_Static_assert(PLL_HZ % MQ_BOARD_CLOCK_HZ == 0 && MQ_BOARD_CLOCK_HZ <= 50000000, "clock_hz is 200 MHz divided, at most 50 MHz");

/* In the data sheet's order (section 5.3): past the PLL, the crystal, the divider, then the PLL once it has locked. */
static uint32_t start_clock(void)
{
    mq_change(&SYSCTL_RCC, SYSCTL_RCC_USESYSDIV, SYSCTL_RCC_BYPASS);
    SYSCTL_RCC &= ~SYSCTL_RCC_MOSCDIS;
    mq_change(&SYSCTL_RCC, SYSCTL_RCC_XTAL | SYSCTL_RCC_OSCSRC | SYSCTL_RCC_PWRDN,
              MQ_IN(SYSCTL_RCC_XTAL, CRYSTAL_8_MHZ) | MQ_IN(SYSCTL_RCC_OSCSRC, MAIN_OSCILLATOR));
    if (!mq_await(&SYSCTL_RIS, SYSCTL_RIS_PLLLRIS, SYSCTL_RIS_PLLLRIS)) {
        return CRYSTAL_HZ;
    }
    mq_change(&SYSCTL_RCC, SYSCTL_RCC_SYSDIV,
              MQ_IN(SYSCTL_RCC_SYSDIV, PLL_HZ / MQ_BOARD_CLOCK_HZ - 1u) | SYSCTL_RCC_USESYSDIV);
    SYSCTL_RCC &= ~SYSCTL_RCC_BYPASS;
    return MQ_BOARD_CLOCK_HZ;
}

uint32_t mq_chip_init(void)
{
    const uint32_t clock_hz = start_clock();
    SYSCTL_RCGC1 |= SYSCTL_RCGC1_UART0;
    SYSCTL_RCGC2 |= SYSCTL_RCGC2_GPIOA;
    for (volatile int i = 0; i < GATE_DELAY_CLOCKS; i++) {
    }
    GPIOA_AFSEL |= UART_PINS;
    GPIOA_DEN |= UART_PINS;
    return clock_hz;
}

uint32_t mq_pl011_clock_hz(uint32_t clock_hz)
{
    return clock_hz;
}
