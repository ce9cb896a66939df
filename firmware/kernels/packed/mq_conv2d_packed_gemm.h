/* Convolution of int8 images with packed weights as matrix product, on cores with SMLAD; see mq_gemm.h and mq_unpack_pairs.h.
 *
 * As many blocks of three pixels as there is scratch for are expanded at a time; then the weights of some outputs are
 * unpacked into a stream, which all these blocks are multiplied with.
 */
#ifndef MQ_CONV2D_PACKED_GEMM_H
#define MQ_CONV2D_PACKED_GEMM_H

#include "mq_conv2d_gemm.h"
#include "mq_unpack_pairs.h"

/* `conv` as mq_window.h says, with groups of 1 and int8 activations. blocks: 1 or more; outputs: even, 2 or more;
   step: 0 or the words of one requantization. */
typedef struct {
    mq_window_t conv;
    int32_t blocks;  /* blocks that are expanded at a time */
    int32_t outputs; /* outputs that are unpacked at a time: even */
    int32_t step;    /* distance of the requantizations of outputs: 0 for equal ones */
} mq_conv2d_packed_gemm_t;

/* Initial sums, one entry per output, and their requantization: see mq_gemm.h. */
typedef struct {
    const int32_t *start, *constants;
} mq_packed_gemm_scale_t;

/* The parts of scratch. */
typedef struct {
    uint32_t *table, *blocks, *bytes, *stream;
    int8_t *spare; /* the outputs of three pixels */
    int32_t words; /* words of a window */
    int32_t ends;  /* words of constants of an output */
} mq_packed_gemm_room_t;

/* The next pixel to expand. */
typedef struct {
    const int8_t *x;
    int32_t oy, ox;
} mq_packed_gemm_at_t;

MQ_KERNEL void mq_packed_gemm_next(const mq_window_t *p, mq_packed_gemm_at_t *at)
{
    if (++at->ox == p->out_w) {
        at->ox = 0;
        if (++at->oy == p->out_h) {
            at->oy = 0;
            at->x += p->in_h * p->in_w * p->in_c;
        }
    }
}

/* `pixels` pixels become blocks. */
MQ_KERNEL void mq_packed_gemm_expand(const mq_window_t *p, const mq_packed_gemm_room_t *r, int32_t pixels,
                                     mq_packed_gemm_at_t *at)
{
    uint32_t *block = r->blocks;
    for (int32_t i = 0, k = 0; i < pixels; i++) {
        mq_conv2d_gemm_pixel(p, at->x, at->oy, at->ox, k, block, r->bytes);
        mq_packed_gemm_next(p, at);
        if (++k == 3) {
            k = 0;
            block += 6 * r->words;
        }
    }
}

/* Output o and its twin in the format of a stream. Returns the end. */
MQ_KERNEL uint32_t *mq_packed_gemm_pair(const mq_conv2d_packed_gemm_t *p, const mq_unpack_t *w,
                                        const mq_packed_gemm_scale_t *s, const mq_packed_gemm_room_t *r, int32_t o,
                                        uint32_t *to)
{
    const int32_t both[2] = {o, mq_min(o + 1, p->conv.out_c - 1)};
    uint32_t *const end = to + 2 + 2 * r->words;
    for (int32_t i = 0; i < 2; i++) {
        to[i] = (uint32_t)s->start[both[i]];
        mq_pairs_row(w, both[i], p->conv.k_h * p->conv.k_w * p->conv.in_c, r->table, to + 2 + i);
    }
    for (int32_t i = 0; i < 2 * r->ends; i++) {
        end[i] = (uint32_t)s->constants[both[i / r->ends] * p->step + i % r->ends];
    }
    return end + 2 * r->ends;
}

