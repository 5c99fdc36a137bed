/*
 * stubs.c — the code behind stubs.h
 *
 * Registers go to v->r[] before C runs, for a slow path may leave by longjmp and the state must then be in v. On the way
 * back only the registers that C does not preserve are loaded again, unless the helper writes guest registers.
 * Guest r8..r11 are always in v.
 */
#include "engine/x64/stubs.h"

#include "engine/x64/abi.h"
#include "engine/x64/asm_vex.h"
#include "engine/x64/emit.h"
#include "engine/x64/guess.h"
#include "strategies/atomics/atomics.h"

struct x64_stubs x64_stubs;
struct x64_host x64_host;

enum which { CALLER_SAVED, ALL };

static void save_regs(struct x64_asm *a, enum which which)
{
    for (unsigned g = 0; g < 15; g++)
        if (host_of(g) >= 0 && (which == ALL || !callee_saved(host_of(g))))
            asm_store(a, 4, greg_mem(g), host_of(g));
}

static void load_regs(struct x64_asm *a, enum which which)
{
    for (unsigned g = 0; g < 15; g++)
        if (host_of(g) >= 0 && (which == ALL || !callee_saved(host_of(g))))
            asm_load(a, 4, host_of(g), greg_mem(g));
}

static const void *begin(struct x64_asm *a)
{
    asm_align(a, 16);
    return a->rx + a->off;
}

static void arg_vcpu(struct x64_asm *a)
{
    asm_lea(a, 8, RDI, mem_b(HOST_VCPU, -VCPU_BIAS));
}

/* For thunks that blocks call with guest values in xmm registers (vregs.c, V3). rsp is 0 mod 16 in between as before. */
static void save_xmm(struct x64_asm *a, bool keep)
{
    if (!keep)
        return;
    asm_lea(a, 8, RSP, mem_b(RSP, -16 * KEPT_XMM));
    for (int k = 0; k < KEPT_XMM; k++)
        asm_vex_rrm(a, VX_MOVUPS_ST, k, NO_REG, mem_b(RSP, 16 * k));
}

static void load_xmm(struct x64_asm *a, bool keep)
{
    if (!keep)
        return;
    for (int k = 0; k < KEPT_XMM; k++)
        asm_vex_rrm(a, VX_MOVUPS_LD, k, NO_REG, mem_b(RSP, 16 * k));
    asm_lea(a, 8, RSP, mem_b(RSP, 16 * KEPT_XMM));
}

static void call_c(struct x64_asm *a, uintptr_t fn)
{
    asm_mov_ri64(a, RAX, fn);
    asm_call_r(a, RAX);
}

/* -- Enter and leave ------------------------------------------------------------------------------------------------- */

static const int8_t saved[] = {RBX, RBP, R12, R13, R14, R15};

static const void *build_enter(struct x64_asm *a, const void *sentinel)
{
    const void *at = begin(a);

    for (unsigned k = 0; k < ARRAY_SIZE(saved); k++)
        asm_push(a, saved[k]);
    asm_lea(a, 8, HOST_VCPU, mem_b(RDI, VCPU_BIAS));
    asm_mov_ri64(a, RAX, (uintptr_t)sentinel);
    asm_push_i(a, RAS_SENTINEL);
    asm_push(a, RAX);
    asm_store(a, 8, VFIELD(host_rsp), RSP);
    asm_lea(a, 8, RAX, mem_b(RSP, -RAS_BYTES));
    asm_store(a, 8, VFIELD(ras_limit), RAX);
    asm_mov_rr(a, 8, RAX, RSI);
    load_regs(a, ALL);
    asm_jmp_r(a, RAX);
    return at;
}

static void emit_leave(struct x64_asm *a)
{
    save_regs(a, ALL);
    asm_load(a, 8, RSP, VFIELD(host_rsp));
    asm_alu_ri(a, ALU_ADD, 8, RSP, 16);
    for (unsigned k = ARRAY_SIZE(saved); k-- > 0;)
        asm_pop(a, saved[k]);
    asm_ret(a);
}

/* -- Thunks ---------------------------------------------------------------------------------------------------------- */

/* ecx: address, rdx: value if `value`, eax: third argument. */
static const void *build_slow(struct x64_asm *a, uintptr_t fn, bool value, bool keep)
{
    const void *at = begin(a);

    save_regs(a, ALL);
    save_xmm(a, keep);
    asm_mov_rr(a, 4, RSI, RCX);
    asm_mov_rr(a, 4, value ? RCX : RDX, RAX);
    arg_vcpu(a);
    call_c(a, fn);
    load_xmm(a, keep);
    load_regs(a, CALLER_SAVED);
    asm_ret(a);
    return at;
}

