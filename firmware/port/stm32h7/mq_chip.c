/* STM32H743: USART3, PLL1, buses at half the core's clock, the core's caches. */
#include "port/cortexm/mq_chip.h"

#include "board.h"
#include "port/cortexm/mq_cache.h"
#include "port/stm32h7/mq_registers.h"
#include "port/stm32/mq_gpio.h"
#include "port/stm32/mq_usart_v2.h"

enum { HSI_HZ = 64000000, PLL_INPUT_HZ = 2000000, INPUT_2_TO_4_MHZ = 1, SOURCE_HSI = 0, SOURCE_HSE = 2 };
enum { CLOCK_PLL = 3, SCALE_1 = 3, HALF_AHB = 8, HALF_APB = 4, UART_DIVIDER = 4 };

_Static_assert(PLL_INPUT_HZ / 2 * MQ_CHIP_PLL_N == MQ_BOARD_CLOCK_HZ, "[chip] pll_n does not make clock_hz");
_Static_assert(MQ_BOARD_CLOCK_HZ <= 400000000, "voltage scale 1 allows 400 MHz");
_Static_assert(MQ_BOARD_UART_BASE == USART3_BASE, "[uart] is USART3");

/* The supply is set once after power-on; until then nothing else in PWR takes effect. */
static bool start_power(void)
{
    mq_change(&PWR_CR3, PWR_CR3_SCUEN, PWR_CR3_LDOEN);
    (void)mq_await(&PWR_CSR1, PWR_CSR1_ACTVOSRDY, PWR_CSR1_ACTVOSRDY);
    mq_change(&PWR_D3CR, PWR_D3CR_VOS, MQ_IN(PWR_D3CR_VOS, SCALE_1));
    return mq_await(&PWR_D3CR, PWR_D3CR_VOSRDY, PWR_D3CR_VOSRDY);
}

static bool start_hse(void)
{
    RCC_CR |= MQ_CHIP_HSE_IS_BYPASSED ? RCC_CR_HSEBYP : 0;
    RCC_CR |= RCC_CR_HSEON;
    return mq_await(&RCC_CR, RCC_CR_HSERDY, RCC_CR_HSERDY);
}

static bool start_pll(bool from_hse)
{
    const uint32_t source_hz = from_hse ? MQ_CHIP_HSE_HZ : HSI_HZ;
    mq_change(&RCC_PLLCKSELR, RCC_PLLCKSELR_PLLSRC | RCC_PLLCKSELR_DIVM1,
              MQ_IN(RCC_PLLCKSELR_PLLSRC, from_hse ? SOURCE_HSE : SOURCE_HSI) |
                  MQ_IN(RCC_PLLCKSELR_DIVM1, source_hz / PLL_INPUT_HZ));
    mq_change(&RCC_PLLCFGR, RCC_PLLCFGR_PLL1VCOSEL | RCC_PLLCFGR_PLL1RGE,
              MQ_IN(RCC_PLLCFGR_PLL1RGE, INPUT_2_TO_4_MHZ) | RCC_PLLCFGR_DIVP1EN);
    mq_change(&RCC_PLL1DIVR, RCC_PLL1DIVR_N1 | RCC_PLL1DIVR_P1,
              MQ_IN(RCC_PLL1DIVR_N1, MQ_CHIP_PLL_N - 1u) | MQ_IN(RCC_PLL1DIVR_P1, 2u - 1u));
    RCC_CR |= RCC_CR_PLL1ON;
    return mq_await(&RCC_CR, RCC_CR_PLL1RDY, RCC_CR_PLL1RDY);
}

static void switch_to_pll(void)
{
    mq_change(&FLASH_ACR, FLASH_ACR_LATENCY | FLASH_ACR_WRHIGHFREQ,
              MQ_IN(FLASH_ACR_LATENCY, MQ_CHIP_FLASH_WAIT_STATES) | MQ_IN(FLASH_ACR_WRHIGHFREQ, 2));
    mq_change(&RCC_D1CFGR, RCC_D1CFGR_HPRE | RCC_D1CFGR_D1PPRE,
              MQ_IN(RCC_D1CFGR_HPRE, HALF_AHB) | MQ_IN(RCC_D1CFGR_D1PPRE, HALF_APB));
    mq_change(&RCC_D2CFGR, RCC_D2CFGR_D2PPRE1 | RCC_D2CFGR_D2PPRE2,
              MQ_IN(RCC_D2CFGR_D2PPRE1, HALF_APB) | MQ_IN(RCC_D2CFGR_D2PPRE2, HALF_APB));
    mq_change(&RCC_D3CFGR, RCC_D3CFGR_D3PPRE, MQ_IN(RCC_D3CFGR_D3PPRE, HALF_APB));
    mq_change(&RCC_CFGR, RCC_CFGR_SW, MQ_IN(RCC_CFGR_SW, CLOCK_PLL));
    (void)mq_await(&RCC_CFGR, RCC_CFGR_SWS, MQ_IN(RCC_CFGR_SWS, CLOCK_PLL));
}

static void start_uart(void)
{
    RCC_AHB4ENR |= RCC_AHB4ENR_GPIOAEN << MQ_BOARD_TX_PORT | RCC_AHB4ENR_GPIOAEN << MQ_BOARD_RX_PORT;
    RCC_APB1LENR |= RCC_APB1LENR_USART3EN;
    (void)RCC_APB1LENR;
    mq_gpio_alternate(MQ_BOARD_TX_PORT, MQ_BOARD_TX_PIN, MQ_CHIP_UART_ALTERNATE);
    mq_gpio_alternate(MQ_BOARD_RX_PORT, MQ_BOARD_RX_PIN, MQ_CHIP_UART_ALTERNATE);
}

static bool runs_on_pll(void)
{
    return (RCC_CFGR & RCC_CFGR_SWS) == MQ_IN(RCC_CFGR_SWS, CLOCK_PLL);
}

uint32_t mq_chip_init(void)
{
    if (start_power() && start_pll(start_hse())) {
        switch_to_pll();
    }
    mq_cache_on();
    start_uart();
    return runs_on_pll() ? MQ_BOARD_CLOCK_HZ : HSI_HZ;
}

/* Divided by two twice, unless the PLL did not start. */
uint32_t mq_usart_clock_hz(uint32_t clock_hz)
{
    return runs_on_pll() ? clock_hz / UART_DIVIDER : clock_hz;
}
