/* Windows that slide over an image and may extend past it: their taps inside the image. */
#ifndef MQ_WINDOW_H
#define MQ_WINDOW_H

#include "mq_common.h"

/* A convolution of images, which are stored as [height][width][channel]. Sizes are in elements, strides and dilations
   in pixels, and 1 or more unless stated otherwise. */
typedef struct {
    int32_t batch;
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c; /* out_c of a depthwise convolution is a multiple of in_c */
    int32_t k_h, k_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left; /* 0 or more; negative if the rows of a strip begin inside the image */
    int32_t groups;            /* divides in_c and out_c; a depthwise convolution has in_c groups */
    int32_t x_zero, y_zero;    /* in the range of the activations' type */
    int32_t act_min, act_max;  /* clamp of the stored output, of the activations' type */
} mq_window_t;

/* The start of a window (row and column of its tap 0, possibly negative), and its taps inside the image. */
typedef struct {
    int32_t row, column;
    int32_t ky0, ky1, kx0, kx1; /* from the first to one past the last */
} mq_taps_t;

/* First tap inside the image, of a window whose tap 0 is at `start` (maybe negative). */
MQ_KERNEL int32_t mq_tap_begin(int32_t start, int32_t dilation)
{
    return start >= 0 ? 0 : (-start + dilation - 1) / dilation;
}

/* One past the last tap inside the image. */
MQ_KERNEL int32_t mq_tap_end(int32_t start, int32_t dilation, int32_t taps, int32_t size)
{
    return start >= size ? 0 : mq_min(taps, (size - start + dilation - 1) / dilation);
}

/* The taps of output pixel (oy, ox), from the parameters of any convolution. */
#define MQ_TAPS(p, oy, ox)                                                                                             \
    mq_taps((oy) * (p)->stride_h - (p)->pad_top, (p)->dilation_h, (p)->k_h, (p)->in_h,                                 \
            (ox) * (p)->stride_w - (p)->pad_left, (p)->dilation_w, (p)->k_w, (p)->in_w)

MQ_KERNEL mq_taps_t mq_taps(int32_t row, int32_t dilation_h, int32_t k_h, int32_t in_h, int32_t column,
                            int32_t dilation_w, int32_t k_w, int32_t in_w)
{
    return (mq_taps_t){
        .row = row,
        .column = column,
        .ky0 = mq_tap_begin(row, dilation_h),
        .ky1 = mq_tap_end(row, dilation_h, k_h, in_h),
        .kx0 = mq_tap_begin(column, dilation_w),
        .kx1 = mq_tap_end(column, dilation_w, k_w, in_w),
    };
}

#endif
