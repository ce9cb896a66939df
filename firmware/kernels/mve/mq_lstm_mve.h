/* Long short-term memory with 16 products of int8, or 8 of int16 and int8, an instruction on cores with MVE. */
#ifndef MQ_LSTM_MVE_H
#define MQ_LSTM_MVE_H

#include "mq_lstm.h"
#include "mq_mve.h"

#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE

MQ_KERNEL int32_t mq_lstm_mve_products_s8(const int8_t *x, const int8_t *w, int32_t count, int32_t sum)
{
    for (int32_t i = 0; i < count; i += 16) {
        const mve_pred16_t some = vctp8q((uint32_t)(count - i));
        sum = vmladavaq_s8(sum, vldrbq_z_s8(x + i, some), vldrbq_z_s8(w + i, some));
    }
    return sum;
}

MQ_KERNEL int64_t mq_lstm_mve_products_s16(const int16_t *x, const int8_t *w, int32_t count, int64_t sum)
{
    for (int32_t i = 0; i < count; i += 8) {
        const mve_pred16_t some = vctp16q((uint32_t)(count - i));
        sum = vmlaldavaq_s16(sum, vldrhq_z_s16(x + i, some), vldrbq_z_s16(w + i, some));
    }
    return sum;
}

#else

#define mq_lstm_mve_products_s8 mq_lstm_products_s8
#define mq_lstm_mve_products_s16 mq_lstm_products_s16

#endif

/* Parameters are those of mq_lstm_s8 and mq_lstm_s16. */
MQ_DEFINE_LSTM(mq_lstm_mve_s8, int8_t, int32_t, mq_lstm_mve_products_s8, mq_requantize)
MQ_DEFINE_LSTM(mq_lstm_mve_s16, int16_t, int64_t, mq_lstm_mve_products_s16, mq_requantize64)

#endif
