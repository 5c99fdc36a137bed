/*
 * flow_test.c — ways into blocks, out of them, and from one to the next
 *
 * Entry checks, exits and their patching (also while another thread runs through them), the jump cache, the shadow stack.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "engine/tb/tb.h"
#include "engine/vcpu/key.h"
#include "engine/x64/abi.h"
#include "engine/x64/x64_testlib.h"

static struct vcpu *v;

static struct tb_exit *enter(const struct test_block *t, uint32_t offset)
{
    return x64_enter(v, test_entry(t, offset));
}

/* r[reg] += 1 */
static void count_in(struct ir_block *b, unsigned reg)
{
    ir_set_reg(b, reg, ir_bin(b, IR_ADD, ir_get_reg(b, reg), ir_const(b, 1)));
}

static int setup(void **state)
{
    (void)state;
    v = test_vcpu();
    return 0;
}

static int clean(void **state)
{
    (void)state;
    memset(v->r, 0, sizeof v->r);
    v->it = 0;
    v->poll = 0;
    v->nf = v->zf = v->cf = v->vf = 0;
    test_find = NULL;
    for (unsigned m = 0; m < MMU_MODES; m++)
        for (unsigned i = 0; i < JC_ENTRIES; i++)
            atomic_store_explicit(&v->jc[m][i].key, 2, memory_order_relaxed);
    return 0;
}

static void simple(struct test_block *t, unsigned place, uint32_t pc, uint32_t to, uint32_t flags)
{
    ir_begin(&t->ir);
    ir_insn(&t->ir, pc, 0);
    count_in(&t->ir, place);
    ir_exit(&t->ir, to);
    test_place(t, place, pc, flags);
}

static void test_entries(void **state)
{
    static struct test_block a;
    (void)state;

    for (unsigned mode = 0; mode < MMU_MODES; mode++) {
        clean(NULL);
        simple(&a, 0, 0x8000, 0x9000, mode == MMU_PRIV ? TBF_PRIV : 0);
        assert_ptr_equal(enter(&a, a.code.entry_xpage), tb_exit_at(a.tb, 0));
        assert_int_equal(v->r[0], 1);
        assert_int_equal(v->r[15], 0x9000);
        v->flat.exec[mode][8] = 0;
        assert_null(enter(&a, a.code.entry_xpage));
        assert_int_equal(v->r[15], 0x8000);
        assert_int_equal(v->r[0], 1);
        assert_non_null(enter(&a, a.code.entry_poll));
        v->poll = POLL_IRQ;
        assert_null(enter(&a, a.code.entry_poll));
        assert_int_equal(v->r[15], 0x8000);
        assert_non_null(enter(&a, a.code.entry_main));
        assert_int_equal(v->r[0], 3);
    }
    assert_true(a.code.exits[0].cross_page);
    assert_false(a.code.exits[0].backward);
}

static void test_two_pages(void **state)
{
    static struct test_block a;
    (void)state;

    simple(&a, 0, 0x8ffe, 0x9010, 0);
    struct x64_request req = {.ir = &a.ir,
                              .tb = a.tb,
                              .pc = 0x8ffe,
                              .flags = TBF_THUMB,
                              .page_ppn = {0x8, 0x77},
                              .atomics = &test_atomics,
                              .span = a.span};
    assert_true(x64_translate(&req, &a.code));
    v->flat.exec[MMU_USER][8] = 0x8 << 1 | 1;
    v->flat.exec[MMU_USER][9] = 0x78 << 1 | 1;
    assert_null(enter(&a, a.code.entry_main));
    assert_int_equal(v->r[15], 0x8ffe | 1);
    v->flat.exec[MMU_USER][9] = 0x77 << 1 | 1;
    assert_non_null(enter(&a, a.code.entry_main));
    v->poll = 1; /* the main entry does not look at it */
    assert_non_null(enter(&a, a.code.entry_main));
    assert_null(enter(&a, a.code.entry_poll));
    assert_null(enter(&a, a.code.entry_xpage));
    v->poll = 0;
    v->flat.exec[MMU_USER][8] = 0;
    assert_null(enter(&a, a.code.entry_main));
    assert_null(enter(&a, a.code.entry_poll));
    assert_null(enter(&a, a.code.entry_xpage));
}

