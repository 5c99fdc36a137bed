/*
 * softmmu_test.c — slow paths, fills of the flat tables, fetches
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "engine/ir/ir.h"
#include "engine/mem/mem_testlib.h"

static struct vcpu *v;

static struct {
    uint32_t off[4], val[4];
    unsigned size, n;
    bool refuse;
} dev;

static bool dev_read(void *d, uint32_t off, unsigned size, int cpu, uint32_t *val)
{
    (void)d, (void)cpu;
    dev.size = size;
    dev.off[dev.n++ & 3] = off;
    *val = 0x1000 + off;
    return !dev.refuse;
}

static bool dev_write(void *d, uint32_t off, unsigned size, int cpu, uint32_t val)
{
    (void)d, (void)cpu;
    dev.size = size;
    dev.off[dev.n & 3] = off;
    dev.val[dev.n++ & 3] = val;
    return !dev.refuse;
}

static const struct mmio_ops ops = {dev_read, dev_write};

#define DEV 0x1c090000u
#define VA  0x00400000u

static int setup(void **state)
{
    (void)state;
    memset(&dev, 0, sizeof(dev));
    test_machine(2, TEST_RAM_BYTES);
    mem_add_mmio(DEV, 0x1000, &ops, NULL, "dev");
    fake_map_both(VA, 0x10000, TEST_RAM, PTE_RWX);
    fake_map_both(DEV, 0x1000, DEV, PTE_R | PTE_W | PTE_GLOBAL);
    v = vcpus[0];
    return 0;
}

static uint64_t diff(gpa pa, gva va)
{
    return (uint64_t)(uintptr_t)mem_ram_ptr(pa, NULL) - va;
}

static void fills(void **state)
{
    (void)state;
    slow_store(v, VA + 0x10, 0x12345678, MEM_32);
    assert_int_equal(v->flat.store[MMU_PRIV][VA >> 12], diff(TEST_RAM, VA));
    assert_int_equal(v->flat.load[MMU_PRIV][VA >> 12], 0);
    assert_int_equal(slow_load(v, VA + 0x10, MEM_32), 0x12345678);
    assert_int_equal(v->flat.load[MMU_PRIV][VA >> 12], diff(TEST_RAM, VA));
    assert_int_equal(slow_load(v, VA + 0x11, MEM_8), 0x56);
    assert_int_equal(slow_load(v, VA + 0x12, MEM_16 | MEM_USER), 0x1234);
    assert_int_equal(v->flat.load[MMU_USER][VA >> 12], diff(TEST_RAM, VA));
    assert_int_equal(v->flat.store[MMU_USER][VA >> 12], 0);
    slow_store(v, VA + 0x20, 0x80, MEM_8);
    assert_int_equal(slow_load(v, VA + 0x20, MEM_8 | MEM_SIGNED), 0xffffff80);
    slow_store(v, VA + 0x20, 0x8000, MEM_16);
    assert_int_equal(slow_load(v, VA + 0x20, MEM_16 | MEM_SIGNED), 0xffff8000);
    slow_store64(v, VA + 0x28, 0x1122334455667788, MEM_64);
    assert_int_equal(slow_load64(v, VA + 0x28, MEM_64), 0x1122334455667788);
    assert_int_equal(atomic_load(page_state(TEST_RAM)), 1); /* vCPU 0 may store */
    tlb_consistent();
}

static void mode_follows_cpsr(void **state)
{
    (void)state;
    fake_map(MMU_USER, VA, 0x1000, TEST_RAM, PTE_R, 12, 0);
    v->cpsr = MODE_USR;
    TRY(v, slow_store(v, VA, 1, MEM_32));
    assert_int_equal(fake_abort.kind, ABORT_DATA);
    assert_true(fake_abort.write);
    assert_int_equal(fake_abort.fsr, 0xf);
    v->cpsr = MODE_SVC;
    TRY(v, slow_store(v, VA, 1, MEM_32 | MEM_USER));
    assert_int_equal(fake_abort.kind, ABORT_DATA);
    TRY(v, slow_store(v, VA, 1, MEM_32));
    assert_int_equal(fake_abort.kind, ABORT_NONE);
    tlb_consistent();
}

