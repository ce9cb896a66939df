/* STM32U5: PLL1 from the internal 16 MHz oscillator with the power booster, the instruction cache, USART1. */
#include "port/cortexm/mq_chip.h"

#include "board.h"
#include "port/stm32u5/mq_registers.h"
#include "port/stm32/mq_gpio.h"
#include "port/stm32/mq_usart_v2.h"

enum { MSI_HZ = 4000000, HSI_HZ = 16000000, SOURCE_HSI = 2, PLL_M = 4, PLL_N = 80, PLL_R = 2 };
enum { INPUT_4_TO_8_MHZ = 0, BOOSTER_UNDIVIDED = 0, RANGE_1 = 3, CLOCK_PLL = 3, WAIT_STATES = 4 };

_Static_assert(HSI_HZ / PLL_M * PLL_N / PLL_R == MQ_BOARD_CLOCK_HZ, "an STM32U5 runs at 160 MHz here");
_Static_assert(MQ_BOARD_UART_BASE == USART1_BASE, "[uart] is USART1");

static bool start_power(void)
{
    RCC_AHB3ENR |= RCC_AHB3ENR_PWREN;
    (void)RCC_AHB3ENR;
    mq_change(&PWR_VOSR, PWR_VOSR_VOS, MQ_IN(PWR_VOSR_VOS, RANGE_1));
    return mq_await(&PWR_VOSR, PWR_VOSR_VOSRDY, PWR_VOSR_VOSRDY);
}

/* The booster is clocked by the PLL's source, so that is chosen first. */
static bool start_booster(void)
{
    RCC_CR |= RCC_CR_HSION;
    if (!mq_await(&RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY)) {
        return false;
    }
    RCC_PLL1CFGR = MQ_IN(RCC_PLL1CFGR_PLL1SRC, SOURCE_HSI) | MQ_IN(RCC_PLL1CFGR_PLL1RGE, INPUT_4_TO_8_MHZ) |
                   MQ_IN(RCC_PLL1CFGR_PLL1M, PLL_M - 1) | MQ_IN(RCC_PLL1CFGR_PLL1MBOOST, BOOSTER_UNDIVIDED);
    PWR_VOSR |= PWR_VOSR_BOOSTEN;
    return mq_await(&PWR_VOSR, PWR_VOSR_BOOSTRDY, PWR_VOSR_BOOSTRDY);
}

static bool start_pll(void)
{
    mq_change(&RCC_PLL1DIVR, RCC_PLL1DIVR_PLL1N | RCC_PLL1DIVR_PLL1R,
              MQ_IN(RCC_PLL1DIVR_PLL1N, PLL_N - 1) | MQ_IN(RCC_PLL1DIVR_PLL1R, PLL_R - 1));
    RCC_PLL1CFGR |= RCC_PLL1CFGR_PLL1REN;
    RCC_CR |= RCC_CR_PLL1ON;
    return mq_await(&RCC_CR, RCC_CR_PLL1RDY, RCC_CR_PLL1RDY);
}

static void switch_to_pll(void)
{
    mq_change(&FLASH_ACR, FLASH_ACR_LATENCY, MQ_IN(FLASH_ACR_LATENCY, WAIT_STATES));
    FLASH_ACR |= FLASH_ACR_PRFTEN;
    mq_change(&RCC_CFGR1, RCC_CFGR1_SW, MQ_IN(RCC_CFGR1_SW, CLOCK_PLL));
    (void)mq_await(&RCC_CFGR1, RCC_CFGR1_SWS, MQ_IN(RCC_CFGR1_SWS, CLOCK_PLL));
}

uint32_t mq_chip_init(void)
{
    if (start_power() && start_booster() && start_pll()) {
        switch_to_pll();
    }
    ICACHE_CR |= ICACHE_CR_EN;
    RCC_AHB2ENR1 |= RCC_AHB2ENR1_GPIOAEN << MQ_BOARD_TX_PORT | RCC_AHB2ENR1_GPIOAEN << MQ_BOARD_RX_PORT;
    RCC_APB2ENR |= RCC_APB2ENR_USART1EN;
    (void)RCC_APB2ENR;
    mq_gpio_alternate(MQ_BOARD_TX_PORT, MQ_BOARD_TX_PIN, MQ_CHIP_UART_ALTERNATE);
    mq_gpio_alternate(MQ_BOARD_RX_PORT, MQ_BOARD_RX_PIN, MQ_CHIP_UART_ALTERNATE);
    return (RCC_CFGR1 & RCC_CFGR1_SWS) == MQ_IN(RCC_CFGR1_SWS, CLOCK_PLL) ? MQ_BOARD_CLOCK_HZ : MSI_HZ;
}

uint32_t mq_usart_clock_hz(uint32_t clock_hz)
{
    return clock_hz;
}
