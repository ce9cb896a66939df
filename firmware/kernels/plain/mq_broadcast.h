/* Loops over two tensors with broadcast. */
#ifndef MQ_BROADCAST_H
#define MQ_BROADCAST_H

#include "mq_common.h"

#define MQ_BROADCAST_RANK 5

/* Output size of each axis, and the step of each input along it (0 for an input with one entry). Unused leading axes
   have size 1. The compiler merges axes, so that equal shapes are one run along the last. size: 1 or more; a and b:
   elements between indices, 0 along a repeated axis. */
typedef struct {
    int32_t size[MQ_BROADCAST_RANK];
    int32_t a[MQ_BROADCAST_RANK];
    int32_t b[MQ_BROADCAST_RANK];
} mq_broadcast_t;

/* Run `body` for every output index i, with ia and ib the indices of the two inputs. */
#define MQ_BROADCAST(s, body)                                                                                          \
    int32_t i = 0;                                                                                                     \
    for (int32_t i0 = 0; i0 < (s).size[0]; i0++) {                                                                     \
        for (int32_t i1 = 0; i1 < (s).size[1]; i1++) {                                                                 \
            for (int32_t i2 = 0; i2 < (s).size[2]; i2++) {                                                             \
                for (int32_t i3 = 0; i3 < (s).size[3]; i3++) {                                                         \
                    int32_t ia = i0 * (s).a[0] + i1 * (s).a[1] + i2 * (s).a[2] + i3 * (s).a[3];                        \
                    int32_t ib = i0 * (s).b[0] + i1 * (s).b[1] + i2 * (s).b[2] + i3 * (s).b[3];                        \
                    for (int32_t i4 = 0; i4 < (s).size[4]; i4++, i++, ia += (s).a[4], ib += (s).b[4]) {                \
                        body;                                                                                          \
                    }                                                                                                  \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

#endif
