/* Fully connected int8 layer with packed weights on cores with SMLAD, four outputs at a time.
 *
 * Inputs are prepared in scratch as int16, the first and the third of every four in one word, then the second and the
 * fourth. Such a pair of weights has two fields of a word: of `bits` bits, half a word apart, where the weights are values,
 * stored as unsigned by adding half their range: a mask makes an operand of SMLAD. Of indices the two fields are side by
 * side and look a ready operand up in a table of pairs, which is made in scratch from the codebook.
 *
 * 1.4 cycles per product with values of 4 bits on Cortex-M4, 2 with indices of 4.
 */
#ifndef MQ_FULLY_CONNECTED_FIELDS_H
#define MQ_FULLY_CONNECTED_FIELDS_H

#include "mq_dsp.h"

#define MQ_FIELDS_OUTPUTS 4

/* rows, depth and outputs: 1 or more. bits: 2, 4 or 8 for values, 1, 2 or 4 for indices; entries: 0 for values, 2 to
   16 for indices. step and zeros_step: 0 or 1. y_zero: -128 to 127; -128 <= act_min <= act_max <= 127. */
typedef struct {
    int32_t rows, depth, outputs;
    int32_t bits;
    int32_t entries; /* entries of the codebook */
    int32_t step;    /* distance of the factors of outputs: 0 for equal factors */
    int32_t zeros_step;
    int32_t y_zero;
    int32_t act_min, act_max; /* clamp of the stored output */
} mq_fields_t;

/* multiplier: 1 to 255. m: 2^30 to 2^31 - 1, or 0; shift: -31 to 31; both have one entry for each output, or one
   where step is 0. */
typedef struct {
    const uint32_t *words; /* for four outputs: the first word of each, the second of each, ... */
    const int8_t *codebook;
    const int16_t *zeros;      /* the stored value of 0: outputs are `zeros_step` entries apart */
    const uint8_t *multiplier; /* multiplier of each output; null: 1 */
    const int32_t *bias;
    const int32_t *m;    /* 31 bits */
    const int8_t *shift; /* to the left */
} mq_fields_weights_t;

/* Pairs of weights in a word. */
MQ_KERNEL int32_t mq_fields_pairs(const mq_fields_t *p)
{
    return 16 / p->bits;
}

/* Words of an output. */
MQ_KERNEL int32_t mq_fields_words(const mq_fields_t *p)
{
    const int32_t pairs = (p->depth + 3) / 4 * 2;
    return (pairs + mq_fields_pairs(p) - 1) / mq_fields_pairs(p);
}

/* A row as pairs, padded with zeros to whole words of weights. Returns the sum of its inputs. */
MQ_KERNEL int32_t mq_fields_prepare(const mq_fields_t *p, const int8_t *x, uint32_t *to)
{
    const int32_t pairs = mq_fields_words(p) * mq_fields_pairs(p);
    int32_t sum = 0;
    for (int32_t i = 0; i < pairs; i++) {
        const int32_t at = i / 2 * 4 + i % 2;
        const int32_t low = at < p->depth ? x[at] : 0;
        const int32_t high = at + 2 < p->depth ? x[at + 2] : 0;
        to[i] = mq_pkhbt16((uint32_t)low, (uint32_t)high);
        sum += low + high;
    }
    return sum;
}

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* Words of four outputs in r4 to r7, sums in r8 to r11, the mask or the table in r3. */
#define MQ_FIELDS_VALUE(w, shift, sum)                                                                                 \
    "and    lr, r3, " w ", lsr #" shift "\n"                                                                           \
    "smlad  " sum ", lr, r12, " sum "\n"
#define MQ_FIELDS_VALUES(shift)                                                                                        \
    "ldr    r12, [r1], #4\n" MQ_FIELDS_VALUE("r4", shift, "r8") MQ_FIELDS_VALUE("r5", shift, "r9")                     \
        MQ_FIELDS_VALUE("r6", shift, "r10") MQ_FIELDS_VALUE("r7", shift, "r11")
#define MQ_FIELDS_FIRST_VALUE(w, sum)                                                                                  \
    "and    lr, r3, " w "\n"                                                                                           \
    "smlad  " sum ", lr, r12, " sum "\n"
#define MQ_FIELDS_FIRST_VALUES                                                                                         \
    "ldr    r12, [r1], #4\n" MQ_FIELDS_FIRST_VALUE("r4", "r8") MQ_FIELDS_FIRST_VALUE("r5", "r9")                       \
        MQ_FIELDS_FIRST_VALUE("r6", "r10") MQ_FIELDS_FIRST_VALUE("r7", "r11")

/* Two adjacent loads: the second takes one cycle. */
#define MQ_FIELDS_TWO_INDICES(v, w, shift, width, sum, next)                                                           \
    "ubfx   lr, " v ", #" shift ", #" width "\n"                                                                       \
    "ubfx   r2, " w ", #" shift ", #" width "\n"                                                                       \
    "ldr    lr, [r3, lr, lsl #2]\n"                                                                                    \
    "ldr    r2, [r3, r2, lsl #2]\n"                                                                                    \
    "smlad  " sum ", lr, r12, " sum "\n"                                                                               \
    "smlad  " next ", r2, r12, " next "\n"
