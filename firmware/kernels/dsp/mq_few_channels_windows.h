/* Windows of images of few channels, as halfwords in every other word; see mq_conv2d_few_channels.h. */
#ifndef MQ_FEW_CHANNELS_WINDOWS_H
#define MQ_FEW_CHANNELS_WINDOWS_H

#include "mq_dsp.h"
#include "mq_window.h"

/* k_h * k_w * in_c at most. */
#define MQ_CONV2D_FEW_CHANNELS_MOST 64

MQ_KERNEL int32_t mq_conv2d_few_channels_taps(const mq_window_t *p)
{
    return p->k_h * p->k_w * p->in_c;
}

/* Offset of tap i of a window from its first byte. */
MQ_KERNEL int32_t mq_conv2d_few_channels_offset(const mq_window_t *p, int32_t i)
{
    const int32_t ky = i / (p->k_w * p->in_c), kx = i / p->in_c % p->k_w;
    return (ky * p->dilation_h * p->in_w + kx * p->dilation_w) * p->in_c + i % p->in_c;
}

/* A tap as a halfword, or 0 after the last one. */
MQ_KERNEL uint32_t mq_conv2d_few_channels_tap(const mq_window_t *p, const int8_t *x, int32_t i)
{
    return i < mq_conv2d_few_channels_taps(p) ? (uint32_t)x[mq_conv2d_few_channels_offset(p, i)] : 0;
}

/* A window inside the image: every load has a known offset, and two taps form a word, stored to every other word.
   Eight loads precede their stores, because a load directly after another takes one cycle, a separate one two. */
MQ_KERNEL void mq_conv2d_few_channels_inside(const mq_window_t *p, const int8_t *x, uint32_t *to)
{
    const int32_t taps = mq_conv2d_few_channels_taps(p);
#pragma GCC unroll 8
    for (int32_t i = 0; i < taps; i += 8) {
        uint32_t pairs[4];
        uint32_t tap[8];
#pragma GCC unroll 8
        for (int32_t j = 0; j < 8; j++) {
            tap[j] = mq_conv2d_few_channels_tap(p, x, i + j);
        }
#pragma GCC unroll 4
        for (int32_t j = 0; j < 4; j++) {
            pairs[j] = mq_pkhbt16(tap[2 * j], tap[2 * j + 1]);
        }
#pragma GCC unroll 4
        for (int32_t j = 0; j < 4; j++) {
            if (i + 2 * j < taps) {
                to[i + 2 * j] = pairs[j];
            }
        }
    }
}

/* A window that extends outside: its part inside is copied over padding first. */
MQ_KERNEL void mq_conv2d_few_channels_outside(const mq_window_t *p, const int8_t *x, mq_taps_t t, uint32_t *to)
{
    const int32_t taps = mq_conv2d_few_channels_taps(p);
    uint32_t words[MQ_CONV2D_FEW_CHANNELS_MOST / 4];
    int8_t *const bytes = (int8_t *)words;
    for (int32_t i = 0; i < (taps + 3) / 4; i++) {
        words[i] = (uint8_t)p->x_zero * 0x01010101u;
    }
    for (int32_t ky = t.ky0; ky < t.ky1; ky++) {
        for (int32_t kx = t.kx0; kx < t.kx1; kx++) {
            const int32_t pixel = (t.row + ky * p->dilation_h) * p->in_w + t.column + kx * p->dilation_w;
            for (int32_t c = 0; c < p->in_c; c++) {
                bytes[(ky * p->k_w + kx) * p->in_c + c] = x[pixel * p->in_c + c];
            }
        }
    }
    for (int32_t i = 0; i < taps; i += 4) {
        const uint32_t word = words[i / 4], even = mq_sxtb16(word), odd = mq_sxtb16_ror8(word);
        to[i] = mq_pkhbt16(even, odd);
        if (i + 2 < taps) {
            to[i + 2] = mq_pkhtb16(odd, even);
        }
    }
}

/* The next window: the output's column, the row and column of its first tap, and the position of that tap in the
   image. */
typedef struct {
    int32_t ox, row, column;
    int32_t offset;
} mq_few_channels_place_t;

/* Moves forward by `pixels`, which stay in the row. */
MQ_KERNEL void mq_conv2d_few_channels_step(const mq_window_t *p, mq_few_channels_place_t *at, int32_t pixels)
{
    at->ox += pixels;
    at->column += pixels * p->stride_w;
    at->offset += pixels * p->stride_w * p->in_c;
    if (at->ox == p->out_w) {
        at->ox = 0;
        at->row += p->stride_h;
        at->column = -p->pad_left;
        at->offset += (p->stride_h * p->in_w - p->out_w * p->stride_w) * p->in_c;
    }
}

/* Number of consecutive windows in the row, starting with this one, that are inside the image. */
MQ_KERNEL int32_t mq_conv2d_few_channels_windows_inside(const mq_window_t *p, const mq_few_channels_place_t *at)
{
    const int32_t last_row = p->in_h - 1 - (p->k_h - 1) * p->dilation_h;
    const int32_t last_column = p->in_w - 1 - (p->k_w - 1) * p->dilation_w;
    if (at->row < 0 || at->row > last_row || at->column < 0 || at->column > last_column) {
        return 0;
    }
    return mq_min((last_column - at->column) / p->stride_w + 1, p->out_w - at->ox);
}

/* Gathers one window and moves to the next. */
MQ_KERNEL void mq_conv2d_few_channels_gather(const mq_window_t *p, const int8_t *image,
                                             const mq_few_channels_place_t *at, uint32_t *to)
{
    if (mq_conv2d_few_channels_windows_inside(p, at) > 0) {
        mq_conv2d_few_channels_inside(p, image + at->offset, to);
    } else {
        mq_conv2d_few_channels_outside(
            p, image, mq_taps(at->row, p->dilation_h, p->k_h, p->in_h, at->column, p->dilation_w, p->k_w, p->in_w), to);
    }
}

#endif
