/*
 * decode_test.c — the instruction tables against capstone's opinion, and against themselves
 *
 * Seeded: DBT_SEED in the environment, printed on failure.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <capstone/capstone.h>

#include "engine/arm/arm.h"
#include "engine/arm/decode.h"
#include "engine/ir/helpers.h"

/* -- Rows and their text -------------------------------------------------------------------------------------------------- */

enum { A = 0, T = 1 };

static const struct text {
    int thumb;
    const char *word, *row, *text;
} texts[] = {
#include "engine/arm/decode_texts_testlib.h"
};

static enum insn_set set_of(bool thumb, uint32_t w, unsigned *len)
{
    *len = 4;
    if (!thumb)
        return w >> 28 == 0xf ? SET_A32_UNCOND : SET_A32;
    if (w >> 16)
        return SET_T32;
    *len = 2;
    return SET_T16;
}

static const struct insn_row *row_of(bool thumb, uint32_t w)
{
    unsigned len;
    return decode(set_of(thumb, w, &len), w);
}

static void disasm(bool thumb, uint32_t w, char *out, size_t n)
{
    unsigned len;
    set_of(thumb, w, &len);
    uint8_t bytes[4];
    if (thumb && len == 4)
        w = w << 16 | w >> 16;
    memcpy(bytes, &w, 4);
    arm_disasm(0x8000, thumb, bytes, len, out, n);
}

static void test_texts(void **state)
{
    (void)state;
    char text[160];
    unsigned bad = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
        uint32_t w = (uint32_t)strtoul(texts[i].word, NULL, 16);
        const struct insn_row *r = row_of(texts[i].thumb, w);
        disasm(texts[i].thumb, w, text, sizeof text);
        const char *name = r ? r->name : "undefined";
        if (strcmp(name, texts[i].row) || strcmp(text, texts[i].text)) {
            print_error("%s %s: row %s, text '%s'; wanted %s, '%s'\n", texts[i].thumb ? "T32" : "A32", texts[i].word,
                        name, text, texts[i].row, texts[i].text);
            bad++;
        }
    }
    assert_int_equal(bad, 0);
}

/* -- The tables against themselves ----------------------------------------------------------------------------------------- */

static bool more_special(const struct insn_row *a, const struct insn_row *b)
{
    return (a->mask & b->mask) == b->mask && a->mask != b->mask;
}

/* Can one word match both? A field that may not be 15 keeps the rows apart when the other has it fixed at 15. */
static bool overlap(const struct insn_row *a, const struct insn_row *b)
{
    if ((a->value ^ b->value) & a->mask & b->mask)
        return false;
    for (int i = 0; i < 2; i++) {
        if (a->not15[i] && (b->value & b->mask & a->not15[i]) == a->not15[i])
            return false;
        if (b->not15[i] && (a->value & a->mask & b->not15[i]) == b->not15[i])
            return false;
    }
    return true;
}

static void test_no_ambiguous_overlap(void **state)
{
    (void)state;
    unsigned bad = 0;
    for (enum insn_set s = 0; s < INSN_SETS; s++) {
        unsigned n;
        const struct insn_row *rows = decode_rows(s, &n);
        for (unsigned i = 0; i < n; i++) {
            for (unsigned j = i + 1; j < n; j++) {
                if (overlap(&rows[i], &rows[j]) && !more_special(&rows[i], &rows[j]) &&
                    !more_special(&rows[j], &rows[i])) {
                    print_error("%s %s and %s %s\n", rows[i].name, rows[i].pattern, rows[j].name, rows[j].pattern);
                    bad++;
                }
            }
        }
    }
    assert_int_equal(bad, 0);
}

static uint64_t seed;

static uint32_t random32(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 16);
}

static uint32_t random_instance(enum insn_set set, const struct insn_row *r)
{
    for (;;) {
        uint32_t w = (random32() & ~r->mask) | r->value;
        if (set == SET_T16)
            w &= 0xffff;
        if (set == SET_A32 && w >> 28 == 0xf)
            w &= 0xefffffff;
        if (row_matches(r, w))
            return w;
    }
}

