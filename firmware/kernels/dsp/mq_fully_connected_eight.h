/* Fully connected int8 layer on cores with SMLAD, eight outputs at a time.
 *
 * Weights b0 b1 of two inputs are stored as the 16-bit sum h = 256*b1 + b0, two such sums a word. For inputs x0 x1 with
 * z = 256*x0 - x1 + 127, whose bytes are those of x0 and x1 exchanged and the lower one's last seven bits turned over,
 *
 *     SMLAD(word, x1) + SMLAD(SXTB16(word), z) = 256 * (b1*x1 + b0*x0) + 127*b0 + the same for b2, b3
 *
 * One unpack a word instead of two, and 256 times the sum but for a constant, which the start of the sum takes away. It
 * is exact modulo 2^32: the compiler proves that 256 times the true sum fits, and that no h leaves 16 bits.
 *
 * x1 and z of all inputs are prepared in scratch, where there is room for two bytes an input (38 cycles for 32 products
 * on Cortex-M4), or again for every eight outputs (40 cycles).
 */
#ifndef MQ_FULLY_CONNECTED_EIGHT_H
#define MQ_FULLY_CONNECTED_EIGHT_H

#include "mq_dsp.h"

/* rows, depth and outputs: 1 or more; depth is a multiple of 4 where there are several rows. x: [rows][depth], y:
   [rows][outputs]. */
typedef struct {
    int32_t rows, depth, outputs;
    int32_t constant_step; /* words between the constants of eight outputs and those of the next eight; 0: equal constants */
    int32_t shift;         /* shift of the requantization in two instructions: 8 or 12 */
} mq_fully_connected_eight_t;

/* One call. `constants`, of eight outputs each: the factors of the requantization in two instructions (see `requantize`
   in the compiler), or else m, rounding with zero point, shift of each. */
typedef struct {
    const uint32_t *x;
    const uint32_t *x_end;
    const uint32_t *weights; /* for eight outputs: starts, then the first word of each, the second of each, ... */
    const uint32_t *constants;
    int32_t constant_step; /* bytes */
    int8_t *y;
    int32_t groups; /* groups of eight outputs; 1 or more */
} mq_eight_t;

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

#define MQ_EIGHT_PAIR(a, b)                                                                                            \
    "smlad  " a ", r2, r0, " a "\n"                                                                                    \
    "smlad  " b ", r3, r0, " b "\n"                                                                                    \
    "sxtb16 r2, r2\n"                                                                                                  \
    "sxtb16 r3, r3\n"                                                                                                  \
    "smlad  " a ", r2, r1, " a "\n"                                                                                    \
    "smlad  " b ", r3, r1, " b "\n"
#define MQ_EIGHT_NEXT "ldmia.w lr!, {r2, r3}\n"
#define MQ_EIGHT_PAIRS                                                                                                 \
    MQ_EIGHT_PAIR("r4", "r5")                                                                                          \
    MQ_EIGHT_NEXT MQ_EIGHT_PAIR("r6", "r7") MQ_EIGHT_NEXT MQ_EIGHT_PAIR("r8", "r9")                                    \
    MQ_EIGHT_NEXT MQ_EIGHT_PAIR("r10", "r11")
/* Separate loads: one directly after another takes one cycle. */
#define MQ_EIGHT_PREPARED                                                                                               \
    "ldr.w  r0, [r12], #4\n"                                                                                           \
    "ldr.w  r1, [r12], #4\n"                                                                                           \
    "ldr.w  r2, [lr], #4\n"                                                                                            \
    "ldr.w  r3, [lr], #4\n" MQ_EIGHT_PAIRS
#define MQ_EIGHT_BYTES                                                                                                 \
    "ldr.w  r0, [r12], #4\n"                                                                                           \
    "ldr.w  r2, [lr], #4\n"                                                                                            \
    "ldr.w  r3, [lr], #4\n"                                                                                            \
    "rev16.w r1, r0\n"                                                                                                 \
    "eor.w  r1, r1, #0x007F007F\n"                                                                                     \
    "sxtb16 r0, r0, ror #8\n" MQ_EIGHT_PAIRS

