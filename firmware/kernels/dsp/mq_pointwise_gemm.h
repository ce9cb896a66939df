/* Pointwise convolution as matrix product, three pixels at a time; see mq_gemm.h. */
#ifndef MQ_POINTWISE_GEMM_H
#define MQ_POINTWISE_GEMM_H

#include "mq_gemm.h"

/* All are 1 or more. x: [pixels][in_c], y: [pixels][out_c]. */
typedef struct {
    int32_t pixels, in_c, out_c;
} mq_pointwise_gemm_t;

/* Copies `bytes` bytes from any address to whole words. The rest of the last word is undefined. */
MQ_KERNEL void mq_pointwise_gemm_align(const int8_t *from, int32_t bytes, uint32_t *to)
{
    const int32_t words = (bytes + 3) / 4;
    const uint32_t before = (uint32_t)((uintptr_t)from % 4u);
    const uint32_t *aligned = (const uint32_t *)(const void *)(from - before);
    uint32_t low = *aligned++;
    for (int32_t i = 0; i < words; i++) {
        /* The last word is read only if some of its bytes are used. */
        const int more = i + 1 < words || (int32_t)before + bytes > 4 * words;
        const uint32_t high = before && more ? *aligned : 0;
        to[i] = before ? low >> (8 * before) | high << (32 - 8 * before) : low;
        if (i + 1 < words) {
            low = *aligned++;
        }
    }
}

/* Expands `count` pixels, at most three, to a block. */
MQ_KERNEL void mq_pointwise_gemm_expand(const int8_t *x, int32_t in_c, int32_t count, uint32_t *block, uint32_t *bytes)
{
    const int32_t words = (in_c + 3) / 4;
    if (in_c % 4 == 0 && count == 3) {
        mq_gemm_expand_three((const uint32_t *)(const void *)x, words, block);
        return;
    }
    for (int32_t i = 0; i < count; i++, x += in_c) {
        if (in_c % 4) {
            mq_pointwise_gemm_align(x, in_c, bytes);
        }
        const uint32_t *from = in_c % 4 ? bytes : (const uint32_t *)(const void *)x;
        mq_gemm_expand(from, words, block + i);
    }
}

/* `stream` is that of mq_gemm.h; an odd output is packed with a twin. scratch, in words: the block, 6 per word of a
   pixel; if in_c is not a multiple of 4, one per word; if the number of pixels is not a multiple of 3, outputs of
   three. */
MQ_KERNEL void mq_pointwise_gemm(const mq_pointwise_gemm_t *p, const int8_t *x, const int32_t *stream, int32_t *scratch,
                                 int8_t *y, mq_gemm_kernel_t *kernel, int32_t constants)
{
    const int32_t words = (p->in_c + 3) / 4;
    uint32_t *const block = (uint32_t *)scratch;
    uint32_t *const bytes = block + 6 * words;
    uint32_t *const spare = bytes + (p->in_c % 4 ? words : 0);
    const mq_gemm_layer_t layer = mq_gemm_layer(kernel, stream, words, p->out_c, constants, block, spare);
    int32_t left = p->pixels;
    for (; left >= 3; left -= 3, x += 3 * p->in_c, y += 3 * p->out_c) {
        mq_pointwise_gemm_expand(x, p->in_c, 3, block, bytes);
        mq_gemm_outputs(&layer, 3, y);
    }
    if (left) {
        mq_pointwise_gemm_expand(x, p->in_c, left, block, bytes);
        mq_gemm_outputs(&layer, left, y);
    }
}

#define MQ_DEFINE_POINTWISE_GEMM(form, constants)                                                                      \
    MQ_KERNEL void mq_pointwise_gemm_##form##_s8(const mq_pointwise_gemm_t *p, const int8_t *x, const int32_t *stream, \
                                                 int32_t *scratch, int8_t *y)                                          \
    {                                                                                                                  \
        mq_pointwise_gemm(p, x, stream, scratch, y, mq_gemm_##form, constants);                                        \
    }

MQ_DEFINE_POINTWISE_GEMM(12, 1)
MQ_DEFINE_POINTWISE_GEMM(8, 1)
MQ_DEFINE_POINTWISE_GEMM(twice, 3)

#undef MQ_DEFINE_POINTWISE_GEMM

#endif
