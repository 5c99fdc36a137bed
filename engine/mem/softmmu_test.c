/*
 * softmmu_test.c — slow paths, fills and flushes of the flat tables
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#include "engine/ir/ir.h"
#include "engine/mem/mem_testlib.h"
#include "strategies/atomics/atomics.h"

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
    fake_machine(2, TEST_RAM_BYTES);
    mem_add_mmio(DEV, 0x1000, &ops, NULL, "dev");
    fake_map_both(VA, 0x10000, TEST_RAM, PTE_RWX);
    fake_map_both(DEV, 0x1000, DEV, PTE_R | PTE_W | PTE_GLOBAL);
    v = vcpus[0];
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_machine_free();
    return 0;
}

static void consistent(void)
{
    for (unsigned i = 0; i < nvcpus; i++) {
        const char *wrong = tlb_verify(vcpus[i]);
        if (wrong)
            fail_msg("vCPU %u: %s", i, wrong);
    }
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
    consistent();
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
    consistent();
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
    consistent();
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
    consistent();
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
    consistent();
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
    consistent();
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
    consistent();
}

static bool jc_has(gva pc, unsigned mode)
{
    return atomic_load(&v->jc[mode][(pc >> 1) & (JC_ENTRIES - 1)].key) == pc;
}

static void fetch(gva va)
{
    gpa canon;
    const uint8_t *host;
    assert_true(softmmu_fetch(v, va, true, &canon, &host));
}

static void flush_by_page(void **state)
{
    (void)state;
    slow_load(v, VA, MEM_32);
    slow_store(v, VA, 0, MEM_32 | MEM_USER);
    fetch(VA);
    slow_load(v, VA + 0x1000, MEM_32);
    fetch(VA + 0x1000);
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
    consistent();
    softmmu_flush_page(v, VA + 0x234); /* once more: nothing there */
    slow_store(v, VA, 0, MEM_32);
    consistent();
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
        consistent();
    }
}

static void flush_keeps_global(void **state)
{
    (void)state;
    fake_map_both(VA + 0x1000, 0x1000, TEST_RAM, PTE_RWX | PTE_GLOBAL);
    slow_store(v, VA, 0, MEM_32);
    slow_store(v, VA + 0x1000, 0, MEM_32);
    fetch(VA + 0x1000);
    jc_put(v, MMU_PRIV, VA + 0x1124, NULL);
    softmmu_flush_nonglobal(v);
    assert_int_equal(v->flat.store[MMU_PRIV][VA >> 12], 0);
    assert_int_not_equal(v->flat.store[MMU_PRIV][(VA >> 12) + 1], 0);
    assert_true(jc_has(VA + 0x1124, MMU_PRIV)); /* no other exec entry: it may stay */
    consistent();
    fetch(VA);
    softmmu_flush_nonglobal(v);
    assert_false(jc_has(VA + 0x1124, MMU_PRIV));
    softmmu_flush_all(v);
    assert_int_equal(v->flat.store[MMU_PRIV][(VA >> 12) + 1], 0);
    assert_int_equal(v->flat.exec[MMU_PRIV][(VA >> 12) + 1], 0);
    consistent();
}

static void set_dacr(uint32_t dacr)
{
    uint32_t old = v->sys.dacr;
    v->sys.dacr = dacr;
    softmmu_dacr_changed(v, old);
}

