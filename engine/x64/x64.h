/*
 * x64.h — the host: from IR to code, and the calls between C and translated code
 *
 * Register assignment in translated code (abi.h has the numbers and the static asserts):
 *   rbp             struct vcpu + VCPU_BIAS
 *   rsp             host stack; below ras_limit.. the shadow stack of guest returns (pairs key, address)
 *   rax rcx rdx     scratch: IR values of the current segment, addresses, helpers' arguments
 *   rbx rsi rdi r8..r15   guest r0..r7, r12, sp, lr, pinned across blocks
 * Guest r8..r11 live in v->r[] and are used as memory operands. Upper halves of pinned registers are
 * always zero (every 32-bit write clears them), so a pinned register can be used as an address.
 */
#ifndef ENGINE_X64_X64_H
#define ENGINE_X64_X64_H

#include "engine/ir/ir.h"
#include "engine/vcpu/vcpu.h"

struct tb;
struct tb_exit;
struct atomics_ops;

/* Code memory has two views; all pointers in struct tb are of the executable view. */
struct code_span {
    uint8_t *rw, *rx;
    size_t bytes; /* 0: none */
};

/* -- Making code ------------------------------------------------------------------------------------------------ */

#define TB_MAX_EXITS 12

struct x64_exit_info { /* a static exit as emitted; offsets from the span's begin */
    uint32_t target;   /* pc | T */
    uint32_t jump_off; /* of the rel32 of the jmp/jcc (not crossing 8 bytes), UINT32_MAX: not chainable */
    uint32_t stub_off; /* where the rel32 points while unlinked */
    bool cross_page;   /* must be linked to the target's entry_xpage, */
    bool backward;     /* ... to its entry_poll; else to entry_main */
};

struct x64_code {
    size_t bytes;
    uint32_t entry_xpage, entry_poll,
        entry_main; /* offsets: checks mapping of the page(s); then polls; then the body */
    unsigned nexits;
    struct x64_exit_info exits[TB_MAX_EXITS];
};

struct x64_request {
    const struct ir_block *ir;
    struct tb *tb;        /* whose address exits carry: stubs return &tb->exits[i] */
    uint32_t pc, flags;   /* key */
    uint64_t page_ppn[2]; /* physical page number of the first and, if crossing, second page (else UINT64_MAX) */
    bool no_chain;        /* exits always return to the loop */
    bool count_insns;     /* add up the guest instructions that are begun */
    const struct atomics_ops *atomics;
    struct code_span span;
};

/* Emit. Returns false when the span is too small (nothing is usable then). XLATE context. */
bool x64_translate(const struct x64_request *req, struct x64_code *out);

/* Out-of-line stubs shared by all blocks (enter/leave, slow paths, helpers, jump cache miss), once at LAUNCH into
 * their own small code memory. */
bool x64_init(struct error *e);
void x64_dump(const uint8_t *code, size_t bytes, uint64_t addr, void (*line)(void *ctx, const char *text), void *ctx);

/* -- Running -------------------------------------------------------------------------------------------------------- */

/* Enter translated code at host (an entry of a block) with the state in v. Comes back when the code wants the
 * loop: returns the exit that was taken and could be linked, or NULL (jump cache miss, poll, exit_loop). v->r[15]
 * holds the next pc | T; all state is saved in v. */
struct tb_exit *x64_enter(struct vcpu *v, const void *host);

/* Called by the jump-cache miss stub: find the block for pc_t without translating; NULL: leave to the loop.
 * Provided by exec/. READ context. Fills the jump cache. */
const void *exec_jump_cache_miss(struct vcpu *v, uint32_t pc_t);

/* -- Patching: the destination's jmp lock held ------------------------------------------------------------------------ */

/* Atomically point the rel32 at jump_rx (executable view; jump_rw the same in the writable one) to target. */
void x64_patch_jump(uint8_t *jump_rw, const uint8_t *jump_rx, const uint8_t *target);

/* Host code size never exceeds this for a block of n IR instructions. */
static inline size_t x64_code_bound(uint32_t n)
{
    return 1024 + (size_t)n * 160;
}

#endif
