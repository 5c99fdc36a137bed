/*
 * devices.h — the devices of the board
 *
 * Each device has <name>_new (LAUNCH; device lock held), <name>_reset (back to power-on state; device lock
 * held, vCPUs stopped) and <name>_ops for the memory map. State is the file's own.
 */
#ifndef MACHINES_VEXPRESS_DEVICES_H
#define MACHINES_VEXPRESS_DEVICES_H

#include "machines/machine.h"
#include "machines/vexpress/irq_line.h"

/* What a read of size bytes at off returns of its register's word. Registers are words on this board's buses; a
 * narrow read sees its part of one. */
static inline uint32_t word_part(uint32_t word, uint32_t off, unsigned size)
{
    return bits(word >> (8 * (off & 3)), 8 * size - 1, 0);
}

/* -- gicv2.c ------------------------------------------------------------------------------------- */

struct gicv2;
struct gicv2 *gicv2_new(unsigned smp);
void gicv2_reset(void *gic);
void gicv2_set_spi(void *gic, unsigned spi, bool level);              /* spi counts from 0; device lock held */
void gicv2_set_ppi(void *gic, unsigned cpu, unsigned id, bool level); /* id 16..31 */
extern const struct mmio_ops gicv2_dist_ops, gicv2_cpu_ops;

/* -- gentimer.c: the generic timers of all CPUs; one set in the process --------------------------- */

#define GENTIMER_HZ 62500000
void gentimer_setup(struct gicv2 *gic, unsigned smp);
void gentimer_reset(void *unused);
uint64_t gentimer_cntpct(unsigned cpu);
uint64_t gentimer_read(unsigned cpu, unsigned which, unsigned reg);
void gentimer_write(unsigned cpu, unsigned which, unsigned reg, uint64_t val);
uint64_t gentimer_cntvoff_read(unsigned cpu);
void gentimer_cntvoff_write(unsigned cpu, uint64_t val);

/* -- pmu_irq.c: one set in the process --------------------------------------------------------------- */

void pmu_irq_setup(struct gicv2 *gic);
void pmu_irq_reset(void *unused);
void pmu_irq_line(unsigned cpu, bool level, uint64_t after_ns); /* a vCPU's own thread, no locks */

/* -- primecell.c: identification registers at 0xfe0..0xfff, and devices that are little more -------- */

/* part: 12 bits; rev: bits 23..20 of the peripheral id; conf: bits 31..24. True if off is one of them. */
bool primecell_id(uint32_t off, unsigned part, unsigned rev, unsigned conf, uint32_t *val);
/* A device of which software sees the identification and that registers keep what is written to them. */
struct primecell;
struct primecell *primecell_new(unsigned part, unsigned rev);
void primecell_reset(void *dev);
extern const struct mmio_ops primecell_ops;
/* Answers every access: reads as the 32 bits that dev points to, or 0; writes are ignored. */
extern const struct mmio_ops constant_ops;

/* -- one file each ----------------------------------------------------------------------------------- */

struct pl011;
struct pl011 *pl011_new(struct irq_line irq, bool console);
void pl011_reset(void *dev);
/* LAUNCH. What is sent goes to this descriptor, line by line; for a UART that is not the console's. */
void pl011_set_output(struct pl011 *u, int fd);
/* LAUNCH. The console's input belongs to another device. */
void pl011_output_only(struct pl011 *u);
extern const struct mmio_ops pl011_ops;

struct sp804;
struct sp804 *sp804_new(struct irq_line irq);
void sp804_reset(void *dev);
extern const struct mmio_ops sp804_ops;

struct sp805;
struct sp805 *sp805_new(struct irq_line irq);
void sp805_reset(void *dev);
extern const struct mmio_ops sp805_ops;

struct sp810;
struct sp810 *sp810_new(void);
void sp810_reset(void *dev);
extern const struct mmio_ops sp810_ops;

struct pl031;
struct pl031 *pl031_new(struct irq_line irq);
void pl031_reset(void *dev);
extern const struct mmio_ops pl031_ops;

struct pl050;
struct pl050 *pl050_new(struct irq_line irq);
void pl050_reset(void *dev);
extern const struct mmio_ops pl050_ops;

struct pl180;
struct sd_card;
/* card: in the slot from now on, or NULL; stays the caller's. */
struct pl180 *pl180_new(struct irq_line irq0, struct irq_line irq1, struct sd_card *card);
/* No vCPU runs, device lock not held: ends the thread. */
void pl180_stop(struct pl180 *m);
void pl180_reset(void *dev);
extern const struct mmio_ops pl180_ops;

struct sysregs;
struct sysregs *sysregs_new(void);
void sysregs_reset(void *dev);
void sysregs_set_card(struct sysregs *s, bool read_only); /* LAUNCH: there is one in the slot */
extern const struct mmio_ops sysregs_ops;

struct i2c_bus;
struct i2c_bus *i2c_bus_new(void);
void i2c_bus_reset(void *dev);
extern const struct mmio_ops i2c_bus_ops;

#define VIRTIO_SLOT_BYTES 0x200
#define VIRTIO_SLOTS      4
struct virtio_mmio; /* all slots in one region */
struct virtio_dev;
struct virtio_mmio *virtio_mmio_new(void);
/* LAUNCH. dev: NULL for an empty slot. */
void virtio_mmio_attach(struct virtio_mmio *v, unsigned slot, struct irq_line irq, struct virtio_dev *dev);
void virtio_mmio_reset(void *dev);
extern const struct mmio_ops virtio_mmio_ops;

extern const struct mmio_ops flash_ops; /* dev: NULL */

#endif
