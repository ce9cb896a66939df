/* Convolution on cores without SIMD: windows are copied to scratch, a few at a time, and multiplied there. */
#ifndef MQ_CONV2D_SCALAR_H
#define MQ_CONV2D_SCALAR_H

#include "mq_scalar_four.h"
#include "mq_scalar_product.h"
#include "mq_window.h"

typedef struct {
    int32_t batch;
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t k_h, k_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t x_zero; /* what padding holds */
    int32_t y_zero, act_min, act_max;
} mq_conv2d_scalar_t;

/* Puts an input of a window, `step` elements from the one before. */
#define MQ_CONV2D_SCALAR_WINDOW(name, type, step)                                                                      \
    MQ_SHARED static type *name##_taps(const int8_t *from, int32_t count, type *to)                                    \
    {                                                                                                                  \
        for (int32_t i = 0; i < count; i++, to += step) {                                                              \
            *to = from[i];                                                                                             \
        }                                                                                                              \
        return to;                                                                                                     \
    }                                                                                                                  \
                                                                                                                       \
    MQ_SHARED static type *name##_padding(int32_t value, int32_t count, type *to)                                      \
    {                                                                                                                  \
        for (int32_t i = 0; i < count; i++, to += step) {                                                              \
            *to = (type)value;                                                                                         \
        }                                                                                                              \
        return to;                                                                                                     \
    }                                                                                                                  \
                                                                                                                       \
    /* The window of output pixel (oy, ox), in the order of the weights. */                                            \
    MQ_KERNEL void name(const mq_conv2d_scalar_t *p, const int8_t *x, int32_t oy, int32_t ox, type *to)                \
    {                                                                                                                  \
        const mq_taps_t t = MQ_TAPS(p, oy, ox);                                                                        \
        const int8_t *row = x + (t.row * p->in_w + t.column) * p->in_c;                                                \
        for (int32_t ky = 0; ky < p->k_h; ky++, row += p->dilation_h * p->in_w * p->in_c) {                            \
            if (ky < t.ky0 || ky >= t.ky1 || t.kx0 >= t.kx1) {                                                         \
                to = name##_padding(p->x_zero, p->k_w * p->in_c, to);                                                  \
            } else if (p->dilation_w == 1) {                                                                           \
                to = name##_padding(p->x_zero, t.kx0 * p->in_c, to);                                                   \
                to = name##_taps(row + t.kx0 * p->in_c, (t.kx1 - t.kx0) * p->in_c, to);                                \
                to = name##_padding(p->x_zero, (p->k_w - t.kx1) * p->in_c, to);                                        \
            } else {                                                                                                   \
                for (int32_t kx = 0; kx < p->k_w; kx++) {                                                              \
                    const int8_t *from = row + kx * p->dilation_w * p->in_c;                                           \
                    to = kx >= t.kx0 && kx < t.kx1 ? name##_taps(from, p->in_c, to)                                    \
                                                   : name##_padding(p->x_zero, p->in_c, to);                           \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

MQ_CONV2D_SCALAR_WINDOW(mq_conv2d_pair_window, int8_t, 1)
MQ_CONV2D_SCALAR_WINDOW(mq_conv2d_four_window, int32_t, 4)

#undef MQ_CONV2D_SCALAR_WINDOW

/* Two windows as bytes. */
MQ_KERNEL void mq_conv2d_pair_s8(const mq_conv2d_scalar_t *p, const int8_t *x, const int8_t *w, const int32_t *bias,
                                 const int32_t *m, const int8_t *shift, int8_t *scratch, int8_t *y)
{
    const int32_t depth = p->k_h * p->k_w * p->in_c;
    const mq_scalar_product_t product = {w, bias, m, shift, depth, p->out_c, p->y_zero, p->act_min, p->act_max};
    int32_t filled = 0;
    for (int32_t n = 0; n < p->batch; n++, x += p->in_h * p->in_w * p->in_c) {
        for (int32_t oy = 0; oy < p->out_h; oy++) {
            for (int32_t ox = 0; ox < p->out_w; ox++) {
                mq_conv2d_pair_window(p, x, oy, ox, scratch + filled * depth);
                if (++filled == 2) {
                    mq_scalar_pair(&product, scratch, scratch + depth, y, y + p->out_c);
                    y += 2 * p->out_c;
                    filled = 0;
                }
            }
        }
    }
    if (filled) {
        mq_scalar_pair(&product, scratch, scratch, y, y);
    }
}

/* Four windows as words, the inputs of the four in turn; weights filled up with zeros to whole words. */
MQ_KERNEL void mq_conv2d_four_s8(const mq_conv2d_scalar_t *p, const int8_t *x, const int32_t *words,
                                 const int32_t *bias, const int32_t *m, const int8_t *shift, int32_t *scratch, int8_t *y)
{
    const int32_t depth = p->k_h * p->k_w * p->in_c, whole = (depth + 3) / 4 * 4;
    const int8_t *const w = (const int8_t *)words;
    const mq_scalar_product_t product = {w, bias, m, shift, whole, p->out_c, p->y_zero, p->act_min, p->act_max};
    int32_t filled = 0;
    for (int32_t i = 4 * depth; i < 4 * whole; i++) {
        scratch[i] = 0;
    }
    for (int32_t n = 0; n < p->batch; n++, x += p->in_h * p->in_w * p->in_c) {
        for (int32_t oy = 0; oy < p->out_h; oy++) {
            for (int32_t ox = 0; ox < p->out_w; ox++) {
                mq_conv2d_four_window(p, x, oy, ox, scratch + filled);
                if (++filled == 4) {
                    mq_scalar_four_pixels(&product, scratch, 4, y);
                    y += 4 * p->out_c;
                    filled = 0;
                }
            }
        }
    }
    if (filled) {
        mq_scalar_four_pixels(&product, scratch, filled, y);
    }
}

#endif
