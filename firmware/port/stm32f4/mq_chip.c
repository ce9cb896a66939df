/* STM32F4: USART1, USART2 or USART3, flash with prefetch and both caches. */
#include "port/cortexm/mq_chip.h"

#include "board.h"
#include "port/stm32f4/mq_registers.h"
#include "port/stm32/mq_gpio.h"
#include "port/stm32/mq_pll.h"
#include "port/stm32/mq_usart_v1.h"

_Static_assert(MQ_BOARD_UART_BASE == USART1_BASE || MQ_BOARD_UART_BASE == USART2_BASE || MQ_BOARD_UART_BASE == USART3_BASE,
               "[uart] is USART1, USART2 or USART3");

/* Over-drive (F446): 180 MHz and nothing less needs it. */
static bool start_overdrive(void)
{
    if (!MQ_CHIP_NEEDS_OVERDRIVE) {
        return true;
    }
    PWR_CR |= PWR_CR_ODEN;
    if (!mq_await(&PWR_CSR, PWR_CSR_ODRDY, PWR_CSR_ODRDY)) {
        return false;
    }
    PWR_CR |= PWR_CR_ODSWEN;
    return mq_await(&PWR_CSR, PWR_CSR_ODSWRDY, PWR_CSR_ODSWRDY);
}

static void prepare_flash(void)
{
    mq_change(&FLASH_ACR, FLASH_ACR_LATENCY, MQ_IN(FLASH_ACR_LATENCY, MQ_CHIP_FLASH_WAIT_STATES));
    FLASH_ACR |= FLASH_ACR_PRFTEN | FLASH_ACR_ICEN | FLASH_ACR_DCEN;
}

static void start_uart(void)
{
    RCC_AHB1ENR |= RCC_AHB1ENR_GPIOAEN << MQ_BOARD_TX_PORT | RCC_AHB1ENR_GPIOAEN << MQ_BOARD_RX_PORT;
    if (MQ_BOARD_UART_BASE == USART1_BASE) {
        RCC_APB2ENR |= RCC_APB2ENR_USART1EN;
    } else {
        RCC_APB1ENR |= MQ_BOARD_UART_BASE == USART2_BASE ? RCC_APB1ENR_USART2EN : RCC_APB1ENR_USART3EN;
    }
    mq_gpio_alternate(MQ_BOARD_TX_PORT, MQ_BOARD_TX_PIN, MQ_CHIP_UART_ALTERNATE);
    mq_gpio_alternate(MQ_BOARD_RX_PORT, MQ_BOARD_RX_PIN, MQ_CHIP_UART_ALTERNATE);
}

uint32_t mq_chip_init(void)
{
    RCC_APB1ENR |= RCC_APB1ENR_PWREN;
    (void)RCC_APB1ENR;
    if (MQ_CHIP_VOLTAGE_SCALE != 0) { /* 0: as after a reset (F405, whose field is another) */
        mq_change(&PWR_CR, PWR_CR_VOS, MQ_IN(PWR_CR_VOS, MQ_CHIP_VOLTAGE_SCALE));
    }
    if (mq_pll_start(mq_hse_start()) && start_overdrive()) {
        prepare_flash();
        mq_pll_use();
    }
    start_uart();
    return mq_pll_running_hz();
}

uint32_t mq_usart_clock_hz(uint32_t clock_hz)
{
    return mq_pll_divided(clock_hz, MQ_BOARD_UART_BASE == USART1_BASE ? MQ_CHIP_APB2_DIVIDER : MQ_CHIP_APB1_DIVIDER);
}
