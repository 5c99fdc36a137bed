/*
 * pl031.c — the real time clock
 *
 * Source: PrimeCell Real Time Clock (PL031) TRM, ARM DDI 0224. Counts seconds from the host's wall clock at start.
 */
#include <stdlib.h>
#include <time.h>

#include "machines/vexpress/devices.h"

#define SECOND_NS UINT64_C(1000000000)

/* guarded by device lock */
struct pl031 {
    struct irq_line irq;
    uint32_t load, match;
    uint32_t base; /* the count at base_ns */
    uint64_t base_ns;
    bool mask, raw;
    struct dev_timer timer;
};

static uint32_t count(const struct pl031 *r)
{
    return r->base + (uint32_t)((virtual_now_ns() - r->base_ns) / SECOND_NS);
}

/* The interrupt comes when the count becomes equal to the match: DDI 0224, chapter 2 */
static void arm(struct pl031 *r)
{
    uint32_t seconds = r->match - r->base;
    uint64_t at = r->base_ns + seconds * SECOND_NS;
    timer_set(&r->timer, at > virtual_now_ns() ? at : UINT64_MAX);
    irq_line_set(&r->irq, r->raw && r->mask);
}

static void expired(void *opaque)
{
    struct pl031 *r = opaque;
    r->raw = true;
    arm(r);
}

static void set_count(struct pl031 *r, uint32_t seconds)
{
    r->load = seconds;
    r->base = seconds;
    r->base_ns = virtual_now_ns();
}

static bool pl031_read(void *dev, uint32_t off, unsigned size, int cpu, uint32_t *val)
{
    struct pl031 *r = dev;
    DCHECK(device_lock_held(), "PL031 read without the device lock");
    (void)cpu;
    if (primecell_id(off, 0x031, 1, 0, val))
        return true;
    switch (off & ~3u) {
    case 0x00: *val = count(r); break;
    case 0x04: *val = r->match; break;
    case 0x08: *val = r->load; break;
    case 0x0c: *val = 1; break;
    case 0x10: *val = r->mask; break;
    case 0x14: *val = r->raw; break;
    case 0x18: *val = r->raw && r->mask; break;
    default: *val = 0; break;
    }
    *val = word_part(*val, off, size);
    return true;
}

static bool pl031_write(void *dev, uint32_t off, unsigned size, int cpu, uint32_t val)
{
    struct pl031 *r = dev;
    DCHECK(device_lock_held(), "PL031 write without the device lock");
    (void)size;
    (void)cpu;
    switch (off) {
    case 0x04:
        r->match = val;
        if (val == count(r))
            r->raw = true;
        break;
    case 0x08: set_count(r, val); break;
    case 0x0c: break; /* it runs; the bit is sticky */
    case 0x10: r->mask = val & 1; break;
    case 0x1c: r->raw = r->raw && !(val & 1); break;
    default: return true;
    }
    arm(r);
    return true;
}

void pl031_reset(void *dev)
{
    struct pl031 *r = dev;
    r->match = 0;
    r->mask = r->raw = false;
    set_count(r, (uint32_t)time(NULL));
    r->load = 0;
    arm(r);
}

struct pl031 *pl031_new(struct irq_line irq)
{
    struct pl031 *r = calloc(1, sizeof *r);
    CHECK(r, "out of memory");
    r->irq = irq;
    timer_init(&r->timer, expired, r);
    pl031_reset(r);
    return r;
}

const struct mmio_ops pl031_ops = {pl031_read, pl031_write};
