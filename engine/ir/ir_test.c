/*
 * ir_test.c — builder, passes and verifier on small blocks; listings as data
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "engine/ir/helpers.h"
#include "engine/ir/ir.h"

static struct ir_block blk;
static char listing[8192];

static void add_line(void *ctx, const char *text)
{
    (void)ctx;
    strcat(listing, text);
    strcat(listing, "\n");
}

static const char *list(void)
{
    listing[0] = 0;
    ir_print(&blk, add_line, NULL);
    return listing;
}

/* -- Listings ---------------------------------------------------------------------------------------- */

/* Two-operand ops on registers and constants. Operands are made in order: as arguments of one call their order, and
 * with it the listing, would be the compiler's choice. */
static ir_val reg_reg(struct ir_block *b, enum ir_op op, unsigned n, unsigned m, uint8_t s)
{
    ir_val x = ir_get_reg(b, n);
    ir_val y = ir_get_reg(b, m);
    return ir_bin_s(b, op, x, y, s);
}

static ir_val reg_imm(struct ir_block *b, enum ir_op op, unsigned n, uint32_t imm, uint8_t s)
{
    ir_val x = ir_get_reg(b, n);
    ir_val y = ir_const(b, imm);
    return ir_bin_s(b, op, x, y, s);
}

static void movw_movt(struct ir_block *b)
{
    ir_insn(b, 0x8000, 0);
    ir_set_reg(b, 0, ir_const(b, 0x5678));
    ir_insn(b, 0x8004, 0);
    ir_val high = ir_const(b, 0x1234);
    ir_set_reg(b, 0, ir_emit(b, IR_BFI, 0, 0, ir_get_reg(b, 0), high, IR_NONE, 16, 16));
    ir_exit(b, 0x8008);
}

/* subs r0, r0, #1; bne: only Z is read inside, all four are at the exits. */
static void count_down(struct ir_block *b)
{
    ir_insn(b, 0x8000, 0);
    ir_set_reg(b, 0, reg_imm(b, IR_SUB, 0, 1, FLAG_ALL));
    ir_insn(b, 0x8004, 0);
    ir_exit_if(b, COND_NE, 0x8000);
    ir_exit(b, 0x8008);
}

/* adds; ldr; cmp: flags of the first are dead but for a fault of the load. */
static void flags_over_a_load(struct ir_block *b)
{
    ir_insn(b, 0x8000, 0);
    ir_set_reg(b, 1, reg_reg(b, IR_ADD, 1, 2, FLAG_ALL));
    ir_insn(b, 0x8004, 0);
    ir_set_reg(b, 3, ir_load(b, ir_get_reg(b, 1), MEM_32));
    ir_insn(b, 0x8008, 0);
    reg_imm(b, IR_SUB, 3, 0, FLAG_ALL);
    ir_exit(b, 0x800c);
}

/* adds; cmp with nothing between: the first becomes a plain add. */
static void dead_flags(struct ir_block *b)
{
    ir_insn(b, 0x8000, 0);
    ir_val five = ir_const(b, 5);
    ir_val six = ir_const(b, 6);
    ir_set_reg(b, 1, ir_bin_s(b, IR_ADD, five, six, FLAG_ALL));
    ir_insn(b, 0x8004, 0);
    reg_imm(b, IR_SUB, 1, 0, FLAG_ALL);
    ir_exit(b, 0x8008);
}

/* A conditional skip: what is live at the label is live at the branch. */
static void live_over_label(struct ir_block *b)
{
    ir_insn(b, 0x8000, 0);
    reg_reg(b, IR_SUB, 0, 1, FLAG_ALL);
    uint32_t skip = ir_new_label(b);
    ir_brcond(b, COND_NE, skip);
    ir_insn(b, 0x8004, 0);
    reg_reg(b, IR_SUB, 2, 3, FLAG_ALL);
    ir_label(b, skip);
    ir_insn(b, 0x8008, 0);
    ir_set_reg(b, 4, ir_setcond(b, COND_CS));
    reg_imm(b, IR_SUB, 5, 0, FLAG_ALL);
    ir_exit(b, 0x800c);
}

