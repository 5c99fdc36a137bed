/*
 * sem_test.c — values and flags of single instructions, by the manual's pseudocode, through the interpreter
 *
 * Rows are for the corners: shifts by 0, 32 and more, RRX, carries of constants, saturation, Q, divisions, conditions. The
 * breadth is the random comparison with another implementation (engine/interp/difftest).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "engine/arm/arm.h"
#include "engine/interp/interp.h"
#include "engine/vcpu/vcpu_alloc.h"

enum { A, T };

static const struct row {
    int thumb;
    const char *word, *text;
    uint32_t in[4];    /* r0..r3 */
    const char *flags; /* before: letters of NZCVQ */
    uint32_t r0;       /* after */
    const char *flags_out;
} rows[] = {
    /* clang-format off */
    {A, "e1b00081", "movs r0, r1, lsl #1", {0x0, 0xc0000000, 0x0, 0x0}, "", 0x80000000, "NC"},
    {A, "e1b00f81", "movs r0, r1, lsl #31", {0x0, 0x3, 0x0, 0x0}, "V", 0x80000000, "NCV"},
    {A, "e1b00021", "movs r0, r1, lsr #32", {0x0, 0x80000000, 0x0, 0x0}, "", 0x0, "ZC"},
    {A, "e1b00021", "movs r0, r1, lsr #32", {0x0, 0x7fffffff, 0x0, 0x0}, "C", 0x0, "Z"},
    {A, "e1b00041", "movs r0, r1, asr #32", {0x0, 0x80000000, 0x0, 0x0}, "", 0xffffffff, "NC"},
    {A, "e1b00041", "movs r0, r1, asr #32", {0x0, 0x40000000, 0x0, 0x0}, "C", 0x0, "Z"},
    {A, "e1b000e1", "movs r0, r1, ror #1", {0x0, 0x1, 0x0, 0x0}, "", 0x80000000, "NC"},
    {A, "e1b00061", "movs r0, r1, rrx", {0x0, 0x1, 0x0, 0x0}, "C", 0x80000000, "NC"},
    {A, "e1b00061", "movs r0, r1, rrx", {0x0, 0x1, 0x0, 0x0}, "", 0x0, "ZC"},
    {A, "e1a00061", "mov r0, r1, rrx", {0x0, 0x2, 0x0, 0x0}, "C", 0x80000001, "C"},
    {A, "e1b00211", "movs r0, r1, lsl r2", {0x0, 0x80000001, 0x0, 0x0}, "C", 0x80000001, "NC"},
    {A, "e1b00211", "movs r0, r1, lsl r2", {0x0, 0x1, 0x20, 0x0}, "", 0x0, "ZC"},
    {A, "e1b00211", "movs r0, r1, lsl r2", {0x0, 0x1, 0x21, 0x0}, "C", 0x0, "Z"},
    {A, "e1b00211", "movs r0, r1, lsl r2", {0x0, 0x1, 0x100, 0x0}, "C", 0x1, "C"},
    {A, "e1b00231", "movs r0, r1, lsr r2", {0x0, 0x80000000, 0x20, 0x0}, "", 0x0, "ZC"},
    {A, "e1b00231", "movs r0, r1, lsr r2", {0x0, 0x80000000, 0x21, 0x0}, "C", 0x0, "Z"},
    {A, "e1b00251", "movs r0, r1, asr r2", {0x0, 0x80000000, 0x40, 0x0}, "", 0xffffffff, "NC"},
    {A, "e1b00251", "movs r0, r1, asr r2", {0x0, 0x7fffffff, 0xff, 0x0}, "C", 0x0, "Z"},
    {A, "e1b00271", "movs r0, r1, ror r2", {0x0, 0x80000000, 0x20, 0x0}, "", 0x80000000, "NC"},
    {A, "e1b00271", "movs r0, r1, ror r2", {0x0, 0x12345678, 0x0, 0x0}, "", 0x12345678, ""},
    {A, "e1b00271", "movs r0, r1, ror r2", {0x0, 0x1, 0x41, 0x0}, "", 0x80000000, "NC"},
    {A, "e3b00102", "movs r0, #0x80000000", {0x0, 0x0, 0x0, 0x0}, "", 0x80000000, "NC"},
    {A, "e3b00001", "movs r0, #0x1", {0x0, 0x0, 0x0, 0x0}, "CV", 0x1, "CV"},
    {A, "e3b00fff", "movs r0, #0x3fc", {0x0, 0x0, 0x0, 0x0}, "C", 0x3fc, ""},
    {A, "e211020f", "ands r0, r1, #0xf0000000", {0x0, 0xf0000001, 0x0, 0x0}, "", 0xf0000000, "NC"},
    {A, "e31100ff", "tst r1, #0xff", {0x5, 0x100, 0x0, 0x0}, "CV", 0x5, "ZCV"},
    {A, "e1310001", "teq r1, r1, lsl #0", {0x7, 0x1, 0x0, 0x0}, "C", 0x7, "ZC"},
    {A, "e1d100a2", "bics r0, r1, r2, lsr #1", {0x0, 0x3, 0x3, 0x0}, "", 0x2, "C"},
    {A, "e1f00201", "mvns r0, r1, lsl #4", {0x0, 0xf0000000, 0x0, 0x0}, "", 0xffffffff, "NC"},
    {A, "e0910002", "adds r0, r1, r2", {0x0, 0x7fffffff, 0x1, 0x0}, "", 0x80000000, "NV"},
    {A, "e0910002", "adds r0, r1, r2", {0x0, 0xffffffff, 0x1, 0x0}, "", 0x0, "ZC"},
    {A, "e0510002", "subs r0, r1, r2", {0x0, 0x0, 0x1, 0x0}, "", 0xffffffff, "N"},
    {A, "e0510002", "subs r0, r1, r2", {0x0, 0x80000000, 0x1, 0x0}, "", 0x7fffffff, "CV"},
    {A, "e1510002", "cmp r1, r2", {0x9, 0x5, 0x5, 0x0}, "", 0x9, "ZC"},
    {A, "e1710002", "cmn r1, r2", {0x9, 0x1, 0xffffffff, 0x0}, "", 0x9, "ZC"},
    {A, "e2710000", "rsbs r0, r1, #0", {0x0, 0x80000000, 0x0, 0x0}, "", 0x80000000, "NV"},
    {A, "e2710000", "rsbs r0, r1, #0", {0x0, 0x0, 0x0, 0x0}, "", 0x0, "ZC"},
    {A, "e0b10002", "adcs r0, r1, r2", {0x0, 0xffffffff, 0x0, 0x0}, "C", 0x0, "ZC"},
    {A, "e0b10002", "adcs r0, r1, r2", {0x0, 0x7fffffff, 0x0, 0x0}, "C", 0x80000000, "NV"},
    {A, "e0d10002", "sbcs r0, r1, r2", {0x0, 0x0, 0x0, 0x0}, "", 0xffffffff, "N"},
    {A, "e0d10002", "sbcs r0, r1, r2", {0x0, 0x0, 0x0, 0x0}, "C", 0x0, "ZC"},
    {A, "e0d10002", "sbcs r0, r1, r2", {0x0, 0x5, 0xffffffff, 0x0}, "", 0x5, ""},
    {A, "e0f10002", "rscs r0, r1, r2", {0x0, 0x1, 0x3, 0x0}, "", 0x1, "C"},
    {A, "e0b10062", "adcs r0, r1, r2, rrx", {0x0, 0x1, 0x1, 0x0}, "C", 0x80000002, "N"},
    {A, "13010234", "movwne r0, #0x1234", {0x77, 0x0, 0x0, 0x0}, "Z", 0x77, "Z"},
    {A, "13410234", "movtne r0, #0x1234", {0x7777, 0x0, 0x0, 0x0}, "C", 0x12347777, "C"},
    {A, "e0100291", "muls r0, r1, r2", {0x0, 0x80000000, 0x2, 0x0}, "CV", 0x0, "ZCV"},
    {A, "e0303291", "mlas r0, r1, r2, r3", {0x0, 0x2, 0x3, 0xfffffffa}, "C", 0x0, "ZC"},
    {A, "e0603291", "mls r0, r1, r2, r3", {0x0, 0x2, 0x3, 0x7}, "", 0x1, ""},
    {A, "e750f211", "smmul r0, r1, r2", {0x0, 0x80000000, 0x80000000, 0x0}, "", 0x40000000, ""},
    {A, "e750f231", "smmulr r0, r1, r2", {0x0, 0x1, 0x80000000, 0x0}, "", 0x0, ""},
    {A, "e750f211", "smmul r0, r1, r2", {0x0, 0x1, 0x80000000, 0x0}, "", 0xffffffff, ""},
    {A, "e7503211", "smmla r0, r1, r2, r3", {0x0, 0x80000000, 0x80000000, 0x80000000}, "", 0xc0000000, ""},
    {A, "e75032d1", "smmls r0, r1, r2, r3", {0x0, 0x1, 0x1, 0x1}, "", 0x0, ""},
    {A, "e75032f1", "smmlsr r0, r1, r2, r3", {0x0, 0x1, 0x1, 0x1}, "", 0x1, ""},
    {A, "e710f211", "sdiv r0, r1, r2", {0x0, 0x80000000, 0xffffffff, 0x0}, "", 0x80000000, ""},
    {A, "e710f211", "sdiv r0, r1, r2", {0x0, 0xfffffff9, 0x2, 0x0}, "", 0xfffffffd, ""},
    {A, "e710f211", "sdiv r0, r1, r2", {0x5, 0x7, 0x0, 0x0}, "", 0x0, ""},
    {A, "e730f211", "udiv r0, r1, r2", {0x0, 0xffffffff, 0x10, 0x0}, "", 0xfffffff, ""},
    {A, "e730f211", "udiv r0, r1, r2", {0x5, 0x7, 0x0, 0x0}, "", 0x0, ""},
    {A, "e0410392", "umaal r0, r1, r2, r3", {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, "", 0xffffffff, ""},
    {A, "e0910392", "umulls r0, r1, r2, r3", {0x0, 0x0, 0xffffffff, 0xffffffff}, "C", 0x1, "NC"},
    {A, "e0e10392", "smlal r0, r1, r2, r3", {0x2, 0x0, 0xffffffff, 0x1}, "", 0x1, ""},
    {A, "e1003281", "smlabb r0, r1, r2, r3", {0x0, 0x8000, 0x8000, 0x7fffffff}, "", 0xbfffffff, "Q"},
    {A, "e1003281", "smlabb r0, r1, r2, r3", {0x0, 0x2, 0x3, 0x4}, "Q", 0xa, "Q"},
    {A, "e10032a1", "smlatb r0, r1, r2, r3", {0x0, 0xffff0000, 0x5, 0x5}, "", 0x0, ""},
    {A, "e12002e1", "smulwt r0, r1, r2", {0x0, 0x80000000, 0x7fff0000, 0x0}, "", 0xc0008000, ""},
    {A, "e1203281", "smlawb r0, r1, r2, r3", {0x0, 0x7fffffff, 0x7fff, 0x7fffffff}, "", 0xbfff7ffe, "Q"},
    {A, "e700f211", "smuad r0, r1, r2", {0x0, 0x80008000, 0x80008000, 0x0}, "", 0x80000000, "Q"},
    {A, "e700f251", "smusd r0, r1, r2", {0x0, 0x80008000, 0x80008000, 0x0}, "", 0x0, ""},
    {A, "e7003211", "smlad r0, r1, r2, r3", {0x0, 0x80008000, 0x80008000, 0xffffffff}, "", 0x7fffffff, ""},
    {A, "e7003211", "smlad r0, r1, r2, r3", {0x0, 0x80008000, 0x80008000, 0x0}, "", 0x80000000, "Q"},
    {A, "e7003231", "smladx r0, r1, r2, r3", {0x0, 0x20003, 0x50007, 0x1}, "", 0x1e, ""},
    {A, "e7003251", "smlsd r0, r1, r2, r3", {0x0, 0x10007fff, 0xffff7fff, 0x7fffffff}, "", 0xbfff1000, "Q"},
    {A, "e1020051", "qadd r0, r1, r2", {0x0, 0x7fffffff, 0x1, 0x0}, "", 0x7fffffff, "Q"},
    {A, "e1220051", "qsub r0, r1, r2", {0x0, 0x80000000, 0x1, 0x0}, "", 0x80000000, "Q"},
    {A, "e1220051", "qsub r0, r1, r2", {0x0, 0x5, 0x3, 0x0}, "", 0x2, ""},
    {A, "e1420051", "qdadd r0, r1, r2", {0x0, 0xffffffff, 0x7fffffff, 0x0}, "", 0x7ffffffe, "Q"},
    {A, "e1620051", "qdsub r0, r1, r2", {0x0, 0x0, 0x80000000, 0x0}, "", 0x7fffffff, "Q"},
    {A, "e6a70011", "ssat r0, #8, r1", {0x0, 0x80, 0x0, 0x0}, "", 0x7f, "Q"},
    {A, "e6a70251", "ssat r0, #8, r1, asr #4", {0x0, 0xfffff000, 0x0, 0x0}, "", 0xffffff80, "Q"},
    {A, "e6bf0011", "ssat r0, #32, r1", {0x0, 0x80000000, 0x0, 0x0}, "", 0x80000000, ""},
    {A, "e6e80011", "usat r0, #8, r1", {0x0, 0xffffffff, 0x0, 0x0}, "", 0x0, "Q"},
    {A, "e6e00011", "usat r0, #0, r1", {0x0, 0x0, 0x0, 0x0}, "", 0x0, ""},
    {A, "e6ff0091", "usat r0, #31, r1, lsl #1", {0x0, 0x40000000, 0x0, 0x0}, "", 0x0, "Q"},
    {A, "e6a30f31", "ssat16 r0, #4, r1", {0x0, 0xfff00003, 0x0, 0x0}, "", 0xfff80003, "Q"},
    {A, "e6e40f31", "usat16 r0, #4, r1", {0x0, 0xfff00013, 0x0, 0x0}, "", 0xf, "Q"},
    {A, "e6510f92", "uadd8 r0, r1, r2", {0x0, 0xff01ff01, 0x1010101, 0x0}, "", 0x20002, ""},
    {A, "e6610ff2", "uqsub8 r0, r1, r2", {0x0, 0x10203040, 0x20202020, 0x0}, "", 0x1020, ""},
    {A, "e6310f12", "shadd16 r0, r1, r2", {0x0, 0x7fff8000, 0x7fff8000, 0x0}, "", 0x7fff8000, ""},
    {A, "e6710ff2", "uhsub8 r0, r1, r2", {0x0, 0x00ff0001, 0x01000100, 0x0}, "", 0xff7fff00, ""},
    {A, "e6210f32", "qasx r0, r1, r2", {0x0, 0x7fff8000, 0x10001, 0x0}, "", 0x7fff8000, ""},
    {A, "e780f211", "usad8 r0, r1, r2", {0x0, 0x10ff0100, 0x0100ff00, 0x0}, "", 0x20c, ""},
    {A, "e6810472", "sxtab16 r0, r1, r2, ror #8", {0x0, 0x00010002, 0xff000100, 0x0}, "", 0x3, ""},
    {A, "e68f0071", "sxtb16 r0, r1", {0x0, 0x00800080, 0x0, 0x0}, "", 0xff80ff80, ""},
    {A, "e6f10c72", "uxtah r0, r1, r2, ror #24", {0x0, 0x1, 0x12345678, 0x0}, "", 0x7813, ""},
    {A, "e6810812", "pkhbt r0, r1, r2, lsl #16", {0x0, 0x1111, 0x2222, 0x0}, "", 0x22221111, ""},
    {A, "e6810052", "pkhtb r0, r1, r2, asr #32", {0x0, 0x11110000, 0x80000000, 0x0}, "", 0x1111ffff, ""},
    {A, "e7df0e11", "bfi r0, r1, #28, #4", {0x0fffffff, 0x5, 0x0, 0x0}, "", 0x5fffffff, ""},
    {A, "e7df001f", "bfc r0, #0, #32", {0x12345678, 0x0, 0x0, 0x0}, "", 0x0, ""},
    {A, "e7a30251", "sbfx r0, r1, #4, #4", {0x0, 0x80, 0x0, 0x0}, "", 0xfffffff8, ""},
    {A, "e7ff0051", "ubfx r0, r1, #0, #32", {0x0, 0x89abcdef, 0x0, 0x0}, "", 0x89abcdef, ""},
    {A, "e16f0f11", "clz r0, r1", {0x7, 0x0, 0x0, 0x0}, "", 0x20, ""},
    {A, "e6ff0f31", "rbit r0, r1", {0x0, 0x80000001, 0x0, 0x0}, "", 0x80000001, ""},
    {A, "e6ff0f31", "rbit r0, r1", {0x0, 0x12345678, 0x0, 0x0}, "", 0x1e6a2c48, ""},
    {A, "e6ff0fb1", "revsh r0, r1", {0x0, 0x1280, 0x0, 0x0}, "", 0xffff8012, ""},
    {A, "e6bf0fb1", "rev16 r0, r1", {0x0, 0x11223344, 0x0, 0x0}, "", 0x22114433, ""},
    {A, "e128f001", "msr apsr_nzcvq, r1", {0x3, 0xf8000000, 0x0, 0x0}, "", 0x3, "NZCVQ"},
    {A, "e328f205", "msr apsr_nzcvq, #0x50000000", {0x3, 0x0, 0x0, 0x0}, "NZCVQ", 0x3, "ZV"},
    {T, "0008", "lsls r0, r1, #0", {0x0, 0x80000000, 0x0, 0x0}, "CV", 0x80000000, "NCV"},
    {T, "0808", "lsrs r0, r1, #32", {0x0, 0x80000000, 0x0, 0x0}, "", 0x0, "ZC"},
    {T, "1008", "asrs r0, r1, #32", {0x0, 0x80000000, 0x0, 0x0}, "", 0xffffffff, "NC"},
    {T, "4088", "lsls r0, r1", {0x1, 0x20, 0x0, 0x0}, "", 0x0, "ZC"},
    {T, "41c8", "rors r0, r1", {0x80000000, 0x20, 0x0, 0x0}, "", 0x80000000, "NC"},
    {T, "4248", "negs r0, r1", {0x0, 0x1, 0x0, 0x0}, "", 0xffffffff, "N"},
    {T, "4148", "adcs r0, r1", {0xffffffff, 0x0, 0x0, 0x0}, "C", 0x0, "ZC"},
    {T, "4348", "muls r0, r1, r0", {0x10000, 0x10000, 0x0, 0x0}, "CV", 0x0, "ZCV"},
    {T, "f05f20ff", "movs.w r0, #0xff00ff00", {0x0, 0x0, 0x0, 0x0}, "C", 0xff00ff00, "NC"},
    {T, "f05f4000", "movs.w r0, #0x80000000", {0x0, 0x0, 0x0, 0x0}, "", 0x80000000, "NC"},
    {T, "f05f40ff", "movs.w r0, #0x7f800000", {0x0, 0x0, 0x0, 0x0}, "C", 0x7f800000, ""},
    {T, "ea710052", "orns r0, r1, r2, lsr #1", {0x0, 0x0, 0xfffffffe, 0x0}, "C", 0x80000000, "N"},
    {T, "f60170ff", "addw r0, r1, #0xfff", {0x0, 0x1, 0x0, 0x0}, "NZCV", 0x1000, "NZCV"},
    {T, "f0114f00", "tst.w r1, #0x80000000", {0x1, 0x80000000, 0x0, 0x0}, "", 0x1, "NC"},
    {T, "4668", "mov r0, sp", {0x0, 0x0, 0x0, 0x0}, "C", 0x1000, "C"},
    /* clang-format on */
};

static struct ir_block block;

/* Translate `count` instructions given as words and run them. */
static void run(struct vcpu *v, bool thumb, const uint32_t *words, unsigned count, uint32_t flags)
{
    /* Flag liveness looks at what follows in the page: SVCs, which need all flags. */
    static uint8_t code[4096];
    for (unsigned i = 0; i < sizeof code; i += 4)
        memcpy(code + i, thumb ? "\0\xdf\0\xdf" : "\0\0\0\xef", 4);
    unsigned n = 0;
    for (unsigned i = 0; i < count; i++) {
        uint32_t w = words[i];
        bool half = thumb && !(w >> 16);
        if (thumb && !half)
            w = w << 16 | w >> 16;
        memcpy(code + n, &w, half ? 2 : 4);
        n += half ? 2 : 4;
    }
    struct arm_translate_req req = {
        .pc = 0x8000, .flags = (thumb ? TBF_THUMB : 0) | flags, .host = code, .page_left = n, .max_insns = count};
    struct arm_translated out;
    arm_translate_block(&block, &req, &out);
    assert_int_equal(out.ninsns, count);
    const char *wrong = ir_verify(&block);
    if (wrong)
        fail_msg("%08x: %s", words[0], wrong);
    v->r[15] = 0x8000 | thumb;
    v->thumb = thumb;
    interp_run(v, &block, NULL);
}

static void set_flags(struct vcpu *v, const char *f)
{
    v->nf = strchr(f, 'N') != NULL;
    v->zf = strchr(f, 'Z') != NULL;
    v->cf = strchr(f, 'C') != NULL;
    v->vf = strchr(f, 'V') != NULL;
    v->q = strchr(f, 'Q') != NULL;
}

static void get_flags(const struct vcpu *v, char *f)
{
    snprintf(f, 6, "%s%s%s%s%s", v->nf ? "N" : "", v->zf ? "Z" : "", v->cf ? "C" : "", v->vf ? "V" : "",
             v->q ? "Q" : "");
}

static struct vcpu *fresh(void)
{
    struct vcpu *v = vcpus[0];
    memset(v->r, 0, sizeof v->r);
    v->r[13] = 0x1000;
    v->cpsr = MODE_SVC;
    v->it = 0;
    v->ge = 0;
    set_flags(v, "");
    return v;
}

static void test_rows(void **state)
{
    (void)state;
    unsigned bad = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct row *r = &rows[i];
        struct vcpu *v = fresh();
        memcpy(v->r, r->in, sizeof r->in);
        set_flags(v, r->flags);
        uint32_t w = (uint32_t)strtoul(r->word, NULL, 16);
        run(v, r->thumb, &w, 1, TBF_PRIV);
        char f[6];
        get_flags(v, f);
        if (v->r[0] != r->r0 || strcmp(f, r->flags_out)) {
            print_error("%s: r0 = 0x%x, flags '%s'; wanted 0x%x, '%s'\n", r->text, v->r[0], f, r->r0, r->flags_out);
            bad++;
        }
    }
    assert_int_equal(bad, 0);
}

