/* The second stage of booting: the boot ROM copies the first 256 bytes of flash to RAM, checks the CRC in the last four,
 * and jumps to them. They let the flash be read like memory, by the read command that all chips know (03h, one bit a
 * clock), and start the program behind them (RP2040 data sheet, sections 2.8.1.3 and 4.10). */
#include <stdint.h>

/* Synopsys SSI. The values: clk_sys / 4 (31 MHz; the command is good for 50 MHz); standard frames of 32 bits, a
 * command and a read; command 03h of 8 bits with 24 bits of address. */
__asm(".section .boot, \"ax\"\n"
      ".syntax unified\n"
      ".cpu cortex-m0plus\n"
      ".thumb\n"
      "    ldr r0, ssi\n"
      "    movs r1, #0\n"
      "    str r1, [r0, #0x08]\n" /* SSIENR: off while it is set up */
      "    movs r2, #4\n"
      "    str r2, [r0, #0x14]\n" /* BAUDR */
      "    ldr r2, ctrlr0\n"
      "    str r2, [r0, #0x00]\n" /* CTRLR0 */
      "    str r1, [r0, #0x04]\n" /* CTRLR1: one frame a read */
      "    ldr r3, spi_ctrlr0_at\n"
      "    ldr r2, spi_ctrlr0\n"
      "    str r2, [r0, r3]\n" /* SPI_CTRLR0 */
      "    movs r2, #1\n"
      "    str r2, [r0, #0x08]\n" /* SSIENR: on */
      "    ldr r0, vectors\n"
      "    ldr r1, vtor\n"
      "    str r0, [r1]\n"
      "    ldm r0!, {r1, r2}\n" /* stack, entry */
      "    msr msp, r1\n"
      "    bx r2\n"
      "    .align 2\n"
      "ssi: .word 0x18000000\n"
      "ctrlr0: .word 0x001F0300\n"     /* DFS_32 = 31, TMOD = 3 */
      "spi_ctrlr0_at: .word 0xF4\n"
      "spi_ctrlr0: .word 0x03000218\n" /* XIP_CMD = 03h, INST_L = 2, ADDR_L = 6 */
      "vectors: .word 0x10000100\n"
      "vtor: .word 0xE000ED08\n"
      "    .org 252\n" /* the CRC: polynomial 0x04C11DB7, from all ones, most significant bit first */
      "    .word 0xAEC5EC60\n"
      ".text\n");
