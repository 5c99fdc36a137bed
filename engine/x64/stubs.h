/*
 * stubs.h — code shared by all blocks: enter and leave, thunks that call C, jump cache misses
 *
 * Thunks are called from blocks and keep all guest registers; rax, rcx, rdx are lost unless said. All save the
 * pinned registers to v->r[] first if the C function may look at them or leave.
 */
#ifndef ENGINE_X64_STUBS_H
#define ENGINE_X64_STUBS_H

#include "engine/ir/helpers.h"
#include "engine/x64/x64.h"

/* C functions behind the thunks, so that tests can put their own. */
struct x64_calls {
    uint32_t (*load)(struct vcpu *v, gva va, uint32_t mem);
    uint64_t (*load64)(struct vcpu *v, gva va, uint32_t mem);
    void (*store)(struct vcpu *v, gva va, uint32_t val, uint32_t mem);
    void (*store64)(struct vcpu *v, gva va, uint64_t val, uint32_t mem);
    void (*ldm)(struct vcpu *v, gva va, uint32_t nwords);
    void (*stm)(struct vcpu *v, gva va, uint32_t nwords);
    const void *(*jump_cache_miss)(struct vcpu *v, uint32_t pc_t);
    void (*helper[HELPER_COUNT])(void);
    const struct atomics_ops *atomics; /* whose watched stores and exclusives to build; NULL: none */
};

/* Constants of vector operations, 16 bytes each. */
enum pool_entry {
    POOL_ABS32,       /* 0x7fffffff */
    POOL_SIGN32,      /* 0x80000000 */
    POOL_FP_DENORMAL, /* 0x00ffffff: lower_vec_fp.c */
    POOL_FP_LEAST,
    POOL_FP_SPAN,
    POOL_BYTES_70, /* bytes of 0x70, 0x78, 0xf0 */
    POOL_BYTES_78,
    POOL_BYTES_F0,
    POOL_REV32_8, /* shuffles */
    POOL_REV64_8,
    POOL_REV64_16,
    POOL_EVEN_ODD_8, /* even bytes, then odd */
    POOL_EVEN_ODD_16,
    POOL_QUARTERS_8,              /* bytes 0 4 8 12, 1 5 .. */
    POOL_QUARTERS_16,             /* halfwords 0 4 1 5 2 6 3 7 */
    POOL_SHR_8,                   /* bytes of 0xff >> k, k = 0..8 */
    POOL_SHL_8 = POOL_SHR_8 + 9,  /* ... 0xff << k */
    POOL_SIGN_8 = POOL_SHL_8 + 9, /* ... 0x80 >> k */
    POOL_COUNT = POOL_SIGN_8 + 9,
};

struct x64_stubs {
    const uint8_t *pool;
    struct tb_exit *(*enter)(struct vcpu *v, const void *host);
    const void *leave; /* jmp: rax = exit or NULL. r15 and flags are in v. */
    /* [1] keep xmm0..7 besides */
    const void *load[2], *load64[2];   /* ecx: address, eax: MEM_*; result in rax */
    const void *store[2], *store64[2]; /* ecx, rdx: value, eax */
    const void *ldm, *stm;             /* ecx, eax: words */
    const void *excl_load;             /* rax: C function, ecx: address, edx: MEM_*; result in rax */
    const void *excl_store; /* rax: C function, ecx: address, rdx: value; MEM_* in v->mbuf[0]; result in rax */
    /* As store, stm, excl_load, excl_store (rax need not be set), for 1 << n bytes: through flat.watched first, as the scheme has emitted
     * it, and by the thunk if that cannot be. NULL: none. Stores: [1] by the thunk that keeps xmm0..7. */
    const void *watched_store[2][4][MMU_MODES], *watched_stm[MMU_MODES], *watched_ldrex[4][MMU_MODES],
        *watched_strex[4][MMU_MODES];
    const void *clear;                  /* rax: C function of v only */
    const void *jc_miss[MMU_MODES];     /* jmp: eax = target */
    const void *return_miss[MMU_MODES]; /* jmp: eax = target; drops the shadow stack */
    const void *call_miss;              /* call: eax = target. rax = host code or NULL (r15 is set) */
    const void *helper[HELPER_COUNT];   /* eax, edx, ecx: arguments; result in rax */
    const void
        *helper_keep[HELPER_COUNT]; /* the same, keeping xmm0..7; NULL for those that may leave or see registers */
};
extern struct x64_stubs x64_stubs; /* const after LAUNCH */

/* What the host's CPU has. Without AVX2 operations of VFP and Advanced SIMD are calls of helpers; without FMA the fused
 * ones are. */
struct x64_host {
    bool avx2, fma;
};
extern struct x64_host x64_host; /* const after LAUNCH */

/* Build into span. False: too small. */
bool x64_stubs_build(struct code_span span, const struct x64_calls *calls, size_t *used);

#endif
