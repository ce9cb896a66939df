/* The rows of an image for a row of windows, in a ring in scratch. Pixels are padded to whole words, with image
 * padding beside them, so that windows and channel counts need no special cases. */
#ifndef MQ_RING_H
#define MQ_RING_H

#include "mq_dot.h"
#include "mq_window.h"

MQ_KERNEL int32_t mq_ring_pixel_words(const mq_window_t *p)
{
    return (p->in_c + 3) / 4;
}

MQ_KERNEL int32_t mq_ring_rows(const mq_window_t *p)
{
    return (p->k_h - 1) * p->dilation_h + 1;
}

/* Pixels of a row, padding on both sides included. */
MQ_KERNEL int32_t mq_ring_row_pixels(const mq_window_t *p)
{
    return (p->out_w - 1) * p->stride_w + (p->k_w - 1) * p->dilation_w + 1;
}

MQ_KERNEL int32_t mq_ring_row_words(const mq_window_t *p)
{
    return mq_ring_row_pixels(p) * mq_ring_pixel_words(p);
}

/* Row `iy` of the image, which may be outside it. */
MQ_KERNEL void mq_ring_load_row(const mq_window_t *p, const int8_t *x, int32_t iy, uint32_t *to)
{
    const int32_t words = mq_ring_pixel_words(p), pixels = mq_ring_row_pixels(p);
    const uint32_t zeros = ((uint32_t)p->x_zero & 0xFFu) * 0x01010101u;
    const int inside = iy >= 0 && iy < p->in_h;
    const int32_t first = inside ? mq_min(p->pad_left, pixels) : pixels;
    const int32_t end = inside ? mq_min(p->pad_left + p->in_w, pixels) : pixels;
    for (int32_t i = 0; i < first * words; i++) {
        *to++ = zeros;
    }
    const int8_t *from = x + iy * p->in_w * p->in_c;
    if (p->in_c % 4 == 0) {
        mq_dot_copy_words(from, (end - first) * words, to);
        to += (end - first) * words;
    } else {
        for (int32_t i = first; i < end; i++, from += p->in_c, to += words) {
            mq_dot_copy(from, p->in_c, to);
        }
    }
    for (int32_t i = end * words; i < pixels * words; i++) {
        *to++ = zeros;
    }
}

/* Copies the rows for the windows of output row `oy` that are not in the ring yet. `loaded` counts rows from the
   first row of any window. Returns the new count. */
MQ_KERNEL int32_t mq_ring_load(const mq_window_t *p, const int8_t *x, int32_t oy, int32_t loaded, uint32_t *ring)
{
    const int32_t rows = mq_ring_rows(p), needed = oy * p->stride_h + rows;
    for (loaded = mq_max(loaded, needed - rows); loaded < needed; loaded++) {
        mq_ring_load_row(p, x, loaded - p->pad_top, ring + loaded % rows * mq_ring_row_words(p));
    }
    return loaded;
}

#endif
