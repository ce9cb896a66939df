/* Surrounds a tensor of any type with a constant. */
#ifndef MQ_PAD_H
#define MQ_PAD_H

#include "mq_copy.h"

/* `inside` describes the place of the input; y has `count` elements of `bytes` bytes. `value` is one element. */
MQ_KERNEL void mq_pad(const mq_copy_t *inside, int32_t count, int32_t bytes, const void *x, const void *value, void *y)
{
    if (bytes == 1) {
        memset(y, *(const uint8_t *)value, (size_t)count);
    } else {
        mq_move(value, 0, y, 1, count, bytes);
    }
    mq_copy(inside, x, y);
}

#endif
