/*
 * gicv2_test.c — the interrupt controller, register by register and as software uses it
 */
#include "machines/fakes_testlib.h"

#include <stdlib.h>

#include "engine/base/rng.h"
#include "engine/mem/mem.h"
#include "machines/timers.h"
#include "machines/vexpress/devices.h"

#define DIST 0x1000u
#define CPU  0x2000u
#define IAR  (CPU + 0xc)
#define EOIR (CPU + 0x10)

static struct gicv2 *gic;

static void make(unsigned smp)
{
    fake_reset();
    timers_manual(0);
    free(gic);
    device_lock();
    gic = gicv2_new(smp);
    device_unlock();
    mem_add_mmio(DIST, 0x1000, &gicv2_dist_ops, gic, "dist");
    mem_add_mmio(CPU, 0x2000, &gicv2_cpu_ops, gic, "cpu");
}

/* As a program sets it up: everything on, lowest mask. */
static void make_open(unsigned smp)
{
    make(smp);
    wr(DIST, 1);
    for (unsigned cpu = 0; cpu < smp; cpu++) {
        wr_cpu((int)cpu, CPU + 4, 0xff);
        wr_cpu((int)cpu, CPU, 1);
    }
}

static void spi(unsigned n, bool level)
{
    device_lock();
    gicv2_set_spi(gic, n, level);
    device_unlock();
}

static void ppi(unsigned cpu, unsigned id, bool level)
{
    device_lock();
    gicv2_set_ppi(gic, cpu, id, level);
    device_unlock();
}

static void set_byte(uint32_t reg, unsigned id, uint8_t val)
{
    assert_true(fake_write(DIST + reg + id, 1, 0, val));
}

static void enable(unsigned id, uint8_t prio, uint8_t target)
{
    set_byte(0x400, id, prio);
    set_byte(0x800, id, target);
    wr(DIST + 0x100 + id / 32 * 4, BIT(id % 32));
}

static void identification(void **state)
{
    (void)state;
    make(4);
    assert_int_equal(rd(DIST + 4), 3 << 5 | 5);
    assert_int_equal(rd(DIST + 8), 0x43b);
    assert_int_equal(rd(CPU + 0xfc), 0x0002043b);
    static const uint8_t ids[] = {0x90, 0xb4, 0x2b, 0x00, 0x0d, 0xf0, 0x05, 0xb1};
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(rd(DIST + 0xfe0 + 4 * i), ids[i]);
    assert_int_equal(rd(DIST + 0xfd0), 4);
    assert_int_equal(rd(DIST + 0xc00), 0xaaaaaaaa);
    assert_int_equal(rd(DIST + 0xc04), 0x55540000);
    assert_int_equal(rd(DIST + 0xc08), 0x55555555);
    assert_int_equal(rd(DIST + 0x100), 0xffff); /* SGIs are always enabled */
    wr(DIST + 0x180, 0xffffffff);
    assert_int_equal(rd(DIST + 0x100), 0xffff);
    assert_int_equal(rd(IAR), 1023);
    assert_int_equal(rd(CPU + 0x14), 0xff);
}

static void registers_that_are_not_there(void **state)
{
    (void)state;
    make(2);
    wr(DIST + 0x100 + 6 * 4, 0xffffffff); /* line 192 and up */
    assert_int_equal(rd(DIST + 0x100 + 6 * 4), 0);
    wr(DIST + 0x400 + 192, 0xffffffff);
    assert_int_equal(rd(DIST + 0x400 + 192), 0);
    wr(DIST + 0x800 + 192, 0xffffffff);
    assert_int_equal(rd(DIST + 0x800 + 192), 0);
    wr(DIST + 0xc00 + 48, 0xffffffff);
    assert_int_equal(rd(DIST + 0xc00 + 48), 0);
    wr(DIST + 0x400, 0xffffffff);
    assert_int_equal(rd(DIST + 0x400), 0xf8f8f8f8); /* 32 priorities */
    wr(CPU + 4, 0xff);
    assert_int_equal(rd(CPU + 4), 0xf8);
    wr(CPU + 8, 0);
    assert_int_equal(rd(CPU + 8), 2);
}

