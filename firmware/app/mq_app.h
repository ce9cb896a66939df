/* The application: one model, its buffers, and the protocol over the serial port. board.h selects the model. */
#ifndef MQ_APP_H
#define MQ_APP_H

#include "board.h"
#include "mq.h"

extern const mq_model_t *const mq_app_model;
extern void *const mq_app_arena;

/* One input of the model as received. The network may overwrite the input in the arena. */
extern uint8_t mq_app_wire[];
extern const uint32_t mq_app_wire_bytes;  /* bytes of an input for the command `db` */
extern const uint32_t mq_app_input_bytes; /* bytes of an input as stored by the network, for mcuquant's own commands */

/* The contents of mq_app_wire. */
typedef enum { MQ_FORM_STORED, MQ_FORM_WIRE } mq_form_t;
extern mq_form_t mq_app_form;

/* The choices of an application (one file of wire/): the conversion of an input of `db`, the work after an inference while its
 * input is still available, and the printed results. */
void mq_app_feed_wire(void);
void mq_app_conclude(void);
void mq_app_results(void);

/* The work of the firmware in addition to answers (node/, or none: plain/): once at boot, and while it waits for a byte.
 * `idle` returns when a byte is available. */
void mq_app_start(void);
void mq_app_idle(void);

#ifdef MQ_APP_ROWS
/* Rows of the image that the command `feed` has fed; more than an image has if another inference ended it. */
extern uint32_t mq_app_fed_rows;
#endif

/* Inputs as stored by the network, one after the other. */
void mq_app_feed_stored(void);
/* Must be called after each change of the wire's bytes. */
void mq_app_wire_changed(mq_form_t form);
/* Fills the wire from a seed: see mq_seed.c. */
void mq_app_seed(uint32_t seed);

/* The contents of the arena: the outputs of an inference or of a step, with the number of the request that computed
   them. */
typedef struct {
    const mq_tensor_t *tensors;
    uint32_t count; /* 0: none */
    uint32_t id;
    uint32_t next_step; /* the next step, 0 if none was run */
#if MQ_APP_STATE_BYTES
    uint64_t ticks; /* its ticks */
#endif
} mq_result_t;

extern mq_result_t mq_app_result;

#if MQ_APP_STATE_BYTES
/* Inferences since boot or since the last reset of the network's states. */
extern uint32_t mq_app_turn;
#endif
/* Resets the network's states. Without effect for a network without states. */
void mq_app_reset(void);

/* Runs the network over the inputs in the arena. Returns the ticks of the network alone. */
uint64_t mq_app_compute(uint32_t id);
/* Runs one inference over the wire's input. Returns the ticks of the network alone. Its outputs become the result
   `id`. */
uint64_t mq_app_infer(uint32_t id);
/* Runs step `i`, after the steps before it unless they have just been run. */
uint64_t mq_app_step(uint32_t i, uint32_t id);

uint64_t mq_app_us(uint64_t ticks);
uint64_t mq_app_now_us(void);

#endif
