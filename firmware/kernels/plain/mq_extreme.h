/* Larger or smaller of the stored values of two tensors, with broadcast. */
#ifndef MQ_EXTREME_H
#define MQ_EXTREME_H

#include "mq_broadcast.h"

#define MQ_DEFINE_EXTREME(name, x_t, choose)                                                                           \
    MQ_KERNEL void name(const mq_broadcast_t *shape, const x_t *a, const x_t *b, x_t *y)                               \
    {                                                                                                                  \
        MQ_BROADCAST(*shape, y[i] = (x_t)choose(a[ia], b[ib]))                                                         \
    }

MQ_DEFINE_EXTREME(mq_maximum_s8, int8_t, mq_max)
MQ_DEFINE_EXTREME(mq_maximum_s16, int16_t, mq_max)
MQ_DEFINE_EXTREME(mq_maximum_s32, int32_t, mq_max)
MQ_DEFINE_EXTREME(mq_maximum_u8, uint8_t, mq_max)
MQ_DEFINE_EXTREME(mq_minimum_s8, int8_t, mq_min)
MQ_DEFINE_EXTREME(mq_minimum_s16, int16_t, mq_min)
MQ_DEFINE_EXTREME(mq_minimum_s32, int32_t, mq_min)
MQ_DEFINE_EXTREME(mq_minimum_u8, uint8_t, mq_min)

#undef MQ_DEFINE_EXTREME

#endif
