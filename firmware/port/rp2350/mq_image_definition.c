/* The image definition that the boot ROM searches in the first 4 KiB of flash: a block with one item, an image for
 * the Arm cores in the secure state (RP2350 data sheet, sections 5.1.4 and 5.9). The vector table is at the start of
 * the image. */
#include <stdint.h>

enum { EXECUTABLE_ITEM = 0x42, ONE_WORD = 1, ALL_ITEMS = 0xFF };
enum { TYPE_EXECUTABLE = 1, SECURITY_SECURE = 2 << 4, CPU_ARM = 0 << 8, CHIP_RP2350 = 1 << 12 };

__attribute__((section(".vectors.image_definition"), used)) static const uint32_t block[] = {
    0xFFFFDED3u, /* start */
    (uint32_t)(TYPE_EXECUTABLE | SECURITY_SECURE | CPU_ARM | CHIP_RP2350) << 16 | ONE_WORD << 8 | EXECUTABLE_ITEM,
    ONE_WORD << 8 | ALL_ITEMS, /* the last item: how many words the items before it have */
    0u,                        /* to the next block: this one */
    0xAB123579u, /* end */
};