/* r0..r3: factors of four outputs. */
#define MQ_EIGHT_SCALE(a, b, c, d)                                                                                     \
    "ldmia  r12!, {r0, r1, r2, r3}\n"                                                                                  \
    "smmulr " a ", " a ", r0\n"                                                                                        \
    "smmulr " b ", " b ", r1\n"                                                                                        \
    "smmulr " c ", " c ", r2\n"                                                                                        \
    "smmulr " d ", " d ", r3\n"
#define MQ_EIGHT_SATURATE(a, shift, place)                                                                             \
    "ssat   " a ", #8, " a ", asr #" shift "\n"                                                                        \
    "strb   " a ", [r0, #" place "]\n"
#define MQ_EIGHT_TWO_INSTRUCTIONS(shift)                                                                               \
    MQ_EIGHT_SCALE("r4", "r5", "r6", "r7")                                                                             \
    MQ_EIGHT_SCALE("r8", "r9", "r10", "r11")                                                                           \
    "ldr    r0, [sp, #20]\n"                                                                                           \
    MQ_EIGHT_SATURATE("r4", shift, "0") MQ_EIGHT_SATURATE("r5", shift, "1") MQ_EIGHT_SATURATE("r6", shift, "2")        \
    MQ_EIGHT_SATURATE("r7", shift, "3") MQ_EIGHT_SATURATE("r8", shift, "4") MQ_EIGHT_SATURATE("r9", shift, "5")        \
    MQ_EIGHT_SATURATE("r10", shift, "6") MQ_EIGHT_SATURATE("r11", shift, "7")

/* TFLite's two roundings: high multiply, then a shift that rounds halves away from zero. */
#define MQ_EIGHT_ROUND_TWICE(a, place)                                                                                 \
    "ldmia  r12!, {r1, r2, r3}\n"                                                                                      \
    "asr    " a ", " a ", #7\n"                                                                                        \
    "add    r2, r2, " a ", asr #31\n"                                                                                  \
    "smmlar " a ", " a ", r1, r2\n"                                                                                    \
    "asr    " a ", " a ", r3\n"                                                                                        \
    "ssat   " a ", #8, " a "\n"                                                                                        \
    "strb   " a ", [r0, #" place "]\n"
#define MQ_EIGHT_TWO_ROUNDINGS                                                                                         \
    "ldr    r0, [sp, #20]\n"                                                                                           \
    MQ_EIGHT_ROUND_TWICE("r4", "0") MQ_EIGHT_ROUND_TWICE("r5", "1") MQ_EIGHT_ROUND_TWICE("r6", "2")                    \
    MQ_EIGHT_ROUND_TWICE("r7", "3") MQ_EIGHT_ROUND_TWICE("r8", "4") MQ_EIGHT_ROUND_TWICE("r9", "5")                    \
    MQ_EIGHT_ROUND_TWICE("r10", "6") MQ_EIGHT_ROUND_TWICE("r11", "7")

/* Two roundings to int16, of the same gate of two units; y are int16. */
#define MQ_EIGHT_GATE(a, b)                                                                                            \
    "ldmia  r12!, {r1, r2, r3}\n"                                                                                      \
    "asr    " a ", " a ", #7\n"                                                                                        \
    "asr    " b ", " b ", #7\n"                                                                                        \
    "add    r0, r2, " a ", asr #31\n"                                                                                  \
    "smmlar " a ", " a ", r1, r0\n"                                                                                    \
    "add    r0, r2, " b ", asr #31\n"                                                                                  \
    "smmlar " b ", " b ", r1, r0\n"                                                                                    \
    "asr    " a ", " a ", r3\n"                                                                                        \
    "asr    " b ", " b ", r3\n"                                                                                        \
    "ssat   " a ", #16, " a "\n"                                                                                       \
    "ssat   " b ", #16, " b "\n"
#define MQ_EIGHT_GATES                                                                                                 \
    MQ_EIGHT_GATE("r4", "r8")                                                                                          \
    MQ_EIGHT_GATE("r5", "r9") MQ_EIGHT_GATE("r6", "r10") MQ_EIGHT_GATE("r7", "r11") "ldr    r0, [sp, #20]\n"           \
    "strh   r4, [r0, #0]\n"                                                                                            \
    "strh   r5, [r0, #2]\n"                                                                                            \
    "strh   r6, [r0, #4]\n"                                                                                            \
    "strh   r7, [r0, #6]\n"                                                                                            \
    "strh   r8, [r0, #8]\n"                                                                                            \
    "strh   r9, [r0, #10]\n"                                                                                           \
    "strh   r10, [r0, #12]\n"                                                                                          \
    "strh   r11, [r0, #14]\n"                                                                                          \
    "add    r0, r0, #8\n" /* the loop adds as many again */

