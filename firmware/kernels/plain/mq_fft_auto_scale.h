/* Samples shifted to the left as far as none overflows: a transform in 16 bits then loses the least. */
#ifndef MQ_FFT_AUTO_SCALE_H
#define MQ_FFT_AUTO_SCALE_H

#include "mq_bits.h"

typedef struct {
    int32_t count;          /* 1 or more */
    int32_t ignores_lowest; /* 1: -32768 does not count, and the shift is 15 where all others are 0 */
} mq_fft_auto_scale_t;

/* The largest absolute value in 16 bits. That of -32768 is -32768 there: the next element is larger, whatever it is. */
MQ_KERNEL int32_t mq_largest_16(const int16_t *x, int32_t count)
{
    int32_t largest = 0;
    for (int32_t i = 0; i < count; i++) {
        if (x[i] > largest) {
            largest = x[i];
        } else if (-x[i] > largest) {
            largest = (int16_t)-x[i];
        }
    }
    return largest;
}

/* The largest absolute value but that of -32768. */
MQ_KERNEL int32_t mq_largest_15(const int16_t *x, int32_t count)
{
    int32_t largest = 0;
    for (int32_t i = 0; i < count; i++) {
        const int32_t size = x[i] < 0 ? -x[i] : x[i];
        largest = size > largest && size <= INT16_MAX ? size : largest;
    }
    return largest;
}

MQ_KERNEL int32_t mq_free_bits(const mq_fft_auto_scale_t *p, const int16_t *x)
{
    if (p->ignores_lowest) {
        return 15 - mq_bits((uint32_t)mq_largest_15(x, p->count));
    }
    const int32_t largest = mq_largest_16(x, p->count);
    return largest > 0 ? 15 - mq_bits((uint32_t)largest) : 0;
}

/* x and y may be the same. */
MQ_KERNEL void mq_fft_auto_scale(const mq_fft_auto_scale_t *p, const int16_t *x, int16_t *y, int32_t *shift)
{
    const int32_t bits = mq_free_bits(p, x);
    for (int32_t i = 0; i < p->count; i++) {
        y[i] = (int16_t)(x[i] * (1 << bits));
    }
    *shift = bits;
}

#endif
