/* STM32F7: USART3, over-drive for 216 MHz, the core's caches. */
#include "port/cortexm/mq_chip.h"

#include "board.h"
#include "port/cortexm/mq_cache.h"
#include "port/stm32f7/mq_registers.h"
#include "port/stm32/mq_gpio.h"
#include "port/stm32/mq_pll.h"
#include "port/stm32/mq_usart_v2.h"

enum { SCALE_1 = 3 };

_Static_assert(MQ_BOARD_UART_BASE == USART3_BASE, "[uart] is USART3");

static bool start_overdrive(void)
{
    PWR_CR1 |= PWR_CR1_ODEN;
    if (!mq_await(&PWR_CSR1, PWR_CSR1_ODRDY, PWR_CSR1_ODRDY)) {
        return false;
    }
    PWR_CR1 |= PWR_CR1_ODSWEN;
    return mq_await(&PWR_CSR1, PWR_CSR1_ODSWRDY, PWR_CSR1_ODSWRDY);
}

static void prepare_flash(void)
{
    mq_change(&FLASH_ACR, FLASH_ACR_LATENCY, MQ_IN(FLASH_ACR_LATENCY, MQ_CHIP_FLASH_WAIT_STATES));
    FLASH_ACR |= FLASH_ACR_PRFTEN | FLASH_ACR_ARTEN;
}

static void start_uart(void)
{
    RCC_AHB1ENR |= RCC_AHB1ENR_GPIOAEN << MQ_BOARD_TX_PORT | RCC_AHB1ENR_GPIOAEN << MQ_BOARD_RX_PORT;
    RCC_APB1ENR |= RCC_APB1ENR_USART3EN;
    (void)RCC_APB1ENR;
    mq_gpio_alternate(MQ_BOARD_TX_PORT, MQ_BOARD_TX_PIN, MQ_CHIP_UART_ALTERNATE);
    mq_gpio_alternate(MQ_BOARD_RX_PORT, MQ_BOARD_RX_PIN, MQ_CHIP_UART_ALTERNATE);
}

uint32_t mq_chip_init(void)
{
    RCC_APB1ENR |= RCC_APB1ENR_PWREN;
    (void)RCC_APB1ENR;
    mq_change(&PWR_CR1, PWR_CR1_VOS, MQ_IN(PWR_CR1_VOS, SCALE_1));
    if (mq_pll_start(mq_hse_start()) && start_overdrive()) {
        prepare_flash();
        mq_pll_use();
    }
    mq_cache_on();
    start_uart();
    return mq_pll_running_hz();
}

uint32_t mq_usart_clock_hz(uint32_t clock_hz)
{
    return mq_pll_divided(clock_hz, MQ_CHIP_APB1_DIVIDER);
}
