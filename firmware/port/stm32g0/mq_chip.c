/* STM32G0: the PLL from the internal 16 MHz oscillator, which runs from reset on; USART2. */
#include "port/cortexm/mq_chip.h"

#include "board.h"
#include "port/stm32g0/mq_registers.h"
#include "port/stm32/mq_gpio.h"
#include "port/stm32/mq_usart_v2.h"

enum { HSI_HZ = 16000000, SOURCE_HSI = 2, PLL_N = 8, PLL_R = 2, CLOCK_PLL = 2, WAIT_STATES = 2 };

_Static_assert(HSI_HZ * PLL_N / PLL_R == MQ_BOARD_CLOCK_HZ, "an STM32G0 runs at 64 MHz here");
_Static_assert(MQ_BOARD_UART_BASE == USART2_BASE, "[uart] is USART2");

static bool start_pll(void)
{
    RCC_PLLCFGR = MQ_IN(RCC_PLLCFGR_PLLSRC, SOURCE_HSI) | MQ_IN(RCC_PLLCFGR_PLLM, 0) | MQ_IN(RCC_PLLCFGR_PLLN, PLL_N) |
                  MQ_IN(RCC_PLLCFGR_PLLR, PLL_R - 1) | RCC_PLLCFGR_PLLREN;
    RCC_CR |= RCC_CR_PLLON;
    return mq_await(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY);
}

static void switch_to_pll(void)
{
    mq_change(&FLASH_ACR, FLASH_ACR_LATENCY, MQ_IN(FLASH_ACR_LATENCY, WAIT_STATES));
    FLASH_ACR |= FLASH_ACR_PRFTEN | FLASH_ACR_ICEN;
    (void)mq_await(&FLASH_ACR, FLASH_ACR_LATENCY, MQ_IN(FLASH_ACR_LATENCY, WAIT_STATES));
    mq_change(&RCC_CFGR, RCC_CFGR_SW, MQ_IN(RCC_CFGR_SW, CLOCK_PLL));
    (void)mq_await(&RCC_CFGR, RCC_CFGR_SWS, MQ_IN(RCC_CFGR_SWS, CLOCK_PLL));
}

uint32_t mq_chip_init(void)
{
    if (start_pll()) {
        switch_to_pll();
    }
    RCC_IOPENR |= RCC_IOPENR_GPIOAEN << MQ_BOARD_TX_PORT | RCC_IOPENR_GPIOAEN << MQ_BOARD_RX_PORT;
    RCC_APBENR1 |= RCC_APBENR1_USART2EN;
    (void)RCC_APBENR1;
    mq_gpio_alternate(MQ_BOARD_TX_PORT, MQ_BOARD_TX_PIN, MQ_CHIP_UART_ALTERNATE);
    mq_gpio_alternate(MQ_BOARD_RX_PORT, MQ_BOARD_RX_PIN, MQ_CHIP_UART_ALTERNATE);
    return (RCC_CFGR & RCC_CFGR_SWS) == MQ_IN(RCC_CFGR_SWS, CLOCK_PLL) ? MQ_BOARD_CLOCK_HZ : HSI_HZ;
}

uint32_t mq_usart_clock_hz(uint32_t clock_hz)
{
    return clock_hz;
}
