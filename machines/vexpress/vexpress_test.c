/*
 * vexpress_test.c — the board as a whole: map, power-on state, images, system registers, reset; and any access to it
 */
#include "machines/fakes_testlib.h"

#include <elf.h>
#include <stdlib.h>

#include "engine/base/rng.h"
#include "engine/mem/mem.h"
#include "machines/timers.h"
#include "machines/vexpress/vexpress.h"

#define SYS         0x1c010000u
#define DISTRIBUTOR 0x2c001000u

static struct machine m;
static struct error e;

struct tiny {
    Elf32_Ehdr h;
    Elf32_Phdr p;
    uint32_t text[4];
};

static const char *tiny_elf(uint32_t at, uint32_t entry)
{
    struct tiny f = {
        .h = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
              .e_type = ET_EXEC,
              .e_machine = EM_ARM,
              .e_version = EV_CURRENT,
              .e_entry = entry,
              .e_phoff = offsetof(struct tiny, p),
              .e_phentsize = sizeof(Elf32_Phdr),
              .e_phnum = 1},
        .p = {.p_type = PT_LOAD,
              .p_offset = offsetof(struct tiny, text),
              .p_vaddr = at,
              .p_paddr = at,
              .p_filesz = 16,
              .p_memsz = 0x2000},
        .text = {0x11111111, 0x22222222, 0x33333333, 0x44444444},
    };
    return fake_file(&f, sizeof f);
}

static struct machine_config config(void)
{
    static const char *const argv[] = {"guest.elf", NULL};
    return (struct machine_config){
        .smp = 2, .ram_bytes = UINT64_C(64) << 20, .argv = argv, .uart_fd_in = -1, .uart_fd_out = -1};
}

static void own_board(void)
{
    if (m.board)
        fake_own(m.board);
}

static bool create(struct machine_config c)
{
    timers_manual(1000000);
    fake_reset();
    m = (struct machine){.type = &vexpress_a15};
    e = (struct error){0};
    bool ok = vexpress_a15.create(&m, &c, &e);
    own_board();
    return ok;
}

static void create_tiny(void)
{
    struct machine_config c = config();
    c.image = tiny_elf(0x80010000, 0x80010004);
    if (!create(c))
        fail_msg("%s", e.text);
}

static void entry_of_an_elf(void **state)
{
    (void)state;
    struct machine_config c = config();
    uint32_t regs[16], cpsr;
    bool on;
    create_tiny();
    for (unsigned cpu = 0; cpu < 2; cpu++) {
        memset(regs, 0xff, sizeof regs);
        vexpress_a15.entry_state(&m, cpu, regs, &cpsr, &on);
        for (unsigned i = 0; i < 15; i++)
            assert_int_equal(regs[i], 0);
        assert_int_equal(regs[15], 0x80010004);
        assert_int_equal(cpsr, 0x1d3);
        assert_true(on);
    }
    c.image = tiny_elf(0x14000000, 0x14000001); /* T32, in SRAM */
    assert_true(create(c));
    vexpress_a15.entry_state(&m, 1, regs, &cpsr, &on);
    assert_int_equal(regs[15], 0x14000000);
    assert_int_equal(cpsr, 0x1f3);
}

static void entry_of_a_kernel(void **state)
{
    (void)state;
    static uint8_t kernel[5000] = {1, 2, 3};
    struct machine_config c = config();
    uint32_t regs[16], cpsr, word;
    bool on;
    c.raw = true;
    c.image = fake_file(kernel, sizeof kernel);
    assert_true(create(c));
    vexpress_a15.entry_state(&m, 0, regs, &cpsr, &on);
    assert_int_equal(regs[0], 0);
    assert_int_equal(regs[1], 2272);
    assert_int_equal(regs[2], 0);
    assert_int_equal(regs[15], 0x80010000);
    mem_read(0x80010000, &word, 4);
    assert_int_equal(word, 0x00030201);
    vexpress_a15.entry_state(&m, 1, regs, &cpsr, &on);
    assert_int_equal(regs[15], 0x14000000);
    mem_read(0x1400001c, &word, 4);
    assert_int_equal(word, 0xe320f003); /* wfi */
}

