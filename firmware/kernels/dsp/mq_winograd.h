/* Winograd's convolution by three taps, four outputs a time, exact in integers: transforms and inner products.
 *
 * F(4,3): y = A [(G w) * (B x)] with six products for four outputs of three taps instead of twelve. B is integral. G is
 * made so by factors of its rows (6, 6, 6, 24, 24, 6), which A's columns take back: 24 y comes out, as integers. With
 * int8 inputs |B x| <= 1280 and |G w| <= 896; of both axes, 12800 and 6272: all fit 16 bits. (Of one axis, G is 16
 * times as large: 384 y.) Sums are exact modulo 2^32, so what comes out is right wherever 384 or 576 times the sum
 * fits, which the compiler proves.
 *
 *     B = 4  0 -5  0  1  0     G = 6  0  0     A = 1  4  4  1  1  0
 *         0 -4 -4  1  1  0        -1 -1 -1         0  4 -4  2 -2  0
 *         0  4 -4 -1  1  0        -1  1 -1         0  4  4  4  4  0
 *         0 -2 -1  2  1  0         1  2  4         0  4 -4  8 -8  4
 *         0  2 -1 -2  1  0         1 -2  4
 *         0  4  0 -5  0  1         0  0  6
 *
 * (S. Winograd, Arithmetic Complexity of Computations, 1980; A. Lavin and S. Gray, Fast Algorithms for Convolutional
 * Neural Networks, 2015.) SMLAD multiplies int16 pairs as it does unpacked int8 ones: 17 cycles for 16 products.
 */
#ifndef MQ_WINOGRAD_H
#define MQ_WINOGRAD_H

#include "mq_dsp.h"

/* Parameters that all calls of mq_winograd_products of a layer share. `pairs`: words of a tile's inputs of a
   position. One call: the products of two tiles and four outputs at all positions. bytes: a multiple of 8. */
typedef struct {
    const uint32_t *first_end; /* bytes of the first position's inputs */
    int32_t bytes;             /* bytes between the inputs of positions */
    uint32_t *end;             /* bytes of the products */
    int32_t skip;              /* bytes of code between the start of the unrolled loop and its entry */
} mq_winograd_t;

#define MQ_WINOGRAD_UNROLL 16
#define MQ_WINOGRAD_STEP_BYTES 44
/* The first of `pairs` steps is separate. */
#define MQ_WINOGRAD_SKIP(pairs)                                                                                        \
    ((MQ_WINOGRAD_UNROLL - ((pairs) - 1) % MQ_WINOGRAD_UNROLL) % MQ_WINOGRAD_UNROLL * MQ_WINOGRAD_STEP_BYTES)

MQ_KERNEL mq_winograd_t mq_winograd(const uint32_t *x, int32_t pairs, int32_t positions, uint32_t *products)
{
    return (mq_winograd_t){x + 2 * pairs, 8 * pairs, products + 8 * positions, MQ_WINOGRAD_SKIP(pairs)};
}

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* B of x0 to x5, in place; 20 cycles. */
#define MQ_WINOGRAD_B(x0, x1, x2, x3, x4, x5, a, b)                                                                    \
    "ssub16 " a ", " x4 ", " x2 "\n"                                                                                   \
    "ssub16 " b ", " x3 ", " x1 "\n"                                                                                   \
    "ssub16 " x5 ", " x5 ", " x3 "\n"                                                                                  \
    "ssub16 " x0 ", " x0 ", " x2 "\n"                                                                                  \
    "sadd16 " x0 ", " x0 ", " x0 "\n"                                                                                  \
    "sadd16 " x0 ", " x0 ", " x0 "\n"                                                                                  \
    "sadd16 " x0 ", " x0 ", " a "\n"                                                                                   \
    "sadd16 " x2 ", " x2 ", " x2 "\n"                                                                                  \
    "sadd16 " x2 ", " x2 ", " x2 "\n"                                                                                  \
    "ssub16 " x4 ", " x4 ", " x2 "\n"                                                                                  \
    "sadd16 " x1 ", " x1 ", " x1 "\n"                                                                                  \
    "sadd16 " x1 ", " x1 ", " x1 "\n"                                                                                  \
    "ssub16 " x3 ", " x3 ", " x1 "\n"                                                                                  \
    "sadd16 " x1 ", " x4 ", " x3 "\n"                                                                                  \
    "ssub16 " x2 ", " x4 ", " x3 "\n"                                                                                  \
    "sadd16 " b ", " b ", " b "\n"                                                                                     \
    "sadd16 " x3 ", " a ", " b "\n"                                                                                    \
    "ssub16 " x4 ", " a ", " b "\n"                                                                                    \
    "sadd16 " b ", " b ", " b "\n"                                                                                     \
    "ssub16 " x5 ", " x5 ", " b "\n"

