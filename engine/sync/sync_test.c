/*
 * sync_test.c — the quiescent state, work, sleep and holding under threads
 *
 * Each test forces one path.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/sync/rcu.h"
#include "engine/sync/sync_testlib.h"

static _Atomic uint64_t work_seen[N];

static int set_up(void **state)
{
    for (unsigned i = 0; i < N; i++)
        work_seen[i] = 0;
    return loops_set_up(state);
}

static void section(struct vcpu *v, uintptr_t arg)
{
    (void)v;
    atomic_store(&in_section, 1);
    if (atomic_load(&inside_loop))
        atomic_fetch_add(&violations, 1);
    if (arg)
        *(unsigned *)arg += 1; /* unguarded on purpose: the section is the guard; TSan checks it */
    atomic_store(&in_section, 0);
}

/* -- S1 ---------------------------------------------------------------------------------------------------------------------- */

static unsigned sections;
static _Atomic uint64_t sections_of[N];

static void all_want_sections(struct vcpu *v)
{
    if (passes[v->index] % 64)
        return;
    sync_safe_work(v, section, (uintptr_t)&sections);
    atomic_fetch_add(&sections_of[v->index], 1);
}

static void quiescent_sections_exclude(void **state)
{
    (void)state;
    sections = 0;
    for (unsigned i = 0; i < N; i++)
        sections_of[i] = 0;
    loops_start(all_want_sections);
    usleep(200000);
    quiesce_begin(NULL); /* a thread that is no vCPU may too */
    section(NULL, (uintptr_t)&sections);
    quiesce_end(NULL);
    UNTIL(in_each(sections_of, 2));
    loops_stop();
    assert_int_equal(violations, 0);
    uint64_t asked = 1;
    for (unsigned i = 0; i < N; i++)
        asked += sections_of[i];
    assert_int_equal(sections, asked);
}

/* -- Work ---------------------------------------------------------------------------------------------------------------------- */

static void see_work(struct vcpu *v, uintptr_t arg)
{
    (void)arg;
    assert_ptr_equal(v, current_vcpu);
    work_seen[v->index]++;
}

static _Atomic unsigned missed;
static _Atomic uint64_t completed[N]; /* rounds of each requester that are past its safepoint */
static _Atomic uint64_t seen[N][N];   /* by each vCPU, of each requester */
static uint64_t round_of[N];

static void see_from(struct vcpu *v, uintptr_t from)
{
    atomic_fetch_add(&seen[v->index][from], 1);
}

/* S3: when a requester is past its safepoint, nobody runs guest code who has not done the work. */
static void broadcast(struct vcpu *v)
{
    for (unsigned from = 0; from < N; from++)
        if (from != v->index && atomic_load(&completed[from]) > atomic_load(&seen[v->index][from]))
            atomic_fetch_add(&missed, 1);
    if (passes[v->index] % 64)
        return;
    sync_queue_all_synced(v, see_from, v->index);
    round_of[v->index]++;
    if (sync_safepoint(v))
        atomic_store(&completed[v->index], round_of[v->index]);
}

static void broadcasts_are_acknowledged(void **state)
{
    (void)state;
    missed = 0;
    loops_start(broadcast);
    usleep(200000);
    UNTIL(in_each(completed, 1));
    loops_stop();
    assert_int_equal(missed, 0);
}

static void work_runs_once_in_its_thread(void **state)
{
    (void)state;
    loops_start(NULL);
    for (unsigned i = 0; i < 1000; i++)
        sync_run_on(vcpus[i % N], see_work, 0);
    UNTIL(in_each(work_seen, 1000 / N));
    loops_stop();
    for (unsigned i = 0; i < N; i++)
        assert_int_equal(work_seen[i], 1000 / N);
}

/* What comes when the loops have been left is never done, and goes with the vCPU: LeakSanitizer watches. */
static void late_work_is_dropped(void **state)
{
    (void)state;
    loops_start(NULL);
    loops_stop();
    for (unsigned i = 0; i < 10; i++)
        sync_run_on(vcpus[i % N], see_work, 0);
    for (unsigned i = 0; i < N; i++)
        assert_int_equal(work_seen[i], 0);
}

static _Atomic unsigned coalesced;

static void slow_section(struct vcpu *v, uintptr_t arg)
{
    (void)v, (void)arg;
    atomic_fetch_add(&coalesced, 1);
    usleep(1000);
}

/* Requests that come while one waits are that one; one that comes when it has begun is another. */
static void equal_requests_coalesce(void **state)
{
    (void)state;
    coalesced = 0;
    loops_start(NULL);
    for (unsigned round = 1; round <= 3; round++) {
        quiesce_begin(NULL); /* nobody begins one now */
        for (unsigned i = 0; i < 10000; i++)
            sync_safe_work_async(slow_section, 7);
        sync_safe_work_async(slow_section, 8);
        quiesce_end(NULL);
        UNTIL(coalesced >= 2 * round);
        assert_int_equal(coalesced, 2 * round);
    }
    uint64_t begin = now_ns();
    for (unsigned i = 0; i < 10000;
         i++) /* and while they run: one after the other, so not more than there was time for */
        sync_safe_work_async(slow_section, 7);
    loops_stop();
    assert_in_range(coalesced, 7, 7 + (now_ns() - begin) / 1000000);
}

