/* The wire carries little-endian float32, and the network reconstructs its input: the result is the mean squared error of
 * the reconstruction, summed in single precision from the first element to the last. */
#include <string.h>

#include "app/mq_app.h"
#include "app/mq_element.h"
#include "app/mq_serial.h"

static float score;

static float loaded(uint32_t i)
{
    float real;
    memcpy(&real, mq_app_wire + i * sizeof real, sizeof real);
    return real;
}

static void store(const mq_tensor_t *tensor, uint32_t i, float real)
{
    uint8_t *const input = mq_input(mq_app_model, mq_app_arena, 0);
    const uint32_t width = mq_type_bytes(tensor->type);
    const int32_t stored = mq_quantize(tensor, real);
    if (tensor->type == MQ_FLOAT32) {
        memcpy(input + i * width, &real, width);
    } else {
        memcpy(input + i * width, &stored, width);
    }
}

void mq_app_feed_wire(void)
{
    const mq_tensor_t *const tensor = &mq_app_model->inputs[0];
    for (uint32_t i = 0; i < mq_element_count(tensor); i++) {
        store(tensor, i, loaded(i));
    }
}

void mq_app_conclude(void)
{
    const mq_tensor_t *const input = &mq_app_model->inputs[0], *const output = &mq_app_model->outputs[0];
    const uint8_t *const made = mq_output(mq_app_model, mq_app_arena, 0);
    const uint32_t count = mq_element_count(output);
    float sum = 0.0f;
    for (uint32_t i = 0; i < count; i++) {
        const float given = mq_app_form == MQ_FORM_WIRE ? loaded(i) : mq_element(input, mq_app_wire, i);
        const float error = mq_element(output, made, i) - given;
        sum += error * error;
    }
    score = sum / (float)count;
}

void mq_app_results(void)
{
    mq_put_fixed3(score);
}
