/* Comparisons of two tensors that broadcast against each other; the results are truth values, bytes of 0 or 1. */
#ifndef MQ_COMPARE_H
#define MQ_COMPARE_H

#include "mq_broadcast.h"

#define MQ_IS_LESS 1
#define MQ_IS_EQUAL 2
#define MQ_IS_GREATER 4

/* `relations`: the sum of those of the three above that make the result true. For int8 and int16 both inputs go to one
   scale: requantize((a - a_zero) << 8, a_m, a_shift), a scale being below 64. */
typedef struct {
    mq_broadcast_t shape;
    int32_t relations;
    int32_t a_zero, a_m, a_shift;
    int32_t b_zero, b_m, b_shift;
} mq_compare_t;

MQ_KERNEL uint8_t mq_related(int32_t relations, int32_t a, int32_t b)
{
    const int32_t relation = a < b ? MQ_IS_LESS : a > b ? MQ_IS_GREATER : MQ_IS_EQUAL;
    return (relations & relation) != 0;
}

#define MQ_DEFINE_COMPARE(name, x_t, a_value, b_value)                                                                 \
    MQ_KERNEL void name(const mq_compare_t *p, const x_t *a, const x_t *b, uint8_t *y)                                 \
    {                                                                                                                  \
        MQ_BROADCAST(p->shape, y[i] = mq_related(p->relations, a_value, b_value))                                      \
    }

#define MQ_SCALED_A mq_requantize((a[ia] - p->a_zero) * 256, p->a_m, p->a_shift)
#define MQ_SCALED_B mq_requantize((b[ib] - p->b_zero) * 256, p->b_m, p->b_shift)

MQ_DEFINE_COMPARE(mq_compare_s8, int8_t, MQ_SCALED_A, MQ_SCALED_B)
MQ_DEFINE_COMPARE(mq_compare_s16, int16_t, MQ_SCALED_A, MQ_SCALED_B)
MQ_DEFINE_COMPARE(mq_compare_s32, int32_t, a[ia], b[ib])
MQ_DEFINE_COMPARE(mq_compare_u8, uint8_t, a[ia], b[ib])

#undef MQ_DEFINE_COMPARE
#undef MQ_SCALED_A
#undef MQ_SCALED_B

#endif
