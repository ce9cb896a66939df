/* Convolution with MVE: windows are copied to scratch, some at a time, and multiplied there; see mq_mve_product.h. */
#ifndef MQ_CONV2D_MVE_H
#define MQ_CONV2D_MVE_H

#include "mq_mve.h"
#include "mq_mve_product.h"
#include "mq_window.h"

/* Sizes, batch, strides and dilations: 1 or more; out_c: less than 2^15; pads: 0 or more, pad_top less in a strip
   (mq_strips.h). x_zero, y_zero: -128 to 127; -128 <= act_min <= act_max <= 127. windows: even, 2 to 16. x and y:
   [batch][height][width][channels]; stream: see mq_mve_product.h, aligned to 4 bytes; scratch: windows times k_h *
   k_w * in_c rounded up to a multiple of 16, bytes. */
typedef struct {
    int32_t batch;
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t k_h, k_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t windows; /* windows that scratch holds */
    int32_t x_zero;  /* value of the padding */
    int32_t y_zero, act_min, act_max;
} mq_conv2d_mve_t;

/* Bytes of a window in scratch: whole vectors. Bytes after its taps have weights of 0. */
MQ_KERNEL int32_t mq_conv2d_mve_bytes(const mq_conv2d_mve_t *p)
{
    return (p->k_h * p->k_w * p->in_c + 15) / 16 * 16;
}

/* One row of a window's taps, some of them inside the image. `from` is the position of tap 0, which may be outside. */
MQ_KERNEL void mq_conv2d_mve_row(const mq_conv2d_mve_t *p, const int8_t *from, mq_taps_t t, int8_t *to)
{
    const int32_t depth = p->in_c, before = t.kx0 * depth, behind = t.kx1 * depth;
    mq_mve_fill(p->x_zero, before, to);
    if (p->dilation_w == 1) {
        mq_mve_copy(from + before, behind - before, to + before);
    } else {
        for (int32_t kx = t.kx0; kx < t.kx1; kx++) {
            mq_mve_copy(from + kx * p->dilation_w * depth, depth, to + kx * depth);
        }
    }
    mq_mve_fill(p->x_zero, p->k_w * depth - behind, to + behind);
}

/* The window of output pixel (oy, ox) in the order of the weights, for a window that extends past the image. */
MQ_KERNEL void mq_conv2d_mve_border(const mq_conv2d_mve_t *p, const int8_t *x, int32_t oy, int32_t ox, int8_t *to)
{
    const mq_taps_t t = MQ_TAPS(p, oy, ox);
    const int8_t *from = x + (t.row * p->in_w + t.column) * p->in_c;
#pragma GCC unroll 1
    for (int32_t ky = 0; ky < p->k_h; ky++) {
        if (ky >= t.ky0 && ky < t.ky1 && t.kx0 < t.kx1) {
            mq_conv2d_mve_row(p, from, t, to);
        } else {
            mq_mve_fill(p->x_zero, p->k_w * p->in_c, to);
        }
        from += p->dilation_h * p->in_w * p->in_c;
        to += p->k_w * p->in_c;
    }
}

/* The same for a window inside the image. `from` is the position of its first tap. */
MQ_KERNEL void mq_conv2d_mve_inside(const mq_conv2d_mve_t *p, const int8_t *from, int8_t *to)
{
    const int32_t taps = p->dilation_w == 1 ? p->k_w : 1; /* that are neighbours */
#pragma GCC unroll 4
    for (int32_t ky = 0; ky < p->k_h; ky++, from += p->dilation_h * p->in_w * p->in_c) {
#pragma GCC unroll 4
        for (int32_t kx = 0; kx < p->k_w; kx += taps, to += taps * p->in_c) {
            mq_mve_copy(from + kx * p->dilation_w * p->in_c, taps * p->in_c, to);
        }
    }
}

/* Whether all taps from `start` are inside an image of `size` pixels. */
MQ_KERNEL int mq_conv2d_mve_fits(int32_t start, int32_t taps, int32_t dilation, int32_t size)
{
    return start >= 0 && start + (taps - 1) * dilation < size;
}

MQ_KERNEL void mq_conv2d_mve_window(const mq_conv2d_mve_t *p, const int8_t *x, int32_t oy, int32_t ox, int8_t *to)
{
    const int32_t row = oy * p->stride_h - p->pad_top, column = ox * p->stride_w - p->pad_left;
    if (mq_conv2d_mve_fits(row, p->k_h, p->dilation_h, p->in_h) &&
        mq_conv2d_mve_fits(column, p->k_w, p->dilation_w, p->in_w)) {
        mq_conv2d_mve_inside(p, x + (row * p->in_w + column) * p->in_c, to);
    } else {
        mq_conv2d_mve_border(p, x, oy, ox, to);
    }
}

/* `stream` is that of mq_mve_product.h, without a head; scratch holds `windows` windows. */
MQ_KERNEL void mq_conv2d_mve(const mq_conv2d_mve_t *p, const int8_t *x, const int32_t *stream, int8_t *scratch,
                             int8_t *y, mq_mve_product_kernel_t *kernel)
{
    const int32_t bytes = mq_conv2d_mve_bytes(p);
    const mq_mve_product_t product = {
        .stream = stream,
        .x_step = bytes,
        .outputs = mq_max(p->out_c, 4),
        .vectors = bytes / 16,
        .y_zero = p->y_zero,
        .act_min = p->act_min,
        .act_max = p->act_max,
    };
    int32_t filled = 0;
    for (int32_t n = 0; n < p->batch; n++, x += p->in_h * p->in_w * p->in_c) {
        for (int32_t oy = 0; oy < p->out_h; oy++) {
            for (int32_t ox = 0; ox < p->out_w; ox++) {
                mq_conv2d_mve_window(p, x, oy, ox, scratch + filled * bytes);
                if (++filled == p->windows) {
                    mq_mve_product_any(&product, scratch, y, filled, p->out_c, kernel);
                    y += filled * p->out_c;
                    filled = 0;
                }
            }
        }
    }
    if (filled) {
        mq_mve_product_any(&product, scratch, y, filled, p->out_c, kernel);
    }
}

#define MQ_DEFINE_CONV2D_MVE(form)                                                                                     \
    MQ_KERNEL void mq_conv2d_mve_##form##_s8(const mq_conv2d_mve_t *p, const int8_t *x, const int32_t *stream,         \
                                             int8_t *scratch, int8_t *y)                                               \
    {                                                                                                                  \
        mq_conv2d_mve(p, x, stream, scratch, y, mq_mve_product_##form);                                                \
    }

MQ_DEFINE_CONV2D_MVE(above)
MQ_DEFINE_CONV2D_MVE(signed)
MQ_DEFINE_CONV2D_MVE(clamped)

#undef MQ_DEFINE_CONV2D_MVE

#endif
