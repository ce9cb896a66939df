/* CRC-32 as zlib, Ethernet and PNG use it (reflected, polynomial 0xEDB88320). */
#ifndef MQ_CRC_H
#define MQ_CRC_H

#include <stddef.h>
#include <stdint.h>

/* CRC of `count` bytes, continued from `crc`: 0 at the beginning, or the result of an earlier call. */
uint32_t mq_crc32(uint32_t crc, const void *data, size_t count);

#endif