static void targets_of_absent_cpus(void **state)
{
    (void)state;
    make(2);
    wr(DIST + 0x820, 0xffffffff);
    assert_int_equal(rd(DIST + 0x820), 0x03030303);
    wr(DIST + 0x820, 0xfc01fc02);
    assert_int_equal(rd(DIST + 0x820), 0x00010002);
    assert_int_equal(rd_cpu(0, DIST + 0x800), 0x01010101);
    assert_int_equal(rd_cpu(1, DIST + 0x800), 0x02020202);
    wr(DIST + 0xf00, 0x00ff0003); /* SGI 3 to all eight */
    assert_int_equal(rd_cpu(1, DIST + 0x200), 8);

    make(1); /* one CPU: no target registers, everything goes to it */
    wr(DIST + 0x820, 0xffffffff);
    assert_int_equal(rd(DIST + 0x820), 0);
    assert_int_equal(rd(DIST + 0x800), 0);
    make_open(1);
    wr(DIST + 0x104, 1);
    spi(0, true);
    assert_int_equal(rd(IAR), 32);
}

static void level_sensitive(void **state)
{
    (void)state;
    make_open(2);
    enable(37, 0xa0, 1);
    spi(5, true);
    assert_int_equal(fake_lines[0], LINE_IRQ);
    assert_int_equal(fake_lines[1], 0);
    assert_int_equal(rd(DIST + 0x204), BIT(5));
    assert_int_equal(rd(CPU + 0x18), 37);
    assert_int_equal(rd(IAR), 37);
    assert_int_equal(fake_lines[0], 0);
    assert_int_equal(rd(CPU + 0x14), 0xa0);
    assert_int_equal(rd(DIST + 0x304), BIT(5));
    assert_int_equal(rd(DIST + 0x204), BIT(5)); /* active and pending: the line is still up */
    assert_int_equal(rd(IAR), 1023);
    wr(EOIR, 37);
    assert_int_equal(fake_lines[0], LINE_IRQ);
    assert_int_equal(rd(IAR), 37);
    spi(5, false);
    wr(EOIR, 37);
    assert_int_equal(fake_lines[0], 0);
    assert_int_equal(rd(DIST + 0x304), 0);

    wr(DIST + 0x204, BIT(5)); /* made pending by software: until acknowledged, or cleared */
    assert_int_equal(rd(IAR), 37);
    wr(EOIR, 37);
    assert_int_equal(rd(IAR), 1023);
    wr(DIST + 0x204, BIT(5));
    wr(DIST + 0x284, BIT(5));
    assert_int_equal(rd(IAR), 1023);
    spi(5, true);
    wr(DIST + 0x284, BIT(5)); /* a line that is up stays pending */
    assert_int_equal(rd(DIST + 0x204), BIT(5));
}

static void edge_triggered(void **state)
{
    (void)state;
    make_open(1);
    enable(40, 0x80, 0);
    wr(DIST + 0xc08, 2u << (2 * 8));
    assert_int_equal(rd(DIST + 0xc08), 0x55555555 | 2u << 16);
    spi(8, true);
    assert_int_equal(rd(IAR), 40);
    spi(8, false);
    spi(8, true); /* again while active: not lost */
    assert_int_equal(fake_lines[0], 0);
    wr(EOIR, 40);
    assert_int_equal(fake_lines[0], LINE_IRQ);
    assert_int_equal(rd(IAR), 40);
    wr(EOIR, 40);
    assert_int_equal(rd(IAR), 1023); /* the line is up, but there was no edge */
    spi(8, false);
    spi(8, true);
    spi(8, false); /* an edge is remembered though the line falls */
    assert_int_equal(fake_lines[0], LINE_IRQ);
    wr(DIST + 0x284, BIT(8));
    assert_int_equal(fake_lines[0], 0);
}

