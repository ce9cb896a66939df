/* Any Cortex-M: its clock is the one that the debug probe finds running. There is no UART; see mq_console.c. */
#include "port/cortexm/mq_chip.h"

#include "board.h"

uint32_t mq_chip_init(void)
{
    return MQ_BOARD_CLOCK_HZ;
}
