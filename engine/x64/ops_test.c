/*
 * ops_test.c — what random blocks do not have: alignment rules, exclusives, conditions one by one; and the size of hot paths
 *
 * Environment: DBT_SEED, DBT_COUNT.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <capstone/capstone.h>

#include "engine/ir/helpers.h"
#include "engine/ir/random_testlib.h"
#include "engine/ir/vec_ops.h"
#include "engine/vcpu/key.h"
#include "engine/x64/stubs.h"
#include "engine/x64/x64_testlib.h"
#include "strategies/atomics/atomics.h"

static struct ir_block block;
static struct test_start start;
static struct test_outcome want, got;

static uint64_t from_env(const char *name, uint64_t otherwise)
{
    const char *s = getenv(name);

    return s ? strtoull(s, NULL, 0) : otherwise;
}

static void check(const struct x64_code *code, uint64_t seed)
{
    struct vcpu *v = test_vcpu();

    test_run_interp(v, &block, &start, &want);
    test_run_code(v, code, &start, &got);
    want.exit = got.exit;
    want.loop = got.loop;
    if (!want.left)
        want.it = got.it;
    if (!memcmp(&want, &got, sizeof want))
        return;
    test_print(&block, code);
    for (unsigned r = 0; r < 16; r++)
        if (want.r[r] != got.r[r])
            fprintf(stderr, "r%u: %08x, code %08x\n", r, want.r[r], got.r[r]);
    for (unsigned k = 0; k < TEST_MEM_BYTES; k++)
        if (want.world.mem[k] != got.world.mem[k])
            fprintf(stderr, "%08x: %02x, code %02x\n", TEST_BASE + k, want.world.mem[k], got.world.mem[k]);
    for (unsigned r = 0; r < 15; r++)
        fprintf(stderr, "r%u was %08x\n", r, start.r[r]);
    fprintf(stderr, "nzcv %x, %x; left %d, %d; memory %s; excl %x %08x %" PRIx64 ", %x %08x %" PRIx64 "\n", want.nzcv,
            got.nzcv, want.left, got.left, memcmp(want.world.mem, got.world.mem, TEST_MEM_BYTES) ? "differs" : "same",
            want.excl_state, want.excl_addr, want.excl_val, got.excl_state, got.excl_addr, got.excl_val);
    fail_msg("seed %" PRIu64 ": code and interpreter differ", seed);
}

/* -- Accesses of all kinds ------------------------------------------------------------------------------------------------ */

static ir_val some_value(struct ir_block *b, struct rng *r)
{
    switch (rng_below(r, 5)) {
    case 0: return ir_const(b, test_number(r));
    case 1: return ir_bin(b, IR_MUL, ir_get_reg(b, rng_below(r, 15)), ir_get_reg(b, rng_below(r, 15)));
    default: return ir_get_reg(b, rng_below(r, 15));
    }
}

static ir_val some_wide(struct ir_block *b, struct rng *r)
{
    return ir_bin(b, rng_one_in(r, 2) ? IR_PACK64 : IR_MULU64, some_value(b, r), some_value(b, r));
}

static void set_wide(struct ir_block *b, struct rng *r, ir_val d)
{
    unsigned lo = rng_below(r, 15), hi = rng_below(r, 15);

    ir_val l = ir_un(b, IR_LO32, d), h = ir_un(b, IR_HI32, d);
    ir_set_reg(b, lo, l);
    ir_set_reg(b, hi, h);
}

