/* Index of the first largest value along an axis. */
#ifndef MQ_ARGMAX_H
#define MQ_ARGMAX_H

#include "mq_common.h"

/* Element k of the axis is k * inner elements after the first. All are 1 or more: `outer` is the product of the
   dimensions before the axis, `inner` of those after it. */
typedef struct {
    int32_t outer, size, inner;
} mq_argmax_t;

#define MQ_DEFINE_ARGMAX(name, x_t, y_t)                                                                               \
    MQ_KERNEL void name(const mq_argmax_t *p, const x_t *x, y_t *y)                                                    \
    {                                                                                                                  \
        for (int32_t o = 0; o < p->outer; o++, x += p->size * p->inner) {                                              \
            for (int32_t i = 0; i < p->inner; i++) {                                                                   \
                int32_t best = 0;                                                                                      \
                for (int32_t k = 1; k < p->size; k++) {                                                                \
                    if (x[k * p->inner + i] > x[best * p->inner + i]) {                                                \
                        best = k;                                                                                      \
                    }                                                                                                  \
                }                                                                                                      \
                *y++ = best;                                                                                           \
            }                                                                                                          \
        }                                                                                                              \
    }

MQ_DEFINE_ARGMAX(mq_argmax_s8_s32, int8_t, int32_t)
MQ_DEFINE_ARGMAX(mq_argmax_s8_s64, int8_t, int64_t)
MQ_DEFINE_ARGMAX(mq_argmax_s16_s32, int16_t, int32_t)
MQ_DEFINE_ARGMAX(mq_argmax_s16_s64, int16_t, int64_t)

#undef MQ_DEFINE_ARGMAX

#endif
