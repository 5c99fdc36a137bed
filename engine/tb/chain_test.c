/*
 * chain_test.c — links between blocks: rules T2 and T3 of tb.h, one by one and under threads
 *
 * Blocks are fakes: their code is a few bytes of which only the jumps' displacements matter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "engine/base/rng.h"
#include "engine/tb/tb.h"
#include "engine/vcpu/vcpu_alloc.h"
#include "engine/x64/x64.h"

#define EXITS      3
#define CODE_BYTES 64

struct fake {
    struct tb *tb;
    uint8_t code[CODE_BYTES] __attribute__((aligned(64)));
};

static void fake_init(struct fake *f, uint32_t pc)
{
    memset(f->code, 0xcc, sizeof f->code);
    struct tb *tb = f->tb = tb_alloc(EXITS);
    tb->key.pc = pc;
    tb->nexits = EXITS;
    tb->entry_main = f->code + 32;
    tb->entry_poll = f->code + 33;
    tb->entry_xpage = f->code + 34;
    for (unsigned i = 0; i < EXITS; i++) {
        uint8_t *jump = f->code + 8 * i;
        tb->exits[i] = (struct tb_exit){
            .from = tb, .kind = (uint8_t)i, .jump_rw = jump, .jump_rx = jump, .stub = f->code + 48 + i};
        x64_patch_jump(jump, jump, tb->exits[i].stub);
    }
}

static const uint8_t *goes_to(const struct tb_exit *e)
{
    int32_t rel = __atomic_load_n((const int32_t *)e->jump_rx, __ATOMIC_RELAXED);
    return e->jump_rx + 4 + rel;
}

static struct tb *dest_of(struct tb_exit *e)
{
    return atomic_load_explicit(&e->dest, memory_order_acquire);
}

static unsigned incoming(const struct tb *tb)
{
    unsigned n = 0;
    for (const struct tb_exit *e = tb->in; e; e = e->next_in)
        n++;
    return n;
}

static void kill_block(struct tb *tb)
{
    if (tb_mark_dead(tb))
        tb_unchain(tb);
}

static struct vcpu *v;

static int setup(void **state)
{
    (void)state;
    struct error e = {0};
    if (!vcpu_alloc(0, &e))
        return -1;
    v = vcpus[0];
    nvcpus = 1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    vcpu_free_all();
    nvcpus = 0;
    return 0;
}

/* -- One by one ------------------------------------------------------------------------------------------------------- */

static void each_kind_has_its_entry(void **state)
{
    (void)state;
    static struct fake a, b;
    fake_init(&a, 0x100), fake_init(&b, 0x200);
    const uint8_t *entry[] = {b.tb->entry_main, b.tb->entry_poll, b.tb->entry_xpage};
    for (unsigned i = 0; i < EXITS; i++) {
        assert_ptr_equal(goes_to(&a.tb->exits[i]), a.tb->exits[i].stub);
        assert_true(tb_chain(v, &a.tb->exits[i], b.tb));
        assert_ptr_equal(goes_to(&a.tb->exits[i]), entry[i]);
        assert_ptr_equal(dest_of(&a.tb->exits[i]), b.tb);
    }
    assert_int_equal(incoming(b.tb), EXITS);
    kill_block(b.tb);
    for (unsigned i = 0; i < EXITS; i++) {
        assert_ptr_equal(goes_to(&a.tb->exits[i]), a.tb->exits[i].stub);
        assert_null(dest_of(&a.tb->exits[i])); /* and may be linked again */
    }
    assert_null(b.tb->in);
    tb_release(a.tb), tb_release(b.tb);
}