/* Registers 0..14 hold addresses near each other; mostly aligned, mostly in the first page. */
static void random_access_block(struct rng *r)
{
    struct ir_block *b = &block;
    unsigned n = 1 + rng_below(r, 10);
    bool near = rng_one_in(r, 2); /* most accesses by one or two bases: groups that share probes */
    ir_val kept[3] = {IR_NONE, IR_NONE, IR_NONE};

    ir_begin(b);
    for (unsigned k = 0; k < n; k++) {
        ir_insn(b, 0x8000 + 4 * k, 0);
        if (rng_one_in(r, 3)) /* values across the access */
            kept[rng_below(r, 3)] = ir_bin(b, IR_XOR, some_value(b, r), some_value(b, r));
        if (rng_one_in(r, 3))
            ir_bin_s(b, rng_one_in(r, 2) ? IR_SUB : IR_ADD, some_value(b, r), some_value(b, r), FLAG_ALL);
        ir_val addr = ir_get_reg(b, near && !rng_one_in(r, 4) ? 3 + 5 * rng_below(r, 2) : rng_below(r, 15));
        if (rng_one_in(r, 2))
            addr = ir_bin(b, IR_ADD, addr, ir_const(b, near ? 4 * rng_below(r, 80) - 40 : 8 * rng_below(r, 3)));
        if (rng_one_in(r, 12))
            ir_set_reg(b, rng_below(r, 15), addr);
        unsigned rd = rng_below(r, 15);
        uint8_t rule = (uint8_t[]){0, 0, MEM_ALIGN, MEM_ALIGN4, MEM_USER, MEM_USER | MEM_ALIGN}[rng_below(r, 6)];
        uint8_t size = (uint8_t)rng_below(r, 3);
        switch (near ? rng_below(r, 6) : rng_below(r, 10)) {
        case 0: ir_set_reg(b, rd, ir_load(b, addr, size | rule)); break;
        case 1: ir_set_reg(b, rd, ir_load(b, addr, (size & 1) | MEM_SIGNED | (rule & (MEM_ALIGN | MEM_USER)))); break;
        case 2: ir_store(b, addr, some_value(b, r), size | rule); break;
        case 3: set_wide(b, r, ir_load(b, addr, MEM_64 | rule)); break;
        case 4: ir_store(b, addr, some_wide(b, r), MEM_64 | rule); break;
        case 5:
            if (near && !rng_one_in(r, 4)) {
                ir_emit(b, rng_one_in(r, 2) ? IR_LDM : IR_STM, 0, MEM_32, ir_bin(b, IR_AND, addr, ir_const(b, ~3u)),
                        IR_NONE, IR_NONE, 1 + rng_below(r, 0x7fff), 0);
                break;
            }
            ir_set_reg(b, rd, ir_emit(b, IR_LDREX, 0, size, addr, IR_NONE, IR_NONE, 0, 0));
            break;
        case 6: ir_set_reg(b, rd, ir_emit(b, IR_STREX, 0, size, addr, some_value(b, r), IR_NONE, 0, 0)); break;
        case 7:
            if (rng_one_in(r, 2))
                set_wide(b, r, ir_emit(b, IR_LDREX64, 0, MEM_64, addr, IR_NONE, IR_NONE, 0, 0));
            else
                ir_set_reg(b, rd, ir_emit(b, IR_STREX64, 0, MEM_64, addr, some_wide(b, r), IR_NONE, 0, 0));
            break;
        case 8:
            ir_set_reg(b, rd,
                       ir_emit(b, IR_SWP, 0, rng_one_in(r, 2) ? MEM_8 : MEM_32, addr, some_value(b, r), IR_NONE, 0, 0));
            break;
        default: ir_emit(b, rng_one_in(r, 2) ? IR_CLREX : IR_BARRIER, 0, 0, IR_NONE, IR_NONE, IR_NONE, 0, 0); break;
        }
        if (near && rng_one_in(r, 8))
            ir_exit_if(b, rng_below(r, COND_AL), 0xa000);
        if (rng_one_in(r, 3))
            for (unsigned m = 0; m < 3; m++)
                if (kept[m] != IR_NONE)
                    ir_set_reg(b, rng_below(r, 15), kept[m]);
    }
    for (unsigned m = 0; m < 3; m++)
        if (kept[m] != IR_NONE)
            ir_set_reg(b, m, kept[m]);
    ir_exit(b, 0x9000);
}

