/*
 * vfp_test.c — who may use VFP and Advanced SIMD, their system registers, and a few operations at the edge
 *
 * Results in breadth: fp_test.c, and the random comparison with another implementation (engine/interp/difftest --fp).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "engine/arm/arm.h"
#include "engine/arm/fp.h"
#include "engine/arm/helpers.h"
#include "engine/ir/vec_ops.h"
#include "engine/arm/state.h"
#include "engine/arm/state_testlib.h"

static struct vcpu *v;

static int setup(void **state)
{
    (void)state;
    v = test_vcpu();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_vcpu_free();
    return 0;
}

#define VFP_FLAGS (TBF_VFP | TBF_NO_NEON | TBF_NO_D32 | TBF_VFP_VECTOR | TBF_VFP_MODE)

static void test_access(void **state)
{
    (void)state;
    static const struct {
        uint32_t cpacr, fpexc, mode, flags;
    } t[] = {
        {0, 0, MODE_SVC, 0},
        {0, FPEXC_EN, MODE_SVC, 0},
        {CPACR_CP10 | CPACR_CP11, 0, MODE_SVC, 0},
        {CPACR_CP10 | CPACR_CP11, FPEXC_EN, MODE_SVC, TBF_VFP},
        {CPACR_CP10 | CPACR_CP11, FPEXC_EN, MODE_USR, TBF_VFP},
        {5u << 20, FPEXC_EN, MODE_SVC, TBF_VFP}, /* privileged only */
        {5u << 20, FPEXC_EN, MODE_SYS, TBF_VFP},
        {5u << 20, FPEXC_EN, MODE_USR, 0},
        {10u << 20, FPEXC_EN, MODE_SVC, 0}, /* reserved */
        {CPACR_CP10 | CPACR_CP11 | CPACR_ASEDIS, FPEXC_EN, MODE_SVC, TBF_VFP | TBF_NO_NEON},
        {CPACR_CP10 | CPACR_CP11 | CPACR_ASEDIS | CPACR_D32DIS, FPEXC_EN, MODE_SVC, TBF_VFP | TBF_NO_NEON | TBF_NO_D32},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
        v->sys.cpacr = t[i].cpacr;
        v->sys.fpexc = t[i].fpexc;
        arm_cpsr_write(v, t[i].mode, 0x1f);
        if ((arm_tb_flags(v) & VFP_FLAGS) != t[i].flags)
            fail_msg("row %u: %#x", i, arm_tb_flags(v));
        arm_switch_mode(v, MODE_SVC);
    }
    v->sys.cpacr = CPACR_CP10 | CPACR_CP11;
    v->fpscr = 1u << 16;
    assert_int_equal(arm_tb_flags(v) & VFP_FLAGS, TBF_VFP | TBF_VFP_VECTOR);
    v->fpscr = 1u << 20;
    assert_int_equal(arm_tb_flags(v) & VFP_FLAGS, TBF_VFP | TBF_VFP_VECTOR);
    v->fpscr = 1u << 22;
    assert_int_equal(arm_tb_flags(v) & VFP_FLAGS, TBF_VFP | TBF_VFP_MODE);
    v->fpscr = FPSCR_FZ;
    assert_int_equal(arm_tb_flags(v) & VFP_FLAGS, TBF_VFP | TBF_VFP_MODE);
    v->fpscr = 0xffu << 24 & ~(FPSCR_FZ | FPSCR_NZCV);
    assert_int_equal(arm_tb_flags(v) & VFP_FLAGS, TBF_VFP);
}

/* -- Which instructions are Undefined ------------------------------------------------------------------------- */

static bool is_undefined(uint32_t word, uint32_t flags)
{
    static struct ir_block b;
    static uint8_t code[64];
    memcpy(code, &word, 4);
    struct arm_translate_req req = {.pc = 0x8000, .flags = flags, .host = code, .page_left = 4, .max_insns = 1};
    struct arm_translated out;
    arm_translate_block(&b, &req, &out);
    assert_null(ir_verify(&b));
    for (uint32_t i = 0; i < b.n; i++)
        if (b.ins[i].op == IR_CALL && b.ins[i].imm == HELPER_UNDEF)
            return true;
    return false;
}

