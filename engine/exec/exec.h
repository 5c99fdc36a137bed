/*
 * exec.h — running guest code: find a block, enter it, come back
 */
#ifndef ENGINE_EXEC_EXEC_H
#define ENGINE_EXEC_EXEC_H

#include "engine/arm/arm.h"
#include "engine/exec/debug.h"
#include "engine/tb/tb.h"
#include "engine/vcpu/vcpu.h"

enum exec_engine { ENGINE_JIT, ENGINE_INTERP };

/* Const after LAUNCH, but for what says otherwise. */
struct exec_config {
    enum exec_engine engine;
    bool no_chain;
    bool count_insns;          /* translated code does too */
    bool exact_flags;          /* rule D3 of debug.h; W: QUIESCED */
    unsigned max_insns;        /* a block */
    uint32_t dump;             /* DUMP_* */
    uint32_t dump_lo, dump_hi; /* pc range */
};
enum { DUMP_GUEST = 1, DUMP_IR = 2, DUMP_HOST = 4 };
extern struct exec_config exec_config;

/* What the loop of one vCPU keeps between passes. Own thread. */
struct exec_state {
    /* The exit by which the last block was left, if it could be linked to the block found next; invalid after a flush:
     * whether it still may be used is the invalidation scheme's question. */
    struct tb_exit *last;
    uint64_t token;                          /* the invalidation scheme's own: what it saw when `last` was found */
    uint64_t sections;                       /* read sections begun: changes when pointers to blocks were lost */
    uint32_t jc_flags[MMU_MODES];            /* key flags but T for which the jump cache is filled */
    struct tb *jc_tb[MMU_MODES][JC_ENTRIES]; /* valid while the jump cache entry has the same key */
    struct tb *bounded;                      /* the throw-away block that runs */
    struct debug_state debug;
    struct ir_block ir;
};

static inline struct exec_state *exec_state(struct vcpu *v)
{
    return v->exec;
}

bool exec_init_vcpu(struct vcpu *v, struct error *e); /* LAUNCH */

/* Runs loop(v) until it returns false, coming back to it after each vcpu_leave(). SAFEPOINT at entry. */
void exec_run(struct vcpu *v, bool (*loop)(struct vcpu *v));

/* -- Parts of the loop (engine/exec/loop.h) -------------------------------------------------------------------------- */

/* The rare part of a safepoint. False: the machine ends. */
bool exec_safepoint(struct vcpu *v);
/* The block for the present state, translated if need be. May lose x->last (sets it NULL). May leave by a guest
 * exception. */
struct tb *exec_find_slow(struct vcpu *v, uint32_t flags);
/* Run tb; returns the exit taken if it can be linked. */
struct tb_exit *exec_enter_interp(struct vcpu *v, struct tb *tb);

/* Exactly n instructions by bounded blocks; used by schemes' cpu_exec_bounded. Own thread, SAFEPOINT. */
uint64_t exec_bounded(struct vcpu *v, uint64_t n);
/* Own thread, SAFEPOINT: one throw-away block of at most *left instructions. Its instructions are taken from *left before they
 * run; it may leave by a guest exception and the like. */
void exec_run_bounded(struct vcpu *v, uint64_t *left);

/* Translate the code at key; page locks, code memory and publication included. bounded: a throw-away block of exactly
 * `insns` instructions, unpublished. SAFEPOINT, no block held but x->last. */
struct tb *exec_translate(struct vcpu *v, struct tb_key key, const uint8_t *host, unsigned insns, bool bounded);

/* Own thread, SAFEPOINT: the read section is about to be broken; x->last and the like are gone. */
void exec_blocks_lost(struct vcpu *v);

/* The throw-away block has run. */
void exec_forget_bounded(struct tb *tb);

void exec_dump_block(const struct tb *tb, const struct ir_block *ir, const uint8_t *guest, const uint8_t *host_rw);

#endif
