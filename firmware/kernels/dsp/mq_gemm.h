/* Two outputs of three pixels at a time: the inner product of convolutions on cores with SMLAD.
 *
 * Weights b0 b1 of two inputs are stored as the 16-bit sum h = 256*b1 + b0, two such sums a word. For inputs x0 x1 with
 * z = 256*x0 - x1 + 127, whose bytes are those of x0 and x1 exchanged and the lower one's last seven bits turned over,
 *
 *     SMLAD(word, x1) + SMLAD(SXTB16(word), z) = 256 * (b1*x1 + b0*x0) + 127*b0 + the same for b2, b3
 *
 * One unpack a word instead of two, and 256 times the sum but for a constant, which the packed start takes away. It is
 * exact modulo 2^32: the compiler uses this form only where it proves that 256 times the true sum fits, and that no h
 * leaves 16 bits. 25 cycles for 24 MACs on Cortex-M4, and 39 for each six outputs.
 *
 * A block is three expanded pixels: for every four inputs x1 and z of each.
 * A stream is the packed weights: for each pair of outputs two starts, the weight words of both in turn, and the
 * constants of the requantization.
 */
#ifndef MQ_GEMM_H
#define MQ_GEMM_H

#include "mq_dsp.h"

/* Parameters that all blocks of a layer share. */
typedef struct {
    int32_t y_pixel;       /* bytes between output pixels */
    const uint32_t *w_end; /* end of the stream's last pair */
    int32_t skip;          /* bytes of code between the start of the unrolled loop and its entry */
    const uint32_t *block_end;
} mq_gemm_t;

typedef void mq_gemm_kernel_t(const uint32_t *block, const uint32_t *stream, int8_t *y, const mq_gemm_t *g);

#define MQ_GEMM_UNROLL 8
#define MQ_GEMM_STEP_BYTES 68
/* The first of `words` steps is separate. The unrolled loop is entered at a point from which it ends with the last
   step. */
#define MQ_GEMM_SKIP(words)                                                                                            \
    (((words) == 1 ? MQ_GEMM_UNROLL : (MQ_GEMM_UNROLL - ((words)-1) % MQ_GEMM_UNROLL) % MQ_GEMM_UNROLL) *              \
     MQ_GEMM_STEP_BYTES)

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* x1 or z of three pixels by two weight words. */
#define MQ_GEMM_SIX(to)                                                                                                \
    "ldmia  r0!, {r11, r12, lr}     \n"                                                                                \
    "smlad  r4, r9, r12, " to("r4", "r3") "\n"                                                                         \
    "smlad  r5, r9, lr, " to("r5", "r3") "\n"                                                                          \
    "smlad  r3, r9, r11, r3         \n"                                                                                \
    "smlad  r7, r10, r12, " to("r7", "r6") "\n"                                                                        \
    "smlad  r8, r10, lr, " to("r8", "r6") "\n"                                                                         \
    "smlad  r6, r10, r11, r6        \n"
#define MQ_GEMM_OWN(own, start) own
#define MQ_GEMM_OF_START(own, start) start

#define MQ_GEMM_WORDS(first)                                                                                           \
    "ldmia  r1!, {r9, r10}          \n" MQ_GEMM_SIX(first)                                                             \
    "sxtb16 r9, r9                  \n"                                                                                \
    "sxtb16 r10, r10                \n" MQ_GEMM_SIX(MQ_GEMM_OWN)
#define MQ_GEMM_STEP MQ_GEMM_WORDS(MQ_GEMM_OWN)
#define MQ_GEMM_STEPS MQ_GEMM_STEP MQ_GEMM_STEP MQ_GEMM_STEP MQ_GEMM_STEP
#define MQ_GEMM_LOOP                                                                                                   \
    MQ_STEPS_OF_LENGTH(MQ_GEMM_STEPS MQ_GEMM_STEPS, MQ_TEXT_OF(MQ_GEMM_UNROLL), MQ_TEXT_OF(MQ_GEMM_STEP_BYTES))

/* Loads the starts and the first words, and enters the loop. */
#define MQ_GEMM_START                                                                                                  \
    "ldmia  r1!, {r3, r6}           \n" MQ_GEMM_WORDS(MQ_GEMM_OF_START)                                                \
    "ldr    pc, [sp, #16]           \n"

#define MQ_GEMM_STORE                                                                                                  \
    "strb   r4, [r9, r10]           \n"                                                                                \
    "strb   r5, [r9, r10, lsl #1]   \n"                                                                                \
    "strb   r3, [r9], #1            \n"                                                                                \
    "strb   r7, [r9, r10]           \n"                                                                                \
    "strb   r8, [r9, r10, lsl #1]   \n"                                                                                \
    "strb   r6, [r9], #1            \n"