static void software_interrupts(void **state)
{
    (void)state;
    make_open(4);
    wr_cpu(0, DIST + 0xf00, 2 << 16 | 5); /* list: CPU 1 */
    assert_int_equal(fake_lines[1], LINE_IRQ);
    wr_cpu(2, DIST + 0xf00, 2 << 16 | 5);
    wr_cpu(3, DIST + 0xf00, 1 << 24 | 5); /* all but itself */
    assert_int_equal(fake_lines[3], 0);
    assert_int_equal(rd_cpu(0, DIST + 0x200), BIT(5));
    assert_int_equal(rd_cpu(1, DIST + 0xf10 + 4), (1u << 0 | 1u << 2 | 1u << 3) << 8);
    /* one acknowledge for each sender */
    assert_int_equal(rd_cpu(1, IAR), 0 << 10 | 5);
    assert_int_equal(rd_cpu(1, IAR), 1023); /* the same priority does not preempt */
    wr_cpu(1, EOIR, 0 << 10 | 5);
    assert_int_equal(rd_cpu(1, IAR), 2 << 10 | 5);
    wr_cpu(1, EOIR, 2 << 10 | 5);
    assert_int_equal(rd_cpu(1, IAR), 3 << 10 | 5);
    wr_cpu(1, EOIR, 3 << 10 | 5);
    assert_int_equal(rd_cpu(1, IAR), 1023);
    assert_int_equal(fake_lines[1], 0);
    wr_cpu(2, DIST + 0xf00, 2 << 24 | 15);         /* itself */
    assert_int_equal(rd_cpu(2, IAR), 5 | 3 << 10); /* same priority: the lower number first */
    wr_cpu(2, EOIR, 5 | 3 << 10);
    assert_int_equal(rd_cpu(2, IAR), 2 << 10 | 15);

    assert_true(fake_write(DIST + 0xf20 + 7, 1, 0, 0xff));     /* SPENDSGIR: from all that exist */
    assert_int_equal(rd(DIST + 0xf24), 0x0fu << 24 | 8u << 8); /* and 5 from CPU 3 */
    assert_true(fake_write(DIST + 0xf10 + 7, 1, 0, 0x0e));
    assert_int_equal(rd(DIST + 0xf24), 0x01u << 24 | 8u << 8);
    wr(DIST + 0x200, 0xffff); /* not by ISPENDR, ICPENDR */
    wr(DIST + 0x280, 0xffff);
    assert_int_equal(rd(DIST + 0x200), BIT(5) | BIT(7));
}

static void private_lines(void **state)
{
    (void)state;
    make_open(2);
    wr_cpu(1, DIST + 0x100, BIT(27));
    assert_int_equal(rd_cpu(1, DIST + 0x100), BIT(27) | 0xffff);
    assert_int_equal(rd_cpu(0, DIST + 0x100), 0xffff);
    ppi(0, 27, true);
    ppi(1, 27, true);
    assert_int_equal(fake_lines[0], 0);
    assert_int_equal(fake_lines[1], LINE_IRQ);
    assert_int_equal(rd_cpu(1, DIST + 0xd00), BIT(27 - 16));
    assert_int_equal(rd_cpu(1, IAR), 27);
    ppi(1, 27, false);
    wr_cpu(1, EOIR, 27);
    assert_int_equal(fake_lines[1], 0);
}