static void test_undefined(void **state)
{
    (void)state;
    static const struct {
        uint32_t word, flags;
        bool undefined;
        const char *text;
    } t[] = {
        {0xee300a00, 0, true, "vadd.f32 s0, s0, s0"},
        {0xee300a00, TBF_VFP, false, "vadd.f32 s0, s0, s0"},
        {0xee300a00, TBF_VFP | TBF_VFP_VECTOR, true, "vadd.f32 s0, s0, s0"},
        {0xeeb40a40, TBF_VFP | TBF_VFP_VECTOR, false, "vcmp.f32 s0, s0"},
        {0xee300b00, TBF_VFP | TBF_NO_D32, false, "vadd.f64 d0, d0, d0"},
        {0xee700b00, TBF_VFP | TBF_NO_D32, true, "vadd.f64 d16, d0, d0"},
        {0xee300b20, TBF_VFP | TBF_NO_D32, true, "vadd.f64 d0, d0, d16"},
        {0xee700a00, TBF_VFP | TBF_NO_D32, false, "vadd.f32 s1, s0, s0"},
        {0xf2000840, 0, true, "vadd.i8 q0, q0, q0"},
        {0xf2000840, TBF_VFP, false, "vadd.i8 q0, q0, q0"},
        {0xf2000840, TBF_VFP | TBF_NO_NEON, true, "vadd.i8 q0, q0, q0"},
        {0xf2001840, TBF_VFP, true, "vadd.i8 with an odd Q register"},
        {0xf420070f, TBF_VFP, false, "vld1.8 {d0}, [r0]"},
        {0xf420070f, 0, true, "vld1.8 {d0}, [r0]"},
        {0xf420072f, TBF_VFP, true, "vld1.8 {d0}, [r0:128]"},
        {0xee000b10, TBF_VFP | TBF_NO_NEON, false, "vmov.32 d0[0], r0"},
        {0xee400b10, TBF_VFP | TBF_NO_NEON, true, "vmov.8 d0[0], r0"},
        {0xeef10a10, 0, true, "vmrs r0, fpscr"},
        {0xeef10a10, TBF_VFP, false, "vmrs r0, fpscr"},
        {0xeef80a10, 0, false, "vmrs r0, fpexc: the helper decides"},
        {0xeee80a10, 0, false, "vmsr fpexc, r0: the helper decides"},
        {0xeef90a10, TBF_VFP, true, "vmrs r0, fpinst"},
        {0xeee70a10, TBF_VFP, true, "vmsr mvfr0, r0"},
        {0xec900b00, TBF_VFP, true, "vldm of no register"},
        {0xecd00b22, TBF_VFP, true, "vldm of 17 registers"},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(t); i++)
        if (is_undefined(t[i].word, t[i].flags) != t[i].undefined)
            fail_msg("%s, flags %#x", t[i].text, t[i].flags);
}

/* -- System registers ----------------------------------------------------------------------------------------- */

