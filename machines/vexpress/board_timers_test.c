/*
 * board_timers_test.c — generic timers, SP804, SP805 and PL031, in manual time
 */
#include "machines/fakes_testlib.h"

#include <time.h>

#include "engine/base/rng.h"
#include "engine/mem/mem.h"
#include "machines/timers.h"
#include "machines/vexpress/devices.h"

enum { SECURE_PHYS, NONSECURE_PHYS, HYP, VIRT };
enum { CTL, CVAL, TVAL };
#define T 0x10000u

static bool irq_level;
static unsigned irq_rises;

static void set_irq(void *opaque, unsigned n, bool level)
{
    (void)opaque;
    (void)n;
    assert_true(device_lock_held());
    irq_rises += level && !irq_level;
    irq_level = level;
}

static const struct irq_line irq = {set_irq, NULL, 0};

static int start(void **state)
{
    (void)state;
    fake_reset();
    timers_manual(123456789);
    irq_level = false;
    irq_rises = 0;
    return 0;
}

/* -- Generic timers ------------------------------------------------------------------------------ */

static uint32_t ppis(unsigned cpu)
{
    return rd_cpu((int)cpu, 0x1d00) << 16; /* GICD_PPISR */
}

static void make_gentimer(unsigned smp)
{
    device_lock();
    struct gicv2 *gic = fake_own(gicv2_new(smp));
    gentimer_setup(gic, smp);
    device_unlock();
    mem_add_mmio(0x1000, 0x1000, &gicv2_dist_ops, gic, "dist");
}

static void counter(void **state)
{
    (void)state;
    make_gentimer(2);
    assert_int_equal(gentimer_cntpct(0), 0);
    timers_advance(16 * 1000);
    assert_int_equal(gentimer_cntpct(1), 1000);
    timers_advance(1000000000);
    assert_int_equal(gentimer_cntpct(0), 1000 + 62500000);
    device_lock();
    gentimer_reset(NULL);
    device_unlock();
    assert_int_equal(gentimer_cntpct(0), 0);
}

static void comparators(void **state)
{
    (void)state;
    static const struct {
        unsigned which, ppi;
    } rows[] = {{SECURE_PHYS, 29}, {NONSECURE_PHYS, 30}, {HYP, 26}, {VIRT, 27}};
    make_gentimer(2);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        unsigned w = rows[i].which;
        uint32_t m = BIT(rows[i].ppi);
        gentimer_write(1, w, TVAL, 100);
        assert_int_equal(gentimer_read(1, w, CTL), 0);
        gentimer_write(1, w, CTL, 1);
        assert_int_equal(gentimer_read(1, w, TVAL), 100);
        timers_advance(99 * 16);
        assert_int_equal(ppis(1), 0);
        assert_int_equal(gentimer_read(1, w, CTL), 1);
        timers_advance(16);
        assert_int_equal(ppis(1), m);
        assert_int_equal(ppis(0), 0);
        assert_int_equal(gentimer_read(1, w, CTL), 5);
        timers_advance(160);
        assert_int_equal(gentimer_read(1, w, TVAL), (uint32_t)-10);
        gentimer_write(1, w, CTL, 3); /* masked */
        assert_int_equal(ppis(1), 0);
        assert_int_equal(gentimer_read(1, w, CTL), 7);
        gentimer_write(1, w, CTL, 1);
        assert_int_equal(ppis(1), m);
        gentimer_write(1, w, TVAL, (uint32_t)-1); /* in the past */
        assert_int_equal(ppis(1), m);
        gentimer_write(1, w, CVAL, UINT64_MAX); /* never, practically */
        assert_int_equal(ppis(1), 0);
        timers_advance(UINT64_C(3600) * 1000000000);
        assert_int_equal(ppis(1), 0);
        gentimer_write(1, w, CTL, 0);
        gentimer_write(1, w, CVAL, 0);
        assert_int_equal(ppis(1), 0);
    }
}

static void virtual_offset(void **state)
{
    (void)state;
    make_gentimer(1);
    timers_advance(16 * 1000);
    gentimer_cntvoff_write(0, 400);
    assert_int_equal(gentimer_cntvoff_read(0), 400);
    gentimer_write(0, VIRT, CVAL, 700);
    gentimer_write(0, VIRT, CTL, 1);
    assert_int_equal(gentimer_read(0, VIRT, TVAL), 100);
    timers_advance(16 * 100);
    assert_int_equal(ppis(0), BIT(27));
    gentimer_cntvoff_write(0, 500);
    assert_int_equal(ppis(0), 0);
    timers_advance(16 * 100);
    assert_int_equal(ppis(0), BIT(27));
    gentimer_cntvoff_write(0, 5000); /* the count is now huge */
    assert_int_equal(ppis(0), BIT(27));
}

