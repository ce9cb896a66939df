/* memcpy, memmove and memset in place of the C library's, whose loads may be unaligned: the firmware traps those. Words at a
 * time wherever both sides allow it. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Fast also where the rest of the port is small; and else the compiler finds that these loops are calls of the functions
 * they define. */
#define MQ_AS_WRITTEN __attribute__((optimize("O2", "no-tree-loop-distribute-patterns")))

typedef uint32_t __attribute__((may_alias)) word_t;

enum { UNROLL = 4 };

/* Words of the target from the two words of the source that each lies in. At least 8 bytes are left after each, so that
   every word read but the first is within the source; the first holds some of it. */
MQ_AS_WRITTEN static size_t copy_shifted(word_t *to, const uint8_t *from, size_t count)
{
    const uint32_t right = ((uintptr_t)from & 3u) * 8u, left = 32u - right;
    const word_t *next = (const word_t *)((uintptr_t)from & ~(uintptr_t)3u);
    size_t done = 0;
    for (uint32_t held = *next++; count - done >= 8; done += sizeof(word_t)) {
        const uint32_t low = held >> right;
        held = *next++;
        *to++ = low | held << left;
    }
    return done;
}

MQ_AS_WRITTEN void *memcpy(void *restrict to, const void *restrict from, size_t count)
{
    uint8_t *byte_to = to;
    const uint8_t *byte_from = from;
    for (; count > 0 && ((uintptr_t)byte_to & 3u) != 0; count--) {
        *byte_to++ = *byte_from++;
    }
    if (((uintptr_t)byte_from & 3u) != 0) {
        const size_t done = count >= 8 ? copy_shifted((word_t *)(void *)byte_to, byte_from, count) : 0;
        byte_to += done;
        byte_from += done;
        count -= done;
    } else {
        word_t *word_to = (word_t *)(void *)byte_to;
        const word_t *word_from = (const word_t *)(const void *)byte_from;
        for (; count >= UNROLL * sizeof(word_t); count -= UNROLL * sizeof(word_t)) {
            const word_t a = word_from[0], b = word_from[1], c = word_from[2], d = word_from[3];
            word_to[0] = a, word_to[1] = b, word_to[2] = c, word_to[3] = d;
            word_to += UNROLL;
            word_from += UNROLL;
        }
        for (; count >= sizeof(word_t); count -= sizeof(word_t)) {
            *word_to++ = *word_from++;
        }
        byte_to = (uint8_t *)word_to;
        byte_from = (const uint8_t *)word_from;
    }
    for (; count > 0; count--) {
        *byte_to++ = *byte_from++;
    }
    return to;
}

MQ_AS_WRITTEN void *memmove(void *to, const void *from, size_t count)
{
    uint8_t *const byte_to = to;
    const uint8_t *const byte_from = from;
    if ((uintptr_t)to - (uintptr_t)from >= count) {
        return memcpy(to, from, count);
    }
    while (count > 0) {
        count--;
        byte_to[count] = byte_from[count];
    }
    return to;
}

MQ_AS_WRITTEN void *memset(void *to, int value, size_t count)
{
    uint8_t *byte_to = to;
    for (; count > 0 && ((uintptr_t)byte_to & 3u) != 0; count--) {
        *byte_to++ = (uint8_t)value;
    }
    const word_t word = (uint8_t)value * 0x01010101u;
    word_t *word_to = (word_t *)(void *)byte_to;
    for (; count >= UNROLL * sizeof(word_t); count -= UNROLL * sizeof(word_t)) {
        word_to[0] = word, word_to[1] = word, word_to[2] = word, word_to[3] = word;
        word_to += UNROLL;
    }
    for (; count >= sizeof(word_t); count -= sizeof(word_t)) {
        *word_to++ = word;
    }
    byte_to = (uint8_t *)word_to;
    for (; count > 0; count--) {
        *byte_to++ = (uint8_t)value;
    }
    return to;
}
