/*
 * pl011.c — the UART
 *
 * Source: PrimeCell UART (PL011) TRM, ARM DDI 0183. Output leaves at once, so the transmit FIFO is empty unless the
 * console's queue is full. Without initialisation (UARTEN, baud rate) characters are sent and received all the
 * same, as programs for emulators expect. The receive timeout is reported as soon as characters lie below the
 * trigger level.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/log.h"
#include "machines/console.h"
#include "machines/vexpress/devices.h"

#define FIFO     16
#define LINE_MAX 256

enum { INT_RX = 0x10, INT_TX = 0x20, INT_RT = 0x40, INT_OE = 0x400, INT_ALL = 0x7ff };
enum { FR_RXFE = 0x10, FR_TXFF = 0x20, FR_RXFF = 0x40, FR_TXFE = 0x80 };
enum { CR_LBE = 0x80, LCR_FEN = 0x10 };
#define CR_RESET 0x300u

struct pl011 {
    struct irq_line irq;
    bool console; /* const after LAUNCH: joined to the console */
    bool deaf;    /* const after LAUNCH: to its output only */
    int fd;       /* const after LAUNCH: a regular file, or -1 */
    /* the rest is guarded by device lock */
    bool claimed; /* the guest has asked for input */
    uint16_t fifo[FIFO];
    unsigned head, used;
    uint8_t line[LINE_MAX];
    unsigned line_used; /* of a line for fd that has no end yet */
    uint32_t rsr, ilpr, ibrd, fbrd, lcr, cr, ifls, imsc, ris, dmacr;
};

static unsigned depth(const struct pl011 *u)
{
    return u->lcr & LCR_FEN ? FIFO : 1;
}

/* Characters in the receive FIFO that raise INT_RX: DDI 0183 3.3.9 */
static unsigned trigger(const struct pl011 *u)
{
    static const uint8_t levels[8] = {2, 4, 8, 12, 14, 14, 14, 14};
    return u->lcr & LCR_FEN ? levels[bits(u->ifls, 5, 3)] : 1;
}

static void update_irq(struct pl011 *u)
{
    irq_line_set(&u->irq, u->ris & u->imsc);
}

static void receive(struct pl011 *u, uint8_t ch)
{
    if (u->used >= depth(u)) { /* only in loopback */
        u->ris |= INT_OE;
        u->rsr |= 8;
        return;
    }
    u->fifo[(u->head + u->used++) % FIFO] = ch;
    u->ris |= u->used >= trigger(u) ? INT_RX : INT_RT;
}

/* Take from the console what fits. */
static void pull(struct pl011 *u)
{
    uint8_t buf[FIFO];
    if (!u->console || u->deaf || !u->claimed || u->used >= depth(u))
        return;
    size_t n = console_get(buf, depth(u) - u->used);
    for (size_t i = 0; i < n; i++)
        receive(u, buf[i]);
    if (n)
        update_irq(u);
}

static void claim(struct pl011 *u)
{
    if (u->console && !u->deaf && !u->claimed) {
        u->claimed = true;
        console_want_input();
    }
    pull(u);
}

/* Console thread, no lock held. */
static void input_ready(void *opaque)
{
    device_lock();
    pull(opaque);
    device_unlock();
}

static uint32_t read_data(struct pl011 *u)
{
    if (!u->used)
        return 0;
    uint32_t val = u->fifo[u->head];
    u->head = (u->head + 1) % FIFO;
    u->used--;
    if (u->used < trigger(u))
        u->ris &= ~(uint32_t)INT_RX;
    if (!u->used)
        u->ris &= ~(uint32_t)INT_RT;
    pull(u);
    update_irq(u);
    return val;
}

static void flush_line(struct pl011 *u)
{
    if (u->line_used && write(u->fd, u->line, u->line_used) != (ssize_t)u->line_used)
        guest_error("UART: its file takes no more; what the guest writes is lost");
    u->line_used = 0;
}

static void send_to_file(struct pl011 *u, uint8_t ch)
{
    u->line[u->line_used++] = ch;
    if (ch == '\n' || u->line_used == LINE_MAX)
        flush_line(u);
}

