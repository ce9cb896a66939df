/* Elements of tensors as real numbers. */
#ifndef MQ_ELEMENT_H
#define MQ_ELEMENT_H

#include "mq.h"

/* Number of elements of a tensor. */
uint32_t mq_element_count(const mq_tensor_t *tensor);
/* The real value of element `i` of a tensor whose stored values are at `data`, aligned or not. 64-bit values are cut
 * to 32 bits. */
float mq_element(const mq_tensor_t *tensor, const uint8_t *data, uint32_t i);
/* All elements of all outputs in the arena, separated by commas, as "%0.3f". */
void mq_put_outputs(void);

#endif
