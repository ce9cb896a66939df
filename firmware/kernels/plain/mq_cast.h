/* Stored numbers as another type. Truth values are bytes: 0 or 1. */
#ifndef MQ_CAST_H
#define MQ_CAST_H

#include "mq_common.h"

/* Values are cut to the low bits of the target type. count: elements, 1 or more. */
#define MQ_DEFINE_CAST(name, x_t, y_t)                                                                                 \
    MQ_KERNEL void name(int32_t count, const x_t *x, y_t *y)                                                           \
    {                                                                                                                  \
        for (int32_t i = 0; i < count; i++) {                                                                          \
            y[i] = (y_t)x[i];                                                                                          \
        }                                                                                                              \
    }

MQ_DEFINE_CAST(mq_cast_s8_s16, int8_t, int16_t)
MQ_DEFINE_CAST(mq_cast_s8_s32, int8_t, int32_t)
MQ_DEFINE_CAST(mq_cast_s8_f32, int8_t, float)
MQ_DEFINE_CAST(mq_cast_s16_s8, int16_t, int8_t)
MQ_DEFINE_CAST(mq_cast_s16_s32, int16_t, int32_t)
MQ_DEFINE_CAST(mq_cast_s16_f32, int16_t, float)
MQ_DEFINE_CAST(mq_cast_s32_s8, int32_t, int8_t)
MQ_DEFINE_CAST(mq_cast_s32_s16, int32_t, int16_t)
MQ_DEFINE_CAST(mq_cast_s32_f32, int32_t, float)
MQ_DEFINE_CAST(mq_cast_s32_u32, int32_t, uint32_t)
MQ_DEFINE_CAST(mq_cast_u32_s32, uint32_t, int32_t)
MQ_DEFINE_CAST(mq_cast_u8_s8, uint8_t, int8_t)
MQ_DEFINE_CAST(mq_cast_u8_s16, uint8_t, int16_t)
MQ_DEFINE_CAST(mq_cast_u8_s32, uint8_t, int32_t)
MQ_DEFINE_CAST(mq_cast_u8_f32, uint8_t, float)

#undef MQ_DEFINE_CAST

/* Whether each number is not 0. */
#define MQ_DEFINE_TRUTH(name, x_t)                                                                                     \
    MQ_KERNEL void name(int32_t count, const x_t *x, uint8_t *y)                                                       \
    {                                                                                                                  \
        for (int32_t i = 0; i < count; i++) {                                                                          \
            y[i] = x[i] < 0 || x[i] > 0;                                                                               \
        }                                                                                                              \
    }

MQ_DEFINE_TRUTH(mq_cast_s8_u8, int8_t)
MQ_DEFINE_TRUTH(mq_cast_s16_u8, int16_t)
MQ_DEFINE_TRUTH(mq_cast_s32_u8, int32_t)
MQ_DEFINE_TRUTH(mq_cast_f32_u8, float)

#undef MQ_DEFINE_TRUTH

/* Towards zero; beyond int32 its nearest end, NaN 0. Only what int32 holds is converted: the rest is undefined in C. */
MQ_KERNEL int32_t mq_whole(float x)
{
    if (x >= 2147483648.0f) {
        return INT32_MAX;
    }
    if (x <= -2147483648.0f) {
        return INT32_MIN;
    }
    return x < 0.0f || x > 0.0f ? (int32_t)x : 0;
}

#define MQ_DEFINE_WHOLE(name, y_t)                                                                                     \
    MQ_KERNEL void name(int32_t count, const float *x, y_t *y)                                                         \
    {                                                                                                                  \
        for (int32_t i = 0; i < count; i++) {                                                                          \
            y[i] = (y_t)mq_whole(x[i]);                                                                                \
        }                                                                                                              \
    }

MQ_DEFINE_WHOLE(mq_cast_f32_s8, int8_t)
MQ_DEFINE_WHOLE(mq_cast_f32_s16, int16_t)
MQ_DEFINE_WHOLE(mq_cast_f32_s32, int32_t)

#undef MQ_DEFINE_WHOLE

#endif
