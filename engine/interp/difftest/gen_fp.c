/*
 * gen_fp.c — random VFP and Advanced SIMD code
 *
 * A snippet sets FPSCR, loads all registers with values of which many are special, runs instructions, and stores
 * all registers where the arena is compared. Core registers:
 *   r0 where the values come from   r1 r3 FPSCR values   r2 address of loads and stores   r4 where the registers go
 *   r5 index of write-back          r6..r12 r14 operands of transfers, and their results
 * What the front end calls Undefined is not generated: the reference agrees about that by decode_test.c.
 */
#include "engine/interp/difftest/gen.h"

#include "engine/arm/arm.h"
#include "engine/arm/fp.h"
#include "engine/arm/operands.h"

#define I(name, pattern, fn, arg) void fn(struct xlate *x, uint32_t arg_);
#include "engine/arm/a32.def"
#include "engine/arm/a32_uncond.def"
#include "engine/arm/t32_32.def"
#undef I

enum {
    FROM = LAYOUT_ARENA + 0x1100,
    FROM_BYTES = 0xe00, /* of the template: gen_fp_template() */
    TO = LAYOUT_ARENA + 0x1000,
};

/* -- Values -------------------------------------------------------------------------------------------------- */

static uint32_t special32(struct rng *r)
{
    static const uint32_t some[] = {
        0,          1,          0x007fffff, 0x00800000, 0x00800001, 0x00ffffff, 0x3f800000, 0x3f7fffff, 0x3f800001,
        0x3f000000, 0x40000000, 0x40400000, 0x7f7fffff, 0x7f000000, 0x7f800000, 0x7f800001, 0x7fbfffff, 0x7fc00000,
        0x7fffffff, 0x4effffff, 0x4f000000, 0x4f7fffff, 0x4f800000, 0x47000000, 0x477fe000, 0x477ff000, 0x33800000,
        0x33000000, 0x38800000, 0x387fc000, 0x3effffff, 0x5f000000, 0x7e800000, 0x7e7fffff, 0x00400000, 0x34000000,
    };
    uint32_t sign = rng_u32(r) & 0x80000000;
    switch (rng_below(r, 8)) {
    case 0:
    case 1: return sign | some[rng_below(r, ARRAY_SIZE(some))];
    case 2: return sign | (rng_u32(r) & 0x007fffff); /* denormal */
    case 3: return sign | (120 + rng_below(r, 16)) << 23 | (rng_u32(r) & 0x7fffff);
    case 4: return sign | (120 + rng_below(r, 40)) << 23 | (rng_u32(r) & rng_u32(r) & rng_u32(r) & 0x7fffff);
    case 5: return sign | rng_below(r, 256) << 23 | (rng_one_in(r, 2) ? 0 : 0x7fffff);
    case 6: return rng_below(r, 256) * 0x01010101;
    default: return rng_u32(r);
    }
}

static uint64_t special64(struct rng *r)
{
    static const uint64_t some[] = {
        0,
        1,
        0x000fffffffffffff,
        0x0010000000000000,
        0x0010000000000001,
        0x3ff0000000000000,
        0x3fefffffffffffff,
        0x3ff0000000000001,
        0x3fe0000000000000,
        0x7fefffffffffffff,
        0x7ff0000000000000,
        0x7ff0000000000001,
        0x7ff7ffffffffffff,
        0x7ff8000000000000,
        0x7fffffffffffffff,
        0x41dfffffffc00000,
        0x41e0000000000000,
        0x41efffffffe00000,
        0x41f0000000000000,
        0x3810000000000000,
        0x380fffffffffffff,
        0x47efffffe0000000,
        0x47efffffefffffff,
        0x47effffff0000000,
        0x36a0000000000000,
        0x3690000000000000,
        0x0008000000000000,
    };
    uint64_t sign = rng_u64(r) & UINT64_C(1) << 63, frac = rng_u64(r) >> 12;
    switch (rng_below(r, 7)) {
    case 0:
    case 1: return sign | some[rng_below(r, ARRAY_SIZE(some))];
    case 2: return sign | frac;
    case 3: return sign | (uint64_t)(1016 + rng_below(r, 16)) << 52 | frac;
    case 4: return sign | (uint64_t)(1016 + rng_below(r, 40)) << 52 | (frac & rng_u64(r) & rng_u64(r));
    case 5: return sign | (uint64_t)rng_below(r, 2048) << 52 | (rng_one_in(r, 2) ? 0 : 0xfffffffffffff);
    default: return rng_u64(r);
    }
}

void gen_fp_template(uint8_t *template)
{
    struct rng r;
    rng_seed(&r, 77);
    for (unsigned i = 0; i < FROM_BYTES; i += 8) {
        uint64_t x = i % 256 < 128 ? special64(&r) : special32(&r) | (uint64_t)special32(&r) << 32;
        memcpy(template + (FROM - LAYOUT_ARENA) + i, &x, 8);
    }
}

