/*
 * claims_test.c — each scheme is held to what its `gives` says, by calls of its hooks
 *
 * A machine of two vCPUs whose hooks are called one after the other from this thread, so that every interleaving is the
 * one written down here. A claim that does not hold fails; so does a busted row whose claims all hold.
 * What needs running guests is in guests_test.py.
 */
#include <pthread.h>
#include <time.h>

#include "engine/sync/rcu.h"
#include "engine/tb/code.h"
#include "strategies/atomics/atomics_testlib.h"
#include "strategies/axes.h"
#include "strategies/tb-cache/tb_cache.h"
#include "strategies/tb-lifetime/tb_lifetime.h"

#define RAM   TEST_RAM
#define CELL  ((gva)RAM + 0x5008)
#define ALIAS ((gva)0x5008)
#define OLD   UINT64_C(0x1122334455667788)
#define NEW   UINT64_C(0x99aabbccddeeff00)

/* -- The machine ------------------------------------------------------------------------------------------------------- */

/* A plain store as translated code does it: by the flat table, else the slow path. */
static void plain(unsigned i, gva va, uint64_t val, uint32_t mem)
{
    unsigned bytes = 1u << (mem & MEM_SIZE);
    uint64_t entry = vcpus[i]->flat.store[MMU_PRIV][va >> 12];
    if (entry)
        host_store((uint8_t *)(uintptr_t)(entry + va), &val, bytes);
    else if (bytes == 8)
        AS(i, slow_store64(v, va, val, mem));
    else
        AS(i, slow_store(v, va, (uint32_t)val, mem));
}

static uint64_t peek(void)
{
    uint64_t val;
    assert_int_equal(mem_read(CELL & ~7u, &val, 8), MEM_OK);
    return val;
}

static void begin_case(void)
{
    test_atomics_up(2);
    uint64_t val = OLD;
    assert_int_equal(mem_write(CELL & ~7u, &val, 8), MEM_OK);
    /* Both have stored here before: what is fast is fast. */
    for (unsigned i = 0; i < 2; i++) {
        plain(i, CELL + 0x100, 1, MEM_32);
        plain(i, ALIAS + 0x100, 1, MEM_32);
    }
}

/* -- Atomics: one function a guarantee, true when it holds ----------------------------------------------------------- */

static const uint32_t sizes[] = {MEM_8, MEM_16, MEM_32, MEM_64};

/* A pair with something in between that must break it; for each size of the pair. */
static bool breaks(void (*between)(uint32_t mem))
{
    bool holds = true;
    for (unsigned s = 0; s < ARRAY_SIZE(sizes); s++)
        for (unsigned warm = 0; warm < 2; warm++) {
            begin_case();
            if (warm) /* the frame is watched already */
                load_link(1, CELL, MEM_32);
            load_link(0, CELL, sizes[s]);
            between(sizes[s]);
            uint64_t before = peek();
            bool stored = store_cond(0, CELL, NEW, sizes[s]);
            holds &= !stored && peek() == before;
            test_atomics_down();
        }
    return holds;
}

static void aba(uint32_t mem)
{
    plain(1, CELL, NEW, mem);
    plain(1, CELL, OLD, mem);
}

static void aba_by_exclusives(uint32_t mem)
{
    load_link(1, CELL, mem);
    assert_true(store_cond(1, CELL, NEW, mem));
    load_link(1, CELL, mem);
    assert_true(store_cond(1, CELL, OLD, mem));
}

static void same_byte(uint32_t mem)
{
    (void)mem;
    plain(1, CELL, OLD & 0xff, MEM_8);
}

static void same_double(uint32_t mem)
{
    (void)mem;
    plain(1, CELL & ~7u, OLD, MEM_64);
}

static void by_device(uint32_t mem)
{
    (void)mem;
    uint64_t same = OLD;
    mem_write(CELL & ~UINT64_C(7), &same, 8);
}

static void by_device_bytes(uint32_t mem)
{
    (void)mem;
    uint8_t page[4096];
    mem_read(RAM + 0x5000, page, sizeof page);
    mem_write(RAM + 0x5000, page, sizeof page);
}

static void by_alias(uint32_t mem)
{
    plain(1, ALIAS, OLD, mem);
}

static void by_alias_exclusive(uint32_t mem)
{
    load_link(1, ALIAS, mem);
    assert_true(store_cond(1, ALIAS, OLD, mem));
}