static void test_accesses(void **state)
{
    uint64_t seed = from_env("DBT_SEED", 1), count = from_env("DBT_COUNT", 30000);
    (void)state;

    printf("seed %" PRIu64 ", %" PRIu64 " blocks\n", seed, count);
    test_vcpu();
    for (uint64_t k = 0; k < count; k++, seed++) {
        struct rng r;
        struct x64_code code;

        rng_seed(&r, seed);
        random_access_block(&r);
        ir_optimise(&block, NULL, NULL);
        assert_null(ir_verify(&block));
        test_translate(&block, rng_one_in(&r, 2) ? TBF_PRIV : 0, false,
                       rng_one_in(&r, 3) ? &test_atomics : &test_atomics_inline, &code);
        for (unsigned n = 0; n < 3; n++) {
            test_random_start(&start, &r);
            uint32_t at = rng_one_in(&r, 3) ? rng_below(&r, 8000) : 8 * rng_below(&r, 500);
            for (unsigned g = 0; g < 15; g++)
                start.r[g] = TEST_BASE + at + (rng_one_in(&r, 3) ? rng_below(&r, 12) : 8 * rng_below(&r, 2));
            check(&code, seed);
        }
    }
}

/* -- Conditions ------------------------------------------------------------------------------------------------------------ */

/* Every condition after every kind of producer, with the flags where they happen to be and from memory. */
static void test_conditions(void **state)
{
    struct rng r;
    (void)state;

    rng_seed(&r, 7);
    for (unsigned cond = 0; cond < COND_AL; cond++)
        for (unsigned producer = 0; producer < 12; producer++)
            for (unsigned between = 0; between < 4; between++) {
                struct ir_block *b = &block;
                struct x64_code code;

                ir_begin(b);
                ir_insn(b, 0x8000, 0);
                ir_val x = ir_get_reg(b, 0), y = ir_get_reg(b, 1);
                switch (producer) {
                case 0: break; /* as they came */
                case 1: ir_bin_s(b, IR_SUB, x, y, FLAG_ALL); break;
                case 2: ir_bin_s(b, IR_ADD, x, y, FLAG_ALL); break;
                case 3: ir_set_reg(b, 0, ir_bin_s(b, IR_SUB, x, y, FLAG_ALL)); break;
                case 4: ir_set_reg(b, 1, ir_bin_s(b, IR_ADD, x, y, FLAG_ALL)); break;
                case 5: ir_set_reg(b, 2, ir_bin_s(b, IR_ADC, x, y, FLAG_ALL)); break;
                case 6: ir_set_reg(b, 2, ir_bin_s(b, IR_SBC, x, y, FLAG_ALL)); break;
                case 7: ir_bin_s(b, IR_AND, x, y, FLAG_NZ); break;
                case 8: ir_set_reg(b, 0, ir_shift(b, IR_SHR, x, 3, FLAG_NZC)); break;
                case 9: ir_set_reg(b, 0, ir_shift(b, IR_ROR, x, 3, FLAG_NZC)); break;
                case 10: ir_set_reg(b, 8, ir_bin_s(b, IR_SUB, ir_get_reg(b, 8), y, FLAG_ALL)); break;
                default: ir_set_reg(b, 9, ir_bin_s(b, IR_SUB, ir_const(b, 5), ir_get_reg(b, 9), FLAG_ALL)); break;
                }
                ir_insn(b, 0x8004, 0);
                switch (between) {
                case 1: ir_set_reg(b, 3, ir_bin(b, IR_MUL, ir_get_reg(b, 4), ir_get_reg(b, 5))); break;
                case 2: ir_set_reg(b, 0, ir_const(b, 0)); break;
                case 3: ir_set_reg(b, 3, ir_load(b, ir_const(b, TEST_BASE + 0x104), MEM_32)); break;
                default: break;
                }
                ir_insn(b, 0x8008, 0);
                ir_set_reg(b, 6, ir_sel(b, (enum ir_cond)cond, ir_const(b, 1), ir_get_reg(b, 6)));
                ir_set_reg(b, 7, ir_setcond(b, (enum ir_cond)cond));
                uint32_t skip = ir_new_label(b);
                ir_brcond(b, (enum ir_cond)cond, skip);
                ir_set_reg(b, 5, ir_const(b, 77));
                ir_label(b, skip);
                ir_exit_if(b, (enum ir_cond)cond, 0x8100);
                ir_exit(b, 0x8200);
                ir_optimise(b, NULL, NULL);
                assert_null(ir_verify(b));
                test_translate(b, 0, false, &test_atomics, &code);
                for (unsigned n = 0; n < 12; n++) {
                    test_random_start(&start, &r);
                    if (rng_one_in(&r, 3))
                        start.r[1] = start.r[0];
                    check(&code, cond << 16 | producer << 8 | between);
                }
            }
}

