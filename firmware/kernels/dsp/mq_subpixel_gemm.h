/* Transposed convolution of int8 images whose window is the stride, as matrix product: each input pixel gives a block of
   output pixels, and no other does. */
#ifndef MQ_SUBPIXEL_GEMM_H
#define MQ_SUBPIXEL_GEMM_H

#include "mq_pointwise_gemm.h"

/* `row`: the product of a row of input pixels, whose out_c are the bytes of a block. `rows`: rows of all images;
   block_h: rows of a block; block_bytes: bytes of a row of a block. All are 1 or more. */
typedef struct {
    mq_pointwise_gemm_t row;
    int32_t rows, block_h, block_bytes;
} mq_subpixel_gemm_t;

/* Writes a row of blocks, which `blocks` has one after the other, as rows of the image. */
MQ_KERNEL void mq_subpixel_rows(const mq_subpixel_gemm_t *p, const int8_t *blocks, int8_t *y)
{
    for (int32_t k = 0; k < p->block_h; k++) {
        const int8_t *from = blocks + k * p->block_bytes;
        for (int32_t i = 0; i < p->row.pixels; i++, from += p->row.out_c, y += p->block_bytes) {
            memcpy(y, from, (size_t)p->block_bytes);
        }
    }
}

/* `stream` is that of mq_gemm.h; scratch: that of mq_pointwise_gemm.h. blocks: those of a row. */
#define MQ_DEFINE_SUBPIXEL_GEMM(form)                                                                                  \
    MQ_KERNEL void mq_subpixel_gemm_##form##_s8(const mq_subpixel_gemm_t *p, const int8_t *x, const int32_t *stream,   \
                                                int32_t *scratch, int8_t *blocks, int8_t *y)                           \
    {                                                                                                                  \
        for (int32_t row = 0; row < p->rows; row++) {                                                                  \
            mq_pointwise_gemm_##form##_s8(&p->row, x, stream, scratch, blocks);                                        \
            mq_subpixel_rows(p, blocks, y);                                                                            \
            x += p->row.pixels * p->row.in_c;                                                                          \
            y += p->row.pixels * p->row.out_c;                                                                         \
        }                                                                                                              \
    }

MQ_DEFINE_SUBPIXEL_GEMM(12)
MQ_DEFINE_SUBPIXEL_GEMM(8)
MQ_DEFINE_SUBPIXEL_GEMM(twice)

#undef MQ_DEFINE_SUBPIXEL_GEMM

#endif