static bool holds_aba(void)
{
    return breaks(aba) && breaks(aba_by_exclusives);
}

static bool holds_plain_stores(void)
{
    return breaks(same_byte) && breaks(same_double);
}

static bool holds_device_stores(void)
{
    return breaks(by_device) && breaks(by_device_bytes);
}

static bool holds_aliases(void)
{
    return breaks(by_alias) && breaks(by_alias_exclusive);
}

/* Two vCPUs that only try exclusives, in every order of their four steps: one of them stores. */
static bool holds_progress(void)
{
    static const char *const orders[] = {"aAbB", "abAB", "abBA", "baAB", "baBA", "bBaA"};
    bool holds = true;
    for (unsigned o = 0; o < ARRAY_SIZE(orders); o++) {
        begin_case();
        bool any = false;
        for (const char *p = orders[o]; *p; p++) {
            unsigned i = (*p | 0x20) == 'b';
            if (*p >= 'a')
                load_link(i, CELL, MEM_32);
            else
                any |= store_cond(i, CELL, NEW + o, MEM_32);
        }
        holds &= any;
        test_atomics_down();
    }
    return holds;
}

static bool holds_wakes_wfe(void)
{
    begin_case();
    load_link(0, CELL, MEM_32);
    bool before = vcpu_take_event(vcpus[0]);
    plain(1, CELL, NEW, MEM_32);
    bool woken = !before && vcpu_take_event(vcpus[0]);
    test_atomics_down();
    return woken;
}

static bool holds_no_stop(void)
{
    begin_case();
    load_link(0, CELL, MEM_32);
    plain(1, CELL, OLD, MEM_32);
    store_cond(0, CELL, NEW, MEM_32);
    bool none = test_stops == 0;
    test_atomics_down();
    return none;
}

/* What every scheme must do, whatever it claims. */
static bool pairs_work(void)
{
    bool ok = true;
    for (unsigned s = 0; s < ARRAY_SIZE(sizes); s++) {
        begin_case();
        uint64_t mask = ~UINT64_C(0) >> (64 - (8u << s));
        ok &= (load_link(0, CELL, sizes[s]) & mask) == (OLD & mask);
        ok &= store_cond(0, CELL, NEW, sizes[s]);
        ok &= peek() == ((OLD & ~mask) | (NEW & mask));
        ok &= !store_cond(0, CELL, OLD, sizes[s]); /* the reservation is used up */
        load_link(0, CELL, sizes[s]);
        clear_monitor(0);
        ok &= !store_cond(0, CELL, OLD, sizes[s]);
        ok &= peek() == ((OLD & ~mask) | (NEW & mask));
        test_atomics_down();
    }
    return ok;
}

/* -- Blocks: what the tb-cache and tb-lifetime schemes claim ------------------------------------------------------------------ */

static _Atomic int step;

