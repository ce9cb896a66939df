/* The class with the largest score. */
#ifndef MQ_DECIDE_CLASS_H
#define MQ_DECIDE_CLASS_H

#include <stdint.h>

enum { MQ_NO_CLASS = -1 };

typedef struct {
    int32_t label; /* the class, or MQ_NO_CLASS: no score reached the threshold */
    int32_t score; /* largest score, as stored by the network */
} mq_verdict_t;

#endif
