/* Depthwise convolution over one column or row of pixels without padding, four channels at a time on cores with MVE. */
#ifndef MQ_DEPTHWISE_COLUMN_MVE_H
#define MQ_DEPTHWISE_COLUMN_MVE_H

#include "mq_depthwise_column_scalar.h"
#include "mq_mve.h"

#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE

/* Parameters are those of mq_depthwise_column_scalar_s8. */
MQ_KERNEL void mq_depthwise_column_mve_s8(const mq_column_layer_t *p, const int8_t *x, const int8_t *w,
                                          const int32_t *bias, const int32_t *m, const int8_t *shift, int8_t *y)
{
    const int32x4_t low = vdupq_n_s32(p->act_min), high = vdupq_n_s32(p->act_max);
    for (int32_t o = 0; o < p->outputs; o++, x += p->output_bytes, y += p->channels) {
        for (int32_t c = 0; c < p->channels; c += 4) {
            const mve_pred16_t some = vctp32q((uint32_t)(p->channels - c));
            const int8_t *tap = x + c, *weight = w + c;
            int32x4_t sums = vldrwq_z_s32(bias + c, some);
#pragma GCC unroll 4
            for (int32_t i = 0; i < p->taps; i++, tap += p->tap_bytes, weight += p->channels) {
                sums = vaddq_s32(sums, vmulq_s32(vldrbq_z_s32(tap, some), vldrbq_z_s32(weight, some)));
            }
            sums = vqrdmulhq_s32(sums, vldrwq_z_s32(m + c, some));
            sums = vaddq_s32(sums, vshrq_n_s32(sums, 31));
            sums = vaddq_n_s32(vrshlq_s32(sums, vldrbq_z_s32(shift + c, some)), p->y_zero);
            vstrbq_p_s32(y + c, vminq_s32(vmaxq_s32(sums, low), high), some);
        }
    }
}

#else

MQ_KERNEL void mq_depthwise_column_mve_s8(const mq_column_layer_t *p, const int8_t *x, const int8_t *w,
                                          const int32_t *bias, const int32_t *m, const int8_t *shift, int8_t *y)
{
    mq_depthwise_column_scalar_s8(p, x, w, bias, m, shift, y);
}

#endif

#endif
