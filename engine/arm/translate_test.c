/*
 * translate_test.c — blocks as listings, and the rules of where blocks end
 *
 * The listings are in golden/translate.txt; DBT_UPDATE_GOLDEN=FILE writes them anew, to be read as a difference.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "engine/arm/arm.h"
#include "engine/ir/helpers.h"

#define GOLDEN "engine/arm/golden/translate.txt"

enum { A, T };

static struct ir_block block;
static struct arm_translated out;
static uint8_t page[4096], next_page[4096];

/* Fill the page with SVCs, which need all flags, and put the code at pc. */
static unsigned put_code(bool thumb, uint32_t pc, const char *words)
{
    for (unsigned i = 0; i < sizeof page; i += 4)
        memcpy(page + i, thumb ? "\0\xdf\0\xdf" : "\0\0\0\xef", 4);
    memcpy(next_page, page, sizeof page);
    unsigned n = 0, at = pc & 0xfff;
    char word[16];
    int used;
    while (sscanf(words, " %15s%n", word, &used) == 1) {
        words += used;
        uint32_t w = (uint32_t)strtoul(word, NULL, 16);
        unsigned len = thumb && strlen(word) == 4 ? 2 : 4;
        if (thumb && len == 4)
            w = w << 16 | w >> 16;
        for (unsigned i = 0; i < len; i++, at++)
            *(at < 4096 ? &page[at] : &next_page[at - 4096]) = (uint8_t)(w >> (8 * i));
        n++;
    }
    return n;
}

static void translate(bool thumb, uint32_t flags, uint32_t pc, unsigned max, bool have_next)
{
    struct arm_translate_req req = {.pc = pc,
                                    .flags = (thumb ? TBF_THUMB : 0) | flags,
                                    .host = page + (pc & 0xfff),
                                    .page_left = 4096 - (pc & 0xfff),
                                    .next = have_next ? next_page : NULL,
                                    .max_insns = max};
    arm_translate_block(&block, &req, &out);
    if (out.needs_next)
        return;
    const char *wrong = ir_verify(&block);
    if (wrong)
        fail_msg("pc %08x: %s", pc, wrong);
}

/* -- Listings ------------------------------------------------------------------------------------------------------------ */