static const void *build_excl(struct x64_asm *a, bool store)
{
    const void *at = begin(a);

    save_regs(a, ALL);
    asm_mov_rr(a, 4, RSI, RCX);
    if (store)
        asm_load(a, 4, RCX, VFIELD(mbuf));
    arg_vcpu(a);
    asm_call_r(a, RAX);
    load_regs(a, CALLER_SAVED);
    asm_ret(a);
    return at;
}

static const void *build_clear(struct x64_asm *a)
{
    const void *at = begin(a);

    save_regs(a, CALLER_SAVED);
    arg_vcpu(a);
    asm_call_r(a, RAX);
    load_regs(a, CALLER_SAVED);
    asm_ret(a);
    return at;
}

static const void *build_helper(struct x64_asm *a, uintptr_t fn, const struct ir_helper_info *h, bool keep)
{
    const void *at = begin(a);

    save_xmm(a, keep);
    save_regs(a, h->reads_regs || h->writes_regs || h->leaves ? ALL : CALLER_SAVED);
    if (h->nargs)
        asm_mov_rr(a, 4, RSI, RAX);
    arg_vcpu(a);
    call_c(a, fn);
    load_xmm(a, keep);
    load_regs(a, h->writes_regs ? ALL : CALLER_SAVED);
    asm_ret(a);
    return at;
}

/* -- Watched frames ------------------------------------------------------------------------------------------------------ */

enum watched { WATCHED_STORE, WATCHED_STM, WATCHED_LDREX, WATCHED_STREX };

/* Registers as for the thunk, which is slow's. The guest's r12, lr and sp give way: v->r[] is theirs in thunks anyway. eax of a store
 * waits in v->mbuf, that of an STM in edx. */
static const void *build_watched(struct x64_asm *a, const struct atomics_ops *ops, enum watched what, unsigned lg,
                                 unsigned mode, const void *slow)
{
    static const uint8_t temps[] = {12, 14, 13, 1};
    struct x64_label miss = X64_LABEL_INIT, unaligned = X64_LABEL_INIT;
    struct watched_site site = {
        .host = host_of(temps[0]),
        .t1 = host_of(temps[1]),
        .t2 = host_of(temps[2]),
        .t3 = what == WATCHED_STM ? host_of(temps[3]) : NO_REG,
        .data = what == WATCHED_LDREX ? NO_REG : RDX,
        .bytes = 1u << lg,
        .slow = &miss,
    };
    struct x64_mem table = vmem(offsetof(struct vcpu, flat.watched) + mode * sizeof(uint64_t) * VPAGES);
    unsigned ntemps = what == WATCHED_STM ? 4 : 3;
    const void *at = begin(a);

    if (lg) {
        asm_test_ri(a, RCX, (1u << lg) - 1);
        asm_jcc(a, CC_NE, &unaligned);
    }
    for (unsigned k = 0; k < ntemps; k++)
        asm_store(a, 4, greg_mem(temps[k]), host_of(temps[k]));
    if (what == WATCHED_STORE)
        asm_store(a, 4, VFIELD(mbuf), RAX);
    if (what == WATCHED_STM) { /* within the page? */
        asm_mov_rr(a, 4, RDX, RAX);
        asm_mov_rr(a, 4, RAX, RCX);
        asm_alu_ri(a, ALU_AND, 4, RAX, 0xfff);
        asm_lea(a, 4, RAX, mem_bi(RAX, RDX, 4, 0));
        asm_alu_ri(a, ALU_CMP, 4, RAX, 0x1000);
        asm_jcc(a, CC_A, &miss);
    }
    asm_mov_rr(a, 4, site.host, RCX);
    asm_shift_ri(a, SH_SHR, 4, site.host, 12);
    asm_load(a, 8, site.host, mem_bi(table.base, site.host, 8, table.disp));
    asm_test_rr(a, 8, site.host, site.host);
    asm_jcc(a, CC_E, &miss);
    asm_alu_rr(a, ALU_ADD, 8, site.host, RCX);
    (what == WATCHED_STORE   ? ops->emit_watched_store
     : what == WATCHED_STM   ? ops->emit_watched_stm
     : what == WATCHED_LDREX ? ops->emit_watched_ldrex
                             : ops->emit_watched_strex)(a, &site);
    for (unsigned k = 0; k < ntemps; k++)
        asm_load(a, 4, host_of(temps[k]), greg_mem(temps[k]));
    asm_ret(a);

    asm_bind(a, &miss);
    for (unsigned k = 0; k < ntemps; k++)
        asm_load(a, 4, host_of(temps[k]), greg_mem(temps[k]));
    if (what == WATCHED_STORE)
        asm_load(a, 4, RAX, VFIELD(mbuf));
    if (what == WATCHED_STM)
        asm_mov_rr(a, 4, RAX, RDX);
    asm_bind(a, &unaligned);
    if (what == WATCHED_LDREX || what == WATCHED_STREX)
        asm_mov_ri64(a, RAX, what == WATCHED_LDREX ? (uintptr_t)ops->ldrex : (uintptr_t)ops->strex);
    if (!asm_jmp_abs(a, slow))
        CHECK(false, "stub out of reach");
    return at;
}