/* A of r3 to r8: y0, y1 / 2, y2 / 4, y3 / 4 in r3, r7, r5, r8; 10 cycles. */
#define MQ_WINOGRAD_A                                                                                                  \
    "add    r9, r4, r5               \n"                                                                               \
    "sub    r4, r4, r5               \n"                                                                               \
    "add    r10, r6, r7              \n"                                                                               \
    "sub    r6, r6, r7               \n"                                                                               \
    "add    r3, r3, r10              \n"                                                                               \
    "add    r3, r3, r9, lsl #2       \n"                                                                               \
    "add    r5, r9, r10              \n"                                                                               \
    "add    r7, r6, r4, lsl #1       \n"                                                                               \
    "add    r8, r8, r6, lsl #1       \n"                                                                               \
    "add    r8, r8, r4               \n"

/* `y`, twice the sum, by m in r6, what is added in r9, and the shift in r10: TFLite's two roundings. */
#define MQ_WINOGRAD_ROUND_TWICE(y)                                                                                     \
    "smmulr " y ", " y ", r6         \n"                                                                               \
    "add    " y ", " y ", " y ", asr #31 \n"                                                                           \
    "add    " y ", " y ", r9         \n"                                                                               \
    "asr    " y ", " y ", r10        \n"                                                                               \
    "ssat   " y ", #8, " y "         \n"

#define MQ_WINOGRAD_FIRST(a, b, c, d)                                                                                  \
    "ldmia  r1!, {r12, lr}           \n"                                                                               \
    "smuad  " a ", r12, r10          \n"                                                                               \
    "smuad  " b ", r12, r11          \n"                                                                               \
    "smuad  " c ", lr, r10           \n"                                                                               \
    "smuad  " d ", lr, r11           \n"
#define MQ_WINOGRAD_MORE(a, b, c, d)                                                                                   \
    "ldmia  r1!, {r12, lr}           \n"                                                                               \
    "smlad  " a ", r12, r10, " a "   \n"                                                                               \
    "smlad  " b ", r12, r11, " b "   \n"                                                                               \
    "smlad  " c ", lr, r10, " c "    \n"                                                                               \
    "smlad  " d ", lr, r11, " d "    \n"
#define MQ_WINOGRAD_STEP                                                                                               \
    "ldmia  r0!, {r10, r11}          \n" MQ_WINOGRAD_MORE("r2", "r3", "r4", "r5")                                      \
        MQ_WINOGRAD_MORE("r6", "r7", "r8", "r9")
#define MQ_WINOGRAD_FOUR MQ_WINOGRAD_STEP MQ_WINOGRAD_STEP MQ_WINOGRAD_STEP MQ_WINOGRAD_STEP
#define MQ_WINOGRAD_LOOP                                                                                               \
    MQ_STEPS_OF_LENGTH(MQ_WINOGRAD_FOUR MQ_WINOGRAD_FOUR MQ_WINOGRAD_FOUR MQ_WINOGRAD_FOUR,                            \
                       MQ_TEXT_OF(MQ_WINOGRAD_UNROLL), MQ_TEXT_OF(MQ_WINOGRAD_STEP_BYTES))

/* Products of two tiles by four outputs at every position. x: for each position and channel pair, a word of each tile.
   w: for each position and channel pair, a word of each output. products: for each position and output, both tiles. */