/* -- Sleep ---------------------------------------------------------------------------------------------------------------------- */

static void sleep_wfi(struct vcpu *v)
{
    if (v->index != 0)
        vcpu_request_sleep(v, SLEEP_WFI);
}

static void sleepers_hold_up_nobody(void **state)
{
    (void)state;
    loops_start(sleep_wfi);
    for (unsigned i = 1; i < N; i++)
        UNTIL(asleep(i));
    uint64_t before = passes[1];
    quiesce_begin(NULL); /* would not return if they were waited for: nothing wakes them */
    for (unsigned i = 1; i < N; i++)
        assert_int_equal(vcpu_thread(vcpus[i])->state, VT_ASLEEP);
    quiesce_end(NULL);
    usleep(20000);
    assert_int_equal(passes[1], before); /* it does sleep */
    sync_run_on(vcpus[1], see_work, 0);  /* work is done by a sleeper without waking the guest */
    UNTIL(work_seen[1]);
    usleep(20000);
    assert_int_equal(work_seen[1], 1);
    assert_int_equal(passes[1], before);
    vcpu_set_line(1, LINE_IRQ, true);
    UNTIL(passes[1] > before);
    loops_stop();
}

static void wait_for_event(struct vcpu *v)
{
    vcpu_request_sleep(v, SLEEP_WFE);
}

/* An event that comes before the sleep is not lost, and one is worth one wake-up. */
static void events_are_kept(void **state)
{
    (void)state;
    loops_start(wait_for_event);
    UNTIL(asleep(2));
    for (unsigned i = 0; i < 100; i++) {
        uint64_t before = passes[2];
        vcpu_send_event(vcpus[2]);
        UNTIL(passes[2] != before);
        assert_int_equal(passes[2], before + 1);
    }
    loops_stop();
}

#define HANDS 20000
static _Atomic unsigned hands;

/* Two vCPUs in turn: each wakes the other, which is just falling asleep, or does already. */
static void hand_over(struct vcpu *v)
{
    if (v->index > 1) {
        vcpu_request_sleep(v, SLEEP_WFE);
        return;
    }
    unsigned now = atomic_load(&hands);
    if (now < HANDS && now % 2 == v->index) {
        atomic_store(&hands, now + 1);
        vcpu_send_event(vcpus[!v->index]);
    }
    vcpu_request_sleep(v, SLEEP_WFE);
}

static void no_event_is_lost(void **state)
{
    (void)state;
    atomic_store(&hands, 0);
    loops_start(hand_over);
    uint64_t begin = now_ns();
    for (unsigned n = 500; n <= HANDS; n += 500) {
        UNTIL(atomic_load(&hands) >= n);              /* one that is lost ends them for good */
        if (now_ns() - begin > UINT64_C(10000000000)) /* on a busy host each costs a time slice: fewer then */
            break;
    }
    loops_stop();
}

static void *send_late(void *v)
{
    usleep(20000);
    vcpu_send_event(v);
    return NULL;
}

/* What WFE does before it sleeps. */
static void events_are_awaited(void **state)
{
    (void)state;
    struct vcpu *v = vcpus[0];
    _Atomic uint64_t word = 7;
    sync_wfe_pauses = 10;
    assert_false(vcpu_await_event(v));
    vcpu_send_event(v);
    assert_true(vcpu_await_event(v));
    assert_false(vcpu_await_event(v));

    /* A reservation: it stands, is lost, and is lost once. */
    v->excl_word = &word;
    v->excl_val = 7;
    v->excl_state = 4;
    assert_false(vcpu_await_event(v));
    atomic_store(&word, 8);
    sync_wfe_pauses = UINT_MAX;
    assert_true(vcpu_await_event(v));
    assert_int_equal(v->excl_state, 0);

    atomic_store(&v->poll, POLL_WORK); /* at once, whatever comes with it stays */
    assert_false(vcpu_await_event(v));
    atomic_store(&v->poll, 0);
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, send_late, v), 0);
    assert_true(vcpu_await_event(v));
    assert_int_equal(pthread_join(t, NULL), 0);
    sync_wfe_pauses = 0;
}

#define NAP_NS UINT64_C(5000000)

static void wait_for_time(struct vcpu *v)
{
    if (v->index == 0)
        vcpu_request_sleep_until(v, SLEEP_WFE, now_ns() + NAP_NS);
    else
        vcpu_request_sleep(v, v->index == 1 ? SLEEP_OFF : SLEEP_CALL);
}

static void switch_on(struct vcpu *v, uintptr_t arg)
{
    (void)arg;
    vcpu_thread(v)->sleep = 0;
}

