/* Convolution of int8 images on cores with SMLAD, a pixel of a group at a time: few outputs, or groups; see mq_dot.h.
 *
 * A window is gathered in runs of bytes that are neighbours in the image: its rows, or the channels of a tap where there
 * are groups or a dilation between them. Each run begins at a word.
 */
#ifndef MQ_CONV2D_DOT_H
#define MQ_CONV2D_DOT_H

#include "mq_dot.h"
#include "mq_window.h"

/* Whether a run is a row of the window. */
MQ_KERNEL int mq_conv2d_dot_is_by_rows(const mq_window_t *p)
{
    return p->groups == 1 && (p->dilation_w == 1 || p->k_w == 1);
}

MQ_KERNEL int32_t mq_conv2d_dot_run_words(const mq_window_t *p)
{
    return ((mq_conv2d_dot_is_by_rows(p) ? p->k_w : 1) * (p->in_c / p->groups) + 3) / 4;
}

MQ_KERNEL void mq_conv2d_dot_fill(const mq_window_t *p, int32_t words, uint32_t *to)
{
    const uint32_t zeros = ((uint32_t)p->x_zero & 0xFFu) * 0x01010101u;
    for (int32_t i = 0; i < words; i++) {
        to[i] = zeros;
    }
}

/* Copies a run of `bytes` bytes. */
MQ_KERNEL void mq_conv2d_dot_run(const mq_window_t *p, const int8_t *from, int32_t bytes, uint32_t *to)
{
    if (p->in_c % 4 == 0 && p->in_c / p->groups % 4 == 0) {
        mq_dot_copy_words(from, bytes / 4, to);
    } else {
        mq_dot_copy(from, bytes, to);
    }
}

/* Gathers the row of a window whose first tap is at `from`. */
MQ_KERNEL void mq_conv2d_dot_row(const mq_window_t *p, const int8_t *from, mq_taps_t t, uint32_t *to)
{
    if (t.kx0 == 0 && t.kx1 == p->k_w) {
        mq_conv2d_dot_run(p, from, p->k_w * p->in_c, to);
        return;
    }
    mq_conv2d_dot_fill(p, mq_conv2d_dot_run_words(p), to);
    const int32_t end = t.kx1 * p->in_c;
    if (p->in_c % 4 == 0 && t.kx0 < t.kx1) {
        mq_conv2d_dot_run(p, from + t.kx0 * p->in_c, (t.kx1 - t.kx0) * p->in_c, to + t.kx0 * p->in_c / 4);
        return;
    }
    for (int32_t i = t.kx0 * p->in_c; i < end; i++) {
        ((int8_t *)to)[i] = from[i];
    }
}

/* Gathers the window of a group, whose channels begin at `x`. */
MQ_KERNEL void mq_conv2d_dot_gather(const mq_window_t *p, const int8_t *x, mq_taps_t t, uint32_t *to)
{
    const int32_t words = mq_conv2d_dot_run_words(p);
    const int8_t *row = x + (t.row * p->in_w + t.column) * p->in_c;
    for (int32_t ky = 0; ky < p->k_h; ky++, row += p->dilation_h * p->in_w * p->in_c) {
        const int inside = ky >= t.ky0 && ky < t.ky1 && t.kx0 < t.kx1;
        if (mq_conv2d_dot_is_by_rows(p)) {
            if (inside) {
                mq_conv2d_dot_row(p, row, t, to);
            } else {
                mq_conv2d_dot_fill(p, words, to);
            }
            to += words;
            continue;
        }
        for (int32_t kx = 0; kx < p->k_w; kx++, to += words) {
            if (inside && kx >= t.kx0 && kx < t.kx1) {
                mq_conv2d_dot_run(p, row + kx * p->dilation_w * p->in_c, p->in_c / p->groups, to);
            } else {
                mq_conv2d_dot_fill(p, words, to);
            }
        }
    }
}

/* `weights` and `scale` are those of mq_dot.h, group after group. scratch: the words of a window. */
MQ_KERNEL void mq_conv2d_dot_s8(const mq_window_t *p, const int8_t *x, const int32_t *weights, const int32_t *scale,
                                int32_t *scratch, int8_t *y)
{
    const int32_t depth = p->in_c / p->groups, outputs = p->out_c / p->groups;
    const int32_t words = p->k_h * (mq_conv2d_dot_is_by_rows(p) ? 1 : p->k_w) * mq_conv2d_dot_run_words(p);
    uint32_t *const window = (uint32_t *)scratch;
    for (int32_t n = 0; n < p->batch; n++, x += p->in_h * p->in_w * p->in_c) {
        for (int32_t oy = 0; oy < p->out_h; oy++) {
            for (int32_t ox = 0; ox < p->out_w; ox++) {
                const mq_taps_t taps = MQ_TAPS(p, oy, ox);
                const uint32_t *w = (const uint32_t *)weights;
                for (int32_t group = 0; group < p->groups; group++, y += outputs) {
                    const int32_t *at = scale + group * outputs * MQ_DOT_SCALE;
                    mq_conv2d_dot_gather(p, x + group * depth, taps, window);
                    w = mq_dot(window, words, w, at, outputs, y);
                }
            }
        }
    }
}

#endif
