/* The wire carries an image of unsigned bytes, which an int8 network stores minus 128. All outputs are results. */
#include "app/mq_app.h"
#include "app/mq_element.h"

void mq_app_feed_wire(void)
{
    uint8_t *const input = mq_input(mq_app_model, mq_app_arena, 0);
    for (uint32_t i = 0; i < mq_app_wire_bytes; i++) {
        input[i] = mq_app_wire[i] ^ 0x80u;
    }
}

void mq_app_conclude(void)
{
}

void mq_app_results(void)
{
    mq_put_outputs();
}