/* The first mov is never seen; the second is, by the fault of the load. */
static void overwritten(struct ir_block *b)
{
    ir_set_reg(b, 0, ir_const(b, 1));
    ir_set_reg(b, 0, ir_const(b, 2));
    ir_set_reg(b, 1, ir_load(b, ir_get_reg(b, 2), MEM_8 | MEM_SIGNED));
    ir_set_reg(b, 0, ir_const(b, 3));
    ir_exit(b, 0x8000);
}

static void ldm_forgets(struct ir_block *b)
{
    ir_set_reg(b, 0, ir_const(b, 1));
    ir_set_reg(b, 1, ir_const(b, 2));
    ir_val pc = ir_emit(b, IR_LDM, 0, 0, ir_get_reg(b, 13), IR_NONE, IR_NONE, 0x8001, 0);
    ir_set_reg(b, 2, reg_reg(b, IR_ADD, 0, 1, 0));
    ir_exit_ind(b, pc, EXIT_RETURN, 0);
}

/* After an exit nothing is reachable until a label that is used. */
static void unreachable(struct ir_block *b)
{
    uint32_t l = ir_new_label(b);
    ir_brz(b, ir_get_reg(b, 0), l, false);
    ir_exit_call(b, 0x9001, 0x8005);
    ir_set_reg(b, 1, ir_const(b, 1));
    ir_label(b, l);
    ir_exit_loop(b, 0x8000);
}

static const struct {
    const char *name;
    void (*build)(struct ir_block *b);
    const char *optimised;
} listings[] = {
    {"movw_movt", movw_movt,
     "   0  insn 0x8000 it=0                  [live NZCV]\n"
     "   3  insn 0x8004 it=0                  [live NZCV]\n"
     "   5  v5 = const 0x12345678             [live NZCV, 1 use to 6]\n"
     "   6  set_reg r0, v5                    [live NZCV]\n"
     "   7  exit 0x8008                       [live NZCV]\n"},
    {"count_down", count_down,
     "   0  insn 0x8000 it=0\n"
     "   1  v1 = get_reg r0                   [1 use to 3]\n"
     "   2  v2 = const 0x1                    [1 use to 3]\n"
     "   3  v3 = sub.NZCV v1, v2              [live NZCV, 1 use to 4]\n"
     "   4  set_reg r0, v3                    [live NZCV]\n"
     "   5  insn 0x8004 it=0                  [live NZCV]\n"
     "   6  exit_if.ne 0x8000                 [live NZCV]\n"
     "   7  exit 0x8008                       [live NZCV]\n"},
    {"flags_over_a_load", flags_over_a_load,
     "   0  insn 0x8000 it=0\n"
     "   1  v1 = get_reg r1                   [1 use to 3]\n"
     "   2  v2 = get_reg r2                   [1 use to 3]\n"
     "   3  v3 = add.NZCV v1, v2              [exc NZCV, 2 uses to 6]\n"
     "   4  set_reg r1, v3                    [exc NZCV]\n"
     "   5  insn 0x8004 it=0                  [exc NZCV]\n"
     "   6  v6 = ld.32 v3                     [2 uses to 10]\n"
     "   7  set_reg r3, v6\n"
     "   8  insn 0x8008 it=0\n"
     "   9  v9 = const 0x0                    [1 use to 10]\n"
     "  10  v10 = sub.NZCV v6, v9             [live NZCV]\n"
     "  11  exit 0x800c                       [live NZCV]\n"},
    {"dead_flags", dead_flags,
     "   0  insn 0x8000 it=0\n"
     "   3  v3 = const 0xb                    [2 uses to 7]\n"
     "   4  set_reg r1, v3\n"
     "   5  insn 0x8004 it=0\n"
     "   6  v6 = const 0x0                    [1 use to 7]\n"
     "   7  v7 = sub.NZCV v3, v6              [live NZCV]\n"
     "   8  exit 0x8008                       [live NZCV]\n"},
    {"live_over_label", live_over_label,
     "   0  insn 0x8000 it=0\n"
     "   1  v1 = get_reg r0                   [1 use to 3]\n"
     "   2  v2 = get_reg r1                   [1 use to 3]\n"
     "   3  v3 = sub.ZC v1, v2                [live ZC]\n"
     "   4  brcond.ne L0                      [live C]\n"
     "   5  insn 0x8004 it=0\n"
     "   6  v6 = get_reg r2                   [1 use to 8]\n"
     "   7  v7 = get_reg r3                   [1 use to 8]\n"
     "   8  v8 = sub.C v6, v7                 [live C]\n"
     "   9  label L0                          [live C]\n"
     "  10  insn 0x8008 it=0                  [live C]\n"
     "  11  v11 = setcond.cs                  [1 use to 12]\n"
     "  12  set_reg r4, v11\n"
     "  13  v13 = get_reg r5                  [1 use to 15]\n"
     "  14  v14 = const 0x0                   [1 use to 15]\n"
     "  15  v15 = sub.NZCV v13, v14           [live NZCV]\n"
     "  16  exit 0x800c                       [live NZCV]\n"},
    {"overwritten", overwritten,
     "   2  v2 = const 0x2                    [live NZCV, 1 use to 3]\n"
     "   3  set_reg r0, v2                    [live NZCV]\n"
     "   4  v4 = get_reg r2                   [live NZCV, 1 use to 5]\n"
     "   5  v5 = ld.s8 v4                     [live NZCV, 1 use to 6]\n"
     "   6  set_reg r1, v5                    [live NZCV]\n"
     "   7  v7 = const 0x3                    [live NZCV, 1 use to 8]\n"
     "   8  set_reg r0, v7                    [live NZCV]\n"
     "   9  exit 0x8000                       [live NZCV]\n"},
    {"ldm_forgets", ldm_forgets,
     "   0  v0 = const 0x1                    [live NZCV, 1 use to 1]\n"
     "   1  set_reg r0, v0                    [live NZCV]\n"
     "   2  v2 = const 0x2                    [live NZCV, 2 uses to 7]\n"
     "   3  set_reg r1, v2                    [live NZCV]\n"
     "   4  v4 = get_reg r13                  [live NZCV, 1 use to 5]\n"
     "   5  v5 = ldm.8 v4, {r0 +}             [live NZCV, 1 use to 9]\n"
     "   6  v6 = get_reg r0                   [live NZCV, 1 use to 7]\n"
     "   7  v7 = add v6, v2                   [live NZCV, 1 use to 8]\n"
     "   8  set_reg r2, v7                    [live NZCV]\n"
     "   9  exit_ind.return v5                [live NZCV]\n"},
    {"unreachable", unreachable,
     "   0  v0 = get_reg r0                   [live NZCV, 1 use to 1]\n"
     "   1  brz v0, L0                        [live NZCV]\n"
     "   2  exit.call 0x9001, return 0x8005   [live NZCV]\n"
     "   5  label L0                          [live NZCV]\n"
     "   6  exit_loop 0x8000                  [live NZCV]\n"},
};

