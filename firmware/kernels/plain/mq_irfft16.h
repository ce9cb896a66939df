/* The transform of bins from 0 to half the rate to real samples. */
#ifndef MQ_IRFFT16_H
#define MQ_IRFFT16_H

#include "mq_fft16.h"

/* The complex transform that has these bins of a real one, in the order of its first stage. */
MQ_SHARED static void mq_fft16_joined(const mq_complex16_t *x, int32_t half, const uint16_t *order,
                                      const mq_complex16_t *half_turns, mq_complex16_t *y)
{
    const mq_complex16_t ends = {(int16_t)(x[0].re + x[half].re), (int16_t)(x[0].re - x[half].re)};
    for (int32_t i = 0; i < half; i++) {
        const int32_t k = order[i];
        const int32_t low = k <= half / 2 ? k : half - k;
        if (k == 0) {
            y[i] = mq_fft16_divided(ends, 2);
            continue;
        }
        const mq_complex16_t a = mq_fft16_divided(x[low], 2);
        const mq_complex16_t b = mq_fft16_divided(mq_fft16_conjugate(x[half - low]), 2);
        const mq_complex16_t even = mq_fft16_sum(a, b);
        const mq_complex16_t odd = mq_fft16_product(mq_fft16_difference(a, b), half_turns[low - 1]);
        /* The middle element is its own counterpart: the second form is its value. */
        y[i] = k < half / 2 ? mq_fft16_sum(even, odd) : mq_fft16_conjugate(mq_fft16_difference(even, odd));
    }
}

/* x: half + 1 pairs. */
MQ_KERNEL void mq_irfft16(const mq_fft16_t *p, const int16_t *x, const uint16_t *order, const int16_t *turns,
                          const int16_t *half_turns, int16_t *y)
{
    const mq_complex16_t *bins = (const mq_complex16_t *)(const void *)x;
    mq_complex16_t *pairs = (mq_complex16_t *)(void *)y;
    mq_fft16_joined(bins, p->half, order, (const mq_complex16_t *)(const void *)half_turns, pairs);
    mq_fft16_stages(pairs, p->half, (const mq_complex16_t *)(const void *)turns, -1);
}

#endif