static void a_link_stands_until_it_is_cut(void **state)
{
    (void)state;
    static struct fake a, b, c;
    fake_init(&a, 0x100), fake_init(&b, 0x200), fake_init(&c, 0x300);
    assert_true(tb_chain(v, &a.tb->exits[0], b.tb));
    assert_false(tb_chain(v, &a.tb->exits[0], c.tb));
    assert_ptr_equal(goes_to(&a.tb->exits[0]), b.tb->entry_main);
    kill_block(b.tb);
    assert_true(tb_chain(v, &a.tb->exits[0], c.tb));
    assert_ptr_equal(goes_to(&a.tb->exits[0]), c.tb->entry_main);
    tb_release(a.tb), tb_release(b.tb), tb_release(c.tb);
}

static void nothing_leads_to_a_dead_block(void **state)
{
    (void)state;
    static struct fake a, b;
    fake_init(&a, 0x100), fake_init(&b, 0x200);
    assert_true(tb_mark_dead(b.tb)); /* T2: between the mark and the cut */
    assert_false(tb_mark_dead(b.tb));
    assert_false(tb_chain(v, &a.tb->exits[0], b.tb));
    assert_null(dest_of(&a.tb->exits[0]));
    assert_null(b.tb->in);
    tb_release(a.tb), tb_release(b.tb);
}

static void a_dead_blocks_exits_are_tombs(void **state)
{
    (void)state;
    static struct fake a, b;
    fake_init(&a, 0x100), fake_init(&b, 0x200);
    assert_true(tb_chain(v, &a.tb->exits[0], b.tb));
    kill_block(a.tb);
    assert_null(b.tb->in);
    for (unsigned i = 0; i < EXITS; i++) {
        assert_ptr_equal(dest_of(&a.tb->exits[i]), TB_TOMB); /* T3: final */
        assert_ptr_equal(goes_to(&a.tb->exits[i]), a.tb->exits[i].stub);
        assert_false(tb_chain(v, &a.tb->exits[i], b.tb));
    }
    kill_block(b.tb);
    assert_ptr_equal(dest_of(&a.tb->exits[0]), TB_TOMB);
    tb_release(a.tb), tb_release(b.tb);
}

static void a_block_may_lead_to_itself(void **state)
{
    (void)state;
    static struct fake a;
    fake_init(&a, 0x100);
    assert_true(tb_chain(v, &a.tb->exits[1], a.tb));
    assert_ptr_equal(goes_to(&a.tb->exits[1]), a.tb->entry_poll);
    kill_block(a.tb);
    assert_null(a.tb->in);
    assert_ptr_equal(dest_of(&a.tb->exits[1]), TB_TOMB);
    assert_ptr_equal(goes_to(&a.tb->exits[1]), a.tb->exits[1].stub);
    tb_release(a.tb);
}

static void the_middle_of_a_list_leaves(void **state)
{
    (void)state;
    static struct fake f[5];
    for (unsigned i = 0; i < 5; i++)
        fake_init(&f[i], 0x100 * i);
    for (unsigned i = 1; i < 5; i++)
        assert_true(tb_chain(v, &f[i].tb->exits[0], f[0].tb));
    kill_block(f[3].tb);
    assert_int_equal(incoming(f[0].tb), 3);
    for (const struct tb_exit *e = f[0].tb->in; e; e = e->next_in)
        assert_ptr_not_equal(e->from, f[3].tb);
    for (unsigned i = 0; i < 5; i++)
        kill_block(f[i].tb), tb_release(f[i].tb);
}

/* -- Under threads: linkers with stale pointers against killers ----------------------------------------------------------- */

#define PLACES      12
#define GENERATIONS 300

static struct fake pool[PLACES * GENERATIONS];
static _Atomic(struct fake *) place[PLACES]; /* the living block of each, as a linker finds it */
static _Atomic bool stop;
static _Atomic unsigned linking;                         /* linkers that have begun */
static _Atomic uint64_t tried;                           /* links by both */
static pthread_mutex_t page = PTHREAD_MUTEX_INITIALIZER; /* stands for the page locks: one killer at a time a block */

static struct tb *some(struct rng *r)
{
    return atomic_load_explicit(&place[rng_below(r, PLACES)], memory_order_acquire)->tb;
}

