/*
 * sp805.c — the watchdog
 *
 * Source: ARM Watchdog Module (SP805) TRM, ARM DDI 0270. Counts down at 32,768 Hz; at zero it raises its interrupt and
 * starts again; at zero with the interrupt still up and RESEN set it resets the machine.
 */
#include <stdlib.h>

#include "machines/vexpress/devices.h"

#define HZ     32768u
#define UNLOCK 0x1acce551u
enum { CTRL_INTEN = 1, CTRL_RESEN = 2 };

/* guarded by device lock */
struct sp805 {
    struct irq_line irq;
    uint32_t load, control;
    uint32_t value;   /* while stopped */
    uint64_t zero_ns; /* while running: when it reaches zero */
    bool raw, locked;
    struct dev_timer timer;
};

static uint64_t load_ns(const struct sp805 *w)
{
    return ((uint64_t)(w->load ? w->load : 1) * 1000000000u + HZ - 1) / HZ;
}

static uint32_t value_now(const struct sp805 *w)
{
    uint64_t now = virtual_now_ns();
    if (!(w->control & CTRL_INTEN))
        return w->value;
    uint64_t left = w->zero_ns > now ? w->zero_ns - now : 0;
    return (uint32_t)(left / 1000 * HZ / 1000000);
}

static void restart(struct sp805 *w)
{
    w->value = w->load;
    w->zero_ns = virtual_now_ns() + load_ns(w);
    timer_set(&w->timer, w->control & CTRL_INTEN ? w->zero_ns : UINT64_MAX);
}

static void update_irq(struct sp805 *w)
{
    irq_line_set(&w->irq, w->raw && (w->control & CTRL_INTEN));
}

static void expired(void *opaque)
{
    struct sp805 *w = opaque;
    if (w->raw && (w->control & CTRL_RESEN)) {
        machine_request_end(END_RESET, 0);
        return;
    }
    bool was = w->raw;
    w->raw = true;
    update_irq(w);
    /* A second zero changes something only if it may reset the machine. */
    if (!was || (w->control & CTRL_RESEN))
        restart(w);
}

static bool sp805_read(void *dev, uint32_t off, unsigned size, int cpu, uint32_t *val)
{
    struct sp805 *w = dev;
    DCHECK(device_lock_held(), "SP805 read without the device lock");
    (void)cpu;
    if (primecell_id(off, 0x805, 1, 0, val))
        return true;
    switch (off & ~3u) {
    case 0x00: *val = w->load; break;
    case 0x04: *val = value_now(w); break;
    case 0x08: *val = w->control; break;
    case 0x10: *val = w->raw; break;
    case 0x14: *val = w->raw && (w->control & CTRL_INTEN); break;
    case 0xc00: *val = w->locked; break;
    default: *val = 0; break;
    }
    *val = word_part(*val, off, size);
    return true;
}

static bool sp805_write(void *dev, uint32_t off, unsigned size, int cpu, uint32_t val)
{
    struct sp805 *w = dev;
    DCHECK(device_lock_held(), "SP805 write without the device lock");
    (void)size;
    (void)cpu;
    if (off == 0xc00) {
        w->locked = val != UNLOCK;
        return true;
    }
    if (w->locked)
        return true;
    switch (off) {
    case 0x00:
        w->load = val;
        restart(w);
        break;
    case 0x08:
        if ((val & CTRL_INTEN) && !(w->control & CTRL_INTEN)) {
            w->control = val & 3;
            restart(w);
        } else {
            w->value = value_now(w);
            w->control = val & 3;
            timer_set(&w->timer, w->control & CTRL_INTEN ? w->zero_ns : UINT64_MAX);
        }
        break;
    case 0x0c:
        w->raw = false;
        restart(w);
        break;
    default: break;
    }
    update_irq(w);
    return true;
}

void sp805_reset(void *dev)
{
    struct sp805 *w = dev;
    w->load = w->value = UINT32_MAX;
    w->control = 0;
    w->raw = w->locked = false;
    timer_set(&w->timer, UINT64_MAX);
    update_irq(w);
}

struct sp805 *sp805_new(struct irq_line irq)
{
    struct sp805 *w = calloc(1, sizeof *w);
    CHECK(w, "out of memory");
    w->irq = irq;
    timer_init(&w->timer, expired, w);
    sp805_reset(w);
    return w;
}

const struct mmio_ops sp805_ops = {sp805_read, sp805_write};
