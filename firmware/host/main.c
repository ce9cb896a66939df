/* The network on this computer. Standard input has raw samples, all inputs of one sample after the other; standard output gets
 * the outputs of each sample, with --steps the outputs of every step. States continue from sample to sample; with --reset-each,
 * every sample starts from initial states. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "board.h"
#include MQ_APP_MODEL_HEADER

static _Alignas(MQ_APP_ARENA_ALIGNMENT) uint8_t arena[MQ_APP_ARENA_BYTES];
static uint8_t sample[MQ_APP_INPUT_BYTES];

#ifdef MQ_APP_ROWS
/* The rows of a sample, one by one. */
static int run_rows(void)
{
    const uint32_t row_bytes = MQ_APP_INPUT_BYTES / MQ_APP_ROWS;
    int is_ready = 0;
    for (uint32_t row = 0; row < MQ_APP_ROWS; row++) {
        is_ready = MQ_APP_FEED(arena, (const void *)(sample + row * row_bytes), 1);
    }
    return is_ready == 1 ? 0 : -1;
}
#endif

static void feed(const mq_model_t *model)
{
#ifdef MQ_APP_ROWS
    (void)model;
#else
    const uint8_t *bytes = sample;
    for (int i = 0; i < model->input_count; i++) {
        memcpy(mq_input(model, arena, i), bytes, model->inputs[i].bytes);
        bytes += model->inputs[i].bytes;
    }
#endif
}

static int put(const mq_model_t *model, const mq_tensor_t *tensors, int count)
{
    for (int i = 0; i < count; i++) {
        if (fwrite(mq_tensor_data(model, arena, &tensors[i]), 1, tensors[i].bytes, stdout) != tensors[i].bytes) {
            return -1;
        }
    }
    return 0;
}

static int run_steps(const mq_model_t *model)
{
    for (int i = 0; i < model->step_count; i++) {
        if (model->step(arena, i) != 0 || put(model, model->steps[i].outputs, model->steps[i].output_count) != 0) {
            return -1;
        }
    }
    return 0;
}

static int run(const mq_model_t *model)
{
#ifdef MQ_APP_ROWS
    const int status = run_rows();
#else
    const int status = model->run(arena);
#endif
    return status == 0 ? put(model, model->outputs, model->output_count) : -1;
}

int main(int argc, char **argv)
{
    const mq_model_t *const model = &MQ_APP_MODEL;
    int steps = 0, reset_each = 0;
    for (int i = 1; i < argc; i++) {
        const int is_steps = strcmp(argv[i], "--steps") == 0, is_reset = strcmp(argv[i], "--reset-each") == 0;
        if (!is_steps && !is_reset) {
            fprintf(stderr, "usage: %s [--steps] [--reset-each] < samples > outputs\n", argv[0]);
            return 2;
        }
        steps |= is_steps;
        reset_each |= is_reset;
    }
    size_t count;
    while ((count = fread(sample, 1, sizeof sample, stdin)) == sizeof sample) {
        if (reset_each && model->reset != NULL) {
            model->reset();
        }
        feed(model);
        if ((steps ? run_steps(model) : run(model)) != 0) {
            fprintf(stderr, "%s: cannot write the outputs\n", argv[0]);
            return 1;
        }
    }
    if (count != 0) {
        fprintf(stderr, "%s: the last sample has %zu of %zu bytes\n", argv[0], count, sizeof sample);
        return 1;
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
