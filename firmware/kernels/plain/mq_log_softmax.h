/* Logarithm of softmax over rows of int8: x - max - log(sum of exp(x - max)). */
#ifndef MQ_LOG_SOFTMAX_H
#define MQ_LOG_SOFTMAX_H

#include "mq_fixed_point.h"

typedef struct {
    int32_t rows, depth; /* at most 4095 deep: the sum of exponentials is Q12.19 */
    int32_t m, shift;    /* factor from a difference to Q5.26 */
    int32_t diff_min;    /* smaller differences add nothing to the sum */
    int32_t inverse_m, inverse_shift; /* from Q5.26 to differences */
} mq_log_softmax_t;

/* log(x) as Q5.26 for x >= 1 as Q12.19. */
MQ_KERNEL int32_t mq_log_from_one(int32_t x)
{
    const int32_t sqrt_half = 1518500250;
    const int32_t fourth_root = 1805811301; /* fourth root of 1/2 */
    const int32_t quarter = 1 << 23;
    const int32_t headroom_a = __builtin_clz((uint32_t)x) - 1;
    const int32_t r_a = mq_shift_left(mq_product(x << headroom_a, sqrt_half), 1);
    const int32_t power_a = (11 - headroom_a) * (1 << 25) + quarter;
    const int32_t headroom_b = __builtin_clz((uint32_t)mq_product(x, sqrt_half)) - 1;
    const int32_t r_b = mq_shift_left(x, headroom_b);
    const int32_t power_b = (12 - headroom_b) * (1 << 25) - quarter;
    const int32_t r = mq_min(r_a, r_b);
    const int32_t q = 2 * (r - fourth_root);
    const int32_t square = mq_product(q, q);
    const int32_t numerator = mq_product(q, r) + mq_product(mq_product(q, square), 117049297);
    const int32_t half_sum = (int32_t)(((uint32_t)r + (uint32_t)fourth_root + 1u) >> 1);
    const int32_t denominator =
        mq_product(half_sum, 1057819769 + q + mq_product(127690142, square)) + mq_product(638450708, q);
    const int32_t quotient = mq_product(mq_round_shift(numerator, 6), mq_reciprocal_one_plus(denominator));
    return mq_shift_left(mq_product(mq_max(power_a, power_b), 1488522236) + quotient, 1);
}

/* y in 1/16 below 127. */
MQ_KERNEL void mq_log_softmax_s8(const mq_log_softmax_t *p, const int8_t *x, int8_t *y)
{
    for (int32_t row = 0; row < p->rows; row++, x += p->depth, y += p->depth) {
        int32_t max = INT8_MIN;
        for (int32_t i = 0; i < p->depth; i++) {
            max = mq_max(max, x[i]);
        }
        int32_t sum = 0;
        for (int32_t i = 0; i < p->depth; i++) {
            if (x[i] - max >= p->diff_min) {
                sum += mq_round_shift(mq_exp_negative(mq_requantize_call(x[i] - max, p->m, p->shift)), 12);
            }
        }
        const int32_t log = mq_log_from_one(sum);
        const int32_t lowest =
            mq_max(p->diff_min - 1, mq_requantize_call(INT32_MIN + log, p->inverse_m, p->inverse_shift));
        for (int32_t i = 0; i < p->depth; i++) {
            const int32_t difference = x[i] - max;
            const int32_t exact = difference > lowest ? mq_requantize_call(difference, p->m, p->shift) - log : 0;
            const int32_t v = mq_clamp(mq_round_shift(exact, 22) + INT8_MAX, INT8_MIN, INT8_MAX);
            y[i] = (int8_t)(difference > lowest ? v : INT8_MIN);
        }
    }
}

#endif
