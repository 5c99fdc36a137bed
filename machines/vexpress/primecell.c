/*
 * primecell.c — PrimeCell identification, and devices without a function of their own here
 *
 * Identification: ARM PrimeCell peripherals read, at 0xfe0 and up, four bytes of peripheral id (part number,
 * designer 0x41, revision, configuration) and the four bytes of the component id 0xb105f00d, one a word.
 */
#include <stdlib.h>

#include "machines/vexpress/devices.h"

bool primecell_id(uint32_t off, unsigned part, unsigned rev, unsigned conf, uint32_t *val)
{
    uint32_t periph = conf << 24 | rev << 20 | 0x41u << 12 | part;
    uint32_t reg = off & ~3u;
    if (reg < 0xfe0 || reg > 0xffc)
        return false;
    uint32_t id = reg < 0xff0 ? periph : 0xb105f00d;
    *val = (off & 3) ? 0 : (id >> (8 * ((reg & 0xf) / 4))) & 0xff;
    return true;
}

/* -- Registers that keep what is written --------------------------------------------------------- */

#define REGISTERS 0x100 /* words: 0x000..0x3ff; the rest reads 0 */

struct primecell {
    unsigned part, rev;       /* const after LAUNCH */
    uint32_t regs[REGISTERS]; /* guarded by device lock */
};

static bool primecell_read(void *dev, uint32_t off, unsigned size, int cpu, uint32_t *val)
{
    struct primecell *p = dev;
    (void)cpu;
    if (primecell_id(off, p->part, p->rev, 0, val))
        return true;
    uint32_t word = off / 4 < REGISTERS ? p->regs[off / 4] : 0;
    *val = word_part(word, off, size);
    return true;
}

static bool primecell_write(void *dev, uint32_t off, unsigned size, int cpu, uint32_t val)
{
    struct primecell *p = dev;
    (void)cpu;
    if (off / 4 >= REGISTERS)
        return true;
    uint32_t mask = (size == 4 ? UINT32_MAX : BIT(8 * size) - 1) << (8 * (off & 3));
    p->regs[off / 4] = (p->regs[off / 4] & ~mask) | ((val << (8 * (off & 3))) & mask);
    return true;
}

void primecell_reset(void *dev)
{
    struct primecell *p = dev;
    memset(p->regs, 0, sizeof p->regs);
}

struct primecell *primecell_new(unsigned part, unsigned rev)
{
    struct primecell *p = calloc(1, sizeof *p);
    CHECK(p, "out of memory");
    p->part = part;
    p->rev = rev;
    return p;
}

const struct mmio_ops primecell_ops = {primecell_read, primecell_write};

/* -- A constant ---------------------------------------------------------------------------------- */

static bool constant_read(void *dev, uint32_t off, unsigned size, int cpu, uint32_t *val)
{
    const uint32_t *word = dev;
    (void)cpu;
    *val = word ? word_part(*word, off, size) : 0;
    return true;
}

static bool constant_write(void *dev, uint32_t off, unsigned size, int cpu, uint32_t val)
{
    (void)dev;
    (void)off;
    (void)size;
    (void)cpu;
    (void)val;
    return true;
}

const struct mmio_ops constant_ops = {constant_read, constant_write};
