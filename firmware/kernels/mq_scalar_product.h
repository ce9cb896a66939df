/* Two outputs of two pixels at a time: the inner product of convolutions on cores without SIMD.
 *
 * A multiplication a MAC is all there is. What can be saved are loads, here one a MAC instead of two, and the offset of the
 * inputs, which is in the biases. Weights are as stored: an output's taps, then those of the next.
 */
#ifndef MQ_SCALAR_PRODUCT_H
#define MQ_SCALAR_PRODUCT_H

#include "mq_common.h"

typedef struct {
    const int8_t *w;
    const int32_t *bias, *m; /* an entry an output */
    const int8_t *shift;
    int32_t depth, outputs;
    int32_t y_zero, act_min, act_max;
} mq_scalar_product_t;

/* a * m / 2^31 to the nearest, halves up, by four products of halves that fit 32 bits; |a| <= 2^29, 0 <= m. */
MQ_KERNEL int32_t mq_scalar_high_mul_parts(int32_t a, int32_t m)
{
    const int32_t low = (int16_t)a, high = (a - low) / 65536;
    const int32_t m_low = m & 0xFFFF, m_high = m >> 16;
    return 2 * high * m_high + ((low * m_high + ((low * m_low) >> 16) + high * m_low + (1 << 14)) >> 15);
}

/* The same as this core does it best: Armv6-M has no product of 64 bits, and the library's is of twice 64. */
MQ_KERNEL int32_t mq_scalar_high_mul(int32_t a, int32_t m)
{
#if defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB == 1
    return mq_scalar_high_mul_parts(a, m);
#else
    return (int32_t)(((int64_t)a * m + (INT64_C(1) << 30)) >> 31);
#endif
}

/* TFLite's two roundings, where a shift of 0 is with an m of 0 only. */
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

/* All outputs of two pixels; a single one is both. */
MQ_SHARED static void mq_scalar_pair(const mq_scalar_product_t *p, const int8_t *x0, const int8_t *x1, int8_t *y0,
                                     int8_t *y1)
{
    const int32_t depth = p->depth;
    const int8_t *w0 = p->w;
    for (int32_t o = 0; o < p->outputs; o += 2) {
        const int32_t next = o + 1 < p->outputs ? 1 : 0; /* an odd output is both, too */
        const int8_t *w1 = w0 + next * depth;
        int32_t s00 = p->bias[o], s01 = p->bias[o + next], s10 = s00, s11 = s01;
#pragma GCC unroll 4
        for (int32_t k = 0; k < depth; k++) {
            const int32_t a = x0[k], b = x1[k], c = w0[k], d = w1[k];
            s00 += a * c;
            s01 += a * d;
            s10 += b * c;
            s11 += b * d;
        }
        const int8_t a = mq_scalar_output(p, s00, o), b = mq_scalar_output(p, s10, o);
        const int8_t c = mq_scalar_output(p, s01, o + next), d = mq_scalar_output(p, s11, o + next);
        y0[o] = a;
        y1[o] = b;
        y0[o + next] = c;
        y1[o + next] = d;
        w0 = w1 + depth;
    }
}

/* All outputs of `pixels` pixels, `step` bytes apart. */
MQ_KERNEL void mq_scalar_pixels(const mq_scalar_product_t *p, const int8_t *x, int32_t pixels, int32_t step, int8_t *y)
{
    for (int32_t i = 0; i < pixels; i += 2, x += 2 * step, y += 2 * p->outputs) {
        const int32_t next = i + 1 < pixels ? 1 : 0;
        mq_scalar_pair(p, x, x + next * step, y, y + next * p->outputs);
    }
}

#endif