static void build_watched_all(struct x64_asm *a, const struct atomics_ops *ops)
{
    struct x64_stubs *s = &x64_stubs;
    bool any = ops && ops->emit_watched_store;

    for (unsigned mode = 0; mode < MMU_MODES; mode++)
        s->watched_stm[mode] = any ? build_watched(a, ops, WATCHED_STM, 2, mode, s->stm) : NULL;
    for (unsigned lg = 0; lg < 4; lg++)
        for (unsigned mode = 0; mode < MMU_MODES; mode++) {
            for (unsigned keep = 0; keep < 2; keep++)
                s->watched_store[keep][lg][mode] =
                    any ? build_watched(a, ops, WATCHED_STORE, lg, mode, lg == 3 ? s->store64[keep] : s->store[keep])
                        : NULL;
            s->watched_ldrex[lg][mode] = any ? build_watched(a, ops, WATCHED_LDREX, lg, mode, s->excl_load) : NULL;
            s->watched_strex[lg][mode] = any ? build_watched(a, ops, WATCHED_STREX, lg, mode, s->excl_store) : NULL;
        }
}

/* -- Jump cache --------------------------------------------------------------------------------------------------------- */

/* eax: target; rax becomes what fn found. rsp is 8 mod 16. */
static void call_find(struct x64_asm *a, uintptr_t fn)
{
    asm_store(a, 4, greg_mem(15), RAX);
    save_regs(a, ALL);
    asm_mov_rr(a, 4, RSI, RAX);
    arg_vcpu(a);
    asm_alu_ri(a, ALU_SUB, 8, RSP, 8);
    call_c(a, fn);
    asm_alu_ri(a, ALU_ADD, 8, RSP, 8);
    load_regs(a, CALLER_SAVED);
}

/* eax: target. Jumped to from a block: rsp is 8 mod 16. */
static const void *build_jc_miss(struct x64_asm *a, uintptr_t fn)
{
    struct x64_label not_found = X64_LABEL_INIT;
    const void *at = begin(a);

    call_find(a, fn);
    asm_test_rr(a, 8, RAX, RAX);
    asm_jcc(a, CC_E, &not_found);
    asm_jmp_r(a, RAX);
    asm_bind(a, &not_found);
    emit_leave(a); /* with rax = NULL */
    return at;
}

/* Called from a block with a frame's key pushed. */
static const void *build_call_miss(struct x64_asm *a, uintptr_t fn)
{
    const void *at = begin(a);

    call_find(a, fn);
    asm_ret(a);
    return at;
}

static const void *build_return_miss(struct x64_asm *a, unsigned mode, const void *jc_miss)
{
    const void *at = begin(a);
    struct x64_mem e = vmem(offsetof(struct vcpu, jc) + mode * sizeof(struct jc_entry) * JC_ENTRIES);

    e = mem_bi(e.base, RCX, 8, e.disp);
    asm_load(a, 8, RSP, VFIELD(host_rsp));
    asm_mov_rr(a, 4, RCX, RAX);
    asm_alu_ri(a, ALU_AND, 4, RCX, (JC_ENTRIES - 1) << 1);
    asm_alu_mr(a, ALU_CMP, 4, e, RAX);
    if (!asm_jcc_abs(a, CC_NE, jc_miss))
        CHECK(false, "stub out of reach");
    e.disp += (int32_t)offsetof(struct jc_entry, host);
    asm_jmp_m(a, e);
    return at;
}

/* -- Constants ----------------------------------------------------------------------------------------------------------- */

