/* An output of four pixels at a time: the inner product of convolutions on Armv6-M.
 *
 * Its multiplication overwrites a factor, a byte with its sign is loaded from two registers' sum only, and eight registers
 * are all that most instructions take. So the inputs of four pixels are words, which LDM loads without more ado and the
 * products may overwrite; a weight is used four times. 63 cycles for 16 MACs on a Cortex-M0+, where a load is 2 cycles.
 */
#ifndef MQ_SCALAR_FOUR_H
#define MQ_SCALAR_FOUR_H

#include "mq_scalar_product.h"

#if defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB == 1

/* The weight is in r3 or r2. */
#define MQ_SCALAR_FOUR_MACS(weight)                                                                                    \
    "ldmia  r0!, {r4, r5, r6, r7}   \n"                                                                                \
    "muls   r4, " weight ", r4      \n"                                                                                \
    "muls   r5, " weight ", r5      \n"                                                                                \
    "muls   r6, " weight ", r6      \n"                                                                                \
    "muls   r7, " weight ", r7      \n"                                                                                \
    "add    r8, r8, r4              \n"                                                                                \
    "add    r9, r9, r5              \n"                                                                                \
    "add    r10, r10, r6            \n"                                                                                \
    "add    r11, r11, r7            \n"
#define MQ_SCALAR_FOUR_NEXT                                                                                            \
    "sxtb   r3, r2                  \n" MQ_SCALAR_FOUR_MACS("r3") "asrs   r2, r2, #8              \n"

/* sums[i] = sum of block[4 k + i] * w[k] until block_end, at least four k. */
static __attribute__((naked, noinline, unused)) void mq_scalar_four(
    const int32_t *block __attribute__((unused)), const int8_t *w __attribute__((unused)),
    const int32_t *block_end __attribute__((unused)), int32_t *sums __attribute__((unused)))
{
    __asm__ volatile(".syntax unified                \n"
                     "push   {r3, r4, r5, r6, r7, lr} \n"
                     "mov    r4, r8                  \n"
                     "mov    r5, r9                  \n"
                     "mov    r6, r10                 \n"
                     "mov    r7, r11                 \n"
                     "push   {r4, r5, r6, r7}        \n"
                     "mov    r12, r2                 \n"
                     "movs   r4, #0                  \n"
                     "mov    r8, r4                  \n"
                     "mov    r9, r4                  \n"
                     "mov    r10, r4                 \n"
                     "mov    r11, r4                 \n"
                     "1:                             \n"
                     "ldmia  r1!, {r2}               \n" MQ_SCALAR_FOUR_NEXT MQ_SCALAR_FOUR_NEXT MQ_SCALAR_FOUR_NEXT
                         MQ_SCALAR_FOUR_MACS("r2")
                     "cmp    r0, r12                 \n"
                     "bne    1b                      \n"
                     "ldr    r0, [sp, #16]           \n"
                     "mov    r4, r8                  \n"
                     "mov    r5, r9                  \n"
                     "mov    r6, r10                 \n"
                     "mov    r7, r11                 \n"
                     "stmia  r0!, {r4, r5, r6, r7}   \n"
                     "pop    {r4, r5, r6, r7}        \n"
                     "mov    r8, r4                  \n"
                     "mov    r9, r5                  \n"
                     "mov    r10, r6                 \n"
                     "mov    r11, r7                 \n"
                     "pop    {r3, r4, r5, r6, r7, pc} \n");
}

#undef MQ_SCALAR_FOUR_NEXT
#undef MQ_SCALAR_FOUR_MACS

#else

MQ_KERNEL void mq_scalar_four(const int32_t *block, const int8_t *w, const int32_t *block_end, int32_t *sums)
{
    for (int32_t i = 0; i < 4; i++) {
        sums[i] = 0;
    }
    for (; block != block_end; block += 4, w++) {
        for (int32_t i = 0; i < 4; i++) {
            sums[i] = (int32_t)((uint32_t)sums[i] + (uint32_t)block[i] * (uint32_t)*w);
        }
    }
}

#endif

/* All outputs of the block's first `pixels` pixels; the depth is a multiple of 4, and so is the weights' address. */
MQ_SHARED static void mq_scalar_four_pixels(const mq_scalar_product_t *p, const int32_t *block, int32_t pixels,
                                            int8_t *y)
{
    const int8_t *w = p->w;
    for (int32_t o = 0; o < p->outputs; o++, w += p->depth) {
        int32_t sums[4];
        int8_t *to = y + o;
        mq_scalar_four(block, w, block + 4 * p->depth, sums);
        for (int32_t i = 0; i < pixels; i++, to += p->outputs) {
            *to = mq_scalar_output(p, p->bias[o] + sums[i], o);
        }
    }
}

#endif