static const struct listing {
    const char *name;
    int thumb;
    uint32_t flags;
    const char *words, *text;
} listings[] = {
    /* clang-format off */
    {"mov_imm_carry", A, 0, "e3b00102", "movs r0, #0x80000000"},
    {"movs_lsl", A, 0, "e1b00181", "movs r0, r1, lsl #3"},
    {"movs_lsr32", A, 0, "e1b00021", "movs r0, r1, lsr #32"},
    {"and_lsl_s", A, 0, "e0110182", "ands r0, r1, r2, lsl #3"},
    {"tst_imm", A, 0, "e310001f", "tst r0, #0x1f"},
    {"add_reg_shift", A, 0, "e0810102", "add r0, r1, r2, lsl #2"},
    {"rsb_imm", A, 0, "e2610000", "rsb r0, r1, #0"},
    {"adcs_rrx", A, 0, "e0b10062", "adcs r0, r1, r2, rrx"},
    {"lsl_reg_s", A, 0, "e1b00211", "movs r0, r1, lsl r2"},
    {"movw_movt", A, 0, "e3050678 e3410234", "movw r0, #0x5678; movt r0, #0x1234"},
    {"cmp_bne", A, 0, "e350000a 1a000006 e2800001 e12fff1e", "cmp r0, #10; bne .+0x20; add r0, r0, #1; bx lr"},
    {"cond_mov", A, 0, "e3510005 03a00001 13a00000 e12fff1e", "cmp r1, #5; moveq r0, #1; movne r0, #0; bx lr"},
    {"cond_group", A, 0, "e3530000 15932004 12822001 15832004 e12fff1e", "cmp r3, #0; ldrne r2, [r3, #4]; addne r2, r2, #1; strne r2, [r3, #4]; bx lr"},
    {"cond_return", A, 0, "e3500000 012fff1e e5900000", "cmp r0, #0; bxeq lr; ldr r0, [r0]"},
    {"cond_call", A, 0, "e3500000 0b00000e e3a01000", "cmp r0, #0; bleq .+0x40; mov r1, #0"},
    {"cond_tail_in_group", A, 0, "e3500000 05921000 0a00000e e3a01000", "cmp r0, #0; ldreq r1, [r2]; beq .+0x40; mov r1, #0"},
    {"ldr_pre", A, 0, "e5b10004", "ldr r0, [r1, #4]!"},
    {"ldr_post_reg", A, 0, "e6910102", "ldr r0, [r1], r2, lsl #2"},
    {"ldr_literal", A, 0, "e59f0010", "ldr r0, [pc, #16]"},
    {"ldr_pc_table", A, 0, "e79ff100", "ldr pc, [pc, r0, lsl #2]"},
    {"pop_pc_single", A, 0, "e49df004", "ldr pc, [sp], #4"},
    {"push_pop", A, 0, "e92d4010 e8bd8010", "push {r4, lr}; pop {r4, pc}"},
    {"ldm_base_in_list", A, 0, "e8900007", "ldm r0, {r0, r1, r2}"},
    {"stmdb_pc", A, 0, "e9208002", "stmdb r0!, {r1, pc}"},
    {"ldrd", A, 0, "e1e120d8", "ldrd r2, r3, [r1, #8]!"},
    {"ldrsh_be", A, TBF_BE, "e1d100f0", "ldrsh r0, [r1]"},
    {"str_be", A, TBF_BE, "e5810000", "str r0, [r1]"},
    {"strd_be", A, TBF_BE, "e1c120f0", "strd r2, r3, [r1]"},
    {"ldm_be", A, TBF_BE, "e8b00006", "ldm r0!, {r1, r2}"},
    {"stm_be", A, TBF_BE, "e8800006", "stm r0, {r1, r2}"},
    {"ldr_align", A, TBF_ALIGN, "e1d100b0 e5d32000", "ldrh r0, [r1]; ldrb r2, [r3]"},
    {"ldrex_strex", A, 0, "e1910f9f e2800001 e1812f90", "ldrex r0, [r1]; add r0, r0, #1; strex r2, r0, [r1]"},
    {"ldrexd_strexd", A, 0, "e1b12f9f e1a10f92", "ldrexd r2, r3, [r1]; strexd r0, r2, r3, [r1]"},
    {"swp", A, 0, "e1020091", "swp r0, r1, [r2]"},
    {"umlal", A, 0, "e0a10392", "umlal r0, r1, r2, r3"},
    {"smlabt", A, 0, "e10032c1", "smlabt r0, r1, r2, r3"},
    {"uxtb_ror", A, 0, "e6ef0471", "uxtb r0, r1, ror #8"},
    {"bfi", A, 0, "e7cb0211", "bfi r0, r1, #4, #8"},
    {"add_pc_table", A, 0, "e08ff100", "add pc, pc, r0, lsl #2"},
    {"mov_pc_lr", A, 0, "e1a0f00e", "mov pc, lr"},
    {"subs_pc_lr", A, 0, "e25ef004", "subs pc, lr, #4"},
    {"ldm_exc", A, 0, "e8fd8001", "ldm sp!, {r0, pc}^"},
    {"stm_user", A, 0, "e8cd4180", "stm sp, {r7, r8, lr}^"},
    {"rfe", A, 0, "f8bd0a00", "rfeia sp!"},
    {"srs", A, 0, "f96d0513", "srsdb sp!, #0x13"},
    {"svc", A, 0, "ef000005", "svc #5"},
    {"udf_user_msr", A, 0, "e128f000 e121f001", "msr cpsr_f, r0; msr cpsr_c, r1"},
    {"cps", A, 0, "f10c0080", "cpsid i"},
    {"mcr", A, 0, "ee010f10", "mcr p15, 0, r0, c1, c0, 0"},
    {"dmb_isb", A, 0, "f57ff05f f57ff06f", "dmb; isb"},
    {"wfi", A, 0, "e320f003", "wfi"},
    {"t_add_sub", T, 0, "1c48 3a03 4290", "adds r0, r1, #1; subs r2, #3; cmp r0, r2"},
    {"t_it_mov", T, 0, "2800 bf0c 2101 2102 4770", "cmp r0, #0; ite eq; moveq r1, #1; movne r1, #2; bx lr"},
    {"t_it_load", T, 0, "2800 bf18 6801 4770", "cmp r0, #0; it ne; ldrne r1, [r0]; bx lr"},
    {"t_it_return", T, 0, "2800 bf08 4770 2001", "cmp r0, #0; it eq; bxeq lr; movs r0, #1"},
    {"t_it_pop", T, 0, "2800 bf08 bd10 2001", "cmp r0, #0; it eq; popeq {r4, pc}; movs r0, #1"},
    {"t_cbz", T, 0, "b170 b9b1", "cbz r0, .+0x20; cbnz r1, .+0x30"},
    {"t_tbb", T, 0, "e8dff000", "tbb [pc, r0]"},
    {"t_tbh", T, 0, "e8dff010", "tbh [pc, r0, lsl #1]"},
    {"t_bl", T, 0, "f000fffe", "bl .+0x1000"},
    {"t_blx", T, 0, "f000effe", "blx .+0x1000"},
    {"t_add_hi_pc", T, 0, "4487", "add pc, r0"},
    {"t_ldr_lit", T, 0, "4802", "ldr r0, [pc, #8]"},
    {"t_push_pop", T, 0, "b530 bd30", "push {r4, r5, lr}; pop {r4, r5, pc}"},
    {"t_strex", T, 0, "e8510f01 e8410201", "ldrex r0, [r1, #4]; strex r2, r0, [r1, #4]"},
    {"t_ldrd", T, 0, "e8f20502", "ldrd r0, r5, [r2], #8"},
    /* clang-format on */
};