/* Sleeps that end at a time, by queued work alone, and by vcpu_call_ready(), which is kept like an event. */
static void other_sleeps(void **state)
{
    (void)state;
    uint64_t begin = now_ns();
    loops_start(wait_for_time);
    UNTIL(asleep(1) && asleep(2) && passes[0] >= 20);
    uint64_t naps = passes[0] - 1; /* the first pass was before any; not early, late as the host likes */
    assert_true(naps <= (now_ns() - begin) / NAP_NS);
    uint64_t off = passes[1], waits = passes[2];
    vcpu_set_line(1, LINE_IRQ, true);
    vcpu_send_event(vcpus[1]);
    vcpu_call_ready(vcpus[1]);
    usleep(20000);
    assert_int_equal(passes[1], off);
    sync_run_on(vcpus[1], switch_on, 0);
    for (unsigned i = 0; i < 100; i++) {
        vcpu_call_ready(vcpus[2]);
        UNTIL(passes[2] != waits);
        assert_int_equal(passes[2], ++waits);
    }
    UNTIL(passes[1] != off && asleep(1));
    assert_int_equal(passes[1], off + 1);
    vcpu_set_line(2, LINE_IRQ, true); /* not masked here */
    UNTIL(passes[2] > waits);
    loops_stop();
    assert_true(vcpu_thread(vcpus[0])->timed_out);
}

/* -- Holding -------------------------------------------------------------------------------------------------------------------- */

/* All stand still who are held, and nobody else; returns when that is so. */
static void stand_still(void)
{
    quiesce_begin(NULL);
    quiesce_end(NULL);
}

static void all_run(void)
{
    loops_start(NULL);
    for (unsigned i = 0; i < N; i++)
        while (!passes[i])
            usleep(100);
}

static void the_held_run_no_guest_code(void **state)
{
    (void)state;
    all_run();
    for (unsigned round = 0; round < 50; round++) {
        uint32_t mask = round % (BIT(N) - 1) + 1;
        uint64_t before[N];
        sync_hold(mask);
        stand_still();
        for (unsigned i = 0; i < N; i++)
            before[i] = passes[i];
        for (unsigned i = 0; i < N; i++) {
            sync_run_on(vcpus[i], see_work, 0); /* that they do */
            while (atomic_load(&work_seen[i]) == round)
                usleep(100);
        }
        for (unsigned i = 0; i < N; i++)
            if (bit(mask, i))
                assert_int_equal(passes[i], before[i]);
        for (unsigned i = 0; i < N; i++)
            while (!bit(mask, i) && passes[i] == before[i])
                usleep(100); /* the others go on */
        rcu_wait_deferred(); /* and nobody waits for them */
        sync_let_go(mask);
    }
    loops_stop();
}

/* However soon it is held again, who is let go gets on. */
static void who_is_let_go_gets_on(void **state)
{
    (void)state;
    all_run();
    sync_hold(BIT(N) - 1);
    stand_still();
    for (unsigned round = 0; round < 300; round++) {
        uint64_t before[N];
        for (unsigned i = 0; i < N; i++)
            before[i] = passes[i];
        sync_let_go(BIT(N) - 1);
        sync_hold(BIT(N) - 1);
        stand_still();
        for (unsigned i = 0; i < N; i++)
            assert_true(passes[i] > before[i]);
    }
    loops_stop(); /* the end lets all go */
}

static void sleep_once(struct vcpu *v)
{
    if (passes[v->index] == 1)
        vcpu_request_sleep(v, SLEEP_WFI);
}

/* A held sleeper sleeps on; what came meanwhile wakes it when it is let go. A step wakes it too. */
static void a_held_sleeper_sleeps_on(void **state)
{
    (void)state;
    loops_start(sleep_once);
    UNTIL(asleep(1) && asleep(2));
    sync_hold(BIT(1));
    stand_still();
    vcpu_set_line(1, LINE_IRQ, true);
    usleep(20000);
    assert_int_equal(passes[1], 1);
    assert_int_equal(vcpu_thread(vcpus[1])->sleep, SLEEP_WFI);
    sync_let_go(BIT(1));
    while (passes[1] == 1)
        usleep(1000);
    sync_hold(BIT(2));
    stand_still();
    assert_int_equal(passes[2], 1);
    atomic_fetch_or(&vcpus[2]->poll, POLL_STEP);
    sync_let_go(BIT(2));
    while (passes[2] == 1)
        usleep(1000);
    atomic_fetch_and(&vcpus[2]->poll, ~(uint32_t)POLL_STEP);
    vcpu_set_line(1, LINE_IRQ, false);
    loops_stop();
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, loops_tear_down)
    const struct CMUnitTest tests[] = {
        T(quiescent_sections_exclude),
        T(broadcasts_are_acknowledged),
        T(work_runs_once_in_its_thread),
        T(late_work_is_dropped),
        T(equal_requests_coalesce),
        T(sleepers_hold_up_nobody),
        T(events_are_kept),
        T(no_event_is_lost),
        T(events_are_awaited),
        T(other_sleeps),
        T(the_held_run_no_guest_code),
        T(who_is_let_go_gets_on),
        T(a_held_sleeper_sleeps_on),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
