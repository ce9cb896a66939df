/* A network written by hand, for tests of the firmware around it: two inputs, two outputs, three steps. It destroys its
 * inputs, and the first value of input `a` can make it crash. */
#ifndef MQ_TINY_H
#define MQ_TINY_H

#include "mq.h"

enum { TINY_A = 700, TINY_B = 4 };

extern const mq_model_t mq_tiny;

#endif