/* All sixteen conditions against all flags: MOVcc makes a conditional move, MOVSWcc a branch. */
static void test_conditions(void **state)
{
    (void)state;
    for (uint32_t f = 0; f < 16; f++) {
        bool n = f & 8, z = f & 4, c = f & 2, o = f & 1;
        const bool want[15] = {z,       !z,     c,      !c,           n,           !n,  o, !o, c && !z,
                               !c || z, n == o, n != o, !z && n == o, z || n != o, true};
        for (uint32_t cond = 0; cond < 15; cond++) {
            for (int with_s = 0; with_s < 2; with_s++) {
                struct vcpu *v = fresh();
                v->nf = n, v->zf = z, v->cf = c, v->vf = o;
                uint32_t w = cond << 28 | (with_s ? 0x03b00005 : 0x03a00005); /* mov(s)cc r0, #5 */
                run(v, false, &w, 1, TBF_PRIV);
                assert_int_equal(v->r[0], want[cond] ? 5 : 0);
            }
        }
    }
}

/* UMAAL's largest: (2^32-1)^2 + 2 (2^32-1) is 2^64-1. */
static void test_umaal(void **state)
{
    (void)state;
    struct vcpu *v = fresh();
    for (int i = 0; i < 4; i++)
        v->r[i] = UINT32_MAX;
    run(v, false, (const uint32_t[]){0xe0410392}, 1, TBF_PRIV); /* umaal r0, r1, r2, r3 */
    assert_int_equal(v->r[0], UINT32_MAX);
    assert_int_equal(v->r[1], UINT32_MAX);
}

