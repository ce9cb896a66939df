/* Copies elements of any type: slices, transpositions, and the inside of a padded tensor. */
#ifndef MQ_COPY_H
#define MQ_COPY_H

#include "mq_common.h"

#define MQ_COPY_RANK 6

/* Element size in bytes; all others in elements, which may combine several of the tensors' elements. Step i of an
   axis moves x_step[axis] in the input and y_step[axis] in the output; steps may be negative. The compiler merges
   axes; unused leading axes have size 1. size: 1 or more; steps: elements between indices, of any sign. */
typedef struct {
    int32_t bytes; /* 1, 2, 4 or 8 */
    int32_t x_start, y_start;
    int32_t size[MQ_COPY_RANK];
    int32_t x_step[MQ_COPY_RANK];
    int32_t y_step[MQ_COPY_RANK];
} mq_copy_t;

typedef uint16_t __attribute__((may_alias)) mq_half_t;
typedef uint32_t __attribute__((may_alias)) mq_word_t;
typedef uint64_t __attribute__((may_alias)) mq_double_t;

/* `count` elements of a type, four at a time, so that loads are adjacent. Steps are in elements. */
#define MQ_DEFINE_MOVE(type)                                                                                           \
    MQ_KERNEL void mq_move_##type(const void *x, int32_t x_step, void *y, int32_t y_step, int32_t count)               \
    {                                                                                                                  \
        const type *from = x;                                                                                          \
        type *to = y;                                                                                                  \
        for (; count >= 4; count -= 4, from += 4 * x_step, to += 4 * y_step) {                                         \
            const type a = from[0], b = from[x_step], c = from[2 * x_step], d = from[3 * x_step];                      \
            to[0] = a;                                                                                                 \
            to[y_step] = b;                                                                                            \
            to[2 * y_step] = c;                                                                                        \
            to[3 * y_step] = d;                                                                                        \
        }                                                                                                              \
        if (count & 2) {                                                                                               \
            const type a = from[0], b = from[x_step];                                                                  \
            to[0] = a;                                                                                                 \
            to[y_step] = b;                                                                                            \
            from += 2 * x_step;                                                                                        \
            to += 2 * y_step;                                                                                          \
        }                                                                                                              \
        if (count & 1) {                                                                                               \
            *to = *from;                                                                                               \
        }                                                                                                              \
    }
MQ_DEFINE_MOVE(uint8_t)
MQ_DEFINE_MOVE(mq_half_t)
MQ_DEFINE_MOVE(mq_word_t)
MQ_DEFINE_MOVE(mq_double_t)

/* Elements of `bytes` bytes; all addresses are multiples of it. */
MQ_KERNEL void mq_move(const void *x, int32_t x_step, void *y, int32_t y_step, int32_t count, int32_t bytes)
{
    switch (bytes) {
    case 1:
        mq_move_uint8_t(x, x_step, y, y_step, count);
        break;
    case 2:
        mq_move_mq_half_t(x, x_step, y, y_step, count);
        break;
    case 4:
        mq_move_mq_word_t(x, x_step, y, y_step, count);
        break;
    default:
        mq_move_mq_double_t(x, x_step, y, y_step, count);
        break;
    }
}

/* A contiguous run. memcpy is faster for bytes above a certain length; larger units are moved here as fast. */
MQ_KERNEL void mq_copy_dense(const void *x, void *y, int32_t count, int32_t bytes)
{
    if (bytes == 1 && count > 24) {
        memcpy(y, x, (size_t)count);
    } else {
        mq_move(x, 1, y, 1, count, bytes);
    }
}

/* The last axis: one run if it is contiguous in both tensors. */
MQ_KERNEL void mq_copy_run(const mq_copy_t *p, const uint8_t *x, uint8_t *y)
{
    const int32_t x_step = p->x_step[MQ_COPY_RANK - 1];
    const int32_t y_step = p->y_step[MQ_COPY_RANK - 1];
    const int32_t size = p->size[MQ_COPY_RANK - 1];
    if (x_step == 1 && y_step == 1) {
        mq_copy_dense(x, y, size, p->bytes);
    } else {
        mq_move(x, x_step, y, y_step, size, p->bytes);
    }
}

MQ_KERNEL void mq_copy(const mq_copy_t *p, const void *x, void *y)
{
    uint8_t *const out = mq_apart(y);
    const int32_t *xs = p->x_step;
    const int32_t *ys = p->y_step;
    for (int32_t i0 = 0; i0 < p->size[0]; i0++) {
        for (int32_t i1 = 0; i1 < p->size[1]; i1++) {
            for (int32_t i2 = 0; i2 < p->size[2]; i2++) {
                for (int32_t i3 = 0; i3 < p->size[3]; i3++) {
                    for (int32_t i4 = 0; i4 < p->size[4]; i4++) {
                        const int32_t from = i0 * xs[0] + i1 * xs[1] + i2 * xs[2] + i3 * xs[3] + i4 * xs[4];
                        const int32_t to = i0 * ys[0] + i1 * ys[1] + i2 * ys[2] + i3 * ys[3] + i4 * ys[4];
                        mq_copy_run(p, (const uint8_t *)x + (p->x_start + from) * p->bytes,
                                    out + (p->y_start + to) * p->bytes);
                    }
                }
            }
        }
    }
}

#endif
