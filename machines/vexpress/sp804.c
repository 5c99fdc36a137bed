/*
 * sp804.c — the dual timer
 *
 * Source: ARM Dual-Timer Module (SP804) TRM, ARM DDI 0271. TIMCLK is 1 MHz (DUI 0447: after the boot loader
 * has chosen it in the system controller; programs expect it so).
 *
 * A counter is not stepped: it is kept as a value at a moment of virtual time and computed from it. catch_up() moves
 * that moment to the last whole tick and notes whether the counter passed zero in between. A timer is armed only for
 * an interrupt that is enabled and not yet raised, so a guest cannot keep the timer thread busy with periods of a
 * microsecond that it does not acknowledge.
 */
#include <stdlib.h>

#include "machines/vexpress/devices.h"

#define TICK_NS 1000

enum {
    CTRL_ONE_SHOT = 0x01,
    CTRL_32BIT = 0x02,
    CTRL_INT_ENABLE = 0x20,
    CTRL_PERIODIC = 0x40,
    CTRL_ENABLE = 0x80,
    CTRL_MASK = 0xef,
    CTRL_RESET = 0x20,
};

/* guarded by device lock */
struct counter {
    struct sp804 *owner;
    uint32_t load, control;
    uint32_t value; /* at value_ns; with CTRL_32BIT off the upper half does not count, but stays */
    uint64_t value_ns;
    bool halted; /* one-shot: has reached zero */
    bool raw;
    struct dev_timer timer;
};

struct sp804 {
    struct irq_line irq;
    struct counter c[2];
};

static uint64_t tick_ns(const struct counter *c)
{
    static const uint16_t prescale[4] = {1, 16, 256, 256};
    return (uint64_t)TICK_NS * prescale[bits(c->control, 3, 2)];
}

static bool counts(const struct counter *c)
{
    return (c->control & CTRL_ENABLE) && !c->halted;
}

static uint32_t width_mask(const struct counter *c)
{
    return c->control & CTRL_32BIT ? UINT32_MAX : 0xffff;
}

/* Ticks until the counter, now at v, reaches zero: DDI 0271, chapter 2. From zero it takes a whole round. */
static uint64_t ticks_to_zero(const struct counter *c, uint32_t v)
{
    if (v)
        return v;
    if (c->control & CTRL_PERIODIC)
        return (c->load & width_mask(c)) ? c->load & width_mask(c) : 1;
    return (uint64_t)width_mask(c) + 1;
}

static void catch_up(struct counter *c)
{
    uint64_t now = virtual_now_ns();
    if (!counts(c)) {
        c->value_ns = now;
        return;
    }
    uint64_t ticks = (now - c->value_ns) / tick_ns(c);
    uint64_t zero = ticks_to_zero(c, c->value & width_mask(c));
    c->value_ns += ticks * tick_ns(c);
    if (ticks < zero) {
        if (ticks)
            c->value = (uint32_t)(zero - ticks);
        return;
    }
    c->raw = true;
    if (c->control & CTRL_ONE_SHOT) {
        c->value = 0;
        c->halted = true;
        return;
    }
    /* At zero after `zero` ticks, then rounds of the same length each. */
    uint64_t round = ticks_to_zero(c, 0), rest = (ticks - zero) % round;
    c->value = rest ? (uint32_t)(round - rest) : 0;
}

static void update(struct counter *c)
{
    struct sp804 *t = c->owner;
    uint64_t deadline = UINT64_MAX;
    if (counts(c) && (c->control & CTRL_INT_ENABLE) && !c->raw)
        deadline = c->value_ns + ticks_to_zero(c, c->value & width_mask(c)) * tick_ns(c);
    timer_set(&c->timer, deadline);
    bool level = false;
    for (unsigned i = 0; i < 2; i++)
        level |= t->c[i].raw && (t->c[i].control & CTRL_INT_ENABLE);
    irq_line_set(&t->irq, level);
}

static void expired(void *opaque)
{
    struct counter *c = opaque;
    catch_up(c);
    update(c);
}

static bool sp804_read(void *dev, uint32_t off, unsigned size, int cpu, uint32_t *val)
{
    struct sp804 *t = dev;
    DCHECK(device_lock_held(), "SP804 read without the device lock");
    (void)cpu;
    if (primecell_id(off, 0x804, 1, 0, val))
        return true;
    *val = 0;
    if (off >= 0x40)
        return true;
    struct counter *c = &t->c[off / 0x20];
    catch_up(c);
    switch (off % 0x20 & ~3u) {
    case 0x00: *val = c->load; break;
    case 0x04: *val = c->value; break;
    case 0x08: *val = c->control; break;
    case 0x10: *val = c->raw; break;
    case 0x14: *val = c->raw && (c->control & CTRL_INT_ENABLE); break;
    case 0x18: *val = c->load; break;
    default: break;
    }
    update(c);
    *val = word_part(*val, off, size);
    return true;
}

static bool sp804_write(void *dev, uint32_t off, unsigned size, int cpu, uint32_t val)
{
    struct sp804 *t = dev;
    DCHECK(device_lock_held(), "SP804 write without the device lock");
    (void)size;
    (void)cpu;
    if (off >= 0x40)
        return true;
    struct counter *c = &t->c[off / 0x20];
    catch_up(c);
    switch (off % 0x20) {
    case 0x00:
        c->load = val;
        c->value = val;
        c->value_ns = virtual_now_ns();
        c->halted = false;
        if ((val & width_mask(c)) == 0 && (c->control & CTRL_ENABLE)) /* DDI 0271, load register: at once */
            c->raw = true;
        break;
    case 0x08: {
        bool starts = (val & CTRL_ENABLE) && !(c->control & CTRL_ENABLE);
        c->control = val & CTRL_MASK;
        c->value_ns = virtual_now_ns();
        if (starts)
            c->halted = (c->control & CTRL_ONE_SHOT) && (c->value & width_mask(c)) == 0;
        break;
    }
    case 0x0c: c->raw = false; break;
    case 0x18: c->load = val; break;
    default: break;
    }
    update(c);
    return true;
}

void sp804_reset(void *dev)
{
    struct sp804 *t = dev;
    for (unsigned i = 0; i < 2; i++) {
        struct counter *c = &t->c[i];
        c->load = 0;
        c->control = CTRL_RESET;
        c->value = UINT32_MAX;
        c->value_ns = virtual_now_ns();
        c->halted = c->raw = false;
        update(c);
    }
}

struct sp804 *sp804_new(struct irq_line irq)
{
    struct sp804 *t = calloc(1, sizeof *t);
    CHECK(t, "out of memory");
    t->irq = irq;
    for (unsigned i = 0; i < 2; i++) {
        t->c[i].owner = t;
        timer_init(&t->c[i].timer, expired, &t->c[i]);
    }
    sp804_reset(t);
    return t;
}

const struct mmio_ops sp804_ops = {sp804_read, sp804_write};
