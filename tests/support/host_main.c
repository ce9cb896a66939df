/* Runs the models of a test. stdin: records of a model's index (uint32) and its inputs. stdout, for each: the outputs of
   every step, made one step at a time, then the network's outputs of a whole run, made in a fresh arena. */
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
    for (int i = 0; i < model->input_count; i++) {
        memcpy(mq_input(model, arena, i), inputs, model->inputs[i].bytes);
        inputs += model->inputs[i].bytes;
    }
    return arena;
}

static void write_tensor(const void *arena, const mq_tensor_t *tensor)
{
    if (fwrite((const uint8_t *)arena + tensor->offset, 1, tensor->bytes, stdout) != tensor->bytes) {
        fail("cannot write");
    }
}

static void by_steps(const mq_model_t *model, const uint8_t *inputs)
{
    void *arena = fresh_arena(model, inputs, 0xA5);
    for (int i = 0; model->step(arena, i) == 0; i++) {
        for (int k = 0; k < model->steps[i].output_count; k++) {
            write_tensor(arena, &model->steps[i].outputs[k]);
        }
    }
    free(arena);
}

static void whole(const mq_model_t *model, const uint8_t *inputs)
{
    void *arena = fresh_arena(model, inputs, 0x5A);
    if (model->run(arena) != 0) {
        fail("run failed");
    }
    for (int i = 0; i < model->output_count; i++) {
        write_tensor(arena, &model->outputs[i]);
    }
    free(arena);
}

int main(void)
{
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
        by_steps(model, inputs);
        whole(model, inputs);
        free(inputs);
    }
    return 0;
}