/* The performance monitors' lines: now, or by an alarm that a new state sets anew. */
static void monitors(void **state)
{
    (void)state;
    device_lock();
    struct gicv2 *gic = fake_own(gicv2_new(3));
    pmu_irq_setup(gic);
    device_unlock();
    mem_add_mmio(0x1000, 0x1000, &gicv2_dist_ops, gic, "dist");
#define LINES() (rd(0x1d0c) >> 4 & 0xf) /* GICD_SPISR of 64 to 95: 68 is bit 4 */
    pmu_irq_line(1, true, UINT64_MAX);
    assert_int_equal(LINES(), 2);
    pmu_irq_line(1, false, 5000);
    pmu_irq_line(0, false, 7000);
    pmu_irq_line(2, true, 1); /* not connected */
    timers_advance(4999);
    assert_int_equal(LINES(), 0);
    timers_advance(1);
    assert_int_equal(LINES(), 2);
    pmu_irq_line(0, false, 3000);
    timers_advance(2500);
    assert_int_equal(LINES(), 2);
    pmu_irq_line(0, false, UINT64_MAX);
    timers_advance(10000);
    assert_int_equal(LINES(), 2);
    pmu_irq_line(0, false, 10);
    device_lock();
    pmu_irq_reset(NULL);
    device_unlock();
    timers_advance(100);
    assert_int_equal(LINES(), 0);
#undef LINES
}

/* -- SP804 --------------------------------------------------------------------------------------- */

static void make_sp804(void)
{
    device_lock();
    mem_add_mmio(T, 0x1000, &sp804_ops, fake_own(sp804_new(irq)), "sp804");
    device_unlock();
}

static void sp804_periodic(void **state)
{
    (void)state;
    make_sp804();
    assert_int_equal(rd(T + 8), 0x20);
    assert_int_equal(rd(T + 4), 0xffffffff);
    wr(T, 1000);
    wr(T + 8, 0xe2); /* enabled, periodic, interrupt, 32 bits */
    timers_advance(999 * 1000);
    assert_int_equal(rd(T + 4), 1);
    assert_false(irq_level);
    timers_advance(1000);
    assert_true(irq_level);
    assert_int_equal(rd(T + 0x10), 1);
    wr(T + 0xc, 0);
    assert_false(irq_level);
    timers_advance(10 * 1000 * 1000); /* ten periods without an acknowledge: one interrupt */
    assert_int_equal(irq_rises, 2);
    wr(T + 0xc, 1);
    timers_advance(1000 * 1000);
    assert_int_equal(irq_rises, 3);
    timers_advance(1000);
    wr(T + 0x18, 500); /* background load: from the next round */
    wr(T + 0xc, 1);
    timers_advance(998 * 1000);
    assert_false(irq_level);
    timers_advance(1000);
    assert_true(irq_level);
    wr(T + 0xc, 1);
    timers_advance(500 * 1000);
    assert_true(irq_level);
    wr(T + 8, 0xc2);
    assert_false(irq_level);
    assert_int_equal(rd(T + 0x10), 1);
    assert_int_equal(rd(T + 0x14), 0);
}

static void sp804_free_running(void **state)
{
    (void)state;
    make_sp804();
    wr(T + 0x20, 0xffffffff); /* the second timer */
    wr(T + 0x28, 0x82);
    timers_advance(5000 * 1000);
    assert_int_equal(rd(T + 0x24), 0xffffffff - 5000);
    wr(T + 0x20, 3);
    timers_advance(4 * 1000);
    assert_int_equal(rd(T + 0x24), 0xffffffff);
    assert_int_equal(rd(T + 0x30), 1);
    assert_false(irq_level);
    wr(T + 0x28, 0x80); /* 16 bits */
    wr(T + 0x20, 0x12340005);
    timers_advance(6 * 1000);
    assert_int_equal(rd(T + 0x24), 0xffff);
    wr(T + 0x28, 0x88); /* divided by 256 */
    wr(T + 0x20, 100);
    timers_advance(256 * 1000 * 10);
    assert_int_equal(rd(T + 0x24), 90);
    wr(T + 0x28, 0); /* stands still */
    timers_advance(1000000000);
    assert_int_equal(rd(T + 0x24), 90);
    wr(T + 0x28, 0x80); /* and goes on */
    timers_advance(1000 * 10);
    assert_int_equal(rd(T + 0x24), 80);
}