static void rights_of_domains(void **state)
{
    (void)state;
    uint64_t *priv = &v->flat.load[MMU_PRIV][(VA >> 12) + 1];
    uint64_t *user = &v->flat.load[MMU_USER][(VA >> 12) + 1];
    for (unsigned mode = 0; mode < MMU_MODES; mode++)
        fake_map(mode, VA + 0x1000, 0x1000, TEST_RAM, PTE_RWX, 12, 3);
    set_dacr(0x55);
    slow_load(v, VA, MEM_32);
    slow_load(v, VA + 0x1000, MEM_32);
    slow_load(v, VA + 0x1000, MEM_32 | MEM_USER);
    fetch(VA + 0x1000);
    jc_put(v, MMU_PRIV, VA + 0x1124, NULL);
    uint64_t walks = v->counters[CNT_PAGE_WALKS];

    set_dacr(0x15); /* no access by domain 3 */
    assert_int_not_equal(v->flat.load[MMU_PRIV][VA >> 12], 0);
    assert_int_equal(*priv, 0);
    assert_int_equal(v->flat.exec[MMU_PRIV][(VA >> 12) + 1], 0);
    assert_false(jc_has(VA + 0x1124, MMU_PRIV));
    consistent();
    assert_int_not_equal(*user, 0); /* nobody looks */
    set_dacr(0x55);
    softmmu_settle_user(v);
    assert_int_not_equal(*user, 0); /* it is as it was */
    slow_load(v, VA + 0x1000, MEM_32);
    assert_int_not_equal(*priv, 0);
    assert_int_equal(v->counters[CNT_PAGE_WALKS], walks); /* the entry was kept */

    set_dacr(0x15);
    softmmu_settle_user(v);
    assert_int_equal(*user, 0);
    set_dacr(0xd5); /* manager: other rights than when it was walked */
    assert_int_equal(*priv | *user, 0);
    slow_load(v, VA + 0x1000, MEM_32 | MEM_USER);
    slow_load(v, VA + 0x1000, MEM_32);
    assert_int_equal(v->counters[CNT_PAGE_WALKS], walks + 2);
    consistent();

    v->cpsr = MODE_USR;
    set_dacr(0x55);
    assert_int_equal(*user, 0);
    v->cpsr = MODE_SVC;
    consistent();
}

static void watched_frames_are_not_filled(void **state)
{
    (void)state;
    /* Two virtual pages and an alias of one frame. */
    fake_map_both(VA + 0x8000, 0x1000, TEST_RAM, PTE_RWX | PTE_GLOBAL);
    fake_map_both(VA + 0x9000, 0x1000, 0, PTE_RWX);
    slow_store(v, VA, 1, MEM_32);
    slow_store(v, VA + 0x8000, 1, MEM_32 | MEM_USER);
    slow_store(v, VA + 0x9000, 1, MEM_32);
    slow_store(v, VA + 0x1000, 1, MEM_32);
    slow_store(vcpus[1], VA, 1, MEM_32);
    assert_int_equal(atomic_load(page_state(TEST_RAM)), 3);

    assert_false(page_set_flag(v, TEST_RAM, PAGE_CODE)); /* vCPU 1 may store */
    assert_int_equal(v->flat.store[MMU_PRIV][VA >> 12], 0);
    assert_int_equal(v->flat.store[MMU_USER][(VA + 0x8000) >> 12], 0);
    assert_int_equal(v->flat.store[MMU_PRIV][(VA + 0x9000) >> 12], 0);
    assert_int_not_equal(v->flat.store[MMU_PRIV][(VA + 0x1000) >> 12], 0);
    assert_int_not_equal(vcpus[1]->flat.store[MMU_PRIV][VA >> 12], 0);
    consistent();
    softmmu_drop_storers(TEST_RAM);
    assert_int_equal(vcpus[1]->flat.store[MMU_PRIV][VA >> 12], 0);
    assert_true(page_set_flag(v, TEST_RAM, PAGE_CODE));
    consistent();

    slow_store(v, VA + 0x9004, 0x77, MEM_32);
    assert_int_equal(fake_code_stores, 1);
    assert_int_equal(v->flat.store[MMU_PRIV][(VA + 0x9000) >> 12], 0);
    assert_int_equal(slow_load(v, VA + 4, MEM_32), 0x77);
    assert_int_equal(atomic_load(page_state(TEST_RAM)), PAGE_CODE);
    slow_store(v, VA + 0xffe, 0x12345678, MEM_32); /* one half on the watched frame */
    assert_int_equal(fake_code_stores, 2);

    page_clear_flag(TEST_RAM, PAGE_CODE);
    slow_store(v, VA, 2, MEM_32);
    assert_int_not_equal(v->flat.store[MMU_PRIV][VA >> 12], 0);
    consistent();
}

