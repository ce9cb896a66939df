/* How registers and their fields are written down: one to a line, so that a test can read them and compare them with the
 * vendor's description. */
#ifndef MQ_REGISTER_H
#define MQ_REGISTER_H

#include <stdbool.h>
#include <stdint.h>

#define MQ_REGISTER(address) (*(volatile uint32_t *)(address))
#define MQ_BIT(n) (UINT32_C(1) << (n))
#define MQ_BITS(high, low) ((UINT32_MAX >> (31 - (high))) & (UINT32_MAX << (low)))
/* `value` shifted to `field`, which is one of the two above. */
#define MQ_IN(field, value) ((uint32_t)(value) * ((field) & (~(field) + 1u)))

/* An oscillator that is slow to start takes some 10 ms: far less than this takes at any clock. */
enum { MQ_WAIT_POLLS = 500000 };

/* Waits until the bits of `field` are `bits`; false after the limit. */
static inline bool mq_await(const volatile uint32_t *reg, uint32_t field, uint32_t bits)
{
    for (uint32_t polls = MQ_WAIT_POLLS; polls > 0; polls--) {
        if ((*reg & field) == bits) {
            return true;
        }
    }
    return false;
}

static inline void mq_change(volatile uint32_t *reg, uint32_t field, uint32_t bits)
{
    *reg = (*reg & ~field) | bits;
}

#endif
