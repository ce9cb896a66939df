#include "decide/mq_error_sum.h"

#include "decide/decision_config.h"
#include "node/mq_node.h"

/* The scaled difference of one element. A sum of MQ_ERROR_BLOCK squares, or absolute values, fits 32 bits. */
static inline uint32_t term(mq_node_stored_t x, mq_node_score_t y, int32_t offset)
{
    const int32_t e = (offset - y * MQ_ERROR_Y_MULTIPLIER + x * MQ_ERROR_X_MULTIPLIER) >> MQ_ERROR_SHIFT;
#if MQ_ERROR_IS_SQUARED
    return (uint32_t)(e * e);
#else
    return (uint32_t)(e < 0 ? -e : e);
#endif
}

static uint32_t block_sum(const mq_node_stored_t *x, const mq_node_score_t *y, uint32_t count)
{
    int32_t offset = MQ_ERROR_OFFSET;
    __asm__("" : "+r"(offset)); /* in a register, as the addend of a multiply-accumulate */
    uint32_t sum = 0;
    for (; count >= 8; count -= 8, x += 8, y += 8) {
        sum += term(x[0], y[0], offset);
        sum += term(x[1], y[1], offset);
        sum += term(x[2], y[2], offset);
        sum += term(x[3], y[3], offset);
        sum += term(x[4], y[4], offset);
        sum += term(x[5], y[5], offset);
        sum += term(x[6], y[6], offset);
        sum += term(x[7], y[7], offset);
    }
    for (; count > 0; count--) {
        sum += term(*x++, *y++, offset);
    }
    return sum;
}

static uint64_t piece_sum(const mq_node_stored_t *x, const mq_node_score_t *y, uint32_t count)
{
    uint64_t sum = 0;
    while (count > 0) {
        const uint32_t block = count < MQ_ERROR_BLOCK ? count : MQ_ERROR_BLOCK;
        sum += block_sum(x, y, block);
        x += block;
        y += block;
        count -= block;
    }
    return sum;
}

int32_t mq_error_sum(const mq_node_score_t *output)
{
    uint64_t sum = 0;
    uint32_t row = MQ_ERROR_FIRST_ROW, left = MQ_ERROR_ROWS;
    while (left > 0) { /* the window is a ring: at most two pieces */
        uint32_t rows = left;
        const mq_node_stored_t *const x = mq_node_rows(row, &rows);
        sum += piece_sum(x, output, rows * MQ_NODE_CHANNELS);
        output += rows * MQ_NODE_CHANNELS;
        row += rows;
        left -= rows;
    }
    return (int32_t)(sum >> MQ_ERROR_SUM_SHIFT);
}
