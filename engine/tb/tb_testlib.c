/*
 * tb_testlib.c — two vCPUs, RAM and code memory, and blocks that are published without having been translated
 */
#include "engine/tb/tb_testlib.h"

#include "engine/sync/rcu.h"
#include "engine/tb/code.h"
#include "strategies/axes.h"
#include "strategies/tb-cache/tb_cache.h"

void test_default_schemes(void)
{
    for (unsigned a = 0; a < naxes; a++)
        axes[a].choose(axes[a].schemes[axes[a].def]);
}

void test_translations(size_t code_bytes, unsigned chunks_per_pool)
{
    struct error e = {0};
    test_machine(2, TB_TEST_RAM_BYTES);
    CHECK(code_memory_init(code_bytes, &e), "%s", e.text);
    rcu_engine_init();
    CHECK(tb_cache->launch(chunks_per_pool, &e), "%s", e.text);
}

void test_translations_free(void)
{
    tb_pages_drop_all();
    tb_cache->drop_all(tb_release);
    rcu_engine_stop();
    tb_cache->shutdown();
    code_memory_free();
    test_machine_free();
}

struct tb *test_publish(struct vcpu *v, gpa canon, unsigned bytes)
{
    gpa next = (canon & 0xfff) + bytes > 0x1000 ? (canon | 0xfff) + 1 : UINT64_MAX;
    struct tb *tb = tb_alloc(1);
    uint8_t value;
    struct pages_locked w = tb_pages_lock(canon, next);
    struct code_pool *pool = tb_cache->generate_begin(v);
    page_set_flag(v, canon & ~(gpa)0xfff, PAGE_CODE);
    if (next != UINT64_MAX)
        page_set_flag(v, next, PAGE_CODE);
    mem_read(canon, &value, 1);
    tb->key = (struct tb_key){(uint32_t)canon, 0, canon};
    tb->canon_next = next;
    tb->nbytes = bytes;
    tb->ninsns = value;
    tb->dep_lo = (uint16_t)(canon & 0xfff);
    tb->dep_hi = (uint16_t)(next == UINT64_MAX ? tb->dep_lo + bytes : 0x1000);
    tb->owner = (uint8_t)v->index;
    tb->nexits = 1;
    tb->exits[0].from = tb;
    struct code_span span = code_pool_reserve(pool, 16);
    CHECK(span.rw, "code memory is full");
    code_pool_commit(pool, &span, 16, tb);
    struct tb *winner = tb_cache->insert(v, &w, tb);
    if (winner == tb) {
        tb_pages_add(&w, tb);
    } else {
        code_pool_forget(tb);
        tb_release(tb);
    }
    tb_cache->generate_end(v);
    tb_pages_unlock(&w);
    return winner;
}
