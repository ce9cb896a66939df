/* Natural logarithms by a table of log2 with linear interpolation. */
#ifndef MQ_FILTER_BANK_LOG_H
#define MQ_FILTER_BANK_LOG_H

#include "mq_bits.h"

typedef struct {
    int32_t channels; /* 1 or more */
    int32_t scale;    /* factor of the result, 1..2900 */
    int32_t up_bits;  /* x is shifted to the left by these bits first, 0..31 */
} mq_filter_bank_log_t;

/* log2(x) in 2^-16, 1 <= x. The table has log2(1 + k / 128) - k / 128 for k up to 128, in 2^-16. */
MQ_KERNEL uint32_t mq_log2(uint32_t x, const uint16_t *table)
{
    const int32_t whole = mq_bits(x) - 1;
    const uint32_t above = x - (1u << whole);
    const uint32_t fraction = whole < 16 ? above << (16 - whole) : above >> (whole - 16);
    const uint32_t k = fraction >> 9;
    const int32_t between = ((table[k + 1u] - table[k]) * (int32_t)(fraction & 511u)) >> 16;
    return ((uint32_t)whole << 16) + fraction + table[k] + (uint32_t)between;
}

MQ_KERNEL void mq_filter_bank_log(const mq_filter_bank_log_t *p, const uint32_t *x, const uint16_t *table, int16_t *y)
{
    const uint32_t ln2 = 45426u, half = 1u << 15;
    for (int32_t c = 0; c < p->channels; c++) {
        const uint32_t up = x[c] << p->up_bits;
        if (up <= 1u) {
            y[c] = 0;
            continue;
        }
        const uint32_t log2 = mq_log2(up, table);
        const uint32_t natural = (log2 >> 16) * ln2 + (((log2 & 0xFFFFu) * ln2 + half) >> 16);
        const uint32_t scaled = ((uint32_t)p->scale * natural + half) >> 16;
        y[c] = (int16_t)(scaled < INT16_MAX ? scaled : INT16_MAX);
    }
}

#endif
