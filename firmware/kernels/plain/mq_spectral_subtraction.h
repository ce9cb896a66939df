/* Noise is estimated by an exponential average in each channel, and subtracted. */
#ifndef MQ_SPECTRAL_SUBTRACTION_H
#define MQ_SPECTRAL_SUBTRACTION_H

#include "mq_bits.h"

typedef struct {
    int32_t channels;       /* 1 or more */
    uint16_t smoothing[2];  /* weight of the newest value in even and in odd channels, in 2^-bits */
    uint16_t rest[2];       /* the weight of the estimate before */
    uint16_t min_remaining; /* minimum share of a signal that remains, in 2^-bits */
    int32_t up_bits;        /* more fraction bits of the estimate, 0..31 */
    int32_t bits;           /* 0..31 */
    int32_t clamping;       /* 1: the estimate is at most the signal */
} mq_spectral_subtraction_t;

/* before and after may be the same. */
MQ_KERNEL void mq_spectral_subtraction(const mq_spectral_subtraction_t *p, const uint32_t *x, const uint32_t *before,
                                       uint32_t *y, uint32_t *after)
{
    for (int32_t c = 0; c < p->channels; c++) {
        const uint32_t up = x[c] << p->up_bits;
        const uint64_t sum = mq_product_16(up, p->smoothing[c & 1]) + mq_product_16(before[c], p->rest[c & 1]);
        const uint32_t noise = (uint32_t)(sum >> p->bits);
        const uint32_t floor = (uint32_t)(mq_product_16(x[c], p->min_remaining) >> p->bits);
        const uint32_t kept = noise < up ? noise : up;
        const uint32_t left = (up - kept) >> p->up_bits;
        after[c] = p->clamping ? kept : noise;
        y[c] = left > floor ? left : floor;
    }
}

#endif
