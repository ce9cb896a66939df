#include "app/mq_app.h"

#include <string.h>

#include "app/mq_format.h"
#include "app/mq_port.h"
#include MQ_APP_MODEL_HEADER

enum { ACTIVITY_RUN = 1000000 }; /* step of a crash record: the whole network; smaller values are the step's number plus 1 */

static _Alignas(MQ_APP_ARENA_ALIGNMENT) uint8_t arena[MQ_APP_ARENA_BYTES];

const mq_model_t *const mq_app_model = &MQ_APP_MODEL;
void *const mq_app_arena = arena;
uint8_t mq_app_wire[MQ_APP_WIRE_BYTES > MQ_APP_INPUT_BYTES ? MQ_APP_WIRE_BYTES : MQ_APP_INPUT_BYTES];
const uint32_t mq_app_wire_bytes = MQ_APP_WIRE_BYTES;
const uint32_t mq_app_input_bytes = MQ_APP_INPUT_BYTES;
mq_form_t mq_app_form;
mq_result_t mq_app_result;
#if MQ_APP_STATE_BYTES
uint32_t mq_app_turn;
#endif

/* A step never continues an inference over other inputs. */
void mq_app_wire_changed(mq_form_t form)
{
    mq_app_form = form;
    mq_app_result.next_step = 0;
}

void mq_app_feed_stored(void)
{
#ifndef MQ_APP_ROWS /* otherwise mq_app_compute feeds the rows */
    const uint8_t *bytes = mq_app_wire;
    for (int i = 0; i < mq_app_model->input_count; i++) {
        const uint32_t count = mq_app_model->inputs[i].bytes;
        memcpy(mq_input(mq_app_model, arena, i), bytes, count);
        bytes += count;
    }
#endif
}

/* One inference, over the inputs in the arena or the rows in the wire. */
static void infer(void)
{
#ifdef MQ_APP_ROWS
    MQ_APP_RESTART();
    mq_app_fed_rows = MQ_APP_ROWS + 1u;
    (void)MQ_APP_FEED(arena, (const void *)mq_app_wire, MQ_APP_ROWS);
#else
    (void)mq_app_model->run(arena);
#endif
}

void mq_app_reset(void)
{
#if MQ_APP_STATE_BYTES
    mq_app_model->reset();
    mq_app_turn = 0;
    mq_app_result.next_step = 0;
#endif
}

static void keep_ticks(uint64_t ticks)
{
#if MQ_APP_STATE_BYTES
    mq_app_result.ticks = ticks;
#else
    (void)ticks;
#endif
}

/* Records the end of an inference. */
static void count_turn(void)
{
#if MQ_APP_STATE_BYTES
    mq_app_turn++;
#endif
}

static void feed(void)
{
    if (mq_app_form == MQ_FORM_WIRE) {
        mq_app_feed_wire();
    } else {
        mq_app_feed_stored();
    }
}

uint64_t mq_app_compute(uint32_t id)
{
    mq_port_activity(ACTIVITY_RUN);
    const uint64_t start = mq_port_ticks();
    infer();
    const uint64_t ticks = mq_port_ticks() - start;
    mq_port_activity(0);
    count_turn();
    mq_app_result = (mq_result_t){.tensors = mq_app_model->outputs, .count = mq_app_model->output_count, .id = id};
    keep_ticks(ticks);
    return ticks;
}

uint64_t mq_app_infer(uint32_t id)
{
    feed();
    const uint64_t ticks = mq_app_compute(id);
    mq_app_conclude();
    return ticks;
}

static uint64_t timed_step(uint32_t i)
{
    mq_port_activity(i + 1u);
    const uint64_t start = mq_port_ticks();
    (void)mq_app_model->step(arena, (int)i);
    const uint64_t ticks = mq_port_ticks() - start;
    mq_port_activity(0);
    return ticks;
}

uint64_t mq_app_step(uint32_t i, uint32_t id)
{
    uint32_t next = mq_app_result.next_step;
    if (next == 0 || next != i) {
        feed();
        next = 0;
    }
    while (next < i) {
        (void)timed_step(next++);
    }
    const uint64_t ticks = timed_step(i);
    const mq_step_t *const step = &mq_app_model->steps[i];
    mq_app_result = (mq_result_t){.tensors = step->outputs, .count = step->output_count, .id = id, .next_step = i + 1u};
    keep_ticks(ticks);
    if (i + 1u == mq_app_model->step_count) {
        count_turn();
    }
    return ticks;
}

uint64_t mq_app_us(uint64_t ticks)
{
    const uint32_t hz = mq_port_ticks_hz();
    uint32_t rest, unused;
    const uint64_t seconds = mq_divide(ticks, hz, &rest);
    return seconds * 1000000u + mq_divide((uint64_t)rest * 1000000u, hz, &unused);
}

uint64_t mq_app_now_us(void)
{
    return mq_app_us(mq_port_ticks());
}