static unsigned excl_stores;

static void excl_store(struct vcpu *w, gpa canon, uint8_t *host, const void *val, size_t bytes)
{
    (void)w;
    excl_stores++;
    uint32_t word = atomic_load(page_state(canon));
    assert_int_equal(word & PAGE_BUSY, w && (word & PAGE_CODE) ? 1u << 24 : 0);
    if (w)
        assert_int_equal(word & PAGE_XSTORERS, 1u << 16); /* from the first store on */
    host_store(host, val, bytes);
}

static void exclusive_frames(void **state)
{
    (void)state;
    static const struct atomics_ops ops = {.store = excl_store};
    if (atomics)
        skip(); /* the whole program is linked in */
    atomics = &ops;
    excl_stores = 0;
    assert_true(page_set_flag(NULL, TEST_RAM, PAGE_EXCL));
    slow_store(v, VA + 8, 5, MEM_32);
    assert_int_equal(excl_stores, 1);
    uint32_t x = 6;
    mem_write(TEST_RAM + 8, &x, 4);
    assert_int_equal(excl_stores, 2);
    mem_write(TEST_RAM + 0x1000, &x, 4);
    assert_int_equal(excl_stores, 2);
    assert_int_equal(slow_load(v, VA + 8, MEM_32), 6);
    page_set_flag(NULL, TEST_RAM, PAGE_CODE);
    slow_store(v, VA + 8, 5, MEM_32);
    assert_int_equal(excl_stores, 3);
    assert_int_equal(fake_code_stores, 1);
    assert_int_equal(atomic_load(page_state(TEST_RAM)), PAGE_CODE | PAGE_EXCL | 1u << 16);
    atomics = NULL;
}

static unsigned watched_stores;
static size_t watched_bytes;

static void store_watched(struct vcpu *w, uint8_t *host, const void *val, size_t bytes)
{
    assert_non_null(w);
    watched_stores++;
    watched_bytes = bytes;
    host_store(host, val, bytes);
}

static void first_store(struct vcpu *w, gpa canon, uint8_t *host, const void *val, size_t bytes)
{
    (void)w, (void)canon;
    host_store(host, val, bytes);
}

static const struct atomics_ops watching = {.store = first_store, .store_watched = store_watched};

