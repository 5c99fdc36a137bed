/*
 * frame_flags_test.c — frames whose stores are watched: CODE, EXCL, the watched tables; and all of it at random
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

#define VA TEST_VA

static struct vcpu *v;

static int setup(void **state)
{
    (void)state;
    v = test_machine_mapped();
    return 0;
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
    tlb_consistent();
    softmmu_drop_storers(TEST_RAM);
    assert_int_equal(vcpus[1]->flat.store[MMU_PRIV][VA >> 12], 0);
    assert_true(page_set_flag(v, TEST_RAM, PAGE_CODE));
    tlb_consistent();

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
    tlb_consistent();
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
    tlb_consistent();
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
    tlb_consistent();

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
    tlb_consistent();

    /* Load-links enter pages that may be written. */
    gpa canon;
    assert_true(page_set_flag(v, TEST_RAM, PAGE_EXCL));
    softmmu_host(v, VA, 4, false, MEM_32, &canon);
    assert_int_not_equal(*mine, 0);
    fake_map(MMU_PRIV, VA, 0x1000, TEST_RAM, PTE_R, 12, 0);
    softmmu_flush_page(v, VA);
    softmmu_host(v, VA, 4, false, MEM_32, &canon);
    assert_int_equal(*mine, 0);
    tlb_consistent();
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
                fake_set_dacr(v, v->sys.dacr ^ 1u << 2 * (rand() % 4));
            break;
        case 2: fake_fetch(v, va); break;
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
            tlb_consistent();
    }
    tlb_consistent();
    if (fake)
        atomics = NULL;
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, test_machine_teardown)
    const struct CMUnitTest tests[] = {
        T(watched_frames_are_not_filled),
        T(exclusive_frames),
        T(watched_entries),
        T(a_store_under_one_flag_holds_up_the_other),
        T(soak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
