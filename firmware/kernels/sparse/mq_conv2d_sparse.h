/* Convolution of images with mostly zero weights; see mq_sparse.h. */
#ifndef MQ_CONV2D_SPARSE_H
#define MQ_CONV2D_SPARSE_H

#include "mq_sparse.h"
#include "mq_window.h"

/* `sparse.depth` is a window: k_h * k_w * in_c; `sparse.rows` is not read. Sizes, batch, strides and dilations: 1 or
   more; pads: 0 or more; x_zero: -128 to 127. x and y: [batch][height][width][channels]; scratch: 4 * sparse.depth
   bytes. */
typedef struct {
    mq_sparse_t sparse;
    int32_t batch;
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w;
    int32_t k_h, k_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t x_zero;
} mq_conv2d_sparse_t;

/* The window of an output pixel in the order of the weights; real zero outside the image. */
MQ_KERNEL void mq_conv2d_sparse_gather(const mq_conv2d_sparse_t *p, const int8_t *x, mq_taps_t t, int8_t *to)
{
    for (int32_t ky = 0; ky < p->k_h; ky++) {
        const int32_t row = (t.row + ky * p->dilation_h) * p->in_w + t.column;
        for (int32_t kx = 0; kx < p->k_w; kx++, to += p->in_c) {
            const int inside = ky >= t.ky0 && ky < t.ky1 && kx >= t.kx0 && kx < t.kx1;
            if (inside) {
                memcpy(to, x + (row + kx * p->dilation_w) * p->in_c, (size_t)p->in_c);
            } else {
                memset(to, p->x_zero, (size_t)p->in_c);
            }
        }
    }
}

/* scratch: MQ_SPARSE_ROWS windows. */
MQ_KERNEL void mq_conv2d_sparse_s8(const mq_conv2d_sparse_t *p, const int8_t *x, const mq_sparse_weights_t *w,
                                   int8_t *scratch, int8_t *y)
{
    const int32_t all = p->batch * p->out_h * p->out_w;
    int32_t gathered = 0;
    for (int32_t pixel = 0; pixel < all; pixel++) {
        const int32_t n = pixel / (p->out_h * p->out_w);
        const mq_taps_t taps = MQ_TAPS(p, pixel / p->out_w - n * p->out_h, pixel % p->out_w);
        mq_conv2d_sparse_gather(p, x + n * p->in_h * p->in_w * p->in_c, taps, scratch + gathered * p->sparse.depth);
        if (++gathered == MQ_SPARSE_ROWS) {
            mq_sparse_rows(&p->sparse, w, scratch, MQ_SPARSE_ROWS, y);
            y += MQ_SPARSE_ROWS * p->sparse.outputs;
            gathered = 0;
        }
    }
    for (int32_t row = 0; row < gathered; row++, y += p->sparse.outputs) {
        mq_sparse_rows(&p->sparse, w, scratch + row * p->sparse.depth, 1, y);
    }
}

#endif
