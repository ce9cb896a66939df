/* Two pixels by two outputs at a time: the inner product of convolutions on cores with SMLAD.
 *
 * An int8 weight word holds b0 b1 b2 b3. Even bytes are stored offset by 128, B = b + 128, so that the word's halves are
 * h = 256*b1 + B0 and 256*b3 + B2. With x1' = x1 - 127 and z = 256*x0 - x1', both int16, prepared once per pixel:
 *
 *     SMLAD(word, x1') + SMLAD(UXTB16(word), z) = 256 * (b1*x1' + B0*x0) + the same for b2, b3
 *
 * One unpack a word instead of two. The sum is 256 times the true one plus 127 * sum(b1), which the packed bias takes away,
 * and 128 * sum(x0), subtracted once per pixel. It is exact modulo 2^32: the compiler uses this form only where it proves
 * |bias + sum(w * (x - x_zero))| < 2^23. 18 cycles for 16 MACs on Cortex-M4.
 */
#ifndef MQ_GEMM_H
#define MQ_GEMM_H

#include "mq_dsp.h"

/* One call: `outputs` / 2 pairs of outputs for two pixels. */
typedef struct {
    const uint32_t *x;       /* expanded pixels: x1', z of the first, x1', z of the second, for every 4 inputs */
    const uint32_t *x_end;
    int8_t *y[2];            /* where the outputs of each pixel go */
    int32_t x_sum[2];        /* sum(x0) << 15 */
    const uint32_t *weights; /* a pair: 2 biases * 256, the weight words of both outputs in turn, m, add, shift of each */
    int32_t pairs;
} mq_gemm_t;

/* Expands `words` words of one pixel into every fourth word of `to`; returns the sum of even inputs. */
MQ_KERNEL int32_t mq_gemm_expand(const uint32_t *from, int32_t words, uint32_t *to)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < words; i++) {
        const uint32_t x = from[i];
        const uint32_t odd = mq_ssub16(mq_sxtb16_ror8(x), 0x007F007Fu);
        sum = mq_smlad(mq_sxtb16(x), 0x00010001u, sum);
        to[4 * i] = odd;
        to[4 * i + 1] = mq_ssub16(mq_uxtb16(x) << 8, odd);
    }
    return sum;
}

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

#define MQ_GEMM_FOUR                                                                                                   \
    "ldmia.w r0!, {r3, r4, r5, r6} \n"                                                                                 \
    "ldmia  r1!, {r7, r8}          \n"                                                                                 \
    "smlad  r9, r7, r3, r9         \n"                                                                                 \
    "smlad  r10, r7, r5, r10       \n"                                                                                 \
    "smlad  r11, r8, r3, r11       \n"                                                                                 \
    "smlad  r12, r8, r5, r12       \n"                                                                                 \
    "uxtb16 r7, r7                 \n"                                                                                 \
    "uxtb16 r8, r8                 \n"                                                                                 \
    "smlad  r9, r7, r4, r9         \n"                                                                                 \
    "smlad  r10, r7, r6, r10       \n"                                                                                 \
    "smlad  r11, r8, r4, r11       \n"                                                                                 \
    "smlad  r12, r8, r6, r12       \n"

/* TFLite's two roundings: high multiply, then a shift that rounds halves away from zero; the output's zero point is in
   the constant that is added. */
#define MQ_GEMM_REQUANTIZE(acc)                                                                                        \
    "asr    " acc ", " acc ", #7          \n"                                                                          \
    "smmulr " acc ", " acc ", r3          \n"                                                                          \
    "add    " acc ", " acc ", " acc ", asr #31 \n"                                                                     \
    "add    " acc ", " acc ", r4          \n"                                                                          \
    "asr    " acc ", " acc ", r5          \n"                                                                          \
    "ssat   " acc ", #8, " acc "          \n"

