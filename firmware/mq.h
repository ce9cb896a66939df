/* What a compiled network is, for programs that run it. Every generated model header includes this one. */
#ifndef MQ_H
#define MQ_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Element types of inputs and outputs, as stored in the arena (little endian). */
typedef enum { MQ_FLOAT32, MQ_INT8, MQ_INT16, MQ_INT32, MQ_INT64, MQ_BOOL } mq_type_t;

/* Of an offset: from the start of the network's states, not of the arena. */
#define MQ_IN_STATE UINT32_C(0x80000000)

/* One tensor inside the arena: real = scale * (stored - zero_point). scale is 0 where the values are not quantised. */
typedef struct {
    const char *name;
    uint32_t offset; /* bytes from the start of the arena; of a step's output maybe MQ_IN_STATE and bytes from there */
    uint32_t bytes;
    mq_type_t type;
    uint8_t rank;
    const int32_t *shape;
    float scale;
    int32_t zero_point;
} mq_tensor_t;

/* One call of the program. Its outputs are intact from its end until the next step begins. */
typedef struct {
    const char *name; /* as in the model's file, cleaned; empty where the program was made to be small */
    const char *op;   /* kind and kernel, "Conv2D:conv2d_s8"; empty likewise */
    uint32_t macs;    /* multiply-accumulates of one inference */
    uint16_t output_count;
    const mq_tensor_t *outputs;
} mq_step_t;

typedef struct {
    const char *name;
    uint32_t arena_bytes; /* all the RAM there is: activations, kernel scratch, inputs and outputs */
    uint32_t arena_alignment;
    uint16_t input_count;
    uint16_t output_count;
    uint16_t step_count;
    const mq_tensor_t *inputs;
    const mq_tensor_t *outputs;
    const mq_step_t *steps;
    /* One inference over inputs already in the arena, which it may destroy. Returns 0. */
    int (*run)(void *arena);
    /* Step i of the same inference, in order from 0. Returns 0, or -1 when there is no step i. */
    int (*step)(void *arena, int i);
    /* Of a network that keeps something between inferences, else 0. It changes when an inference ends, in `run` or in the
       last step; `reset` makes the next inference the first. */
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

/* Where a tensor of a model is: an input or output, or what a step has written. */
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
