/*
 * random_testlib.c — random well-formed blocks
 */
#include "engine/ir/random_testlib.h"

#include "engine/ir/helpers.h"

struct gen {
    struct ir_block *b;
    struct rng *r;
    const struct ir_random_opts *o;
    ir_val w[IR_MAX_INS], d[IR_MAX_INS]; /* values of the running segment */
    unsigned nw, nd;
    uint32_t open[IR_MAX_LABELS]; /* labels to be bound */
    unsigned nopen;
    uint32_t pc;
};

static ir_val put(struct gen *g, struct ir_ins in)
{
    ir_val v = (ir_val)g->b->n;
    g->b->ins[g->b->n++] = in;
    char type = ir_op_info[in.op].type;
    if (in.op == IR_CALL || in.op == IR_CALL64)
        type = ir_helper_info[in.imm].result;
    if (type == 'w')
        g->w[g->nw++] = v;
    else if (type == 'd')
        g->d[g->nd++] = v;
    return v;
}

#define NOARGS .a = IR_NONE, .b = IR_NONE, .c = IR_NONE

/* Numbers at which things change. */
static uint32_t interesting(struct rng *r)
{
    static const uint32_t some[] = {0,          1,          2,          31,         32,        33,     0x7f,
                                    0x80,       0xff,       0x100,      0x7fff,     0x8000,    0xffff, 0x10000,
                                    0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff};
    switch (rng_below(r, 4)) {
    case 0: return some[rng_below(r, ARRAY_SIZE(some))];
    case 1: return rng_below(r, 64);
    case 2: return BIT(rng_below(r, 32));
    default: return rng_u32(r);
    }
}

static ir_val fresh_w(struct gen *g)
{
    if (rng_one_in(g->r, 2))
        return put(g, (struct ir_ins){.op = IR_CONST, NOARGS, .imm = interesting(g->r)});
    return put(g, (struct ir_ins){.op = IR_GET_REG, NOARGS, .imm = rng_below(g->r, 15)});
}

static ir_val pick_w(struct gen *g)
{
    if (!g->nw || rng_one_in(g->r, 5))
        return fresh_w(g);
    if (rng_one_in(g->r, 2)) { /* a recent one */
        unsigned back = rng_below(g->r, g->nw < 4 ? g->nw : 4);
        return g->w[g->nw - 1 - back];
    }
    return g->w[rng_below(g->r, g->nw)];
}

static ir_val pick_d(struct gen *g)
{
    if (!g->nd || rng_one_in(g->r, 5)) {
        ir_val lo = pick_w(g), hi = pick_w(g);
        return put(g, (struct ir_ins){.op = IR_PACK64, .a = lo, .b = hi, .c = IR_NONE});
    }
    return g->d[rng_below(g->r, g->nd)];
}

static ir_val address(struct gen *g)
{
    ir_val x = pick_w(g);
    ir_val m = put(g, (struct ir_ins){.op = IR_CONST, NOARGS, .imm = g->o->mask});
    ir_val off = put(g, (struct ir_ins){.op = IR_AND, .a = x, .b = m, .c = IR_NONE});
    ir_val base = put(g, (struct ir_ins){.op = IR_CONST, NOARGS, .imm = g->o->base});
    return put(g, (struct ir_ins){.op = IR_ADD, .a = off, .b = base, .c = IR_NONE});
}

static uint32_t random_pc(struct gen *g)
{
    uint32_t pc = rng_u32(g->r);
    return pc & 1 ? pc : pc & ~3u;
}

static void bind_label(struct gen *g)
{
    unsigned k = rng_below(g->r, g->nopen);
    put(g, (struct ir_ins){.op = IR_LABEL, NOARGS, .imm = g->open[k]});
    g->open[k] = g->open[--g->nopen];
    g->nw = g->nd = 0;
}

static uint32_t label_to_jump_to(struct gen *g)
{
    if (g->nopen && rng_one_in(g->r, 2))
        return g->open[rng_below(g->r, g->nopen)];
    return g->open[g->nopen++] = g->b->labels++;
}

