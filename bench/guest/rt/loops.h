/* loops.h — loops of many tiny generated blocks, shared by exec_loop and inval_latency.
 *
 * A block is: add r0, r0, #1; a word that is NOP or a branch to the next word (the place that may
 * be rewritten while others run it, ARM DDI 0406C A3.5.4); none to three further additions; and its
 * end, a direct branch or a load of an address and BX. The last block of a loop counts r1 down. r0
 * returns the number of blocks executed.
 * Blocks differ in length, as those of programs do: were all alike, their translations would lie at
 * equal distances, 64 bytes, and a host that predicts an indirect jump by the low bits of those
 * before it (Zen 5 was seen to) would tell them apart or not by the chance of where else memory was
 * taken in between.
 */
#ifndef LOOPS_H
#define LOOPS_H

#include "gen.h"

#define LOOP_BLOCK 32 /* bytes, room for the longest */
#define LOOP_MAX   64 /* blocks of one loop: what an indirect block can address of its table */

enum loop_mode { LOOP_DIRECT, LOOP_INDIRECT, LOOP_MIX };

struct loop {
    uint8_t *entry;
    uint32_t *table; /* r2: addresses for indirect blocks */
};

/* Writes n blocks from code on (n * LOOP_BLOCK + 16 bytes), visited in a scattered order; no
 * maintenance. */
static void loop_build(struct loop *l, uint8_t *code, uint32_t *table, uint32_t n, enum loop_mode mode, uint32_t seed)
{
    uint8_t order[LOOP_MAX];
    uint8_t *end = code + n * LOOP_BLOCK;
    for (uint32_t i = 0; i < n; i++)
        order[i] = (uint8_t)i;
    for (uint32_t i = n - 1; i > 0; i--) {
        uint32_t k = rt_rand(&seed) % (i + 1);
        uint8_t t = order[i];
        order[i] = order[k];
        order[k] = t;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint8_t *p = code + order[i] * LOOP_BLOCK;
        uint8_t *next = i + 1 < n ? code + order[i + 1] * LOOP_BLOCK : end;
        gen_put(&p, gen_add_imm(0, 0, 1));
        gen_cross_init(&p);
        for (uint32_t more = rt_rand(&seed) % 4; more; more--)
            gen_put(&p, gen_add_imm(12, 12, 1));
        if (mode == LOOP_DIRECT || (mode == LOOP_MIX && (i & 1))) {
            gen_put(&p, gen_b(p, next));
        } else {
            table[i] = (uint32_t)(uintptr_t)next | RT_THUMB;
            gen_put(&p, gen_ldr(3, 2, i * 4));
            gen_put(&p, gen_bx(3));
        }
    }
    l->entry = code + order[0] * LOOP_BLOCK;
    l->table = table;
    gen_put(&end, gen_subs_imm(1, 1, 1));
    gen_put(&end, gen_bne(end, l->entry));
    gen_put(&end, gen_bx(14));
}

static inline uint32_t loop_run(const struct loop *l, uint32_t rounds)
{
    return gen_callable(l->entry)(0, rounds, (uint32_t)(uintptr_t)l->table, 0);
}

/* Rewrites block i of the loop at code: NOP becomes a branch to the next word, or back. Includes
 * maintenance. */
static inline void loop_rewrite(uint8_t *code, uint32_t i, bool branch)
{
    uint8_t *p = code + i * LOOP_BLOCK + 4;
    if (branch)
        gen_cross_b(p, p + (RT_THUMB ? 2 : 4));
    else
        gen_cross_nop(p);
    rt_sync_code(p, 4);
}

/* Drops all cached instructions of all CPUs. */
static inline void loop_flush_all(void)
{
    rt_dsb();
    RT_MCR(0, c7, c1, 0, 0); /* ICIALLUIS */
    RT_MCR(0, c7, c1, 6, 0); /* BPIALLIS */
    rt_dsb();
    rt_isb();
}

#endif
