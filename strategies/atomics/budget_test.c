/*
 * budget_test.c — the host code of exclusives, stores, block entries and branches under each scheme, counted and kept
 *
 * Budgets: what a scheme emits on its fast path is no longer than it declares and calls nothing; what it does not emit is the
 * same code under every scheme. Listings: golden/<scheme>.txt, reviewed as a diff. To write them anew:
 *   GOLDEN_UPDATE=$PWD/strategies/atomics/golden bazel-bin/strategies/atomics/budget_test
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <capstone/capstone.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/arm/arm.h"
#include "engine/ir/ir.h"
#include "engine/tb/code.h"
#include "engine/tb/tb.h"
#include "engine/vcpu/vcpu_alloc.h"
#include "engine/x64/abi.h"
#include "engine/x64/x64.h"
#include "strategies/atomics/atomics.h"
#include "strategies/axes.h"

#define PC      0x80010000u
#define SCHEMES (axes[1].schemes) /* setup() looks that it is the right axis */

/* -- What is translated ------------------------------------------------------------------------------------------------ */

/* limit: most host instructions from the block's body to its first jump away, when no scheme is asked for anything. */
static const struct snippet {
    const char *name, *text;
    uint32_t word;
    unsigned limit; /* 0: not counted */
} snippets[] = {
    {"ldrex", "ldrex r1, [r2]", 0xe1921f9f, 0},
    {"ldrexd", "ldrexd r4, r5, [r2]", 0xe1b24f9f, 0},
    {"strex", "strex r0, r1, [r2]", 0xe1820f91, 0},
    {"clrex", "clrex", 0xf57ff01f, 0},
    {"str", "str r1, [r2]", 0xe5821000, 10},
    {"ldr", "ldr r1, [r2]", 0xe5921000, 10},
    {"branch", "b .+8", 0xea000000, 1},
    {"loop", "b .", 0xeafffffe, 1},
    {"indirect", "bx r3", 0xe12fff13, 5},
};

static struct ir_block ir;
static struct code_span span;
static struct tb *tb;

static int setup(void **state)
{
    (void)state;
    struct error e = {0};
    if (strcmp(axes[1].name, "atomics"))
        return -1;
    if (!vcpu_alloc(0, &e) || !code_memory_init(1 << 20, &e) || !x64_init(&e))
        return -1;
    nvcpus = 1;
    struct code_span stubs = code_stub_space();
    span = (struct code_span){stubs.rw + CODE_STUB_BYTES, stubs.rx + CODE_STUB_BYTES, 65536};
    tb = tb_alloc(TB_MAX_EXITS);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tb_release(tb);
    code_memory_free();
    vcpu_free_all();
    nvcpus = 0;
    return 0;
}

static struct x64_code translate(const struct snippet *s, const struct atomics_ops *ops)
{
    static uint8_t page[4096] __attribute__((aligned(4096)));
    struct arm_translated out = {0};
    struct x64_code code;
    memcpy(page, &s->word, 4);
    struct arm_translate_req req = {
        .pc = PC, .flags = TBF_PRIV, .host = page, .page_left = sizeof page, .max_insns = 1};
    arm_translate_block(&ir, &req, &out);
    assert_int_equal(out.ninsns, 1);
    tb->key = (struct tb_key){PC, TBF_PRIV, PC};
    struct x64_request xr = {.ir = &ir,
                             .tb = tb,
                             .pc = PC,
                             .flags = TBF_PRIV,
                             .page_ppn = {PC >> 12, UINT64_MAX},
                             .atomics = ops,
                             .span = span};
    assert_true(x64_translate(&xr, &code));
    return code;
}

/* -- Text that is the same in each run ------------------------------------------------------------------------------------ */

/* clang-format off */
#define FIELD(f) {#f, offsetof(struct vcpu, f), sizeof ((struct vcpu *)0)->f}
/* clang-format on */
static const struct {
    const char *name;
    size_t off, size;
} fields[] = {FIELD(r),         FIELD(nf),       FIELD(zf),        FIELD(cf),        FIELD(vf),
              FIELD(it),        FIELD(poll),     FIELD(mbuf),      FIELD(jc),        FIELD(excl_state),
              FIELD(excl_addr), FIELD(excl_val), FIELD(excl_host), FIELD(excl_word), FIELD(excl_stores),
              FIELD(excl_wait), FIELD(event),    FIELD(flat)};

/* A displacement from the vCPU register, by the field's name. */
static void field_text(char *out, size_t n, int64_t disp)
{
    uint64_t off = (uint64_t)(disp + VCPU_BIAS);
    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++)
        if (off - fields[i].off < fields[i].size) {
            snprintf(out, n, "%s+%#" PRIx64, fields[i].name, off - fields[i].off);
            return;
        }
    snprintf(out, n, "other");
}

