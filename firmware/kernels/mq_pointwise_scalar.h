/* Pointwise convolution on cores without SIMD, of the input as it stands; see mq_scalar_product.h. */
#ifndef MQ_POINTWISE_SCALAR_H
#define MQ_POINTWISE_SCALAR_H

#include "mq_scalar_product.h"

typedef struct {
    int32_t rows, row_step;     /* bytes from one row of input pixels to the next */
    int32_t pixels, pixel_step; /* of a row */
    int32_t in_c, out_c;
    int32_t y_zero, act_min, act_max;
} mq_pointwise_scalar_t;

MQ_KERNEL void mq_pointwise_pair_s8(const mq_pointwise_scalar_t *p, const int8_t *x, const int8_t *w,
                                    const int32_t *bias, const int32_t *m, const int8_t *shift, int8_t *y)
{
    const mq_scalar_product_t product = {w, bias, m, shift, p->in_c, p->out_c, p->y_zero, p->act_min, p->act_max};
    for (int32_t row = 0; row < p->rows; row++, x += p->row_step, y += p->pixels * p->out_c) {
        mq_scalar_pixels(&product, x, p->pixels, p->pixel_step, y);
    }
}

#endif
