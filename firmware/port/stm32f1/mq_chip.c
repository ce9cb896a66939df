/* STM32F100 at up to 24 MHz, where flash needs no wait states: USART1 on PA9 (transmit) and PA10 (receive). */
#include "port/cortexm/mq_chip.h"

#include "board.h"
#include "port/stm32f1/mq_registers.h"
#include "port/stm32/mq_usart_v1.h"

enum { HSI_HZ = 8000000, CLOCK_PLL = 2 };
enum { PIN_OUTPUT_ALTERNATE = 0xB, PIN_INPUT_PULLED = 0x8, TX_SHIFT = 4, RX_SHIFT = 8, RX_PIN = 10 };

_Static_assert(MQ_BOARD_CLOCK_HZ <= 24000000 && MQ_BOARD_CLOCK_HZ % MQ_CHIP_HSE_HZ == 0, "clock_hz is a multiple of hse_hz");
_Static_assert(MQ_BOARD_UART_BASE == USART1_BASE, "[uart] is USART1");
_Static_assert(MQ_BOARD_TX_PORT == 0 && MQ_BOARD_TX_PIN == 9 && MQ_BOARD_RX_PORT == 0 && MQ_BOARD_RX_PIN == 10, "PA9, PA10");

static bool start_hse(void)
{
    RCC_CR |= RCC_CR_HSEON;
    return mq_await(&RCC_CR, RCC_CR_HSERDY, RCC_CR_HSERDY);
}

/* The internal oscillator enters the PLL halved. */
static bool start_pll(bool from_hse)
{
    const uint32_t input_hz = from_hse ? MQ_CHIP_HSE_HZ : HSI_HZ / 2;
    mq_change(&RCC_CFGR, RCC_CFGR_PLLSRC | RCC_CFGR_PLLMULL,
              MQ_IN(RCC_CFGR_PLLSRC, from_hse) | MQ_IN(RCC_CFGR_PLLMULL, MQ_BOARD_CLOCK_HZ / input_hz - 2u));
    RCC_CR |= RCC_CR_PLLON;
    return mq_await(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY);
}

/* A bit of RCC_CR is always on, but in emulators without an RCC: those run at the rated clock. */
static uint32_t running_hz(void)
{
    if (RCC_CR == 0 || (RCC_CFGR & RCC_CFGR_SWS) == MQ_IN(RCC_CFGR_SWS, CLOCK_PLL)) {
        return MQ_BOARD_CLOCK_HZ;
    }
    return HSI_HZ;
}

uint32_t mq_chip_init(void)
{
    if (start_pll(start_hse())) {
        mq_change(&RCC_CFGR, RCC_CFGR_SW, MQ_IN(RCC_CFGR_SW, CLOCK_PLL));
        (void)mq_await(&RCC_CFGR, RCC_CFGR_SWS, MQ_IN(RCC_CFGR_SWS, CLOCK_PLL));
    }
    RCC_APB2ENR |= RCC_APB2ENR_IOPAEN | RCC_APB2ENR_USART1EN;
    GPIOA_ODR |= MQ_BIT(RX_PIN);
    mq_change(&GPIOA_CRH, 0xFFu << TX_SHIFT, (uint32_t)PIN_OUTPUT_ALTERNATE << TX_SHIFT | (uint32_t)PIN_INPUT_PULLED << RX_SHIFT);
    return running_hz();
}

uint32_t mq_usart_clock_hz(uint32_t clock_hz)
{
    return clock_hz;
}
