/* Triangular filters over the energies of bins: the falling half of one lies below the rising half of the next. */
#ifndef MQ_FILTER_BANK_H
#define MQ_FILTER_BANK_H

#include "mq_bits.h"

typedef struct {
    uint16_t bin, weight, width; /* first bin, first weight, how many */
} mq_segment_t;

/* `weights` are pairs: of the rising half, and above it (bits 16 to 31) of the falling one. There is a segment more than
   channels: the first has no channel of its own. 1 <= channels. */
MQ_KERNEL void mq_filter_bank(int32_t channels, const uint32_t *x, const uint32_t *weights, const uint16_t *segments,
                              uint64_t *y)
{
    const mq_segment_t *segment = (const mq_segment_t *)(const void *)segments;
    uint64_t falling = 0;
    for (int32_t c = -1; c < channels; c++, segment++) {
        const uint32_t *bin = x + segment->bin, *weight = weights + segment->weight;
        uint64_t rising = falling;
        falling = 0;
        for (int32_t i = 0; i < segment->width; i++) {
            rising += mq_product_16(bin[i], weight[i] & 0xFFFFu);
            falling += mq_product_16(bin[i], weight[i] >> 16);
        }
        if (c >= 0) {
            y[c] = rising;
        }
    }
}

#endif
