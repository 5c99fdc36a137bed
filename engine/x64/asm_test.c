/*
 * asm_test.c — every form of the assembler as capstone reads it
 *
 * Registers and sizes run through all values; what the text must be is put together from tables here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <capstone/capstone.h>

#include "engine/x64/asm.h"
#include "engine/x64/x64_testlib.h"

static const char *const names[4][16] = {
    {"al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil", "r8b", "r9b", "r10b", "r11b", "r12b", "r13b", "r14b", "r15b"},
    {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "r8w", "r9w", "r10w", "r11w", "r12w", "r13w", "r14w", "r15w"},
    {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d",
     "r15d"},
    {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"},
};
static const char *const ptrs[4] = {"byte ptr ", "word ptr ", "dword ptr ", "qword ptr "};
static const char *const ccs[16] = {"o", "no", "b", "ae", "e", "ne", "be", "a",
                                    "s", "ns", "p", "np", "l", "ge", "le", "g"};
static const char *const alus[8] = {"add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"};

static csh cs;
static uint8_t *buf; /* code memory: it is page-aligned */
static struct x64_asm a;
static unsigned checked;

static unsigned lg(unsigned size)
{
    return size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3;
}

static const char *rn(unsigned size, int r)
{
    return names[lg(size)][r];
}

static void start(void)
{
    asm_init(&a, buf, buf, 4096);
}

/* The text of the one instruction that was emitted. */
static const char *text(void)
{
    static char got[256];
    uint32_t insns = a.insns, off = a.off;
    bool overflow = a.overflow;
    size_t bytes = 0;
    cs_insn *insn;

    size_t n = cs_disasm(cs, buf, a.off, (uint64_t)(uintptr_t)buf, 0, &insn);
    got[0] = 0;
    if (n) {
        snprintf(got, sizeof got, "%s%s%s", insn[0].mnemonic, insn[0].op_str[0] ? " " : "", insn[0].op_str);
        for (size_t k = 0; k < n; k++)
            bytes += insn[k].size;
        cs_free(insn, n);
    }
    start();
    if (n != 1 || bytes != off || insns != 1 || overflow)
        fail_msg("\"%s\": %zu instructions, %zu of %u bytes", got, n, bytes, off);
    checked++;
    return got;
}

