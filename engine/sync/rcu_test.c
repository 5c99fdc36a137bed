/*
 * rcu_test.c — grace periods under threads
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/sync/rcu.h"
#include "engine/sync/sync_testlib.h"

struct thing {
    struct deferred head;
    unsigned value;
};
static _Atomic(struct thing *) shared;
static _Atomic unsigned poisoned, freed;

static void free_thing(struct deferred *head)
{
    struct thing *t = container_of(head, struct thing, head);
    t->value = 0xdead;
    free(t);
    atomic_fetch_add(&freed, 1);
}

/* vCPU 0 replaces the thing, the others read it between safepoints. */
static void read_and_replace(struct vcpu *v)
{
    if (v->index == 0 && passes[0] % 128 == 0) {
        struct thing *fresh = calloc(1, sizeof *fresh);
        fresh->value = 1;
        struct thing *old = atomic_exchange(&shared, fresh);
        if (old)
            rcu_defer(&old->head, free_thing);
    } else {
        struct thing *t = atomic_load(&shared);
        if (t && t->value != 1)
            atomic_fetch_add(&poisoned, 1);
    }
}

static void grace_periods_protect_readers(void **state)
{
    (void)state;
    poisoned = freed = 0;
    loops_start(read_and_replace);
    usleep(300000);
    UNTIL(freed > 0);
    loops_stop();
    rcu_wait_deferred();
    free(shared);
    shared = NULL;
    assert_int_equal(poisoned, 0);
}

/* The vCPUs announce only when they are asked to; a wait with nothing deferred, or with all of it done, must ask too. */
static void waits_end_while_vcpus_run(void **state)
{
    (void)state;
    loops_start(NULL);
    for (unsigned i = 0; i < N; i++) {
        while (!passes[i])
            usleep(100);
    }
    for (unsigned i = 0; i < 20; i++)
        rcu_wait_deferred();
    loops_stop();
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, loops_set_up, loops_tear_down)
    const struct CMUnitTest tests[] = {
        T(grace_periods_protect_readers),
        T(waits_end_while_vcpus_run),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