static void test_listings(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(listings); i++) {
        ir_begin(&blk);
        listings[i].build(&blk);
        ir_optimise(&blk, NULL, NULL);
        const char *why = ir_verify(&blk);
        if (why)
            fail_msg("%s: %s", listings[i].name, why);
        if (strcmp(list(), listings[i].optimised))
            fail_msg("%s: is\n%s--- should be\n%s", listings[i].name, listing, listings[i].optimised);
    }
}

/* With a successor that reads nothing, a loop's compare keeps only what the branch reads. */
static uint8_t peek_nothing(void *ctx, uint32_t pc_t)
{
    (void)ctx;
    (void)pc_t;
    return 0;
}

static void test_peek(void **state)
{
    (void)state;
    ir_begin(&blk);
    count_down(&blk);
    ir_optimise(&blk, peek_nothing, NULL);
    assert_int_equal(blk.ins[3].op, IR_SUB);
    assert_int_equal(blk.ins[3].s, FLAG_Z);
    assert_int_equal(blk.ins[6].live, 0);
}

/* -- Folding ----------------------------------------------------------------------------------------- */

/* One op on r0 (v0) and a constant y; becomes: what it should turn into. y unused for unary ops. */
static const struct {
    enum ir_op op;
    uint32_t y, imm, imm2;
    enum ir_op becomes; /* IR_GET_REG: r0 itself */
    uint32_t value;     /* of a CONST; imm of a shift */
} folds[] = {
    {IR_ADD, 0, 0, 0, IR_GET_REG, 0},
    {IR_ADD, 1, 0, 0, IR_ADD, 0},
    {IR_SUB, 0, 0, 0, IR_GET_REG, 0},
    {IR_SUB, 4, 0, 0, IR_ADD, 0},
    {IR_AND, 0xffffffff, 0, 0, IR_GET_REG, 0},
    {IR_AND, 0, 0, 0, IR_CONST, 0},
    {IR_AND, 0xff, 0, 0, IR_UXTB, 0},
    {IR_AND, 0xffff, 0, 0, IR_UXTH, 0},
    {IR_OR, 0xffffffff, 0, 0, IR_CONST, 0xffffffff},
    {IR_XOR, 0xffffffff, 0, 0, IR_NOT, 0},
    {IR_BIC, 0xffffff00, 0, 0, IR_UXTB, 0},
    {IR_BIC, 0x000000f0, 0, 0, IR_AND, 0},
    {IR_MUL, 8, 0, 0, IR_SHL, 3},
    {IR_MUL, 0, 0, 0, IR_CONST, 0},
    {IR_UDIV, 16, 0, 0, IR_SHR, 4},
    {IR_SHL_R, 0x100, 0, 0, IR_GET_REG, 0},
    {IR_SHL_R, 0x105, 0, 0, IR_SHL, 5},
    {IR_SHR_R, 32, 0, 0, IR_CONST, 0},
    {IR_SAR_R, 200, 0, 0, IR_SAR, 31},
    {IR_ROR_R, 33, 0, 0, IR_ROR, 1},
    {IR_ROR_R, 64, 0, 0, IR_GET_REG, 0},
    {IR_UBFX, 0, 0, 32, IR_GET_REG, 0},
    {IR_UBFX, 0, 0, 8, IR_UXTB, 0},
    {IR_SBFX, 0, 0, 16, IR_SXTH, 0},
    {IR_UBFX, 0, 20, 12, IR_SHR, 20},
    {IR_SBFX, 0, 20, 12, IR_SAR, 20},
    {IR_UBFX, 0, 4, 12, IR_UBFX, 4},
};

