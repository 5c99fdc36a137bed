/*
 * print.c — a block as text, one line an instruction
 *
 *     4  v4 = add.NZCV v1, v2          [live NC, exc NZCV; 2 uses to 9]
 */
#include "engine/ir/ir.h"

#include <stdarg.h>
#include <stdio.h>

#include "engine/ir/helpers.h"

struct text {
    char buf[200];
    size_t n;
};

static void add(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void add(struct text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(t->buf + t->n, sizeof t->buf - t->n, fmt, ap);
    va_end(ap);
    t->n += (size_t)n;
    if (t->n >= sizeof t->buf)
        t->n = sizeof t->buf - 1;
}

static void add_flags(struct text *t, uint8_t f)
{
    for (int k = 3; k >= 0; k--)
        if (f & (1 << k))
            add(t, "%c", "VCZN"[k]);
}

static void add_regs(struct text *t, uint32_t mask)
{
    const char *sep = "";
    add(t, "{");
    for (unsigned r = 0; r < 16; r++) {
        if (mask & BIT(r)) {
            add(t, r == 15 ? "%s+" : "%sr%u", sep, r);
            sep = " ";
        }
    }
    add(t, "}");
}

static const char *const cond_names[] = {"eq", "ne", "cs", "cc", "mi", "pl", "vs", "vc",
                                         "hi", "ls", "ge", "lt", "gt", "le", "al", "nv"};

static void add_mem(struct text *t, uint8_t aux)
{
    add(t, ".%s%u%s%s%s%s", aux & MEM_SIGNED ? "s" : "", 8u << (aux & MEM_SIZE), aux & MEM_USER ? ".user" : "",
        aux & MEM_ALIGN ? ".align" : "", aux & MEM_ALIGN4 ? ".align4" : "", aux & MEM_ALIGN16 ? ".align16" : "");
}

static void add_head(struct text *t, const struct ir_ins *in)
{
    const struct ir_op_info *info = &ir_op_info[in->op];
    add(t, "%s", info->name);
    switch (in->op) {
    case IR_BRCOND:
    case IR_EXIT_IF:
    case IR_SEL:
    case IR_SETCOND: add(t, ".%s", cond_names[in->cond & 15]); break;
    case IR_LD:
    case IR_LD64:
    case IR_ST:
    case IR_ST64:
    case IR_LDREX:
    case IR_LDREX64:
    case IR_STREX:
    case IR_STREX64:
    case IR_SWP:
    case IR_LDM:
    case IR_STM: add_mem(t, in->aux); break;
    case IR_EXIT:
    case IR_EXIT_IND:
        if (in->aux)
            add(t, ".%s", in->aux == EXIT_CALL ? "call" : "return");
        break;
    default: break;
    }
    if (in->s) {
        add(t, ".");
        add_flags(t, in->s);
    }
}

static void add_tail(struct text *t, const struct ir_ins *in)
{
    const char *sep = " ";
    const ir_val args[3] = {in->a, in->b, in->c};
    switch (in->op) {
    case IR_CALL:
    case IR_CALL64: add(t, " %s", in->imm < ir_helper_count ? ir_helper_info[in->imm].name : "?"); break;
    case IR_SET_REG:
    case IR_GET_REG:
        add(t, " r%u", in->imm);
        sep = ", ";
        break;
    case IR_ST_ENV:
    case IR_ST_ENV64:
    case IR_LD_ENV:
    case IR_LD_ENV64:
        add(t, " [%u]", in->imm);
        sep = ", ";
        break;
    default: break;
    }
    for (unsigned k = 0; k < 3; k++) {
        if (args[k] != IR_NONE) {
            add(t, "%sv%u", sep, args[k]);
            sep = ", ";
        }
    }
    switch (in->op) {
    case IR_INSN: add(t, " 0x%x it=%x", in->imm, in->imm2); break;
    case IR_LABEL:
    case IR_BR:
    case IR_BRCOND:
    case IR_BRZ:
    case IR_BRNZ: add(t, "%sL%u", sep, in->imm); break;
    case IR_CONST: add(t, " 0x%x", in->imm); break;
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ROR: add(t, ", #%u", in->imm); break;
    case IR_UBFX:
    case IR_SBFX:
    case IR_BFI: add(t, ", #%u, #%u", in->imm, in->imm2); break;
    case IR_LDM:
    case IR_STM:
        add(t, ", ");
        add_regs(t, in->imm);
        if (in->op == IR_STM && (in->imm & BIT(15)))
            add(t, ", +0x%x", in->imm2);
        break;
    case IR_EXIT:
    case IR_EXIT_IF:
    case IR_EXIT_IFZ:
    case IR_EXIT_IFNZ:
    case IR_EXIT_LOOP: add(t, "%s0x%x", sep, in->imm); break;
    default: break;
    }
    if ((in->op == IR_EXIT || in->op == IR_EXIT_IND) && in->aux == EXIT_CALL)
        add(t, ", return 0x%x", in->imm2);
}

void ir_print(const struct ir_block *b, void (*line)(void *ctx, const char *text), void *ctx)
{
    for (uint32_t i = 0; i < b->n; i++) {
        const struct ir_ins *in = &b->ins[i];
        struct text t = {.n = 0};
        if (in->op == IR_NOP)
            continue;
        add(&t, "%4u  ", i);
        if (in->op >= IR_OP_COUNT) {
            add(&t, "op %u?", in->op);
            line(ctx, t.buf);
            continue;
        }
        bool value = ir_op_info[in->op].type != '-';
        if (in->op == IR_CALL || in->op == IR_CALL64)
            value = in->imm < ir_helper_count && ir_helper_info[in->imm].result != '-';
        if (value)
            add(&t, "v%u = ", i);
        add_head(&t, in);
        add_tail(&t, in);
        if (in->live || in->live_exc || in->uses) {
            add(&t, "%*s[", t.n < 40 ? (int)(40 - t.n) : 1, "");
            const char *sep = "";
            if (in->live) {
                add(&t, "live ");
                add_flags(&t, in->live);
                sep = ", ";
            }
            if (in->live_exc & ~in->live) {
                add(&t, "%sexc ", sep);
                add_flags(&t, in->live_exc);
                sep = ", ";
            }
            if (in->uses)
                add(&t, "%s%u use%s to %u", sep, in->uses, in->uses > 1 ? "s" : "", in->last_use);
            add(&t, "]");
        }
        line(ctx, t.buf);
    }
}
