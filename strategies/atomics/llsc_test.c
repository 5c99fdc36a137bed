/*
 * llsc_test.c — llsc's reservations by granule: what shares one, what outlives it, and stores between the parts of a pair
 *
 * Calls of the hooks and of the slow paths. Directed cases come from one thread, in an order that is written down; the last
 * two have threads: vCPUs and a device that store to bytes of one word, and vCPUs that wake each other; they force races by number.
 */
#include <pthread.h>
#include <unistd.h>

#include "engine/mem/tlb.h"
#include "engine/sync/rcu.h"
#include "strategies/atomics/atomics_testlib.h"

extern const struct atomics_ops atomics_llsc;

#define RAM    TEST_RAM
#define CELL   ((gva)RAM + 0x5080)
#define OTHER  (CELL + 64) /* the next granule */
#define PAGE_B ((gva)RAM + 0x9000)

static void plain(unsigned i, gva va, uint32_t val, uint32_t mem)
{
    AS(i, slow_store(v, va, val, mem));
}

static bool event_of(unsigned i)
{
    return vcpu_take_event(vcpus[i]);
}

static int setup(void **state)
{
    (void)state;
    *atomics_llsc.head.params[0].value = 1024;
    *atomics_llsc.head.params[1].value = 4000;
    atomics = &atomics_llsc;
    test_atomics_up(3);
    assert_ptr_equal(atomics, &atomics_llsc);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < nvcpus; i++)
        assert_null(tlb_verify(vcpus[i]));
    test_atomics_down();
    return 0;
}

/* -- Directed ----------------------------------------------------------------------------------------------------------- */

static void granules(void **state)
{
    (void)state;
    load_link(0, CELL, MEM_32);
    plain(1, OTHER, 1, MEM_32); /* same frame */
    plain(1, CELL - 4, 1, MEM_32);
    assert_false(event_of(0));
    assert_true(store_cond(0, CELL, 2, MEM_32));

    load_link(0, OTHER, MEM_32);
    plain(1, OTHER - 2, 0x12345678, MEM_32); /* half of it */
    assert_true(event_of(0));
    assert_false(store_cond(0, OTHER, 2, MEM_32));

    load_link(0, OTHER, MEM_64);
    for (unsigned k = 0; k < 4; k++)
        vcpus[1]->mbuf[k] = k;
    AS(1, slow_stm(v, OTHER - 12, 4)); /* the last word */
    assert_true(event_of(0));
    assert_false(store_cond(0, OTHER, 2, MEM_64));

    load_link(0, OTHER, MEM_32);
    uint8_t bytes[100] = {0};
    mem_write(CELL + 20, bytes, sizeof bytes);
    assert_false(store_cond(0, OTHER, 2, MEM_32));
    load_link(0, OTHER, MEM_32);
    mem_write(CELL + 20, bytes, 44); /* up to the granule */
    assert_true(store_cond(0, OTHER, 2, MEM_32));
}

/* All that have a reservation lose it, and are told. */
static void many_holders(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        load_link(i, CELL, MEM_32);
    assert_true(store_cond(1, CELL, 1, MEM_32));
    assert_true(event_of(0));
    assert_false(event_of(1));
    assert_true(event_of(2));
    assert_false(store_cond(0, CELL, 2, MEM_32));
    assert_false(store_cond(2, CELL, 2, MEM_32));
    assert_int_equal(load_link(0, CELL, MEM_32), 1);
}

/* A load-link elsewhere, CLREX: the old reservation is nobody's, whatever its bit says. */
static void what_is_forgotten(void **state)
{
    (void)state;
    load_link(0, CELL, MEM_32);
    load_link(0, OTHER, MEM_32);
    assert_false(store_cond(0, CELL, 1, MEM_32));
    load_link(0, CELL, MEM_32);
    load_link(0, OTHER, MEM_32);
    plain(1, CELL, 1, MEM_32);
    assert_true(store_cond(0, OTHER, 1, MEM_32)); /* is not that one's */

    load_link(0, CELL, MEM_32);
    clear_monitor(0);
    assert_false(store_cond(0, CELL, 1, MEM_32));
    load_link(0, CELL, MEM_32);
    assert_false(store_cond(0, CELL, 1, MEM_8)); /* another size */
    load_link(0, CELL, MEM_32);
    plain(1, CELL, 7, MEM_32);
    assert_int_equal(load_link(0, CELL, MEM_32), 7); /* anew, and this one counts */
    assert_true(store_cond(0, CELL, 8, MEM_32));
}

