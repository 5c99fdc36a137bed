/*
 * gicv2.c — the interrupt controller of the Cortex-A15
 *
 * Source: GIC architecture v2, ARM IHI 0048B.b; what it leaves to the implementation is as in the Cortex-A15
 * MPCore TRM, ARM DDI 0438, chapter 8: 5 bits of priority, fixed configuration of the private lines,
 * identification. 160 shared lines of the 224 that the A15 can have.
 *
 * The Security Extensions are left out: each access has the view that IHI 0048B gives to an implementation
 * without them, with both groups (group 0 can be FIQ). Secure software sees what it would see with them.
 *
 * State is kept as words of 32 lines, as the registers show it: word 0 (SGI, PPI) is banked per CPU.
 * A line is pending while its latch is set, or while it is level-sensitive and up (IHI 0048B figure 4-10);
 * SGIs are pending while any source CPU's bit is set. After each change gic_update() recomputes the outputs to the
 * CPUs and tells the engine of those that changed.
 *
 * G1: outputs are a function of the state; out[] is what the engine was told last.
 * G2: bits for CPUs that are not there are never set in targets, and requests to them vanish.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "engine/base/log.h"
#include "machines/vexpress/devices.h"

#define WORDS           6
#define LINES           (32 * WORDS)
#define SPIS            (LINES - 32)
#define SPURIOUS        1023u
#define SPURIOUS_GROUP1 1022u
#define PRIORITY_MASK   0xf8u /* DDI 0438, chapter 8: 32 levels */
#define BPR_MIN         2u    /* its reset value, ibid. */
#define ABPR_MIN        3u
#define SGI_MASK        0x0000ffffu

/* GICC_CTLR, IHI 0048B 4.4.1, without Security Extensions */
#define CTLR_ENABLE   3u /* of groups 0 and 1; GICD_CTLR has the same */
#define CTLR_ACK_CTL  4u
#define CTLR_FIQ_EN   8u
#define CTLR_CBPR     0x10u
#define CTLR_EOI_MODE 0x200u
#define CTLR_MASK     0x3ffu

struct bank { /* one bit per line */
    uint32_t enabled, latch, active, level, edge, group;
};

struct cpu_if {
    uint32_t ctlr, pmr, bpr, abpr;
    uint32_t apr; /* active priorities: bit n is group priority n << 3 */
    uint32_t out; /* enum vcpu_line bits as told to the engine */
};

/* guarded by device lock */
struct gicv2 {
    unsigned smp; /* const after LAUNCH */
    uint32_t ctlr;
    struct bank local[MAX_VCPUS];
    struct bank spi[WORDS - 1];
    uint8_t local_prio[MAX_VCPUS][32];
    uint8_t spi_prio[SPIS];
    uint8_t spi_target[SPIS];
    uint8_t sgi_sources[MAX_VCPUS][16]; /* [target][id]: bit per source CPU */
    struct cpu_if cpu[MAX_VCPUS];
};

/* -- State --------------------------------------------------------------------------------------- */

static struct bank *bank_of(struct gicv2 *g, unsigned cpu, unsigned word)
{
    return word == 0 ? &g->local[cpu] : &g->spi[word - 1];
}

static uint8_t *prio_of(struct gicv2 *g, unsigned cpu, unsigned id)
{
    return id < 32 ? &g->local_prio[cpu][id] : &g->spi_prio[id - 32];
}

static uint32_t pending_word(struct gicv2 *g, unsigned cpu, unsigned word)
{
    const struct bank *b = bank_of(g, cpu, word);
    uint32_t p = b->latch | (b->level & ~b->edge);
    if (word == 0)
        for (unsigned i = 0; i < 16; i++)
            p |= (uint32_t)(g->sgi_sources[cpu][i] != 0) << i;
    return p;
}

static uint8_t all_cpus(const struct gicv2 *g)
{
    return (uint8_t)((1u << g->smp) - 1);
}