/* A block that begins in an IT block: v->it is what it was if the block is left at once. */
static void test_it_state(void **state)
{
    static struct test_block a;
    (void)state;

    ir_begin(&a.ir);
    ir_insn(&a.ir, 0x8000, 0x88);
    count_in(&a.ir, 0);
    ir_exit(&a.ir, 0x8003);
    test_place(&a, 0, 0x8000, TBF_THUMB | 0x88 << TBF_IT_SHIFT);
    v->it = 0;
    v->poll = 1;
    assert_null(enter(&a, a.code.entry_poll));
    assert_int_equal(v->it, 0x88);
    assert_int_equal(v->r[15], 0x8001);
}

static void test_link_and_unlink(void **state)
{
    static struct test_block a, b;
    (void)state;

    simple(&a, 0, 0x8000, 0x8100, 0);
    simple(&b, 1, 0x8100, 0x8000, 0);
    assert_false(a.code.exits[0].backward);
    assert_true(b.code.exits[0].backward);
    test_link(&a, 0, test_entry(&b, b.code.entry_main));
    assert_ptr_equal(enter(&a, a.code.entry_main), tb_exit_at(b.tb, 0));
    assert_int_equal(v->r[0], 1);
    assert_int_equal(v->r[1], 1);
    assert_int_equal(v->r[15], 0x8000);
    test_link(&a, 0, NULL);
    assert_ptr_equal(enter(&a, a.code.entry_main), tb_exit_at(a.tb, 0));
    assert_int_equal(v->r[15], 0x8100);
    assert_int_equal(v->r[1], 1);
}

/* -- Patching under load ------------------------------------------------------------------------------------------------ */

struct runner {
    const struct test_block *t;
    unsigned left;
};

static void *run_until_polled(void *arg)
{
    struct runner *r = arg;

    current_vcpu = v;
    while (!(v->poll & POLL_STOP)) {
        v->poll = v->poll & ~(unsigned)POLL_WORK;
        x64_enter(v, test_entry(r->t, r->t->code.entry_main));
        r->left++;
    }
    return NULL;
}

static void test_patch_under_load(void **state)
{
    static struct test_block a, b;
    struct runner r = {.t = &a};
    pthread_t thread;
    (void)state;

    simple(&a, 0, 0x8000, 0x8000, 0); /* loops on itself */
    simple(&b, 1, 0x8100, 0x8000, 0);
    test_link(&a, 0, test_entry(&a, a.code.entry_poll));
    test_link(&b, 0, test_entry(&a, a.code.entry_poll));
    assert_int_equal(pthread_create(&thread, NULL, run_until_polled, &r), 0);
    struct timespec t0, t1;
    unsigned n = 0;
    bool both = false; /* blocks have been run; on a busy host the thread needs time for each link */
    clock_gettime(CLOCK_MONOTONIC, &t0);
    do {
        test_link(&a, 0, test_entry(&b, b.code.entry_poll));
        for (unsigned k = 0; k < n % 512; k++)
            __builtin_ia32_pause();
        bool slowly = !both && n % 64 == 0;
        if (slowly)
            usleep(100);
        test_link(&a, 0, test_entry(&a, a.code.entry_poll));
        if (n % 64 == 0)
            test_link(&a, 0, NULL); /* leaves, and the thread enters again */
        if (slowly)
            usleep(100);
        n++;
        clock_gettime(CLOCK_MONOTONIC, &t1);
        /* Its counts are in memory when it has left. */
        both = __atomic_load_n(&v->r[0], __ATOMIC_RELAXED) && __atomic_load_n(&v->r[1], __ATOMIC_RELAXED);
    } while ((t1.tv_sec - t0.tv_sec < 2 && n < 300000) || (!both && t1.tv_sec - t0.tv_sec < 60));
    atomic_fetch_or(&v->poll, POLL_STOP);
    test_link(&a, 0, NULL);
    pthread_join(thread, NULL);
    assert_true(v->r[0] > 0 && v->r[1] > 0);
    printf("%u patches, %u and %u passes, left %u times\n", n, v->r[0], v->r[1], r.left);
}

/* -- Indirect jumps -------------------------------------------------------------------------------------------------------- */

static const struct test_block *found;
static unsigned asked;
static uint32_t asked_for;

static const void *find_it(struct vcpu *vc, uint32_t pc_t)
{
    assert_ptr_equal(vc, v);
    asked++;
    asked_for = pc_t;
    return found && found->pc == pc_t ? test_entry(found, found->code.entry_poll) : NULL;
}