static void is(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void is(const char *fmt, ...)
{
    char want[160];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(want, sizeof want, fmt, ap);
    va_end(ap);
    assert_string_equal(text(), want);
}

/* The same with an immediate at the end, however capstone shows its sign. */
static void is_imm(unsigned size, uint32_t imm, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void is_imm(unsigned size, uint32_t imm, const char *fmt, ...)
{
    char want[160];
    const char *got = text(), *comma = strrchr(got, ',');
    uint64_t mask = size == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * size) - 1;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(want, sizeof want, fmt, ap);
    va_end(ap);
    assert_non_null(comma);
    assert_int_equal(strlen(want), comma - got);
    assert_memory_equal(got, want, strlen(want));
    uint64_t shown = comma[2] == '-' ? (uint64_t)strtoll(comma + 2, NULL, 0) : strtoull(comma + 2, NULL, 0);
    assert_int_equal(shown & mask, (uint64_t)(int64_t)(int32_t)imm & mask);
}

#define EACH(r)      for (int r = RAX; r <= R15; r++)
#define EACH_SIZE(s) for (unsigned s = 1; s <= 8; s *= 2)

/* Addresses of all shapes, with their text. */
static struct x64_mem shapes[512];
static char shape_text[512][64];
static unsigned nshapes;

static void make_shapes(void)
{
    static const int32_t disps[] = {0, 1, -128, 127, 128, -129, 0x12345678};

    for (int base = RAX; base <= R15; base++) {
        for (unsigned k = 0; k < ARRAY_SIZE(disps); k++) {
            int index = (base * 7 + (int)k * 5) % 17 - 1;
            unsigned scale = 1u << (base + (int)k) % 4;
            struct x64_mem m = mem_bi(base, index == RSP ? NO_REG : index, scale, disps[k]);
            char *t = shape_text[nshapes];
            int n = sprintf(t, "[%s", names[3][base]);

            if (m.index >= 0)
                n += scale > 1 ? sprintf(t + n, " + %s*%u", names[3][(int)m.index], scale)
                               : sprintf(t + n, " + %s", names[3][(int)m.index]);
            if (m.disp) {
                uint32_t mag = m.disp < 0 ? 0u - (uint32_t)m.disp : (uint32_t)m.disp;
                n += sprintf(t + n, mag > 9 ? " %c 0x%x" : " %c %u", m.disp < 0 ? '-' : '+', mag);
            }
            sprintf(t + n, "]");
            shapes[nshapes++] = m;
        }
    }
    for (int index = RAX; index <= R15; index++) {
        if (index == RSP)
            continue;
        shapes[nshapes] = mem_bi(NO_REG, index, 8, 0x40);
        sprintf(shape_text[nshapes++], "[%s*8 + 0x40]", names[3][index]);
    }
}
#define EACH_SHAPE(k) for (unsigned k = 0; k < nshapes; k++)

static int setup(void **state)
{
    (void)state;
    make_shapes();
    test_vcpu();
    buf = test_span.rw;
    start();
    return cs_open(CS_ARCH_X86, CS_MODE_64, &cs) != CS_ERR_OK;
}

static int teardown(void **state)
{
    (void)state;
    printf("%u instructions compared\n", checked);
    return cs_close(&cs) != CS_ERR_OK;
}

static void test_moves(void **state)
{
    (void)state;
    EACH(d)
    {
        EACH(s)
        {
            for (unsigned size = 4; size <= 8; size += 4)
                asm_mov_rr(&a, size, d, s), is("mov %s, %s", rn(size, d), rn(size, s));
            asm_movzx(&a, 1, d, s), is("movzx %s, %s", rn(4, d), rn(1, s));
            asm_movzx(&a, 2, d, s), is("movzx %s, %s", rn(4, d), rn(2, s));
            asm_movsx(&a, 1, d, s), is("movsx %s, %s", rn(4, d), rn(1, s));
            asm_movsx(&a, 2, d, s), is("movsx %s, %s", rn(4, d), rn(2, s));
            asm_movsxd(&a, d, s), is("movsxd %s, %s", rn(8, d), rn(4, s));
            if (d != RAX && s != RAX)
                asm_xchg(&a, 4, d, s), is("xchg %s, %s", rn(4, s), rn(4, d));
            for (int cc = 0; cc < 16; cc++)
                asm_cmov(&a, (enum x64_cc)cc, d, s), is("cmov%s %s, %s", ccs[cc], rn(4, d), rn(4, s));
        }
        asm_mov_ri(&a, d, 0x89abcdef), is("mov %s, 0x89abcdef", rn(4, d));
        asm_mov_ri64(&a, d, 5), is("mov %s, 5", rn(4, d));
        asm_mov_ri64(&a, d, UINT64_C(0xffffffff80000000)), is("mov %s, -0x80000000", rn(8, d));
        asm_mov_ri64(&a, d, UINT64_C(0x123456789ab)), is("movabs %s, 0x123456789ab", rn(8, d));
        for (int cc = 0; cc < 16; cc++)
            asm_setcc(&a, (enum x64_cc)cc, d), is("set%s %s", ccs[cc], rn(1, d));
        asm_bswap(&a, 4, d), is("bswap %s", rn(4, d));
        asm_bswap(&a, 8, d), is("bswap %s", rn(8, d));
        asm_not(&a, d), is("not %s", rn(4, d));
        asm_push(&a, d), is("push %s", rn(8, d));
        asm_pop(&a, d), is("pop %s", rn(8, d));
    }
    asm_push_i(&a, 0x12), is("push 0x12");
    asm_push_i(&a, 0x80000000), is("push -0x80000000");
}

static void test_memory(void **state)
{
    (void)state;
    EACH_SHAPE(k)
    {
        struct x64_mem m = shapes[k];
        const char *t = shape_text[k];
        int r = (int)(k % 16);

        asm_load(&a, 1, r, m), is("movzx %s, byte ptr %s", rn(4, r), t);
        asm_load(&a, 2, r, m), is("movzx %s, word ptr %s", rn(4, r), t);
        asm_load(&a, 4, r, m), is("mov %s, dword ptr %s", rn(4, r), t);
        asm_load(&a, 8, r, m), is("mov %s, qword ptr %s", rn(8, r), t);
        asm_loads(&a, 1, r, m), is("movsx %s, byte ptr %s", rn(4, r), t);
        asm_loads(&a, 2, r, m), is("movsx %s, word ptr %s", rn(4, r), t);
        EACH_SIZE(s)
        {
            asm_store(&a, s, m, r), is("mov %s%s, %s", ptrs[lg(s)], t, rn(s, r));
            asm_store_i(&a, s, m, 5), is("mov %s%s, 5", ptrs[lg(s)], t);
            for (int op = 0; op < 8; op++) {
                asm_alu_rm(&a, (enum x64_alu)op, s, r, m), is("%s %s, %s%s", alus[op], rn(s, r), ptrs[lg(s)], t);
                asm_alu_mr(&a, (enum x64_alu)op, s, m, r), is("%s %s%s, %s", alus[op], ptrs[lg(s)], t, rn(s, r));
                asm_alu_mi(&a, (enum x64_alu)op, s, m, 0x21), is("%s %s%s, 0x21", alus[op], ptrs[lg(s)], t);
                if (s > 2)
                    asm_alu_mi(&a, (enum x64_alu)op, s, m, 0x12345), is("%s %s%s, 0x12345", alus[op], ptrs[lg(s)], t);
                asm_lock_alu_mi(&a, (enum x64_alu)op, s, m, 0x21);
                if (op != ALU_CMP)
                    is("lock %s %s%s, 0x21", alus[op], ptrs[lg(s)], t);
                else
                    start();
                asm_lock_alu_mr(&a, (enum x64_alu)op, s, m, r);
                if (op != ALU_CMP)
                    is("lock %s %s%s, %s", alus[op], ptrs[lg(s)], t, rn(s, r));
                else
                    start();
            }
            asm_test_mi(&a, s, m, 0x21), is("test %s%s, 0x21", ptrs[lg(s)], t);
            asm_lock_cmpxchg(&a, s, m, r), is("lock cmpxchg %s%s, %s", ptrs[lg(s)], t, rn(s, r));
            asm_lock_xadd(&a, s, m, r), is("lock xadd %s%s, %s", ptrs[lg(s)], t, rn(s, r));
            asm_xchg_m(&a, s, m, r), is("xchg %s%s, %s", ptrs[lg(s)], t, rn(s, r));
        }
        asm_lea(&a, 4, r, m), is("lea %s, %s", rn(4, r), t);
        asm_lea(&a, 8, r, m), is("lea %s, %s", rn(8, r), t);
        asm_imul_rm(&a, 4, r, m), is("imul %s, dword ptr %s", rn(4, r), t);
        for (int cc = 0; cc < 16; cc++) {
            asm_cmov_m(&a, (enum x64_cc)cc, r, m), is("cmov%s %s, dword ptr %s", ccs[cc], rn(4, r), t);
            asm_setcc_m(&a, (enum x64_cc)cc, m), is("set%s byte ptr %s", ccs[cc], t);
        }
        asm_jmp_m(&a, m), is("jmp qword ptr %s", t);
        asm_call_m(&a, m), is("call qword ptr %s", t);
    }
}

static void test_arithmetic(void **state)
{
    static const uint32_t imms[] = {0, 1, 0x7f, 0x80, 0x1234, 0x7fffffff, 0x80000000, 0xffffff80, 0xffffffff};
    static const struct {
        enum x64_shift op;
        const char *name;
    } shifts[] = {{SH_ROL, "rol"}, {SH_ROR, "ror"}, {SH_RCL, "rcl"}, {SH_RCR, "rcr"},
                  {SH_SHL, "shl"}, {SH_SHR, "shr"}, {SH_SAR, "sar"}};

    (void)state;
    EACH(d)
    {
        EACH(s)
        {
            EACH_SIZE(size)
            {
                for (int op = 0; op < 8; op++)
                    asm_alu_rr(&a, (enum x64_alu)op, size, d, s), is("%s %s, %s", alus[op], rn(size, d), rn(size, s));
                asm_test_rr(&a, size, d, s), is("test %s, %s", rn(size, d), rn(size, s));
            }
            for (unsigned size = 4; size <= 8; size += 4) {
                asm_imul_rr(&a, size, d, s), is("imul %s, %s", rn(size, d), rn(size, s));
                asm_imul_rri(&a, size, d, s, 100), is("imul %s, %s, 0x64", rn(size, d), rn(size, s));
                asm_imul_rri(&a, size, d, s, 1000), is("imul %s, %s, 0x3e8", rn(size, d), rn(size, s));
                asm_shlx(&a, size, d, s, 15 - d), is("shlx %s, %s, %s", rn(size, d), rn(size, s), rn(size, 15 - d));
                asm_shrx(&a, size, d, s, 15 - d), is("shrx %s, %s, %s", rn(size, d), rn(size, s), rn(size, 15 - d));
                asm_sarx(&a, size, d, s, 15 - d), is("sarx %s, %s, %s", rn(size, d), rn(size, s), rn(size, 15 - d));
                asm_rorx(&a, size, d, s, 12), is("rorx %s, %s, 0xc", rn(size, d), rn(size, s));
            }
            asm_andn(&a, d, 15 - s, s), is("andn %s, %s, %s", rn(4, d), rn(4, 15 - s), rn(4, s));
            asm_lzcnt(&a, d, s), is("lzcnt %s, %s", rn(4, d), rn(4, s));
        }
        EACH_SIZE(size)
        for (int op = 0; op < 8; op++)
            for (unsigned k = 0; k < ARRAY_SIZE(imms); k++)
                asm_alu_ri(&a, (enum x64_alu)op, size, d, imms[k]),
                    is_imm(size, imms[k], "%s %s", alus[op], rn(size, d));
        for (unsigned k = 0; k < ARRAY_SIZE(imms); k++)
            asm_test_ri(&a, d, imms[k]), is_imm(4, imms[k], "test %s", rn(imms[k] < 128 ? 1 : 4, d));
        for (unsigned size = 4; size <= 8; size += 4) {
            asm_neg(&a, size, d), is("neg %s", rn(size, d));
            asm_div(&a, size, d), is("div %s", rn(size, d));
            asm_idiv(&a, size, d), is("idiv %s", rn(size, d));
            asm_bt_ri(&a, size, d, 31), is("bt %s, 0x1f", rn(size, d));
            for (unsigned k = 0; k < ARRAY_SIZE(shifts); k++) {
                asm_shift_ri(&a, shifts[k].op, size, d, 7), is("%s %s, 7", shifts[k].name, rn(size, d));
                asm_shift_ri(&a, shifts[k].op, size, d, 1), is("%s %s, 1", shifts[k].name, rn(size, d));
                asm_shift_cl(&a, shifts[k].op, size, d), is("%s %s, cl", shifts[k].name, rn(size, d));
            }
        }
        asm_jmp_r(&a, d), is("jmp %s", rn(8, d));
        asm_call_r(&a, d), is("call %s", rn(8, d));
    }
    asm_cdq(&a), is("cdq");
    asm_cmc(&a), is("cmc");
    asm_stc(&a), is("stc");
    asm_clc(&a), is("clc");
    asm_mfence(&a), is("mfence");
    asm_pause(&a), is("pause");
    asm_ret(&a), is("ret");
    asm_ud2(&a), is("ud2");
}

static void test_jumps(void **state)
{
    (void)state;
    for (int cc = 0; cc < 16; cc++) {
        struct x64_label l = X64_LABEL_INIT;
        asm_jcc(&a, (enum x64_cc)cc, &l);
        a.off += 0x100;
        asm_bind(&a, &l);
        a.off = 6;
        is("j%s 0x%" PRIxPTR, ccs[cc], (uintptr_t)buf + 0x106);
    }
    /* Several jumps to one label; backwards near and far. */
    struct x64_label l = X64_LABEL_INIT;
    asm_jmp(&a, &l);
    asm_jcc(&a, CC_E, &l);
    asm_call(&a, &l);
    asm_bind(&a, &l);
    int32_t rel[3];
    memcpy(&rel[0], buf + 1, 4);
    memcpy(&rel[1], buf + 7, 4);
    memcpy(&rel[2], buf + 12, 4);
    assert_int_equal(rel[0], 16 - 5);
    assert_int_equal(rel[1], 16 - 11);
    assert_int_equal(rel[2], 0);
    asm_jmp(&a, &l);
    assert_int_equal(a.off, 18);
    assert_int_equal(buf[16], 0xeb);
    assert_int_equal((int8_t)buf[17], -2);
    a.off = 0x200;
    asm_jmp(&a, &l);
    memcpy(&rel[0], buf + 0x201, 4);
    assert_int_equal(rel[0], 16 - 0x205);
    start();
    uint32_t j = asm_jcc_short(&a, CC_B);
    asm_cdq(&a);
    asm_bind_short(&a, j);
    assert_int_equal(buf[1], 1);
    start();
    assert_true(asm_call_abs(&a, buf + 100));
    is("call 0x%" PRIxPTR, (uintptr_t)buf + 100);
    assert_true(asm_jmp_abs(&a, buf + 100));
    is("jmp 0x%" PRIxPTR, (uintptr_t)buf + 100);
    assert_true(asm_jcc_abs(&a, CC_NE, buf + 100));
    is("jne 0x%" PRIxPTR, (uintptr_t)buf + 100);
    assert_false(asm_jmp_abs(&a, (void *)((uintptr_t)buf + (UINT64_C(1) << 33))));
    struct x64_label lit = {.pos = 64, .chain = -1};
    asm_jmp_lit(&a, &lit), is("jmp qword ptr [rip + 0x3a]");
    asm_call_lit(&a, &lit), is("call qword ptr [rip + 0x3a]");
}

static void test_patchable(void **state)
{
    (void)state;
    for (unsigned at = 0; at < 16; at++) {
        for (int kind = 0; kind < 3; kind++) {
            struct x64_label l = X64_LABEL_INIT;
            start();
            a.off = at;
            uint32_t rel = kind == 0   ? asm_jmp_patch(&a, &l)
                           : kind == 1 ? asm_jcc_patch(&a, CC_E, &l)
                                       : asm_call_patch(&a, &l);
            assert_true(((uintptr_t)(buf + rel) & 7) <= 4);
            assert_int_equal(a.off, rel + 4);
            asm_bind(&a, &l);
        }
        for (unsigned n = 0; n < 24; n++) {
            cs_insn *insn;
            start();
            asm_nop(&a, n);
            assert_int_equal(a.off, n);
            size_t k = cs_disasm(cs, buf, n, 0, 0, &insn), bytes = 0;
            for (size_t m = 0; m < k; m++) {
                assert_string_equal(insn[m].mnemonic, "nop");
                bytes += insn[m].size;
            }
            assert_int_equal(bytes, n);
            if (k)
                cs_free(insn, k);
        }
    }
    start();
}

/* Out of room: nothing behind the end is written, and the flag stays. */
static void test_overflow(void **state)
{
    uint8_t small[32];

    (void)state;
    for (unsigned cap = 0; cap < 16; cap++) {
        struct x64_label l = X64_LABEL_INIT;
        memset(small, 0xcc, sizeof small);
        asm_init(&a, small, small, cap);
        for (int k = 0; k < 8; k++) {
            asm_jmp(&a, &l);
            asm_mov_ri(&a, R8, 1);
        }
        asm_bind(&a, &l);
        assert_true(a.overflow);
        assert_true(a.off <= cap);
        for (unsigned k = cap; k < sizeof small; k++)
            assert_int_equal(small[k], 0xcc);
    }
    start();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves), cmocka_unit_test(test_memory),    cmocka_unit_test(test_arithmetic),
        cmocka_unit_test(test_jumps), cmocka_unit_test(test_patchable), cmocka_unit_test(test_overflow),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