/* Own plain stores keep the reservation, but do not bring one back. */
static void own_stores(void **state)
{
    (void)state;
    load_link(0, CELL, MEM_32);
    plain(0, CELL + 8, 1, MEM_32);
    plain(0, OTHER, 1, MEM_32);
    assert_true(store_cond(0, CELL, 1, MEM_32));
    load_link(0, CELL, MEM_32);
    plain(1, CELL, 1, MEM_32);
    plain(0, CELL, 1, MEM_32);
    assert_false(store_cond(0, CELL, 1, MEM_32));
    load_link(0, CELL, MEM_32);
    load_link(1, CELL, MEM_32);
    plain(0, CELL + 8, 1, MEM_32); /* breaks the other's only */
    assert_false(store_cond(1, CELL, 2, MEM_32));
    assert_true(store_cond(0, CELL, 2, MEM_32));
}

static void swaps(void **state)
{
    (void)state;
    uint32_t old;
    plain(1, CELL, 0x55, MEM_32);
    load_link(0, CELL, MEM_32);
    AS(1, old = atomics->swp(v, CELL, 0x66, MEM_32));
    assert_int_equal(old, 0x55);
    assert_true(event_of(0));
    assert_false(store_cond(0, CELL, 1, MEM_32));
}

/* Many stores and no load-link: vCPUs' stores are not looked at any more, until somebody load-links there. */
static void bare_granules(void **state)
{
    (void)state;
    load_link(0, CELL, MEM_32);
    load_link(2, OTHER, MEM_32);
    for (unsigned k = 0; k < 3 * 4096; k++)
        plain(1, CELL, k, MEM_32);
    for (unsigned k = 0; k < 3 * 4096; k++) {
        plain(1, PAGE_B, k, MEM_32); /* not watched */
        if (k % 4000 == 0)
            load_link(2, OTHER, MEM_32); /* no stores, and: */
        plain(1, OTHER, k, MEM_32);      /* one in each period at least */
    }
    assert_int_equal(test_stops, 0);
    assert_false(store_cond(0, CELL, 1, MEM_32)); /* which was made before that */
    assert_true(load_link(2, OTHER, MEM_32) == 3 * 4096 - 1 && test_stops == 0);
    assert_int_equal(load_link(0, CELL, MEM_32), 3 * 4096 - 1);
    assert_int_equal(test_stops, 1);
    assert_int_equal(vcpus[0]->counters[CNT_EXCL_ARMS], 1);
    plain(1, CELL, 1, MEM_32);
    assert_true(event_of(0));
    assert_false(store_cond(0, CELL, 2, MEM_32));
    assert_int_equal(load_link(0, CELL, MEM_32), 1);
    assert_true(store_cond(0, CELL, 2, MEM_32));

    /* Half of an STM, a device, SWP: to one that is bare and one that is not. */
    for (unsigned k = 0; k < 3 * 4096; k++)
        plain(1, OTHER, k, MEM_32);
    load_link(0, CELL, MEM_32);
    for (unsigned k = 0; k < 4; k++)
        vcpus[1]->mbuf[k] = 0x100 + k;
    AS(1, slow_stm(v, OTHER - 8, 4));
    assert_false(store_cond(0, CELL, 2, MEM_32));
    uint32_t x = 0x77, old;
    mem_write(OTHER, &x, 4);
    AS(1, old = atomics->swp(v, OTHER, 0x88, MEM_32));
    assert_int_equal(old, 0x77);
    assert_int_equal(test_stops, 1);
    assert_int_equal(load_link(0, OTHER, MEM_32), 0x88);
    assert_int_equal(test_stops, 2);
    assert_true(store_cond(0, OTHER, 0x99, MEM_32));
    mem_read(OTHER + 4, &x, 4);
    assert_int_equal(x, 0x103);
}

