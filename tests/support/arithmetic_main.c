/* stdin: rows of four int64, stdout: for each the results of all arithmetic functions as int64. */
#include <stdio.h>

#include "kernels/mq_fixed_point.h"
#include "kernels/mq_scalar_product.h"

int main(void)
{
    int64_t row[4];
    while (fread(row, sizeof row, 1, stdin) == 1) {
        const int32_t x = (int32_t)row[0];
        const int32_t m = (int32_t)row[1];
        const int32_t shift = (int32_t)row[2];
        const int64_t wide = row[3];
        const int64_t results[] = {
            mq_high_mul(x, m),
            mq_round_shift(x, shift < 0 ? -shift : shift),
            mq_requantize(x, m, shift),
            mq_requantize64(wide, m, shift > 14 ? 14 : shift),
            mq_exp_negative(x > 0 ? -x : x),
            mq_reciprocal_one_plus(m),
            mq_scalar_high_mul(x / 4, m),
            mq_scalar_high_mul_parts(x / 4, m),
            mq_scalar_requantize(x / 4, m, shift < 0 ? -shift : shift > 0 ? shift : 1),
        };
        if (fwrite(results, sizeof results, 1, stdout) != 1) {
            return 1;
        }
    }
    return 0;
}