static void test_own_row(void **state)
{
    (void)state;
    for (enum insn_set s = 0; s < INSN_SETS; s++) {
        unsigned n;
        const struct insn_row *rows = decode_rows(s, &n);
        for (unsigned i = 0; i < n; i++) {
            unsigned own = 0;
            for (int k = 0; k < 2000; k++) {
                const struct insn_row *got = decode(s, random_instance(s, &rows[i]));
                if (got == &rows[i])
                    own++;
                else if (!got || !more_special(got, &rows[i]))
                    fail_msg("%s %s goes to %s", rows[i].name, rows[i].pattern, got ? got->name : "nothing");
            }
            if (!own)
                fail_msg("%s %s is never reached", rows[i].name, rows[i].pattern);
        }
    }
}

static void test_t16_prefixes(void **state)
{
    (void)state;
    for (uint32_t w = 0; w < 0x10000; w++)
        if (t32_is_wide(w))
            assert_null(decode(SET_T16, w));
}

static void test_fields(void **state)
{
    (void)state;
    struct fields f;
    const struct insn_row *r = decode(SET_T32, 0xf64f75ff); /* movw r5, #0xffff */
    assert_string_equal(r->name, "movw");
    decode_fields(r, 0xf64f75ff, &f);
    assert_int_equal(FIELD(&f, 'd'), 5);
    assert_int_equal(FIELD(&f, 'g') << 12 | FIELD(&f, 'i'), 0xffff);
    r = decode(SET_T16, 0x4697); /* mov pc, r2 */
    decode_fields(r, 0x4697, &f);
    assert_int_equal(FIELD(&f, 'd'), 15);
    assert_int_equal(FIELD(&f, 'm'), 2);
    r = decode(SET_A32, 0xe1d4a5b6); /* ldrh sl, [r4, #0x56] */
    decode_fields(r, 0xe1d4a5b6, &f);
    assert_int_equal(FIELD(&f, 'i'), 0x56);
    assert_int_equal(FIELD(&f, 's'), 0);
}

/* -- Random words against capstone --------------------------------------------------------------------------------------- */

/* What capstone knows and the tables do not. */
static const struct {
    const char *mnemonics; /* prefixes */
    const char *why;
} not_here[] = {
    {" vsel vmaxnm vminnm vrint vcvta vcvtm vcvtn vcvtp", "VFP of ARMv8"},
    {" vcvtb vcvtt", "between half and double precision: ARMv8"},
    {" cdp ldc stc", "no coprocessor has data operations or memory transfers here"},
    {" mcr2 mrc2 mcrr2 mrrc2", "Undefined on the A15"},
    {" crc32 sevl hlt lda stl aes sha dcps", "ARMv8"},
    {" hvc bkpt", "UNPREDICTABLE with a condition: Undefined"},
};

/* What the tables have and capstone 4 refuses or names otherwise, by row. */
static const struct {
    const char *rows, *why;
} not_there[] = {
    {"nop_hint", "unallocated hints are NOPs"},
    {"memhint_imm memhint_reg memhint_lit memhint_imm12 memhint_imm8 pldw_lit", "unallocated memory hints are NOPs"},
    {"stm stmdb ldm ldmdb", "T32 with SP, or LR and PC, in the list: UNPREDICTABLE, transferred as in A32"},
    {"cps", "imod 01, and a mode without M: UNPREDICTABLE, the rest is done"},
    {"mcr mrc", "VMSR and VMOV with a wrong should-be bit land here, and are Undefined"},
    {"vldm vstm vldmdb vstmdb", "FLDMX and FSTMX of d16 and up"},
    {"b_cond", "control instructions with a wrong should-be bit land here, and are Undefined"},
};