/* -- Budgets ---------------------------------------------------------------------------------------------------------------- */

/* Host instructions from the main entry to the block's last exit jump, and whether there is a call among them. */
static unsigned hot_path(const struct x64_code *code, bool *calls)
{
    csh cs;
    cs_insn *insn;
    unsigned n = 0;

    *calls = false;
    assert_int_equal(cs_open(CS_ARCH_X86, CS_MODE_64, &cs), CS_ERR_OK);
    size_t k = cs_disasm(cs, test_span.rx + code->entry_main, code->bytes - code->entry_main, 0, 0, &insn);
    for (size_t i = 0; i < k; i++) {
        if (!strcmp(insn[i].mnemonic, "call"))
            *calls = true;
        if (!strncmp(insn[i].mnemonic, "jmp", 3) || !strcmp(insn[i].mnemonic, "ret"))
            break;
        n += strcmp(insn[i].mnemonic, "nop") != 0;
    }
    cs_free(insn, k);
    cs_close(&cs);
    return n;
}

static void within(const char *what, unsigned budget)
{
    struct x64_code code;
    bool calls;

    ir_exit(&block, 0x8004);
    ir_optimise(&block, NULL, NULL);
    assert_null(ir_verify(&block));
    test_translate(&block, 0, false, &test_atomics_inline, &code);
    unsigned n = hot_path(&code, &calls);
    printf("%-28s %2u of %u\n", what, n, budget);
    if (n > budget || calls) {
        test_print(&block, &code);
        fail_msg("%s: %u instructions, %u allowed%s", what, n, budget, calls ? "; a call among them" : "");
    }
}

static struct ir_block *fresh(void)
{
    ir_begin(&block);
    ir_insn(&block, 0x8000, 0);
    return &block;
}

static void test_budgets(void **state)
{
    struct ir_block *b;
    (void)state;

    test_vcpu();
    b = fresh();
    ir_set_reg(b, 0, ir_load(b, ir_get_reg(b, 1), MEM_32));
    within("ldr r0, [r1]", 8);
    b = fresh();
    ir_set_reg(b, 0, ir_load(b, ir_bin(b, IR_ADD, ir_get_reg(b, 1), ir_const(b, 4)), MEM_32));
    within("ldr r0, [r1, #4]", 9);
    b = fresh();
    ir_set_reg(b, 0,
               ir_load(b, ir_bin(b, IR_ADD, ir_get_reg(b, 1), ir_shift(b, IR_SHL, ir_get_reg(b, 2), 2, 0)), MEM_32));
    within("ldr r0, [r1, r2, lsl #2]", 9);
    b = fresh();
    ir_set_reg(b, 0, ir_load(b, ir_get_reg(b, 1), MEM_8));
    within("ldrb r0, [r1]", 6);
    b = fresh();
    ir_store(b, ir_get_reg(b, 1), ir_get_reg(b, 0), MEM_32);
    within("str r0, [r1]", 8);
    b = fresh();
    ir_set_reg(b, 0, ir_emit(b, IR_LDREX, 0, MEM_32, ir_get_reg(b, 1), IR_NONE, IR_NONE, 0, 0));
    within("ldrex r0, [r1]", 14);
    b = fresh();
    ir_set_reg(b, 2, ir_emit(b, IR_STREX, 0, MEM_32, ir_get_reg(b, 1), ir_get_reg(b, 0), IR_NONE, 0, 0));
    within("strex r2, r0, [r1]", 20);
    b = fresh();
    ir_emit(b, IR_STM, 0, MEM_32, ir_get_reg(b, 13), IR_NONE, IR_NONE, 0x40f0, 0);
    within("stm sp, {r4-r7, lr}", 15);
    b = fresh();
    ir_set_reg(b, 0, ir_bin(b, IR_ADD, ir_get_reg(b, 1), ir_get_reg(b, 2)));
    within("add r0, r1, r2", 1);
    b = fresh();
    ir_set_reg(b, 0, ir_bin(b, IR_SUB, ir_get_reg(b, 0), ir_get_reg(b, 2)));
    within("sub r0, r0, r2", 1);
    b = fresh();
    ir_set_reg(b, 0, ir_bin(b, IR_SUB, ir_const(b, 0), ir_get_reg(b, 0)));
    within("rsb r0, r0, #0", 1);
    b = fresh();
    ir_set_reg(b, 0, ir_field(b, IR_UBFX, ir_get_reg(b, 1), 5, 7));
    within("ubfx r0, r1, #5, #7", 2);
}

