/* Runs the models of a test. stdin: records of a model's index (uint32) and its inputs. stdout, for each: the outputs of
   every step, made one step at a time, then the network's outputs of a whole run, made in a fresh arena. What a network
   keeps between inferences lives on from record to record; both ways begin with the same. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models.h"

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static void *fresh_arena(const mq_model_t *model, const uint8_t *inputs, int garbage)
{
    const size_t bytes = model->arena_bytes ? model->arena_bytes : model->arena_alignment;
    uint8_t *arena = memalign(model->arena_alignment, bytes);
    if (arena == NULL) {
        fail("no memory");
    }
    memset(arena, garbage, bytes);
    for (int i = 0; model->run != NULL && i < model->input_count; i++) {
        memcpy(mq_input(model, arena, i), inputs, model->inputs[i].bytes);
        inputs += model->inputs[i].bytes;
    }
    return arena;
}

static void write_tensor(const mq_model_t *model, void *arena, const mq_tensor_t *tensor)
{
    if (fwrite(mq_tensor_data(model, arena, tensor), 1, tensor->bytes, stdout) != tensor->bytes) {
        fail("cannot write");
    }
}

static void by_steps(const mq_model_t *model, const uint8_t *inputs)
{
    void *arena = fresh_arena(model, inputs, 0xA5);
    for (int i = 0; model->step(arena, i) == 0; i++) {
        for (int k = 0; k < model->steps[i].output_count; k++) {
            write_tensor(model, arena, &model->steps[i].outputs[k]);
        }
    }
    free(arena);
}

/* An image in portions of 0, 1, 2, ... rows, after a part of another image. */
static int by_rows(const mq_model_t *model, feed_t feed, void *arena, const uint8_t *rows)
{
    const int height = model->inputs[0].shape[1];
    const size_t row_bytes = model->inputs[0].bytes / (size_t)height;
    int fed = 0, state = feed.feed(arena, rows, 1);
    feed.restart();
    for (int n = 0; state == 0; n++) {
        const int left = height - fed;
        const int taken = n < left ? n : left;
        uint8_t *portion = malloc((size_t)taken * row_bytes + 1);
        if (portion == NULL || feed.feed(arena, rows, left + 1) != -1) {
            fail("too many rows");
        }
        memcpy(portion, rows + (size_t)fed * row_bytes, (size_t)taken * row_bytes);
        state = feed.feed(arena, portion, taken);
        free(portion);
        fed += taken;
    }
    return state;
}

static void whole(const mq_model_t *model, uint32_t index, const uint8_t *inputs)
{
    void *arena = fresh_arena(model, inputs, 0x5A);
    if (model->run == NULL ? by_rows(model, feeds[index], arena, inputs) != 1 : model->run(arena) != 0) {
        fail("run failed");
    }
    for (int i = 0; i < model->output_count; i++) {
        write_tensor(model, arena, &model->outputs[i]);
    }
    free(arena);
}

/* The state as it was before. */
static void rewind_state(const mq_model_t *model, const uint8_t *before)
{
    if (before == NULL) {
        memset(model->state, 0xA5, model->state_bytes);
        model->reset();
    } else {
        memcpy(model->state, before, model->state_bytes);
    }
}

int main(void)
{
    static uint8_t *before[sizeof models / sizeof models[0]];
    uint32_t index;
    while (fread(&index, sizeof index, 1, stdin) == 1) {
        const mq_model_t *model = models[index];
        size_t bytes = 0;
        for (int i = 0; i < model->input_count; i++) {
            bytes += model->inputs[i].bytes;
        }
        uint8_t *inputs = malloc(bytes + 1);
        if (inputs == NULL || fread(inputs, 1, bytes, stdin) != bytes) {
            fail("truncated inputs");
        }
        if (model->run != NULL) {
            by_steps(model, inputs);
        }
        if (model->state_bytes != 0) {
            rewind_state(model, before[index]);
        }
        whole(model, index, inputs);
        if (model->state_bytes != 0) {
            before[index] = before[index] != NULL ? before[index] : malloc(model->state_bytes);
            memcpy(before[index], model->state, model->state_bytes);
        }
        free(inputs);
    }
    return 0;
}
