/* Sums of two outputs of three pixels at a time, for every convolution on cores with SMLAD.
 *
 * Where mq_gemm.h has no proof (sums beyond 23 bits) or no requantization (left shifts, narrow clamps): both halves of a
 * weight word are unpacked, and the sums are requantized in C. 27 cycles for 24 MACs on Cortex-M4, and about 30 an output.
 *
 * A block is three expanded pixels: for every four inputs, the even ones of each pixel as two int16, then the odd ones.
 * A stream is the weight words of each pair of outputs in turn. Padding is folded into the biases by the compiler.
 */
#ifndef MQ_GEMM_SUMS_H
#define MQ_GEMM_SUMS_H

#include "mq_dsp.h"

/* Expands `words` words of one pixel into every sixth word of `to`. */
MQ_KERNEL void mq_gemm_sums_expand(const uint32_t *from, int32_t words, uint32_t *to)
{
    for (int32_t i = 0; i < words; i++, to += 6) {
        const uint32_t x = from[i];
        to[0] = mq_sxtb16(x);
        to[3] = mq_sxtb16_ror8(x);
    }
}

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

#define MQ_GEMM_SUMS_THREE(w, a, b, c)                                                                                 \
    "smlad  " a ", " w ", r11, " a "\n"                                                                                \
    "smlad  " b ", " w ", r12, " b "\n"                                                                                \
    "smlad  " c ", " w ", lr, " c " \n"

/* For `pairs` pairs of outputs: the sums of the first output for each pixel, then of the second. */
static __attribute__((naked, noinline, unused)) void mq_gemm_sums(
    const uint32_t *block __attribute__((unused)), const uint32_t *block_end __attribute__((unused)),
    const uint32_t *stream __attribute__((unused)), int32_t *sums __attribute__((unused)),
    int32_t pairs __attribute__((unused)))
{
    __asm__ volatile("ldr    r12, [sp]               \n"
                     "push   {r4-r11, lr}            \n"
                     "push   {r0, r1, r3, r12}       \n" /* block, block_end, sums, pairs */
                     "mov    r1, r2                  \n"
                     "1:                             \n"
                     "ldr    r0, [sp]                \n"
                     "mov    r3, #0                  \n"
                     "mov    r4, #0                  \n"
                     "mov    r5, #0                  \n"
                     "mov    r6, #0                  \n"
                     "mov    r7, #0                  \n"
                     "mov    r8, #0                  \n"
                     "2:                             \n"
                     "ldmia  r1!, {r9, r10}          \n"
                     "ldmia  r0!, {r11, r12, lr}     \n"
                     "sxtb16 r2, r9                  \n" MQ_GEMM_SUMS_THREE("r2", "r3", "r4", "r5")
                     "sxtb16 r2, r10                 \n" MQ_GEMM_SUMS_THREE("r2", "r6", "r7", "r8")
                     "ldmia  r0!, {r11, r12, lr}     \n"
                     "sxtb16 r9, r9, ror #8          \n" MQ_GEMM_SUMS_THREE("r9", "r3", "r4", "r5")
                     "sxtb16 r10, r10, ror #8        \n" MQ_GEMM_SUMS_THREE("r10", "r6", "r7", "r8")
                     "ldr    r2, [sp, #4]            \n"
                     "cmp    r0, r2                  \n"
                     "bne    2b                      \n"
                     "ldrd   r9, r10, [sp, #8]       \n"
                     "stmia  r9!, {r3-r8}            \n"
                     "subs   r10, r10, #1            \n"
                     "strd   r9, r10, [sp, #8]       \n"
                     "bne    1b                      \n"
                     "add    sp, sp, #16             \n"
                     "pop    {r4-r11, pc}            \n");
}

#undef MQ_GEMM_SUMS_THREE

#else

MQ_KERNEL void mq_gemm_sums(const uint32_t *block, const uint32_t *block_end, const uint32_t *stream, int32_t *sums,
                            int32_t pairs)
{
    const int32_t words = (int32_t)(block_end - block) / 6;
    for (int32_t output = 0; output < 2 * pairs; output++) {
        const uint32_t *w = stream + output / 2 * 2 * words + output % 2;
        for (int32_t i = 0; i < 3; i++) {
            int32_t sum = 0;
            for (int32_t k = 0; k < words; k++) {
                sum = mq_smlad(mq_sxtb16(w[2 * k]), block[6 * k + i], sum);
                sum = mq_smlad(mq_sxtb16_ror8(w[2 * k]), block[6 * k + 3 + i], sum);
            }
            *sums++ = sum;
        }
    }
}

#endif

/* Parameters of the requantization; one bias, m (31 bits) and shift (to the left) per output. */
typedef struct {
    const int32_t *bias, *m;
    const int8_t *shift;
    int32_t y_zero, act_min, act_max;
} mq_gemm_scale_t;

/* Outputs of the first `pixels` of three pixels. */
MQ_KERNEL void mq_gemm_sums_requantize(const mq_gemm_scale_t *s, const int32_t *sums, int32_t pixels, int32_t outputs,
                                       int8_t *y)
{
    for (int32_t o = 0; o < outputs; o++, sums += 3) {
        for (int32_t i = 0; i < pixels; i++) {
            const int32_t sum = (int32_t)((uint32_t)sums[i] + (uint32_t)s->bias[o]);
            const int32_t v = mq_requantize(sum, s->m[o], s->shift[o]);
            y[i * outputs + o] = (int8_t)mq_stored(v, s->y_zero, s->act_min, s->act_max);
        }
    }
}

#endif
