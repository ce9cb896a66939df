/* Depthwise convolution of int8 images: output channel c*multiplier + j reads input channel c alone. Any shape. */
#ifndef MQ_DEPTHWISE_H
#define MQ_DEPTHWISE_H

#include "mq_window.h"

/* Sizes in elements. Weights are [k_h][k_w][out_c]; out_c = in_c * multiplier. */
typedef struct {
    int32_t batch;
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, multiplier;
    int32_t k_h, k_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t x_zero, y_zero;   /* -128..127 */
    int32_t act_min, act_max; /* clamp of the stored output */
} mq_depthwise_t;

MQ_KERNEL int32_t mq_depthwise_window_s8(const mq_depthwise_t *p, const int8_t *x, const int8_t *w, int32_t row,
                                         int32_t column, int32_t acc)
{
    const int32_t out_c = p->in_c * p->multiplier;
    const int32_t kx0 = mq_tap_begin(column, p->dilation_w);
    const int32_t kx1 = mq_tap_end(column, p->dilation_w, p->k_w, p->in_w);
    const int32_t ky1 = mq_tap_end(row, p->dilation_h, p->k_h, p->in_h);
    for (int32_t ky = mq_tap_begin(row, p->dilation_h); ky < ky1; ky++) {
        for (int32_t kx = kx0; kx < kx1; kx++) {
            const int32_t pixel = (row + ky * p->dilation_h) * p->in_w + column + kx * p->dilation_w;
            acc += (x[pixel * p->in_c] - p->x_zero) * w[(ky * p->k_w + kx) * out_c];
        }
    }
    return acc;
}

MQ_KERNEL void mq_depthwise_s8(const mq_depthwise_t *p, const int8_t *x, const int8_t *w, const int32_t *bias,
                               const int32_t *m, const int8_t *shift, int8_t *y)
{
    for (int32_t n = 0; n < p->batch; n++, x += p->in_h * p->in_w * p->in_c) {
        for (int32_t oy = 0; oy < p->out_h; oy++) {
            for (int32_t ox = 0; ox < p->out_w; ox++) {
                const int32_t row = oy * p->stride_h - p->pad_top;
                const int32_t column = ox * p->stride_w - p->pad_left;
                for (int32_t o = 0; o < p->in_c * p->multiplier; o++) {
                    const int32_t acc = mq_depthwise_window_s8(p, x + o / p->multiplier, w + o, row, column, bias[o]);
                    const int32_t v = mq_requantize(acc, m[o], shift[o]) + p->y_zero;
                    *y++ = (int8_t)mq_clamp(v, p->act_min, p->act_max);
                }
            }
        }
    }
}

#endif