static char text[1 << 17];
static size_t text_len;

/* Without what the passes note beside each operation. */
static void add_line(void *ctx, const char *line)
{
    (void)ctx;
    const char *end = strstr(line, " [live"), *uses = strstr(line, " use");
    if (!end && uses)
        end = strrchr(line, '[');
    size_t n = end ? (size_t)(end - line) : strlen(line);
    while (n && line[n - 1] == ' ')
        n--;
    CHECK(text_len + n + 2 < sizeof text, "listings are too long");
    memcpy(text + text_len, line, n);
    text_len += n;
    text[text_len++] = '\n';
    text[text_len] = 0;
}

static void test_listings(void **state)
{
    (void)state;
    text_len = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(listings); i++) {
        const struct listing *l = &listings[i];
        unsigned n = put_code(l->thumb, 0x8000, l->words);
        char title[200];
        snprintf(title, sizeof title, "== %s (%s%s%s): %s", l->name, l->thumb ? "T32" : "A32",
                 l->flags & TBF_BE ? ", big-endian" : "", l->flags & TBF_ALIGN ? ", aligned" : "", l->text);
        add_line(NULL, title);
        translate(l->thumb, l->flags | TBF_PRIV, 0x8000, n, false);
        ir_print(&block, add_line, NULL);
    }
    const char *update = getenv("DBT_UPDATE_GOLDEN");
    if (update) {
        FILE *f = fopen(update, "w");
        assert_non_null(f);
        fputs(text, f);
        fclose(f);
        return;
    }
    static char want[sizeof text];
    FILE *f = fopen(GOLDEN, "r");
    assert_non_null(f);
    want[fread(want, 1, sizeof want - 1, f)] = 0;
    fclose(f);
    if (strcmp(want, text)) {
        char *w = want, *t = text, *title = text;
        while (*w && *w == *t) {
            if (*t == '\n' && t[1] == '=')
                title = t + 1;
            w++, t++;
        }
        fail_msg("differs from " GOLDEN " at %.40s\nwanted ...%.200s\ngot ...%.200s", title, w, t);
    }
}

