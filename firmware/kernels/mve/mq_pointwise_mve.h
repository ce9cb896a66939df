/* Pointwise convolution with MVE, of every pixel or of every n-th; see mq_mve_product.h. */
#ifndef MQ_POINTWISE_MVE_H
#define MQ_POINTWISE_MVE_H

#include "mq_mve_product.h"

/* rows, pixels, in_c and out_c: 1 or more; out_c: less than 2^15. row_step and pixel_step: 0 or more. y_zero: -128
   to 127; -128 <= act_min <= act_max <= 127. y: [rows][pixels][out_c]; stream: see mq_mve_product.h, aligned to 4
   bytes. */
typedef struct {
    int32_t rows, row_step;     /* bytes between rows of input pixels */
    int32_t pixels, pixel_step; /* pixels of a row */
    int32_t in_c, out_c;
    int32_t y_zero, act_min, act_max;
} mq_pointwise_mve_t;

/* `stream` is that of mq_mve_product.h. */
MQ_KERNEL void mq_pointwise_mve(const mq_pointwise_mve_t *p, const int8_t *x, const int32_t *stream, int8_t *y,
                                mq_mve_product_kernel_t *kernel)
{
    const mq_mve_product_t product = {
        .stream = stream,
        .x_step = p->pixel_step,
        .outputs = mq_max(p->out_c, 4),
        .head = p->in_c % 16,
        .vectors = p->in_c / 16,
        .y_zero = p->y_zero,
        .act_min = p->act_min,
        .act_max = p->act_max,
    };
    for (int32_t row = 0; row < p->rows; row++, x += p->row_step, y += p->pixels * p->out_c) {
        mq_mve_product_any(&product, x, y, p->pixels, p->out_c, kernel);
    }
}

#define MQ_DEFINE_POINTWISE_MVE(form)                                                                                  \
    MQ_KERNEL void mq_pointwise_mve_##form##_s8(const mq_pointwise_mve_t *p, const int8_t *x, const int32_t *stream,   \
                                                int8_t *y)                                                             \
    {                                                                                                                  \
        mq_pointwise_mve(p, x, stream, y, mq_mve_product_##form);                                                      \
    }

MQ_DEFINE_POINTWISE_MVE(above)
MQ_DEFINE_POINTWISE_MVE(signed)
MQ_DEFINE_POINTWISE_MVE(clamped)

#undef MQ_DEFINE_POINTWISE_MVE

#endif
