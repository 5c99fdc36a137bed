/*
 * timers_test.c — order, re-arming and disarming of timers; the thread beside other users of the lock
 */
#include "machines/fakes_testlib.h"

#include <pthread.h>
#include <time.h>

#include "machines/timers.h"

static char order[64];
static unsigned fired;
static uint64_t at[64];

struct probe {
    struct dev_timer t;
    char name;
    uint64_t again_ns; /* 0: no */
    struct probe *disarms;
};

static void expired(void *opaque)
{
    struct probe *p = opaque;
    assert_true(device_lock_held());
    assert_int_equal(p->t.deadline_ns, UINT64_MAX);
    at[fired] = virtual_now_ns();
    order[fired++] = p->name;
    order[fired] = 0;
    if (p->again_ns && fired < 10)
        timer_set(&p->t, virtual_now_ns() + p->again_ns);
    if (p->disarms)
        timer_set(&p->disarms->t, UINT64_MAX);
}

static void probe_init(struct probe *p, char name)
{
    *p = (struct probe){.name = name};
    timer_init(&p->t, expired, p);
}

static void set(struct probe *p, uint64_t deadline)
{
    device_lock();
    timer_set(&p->t, deadline);
    device_unlock();
}

static void three_probes(struct probe *a, struct probe *b, struct probe *c, uint64_t now_ns)
{
    probe_init(a, 'a');
    probe_init(b, 'b');
    probe_init(c, 'c');
    fired = 0;
    timers_manual(now_ns);
}

static void in_order_of_deadlines(void **state)
{
    (void)state;
    struct probe a, b, c;
    three_probes(&a, &b, &c, 1000);
    set(&b, 3000);
    set(&a, 2000);
    set(&c, 4000);
    timers_advance(500);
    assert_int_equal(fired, 0);
    timers_advance(10000);
    assert_string_equal(order, "abc");
    assert_int_equal(at[0], 2000);
    assert_int_equal(at[1], 3000);
    assert_int_equal(at[2], 4000);
    assert_int_equal(virtual_now_ns(), 11500);
}

static void moved_and_disarmed(void **state)
{
    (void)state;
    struct probe a, b, c;
    three_probes(&a, &b, &c, 0);
    set(&a, 100);
    set(&b, 200);
    set(&c, 200);
    set(&a, 300);   /* now the last */
    b.disarms = &c; /* though both are due at once */
    timers_advance(1000);
    assert_string_equal(order, "ba");
    set(&a, 5); /* in the past: soon */
    timers_advance(0);
    assert_string_equal(order, "baa");
}

static void periodic(void **state)
{
    (void)state;
    struct probe a;
    probe_init(&a, 'p');
    a.again_ns = 50;
    fired = 0;
    timers_manual(0);
    set(&a, 50);
    timers_advance(220);
    assert_string_equal(order, "pppp");
    assert_int_equal(at[3], 200);
    device_lock();
    timers_reset();
    device_unlock();
    timers_advance(1000);
    assert_int_equal(fired, 4);
}

/* -- With the thread: runs in a program of its own kind of time, so it comes first ------------------ */

static _Atomic unsigned ticks;
static struct dev_timer busy[4];

static void tick(void *opaque)
{
    struct dev_timer *t = opaque;
    atomic_fetch_add_explicit(&ticks, 1, memory_order_relaxed);
    timer_set(t, virtual_now_ns() + 20000);
}

static void *disturb(void *arg)
{
    struct dev_timer *t = arg;
    for (unsigned i = 0; i < 2000; i++) {
        device_lock();
        timer_set(t, i % 3 == 0 ? UINT64_MAX : virtual_now_ns() + 1000 * (i % 7));
        device_unlock();
    }
    return NULL;
}

static void thread_among_others(void **state)
{
    (void)state;
    struct error e = {0};
    pthread_t th[2];
    static struct dev_timer other[2];

    uint64_t t0 = virtual_now_ns();
    assert_true(timers_start(&e));
    for (unsigned i = 0; i < 4; i++) {
        device_lock();
        timer_init(&busy[i], tick, &busy[i]);
        timer_set(&busy[i], 0);
        device_unlock();
    }
    for (unsigned i = 0; i < 2; i++) {
        timer_init(&other[i], tick, &other[i]);
        pthread_create(&th[i], NULL, disturb, &other[i]);
    }
    while (atomic_load_explicit(&ticks, memory_order_relaxed) < 1000) {
        struct timespec ts = {.tv_nsec = 100000};
        nanosleep(&ts, NULL);
    }
    for (unsigned i = 0; i < 2; i++)
        pthread_join(th[i], NULL);
    timers_stop();
    unsigned n = ticks;
    assert_true(virtual_now_ns() > t0);
    struct timespec ts = {.tv_nsec = 2000000};
    nanosleep(&ts, NULL);
    assert_int_equal(n, ticks); /* no callback after the stop */
    timers_stop();              /* twice is harmless */
    device_lock();
    timers_reset();
    device_unlock();
}

static void thread_keeps_deadlines(void **state)
{
    (void)state;
    struct error e = {0};
    struct probe a;
    probe_init(&a, 'a');
    fired = 0;
    assert_true(timers_start(&e));
    uint64_t due = virtual_now_ns() + 5000000;
    set(&a, virtual_now_ns() + UINT64_C(3600) * 1000000000);
    set(&a, due); /* an earlier one wakes the thread */
    bool done = false;
    while (!done) {
        device_lock();
        done = fired;
        device_unlock();
    }
    timers_stop();
    assert_true(at[0] >= due);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thread_among_others),
        cmocka_unit_test(thread_keeps_deadlines),
        cmocka_unit_test(in_order_of_deadlines),
        cmocka_unit_test(moved_and_disarmed),
        cmocka_unit_test(periodic),
    };
    fake_reset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
