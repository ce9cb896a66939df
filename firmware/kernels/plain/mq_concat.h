/* Concatenation of tensors along an axis. */
#ifndef MQ_CONCAT_H
#define MQ_CONCAT_H

#include "mq_copy.h"
#include "mq_rescale.h"

/* rows and inputs: 1 or more; bytes: 1, 2, 4 or 8. */
typedef struct {
    int32_t rows;   /* product of the dimensions before the axis */
    int32_t inputs; /* number of inputs */
    int32_t bytes;  /* bytes of an element */
} mq_concat_t;

/* One input: its elements in every row of the output, and their rescaling. */
typedef struct {
    int32_t width;
    mq_rescale_t rescale;
} mq_concat_part_t;

/* Copies elements of any type. */
MQ_KERNEL void mq_concat(const mq_concat_t *p, const mq_concat_part_t *parts, const void *const *x, void *y)
{
    uint8_t *to = y;
    for (int32_t row = 0; row < p->rows; row++) {
        for (int32_t k = 0; k < p->inputs; k++) {
            const int32_t bytes = parts[k].width * p->bytes;
            mq_copy_dense((const uint8_t *)x[k] + row * bytes, to, bytes, 1);
            to += bytes;
        }
    }
}

/* Rescales inputs whose scale or zero point differs from the output's. */
MQ_KERNEL void mq_concat_rescale_s8(const mq_concat_t *p, const mq_concat_part_t *parts, const void *const *x,
                                    int8_t *y)
{
    for (int32_t row = 0; row < p->rows; row++) {
        for (int32_t k = 0; k < p->inputs; k++) {
            const int8_t *from = (const int8_t *)x[k] + row * parts[k].width;
            for (int32_t i = 0; i < parts[k].width; i++) {
                *y++ = (int8_t)mq_rescale(&parts[k].rescale, from[i]);
            }
        }
    }
}

#endif
