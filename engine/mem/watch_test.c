/*
 * watch_test.c — watchpoints: which accesses are seen, before anything of them is done; and a debugger's look at memory
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#include "engine/ir/ir.h"
#include "engine/mem/mem_testlib.h"
#include "engine/mem/peek.h"
#include "engine/mem/watch.h"
#include "engine/sync/sync.h"
#include "strategies/atomics/atomics.h"

#define VA  0x00400000u
#define DEV 0x1c090000u

static struct vcpu *v;
static struct {
    unsigned n;
    gva addr;
    enum watch_kind kind;
} hit;

static void on_hit(struct vcpu *who, gva addr, enum watch_kind kind)
{
    hit.n++;
    hit.addr = addr;
    hit.kind = kind;
    longjmp(who->leave, 1);
}

static int setup(void **state)
{
    (void)state;
    test_machine(2, TEST_RAM_BYTES);
    mem_add_mmio(DEV, 0x1000, &test_device, NULL, "dev");
    fake_map_both(VA, 0x3000, TEST_RAM, PTE_RWX);
    fake_map_both(DEV, 0x1000, DEV, PTE_R | PTE_W);
    v = vcpus[0];
    watch_hit = on_hit;
    return 0;
}

static bool set(gva va, uint32_t bytes, enum watch_kind kind)
{
    quiesce_begin(NULL);
    bool ok = watch_set(va, bytes, kind);
    quiesce_end(NULL);
    return ok;
}

static int teardown(void **state)
{
    (void)state;
    quiesce_begin(NULL);
    watch_clear_all();
    quiesce_end(NULL);
    watch_hit = NULL;
    test_machine_free();
    return 0;
}

/* Did the expression hit? */
#define HITS(expr)                            \
 ({                                           \
memset(&hit, 0, sizeof hit);                   \
TRY(v, expr);                                  \
assert_int_equal(fake_abort.kind, ABORT_NONE); \
hit.n == 1;                                    \
 })

static void accesses(void **state)
{
    (void)state;
    slow_store(v, VA + 0x10c, 7, MEM_32);
    assert_true(set(VA + 0x108, 4, WATCH_WRITE));
    assert_true(set(VA + 0x208, 4, WATCH_READ));
    assert_true(set(VA + 0x308, 4, WATCH_ACCESS));
    /* Writes. */
    assert_true(HITS(slow_store(v, VA + 0x108, 1, MEM_32)) && hit.addr == VA + 0x108 && hit.kind == WATCH_WRITE);
    assert_true(HITS(slow_store(v, VA + 0x10b, 1, MEM_8)) && hit.addr == VA + 0x10b);
    assert_true(HITS(slow_store(v, VA + 0x106, 1, MEM_32)) && hit.addr == VA + 0x108);
    assert_true(HITS(slow_store64(v, VA + 0x100 + 4, 1, MEM_64)) && hit.addr == VA + 0x108);
    assert_false(HITS(slow_store(v, VA + 0x10c, 7, MEM_32)));
    assert_false(HITS(slow_store(v, VA + 0x107, 0, MEM_8)));
    assert_false(HITS(slow_load(v, VA + 0x108, MEM_32)));
    assert_false(HITS(slow_store(v, VA + 0x208, 0, MEM_32)));
    /* Reads. */
    assert_true(HITS(slow_load(v, VA + 0x20a, MEM_16)) && hit.addr == VA + 0x20a && hit.kind == WATCH_READ);
    assert_true(HITS(slow_load64(v, VA + 0x208, MEM_64)));
    assert_true(HITS(slow_load(v, VA + 0x308, MEM_8)) && hit.kind == WATCH_ACCESS);
    assert_true(HITS(slow_store(v, VA + 0x308, 0, MEM_8)) && hit.kind == WATCH_ACCESS);
    /* Several words: all or nothing. */
    for (unsigned i = 0; i < 4; i++)
        v->mbuf[i] = 0x55;
    assert_true(HITS(slow_stm(v, VA + 0x100, 4)) && hit.addr == VA + 0x108);
    assert_int_equal(slow_load(v, VA + 0x100, MEM_32), 0);
    assert_false(HITS(slow_stm(v, VA + 0xf8, 4)));
    assert_true(HITS(slow_ldm(v, VA + 0x200, 3)) && hit.addr == VA + 0x208);
    /* Exclusives and their like. */
    gpa canon;
    assert_true(HITS(softmmu_host(v, VA + 0x108, 4, true, MEM_32, &canon)));
    assert_false(HITS(softmmu_host(v, VA + 0x108, 4, false, MEM_32, &canon)));
    assert_true(HITS(softmmu_host(v, VA + 0x208, 4, false, MEM_32, &canon)));
    /* Nothing of all that was stored, and nothing is on a fast way. */
    assert_int_equal(*(uint32_t *)(void *)mem_ram_ptr(TEST_RAM + 0x108, NULL), 0);
    for (unsigned m = 0; m < MMU_MODES; m++)
        assert_true(!v->flat.load[m][VA >> 12] && !v->flat.store[m][VA >> 12] && !v->flat.watched[m][VA >> 12]);
    assert_null(tlb_verify(v));
}