/* Words of x that a column of the unrolled loop processes, and bytes of its code. */
#define MQ_EIGHT_RUN(column, words, size, requantize)                                                                  \
    "push   {r4-r11, lr}\n"                                                                                            \
    "ldmia  r0, {r0-r6}\n"                                                                                             \
    "subs   r8, r1, r0\n"                                                                                              \
    "lsr    r8, r8, #" words "\n"                                                                                      \
    "ands   r8, r8, #7\n"                                                                                              \
    "it     ne\n"                                                                                                      \
    "rsbne  r8, r8, #8\n" /* columns to skip in the first pass */                                                    \
    "mov    r9, #" size "\n"                                                                                           \
    "adr    r10, 2f\n"                                                                                                 \
    "mla    r8, r8, r9, r10\n"                                                                                         \
    "add    r8, r8, #1\n"                                                                                              \
    "mov    lr, r2\n"                                                                                                  \
    "sub    sp, sp, #32\n"                                                                                             \
    "stmia  sp, {r0-r6, r8}\n"                                                                                         \
    "1:\n"                                                                                                             \
    "ldmia  lr!, {r4-r11}\n"                                                                                           \
    "ldr    r0, [sp, #28]\n"                                                                                           \
    "ldr    r12, [sp]\n"                                                                                               \
    "bx     r0\n"                                                                                                      \
    ".balign 4\n"                                                                                                      \
    "2:\n" MQ_STEPS_OF_LENGTH(column column column column column column column column, "8", size)                     \
    "ldr    r2, [sp, #4]\n"                                                                                            \
    "cmp    r12, r2\n"                                                                                                 \
    "bne    2b\n"                                                                                                      \
    "ldr    r12, [sp, #12]\n" requantize                                                                               \
    "ldr    r1, [sp, #12]\n"                                                                                           \
    "ldr    r2, [sp, #16]\n"                                                                                           \
    "ldr    r3, [sp, #24]\n"                                                                                           \
    "add    r0, r0, #8\n"                                                                                              \
    "str    r0, [sp, #20]\n"                                                                                           \
    "add    r1, r1, r2\n"                                                                                              \
    "str    r1, [sp, #12]\n"                                                                                           \
    "subs   r3, r3, #1\n"                                                                                              \
    "str    r3, [sp, #24]\n"                                                                                           \
    "bne    1b\n"                                                                                                      \
    "add    sp, sp, #32\n"                                                                                             \
    "pop    {r4-r11, pc}\n"

#define MQ_EIGHT_DEFINE(name, column, words, size, requantize)                                                         \
    static __attribute__((naked, noinline, unused)) void name(const mq_eight_t *p __attribute__((unused)))             \
    {                                                                                                                  \
        __asm__ volatile(MQ_EIGHT_RUN(column, words, size, requantize));                                               \
    }

MQ_EIGHT_DEFINE(mq_eight_prepared_8, MQ_EIGHT_PREPARED, "3", "124", MQ_EIGHT_TWO_INSTRUCTIONS("8"))
MQ_EIGHT_DEFINE(mq_eight_prepared_12, MQ_EIGHT_PREPARED, "3", "124", MQ_EIGHT_TWO_INSTRUCTIONS("12"))
MQ_EIGHT_DEFINE(mq_eight_prepared_twice, MQ_EIGHT_PREPARED, "3", "124", MQ_EIGHT_TWO_ROUNDINGS)
MQ_EIGHT_DEFINE(mq_eight_bytes_8, MQ_EIGHT_BYTES, "2", "132", MQ_EIGHT_TWO_INSTRUCTIONS("8"))
MQ_EIGHT_DEFINE(mq_eight_bytes_12, MQ_EIGHT_BYTES, "2", "132", MQ_EIGHT_TWO_INSTRUCTIONS("12"))
MQ_EIGHT_DEFINE(mq_eight_bytes_twice, MQ_EIGHT_BYTES, "2", "132", MQ_EIGHT_TWO_ROUNDINGS)
MQ_EIGHT_DEFINE(mq_eight_gates, MQ_EIGHT_PREPARED, "3", "124", MQ_EIGHT_GATES)