#define MQ_FIELDS_INDICES(shift, width)                                                                                \
    "ldr    r12, [r1], #4\n" MQ_FIELDS_TWO_INDICES("r4", "r5", shift, width, "r8", "r9")                               \
        MQ_FIELDS_TWO_INDICES("r6", "r7", shift, width, "r10", "r11")

/* On the stack: end of x, sums; behind what is saved, the table. */
#define MQ_FIELDS_DEFINE(name, bits, setup, pairs)                                                                     \
    static __attribute__((naked, noinline, unused)) void name(                                                         \
        const uint32_t *w __attribute__((unused)), const uint32_t *x __attribute__((unused)),                          \
        const uint32_t *x_end __attribute__((unused)), int32_t *sums __attribute__((unused)),                          \
        const uint32_t *table __attribute__((unused)))                                                                 \
    {                                                                                                                  \
        __asm__ volatile("push   {r2-r11, lr}            \n" setup "mov    r8, #0                  \n"                 \
                         "mov    r9, #0                  \n"                                                           \
                         "mov    r10, #0                 \n"                                                           \
                         "mov    r11, #0                 \n"                                                           \
                         "1:                             \n"                                                           \
                         "ldmia  r0!, {r4, r5, r6, r7}   \n" pairs "ldr    r2, [sp]                \n"                 \
                         "cmp    r1, r2                  \n"                                                           \
                         "bne.w  1b                      \n"                                                           \
                         "ldr    r3, [sp, #4]            \n"                                                           \
                         "stmia  r3, {r8-r11}            \n"                                                           \
                         "pop    {r2-r11, pc}            \n");                                                         \
    }
#define MQ_FIELDS_MASK(mask) "mov r3, #" mask "\n"
#define MQ_FIELDS_TABLE "ldr r3, [sp, #44]\n"

#else

#define MQ_FIELDS_MASK(mask) 0
#define MQ_FIELDS_TABLE 1
#define MQ_FIELDS_FIRST_VALUES
#define MQ_FIELDS_VALUES(shift)
#define MQ_FIELDS_INDICES(shift, width)
#define MQ_FIELDS_DEFINE(name, bits, looks_up, pairs)                                                                  \
    MQ_KERNEL void name(const uint32_t *w, const uint32_t *x, const uint32_t *x_end, int32_t *sums,                    \
                        const uint32_t *table)                                                                         \
    {                                                                                                                  \
        mq_fields_sums(w, x, x_end, sums, looks_up ? table : 0, bits);                                                 \
    }

/* Sums of four outputs. Without a table, fields are values. */
MQ_KERNEL void mq_fields_sums(const uint32_t *w, const uint32_t *x, const uint32_t *x_end, int32_t *sums,
                              const uint32_t *table, uint32_t bits)
{
    const uint32_t value = ((1u << bits) - 1u) * 0x00010001u;
    const uint32_t index = (1u << (2u * bits)) - 1u;
    memset(sums, 0, MQ_FIELDS_OUTPUTS * sizeof *sums);
    for (; x != x_end; w += MQ_FIELDS_OUTPUTS) {
        for (uint32_t i = 0; i < 16u / bits; i++, x++) {
            for (int32_t o = 0; o < MQ_FIELDS_OUTPUTS; o++) {
                const uint32_t pair = table ? table[(w[o] >> (2u * bits * i)) & index] : (w[o] >> (bits * i)) & value;
                sums[o] = mq_smlad(pair, *x, sums[o]);
            }
        }
    }
}

#endif

MQ_FIELDS_DEFINE(mq_fields_values_8, 8, MQ_FIELDS_MASK("0x00FF00FF"), MQ_FIELDS_FIRST_VALUES MQ_FIELDS_VALUES("8"))
MQ_FIELDS_DEFINE(mq_fields_values_4, 4, MQ_FIELDS_MASK("0x000F000F"),
                 MQ_FIELDS_FIRST_VALUES MQ_FIELDS_VALUES("4") MQ_FIELDS_VALUES("8") MQ_FIELDS_VALUES("12"))
MQ_FIELDS_DEFINE(mq_fields_values_2, 2, MQ_FIELDS_MASK("0x00030003"),
                 MQ_FIELDS_FIRST_VALUES MQ_FIELDS_VALUES("2") MQ_FIELDS_VALUES("4") MQ_FIELDS_VALUES("6")
                     MQ_FIELDS_VALUES("8") MQ_FIELDS_VALUES("10") MQ_FIELDS_VALUES("12") MQ_FIELDS_VALUES("14"))
MQ_FIELDS_DEFINE(mq_fields_indices_4, 4, MQ_FIELDS_TABLE,
                 MQ_FIELDS_INDICES("0", "8") MQ_FIELDS_INDICES("8", "8") MQ_FIELDS_INDICES("16", "8")
                     MQ_FIELDS_INDICES("24", "8"))
MQ_FIELDS_DEFINE(mq_fields_indices_3, 3, MQ_FIELDS_TABLE,
                 MQ_FIELDS_INDICES("0", "6") MQ_FIELDS_INDICES("6", "6") MQ_FIELDS_INDICES("12", "6")
                     MQ_FIELDS_INDICES("18", "6") MQ_FIELDS_INDICES("24", "6"))
