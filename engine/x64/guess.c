/*
 * guess.c — the vote on flat table entries, taken where the slow path fills them
 *
 * Source of the vote: Boyer and Moore, MJRTY, 1981: the majority of a sequence in one word and a count.
 */
#include "engine/x64/guess.h"

#include "engine/vcpu/vcpu.h"

/* A change of scene (the MMU goes on, another address space) is followed after this many pages. */
#define MOST_VOTES 32

static struct x64_calls real, wrapped;

static void vote(struct vcpu *v, gva va)
{
    uint64_t entry = v->flat.load[MMU_PRIV][va >> 12];

    if (vcpu_mmu_mode(v) != MMU_PRIV || !entry)
        return;
    if (entry == v->guess[GUESS_ANY]) {
        if (v->guess_votes < MOST_VOTES)
            v->guess_votes++;
    } else if (v->guess_votes) {
        v->guess_votes--;
    } else {
        v->guess[GUESS_ANY] = entry;
    }
}

static uint32_t load(struct vcpu *v, gva va, uint32_t mem)
{
    uint32_t x = real.load(v, va, mem);

    vote(v, va);
    return x;
}

static uint64_t load64(struct vcpu *v, gva va, uint32_t mem)
{
    uint64_t x = real.load64(v, va, mem);

    vote(v, va);
    return x;
}

static void store(struct vcpu *v, gva va, uint32_t val, uint32_t mem)
{
    real.store(v, va, val, mem);
    vote(v, va);
}

static void store64(struct vcpu *v, gva va, uint64_t val, uint32_t mem)
{
    real.store64(v, va, val, mem);
    vote(v, va);
}

static void ldm(struct vcpu *v, gva va, uint32_t nwords)
{
    real.ldm(v, va, nwords);
    vote(v, va);
}

static void stm(struct vcpu *v, gva va, uint32_t nwords)
{
    real.stm(v, va, nwords);
    vote(v, va);
}

const struct x64_calls *guess_wrap(const struct x64_calls *calls)
{
    real = *calls;
    wrapped = *calls;
    wrapped.load = load;
    wrapped.load64 = load64;
    wrapped.store = store;
    wrapped.store64 = store64;
    wrapped.ldm = ldm;
    wrapped.stm = stm;
    return &wrapped;
}