static void priorities(void **state)
{
    (void)state;
    make_open(1);
    enable(32, 0xa0, 0);
    enable(33, 0x90, 0);
    enable(34, 0x50, 0);
    spi(0, true);
    assert_int_equal(rd(IAR), 32);
    spi(1, true); /* BPR 2: bits 7..3 count: 0x90 preempts 0xa0 */
    assert_int_equal(fake_lines[0], LINE_IRQ);
    assert_int_equal(rd(IAR), 33);
    assert_int_equal(rd(CPU + 0x14), 0x90);
    spi(2, true);
    assert_int_equal(rd(IAR), 34);
    assert_int_equal(rd(CPU + 0x14), 0x50);
    spi(0, false);
    spi(1, false);
    spi(2, false);
    wr(EOIR, 34);
    assert_int_equal(rd(CPU + 0x14), 0x90);
    wr(EOIR, 33);
    assert_int_equal(rd(CPU + 0x14), 0xa0);
    wr(EOIR, 32);
    assert_int_equal(rd(CPU + 0x14), 0xff);

    wr(CPU + 8, 5); /* group priority: bits 7..6; 0x90 and 0xa0 are the same, 0x50 is not */
    spi(0, true);
    assert_int_equal(rd(IAR), 32);
    assert_int_equal(rd(CPU + 0x14), 0x80);
    spi(1, true);
    assert_int_equal(fake_lines[0], 0);
    spi(2, true);
    assert_int_equal(fake_lines[0], LINE_IRQ);
    assert_int_equal(rd(IAR), 34);
    wr(EOIR, 34);
    wr(EOIR, 32);
    assert_int_equal(rd(IAR), 34);
    wr(CPU + 8, 7); /* no preemption at all, whatever the binary point was before */
    enable(35, 0, 0);
    spi(3, true);
    assert_int_equal(fake_lines[0], 0);
    wr(EOIR, 34);
    assert_int_equal(rd(IAR), 35); /* but the first one gets through */

    make_open(1);
    enable(33, 0x90, 0);
    spi(1, true);
    wr(CPU + 4, 0x90); /* only what is above the mask */
    assert_int_equal(fake_lines[0], 0);
    assert_int_equal(rd(IAR), 1023);
    assert_int_equal(rd(CPU + 0x18), 33);
    wr(CPU + 4, 0x98);
    assert_int_equal(fake_lines[0], LINE_IRQ);
    wr(DIST, 0);
    assert_int_equal(fake_lines[0], 0);
    wr(DIST, 1);
    wr(CPU, 0);
    assert_int_equal(fake_lines[0], 0);
}

static void several_targets(void **state)
{
    (void)state;
    make_open(2);
    enable(50, 0x40, 3);
    spi(18, true);
    assert_int_equal(fake_lines[0], LINE_IRQ);
    assert_int_equal(fake_lines[1], LINE_IRQ);
    assert_int_equal(rd_cpu(1, IAR), 50); /* the first takes it from the other */
    assert_int_equal(fake_lines[0], 0);
    assert_int_equal(rd_cpu(0, IAR), 1023);
    spi(18, false);
    wr_cpu(1, EOIR, 50);
    assert_int_equal(fake_lines[0] | fake_lines[1], 0);
}

static void groups_and_fiq(void **state)
{
    (void)state;
    make_open(1);
    enable(32, 0x80, 0);
    enable(33, 0x80, 0);
    wr(DIST + 0x84, BIT(1)); /* 33 in group 1 */
    wr(DIST, 3);
    wr(CPU, 3 | 8);
    spi(0, true);
    assert_int_equal(fake_lines[0], LINE_FIQ);
    assert_int_equal(rd(CPU + 0x20), 1023); /* the alias sees group 1 only */
    assert_int_equal(rd(IAR), 32);
    spi(0, false);
    wr(EOIR, 32);
    spi(1, true);
    assert_int_equal(fake_lines[0], LINE_IRQ);
    assert_int_equal(rd(IAR), 1022);
    assert_int_equal(rd(CPU + 0x18), 1022);
    assert_int_equal(rd(CPU + 0x28), 33);
    assert_int_equal(rd(CPU + 0x20), 33);
    wr(CPU + 0x24, 33);
    wr(CPU, 3 | 4);
    assert_int_equal(rd(IAR), 33); /* AckCtl */
    wr(EOIR, 33);
    wr(CPU, 1);
    assert_int_equal(fake_lines[0], 0);
}

static void separate_deactivation(void **state)
{
    (void)state;
    make_open(1);
    enable(32, 0x80, 0);
    wr(CPU, 0x201);
    spi(0, true);
    assert_int_equal(rd(IAR), 32);
    wr(EOIR, 32);
    assert_int_equal(rd(CPU + 0x14), 0xff);
    assert_int_equal(rd(DIST + 0x304), 1);
    assert_int_equal(fake_lines[0], 0); /* active still */
    wr(CPU + 0x1000, 32);
    assert_int_equal(rd(DIST + 0x304), 0);
    assert_int_equal(fake_lines[0], LINE_IRQ);
}

static void active_by_software(void **state)
{
    (void)state;
    make_open(1);
    enable(32, 0x80, 0);
    wr(DIST + 0x304, 1);
    spi(0, true);
    assert_int_equal(fake_lines[0], 0);
    wr(DIST + 0x384, 1);
    assert_int_equal(fake_lines[0], LINE_IRQ);
    wr(DIST + 0x184, 1);
    assert_int_equal(fake_lines[0], 0);
}

