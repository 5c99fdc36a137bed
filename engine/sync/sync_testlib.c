/*
 * sync_testlib.c — vCPUs that run no guest
 */
#include "engine/sync/sync_testlib.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "engine/sync/rcu.h"
#include "engine/vcpu/vcpu_alloc.h"

_Atomic unsigned in_section, inside_loop, violations;
_Atomic uint64_t passes[N];
static void (*each_pass)(struct vcpu *v);

static void body(struct vcpu *v)
{
    for (;;) {
        uint32_t poll = atomic_load_explicit(&v->poll, memory_order_relaxed);
        if (poll & POLL_FLUSH)
            rcu_safepoint(v);
        if (sync_wanted(v) && !sync_safepoint(v))
            return;
        /* What stands for translated code: nobody may be quiescent-exclusive now (S1). */
        atomic_fetch_add(&inside_loop, 1);
        if (atomic_load(&in_section))
            atomic_fetch_add(&violations, 1);
        atomic_fetch_sub(&inside_loop, 1);
        atomic_fetch_add_explicit(&passes[v->index], 1, memory_order_relaxed);
        if (each_pass)
            each_pass(v);
    }
}

int loops_set_up(void **state)
{
    (void)state;
    struct error e = {0};
    for (unsigned i = 0; i < N; i++) {
        assert_true(vcpu_alloc(i, &e));
        assert_true(sync_init_vcpu(vcpus[i], &e));
        passes[i] = 0;
    }
    nvcpus = N;
    violations = 0;
    each_pass = NULL;
    rcu_engine_init();
    return 0;
}

int loops_tear_down(void **state)
{
    (void)state;
    rcu_engine_stop();
    for (unsigned i = 0; i < N; i++)
        sync_free_vcpu(vcpus[i]);
    vcpu_free_all();
    return 0;
}

void loops_start(void (*fn)(struct vcpu *v))
{
    struct error e = {0};
    each_pass = fn;
    sync_stop_clear();
    assert_true(sync_start(body, &e));
}

void loops_stop(void)
{
    sync_stop_all();
    sync_join();
}

bool asleep(unsigned i)
{
    quiesce_begin(NULL);
    bool is = vcpu_thread(vcpus[i])->state == VT_ASLEEP;
    quiesce_end(NULL);
    return is;
}

bool in_each(const _Atomic uint64_t count[N], uint64_t least)
{
    for (unsigned i = 0; i < N; i++)
        if (atomic_load(&count[i]) < least)
            return false;
    return true;
}