static void rights_are_walked_again(void **state)
{
    (void)state;
    fake_map_both(VA, 0x1000, TEST_RAM, PTE_R);
    slow_load(v, VA, MEM_32);
    TRY(v, slow_store(v, VA, 1, MEM_32));
    assert_int_equal(fake_abort.kind, ABORT_DATA);
    fake_map_both(VA, 0x1000, TEST_RAM, PTE_R | PTE_W | PTE_GLOBAL);
    TRY(v, slow_store(v, VA, 1, MEM_32));
    assert_int_equal(fake_abort.kind, ABORT_NONE);
    tlb_consistent();
    uint64_t walks = v->counters[CNT_PAGE_WALKS];
    slow_load(v, VA, MEM_32);
    assert_int_equal(v->counters[CNT_PAGE_WALKS], walks);
}

static void across_pages(void **state)
{
    (void)state;
    slow_store(v, VA + 0xffe, 0xaabbccdd, MEM_32);
    assert_int_equal(slow_load(v, VA + 0xffe, MEM_32), 0xaabbccdd);
    assert_int_equal(slow_load(v, VA + 0x1000, MEM_16), 0xaabb);
    slow_store64(v, VA + 0x1ffd, 0x0102030405060708, MEM_64);
    assert_int_equal(slow_load64(v, VA + 0x1ffd, MEM_64), 0x0102030405060708);

    fake_map_both(VA + 0x4000, 0x1000, TEST_RAM, PTE_R);
    TRY(v, slow_store(v, VA + 0x3ffe, 0x11112222, MEM_32));
    assert_int_equal(fake_abort.kind, ABORT_DATA);
    assert_int_equal(fake_abort.va, VA + 0x4000);
    assert_int_equal(slow_load(v, VA + 0x3ffe, MEM_16), 0); /* nothing was stored */
    fake_map_both(VA + 0x4000, 0x1000, TEST_RAM, 0);
    softmmu_flush_page(v, VA + 0x4000);
    TRY(v, slow_load(v, VA + 0x3ffd, MEM_32));
    assert_int_equal(fake_abort.kind, ABORT_DATA);
    assert_int_equal(fake_abort.va, VA + 0x4000);
    assert_int_equal(fake_abort.fsr, 7);

    /* The end of the address space goes on at its beginning. */
    fake_map_both(0xfffff000, 0x1000, TEST_RAM, PTE_RWX);
    fake_map_both(0, 0x1000, TEST_RAM + 0x1000, PTE_RWX);
    slow_store(v, 0xfffffffe, 0x55667788, MEM_32);
    assert_int_equal(slow_load(v, 0, MEM_16), 0x5566);
    tlb_consistent();
}

static void alignment(void **state)
{
    (void)state;
    TRY(v, slow_load(v, VA + 2, MEM_32 | MEM_ALIGN));
    assert_int_equal(fake_abort.kind, ABORT_ALIGNMENT);
    TRY(v, slow_load64(v, VA + 4, MEM_64 | MEM_ALIGN4));
    assert_int_equal(fake_abort.kind, ABORT_NONE);
    TRY(v, slow_store64(v, VA + 2, 0, MEM_64 | MEM_ALIGN4));
    assert_int_equal(fake_abort.kind, ABORT_ALIGNMENT);
    assert_true(fake_abort.write);

    /* RAM as device memory: aligned only, and never in the flat tables. */
    fake_map_both(VA + 0x5000, 0x1000, TEST_RAM + 0x5000, PTE_RWX | PTE_DEVICE);
    TRY(v, slow_store(v, VA + 0x5001, 0, MEM_16));
    assert_int_equal(fake_abort.kind, ABORT_ALIGNMENT);
    TRY(v, slow_store(v, VA + 0x5002, 9, MEM_16));
    TRY(v, slow_load(v, VA + 0x5002, MEM_16));
    assert_int_equal(fake_abort.kind, ABORT_NONE);
    assert_int_equal(v->flat.load[MMU_PRIV][(VA + 0x5000) >> 12], 0);
    assert_int_equal(v->flat.store[MMU_PRIV][(VA + 0x5000) >> 12], 0);
    TRY(v, slow_load(v, VA + 0x4ffe, MEM_32)); /* half of it */
    assert_int_equal(fake_abort.kind, ABORT_ALIGNMENT);
    gpa canon;
    TRY(v, softmmu_host(v, VA + 4, 8, true, MEM_64, &canon));
    assert_int_equal(fake_abort.kind, ABORT_ALIGNMENT);
}

