/* Tensors joined along an axis. */
#ifndef MQ_CONCAT_H
#define MQ_CONCAT_H

#include "mq_copy.h"
#include "mq_rescale.h"

/* rows and inputs: 1 or more; bytes: 1, 2, 4 or 8. */
typedef struct {
    int32_t rows;   /* what lies before the axis */
    int32_t inputs; /* how many are joined */
    int32_t bytes;  /* of an element */
} mq_concat_t;

/* One input: the elements it gives to every row of the output, and how they change. */
typedef struct {
    int32_t width;
    mq_rescale_t rescale;
} mq_concat_part_t;

/* Elements of any type, as they are. */
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

/* Inputs whose values are held in another way than the output's are rescaled. */
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