static void tells_only_of_changes(void **state)
{
    (void)state;
    make_open(2);
    unsigned n = fake_line_changes[0];
    enable(32, 0x80, 1);
    for (unsigned i = 0; i < 10; i++)
        spi(0, true);
    wr(DIST, 1);
    wr(CPU + 4, 0xf8);
    assert_int_equal(fake_line_changes[0], n + 1);
    assert_int_equal(fake_line_changes[1], 0);
}

static void reset_keeps_the_wires(void **state)
{
    (void)state;
    make_open(1);
    enable(32, 0x80, 0);
    spi(0, true);
    assert_int_equal(fake_lines[0], LINE_IRQ);
    device_lock();
    gicv2_reset(gic);
    device_unlock();
    assert_int_equal(fake_lines[0], 0);
    assert_int_equal(rd(DIST + 0x104), 0);
    assert_int_equal(rd(DIST + 0x204), 1);
}

/* Any access to any place by any CPU; then what must hold of every state. */
static void anything(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 1);
    for (unsigned smp = 1; smp <= 8; smp += smp < 2 ? 1 : 3) {
        make(smp);
        for (unsigned i = 0; i < 200000; i++) {
            uint64_t x = rng_u64(&r);
            unsigned size = 1u << (x & 3) % 3;
            gpa at = DIST + (x >> 2) % 0x3000;
            int cpu = (int)((x >> 20) % (smp + 1)) - 1;
            uint32_t val = (uint32_t)(x >> 32);
            at &= ~(gpa)(size - 1);
            if ((x >> 24) % 8 == 0)
                at = DIST;
            if ((x >> 24) % 8 == 1)
                at = (x >> 27) % 2 ? IAR : EOIR;
            if ((x >> 27) % 2)
                fake_read(at, size, cpu, &val);
            else
                fake_write(at, size, cpu, val);
            spi(val % 160, (x >> 28) & 1);
            ppi(val % smp, 16 + val % 16, (x >> 29) & 1);
        }
        assert_false(fake_read(DIST, 4, -1, &(uint32_t){0}));
        for (unsigned id = 32; smp > 1 && id < 192; id += 4)
            assert_int_equal(rd(DIST + 0x800 + id) & ~(0x01010101 * ((1u << smp) - 1)), 0);
        /* Whatever the state, acknowledging and ending everything leads to silence. */
        for (unsigned n = 0; n < 160; n++)
            spi(n, false);
        for (unsigned cpu = 0; cpu < smp; cpu++) {
            for (unsigned id = 16; id < 32; id++)
                ppi(cpu, id, false);
            wr_cpu((int)cpu, CPU + 0xd0, 0);
            wr_cpu((int)cpu, CPU + 4, 0xff);
            wr_cpu((int)cpu, CPU, 7);
        }
        wr(DIST, 3);
        for (unsigned w = 0; w < 6; w++)
            for (unsigned cpu = 0; cpu < smp; cpu++)
                wr_cpu((int)cpu, DIST + 0x380 + 4 * w, 0xffffffff);
        for (unsigned cpu = 0; cpu < smp; cpu++) {
            uint32_t id;
            for (unsigned n = 0; (id = rd_cpu((int)cpu, IAR)) != 1023; n++) {
                assert_true(n < 400);
                wr_cpu((int)cpu, EOIR, id);
            }
            assert_int_equal(fake_lines[cpu], 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identification),
        cmocka_unit_test(registers_that_are_not_there),
        cmocka_unit_test(targets_of_absent_cpus),
        cmocka_unit_test(level_sensitive),
        cmocka_unit_test(edge_triggered),
        cmocka_unit_test(software_interrupts),
        cmocka_unit_test(private_lines),
        cmocka_unit_test(priorities),
        cmocka_unit_test(several_targets),
        cmocka_unit_test(groups_and_fiq),
        cmocka_unit_test(separate_deactivation),
        cmocka_unit_test(active_by_software),
        cmocka_unit_test(tells_only_of_changes),
        cmocka_unit_test(reset_keeps_the_wires),
        cmocka_unit_test(anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