static void end_path(struct gen *g)
{
    unsigned kind = g->o->ends_any ? rng_below(g->r, 6) : 0;
    switch (kind) {
    case 0:
    case 1:
        put(g, (struct ir_ins){.op = IR_EXIT, .aux = kind, NOARGS, .imm = random_pc(g), .imm2 = random_pc(g)});
        break;
    case 2: put(g, (struct ir_ins){.op = IR_EXIT_LOOP, NOARGS, .imm = random_pc(g)}); break;
    default: {
        ir_val pc = put(g, (struct ir_ins){.op = IR_CONST, NOARGS, .imm = random_pc(g)});
        enum ir_op op = kind == 3 ? IR_EXIT_LOOP_IND : IR_EXIT_IND;
        put(g,
            (struct ir_ins){
                .op = op, .aux = kind > 3 ? kind - 4 : 0, .a = pc, .b = IR_NONE, .c = IR_NONE, .imm2 = random_pc(g)});
    }
    }
}

static void random_memory_op(struct gen *g)
{
    static const uint8_t loads[] = {MEM_8, MEM_16, MEM_32, MEM_8 | MEM_SIGNED, MEM_16 | MEM_SIGNED};
    struct ir_ins in = {NOARGS};
    in.a = address(g);
    switch (rng_below(g->r, 6)) {
    case 0:
        in.op = IR_LD;
        in.aux = loads[rng_below(g->r, ARRAY_SIZE(loads))];
        break;
    case 1:
        in.op = IR_ST;
        in.aux = rng_below(g->r, 3);
        in.b = pick_w(g);
        break;
    case 2:
        in.op = IR_LD64;
        in.aux = MEM_64;
        break;
    case 3:
        in.op = IR_ST64;
        in.aux = MEM_64;
        in.b = pick_d(g);
        break;
    case 4:
    case 5:
        in.op = rng_one_in(g->r, 2) ? IR_LDM : IR_STM;
        in.imm = 1 + rng_below(g->r, 0xffff);
        in.imm2 = rng_u32(g->r);
        { /* these want an address that is a multiple of 4 */
            ir_val four = put(g, (struct ir_ins){.op = IR_CONST, NOARGS, .imm = 3});
            in.a = put(g, (struct ir_ins){.op = IR_BIC, .a = in.a, .b = four, .c = IR_NONE});
        }
        break;
    }
    put(g, in);
}

static void random_call(struct gen *g)
{
    struct ir_ins in = {.op = IR_CALL, NOARGS, .imm = rng_below(g->r, ir_helper_count)};
    const struct ir_helper_info *h = &ir_helper_info[in.imm];
    if (h->result == 'd')
        in.op = IR_CALL64;
    if (h->nargs > 0)
        in.a = pick_w(g);
    if (h->nargs > 1)
        in.b = pick_w(g);
    if (h->nargs > 2)
        in.c = pick_w(g);
    put(g, in);
}

