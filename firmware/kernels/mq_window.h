/* Windows that slide over an image and may reach outside it: which of their taps are inside. */
#ifndef MQ_WINDOW_H
#define MQ_WINDOW_H

#include "mq_common.h"

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

#endif
