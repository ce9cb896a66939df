#include "mq.h"

/* Each network's library contains this file; if several are linked, any copy serves all. */
#define MQ_SHARED __attribute__((weak))

MQ_SHARED uint32_t mq_type_bytes(mq_type_t type)
{
    static const uint8_t bytes[] = {
        [MQ_FLOAT32] = 4, [MQ_INT8] = 1, [MQ_INT16] = 2,  [MQ_INT32] = 4,
        [MQ_INT64] = 8,   [MQ_BOOL] = 1, [MQ_UINT32] = 4, [MQ_UINT64] = 8,
    };
    return bytes[type];
}

/* Largest value of the type; the smallest is its complement. Types wider than 32 bits are limited to 32 bits. */
static int32_t highest(mq_type_t type)
{
    const uint32_t bytes = mq_type_bytes(type);
    return type == MQ_INT8 || type == MQ_INT16 ? (int32_t)((UINT32_C(1) << (8u * bytes - 1u)) - 1u) : INT32_MAX;
}

MQ_SHARED int32_t mq_quantize(const mq_tensor_t *tensor, float real)
{
    const int32_t high = highest(tensor->type);
    const int32_t low = -high - 1;
    const float scaled = tensor->scale != 0.0f ? real / tensor->scale : real;
    if (scaled != scaled) {
        return tensor->zero_point;
    }
    if (scaled >= (float)high - (float)tensor->zero_point) {
        return high;
    }
    if (scaled <= (float)low - (float)tensor->zero_point) {
        return low;
    }
    const int32_t whole = (int32_t)scaled;
    const float rest = scaled - (float)whole;
    return whole + (rest >= 0.5f) - (rest <= -0.5f) + tensor->zero_point;
}

MQ_SHARED float mq_dequantize(const mq_tensor_t *tensor, int32_t stored)
{
    const float steps = (float)(stored - tensor->zero_point);
    return tensor->scale != 0.0f ? tensor->scale * steps : steps;
}