static void random_op(struct gen *g)
{
    struct ir_ins in = {NOARGS};
    in.op = 1 + rng_below(g->r, IR_OP_COUNT - 1);
    const struct ir_op_info *info = &ir_op_info[in.op];
    in.cond = rng_below(g->r, COND_AL);

    switch (in.op) {
    case IR_NOP:
    case IR_LABEL:
    case IR_LDREX:
    case IR_LDREX64:
    case IR_STREX:
    case IR_STREX64:
    case IR_CLREX:
    case IR_SWP: return;
    case IR_INSN:
        g->pc += 4;
        in.imm = g->pc;
        in.imm2 = rng_below(g->r, 256);
        put(g, in);
        return;
    case IR_BR:
    case IR_BRCOND:
    case IR_BRZ:
    case IR_BRNZ:
        if (g->b->labels >= IR_MAX_LABELS - 1 || rng_one_in(g->r, 2))
            return;
        if (info->nargs)
            in.a = pick_w(g);
        in.imm = label_to_jump_to(g);
        put(g, in);
        if (in.op == IR_BR)
            bind_label(g);
        return;
    case IR_EXIT:
    case IR_EXIT_IND:
    case IR_EXIT_LOOP:
    case IR_EXIT_LOOP_IND:
        if (!g->nopen || rng_one_in(g->r, 2))
            return;
        end_path(g);
        bind_label(g);
        return;
    case IR_EXIT_IF:
    case IR_EXIT_IFZ:
    case IR_EXIT_IFNZ:
        if (!rng_one_in(g->r, 8)) /* most blocks should get further */
            return;
        in.imm = random_pc(g);
        if (info->nargs)
            in.a = pick_w(g);
        put(g, in);
        return;
    case IR_GET_REG:
    case IR_SET_REG: in.imm = rng_below(g->r, 15); break;
    case IR_LD_ENV:
    case IR_ST_ENV:
    case IR_LD_ENV64:
    case IR_ST_ENV64:
        if (!g->o->env_words)
            return;
        in.imm = g->o->env_offset + 8 * rng_below(g->r, g->o->env_words / 2);
        break;
    case IR_LD:
    case IR_LD64:
    case IR_ST:
    case IR_ST64:
    case IR_LDM:
    case IR_STM:
        if (g->o->mask)
            random_memory_op(g);
        return;
    case IR_CALL:
    case IR_CALL64:
        if (g->o->calls)
            random_call(g);
        return;
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ROR: in.imm = 1 + rng_below(g->r, 31); break;
    case IR_UBFX:
    case IR_SBFX:
    case IR_BFI:
        in.imm = rng_below(g->r, 32);
        in.imm2 = 1 + rng_below(g->r, 32 - in.imm);
        break;
    case IR_CONST: in.imm = interesting(g->r); break;
    default: break;
    }
    if (info->s)
        in.s = rng_below(g->r, 3) ? ir_flags_settable(in.op) & rng_below(g->r, 16) : ir_flags_settable(in.op);
    bool first_d = in.op == IR_LO32 || in.op == IR_HI32 || in.op == IR_REV64 || in.op == IR_SET_NZ64 ||
                   in.op == IR_ST_ENV64 || in.op == IR_ADD64 || in.op == IR_SUB64;
    if (info->nargs > 0)
        in.a = first_d ? pick_d(g) : pick_w(g);
    if (info->nargs > 1)
        in.b = first_d ? pick_d(g) : rng_one_in(g->r, 12) ? in.a : pick_w(g);
    if (info->nargs > 2)
        in.c = pick_w(g);
    put(g, in);
}

void ir_random_block(struct ir_block *b, struct rng *r, const struct ir_random_opts *o)
{
    struct gen g = {.b = b, .r = r, .o = o, .pc = 0x8000};
    ir_begin(b);
    put(&g, (struct ir_ins){.op = IR_INSN, NOARGS, .imm = g.pc});
    while (b->n < o->max_ops) {
        random_op(&g);
        if (g.nopen && rng_one_in(r, 12))
            bind_label(&g);
    }
    while (g.nopen) {
        if (rng_one_in(r, 2))
            end_path(&g);
        bind_label(&g);
    }
    end_path(&g);
}

void ir_rebuild(struct ir_block *out, const struct ir_block *in)
{
    ir_val map[IR_MAX_INS];
    ir_begin(out);
    for (uint32_t k = 0; k < in->labels; k++)
        ir_new_label(out);
    for (uint32_t i = 0; i < in->n; i++) {
        const struct ir_ins *x = &in->ins[i];
        ir_val a = x->a == IR_NONE ? IR_NONE : map[x->a];
        ir_val b = x->b == IR_NONE ? IR_NONE : map[x->b];
        ir_val c = x->c == IR_NONE ? IR_NONE : map[x->c];
        switch (x->op) {
        case IR_INSN: ir_insn(out, x->imm, x->imm2); break;
        case IR_SEL: map[i] = ir_sel(out, x->cond, a, b); break;
        case IR_SETCOND: map[i] = ir_setcond(out, x->cond); break;
        case IR_BRCOND: ir_brcond(out, x->cond, x->imm); break;
        case IR_EXIT_IF: ir_exit_if(out, x->cond, x->imm); break;
        default: map[i] = ir_emit(out, x->op, x->s, x->aux, a, b, c, x->imm, x->imm2);
        }
    }
}