static bool targets(const struct gicv2 *g, unsigned cpu, unsigned id)
{
    /* IHI 0048B 4.3.12: with one CPU all interrupts go to it, and GICD_ITARGETSR is RAZ/WI. */
    return id < 32 || g->smp == 1 || (g->spi_target[id - 32] >> cpu & 1);
}

static unsigned group_of(struct gicv2 *g, unsigned cpu, unsigned id)
{
    return bit(bank_of(g, cpu, id / 32)->group, id % 32);
}

/* IHI 0048B 3.3.3, table 3-2: bits of the priority that count for preemption. */
static uint32_t group_priority(const struct cpu_if *c, unsigned group, uint32_t prio)
{
    if (group && !(c->ctlr & CTLR_CBPR))
        return prio & (0xffu << c->abpr) & 0xff;
    return prio & (0xfeu << c->bpr) & 0xff;
}

static uint32_t running_priority(const struct cpu_if *c)
{
    return c->apr ? (uint32_t)__builtin_ctz(c->apr) << 3 : 0xff;
}

/* The pending interrupt of highest priority among the groups (bit 0, bit 1) for cpu, or SPURIOUS; the lowest id
 * of several. Active ones do not count. */
static unsigned highest_pending(struct gicv2 *g, unsigned cpu, unsigned groups, uint32_t *prio)
{
    unsigned best = SPURIOUS;
    *prio = 0x100;
    for (unsigned w = 0; w < WORDS; w++) {
        const struct bank *b = bank_of(g, cpu, w);
        uint32_t set = b->enabled & ~b->active;
        if (!set)
            continue;
        set &= pending_word(g, cpu, w);
        set &= (groups & 1 ? ~b->group : 0) | (groups & 2 ? b->group : 0);
        for (; set; set &= set - 1) {
            unsigned id = 32 * w + (unsigned)__builtin_ctz(set);
            uint32_t p = *prio_of(g, cpu, id);
            if (p < *prio && targets(g, cpu, id)) {
                best = id;
                *prio = p;
            }
        }
    }
    return best;
}

/* The interrupt that the CPU interface signals now, or SPURIOUS. IHI 0048B 3.3 */
static unsigned signalled(struct gicv2 *g, unsigned cpu)
{
    const struct cpu_if *c = &g->cpu[cpu];
    uint32_t prio;
    unsigned id = highest_pending(g, cpu, g->ctlr & c->ctlr & CTLR_ENABLE, &prio);
    if (id == SPURIOUS || prio >= c->pmr)
        return SPURIOUS;
    /* Both sides by the binary point in use now: it may have moved since the running one was taken. */
    unsigned group = group_of(g, cpu, id);
    if (c->apr && group_priority(c, group, prio) >= group_priority(c, group, running_priority(c)))
        return SPURIOUS;
    return id;
}

static void update_cpu(struct gicv2 *g, unsigned cpu)
{
    struct cpu_if *c = &g->cpu[cpu];
    unsigned id = signalled(g, cpu);
    uint32_t out = 0;
    if (id != SPURIOUS)
        out = group_of(g, cpu, id) == 0 && (c->ctlr & CTLR_FIQ_EN) ? LINE_FIQ : LINE_IRQ;
    uint32_t changed = out ^ c->out;
    c->out = out;
    if (changed & LINE_IRQ)
        vcpu_set_line(cpu, LINE_IRQ, out & LINE_IRQ);
    if (changed & LINE_FIQ)
        vcpu_set_line(cpu, LINE_FIQ, out & LINE_FIQ);
}

static void update_all(struct gicv2 *g)
{
    for (unsigned cpu = 0; cpu < g->smp; cpu++)
        update_cpu(g, cpu);
}

static void update_for(struct gicv2 *g, unsigned cpu, unsigned id)
{
    if (id < 32)
        update_cpu(g, cpu);
    else
        update_all(g);
}

/* -- Inputs -------------------------------------------------------------------------------------- */

static void set_input(struct gicv2 *g, unsigned cpu, unsigned id, bool level)
{
    DCHECK(device_lock_held(), "interrupt input %u changed without the device lock", id);
    struct bank *b = bank_of(g, cpu, id / 32);
    uint32_t m = BIT(id % 32);
    if (!!(b->level & m) == level)
        return;
    b->level ^= m;
    if (level && (b->edge & m))
        b->latch |= m;
    update_for(g, cpu, id);
}