static void sp804_one_shot(void **state)
{
    (void)state;
    make_sp804();
    wr(T + 8, 0xa3);
    wr(T, 50);
    timers_advance(49 * 1000);
    assert_false(irq_level);
    timers_advance(1000000);
    assert_true(irq_level);
    assert_int_equal(rd(T + 4), 0);
    wr(T + 0xc, 1);
    timers_advance(UINT64_C(10000) * 1000000000);
    assert_false(irq_level);
    assert_int_equal(irq_rises, 1);
    wr(T, 50);
    timers_advance(50 * 1000);
    assert_true(irq_level);
}

/* -- Watchdog and clock -------------------------------------------------------------------------- */

static void watchdog(void **state)
{
    (void)state;
    device_lock();
    mem_add_mmio(T, 0x1000, &sp805_ops, fake_own(sp805_new(irq)), "sp805");
    device_unlock();
    wr(T, 32768);
    wr(T + 8, 3);
    assert_int_equal(rd(T + 4), 32768);
    timers_advance(500000000);
    assert_int_equal(rd(T + 4), 16384);
    timers_advance(500000000);
    assert_true(irq_level);
    wr(T + 0xc, 1);
    assert_false(irq_level);
    wr(T + 0xc00, 1); /* locked: cannot be switched off by accident */
    assert_int_equal(rd(T + 0xc00), 1);
    wr(T + 8, 0);
    assert_int_equal(rd(T + 8), 3);
    timers_advance(1000000000);
    assert_true(irq_level);
    assert_int_equal(fake_end.count, 0);
    timers_advance(1000000000);
    assert_int_equal(fake_end.count, 1);
    assert_int_equal(fake_end.how, END_RESET);
    timers_advance(UINT64_C(10) * 1000000000);
    assert_int_equal(fake_end.count, 1);
}

static void clock_of_the_day(void **state)
{
    (void)state;
    device_lock();
    mem_add_mmio(T, 0x1000, &pl031_ops, fake_own(pl031_new(irq)), "pl031");
    device_unlock();
    uint32_t now = (uint32_t)time(NULL);
    assert_true(rd(T) - now + 1 <= 2);
    wr(T + 8, 1000000);
    assert_int_equal(rd(T), 1000000);
    assert_int_equal(rd(T + 8), 1000000);
    wr(T + 0x10, 1);
    wr(T + 4, 1000010);
    timers_advance(UINT64_C(9999999999));
    assert_false(irq_level);
    timers_advance(1);
    assert_true(irq_level);
    assert_int_equal(rd(T), 1000010);
    assert_int_equal(rd(T + 0x18), 1);
    wr(T + 0x1c, 1);
    assert_false(irq_level);
    wr(T + 4, 1000000); /* has passed: after a round of 136 years */
    timers_advance(UINT64_C(1000) * 1000000000);
    assert_false(irq_level);
    wr(T + 4, 1001010);
    assert_int_equal(rd(T), 1001010);
    assert_true(irq_level);
}

/* Any access at any time: the counters stay within their arithmetic. */
static void anything(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 3);
    make_sp804();
    device_lock();
    mem_add_mmio(T + 0x1000, 0x1000, &sp805_ops, fake_own(sp805_new(irq)), "sp805");
    mem_add_mmio(T + 0x2000, 0x1000, &pl031_ops, fake_own(pl031_new(irq)), "pl031");
    device_unlock();
    make_gentimer(2);
    for (unsigned i = 0; i < 300000; i++) {
        uint64_t x = rng_u64(&r);
        uint32_t val = (uint32_t)(x >> 32);
        if ((x >> 8) % 3 == 0)
            val %= 300;
        gpa at = T + ((x >> 12) % 3 << 12) + ((x >> 16) % 0x40 & ~3u);
        if (x % 2)
            wr(at, val);
        else
            rd(at);
        gentimer_write((x >> 1) % 2, (x >> 2) % 4, (x >> 4) % 3, (x >> 8) % 5 ? val : rng_u64(&r));
        if ((x >> 24) % 5 == 0)
            timers_advance((x >> 28) % 2 ? val : val % 20000);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, start)
    const struct CMUnitTest tests[] = {
        TEST(counter),          TEST(comparators),        TEST(virtual_offset), TEST(monitors),
        TEST(sp804_periodic),   TEST(sp804_free_running), TEST(sp804_one_shot), TEST(watchdog),
        TEST(clock_of_the_day), TEST(anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
