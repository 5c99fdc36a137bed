/*
 * chaos.c — seeded fault injection: what rarely happens, made to happen
 *
 * Safepoints are rare in a program that runs well, so they are provoked with POLL_CHAOS. With one vCPU the bit stays up: each
 * polled entry of translated code comes back and draws, which is repeatable. With several that would hide what matters
 * most, a vCPU that stays in its chained code while another one pulls it away; so the bit is taken down at each
 * safepoint, and a thread puts it up again somewhere every fraction of a millisecond.
 */
#include "engine/exec/chaos.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/base/log.h"
#include "engine/base/rng.h"
#include "engine/exec/exec.h"
#include "engine/exec/fatal.h"
#include "engine/sync/sync.h"

#define PPM       1000000u
#define PERIOD_NS 200000

uint32_t chaos_rate[CHAOS_COUNT];
uint64_t chaos_seed = 1;

static const char *const names[] = {
#define X(id, name, help) [CHAOS_##id] = name,
    CHAOS_KINDS(X)
#undef X
};

/* What "all" means: each often enough to matter, none so often that the guest gets nowhere. */
static const uint32_t moderate[CHAOS_COUNT] = {
    [CHAOS_DELAY] = 2000, [CHAOS_STREX] = 20000, [CHAOS_FLUSH] = 300, [CHAOS_UNCHAIN] = 10000, [CHAOS_ALLOC] = 2000};

static struct {
    struct rng rng;
    bool seeded;
} CACHE_ALIGNED draws[MAX_VCPUS]; /* own thread */

/* -- The option ------------------------------------------------------------------------------------------------------- */

static bool one_setting(const char *name, size_t n, const char *value, struct error *e)
{
    char *end;
    errno = 0;
    uint64_t x = strtoull(value, &end, 0);
    bool number = !errno && end != value && isdigit((unsigned char)value[0]) && (!*end || *end == ',');
    bool seed = n == 4 && !memcmp(name, "seed", 4);
    for (unsigned k = 0; k < CHAOS_COUNT; k++)
        if (strlen(names[k]) == n && !memcmp(names[k], name, n)) {
            if (number && x <= PPM) {
                chaos_rate[k] = (uint32_t)x;
                return true;
            }
            error_set(e, 2, "--chaos: %s takes a number of events per million, 0 to 1000000", names[k]);
            return false;
        }
    if (seed && number) {
        chaos_seed = x;
        return true;
    }
    if (seed)
        error_set(e, 2, "--chaos: seed takes a whole number");
    else
        error_set(e, 2,
                  "--chaos has no kind \"%.*s\"; write all, or a list of seed=N,delay=PPM,strex=PPM,flush=PPM,"
                  "unchain=PPM,alloc=PPM",
                  (int)(n < 40 ? n : 40), name);
    return false;
}

bool chaos_parse(const char *text, struct error *e)
{
    for (const char *p = text;;) {
        size_t n = strcspn(p, "=,");
        if (n == 3 && !memcmp(p, "all", 3) && p[n] != '=')
            memcpy(chaos_rate, moderate, sizeof chaos_rate);
        else if (!one_setting(p, n, p[n] == '=' ? p + n + 1 : "", e))
            return false;
        p += strcspn(p, ",");
        if (!*p++)
            return true;
    }
}

/* -- Draws --------------------------------------------------------------------------------------------------------------- */

bool chaos_draw(struct vcpu *v, enum chaos_kind k)
{
    struct rng *r = &draws[v->index].rng;
    if (UNLIKELY(!draws[v->index].seeded)) {
        rng_seed(r, chaos_seed + v->index * UINT64_C(0x9e3779b97f4a7c15));
        draws[v->index].seeded = true;
    }
    return rng_below(r, PPM) < chaos_rate[k];
}

void chaos_delay(struct vcpu *v)
{
    if (!chaos_fail(v, CHAOS_DELAY))
        return;
    /* Mostly about as long as a slow path, now and then as long as a time slice. */
    struct rng *r = &draws[v->index].rng;
    uint32_t ns = rng_one_in(r, 50) ? rng_below(r, 3000000) : rng_below(r, 50000);
    struct timespec t = {.tv_nsec = (long)ns};
    nanosleep(&t, NULL);
}

/* -- At safepoints --------------------------------------------------------------------------------------------------------- */

/* A block that this vCPU may name at a safepoint: the one it came out of, or one of its jump cache. */
static struct tb *some_block(struct vcpu *v)
{
    struct exec_state *x = exec_state(v);
    if (x->last)
        return x->last->from;
    unsigned m = vcpu_mmu_mode(v), i = rng_below(&draws[v->index].rng, JC_ENTRIES);
    for (unsigned n = 0; n < JC_ENTRIES; n++, i = (i + 1) % JC_ENTRIES)
        if (atomic_load_explicit(&v->jc[m][i].key, memory_order_relaxed) != JC_EMPTY(i))
            return x->jc_tb[m][i];
    return NULL;
}

static bool provokes(void)
{
    return chaos_rate[CHAOS_DELAY] || chaos_rate[CHAOS_FLUSH] || chaos_rate[CHAOS_UNCHAIN];
}

void chaos_safepoint(struct vcpu *v)
{
    if (LIKELY(!provokes()))
        return;
    if (nvcpus > 1)
        atomic_fetch_and_explicit(&v->poll, ~(uint32_t)POLL_CHAOS, memory_order_relaxed);
    chaos_delay(v);
    if (chaos_fail(v, CHAOS_FLUSH)) {
        /* x->last stays: whether it may still be used is the invalidation scheme's question. */
        dlog(INVAL, "vCPU %u: chaos flushes", v->index);
        fatal_event(v, "chaos: flush at", v->r[15], 0);
        tb_flush_now(v);
    } else if (chaos_fail(v, CHAOS_UNCHAIN)) { /* not after a flush: the block that v came out of is freed by that */
        struct tb *tb = some_block(v);
        if (tb) {
            fatal_event(v, "chaos: invalidates, at", tb->key.pc, v->r[15]);
            tb_invalidate_unlocked(tb);
        }
    }
}

/* -- The thread that provokes safepoints ------------------------------------------------------------------------------------- */

static pthread_t thread;
static bool started; /* LAUNCH */
static _Atomic bool stop;

static void *provoke(void *unused)
{
    (void)unused;
    struct rng r;
    rng_seed(&r, chaos_seed ^ UINT64_C(0x5bd1e995));
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        struct timespec t = {.tv_nsec = (long)rng_below(&r, 2 * PERIOD_NS)};
        nanosleep(&t, NULL);
        vcpu_kick(vcpus[rng_below(&r, nvcpus)], POLL_CHAOS);
    }
    return NULL;
}

void chaos_start(void)
{
    if (!provokes())
        return;
    vcpu_kick_all(POLL_CHAOS);
    if (nvcpus > 1)
        started = !pthread_create(&thread, NULL, provoke, NULL);
}

void chaos_stop(void)
{
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    if (started)
        pthread_join(thread, NULL);
    started = false;
}
