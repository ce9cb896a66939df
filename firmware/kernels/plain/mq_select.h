/* Elements of one tensor or of another, by truth values; all three broadcast against each other. */
#ifndef MQ_SELECT_H
#define MQ_SELECT_H

#include "mq_common.h"

#define MQ_SELECT_RANK 5

/* Output size of each axis, and how far the condition and both inputs move along it (0 where one has one entry for
   all). Unused leading axes have size 1. size: 1 or more. */
typedef struct {
    int32_t size[MQ_SELECT_RANK];
    int32_t condition[MQ_SELECT_RANK];
    int32_t a[MQ_SELECT_RANK];
    int32_t b[MQ_SELECT_RANK];
} mq_select_t;

#define MQ_SELECT_AT(steps) (i0 * (steps)[0] + i1 * (steps)[1] + i2 * (steps)[2] + i3 * (steps)[3])

#define MQ_DEFINE_SELECT(name, x_t)                                                                                    \
    MQ_KERNEL void name(const mq_select_t *p, const uint8_t *condition, const x_t *a, const x_t *b, x_t *y)            \
    {                                                                                                                  \
        for (int32_t i0 = 0; i0 < p->size[0]; i0++) {                                                                  \
            for (int32_t i1 = 0; i1 < p->size[1]; i1++) {                                                              \
                for (int32_t i2 = 0; i2 < p->size[2]; i2++) {                                                          \
                    for (int32_t i3 = 0; i3 < p->size[3]; i3++) {                                                      \
                        const uint8_t *const c_row = condition + MQ_SELECT_AT(p->condition);                           \
                        const x_t *const a_row = a + MQ_SELECT_AT(p->a);                                               \
                        const x_t *const b_row = b + MQ_SELECT_AT(p->b);                                               \
                        for (int32_t i = 0; i < p->size[4]; i++) {                                                     \
                            *y++ = c_row[i * p->condition[4]] != 0 ? a_row[i * p->a[4]] : b_row[i * p->b[4]];          \
                        }                                                                                              \
                    }                                                                                                  \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

MQ_DEFINE_SELECT(mq_select_s8, int8_t)
MQ_DEFINE_SELECT(mq_select_s16, int16_t)
MQ_DEFINE_SELECT(mq_select_s32, int32_t)
MQ_DEFINE_SELECT(mq_select_u8, uint8_t)

#undef MQ_DEFINE_SELECT

#endif