void gicv2_set_spi(void *gic, unsigned spi, bool level)
{
    CHECK(spi < SPIS, "SPI %u", spi);
    set_input(gic, 0, spi + 32, level);
}

void gicv2_set_ppi(void *gic, unsigned cpu, unsigned id, bool level)
{
    struct gicv2 *g = gic;
    CHECK(cpu < g->smp && id >= 16 && id < 32, "PPI %u of CPU %u", id, cpu);
    set_input(g, cpu, id, level);
}

/* -- Distributor --------------------------------------------------------------------------------- */

/* DDI 0438, chapter 8; read at 0xfd0..0xfff */
static const uint8_t dist_ids[12] = {0x04, 0, 0, 0, 0x90, 0xb4, 0x2b, 0, 0x0d, 0xf0, 0x05, 0xb1};

/* GICD_ICFGR: two bits a line, the upper one says edge; the lower reads 1 for the lines that one CPU of several
 * handles (DDI 0438, chapter 8: 0xaaaaaaaa, 0x55540000, 0x55555555...). */
static uint32_t read_config(struct gicv2 *g, unsigned reg)
{
    if (reg == 0)
        return 0xaaaaaaaa;
    if (reg == 1)
        return 0x55540000;
    uint32_t edge = bits(g->spi[reg / 2 - 1].edge, reg % 2 ? 31 : 15, reg % 2 ? 16 : 0), val = 0x55555555;
    for (unsigned i = 0; i < 16; i++)
        val |= bit(edge, i) << (2 * i + 1);
    return val;
}

static void write_config(struct gicv2 *g, unsigned reg, uint32_t val)
{
    if (reg < 2)
        return;
    struct bank *b = &g->spi[reg / 2 - 1];
    for (unsigned i = 0; i < 16; i++) {
        uint32_t m = BIT(i + (reg % 2 ? 16 : 0));
        b->edge = bit(val, 2 * i + 1) ? b->edge | m : b->edge & ~m;
    }
}