static void device_tree(void **state)
{
    (void)state;
    /* One file is both: a raw image that happens to begin like a device tree. */
    static const uint8_t dtb[64] = {0xd0, 0x0d, 0xfe, 0xed, 0, 0, 0, 64};
    struct machine_config c = config();
    uint32_t regs[16], cpsr;
    uint8_t got[64];
    bool on;
    c.raw = true;
    c.image = c.dtb = fake_file(dtb, sizeof dtb);
    assert_true(create(c));
    vexpress_a15.entry_state(&m, 0, regs, &cpsr, &on);
    assert_int_equal(regs[2], 0x83fff000); /* 64 MiB: at the end */
    mem_read(regs[2], got, sizeof got);
    assert_memory_equal(got, dtb, sizeof got);
    c.ram_bytes = UINT64_C(512) << 20;
    assert_true(create(c));
    vexpress_a15.entry_state(&m, 0, regs, &cpsr, &on);
    assert_int_equal(regs[2], 0x88000000);

    c = config();
    c.raw = true;
    c.image = c.dtb = fake_file("no tree", 7);
    assert_false(create(c));
    assert_non_null(strstr(e.text, "not a flattened device tree"));
}

static void refused(void **state)
{
    (void)state;
    struct machine_config c = config();
    c.image = tiny_elf(0x80010000, 0x80010004);
    c.smp = 9;
    assert_false(create(c));
    assert_string_equal(e.text, "vexpress-a15 has 1 to 8 CPUs, not 9");
    assert_int_equal(e.exit_code, 2);
    c.smp = 0;
    assert_false(create(c));
    static const uint64_t sizes[] = {0, 4096, (1 << 20) + 4096, UINT64_C(4) << 30, UINT64_MAX};
    c.smp = 8;
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        c.ram_bytes = sizes[i];
        assert_false(create(c));
        assert_int_equal(e.exit_code, 2);
    }
    c.ram_bytes = UINT64_C(2) << 30;
    assert_true(create(c));
    c.ram_bytes = 1 << 20;
    c.image = tiny_elf(0x80100000, 0x80100000);
    assert_false(create(c));
    assert_int_equal(e.exit_code, 1);
    assert_non_null(strstr(e.text, "RAM 0x80000000..0x800fffff"));
    c.image = "/nowhere/x.elf";
    assert_false(create(c));
}

static void identification(void **state)
{
    (void)state;
    static const struct {
        gpa base;
        uint32_t periph;
    } rows[] = {
        {0x1c020000, 0x00041810}, {0x1c040000, 0x00041041}, {0x1c050000, 0x00041180}, {0x1c060000, 0x00041050},
        {0x1c070000, 0x00041050}, {0x1c090000, 0x00141011}, {0x1c0a0000, 0x00141011}, {0x1c0b0000, 0x00141011},
        {0x1c0c0000, 0x00141011}, {0x1c0f0000, 0x00141805}, {0x1c110000, 0x00141804}, {0x1c120000, 0x00141804},
        {0x1c170000, 0x00141031}, {0x1c1f0000, 0x00241111}, {0x2b0a0000, 0x00041341}, {0x7ffd0000, 0x00041354},
    };
    create_tiny();
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        uint32_t periph = 0, component = 0;
        for (unsigned k = 0; k < 4; k++) {
            periph |= rd(rows[i].base + 0xfe0 + 4 * k) << (8 * k);
            component |= rd(rows[i].base + 0xff0 + 4 * k) << (8 * k);
        }
        assert_int_equal(periph, rows[i].periph);
        assert_int_equal(component, 0xb105f00d);
    }
    for (unsigned slot = 0; slot < 4; slot++) {
        assert_int_equal(rd(0x1c130000 + slot * 0x200), 0x74726976);
        assert_int_equal(rd(0x1c130008 + slot * 0x200), slot == 0 ? 4 : 0); /* random numbers; no disk given */
    }
    assert_false(fake_read(0x1c130800, 4, 0, &(uint32_t){0}));
    assert_int_equal(rd(0), 0xffffffff);
    assert_int_equal(rd(0x08000000), 0xffffffff);
}

