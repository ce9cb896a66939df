/* Convolution of int8 images to few outputs on cores with SMLAD: the products of mq_dot.h over the ring of mq_ring.h.
 *
 * A window with one row is contiguous in the ring. For other windows the rows, or for dilation the taps, are copied
 * to scratch.
 */
#ifndef MQ_CONV2D_RING_H
#define MQ_CONV2D_RING_H

#include "mq_ring.h"

/* Copies a row of the window that begins at `x` in the ring. Returns the end of the copy. */
MQ_KERNEL uint32_t *mq_conv2d_ring_row(const mq_window_t *p, const uint32_t *x, uint32_t *to)
{
    const int32_t words = mq_ring_pixel_words(p);
    if (p->dilation_w == 1 || p->k_w == 1) {
        mq_dot_copy_words((const int8_t *)x, p->k_w * words, to);
    } else {
        for (int32_t kx = 0; kx < p->k_w; kx++) {
            mq_dot_copy_words((const int8_t *)(x + kx * p->dilation_w * words), words, to + kx * words);
        }
    }
    return to + p->k_w * words;
}

/* The window at column `x` of the ring; `slot` is the slot of its first row. */
MQ_KERNEL const uint32_t *mq_conv2d_ring_window(const mq_window_t *p, const uint32_t *x, int32_t slot, uint32_t *to)
{
    if (p->k_h == 1 && (p->dilation_w == 1 || p->k_w == 1)) {
        return x;
    }
    const int32_t rows = mq_ring_rows(p);
    uint32_t *end = to;
    for (int32_t ky = 0; ky < p->k_h; ky++) {
        end = mq_conv2d_ring_row(p, x + slot * mq_ring_row_words(p), end);
        slot += p->dilation_h;
        slot -= slot >= rows ? rows : 0;
    }
    return to;
}

/* `weights` and `scale` are those of mq_dot.h, each tap padded to words. scratch, in words: the ring, a window. */
MQ_KERNEL void mq_conv2d_ring_s8(const mq_window_t *p, const int8_t *x, const int32_t *weights, const int32_t *scale,
                                 int32_t *scratch, int8_t *y)
{
    const int32_t step = p->stride_w * mq_ring_pixel_words(p), rows = mq_ring_rows(p);
    uint32_t *const ring = (uint32_t *)scratch;
    uint32_t *const window = ring + rows * mq_ring_row_words(p);
    for (int32_t n = 0; n < p->batch; n++, x += p->in_h * p->in_w * p->in_c) {
        int32_t loaded = 0;
        for (int32_t oy = 0; oy < p->out_h; oy++) {
            loaded = mq_ring_load(p, x, oy, loaded, ring);
            for (int32_t ox = 0; ox < p->out_w; ox++, y += p->out_c) {
                const uint32_t *at = mq_conv2d_ring_window(p, ring + ox * step, oy * p->stride_h % rows, window);
                mq_dot(at, p->k_h * p->k_w * mq_ring_pixel_words(p), (const uint32_t *)weights, scale, p->out_c, y);
            }
        }
    }
}

#endif
