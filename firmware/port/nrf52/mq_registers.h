/* nRF52832 and nRF52840: their Product Specifications, chapters CLOCK and NVMC. */
#ifndef MQ_REGISTERS_H
#define MQ_REGISTERS_H

#include "port/cortexm/mq_register.h"

#define CLOCK_TASKS_HFCLKSTART MQ_REGISTER(0x40000000u)
#define CLOCK_EVENTS_HFCLKSTARTED MQ_REGISTER(0x40000100u)

#define NVMC_ICACHECNF MQ_REGISTER(0x4001E540u)
#define NVMC_ICACHECNF_CACHEEN MQ_BIT(0)

#endif