/* -- Ends of blocks --------------------------------------------------------------------------------------------------- */

static const struct ir_ins *last(void)
{
    return &block.ins[block.n - 1];
}

static unsigned count_ops(enum ir_op op)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < block.n; i++)
        n += block.ins[i].op == op;
    return n;
}

static void test_max_insns(void **state)
{
    (void)state;
    put_code(false, 0x8000, "e2800001 e2800001 e2800001");
    translate(false, TBF_PRIV, 0x8000, 2, false);
    assert_int_equal(out.ninsns, 2);
    assert_int_equal(out.nbytes, 8);
    assert_int_equal(last()->op, IR_EXIT);
    assert_int_equal(last()->imm, 0x8008);
}

static void test_page_end(void **state)
{
    (void)state;
    put_code(false, 0x8ff8, "e2800001 e2800001");
    translate(false, TBF_PRIV, 0x8ff8, 64, true);
    assert_int_equal(out.nbytes, 8);
    assert_int_equal(last()->op, IR_EXIT);
    assert_int_equal(last()->imm, 0x9000);
}

static void test_t32_across_pages(void **state)
{
    (void)state;
    put_code(true, 0x8ffc, "3001 f2401234"); /* adds r0, #1; movw r2, #0x34 across the end */
    translate(true, TBF_PRIV, 0x8ffc, 64, true);
    assert_int_equal(out.nbytes, 2);
    assert_int_equal(last()->op, IR_EXIT);
    assert_int_equal(last()->imm, 0x8fff);
    translate(true, TBF_PRIV, 0x8ffe, 64, false);
    assert_true(out.needs_next);
    translate(true, TBF_PRIV, 0x8ffe, 64, true);
    assert_false(out.needs_next);
    assert_int_equal(out.nbytes, 4);
    assert_int_equal(out.ninsns, 1);
    assert_int_equal(last()->op, IR_EXIT);
    assert_int_equal(last()->imm, 0x9003);
}

static void test_exit_limit(void **state)
{
    (void)state;
    put_code(false, 0x8000,
             "0a000100 1a000100 2a000100 3a000100 4a000100 5a000100 6a000100 7a000100 8a000100 9a000100");
    translate(false, TBF_PRIV, 0x8000, 64, false);
    assert_int_equal(block.nexits, 8);
    assert_int_equal(count_ops(IR_EXIT_IF), 7);
    assert_int_equal(last()->op, IR_EXIT);
    assert_int_equal(last()->imm, 0x8000 + 7 * 4);
}

static void test_misaligned_a32(void **state)
{
    (void)state;
    put_code(false, 0x8000, "e2800001");
    translate(false, TBF_PRIV, 0x8002, 64, false);
    assert_int_equal(last()->op, IR_EXIT);
    assert_int_equal(last()->imm, 0x8000);
}

