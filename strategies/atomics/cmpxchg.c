/*
 * cmpxchg.c — a store-exclusive is a compare-and-swap with the value that was loaded
 *
 * Idea: the load-link remembers address and value, the store-conditional swaps if the value is still that. Wait-free, inline,
 * one locked instruction, and scales on private lines like the host does.
 * Source: PICO-CAS, Cota et al., CGO 2017; Konrad 2015; QEMU since 2.8 (354161b37c, 37b995f6e7).
 *
 * C1  The reservation is the vCPU's own three words (excl_state = bytes or 0, excl_addr, excl_val): nobody else reads or
 *     writes them.
 * C2  The swap is atomic with every other store because it is one host instruction.
 * What is known not to work: ABA. A store, or several, by anyone that leaves the same bits goes unseen. The key is the virtual
 * address, so a store-exclusive through another mapping of the same page fails, spuriously but safely.
 */
#include "strategies/atomics/exclusive.h"

#include "engine/x64/abi.h"
#include "engine/x64/asm.h"

/* -- Twins ---------------------------------------------------------------------------------------------------------------- */

static uint64_t ldrex(struct vcpu *v, gva va, uint32_t mem)
{
    unsigned bytes = excl_bytes(mem);
    gpa canon;
    uint8_t *host = softmmu_host(v, va, bytes, false, mem, &canon);
    count(v, LDREX);
    v->excl_state = 0;
    if (!host)
        return excl_device_load(v, va, mem);
    uint64_t val = excl_read(host, bytes);
    v->excl_state = bytes;
    v->excl_addr = va;
    v->excl_val = val;
    dlog(EXCL, "vcpu%u: load-link %08x = %#" PRIx64, v->index, va, val);
    return val;
}

struct cas_try {
    uint8_t *host;
    unsigned bytes;
    uint64_t expected, val;
};

static bool cas(void *ctx)
{
    const struct cas_try *t = ctx;
    return excl_cas(t->host, t->bytes, t->expected, t->val);
}

static uint32_t strex(struct vcpu *v, gva va, uint64_t val, uint32_t mem)
{
    unsigned bytes = excl_bytes(mem);
    gpa canon;
    uint8_t *host = softmmu_host(v, va, bytes, true, mem, &canon);
    bool stored = false;
    if (host && v->excl_state == bytes && v->excl_addr == va && !chaos_fail(v, CHAOS_STREX)) {
        struct cas_try t = {host, bytes, v->excl_val, val};
        chaos_delay(v);
        stored = excl_modify(v, canon, bytes, cas, &t);
    }
    v->excl_state = 0;
    if (stored)
        count(v, STREX_OK);
    else
        count(v, STREX_FAIL);
    dlog(EXCL, "vcpu%u: store-conditional %08x %s", v->index, va, stored ? "stored" : "failed");
    return !stored;
}

static void clear(struct vcpu *v)
{
    v->excl_state = 0;
}

/* -- Inline ------------------------------------------------------------------------------------------------------------------- */

static void emit_ldrex(struct x64_asm *a, const struct excl_site *s)
{
    unsigned bytes = excl_bytes(s->mem);
    asm_load(a, bytes, s->lo, mem_b(s->host, 0));
    asm_store(a, 8, VFIELD(excl_val), s->lo);
    asm_store(a, 4, VFIELD(excl_addr), s->va);
    asm_store_i(a, 4, VFIELD(excl_state), bytes);
}

static void emit_strex(struct x64_asm *a, const struct excl_site *s)
{
    unsigned bytes = excl_bytes(s->mem);
    struct x64_label fail = X64_LABEL_INIT, done = X64_LABEL_INIT;
    asm_alu_mi(a, ALU_CMP, 4, VFIELD(excl_state), bytes);
    asm_jcc(a, CC_NE, &fail);
    asm_alu_rm(a, ALU_CMP, 4, s->va, VFIELD(excl_addr));
    asm_jcc(a, CC_NE, &fail);
    asm_load(a, 8, RAX, VFIELD(excl_val));
    asm_lock_cmpxchg(a, bytes, mem_b(s->host, 0), s->lo); /* C2 */
    asm_bind(a, &fail);
    /* Not equal on both ways here: the flags say whether it was stored. */
    asm_mov_ri(a, s->status, 0);
    asm_setcc(a, CC_NE, s->status);
    asm_store_i(a, 4, VFIELD(excl_state), 0);
    (void)done;
}

static void emit_clrex(struct x64_asm *a)
{
    asm_store_i(a, 4, VFIELD(excl_state), 0);
}

const struct atomics_ops atomics_cmpxchg = {
    .head = {.name = "cmpxchg",
             .summary = "compare-and-swap with the value loaded: inline and scalable, open to ABA",
             .source = "PICO-CAS, CGO 2017; Konrad 2015",
             .needs = NEEDS_(CMPXCHG64),
             .gives = GIVES(PROGRESS) | GIVES(NO_STOP)},
    .emit_ldrex = emit_ldrex,
    .emit_strex = emit_strex,
    .emit_clrex = emit_clrex,
    .budget_ldrex = 4,
    .budget_strex = 9,
    .ldrex = ldrex,
    .strex = strex,
    .swp = excl_swap,
    .clear = clear,
};
