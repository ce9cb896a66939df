#include "port/nrf/mq_uart.h"

#include "port/cortexm/mq_chip.h"
#include "port/nrf/mq_gpio.h"

enum { ENABLED = 4, OUTPUT = 1, INPUT_PULLED_UP = 0xC };
enum { UART_CLOCK_HZ = 16000000, BAUD_MIN = 1200, BAUD_MAX = 1000000 };
enum { TX_PIN = 32 * MQ_BOARD_TX_PORT + MQ_BOARD_TX_PIN, RX_PIN = 32 * MQ_BOARD_RX_PORT + MQ_BOARD_RX_PIN };

static bool is_sending;

bool mq_uart_can(uint32_t clock_hz, uint32_t baud)
{
    (void)clock_hz;
    return baud >= BAUD_MIN && baud <= BAUD_MAX;
}

/* The register counts 2^-32 of the clock; its lower 12 bits are not there. */
static uint32_t rate(uint32_t baud)
{
    return (uint32_t)((((uint64_t)baud << 32) / UART_CLOCK_HZ + 0x800u) & 0xFFFFF000u);
}

/* The pins first: the line must not move while the UART takes it over. */
void mq_uart_init(uint32_t clock_hz, uint32_t baud)
{
    (void)clock_hz;
    GPIO_OUTSET(MQ_BOARD_TX_PORT) = MQ_BIT(MQ_BOARD_TX_PIN);
    GPIO_PIN_CNF(MQ_BOARD_TX_PORT, MQ_BOARD_TX_PIN) = OUTPUT;
    GPIO_PIN_CNF(MQ_BOARD_RX_PORT, MQ_BOARD_RX_PIN) = INPUT_PULLED_UP;
    UART0_PSELTXD = TX_PIN;
    UART0_PSELRXD = RX_PIN;
    UART0_BAUDRATE = rate(baud);
    UART0_ENABLE = ENABLED;
    UART0_TASKS_STARTTX = 1;
    UART0_TASKS_STARTRX = 1;
    UART0_INTENSET = UART0_INTENSET_RXDRDY;
}

bool mq_uart_readable(void)
{
    return UART0_EVENTS_RXDRDY != 0;
}

/* Cleared first: a following byte sets it again after this one is read. */
uint8_t mq_uart_read(void)
{
    UART0_EVENTS_RXDRDY = 0;
    (void)UART0_EVENTS_RXDRDY;
    return (uint8_t)UART0_RXD;
}

void mq_uart_flush(void)
{
    while (is_sending && UART0_EVENTS_TXDRDY == 0) {
    }
    UART0_EVENTS_TXDRDY = 0;
    is_sending = false;
}

void mq_uart_write(uint8_t byte)
{
    mq_uart_flush();
    is_sending = true;
    UART0_TXD = byte;
}
