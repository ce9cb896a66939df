/* The states of a network between inferences. */
#ifndef MQ_STATE_H
#define MQ_STATE_H

#include "mq_common.h"

typedef uint32_t __attribute__((may_alias)) mq_state_word_t;

/* Copies `bytes` from `from` to `to` in ascending order: they may overlap if `to` is lower. Uses words if both are
   aligned. */
MQ_KERNEL void mq_state_move(uint8_t *to, const uint8_t *from, int32_t bytes)
{
    int32_t i = 0;
    if ((((uintptr_t)to | (uintptr_t)from) & 3u) == 0) {
        for (; i + 16 <= bytes; i += 16) {
            const mq_state_word_t *x = (const mq_state_word_t *)(const void *)(from + i);
            mq_state_word_t *y = (mq_state_word_t *)(void *)(to + i);
            const uint32_t a = x[0], b = x[1], c = x[2], d = x[3];
            y[0] = a;
            y[1] = b;
            y[2] = c;
            y[3] = d;
        }
        for (; i + 4 <= bytes; i += 4) {
            *(mq_state_word_t *)(void *)(to + i) = *(const mq_state_word_t *)(const void *)(from + i);
        }
    }
    for (; i < bytes; i++) {
        to[i] = from[i];
    }
}

#endif
