/* Windows that slide over an image and may reach outside it: which of their taps are inside. */
#ifndef MQ_WINDOW_H
#define MQ_WINDOW_H

#include "mq_common.h"

/* Where a window starts (row and column of its tap 0, maybe negative), and its taps that are inside the image. */
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
