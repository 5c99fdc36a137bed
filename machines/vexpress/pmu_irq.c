/*
 * pmu_irq.c — the interrupts of the CPUs' performance monitors, and the alarms until they come
 *
 * Source: CoreTile Express A15x2 TRM, ARM DDI 0604: shared interrupts 68 and 69, of the tile's two CPUs; those of further CPUs are not
 * connected.
 */
#include "machines/vexpress/devices.h"

#define CONNECTED 2
#define PMU_SPI   68

static struct line {
    struct irq_line irq; /* const after LAUNCH */
    struct dev_timer timer;
} lines[CONNECTED]; /* guarded by device lock */

static void expired(void *opaque)
{
    struct line *l = opaque;
    irq_line_set(&l->irq, true);
}

void pmu_irq_line(unsigned cpu, bool level, uint64_t after_ns)
{
    if (cpu >= CONNECTED)
        return;
    device_lock();
    irq_line_set(&lines[cpu].irq, level);
    timer_set(&lines[cpu].timer, level || after_ns == UINT64_MAX ? UINT64_MAX : virtual_now_ns() + after_ns);
    device_unlock();
}

void pmu_irq_reset(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < CONNECTED; i++) {
        irq_line_set(&lines[i].irq, false);
        timer_set(&lines[i].timer, UINT64_MAX);
    }
}

void pmu_irq_setup(struct gicv2 *gic)
{
    for (unsigned i = 0; i < CONNECTED; i++) {
        lines[i].irq = (struct irq_line){gicv2_set_spi, gic, PMU_SPI + i};
        timer_init(&lines[i].timer, expired, &lines[i]);
    }
}
