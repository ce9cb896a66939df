/* Constants that are stored in flash as a canonical Huffman code of their bytes, and unpacked into RAM.
 *
 * The format: 15 numbers of 16 bits, low byte first, with the number of codes of 1, 2, ... 15 bits. Then the byte of
 * each code, shorter codes first and in the order of the codes. Then the codes of all bytes, each from its highest
 * bit, which fill every byte from its lowest bit. The decoder is that of RFC 1951, section 3.2.2, bit by bit.
 */
#ifndef MQ_HUFFMAN_H
#define MQ_HUFFMAN_H

#include "mq_common.h"

#define MQ_HUFFMAN_LONGEST 15

/* Unpacks `bytes` bytes. */
static MQ_SHARED void mq_huffman(const uint8_t *coded, uint8_t *to, uint32_t bytes)
{
    const uint8_t *const symbols = coded + 2 * MQ_HUFFMAN_LONGEST;
    uint32_t all = 0;
    for (int32_t i = 0; i < MQ_HUFFMAN_LONGEST; i++) {
        all += (uint32_t)(coded[2 * i] | coded[2 * i + 1] << 8);
    }
    const uint8_t *const stream = symbols + all;
    uint32_t at = 0;
    for (uint32_t i = 0; i < bytes; i++) {
        uint32_t code = 0, first = 0, index = 0, count = 0;
        for (int32_t length = 0; length < MQ_HUFFMAN_LONGEST; length++, at++) {
            code = code << 1 | (((uint32_t)stream[at / 8u] >> (at % 8u)) & 1u);
            index += count;
            first = (first + count) << 1;
            count = (uint32_t)(coded[2 * length] | coded[2 * length + 1] << 8);
            if (code < first + count) {
                at++;
                break;
            }
        }
        to[i] = symbols[index + code - first];
    }
}

#endif
