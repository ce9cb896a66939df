/* Bytes copied and filled 16 at a time on cores with MVE, and the same anywhere else. */
#ifndef MQ_MVE_H
#define MQ_MVE_H

#include "mq_common.h"

#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE
#include <arm_mve.h>

MQ_KERNEL void mq_mve_copy(const int8_t *from, int32_t bytes, int8_t *to)
{
    for (; bytes >= 16; bytes -= 16, from += 16, to += 16) {
        vstrbq_s8(to, vldrbq_s8(from));
    }
    if (bytes) {
        const mve_pred16_t some = vctp8q((uint32_t)bytes);
        vstrbq_p_s8(to, vldrbq_z_s8(from, some), some);
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

#endif

#endif