/* On the stack: block, y, y_pixel, w_end, where to enter the loop. */
#define MQ_GEMM_BLOCK(requantize)                                                                                      \
    __asm__ volatile("push   {r4-r11, lr}            \n"                                                               \
                     "ldmia  r3, {r4, r5, r6, r7}    \n"                                                               \
                     "adr.w  r8, 2f                  \n"                                                               \
                     "add    r6, r6, r8              \n"                                                               \
                     "orr    r6, r6, #1              \n"                                                               \
                     "push   {r0, r2, r4, r5, r6}    \n"                                                               \
                     "mov    r2, r7                  \n" MQ_GEMM_START                                                 \
                     ".balign 4                      \n"                                                               \
                     "2:                             \n" MQ_GEMM_LOOP                                                                  \
                     "cmp    r0, r2                  \n"                                                               \
                     "bne.w  2b                      \n" requantize MQ_GEMM_STORE                                      \
                     "str    r9, [sp, #4]            \n"                                                               \
                     "cmp    r1, lr                  \n"                                                               \
                     "beq    3f                      \n" MQ_GEMM_START                                                 \
                     "3:                             \n"                                                               \
                     "add    sp, sp, #20             \n"                                                               \
                     "pop    {r4-r11, pc}            \n")

/* One rounding, if that is proven to be exact: see `two_instructions` in the compiler. */
#define MQ_GEMM_SCALE(y, factor) "smmulr " y ", " y ", " factor "\n"
#define MQ_GEMM_SHIFT(y, shift) "ssat " y ", #8, " y ", asr #" shift "\n"
#define MQ_GEMM_TWO(shift)                                                                                             \
    "ldmia  r1!, {r9, r10}          \n" MQ_GEMM_SCALE("r3", "r9") MQ_GEMM_SCALE("r4", "r9")                            \
        MQ_GEMM_SCALE("r5", "r9") MQ_GEMM_SCALE("r6", "r10") MQ_GEMM_SCALE("r7", "r10") MQ_GEMM_SCALE("r8", "r10")     \
    "ldmia  sp, {r0, r9, r10, lr}   \n" MQ_GEMM_SHIFT("r3", shift) MQ_GEMM_SHIFT("r4", shift)                          \
        MQ_GEMM_SHIFT("r5", shift) MQ_GEMM_SHIFT("r6", shift) MQ_GEMM_SHIFT("r7", shift) MQ_GEMM_SHIFT("r8", shift)

/* TFLite's two roundings: high multiply, then a shift that rounds halves away from zero; the output's zero point is in
   the constant that is added. m, constant, shift in r9, r10, r11. */
#define MQ_GEMM_ROUND_TWICE(y)                                                                                         \
    "asr    " y ", " y ", #7          \n"                                                                              \
    "add    r12, r10, " y ", asr #31  \n"                                                                              \
    "smmlar " y ", " y ", r9, r12     \n"                                                                              \
    "asr    " y ", " y ", r11         \n"                                                                              \
    "ssat   " y ", #8, " y "          \n"
#define MQ_GEMM_ROUNDING_TWICE                                                                                         \
    "ldmia  r1!, {r9, r10, r11}     \n" MQ_GEMM_ROUND_TWICE("r3") MQ_GEMM_ROUND_TWICE("r4") MQ_GEMM_ROUND_TWICE("r5")  \
    "ldmia  r1!, {r9, r10, r11}     \n" MQ_GEMM_ROUND_TWICE("r6") MQ_GEMM_ROUND_TWICE("r7") MQ_GEMM_ROUND_TWICE("r8")  \
    "ldmia  sp, {r0, r9, r10, lr}   \n"

#define MQ_GEMM_DEFINE(name, requantize, constants, twin)                                                              \
    static __attribute__((naked, noinline, unused)) void name(                                                         \
        const uint32_t *block __attribute__((unused)), const uint32_t *stream __attribute__((unused)),                 \
        int8_t *y __attribute__((unused)), const mq_gemm_t *g __attribute__((unused)))                                 \
    {                                                                                                                  \
        MQ_GEMM_BLOCK(requantize);                                                                                     \
    }

#define MQ_GEMM_EXPAND(x, z)                                                                                           \
    "rev16  " z ", " x "             \n"                                                                               \
    "sxtb16 " x ", " x ", ror #8     \n"                                                                               \
    "eor    " z ", " z ", #0x007F007F\n"