static __attribute__((naked, noinline)) void mq_gemm_pairs_s8(mq_gemm_t *g __attribute__((unused)))
{
    __asm__ volatile(
        "push   {r4-r11, lr}           \n"
        "mov    lr, r0                 \n"
        "ldrd   r1, r2, [lr, #24]      \n" /* weights, pairs */
        "1:                            \n"
        "push   {r2}                   \n"
        "ldrd   r0, r2, [lr]           \n" /* x, x_end */
        "ldmia  r1!, {r9, r11}         \n" /* biases */
        "ldrd   r7, r8, [lr, #16]      \n" /* x_sum */
        "sub    r10, r9, r8            \n"
        "sub    r12, r11, r8           \n"
        "sub    r9, r9, r7             \n"
        "sub    r11, r11, r7           \n"
        /* Enter the unrolled loop so that it ends on a multiple of four. */
        "subs   r3, r2, r0             \n"
        "ands   r3, r3, #0x30          \n"
        "beq    2f                     \n"
        "rsb    r3, r3, #0x40          \n"
        "add    r3, r3, r3, lsl #1     \n" /* 48 bytes of code for 16 of data */
        "adr    r4, 2f                 \n"
        "add    r3, r3, r4             \n"
        "orr    r3, r3, #1             \n"
        "bx     r3                     \n"
        ".align 2                      \n"
        "2:                            \n" MQ_GEMM_FOUR MQ_GEMM_FOUR MQ_GEMM_FOUR MQ_GEMM_FOUR
        "cmp    r0, r2                 \n"
        "bne    2b                     \n"
        "ldrd   r6, r7, [lr, #8]       \n" /* y */
        "ldmia  r1!, {r3, r4, r5}      \n" /* m, add, shift of the first output */
        MQ_GEMM_REQUANTIZE("r9") MQ_GEMM_REQUANTIZE("r10")
        "strb   r9, [r6], #1           \n"
        "strb   r10, [r7], #1          \n"
        "ldmia  r1!, {r3, r4, r5}      \n" /* of the second */
        MQ_GEMM_REQUANTIZE("r11") MQ_GEMM_REQUANTIZE("r12")
        "strb   r11, [r6], #1          \n"
        "strb   r12, [r7], #1          \n"
        "strd   r6, r7, [lr, #8]       \n"
        "pop    {r2}                   \n"
        "subs   r2, r2, #1             \n"
        "bne    1b                     \n"
        "str    r1, [lr, #24]          \n"
        "pop    {r4-r11, pc}           \n");
}

#undef MQ_GEMM_FOUR
#undef MQ_GEMM_REQUANTIZE

#else

MQ_KERNEL int32_t mq_gemm_sum(const mq_gemm_t *g, const uint32_t *weights, int pixel, int32_t acc)
{
    for (const uint32_t *x = g->x + 2 * pixel; x < g->x_end; x += 4, weights += 2) {
        acc = mq_smlad(*weights, x[0], acc);
        acc = mq_smlad(mq_uxtb16(*weights), x[1], acc);
    }
    return acc;
}

MQ_KERNEL int8_t mq_gemm_requantize(int32_t acc, const uint32_t *constants)
{
    const int32_t high = mq_smmulr(acc >> 7, (int32_t)constants[0]);
    return (int8_t)mq_clamp((high + (high >> 31) + (int32_t)constants[1]) >> constants[2], -128, 127);
}

static void mq_gemm_pairs_s8(mq_gemm_t *g __attribute__((unused)))
{
    const int32_t words = (int32_t)(g->x_end - g->x) / 4;
    for (int32_t i = 0; i < g->pairs; i++, g->weights += 2 + 2 * words + 6) {
        for (int output = 0; output < 2; output++) {
            const uint32_t *w = g->weights + 2 + output;
            const uint32_t *constants = g->weights + 2 + 2 * words + 3 * output;
            for (int pixel = 0; pixel < 2; pixel++) {
                const int32_t start = (int32_t)(g->weights[output] - (uint32_t)g->x_sum[pixel]);
                *g->y[pixel]++ = mq_gemm_requantize(mq_gemm_sum(g, w, pixel, start), constants);
            }
        }
    }
}

#endif

/* The last of an odd number of outputs; its twin's results are dropped. */
MQ_KERNEL void mq_gemm_odd_s8(mq_gemm_t *g)
{
    int8_t results[2][2];
    int8_t *y[2] = {g->y[0], g->y[1]};
    g->y[0] = results[0];
    g->y[1] = results[1];
    g->pairs = 1;
    mq_gemm_pairs_s8(g);
    *y[0] = results[0][0];
    *y[1] = results[1][0];
}

#endif
