/* Common parts of RP2040 and RP2350, for the family's registers, which must be included first: 12 MHz crystal, system
 * PLL, UART0. */
#ifndef MQ_RP_H
#define MQ_RP_H

#include "board.h"
#include "port/cortexm/mq_register.h"

enum { CRYSTAL_HZ = 12000000, RING_HZ = 6500000 /* nominal, about */, PLL_POSTDIV2 = 2 };
enum { XOSC_RANGE_1_TO_15_MHZ = 0xAA0, XOSC_ENABLED = 0xFAB, XOSC_DELAY = CRYSTAL_HZ / 1000 / 256 + 1 };
enum { REF_FROM_XOSC = 2, REF_XOSC_SELECTED = 1 << REF_FROM_XOSC, SYS_FROM_AUX = 1, SYS_AUX_SELECTED = 1 << SYS_FROM_AUX };
enum { FUNCTION_UART = 2 };

_Static_assert(CRYSTAL_HZ * MQ_CHIP_PLL_MULTIPLIER == MQ_BOARD_CLOCK_HZ * MQ_CHIP_PLL_POSTDIV1 * PLL_POSTDIV2, "[chip] pll");

static inline bool mq_rp_release(uint32_t blocks)
{
    RESETS_RESET &= ~blocks;
    return mq_await(&RESETS_RESET_DONE, blocks, blocks);
}

/* Clocks that a boot loader may have left running are not changed before clk_sys uses clk_ref. */
static inline bool mq_rp_start_crystal(void)
{
    XOSC_CTRL = MQ_IN(XOSC_CTRL_FREQ_RANGE, XOSC_RANGE_1_TO_15_MHZ);
    XOSC_STARTUP = XOSC_DELAY;
    XOSC_CTRL |= MQ_IN(XOSC_CTRL_ENABLE, XOSC_ENABLED);
    if (!mq_await(&XOSC_STATUS, XOSC_STATUS_STABLE, XOSC_STATUS_STABLE)) {
        return false;
    }
    CLOCKS_CLK_SYS_CTRL &= ~CLOCKS_CLK_SYS_CTRL_SRC;
    (void)mq_await(&CLOCKS_CLK_SYS_SELECTED, SYS_AUX_SELECTED, 0);
    mq_change(&CLOCKS_CLK_REF_CTRL, CLOCKS_CLK_REF_CTRL_SRC, MQ_IN(CLOCKS_CLK_REF_CTRL_SRC, REF_FROM_XOSC));
    return mq_await(&CLOCKS_CLK_REF_SELECTED, REF_XOSC_SELECTED, REF_XOSC_SELECTED);
}

static inline bool mq_rp_start_pll(void)
{
    RESETS_RESET |= RESETS_RESET_PLL_SYS;
    if (!mq_rp_release(RESETS_RESET_PLL_SYS)) {
        return false;
    }
    mq_change(&PLL_SYS_CS, PLL_SYS_CS_REFDIV, 1);
    PLL_SYS_FBDIV_INT = MQ_CHIP_PLL_MULTIPLIER;
    PLL_SYS_PWR &= ~(PLL_SYS_PWR_PD | PLL_SYS_PWR_VCOPD);
    if (!mq_await(&PLL_SYS_CS, PLL_SYS_CS_LOCK, PLL_SYS_CS_LOCK)) {
        return false;
    }
    PLL_SYS_PRIM = MQ_IN(PLL_SYS_PRIM_POSTDIV1, MQ_CHIP_PLL_POSTDIV1) | MQ_IN(PLL_SYS_PRIM_POSTDIV2, PLL_POSTDIV2);
    PLL_SYS_PWR &= ~PLL_SYS_PWR_POSTDIVPD;
    CLOCKS_CLK_SYS_CTRL &= ~CLOCKS_CLK_SYS_CTRL_AUXSRC; /* 0: the PLL */
    CLOCKS_CLK_SYS_CTRL |= CLOCKS_CLK_SYS_CTRL_SRC;
    return mq_await(&CLOCKS_CLK_SYS_SELECTED, SYS_AUX_SELECTED, SYS_AUX_SELECTED);
}

static inline uint32_t mq_rp_start_clock(void)
{
    if (!mq_rp_start_crystal()) {
        return RING_HZ;
    }
    return mq_rp_start_pll() ? MQ_BOARD_CLOCK_HZ : CRYSTAL_HZ;
}

static inline void mq_rp_start_uart(void)
{
    CLOCKS_CLK_PERI_CTRL = CLOCKS_CLK_PERI_CTRL_ENABLE; /* from clk_sys */
    (void)mq_rp_release(RESETS_RESET_IO_BANK0 | RESETS_RESET_PADS_BANK0 | RESETS_RESET_UART0);
    mq_change(&IO_BANK0_GPIO_CTRL(MQ_BOARD_TX_PIN), IO_BANK0_GPIO0_CTRL_FUNCSEL, FUNCTION_UART);
    mq_change(&IO_BANK0_GPIO_CTRL(MQ_BOARD_RX_PIN), IO_BANK0_GPIO0_CTRL_FUNCSEL, FUNCTION_UART);
}

#endif
