/* A window over rows of 16-bit samples. */
#ifndef MQ_WINDOW_SAMPLES_H
#define MQ_WINDOW_SAMPLES_H

#include "mq_common.h"

typedef struct {
    int32_t rows, size; /* 1 or more */
    int32_t shift;      /* 0..15 */
} mq_window_samples_t;

/* x and y may be the same. */
MQ_KERNEL void mq_window_samples(const mq_window_samples_t *p, const int16_t *x, const int16_t *w, int16_t *y)
{
    for (int32_t row = 0; row < p->rows; row++, x += p->size, y += p->size) {
        for (int32_t i = 0; i < p->size; i++) {
            y[i] = (int16_t)mq_clamp((x[i] * w[i]) >> p->shift, INT16_MIN, INT16_MAX);
        }
    }
}

#endif
