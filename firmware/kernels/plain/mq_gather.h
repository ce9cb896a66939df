/* Elements at computed indices. An index outside counts as the nearest inside: nothing else is read. */
#ifndef MQ_GATHER_H
#define MQ_GATHER_H

#include "mq_common.h"

/* Every x of `batch` and `outer` has `size` rows of `row_bytes` bytes, of which the `count` indices of its batch choose.
   All are 1 or more. */
typedef struct {
    int32_t batch, outer, size, count, row_bytes;
} mq_gather_t;

MQ_KERNEL void mq_gather(const mq_gather_t *p, const void *x, const int32_t *indices, void *y)
{
    const uint8_t *from = (const uint8_t *)x;
    uint8_t *to = mq_apart(y);
    for (int32_t n = 0; n < p->batch; n++, indices += p->count) {
        for (int32_t o = 0; o < p->outer; o++, from += p->size * p->row_bytes) {
            for (int32_t i = 0; i < p->count; i++, to += p->row_bytes) {
                memcpy(to, from + mq_clamp(indices[i], 0, p->size - 1) * p->row_bytes, (size_t)p->row_bytes);
            }
        }
    }
}

#define MQ_GATHER_RANK 6

/* `count` rows of `axes` indices each: along axis k of `size[k]` entries, one is `step[k]` blocks of `row_bytes` bytes
   from the next. count, axes, row_bytes and the sizes: 1 or more. */
typedef struct {
    int32_t count, axes, row_bytes;
    int32_t size[MQ_GATHER_RANK];
    int32_t step[MQ_GATHER_RANK];
} mq_gather_nd_t;

MQ_KERNEL void mq_gather_nd(const mq_gather_nd_t *p, const void *x, const int32_t *indices, void *y)
{
    uint8_t *to = mq_apart(y);
    for (int32_t i = 0; i < p->count; i++, indices += p->axes, to += p->row_bytes) {
        int32_t place = 0;
        for (int32_t k = 0; k < p->axes; k++) {
            place += mq_clamp(indices[k], 0, p->size[k] - 1) * p->step[k];
        }
        memcpy(to, (const uint8_t *)x + place * p->row_bytes, (size_t)p->row_bytes);
    }
}

#endif
