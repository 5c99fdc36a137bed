/*
 * atomics_testlib.c — a machine under an atomics scheme whose hooks are called from the test's thread, one after the other
 */
#include "strategies/atomics/atomics_testlib.h"

unsigned test_stops;

void test_atomics_up(unsigned cpus)
{
    struct error e = {0};
    test_machine(cpus, 1 << 20);
    test_stops = 0;
    assert_true(!atomics->launch || atomics->launch(&e));
    for (unsigned i = 0; i < cpus; i++)
        assert_true(!atomics->vcpu_init || atomics->vcpu_init(vcpus[i], &e));
}

void test_atomics_down(void)
{
    if (atomics->shutdown)
        atomics->shutdown();
    test_machine_free();
}

/* Static: the jump back into AS() must find what the hook returned. */
uint64_t load_link(unsigned i, gva va, uint32_t mem)
{
    static uint64_t val;
    AS(i, val = atomics->ldrex(v, va, mem));
    return val;
}

bool store_cond(unsigned i, gva va, uint64_t val, uint32_t mem)
{
    static uint32_t failed;
    AS(i, failed = atomics->strex(v, va, val, mem));
    return !failed;
}

void clear_monitor(unsigned i)
{
    AS(i, atomics->clear(v));
}