static void operand_text(char *out, size_t n, const cs_insn *in, const cs_x86_op *op, csh cs)
{
    if (op->type == X86_OP_REG) {
        snprintf(out, n, "%s", cs_reg_name(cs, op->reg));
    } else if (op->type == X86_OP_IMM) {
        uint64_t at = (uint64_t)op->imm - (uintptr_t)span.rx;
        bool jump = in->mnemonic[0] == 'j' || !strcmp(in->mnemonic, "call");
        if (jump && at < span.bytes)
            snprintf(out, n, "+%#" PRIx64, at);
        else if (jump)
            snprintf(out, n, "<stub>");
        else if ((uint64_t)op->imm >> 32 && (uint64_t)op->imm >> 32 != UINT32_MAX)
            snprintf(out, n, "<address>");
        else
            snprintf(out, n, "%#" PRIx32, (uint32_t)op->imm);
    } else if (op->type == X86_OP_MEM && op->mem.base == X86_REG_RBP) {
        char field[60], index[30] = "";
        field_text(field, sizeof field, op->mem.disp);
        if (op->mem.index != X86_REG_INVALID)
            snprintf(index, sizeof index, " + %s*%d", cs_reg_name(cs, op->mem.index), op->mem.scale);
        snprintf(out, n, "%u[vcpu.%s%s]", op->size * 8u, field, index);
    } else if (op->mem.base == X86_REG_RIP) {
        snprintf(out, n, "%u[<address>]", op->size * 8u);
    } else {
        snprintf(out, n, "%u[%s%s%s + %#" PRIx64 "]", op->size * 8u,
                 op->mem.base == X86_REG_INVALID ? "" : cs_reg_name(cs, op->mem.base),
                 op->mem.index == X86_REG_INVALID ? "" : " + ",
                 op->mem.index == X86_REG_INVALID ? "" : cs_reg_name(cs, op->mem.index), (uint64_t)op->mem.disp);
    }
}

/* All instructions of the code; what is none, as .byte. */
static void list_code(FILE *f, const struct x64_code *code)
{
    csh cs;
    assert_int_equal(cs_open(CS_ARCH_X86, CS_MODE_64, &cs), CS_ERR_OK);
    cs_option(cs, CS_OPT_DETAIL, CS_OPT_ON);
    for (size_t off = 0; off < code->bytes;) {
        cs_insn *in;
        if (off == code->entry_xpage)
            fprintf(f, "  entry from another page:\n");
        if (off == code->entry_poll)
            fprintf(f, "  entry that polls:\n");
        if (off == code->entry_main)
            fprintf(f, "  body:\n");
        if (cs_disasm(cs, span.rw + off, code->bytes - off, (uintptr_t)span.rx + off, 1, &in) != 1) {
            fprintf(f, "    +%#zx .byte\n", off++);
            continue;
        }
        fprintf(f, "    +%#zx %s", off, in->mnemonic);
        for (unsigned i = 0; i < in->detail->x86.op_count; i++) {
            char text[100];
            operand_text(text, sizeof text, in, &in->detail->x86.operands[i], cs);
            fprintf(f, "%s %s", i ? "," : "", text);
        }
        fputc('\n', f);
        off += in->size;
        cs_free(in, 1);
    }
    cs_close(&cs);
}

/* Instructions from off to the first jump away, counted with it; a call before it fails. */
static unsigned straight(const uint8_t *code, size_t bytes, const char *what)
{
    csh cs;
    unsigned n = 0;
    bool ended = false;
    assert_int_equal(cs_open(CS_ARCH_X86, CS_MODE_64, &cs), CS_ERR_OK);
    for (size_t off = 0; off < bytes && !ended;) {
        cs_insn *in;
        assert_int_equal(cs_disasm(cs, code + off, bytes - off, 0, 1, &in), 1);
        if (!strcmp(in->mnemonic, "call"))
            fail_msg("%s: a call on the fast path", what);
        ended = !strcmp(in->mnemonic, "jmp") || !strcmp(in->mnemonic, "ret");
        n++;
        off += in->size;
        cs_free(in, 1);
    }
    cs_close(&cs);
    return n;
}

/* -- Budgets ------------------------------------------------------------------------------------------------------------------ */

static void check_emitter(const struct atomics_ops *ops, const char *what, unsigned budget,
                          void (*emit)(struct x64_asm *a, const struct excl_site *s), int status)
{
    if (!emit) {
        assert_int_equal(budget, 0); /* the twin is called: nothing to count */
        return;
    }
    for (uint32_t mem = MEM_8; mem <= MEM_64; mem++) {
        struct x64_asm a;
        struct excl_site s = {.va = RCX, .host = RDX, .lo = RSI, .status = status, .tmp = NO_REG, .mem = mem};
        asm_init(&a, span.rw, span.rx, span.bytes);
        emit(&a, &s);
        assert_false(a.overflow);
        print_message("%s: %s of %u bits: %u of %u instructions\n", ops->head.name, what, 8u << mem, a.insns, budget);
        assert_true(a.insns <= budget);
        assert_true(straight(span.rw, a.off, what) == a.insns);
    }
}

