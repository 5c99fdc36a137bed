/*
 * watch.c — the table of watchpoints, and the comparison of accesses with it
 *
 * Changed QUIESCED only, so vCPUs read it without a lock. A change drops every vCPU's TLB: entries remember whether their
 * page is watched.
 */
#include "engine/mem/watch.h"

#include "engine/mem/softmmu.h"
#include "engine/sync/sync.h"

static struct watch {
    gva first, last; /* bytes, both included */
    enum watch_kind kind;
} watches[WATCHES]; /* W: QUIESCED */
static unsigned nwatches;

void (*watch_hit)(struct vcpu *v, gva addr, enum watch_kind kind);

static void changed(void)
{
    for (unsigned i = 0; i < nvcpus; i++)
        softmmu_flush_all(vcpus[i]);
}

static struct watch *find(gva va, uint32_t bytes, enum watch_kind kind)
{
    for (unsigned i = 0; i < nwatches; i++)
        if (watches[i].first == va && watches[i].last == va + bytes - 1 && watches[i].kind == kind)
            return &watches[i];
    return NULL;
}

bool watch_set(gva va, uint32_t bytes, enum watch_kind kind)
{
    CHECK(quiesced_by_me(), "watchpoint while vCPUs run");
    if (!bytes || bytes > WATCH_BYTES || va + (bytes - 1) < va)
        return false;
    if (find(va, bytes, kind))
        return true;
    if (nwatches == WATCHES)
        return false;
    watches[nwatches++] = (struct watch){va, va + bytes - 1, kind};
    changed();
    return true;
}

void watch_clear(gva va, uint32_t bytes, enum watch_kind kind)
{
    CHECK(quiesced_by_me(), "watchpoint while vCPUs run");
    struct watch *w = find(va, bytes, kind);
    if (!w)
        return;
    *w = watches[--nwatches];
    changed();
}

void watch_clear_all(void)
{
    CHECK(quiesced_by_me(), "watchpoints while vCPUs run");
    if (!nwatches)
        return;
    nwatches = 0;
    changed();
}

bool watch_page(gva page)
{
    for (unsigned i = 0; i < nwatches; i++)
        if (watches[i].first <= (page | ~GUEST_PAGE_MASK) && page <= watches[i].last)
            return true;
    return false;
}

void watch_check(struct vcpu *v, gva va, uint32_t bytes, bool write)
{
    gva last = va + bytes - 1; /* may wrap: then it ends with the address space, as the guest's next page is at 0 */
    if (last < va)
        last = UINT32_MAX;
    for (unsigned i = 0; i < nwatches; i++) {
        const struct watch *w = &watches[i];
        if ((w->kind & (write ? WATCH_WRITE : WATCH_READ)) && w->first <= last && va <= w->last && watch_hit)
            watch_hit(v, w->first > va ? w->first : va, w->kind);
    }
}