/* Words, the operation that ends the block, and how many instructions it has. */
static void test_ends(void **state)
{
    (void)state;
    static const struct {
        int thumb;
        const char *words, *text;
        enum ir_op end;
        unsigned insns;
    } rows[] = {
        {A, "ee010f10 e2800001", "mcr p15, 0, r0, c1, c0, 0", IR_EXIT_LOOP, 1},
        {A, "ee0d0f70 e2800001 ef000000", "mcr p15, 0, r0, c13, c0, 3 does not end it", IR_EXIT_LOOP, 3},
        {A, "f57ff06f e2800001", "isb", IR_EXIT_LOOP, 1},
        {A, "f57ff05f ef000000", "dmb does not", IR_EXIT_LOOP, 2},
        {A, "f1080080 e2800001", "cpsie i", IR_EXIT_LOOP, 1},
        {A, "e121f000 e2800001", "msr cpsr_c, r0", IR_EXIT_LOOP, 1},
        {A, "e128f000 ef000000", "msr cpsr_f, r0 does not", IR_EXIT_LOOP, 2},
        {A, "f1010200 e2800001", "setend be", IR_EXIT_LOOP, 1},
        {A, "ef000000", "svc", IR_EXIT_LOOP, 1},
        {A, "e7f000f0", "udf", IR_EXIT_LOOP, 1},
        {A, "ee300a00", "vfp", IR_EXIT_LOOP, 1},
        {A, "f2000840", "neon", IR_EXIT_LOOP, 1},
        {A, "ee000710", "cp7", IR_EXIT_LOOP, 1},
        {A, "eafffffe", "b .", IR_EXIT, 1},
        {A, "e1b0f00e", "movs pc, lr", IR_EXIT_LOOP_IND, 1},
        {T, "e7fe", "b .", IR_EXIT, 1},
        {T, "b662 3001", "cpsie i", IR_EXIT_LOOP, 1},
        {T, "de00", "udf", IR_EXIT_LOOP, 1},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        put_code(rows[i].thumb, 0x8000, rows[i].words);
        translate(rows[i].thumb, TBF_PRIV, 0x8000, 64, false);
        if (last()->op != rows[i].end || out.ninsns != rows[i].insns)
            fail_msg("%s: %u instructions, ends with %s", rows[i].text, out.ninsns, ir_op_info[last()->op].name);
    }
}

/* Privileged instructions in User mode: Undefined, or nothing. */
static void test_user_mode(void **state)
{
    (void)state;
    static const struct {
        const char *words, *text;
        bool undefined;
    } rows[] = {
        {"f1080080", "cpsie i", false},        {"e121f000", "msr cpsr_c, r0", false},
        {"e161f000", "msr spsr_c, r0", true},  {"e14f0000", "mrs r0, spsr", true},
        {"e25ef004", "subs pc, lr, #4", true}, {"f8bd0a00", "rfeia sp!", true},
        {"f96d0513", "srsdb sp!, #19", true},  {"e1600070", "smc #0", true},
        {"e1400070", "hvc #0", true},          {"e8dd8001", "ldm sp, {r0, pc}^", true},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        put_code(false, 0x8000, rows[i].words);
        translate(false, 0, 0x8000, 1, false);
        bool undefined = false;
        for (uint32_t k = 0; k < block.n; k++)
            undefined |= block.ins[k].op == IR_CALL && block.ins[k].imm == HELPER_UNDEF;
        if (undefined != rows[i].undefined)
            fail_msg("%s: %s", rows[i].text, undefined ? "undefined" : "defined");
    }
}

/* -- Flags across direct jumps ------------------------------------------------------------------------------------------ */

/* cmp r0, #0 at 0x8000, then b 0x8100: which flags does the cmp still set? */
static unsigned flags_kept(const char *target)
{
    put_code(false, 0x8100, target);
    memcpy(page, "\0\0\x50\xe3\x3d\0\0\xea", 8);
    translate(false, TBF_PRIV, 0x8000, 64, false);
    for (uint32_t i = 0; i < block.n; i++)
        if (block.ins[i].op == IR_SUB)
            return block.ins[i].s;
    return 0;
}