static __attribute__((naked, noinline, unused)) void mq_winograd_products(
    const uint32_t *x __attribute__((unused)), const uint32_t *w __attribute__((unused)),
    uint32_t *products __attribute__((unused)), const mq_winograd_t *g __attribute__((unused)))
{
    /* On the stack: end of the position's inputs, bytes, end of the products, products, where to enter the loop. */
    __asm__ volatile("push   {r4-r11, lr}            \n"
                     "mov    r7, r2                  \n"
                     "ldmia  r3, {r4, r5, r6, r8}    \n"
                     "adr.w  r9, 2f                  \n"
                     "add    r8, r8, r9              \n"
                     "orr    r8, r8, #1              \n"
                     "push   {r4, r5, r6, r7, r8}    \n"
                     "1:                             \n"
                     "ldmia  r0!, {r10, r11}         \n" MQ_WINOGRAD_FIRST("r2", "r3", "r4", "r5")
                     MQ_WINOGRAD_FIRST("r6", "r7", "r8", "r9")
                     "ldr    pc, [sp, #16]           \n"
                     ".balign 4                      \n"
                     "2:                             \n" MQ_WINOGRAD_LOOP

                     "ldmia  sp, {r10, r11, r12, lr} \n"
                     "cmp    r0, r10                 \n"
                     "bne.w  2b                      \n"
                     "stmia  lr!, {r2-r9}            \n"
                     "add    r10, r10, r11           \n"
                     "str    lr, [sp, #12]           \n"
                     "str    r10, [sp]               \n"
                     "cmp    lr, r12                 \n"
                     "bne.w  1b                      \n"
                     "add    sp, sp, #20             \n"
                     "pop    {r4-r11, pc}            \n");
}

#undef MQ_WINOGRAD_FOUR
#undef MQ_WINOGRAD_STEP
#undef MQ_WINOGRAD_MORE
#undef MQ_WINOGRAD_FIRST

#else

MQ_KERNEL void mq_winograd_products(const uint32_t *x, const uint32_t *w, uint32_t *products, const mq_winograd_t *g)
{
    const int32_t pairs = g->bytes / 8;
    for (; products < g->end; products += 8, x += 2 * pairs, w += 4 * pairs) {
        for (int32_t i = 0; i < 8; i++) {
            int32_t sum = 0;
            for (int32_t k = 0; k < pairs; k++) {
                sum = mq_smlad(w[4 * k + i / 2], x[2 * k + i % 2], sum);
            }
            products[i] = (uint32_t)sum;
        }
    }
}

/* B of six words, each the inputs of two channels. */
MQ_KERNEL void mq_winograd_b(const uint32_t x[6], uint32_t y[6])
{
    const uint32_t even = mq_ssub16(x[4], x[2]);
    const uint32_t odd2 = mq_sadd16(mq_ssub16(x[3], x[1]), mq_ssub16(x[3], x[1]));
    const uint32_t x1_2 = mq_sadd16(x[1], x[1]);
    const uint32_t x2_2 = mq_sadd16(x[2], x[2]);
    const uint32_t a = mq_ssub16(x[4], mq_sadd16(x2_2, x2_2));
    const uint32_t b = mq_ssub16(x[3], mq_sadd16(x1_2, x1_2));
    const uint32_t c2 = mq_sadd16(mq_ssub16(x[0], x[2]), mq_ssub16(x[0], x[2]));
    y[0] = mq_sadd16(mq_sadd16(c2, c2), even);
    y[1] = mq_sadd16(a, b);
    y[2] = mq_ssub16(a, b);
    y[3] = mq_sadd16(even, odd2);
    y[4] = mq_ssub16(even, odd2);
    y[5] = mq_ssub16(mq_ssub16(x[5], x[3]), mq_sadd16(odd2, odd2));
}

/* A of six products, modulo 2^32. */
MQ_KERNEL void mq_winograd_a(const uint32_t m[6], uint32_t y[4])
{
    const uint32_t s = m[1] + m[2], d = m[1] - m[2], u = m[3] + m[4], v = m[3] - m[4];
    y[0] = m[0] + 4 * s + u;
    y[1] = 4 * d + 2 * v;
    y[2] = 4 * s + 4 * u;
    y[3] = 4 * d + 8 * v + 4 * m[5];
}

typedef int8_t mq_winograd_requantize_t(uint32_t sum, const int32_t *constants);

MQ_KERNEL int8_t mq_winograd_requantize_12(uint32_t sum, const int32_t *constants)
{
    return (int8_t)mq_clamp(mq_smmulr((int32_t)sum, constants[1]) >> 12, -128, 127);
}

MQ_KERNEL int8_t mq_winograd_requantize_8(uint32_t sum, const int32_t *constants)
{
    return (int8_t)mq_clamp(mq_smmulr((int32_t)sum, constants[1]) >> 8, -128, 127);
}

/* Requantizes twice a sum; constants: any, m, the addend, shift. */
MQ_KERNEL int8_t mq_winograd_round_twice(int32_t twice, const int32_t *constants)
{
    const int32_t high = mq_smmulr(twice, constants[1]);
    return (int8_t)mq_clamp((high + (high >> 31) + constants[2]) >> constants[3], -128, 127);
}

#endif

#endif
