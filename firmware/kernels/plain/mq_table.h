/* Any function of one int8 value, by its 256 results. */
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

#endif
