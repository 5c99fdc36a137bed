/*
 * flush_test.c — a flush under each way to keep, count and free blocks: what is gone, what stays readable, what it visits
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>

#include "engine/sync/rcu.h"
#include "engine/sync/sync.h"
#include "engine/tb/code.h"
#include "engine/tb/tb_testlib.h"
#include "strategies/axes.h"
#include "strategies/invalidation/invalidation.h"
#include "strategies/tb-cache/tb_cache.h"
#include "strategies/tb-lifetime/tb_lifetime.h"

#define RAM    TEST_RAM
#define FRAMES 64

static unsigned chosen; /* the combination of schemes under test */

/* The combinations of the axes that a flush touches; false: there are no more. */
static bool choose(unsigned n)
{
    for (unsigned a = 0; a < naxes; a++) {
        unsigned count = 0, at = axes[a].def;
        while (axes[a].schemes[count] && !axes[a].schemes[count]->busted)
            count++;
        if (strcmp(axes[a].name, "atomics")) {
            at = n % count;
            n /= count;
        }
        axes[a].choose(axes[a].schemes[at]);
    }
    return n == 0;
}

static int setup(void **state)
{
    (void)state;
    choose(chosen);
    test_translations(1 << 20, tb_lifetime->chunks_per_pool);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_translations_free();
    return 0;
}

static struct tb *make(struct vcpu *v, gpa canon)
{
    return test_publish(v, canon, 8);
}

static struct tb *find(struct vcpu *v, gpa canon)
{
    struct tb_key key = {(uint32_t)canon, 0, canon};
    return tb_cache->find(v, &key);
}

static bool coded(gpa canon)
{
    return atomic_load(page_state(canon)) & PAGE_CODE;
}

static size_t used_bytes(void)
{
    size_t n = 0;
    struct code_pool *p;
    for (unsigned i = 0; (p = tb_cache->pool(i)); i++)
        n += p->used_bytes;
    return n;
}

static void flush_work(struct vcpu *v, uintptr_t arg)
{
    (void)v, (void)arg;
    tb_flush_quiesced(vcpus[0]);
}

static void flush(void)
{
    sync_safe_work(NULL, flush_work, 0);
}

static unsigned visited;
static void visit(struct tb *tb)
{
    (void)tb;
    visited++;
}

static unsigned living(void)
{
    visited = 0;
    tb_for_each(visit);
    return visited;
}

static void nothing_is_left(void **state)
{
    (void)state;
    unsigned made = 0;
    for (unsigned round = 0; round < 3; round++) {
        made = 0;
        for (unsigned f = 0; f + 1 < FRAMES; f += 3)
            for (unsigned i = 0; i < 2; i++) {
                gpa at = RAM + f * 0x1000 + 0x10 * i, across = RAM + f * 0x1000 + 0xffc;
                struct tb *tb = make(vcpus[i], at);
                made += 1 + (make(vcpus[i], across) && (i == 0 || find(vcpus[0], across) != find(vcpus[1], across)));
                for (unsigned m = 0; m < MMU_MODES; m++)
                    jc_put(vcpus[i], m, tb->key.pc, tb);
                assert_true(coded(at) && coded(across + 8));
            }
        assert_int_equal(living(), made);
        uint64_t before = vcpus[0]->counters[CNT_TB_FLUSHED];
        flush();
        assert_int_equal(vcpus[0]->counters[CNT_TB_FLUSHED] - before, made);
        assert_int_equal(living(), 0);
        assert_int_equal(used_bytes(), 0);
        for (unsigned f = 0; f < FRAMES; f++) {
            assert_false(coded(RAM + f * 0x1000));
            for (unsigned i = 0; i < 2; i++)
                assert_null(find(vcpus[i], RAM + f * 0x1000 + 0x10 * i));
        }
        for (unsigned i = 0; i < 2; i++)
            for (unsigned m = 0; m < MMU_MODES; m++) {
                for (unsigned n = 0; n < JC_ENTRIES; n++)
                    assert_int_equal(atomic_load(&vcpus[i]->jc[m][n].key), JC_EMPTY(n));
                for (unsigned n = 0; n < JC_ENTRIES / 64; n++)
                    assert_int_equal(vcpus[i]->jc_filled[m][n], 0);
            }
    }
    rcu_wait_deferred();
    assert_int_equal(tb_live_count(), 0);
}

