/* Means, sums and averages over the rows of a stream. The sums of rows that were there before are kept. */
#ifndef MQ_RUNNING_SUM_H
#define MQ_RUNNING_SUM_H

#include "mq_pool.h"

/* x is `rows` rows of `pixels` pixels. Rows `start` to `stop` - 1 are those of the kept sums, and move by `step` rows:
   0 <= start < stop <= rows - step; the others are 1 or more. The compiler rejects sums that could overflow. */
typedef struct {
    int32_t rows, pixels, channels;
    int32_t start, stop, step;
} mq_running_rows_t;

typedef struct {
    mq_running_rows_t shape;
    int32_t x_sum;  /* elements of one mean or sum, times x's zero point */
    int32_t y_zero;
    int32_t m, shift;         /* x scale / y scale / elements of a mean; 31 bits, -31..31 to the left */
    int32_t act_min, act_max; /* the output type's range */
} mq_running_mean_t;

typedef struct {
    mq_running_rows_t shape;
    mq_rescale_t rescale;
} mq_running_pool_t;

MQ_KERNEL int32_t mq_running_mean_of(const mq_running_mean_t *p, int32_t sum)
{
    return mq_stored(mq_requantize(sum - p->x_sum, p->m, p->shift), p->y_zero, p->act_min, p->act_max);
}

MQ_KERNEL int32_t mq_running_pool_of(const mq_running_pool_t *p, int32_t sum)
{
    return mq_rescale(&p->rescale, mq_pool_mean(sum, p->shape.rows * p->shape.pixels));
}

/* kept: the sums of the last inference; later: those for the next one. */
#define MQ_DEFINE_RUNNING(name, params_t, x_t, result)                                                                 \
    MQ_KERNEL int32_t name##_rows(const mq_running_rows_t *p, const x_t *x, int32_t from, int32_t to)                  \
    {                                                                                                                  \
        int32_t sum = 0;                                                                                               \
        for (int32_t i = from * p->pixels; i < to * p->pixels; i++) {                                                  \
            sum += x[i * p->channels];                                                                                 \
        }                                                                                                              \
        return sum;                                                                                                    \
    }                                                                                                                  \
                                                                                                                       \
    MQ_KERNEL void name(const params_t *p, const x_t *x, const int32_t *kept, x_t *y, int32_t *later)                  \
    {                                                                                                                  \
        const mq_running_rows_t *const s = &p->shape;                                                                  \
        for (int32_t c = 0; c < s->channels; c++, x++) {                                                               \
            const int32_t sum = kept[c] + name##_rows(s, x, s->stop, s->stop + s->step);                               \
            const int32_t edges = name##_rows(s, x, 0, s->start) + name##_rows(s, x, s->stop + s->step, s->rows);      \
            y[c] = (x_t)result(p, sum + edges);                                                                        \
            later[c] = sum - name##_rows(s, x, s->start, s->start + s->step);                                          \
        }                                                                                                              \
    }

MQ_DEFINE_RUNNING(mq_running_mean_s8, mq_running_mean_t, int8_t, mq_running_mean_of)
MQ_DEFINE_RUNNING(mq_running_mean_s16, mq_running_mean_t, int16_t, mq_running_mean_of)
MQ_DEFINE_RUNNING(mq_running_pool_s8, mq_running_pool_t, int8_t, mq_running_pool_of)
MQ_DEFINE_RUNNING(mq_running_pool_s16, mq_running_pool_t, int16_t, mq_running_pool_of)

#undef MQ_DEFINE_RUNNING

#endif
