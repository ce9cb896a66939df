/* Product over the last two axes of two tensors; leading axes are broadcast. */
#ifndef MQ_MATMUL_H
#define MQ_MATMUL_H

#include "mq_broadcast.h"

/* `matrices` loops over the leading axes, with steps in elements. Element (r, k) of a is at r * a_row + k * a_column
   of its matrix, (k, c) of b at k * b_row + c * b_column; for a matrix stored transposed the two are swapped. rows,
   depth, columns: 1 or more; the steps of rows and columns are elements. */
typedef struct {
    mq_broadcast_t matrices;
    int32_t rows, depth, columns;
    int32_t a_row, a_column;
    int32_t b_row, b_column;
    int32_t a_zero, b_zero, y_zero;
    int32_t m, shift;         /* 31 bits; -31..31, to the left */
    int32_t act_min, act_max; /* clamp of the stored output */
} mq_matmul_t;

#define MQ_DEFINE_MATMUL(name, x_t, acc_t, requantize)                                                                 \
    MQ_KERNEL x_t name##_element(const mq_matmul_t *p, const x_t *a, const x_t *b)                                     \
    {                                                                                                                  \
        acc_t acc = 0;                                                                                                 \
        for (int32_t k = 0; k < p->depth; k++) {                                                                       \
            acc += (acc_t)(a[k * p->a_column] - p->a_zero) * (b[k * p->b_row] - p->b_zero);                            \
        }                                                                                                              \
        return (x_t)mq_stored(requantize(acc, p->m, p->shift), p->y_zero, p->act_min, p->act_max);                     \
    }                                                                                                                  \
                                                                                                                       \
    MQ_KERNEL void name##_matrix(const mq_matmul_t *p, const x_t *a, const x_t *b, x_t *y)                             \
    {                                                                                                                  \
        for (int32_t r = 0; r < p->rows; r++) {                                                                        \
            for (int32_t c = 0; c < p->columns; c++) {                                                                 \
                *y++ = name##_element(p, a + r * p->a_row, b + c * p->b_column);                                       \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    MQ_KERNEL void name(const mq_matmul_t *p, const x_t *a, const x_t *b, x_t *y)                                      \
    {                                                                                                                  \
        MQ_BROADCAST(p->matrices, name##_matrix(p, a + ia, b + ib, y + i * p->rows * p->columns))                      \
    }

MQ_DEFINE_MATMUL(mq_matmul_s8, int8_t, int32_t, mq_requantize)
MQ_DEFINE_MATMUL(mq_matmul_s16, int16_t, int64_t, mq_requantize64)

#undef MQ_DEFINE_MATMUL

#endif
