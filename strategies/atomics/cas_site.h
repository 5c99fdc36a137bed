/*
 * cas_site.h — twins and inline code of a store-exclusive that is a compare-and-swap
 *
 * For the schemes that use it as it is (cmpxchg), and for llsc on a machine with one vCPU.
 *
 * C1  The reservation is the vCPU's own three words (excl_state = bytes or 0, excl_addr, excl_val): no other vCPU reads or
 *     writes them.
 * C2  The swap is atomic with every other store because it is one host instruction.
 */
#ifndef STRATEGIES_ATOMICS_CAS_SITE_H
#define STRATEGIES_ATOMICS_CAS_SITE_H

#include "engine/x64/abi.h"
#include "engine/x64/asm.h"
#include "strategies/atomics/exclusive.h"

/* -- Twins ---------------------------------------------------------------------------------------------------------------- */

static inline void cas_set_state(struct vcpu *v, uint32_t bytes)
{
    /* Relaxed, atomic: where devices' stores are watched they may write 0. */
    __atomic_store_n(&v->excl_state, bytes, __ATOMIC_RELAXED);
}

static inline uint64_t cas_ldrex(struct vcpu *v, gva va, uint32_t mem)
{
    unsigned bytes = excl_bytes(mem);
    gpa canon;
    uint8_t *host = softmmu_host(v, va, bytes, false, mem, &canon);
    count(v, LDREX);
    cas_set_state(v, 0);
    if (!host)
        return excl_device_load(v, va, mem);
    cas_set_state(v, bytes);
    v->excl_addr = va;
    uint64_t val = v->excl_val = excl_read(host, bytes);
    dlog(EXCL, "vcpu%u: load-link %08x = %#" PRIx64, v->index, va, val);
    return val;
}

struct cas_try {
    uint8_t *host;
    unsigned bytes;
    uint64_t expected, val;
};

static inline bool cas_now(void *ctx)
{
    const struct cas_try *t = ctx;
    return excl_cas(t->host, t->bytes, t->expected, t->val);
}

static inline uint32_t cas_strex(struct vcpu *v, gva va, uint64_t val, uint32_t mem)
{
    unsigned bytes = excl_bytes(mem);
    gpa canon;
    uint8_t *host = softmmu_host(v, va, bytes, true, mem, &canon);
    bool stored = false;
    if (host && __atomic_load_n(&v->excl_state, __ATOMIC_RELAXED) == bytes && v->excl_addr == va &&
        !chaos_fail(v, CHAOS_STREX)) {
        struct cas_try t = {host, bytes, v->excl_val, val};
        chaos_delay(v);
        stored = excl_modify(v, canon, bytes, cas_now, &t);
    }
    cas_set_state(v, 0);
    if (stored)
        count(v, STREX_OK);
    else
        count(v, STREX_FAIL);
    dlog(EXCL, "vcpu%u: store-conditional %08x %s", v->index, va, stored ? "stored" : "failed");
    return !stored;
}

static inline void cas_clear(struct vcpu *v)
{
    cas_set_state(v, 0);
}

/* -- Inline ------------------------------------------------------------------------------------------------------------------- */

static inline void cas_emit_ldrex(struct x64_asm *a, const struct excl_site *s)
{
    unsigned bytes = excl_bytes(s->mem);
    /* State before data: a store by a device that is watched either comes before the load, or clears the state after. */
    asm_store_i(a, 4, VFIELD(excl_state), bytes);
    asm_store(a, 4, VFIELD(excl_addr), s->va);
    asm_load(a, bytes, s->lo, mem_b(s->host, 0));
    asm_store(a, 8, VFIELD(excl_val), s->lo);
}

static inline void cas_emit_strex(struct x64_asm *a, const struct excl_site *s)
{
    unsigned bytes = excl_bytes(s->mem);
    struct x64_label fail = X64_LABEL_INIT;
    asm_alu_mi(a, ALU_CMP, 4, VFIELD(excl_state), bytes);
    asm_jcc(a, CC_NE, &fail);
    asm_alu_rm(a, ALU_CMP, 4, s->va, VFIELD(excl_addr));
    asm_jcc(a, CC_NE, &fail);
    asm_load(a, 8, RAX, VFIELD(excl_val));
    asm_lock_cmpxchg(a, bytes, mem_b(s->host, 0), s->lo); /* C2 */
    asm_bind(a, &fail);
    /* "Not equal" on each way to here: not stored. */
    asm_mov_ri(a, s->status, 0);
    asm_setcc(a, CC_NE, s->status);
    asm_store_i(a, 4, VFIELD(excl_state), 0);
}

static inline void cas_emit_clrex(struct x64_asm *a)
{
    asm_store_i(a, 4, VFIELD(excl_state), 0);
}

#define CAS_BUDGET_LDREX 4
#define CAS_BUDGET_STREX 9

#endif
