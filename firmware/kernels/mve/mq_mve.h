/* Copies and fills 16 bytes at a time on cores with MVE, with equivalents for other machines; VRSHL. */
#ifndef MQ_MVE_H
#define MQ_MVE_H

#include "mq_common.h"

#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE
#include <arm_mve.h>

MQ_KERNEL void mq_mve_copy(const int8_t *from, int32_t bytes, int8_t *to)
{
    const int32_t whole = bytes / 16 * 16, left = bytes % 16;
#pragma GCC unroll 6
    for (int32_t i = 0; i < whole; i += 16) {
        vstrbq_s8(to + i, vldrbq_s8(from + i));
    }
    if (left) {
        const mve_pred16_t some = vctp8q((uint32_t)left);
        vstrbq_p_s8(to + whole, vldrbq_z_s8(from + whole, some), some);
    }
}

MQ_KERNEL void mq_mve_fill(int32_t value, int32_t bytes, int8_t *to)
{
    const int8x16_t all = vdupq_n_s8((int8_t)value);
    for (; bytes > 0; bytes -= 16, to += 16) {
        vstrbq_p_s8(to, all, vctp8q((uint32_t)bytes));
    }
}

#else

MQ_KERNEL void mq_mve_copy(const int8_t *from, int32_t bytes, int8_t *to)
{
    for (int32_t i = 0; i < bytes; i++) {
        to[i] = from[i];
    }
}

MQ_KERNEL void mq_mve_fill(int32_t value, int32_t bytes, int8_t *to)
{
    for (int32_t i = 0; i < bytes; i++) {
        to[i] = (int8_t)value;
    }
}

/* VRSHL: x / 2^-shift, halves up; -31 <= shift <= 0. */
MQ_KERNEL int32_t mq_mve_rounding_shift(int32_t x, int32_t shift)
{
    return shift == 0 ? x : (int32_t)(((int64_t)x + (INT64_C(1) << (-shift - 1))) >> -shift);
}

#endif

#endif