static void device_access(void **state)
{
    (void)state;
    assert_int_equal(slow_load(v, DEV + 0x18, MEM_32), 0x1018);
    assert_int_equal(slow_load(v, DEV + 0x1a, MEM_16), 0x101a);
    assert_int_equal(dev.size, 2);
    slow_store(v, DEV + 3, 0xabcd, MEM_8);
    assert_int_equal(dev.val[2], 0xcd);
    dev.n = 0;
    assert_int_equal(slow_load64(v, DEV + 0x20, MEM_64), UINT64_C(0x102400001020));
    assert_int_equal(dev.n, 2);
    TRY(v, slow_load(v, DEV + 2, MEM_32));
    assert_int_equal(fake_abort.kind, ABORT_ALIGNMENT);
    dev.refuse = true;
    TRY(v, slow_store(v, DEV + 4, 1, MEM_32));
    assert_int_equal(fake_abort.kind, ABORT_EXTERNAL);
    assert_int_equal(fake_abort.va, DEV + 4);
    fake_map_both(0x30000000, 0x1000, 0x30000000, PTE_RWX);
    TRY(v, slow_load(v, 0x30000000, MEM_32)); /* nothing is there */
    assert_int_equal(fake_abort.kind, ABORT_EXTERNAL);
    assert_int_equal(v->flat.load[MMU_PRIV][DEV >> 12], 0);
    gpa canon;
    assert_null(softmmu_host(v, DEV, 4, false, MEM_32, &canon));
    tlb_consistent();
}

static void multiple(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 16; i++)
        v->mbuf[i] = i + 100;
    slow_stm(v, VA + 0xfe0, 16);
    memset(v->mbuf, 0, sizeof(v->mbuf));
    slow_ldm(v, VA + 0xfe0, 16);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(v->mbuf[i], i + 100);
    fake_map_both(VA + 0x7000, 0x1000, TEST_RAM, PTE_R);
    TRY(v, slow_stm(v, VA + 0x6ff8, 3));
    assert_int_equal(fake_abort.kind, ABORT_DATA);
    assert_int_equal(fake_abort.va, VA + 0x7000);
    assert_int_equal(slow_load(v, VA + 0x6ff8, MEM_32), 0);
    TRY(v, slow_stm(v, VA + 0x6ff8, 2));
    assert_int_equal(fake_abort.kind, ABORT_NONE);
    TRY(v, slow_ldm(v, VA + 2, 2));
    assert_int_equal(fake_abort.kind, ABORT_ALIGNMENT);
    tlb_consistent();
}

static void fetches(void **state)
{
    (void)state;
    gpa canon;
    const uint8_t *host;
    fake_map_both(VA + 0x3000, 0x1000, 0x4000, PTE_R | PTE_X); /* through the alias */
    assert_true(softmmu_fetch(v, VA + 0x3abc, true, &canon, &host));
    assert_int_equal(canon, TEST_RAM + 0x4000);
    assert_ptr_equal(host, mem_ram_ptr(TEST_RAM + 0x4000, NULL));
    assert_int_equal(v->flat.exec[MMU_PRIV][(VA + 0x3000) >> 12], (TEST_RAM + 0x4000) >> 12 << 1 | 1);
    fake_map_both(VA + 0x2000, 0x1000, TEST_RAM, PTE_R | PTE_W);
    assert_false(softmmu_fetch(v, VA + 0x2000, false, &canon, &host));
    TRY(v, softmmu_fetch(v, VA + 0x2000, true, &canon, &host));
    assert_int_equal(fake_abort.kind, ABORT_PREFETCH);
    fake_map_both(VA + 0x2000, 0x1000, DEV, PTE_RWX);
    assert_false(softmmu_fetch(v, VA + 0x2000, false, &canon, &host));
    TRY(v, softmmu_fetch(v, VA + 0x2000, true, &canon, &host));
    assert_int_equal(fake_abort.fsr, 8);
    tlb_consistent();
}

static void debugger_access(void **state)
{
    (void)state;
    uint32_t x = 0x01020304, y = 0;
    fake_map_both(VA + 0x1000, 0x1000, TEST_RAM + 0x1000, PTE_R); /* read-only */
    assert_true(softmmu_debug_write(v, VA + 0xffe, &x, 4));
    assert_true(softmmu_debug_read(v, VA + 0xffe, &y, 4));
    assert_int_equal(x, y);
    assert_false(softmmu_debug_read(v, 0x70000000, &y, 4));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, test_machine_teardown)
    const struct CMUnitTest tests[] = {
        T(fills),    T(mode_follows_cpsr), T(rights_are_walked_again), T(across_pages), T(alignment), T(device_access),
        T(multiple), T(fetches),           T(debugger_access),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
