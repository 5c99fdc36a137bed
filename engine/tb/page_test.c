/*
 * page_test.c — stores to frames with translations: which blocks die, and that none is missed (rule T1 of tb.h)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "engine/sync/rcu.h"
#include "engine/tb/tb_testlib.h"
#include "strategies/tb-cache/tb_cache.h"

#define RAM TEST_RAM

static int setup(void **state)
{
    (void)state;
    test_default_schemes();
    test_translations(256 << 20, 1); /* room for millions of blocks, of whose code nothing is written */
    rcu_go_online(); /* the tests look at blocks that have died, as a vCPU may until its next safepoint */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_translations_free();
    return 0;
}

/* Returns whether anything died. */
static bool store(gpa canon, uint64_t val, unsigned bytes)
{
    gpa c;
    return tb_store_code(vcpus[0], canon, mem_ram_ptr(canon, &c), &val, bytes);
}

static bool alive(const struct tb *tb)
{
    struct tb_key key = tb->key; /* readable: this thread is online and has not announced a quiescent state */
    return tb_cache->find(vcpus[0], &key) == tb;
}

static void only_what_is_hit_dies(void **state)
{
    (void)state;
    struct tb *a = test_publish(vcpus[0], RAM + 0x100, 0x40), *b = test_publish(vcpus[0], RAM + 0x200, 0x10);
    assert_false(store(RAM + 0xff, 1, 1));
    assert_false(store(RAM + 0x140, 1, 4));
    assert_false(store(RAM + 0x1f8, 1, 8));
    assert_false(store(RAM + 0x1100, 1, 4)); /* another frame */
    assert_true(alive(a) && alive(b));
    assert_true(store(RAM + 0x13f, 0xab, 1)); /* its last byte */
    assert_false(alive(a));
    assert_true(alive(b));
    assert_true(store(RAM + 0x1fc, UINT64_C(0xcd00000000), 8)); /* reaches into the first byte of b */
    assert_false(alive(b));
    uint8_t byte;
    mem_read(RAM + 0x13f, &byte, 1);
    assert_int_equal(byte, 0xab);
    mem_read(RAM + 0x200, &byte, 1);
    assert_int_equal(byte, 0xcd);
}

static void the_last_block_takes_the_flag_along(void **state)
{
    (void)state;
    test_publish(vcpus[0], RAM + 0x3100, 8);
    test_publish(vcpus[0], RAM + 0x3200, 8);
    assert_true(atomic_load(page_state(RAM + 0x3000)) & PAGE_CODE);
    assert_true(store(RAM + 0x3100, 0, 4));
    assert_true(atomic_load(page_state(RAM + 0x3000)) & PAGE_CODE);
    assert_true(store(RAM + 0x3204, 0, 4));
    assert_false(atomic_load(page_state(RAM + 0x3000)) & PAGE_CODE);
}

static void a_block_in_two_frames_dies_by_either(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        struct tb *tb = test_publish(vcpus[0], RAM + 0x4ffc, 8), *near = test_publish(vcpus[0], RAM + 0x5004, 4);
        assert_false(store(RAM + 0x5008, 0, 4));
        assert_true(alive(tb));
        assert_true(store(side ? RAM + 0x5002 : RAM + 0x4ffe, 0, 2));
        assert_false(alive(tb));
        assert_true(alive(near));
    }
}

static bool no(void *ctx)
{
    (void)ctx;
    return false;
}

static void a_store_that_does_not_happen_kills_nothing(void **state)
{
    (void)state;
    struct tb *tb = test_publish(vcpus[0], RAM + 0x6000, 16);
    assert_false(tb_modify_code(vcpus[0], RAM + 0x6004, 4, no, NULL));
    assert_true(alive(tb));
}

static void one_key_has_one_block(void **state)
{
    (void)state;
    struct tb *a = test_publish(vcpus[0], RAM + 0x7000, 8);
    assert_ptr_equal(test_publish(vcpus[1], RAM + 0x7000, 8), a);
    assert_true(store(RAM + 0x7000, 0, 1));
    assert_ptr_not_equal(test_publish(vcpus[1], RAM + 0x7000, 8), a);
}

static void the_jump_caches_are_swept(void **state)
{
    (void)state;
    unsigned dead_entries = 0;
    gpa at = RAM + 0x8010;
    struct tb *tb = test_publish(vcpus[0], at, 8);
    uint32_t pc_t = tb->key.pc;
    unsigned slot = (pc_t >> 1) & (JC_ENTRIES - 1);
    for (unsigned i = 0; i < 2; i++)
        for (unsigned m = 0; m < MMU_MODES; m++)
            jc_put(vcpus[i], m, pc_t, NULL);
    assert_true(store(at, 0, 4));
    for (unsigned i = 0; i < 2; i++)
        for (unsigned m = 0; m < MMU_MODES; m++)
            dead_entries += atomic_load(&vcpus[i]->jc[m][slot].key) == pc_t;
    assert_int_equal(dead_entries, 0);
}

/* -- T1 under threads: one stores, one translates, one looks ------------------------------------------------------------------ */

#define ROUNDS 4000
#define LIMIT  4000000 /* rounds, when the translator does not get on beside us */
static _Atomic bool stop;

static void *translator(void *arg)
{
    struct vcpu *v = current_vcpu = arg;
    rcu_thread_enter();
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        test_publish(v, RAM + 0x9000, 8);
        test_publish(v, RAM + 0x9ffc, 8); /* its first byte does not change, its second frame does */
        rcu_go_offline();
        rcu_go_online();
    }
    rcu_thread_exit();
    return NULL;
}

static void no_store_is_missed(void **state)
{
    (void)state;
    pthread_t t;
    struct tb_key key = {(uint32_t)RAM + 0x9000, 0, RAM + 0x9000};
    unsigned seen = 0, rounds = 0;
    atomic_store(&stop, false);
    assert_int_equal(pthread_create(&t, NULL, translator, vcpus[1]), 0);
    for (; rounds < ROUNDS || (seen <= ROUNDS / 100 && rounds < LIMIT); rounds++) {
        unsigned i = rounds;
        store(RAM + 0x9000, i, 1);
        store(RAM + 0xa000, i, 1);
        /* We are the only one who stores: whatever is found now was translated from what we stored last. */
        struct tb *tb = tb_cache->find(vcpus[0], &key);
        for (unsigned n = 0; i % 8 == 0 && !tb && n < 1000; n++) {
            sched_yield();
            tb = tb_cache->find(vcpus[0], &key);
        }
        if (tb) {
            assert_int_equal(tb->ninsns, (uint8_t)i);
            seen++;
        }
        rcu_go_offline();
        rcu_go_online();
    }
    atomic_store(&stop, true);
    rcu_go_offline();
    pthread_join(t, NULL);
    rcu_go_online();
    print_message("blocks seen in %u of %u rounds\n", seen, rounds);
    assert_true(seen > ROUNDS / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_what_is_hit_dies, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_block_takes_the_flag_along, setup, teardown),
        cmocka_unit_test_setup_teardown(a_block_in_two_frames_dies_by_either, setup, teardown),
        cmocka_unit_test_setup_teardown(a_store_that_does_not_happen_kills_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(one_key_has_one_block, setup, teardown),
        cmocka_unit_test_setup_teardown(the_jump_caches_are_swept, setup, teardown),
        cmocka_unit_test_setup_teardown(no_store_is_missed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
