/* A convolution and the pooling of its output by strips: a few rows of the image between them are in scratch at a
   time. */
#ifndef MQ_STRIPS_H
#define MQ_STRIPS_H

#include "mq_pool.h"

/* `rows` rows of the convolution's output from `first`, and their pooling, which gives pool.out_h rows. */
typedef struct {
    int32_t first, rows;
    mq_pool_t pool;
} mq_strip_t;

/* The strip for rows of the pooling's output from `row`: `count` rows, or the remaining ones. */
MQ_KERNEL mq_strip_t mq_strip(const mq_pool_t *p, int32_t row, int32_t count)
{
    const int32_t pooled = p->out_h % count ? mq_min(count, p->out_h - row) : count;
    const int32_t start = row * p->stride_h - p->pad_top, above = p->pad_top ? mq_max(-start, 0) : 0;
    const int32_t all_inside = (p->out_h - 1) * p->stride_h - p->pad_top + p->k_h <= p->in_h;
    const int32_t height = (pooled - 1) * p->stride_h + p->k_h;
    mq_strip_t strip = {.first = start + above, .pool = *p};
    strip.rows = (all_inside ? height : mq_min(height, p->in_h - start)) - above;
    strip.pool.in_h = strip.rows;
    strip.pool.out_h = pooled;
    strip.pool.pad_top = above;
    return strip;
}

#endif
