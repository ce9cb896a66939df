/* By set and way: Armv7-M ARM (DDI 0403), sections B2.2.7 and B3.2. */
#include "port/cortexm/mq_cache.h"

#include "port/cortexm/mq_cortexm.h"

#define SCB_CCSIDR MQ_REGISTER(0xE000ED80u)
#define SCB_CCSIDR_NUMSETS MQ_BITS(27, 13)
#define SCB_CCSIDR_ASSOCIATIVITY MQ_BITS(12, 3)
#define SCB_CSSELR MQ_REGISTER(0xE000ED84u)
#define SCB_ICIALLU MQ_REGISTER(0xE000EF50u)
#define SCB_DCISW MQ_REGISTER(0xE000EF60u)
#define SCB_DCCSW MQ_REGISTER(0xE000EF6Cu)

enum { CCR_DC = 1 << 16, CCR_IC = 1 << 17 };
enum { SET_SHIFT = 5, WAY_SHIFT = 30 }; /* a Cortex-M7's lines have 32 bytes, its data cache four ways */

static void all_lines(volatile uint32_t *operation)
{
    SCB_CSSELR = 0; /* the data cache of level 1 */
    mq_barrier();
    const uint32_t size = SCB_CCSIDR;
    const uint32_t sets = (size & SCB_CCSIDR_NUMSETS) >> 13, ways = (size & SCB_CCSIDR_ASSOCIATIVITY) >> 3;
    for (uint32_t set = 0; set <= sets; set++) {
        for (uint32_t way = 0; way <= ways; way++) {
            *operation = set << SET_SHIFT | way << WAY_SHIFT;
        }
    }
    mq_barrier();
}

void mq_cache_on(void)
{
    SCB_ICIALLU = 0;
    mq_barrier();
    if ((SCB_CCR & CCR_DC) == 0) {
        all_lines(&SCB_DCISW);
    }
    SCB_CCR |= CCR_IC | CCR_DC;
    mq_barrier();
}

void mq_cache_clean(void)
{
    if (!mq_is_armv6m() && (SCB_CCR & CCR_DC) != 0) {
        all_lines(&SCB_DCCSW);
    }
}