static bool has_prefix_of(const char *list, const char *mnemonic)
{
    char item[24];
    int used;
    while (sscanf(list, " %23s%n", item, &used) == 1) {
        if (!strncmp(mnemonic, item, strlen(item)))
            return true;
        list += used;
    }
    return false;
}

static bool has_word(const char *list, const char *word)
{
    char item[24];
    int used;
    while (sscanf(list, " %23s%n", item, &used) == 1) {
        if (!strcmp(word, item))
            return true;
        list += used;
    }
    return false;
}

/* Mnemonics that a row's instructions may have: its name up to '_', or these. */
static const struct {
    const char *rows, *mnemonics;
} aliases[] = {
    {"mov_reg mov_rsr lsl_imm lsr_imm asr_imm", "mov lsl lsr asr ror rrx"},
    {"stm stmdb stm_user", "stm push"},
    {"ldm ldmdb ldm_user ldm_exc", "ldm pop"},
    {"str_imm str_imm8", "str push"},
    {"ldr_imm ldr_imm8", "ldr pop"},
    {"smlaxy", "smlabb smlabt smlatb smlatt"},
    {"smulxy", "smulbb smulbt smultb smultt"},
    {"smlalxy", "smlalbb smlalbt smlaltb smlaltt"},
    {"smlawy", "smlawb smlawt"},
    {"smulwy", "smulwb smulwt"},
    {"add_imm add_sp add_sp_sp addw adr_add sub_imm subw adr_sub sub_sp_sp", "add sub adr"},
    {"sub_imm subs_pc_lr", "sub subs eret"},
    {"rsb_imm", "rsb neg"},
    {"udf", "trap"},
    {"nop_hint", "hint dbg nop yield wfe wfi sev"},
    {"dsb dmb isb", "dsb dmb isb"},
    {"memhint_imm memhint_reg memhint_lit memhint_imm12 memhint_imm8", "pld pli nop"},
    {"subs_pc_lr", "subs"},
    {"ldrt_imm ldrt_reg", "ldrt"},
    {"blx_imm", "blx"},
    {"smusd smuad", "smusd smuad"},
    {"mov_imm", "mov"},
    {"movw", "movw mov"},
    {"vldm vldmdb", "vldm vpop fldm"},
    {"vstm vstmdb", "vstm vpush fstm"},
    {"vshll", "vshll vmovl"},
    {"vmov_modified", "vmov vmvn vorr vbic"},
};

static bool name_agrees(const struct insn_row *r, const char *mnemonic)
{
    char base[24];
    snprintf(base, sizeof base, "%s", r->name);
    char *end = strchr(base, '_');
    if (end)
        *end = 0;
    if (!strncmp(mnemonic, base, strlen(base)))
        return true;
    for (unsigned i = 0; i < ARRAY_SIZE(aliases); i++)
        if (has_word(aliases[i].rows, r->name) && has_prefix_of(aliases[i].mnemonics, mnemonic))
            return true;
    return false;
}

static bool excepted(const struct insn_row *r)
{
    for (unsigned i = 0; i < ARRAY_SIZE(not_there); i++)
        if (has_word(not_there[i].rows, r->name))
            return true;
    return false;
}

/* Is the word undefined only because a should-be bit is wrong? */
static bool should_be_violated(bool thumb, uint32_t w)
{
    unsigned len, n;
    const struct insn_row *rows = decode_rows(set_of(thumb, w, &len), &n);
    for (unsigned i = 0; i < n; i++)
        if (!((w ^ rows[i].value) & rows[i].mask & ~rows[i].should))
            return true;
    return false;
}

