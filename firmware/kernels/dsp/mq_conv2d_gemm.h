/* Convolution of int8 images as matrix product, three pixels at a time; see mq_gemm.h. */
#ifndef MQ_CONV2D_GEMM_H
#define MQ_CONV2D_GEMM_H

#include "mq_gemm.h"
#include "mq_window.h"

/* Words of one window: its bytes, padded with zeros. */
MQ_KERNEL int32_t mq_conv2d_gemm_words(const mq_window_t *p)
{
    return (p->k_h * p->k_w * p->in_c + 3) / 4;
}

/* Copies the window of output pixel (oy, ox) as bytes in the order of the weights. */
MQ_KERNEL void mq_conv2d_gemm_gather(const mq_window_t *p, const int8_t *x, mq_taps_t t, int8_t *to)
{
    for (int32_t ky = 0; ky < p->k_h; ky++) {
        const int8_t *row = x + ((t.row + ky * p->dilation_h) * p->in_w + t.column) * p->in_c;
        for (int32_t kx = 0; kx < p->k_w; kx++, to += p->in_c, row += p->dilation_w * p->in_c) {
            const int inside = ky >= t.ky0 && ky < t.ky1 && kx >= t.kx0 && kx < t.kx1;
            for (int32_t c = 0; c < p->in_c; c++) {
                to[c] = inside ? row[c] : (int8_t)p->x_zero;
            }
        }
    }
}

/* Expands `words` words of padding. */
MQ_KERNEL void mq_conv2d_gemm_pad(const mq_window_t *p, int32_t words, uint32_t *to)
{
    const uint32_t odd = ((uint32_t)p->x_zero & 0xFFFFu) * 0x00010001u;
    const uint32_t even = ((uint32_t)(p->x_zero * 255 + 127) & 0xFFFFu) * 0x00010001u;
    for (int32_t i = 0; i < words; i++, to += 6) {
        to[0] = odd;
        to[3] = even;
    }
}

/* Expands one row of a window; `outside`: it is all padding. */
MQ_KERNEL void mq_conv2d_gemm_row(const mq_window_t *p, const uint32_t *from, mq_taps_t t, int outside,
                                  uint32_t *to)
{
    const int32_t words = p->in_c / 4;
    if (outside) {
        mq_conv2d_gemm_pad(p, p->k_w * words, to);
        return;
    }
    mq_conv2d_gemm_pad(p, t.kx0 * words, to);
    if (p->dilation_w == 1) {
        mq_gemm_expand(from + t.kx0 * words, (t.kx1 - t.kx0) * words, to + 6 * t.kx0 * words);
    } else {
        for (int32_t kx = t.kx0; kx < t.kx1; kx++) {
            mq_gemm_expand(from + kx * p->dilation_w * words, words, to + 6 * kx * words);
        }
    }
    mq_conv2d_gemm_pad(p, (p->k_w - t.kx1) * words, to + 6 * t.kx1 * words);
}

/* Expands a window whose channels are whole words. */
MQ_KERNEL void mq_conv2d_gemm_expand(const mq_window_t *p, const int8_t *x, mq_taps_t t, uint32_t *to)
{
    const int32_t words = p->in_c / 4;
    const uint32_t *from = (const uint32_t *)(const void *)x + (t.row * p->in_w + t.column) * words;
    const int outside = t.kx0 >= t.kx1;
    for (int32_t ky = 0; ky < p->k_h; ky++) {
        const int above_or_below = ky < t.ky0 || ky >= t.ky1;
        mq_conv2d_gemm_row(p, from, t, outside || above_or_below, to);
        from += p->dilation_h * p->in_w * words;
        to += 6 * p->k_w * words;
    }
}

/* Expands the window of output pixel (oy, ox) as pixel `i` of the block. */
MQ_KERNEL void mq_conv2d_gemm_pixel(const mq_window_t *p, const int8_t *x, int32_t oy, int32_t ox, int32_t i,
                                    uint32_t *block, uint32_t *bytes)
{
    const mq_taps_t t = MQ_TAPS(p, oy, ox);
    if (p->in_c % 4 == 0) {
        mq_conv2d_gemm_expand(p, x, t, block + i);
    } else {
        mq_conv2d_gemm_gather(p, x, t, (int8_t *)bytes);
        mq_gemm_expand(bytes, mq_conv2d_gemm_words(p), block + i);
    }
}

/* `stream` is that of mq_gemm.h; an odd output is packed with a twin. scratch, in words: the block, 6 per word of the
   window; if in_c is not a multiple of 4, one per word; if the number of pixels is not a multiple of 3, outputs of
   three. */
MQ_KERNEL void mq_conv2d_gemm(const mq_window_t *p, const int8_t *x, const int32_t *stream, int32_t *scratch,
                              int8_t *y, mq_gemm_kernel_t *kernel, int32_t constants)
{
    const int32_t words = mq_conv2d_gemm_words(p);
    uint32_t *const block = (uint32_t *)scratch;
    uint32_t *const bytes = block + 6 * words;
    uint32_t *const spare = bytes + (p->in_c % 4 ? words : 0);
    const mq_gemm_layer_t layer = mq_gemm_layer(kernel, stream, words, p->out_c, constants, block, spare);
    int32_t pixels = 0;
    if (p->in_c % 4) {
        bytes[words - 1] = 0;
    }
    for (int32_t n = 0; n < p->batch; n++, x += p->in_h * p->in_w * p->in_c) {
        for (int32_t oy = 0; oy < p->out_h; oy++) {
            for (int32_t ox = 0; ox < p->out_w; ox++) {
                mq_conv2d_gemm_pixel(p, x, oy, ox, pixels, block, bytes);
                if (++pixels == 3) {
                    mq_gemm_outputs(&layer, 3, y);
                    y += 3 * p->out_c;
                    pixels = 0;
                }
            }
        }
    }
    if (pixels) {
        mq_gemm_outputs(&layer, pixels, y);
    }
}

#define MQ_DEFINE_CONV2D_GEMM(form, constants)                                                                         \
    MQ_KERNEL void mq_conv2d_gemm_##form##_s8(const mq_window_t *p, const int8_t *x, const int32_t *stream,       \
                                              int32_t *scratch, int8_t *y)                                             \
    {                                                                                                                  \
        mq_conv2d_gemm(p, x, stream, scratch, y, mq_gemm_##form, constants);                                           \
    }

MQ_DEFINE_CONV2D_GEMM(12, 1)
MQ_DEFINE_CONV2D_GEMM(8, 1)
MQ_DEFINE_CONV2D_GEMM(twice, 3)

#undef MQ_DEFINE_CONV2D_GEMM

#endif