static void send(struct pl011 *u, uint8_t ch)
{
    if (u->cr & CR_LBE)
        receive(u, ch);
    else if (u->console && !console_put(&ch, 1))
        guest_error("UART0: a character was lost: written while the transmit FIFO was full");
    else if (u->fd >= 0)
        send_to_file(u, ch);
    u->ris |= INT_TX;
    update_irq(u);
}

static bool uart_read(void *dev, uint32_t off, unsigned size, int cpu, uint32_t *val)
{
    struct pl011 *u = dev;
    DCHECK(device_lock_held(), "PL011 read without the device lock");
    (void)cpu;
    if (primecell_id(off, 0x011, 1, 0, val))
        return true;
    switch (off & ~3u) {
    case 0x00:
        claim(u);
        *val = off == 0 ? read_data(u) : 0; /* the character is in the lowest byte */
        break;
    case 0x04: *val = u->rsr; break;
    case 0x18:
        claim(u);
        *val = u->used ? 0 : FR_RXFE;
        *val |= u->used >= depth(u) ? FR_RXFF : 0;
        *val |= u->console && !console_has_room() ? FR_TXFF : FR_TXFE;
        break;
    case 0x20: *val = u->ilpr; break;
    case 0x24: *val = u->ibrd; break;
    case 0x28: *val = u->fbrd; break;
    case 0x2c: *val = u->lcr; break;
    case 0x30: *val = u->cr; break;
    case 0x34: *val = u->ifls; break;
    case 0x38: *val = u->imsc; break;
    case 0x3c: *val = u->ris; break;
    case 0x40: *val = u->ris & u->imsc; break;
    case 0x48: *val = u->dmacr; break;
    default: *val = 0; break;
    }
    *val = word_part(*val, off, size);
    return true;
}

static bool uart_write(void *dev, uint32_t off, unsigned size, int cpu, uint32_t val)
{
    struct pl011 *u = dev;
    DCHECK(device_lock_held(), "PL011 write without the device lock");
    (void)size;
    (void)cpu;
    switch (off) {
    case 0x00: send(u, (uint8_t)val); break;
    case 0x04: u->rsr = 0; break;
    case 0x20: u->ilpr = val & 0xff; break;
    case 0x24: u->ibrd = val & 0xffff; break;
    case 0x28: u->fbrd = val & 0x3f; break;
    case 0x2c:
        /* Switching the FIFOs empties them: DDI 0183 3.3.7 */
        if ((val ^ u->lcr) & LCR_FEN) {
            u->used = 0;
            u->ris &= ~(uint32_t)(INT_RX | INT_RT);
        }
        u->lcr = val & 0xff;
        pull(u);
        break;
    case 0x30: u->cr = val & 0xff87; break;
    case 0x34: u->ifls = val & 0x3f; break;
    case 0x38:
        u->imsc = val & INT_ALL;
        if (val & (INT_RX | INT_RT))
            claim(u);
        break;
    case 0x44: u->ris &= ~val; break;
    case 0x48:
        u->dmacr = val & 7;
        if (val & 3)
            guest_error("PL011: DMA is not connected on this board");
        break;
    default: break;
    }
    update_irq(u);
    return true;
}

void pl011_reset(void *dev)
{
    struct pl011 *u = dev;
    flush_line(u);
    u->claimed = false;
    u->head = u->used = 0;
    u->rsr = u->ilpr = u->ibrd = u->fbrd = u->lcr = u->imsc = u->ris = u->dmacr = 0;
    u->cr = CR_RESET;
    u->ifls = 0x12;
    update_irq(u);
}

struct pl011 *pl011_new(struct irq_line irq, bool console)
{
    struct pl011 *u = calloc(1, sizeof *u);
    CHECK(u, "out of memory");
    u->irq = irq;
    u->console = console;
    u->fd = -1;
    pl011_reset(u);
    if (console)
        console_on_input(input_ready, u);
    return u;
}

void pl011_set_output(struct pl011 *u, int fd)
{
    u->fd = fd;
}

void pl011_output_only(struct pl011 *u)
{
    u->deaf = true;
}

const struct mmio_ops pl011_ops = {uart_read, uart_write};