#undef MQ_EIGHT_DEFINE
#undef MQ_EIGHT_RUN
#undef MQ_EIGHT_GATES
#undef MQ_EIGHT_GATE
#undef MQ_EIGHT_TWO_ROUNDINGS
#undef MQ_EIGHT_ROUND_TWICE
#undef MQ_EIGHT_TWO_INSTRUCTIONS
#undef MQ_EIGHT_SATURATE
#undef MQ_EIGHT_SCALE
#undef MQ_EIGHT_BYTES
#undef MQ_EIGHT_PREPARED
#undef MQ_EIGHT_PAIRS
#undef MQ_EIGHT_NEXT
#undef MQ_EIGHT_PAIR

#endif

/* x1 and z of a word of inputs. */
MQ_KERNEL uint32_t mq_eight_odd(uint32_t x)
{
    return mq_sxtb16_ror8(x);
}

MQ_KERNEL uint32_t mq_eight_even(uint32_t x)
{
    return mq_rev16(x) ^ 0x007F007Fu;
}

#if !(defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP)

MQ_KERNEL int8_t mq_eight_two_instructions(int32_t acc, uint32_t factor, int32_t shift)
{
    return (int8_t)mq_clamp(mq_smmulr(acc, (int32_t)factor) >> shift, -128, 127);
}

MQ_KERNEL int8_t mq_eight_round_twice(int32_t acc, const uint32_t *constants)
{
    const int32_t high = mq_smmulr(acc >> 7, (int32_t)constants[0]);
    return (int8_t)mq_clamp((high + (high >> 31) + (int32_t)constants[1]) >> constants[2], -128, 127);
}

MQ_KERNEL int32_t mq_eight_sum(const mq_eight_t *p, const uint32_t *weights, int is_prepared)
{
    int32_t acc = (int32_t)weights[0];
    for (const uint32_t *x = p->x; x < p->x_end; x += is_prepared ? 2 : 1) {
        weights += 8;
        acc = mq_smlad(*weights, is_prepared ? x[0] : mq_eight_odd(x[0]), acc);
        acc = mq_smlad(mq_sxtb16(*weights), is_prepared ? x[1] : mq_eight_even(x[0]), acc);
    }
    return acc;
}

/* shift 0: two roundings. */
MQ_KERNEL void mq_eight_run(const mq_eight_t *p, int is_prepared, int32_t shift)
{
    const int32_t words = (int32_t)(p->x_end - p->x) / (is_prepared ? 2 : 1);
    for (int32_t i = 0; i < 8 * p->groups; i++) {
        const uint32_t *constants = p->constants + i / 8 * (p->constant_step / 4) + i % 8 * (shift ? 1 : 3);
        const int32_t acc = mq_eight_sum(p, p->weights + i / 8 * 8 * (words + 1) + i % 8, is_prepared);
        p->y[i] = shift ? mq_eight_two_instructions(acc, *constants, shift) : mq_eight_round_twice(acc, constants);
    }
}

#define MQ_EIGHT_DEFINE(name, is_prepared, shift)                                                                      \
    static inline void name(const mq_eight_t *p)                                                                       \
    {                                                                                                                  \
        mq_eight_run(p, is_prepared, shift);                                                                           \
    }

MQ_EIGHT_DEFINE(mq_eight_prepared_8, 1, 8)
MQ_EIGHT_DEFINE(mq_eight_prepared_12, 1, 12)
MQ_EIGHT_DEFINE(mq_eight_prepared_twice, 1, 0)
MQ_EIGHT_DEFINE(mq_eight_bytes_8, 0, 8)
MQ_EIGHT_DEFINE(mq_eight_bytes_12, 0, 12)
MQ_EIGHT_DEFINE(mq_eight_bytes_twice, 0, 0)

static inline void mq_eight_gates(const mq_eight_t *p)
{
    const int32_t words = (int32_t)(p->x_end - p->x) / 2;
    int16_t *y = (int16_t *)(void *)p->y;
    for (int32_t i = 0; i < 8 * p->groups; i++) {
        const uint32_t *constants = p->constants + i % 4 * 3;
        const int32_t acc = mq_eight_sum(p, p->weights + i / 8 * 8 * (words + 1) + i % 8, 1);
        const int32_t high = mq_smmulr(acc >> 7, (int32_t)constants[0]) + (acc >> 31) + (int32_t)constants[1];
        y[i] = (int16_t)mq_clamp(high >> constants[2], INT16_MIN, INT16_MAX);
    }
}