/* Does the translation of w alone raise the Undefined exception? Checks that it is well-formed, too. */
static bool translates_to_undefined(bool thumb, uint32_t w)
{
    static struct ir_block b;
    static uint8_t code[4096]; /* flag liveness looks at what follows in the page */
    unsigned len;
    set_of(thumb, w, &len);
    uint32_t halves = thumb && len == 4 ? w << 16 | w >> 16 : w;
    memcpy(code, &halves, 4);
    struct arm_translate_req req = {.pc = 0x8000,
                                    .flags = (thumb ? TBF_THUMB : 0) | TBF_PRIV | TBF_VFP,
                                    .host = code,
                                    .page_left = len,
                                    .max_insns = 1};
    struct arm_translated out;
    arm_translate_block(&b, &req, &out);
    const char *wrong = ir_verify(&b);
    if (wrong)
        fail_msg("%s %08x: %s", thumb ? "T32" : "A32", w, wrong);
    assert_int_equal(out.nbytes, len);
    for (uint32_t i = 0; i < b.n; i++)
        if (b.ins[i].op == IR_CALL && b.ins[i].imm == HELPER_UNDEF)
            return true;
    return false;
}

/* Returns false, with a message, when the table and capstone differ about w. */
static bool agrees(bool thumb, uint32_t w)
{
    char text[160];
    const struct insn_row *r = row_of(thumb, w);
    disasm(thumb, w, text, sizeof text);
    bool known = text[0] != '.';
    char *space = strchr(text, ' ');
    char mnemonic[32];
    snprintf(mnemonic, sizeof mnemonic, "%.*s", space ? (int)(space - text) : 31, text);
    bool undefined = translates_to_undefined(thumb, w);
    if (!r && !known)
        return true;
    if (!r || undefined) {
        if (!r && should_be_violated(thumb, w))
            return true;
        for (unsigned i = 0; i < ARRAY_SIZE(not_here); i++)
            if (has_prefix_of(not_here[i].mnemonics, mnemonic))
                return true;
        if (!r) {
            print_error("%s %08x: undefined here, capstone has '%s'\n", thumb ? "T32" : "A32", w, text);
            return false;
        }
    }
    if (known ? name_agrees(r, mnemonic) : undefined)
        return true;
    if (excepted(r))
        return true;
    print_error("%s %08x: row %s, capstone has '%s'\n", thumb ? "T32" : "A32", w, r->name, text);
    return false;
}

static void report(unsigned bad)
{
    if (bad)
        fail_msg("%u differences; seed %" PRIu64, bad, seed);
}

#define RANDOM_WORDS 300000
#define SHOWN        100

static void test_random_a32(void **state)
{
    (void)state;
    unsigned bad = 0;
    for (int i = 0; i < RANDOM_WORDS && bad < SHOWN; i++)
        bad += !agrees(false, random32());
    report(bad);
}

static void test_random_t32(void **state)
{
    (void)state;
    unsigned bad = 0;
    for (int i = 0; i < RANDOM_WORDS && bad < SHOWN; i++)
        bad += !agrees(true, random32() | 0xe8000000 | (i & 1 ? 0x10000000 : 0));
    report(bad);
}

static void test_all_t16(void **state)
{
    (void)state;
    unsigned bad = 0;
    for (uint32_t w = 0; w < 0xe800 && bad < SHOWN; w++)
        bad += !agrees(true, w);
    report(bad);
}

static void test_instances(void **state)
{
    (void)state;
    unsigned bad = 0;
    for (enum insn_set s = 0; s < INSN_SETS; s++) {
        unsigned n;
        const struct insn_row *rows = decode_rows(s, &n);
        for (unsigned i = 0; i < n; i++)
            for (int k = 0, here = 0; k < 50 && bad < SHOWN && here < 2; k++)
                if (!agrees(s >= SET_T16, random_instance(s, &rows[i])))
                    bad++, here++;
    }
    report(bad);
}

int main(void)
{
    const char *s = getenv("DBT_SEED");
    seed = s ? strtoull(s, NULL, 0) : 88172645463325252u;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),      cmocka_unit_test(test_no_ambiguous_overlap),
        cmocka_unit_test(test_own_row),    cmocka_unit_test(test_t16_prefixes),
        cmocka_unit_test(test_fields),     cmocka_unit_test(test_random_a32),
        cmocka_unit_test(test_random_t32), cmocka_unit_test(test_all_t16),
        cmocka_unit_test(test_instances),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