/* -- Size -------------------------------------------------------------------------------------- */

/* The densest code there is must stay below x64_code_bound(); test_translate() checks it. */
static void test_bound(void **state)
{
    (void)state;
    test_vcpu();
    for (unsigned kind = 0; kind < 8; kind++) {
        struct ir_block *b = fresh();
        struct x64_code code;

        x64_host.avx2 = kind >= 6 && __builtin_cpu_supports("avx2"); /* not run, only translated */
        ir_bin_s(b, IR_SUB, ir_get_reg(b, 0), ir_get_reg(b, 9), FLAG_V | FLAG_C);
        ir_bin_s(b, IR_XOR, ir_get_reg(b, 1), ir_get_reg(b, 10), FLAG_NZ);
        for (unsigned k = 0; b->n < 700; k++) {
            ir_insn(b, 0x8000 + 4 * k, 0x18);
            ir_val x = ir_get_reg(b, k % 8), y = ir_get_reg(b, 8 + k % 4);
            switch (kind) {
            case 0: ir_emit(b, IR_LDM, 0, 0, y, IR_NONE, IR_NONE, 0x7fff, 0); break;
            case 1: ir_emit(b, IR_STM, 0, 0, y, IR_NONE, IR_NONE, 0xffff, k); break;
            case 2: ir_set_reg(b, 1, ir_load(b, y, MEM_32)); break;
            case 3: /* each flag made by another op, all to be made again for each fault */
                ir_bin_s(b, IR_SUB, x, y, FLAG_V);
                ir_shift(b, IR_SHL, x, 3, FLAG_C);
                ir_bin_s(b, IR_XOR, x, y, FLAG_N);
                ir_bin_s(b, IR_AND, x, y, FLAG_Z);
                ir_set_reg(b, 12, ir_load(b, ir_bin(b, IR_ADD, x, ir_const(b, 4 * (k % 8))), MEM_32));
                break;
            case 4: ir_store(b, y, ir_bin(b, IR_PACK64, x, y), MEM_64); break;
            case 5: ir_exit_if(b, k % COND_AL, 0x9000 + 4 * k); break;
            case 6: ir_call(b, HELPER_VNMLA_D, ir_const(b, 1), ir_const(b, 2), ir_const(b, 3)); break;
            default: /* vmla.f32 q8, q9, q10; by turns with another, lest what is known of q8 helps */
                ir_call(b, HELPER_VEC, ir_const(b, k & 1 ? VOP_add_32 : VOP_mla_f),
                        ir_const(b, 16 | 18 << VREG_N | 20 << VREG_M | VREG_Q), ir_const(b, 0));
                break;
            }
        }
        ir_exit(b, 0xa000);
        ir_optimise(b, NULL, NULL);
        assert_null(ir_verify(b));
        test_translate(b, TBF_PRIV, false, &test_atomics_inline, &code);
        printf("kind %u: %u IR instructions, %zu bytes, bound %zu\n", kind, b->n, code.bytes, x64_code_bound(b->n));
    }
    x64_host.avx2 = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accesses),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_budgets),
        cmocka_unit_test(test_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