static void test_folds(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(folds); i++) {
        ir_begin(&blk);
        ir_val x = ir_get_reg(&blk, 0);
        bool two = ir_op_info[folds[i].op].nargs == 2;
        ir_val v = ir_emit(&blk, folds[i].op, 0, 0, x, two ? ir_const(&blk, folds[i].y) : IR_NONE, IR_NONE,
                           folds[i].imm, folds[i].imm2);
        const struct ir_ins *in = &blk.ins[v];
        if (in->op != folds[i].becomes)
            fail_msg("%u: %s of %x became %s", i, ir_op_info[folds[i].op].name, folds[i].y, ir_op_info[in->op].name);
        if (in->op == IR_CONST || in->op == IR_SHL || in->op == IR_SHR || in->op == IR_SAR || in->op == IR_ROR ||
            in->op == IR_UBFX)
            assert_int_equal(in->imm, folds[i].value);
    }
}

static void test_pack_and_halves(void **state)
{
    (void)state;
    ir_begin(&blk);
    ir_val lo = ir_get_reg(&blk, 0), hi = ir_get_reg(&blk, 1);
    ir_val d = ir_bin(&blk, IR_PACK64, lo, hi);
    assert_int_equal(ir_un(&blk, IR_LO32, d), lo);
    assert_int_equal(ir_un(&blk, IR_HI32, d), hi);
}

static void test_flags_keep_the_op(void **state)
{
    (void)state;
    ir_begin(&blk);
    ir_val x = ir_get_reg(&blk, 0);
    ir_val v = ir_bin_s(&blk, IR_ADD, x, ir_const(&blk, 0), FLAG_ALL);
    assert_int_not_equal(v, x);
    assert_int_equal(blk.ins[v].s, FLAG_ALL);
}

static void test_full(void **state)
{
    (void)state;
    ir_begin(&blk);
    while (!blk.full)
        ir_set_reg(&blk, 0, ir_bin(&blk, IR_ADD, ir_get_reg(&blk, 0), ir_get_reg(&blk, 1)));
    assert_true(blk.n < IR_MAX_INS - IR_RESERVE / 2);
    ir_exit(&blk, 0x8000);
    assert_null(ir_verify(&blk));
    for (int i = 0; i < IR_MAX_INS; i++) /* past the end: dropped, and refused */
        ir_set_reg(&blk, 0, ir_bin(&blk, IR_ADD, ir_get_reg(&blk, 0), ir_get_reg(&blk, 1)));
    ir_exit(&blk, 0x8000);
    assert_int_equal(blk.n, IR_MAX_INS);
    assert_non_null(ir_verify(&blk));
}