static void nobody_is_there(void **state)
{
    (void)state;
    static const gpa holes[] = {0x04000000, 0x10000000, 0x1a000000, 0x1b000000, 0x1c000000,  0x1c080000, 0x1c180000,
                                0x20000000, 0x2c000000, 0x2c004000, 0x40000000, 0x100000000, 0x880000000};
    uint32_t val;
    create_tiny();
    for (unsigned i = 0; i < ARRAY_SIZE(holes); i++) {
        assert_false(fake_read(holes[i], 4, 0, &val));
        assert_false(fake_write(holes[i], 4, 0, 0));
        assert_int_equal(mem_read(holes[i], &val, 4), MEM_UNASSIGNED);
    }
}

static void system_registers(void **state)
{
    (void)state;
    create_tiny();
    assert_int_equal(rd(SYS), 0x1190f500);
    assert_int_equal(rd(SYS + 0x84), 0x14000237);
    assert_int_equal(rd(SYS + 0x5c), 0); /* from 0 */
    timers_advance(1000000000);
    assert_int_equal(rd(SYS + 0x5c), 24000000);
    assert_int_equal(rd(SYS + 0x24), 100);
    wr(SYS + 8, 0x1a5);
    assert_int_equal(rd(SYS + 8), 0xa5);
    wr(SYS + 0x30, 0x80001000);
    wr(SYS + 0x30, 0x5);
    assert_int_equal(rd(SYS + 0x30), 0x80001005);
    wr(SYS + 0x34, 0x1001);
    assert_int_equal(rd(SYS + 0x30), 0x80000004);
    wr(SYS + 0x38, 7);
    assert_int_equal(rd(SYS + 0x38), 7);
}

static void configuration(void **state)
{
    (void)state;
    create_tiny();
    wr(SYS + 0xa4, 0x80110004); /* read oscillator 4 of the tile */
    assert_int_equal(rd(SYS + 0xa8), 1);
    assert_int_equal(rd(SYS + 0xa0), 40000000);
    wr(SYS + 0xa0, 65000000);
    wr(SYS + 0xa4, 0xc0110004);
    wr(SYS + 0xa0, 0);
    wr(SYS + 0xa4, 0x80110004);
    assert_int_equal(rd(SYS + 0xa0), 65000000);
    wr(SYS + 0xa4, 0x80110003);
    assert_int_equal(rd(SYS + 0xa8), 3); /* no such oscillator */
    wr(SYS + 0xa4, 0x80210000);
    assert_int_equal(rd(SYS + 0xa0), 900000);
    wr(SYS + 0xa4, 0x83f00000);
    assert_int_equal(rd(SYS + 0xa8), 3);
    wr(SYS + 0xa4, 0x00800000); /* without the start bit nothing happens */
    assert_int_equal(fake_end.count, 0);
    wr(SYS + 0xa4, 0xc0800000);
    assert_int_equal(fake_end.count, 1);
    assert_int_equal(fake_end.how, END_SHUTDOWN);
    wr(SYS + 0xa4, 0xc0900000);
    assert_int_equal(fake_end.count, 2);
    assert_int_equal(fake_end.how, END_RESET);
}

