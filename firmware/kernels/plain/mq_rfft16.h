/* The transform of real samples to the bins from 0 to half the rate. */
#ifndef MQ_RFFT16_H
#define MQ_RFFT16_H

#include "mq_fft16.h"

/* The pairs of x in the order of the first stage, zeros behind the samples. */
MQ_KERNEL void mq_fft16_ordered(const mq_fft16_t *p, const int16_t *x, const uint16_t *order, mq_complex16_t *y)
{
    for (int32_t i = 0; i < p->half; i++) {
        const int32_t from = 2 * order[i];
        y[i].re = from < p->samples ? x[from] : 0;
        y[i].im = from + 1 < p->samples ? x[from + 1] : 0;
    }
}

/* Bins 0 to half of the real transform from the complex one, in place. */
MQ_SHARED static void mq_fft16_parted(mq_complex16_t *x, int32_t half, const mq_complex16_t *half_turns)
{
    const mq_complex16_t first = mq_fft16_divided(x[0], 2);
    x[0] = (mq_complex16_t){(int16_t)(first.re + first.im), 0};
    x[half] = (mq_complex16_t){(int16_t)(first.re - first.im), 0};
    for (int32_t k = 1; k <= half / 2; k++) {
        const mq_complex16_t a = mq_fft16_divided(x[k], 2);
        const mq_complex16_t b = mq_fft16_divided(mq_fft16_conjugate(x[half - k]), 2);
        const mq_complex16_t sum = mq_fft16_sum(a, b);
        const mq_complex16_t turned = mq_fft16_product(mq_fft16_difference(a, b), half_turns[k - 1]);
        x[k] = (mq_complex16_t){(int16_t)((sum.re + turned.re) >> 1), (int16_t)((sum.im + turned.im) >> 1)};
        x[half - k] = (mq_complex16_t){(int16_t)((sum.re - turned.re) >> 1), (int16_t)((turned.im - sum.im) >> 1)};
    }
}

/* y: half + 1 pairs. */
MQ_KERNEL void mq_rfft16(const mq_fft16_t *p, const int16_t *x, const uint16_t *order, const int16_t *turns,
                         const int16_t *half_turns, int16_t *y)
{
    mq_complex16_t *bins = (mq_complex16_t *)(void *)y;
    mq_fft16_ordered(p, x, order, bins);
    mq_fft16_stages(bins, p->half, (const mq_complex16_t *)(const void *)turns, 1);
    mq_fft16_parted(bins, p->half, (const mq_complex16_t *)(const void *)half_turns);
}

#endif
