/* Frames of samples that overlap are added up. */
#ifndef MQ_OVERLAP_ADD_H
#define MQ_OVERLAP_ADD_H

#include "mq_common.h"

typedef struct {
    int32_t size, step; /* samples of a frame, and from a frame to the next: 1 <= step < size */
} mq_overlap_add_t;

/* `before` are the size - step samples that frames reached so far, `after` those behind y. */
MQ_KERNEL void mq_overlap_add(const mq_overlap_add_t *p, const int16_t *x, const int16_t *before, int16_t *y,
                              int16_t *after)
{
    for (int32_t i = 0; i < p->size; i++) {
        const int32_t sum = x[i] + (i < p->size - p->step ? before[i] : 0);
        *(i < p->step ? &y[i] : &after[i - p->step]) = (int16_t)mq_clamp(sum, INT16_MIN, INT16_MAX);
    }
}

#endif