static void indirect(struct test_block *t, unsigned place, uint32_t pc, unsigned reg, unsigned kind, uint32_t ret,
                     uint32_t flags)
{
    ir_begin(&t->ir);
    ir_insn(&t->ir, pc, 0);
    count_in(&t->ir, place);
    ir_exit_ind(&t->ir, ir_get_reg(&t->ir, reg), (uint8_t)kind, ret);
    test_place(t, place, pc, flags);
}

static void fill_jump_cache(const struct test_block *t, unsigned mode)
{
    struct jc_entry *e = &v->jc[mode][(t->pc >> 1) & (JC_ENTRIES - 1)];

    atomic_store(&e->host, (void *)test_entry(t, t->code.entry_poll));
    atomic_store(&e->key, t->pc);
}

static void test_jump_cache(void **state)
{
    static struct test_block a, b;
    (void)state;

    test_find = find_it;
    for (unsigned mode = 0; mode < MMU_MODES; mode++)
        for (unsigned reg = 4; reg < 15; reg++) {
            clean(NULL);
            test_find = find_it;
            asked = 0;
            found = NULL;
            indirect(&a, 0, 0x8000, reg, EXIT_JUMP, 0, mode == MMU_PRIV ? TBF_PRIV : 0);
            simple(&b, 1, 0x12345674, 0x8000, 0);
            v->r[reg] = b.pc;
            for (unsigned g = 2; g < 4; g++)
                v->r[g] = 0xabcd0000 + g;
            assert_null(enter(&a, a.code.entry_main));
            assert_int_equal(v->r[15], b.pc);
            assert_int_equal(asked, 1);
            assert_int_equal(asked_for, b.pc);
            found = &b;
            assert_ptr_equal(enter(&a, a.code.entry_main), tb_exit_at(b.tb, 0));
            assert_int_equal(asked, 2);
            fill_jump_cache(&b, mode);
            assert_ptr_equal(enter(&a, a.code.entry_main), tb_exit_at(b.tb, 0));
            assert_int_equal(asked, 2);
            assert_int_equal(v->r[1], 2);
            assert_int_equal(v->r[3], 0xabcd0003);
            v->r[reg] ^= JC_ENTRIES << 1; /* the same slot */
            assert_null(enter(&a, a.code.entry_main));
            assert_int_equal(asked, 3);
        }
}

/* -- Calls and returns ------------------------------------------------------------------------------------------------------ */

static void caller(struct test_block *t, unsigned place, uint32_t pc, uint32_t to, uint32_t ret)
{
    ir_begin(&t->ir);
    ir_insn(&t->ir, pc, 0);
    count_in(&t->ir, place);
    ir_set_reg(&t->ir, 14, ir_const(&t->ir, ret));
    ir_exit_call(&t->ir, to, ret);
    test_place(t, place, pc, 0);
}

static void test_call_return(void **state)
{
    static struct test_block a, f, r;
    (void)state;

    test_find = find_it;
    found = NULL;
    asked = 0;
    for (uint32_t high = 0; high < 2; high++) { /* keys with bit 31: push sign-extends */
        uint32_t base = high << 31;
        clean(NULL);
        test_find = find_it;
        caller(&a, 0, base + 0x8000, base + 0x8100, base + 0x8004);
        indirect(&f, 1, base + 0x8100, 14, EXIT_RETURN, 0, 0);
        simple(&r, 2, base + 0x8004, base + 0x8010, 0);
        assert_int_equal(a.code.nexits, 2);
        /* Unlinked: to the loop with the frame dropped. */
        assert_ptr_equal(enter(&a, a.code.entry_main), tb_exit_at(a.tb, 0));
        assert_int_equal(v->r[15], base + 0x8100);
        test_link(&a, 0, test_entry(&f, f.code.entry_main));
        assert_ptr_equal(enter(&a, a.code.entry_main), tb_exit_at(a.tb, 1));
        assert_int_equal(v->r[15], base + 0x8004);
        test_link(&a, 1, test_entry(&r, r.code.entry_main));
        assert_ptr_equal(enter(&a, a.code.entry_main), tb_exit_at(r.tb, 0));
        assert_int_equal(v->r[2], 1);
        assert_int_equal(asked, 0);
        /* A return where nothing was called: the sentinel does not match. */
        v->r[14] = base + 0x8004;
        assert_null(enter(&f, f.code.entry_main));
        assert_int_equal(asked, 1);
        assert_int_equal(v->r[15], base + 0x8004);
        found = &r;
        assert_ptr_equal(enter(&f, f.code.entry_main), tb_exit_at(r.tb, 0));
        fill_jump_cache(&r, MMU_USER);
        asked = 0;
        assert_ptr_equal(enter(&f, f.code.entry_main), tb_exit_at(r.tb, 0));
        assert_int_equal(asked, 0);
        found = NULL;
        /* To the sentinel's key itself. */
        v->r[14] = RAS_SENTINEL;
        assert_null(enter(&f, f.code.entry_main));
        assert_int_equal(v->r[15], RAS_SENTINEL);
        asked = 0;
    }
}

