/* GPIO of nRF51 and nRF52: port 1 (nRF52840 alone) lies 0x300 behind port 0. */
#ifndef MQ_GPIO_H
#define MQ_GPIO_H

#include "port/cortexm/mq_register.h"

#define GPIO_OUTSET(port) MQ_REGISTER(0x50000000u + 0x300u * (port) + 0x508u)
#define GPIO_PIN_CNF(port, pin) MQ_REGISTER(0x50000000u + 0x300u * (port) + 0x700u + 4u * (pin))

#endif