/* T4: who holds a block over a flush may read it until it says that it has dropped it. */
static void structs_outlive_the_flush(void **state)
{
    (void)state;
    rcu_go_online();
    struct tb *tb = make(vcpus[0], RAM + 0x100);
    flush();
    assert_int_equal(tb->key.canon, RAM + 0x100); /* AddressSanitizer is the judge */
    assert_int_equal(tb_live_count(), 1);
    rcu_go_offline();
    rcu_wait_deferred();
    rcu_go_offline();
    assert_int_equal(tb_live_count(), 0);
}

/* Blocks that died before are not the flush's, and their frame takes part in the next round. */
static void the_dead_are_not_visited(void **state)
{
    (void)state;
    gpa c, at = RAM + 0x3000;
    uint32_t word = 1;
    for (unsigned round = 0; round < 4; round++) {
        make(vcpus[0], at);
        make(vcpus[0], at + 0x100);
        assert_true(tb_store_code(vcpus[0], at, mem_ram_ptr(at, &c), &word, 4));
        assert_int_equal(living(), 1);
        if (round & 1)
            assert_true(tb_store_code(vcpus[0], at + 0x100, mem_ram_ptr(at + 0x100, &c), &word, 4));
        assert_int_equal(coded(at), !(round & 1));
        uint64_t before = vcpus[0]->counters[CNT_TB_FLUSHED];
        flush();
        assert_int_equal(vcpus[0]->counters[CNT_TB_FLUSHED] - before, !(round & 1));
        assert_false(coded(at));
    }
    rcu_wait_deferred();
    assert_int_equal(tb_live_count(), 0);
}

/* A device stores to code while others flush: each block is freed once, by either. */
#define ROUNDS 3000
static _Atomic bool stop;

static void *device(void *arg)
{
    (void)arg;
    rcu_thread_enter();
    for (uint32_t n = 0; !atomic_load_explicit(&stop, memory_order_relaxed); n++) {
        mem_write(RAM + 0x5000 + 8 * (n % 32), &n, 4);
        rcu_go_offline();
        rcu_go_online();
    }
    rcu_thread_exit();
    return NULL;
}

static void devices_are_kept_apart(void **state)
{
    (void)state;
    pthread_t t;
    rcu_go_online();
    atomic_store(&stop, false);
    assert_int_equal(pthread_create(&t, NULL, device, NULL), 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        for (unsigned n = 0; n < 8; n++)
            make(vcpus[n % 2], RAM + 0x5000 + 8 * ((i + n) % 32));
        flush();
        rcu_go_offline();
        rcu_go_online();
    }
    atomic_store(&stop, true);
    rcu_go_offline();
    pthread_join(t, NULL);
    flush();
    rcu_wait_deferred();
    rcu_go_offline();
    assert_int_equal(living(), 0);
    assert_int_equal(tb_live_count(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_left, setup, teardown),
        cmocka_unit_test_setup_teardown(structs_outlive_the_flush, setup, teardown),
        cmocka_unit_test_setup_teardown(the_dead_are_not_visited, setup, teardown),
        cmocka_unit_test_setup_teardown(devices_are_kept_apart, setup, teardown),
    };
    int failed = 0;
    for (chosen = 0; choose(chosen); chosen++) {
        print_message("--invalidation=%s --tb-cache=%s --tb-lifetime=%s\n", invalidation->head.name,
                      tb_cache->head.name, tb_lifetime->head.name);
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    }
    return failed != 0;
}
