/* CRC-32 as zlib, Ethernet and PNG use it (reflected, polynomial 0xEDB88320). */
#ifndef MQ_CRC_H
#define MQ_CRC_H

#include <stddef.h>
#include <stdint.h>

/* Of `count` bytes, continuing from `crc`: 0 to begin, or what an earlier call returned. */
uint32_t mq_crc32(uint32_t crc, const void *data, size_t count);

#endif