/* The window is one frame: watching the next one lets the first go. */
static void the_window_rolls(void **state)
{
    (void)state;
    struct error e = {0};
    atomics->shutdown();
    *atomics_llsc.head.params[0].value = 1;
    assert_true(atomics->launch(&e));
    plain(1, CELL, 1, MEM_32);
    load_link(0, CELL, MEM_32);
    assert_int_equal(test_stops, 1); /* vCPU 1 could store */
    plain(1, OTHER, 2, MEM_32);
    assert_int_equal(vcpus[1]->flat.store[MMU_PRIV][CELL >> 12], 0);
    assert_int_not_equal(vcpus[1]->flat.watched[MMU_PRIV][CELL >> 12], 0);
    load_link(1, PAGE_B, MEM_32);
    assert_int_equal(test_stops, 2);
    assert_int_equal(atomic_load(page_state(CELL)), 0);
    assert_int_equal(vcpus[1]->flat.watched[MMU_PRIV][CELL >> 12], 0);
    assert_true(event_of(0));
    plain(1, CELL, 3, MEM_32);
    assert_int_not_equal(vcpus[1]->flat.store[MMU_PRIV][CELL >> 12], 0); /* unseen from here on, so: */
    assert_false(store_cond(0, CELL, 4, MEM_32));
    assert_true(store_cond(1, PAGE_B, 4, MEM_32)); /* the younger one stands */
}

/* Stores to watched frames pay for letting frames go, oldest first, when the next one is watched. */
static void stores_shrink_the_window(void **state)
{
    (void)state;
    *atomics_llsc.head.params[1].value = 10;
    for (unsigned k = 0; k < 20; k++)
        load_link(0, (gva)RAM + 0x10000 + k * 0x1000, MEM_32);
    for (unsigned k = 0; k < 39; k++)
        plain(1, (gva)RAM + 0x23000, k, MEM_32);
    plain(1, CELL, 1, MEM_32);
    assert_int_equal(test_stops, 0);
    load_link(0, CELL, MEM_32); /* has vCPU 1's entry dropped */
    assert_int_equal(test_stops, 1);
    for (unsigned k = 0; k < 20; k++) {
        uint32_t word = atomic_load(page_state(RAM + 0x10000 + k * 0x1000));
        assert_int_equal(word & PAGE_EXCL, k < 3 ? 0 : PAGE_EXCL);
    }
    /* The rest of the stores counts on; some frames stay whatever happens. */
    for (unsigned k = 0; k < 1000; k++)
        plain(1, CELL, k, MEM_32);
    plain(1, PAGE_B, 1, MEM_32);
    load_link(0, PAGE_B, MEM_32);
    unsigned left = 0;
    for (gva f = (gva)RAM; f < RAM + (1 << 20); f += 0x1000)
        left += (atomic_load(page_state(f)) & PAGE_EXCL) != 0;
    assert_int_equal(left, 16);
    assert_true(store_cond(0, PAGE_B, 1, MEM_32));
}

/* -- Races ---------------------------------------------------------------------------------------------------------------- */

#define ADDS 30000
static _Atomic bool ended;

static bool safepoint(struct vcpu *v)
{
    return !sync_wanted(v) || sync_safepoint(v);
}

static uint64_t link_running(struct vcpu *v, gva va)
{
    if (setjmp(v->leave))
        sync_safe_work(v, v->leave_work, v->leave_arg);
    return atomics->ldrex(v, va, MEM_32);
}

static void run_vcpus(void (*body)(struct vcpu *v))
{
    struct error e = {0};
    for (unsigned i = 0; i < 3; i++)
        atomic_store(&vcpus[i]->event, 0);
    rcu_engine_init();
    atomic_store(&ended, false);
    sync_stop_clear();
    assert_true(sync_start(body, &e));
}

/* Within a minute. */
static void stop_vcpus(void)
{
    for (unsigned ms = 0; ms < 60000 && !atomic_load(&ended); ms++)
        usleep(1000);
    bool in_time = atomic_load(&ended);
    sync_stop_all();
    sync_join();
    rcu_engine_stop();
    assert_true(in_time);
}