static void test_peek(void **state)
{
    (void)state;
    assert_int_equal(flags_kept("e3510000"), 0); /* cmp r1, #0 */
    assert_int_equal(out.peek_lo, 0x8100);
    assert_int_equal(out.peek_hi, 0x8104);
    assert_int_equal(flags_kept("e2811001 e0922003"), 0); /* add; adds */
    assert_int_equal(out.peek_hi, 0x8108);
    assert_int_equal(flags_kept("e0a22003 e3510000"), FLAG_C);                       /* adc r2, r2, r3; cmp */
    assert_int_equal(flags_kept("03a01001 e3510000"), FLAG_Z);                       /* moveq r1, #1; cmp */
    assert_int_equal(flags_kept("e0122003 2a000000 e3510000"), FLAG_ALL & ~FLAG_NZ); /* ands; bcs */
    assert_int_equal(flags_kept("e5922000 e3510000"), FLAG_ALL); /* ldr may fault: its handler sees the flags */
    assert_int_equal(flags_kept("00922003 e3510000"), FLAG_Z);   /* addseq; cmp: a conditional write is none */
    assert_int_equal(flags_kept("e1a00000 e1a00000 e1a00000 e1a00000 e1a00000 e1a00000 e1a00000 "
                                "e1a00000 e3510000"),
                     FLAG_ALL);
    assert_int_equal(out.peek_lo, out.peek_hi);
    assert_int_equal(flags_kept("e1b01312"), FLAG_C | FLAG_V); /* movs r1, r2, lsl r3: C may stay; svc follows */
}

/* A debugger's breakpoint: the block ends before it, in an IT block too, and right behind one that an instruction runs over. */
static void test_stop_at(void **state)
{
    (void)state;
    static const struct {
        bool thumb;
        const char *words;
        uint32_t stop_at;
        unsigned insns, bytes;
    } rows[] = {
        {A, "e2800001 e2800001 e2800001 e2800001 e12fff1e", 0, 5, 20},
        {A, "e2800001 e2800001 e2800001 e2800001 e12fff1e", 0x8008, 2, 8},
        {A, "e2800001 e2800001 e2800001 e2800001 e12fff1e", 0x8004, 1, 4},
        {A, "e2800001 e2800001 e2800001 e2800001 e12fff1e", 0x9000, 5, 20},
        {T, "3001 3001 3001 4770", 0x8004, 2, 4},
        {T, "2800 bf04 3001 3002 4770", 0x8006, 3, 6}, /* itt eq */
        {T, "3001 f8d0 0004 3001 4770", 0x8004, 2, 6}, /* amid the ldr.w */
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        put_code(rows[i].thumb, 0x8000, rows[i].words);
        struct arm_translate_req req = {.pc = 0x8000,
                                        .flags = rows[i].thumb ? TBF_THUMB : 0,
                                        .host = page,
                                        .page_left = 4096,
                                        .max_insns = 64,
                                        .stop_at = rows[i].stop_at};
        arm_translate_block(&block, &req, &out);
        assert_null(ir_verify(&block));
        assert_int_equal(out.ninsns, rows[i].insns);
        assert_int_equal(out.nbytes, rows[i].bytes);
    }
}

/* With exact flags a block depends on no bytes but its own. */
static void test_exact_flags(void **state)
{
    (void)state;
    for (unsigned exact = 0; exact < 2; exact++) {
        put_code(A, 0x8000, "e2900001 ea000006");   /* adds r0, r0, #1; b .+0x20 */
        memcpy(page + 0x24, "\x01\x00\x51\xe3", 4); /* cmp r1, #1 */
        struct arm_translate_req req = {
            .pc = 0x8000, .host = page, .page_left = 4096, .max_insns = 64, .exact_flags = exact};
        arm_translate_block(&block, &req, &out);
        assert_int_equal(out.peek_lo == out.peek_hi, exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listings),    cmocka_unit_test(test_max_insns),
        cmocka_unit_test(test_page_end),    cmocka_unit_test(test_t32_across_pages),
        cmocka_unit_test(test_exit_limit),  cmocka_unit_test(test_misaligned_a32),
        cmocka_unit_test(test_ends),        cmocka_unit_test(test_user_mode),
        cmocka_unit_test(test_peek),        cmocka_unit_test(test_stop_at),
        cmocka_unit_test(test_exact_flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