/* Expands `words` words of one pixel into every sixth word of `to`. */
static __attribute__((naked, noinline, unused)) void mq_gemm_expand(
    const uint32_t *from __attribute__((unused)), int32_t words __attribute__((unused)),
    uint32_t *to __attribute__((unused)))
{
#define MQ_GEMM_EXPAND_ONE(x)                                                                                          \
    MQ_GEMM_EXPAND(x, "r12")                                                                                           \
    "str    r12, [r2, #12]          \n"                                                                                \
    "str    " x ", [r2], #24        \n"
    __asm__ volatile("push   {r4, lr}               \n"
                     "lsrs   r1, r1, #1             \n"
                     "bcc    1f                     \n"
                     "ldr    r3, [r0], #4           \n" MQ_GEMM_EXPAND_ONE("r3")
                     "1:                            \n"
                     "lsrs   r1, r1, #1             \n"
                     "bcc    2f                     \n"
                     "ldmia  r0!, {r3, r4}          \n" MQ_GEMM_EXPAND_ONE("r3") MQ_GEMM_EXPAND_ONE("r4")
                     "2:                            \n"
                     "cbz    r1, 4f                 \n"
                     "3:                            \n"
                     "ldmia  r0!, {r3, r4}          \n" MQ_GEMM_EXPAND_ONE("r3") MQ_GEMM_EXPAND_ONE("r4")
                     "ldmia  r0!, {r3, r4}          \n" MQ_GEMM_EXPAND_ONE("r3") MQ_GEMM_EXPAND_ONE("r4")
                     "subs   r1, r1, #1             \n"
                     "bne    3b                     \n"
                     "4:                            \n"
                     "pop    {r4, pc}               \n");
#undef MQ_GEMM_EXPAND_ONE
}

/* Expands three consecutive pixels of `words` words each to a block. */
static __attribute__((naked, noinline, unused)) void mq_gemm_expand_three(
    const uint32_t *from __attribute__((unused)), int32_t words __attribute__((unused)),
    uint32_t *block __attribute__((unused)))
{
#define MQ_GEMM_EXPAND_THREE                                                                                           \
    "ldr    r5, [r0, r3]             \n"                                                                               \
    "ldr    r6, [r0, r3, lsl #1]     \n"                                                                               \
    "ldr    r4, [r0], #4             \n" MQ_GEMM_EXPAND("r4", "r7") MQ_GEMM_EXPAND("r5", "r8")                         \
    MQ_GEMM_EXPAND("r6", "r9")                                                                                         \
    "stmia  r2!, {r4-r9}             \n"
    __asm__ volatile("push   {r4-r9, lr}             \n"
                     "lsl    r3, r1, #2              \n"
                     "lsrs   r1, r1, #1              \n"
                     "bcc    1f                      \n" MQ_GEMM_EXPAND_THREE
                     "1:                             \n"
                     "cbz    r1, 3f                  \n"
                     "2:                             \n" MQ_GEMM_EXPAND_THREE MQ_GEMM_EXPAND_THREE
                     "subs   r1, r1, #1              \n"
                     "bne.w  2b                      \n"
                     "3:                             \n"
                     "pop    {r4-r9, pc}             \n");
#undef MQ_GEMM_EXPAND_THREE
}

#undef MQ_GEMM_EXPAND

#else

MQ_KERNEL void mq_gemm_expand(const uint32_t *from, int32_t words, uint32_t *to)
{
    for (int32_t i = 0; i < words; i++, to += 6) {
        to[0] = mq_sxtb16_ror8(from[i]);
        to[3] = mq_rev16(from[i]) ^ 0x007F007Fu;
    }
}

MQ_KERNEL void mq_gemm_expand_three(const uint32_t *from, int32_t words, uint32_t *block)
{
    for (int32_t i = 0; i < 3; i++) {
        mq_gemm_expand(from + i * words, words, block + i);
    }
}

typedef int8_t mq_gemm_requantize_t(int32_t sum, const uint32_t *constants);

MQ_KERNEL int32_t mq_gemm_sum(const uint32_t *x, const uint32_t *x_end, const uint32_t *weights, uint32_t start)
{
    int32_t sum = (int32_t)start;
    for (; x < x_end; x += 6, weights += 2) {
        sum = mq_smlad(*weights, x[0], sum);
        sum = mq_smlad(mq_sxtb16(*weights), x[3], sum);
    }
    return sum;
}