#define MQ_FIELDS_HALF(a, b, c, d)                                                                                     \
    MQ_FIELDS_INDICES(a, "4") MQ_FIELDS_INDICES(b, "4") MQ_FIELDS_INDICES(c, "4") MQ_FIELDS_INDICES(d, "4")
MQ_FIELDS_DEFINE(mq_fields_indices_2, 2, MQ_FIELDS_TABLE,
                 MQ_FIELDS_HALF("0", "4", "8", "12") MQ_FIELDS_HALF("16", "20", "24", "28"))
#define MQ_FIELDS_QUARTER(a, b, c, d)                                                                                  \
    MQ_FIELDS_INDICES(a, "2") MQ_FIELDS_INDICES(b, "2") MQ_FIELDS_INDICES(c, "2") MQ_FIELDS_INDICES(d, "2")
MQ_FIELDS_DEFINE(mq_fields_indices_1, 1, MQ_FIELDS_TABLE,
                 MQ_FIELDS_QUARTER("0", "2", "4", "6") MQ_FIELDS_QUARTER("8", "10", "12", "14")
                     MQ_FIELDS_QUARTER("16", "18", "20", "22") MQ_FIELDS_QUARTER("24", "26", "28", "30"))

/* Sums of four outputs over a prepared row. */
MQ_KERNEL void mq_fields_four(const mq_fields_t *p, const uint32_t *w, const uint32_t *x, const uint32_t *table,
                              int32_t *sums)
{
    const uint32_t *const end = x + mq_fields_words(p) * mq_fields_pairs(p);
    switch (p->entries ? -p->bits : p->bits) {
    case 2:
        mq_fields_values_2(w, x, end, sums, table);
        break;
    case 4:
        mq_fields_values_4(w, x, end, sums, table);
        break;
    case 8:
        mq_fields_values_8(w, x, end, sums, table);
        break;
    case -1:
        mq_fields_indices_1(w, x, end, sums, table);
        break;
    case -2:
        mq_fields_indices_2(w, x, end, sums, table);
        break;
    case -3:
        mq_fields_indices_3(w, x, end, sums, table);
        break;
    default:
        mq_fields_indices_4(w, x, end, sums, table);
        break;
    }
}

/* Every pair of a codebook's values, as two int16. */
MQ_KERNEL void mq_fields_table(const mq_fields_t *p, const int8_t *codebook, uint32_t *table)
{
    for (int32_t high = 0; high < p->entries; high++) {
        for (int32_t low = 0; low < p->entries; low++) {
            table[high << p->bits | low] = mq_pkhbt16((uint32_t)codebook[low], (uint32_t)codebook[high]);
        }
    }
}

/* At most four outputs from `o`, for a row whose inputs have the sum `inputs`. */
MQ_KERNEL void mq_fields_requantize(const mq_fields_t *p, const mq_fields_weights_t *w, int32_t o, const int32_t *sums,
                                    int32_t inputs, int8_t *y)
{
    for (int32_t i = o; i < mq_min(o + MQ_FIELDS_OUTPUTS, p->outputs); i++) {
        const uint32_t zero = (uint32_t)(int32_t)w->zeros[i * p->zeros_step];
        const uint32_t centred = (uint32_t)sums[i - o] - zero * (uint32_t)inputs;
        const uint32_t sum = (uint32_t)w->bias[i] + (w->multiplier ? w->multiplier[i] * centred : centred);
        const int32_t v = mq_requantize((int32_t)sum, w->m[i * p->step], w->shift[i * p->step]);
        y[i] = (int8_t)mq_stored(v, p->y_zero, p->act_min, p->act_max);
    }
}

/* scratch, in words: the pairs of a row; for indices, the table. */
MQ_KERNEL void mq_fields(const mq_fields_t *p, const int8_t *x, const mq_fields_weights_t *w, int32_t *scratch, int8_t *y)
{
    uint32_t *const row = (uint32_t *)scratch;
    uint32_t *const table = row + mq_fields_words(p) * mq_fields_pairs(p);
    if (p->entries) {
        mq_fields_table(p, w->codebook, table);
    }
    for (int32_t i = 0; i < p->rows; i++, x += p->depth, y += p->outputs) {
        const int32_t inputs = mq_fields_prepare(p, x, row);
        const uint32_t *words = w->words;
        for (int32_t o = 0; o < p->outputs; o += MQ_FIELDS_OUTPUTS, words += MQ_FIELDS_OUTPUTS * mq_fields_words(p)) {
            int32_t sums[MQ_FIELDS_OUTPUTS];
            mq_fields_four(p, words, row, table, sums);
            mq_fields_requantize(p, w, o, sums, inputs, y);
        }
    }
}

MQ_KERNEL void mq_fully_connected_fields_s8(const mq_fields_t *p, const int8_t *x, const mq_fields_weights_t *w,
                                            int32_t *scratch, int8_t *y)
{
    mq_fields(p, x, w, scratch, y);
}

#endif
