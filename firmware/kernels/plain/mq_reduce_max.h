/* Maximum and minimum over axes. */
#ifndef MQ_REDUCE_MAX_H
#define MQ_REDUCE_MAX_H

#include "mq_reduce.h"
#include "mq_rescale.h"

typedef struct {
    mq_reduce_t shape;
    mq_rescale_t rescale;
} mq_reduce_max_t;

#define MQ_DEFINE_REDUCE_MAX(name, x_t, better)                                                                        \
    MQ_KERNEL void name(const mq_reduce_max_t *p, const x_t *x, x_t *y)                                                \
    {                                                                                                                  \
        MQ_EACH_KEPT(p->shape, {                                                                                       \
            int32_t best = x[at];                                                                                      \
            MQ_EACH_REDUCED(p->shape, at, { best = better(best, x[i]); })                                                 \
            *y++ = (x_t)mq_rescale(&p->rescale, best);                                                                 \
        })                                                                                                             \
    }

MQ_DEFINE_REDUCE_MAX(mq_reduce_max_s8, int8_t, mq_max)
MQ_DEFINE_REDUCE_MAX(mq_reduce_max_s16, int16_t, mq_max)
MQ_DEFINE_REDUCE_MAX(mq_reduce_min_s8, int8_t, mq_min)
MQ_DEFINE_REDUCE_MAX(mq_reduce_min_s16, int16_t, mq_min)

#undef MQ_DEFINE_REDUCE_MAX

/* Values without a scale. */
#define MQ_DEFINE_REDUCE_PLAIN(name, x_t, better)                                                                      \
    MQ_KERNEL void name(const mq_reduce_t *shape, const x_t *x, x_t *y)                                                \
    {                                                                                                                  \
        MQ_EACH_KEPT(*shape, {                                                                                         \
            int32_t best = x[at];                                                                                      \
            MQ_EACH_REDUCED(*shape, at, { best = better(best, x[i]); })                                                \
            *y++ = (x_t)best;                                                                                          \
        })                                                                                                             \
    }

MQ_DEFINE_REDUCE_PLAIN(mq_reduce_max_s32, int32_t, mq_max)
MQ_DEFINE_REDUCE_PLAIN(mq_reduce_max_u8, uint8_t, mq_max)
MQ_DEFINE_REDUCE_PLAIN(mq_reduce_min_s32, int32_t, mq_min)
MQ_DEFINE_REDUCE_PLAIN(mq_reduce_min_u8, uint8_t, mq_min)

#undef MQ_DEFINE_REDUCE_PLAIN

#endif
