/* Square roots to nearest of 64-bit integers, digit by digit. */
#ifndef MQ_FILTER_BANK_SQUARE_ROOT_H
#define MQ_FILTER_BANK_SQUARE_ROOT_H

#include "mq_bits.h"

/* Digits of `bits` from the highest on; x - root^2 is left in *rest. */
#define MQ_DEFINE_ROOT(name, type)                                                                                     \
    MQ_SMALL_CALL type name(type x, int32_t bits, type *rest)                                                          \
    {                                                                                                                  \
        type root = 0;                                                                                                 \
        for (type bit = (type)1 << bits; bit != 0; bit >>= 2) {                                                        \
            if (x >= root + bit) {                                                                                     \
                x -= root + bit;                                                                                       \
                root = (root >> 1) + bit;                                                                              \
            } else {                                                                                                   \
                root >>= 1;                                                                                            \
            }                                                                                                          \
        }                                                                                                              \
        *rest = x;                                                                                                     \
        return root;                                                                                                   \
    }
MQ_DEFINE_ROOT(mq_root_32, uint32_t)
MQ_DEFINE_ROOT(mq_root_64, uint64_t)

#undef MQ_DEFINE_ROOT

/* At most 65535 where x has 32 bits. */
MQ_SMALL_CALL uint32_t mq_nearest_root(uint64_t x)
{
    const uint32_t low = (uint32_t)x, high = (uint32_t)(x >> 32);
    if (high == 0u) {
        uint32_t rest;
        const uint32_t root = low == 0u ? 0u : mq_root_32(low, (mq_bits(low) - 1) & ~1, &rest);
        return root == 0u ? 0u : root + (rest > root && root != 0xFFFFu);
    }
    uint64_t rest;
    const uint64_t root = mq_root_64(x, (mq_bits(high) + 31) & ~1, &rest);
    return (uint32_t)(root + (rest > root && root != 0xFFFFFFFFu));
}

/* 1 <= channels, 0 <= *shift <= 31; the roots are shifted to the right. */
MQ_KERNEL void mq_filter_bank_square_root(int32_t channels, const uint64_t *x, const int32_t *shift, uint32_t *y)
{
    for (int32_t c = 0; c < channels; c++) {
        y[c] = mq_nearest_root(x[c]) >> *shift;
    }
}

#endif