static void interrupt_wiring(void **state)
{
    (void)state;
    create_tiny();
    wr(0x1c110000, 10);
    wr(0x1c110008, 0xa2);
    wr(0x1c120000, 10);
    wr(0x1c120008, 0xa2);
    timers_advance(20000);
    assert_int_equal(rd(DISTRIBUTOR + 0x204), BIT(2) | BIT(3));
    wr(0x1c090038, 0x20);
    wr(0x1c090000, 'x');
    wr(0x1c0c0038, 0x20);
    wr(0x1c0c0000, 'x');
    assert_int_equal(rd(DISTRIBUTOR + 0x204), BIT(2) | BIT(3) | BIT(5) | BIT(8));
    vexpress_a15.cpu_ops->timer_write(1, 3, 2, 0);
    vexpress_a15.cpu_ops->timer_write(1, 3, 0, 1);
    assert_int_equal(rd_cpu(1, DISTRIBUTOR + 0x200), BIT(27));
    assert_int_equal(vexpress_a15.cpu_ops->cntfrq_hz, 62500000);
    assert_int_equal(rd(DISTRIBUTOR + 4), 1 << 5 | 5);
}

static void reset(void **state)
{
    (void)state;
    uint32_t word = 0xffffffff;
    create_tiny();
    wr(0x1c110000, 10);
    wr(0x1c110008, 0xe2);
    wr(SYS + 0x30, 5);
    mem_write(0x80010000, &word, 4);
    mem_write(0x80010010, &word, 4); /* bss */
    timers_advance(1000000000);
    device_lock();
    vexpress_a15.reset(&m);
    device_unlock();
    mem_read(0x80010000, &word, 4);
    assert_int_equal(word, 0x11111111);
    mem_read(0x80010010, &word, 4);
    assert_int_equal(word, 0);
    assert_int_equal(rd(SYS + 0x5c), 0);
    assert_int_equal(rd(SYS + 0x30), 0);
    assert_int_equal(rd(DISTRIBUTOR + 0x204), 0);
    assert_int_equal(vexpress_a15.cpu_ops->cntpct(0), 0);
    timers_advance(1000000000);
    assert_int_equal(rd(DISTRIBUTOR + 0x204), 0);
}

/* Any access to any device, with time going on. */
static void anything(void **state)
{
    (void)state;
    const uint64_t seed = 8;
    struct rng r;
    struct machine_config c = config();
    c.smp = 4;
    c.image = tiny_elf(0x80010000, 0x80010004);
    assert_true(create(c));
    print_message("seed %" PRIu64 "\n", seed);
    rng_seed(&r, seed);
    unsigned n = fake_mmio_count();
    assert_true(n > 20);
    for (unsigned i = 0; i < 600000; i++) {
        uint64_t x = rng_u64(&r), y = rng_u64(&r);
        unsigned size = 1u << (x & 3) % 3;
        const char *name;
        gpa base;
        uint64_t bytes;
        fake_mmio_region((unsigned)(x >> 2) % n, &base, &bytes, &name);
        uint64_t off = (y >> 4) % ((y & 3) ? (bytes < 0x100 ? bytes : 0x100) : bytes) & ~(uint64_t)(size - 1);
        int cpu = (int)((x >> 12) % 5) - 1;
        uint32_t val = (uint32_t)(x >> 32);
        if ((x >> 16) % 2) {
            if (fake_read(base + off, size, cpu, &val) && size < 4)
                assert_int_equal(val >> (8 * size), 0);
        } else {
            fake_write(base + off, size, cpu, (x >> 17) % 2 ? val : val % 64);
        }
        if ((x >> 20) % 64 == 0)
            timers_advance((x >> 26) % 2 ? val % 5000 : val);
        if ((x >> 20) % 65536 == 1) {
            device_lock();
            vexpress_a15.reset(&m);
            device_unlock();
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entry_of_an_elf),  cmocka_unit_test(entry_of_a_kernel),
        cmocka_unit_test(device_tree),      cmocka_unit_test(refused),
        cmocka_unit_test(identification),   cmocka_unit_test(nobody_is_there),
        cmocka_unit_test(system_registers), cmocka_unit_test(configuration),
        cmocka_unit_test(interrupt_wiring), cmocka_unit_test(reset),
        cmocka_unit_test(anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
