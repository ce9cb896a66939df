/* Matrices of bytes transposed with MVE: 16 rows x 4 columns at a time, or 8 rows of a column. */
#ifndef MQ_TRANSPOSE_MVE_H
#define MQ_TRANSPOSE_MVE_H

#include "mq_transpose.h"

#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE
#include <arm_mve.h>

/* Rows 4 i + k of four columns, a word each: from pairs of columns interleaved by halves. */
MQ_KERNEL void mq_transpose_mve_store(uint8_t *y, int32_t y_row, int32_t k, uint32x4_t places, uint16x8_t low,
                                      uint16x8_t high, int32_t rows)
{
    const uint32x4_t words = k & 2 ? vsriq_n_u32(vreinterpretq_u32_u16(high), vreinterpretq_u32_u16(low), 16)
                                   : vsliq_n_u32(vreinterpretq_u32_u16(low), vreinterpretq_u32_u16(high), 16);
    uint32_t *to = (uint32_t *)(void *)(y + k * y_row);
    vstrwq_scatter_offset_p_u32(to, places, words, vctp32q((uint32_t)((rows - k + 3) / 4)));
}

/* Up to 16 rows of four columns; `rows` are left. */
MQ_KERNEL void mq_transpose_mve_block(const mq_transpose_t *p, const uint8_t *x, uint8_t *y, int32_t rows,
                                      uint32x4_t places)
{
    const mve_pred16_t some = vctp8q((uint32_t)rows);
    const uint16x8_t a = vreinterpretq_u16_u8(vldrbq_z_u8(x, some));
    const uint16x8_t b = vreinterpretq_u16_u8(vldrbq_z_u8(x + p->x_column, some));
    const uint16x8_t c = vreinterpretq_u16_u8(vldrbq_z_u8(x + 2 * p->x_column, some));
    const uint16x8_t d = vreinterpretq_u16_u8(vldrbq_z_u8(x + 3 * p->x_column, some));
    const uint16x8_t even_ab = vsliq_n_u16(a, b, 8), odd_ab = vsriq_n_u16(b, a, 8);
    const uint16x8_t even_cd = vsliq_n_u16(c, d, 8), odd_cd = vsriq_n_u16(d, c, 8);
    mq_transpose_mve_store(y, p->y_row, 0, places, even_ab, even_cd, rows);
    mq_transpose_mve_store(y, p->y_row, 1, places, odd_ab, odd_cd, rows);
    mq_transpose_mve_store(y, p->y_row, 2, places, even_ab, even_cd, rows);
    mq_transpose_mve_store(y, p->y_row, 3, places, odd_ab, odd_cd, rows);
}

MQ_KERNEL void mq_transpose_mve_words(const mq_transpose_t *p, const uint8_t *x, uint8_t *y)
{
    const uint32x4_t places = vmulq_n_u32(vidupq_n_u32(0, 1), (uint32_t)(4 * p->y_row));
    for (int32_t row = 0; row < p->rows; row += 16) {
        const uint8_t *from = x + row;
        uint8_t *to = y + row * p->y_row, *const end = to + p->columns;
        for (; to != end; to += 4, from += 4 * p->x_column) {
            mq_transpose_mve_block(p, from, to, p->rows - row, places);
        }
    }
}

MQ_KERNEL void mq_transpose_mve_bytes(const mq_transpose_t *p, const uint8_t *x, uint8_t *y)
{
    const uint16x8_t places = vmulq_n_u16(vidupq_n_u16(0, 1), (uint16_t)p->y_row);
    for (int32_t row = 0; row < p->rows; row += 8) {
        const mve_pred16_t some = vctp16q((uint32_t)(p->rows - row));
        const uint8_t *from = x + row;
        uint8_t *to = y + row * p->y_row, *const end = to + p->columns;
        for (; to != end; to++, from += p->x_column) {
            vstrbq_scatter_offset_p_u16(to, places, vldrbq_z_u16(from, some), some);
        }
    }
}

MQ_KERNEL void mq_transpose_mve_matrix(const mq_transpose_t *p, const uint8_t *x, uint8_t *y)
{
    if (p->y_words) {
        mq_transpose_mve_words(p, x, y);
    } else {
        mq_transpose_mve_bytes(p, x, y);
    }
}

#else

MQ_KERNEL void mq_transpose_mve_matrix(const mq_transpose_t *p, const uint8_t *x, uint8_t *y)
{
    for (int32_t row = 0; row < p->rows; row++) {
        for (int32_t column = 0; column < p->columns; column++) {
            y[row * p->y_row + column] = x[row + column * p->x_column];
        }
    }
}

#endif

MQ_KERNEL void mq_transpose_mve(const mq_transpose_t *p, const void *x, void *y)
{
    mq_transpose_each(p, x, y, mq_transpose_mve_matrix);
}

#endif
