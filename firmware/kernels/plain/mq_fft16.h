/* Fourier transforms of real 16-bit samples, as kissfft computes them in fixed point (mcuquant/arithmetic/fft16.py).

   A real transform of n samples is a complex one of n / 2 pairs, and a step that parts the two halves. Each butterfly
   divides its inputs by its radix first; a product is rounded once; sums wrap to 16 bits. */
#ifndef MQ_FFT16_H
#define MQ_FFT16_H

#include "mq_common.h"

/* Constants of one length, in 1/32767: `turns` are exp(-2 pi i k / half) of each k, conjugated for the inverse,
   `half_turns` exp(-pi i ((k + 1) / half + 1/2)) of k < half / 2, likewise. `order` is the element that each place begins
   with. */
typedef struct {
    int16_t re, im;
} mq_complex16_t;

typedef struct {
    int32_t half;    /* complex elements: a power of two from 8 to 2048 */
    int32_t samples; /* number of input samples, 1 to 2 * half; zeros follow them */
} mq_fft16_t;

MQ_KERNEL int16_t mq_fft16_rounded(uint32_t x)
{
    return (int16_t)((int32_t)(x + (1u << 14)) >> 15);
}

/* x / divisor, 2 or 4. */
MQ_KERNEL mq_complex16_t mq_fft16_divided(mq_complex16_t x, int32_t divisor)
{
    const int32_t factor = INT16_MAX / divisor;
    return (mq_complex16_t){mq_fft16_rounded((uint32_t)(x.re * factor)), mq_fft16_rounded((uint32_t)(x.im * factor))};
}

MQ_KERNEL mq_complex16_t mq_fft16_product(mq_complex16_t a, mq_complex16_t b)
{
    const uint32_t re = (uint32_t)(a.re * b.re) - (uint32_t)(a.im * b.im);
    const uint32_t im = (uint32_t)(a.re * b.im) + (uint32_t)(a.im * b.re);
    return (mq_complex16_t){mq_fft16_rounded(re), mq_fft16_rounded(im)};
}

MQ_KERNEL mq_complex16_t mq_fft16_sum(mq_complex16_t a, mq_complex16_t b)
{
    return (mq_complex16_t){(int16_t)(a.re + b.re), (int16_t)(a.im + b.im)};
}

MQ_KERNEL mq_complex16_t mq_fft16_difference(mq_complex16_t a, mq_complex16_t b)
{
    return (mq_complex16_t){(int16_t)(a.re - b.re), (int16_t)(a.im - b.im)};
}

MQ_KERNEL mq_complex16_t mq_fft16_conjugate(mq_complex16_t x)
{
    return (mq_complex16_t){x.re, (int16_t)-x.im};
}

/* Places k, k + span and so on; `step` is the distance of their factors in the table. */
MQ_KERNEL void mq_fft16_two(mq_complex16_t *x, int32_t span, int32_t step, const mq_complex16_t *turns)
{
    for (int32_t k = 0; k < span; k++) {
        const mq_complex16_t a = mq_fft16_divided(x[k], 2);
        const mq_complex16_t b = mq_fft16_product(mq_fft16_divided(x[k + span], 2), turns[k * step]);
        x[k] = mq_fft16_sum(a, b);
        x[k + span] = mq_fft16_difference(a, b);
    }
}

MQ_KERNEL void mq_fft16_four(mq_complex16_t *x, int32_t span, int32_t step, const mq_complex16_t *turns, int32_t sign)
{
    for (int32_t k = 0; k < span; k++) {
        const mq_complex16_t a = mq_fft16_divided(x[k], 4);
        const mq_complex16_t b = mq_fft16_product(mq_fft16_divided(x[k + span], 4), turns[k * step]);
        const mq_complex16_t c = mq_fft16_product(mq_fft16_divided(x[k + 2 * span], 4), turns[2 * k * step]);
        const mq_complex16_t d = mq_fft16_product(mq_fft16_divided(x[k + 3 * span], 4), turns[3 * k * step]);
        const mq_complex16_t low = mq_fft16_difference(a, c), high = mq_fft16_sum(a, c);
        const mq_complex16_t even = mq_fft16_sum(b, d), odd = mq_fft16_difference(b, d);
        const mq_complex16_t quarter = {(int16_t)(sign * odd.im), (int16_t)(-sign * odd.re)};
        x[k] = mq_fft16_sum(high, even);
        x[k + span] = mq_fft16_sum(low, quarter);
        x[k + 2 * span] = mq_fft16_difference(high, even);
        x[k + 3 * span] = mq_fft16_difference(low, quarter);
    }
}

/* All stages over x, whose elements are in the order of the first one. `sign` is 1, or -1 for the inverse. */
MQ_SHARED __attribute__((unused)) static void mq_fft16_stages(mq_complex16_t *x, int32_t half, const mq_complex16_t *turns, int32_t sign)
{
    int32_t span = 1;
    if ((half & 0x55555555) == 0) {
        for (int32_t i = 0; i < half; i += 2) {
            mq_fft16_two(x + i, 1, half / 2, turns);
        }
        span = 2;
    }
    for (; span < half; span *= 4) {
        for (int32_t i = 0; i < half; i += 4 * span) {
            mq_fft16_four(x + i, span, half / (4 * span), turns, sign);
        }
    }
}

#endif
