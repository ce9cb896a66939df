/* The description of a compiled network for programs that run it. Every generated model header includes this one. */
#ifndef MQ_H
#define MQ_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Element types of inputs and outputs, as stored in the arena (little endian). */
typedef enum { MQ_FLOAT32, MQ_INT8, MQ_INT16, MQ_INT32, MQ_INT64, MQ_BOOL, MQ_UINT32, MQ_UINT64 } mq_type_t;

/* Flag of an offset that is relative to the network's states, not to the arena. */
#define MQ_IN_STATE UINT32_C(0x80000000)

/* One tensor inside the arena: real = scale * (stored - zero_point). scale is 0 where the values are not quantised. */
typedef struct {
    const char *name;
    uint32_t offset; /* bytes from the start of the arena, or of the states (MQ_IN_STATE) */
    uint32_t bytes;
    mq_type_t type;
    uint8_t rank;
    const int32_t *shape;
    float scale;
    int32_t zero_point;
} mq_tensor_t;

/* One call of the program. Its outputs are intact from its end until the next step begins. */
typedef struct {
    const char *name; /* from the model's file, cleaned; empty in a program compiled for size */
    const char *op;   /* kind and kernel, "Conv2D:conv2d_s8"; empty in a program compiled for size */
    uint32_t macs;    /* multiply-accumulates of one inference */
    uint16_t output_count;
    const mq_tensor_t *outputs;
} mq_step_t;

typedef struct {
    const char *name;
    uint32_t arena_bytes; /* bytes of RAM for activations, kernel scratch, inputs and outputs */
    uint32_t arena_alignment;
    uint16_t input_count;
    uint16_t output_count;
    uint16_t step_count;
    const mq_tensor_t *inputs;
    const mq_tensor_t *outputs;
    const mq_step_t *steps;
    /* One inference over the inputs in the arena, which it may overwrite. Returns 0. A network that is fed by rows has no
       `run`, no `step` and no place of its input in the arena: its header has a function that takes rows. */
    int (*run)(void *arena);
    /* Step i of the same inference, in order from 0. Returns 0, or -1 if there is no step i. */
    int (*step)(void *arena, int i);
    /* Bytes of the states, 0 without states. States change at the end of an inference, in `run` or in the last step;
       `reset` sets their initial values. */
    uint32_t state_bytes;
    void *state;
    void (*reset)(void);
} mq_model_t;

static inline void *mq_input(const mq_model_t *model, void *arena, int i)
{
    return (uint8_t *)arena + model->inputs[i].offset;
}

static inline void *mq_output(const mq_model_t *model, void *arena, int i)
{
    return (uint8_t *)arena + model->outputs[i].offset;
}

/* The address of a model's tensor: an input or output, or the output of a step. */
static inline void *mq_tensor_data(const mq_model_t *model, void *arena, const mq_tensor_t *tensor)
{
    uint8_t *const start = (uint8_t *)((tensor->offset & MQ_IN_STATE) != 0 ? model->state : arena);
    return start + (tensor->offset & ~MQ_IN_STATE);
}

/* Bytes of one element. */
uint32_t mq_type_bytes(mq_type_t type);
/* The stored value nearest to a real one, halves away from zero, limited to the tensor's type. */
int32_t mq_quantize(const mq_tensor_t *tensor, float real);
/* The real value of a stored one. */
float mq_dequantize(const mq_tensor_t *tensor, int32_t stored);

#ifdef __cplusplus
}
#endif

#endif
