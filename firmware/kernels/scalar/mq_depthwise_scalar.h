/* Depthwise convolution on cores without SIMD, windows up to three wide: four outputs of a row at a time.
 *
 * A channel is copied to a plane of its own in scratch, between columns and rows of padding that stay there, so that no tap
 * is outside and the layer runs in place. For a row of three taps there are nine loads for twelve MACs.
 */
#ifndef MQ_DEPTHWISE_SCALAR_H
#define MQ_DEPTHWISE_SCALAR_H

#include "mq_scalar_product.h"

/* Sizes, batch, channels and strides: 1 or more. Windows: at most three wide. pad_top and pad_left: 0 or more, less
   than the plane's height and width. x_zero, y_zero: -128 to 127; -128 <= act_min <= act_max <= 127. Scratch: a
   plane, mq_depthwise_scalar_h times mq_depthwise_scalar_w bytes. */
typedef struct {
    int32_t batch;
    int32_t in_h, in_w, out_h, out_w;
    int32_t channels;
    int32_t k_h;
    int32_t stride_h, stride_w;
    int32_t pad_top, pad_left;
    int32_t x_zero; /* value of the padding */
    int32_t y_zero, act_min, act_max;
} mq_depthwise_scalar_t;

/* The plane: all windows of three columns. */
MQ_KERNEL int32_t mq_depthwise_scalar_h(const mq_depthwise_scalar_t *p)
{
    return (p->out_h - 1) * p->stride_h + p->k_h;
}

MQ_KERNEL int32_t mq_depthwise_scalar_w(const mq_depthwise_scalar_t *p)
{
    return (p->out_w - 1) * p->stride_w + 3;
}

/* Copies a channel to the plane. */
MQ_KERNEL void mq_depthwise_scalar_copy(const mq_depthwise_scalar_t *p, const int8_t *x, int8_t *plane)
{
    const int32_t width = mq_depthwise_scalar_w(p);
    const int32_t rows = mq_min(p->in_h, mq_depthwise_scalar_h(p) - p->pad_top);
    const int32_t columns = mq_min(p->in_w, width - p->pad_left);
    int8_t *to = plane + p->pad_top * width + p->pad_left;
    for (int32_t row = 0; row < rows; row++, to += width - columns, x += (p->in_w - columns) * p->channels) {
        for (int32_t i = 0; i < columns; i++, x += p->channels) {
            *to++ = *x;
        }
    }
}

/* Requantization of a channel's sums. m: 2^30 to 2^31 - 1; right: 0 to 31. */
typedef struct {
    int32_t bias, m, right;
} mq_depthwise_scale_t;

MQ_KERNEL int8_t mq_depthwise_scalar_output(const mq_depthwise_scalar_t *p, mq_depthwise_scale_t s, int32_t sum)
{
    return (int8_t)mq_clamp(mq_scalar_requantize(sum, s.m, s.right) + p->y_zero, p->act_min, p->act_max);
}

/* `count` outputs of a row, at most four. */
MQ_KERNEL void mq_depthwise_scalar_outputs(const mq_depthwise_scalar_t *p, const int8_t *x, const int8_t *w,
                                           mq_depthwise_scale_t s, int32_t count, int8_t *y)
{
    const int32_t width = mq_depthwise_scalar_w(p);
    int32_t sums[4] = {s.bias, s.bias, s.bias, s.bias};
    for (int32_t ky = 0; ky < p->k_h; ky++, x += width, w += 3) {
        const int32_t w0 = w[0], w1 = w[1], w2 = w[2];
#pragma GCC unroll 4
        for (int32_t i = 0; i < count; i++) {
            const int8_t *window = x + i * p->stride_w;
            sums[i] += window[0] * w0 + window[1] * w1 + window[2] * w2;
        }
    }
#pragma GCC unroll 4
    for (int32_t i = 0; i < count; i++) {
        y[i * p->channels] = mq_depthwise_scalar_output(p, s, sums[i]);
    }
}

/* All outputs of a channel. */
MQ_KERNEL void mq_depthwise_scalar_channel(const mq_depthwise_scalar_t *p, const int8_t *plane, const int8_t *w,
                                           mq_depthwise_scale_t s, int8_t *y)
{
    const int32_t width = mq_depthwise_scalar_w(p);
    for (int32_t oy = 0; oy < p->out_h; oy++, plane += p->stride_h * width) {
        const int8_t *x = plane;
        int32_t left = p->out_w;
        for (; left >= 4; left -= 4, x += 4 * p->stride_w, y += 4 * p->channels) {
            mq_depthwise_scalar_outputs(p, x, w, s, 4, y);
        }
        for (; left > 0; left--, x += p->stride_w, y += p->channels) {
            mq_depthwise_scalar_outputs(p, x, w, s, 1, y);
        }
    }
}

/* w: k_h rows of three weights a channel. */
MQ_KERNEL void mq_depthwise_scalar_s8(const mq_depthwise_scalar_t *p, const int8_t *x, const int8_t *w,
                                      const int32_t *bias, const int32_t *m, const int8_t *shift, int8_t *plane,
                                      int8_t *y)
{
    const int32_t bytes = mq_depthwise_scalar_h(p) * mq_depthwise_scalar_w(p);
    memset(plane, p->x_zero, (size_t)bytes);
    for (int32_t n = 0; n < p->batch; n++) {
        for (int32_t c = 0; c < p->channels; c++) {
            mq_depthwise_scalar_copy(p, x + c, plane);
            const mq_depthwise_scale_t s = {bias[c], m[c], -shift[c]};
            mq_depthwise_scalar_channel(p, plane, w + 3 * p->k_h * c, s, y + c);
        }
        x += p->in_h * p->in_w * p->channels;
        y += p->out_h * p->out_w * p->channels;
    }
}

#endif
