/* Loops over a tensor some of whose axes are reduced. */
#ifndef MQ_REDUCE_H
#define MQ_REDUCE_H

#include "mq_common.h"

#define MQ_REDUCE_AXES 3

/* Sizes of the kept and of the reduced axes, and the step along each in elements. The compiler merges axes; unused
   leading axes have size 1. Sizes: 1 or more; steps: elements between indices. */
typedef struct {
    int32_t kept[MQ_REDUCE_AXES];
    int32_t kept_step[MQ_REDUCE_AXES];
    int32_t reduced[MQ_REDUCE_AXES];
    int32_t reduced_step[MQ_REDUCE_AXES];
} mq_reduce_t;

/* Run `body` for every output in order, with `at` the index of its first input. */
#define MQ_EACH_KEPT(s, body)                                                                                          \
    for (int32_t k0 = 0; k0 < (s).kept[0]; k0++) {                                                                     \
        for (int32_t k1 = 0; k1 < (s).kept[1]; k1++) {                                                                 \
            for (int32_t k2 = 0; k2 < (s).kept[2]; k2++) {                                                             \
                const int32_t at = k0 * (s).kept_step[0] + k1 * (s).kept_step[1] + k2 * (s).kept_step[2];              \
                body                                                                                                   \
            }                                                                                                          \
        }                                                                                                              \
    }

/* Run `body` for every input of the output whose first input is `at`, with `i` its index. */
#define MQ_EACH_REDUCED(s, at, body)                                                                                      \
    for (int32_t g0 = 0; g0 < (s).reduced[0]; g0++) {                                                                     \
        for (int32_t g1 = 0; g1 < (s).reduced[1]; g1++) {                                                                 \
            for (int32_t g2 = 0; g2 < (s).reduced[2]; g2++) {                                                             \
                const int32_t i = (at) + g0 * (s).reduced_step[0] + g1 * (s).reduced_step[1] + g2 * (s).reduced_step[2];        \
                body                                                                                                   \
            }                                                                                                          \
        }                                                                                                              \
    }

#endif
