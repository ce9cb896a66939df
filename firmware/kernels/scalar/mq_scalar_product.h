/* A layer of convolution on cores without SIMD, and the requantization of its sums. */
#ifndef MQ_SCALAR_PRODUCT_H
#define MQ_SCALAR_PRODUCT_H

#include "mq_common.h"

/* depth and outputs: 1 or more. m: 2^30 to 2^31 - 1; shift: -31 to 0. y_zero: -128 to 127; -128 <= act_min <=
   act_max <= 127. Sums must fit 32 bits. */
typedef struct {
    const int8_t *w;
    const int32_t *bias, *m; /* one entry per output */
    const int8_t *shift;
    int32_t depth; /* bytes of an output, padded for the micro-kernel */
    int32_t outputs;
    int32_t y_zero, act_min, act_max;
} mq_scalar_product_t;

/* a * m / 2^31 to the nearest, halves up, by four products of halves that fit 32 bits; |a| <= 2^29, 0 <= m. */
MQ_KERNEL int32_t mq_scalar_high_mul_parts(int32_t a, int32_t m)
{
    const int32_t low = (int16_t)a, high = (a - low) / 65536;
    const int32_t m_low = m & 0xFFFF, m_high = m >> 16;
    return 2 * high * m_high + ((low * m_high + ((low * m_low) >> 16) + high * m_low + (1 << 14)) >> 15);
}

/* The same in the fastest form for this core: Armv6-M has no 64-bit product, and the library multiplies 64 by 64
   bits. */
MQ_KERNEL int32_t mq_scalar_high_mul(int32_t a, int32_t m)
{
#if defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB == 1
    return mq_scalar_high_mul_parts(a, m);
#else
    const int64_t twice = (int64_t)(2 * a) * m;
    return (int32_t)(twice >> 32) + (int32_t)((uint32_t)twice >> 31);
#endif
}

/* TFLite's two roundings; a shift of 0 occurs only with m = 0. */
MQ_KERNEL int32_t mq_scalar_requantize(int32_t sum, int32_t m, int32_t right)
{
    const int32_t high = mq_scalar_high_mul(sum, m);
    return (high + (high >> 31) + (int32_t)((UINT32_C(1) << right) >> 1)) >> right;
}

MQ_KERNEL int8_t mq_scalar_output(const mq_scalar_product_t *p, int32_t sum, int32_t output)
{
    const int32_t v = mq_scalar_requantize(sum, p->m[output], -p->shift[output]);
    return (int8_t)mq_clamp(v + p->y_zero, p->act_min, p->act_max);
}

#endif