/* GE by lane, and SEL by GE. */
static void test_ge_sel(void **state)
{
    (void)state;
    struct vcpu *v = fresh();
    v->r[1] = 0xff01ff01;
    v->r[2] = 0x01010101;
    run(v, false, (const uint32_t[]){0xe6510f92}, 1, TBF_PRIV); /* uadd8 r0, r1, r2 */
    assert_int_equal(v->ge, 0xa);
    v->r[1] = 0x11223344;
    v->r[2] = 0x55667788;
    run(v, false, (const uint32_t[]){0xe6810fb2}, 1, TBF_PRIV); /* sel r0, r1, r2 */
    assert_int_equal(v->r[0], 0x11663388);
    v->r[1] = 0x80000001;
    v->r[2] = 0x80000001;
    run(v, false, (const uint32_t[]){0xe6110f12}, 1, TBF_PRIV); /* sadd16 r0, r1, r2 */
    assert_int_equal(v->ge, 0x3);
    run(v, false, (const uint32_t[]){0xe6510f72}, 1, TBF_PRIV); /* usub16 r0, r1, r2 */
    assert_int_equal(v->ge, 0xf);
}

/* Interworking: where BX, ALU writes to PC and BLX go, and what LR gets. */
static void test_pc_writes(void **state)
{
    (void)state;
    struct vcpu *v = fresh();
    v->r[14] = 0x9001;
    run(v, false, (const uint32_t[]){0xe12fff1e}, 1, TBF_PRIV); /* bx lr */
    assert_int_equal(v->r[15], 0x9001);
    v->r[2] = 0x10;
    run(v, false, (const uint32_t[]){0xe08ff102}, 1, TBF_PRIV); /* add pc, pc, r2, lsl #2 */
    assert_int_equal(v->r[15], 0x8048);
    v->r[2] = 0x9001;
    run(v, false, (const uint32_t[]){0xe1a0f002}, 1, TBF_PRIV); /* mov pc, r2: interworks in A32 */
    assert_int_equal(v->r[15], 0x9001);
    v->r[2] = 0x9000;
    run(v, true, (const uint32_t[]){0x4697}, 1, TBF_PRIV); /* mov pc, r2: does not in T32 */
    assert_int_equal(v->r[15], 0x9001);
    run(v, true, (const uint32_t[]){0x4790}, 1, TBF_PRIV); /* blx r2 */
    assert_int_equal(v->r[15], 0x9000);
    assert_int_equal(v->r[14], 0x8003);
    v->r[14] = 0xa000;
    run(v, false, (const uint32_t[]){0xe12fff3e}, 1, TBF_PRIV); /* blx lr: reads before it writes */
    assert_int_equal(v->r[15], 0xa000);
    assert_int_equal(v->r[14], 0x8004);
    run(v, true, (const uint32_t[]){0xf000e800}, 1, TBF_PRIV); /* blx to 0x8004, A32 */
    assert_int_equal(v->r[15], 0x8004);
    assert_int_equal(v->r[14], 0x8005);
    run(v, false, (const uint32_t[]){0xfb000000}, 1, TBF_PRIV); /* blx to 0x800a, T32 */
    assert_int_equal(v->r[15], 0x800b);
    assert_int_equal(v->r[14], 0x8004);
}

