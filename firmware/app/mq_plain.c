/* The plain application: the wire carries the model's own integers, and all outputs are results. */
#include <string.h>

#include "app/mq_app.h"
#include "app/mq_serial.h"

void mq_app_feed(void)
{
    const uint8_t *bytes = mq_app_wire;
    for (int i = 0; i < mq_app_model->input_count; i++) {
        const uint32_t count = mq_app_model->inputs[i].bytes;
        memcpy(mq_input(mq_app_model, mq_app_arena, i), bytes, count);
        bytes += count;
    }
}

static float element(const mq_tensor_t *tensor, uint32_t i)
{
    const uint8_t *const data = (const uint8_t *)mq_app_arena + tensor->offset;
    const uint32_t width = mq_type_bytes(tensor->type);
    float real;
    int32_t stored = 0;
    if (tensor->type == MQ_FLOAT32) {
        memcpy(&real, data + i * width, sizeof real);
        return real;
    }
    memcpy(&stored, data + i * width, width < sizeof stored ? width : sizeof stored);
    const uint32_t unused = 32u - 8u * (width < 4u ? width : 4u);
    return mq_dequantize(tensor, (int32_t)((uint32_t)stored << unused) >> unused);
}

void mq_app_results(void)
{
    const char *separator = "";
    for (uint32_t t = 0; t < mq_app_model->output_count; t++) {
        const mq_tensor_t *const tensor = &mq_app_model->outputs[t];
        const uint32_t count = tensor->bytes / mq_type_bytes(tensor->type);
        for (uint32_t i = 0; i < count; i++) {
            mq_put_text(separator);
            mq_put_fixed3(element(tensor, i));
            separator = ",";
        }
    }
}
