/* int16 values in other units, rounded once: floor((x * multiplier + offset) / 2^shift), limited to low..high. */
#ifndef MQ_AFFINE16_H
#define MQ_AFFINE16_H

#include "mq_common.h"

typedef struct {
    int32_t multiplier;              /* 2^30 to 2^31 - 1 */
    int32_t shift;                   /* 14 to 47 */
    int32_t offset_low, offset_high; /* the halves of an offset below 2^62 */
    int32_t low, high;
} mq_affine16_t;

/* x and y may be the same. */
#define MQ_DEFINE_RESCALE(name, y_t)                                                                                   \
    MQ_KERNEL void name(const mq_affine16_t *p, int32_t count, const int16_t *x, y_t *y)                               \
    {                                                                                                                  \
        const int64_t offset = (int64_t)(((uint64_t)(uint32_t)p->offset_high << 32) | (uint32_t)p->offset_low);        \
        for (int32_t i = 0; i < count; i++) {                                                                          \
            const int64_t stored = ((int64_t)x[i] * p->multiplier + offset) >> p->shift;                               \
            y[i] = (y_t)(stored < p->low ? p->low : stored > p->high ? p->high : stored);                              \
        }                                                                                                              \
    }
MQ_DEFINE_RESCALE(mq_rescale_s8, int8_t)
MQ_DEFINE_RESCALE(mq_rescale_s16, int16_t)

#undef MQ_DEFINE_RESCALE

#endif
