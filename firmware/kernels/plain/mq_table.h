/* Any function of one value: for int8 from its 256 results, for int16 from samples with linear interpolation. */
#ifndef MQ_TABLE_H
#define MQ_TABLE_H

#include "mq_common.h"

/* table[v + 128] is the result for v. x and y may be the same. */
MQ_KERNEL void mq_table_s8(int32_t count, const int8_t *x, const int8_t *table, int8_t *y)
{
    for (int32_t i = 0; i < count; i++) {
        y[i] = table[x[i] + 128];
    }
}

/* table[256 + v / 128] is the sample for v, 513 samples in all; the lower seven bits of v interpolate. x and y may be
   the same. */
MQ_KERNEL void mq_interpolate_s16(int32_t count, const int16_t *x, const int16_t *table, int16_t *y)
{
    for (int32_t i = 0; i < count; i++) {
        const int32_t index = 256 + (x[i] >> 7);
        const int32_t slope = table[index + 1] - table[index];
        y[i] = (int16_t)mq_clamp(table[index] + ((slope * (x[i] & 0x7F) + 64) >> 7), INT16_MIN, INT16_MAX);
    }
}

#endif