/* -- Verifier ---------------------------------------------------------------------------------------- */

#define NO IR_NONE
static const struct {
    const char *complaint; /* part of it; NULL: well-formed */
    unsigned labels;
    struct ir_ins ins[6];
} blocks[] = {
    {NULL, 0, {{.op = IR_EXIT, .a = NO, .b = NO, .c = NO}}},
    {"without an end", 0, {{.op = IR_CONST, .a = NO, .b = NO, .c = NO}}},
    {"after the end", 0, {{.op = IR_EXIT, .a = NO, .b = NO, .c = NO}, {.op = IR_CONST, .a = NO, .b = NO, .c = NO}}},
    {"not an earlier value", 0, {{.op = IR_NOT, .a = 0, .b = NO, .c = NO}}},
    {"one too many", 0, {{.op = IR_CONST, .a = NO, .b = NO, .c = NO}, {.op = IR_NOT, .a = 0, .b = 0, .c = NO}}},
    {"has type d", 0, {{.op = IR_LD_ENV64, .a = NO, .b = NO, .c = NO}, {.op = IR_NOT, .a = 0, .b = NO, .c = NO}}},
    {"has type -", 0, {{.op = IR_INSN, .a = NO, .b = NO, .c = NO}, {.op = IR_NOT, .a = 0, .b = NO, .c = NO}}},
    {"crosses a label",
     1,
     {{.op = IR_CONST, .a = NO, .b = NO, .c = NO},
      {.op = IR_LABEL, .a = NO, .b = NO, .c = NO},
      {.op = IR_NOT, .a = 0, .b = NO, .c = NO}}},
    {"unknown or behind", 1, {{.op = IR_LABEL, .a = NO, .b = NO, .c = NO}, {.op = IR_BR, .a = NO, .b = NO, .c = NO}}},
    {"bound twice", 1, {{.op = IR_LABEL, .a = NO, .b = NO, .c = NO}, {.op = IR_LABEL, .a = NO, .b = NO, .c = NO}}},
    {"never bound", 1, {{.op = IR_BRCOND, .a = NO, .b = NO, .c = NO}, {.op = IR_EXIT, .a = NO, .b = NO, .c = NO}}},
    {"may not set",
     0,
     {{.op = IR_CONST, .a = NO, .b = NO, .c = NO}, {.op = IR_AND, .a = 0, .b = 0, .c = NO, .s = FLAG_C}}},
    {"shift by 32",
     0,
     {{.op = IR_CONST, .a = NO, .b = NO, .c = NO}, {.op = IR_SHL, .a = 0, .b = NO, .c = NO, .imm = 32}}},
    {"field of",
     0,
     {{.op = IR_CONST, .a = NO, .b = NO, .c = NO}, {.op = IR_UBFX, .a = 0, .b = NO, .c = NO, .imm = 20, .imm2 = 13}}},
    {"register 15", 0, {{.op = IR_GET_REG, .a = NO, .b = NO, .c = NO, .imm = 15}}},
    {"size 64",
     0,
     {{.op = IR_CONST, .a = NO, .b = NO, .c = NO}, {.op = IR_LD, .aux = MEM_64, .a = 0, .b = NO, .c = NO}}},
    {"condition", 0, {{.op = IR_SETCOND, .cond = COND_AL, .a = NO, .b = NO, .c = NO}}},
};

static void test_verifier(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(blocks); i++) {
        ir_begin(&blk);
        blk.labels = blocks[i].labels;
        while (blk.n < 6 && blocks[i].ins[blk.n].op != IR_NOP) {
            blk.ins[blk.n] = blocks[i].ins[blk.n];
            blk.n++;
        }
        const char *why = ir_verify(&blk);
        if (!blocks[i].complaint ? why != NULL : !why || !strstr(why, blocks[i].complaint))
            fail_msg("block %u: %s instead of %s", i, why ? why : "accepted",
                     blocks[i].complaint ? blocks[i].complaint : "accepted");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listings),
        cmocka_unit_test(test_peek),
        cmocka_unit_test(test_folds),
        cmocka_unit_test(test_pack_and_halves),
        cmocka_unit_test(test_flags_keep_the_op),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_verifier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
