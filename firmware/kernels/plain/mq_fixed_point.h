/* Exponential and reciprocal in fixed point, gemmlowp's to the bit. Qa.b: a integer bits, b fraction bits. */
#ifndef MQ_FIXED_POINT_H
#define MQ_FIXED_POINT_H

#include "mq_common.h"

/* x * 2^n, saturated, 0 <= n <= 31. */
MQ_SMALL_CALL int32_t mq_shift_left(int32_t x, int32_t n)
{
    const int64_t wide = (int64_t)x * (INT64_C(1) << n);
    return wide > INT32_MAX ? INT32_MAX : wide < INT32_MIN ? INT32_MIN : (int32_t)wide;
}

MQ_SMALL_CALL int32_t mq_product(int32_t a, int32_t b)
{
    return mq_high_mul(a, b);
}

/* exp(a) as Q0.31 for a in [-1/4, 0) as Q0.31: Taylor's polynomial of degree 4 around -1/8. */
MQ_KERNEL int32_t mq_exp_last_quarter(int32_t a)
{
    const int32_t exp_minus_eighth = 1895147668;
    const int32_t third = 715827883;
    const int32_t x = a + (1 << 28);
    const int32_t x2 = mq_product(x, x);
    const int32_t x3 = mq_product(x2, x);
    const int32_t x4 = mq_product(x2, x2);
    const int32_t tail = mq_round_shift(mq_product(mq_round_shift(x4, 2) + x3, third) + x2, 1);
    return exp_minus_eighth + mq_product(exp_minus_eighth, x + tail);
}

/* exp(a) as Q0.31 for a <= 0 as Q5.26: the exponential of the fraction below 1/4 times exp(-2^k) for every bit of the
   rest. */
MQ_SMALL_CALL int32_t mq_exp_negative(int32_t a)
{
    /* k = -2..4 */
    static const int32_t factors[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    if (a == 0) {
        return INT32_MAX;
    }
    const int32_t quarter = 1 << 24;
    const int32_t last = (a & (quarter - 1)) - quarter;
    const uint32_t rest = (uint32_t)last - (uint32_t)a;
    int32_t result = mq_exp_last_quarter(last * 32);
    for (int32_t k = 0; k < 7; k++) {
        if (((rest >> (24 + k)) & 1u) != 0u) {
            result = mq_product(result, factors[k]);
        }
    }
    return result;
}

/* 1 / (1 + a) as Q0.31 for a in [0, 1] as Q0.31: three Newton-Raphson steps. */
MQ_KERNEL int32_t mq_reciprocal_one_plus(int32_t a)
{
    const int32_t half_denominator = (int32_t)(((uint32_t)a + (UINT32_C(1) << 31)) >> 1);
    int32_t x = 1515870810 + mq_product(half_denominator, -1010580540); /* 48/17 - 32/17 * d, Q2.29 */
    for (int32_t i = 0; i < 3; i++) {
        x += mq_shift_left(mq_product(x, (1 << 29) - mq_product(half_denominator, x)), 2);
    }
    return mq_shift_left(x, 1);
}

#endif
