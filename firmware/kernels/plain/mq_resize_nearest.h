/* Resizes images of any type by copying the nearest pixel. */
#ifndef MQ_RESIZE_NEAREST_H
#define MQ_RESIZE_NEAREST_H

#include "mq_common.h"

/* All are 1 or more. */
typedef struct {
    int32_t batch;
    int32_t in_h, in_w;
    int32_t out_h, out_w;
    int32_t pixel_bytes; /* channels times the size of an element */
} mq_resize_nearest_t;

/* rows and columns: the input row and column for each output row and column. */
MQ_KERNEL void mq_resize_nearest(const mq_resize_nearest_t *p, const void *x, const uint16_t *rows,
                                 const uint16_t *columns, void *y)
{
    uint8_t *to = y;
    for (int32_t n = 0; n < p->batch; n++) {
        for (int32_t oy = 0; oy < p->out_h; oy++) {
            const uint8_t *line = (const uint8_t *)x + (n * p->in_h + rows[oy]) * p->in_w * p->pixel_bytes;
            for (int32_t ox = 0; ox < p->out_w; ox++) {
                memcpy(to, line + columns[ox] * p->pixel_bytes, (size_t)p->pixel_bytes);
                to += p->pixel_bytes;
            }
        }
    }
}

#endif
