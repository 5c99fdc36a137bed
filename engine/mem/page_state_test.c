/*
 * page_state_test.c — the page state protocol under threads
 *
 * One thread stores to a frame as translated code does: by its flat store entry, by its watched one, and by the slow path when
 * there is none. Another sets a flag, makes the first quiescent if page_set_flag() says so, and from then on
 * must find that every store came through C. It forces both orders of the race by sheer number of rounds.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <sched.h>
#include <time.h>

#include "engine/ir/ir.h"
#include "engine/mem/mem_testlib.h"
#include "strategies/atomics/atomics.h"

#define ROUNDS  3000
#define SECONDS 5  /* on a busy host each handshake costs time slices: fewer rounds then */
#define LIMIT_S 40 /* and if the storer was never at it meanwhile: more */
#define VA      0x00400000u

static _Atomic bool stop, pause_wanted, paused;
static _Atomic unsigned plain_stores, watched_stores; /* by the flat entries */

/* A safepoint: QUIESCED is the storer in here. Release and acquire, so that the other may touch its tables. */
static void safepoint(void)
{
    if (!atomic_load_explicit(&pause_wanted, memory_order_acquire))
        return;
    atomic_store_explicit(&paused, true, memory_order_release);
    while (atomic_load_explicit(&pause_wanted, memory_order_acquire))
        sched_yield();
    atomic_store_explicit(&paused, false, memory_order_release);
}

static void *storer(void *arg)
{
    struct vcpu *v = arg;
    current_vcpu = v;
    for (uint32_t n = 1; !atomic_load_explicit(&stop, memory_order_relaxed); n++) {
        uint64_t diff = v->flat.store[MMU_PRIV][VA >> 12];
        if (diff) {
            atomic_fetch_add_explicit(&plain_stores, 1, memory_order_relaxed);
            __atomic_store_n((uint32_t *)(uintptr_t)(diff + VA), n, __ATOMIC_RELAXED);
        } else {
            if (v->flat.watched[MMU_PRIV][VA >> 12])
                atomic_fetch_add_explicit(&watched_stores, 1, memory_order_relaxed);
            slow_store(v, VA, n, MEM_32);
        }
        if (n % 8 == 0)
            safepoint();
    }
    return NULL;
}

static void quiesced(void (*work)(gpa frame))
{
    atomic_store_explicit(&pause_wanted, true, memory_order_release);
    while (!atomic_load_explicit(&paused, memory_order_acquire))
        sched_yield();
    work(TEST_RAM);
    atomic_store_explicit(&pause_wanted, false, memory_order_release);
    while (atomic_load_explicit(&paused, memory_order_acquire))
        sched_yield();
}

static struct fake_watch fake_excl = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void excl_store(struct vcpu *w, gpa canon, uint8_t *host, const void *val, size_t bytes)
{
    (void)w, (void)canon;
    pthread_mutex_lock(&fake_excl.lock);
    host_store(host, val, bytes);
    fake_watch_saw(&fake_excl, val, bytes);
    pthread_mutex_unlock(&fake_excl.lock);
}

static void excl_store_watched(struct vcpu *w, uint8_t *host, const void *val, size_t bytes)
{
    excl_store(w, 0, host, val, bytes);
}

static const struct atomics_ops watching = {.store = excl_store, .store_watched = excl_store_watched};

/* Has the race been run at all? asked, seen: rounds; CODE and EXCL together keep stores in C. */
static bool enough(unsigned asked, unsigned seen, bool watched)
{
    return asked && seen && (!watched || atomic_load(&watched_stores));
}

/* While the flag is relied on, the word is what the watcher saw last: anything else is a store it missed. */
static void no_store_is_missed(uint32_t standing, uint32_t flag, struct fake_watch *watch)
{
    atomics = &watching;
    test_machine(2, TEST_RAM_BYTES);
    fake_map_both(VA, 0x1000, TEST_RAM, PTE_RWX);
    if (standing)
        assert_true(page_set_flag(NULL, TEST_RAM, standing));
    stop = pause_wanted = paused = false;
    watch->n = 0;
    watched_stores = 0;
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, storer, vcpus[1]), 0);
    uint32_t *word = (uint32_t *)(void *)mem_ram_ptr(TEST_RAM, NULL);
    unsigned asked = 0, missed = 0, seen = 0, rounds = 0;
    time_t begin = time(NULL);
    bool watched = (flag | standing) == PAGE_EXCL || standing == PAGE_EXCL;
    for (;; rounds++) {
        bool due = rounds < 20 || (rounds < ROUNDS && time(NULL) < begin + SECONDS);
        if (!due && (enough(asked, seen, watched) || time(NULL) > begin + LIMIT_S))
            break;
        if (!page_set_flag(vcpus[0], TEST_RAM, flag)) {
            asked++;
            quiesced(softmmu_drop_storers);
        }
        pthread_mutex_lock(&watch->lock);
        unsigned n = watch->n;
        uint32_t was = __atomic_load_n(word, __ATOMIC_RELAXED);
        pthread_mutex_unlock(&watch->lock);
        unsigned last = n;
        for (unsigned k = 0; k < 20; k++) {
            if (k % 4 == 3)
                sched_yield();
            pthread_mutex_lock(&watch->lock);
            uint32_t now = __atomic_load_n(word, __ATOMIC_RELAXED);
            last = watch->n;
            missed += now != (last == n ? was : watch->last);
            pthread_mutex_unlock(&watch->lock);
        }
        seen += last != n;
        if (flag & PAGE_EXCL)
            quiesced(softmmu_unwatch);
        else
            page_clear_flag(TEST_RAM, flag);
        unsigned fast = atomic_load(&plain_stores) + atomic_load(&watched_stores);
        for (unsigned k = 0; k < 50 && atomic_load(&plain_stores) + atomic_load(&watched_stores) == fast; k++)
            sched_yield();
    }
    atomic_store(&stop, true);
    pthread_join(t, NULL);
    print_message("%u rounds: %u asked for quiescence, %u saw stores, %u stores by the watched table\n", rounds, asked,
                  seen, watched_stores);
    assert_int_equal(missed, 0);
    assert_true(enough(asked, seen, watched));
    assert_int_equal(watched_stores > 0, watched);
    assert_null(tlb_verify(vcpus[1]));
    assert_int_equal(atomic_load(page_state(TEST_RAM)) & PAGE_BUSY, 0);
    test_machine_free();
    atomics = NULL;
}

static void code(void **state)
{
    (void)state;
    no_store_is_missed(0, PAGE_CODE, &fake_code);
}

static void exclusive(void **state)
{
    (void)state;
    no_store_is_missed(0, PAGE_EXCL, &fake_excl);
}

/* The frame has translations all the time: the storer is always in C. */
static void exclusive_beside_code(void **state)
{
    (void)state;
    no_store_is_missed(PAGE_CODE, PAGE_EXCL, &fake_excl);
}

static void code_beside_exclusive(void **state)
{
    (void)state;
    no_store_is_missed(PAGE_EXCL, PAGE_CODE, &fake_code);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(code),
        cmocka_unit_test(exclusive),
        cmocka_unit_test(exclusive_beside_code),
        cmocka_unit_test(code_beside_exclusive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
