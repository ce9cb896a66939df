/* The clock of STM32F4 and F7: the PLL from the board's crystal or clock, from the internal oscillator where that does not
 * start. Registers are the family's, included before this. */
#ifndef MQ_PLL_H
#define MQ_PLL_H

#include "board.h"
#include "port/cortexm/mq_register.h"

enum { HSI_HZ = 16000000, PLL_Q = 9 /* unused, at most 48 MHz */ };
enum { CLOCK_PLL = 2 };

_Static_assert(MQ_CHIP_PLL_INPUT_HZ * MQ_CHIP_PLL_N / MQ_CHIP_PLL_P == MQ_BOARD_CLOCK_HZ, "[chip] pll does not make clock_hz");

static inline bool mq_hse_start(void)
{
    RCC_CR |= MQ_CHIP_HSE_IS_BYPASSED ? RCC_CR_HSEBYP : 0;
    RCC_CR |= RCC_CR_HSEON;
    return mq_await(&RCC_CR, RCC_CR_HSERDY, RCC_CR_HSERDY);
}

static inline bool mq_pll_start(bool from_hse)
{
    const uint32_t source_hz = from_hse ? MQ_CHIP_HSE_HZ : HSI_HZ;
    RCC_PLLCFGR = MQ_IN(RCC_PLLCFGR_PLLM, source_hz / MQ_CHIP_PLL_INPUT_HZ) | MQ_IN(RCC_PLLCFGR_PLLN, MQ_CHIP_PLL_N) |
                  MQ_IN(RCC_PLLCFGR_PLLP, MQ_CHIP_PLL_P / 2u - 1u) | MQ_IN(RCC_PLLCFGR_PLLQ, PLL_Q) |
                  MQ_IN(RCC_PLLCFGR_PLLSRC, from_hse);
    RCC_CR |= RCC_CR_PLLON;
    return mq_await(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY);
}

/* 1, 2, 4, 8, 16 as the prescalers' fields have it. */
static inline uint32_t mq_prescaler(uint32_t divider)
{
    uint32_t field = 3;
    for (; divider > 1u; divider /= 2u) {
        field++;
    }
    return field == 3u ? 0u : field;
}

static inline void mq_pll_use(void)
{
    mq_change(&RCC_CFGR, RCC_CFGR_PPRE1 | RCC_CFGR_PPRE2,
              MQ_IN(RCC_CFGR_PPRE1, mq_prescaler(MQ_CHIP_APB1_DIVIDER)) |
                  MQ_IN(RCC_CFGR_PPRE2, mq_prescaler(MQ_CHIP_APB2_DIVIDER)));
    mq_change(&RCC_CFGR, RCC_CFGR_SW, MQ_IN(RCC_CFGR_SW, CLOCK_PLL));
    (void)mq_await(&RCC_CFGR, RCC_CFGR_SWS, MQ_IN(RCC_CFGR_SWS, CLOCK_PLL));
}

/* An oscillator is always on, and so is a bit of RCC_CR, but in emulators without an RCC: those run at the rated clock. */
static inline uint32_t mq_pll_running_hz(void)
{
    const bool is_used = (RCC_CFGR & RCC_CFGR_SWS) == MQ_IN(RCC_CFGR_SWS, CLOCK_PLL);
    return RCC_CR == 0 || is_used ? MQ_BOARD_CLOCK_HZ : HSI_HZ;
}

/* Where the PLL did not start, nothing is divided. */
static inline uint32_t mq_pll_divided(uint32_t clock_hz, uint32_t divider)
{
    return clock_hz == MQ_BOARD_CLOCK_HZ ? clock_hz / divider : clock_hz;
}

#endif
