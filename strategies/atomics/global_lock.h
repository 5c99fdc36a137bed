/*
 * global_lock.h — Konrad's global exclusive lock, for the two kinds of lock it is measured with
 *
 * A template: the including file defines lock_all(), unlock_all() and SYMBOL, NAME, SUMMARY, and gets the scheme.
 *
 * Idea: load-link, store-conditional, and each exception's clearing of the monitor take one lock; the store-conditional does its
 * compare-and-swap under it, because plain stores do not take the lock.
 * Source: Konrad, "Multithread TCG" v6, qemu-devel 2015-06-26 (dfa42fbfd0); 30 s with the mutex and 6 s with the spin lock on a
 * lock stress test are the figures given there.
 *
 * G1  excl_* of a vCPU are read and written by its own thread; the lock orders the schemes' own accesses among vCPUs, and the
 *     swap orders them with plain stores.
 * What is known not to work: ABA, as for cmpxchg. Costs: one lock for all addresses.
 */
#include "strategies/atomics/exclusive.h"

static uint64_t ldrex(struct vcpu *v, gva va, uint32_t mem)
{
    unsigned bytes = excl_bytes(mem);
    gpa canon;
    uint8_t *host = softmmu_host(v, va, bytes, false, mem, &canon);
    count(v, LDREX);
    v->excl_state = 0;
    if (!host)
        return excl_device_load(v, va, mem);
    lock_all();
    uint64_t val = excl_read(host, bytes);
    v->excl_state = bytes;
    v->excl_addr = va;
    v->excl_val = val;
    unlock_all();
    return val;
}

struct locked_try {
    uint8_t *host;
    unsigned bytes;
    uint64_t expected, val;
};

static bool locked_cas(void *ctx)
{
    const struct locked_try *t = ctx;
    lock_all();
    bool ok = excl_cas(t->host, t->bytes, t->expected, t->val);
    unlock_all();
    return ok;
}

static uint32_t strex(struct vcpu *v, gva va, uint64_t val, uint32_t mem)
{
    unsigned bytes = excl_bytes(mem);
    gpa canon;
    uint8_t *host = softmmu_host(v, va, bytes, true, mem, &canon);
    bool stored = false;
    if (host && v->excl_state == bytes && v->excl_addr == va && !chaos_fail(v, CHAOS_STREX)) {
        struct locked_try t = {host, bytes, v->excl_val, val};
        chaos_delay(v);
        stored = excl_modify(v, canon, bytes, locked_cas, &t);
    }
    v->excl_state = 0;
    if (stored)
        count(v, STREX_OK);
    else
        count(v, STREX_FAIL);
    return !stored;
}

static void clear(struct vcpu *v)
{
    lock_all();
    v->excl_state = 0;
    unlock_all();
}

const struct atomics_ops SYMBOL = {
    .head = {.name = NAME,
             .summary = SUMMARY,
             .source = "Konrad 2015 (MTTCG v6)",
             .needs = NEEDS_(CMPXCHG64),
             .gives = GIVES(PROGRESS) | GIVES(NO_STOP)},
    .ldrex = ldrex,
    .strex = strex,
    .swp = excl_swap,
    .clear = clear,
};
