/* STM32F4: the PLL from the board's crystal or clock, from the internal oscillator where that does not start. */
#include "port/cortexm/mq_chip.h"

#include "board.h"
#include "port/stm32f4/mq_registers.h"
#include "port/stm32/mq_gpio.h"
#include "port/stm32/mq_usart_v1.h"

enum { HSI_HZ = 16000000, PLL_Q = 8 };
enum { CLOCK_HSI = 0, CLOCK_HSE = 1, CLOCK_PLL = 2 };

_Static_assert(MQ_CHIP_PLL_INPUT_HZ * MQ_CHIP_PLL_N / MQ_CHIP_PLL_P == MQ_BOARD_CLOCK_HZ, "[chip] pll does not make clock_hz");
_Static_assert(MQ_BOARD_UART_BASE == USART1_BASE || MQ_BOARD_UART_BASE == USART2_BASE, "[uart] is USART1 or USART2");

static bool start_hse(void)
{
    RCC_CR |= MQ_CHIP_HSE_IS_BYPASSED ? RCC_CR_HSEBYP : 0;
    RCC_CR |= RCC_CR_HSEON;
    return mq_await(&RCC_CR, RCC_CR_HSERDY, RCC_CR_HSERDY);
}

static bool start_pll(bool from_hse)
{
    const uint32_t source_hz = from_hse ? MQ_CHIP_HSE_HZ : HSI_HZ;
    RCC_PLLCFGR = MQ_IN(RCC_PLLCFGR_PLLM, source_hz / MQ_CHIP_PLL_INPUT_HZ) | MQ_IN(RCC_PLLCFGR_PLLN, MQ_CHIP_PLL_N) |
                  MQ_IN(RCC_PLLCFGR_PLLP, MQ_CHIP_PLL_P / 2u - 1u) | MQ_IN(RCC_PLLCFGR_PLLQ, PLL_Q) |
                  MQ_IN(RCC_PLLCFGR_PLLSRC, from_hse);
    RCC_CR |= RCC_CR_PLLON;
    return mq_await(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY);
}

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

/* 1, 2, 4, 8, 16 as the prescalers' fields have it. */
static uint32_t prescaler(uint32_t divider)
{
    uint32_t field = 3;
    for (; divider > 1u; divider /= 2u) {
        field++;
    }
    return field == 3u ? 0u : field;
}

static void switch_to_pll(void)
{
    mq_change(&FLASH_ACR, FLASH_ACR_LATENCY, MQ_IN(FLASH_ACR_LATENCY, MQ_CHIP_FLASH_WAIT_STATES));
    FLASH_ACR |= FLASH_ACR_PRFTEN | FLASH_ACR_ICEN | FLASH_ACR_DCEN;
    mq_change(&RCC_CFGR, RCC_CFGR_PPRE1 | RCC_CFGR_PPRE2,
              MQ_IN(RCC_CFGR_PPRE1, prescaler(MQ_CHIP_APB1_DIVIDER)) | MQ_IN(RCC_CFGR_PPRE2, prescaler(MQ_CHIP_APB2_DIVIDER)));
    mq_change(&RCC_CFGR, RCC_CFGR_SW, MQ_IN(RCC_CFGR_SW, CLOCK_PLL));
    (void)mq_await(&RCC_CFGR, RCC_CFGR_SWS, MQ_IN(RCC_CFGR_SWS, CLOCK_PLL));
}

/* An oscillator is always on, and so is a bit of RCC_CR, but in emulators without an RCC: those run at the rated clock. */
static uint32_t running_hz(void)
{
    if (RCC_CR == 0 || (RCC_CFGR & RCC_CFGR_SWS) == MQ_IN(RCC_CFGR_SWS, CLOCK_PLL)) {
        return MQ_BOARD_CLOCK_HZ;
    }
    return HSI_HZ;
}

static void start_uart(void)
{
    RCC_AHB1ENR |= RCC_AHB1ENR_GPIOAEN << MQ_BOARD_TX_PORT | RCC_AHB1ENR_GPIOAEN << MQ_BOARD_RX_PORT;
    if (MQ_BOARD_UART_BASE == USART1_BASE) {
        RCC_APB2ENR |= RCC_APB2ENR_USART1EN;
    } else {
        RCC_APB1ENR |= RCC_APB1ENR_USART2EN;
    }
    mq_gpio_alternate(MQ_BOARD_TX_PORT, MQ_BOARD_TX_PIN, MQ_CHIP_UART_ALTERNATE);
    mq_gpio_alternate(MQ_BOARD_RX_PORT, MQ_BOARD_RX_PIN, MQ_CHIP_UART_ALTERNATE);
}

uint32_t mq_chip_init(void)
{
    RCC_APB1ENR |= RCC_APB1ENR_PWREN;
    (void)RCC_APB1ENR;
    mq_change(&PWR_CR, PWR_CR_VOS, MQ_IN(PWR_CR_VOS, MQ_CHIP_VOLTAGE_SCALE));
    const bool has_hse = start_hse();
    if (start_pll(has_hse) && start_overdrive()) {
        switch_to_pll();
    }
    start_uart();
    return running_hz();
}

/* Where the PLL did not start, nothing is divided. */
uint32_t mq_usart_clock_hz(uint32_t clock_hz)
{
    const uint32_t divider = MQ_BOARD_UART_BASE == USART1_BASE ? MQ_CHIP_APB2_DIVIDER : MQ_CHIP_APB1_DIVIDER;
    return clock_hz == MQ_BOARD_CLOCK_HZ ? clock_hz / divider : clock_hz;
}