static uint32_t random_fpscr(struct rng *r)
{
    /* What emitted code does inline: nearest, no flushing, Inexact set already. */
    if (rng_one_in(r, 2))
        return FPSCR_IXC | (rng_u32(r) & (FPSCR_NZCV | FPSCR_DN | FPSCR_AHP)) |
               (rng_one_in(r, 4) ? rng_u32(r) & (FPSCR_CUMULATIVE | FPSCR_QC) : 0);
    uint32_t x = rng_below(r, 4) << 22 & (rng_one_in(r, 2) ? FPSCR_RMODE : 0);
    x |= rng_u32(r) & (FPSCR_FZ | FPSCR_DN | FPSCR_AHP);
    x |= rng_u32(r) & FPSCR_NZCV;
    return rng_one_in(r, 2) ? x | (rng_u32(r) & (FPSCR_CUMULATIVE | FPSCR_QC)) : x;
}

/* -- Making ------------------------------------------------------------------------------------------------------ */

struct gen {
    struct snippet *s;
    struct rng *r;
    const struct gen_opts *o;
    uint16_t next_id, group;
};

static void put(struct gen *g, enum insn_set set, const struct insn_row *row, uint32_t word)
{
    CHECK(g->s->n < MAX_ITEMS, "snippet is too long");
    g->s->items[g->s->n++] =
        (struct item){.set = set, .kind = ITEM_PLAIN, .row = row, .word = word, .id = g->next_id++, .group = g->group};
}

/* A word that is the same in both instruction sets. */
static void put_same(struct gen *g, uint32_t word)
{
    put(g, g->s->thumb ? SET_T32 : SET_A32, NULL, word);
}

static void put_setend(struct gen *g, bool big)
{
    put(g, g->s->thumb ? SET_T16 : SET_A32_UNCOND, NULL,
        (g->s->thumb ? 0xb650u : 0xf1010000u) | (uint32_t)big << (g->s->thumb ? 3 : 9));
}

static void set_r2(struct gen *g, uint32_t x)
{
    uint32_t lo = x & 0xffff, hi = x >> 16;
    if (g->s->thumb) {
        put(g, SET_T32, NULL, 0xf2400200 | (lo >> 12) << 16 | (lo >> 11 & 1) << 26 | (lo >> 8 & 7) << 12 | (lo & 0xff));
        put(g, SET_T32, NULL, 0xf2c00200 | (hi >> 12) << 16 | (hi >> 11 & 1) << 26 | (hi >> 8 & 7) << 12 | (hi & 0xff));
    } else {
        put(g, SET_A32, NULL, 0xe3002000 | (lo >> 12) << 16 | (lo & 0xfff));
        put(g, SET_A32, NULL, 0xe3402000 | (hi >> 12) << 16 | (hi & 0xfff));
    }
}

static uint32_t set_slot(const struct insn_row *row, uint32_t word, char letter, uint32_t val)
{
    unsigned slot = (unsigned)(letter - 'A'), width = 0;
    for (unsigned i = 0; i < row->nruns; i++)
        width += row->runs[i].slot == slot ? row->runs[i].width : 0;
    for (unsigned i = 0; i < row->nruns; i++) {
        const struct field_run *run = &row->runs[i];
        if (run->slot != slot)
            continue;
        width -= run->width;
        uint32_t mask = (BIT(run->width) - 1) << run->shift;
        word = (word & ~mask) | ((val >> width) << run->shift & mask);
    }
    return word;
}

static bool is_undefined(enum insn_set set, uint32_t word)
{
    static struct ir_block b;
    static uint8_t code[64];
    bool thumb = set == SET_T32;
    uint32_t halves = thumb ? word << 16 | word >> 16 : word;
    memcpy(code, &halves, 4);
    struct arm_translate_req req = {
        .pc = 0x8000, .flags = (thumb ? TBF_THUMB : 0) | TBF_VFP, .host = code, .page_left = 4, .max_insns = 1};
    struct arm_translated out;
    arm_translate_block(&b, &req, &out);
    for (uint32_t i = 0; i < b.n; i++)
        if (b.ins[i].op == IR_CALL && b.ins[i].imm == HELPER_UNDEF)
            return true;
    return false;
}

static unsigned operand_reg(struct gen *g)
{
    unsigned t = 6 + rng_below(g->r, 8);
    return t == 13 ? 14 : t;
}

static bool touches_memory(const struct insn_row *row)
{
    return row->fn == op_vfp_single || row->fn == op_vfp_multiple || row->fn == op_neon_multiple ||
           row->fn == op_neon_lane || row->fn == op_neon_all_lanes;
}