/* Now and then so late that nobody has load-linked for long: the granule is bare then. */
static void adder(struct vcpu *v)
{
    for (unsigned n = 0; n < ADDS && safepoint(v); n++) {
        uint32_t x;
        do {
            x = (uint32_t)link_running(v, CELL);
            x = (x & 0xffff0000) | ((x + 1) & 0xffff);
        } while (atomics->strex(v, CELL, x, MEM_32) && safepoint(v));
        if (n % 1000 == 0) {
            sync_wait_begin(v);
            usleep(5000);
            sync_wait_end(v);
        }
    }
    atomic_store(&ended, true);
}

static _Atomic uint64_t lost;

/* Byte 2 by a vCPU, byte 3 by a device: what was stored must stand until the next store. */
static void storer(struct vcpu *v)
{
    gva at = CELL + (v ? 2 : 3);
    for (uint8_t n = 0; v ? safepoint(v) : !atomic_load(&ended); n++) {
        uint8_t seen;
        if (v)
            slow_store(v, at, n, MEM_8);
        else
            mem_write(at, &n, 1);
        for (unsigned k = 0; k < 3; k++) {
            mem_read(at, &seen, 1);
            if (seen != n)
                atomic_fetch_add(&lost, 1);
        }
    }
}

static void *device(void *unused)
{
    storer(NULL);
    return unused;
}

static void add_or_store(struct vcpu *v)
{
    if (v->index == 0)
        adder(v);
    if (v->index == 1)
        storer(v);
    while (safepoint(v)) /* until the end */
        vcpu_request_sleep(v, SLEEP_OFF);
}

static void plain_stores_beside_exclusives_stand(void **state)
{
    (void)state;
    plain(1, CELL, 0, MEM_32);
    lost = 0;
    run_vcpus(add_or_store);
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, device, NULL), 0);
    stop_vcpus();
    pthread_join(t, NULL);
    print_message("%" PRIu64 " store-exclusives failed, %" PRIu64 " times the granule was bare\n",
                  vcpus[0]->counters[CNT_STREX_FAIL], vcpus[0]->counters[CNT_EXCL_ARMS]);
    assert_int_equal(lost, 0);
    assert_true(vcpus[0]->counters[CNT_EXCL_ARMS]);
    uint32_t x;
    mem_read(CELL, &x, 4);
    assert_int_equal(x & 0xffff, ADDS);
}

/* vCPUs 0 and 1 hand a number to and fro, each asleep in WFE with a reservation on it until the other stores the next one. No SEV: a lost
 * wake-up would end the test by its time. */
#define HANDS 20000

static void hand_over(struct vcpu *v)
{
    uint32_t mine = v->index, seen = 0;
    for (unsigned n = 0; v->index < 2 && n < HANDS;) {
        if (!safepoint(v))
            return;
        seen = (uint32_t)link_running(v, CELL);
        if (seen % 2 != mine) {
            for (unsigned k = seen * 7 % 64; k; k--) /* sometimes late */
                __builtin_ia32_pause();
            if (!vcpu_take_event(v))
                vcpu_request_sleep(v, SLEEP_WFE);
        } else if (seen % 3) {
            slow_store(v, CELL, seen + 1, MEM_32);
            n++;
        } else {
            n += !atomics->strex(v, CELL, seen + 1, MEM_32);
        }
    }
    if (v->index == 1)
        atomic_store(&ended, true);
    while (safepoint(v)) /* until the end */
        vcpu_request_sleep(v, SLEEP_OFF);
}

static void who_sleeps_with_a_reservation_is_woken(void **state)
{
    (void)state;
    plain(1, CELL, 0, MEM_32);
    run_vcpus(hand_over);
    stop_vcpus();
    uint32_t x;
    mem_read(CELL, &x, 4);
    assert_int_equal(x, 2 * HANDS);
    print_message("%" PRIu64 " sleeps\n", vcpus[0]->counters[CNT_WFI] + vcpus[1]->counters[CNT_WFI]);
    assert_true(vcpus[0]->counters[CNT_WFI] + vcpus[1]->counters[CNT_WFI]);
    assert_int_equal(atomic_load(&sync_watchers), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(granules),
        T(many_holders),
        T(what_is_forgotten),
        T(own_stores),
        T(bare_granules),
        T(who_sleeps_with_a_reservation_is_woken),
        T(swaps),
        T(the_window_rolls),
        T(stores_shrink_the_window),
        T(plain_stores_beside_exclusives_stand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