static void pages(void **state)
{
    (void)state;
    slow_store(v, VA + 0x1000, 1, MEM_32); /* its entry is dropped by what follows */
    assert_true(set(VA + 0x1000, 4, WATCH_WRITE));
    assert_true(HITS(slow_store(v, VA + 0x1000, 1, MEM_32)));
    /* From the page before, which itself stays fast. */
    assert_true(HITS(slow_store(v, VA + 0xffe, 1, MEM_32)) && hit.addr == VA + 0x1000);
    v->mbuf[0] = v->mbuf[1] = 3;
    assert_true(HITS(slow_stm(v, VA + 0xffc, 2)));
    assert_int_equal(slow_load(v, VA + 0xffc, MEM_32), 0);
    slow_store(v, VA + 0xffc, 1, MEM_32);
    slow_load(v, VA + 0xffc, MEM_32);
    assert_true(v->flat.store[MMU_PRIV][VA >> 12] && v->flat.load[MMU_PRIV][VA >> 12]);
    /* All of it gone: fast again. */
    quiesce_begin(NULL);
    watch_clear(VA + 0x1000, 4, WATCH_WRITE);
    watch_clear(VA + 0x1000, 4, WATCH_WRITE);
    quiesce_end(NULL);
    assert_false(HITS(slow_store(v, VA + 0x1000, 1, MEM_32)));
    assert_true(v->flat.store[MMU_PRIV][(VA >> 12) + 1]);
    /* A device is watched as well, and sees nothing of what is stopped. */
    assert_true(set(DEV + 4, 4, WATCH_ACCESS));
    assert_true(HITS(slow_load(v, DEV + 4, MEM_32)));
    assert_true(HITS(slow_store(v, DEV + 4, 1, MEM_32)));
    assert_int_equal(test_device_touched, 0);
    assert_false(HITS(slow_load(v, DEV, MEM_32)));
    assert_int_equal(test_device_touched, 1);
}

static void bounds(void **state)
{
    (void)state;
    assert_false(set(VA, 0, WATCH_WRITE));
    assert_false(set(VA, WATCH_BYTES + 1, WATCH_WRITE));
    assert_false(set(UINT32_MAX, 2, WATCH_WRITE));
    assert_true(set(UINT32_MAX, 1, WATCH_WRITE));
    assert_true(set(VA, WATCH_BYTES, WATCH_WRITE));
    assert_true(HITS(slow_store(v, VA + 0x2ffc, 1, MEM_32)));
    for (unsigned i = 2; i < WATCHES; i++)
        assert_true(set(0x1000 * i, 1, WATCH_READ));
    assert_false(set(0x100, 1, WATCH_READ));
    assert_true(set(VA, WATCH_BYTES, WATCH_WRITE)); /* stands already */
}

static void looks(void **state)
{
    (void)state;
    uint8_t buf[16] = {0};
    fake_map_both(VA + 0x3000, 0x1000, TEST_RAM + 0x3000, PTE_X); /* neither read nor written by the guest */
    quiesce_begin(NULL);
    /* The fake walk does not tell where a forbidden page lies. */
    assert_false(mem_poke(v, VA + 0x2ffc, "12345678", 8));
    assert_int_equal(mem_peek(v, VA + 0x2ffc, buf, 8), 4);
    assert_int_equal(buf[0], 0); /* nothing of it was written */
    assert_true(mem_poke(v, VA + 0xffc, "12345678", 8));
    assert_int_equal(mem_peek(v, VA + 0xffc, buf, 8), 8);
    assert_memory_equal(buf, "12345678", 8);
    assert_int_equal(mem_peek(v, DEV, buf, 4), 0);
    assert_false(mem_poke(v, DEV, buf, 4));
    assert_int_equal(mem_peek(v, 0x5000, buf, 4), 0);
    assert_false(mem_poke(v, 0x5000, buf, 4));
    assert_int_equal(test_device_touched, 0);
    /* A page with translations: they die. */
    page_set_flag(NULL, TEST_RAM, PAGE_CODE);
    unsigned stores = fake_code_stores;
    assert_true(mem_poke(v, VA + 0x20, "abcd", 4));
    assert_true(fake_code_stores > stores);
    quiesce_end(NULL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(accesses), T(pages), T(bounds), T(looks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