static bool try_row(struct gen *g, const struct insn_row *row, enum insn_set set)
{
    struct rng *r = g->r;
    uint32_t w = (rng_u32(r) & ~row->mask) | row->value;
    struct fields f;
    if (set == SET_A32)
        w = set_slot(row, w, 'c', rng_one_in(r, 8) ? rng_below(r, 14) : COND_AL);
    /* Destinations that are sources again, often. */
    if (rng_one_in(r, 3))
        w = set_slot(row, w, 'h', 0);
    if (rng_one_in(r, 3))
        w = set_slot(row, w, 'l', 0);
    bool memory = touches_memory(row);
    uint32_t addr = 0;
    if (memory) {
        if (g->o->no_memory || g->s->n > MAX_ITEMS - 16)
            return false;
        w = set_slot(row, w, 'n', 2);
        addr = LAYOUT_ARENA + 0x600 + rng_below(r, 0x2400);
        addr &= row->fn == op_vfp_single || row->fn == op_vfp_multiple ? ~3u : rng_one_in(r, 4) ? ~0u : ~31u;
        if (row->fn == op_neon_multiple || row->fn == op_neon_lane || row->fn == op_neon_all_lanes) {
            static const uint8_t m[] = {15, 13, 5};
            w = set_slot(row, w, 'm', m[rng_below(r, 3)]);
            decode_fields(row, w, &f);
            if (FIELD(&f, 'a') || FIELD(&f, 'p')) /* perhaps an alignment */
                addr &= ~31u;
        }
    }
    decode_fields(row, w, &f);
    if (row->fn == op_vmov_core || row->fn == op_vmov_scalar || row->fn == op_vdup_core || row->fn == op_vmov_pair) {
        unsigned t = operand_reg(g), e = operand_reg(g);
        if (row->fn == op_vmov_pair && t == e)
            return false;
        w = set_slot(row, w, 't', t);
        if (row->fn == op_vmov_pair)
            w = set_slot(row, w, 'e', e);
    }
    if (row->fn == op_vmrs || row->fn == op_vmsr) {
        w = set_slot(row, w, 'i', 1);
        bool write = row->fn == op_vmsr;
        w = set_slot(row, w, 't', write ? (rng_one_in(r, 2) ? 1 : 3) : rng_one_in(r, 2) ? 15 : operand_reg(g));
    }
    if (row->fn == op_neon_permute) {
        decode_fields(row, w, &f);
        if (FIELD(&f, 'd') == FIELD(&f, 'm') && FIELD(&f, 'h') == FIELD(&f, 'l'))
            return false; /* UNKNOWN */
    }
    if (decode(set, w) != row || is_undefined(set, w))
        return false;
    if (memory)
        set_r2(g, addr);
    bool big = memory && rng_one_in(r, 5);
    if (big)
        put_setend(g, true);
    put(g, set, row, w);
    if (big)
        put_setend(g, false);
    if (g->o->used[set]) {
        unsigned n;
        g->o->used[set][row - decode_rows(set, &n)]++;
    }
    return true;
}

static void one(struct gen *g)
{
    for (;;) {
        enum insn_set set = g->s->thumb ? SET_T32 : rng_one_in(g->r, 3) ? SET_A32 : SET_A32_UNCOND;
        unsigned n;
        const struct insn_row *rows = decode_rows(set, &n), *row = &rows[rng_below(g->r, n)];
        if (row->name[0] != 'v' || (g->o->only && strncmp(row->name, g->o->only, strlen(g->o->only))))
            continue;
        if (try_row(g, row, set))
            return;
    }
}

void gen_fp_snippet(struct snippet *s, struct rng *r, const struct gen_opts *o)
{
    struct gen g = {.s = s, .r = r, .o = o};
    memset(s, 0, sizeof *s);
    s->thumb = o->thumb;
    s->cpsr = rng_u32(r) & 0xf80f0000;
    for (unsigned i = 0; i < 15; i++)
        s->regs[i] = rng_one_in(r, 2) ? special32(r) : (uint32_t)(special64(r) >> 32);
    s->regs[0] = FROM + (rng_below(r, FROM_BYTES - 256) & ~7u);
    s->regs[1] = random_fpscr(r);
    s->regs[2] = LAYOUT_ARENA + 0x1800;
    s->regs[3] = random_fpscr(r);
    s->regs[4] = TO;
    s->regs[5] = rng_below(r, 64);

    put_same(&g, 0xeee11a10);        /* vmsr fpscr, r1 */
    put_same(&g, 0xecb00b20);        /* vldmia r0!, {d0-d15} */
    put_same(&g, 0xecd00b20);        /* vldmia r0, {d16-d31} */
    for (unsigned i = 0; i < 3; i++) /* vmov dN, r6, r7 and on */
        put_same(&g, 0xec400b10 | (7 + 2 * i) << 16 | (6 + 2 * i) << 12 | (rng_u32(r) & 0x2f));
    while (s->n < o->insns + 6) {
        g.group++;
        one(&g);
    }
    g.group++;
    put_same(&g, 0xeca40b20); /* vstmia r4!, {d0-d15} */
    put_same(&g, 0xecc40b20); /* vstmia r4, {d16-d31} */
    put_same(&g, 0xeef11a10); /* vmrs r1, fpscr */
}
