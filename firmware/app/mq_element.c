#include "app/mq_element.h"

#include <string.h>

#include "app/mq_app.h"
#include "app/mq_serial.h"

uint32_t mq_element_count(const mq_tensor_t *tensor)
{
    return tensor->bytes / mq_type_bytes(tensor->type);
}

float mq_element(const mq_tensor_t *tensor, const uint8_t *data, uint32_t i)
{
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

void mq_put_outputs(void)
{
    const char *separator = "";
    for (uint32_t t = 0; t < mq_app_model->output_count; t++) {
        const mq_tensor_t *const tensor = &mq_app_model->outputs[t];
        for (uint32_t i = 0; i < mq_element_count(tensor); i++) {
            mq_put_text(separator);
            mq_put_fixed3(mq_element(tensor, (const uint8_t *)mq_app_arena + tensor->offset, i));
            separator = ",";
        }
    }
}