static void schemes_keep_their_budgets(void **state)
{
    (void)state;
    for (const struct strategy *const *s = SCHEMES; *s; s++) {
        const struct atomics_ops *ops = container_of(*s, const struct atomics_ops, head);
        check_emitter(ops, "ldrex", ops->budget_ldrex, ops->emit_ldrex, -1);
        check_emitter(ops, "strex", ops->budget_strex, ops->emit_strex, RDI);
    }
}

static void the_engine_keeps_its_own(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(snippets); i++) {
        if (!snippets[i].limit)
            continue;
        for (const struct strategy *const *s = SCHEMES; *s; s++) {
            struct x64_code code = translate(&snippets[i], container_of(*s, const struct atomics_ops, head));
            unsigned n = straight(span.rw + code.entry_main, code.bytes - code.entry_main, snippets[i].name);
            if (s == SCHEMES)
                print_message("%s: %u of %u instructions\n", snippets[i].name, n, snippets[i].limit);
            assert_true(n <= snippets[i].limit);
        }
    }
}

/* -- Listings -------------------------------------------------------------------------------------------------------------------- */

/* What a scheme puts into the stubs for watched frames; jumps to `miss` go to its end. */
static void list_watched(FILE *f, const char *what, void (*emit)(struct x64_asm *a, const struct watched_site *s),
                         int data)
{
    struct x64_asm a;
    struct x64_label miss = X64_LABEL_INIT;
    struct watched_site site = {.host = R9, .data = data, .t1 = R10, .t2 = R11, .t3 = R8, .bytes = 4, .slow = &miss};
    asm_init(&a, span.rw, span.rx, span.bytes);
    emit(&a, &site);
    struct x64_code code = {
        .bytes = a.off, .entry_xpage = UINT32_MAX, .entry_poll = UINT32_MAX, .entry_main = UINT32_MAX};
    asm_bind(&a, &miss);
    assert_false(a.overflow);
    fprintf(f, "watched frame: %s\n", what);
    list_code(f, &code);
}

static char *list_scheme(const struct strategy *s)
{
    char *text = NULL;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);
    assert_non_null(f);
    for (unsigned i = 0; i < ARRAY_SIZE(snippets); i++) {
        struct x64_code code = translate(&snippets[i], container_of(s, const struct atomics_ops, head));
        fprintf(f, "%s\n", snippets[i].text);
        list_code(f, &code);
    }
    const struct atomics_ops *ops = container_of(s, const struct atomics_ops, head);
    if (ops->emit_watched_store) {
        list_watched(f, "str", ops->emit_watched_store, RDX);
        list_watched(f, "stm", ops->emit_watched_stm, RDX);
        list_watched(f, "ldrex", ops->emit_watched_ldrex, NO_REG);
        list_watched(f, "strex", ops->emit_watched_strex, RDX);
    }
    fclose(f);
    return text;
}

static char *section(const char *listing, const struct snippet *s)
{
    const char *at = strstr(listing, s->text);
    assert_non_null(at);
    const char *end = at;
    do
        end = strchr(end, '\n') + 1;
    while (*end == ' ');
    return strndup(at, (size_t)(end - at));
}

/* A plain load, a store, a branch: no scheme costs anything there. */
static void what_is_not_exclusive_is_the_same(void **state)
{
    (void)state;
    char *first = list_scheme(SCHEMES[0]);
    for (const struct strategy *const *s = SCHEMES + 1; *s; s++) {
        char *other = list_scheme(*s);
        for (unsigned i = 0; i < ARRAY_SIZE(snippets); i++) {
            if (!snippets[i].limit)
                continue;
            char *a = section(first, &snippets[i]), *b = section(other, &snippets[i]);
            assert_string_equal(a, b);
            free(a), free(b);
        }
        free(other);
    }
    free(first);
}

static char *read_all(const char *path)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = fopen(path, "r");
    if (f && getdelim(&text, &n, 0, f) < 0) {
        free(text);
        text = NULL;
    }
    if (f)
        fclose(f);
    return text;
}

static void listings_are_as_reviewed(void **state)
{
    (void)state;
    const char *update = getenv("GOLDEN_UPDATE");
    unsigned different = 0;
    for (const struct strategy *const *s = SCHEMES; *s; s++) {
        char path[500];
        snprintf(path, sizeof path, "%s/%s.txt", update ? update : "strategies/atomics/golden", (*s)->name);
        char *now = list_scheme(*s);
        if (update) {
            FILE *f = fopen(path, "w");
            assert_non_null(f);
            fputs(now, f);
            fclose(f);
            free(now);
            continue;
        }
        char *then = read_all(path);
        if (!then || strcmp(then, now)) {
            different++;
            const char *a = then ? then : "", *b = now;
            while (*a && *a == *b)
                a++, b++;
            while (b > now && b[-1] != '\n')
                b--;
            print_error("%s differs from here on:\n%.600s\n", path, b);
        }
        free(then);
        free(now);
    }
    if (different)
        fail_msg("%u listings differ: review them, and write them anew (see the head of this file)", different);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schemes_keep_their_budgets),
        cmocka_unit_test(the_engine_keeps_its_own),
        cmocka_unit_test(what_is_not_exclusive_is_the_same),
        cmocka_unit_test(listings_are_as_reviewed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
