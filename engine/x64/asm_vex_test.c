/*
 * asm_vex_test.c — every VEX form as capstone reads it, for all registers
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <capstone/capstone.h>

#include "engine/x64/asm_vex.h"
#include "engine/x64/x64_testlib.h"

static csh cs;
#define BYTES 64
static uint8_t *buf;
static struct x64_asm a;

static const char *const gpr[2][16] = {
    {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d",
     "r15d"},
    {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"},
};

static void is(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void is(const char *fmt, ...)
{
    char want[160], got[256];
    cs_insn *insn;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(want, sizeof want, fmt, ap);
    va_end(ap);
    size_t n = cs_disasm(cs, buf, a.off, 0x1000, 0, &insn);
    if (n != 1 || insn[0].size != a.off || a.insns != 1)
        fail_msg("%s: %zu instructions in %u bytes", want, n, a.off);
    snprintf(got, sizeof got, "%s %s", insn[0].mnemonic, insn[0].op_str);
    cs_free(insn, n);
    assert_string_equal(got, want);
    asm_init(&a, buf, (const uint8_t *)0x1000, BYTES);
}

static int setup(void **state)
{
    (void)state;
    test_vcpu();
    buf = test_span.rw;
    asm_init(&a, buf, (const uint8_t *)0x1000, BYTES);
    return cs_open(CS_ARCH_X86, CS_MODE_64, &cs) != CS_ERR_OK;
}

/* Three registers, and with a memory operand instead of the last. */
static const struct {
    uint32_t op;
    const char *name, *ptr;
} three[] = {
#define P(id, name) {VX_##id, name, "xmmword ptr "},
    {VX_ADDSD, "vaddsd", "qword ptr "},
    {VX_SINGLE(VX_ADDSD), "vaddss", "dword ptr "},
    {VX_SUBSD, "vsubsd", "qword ptr "},
    {VX_SINGLE(VX_SUBSD), "vsubss", "dword ptr "},
    {VX_MULSD, "vmulsd", "qword ptr "},
    {VX_SINGLE(VX_MULSD), "vmulss", "dword ptr "},
    {VX_DIVSD, "vdivsd", "qword ptr "},
    {VX_SINGLE(VX_DIVSD), "vdivss", "dword ptr "},
    {VX_SQRTSD, "vsqrtsd", "qword ptr "},
    {VX_SINGLE(VX_SQRTSD), "vsqrtss", "dword ptr "},
    {VX_CVTSD2SS, "vcvtsd2ss", "qword ptr "},
    {VX_CVTSS2SD, "vcvtss2sd", "dword ptr "},
    {VX_FMADD231SS, "vfmadd231ss", "dword ptr "},
    {VX_FMADD231SS | VX_W, "vfmadd231sd", "qword ptr "},
    {VX_FMSUB231SS, "vfmsub231ss", "dword ptr "},
    {VX_FNMADD231SS, "vfnmadd231ss", "dword ptr "},
    {VX_FNMSUB231SS | VX_W, "vfnmsub231sd", "qword ptr "},
    /* clang-format off */
    P(PXOR, "vpxor") P(PAND, "vpand") P(PANDN, "vpandn") P(POR, "vpor")
    P(PADDB, "vpaddb") P(PADDW, "vpaddw") P(PADDD, "vpaddd") P(PADDQ, "vpaddq")
    P(PSUBB, "vpsubb") P(PSUBW, "vpsubw") P(PSUBD, "vpsubd") P(PSUBQ, "vpsubq")
    P(PADDSB, "vpaddsb") P(PADDSW, "vpaddsw") P(PADDUSB, "vpaddusb") P(PADDUSW, "vpaddusw")
    P(PSUBSB, "vpsubsb") P(PSUBSW, "vpsubsw") P(PSUBUSB, "vpsubusb") P(PSUBUSW, "vpsubusw")
    P(PAVGB, "vpavgb") P(PAVGW, "vpavgw") P(PMULLW, "vpmullw") P(PMULHW, "vpmulhw")
    P(PMULHRSW, "vpmulhrsw") P(PMULHUW, "vpmulhuw") P(PMULLD, "vpmulld") P(PMULDQ, "vpmuldq") P(PMULUDQ, "vpmuludq")
    P(PCMPEQB, "vpcmpeqb") P(PCMPEQW, "vpcmpeqw") P(PCMPEQD, "vpcmpeqd")
    P(PCMPGTB, "vpcmpgtb") P(PCMPGTW, "vpcmpgtw") P(PCMPGTD, "vpcmpgtd") P(PCMPGTQ, "vpcmpgtq")
    P(PMAXSB, "vpmaxsb") P(PMAXSW, "vpmaxsw") P(PMAXSD, "vpmaxsd")
    P(PMAXUB, "vpmaxub") P(PMAXUW, "vpmaxuw") P(PMAXUD, "vpmaxud")
    P(PMINSB, "vpminsb") P(PMINSW, "vpminsw") P(PMINSD, "vpminsd")
    P(PMINUB, "vpminub") P(PMINUW, "vpminuw") P(PMINUD, "vpminud")
    P(PSLLVD, "vpsllvd") P(PSRLVD, "vpsrlvd") P(PSRAVD, "vpsravd") P(PSHUFB, "vpshufb")
    P(PUNPCKLBW, "vpunpcklbw") P(PUNPCKLWD, "vpunpcklwd") P(PUNPCKLDQ, "vpunpckldq")
    P(PUNPCKLQDQ, "vpunpcklqdq") P(PUNPCKHBW, "vpunpckhbw") P(PUNPCKHWD, "vpunpckhwd")
    P(PUNPCKHDQ, "vpunpckhdq") P(PUNPCKHQDQ, "vpunpckhqdq") P(PACKSSWB, "vpacksswb")
    P(PACKSSDW, "vpackssdw") P(PACKUSWB, "vpackuswb") P(PACKUSDW, "vpackusdw")
    P(ADDPS, "vaddps") P(MULPS, "vmulps") P(SUBPS, "vsubps") P(MINPS, "vminps") P(MAXPS, "vmaxps")
    P(FMADD231PS, "vfmadd231ps") P(FNMADD231PS, "vfnmadd231ps")
/* clang-format on */
#undef P
};