static void watched_entries(void **state)
{
    (void)state;
    if (atomics)
        skip(); /* the whole program is linked in */
    struct vcpu *w = vcpus[1];
    uint64_t *mine = &v->flat.watched[MMU_PRIV][VA >> 12], *other = &w->flat.watched[MMU_PRIV][VA >> 12];
    atomics = &watching;
    watched_stores = 0;

    slow_store(w, VA, 1, MEM_32);
    assert_false(page_set_flag(v, TEST_RAM, PAGE_EXCL));
    slow_store(v, VA, 2, MEM_32);
    assert_int_equal(*mine, 0); /* vCPU 1 is a plain storer still */
    softmmu_drop_storers(TEST_RAM);
    assert_true(page_set_flag(v, TEST_RAM, PAGE_EXCL));

    slow_store(v, VA, 3, MEM_32);
    slow_store(w, VA, 3, MEM_32);
    slow_store(v, VA, 3, MEM_8 | MEM_USER);
    assert_int_not_equal(*mine, 0);
    assert_int_equal(*other, *mine);
    assert_int_not_equal(v->flat.watched[MMU_USER][VA >> 12], 0);
    assert_int_equal(v->flat.store[MMU_PRIV][VA >> 12] | w->flat.store[MMU_PRIV][VA >> 12], 0);
    assert_int_equal(watched_stores, 0);
    consistent();
    uint32_t word = atomic_load(page_state(TEST_RAM));
    slow_store(v, VA + 4, 4, MEM_32);
    slow_store64(w, VA + 8, 5, MEM_64);
    assert_int_equal(watched_stores, 2);
    assert_int_equal(atomic_load(page_state(TEST_RAM)), word); /* no write to it: its line stays shared */
    assert_int_equal(slow_load(v, VA + 4, MEM_32), 4);
    for (unsigned i = 0; i < 5; i++)
        v->mbuf[i] = 0x100 + i;
    slow_stm(v, VA + 0x1c, 5);
    assert_int_equal(watched_stores, 3);
    assert_int_equal(watched_bytes, 20);
    assert_int_equal(slow_load(v, VA + 0x2c, MEM_32), 0x104);
    slow_stm(v, VA + 0xffc, 2); /* the second word lies elsewhere */
    assert_int_equal(slow_load(v, VA + 0x1000, MEM_32), 0x101);
    slow_store(v, VA + 0xffe, 0xabcd1234, MEM_32);
    assert_int_equal(slow_load(v, VA + 0xffe, MEM_32), 0xabcd1234);
    TRY(v, slow_stm(v, VA + 0x22, 2));
    assert_int_equal(fake_abort.kind, ABORT_ALIGNMENT);

    /* Translations: the own entries go at once, the other's when all stand still; until then CODE is not relied on. */
    assert_false(page_set_flag(v, TEST_RAM, PAGE_CODE));
    assert_int_equal(*mine | v->flat.watched[MMU_USER][VA >> 12], 0);
    assert_int_not_equal(*other, 0);
    softmmu_drop_storers(TEST_RAM);
    assert_int_equal(*other, 0);
    assert_true(page_set_flag(v, TEST_RAM, PAGE_CODE));
    slow_store(v, VA, 6, MEM_32);
    assert_int_equal(fake_code_stores, 1);
    assert_int_equal(*mine, 0);
    page_clear_flag(TEST_RAM, PAGE_CODE);
    consistent();

    slow_store(v, VA, 7, MEM_32);
    assert_int_not_equal(*mine, 0);
    softmmu_flush_page(v, VA);
    assert_int_equal(*mine, 0);
    slow_store(v, VA, 7, MEM_32);
    assert_int_not_equal(*mine, 0);
    softmmu_unwatch(TEST_RAM);
    assert_int_equal(*mine, 0);
    assert_int_equal(atomic_load(page_state(TEST_RAM)), 0);
    slow_store(v, VA, 8, MEM_32);
    assert_int_not_equal(v->flat.store[MMU_PRIV][VA >> 12], 0);
    consistent();

    /* Load-links enter pages that may be written. */
    gpa canon;
    assert_true(page_set_flag(v, TEST_RAM, PAGE_EXCL));
    softmmu_host(v, VA, 4, false, MEM_32, &canon);
    assert_int_not_equal(*mine, 0);
    fake_map(MMU_PRIV, VA, 0x1000, TEST_RAM, PTE_R, 12, 0);
    softmmu_flush_page(v, VA);
    softmmu_host(v, VA, 4, false, MEM_32, &canon);
    assert_int_equal(*mine, 0);
    consistent();
    atomics = NULL;
}

