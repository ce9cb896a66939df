/* Inputs that host and device both generate, so that none must be sent. */
#include <string.h>

#include "app/mq_app.h"

/* A bijection of 32-bit words in which every bit of the result depends on every bit of the argument (C. Wellons, hash
 * prospector, "lowbias32"). */
static uint32_t mix(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7FEB352Du;
    x ^= x >> 15;
    x *= 0x846CA68Bu;
    x ^= x >> 16;
    return x;
}

/* Little-endian words: unchanged for integers; the lowest bit of each byte for truth values; as reals in [-1, 1),
 * multiples of 2^-23, for float32. */
static void fill(uint8_t *bytes, const mq_tensor_t *tensor, uint32_t state)
{
    for (uint32_t i = 0; i < tensor->bytes; i += 4) {
        uint32_t word = mix(state + (i / 4u) * 0x9E3779B9u);
        if (tensor->type == MQ_FLOAT32) {
            const float real = (float)((int32_t)(word & 0xFFFFFFu) - (1 << 23)) * (1.0f / (1 << 23));
            memcpy(&word, &real, sizeof word);
        }
        if (tensor->type == MQ_BOOL) {
            word &= 0x01010101u;
        }
        const uint32_t left = tensor->bytes - i;
        memcpy(bytes + i, &word, left < 4u ? left : 4u);
    }
}

void mq_app_seed(uint32_t seed)
{
    uint8_t *bytes = mq_app_wire;
    for (uint32_t i = 0; i < mq_app_model->input_count; i++) {
        fill(bytes, &mq_app_model->inputs[i], mix(mix(seed) + i));
        bytes += mq_app_model->inputs[i].bytes;
    }
    mq_app_wire_changed(MQ_FORM_STORED);
}