static void build_pool(struct x64_asm *a)
{
    static const uint64_t fixed[POOL_SHR_8][2] = {
        [POOL_ABS32] = {0x7fffffff7fffffff, 0x7fffffff7fffffff},
        [POOL_SIGN32] = {0x8000000080000000, 0x8000000080000000},
        [POOL_FP_DENORMAL] = {0x00ffffff00ffffff, 0x00ffffff00ffffff},
        [POOL_FP_LEAST] = {0x0100000201000002, 0x0100000201000002},
        [POOL_FP_SPAN] = {0xfdfffffcfdfffffc, 0xfdfffffcfdfffffc},
        [POOL_BYTES_70] = {0x7070707070707070, 0x7070707070707070},
        [POOL_BYTES_78] = {0x7878787878787878, 0x7878787878787878},
        [POOL_BYTES_F0] = {0xf0f0f0f0f0f0f0f0, 0xf0f0f0f0f0f0f0f0},
        [POOL_REV32_8] = {0x0405060700010203, 0x0c0d0e0f08090a0b},
        [POOL_REV64_8] = {0x0001020304050607, 0x08090a0b0c0d0e0f},
        [POOL_REV64_16] = {0x0100030205040706, 0x09080b0a0d0c0f0e},
        [POOL_EVEN_ODD_8] = {0x0e0c0a0806040200, 0x0f0d0b0907050301},
        [POOL_QUARTERS_8] = {0x0d0905010c080400, 0x0f0b07030e0a0602},
        [POOL_QUARTERS_16] = {0x0b0a030209080100, 0x0f0e07060d0c0504},
        [POOL_EVEN_ODD_16] = {0x0d0c090805040100, 0x0f0e0b0a07060302},
    };

    asm_align(a, 16);
    x64_stubs.pool = a->rx + a->off;
    for (unsigned k = 0; k < POOL_SHR_8; k++) {
        asm_u64(a, fixed[k][0]);
        asm_u64(a, fixed[k][1]);
    }
    for (unsigned k = 0; k < 27; k++) {
        uint64_t byte = (k < 9 ? 0xffu >> k : k < 18 ? 0xffu << (k - 9) : 0x80u >> (k - 18)) & 0xff;

        asm_u64(a, byte * 0x0101010101010101);
        asm_u64(a, byte * 0x0101010101010101);
    }
}

/* -- All ------------------------------------------------------------------------------------------------------------------ */

bool x64_stubs_build(struct code_span span, const struct x64_calls *calls, size_t *used)
{
    struct x64_asm a;
    struct x64_stubs *s = &x64_stubs;

    x64_host.avx2 = __builtin_cpu_supports("avx2") != 0;
    x64_host.fma = __builtin_cpu_supports("fma") != 0;
    calls = guess_wrap(calls);
    asm_init(&a, span.rw, span.rx, span.bytes);
    build_pool(&a);
    s->leave = begin(&a);
    emit_leave(&a);
    for (unsigned mode = 0; mode < MMU_MODES; mode++) {
        s->jc_miss[mode] = build_jc_miss(&a, (uintptr_t)calls->jump_cache_miss);
        s->return_miss[mode] = build_return_miss(&a, mode, s->jc_miss[mode]);
    }
    s->call_miss = build_call_miss(&a, (uintptr_t)calls->jump_cache_miss);

    /* A return to the sentinel's key, which no guest makes in good faith: look it up like any other target. */
    const void *sentinel = begin(&a);
    asm_mov_ri(&a, RAX, RAS_SENTINEL);
    asm_load(&a, 8, RSP, VFIELD(host_rsp));
    if (!asm_jmp_abs(&a, s->jc_miss[MMU_USER]))
        CHECK(false, "stub out of reach");
    const void *enter = build_enter(&a, sentinel);
    memcpy(&s->enter, &enter, sizeof enter);

    for (unsigned keep = 0; keep <= x64_host.avx2; keep++) {
        s->load[keep] = build_slow(&a, (uintptr_t)calls->load, false, keep);
        s->load64[keep] = build_slow(&a, (uintptr_t)calls->load64, false, keep);
        s->store[keep] = build_slow(&a, (uintptr_t)calls->store, true, keep);
        s->store64[keep] = build_slow(&a, (uintptr_t)calls->store64, true, keep);
    }
    s->ldm = build_slow(&a, (uintptr_t)calls->ldm, false, false);
    s->stm = build_slow(&a, (uintptr_t)calls->stm, false, false);
    s->excl_load = build_excl(&a, false);
    s->excl_store = build_excl(&a, true);
    s->clear = build_clear(&a);
    build_watched_all(&a, calls->atomics);
    for (unsigned k = 0; k < HELPER_COUNT; k++)
        s->helper[k] = build_helper(&a, (uintptr_t)calls->helper[k], &ir_helper_info[k], false);
    for (unsigned k = 0; k < HELPER_COUNT && x64_host.avx2; k++) {
        const struct ir_helper_info *h = &ir_helper_info[k];

        if (!h->reads_regs && !h->writes_regs && !h->reads_flags && !h->writes_flags && !h->leaves)
            s->helper_keep[k] = build_helper(&a, (uintptr_t)calls->helper[k], h, true);
    }
    *used = a.off;
    return !a.overflow;
}

struct tb_exit *x64_enter(struct vcpu *v, const void *host)
{
    guess_prepare(v);
    return x64_stubs.enter(v, host);
}
