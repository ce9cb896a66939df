/* Square roots to nearest of 64-bit integers by division, on cores that divide 32 bits in hardware. */
#ifndef MQ_FILTER_BANK_ROOT_DIVIDED_H
#define MQ_FILTER_BANK_ROOT_DIVIDED_H

#include "mq_bits.h"

/* floor(sqrt(x)), 2^30 <= x. A line that is at most 5 % off, then two steps of Newton's method: at most 1 off. */
MQ_KERNEL uint32_t mq_root_of_word(uint32_t x)
{
    uint32_t root = (x >> 17) + (x >> 19) + 24028u;
    root = (root + x / root) >> 1;
    root = (root + x / root) >> 1;
    root = root > 0xFFFFu ? 0xFFFFu : root;
    root -= root * root > x;
    return root + (root < 0xFFFFu && (root + 1u) * (root + 1u) <= x);
}

/* floor(sqrt(high * 2^32 + low)), 2^30 <= high: the root of the upper word, then a quotient for the lower half
   (P. Zimmermann, Karatsuba Square Root, 1999). The numerator is halved to stay in 32 bits. */
MQ_KERNEL uint32_t mq_root_of_two_words(uint32_t high, uint32_t low)
{
    const uint32_t upper = mq_root_of_word(high);
    const uint32_t rest = high - upper * upper;
    const uint32_t quotient = ((rest << 15) | (low >> 17)) / upper;
    const uint32_t root = (upper << 16) + (quotient > 0xFFFFu ? 0xFFFFu : quotient);
    return root - ((uint64_t)root * root > (((uint64_t)high << 32) | low));
}

/* At most 65535 where x has 32 bits. */
MQ_SMALL_CALL uint32_t mq_nearest_root_divided(uint64_t x)
{
    const uint32_t high = (uint32_t)(x >> 32), low = (uint32_t)x;
    if (high == 0u) {
        if (low == 0u) {
            return 0u;
        }
        const int32_t pairs = (32 - mq_bits(low)) >> 1;
        const uint32_t root = mq_root_of_word(low << (2 * pairs)) >> pairs;
        return root + (low - root * root > root && root != 0xFFFFu);
    }
    const int32_t pairs = (32 - mq_bits(high)) >> 1;
    const uint64_t shifted = x << (2 * pairs);
    const uint32_t root = mq_root_of_two_words((uint32_t)(shifted >> 32), (uint32_t)shifted) >> pairs;
    return root + (x - (uint64_t)root * root > root && root != 0xFFFFFFFFu);
}

/* As mq_filter_bank_square_root. */
MQ_KERNEL void mq_filter_bank_root_divided(int32_t channels, const uint64_t *x, const int32_t *shift, uint32_t *y)
{
    for (int32_t c = 0; c < channels; c++) {
        y[c] = mq_nearest_root_divided(x[c]) >> *shift;
    }
}

#endif
