/*
 * tlb_test.c — flushes of the TLB and of the flat tables, rights of domains
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "engine/ir/ir.h"
#include "engine/mem/mem_testlib.h"

#define VA TEST_VA

static struct vcpu *v;

static int setup(void **state)
{
    (void)state;
    v = test_machine_mapped();
    return 0;
}

static bool jc_has(gva pc, unsigned mode)
{
    return atomic_load(&v->jc[mode][(pc >> 1) & (JC_ENTRIES - 1)].key) == pc;
}

static void flush_by_page(void **state)
{
    (void)state;
    slow_load(v, VA, MEM_32);
    slow_store(v, VA, 0, MEM_32 | MEM_USER);
    fake_fetch(v, VA);
    slow_load(v, VA + 0x1000, MEM_32);
    fake_fetch(v, VA + 0x1000);
    jc_put(v, MMU_PRIV, VA + 0x124, NULL);
    jc_put(v, MMU_PRIV, VA + 0x1124, NULL);
    softmmu_flush_page(v, VA + 0x234);
    assert_int_equal(v->flat.load[MMU_PRIV][VA >> 12], 0);
    assert_int_equal(v->flat.store[MMU_USER][VA >> 12], 0);
    assert_int_equal(v->flat.exec[MMU_PRIV][VA >> 12], 0);
    assert_int_not_equal(v->flat.load[MMU_PRIV][(VA >> 12) + 1], 0);
    assert_int_not_equal(v->flat.exec[MMU_PRIV][(VA >> 12) + 1], 0);
    assert_false(jc_has(VA + 0x124, MMU_PRIV));
    assert_true(jc_has(VA + 0x1124, MMU_PRIV));
    tlb_consistent();
    softmmu_flush_page(v, VA + 0x234); /* once more: nothing there */
    slow_store(v, VA, 0, MEM_32);
    tlb_consistent();
}

static void flush_by_page_takes_all_of_a_larger_one(void **state)
{
    (void)state;
    static const unsigned shifts[] = {16, 20, 21, 24, 30};
    for (unsigned i = 0; i < ARRAY_SIZE(shifts); i++) {
        gva base = 0x80000000, far = shifts[i] == 16 ? 0xf000 : 0xff000;
        fake_map(MMU_PRIV, base, 0x100000, TEST_RAM, PTE_RWX | PTE_GLOBAL, shifts[i], 0);
        slow_load(v, base + far, MEM_32);
        slow_load(v, VA, MEM_32);
        softmmu_flush_page(v, base + (shifts[i] == 30 ? 0x30000000 : shifts[i] == 24 ? 0x800000 : 0));
        assert_int_equal(v->flat.load[MMU_PRIV][(base + far) >> 12], 0);
        assert_int_not_equal(v->flat.load[MMU_PRIV][VA >> 12], 0);
        tlb_consistent();
    }
}

static void flush_keeps_global(void **state)
{
    (void)state;
    fake_map_both(VA + 0x1000, 0x1000, TEST_RAM, PTE_RWX | PTE_GLOBAL);
    slow_store(v, VA, 0, MEM_32);
    slow_store(v, VA + 0x1000, 0, MEM_32);
    fake_fetch(v, VA + 0x1000);
    jc_put(v, MMU_PRIV, VA + 0x1124, NULL);
    softmmu_flush_nonglobal(v);
    assert_int_equal(v->flat.store[MMU_PRIV][VA >> 12], 0);
    assert_int_not_equal(v->flat.store[MMU_PRIV][(VA >> 12) + 1], 0);
    assert_true(jc_has(VA + 0x1124, MMU_PRIV)); /* no other exec entry: it may stay */
    tlb_consistent();
    fake_fetch(v, VA);
    softmmu_flush_nonglobal(v);
    assert_false(jc_has(VA + 0x1124, MMU_PRIV));
    softmmu_flush_all(v);
    assert_int_equal(v->flat.store[MMU_PRIV][(VA >> 12) + 1], 0);
    assert_int_equal(v->flat.exec[MMU_PRIV][(VA >> 12) + 1], 0);
    tlb_consistent();
}

static void rights_of_domains(void **state)
{
    (void)state;
    uint64_t *priv = &v->flat.load[MMU_PRIV][(VA >> 12) + 1];
    uint64_t *user = &v->flat.load[MMU_USER][(VA >> 12) + 1];
    for (unsigned mode = 0; mode < MMU_MODES; mode++)
        fake_map(mode, VA + 0x1000, 0x1000, TEST_RAM, PTE_RWX, 12, 3);
    fake_set_dacr(v, 0x55);
    slow_load(v, VA, MEM_32);
    slow_load(v, VA + 0x1000, MEM_32);
    slow_load(v, VA + 0x1000, MEM_32 | MEM_USER);
    fake_fetch(v, VA + 0x1000);
    jc_put(v, MMU_PRIV, VA + 0x1124, NULL);
    uint64_t walks = v->counters[CNT_PAGE_WALKS];

    fake_set_dacr(v, 0x15); /* no access by domain 3 */
    assert_int_not_equal(v->flat.load[MMU_PRIV][VA >> 12], 0);
    assert_int_equal(*priv, 0);
    assert_int_equal(v->flat.exec[MMU_PRIV][(VA >> 12) + 1], 0);
    assert_false(jc_has(VA + 0x1124, MMU_PRIV));
    tlb_consistent();
    assert_int_not_equal(*user, 0); /* nobody looks */
    fake_set_dacr(v, 0x55);
    softmmu_settle_user(v);
    assert_int_not_equal(*user, 0); /* it is as it was */
    slow_load(v, VA + 0x1000, MEM_32);
    assert_int_not_equal(*priv, 0);
    assert_int_equal(v->counters[CNT_PAGE_WALKS], walks); /* the entry was kept */

    fake_set_dacr(v, 0x15);
    softmmu_settle_user(v);
    assert_int_equal(*user, 0);
    fake_set_dacr(v, 0xd5); /* manager: other rights than when it was walked */
    assert_int_equal(*priv | *user, 0);
    slow_load(v, VA + 0x1000, MEM_32 | MEM_USER);
    slow_load(v, VA + 0x1000, MEM_32);
    assert_int_equal(v->counters[CNT_PAGE_WALKS], walks + 2);
    tlb_consistent();

    v->cpsr = MODE_USR;
    fake_set_dacr(v, 0x55);
    assert_int_equal(*user, 0);
    v->cpsr = MODE_SVC;
    tlb_consistent();
}

/* More pages than the TLB has entries. */
static void overflow(void **state)
{
    (void)state;
    test_machine_free();
    test_machine(1, UINT64_C(768) << 20);
    v = vcpus[0];
    for (unsigned mode = 0; mode < MMU_MODES; mode++)
        fake_map(mode, 0, 768u << 20, TEST_RAM, PTE_RWX, 12, 0);
    for (uint32_t page = 0; page < (768u << 8); page++)
        slow_load(v, page << 12, MEM_32);
    tlb_consistent();
    slow_load(v, 0x0ffffffe, MEM_32);
    tlb_consistent();
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, test_machine_teardown)
    const struct CMUnitTest tests[] = {
        T(flush_by_page), T(flush_by_page_takes_all_of_a_larger_one), T(flush_keeps_global), T(rights_of_domains),
        T(overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
