/* Convolution on cores without SIMD: windows are copied to scratch, a few at a time, and multiplied there. */
#ifndef MQ_CONV2D_SCALAR_H
#define MQ_CONV2D_SCALAR_H

#include "mq_scalar_four.h"
#include "mq_scalar_three.h"
#include "mq_window.h"

/* Inputs of a window, one in every `STEP` elements of a block, and their sum. */
#define MQ_CONV2D_SCALAR_WINDOW(name, type, STEP, OF)                                                                  \
    MQ_SHARED static int32_t name##_taps(const int8_t *from, int32_t count, type *to)                                  \
    {                                                                                                                  \
        int32_t sum = 0;                                                                                               \
        for (int32_t i = 0; i < count; i++, to += STEP) {                                                              \
            const type x = OF(from[i]);                                                                                \
            *to = x;                                                                                                   \
            sum += x;                                                                                                  \
        }                                                                                                              \
        return sum;                                                                                                    \
    }                                                                                                                  \
                                                                                                                       \
    MQ_SHARED static int32_t name##_padding(int32_t value, int32_t count, type *to)                                    \
    {                                                                                                                  \
        for (int32_t i = 0; i < count; i++, to += STEP) {                                                              \
            *to = OF(value);                                                                                           \
        }                                                                                                              \
        return count * OF(value);                                                                                      \
    }                                                                                                                  \
                                                                                                                       \
    /* The window of output pixel (oy, ox), in the order of the weights; returns the sum of its elements. */           \
    MQ_KERNEL int32_t name(const mq_window_t *p, const int8_t *x, int32_t oy, int32_t ox, type *to)             \
    {                                                                                                                  \
        const mq_taps_t t = MQ_TAPS(p, oy, ox);                                                                        \
        const int8_t *row = x + (t.row * p->in_w + t.column) * p->in_c;                                                \
        const int32_t depth = p->in_c, step = STEP * depth;                                                            \
        int32_t sum = 0;                                                                                               \
        for (int32_t ky = 0; ky < p->k_h; ky++, row += p->dilation_h * p->in_w * depth, to += p->k_w * step) {         \
            if (ky < t.ky0 || ky >= t.ky1 || t.kx0 >= t.kx1) {                                                         \
                sum += name##_padding(p->x_zero, p->k_w * depth, to);                                                  \
            } else if (p->dilation_w == 1) {                                                                           \
                sum += name##_padding(p->x_zero, t.kx0 * depth, to);                                                   \
                sum += name##_taps(row + t.kx0 * depth, (t.kx1 - t.kx0) * depth, to + t.kx0 * step);                   \
                sum += name##_padding(p->x_zero, (p->k_w - t.kx1) * depth, to + t.kx1 * step);                         \
            } else {                                                                                                   \
                for (int32_t kx = 0; kx < p->k_w; kx++) {                                                              \
                    const int8_t *from = row + kx * p->dilation_w * depth;                                             \
                    sum += kx >= t.kx0 && kx < t.kx1 ? name##_taps(from, depth, to + kx * step)                        \
                                                     : name##_padding(p->x_zero, depth, to + kx * step);               \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
        return sum;                                                                                                    \
    }

#define MQ_CONV2D_SCALAR_OFFSET(x) (uint8_t)((x) + 128)
#define MQ_CONV2D_SCALAR_SAME(x) (x)
MQ_CONV2D_SCALAR_WINDOW(mq_conv2d_three_window, uint8_t, 3, MQ_CONV2D_SCALAR_OFFSET)
MQ_CONV2D_SCALAR_WINDOW(mq_conv2d_four_window, int32_t, 4, MQ_CONV2D_SCALAR_SAME)
#undef MQ_CONV2D_SCALAR_SAME
#undef MQ_CONV2D_SCALAR_OFFSET
#undef MQ_CONV2D_SCALAR_WINDOW

MQ_KERNEL int32_t mq_conv2d_scalar_depth(const mq_window_t *p)
{
    return p->k_h * p->k_w * p->in_c;
}

/* Taps of a window, padded to a multiple of four. */
MQ_KERNEL mq_scalar_product_t mq_conv2d_scalar_product(const mq_window_t *p, const int8_t *w,
                                                       const int32_t *bias, const int32_t *m, const int8_t *shift)
{
    return (mq_scalar_product_t){
        .w = w,
        .bias = bias,
        .m = m,
        .shift = shift,
        .depth = (mq_conv2d_scalar_depth(p) + 3) / 4 * 4,
        .outputs = p->out_c,
        .y_zero = p->y_zero,
        .act_min = p->act_min,
        .act_max = p->act_max,
    };
}

/* Three windows at a time; scratch is a block of mq_scalar_three.h. */
MQ_KERNEL void mq_conv2d_three_s8(const mq_window_t *p, const int8_t *x, const int8_t *w, const int32_t *bias,
                                  const int32_t *m, const int8_t *shift, uint8_t *scratch, int8_t *y)
{
    const mq_scalar_product_t product = mq_conv2d_scalar_product(p, w, bias, m, shift);
    int32_t filled = 0, sums[3];
    for (int32_t i = 3 * mq_conv2d_scalar_depth(p); i < 3 * product.depth; i++) {
        scratch[i] = 0;
    }
    for (int32_t n = 0; n < p->batch; n++, x += p->in_h * p->in_w * p->in_c) {
        for (int32_t oy = 0; oy < p->out_h; oy++) {
            for (int32_t ox = 0; ox < p->out_w; ox++) {
                sums[filled] = mq_conv2d_three_window(p, x, oy, ox, scratch + filled);
                if (++filled == 3) {
                    mq_scalar_three_pixels(&product, scratch, sums, 3, y);
                    y += 3 * p->out_c;
                    filled = 0;
                }
            }
        }
    }
    if (filled) {
        mq_scalar_three_pixels(&product, scratch, sums, filled, y);
    }
}

/* Four windows at a time; scratch is a block of mq_scalar_four.h, weights begin at words. */
MQ_KERNEL void mq_conv2d_four_s8(const mq_window_t *p, const int8_t *x, const int32_t *w, const int32_t *bias,
                                 const int32_t *m, const int8_t *shift, int32_t *scratch, int8_t *y)
{
    const mq_scalar_product_t product = mq_conv2d_scalar_product(p, (const int8_t *)w, bias, m, shift);
    int32_t filled = 0;
    for (int32_t i = 4 * mq_conv2d_scalar_depth(p); i < 4 * product.depth; i++) {
        scratch[i] = 0;
    }
    for (int32_t n = 0; n < p->batch; n++, x += p->in_h * p->in_w * p->in_c) {
        for (int32_t oy = 0; oy < p->out_h; oy++) {
            for (int32_t ox = 0; ox < p->out_w; ox++) {
                (void)mq_conv2d_four_window(p, x, oy, ox, scratch + filled);
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