static void test_three(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(three); i++)
        for (int d = 0; d < 16; d++)
            for (int s = 0; s < 16; s++) {
                int t = (d * 5 + s * 3) & 15;

                asm_vex_rrr(&a, three[i].op, d, s, t);
                is("%s xmm%d, xmm%d, xmm%d", three[i].name, d, s, t);
                asm_vex_rrm(&a, three[i].op, d, s, mem_bi(t, s == RSP ? NO_REG : s, 4, 0x12345));
                if (s == RSP)
                    is("%s xmm%d, xmm%d, %s[%s + 0x12345]", three[i].name, d, s, three[i].ptr, gpr[1][t]);
                else
                    is("%s xmm%d, xmm%d, %s[%s + %s*4 + 0x12345]", three[i].name, d, s, three[i].ptr, gpr[1][t],
                       gpr[1][s]);
            }
}

/* One source. */
static const struct {
    uint32_t op;
    const char *name;
} two[] = {
    {VX_MOVAPS, "vmovaps"},
    {VX_MOVQ, "vmovq"},
    {VX_UCOMISD, "vucomisd"},
    {VX_UCOMISS, "vucomiss"},
    {VX_PTEST, "vptest"},
    {VX_PABSB, "vpabsb"},
    {VX_PABSW, "vpabsw"},
    {VX_PABSD, "vpabsd"},
    {VX_PMOVSXBW, "vpmovsxbw"},
    {VX_PMOVSXWD, "vpmovsxwd"},
    {VX_PMOVSXDQ, "vpmovsxdq"},
    {VX_PMOVZXBW, "vpmovzxbw"},
    {VX_PMOVZXWD, "vpmovzxwd"},
    {VX_PMOVZXDQ, "vpmovzxdq"},
    {VX_PBROADCASTB, "vpbroadcastb"},
    {VX_PBROADCASTW, "vpbroadcastw"},
    {VX_PBROADCASTD, "vpbroadcastd"},
    {VX_CVTDQ2PS, "vcvtdq2ps"},
    {VX_CVTTPS2DQ, "vcvttps2dq"},
};