/* A block that ends inside an IT block hands ITSTATE on. */
static void test_it_split(void **state)
{
    (void)state;
    struct vcpu *v = fresh();
    v->zf = 1;
    run(v, true, (const uint32_t[]){0xbf0c, 0x2001}, 2, TBF_PRIV); /* ite eq; moveq r0, #1 */
    assert_int_equal(v->r[0], 1);
    assert_int_equal(v->it, 0x18);
    assert_int_equal(v->r[15], 0x8005);
    run(v, true, (const uint32_t[]){0x2002}, 1, TBF_PRIV | v->it << TBF_IT_SHIFT); /* movne r0, #2 */
    assert_int_equal(v->r[0], 1);
    assert_int_equal(v->it, 0);
}

static void test_cp15_inline(void **state)
{
    (void)state;
    struct vcpu *v = fresh();
    v->sys.tpidruro = 0x1234;
    run(v, false, (const uint32_t[]){0xee1d0f70}, 1, 0); /* mrc p15, 0, r0, c13, c0, 3 in User mode */
    assert_int_equal(v->r[0], 0x1234);
    v->r[1] = 77;
    run(v, false, (const uint32_t[]){0xee0d1f50}, 1, 0); /* mcr p15, 0, r1, c13, c0, 2 */
    assert_int_equal(v->sys.tpidrurw, 77);
}

static int setup(void **state)
{
    (void)state;
    struct error e = {0};
    if (!vcpu_alloc(0, &e))
        return -1;
    nvcpus = 1;
    current_vcpu = vcpus[0];
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    vcpu_free_all();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),        cmocka_unit_test(test_conditions), cmocka_unit_test(test_umaal),
        cmocka_unit_test(test_ge_sel),      cmocka_unit_test(test_pc_writes),  cmocka_unit_test(test_it_split),
        cmocka_unit_test(test_cp15_inline),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
