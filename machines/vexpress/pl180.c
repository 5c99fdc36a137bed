/*
 * pl180.c — the MMC interface with an empty slot
 *
 * Source: PrimeCell MultiMedia Card Interface (PL180) TRM, ARM DDI 0172. A command that expects a response times out; one
 * that expects none is sent; a transfer of data times out.
 */
#include <stdlib.h>

#include "machines/vexpress/devices.h"

enum { CMD_RESPONSE = 0x40, CMD_ENABLE = 0x400, DATA_ENABLE = 1 };
enum { ST_CMD_TIMEOUT = 4, ST_DATA_TIMEOUT = 8, ST_CMD_SENT = 0x80, ST_CLEARABLE = 0x7ff };
#define COMMAND   (0x0c / 4)
#define DATA_CTRL (0x2c / 4)
#define STATUS    (0x34 / 4)
#define MASK0     (0x3c / 4)
#define MASK1     (0x40 / 4)

/* guarded by device lock */
struct pl180 {
    struct irq_line irq[2];
    uint32_t regs[0x48 / 4];
};

static void update_irq(struct pl180 *m)
{
    irq_line_set(&m->irq[0], m->regs[STATUS] & m->regs[MASK0]);
    irq_line_set(&m->irq[1], m->regs[STATUS] & m->regs[MASK1]);
}

static bool pl180_read(void *dev, uint32_t off, unsigned size, int cpu, uint32_t *val)
{
    struct pl180 *m = dev;
    (void)cpu;
    if (primecell_id(off, 0x180, 0, 0, val))
        return true;
    *val = off / 4 < ARRAY_SIZE(m->regs) ? m->regs[off / 4] : 0;
    *val = word_part(*val, off, size);
    return true;
}

static bool pl180_write(void *dev, uint32_t off, unsigned size, int cpu, uint32_t val)
{
    struct pl180 *m = dev;
    (void)size;
    (void)cpu;
    switch (off) {
    case 0x00: /* power, clock, argument, command, data timer, length, control, masks */
    case 0x04:
    case 0x08:
    case 0x0c:
    case 0x24:
    case 0x28:
    case 0x2c:
    case 0x3c:
    case 0x40: m->regs[off / 4] = val; break;
    case 0x38: m->regs[STATUS] &= ~(val & ST_CLEARABLE); break;
    default: return true;
    }
    if (off / 4 == COMMAND && (val & CMD_ENABLE)) {
        m->regs[COMMAND] &= ~(uint32_t)CMD_ENABLE;
        m->regs[STATUS] |= val & CMD_RESPONSE ? ST_CMD_TIMEOUT : ST_CMD_SENT;
    }
    if (off / 4 == DATA_CTRL && (val & DATA_ENABLE)) {
        m->regs[DATA_CTRL] &= ~(uint32_t)DATA_ENABLE;
        m->regs[STATUS] |= ST_DATA_TIMEOUT;
    }
    update_irq(m);
    return true;
}

void pl180_reset(void *dev)
{
    struct pl180 *m = dev;
    memset(m->regs, 0, sizeof m->regs);
    update_irq(m);
}

struct pl180 *pl180_new(struct irq_line irq0, struct irq_line irq1)
{
    struct pl180 *m = calloc(1, sizeof *m);
    CHECK(m, "out of memory");
    m->irq[0] = irq0;
    m->irq[1] = irq1;
    pl180_reset(m);
    return m;
}

const struct mmio_ops pl180_ops = {pl180_read, pl180_write};
