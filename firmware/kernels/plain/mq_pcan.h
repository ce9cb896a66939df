/* Per-channel amplitude normalization: a gain that falls with the noise, then a compressive curve. */
#ifndef MQ_PCAN_H
#define MQ_PCAN_H

#include "mq_bits.h"

typedef struct {
    int32_t channels; /* 1 or more */
    int32_t shift;    /* shift of x times gain, 0..31 */
} mq_pcan_t;

/* The table's function of x: on each interval between powers of two a polynomial of the ten bits behind the first. */
MQ_SMALL_CALL int32_t mq_pcan_gain(const int16_t *table, uint32_t x)
{
    if (x <= 2u) {
        return table[x];
    }
    const int32_t bits = mq_bits(x);
    const int16_t *part = table + 4 * bits - 6;
    const uint32_t rest = (bits < 11 ? x << (11 - bits) : x >> (bits - 11)) & 0x3FFu;
    const uint32_t slope = (uint32_t)((part[2] * (int32_t)rest) >> 5) + ((uint32_t)part[1] << 5);
    return (int16_t)(((int32_t)(slope * rest + (1u << 14)) >> 15) + part[0]);
}

/* x^2 / 4 below 2, x - 1 from 2 on; x has 12 fraction bits, the result 6. */
MQ_KERNEL uint32_t mq_pcan_shrunk(uint32_t x)
{
    return x < (2u << 12) ? (x * x) >> 20 : (x >> 6) - (1u << 6);
}

MQ_KERNEL void mq_pcan(const mq_pcan_t *p, const uint32_t *x, const uint32_t *noise, const int16_t *table, uint32_t *y)
{
    for (int32_t c = 0; c < p->channels; c++) {
        const uint32_t gain = (uint32_t)mq_pcan_gain(table, noise[c]);
        y[c] = mq_pcan_shrunk((uint32_t)(((uint64_t)x[c] * gain) >> p->shift));
    }
}

#endif
