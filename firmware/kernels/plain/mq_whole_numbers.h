/* Arithmetic of two int32 tensors that broadcast against each other; results wrap around. */
#ifndef MQ_WHOLE_NUMBERS_H
#define MQ_WHOLE_NUMBERS_H

#include "mq_broadcast.h"

/* Towards zero; a divisor of 0 counts as 1. */
MQ_KERNEL int32_t mq_quotient(int32_t a, int32_t b)
{
    if (b == 0) {
        return a;
    }
    return b == -1 ? (int32_t)(0u - (uint32_t)a) : a / b;
}

MQ_KERNEL int32_t mq_square(uint32_t difference)
{
    return (int32_t)(difference * difference);
}

/* The remainder has the sign of b. */
MQ_KERNEL int32_t mq_floor_mod(int32_t a, int32_t b)
{
    if (b == 0 || b == -1) {
        return 0;
    }
    const int32_t rest = a % b;
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

MQ_KERNEL int32_t mq_floor_div(int32_t a, int32_t b)
{
    return mq_quotient(a, b) - (mq_floor_mod(a, b) != 0 && (a < 0) != (b < 0));
}

#define MQ_DEFINE_WHOLE_NUMBERS(name, result)                                                                          \
    MQ_KERNEL void name(const mq_broadcast_t *shape, const int32_t *a, const int32_t *b, int32_t *y)                   \
    {                                                                                                                  \
        MQ_BROADCAST(*shape, y[i] = result)                                                                            \
    }

MQ_DEFINE_WHOLE_NUMBERS(mq_add_s32, (int32_t)((uint32_t)a[ia] + (uint32_t)b[ib]))
MQ_DEFINE_WHOLE_NUMBERS(mq_sub_s32, (int32_t)((uint32_t)a[ia] - (uint32_t)b[ib]))
MQ_DEFINE_WHOLE_NUMBERS(mq_mul_s32, (int32_t)((uint32_t)a[ia] * (uint32_t)b[ib]))
MQ_DEFINE_WHOLE_NUMBERS(mq_div_s32, mq_quotient(a[ia], b[ib]))
MQ_DEFINE_WHOLE_NUMBERS(mq_floor_div_s32, mq_floor_div(a[ia], b[ib]))
MQ_DEFINE_WHOLE_NUMBERS(mq_floor_mod_s32, mq_floor_mod(a[ia], b[ib]))
MQ_DEFINE_WHOLE_NUMBERS(mq_squared_difference_s32, mq_square((uint32_t)a[ia] - (uint32_t)b[ib]))

#undef MQ_DEFINE_WHOLE_NUMBERS

#endif