#undef MQ_EIGHT_DEFINE

#endif

MQ_KERNEL void mq_eight_prepare(const uint32_t *x, int32_t words, uint32_t *to)
{
    for (int32_t i = 0; i < words; i++) {
        const uint32_t word = x[i];
        to[2 * i] = mq_eight_odd(word);
        to[2 * i + 1] = mq_eight_even(word);
    }
}

/* If the number of outputs is not a multiple of eight, the surplus results of the last group are discarded. */
MQ_KERNEL void mq_eight_row(const mq_fully_connected_eight_t *p, mq_eight_t *run, void (*eight)(const mq_eight_t *))
{
    const int32_t groups = p->outputs / 8, rest = p->outputs % 8;
    run->groups = groups;
    if (groups) {
        eight(run);
    }
    if (rest) {
        int8_t results[8];
        int8_t *y = run->y + 8 * groups;
        run->weights += groups * 8 * ((p->depth + 3) / 4 + 1);
        run->constants += groups * p->constant_step;
        run->y = results;
        run->groups = 1;
        eight(run);
        for (int32_t i = 0; i < rest; i++) {
            y[i] = results[i];
        }
    }
}

/* With several rows, depth is a multiple of 4. */
#define MQ_DEFINE_FULLY_CONNECTED_EIGHT(name, eight)                                                                   \
    MQ_KERNEL void name(const mq_fully_connected_eight_t *p, const int8_t *x, const int32_t *weights,                  \
                        const int32_t *constants, int8_t *y)                                                           \
    {                                                                                                                  \
        const int32_t words = (p->depth + 3) / 4;                                                                      \
        for (int32_t row = 0; row < p->rows; row++) {                                                                  \
            const uint32_t *at = (const uint32_t *)(const void *)(x + row * p->depth);                                 \
            mq_eight_t run = {at, at + words, (const uint32_t *)weights, (const uint32_t *)constants,                  \
                              4 * p->constant_step, y + row * p->outputs, 0};                                          \
            mq_eight_row(p, &run, eight);                                                                              \
        }                                                                                                              \
    }

#define MQ_DEFINE_FULLY_CONNECTED_PREPARED(name, eight)                                                                \
    MQ_KERNEL void name(const mq_fully_connected_eight_t *p, const int8_t *x, const int32_t *weights,                  \
                        const int32_t *constants, int32_t *scratch, int8_t *y)                                         \
    {                                                                                                                  \
        const int32_t words = (p->depth + 3) / 4;                                                                      \
        uint32_t *prepared = (uint32_t *)scratch;                                                                      \
        for (int32_t row = 0; row < p->rows; row++) {                                                                  \
            mq_eight_prepare((const uint32_t *)(const void *)(x + row * p->depth), words, prepared);                   \
            mq_eight_t run = {prepared, prepared + 2 * words, (const uint32_t *)weights, (const uint32_t *)constants,  \
                              4 * p->constant_step, y + row * p->outputs, 0};                                          \
            mq_eight_row(p, &run, eight);                                                                              \
        }                                                                                                              \
    }

MQ_DEFINE_FULLY_CONNECTED_EIGHT(mq_fully_connected_eight_s8, p->shift == 8 ? mq_eight_bytes_8 : mq_eight_bytes_12)
MQ_DEFINE_FULLY_CONNECTED_EIGHT(mq_fully_connected_eight_twice_s8, mq_eight_bytes_twice)
MQ_DEFINE_FULLY_CONNECTED_PREPARED(mq_fully_connected_eight_prepared_s8,
                                   p->shift == 8 ? mq_eight_prepared_8 : mq_eight_prepared_12)
MQ_DEFINE_FULLY_CONNECTED_PREPARED(mq_fully_connected_eight_prepared_twice_s8, mq_eight_prepared_twice)

#undef MQ_DEFINE_FULLY_CONNECTED_PREPARED
#undef MQ_DEFINE_FULLY_CONNECTED_EIGHT

#endif
