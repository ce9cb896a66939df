/* Two outputs of three pixels at a time: the inner product of convolutions on Cortex-M3.
 *
 * It multiplies in a cycle and adds the product, shifted or not, in another; a multiply-accumulate takes two. So a product
 * is made for two outputs: with x' = x + 128 and w0' = w0 + 128, both from 0 to 255,
 *
 *     p = x' * (65536 * w1 + w0') = 65536 * x' * w1 + x' * w0'
 *
 * whose low half has no sign. The sums of p >> 16 are those of x' * w1, and the sums of p less 65536 times them those of
 * x' * w0', modulo 2^32. What the offsets add is in the biases but for 128 times the sum of x', which is known of each
 * pixel. 17 cycles for 6 MACs, where six multiply-accumulates and their loads take 18.
 *
 * A block is the x' of three pixels in turn; weights are w0' and w1 of a pair of outputs in turn. Both are filled up to a
 * multiple of four inputs, the block with zeros.
 */
#ifndef MQ_SCALAR_THREE_H
#define MQ_SCALAR_THREE_H

#include "mq_scalar_product.h"

#if defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB == 2

#define MQ_SCALAR_THREE_ONE(x, low, high)                                                                              \
    "mul    " x ", " x ", r12            \n"                                                                           \
    "add    " low ", " low ", " x "      \n"                                                                           \
    "add    " high ", " high ", " x ", asr #16 \n"
#define MQ_SCALAR_THREE_STEP                                                                                           \
    "ldrb   r12, [r1], #1           \n"                                                                                \
    "ldrsb  lr, [r1], #1            \n"                                                                                \
    "ldrb   r9, [r0], #1            \n"                                                                                \
    "ldrb   r10, [r0], #1           \n"                                                                                \
    "ldrb   r11, [r0], #1           \n"                                                                                \
    "add    r12, r12, lr, lsl #16   \n" MQ_SCALAR_THREE_ONE("r9", "r3", "r6") MQ_SCALAR_THREE_ONE("r10", "r4", "r7")   \
        MQ_SCALAR_THREE_ONE("r11", "r5", "r8")

/* The sums of x' * w0' of three pixels, then of x' * w1. */
static __attribute__((naked, noinline, unused)) void mq_scalar_three(
    const uint8_t *block __attribute__((unused)), const int8_t *w __attribute__((unused)),
    const uint8_t *block_end __attribute__((unused)), int32_t *sums __attribute__((unused)))
{
    __asm__ volatile("push   {r3, r4-r11, lr}        \n"
                     "mov    r3, #0                  \n"
                     "mov    r4, #0                  \n"
                     "mov    r5, #0                  \n"
                     "mov    r6, #0                  \n"
                     "mov    r7, #0                  \n"
                     "mov    r8, #0                  \n"
                     "1:                             \n" MQ_SCALAR_THREE_STEP MQ_SCALAR_THREE_STEP
                         MQ_SCALAR_THREE_STEP MQ_SCALAR_THREE_STEP
                     "cmp    r0, r2                  \n"
                     "bne    1b                      \n"
                     "sub    r3, r3, r6, lsl #16     \n"
                     "sub    r4, r4, r7, lsl #16     \n"
                     "sub    r5, r5, r8, lsl #16     \n"
                     "pop    {r0}                    \n"
                     "stm    r0, {r3-r8}             \n"
                     "pop    {r4-r11, pc}            \n");
}

#undef MQ_SCALAR_THREE_STEP
#undef MQ_SCALAR_THREE_ONE

#else

MQ_KERNEL void mq_scalar_three(const uint8_t *block, const int8_t *w, const uint8_t *block_end, int32_t *sums)
{
    const int32_t depth = (int32_t)(block_end - block) / 3;
    for (int32_t i = 0; i < 3; i++) {
        uint32_t all = 0;
        int32_t high = 0;
        for (int32_t k = 0; k < depth; k++) {
            const int32_t p = block[3 * k + i] * (w[2 * k + 1] * 65536 + (uint8_t)w[2 * k]);
            all += (uint32_t)p;
            high += p >> 16;
        }
        sums[i] = (int32_t)(all - ((uint32_t)high << 16));
        sums[3 + i] = high;
    }
}

#endif

/* An output of the block's first `pixels` pixels; x_sums, where there are any, is the sum of each one's x'. */
MQ_KERNEL void mq_scalar_three_outputs(const mq_scalar_product_t *p, const int32_t *sums, const int32_t *x_sums,
                                       int32_t output, int32_t pixels, int8_t *y)
{
    const int32_t bias = p->bias[output], m = p->m[output], right = -p->shift[output];
    const int32_t zero = p->y_zero, low = p->act_min, high = p->act_max, outputs = p->outputs;
    for (int32_t i = 0; i < pixels; i++, y += outputs) {
        const int32_t sum = bias + sums[i] - (x_sums ? 128 * x_sums[i] : 0);
        *y = (int8_t)mq_clamp(mq_scalar_requantize(sum, m, right) + zero, low, high);
    }
}

/* All outputs of the block's first `pixels` pixels. */
MQ_SHARED static void mq_scalar_three_pixels(const mq_scalar_product_t *p, const uint8_t *block, const int32_t *x_sums,
                                             int32_t pixels, int8_t *y)
{
    const int8_t *w = p->w;
    for (int32_t o = 0; o < p->outputs; o += 2, w += 2 * p->depth) {
        int32_t sums[6];
        mq_scalar_three(block, w, block + 3 * p->depth, sums);
        mq_scalar_three_outputs(p, sums, x_sums, o, pixels, y + o);
        if (o + 1 < p->outputs) {
            mq_scalar_three_outputs(p, sums + 3, NULL, o + 1, pixels, y + o + 1);
        }
    }
}

#endif
