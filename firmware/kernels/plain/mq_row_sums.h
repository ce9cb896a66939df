/* Averages over an image whose rows come one by one: sums of each row, and the averages after the last one. */
#ifndef MQ_ROW_SUMS_H
#define MQ_ROW_SUMS_H

#include "mq_pool.h"

typedef struct {
    int32_t pixels, channels; /* 1 or more */
} mq_row_sums_t;

/* Adds the pixels of a row to the sum of each channel. */
MQ_KERNEL void mq_row_sums_s8(const mq_row_sums_t *p, const int8_t *x, int32_t *sums)
{
    for (int32_t c = 0; c < p->channels; c++) {
        int32_t sum = sums[c];
        for (int32_t i = 0; i < p->pixels; i++) {
            sum += x[i * p->channels + c];
        }
        sums[c] = sum;
    }
}

typedef struct {
    int32_t channels; /* 1 or more */
    int32_t count;    /* pixels of the image, 1 to 2^22, so that no sum overflows */
    mq_rescale_t rescale;
} mq_average_of_sums_t;

/* As average pooling over the whole image. */
MQ_KERNEL void mq_average_of_sums_s8(const mq_average_of_sums_t *p, const int32_t *sums, int8_t *y)
{
    for (int32_t c = 0; c < p->channels; c++) {
        y[c] = (int8_t)mq_rescale(&p->rescale, mq_pool_mean(sums[c], p->count));
    }
}

typedef struct {
    int32_t channels; /* 1 or more */
    int32_t offset;   /* minus the zero points of all pixels, of which there are at most 2^22 */
    int32_t y_zero;
    int32_t m, shift;         /* as in mq_mean_t: 31 bits, -31..31 to the left */
    int32_t act_min, act_max; /* the output type's range */
} mq_mean_of_sums_t;

/* As the mean or the sum over the whole image. */
MQ_KERNEL void mq_mean_of_sums_s8(const mq_mean_of_sums_t *p, const int32_t *sums, int8_t *y)
{
    for (int32_t c = 0; c < p->channels; c++) {
        const int32_t sum = sums[c] + p->offset;
        y[c] = (int8_t)mq_stored(mq_requantize(sum, p->m, p->shift), p->y_zero, p->act_min, p->act_max);
    }
}

#endif
