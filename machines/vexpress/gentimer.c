/*
 * gentimer.c — the generic timers: a counter for all CPUs, four comparators for each
 *
 * Source: ARM DDI 0406C chapter B8; interrupt numbers from the Cortex-A15 MPCore TRM, DDI 0438.
 * The engine decodes CP15 and comes here by machine_cpu_ops. 62.5 MHz: a tick is 16 ns. Each comparator has one
 * timer, armed while its condition is yet to come true and its output is not masked.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "machines/vexpress/devices.h"

#define TICK_NS 16
_Static_assert(1000000000 / TICK_NS == GENTIMER_HZ, "counter frequency");

enum { SECURE_PHYS, NONSECURE_PHYS, HYP, VIRT, COMPARATORS };
static const uint8_t ppi[COMPARATORS] = {29, 30, 26, 27};

enum { CTL, CVAL, TVAL };
enum { CTL_ENABLE = 1, CTL_IMASK = 2, CTL_ISTATUS = 4 };

struct comparator {
    uint32_t ctl; /* ENABLE, IMASK */
    uint64_t cval;
    bool out; /* as told to the GIC */
    uint8_t cpu, which;
    struct dev_timer timer;
};

static struct {
    struct gicv2 *gic;                           /* const after LAUNCH */
    unsigned smp;                                /* const after LAUNCH */
    _Atomic uint64_t reset_ns;                   /* W: LAUNCH and reset; R: any vCPU, relaxed */
    uint64_t voff[MAX_VCPUS];                    /* guarded by device lock */
    struct comparator c[MAX_VCPUS][COMPARATORS]; /* guarded by device lock */
} gt;

uint64_t gentimer_cntpct(unsigned cpu)
{
    (void)cpu;
    return (virtual_now_ns() - atomic_load_explicit(&gt.reset_ns, memory_order_relaxed)) / TICK_NS;
}

static uint64_t count_at(const struct comparator *c, uint64_t cntpct)
{
    return c->which == VIRT ? cntpct - gt.voff[c->cpu] : cntpct;
}

static uint64_t count_of(const struct comparator *c)
{
    return count_at(c, gentimer_cntpct(c->cpu));
}

/* DDI 0406C B8.1.5: the timer condition is count - cval >= 0, both 64 bits wide and unsigned. */
static void update(struct comparator *c)
{
    uint64_t ticks = gentimer_cntpct(c->cpu), count = count_at(c, ticks);
    bool met = count >= c->cval;
    bool out = met && (c->ctl & CTL_ENABLE) && !(c->ctl & CTL_IMASK);
    uint64_t deadline = UINT64_MAX;

    if (!met && (c->ctl & CTL_ENABLE) && !(c->ctl & CTL_IMASK)) {
        /* In units of whole ticks since reset, so that the callback does not come before its tick. */
        uint64_t more = c->cval - count;
        uint64_t origin = atomic_load_explicit(&gt.reset_ns, memory_order_relaxed);
        if (more < UINT64_MAX / (2 * TICK_NS))
            deadline = origin + (ticks + more) * TICK_NS;
    }
    timer_set(&c->timer, deadline);
    if (out != c->out) {
        c->out = out;
        gicv2_set_ppi(gt.gic, c->cpu, ppi[c->which], out);
    }
}

static void expired(void *opaque)
{
    update(opaque);
}

uint64_t gentimer_read(unsigned cpu, unsigned which, unsigned reg)
{
    CHECK(cpu < gt.smp && which < COMPARATORS, "timer %u of CPU %u", which, cpu);
    struct comparator *c = &gt.c[cpu][which];
    uint64_t val;

    device_lock();
    uint64_t count = count_of(c);
    switch (reg) {
    case CTL:
        /* ISTATUS is 0 while disabled: it is UNKNOWN then (DDI 0406C B8.1.5). */
        val = c->ctl | ((c->ctl & CTL_ENABLE) && count >= c->cval ? CTL_ISTATUS : 0);
        break;
    case CVAL: val = c->cval; break;
    default: val = (uint32_t)(c->cval - count); break;
    }
    device_unlock();
    return val;
}

void gentimer_write(unsigned cpu, unsigned which, unsigned reg, uint64_t val)
{
    CHECK(cpu < gt.smp && which < COMPARATORS, "timer %u of CPU %u", which, cpu);
    struct comparator *c = &gt.c[cpu][which];

    device_lock();
    switch (reg) {
    case CTL: c->ctl = (uint32_t)val & (CTL_ENABLE | CTL_IMASK); break;
    case CVAL: c->cval = val; break;
    default: c->cval = count_of(c) + (uint64_t)(int64_t)(int32_t)val; break;
    }
    update(c);
    device_unlock();
}

uint64_t gentimer_cntvoff_read(unsigned cpu)
{
    CHECK(cpu < gt.smp, "CPU %u", cpu);
    device_lock();
    uint64_t val = gt.voff[cpu];
    device_unlock();
    return val;
}

void gentimer_cntvoff_write(unsigned cpu, uint64_t val)
{
    CHECK(cpu < gt.smp, "CPU %u", cpu);
    device_lock();
    gt.voff[cpu] = val;
    update(&gt.c[cpu][VIRT]);
    device_unlock();
}

void gentimer_reset(void *unused)
{
    (void)unused;
    atomic_store_explicit(&gt.reset_ns, virtual_now_ns(), memory_order_relaxed);
    for (unsigned cpu = 0; cpu < gt.smp; cpu++) {
        gt.voff[cpu] = 0;
        for (unsigned i = 0; i < COMPARATORS; i++) {
            gt.c[cpu][i].ctl = 0;
            gt.c[cpu][i].cval = 0;
            update(&gt.c[cpu][i]);
        }
    }
}

void gentimer_setup(struct gicv2 *gic, unsigned smp)
{
    gt.gic = gic;
    gt.smp = smp;
    for (unsigned cpu = 0; cpu < smp; cpu++) {
        for (unsigned i = 0; i < COMPARATORS; i++) {
            struct comparator *c = &gt.c[cpu][i];
            *c = (struct comparator){.cpu = (uint8_t)cpu, .which = (uint8_t)i};
            timer_init(&c->timer, expired, c);
        }
    }
    gentimer_reset(NULL);
}
