/* STM32L4 and L4+: the PLL from the internal 16 MHz oscillator (these boards have no other fast one), USART1, USART2
 * or LPUART1. */
#include "port/cortexm/mq_chip.h"

#include "board.h"
#include "port/stm32l4/mq_registers.h"
#include "port/stm32/mq_gpio.h"
#include "port/stm32/mq_usart_v2.h"

enum { MSI_HZ = 4000000, HSI_HZ = 16000000, PLL_M = 4, SOURCE_HSI = 2, CLOCK_PLL = 3, RANGE_1 = 1, HALF_AHB = 8 };
enum { PORT_G = 6 };
enum { SETTLE_LOOPS = 300 }; /* more than 1 us at 120 MHz */

_Static_assert(HSI_HZ / PLL_M * MQ_CHIP_PLL_N / 2 == MQ_BOARD_CLOCK_HZ, "[chip] pll_n does not make clock_hz");
_Static_assert(MQ_BOARD_UART_BASE == USART1_BASE || MQ_BOARD_UART_BASE == USART2_BASE || MQ_BOARD_UART_BASE == LPUART1_BASE,
               "[uart] is USART1, USART2 or LPUART1");

static bool start_power(void)
{
    RCC_APB1ENR1 |= RCC_APB1ENR1_PWREN;
    (void)RCC_APB1ENR1;
    mq_change(&PWR_CR1, PWR_CR1_VOS, MQ_IN(PWR_CR1_VOS, RANGE_1));
    if (MQ_CHIP_NEEDS_BOOST) {
        PWR_CR5 &= ~PWR_CR5_R1MODE;
    }
    if (MQ_BOARD_TX_PORT == PORT_G || MQ_BOARD_RX_PORT == PORT_G) {
        PWR_CR2 |= PWR_CR2_IOSV; /* port G has a supply of its own */
    }
    return mq_await(&PWR_SR2, PWR_SR2_VOSF, 0);
}

static bool start_pll(void)
{
    RCC_CR |= RCC_CR_HSION;
    if (!mq_await(&RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY)) {
        return false;
    }
    RCC_PLLCFGR = MQ_IN(RCC_PLLCFGR_PLLSRC, SOURCE_HSI) | MQ_IN(RCC_PLLCFGR_PLLM, PLL_M - 1) |
                  MQ_IN(RCC_PLLCFGR_PLLN, MQ_CHIP_PLL_N) | RCC_PLLCFGR_PLLREN;
    RCC_CR |= RCC_CR_PLLON;
    return mq_await(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY);
}

/* Beyond 80 MHz by way of half the clock, for a microsecond (RM0432, section 6.2.9). */
static void switch_to_pll(void)
{
    mq_change(&FLASH_ACR, FLASH_ACR_LATENCY, MQ_IN(FLASH_ACR_LATENCY, MQ_CHIP_FLASH_WAIT_STATES));
    FLASH_ACR |= FLASH_ACR_PRFTEN | FLASH_ACR_ICEN | FLASH_ACR_DCEN;
    mq_change(&RCC_CFGR, RCC_CFGR_HPRE, MQ_IN(RCC_CFGR_HPRE, HALF_AHB));
    mq_change(&RCC_CFGR, RCC_CFGR_SW, MQ_IN(RCC_CFGR_SW, CLOCK_PLL));
    (void)mq_await(&RCC_CFGR, RCC_CFGR_SWS, MQ_IN(RCC_CFGR_SWS, CLOCK_PLL));
    for (volatile int i = 0; i < SETTLE_LOOPS; i++) {
    }
    RCC_CFGR &= ~RCC_CFGR_HPRE;
}

static void start_uart(void)
{
    RCC_AHB2ENR |= RCC_AHB2ENR_GPIOAEN << MQ_BOARD_TX_PORT | RCC_AHB2ENR_GPIOAEN << MQ_BOARD_RX_PORT;
    if (MQ_CHIP_UART_IS_LP) {
        RCC_APB1ENR2 |= RCC_APB1ENR2_LPUART1EN;
    } else if (MQ_BOARD_UART_BASE == USART2_BASE) {
        RCC_APB1ENR1 |= RCC_APB1ENR1_USART2EN;
    } else {
        RCC_APB2ENR |= RCC_APB2ENR_USART1EN;
    }
    (void)RCC_APB2ENR;
    mq_gpio_alternate(MQ_BOARD_TX_PORT, MQ_BOARD_TX_PIN, MQ_CHIP_UART_ALTERNATE);
    mq_gpio_alternate(MQ_BOARD_RX_PORT, MQ_BOARD_RX_PIN, MQ_CHIP_UART_ALTERNATE);
}

uint32_t mq_chip_init(void)
{
    if (start_power() && start_pll()) {
        switch_to_pll();
    }
    start_uart();
    return (RCC_CFGR & RCC_CFGR_SWS) == MQ_IN(RCC_CFGR_SWS, CLOCK_PLL) ? MQ_BOARD_CLOCK_HZ : MSI_HZ;
}

uint32_t mq_usart_clock_hz(uint32_t clock_hz)
{
    return clock_hz;
}
