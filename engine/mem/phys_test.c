/*
 * phys_test.c — the physical map: regions, aliases, devices, what a store from outside does
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "engine/mem/mem_testlib.h"

static struct {
    uint32_t off, val;
    unsigned size, reads, writes;
    int cpu;
    bool refuse;
} dev;

static bool dev_read(void *d, uint32_t off, unsigned size, int cpu, uint32_t *val)
{
    assert_ptr_equal(d, &dev);
    dev.off = off, dev.size = size, dev.cpu = cpu, dev.reads++;
    *val = dev.val;
    return !dev.refuse;
}

static bool dev_write(void *d, uint32_t off, unsigned size, int cpu, uint32_t val)
{
    assert_ptr_equal(d, &dev);
    dev.off = off, dev.size = size, dev.cpu = cpu, dev.writes++, dev.val = val;
    return !dev.refuse;
}

static const struct mmio_ops ops = {dev_read, dev_write};

static int setup(void **state)
{
    (void)state;
    memset(&dev, 0, sizeof(dev));
    test_machine(1, TEST_RAM_BYTES);
    mem_add_mmio(0x1c090000, 0x1000, &ops, &dev, "uart");
    mem_add_mmio(0x1c0a0000, 0x100, &ops, &dev, "small");
    mem_add_mmio(0x2000000000, 0x400000, &ops, &dev, "big");
    return 0;
}

static void find_regions(void **state)
{
    (void)state;
    gpa canon = 1;
    uint8_t *first = mem_ram_ptr(TEST_RAM, &canon);
    assert_non_null(first);
    assert_int_equal(canon, TEST_RAM);
    assert_ptr_equal(mem_ram_ptr(TEST_RAM + TEST_RAM_BYTES - 1, &canon), first + TEST_RAM_BYTES - 1);
    assert_null(mem_ram_ptr(TEST_RAM + TEST_RAM_BYTES, &canon));
    assert_null(mem_ram_ptr(TEST_RAM - 1, NULL));
    assert_null(mem_ram_ptr(0x1c090000, NULL));
    assert_null(mem_ram_ptr(TEST_RAM | UINT64_C(1) << 40, NULL));
    assert_null(mem_ram_ptr(UINT64_MAX, NULL));
    assert_int_equal(mem_ram_bytes(), TEST_RAM_BYTES);
    assert_null(page_state(0x1c090000));
}

static void alias_is_the_same_ram(void **state)
{
    (void)state;
    gpa canon = 0;
    assert_ptr_equal(mem_ram_ptr(0x12345, &canon), mem_ram_ptr(TEST_RAM + 0x12345, NULL));
    assert_int_equal(canon, TEST_RAM + 0x12345);
    assert_ptr_equal(page_state(0x12345), page_state(TEST_RAM + 0x12345));
    assert_null(mem_ram_ptr(1u << 20, NULL)); /* the alias is shorter than the RAM */

    uint32_t x = 0xdeadbeef, y = 0;
    assert_int_equal(mem_write(0x2000, &x, 4), MEM_OK);
    assert_int_equal(mem_read(TEST_RAM + 0x2000, &y, 4), MEM_OK);
    assert_int_equal(y, x);
}

static void long_and_odd_copies(void **state)
{
    (void)state;
    uint8_t in[10000], out[10000];
    for (unsigned i = 0; i < sizeof(in); i++)
        in[i] = (uint8_t)(i * 7 + (i >> 8));
    for (unsigned at = 0; at < 9; at++) {
        memset(out, 0, sizeof(out));
        assert_int_equal(mem_write(TEST_RAM + 0xff0 + at, in, sizeof(in) - at), MEM_OK);
        assert_int_equal(mem_read(TEST_RAM + 0xff0 + at, out, sizeof(out) - at), MEM_OK);
        assert_memory_equal(in, out, sizeof(in) - at);
    }
    assert_int_equal(mem_write(TEST_RAM + TEST_RAM_BYTES - 4, in, 8), MEM_UNASSIGNED);
    assert_int_equal(mem_read(TEST_RAM + TEST_RAM_BYTES, out, 4), MEM_UNASSIGNED);
}

static void devices(void **state)
{
    (void)state;
    uint32_t x = 0;
    dev.val = 0x55;
    assert_int_equal(mem_mmio_read(0x1c090018, 4, 0, &x), MEM_OK);
    assert_int_equal(x, 0x55);
    assert_int_equal(dev.off, 0x18);
    assert_int_equal(dev.cpu, 0);
    assert_int_equal(mem_mmio_write(0x20003ffffe, 2, 3, 0x1234), MEM_OK);
    assert_int_equal(dev.off, 0x3ffffe);
    assert_int_equal(dev.val, 0x1234);
    assert_int_equal(mem_mmio_read(0x1c0a00fc, 4, 0, &x), MEM_OK);
    assert_int_equal(mem_mmio_read(0x1c0a0100, 4, 0, &x), MEM_UNASSIGNED); /* behind its end in its page */
    assert_int_equal(mem_mmio_read(0x1c091000, 4, 0, &x), MEM_UNASSIGNED);
    dev.refuse = true;
    assert_int_equal(mem_mmio_write(0x1c090000, 4, 0, 1), MEM_UNASSIGNED);
    dev.refuse = false;
    x = 7;
    assert_int_equal(mem_write(0x1c090004, &x, 4), MEM_OK);
    assert_int_equal(dev.cpu, -1);
    assert_int_equal(dev.val, 7);
    assert_int_equal(mem_write(0x1c090004, &x, 3), MEM_UNASSIGNED);
    assert_int_equal(mem_write(0x1c090002, &x, 4), MEM_UNASSIGNED);
}

static void stores_from_outside_kill_translations(void **state)
{
    (void)state;
    uint64_t x = 1;
    mem_write(TEST_RAM + 0x1000, &x, 4);
    assert_int_equal(fake_code_stores, 0);
    assert_true(page_set_flag(NULL, TEST_RAM + 0x1000, PAGE_CODE));
    mem_write(0x1ffc, &x, 8); /* through the alias; half of it on the next page */
    assert_int_equal(fake_code_stores, 1);
    page_clear_flag(TEST_RAM + 0x1000, PAGE_CODE);
    mem_write(0x1ffc, &x, 8);
    assert_int_equal(fake_code_stores, 1);
}

static unsigned lines;

static void line(const char *text)
{
    (void)text;
    lines++;
}

static void map_as_text(void **state)
{
    (void)state;
    mem_print_map(line);
    assert_int_equal(lines, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(find_regions, setup, test_machine_teardown),
        cmocka_unit_test_setup_teardown(alias_is_the_same_ram, setup, test_machine_teardown),
        cmocka_unit_test_setup_teardown(long_and_odd_copies, setup, test_machine_teardown),
        cmocka_unit_test_setup_teardown(devices, setup, test_machine_teardown),
        cmocka_unit_test_setup_teardown(stores_from_outside_kill_translations, setup, test_machine_teardown),
        cmocka_unit_test_setup_teardown(map_as_text, setup, test_machine_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
