/* Depthwise convolution over one column or row of pixels without padding, on cores without SIMD. Taps are read where they lie. */
#ifndef MQ_DEPTHWISE_COLUMN_SCALAR_H
#define MQ_DEPTHWISE_COLUMN_SCALAR_H

#include "mq_scalar_product.h"

/* outputs, taps, channels and bytes: 1 or more. y_zero: -128 to 127; -128 <= act_min <= act_max <= 127. */
typedef struct {
    int32_t outputs, taps, channels;
    int32_t tap_bytes;    /* from tap to tap */
    int32_t output_bytes; /* from the first tap of an output to that of the next */
    int32_t y_zero, act_min, act_max;
} mq_column_layer_t;

/* w: the weights of all channels for each tap. bias, m (2^30 to 2^31 - 1) and shift (-31 to 0): one entry a channel. */
MQ_KERNEL void mq_depthwise_column_scalar_s8(const mq_column_layer_t *p, const int8_t *x, const int8_t *w,
                                             const int32_t *bias, const int32_t *m, const int8_t *shift, int8_t *y)
{
    for (int32_t o = 0; o < p->outputs; o++, x += p->output_bytes) {
        for (int32_t c = 0; c < p->channels; c++) {
            const int8_t *tap = x + c, *weight = w + c;
            int32_t sum = bias[c];
#pragma GCC unroll 4
            for (int32_t i = 0; i < p->taps; i++, tap += p->tap_bytes, weight += p->channels) {
                sum += *tap * *weight;
            }
            const int32_t v = mq_scalar_requantize(sum, m[c], -shift[c]);
            *y++ = (int8_t)mq_clamp(v + p->y_zero, p->act_min, p->act_max);
        }
    }
}

#endif