static void test_system_registers(void **state)
{
    (void)state;
    assert_true(LEFT(v, helper_vmrs(v, 0))); /* as at reset: no access */
    v->cpsr = MODE_SVC;
    v->sys.cpacr = CPACR_CP10 | CPACR_CP11;
    assert_int_equal(helper_vmrs(v, 0), 0x410430f0);
    assert_int_equal(helper_vmrs(v, 7), 0x10110222);
    assert_int_equal(helper_vmrs(v, 6), 0x11111111);
    assert_int_equal(helper_vmrs(v, 8), 0);
    helper_vmsr(v, 8, ~0u);
    assert_int_equal(helper_vmrs(v, 8), FPEXC_EN);
    helper_vmsr(v, 0, 0);
    assert_int_equal(helper_vmrs(v, 0), 0x410430f0);
    arm_switch_mode(v, MODE_USR);
    assert_true(LEFT(v, helper_vmrs(v, 8)));
    arm_switch_mode(v, MODE_USR);
    assert_true(LEFT(v, helper_vmsr(v, 8, 0)));
    assert_int_equal(v->sys.fpexc, FPEXC_EN);

    for (uint32_t nzcv = 0; nzcv < 16; nzcv++) {
        assert_int_equal(helper_vmsr_fpscr(v, nzcv << 28 | 0x0e00009f), 0);
        assert_int_equal(helper_vmrs_fpscr(v), nzcv << 28 | 0x0e00009f);
        assert_int_equal(v->fpscr, 0x0e00009f);
    }
    assert_int_not_equal(helper_vmsr_fpscr(v, 0xf3c0009f), 0); /* RMODE and FZ */
    assert_int_equal(helper_vmsr_fpscr(v, 0x01000000), 0);
    assert_int_not_equal(helper_vmsr_fpscr(v, ~0u), 0); /* LEN and STRIDE */
    assert_int_equal(helper_vmrs_fpscr(v), FPSCR_WRITABLE);
    assert_int_not_equal(helper_vmsr_fpscr(v, 0), 0);
}

/* -- Vectors ------------------------------------------------------------------------------------------------------ */

static void test_vectors(void **state)
{
    (void)state;
    /* A D form touches one register, and the lanes above it set no flags. */
    v->vfp[0] = v->vfp[1] = 0;
    v->vfp[2] = 0x3f8000003f800000;
    v->vfp[3] = 0;
    v->fpscr = 0;
    helper_vec(v, VOP_recpe_f, 0 | 2 << VREG_N | VREG_NONE, 0);
    assert_int_equal(v->vfp[0], 0x3f7f80003f7f8000);
    assert_int_equal(v->vfp[1], 0);
    assert_int_equal(v->fpscr, 0);
    /* The standard FPSCR, whatever the guest's says; cumulative bits arrive in the guest's. */
    v->fpscr = 1u << 22;
    v->vfp[2] = 0x0000000133800000;
    v->vfp[3] = 0x3f8000003f800000;
    helper_vec(v, VOP_add_f, 0 | 2 << VREG_N | 3 << VREG_M, 0);
    assert_int_equal(v->vfp[0], 0x3f8000003f800000);
    assert_int_equal(v->fpscr, 1u << 22 | FPSCR_IXC | FPSCR_IDC);
    /* Operands that the destination overlaps. */
    v->vfp[0] = 0x0807060504030201;
    v->fpscr = 0;
    helper_vec(v, VOP_mull_u8, 0 | 0 << VREG_N | 0 << VREG_M | VREG_DQ, 0);
    assert_int_equal(v->vfp[0], 0x0010000900040001);
    assert_int_equal(v->vfp[1], 0x0040003100240019);
    /* Saturation */
    v->vfp[2] = 0x8000000080000000;
    helper_vec(v, VOP_qdmulh_32, 4 | 2 << VREG_N | 2 << VREG_M, 0);
    assert_int_equal(v->vfp[4], 0x7fffffff7fffffff);
    assert_int_equal(v->fpscr, FPSCR_QC);
    /* Structures of three bytes, there and back */
    for (unsigned i = 0; i < 3; i++)
        v->vfp[8 + 2 * i] = 0x0101010101010101u * (8 * i) + 0x0706050403020100;
    helper_vec_deinterleave(v, 8, INTERLEAVE(3, 2, 0));
    assert_int_equal(v->vfp[8], 0x15120f0c09060300);
    assert_int_equal(v->vfp[10], 0x1613100d0a070401);
    assert_int_equal(v->vfp[12], 0x1714110e0b080502);
    helper_vec_interleave(v, 8, INTERLEAVE(3, 2, 0));
    assert_int_equal(v->vtmp[0], 0x0706050403020100);
    assert_int_equal(v->vtmp[2], 0x1716151413121110);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_access),
        cmocka_unit_test(test_undefined),
        T(test_system_registers),
        T(test_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
