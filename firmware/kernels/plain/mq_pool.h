/* Average and maximum over windows of images. What lies outside the image takes no part. */
#ifndef MQ_POOL_H
#define MQ_POOL_H

#include "mq_rescale.h"

typedef struct {
    int32_t batch;
    int32_t in_h, in_w, channels;
    int32_t out_h, out_w;
    int32_t k_h, k_w;
    int32_t stride_h, stride_w;
    int32_t pad_top, pad_left;
    mq_rescale_t rescale;
} mq_pool_t;

/* The part of a window inside the image, in pixels. */
typedef struct {
    int32_t top, bottom, left, right;
} mq_box_t;

/* Where all windows lie inside, which is known at compile time, loops over them are of a constant length. */
MQ_KERNEL mq_box_t mq_pool_box(const mq_pool_t *p, int32_t oy, int32_t ox)
{
    const int32_t row = oy * p->stride_h - p->pad_top, bottom = row + p->k_h;
    const int32_t column = ox * p->stride_w - p->pad_left, right = column + p->k_w;
    const int fits_h = (p->out_h - 1) * p->stride_h - p->pad_top + p->k_h <= p->in_h;
    const int fits_w = (p->out_w - 1) * p->stride_w - p->pad_left + p->k_w <= p->in_w;
    return (mq_box_t){
        .top = p->pad_top ? mq_max(row, 0) : row,
        .bottom = fits_h ? bottom : mq_min(bottom, p->in_h),
        .left = p->pad_left ? mq_max(column, 0) : column,
        .right = fits_w ? right : mq_min(right, p->in_w),
    };
}

/* The largest value of one channel in a box; x starts at the channel. */
#define MQ_DEFINE_MAX_WINDOW(name, x_t, lowest)                                                                        \
    MQ_KERNEL int32_t name(const mq_pool_t *p, const x_t *x, mq_box_t box)                                             \
    {                                                                                                                  \
        int32_t best = lowest;                                                                                         \
        for (int32_t iy = box.top; iy < box.bottom; iy++) {                                                            \
            for (int32_t ix = box.left; ix < box.right; ix++) {                                                        \
                best = mq_max(best, x[(iy * p->in_w + ix) * p->channels]);                                             \
            }                                                                                                          \
        }                                                                                                              \
        return best;                                                                                                   \
    }

/* Mean rounded to nearest, halves away from zero. The box is not empty. */
#define MQ_DEFINE_AVG_WINDOW(name, x_t)                                                                                \
    MQ_KERNEL int32_t name(const mq_pool_t *p, const x_t *x, mq_box_t box)                                             \
    {                                                                                                                  \
        const int32_t count = (box.bottom - box.top) * (box.right - box.left);                                         \
        int32_t sum = 0;                                                                                               \
        for (int32_t iy = box.top; iy < box.bottom; iy++) {                                                            \
            for (int32_t ix = box.left; ix < box.right; ix++) {                                                        \
                sum += x[(iy * p->in_w + ix) * p->channels];                                                           \
            }                                                                                                          \
        }                                                                                                              \
        return (sum > 0 ? sum + count / 2 : sum - count / 2) / count;                                                  \
    }

#define MQ_DEFINE_POOL(name, x_t, window)                                                                              \
    MQ_KERNEL void name(const mq_pool_t *p, const x_t *x, x_t *y)                                                      \
    {                                                                                                                  \
        for (int32_t n = 0; n < p->batch; n++, x += p->in_h * p->in_w * p->channels) {                                 \
            for (int32_t oy = 0; oy < p->out_h; oy++) {                                                                \
                for (int32_t ox = 0; ox < p->out_w; ox++) {                                                            \
                    const mq_box_t box = mq_pool_box(p, oy, ox);                                                       \
                    for (int32_t c = 0; c < p->channels; c++) {                                                        \
                        *y++ = (x_t)mq_rescale(&p->rescale, window(p, x + c, box));                                    \
                    }                                                                                                  \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

MQ_DEFINE_MAX_WINDOW(mq_max_pool_window_s8, int8_t, INT8_MIN)
MQ_DEFINE_MAX_WINDOW(mq_max_pool_window_s16, int16_t, INT16_MIN)
MQ_DEFINE_AVG_WINDOW(mq_avg_pool_window_s8, int8_t)
MQ_DEFINE_AVG_WINDOW(mq_avg_pool_window_s16, int16_t)

MQ_DEFINE_POOL(mq_max_pool_s8, int8_t, mq_max_pool_window_s8)
MQ_DEFINE_POOL(mq_max_pool_s16, int16_t, mq_max_pool_window_s16)
MQ_DEFINE_POOL(mq_avg_pool_s8, int8_t, mq_avg_pool_window_s8)
MQ_DEFINE_POOL(mq_avg_pool_s16, int16_t, mq_avg_pool_window_s16)

#undef MQ_DEFINE_MAX_WINDOW
#undef MQ_DEFINE_AVG_WINDOW
#undef MQ_DEFINE_POOL

#endif
