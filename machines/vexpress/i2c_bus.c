/*
 * i2c_bus.c — the two-wire buses of the board (DVI, PCI Express), with no chip on them
 *
 * Source: ARM DUI 0447, chapter 4 (two-wire interfaces): bit 0 SCL, bit 1 SDA; 0x0 sets and reads, 0x4 clears. The wires read what
 * the program drives; nobody pulls them down, so no address is acknowledged.
 */
#include <stdlib.h>

#include "machines/vexpress/devices.h"

/* guarded by device lock */
struct i2c_bus {
    uint32_t wires;
};

static bool i2c_bus_read(void *dev, uint32_t off, unsigned size, int cpu, uint32_t *val)
{
    struct i2c_bus *b = dev;
    (void)cpu;
    *val = off < 4 ? b->wires : 0;
    *val = word_part(*val, off, size);
    return true;
}

static bool i2c_bus_write(void *dev, uint32_t off, unsigned size, int cpu, uint32_t val)
{
    struct i2c_bus *b = dev;
    (void)size;
    (void)cpu;
    if (off == 0)
        b->wires |= val & 3;
    else if (off == 4)
        b->wires &= ~(val & 3);
    return true;
}

void i2c_bus_reset(void *dev)
{
    ((struct i2c_bus *)dev)->wires = 3;
}

struct i2c_bus *i2c_bus_new(void)
{
    struct i2c_bus *b = calloc(1, sizeof *b);
    CHECK(b, "out of memory");
    i2c_bus_reset(b);
    return b;
}

const struct mmio_ops i2c_bus_ops = {i2c_bus_read, i2c_bus_write};
