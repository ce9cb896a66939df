/* Energies of the bins of a transform. */
#ifndef MQ_ENERGY_H
#define MQ_ENERGY_H

#include "mq_common.h"

typedef struct {
    int32_t bins;       /* number of pairs (real, imaginary) of x, 1 or more */
    int32_t start, end; /* bins that are computed, 0 <= start < end <= bins; the others are 0 */
} mq_energy_t;

MQ_KERNEL void mq_energy(const mq_energy_t *p, const int16_t *x, uint32_t *y)
{
    memset(y, 0, (size_t)p->start * sizeof *y);
    for (int32_t i = p->start; i < p->end; i++) {
        const int32_t re = x[2 * i], im = x[2 * i + 1];
        y[i] = (uint32_t)(re * re) + (uint32_t)(im * im);
    }
    memset(y + p->end, 0, (size_t)(p->bins - p->end) * sizeof *y);
}

#endif
