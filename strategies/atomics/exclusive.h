/*
 * exclusive.h — what the twins of all atomics schemes have in common
 */
#ifndef STRATEGIES_ATOMICS_EXCLUSIVE_H
#define STRATEGIES_ATOMICS_EXCLUSIVE_H

#include "engine/base/log.h"
#include "engine/exec/chaos.h"
#include "engine/ir/ir.h"
#include "engine/mem/softmmu.h"
#include "engine/tb/tb.h"
#include "strategies/atomics/atomics.h"

static inline unsigned excl_bytes(uint32_t mem)
{
    return 1u << (mem & MEM_SIZE);
}

/* Single-copy atomic, aligned. */
static inline uint64_t excl_read(const uint8_t *host, unsigned bytes)
{
    switch (bytes) {
    case 1: return __atomic_load_n(host, __ATOMIC_RELAXED);
    case 2: return __atomic_load_n((const uint16_t *)host, __ATOMIC_RELAXED);
    case 4: return __atomic_load_n((const uint32_t *)host, __ATOMIC_RELAXED);
    default: return __atomic_load_n((const uint64_t *)host, __ATOMIC_RELAXED);
    }
}

/* Compare-and-swap of 1, 2, 4, 8 bytes. x86 makes it a full barrier whatever the order asked for. */
static inline bool excl_cas(uint8_t *host, unsigned bytes, uint64_t expected, uint64_t val)
{
#define CAS(type)                                                                                 \
 ({                                                                                               \
type e_ = (type)expected;                                                                             \
__atomic_compare_exchange_n((type *)host, &e_, (type)val, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED); \
 })
    switch (bytes) {
    case 1: return CAS(uint8_t);
    case 2: return CAS(uint16_t);
    case 4: return CAS(uint32_t);
    default: return CAS(uint64_t);
    }
#undef CAS
}

/* Load-exclusive of device memory: a plain load, and no reservation. ARM DDI 0406C A3.4.5 leaves it to the
 * implementation; a store-exclusive to it then fails. */
static inline uint64_t excl_device_load(struct vcpu *v, gva va, uint32_t mem)
{
    guest_error("load-exclusive of device memory at %08x: no reservation is made", va);
    return excl_bytes(mem) == 8 ? slow_load64(v, va, mem) : slow_load(v, va, mem);
}

/* A conditional store under the rules of the frame (T1 in tb.h, P1 and P2 in mem/page_state.c): modify(ctx) is run when no
 * translation can miss what it stores; it says whether it stored. */
static inline bool excl_modify(struct vcpu *v, gpa canon, unsigned bytes, bool (*modify)(void *ctx), void *ctx)
{
    uint32_t flags = page_store_begin(v, canon);
    bool stored = flags & PAGE_CODE ? tb_modify_code(v, canon, bytes, modify, ctx) : modify(ctx);
    page_store_end(v, canon);
    return stored;
}

struct excl_swap_try {
    uint8_t *host;
    uint32_t val, old;
    unsigned bytes;
};

static inline bool excl_swap_now(void *ctx)
{
    struct excl_swap_try *s = ctx;
    s->old = s->bytes == 1 ? __atomic_exchange_n(s->host, (uint8_t)s->val, __ATOMIC_SEQ_CST)
                           : __atomic_exchange_n((uint32_t *)s->host, s->val, __ATOMIC_SEQ_CST);
    return true;
}

/* SWP of the schemes whose store-exclusive is a host compare-and-swap: one host exchange is atomic with that. */
static inline uint32_t excl_swap(struct vcpu *v, gva va, uint32_t val, uint32_t mem)
{
    gpa canon;
    uint8_t *host = softmmu_host(v, va, excl_bytes(mem), true, mem, &canon);
    if (!host) {
        uint32_t old = slow_load(v, va, mem);
        slow_store(v, va, val, mem);
        return old;
    }
    struct excl_swap_try s = {host, val, 0, excl_bytes(mem)};
    excl_modify(v, canon, s.bytes, excl_swap_now, &s);
    return s.old;
}

#endif
