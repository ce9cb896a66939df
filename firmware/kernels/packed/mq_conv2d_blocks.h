/* Convolution of int8 images with packed weights on cores with SMLAD, blocks of three pixels; see mq_gemm_sums.h.
 *
 * As many blocks as there is scratch for are expanded; then, pair by pair, the weights of two outputs are unpacked once for
 * all of them. Any bounds, scales, zero points and multipliers.
 */
#ifndef MQ_CONV2D_BLOCKS_H
#define MQ_CONV2D_BLOCKS_H

#include "mq_conv2d_sums.h"
#include "mq_unpack.h"

/* `conv` as mq_window.h says, with groups of 1 and int8 activations. blocks: 1 or more; step: 0 or 1. */
typedef struct {
    mq_window_t conv;
    int32_t blocks; /* blocks that are expanded at a time */
    int32_t step;   /* distance of the factors of outputs: 0 for equal factors */
} mq_conv2d_blocks_t;

/* Parameters of the requantization: one bias per output; m (31 bits) and shift (to the left) are `step` entries
   apart. */
typedef struct {
    const int32_t *bias, *m;
    const int8_t *shift;
} mq_blocks_scale_t;

/* Sum of the bytes of a window. */
MQ_KERNEL int32_t mq_blocks_sum(const uint32_t *bytes, int32_t quads)
{
    int32_t sum = 0;
    for (int32_t k = 0; k < quads; k++) {
        sum = mq_smlad(mq_sxtb16(bytes[k]), 0x00010001u, sum);
        sum = mq_smlad(mq_sxtb16_ror8(bytes[k]), 0x00010001u, sum);
    }
    return sum;
}

/* Output o of the first `pixels` pixels of a block, whose sums of weights and inputs are `sums`, of inputs `inputs`. */
MQ_KERNEL void mq_blocks_requantize(const mq_conv2d_blocks_t *p, const mq_unpack_t *w, const mq_blocks_scale_t *s,
                                    int32_t o, const int32_t *sums, const int32_t *inputs, int32_t pixels, int8_t *y)
{
    const uint32_t zero = (uint32_t)(int32_t)w->zeros[o * w->zeros_step];
    for (int32_t i = 0; i < pixels; i++) {
        const uint32_t centred = (uint32_t)sums[i] - zero * (uint32_t)inputs[i];
        const uint32_t sum = (uint32_t)s->bias[o] + (w->multiplier ? w->multiplier[o] * centred : centred);
        const int32_t v = mq_requantize((int32_t)sum, s->m[o * p->step], s->shift[o * p->step]);
        y[i * p->conv.out_c + o] = (int8_t)mq_stored(v, p->conv.y_zero, p->conv.act_min, p->conv.act_max);
    }
}

/* All outputs of `pixels` expanded pixels. `blocks` is 6 words a four each; `stream` is for the words of two outputs. */
MQ_KERNEL void mq_blocks_outputs(const mq_conv2d_blocks_t *p, const mq_unpack_t *w, const mq_blocks_scale_t *s,
                                 const uint32_t *blocks, const int32_t *inputs, uint32_t *stream, int32_t quads,
                                 int32_t pixels, int8_t *y)
{
    const int32_t outputs = p->conv.out_c;
    for (int32_t o = 0; o < outputs; o += 2) {
        const int32_t twin = mq_min(o + 1, outputs - 1);
        mq_unpack_row(w, o, quads, stream, 2);
        mq_unpack_row(w, twin, quads, stream + 1, 2);
        for (int32_t first = 0; first < pixels; first += 3) {
            const uint32_t *block = blocks + first * 2 * quads;
            const int32_t some = mq_min(3, pixels - first);
            int32_t sums[6];
            mq_gemm_sums(block, block + 6 * quads, stream, sums, 1);
            mq_blocks_requantize(p, w, s, o, sums, inputs + first, some, y + first * outputs);
            if (twin != o) {
                mq_blocks_requantize(p, w, s, twin, sums + 3, inputs + first, some, y + first * outputs);
            }
        }
    }
}

/* scratch, in words: `blocks` blocks of 6 a four of a window, 3 sums a block, the words of two outputs, a window as bytes. */
MQ_KERNEL void mq_conv2d_blocks_s8(const mq_conv2d_blocks_t *p, const int8_t *x, const mq_unpack_t *w,
                                   const int32_t *bias, const int32_t *m, const int8_t *shift, int32_t *scratch,
                                   int8_t *y)
{
    const mq_blocks_scale_t scale = {bias, m, shift};
    const mq_window_t *c = &p->conv;
    const int32_t quads = (c->k_h * c->k_w * c->in_c + 3) / 4;
    uint32_t *const blocks = (uint32_t *)scratch;
    int32_t *const inputs = scratch + p->blocks * 6 * quads;
    uint32_t *const stream = (uint32_t *)inputs + 3 * p->blocks;
    uint32_t *const bytes = stream + 2 * mq_unpack_written(w, quads);
    const int32_t all = c->batch * c->out_h * c->out_w;
    int32_t pixels = 0;
    bytes[quads - 1] = 0;
    for (int32_t pixel = 0; pixel < all; pixel++) {
        const int32_t n = pixel / (c->out_h * c->out_w);
        const mq_taps_t t = MQ_TAPS(c, pixel / c->out_w - n * c->out_h, pixel % c->out_w);
        mq_conv2d_sums_gather(c, x + n * c->in_h * c->in_w * c->in_c, t, (int8_t *)bytes);
        mq_gemm_sums_expand(bytes, quads, blocks + pixels / 3 * 6 * quads + pixels % 3);
        inputs[pixels] = mq_blocks_sum(bytes, quads);
        if (++pixels == 3 * p->blocks || pixel + 1 == all) {
            mq_blocks_outputs(p, w, &scale, blocks, inputs, stream, quads, pixels, y);
            y += pixels * c->out_c;
            pixels = 0;
        }
    }
}

#endif