static void *linker(void *seed)
{
    struct rng r;
    rng_seed(&r, (uintptr_t)seed);
    struct tb *held = some(&r);
    struct vcpu *own = vcpus[(uintptr_t)seed & 1];
    atomic_fetch_add(&linking, 1);
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        /* held may have died long ago: the loop of a vCPU names the block that it came out of. */
        tb_chain(own, &held->exits[rng_below(&r, EXITS)], some(&r));
        atomic_fetch_add_explicit(&tried, 1, memory_order_relaxed);
        if (rng_one_in(&r, 4))
            held = some(&r);
    }
    return NULL;
}

static void *killer(void *seed)
{
    struct rng r;
    rng_seed(&r, (uintptr_t)seed);
    static _Atomic unsigned next = PLACES;
    while (atomic_load(&linking) < 2)
        sched_yield();
    for (;;) {
        unsigned n = atomic_fetch_add(&next, 1);
        /* On few or busy processors too, linkers come in between. */
        sched_yield();
        while (atomic_load_explicit(&tried, memory_order_relaxed) < n)
            sched_yield();
        if (n >= PLACES * GENERATIONS)
            return NULL;
        struct fake *fresh = &pool[n];
        unsigned at = rng_below(&r, PLACES);
        struct fake *old = atomic_exchange_explicit(&place[at], fresh, memory_order_acq_rel);
        if (rng_one_in(&r, 2)) {
            kill_block(old->tb);
        } else {
            pthread_mutex_lock(&page);
            kill_block(old->tb);
            pthread_mutex_unlock(&page);
        }
        for (unsigned i = 0; i < EXITS; i++)
            CHECK(dest_of(&old->tb->exits[i]) == TB_TOMB, "exit %u of a dead block is no tomb", i);
    }
}

static void linkers_and_killers(void **state)
{
    (void)state;
    struct error e = {0};
    assert_true(vcpu_alloc(1, &e));
    nvcpus = 2;
    for (unsigned i = 0; i < PLACES * GENERATIONS; i++)
        fake_init(&pool[i], i);
    for (unsigned i = 0; i < PLACES; i++)
        atomic_store(&place[i], &pool[i]);
    atomic_store(&stop, false);
    pthread_t t[4];
    pthread_create(&t[2], NULL, killer, (void *)100);
    pthread_create(&t[0], NULL, linker, (void *)2);
    pthread_create(&t[1], NULL, linker, (void *)3);
    pthread_create(&t[3], NULL, killer, (void *)101);
    pthread_join(t[2], NULL);
    pthread_join(t[3], NULL);
    atomic_store(&stop, true);
    pthread_join(t[0], NULL);
    pthread_join(t[1], NULL);

    for (unsigned i = 0; i < PLACES; i++)
        kill_block(atomic_load(&place[i])->tb);
    unsigned linked = 0;
    for (unsigned i = 0; i < PLACES * GENERATIONS; i++) {
        struct tb *tb = pool[i].tb;
        if (!tb_is_dead(tb))
            continue; /* killers ended before its turn */
        assert_null(tb->in);
        for (unsigned k = 0; k < EXITS; k++)
            assert_ptr_equal(goes_to(&tb->exits[k]), tb->exits[k].stub);
    }
    for (unsigned i = 0; i < 2; i++)
        linked += (unsigned)vcpus[i]->counters[CNT_TB_CHAINED];
    assert_true(linked > 100);
    for (unsigned i = 0; i < PLACES * GENERATIONS; i++)
        tb_release(pool[i].tb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_kind_has_its_entry, setup, teardown),
        cmocka_unit_test_setup_teardown(a_link_stands_until_it_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_leads_to_a_dead_block, setup, teardown),
        cmocka_unit_test_setup_teardown(a_dead_blocks_exits_are_tombs, setup, teardown),
        cmocka_unit_test_setup_teardown(a_block_may_lead_to_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(the_middle_of_a_list_leaves, setup, teardown),
        cmocka_unit_test_setup_teardown(linkers_and_killers, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