/* f calls itself n times, then returns n times: more frames than the shadow stack has. Guest stack: none, all return to
 * one place, which returns again until it has counted down. */
static void test_deep_recursion(void **state)
{
    static struct test_block f, r;
    enum { DEPTH = 3 * RAS_BYTES / 16 + 7 };
    (void)state;

    ir_begin(&f.ir);
    struct ir_block *b = &f.ir;
    ir_insn(b, 0x8000, 0);
    ir_val n = ir_bin_s(b, IR_SUB, ir_get_reg(b, 0), ir_const(b, 1), FLAG_ALL);
    ir_set_reg(b, 0, n);
    ir_set_reg(b, 14, ir_const(b, 0x8100));
    uint32_t deeper = ir_new_label(b);
    ir_brcond(b, COND_NE, deeper);
    ir_exit_ind(b, ir_get_reg(b, 14), EXIT_RETURN, 0);
    ir_label(b, deeper);
    ir_exit_call(b, 0x8000, 0x8100);
    test_place(&f, 0, 0x8000, 0);

    b = &r.ir;
    ir_begin(b);
    ir_insn(b, 0x8100, 0);
    count_in(b, 1);
    uint32_t more = ir_new_label(b);
    ir_brz(b, ir_bin(b, IR_SUB, ir_get_reg(b, 1), ir_get_reg(b, 2)), more, true);
    ir_exit(b, 0x9000);
    ir_label(b, more);
    ir_exit_ind(b, ir_get_reg(b, 14), EXIT_RETURN, 0);
    test_place(&r, 1, 0x8100, 0);

    test_find = find_it;
    found = &r;
    asked = 0;
    test_link(&f, 0, test_entry(&f, f.code.entry_poll));
    test_link(&f, 1, test_entry(&r, r.code.entry_main));
    v->r[0] = DEPTH;
    v->r[2] = DEPTH - 1;
    assert_ptr_equal(enter(&f, f.code.entry_main), tb_exit_at(r.tb, 0));
    assert_int_equal(v->r[1], DEPTH - 1);
    assert_int_equal(v->r[15], 0x9000);
    assert_true(asked > 0); /* the frames that were dropped */
    assert_true(asked < DEPTH);
}

static void test_indirect_call(void **state)
{
    static struct test_block a, f;
    (void)state;

    test_find = find_it;
    indirect(&a, 0, 0x8000, 5, EXIT_CALL, 0x8004, 0);
    indirect(&f, 1, 0x8100, 14, EXIT_RETURN, 0, 0);
    v->r[5] = f.pc;
    v->r[14] = 0x8004;
    found = NULL;
    assert_null(enter(&a, a.code.entry_main));
    assert_int_equal(v->r[15], f.pc);
    found = &f;
    assert_ptr_equal(enter(&a, a.code.entry_main), tb_exit_at(a.tb, 0));
    assert_int_equal(v->r[15], 0x8004);
    fill_jump_cache(&f, MMU_USER);
    asked = 0;
    assert_ptr_equal(enter(&a, a.code.entry_main), tb_exit_at(a.tb, 0));
    assert_int_equal(asked, 0);
    assert_int_equal(v->r[1], 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_entries, clean),          cmocka_unit_test_setup(test_two_pages, clean),
        cmocka_unit_test_setup(test_it_state, clean),         cmocka_unit_test_setup(test_link_and_unlink, clean),
        cmocka_unit_test_setup(test_patch_under_load, clean), cmocka_unit_test_setup(test_jump_cache, clean),
        cmocka_unit_test_setup(test_call_return, clean),      cmocka_unit_test_setup(test_deep_recursion, clean),
        cmocka_unit_test_setup(test_indirect_call, clean),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