static void a_store_under_one_flag_holds_up_the_other(void **state)
{
    (void)state;
    page_set_flag(NULL, TEST_RAM, PAGE_CODE);
    assert_int_equal(page_store_begin(v, TEST_RAM), PAGE_CODE);
    assert_false(page_set_flag(vcpus[1], TEST_RAM, PAGE_EXCL));
    assert_false(page_set_flag(vcpus[1], TEST_RAM, PAGE_EXCL)); /* nor for a second watcher */
    page_store_end(v, TEST_RAM);
    assert_false(page_set_flag(vcpus[1], TEST_RAM, PAGE_EXCL));
    softmmu_drop_storers(TEST_RAM);
    assert_true(page_set_flag(vcpus[1], TEST_RAM, PAGE_EXCL));
    /* One that saw both flags holds nobody up. */
    assert_int_equal(page_store_begin(v, TEST_RAM), PAGE_CODE | PAGE_EXCL);
    assert_true(page_set_flag(vcpus[1], TEST_RAM, PAGE_EXCL));
    page_store_end(v, TEST_RAM);
    assert_int_equal(atomic_load(page_state(TEST_RAM)), PAGE_CODE | PAGE_EXCL);
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

/* More pages than the TLB has entries. */
static void overflow(void **state)
{
    (void)state;
    fake_machine_free();
    fake_machine(1, UINT64_C(768) << 20);
    v = vcpus[0];
    for (unsigned mode = 0; mode < MMU_MODES; mode++)
        fake_map(mode, 0, 768u << 20, TEST_RAM, PTE_RWX, 12, 0);
    for (uint32_t page = 0; page < (768u << 8); page++)
        slow_load(v, page << 12, MEM_32);
    consistent();
    slow_load(v, 0x0ffffffe, MEM_32);
    consistent();
}

/* Random maps, accesses and flushes against a model: an access after the right flush sees the present map. */
static void soak(void **state)
{
    (void)state;
    uint32_t seed = 20250113;
    bool fake = !atomics;
    if (fake)
        atomics = &watching;
    print_message("seed %u\n", seed);
    srand(seed);
    unsigned where[16];
    for (unsigned p = 0; p < 16; p++)
        where[p] = p;
    for (unsigned i = 0; i < 256; i++) {
        uint32_t x = i;
        mem_write(TEST_RAM + i * 0x1000, &x, 4);
    }
    for (unsigned n = 0; n < 20000; n++) {
        unsigned p = (unsigned)rand() % 16;
        gva va = VA + p * 0x1000;
        switch (rand() % 10) {
        case 0: {
            where[p] = 16 + (unsigned)rand() % 64;
            bool global = rand() % 2;
            for (unsigned mode = 0; mode < MMU_MODES; mode++)
                fake_map(mode, va, 0x1000, TEST_RAM + where[p] * 0x1000, PTE_RWX | (global ? PTE_GLOBAL : 0), 12,
                         (unsigned)rand() % 4);
            if (rand() % 4)
                softmmu_flush_page(v, va);
            else
                softmmu_flush_all(v);
            break;
        }
        case 1:
            if (rand() % 2)
                softmmu_flush_nonglobal(v);
            else
                set_dacr(v->sys.dacr ^ 1u << 2 * (rand() % 4));
            break;
        case 2: fetch(va); break;
        case 3: page_set_flag(v, TEST_RAM + where[p] * 0x1000, PAGE_CODE); break;
        case 4: page_clear_flag(TEST_RAM + where[p] * 0x1000, PAGE_CODE); break;
        case 5: page_set_flag(v, TEST_RAM + where[p] * 0x1000, PAGE_EXCL); break;
        case 6:
            if (!(rand() % 3))
                softmmu_unwatch(TEST_RAM + where[p] * 0x1000);
            break;
        case 7: slow_store(v, va + 8, n, MEM_32 | (rand() % 2 ? MEM_USER : 0)); break;
        default: assert_int_equal(slow_load(v, va, MEM_32 | (rand() % 2 ? MEM_USER : 0)), where[p]);
        }
        uint32_t word = atomic_load(page_state(TEST_RAM + where[p] * 0x1000));
        if (word & (PAGE_CODE | PAGE_EXCL))
            assert_int_equal(v->flat.store[MMU_PRIV][va >> 12] | v->flat.store[MMU_USER][va >> 12], 0);
        if ((word & PAGE_CODE) || !(word & PAGE_EXCL))
            assert_int_equal(v->flat.watched[MMU_PRIV][va >> 12] | v->flat.watched[MMU_USER][va >> 12], 0);
        if (n % 4000 == 0)
            consistent();
    }
    consistent();
    if (fake)
        atomics = NULL;
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(fills),
        T(mode_follows_cpsr),
        T(rights_are_walked_again),
        T(across_pages),
        T(alignment),
        T(device_access),
        T(multiple),
        T(fetches),
        T(flush_by_page),
        T(flush_by_page_takes_all_of_a_larger_one),
        T(flush_keeps_global),
        T(rights_of_domains),
        T(watched_frames_are_not_filled),
        T(exclusive_frames),
        T(watched_entries),
        T(a_store_under_one_flag_holds_up_the_other),
        T(debugger_access),
        T(overflow),
        T(soak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
