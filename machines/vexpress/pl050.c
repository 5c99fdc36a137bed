/*
 * pl050.c — a PS/2 port (KMI) with nothing plugged in
 *
 * Source: ARM PrimeCell PS2 Keyboard/Mouse Interface (PL050) TRM, ARM DDI 0143. What is sent leaves and nobody answers.
 */
#include <stdlib.h>

#include "machines/vexpress/devices.h"

enum { CR_ENABLE = 4, CR_TX_INT = 8, STAT_IDLE = 0x43 /* lines high, transmitter empty */ };

/* guarded by device lock */
struct pl050 {
    struct irq_line irq;
    uint32_t cr, clkdiv;
};

static bool tx_pending(const struct pl050 *k)
{
    return (k->cr & CR_ENABLE) && (k->cr & CR_TX_INT);
}

static bool pl050_read(void *dev, uint32_t off, unsigned size, int cpu, uint32_t *val)
{
    struct pl050 *k = dev;
    (void)cpu;
    if (primecell_id(off, 0x050, 0, 0, val))
        return true;
    switch (off & ~3u) {
    case 0x00: *val = k->cr; break;
    case 0x04: *val = STAT_IDLE; break;
    case 0x0c: *val = k->clkdiv; break;
    case 0x10: *val = tx_pending(k) ? 2 : 0; break;
    default: *val = 0; break;
    }
    *val = word_part(*val, off, size);
    return true;
}

static bool pl050_write(void *dev, uint32_t off, unsigned size, int cpu, uint32_t val)
{
    struct pl050 *k = dev;
    (void)size;
    (void)cpu;
    if (off == 0x00)
        k->cr = val & 0x3f;
    else if (off == 0x0c)
        k->clkdiv = val & 0xf;
    irq_line_set(&k->irq, tx_pending(k));
    return true;
}

void pl050_reset(void *dev)
{
    struct pl050 *k = dev;
    k->cr = k->clkdiv = 0;
    irq_line_set(&k->irq, false);
}

struct pl050 *pl050_new(struct irq_line irq)
{
    struct pl050 *k = calloc(1, sizeof *k);
    CHECK(k, "out of memory");
    k->irq = irq;
    pl050_reset(k);
    return k;
}

const struct mmio_ops pl050_ops = {pl050_read, pl050_write};