static void test_two(void **state)
{
    (void)state;
    for (int d = 0; d < 16; d++)
        for (int s = 0; s < 16; s++) {
            for (unsigned i = 0; i < ARRAY_SIZE(two); i++) {
                asm_vex_rrr(&a, two[i].op, d, NO_REG, s);
                is("%s xmm%d, xmm%d", two[i].name, d, s);
            }
            asm_vex_rrr(&a, VX_MOVD_LD, d, NO_REG, s);
            is("vmovd xmm%d, %s", d, gpr[0][s]);
            asm_vex_rrr(&a, VX_MOVQ_LD, d, NO_REG, s);
            is("vmovq xmm%d, %s", d, gpr[1][s]);
            asm_vex_rrr(&a, VX_MOVD_ST, d, NO_REG, s);
            is("vmovd %s, xmm%d", gpr[0][s], d);
            asm_vex_rrr(&a, VX_MOVQ_ST, d, NO_REG, s);
            is("vmovq %s, xmm%d", gpr[1][s], d);
            asm_vex_rrr(&a, VX_MOVMSKPS, d, NO_REG, s);
            is("vmovmskps %s, xmm%d", gpr[0][d], s);
            asm_vex_rrr(&a, VX_CVTTSD2SI | VX_W, d, NO_REG, s);
            is("vcvttsd2si %s, xmm%d", gpr[1][d], s);
            asm_vex_rrr(&a, VX_SINGLE(VX_CVTSD2SI) | VX_W, d, NO_REG, s);
            is("vcvtss2si %s, xmm%d", gpr[1][d], s);
            asm_vex_rrr(&a, VX_CVTSI2SD | VX_W, d, d, s);
            is("vcvtsi2sd xmm%d, xmm%d, %s", d, d, gpr[1][s]);
            asm_vex_rrr(&a, VX_SINGLE(VX_CVTSI2SD), d, s, s);
            is("vcvtsi2ss xmm%d, xmm%d, %s", d, s, gpr[0][s]);
            asm_vex_rrri(&a, VX_PEXTRD, d, NO_REG, s, 1);
            is("vpextrd %s, xmm%d, 1", gpr[0][s], d);
            asm_vex_rrri(&a, VX_PSHUFD, d, NO_REG, s, 0xb1);
            is("vpshufd xmm%d, xmm%d, 0xb1", d, s);
            asm_vex_rrri(&a, VX_PSHUFLW, d, NO_REG, s, 0xb1);
            is("vpshuflw xmm%d, xmm%d, 0xb1", d, s);
            asm_vex_rrri(&a, VX_PSHUFHW, d, NO_REG, s, 0xb1);
            is("vpshufhw xmm%d, xmm%d, 0xb1", d, s);
            asm_vex_rrri(&a, VX_PALIGNR, d, 15 - d, s, 7);
            is("vpalignr xmm%d, xmm%d, xmm%d, 7", d, 15 - d, s);
            asm_vex_rrri(&a, VX_SHUFPS, d, 15 - d, s, 0x88);
            is("vshufps xmm%d, xmm%d, xmm%d, 0x88", d, 15 - d, s);
            asm_vex_rrri(&a, VX_BLENDVPS, d, 15 - d, s, (uint8_t)(s << 4));
            is("vblendvps xmm%d, xmm%d, xmm%d, xmm%d", d, 15 - d, s, s);
            asm_vex_rrri(&a, VX_CMPPS, d, s, 15 - d, 1);
            is("vcmpltps xmm%d, xmm%d, xmm%d", d, s, 15 - d);
        }
}

static void test_shifts_and_memory(void **state)
{
    static const struct {
        uint32_t op;
        const char *name;
    } shifts[] = {
        {VX_PSLLW_I, "vpsllw"}, {VX_PSLLD_I, "vpslld"}, {VX_PSLLQ_I, "vpsllq"},
        {VX_PSRLW_I, "vpsrlw"}, {VX_PSRLD_I, "vpsrld"}, {VX_PSRLQ_I, "vpsrlq"},
        {VX_PSRAW_I, "vpsraw"}, {VX_PSRAD_I, "vpsrad"}, {VX_PSRLDQ_I, "vpsrldq"},
    };
    static const struct {
        uint32_t op;
        const char *name, *ptr;
        bool store;
    } moves[] = {
        {VX_MOVSS_LD, "vmovss", "dword", false},     {VX_MOVSD_LD, "vmovsd", "qword", false},
        {VX_MOVUPS_LD, "vmovups", "xmmword", false}, {VX_MOVSS_ST, "vmovss", "dword", true},
        {VX_MOVSD_ST, "vmovsd", "qword", true},      {VX_MOVUPS_ST, "vmovups", "xmmword", true},
    };

    (void)state;
    for (int d = 0; d < 16; d++)
        for (int s = 0; s < 16; s++) {
            for (unsigned i = 0; i < ARRAY_SIZE(shifts); i++) {
                asm_vex_shift(&a, shifts[i].op, d, s, 9);
                is("%s xmm%d, xmm%d, 9", shifts[i].name, d, s);
            }
            for (unsigned i = 0; i < ARRAY_SIZE(moves); i++) {
                asm_vex_rrm(&a, moves[i].op, d, NO_REG, mem_b(s, 0x40));
                if (moves[i].store)
                    is("%s %s ptr [%s + 0x40], xmm%d", moves[i].name, moves[i].ptr, gpr[1][s], d);
                else
                    is("%s xmm%d, %s ptr [%s + 0x40]", moves[i].name, d, moves[i].ptr, gpr[1][s]);
            }
            asm_vex_rrm(&a, VX_MOVHPS_LD, d, s, mem_b(s, 0x40));
            is("vmovhps xmm%d, xmm%d, qword ptr [%s + 0x40]", d, s, gpr[1][s]);
            /* The text has the displacement: the pool is at 0x800, the code at 0x1000. */
            asm_vex_pool(&a, VX_PXOR, d, s, (const uint8_t *)0x800);
            is("vpxor xmm%d, xmm%d, xmmword ptr [rip - 0x808]", d, s);
            asm_vex_pool(&a, VX_PSHUFB, d, s, (const uint8_t *)0x800);
            is("vpshufb xmm%d, xmm%d, xmmword ptr [rip - 0x809]", d, s);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three),
        cmocka_unit_test(test_two),
        cmocka_unit_test(test_shifts_and_memory),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