static void wait_for_step(int n)
{
    while (atomic_load(&step) < n)
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

static void *second_generator(void *unused)
{
    (void)unused;
    tb_cache->generate_begin(vcpus[1]);
    atomic_store(&step, 1);
    tb_cache->generate_end(vcpus[1]);
    return NULL;
}

/* Can vCPU 1 begin while vCPU 0 is at it? Who keeps what it claims has the time that a busy host may need to start
 * a thread. */
static bool holds_parallel_gen(void)
{
    struct error e = {0};
    pthread_t t;
    test_machine(2, 1 << 20);
    assert_true(code_memory_init(4 << 20, &e) && tb_cache->launch(1, &e));
    atomic_store(&step, 0);
    tb_cache->generate_begin(vcpus[0]);
    assert_int_equal(pthread_create(&t, NULL, second_generator, NULL), 0);
    unsigned limit_ms = (tb_cache->head.gives & GIVES(PARALLEL_GEN)) && !tb_cache->head.busted ? 60000 : 500;
    for (unsigned ms = 0; ms < limit_ms && !atomic_load(&step); ms++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    bool at_once = atomic_load(&step);
    tb_cache->generate_end(vcpus[0]);
    pthread_join(t, NULL);
    tb_cache->shutdown();
    code_memory_free();
    test_machine_free();
    return at_once;
}

/* T4 of tb.h: who found a block before it died may look at it until its own safepoint. */
static void *reader(void *unused)
{
    (void)unused;
    rcu_thread_enter();
    atomic_store(&step, 1);
    wait_for_step(2);
    rcu_thread_exit();
    return NULL;
}

static bool holds_grace_period(void)
{
    struct error e = {0};
    pthread_t t;
    test_machine(2, 1 << 20);
    rcu_engine_init();
    assert_true(code_memory_init(4 << 20, &e) && (!tb_lifetime->launch || tb_lifetime->launch(&e)));
    uint64_t before = tb_live_count();
    struct tb *tb = tb_alloc(2);
    atomic_store(&tb->dead, true);
    atomic_store(&step, 0);
    assert_int_equal(pthread_create(&t, NULL, reader, NULL), 0);
    wait_for_step(1);
    tb_lifetime->retire(tb);
    rcu_go_offline();
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    bool kept = tb_live_count() == before + 1;
    atomic_store(&step, 2);
    pthread_join(t, NULL);
    rcu_go_online();
    rcu_wait_deferred();
    bool freed = tb_live_count() == before;
    rcu_engine_stop();
    code_memory_free();
    test_machine_free();
    return kept && freed;
}

/* -- The suites --------------------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *axis;
    uint32_t claim; /* 0: everybody's duty */
    bool (*holds)(void);
    const char *what;
} checks[] = {
    {"atomics", 0, pairs_work, "undisturbed pairs"},
    {"atomics", GIVES(ABA), holds_aba, "aba"},
    {"atomics", GIVES(PLAIN_STORES), holds_plain_stores, "plain-stores"},
    {"atomics", GIVES(DEVICE_STORES), holds_device_stores, "device-stores"},
    {"atomics", GIVES(ALIASES), holds_aliases, "aliases"},
    {"atomics", GIVES(PROGRESS), holds_progress, "progress"},
    {"atomics", GIVES(WAKES_WFE), holds_wakes_wfe, "wakes-wfe"},
    {"atomics", GIVES(NO_STOP), holds_no_stop, "no-stop"},
    {"tb-cache", GIVES(PARALLEL_GEN), holds_parallel_gen, "parallel-generation"},
    {"tb-lifetime", 0, holds_grace_period, "grace period"},
};

static void suite(const char *name)
{
    for (unsigned a = 0; a < naxes; a++) {
        if (strcmp(axes[a].name, name))
            continue;
        for (const struct strategy *const *s = axes[a].schemes; *s; s++) {
            struct error e = {0};
            unsigned broken = 0;
            assert_non_null(axis_parse(&axes[a], (*s)->name, true, &e));
            axes[a].choose(*s);
            for (unsigned c = 0; c < ARRAY_SIZE(checks); c++) {
                if (strcmp(checks[c].axis, name))
                    continue;
                bool claimed = !checks[c].claim || ((*s)->gives & checks[c].claim), holds = checks[c].holds();
                print_message("%s=%s: %s %s%s\n", name, (*s)->name, checks[c].what, holds ? "holds" : "does not hold",
                              claimed ? "" : ", not claimed");
                broken += claimed && !holds;
            }
            if ((*s)->busted && !broken)
                fail_msg("--%s=%s passes: the suite is wrong", name, (*s)->name);
            if (!(*s)->busted && broken)
                fail_msg("--%s=%s: %u claims do not hold", name, (*s)->name, broken);
        }
        return;
    }
    fail_msg("no axis %s", name);
}

static void other_axes_default(void **state)
{
    (void)state;
    for (unsigned a = 0; a < naxes; a++) {
        struct error e = {0};
        const struct strategy *s = axis_parse(&axes[a], axes[a].schemes[axes[a].def]->name, false, &e);
        assert_non_null(s);
        axes[a].choose(s);
    }
}

static void atomics_suite(void **state)
{
    other_axes_default(state);
    suite("atomics");
}

static void tb_cache_suite(void **state)
{
    other_axes_default(state);
    suite("tb-cache");
}

static void tb_lifetime_suite(void **state)
{
    other_axes_default(state);
    suite("tb-lifetime");
}

/* The rows that this program adds are there, last, and marked. */
static void busted_rows(void **state)
{
    (void)state;
    for (unsigned a = 0; a < naxes; a++) {
        unsigned n = 0;
        while (axes[a].schemes[n])
            n++;
        assert_true(axes[a].schemes[n - 1]->busted);
        for (unsigned i = 0; i + 1 < n; i++)
            assert_false(axes[a].schemes[i]->busted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(busted_rows),
        cmocka_unit_test(atomics_suite),
        cmocka_unit_test(tb_cache_suite),
        cmocka_unit_test(tb_lifetime_suite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
