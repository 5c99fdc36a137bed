/*
 * vregs_test.c — what is remembered of v->vfp[] in xmm registers is right after everything that may lose or change it
 *
 * Each block adds, does one thing that takes its slow path into C (whose stand-ins lose all xmm registers), and adds
 * to the sum.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "engine/ir/helpers.h"
#include "engine/ir/vec_ops.h"
#include "engine/x64/stubs.h"
#include "engine/x64/x64_testlib.h"

static struct ir_block b;

static uint64_t bits_of(double x)
{
    uint64_t r;
    memcpy(&r, &x, sizeof r);
    return r;
}

static ir_val slow_address(void)
{
    return ir_get_reg(&b, 1); /* in the page that is behind the slow path */
}

static void mem_op(enum ir_op op, uint8_t aux, ir_val data)
{
    ir_emit(&b, op, 0, aux, slow_address(), data, IR_NONE, op == IR_LDM || op == IR_STM ? 0x30 : 0, 0);
}

static ir_val wide(void)
{
    return ir_emit(&b, IR_LD_ENV64, 0, 0, IR_NONE, IR_NONE, IR_NONE, offsetof(struct vcpu, vfp[5]), 0);
}

static const char *const kinds[] = {"ld",    "ld64",    "st",     "st64",    "ldm",    "stm",   "ldrex",   "strex",
                                    "clrex", "barrier", "helper", "d0 = 10", "s1 = 0", "label", "q0 = 10", "nothing"};

static double between(unsigned kind)
{
    uint32_t label;

    switch (kind) {
    case 0: mem_op(IR_LD, MEM_32, IR_NONE); break;
    case 1: mem_op(IR_LD64, MEM_64, IR_NONE); break;
    case 2: mem_op(IR_ST, MEM_8, ir_get_reg(&b, 2)); break;
    case 3: mem_op(IR_ST64, MEM_64 | MEM_ALIGN16, wide()); break;
    case 4: mem_op(IR_LDM, 0, IR_NONE); break;
    case 5: mem_op(IR_STM, 0, IR_NONE); break;
    case 6: mem_op(IR_LDREX, MEM_32, IR_NONE); break;
    case 7: mem_op(IR_STREX, MEM_32, ir_get_reg(&b, 2)); break;
    case 8: ir_emit(&b, IR_CLREX, 0, 0, IR_NONE, IR_NONE, IR_NONE, 0, 0); break;
    case 9: ir_emit(&b, IR_BARRIER, 0, 0, IR_NONE, IR_NONE, IR_NONE, 0, 0); break;
    case 10: ir_call(&b, HELPER_RBIT, ir_get_reg(&b, 3), IR_NONE, IR_NONE); break;
    case 11: ir_emit(&b, IR_ST_ENV64, 0, 0, wide(), IR_NONE, IR_NONE, offsetof(struct vcpu, vfp[0]), 0); return 11;
    case 12: /* 3 is 0x4008000000000000: its upper word */
        ir_emit(&b, IR_ST_ENV, 0, 0, ir_const(&b, 0), IR_NONE, IR_NONE, offsetof(struct vcpu, vfp[0]) + 4, 0);
        return 1;
    case 13:
        label = ir_new_label(&b);
        ir_brz(&b, ir_get_reg(&b, 3), label, true);
        ir_call(&b, HELPER_VADD_D, ir_const(&b, 0), ir_const(&b, 0), ir_const(&b, 5));
        ir_label(&b, label);
        return 14;
    case 14:
        ir_call(&b, HELPER_VEC, ir_const(&b, VOP_orr), ir_const(&b, 0 | 6 << VREG_N | 6 << VREG_M | VREG_Q),
                ir_const(&b, 0));
        return 20; /* d1 too */
    default: break;
    }
    return 4;
}

static void test_each(void **state)
{
    struct vcpu *v = test_vcpu();
    struct rng r;

    (void)state;
    if (!__builtin_cpu_supports("avx2"))
        skip();
    rng_seed(&r, 1);
    for (unsigned kind = 0; kind < ARRAY_SIZE(kinds); kind++)
        for (unsigned atomics = 0; atomics < 2; atomics++) {
            static struct test_start start;
            static struct test_outcome out;
            struct x64_code code;

            test_random_start(&start, &r);
            start.r[1] = TEST_BASE + 4096 + 0x80;
            start.r[3] = 0;
            ir_begin(&b);
            ir_insn(&b, 0x8000, 0);
            ir_call(&b, HELPER_VADD_D, ir_const(&b, 0), ir_const(&b, 1), ir_const(&b, 2));
            double sum = between(kind);
            ir_call(&b, HELPER_VADD_D, ir_const(&b, 3), ir_const(&b, 0), ir_const(&b, 1));
            ir_exit(&b, 0x9000);
            ir_optimise(&b, NULL, NULL);
            assert_null(ir_verify(&b));
            x64_host.avx2 = true;
            test_translate(&b, 0, false, atomics ? &test_atomics_inline : &test_atomics, &code);
            x64_host.avx2 = false;
            memset(v->vfp, 0, sizeof v->vfp);
            v->vfp[1] = bits_of(1);
            v->vfp[2] = bits_of(2);
            v->vfp[5] = v->vfp[6] = v->vfp[7] = bits_of(10);
            v->fpscr = VCPU_FPSCR_IXC;
            test_run_code(v, &code, &start, &out);
            if (v->vfp[3] != bits_of(sum))
                fail_msg("%s in between: %" PRIx64 ", not %" PRIx64, kinds[kind], v->vfp[3], bits_of(sum));
        }
    v->fpscr = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
