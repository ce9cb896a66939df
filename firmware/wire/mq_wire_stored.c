/* The wire carries the network's own integers, and all outputs are results. */
#include "app/mq_app.h"
#include "app/mq_element.h"

void mq_app_feed_wire(void)
{
    mq_app_feed_stored();
}

void mq_app_conclude(void)
{
}

void mq_app_results(void)
{
    mq_put_outputs();
}
