/* A tensor with another in the place of a part of it, from a computed index along each axis. */
#ifndef MQ_UPDATE_SLICE_H
#define MQ_UPDATE_SLICE_H

#include "mq_common.h"

#define MQ_UPDATE_RANK 6

/* Sizes of the tensor and of the update, which is not larger; unused leading axes have size 1. The last axis counts
   bytes: `unit` of them are one element. */
typedef struct {
    int32_t axes; /* with a start, of MQ_UPDATE_RANK */
    int32_t unit;
    int32_t size[MQ_UPDATE_RANK];
    int32_t update[MQ_UPDATE_RANK];
} mq_update_slice_t;

/* Bytes from the start of the tensor to that of the update, which stays inside. */
MQ_KERNEL int32_t mq_update_start(const mq_update_slice_t *p, const int32_t *start)
{
    int32_t place = 0;
    for (int32_t k = 0; k < MQ_UPDATE_RANK; k++) {
        const int32_t given = k < MQ_UPDATE_RANK - p->axes ? 0 : start[k - (MQ_UPDATE_RANK - p->axes)];
        const int32_t unit = k == MQ_UPDATE_RANK - 1 ? p->unit : 1;
        place = place * p->size[k] + mq_clamp(given, 0, (p->size[k] - p->update[k]) / unit) * unit;
    }
    return place;
}

MQ_KERNEL void mq_update_slice(const mq_update_slice_t *p, const void *x, const void *update, const int32_t *start,
                               void *y)
{
    const int32_t *const n = p->size, *const m = p->update;
    const int32_t first = mq_update_start(p, start);
    uint8_t *const to = mq_apart(y);
    const uint8_t *from = (const uint8_t *)update;
    memcpy(to, x, (size_t)(n[0] * n[1] * n[2] * n[3] * n[4] * n[5]));
    for (int32_t i0 = 0; i0 < m[0]; i0++) {
        for (int32_t i1 = 0; i1 < m[1]; i1++) {
            for (int32_t i2 = 0; i2 < m[2]; i2++) {
                for (int32_t i3 = 0; i3 < m[3]; i3++) {
                    for (int32_t i4 = 0; i4 < m[4]; i4++, from += m[5]) {
                        const int32_t row = (((i0 * n[1] + i1) * n[2] + i2) * n[3] + i3) * n[4] + i4;
                        memcpy(to + first + row * n[5], from, (size_t)m[5]);
                    }
                }
            }
        }
    }
}

#endif