static uint32_t read_bytes4(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The word of a distributor register; off is a multiple of 4. */
static uint32_t dist_read_word(struct gicv2 *g, unsigned cpu, uint32_t off)
{
    unsigned w = (off & 0x7f) / 4; /* for registers with one bit a line */
    bool line_word = off >= 0x80 && off < 0x400;

    if (line_word && w >= WORDS)
        return 0;
    if (line_word) {
        const struct bank *b = bank_of(g, cpu, w);
        switch (off & ~UINT32_C(0x7f)) {
        case 0x080: return b->group;
        case 0x100:
        case 0x180: return b->enabled;
        case 0x200:
        case 0x280: return pending_word(g, cpu, w);
        default: return b->active; /* 0x300, 0x380 */
        }
    }
    if (off >= 0x400 && off < 0x400 + LINES)
        return read_bytes4(prio_of(g, cpu, off - 0x400));
    if (off >= 0x800 && off < 0x800 + LINES) {
        unsigned id = off - 0x800;
        if (g->smp == 1)
            return 0;
        return id < 32 ? 0x01010101u << cpu : read_bytes4(&g->spi_target[id - 32]);
    }
    if (off >= 0xc00 && off < 0xc00 + LINES / 4)
        return read_config(g, (off - 0xc00) / 4);
    if (off >= 0xd00 && off < 0xd00 + 4 * WORDS) /* GICD_PPISR, GICD_SPISRn: DDI 0438, chapter 8 */
        return w == 0 ? g->local[cpu].level >> 16 : g->spi[w - 1].level;
    if (off >= 0xf10 && off < 0xf30)
        return read_bytes4(&g->sgi_sources[cpu][off & 0xf]);
    if (off >= 0xfd0)
        return dist_ids[(off - 0xfd0) / 4];
    switch (off) {
    case 0x000: return g->ctlr;
    case 0x004: return (g->smp - 1) << 5 | (WORDS - 1);
    case 0x008: return 0x0000043b;
    default: return 0;
    }
}

static bool dist_read(void *dev, uint32_t off, unsigned size, int cpu, uint32_t *val)
{
    struct gicv2 *g = dev;
    DCHECK(device_lock_held(), "GIC read without the device lock");
    if (cpu < 0 || (unsigned)cpu >= g->smp || off > 0xfff)
        return false;
    uint32_t word = dist_read_word(g, (unsigned)cpu, off & ~3u);
    *val = word_part(word, off, size);
    return true;
}

/* Registers with a bit a line. val has only the bytes that were written, mask their bits. */
static void write_line_word(struct gicv2 *g, unsigned cpu, uint32_t reg, unsigned w, uint32_t val, uint32_t mask)
{
    struct bank *b = bank_of(g, cpu, w);
    uint32_t sgis = w == 0 ? SGI_MASK : 0;

    switch (reg) {
    case 0x080: b->group = (b->group & ~mask) | val; break;
    case 0x100: b->enabled |= val; break;
    /* SGIs stay enabled: IHI 0048B 4.3.5 leaves it to the implementation. */
    case 0x180: b->enabled &= ~val | sgis; break;
    /* SGIs become pending by GICD_SGIR and GICD_SPENDSGIR only: IHI 0048B 4.3.7. */
    case 0x200: b->latch |= val & ~sgis; break;
    case 0x280: b->latch &= ~(val & ~sgis); break;
    case 0x300: b->active |= val; break;
    default: b->active &= ~val; break; /* 0x380 */
    }
}

static void write_sgir(struct gicv2 *g, unsigned cpu, uint32_t val)
{
    unsigned id = val & 15, list;
    switch (bits(val, 25, 24)) {
    case 0: list = bits(val, 23, 16); break;
    case 1: list = ~(1u << cpu); break;
    case 2: list = 1u << cpu; break;
    default: guest_error("GICD_SGIR: reserved target filter in 0x%08" PRIx32 "; ignored", val); return;
    }
    list &= all_cpus(g);
    for (; list; list &= list - 1) {
        unsigned to = (unsigned)__builtin_ctz(list);
        g->sgi_sources[to][id] |= (uint8_t)(1u << cpu);
        update_cpu(g, to);
    }
}

static bool dist_write(void *dev, uint32_t off, unsigned size, int cpu_index, uint32_t val)
{
    struct gicv2 *g = dev;
    DCHECK(device_lock_held(), "GIC write without the device lock");
    if (cpu_index < 0 || (unsigned)cpu_index >= g->smp || off > 0xfff)
        return false;
    unsigned cpu = (unsigned)cpu_index, lane = off & 3;
    uint32_t reg = off & ~3u;

    /* Registers of one byte a line: any size is legal. */
    if ((reg >= 0x400 && reg < 0xc00) || (reg >= 0xf10 && reg < 0xf30)) {
        for (unsigned i = 0; i < size; i++) {
            uint32_t at = off + i;
            uint8_t byte = (uint8_t)(val >> (8 * i));
            if (at >= 0x400 && at < 0x400 + LINES)
                *prio_of(g, cpu, at - 0x400) = byte & PRIORITY_MASK;
            else if (at >= 0x820 && at < 0x800 + LINES)
                g->spi_target[at - 0x820] = g->smp == 1 ? 0 : byte & all_cpus(g);
            else if (at >= 0xf10 && at < 0xf20)
                g->sgi_sources[cpu][at & 0xf] &= (uint8_t)~byte;
            else if (at >= 0xf20 && at < 0xf30)
                g->sgi_sources[cpu][at & 0xf] |= byte & all_cpus(g);
        }
        update_all(g);
        return true;
    }

    uint32_t mask = (size == 4 ? UINT32_MAX : BIT(8 * size) - 1) << (8 * lane);
    val = (val << (8 * lane)) & mask;
    if (reg >= 0x80 && reg < 0x400) {
        unsigned w = (reg & 0x7f) / 4;
        if (w < WORDS)
            write_line_word(g, cpu, reg & ~0x7fu, w, val, mask);
    } else if (reg >= 0xc00 && reg < 0xc00 + LINES / 4) {
        unsigned n = (reg - 0xc00) / 4;
        write_config(g, n, (read_config(g, n) & ~mask) | val);
    } else if (reg == 0xf00) {
        if (size == 4)
            write_sgir(g, cpu, val);
        return true;
    } else if (reg == 0) {
        g->ctlr = ((g->ctlr & ~mask) | val) & CTLR_ENABLE;
    }
    update_all(g);
    return true;
}

/* -- CPU interface ------------------------------------------------------------------------------- */

/* GICC_IAR and GICC_AIAR: IHI 0048B 4.4.4, 4.4.9 */
static uint32_t acknowledge(struct gicv2 *g, unsigned cpu, bool aliased)
{
    struct cpu_if *c = &g->cpu[cpu];
    unsigned id = signalled(g, cpu);
    if (id == SPURIOUS)
        return SPURIOUS;
    unsigned group = group_of(g, cpu, id);
    if (aliased && !group)
        return SPURIOUS;
    if (!aliased && group && !(c->ctlr & CTLR_ACK_CTL))
        return SPURIOUS_GROUP1;

    struct bank *b = bank_of(g, cpu, id / 32);
    uint32_t m = BIT(id % 32), source = 0;
    c->apr |= BIT(group_priority(c, group, *prio_of(g, cpu, id)) >> 3);
    b->active |= m;
    b->latch &= ~m;
    if (id < 16) {
        source = (uint32_t)__builtin_ctz(g->sgi_sources[cpu][id]);
        g->sgi_sources[cpu][id] &= (uint8_t) ~(1u << source);
    }
    update_for(g, cpu, id);
    return source << 10 | id;
}

static void deactivate(struct gicv2 *g, unsigned cpu, unsigned id)
{
    bank_of(g, cpu, id / 32)->active &= ~BIT(id % 32);
    update_for(g, cpu, id);
}

/* GICC_EOIR and GICC_AEOIR: IHI 0048B 4.4.5, 4.4.10. Which interrupt the guest names does not matter for the
 * priority drop: the order has to be that of acknowledges reversed. */
static void end_of_interrupt(struct gicv2 *g, unsigned cpu, uint32_t val)
{
    struct cpu_if *c = &g->cpu[cpu];
    unsigned id = bits(val, 9, 0);
    if (id >= LINES) {
        if (id < SPURIOUS_GROUP1)
            guest_error("GICC_EOIR: there is no interrupt %u; ignored", id);
        return;
    }
    c->apr &= c->apr - 1;
    if (!(c->ctlr & CTLR_EOI_MODE))
        deactivate(g, cpu, id);
    update_cpu(g, cpu);
}

/* GICC_HPPIR and GICC_AHPPIR: IHI 0048B 4.4.7, 4.4.11: neither mask nor running priority matter. */
static uint32_t highest_pending_id(struct gicv2 *g, unsigned cpu, bool aliased)
{
    uint32_t prio;
    unsigned id = highest_pending(g, cpu, g->ctlr & CTLR_ENABLE, &prio);
    if (id == SPURIOUS)
        return SPURIOUS;
    unsigned group = group_of(g, cpu, id);
    if (aliased && !group)
        return SPURIOUS;
    if (!aliased && group && !(g->cpu[cpu].ctlr & CTLR_ACK_CTL))
        return SPURIOUS_GROUP1;
    return id < 16 ? (uint32_t)__builtin_ctz(g->sgi_sources[cpu][id]) << 10 | id : id;
}

static bool cpu_read(void *dev, uint32_t off, unsigned size, int cpu_index, uint32_t *val)
{
    struct gicv2 *g = dev;
    DCHECK(device_lock_held(), "GIC read without the device lock");
    if (cpu_index < 0 || (unsigned)cpu_index >= g->smp || off > 0x1fff)
        return false;
    unsigned cpu = (unsigned)cpu_index;
    const struct cpu_if *c = &g->cpu[cpu];
    uint32_t word = 0;

    switch (off & ~3u) {
    case 0x00: word = c->ctlr; break;
    case 0x04: word = c->pmr; break;
    case 0x08: word = c->bpr; break;
    case 0x0c:
        if (size == 4) /* a part of it would lose the rest */
            word = acknowledge(g, cpu, false);
        break;
    case 0x14: word = running_priority(c); break;
    case 0x18: word = highest_pending_id(g, cpu, false); break;
    case 0x1c: word = c->abpr; break;
    case 0x20:
        if (size == 4)
            word = acknowledge(g, cpu, true);
        break;
    case 0x28: word = highest_pending_id(g, cpu, true); break;
    case 0xd0: word = c->apr; break;
    case 0xfc: word = 0x0002043b; break;
    default: break;
    }
    *val = word_part(word, off, size);
    return true;
}

static bool cpu_write(void *dev, uint32_t off, unsigned size, int cpu_index, uint32_t val)
{
    struct gicv2 *g = dev;
    DCHECK(device_lock_held(), "GIC write without the device lock");
    if (cpu_index < 0 || (unsigned)cpu_index >= g->smp || off > 0x1fff)
        return false;
    unsigned cpu = (unsigned)cpu_index;
    struct cpu_if *c = &g->cpu[cpu];

    if (size != 4 && off != 0x04) {
        guest_error("GIC CPU interface: access of %u bytes at 0x%" PRIx32 "; ignored", size, off);
        return true;
    }
    switch (off) {
    case 0x00: c->ctlr = val & CTLR_MASK; break;
    case 0x04: c->pmr = val & PRIORITY_MASK; break;
    case 0x08: c->bpr = (val & 7) < BPR_MIN ? BPR_MIN : val & 7; break;
    case 0x10:
    case 0x24: end_of_interrupt(g, cpu, val); return true;
    case 0x1c: c->abpr = (val & 7) < ABPR_MIN ? ABPR_MIN : val & 7; break;
    case 0xd0: c->apr = val; break;
    case 0x1000:
        if (bits(val, 9, 0) >= LINES)
            guest_error("GICC_DIR: there is no interrupt %" PRIu32 "; ignored", bits(val, 9, 0));
        else if (c->ctlr & CTLR_EOI_MODE)
            deactivate(g, cpu, bits(val, 9, 0));
        return true;
    default: break;
    }
    update_cpu(g, cpu);
    return true;
}

/* -- Power-on ------------------------------------------------------------------------------------ */

void gicv2_reset(void *gic)
{
    struct gicv2 *g = gic;
    g->ctlr = 0;
    for (unsigned cpu = 0; cpu < MAX_VCPUS; cpu++) {
        g->local[cpu] = (struct bank){.enabled = SGI_MASK, .edge = SGI_MASK, .level = g->local[cpu].level};
        uint32_t out = g->cpu[cpu].out;
        g->cpu[cpu] = (struct cpu_if){.bpr = BPR_MIN, .abpr = ABPR_MIN, .out = out};
    }
    for (unsigned w = 0; w < WORDS - 1; w++)
        g->spi[w] = (struct bank){.level = g->spi[w].level};
    memset(g->local_prio, 0, sizeof g->local_prio);
    memset(g->spi_prio, 0, sizeof g->spi_prio);
    memset(g->spi_target, 0, sizeof g->spi_target);
    memset(g->sgi_sources, 0, sizeof g->sgi_sources);
    update_all(g);
}

struct gicv2 *gicv2_new(unsigned smp)
{
    CHECK(smp >= 1 && smp <= MAX_VCPUS, "%u CPUs", smp);
    struct gicv2 *g = calloc(1, sizeof *g);
    CHECK(g, "out of memory");
    g->smp = smp;
    gicv2_reset(g);
    return g;
}

const struct mmio_ops gicv2_dist_ops = {dist_read, dist_write};
const struct mmio_ops gicv2_cpu_ops = {cpu_read, cpu_write};
