/* Resizes images by bilinear interpolation. */
#ifndef MQ_RESIZE_BILINEAR_H
#define MQ_RESIZE_BILINEAR_H

#include "mq_common.h"

/* All are 1 or more. */
typedef struct {
    int32_t batch;
    int32_t in_h, in_w;
    int32_t out_h, out_w;
    int32_t channels;
} mq_resize_bilinear_t;

/* sum / 2^20 rounded to nearest, ties away from zero. */
#define MQ_BILINEAR_ROUNDED(sum) (((sum) + ((sum) > 0 ? 1 << 19 : -(1 << 19))) / (1 << 20))

/* rows and columns: for each output row or column the lower input, the upper input, and the weight of the upper in
   1/1024. The sum of four products with both weights fits sum_t. */
#define MQ_DEFINE_RESIZE_BILINEAR(name, x_t, sum_t)                                                                    \
    MQ_KERNEL void name(const mq_resize_bilinear_t *p, const x_t *x, const uint16_t *rows, const uint16_t *columns,    \
                        x_t *y)                                                                                        \
    {                                                                                                                  \
        const int32_t line = p->in_w * p->channels;                                                                    \
        for (int32_t n = 0; n < p->batch; n++, x += p->in_h * line) {                                                  \
            for (int32_t oy = 0; oy < p->out_h; oy++) {                                                                \
                const x_t *low = x + rows[3 * oy] * line;                                                              \
                const x_t *high = x + rows[3 * oy + 1] * line;                                                         \
                const int32_t down = rows[3 * oy + 2];                                                                 \
                for (int32_t ox = 0; ox < p->out_w; ox++) {                                                            \
                    const int32_t left = columns[3 * ox] * p->channels;                                                \
                    const int32_t right = columns[3 * ox + 1] * p->channels;                                           \
                    const int32_t across = columns[3 * ox + 2];                                                        \
                    for (int32_t c = 0; c < p->channels; c++) {                                                        \
                        const int32_t before = low[left + c] * (1024 - down) + high[left + c] * down;                  \
                        const int32_t after = low[right + c] * (1024 - down) + high[right + c] * down;                 \
                        const sum_t sum = (sum_t)before * (1024 - across) + (sum_t)after * across;                     \
                        *y++ = (x_t)MQ_BILINEAR_ROUNDED(sum);                                                          \
                    }                                                                                                  \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

MQ_DEFINE_RESIZE_BILINEAR(mq_resize_bilinear_s8, int8_t, int32_t)
MQ_DEFINE_RESIZE_BILINEAR(mq_resize_bilinear_s16, int16_t, int64_t)

#undef MQ_DEFINE_RESIZE_BILINEAR

#endif