/* `constants` words of the requantization per output. */
MQ_KERNEL void mq_gemm_block(const uint32_t *block, const uint32_t *stream, int8_t *y, const mq_gemm_t *g,
                             int32_t constants, mq_gemm_requantize_t *requantize)
{
    const int32_t weights = (int32_t)(g->block_end - block) / 3;
    for (; stream != g->w_end; stream += 2 + weights + 2 * constants) {
        for (int32_t output = 0; output < 2; output++, y++) {
            const uint32_t *w = stream + 2 + output;
            for (int32_t i = 0; i < 3; i++) {
                const int32_t sum = mq_gemm_sum(block + i, g->block_end, w, stream[output]);
                y[i * g->y_pixel] = requantize(sum, stream + 2 + weights + output * constants);
            }
        }
    }
}

MQ_KERNEL int8_t mq_gemm_requantize_12(int32_t sum, const uint32_t *constants)
{
    return (int8_t)mq_clamp(mq_smmulr(sum, (int32_t)constants[0]) >> 12, -128, 127);
}

MQ_KERNEL int8_t mq_gemm_requantize_8(int32_t sum, const uint32_t *constants)
{
    return (int8_t)mq_clamp(mq_smmulr(sum, (int32_t)constants[0]) >> 8, -128, 127);
}

MQ_KERNEL int8_t mq_gemm_requantize_twice(int32_t sum, const uint32_t *constants)
{
    const int32_t high = mq_smmulr(sum >> 7, (int32_t)constants[0]);
    return (int8_t)mq_clamp((high + (high >> 31) + (int32_t)constants[1]) >> constants[2], -128, 127);
}

#define MQ_GEMM_DEFINE(name, requantize, constants, twin)                                                              \
    MQ_KERNEL void name(const uint32_t *block, const uint32_t *stream, int8_t *y, const mq_gemm_t *g)                  \
    {                                                                                                                  \
        mq_gemm_block(block, stream, y, g, constants, twin);                                                           \
    }

#endif

/* Constants of each output, by the last of the name: a factor; a factor; m, what is added, shift. */
MQ_GEMM_DEFINE(mq_gemm_12, MQ_GEMM_TWO("12"), 1, mq_gemm_requantize_12)
MQ_GEMM_DEFINE(mq_gemm_8, MQ_GEMM_TWO("8"), 1, mq_gemm_requantize_8)
MQ_GEMM_DEFINE(mq_gemm_twice, MQ_GEMM_ROUNDING_TWICE, 3, mq_gemm_requantize_twice)

/* A layer: the place of its blocks, and the source of its outputs. */
typedef struct {
    mq_gemm_t pairs, odd;
    const uint32_t *stream, *odd_stream;
    uint32_t *block;
    int8_t *spare; /* outputs of three pixels */
    int32_t outputs;
    mq_gemm_kernel_t *kernel;
} mq_gemm_layer_t;

/* `words` weight words per output and `constants` words of its requantization; scratch begins with the block. */
MQ_KERNEL mq_gemm_layer_t mq_gemm_layer(mq_gemm_kernel_t *kernel, const int32_t *stream, int32_t words, int32_t outputs,
                                        int32_t constants, uint32_t *block, void *spare)
{
    const uint32_t *const start = (const uint32_t *)stream;
    const int32_t pair = 2 + 2 * words + 2 * constants;
    const uint32_t *const end = block + 6 * words;
    const uint32_t *const odd_stream = start + outputs / 2 * pair;
    const uint32_t *const odd_end = start + (outputs + 1) / 2 * pair;
    return (mq_gemm_layer_t){
        .pairs = {.y_pixel = outputs, .w_end = odd_stream, .skip = MQ_GEMM_SKIP(words), .block_end = end},
        .odd = {.y_pixel = 2, .w_end = odd_end, .skip = MQ_GEMM_SKIP(words), .block_end = end},
        .stream = start,
        .odd_stream = odd_stream,
        .block = block,
        .spare = spare,
        .outputs = outputs,
        .kernel = kernel,
    };
}

/* All outputs of the block's first `pixels` pixels. */
MQ_KERNEL void mq_gemm_outputs(const mq_gemm_layer_t *layer, int32_t pixels, int8_t *y)
{
    const int32_t outputs = layer->outputs;
    if (outputs > 1) {
        layer->kernel(layer->block, layer->stream, pixels == 3 ? y : layer->spare, &layer->pairs);
    }
    for (int32_t i = 0; pixels < 3 && i < pixels * outputs; i++) {
        y[i] = layer->spare[i];
    }
    if (outputs % 2) {
        int8_t results[6];
        layer->kernel(layer->block, layer->odd_stream, results, &layer->odd);
        for (int32_t i = 0; i < pixels; i++) {
            y[(i + 1) * outputs - 1] = results[2 * i];
        }
    }
}

#endif
