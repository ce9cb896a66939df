/* Average and maximum over windows of images. Positions outside the image are ignored. */
#ifndef MQ_POOL_H
#define MQ_POOL_H

#include "mq_rescale.h"

/* Sizes, batch, channels and strides: 1 or more; pads: 0 or more. Every window has at least one tap inside. */
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

/* If all windows are inside, which is known at compile time, their loops have a constant length. */
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

MQ_KERNEL int32_t mq_pool_max(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

MQ_KERNEL int32_t mq_pool_add(int32_t a, int32_t b)
{
    return a + b;
}

MQ_KERNEL int32_t mq_pool_largest(int32_t x, int32_t count)
{
    (void)count;
    return x;
}

/* Rounded to nearest, halves away from zero. */
MQ_KERNEL int32_t mq_pool_mean(int32_t sum, int32_t count)
{
    return (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
}

/* All channels of a window whose part inside the image is not empty; x points to the image. `_box`: any part;
   `_whole`: a window inside, whose loops have a constant length. */
#define MQ_DEFINE_POOL(name, x_t, start, join, result)                                                                 \
    MQ_KERNEL void name##_box(const mq_pool_t *p, const x_t *x, mq_box_t box, x_t *y)                                  \
    {                                                                                                                  \
        const int32_t count = (box.bottom - box.top) * (box.right - box.left);                                         \
        for (int32_t c = 0; c < p->channels; c++, x++) {                                                               \
            int32_t all = start;                                                                                       \
            for (int32_t iy = box.top; iy < box.bottom; iy++) {                                                        \
                for (int32_t ix = box.left; ix < box.right; ix++) {                                                    \
                    all = join(all, x[(iy * p->in_w + ix) * p->channels]);                                             \
                }                                                                                                      \
            }                                                                                                          \
            y[c] = (x_t)mq_rescale(&p->rescale, result(all, count));                                                   \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    MQ_KERNEL void name##_whole(const mq_pool_t *p, const x_t *x, x_t *y)                                              \
    {                                                                                                                  \
        for (int32_t c = 0; c < p->channels; c++, x++) {                                                               \
            int32_t all = start;                                                                                       \
            MQ_UNROLL_SMALL                                                                                            \
            for (int32_t ky = 0; ky < p->k_h; ky++) {                                                                  \
                MQ_UNROLL_SMALL                                                                                        \
                for (int32_t kx = 0; kx < p->k_w; kx++) {                                                              \
                    all = join(all, x[(ky * p->in_w + kx) * p->channels]);                                             \
                }                                                                                                      \
            }                                                                                                          \
            y[c] = (x_t)mq_rescale(&p->rescale, result(all, p->k_h * p->k_w));                                         \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    MQ_KERNEL void name(const mq_pool_t *p, const x_t *x, x_t *y)                                                      \
    {                                                                                                                  \
        for (int32_t n = 0; n < p->batch; n++, x += p->in_h * p->in_w * p->channels) {                                 \
            for (int32_t oy = 0; oy < p->out_h; oy++) {                                                                \
                for (int32_t ox = 0; ox < p->out_w; ox++, y += p->channels) {                                          \
                    const mq_box_t box = mq_pool_box(p, oy, ox);                                                       \
                    if (box.bottom - box.top == p->k_h && box.right - box.left == p->k_w) {                            \
                        name##_whole(p, x + (box.top * p->in_w + box.left) * p->channels, y);                          \
                    } else {                                                                                           \
                        name##_box(p, x, box, y);                                                                      \
                    }                                                                                                  \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

MQ_DEFINE_POOL(mq_max_pool_s8, int8_t, INT8_MIN, mq_pool_max, mq_pool_largest)
MQ_DEFINE_POOL(mq_max_pool_s16, int16_t, INT16_MIN, mq_pool_max, mq_pool_largest)
MQ_DEFINE_POOL(mq_avg_pool_s8, int8_t, 0, mq_pool_add, mq_pool_mean)
MQ_DEFINE_POOL(mq_avg_pool_s16, int16_t, 0, mq_pool_add, mq_pool_mean)

#undef MQ_DEFINE_POOL

#endif
