/* Compares the CRC-32 of the flash contents at boot with the one that the build appended. */
#include "app/mq_crc.h"
#include "app/mq_port.h"
#include "port/cortexm/mq_cortexm.h"

/* Filled in after linking. */
__attribute__((section(".image_crc"), used)) static const volatile uint32_t stored_crc = 0;
static mq_image_t image;

void mq_image_init(void)
{
    image.start = (uint32_t)mq_image_start;
    image.bytes = (uint32_t)(mq_image_end - mq_image_start);
    image.stored_crc = stored_crc;
    image.found_crc = mq_crc32(0, mq_image_start, image.bytes);
}

const mq_image_t *mq_port_image(void)
{
    return &image;
}
