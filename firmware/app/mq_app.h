/* The application: one model, its buffers, and the dialogue over the serial port. board.h says which model. */
#ifndef MQ_APP_H
#define MQ_APP_H

#include "board.h"
#include "mq.h"

extern const mq_model_t *const mq_app_model;
extern void *const mq_app_arena;

/* One input of the model as it came over the wire: the network may destroy the arena's. */
extern uint8_t mq_app_wire[];
extern const uint32_t mq_app_wire_bytes;  /* of an input as `db` loads it */
extern const uint32_t mq_app_input_bytes; /* of an input as the network stores it, which our own commands send */

/* What mq_app_wire holds. */
typedef enum { MQ_FORM_STORED, MQ_FORM_WIRE } mq_form_t;
extern mq_form_t mq_app_form;

/* What an application decides (one file of wire/): how an input as `db` loads it becomes the network's, what there is to do
 * after an inference while its input is still there, and which results it prints. */
void mq_app_feed_wire(void);
void mq_app_conclude(void);
void mq_app_results(void);

/* What the firmware does beside answering (node/, or nothing: plain/): once at boot, and while it waits for a byte, which is
 * there when `idle` returns. */
void mq_app_start(void);
void mq_app_idle(void);

/* Inputs as the network stores them, one after the other. */
void mq_app_feed_stored(void);
/* To be called whenever the wire's bytes change. */
void mq_app_wire_changed(mq_form_t form);
/* Fills the wire from a seed: see mq_seed.c. */
void mq_app_seed(uint32_t seed);

/* What is in the arena: the outputs of an inference or of a step, under the number of the request that made them. */
typedef struct {
    const mq_tensor_t *tensors;
    uint32_t count; /* 0: nothing */
    uint32_t id;
    uint32_t next_step; /* the step that may follow, 0 when none was run */
#if MQ_APP_STATE_BYTES
    uint64_t ticks; /* that it took */
#endif
} mq_result_t;

extern mq_result_t mq_app_result;

#if MQ_APP_STATE_BYTES
/* Inferences since boot or since the network's state was reset. */
extern uint32_t mq_app_turn;
#endif
/* The next inference is the first; nothing, for a network that keeps nothing. */
void mq_app_reset(void);

/* Runs the network over what is in the arena's inputs; ticks of it alone. */
uint64_t mq_app_compute(uint32_t id);
/* Times one whole inference over the wire's input; ticks of the network alone. Its outputs become the result `id`. */
uint64_t mq_app_infer(uint32_t id);
/* Times step `i`, after those before it where they have not just been run. */
uint64_t mq_app_step(uint32_t i, uint32_t id);

uint64_t mq_app_us(uint64_t ticks);
uint64_t mq_app_now_us(void);

#endif
