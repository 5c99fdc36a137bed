/*
 * sp810.c — the system controller: chooses timer clocks, which here are always the fast ones
 *
 * Source: PrimeXsys System Controller (SP810) TRM, ARM DDI 0254; on the board, ARM DUI 0447.
 */
#include <stdlib.h>

#include "machines/vexpress/devices.h"

/* guarded by device lock */
struct sp810 {
    uint32_t control, im, xtal, pll;
};

static bool sp810_read(void *dev, uint32_t off, unsigned size, int cpu, uint32_t *val)
{
    struct sp810 *s = dev;
    (void)cpu;
    if (primecell_id(off, 0x810, 0, 0, val))
        return true;
    switch (off & ~3u) {
    /* ModeStatus (bits 6..3) follows ModeCtrl (bits 2..0) at once: NORMAL is 4. */
    case 0x00: *val = (s->control & ~0x78u) | (s->control & 7) << 3; break;
    case 0x08: *val = s->im; break;
    case 0x10: *val = s->xtal; break;
    case 0x14: *val = s->pll; break;
    default: *val = 0; break;
    }
    *val = word_part(*val, off, size);
    return true;
}

static bool sp810_write(void *dev, uint32_t off, unsigned size, int cpu, uint32_t val)
{
    struct sp810 *s = dev;
    (void)size;
    (void)cpu;
    switch (off) {
    case 0x00: s->control = val & 0x00ffff87; break;
    case 0x04: machine_request_end(END_RESET, 0); break; /* SCSYSSTAT: any write resets */
    case 0x08: s->im = val; break;
    case 0x10: s->xtal = val; break;
    case 0x14: s->pll = val; break;
    default: break;
    }
    return true;
}

void sp810_reset(void *dev)
{
    *(struct sp810 *)dev = (struct sp810){.control = 1};
}

struct sp810 *sp810_new(void)
{
    struct sp810 *s = calloc(1, sizeof *s);
    CHECK(s, "out of memory");
    sp810_reset(s);
    return s;
}

const struct mmio_ops sp810_ops = {sp810_read, sp810_write};
