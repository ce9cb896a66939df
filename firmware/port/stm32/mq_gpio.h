/* GPIO of all STM32 but the F1. GPIO_BASE is the family's; ports lie 0x400 apart. */
#ifndef MQ_GPIO_H
#define MQ_GPIO_H

#include "port/cortexm/mq_register.h"

#define GPIO_MODER(port) MQ_REGISTER(GPIO_BASE + 0x400u * (port) + 0x00u)
#define GPIO_OSPEEDR(port) MQ_REGISTER(GPIO_BASE + 0x400u * (port) + 0x08u)
#define GPIO_PUPDR(port) MQ_REGISTER(GPIO_BASE + 0x400u * (port) + 0x0Cu)
#define GPIO_AFRL(port) MQ_REGISTER(GPIO_BASE + 0x400u * (port) + 0x20u)
#define GPIO_AFRH(port) MQ_REGISTER(GPIO_BASE + 0x400u * (port) + 0x24u)

enum { GPIO_MODE_ALTERNATE = 2, GPIO_SPEED_MEDIUM = 1, GPIO_PULL_UP = 1 };

/* The pin for a peripheral, pulled up: an open line is an idle one. */
static inline void mq_gpio_alternate(uint32_t port, uint32_t pin, uint32_t function)
{
    const uint32_t two = 2u * pin, four = 4u * (pin % 8u);
    mq_change(pin < 8u ? &GPIO_AFRL(port) : &GPIO_AFRH(port), 15u << four, function << four);
    mq_change(&GPIO_PUPDR(port), 3u << two, (uint32_t)GPIO_PULL_UP << two);
    mq_change(&GPIO_OSPEEDR(port), 3u << two, (uint32_t)GPIO_SPEED_MEDIUM << two);
    mq_change(&GPIO_MODER(port), 3u << two, (uint32_t)GPIO_MODE_ALTERNATE << two);
}

#endif
