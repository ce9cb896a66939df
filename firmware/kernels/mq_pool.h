/* Average and maximum over windows of int8 images. What lies outside the image takes no part. */
#ifndef MQ_POOL_H
#define MQ_POOL_H

#include "mq_window.h"

typedef struct {
    int32_t batch;
    int32_t in_h, in_w, channels;
    int32_t out_h, out_w;
    int32_t k_h, k_w;
    int32_t stride_h, stride_w;
    int32_t pad_top, pad_left;
    int32_t act_min, act_max; /* clamp of the stored output */
} mq_pool_t;

/* The part of a window inside the image, in pixels. */
typedef struct {
    int32_t top, bottom, left, right;
} mq_box_t;

MQ_KERNEL mq_box_t mq_pool_box(const mq_pool_t *p, int32_t oy, int32_t ox)
{
    const int32_t row = oy * p->stride_h - p->pad_top;
    const int32_t column = ox * p->stride_w - p->pad_left;
    return (mq_box_t){mq_max(row, 0), mq_min(row + p->k_h, p->in_h), mq_max(column, 0), mq_min(column + p->k_w, p->in_w)};
}

MQ_KERNEL int32_t mq_max_pool_window_s8(const mq_pool_t *p, const int8_t *x, mq_box_t box)
{
    int32_t best = INT8_MIN;
    for (int32_t iy = box.top; iy < box.bottom; iy++) {
        for (int32_t ix = box.left; ix < box.right; ix++) {
            best = mq_max(best, x[(iy * p->in_w + ix) * p->channels]);
        }
    }
    return best;
}

/* Mean rounded to nearest, halves away from zero. */
MQ_KERNEL int32_t mq_avg_pool_window_s8(const mq_pool_t *p, const int8_t *x, mq_box_t box)
{
    const int32_t count = (box.bottom - box.top) * (box.right - box.left);
    int32_t sum = 0;
    for (int32_t iy = box.top; iy < box.bottom; iy++) {
        for (int32_t ix = box.left; ix < box.right; ix++) {
            sum += x[(iy * p->in_w + ix) * p->channels];
        }
    }
    return (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
}

#define MQ_DEFINE_POOL(name, window)                                                                                   \
    MQ_KERNEL void name(const mq_pool_t *p, const int8_t *x, int8_t *y)                                                \
    {                                                                                                                  \
        for (int32_t n = 0; n < p->batch; n++, x += p->in_h * p->in_w * p->channels) {                                 \
            for (int32_t oy = 0; oy < p->out_h; oy++) {                                                                \
                for (int32_t ox = 0; ox < p->out_w; ox++) {                                                            \
                    const mq_box_t box = mq_pool_box(p, oy, ox);                                                       \
                    for (int32_t c = 0; c < p->channels; c++) {                                                        \
                        *y++ = (int8_t)mq_clamp(window(p, x + c, box), p->act_min, p->act_max);                        \
                    }                                                                                                  \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

MQ_DEFINE_POOL(mq_max_pool_s8, mq_max_pool_window_s8)
MQ_DEFINE_POOL(mq_avg_pool_s8, mq_avg_pool_window_s8)

#undef MQ_DEFINE_POOL

#endif