/* `outputs` outputs of three pixels at a time of `pixels`, by a stream that ends at `end`. */
MQ_KERNEL void mq_packed_gemm_run(const mq_conv2d_packed_gemm_t *p, const mq_packed_gemm_room_t *r, const uint32_t *end,
                                  int32_t pixels, int32_t outputs, int8_t *y, mq_gemm_kernel_t *kernel)
{
    const int32_t stride = p->conv.out_c, beside = (outputs + 1) / 2 * 2;
    const uint32_t *block = r->blocks;
    for (int32_t left = pixels; left > 0; left -= 3, block += 6 * r->words, y += 3 * stride) {
        const int is_whole = left >= 3 && outputs % 2 == 0;
        const mq_gemm_t g = {is_whole ? stride : beside, end, MQ_GEMM_SKIP(r->words), block + 6 * r->words};
        kernel(block, r->stream, is_whole ? y : r->spare, &g);
        for (int32_t i = 0; !is_whole && i < mq_min(left, 3); i++) {
            memcpy(y + i * stride, r->spare + i * beside, (size_t)outputs);
        }
    }
}

/* All outputs of the `pixels` pixels that are expanded. */
MQ_KERNEL void mq_packed_gemm_outputs(const mq_conv2d_packed_gemm_t *p, const mq_unpack_t *w,
                                      const mq_packed_gemm_scale_t *s, const mq_packed_gemm_room_t *r, int32_t pixels,
                                      int8_t *y, mq_gemm_kernel_t *kernel)
{
    for (int32_t first = 0; first < p->conv.out_c; first += p->outputs) {
        const int32_t outputs = mq_min(p->outputs, p->conv.out_c - first);
        uint32_t *end = r->stream;
        for (int32_t o = first; o < first + outputs; o += 2) {
            end = mq_packed_gemm_pair(p, w, s, r, o, end);
        }
        mq_packed_gemm_run(p, r, end, pixels, outputs, y + first, kernel);
    }
}

/* scratch, in words: the table of mq_unpack_pairs.h; `blocks` blocks of 6 a word of a window; where in_c is not a multiple of
   4, a window as bytes; the outputs of three pixels; the stream, and 14 more. */
MQ_KERNEL void mq_conv2d_packed_gemm(const mq_conv2d_packed_gemm_t *p, const int8_t *x, const mq_unpack_t *w,
                                     const mq_packed_gemm_scale_t *s, int32_t *scratch, int8_t *y,
                                     mq_gemm_kernel_t *kernel, int32_t constants)
{
    const int32_t words = mq_conv2d_gemm_words(&p->conv), all = p->conv.batch * p->conv.out_h * p->conv.out_w;
    uint32_t *const table = (uint32_t *)scratch;
    uint32_t *const blocks = table + mq_pairs_table_words(w);
    uint32_t *const bytes = blocks + 6 * p->blocks * words;
    uint32_t *const spare = bytes + (p->conv.in_c % 4 ? words : 0);
    const mq_packed_gemm_room_t r = {
        .table = table,
        .blocks = blocks,
        .bytes = bytes,
        .stream = spare + (3 * p->outputs + 3) / 4,
        .spare = (int8_t *)spare,
        .words = words,
        .ends = constants,
    };
    mq_packed_gemm_at_t at = {x, 0, 0};
    mq_pairs_make_table(w, table);
    if (p->conv.in_c % 4) {
        bytes[words - 1] = 0;
    }
    for (int32_t left = all; left > 0; left -= 3 * p->blocks, y += 3 * p->blocks * p->conv.out_c) {
        const int32_t pixels = mq_min(left, 3 * p->blocks);
        mq_packed_gemm_expand(&p->conv, &r, pixels, &at);
        mq_packed_gemm_outputs(p, w, s, &r, pixels, y, kernel);
    }
}

#define MQ_DEFINE_CONV2D_PACKED_GEMM(form, count)                                                                      \
    MQ_KERNEL void mq_conv2d_packed_gemm_##form##_s8(const mq_conv2d_packed_gemm_t *p, const int8_t *x,                \
                                                     const mq_unpack_t *w, const int32_t *start,                       \
                                                     const int32_t *constants, int32_t *scratch, int8_t *y)            \
    {                                                                                                                  \
        const mq_packed_gemm_scale_t scale = {start, constants};                                                       \
        mq_conv2d_packed_gemm(p, x, w, &scale, scratch, y, mq_gemm_##form, count);                                     \
    }

MQ_DEFINE_CONV2D_PACKED_GEMM(12, 1)
MQ_DEFINE_CONV2D_PACKED_GEMM(8, 1)
MQ_DEFINE_CONV2D_PACKED_GEMM(twice, 3)

#undef MQ_DEFINE_CONV2D_PACKED_GEMM

#endif
