/*
 * debug.c — breakpoints without writing to the guest, single steps by throw-away blocks, and why a vCPU stopped
 *
 * The table of breakpoints is changed QUIESCED only, so vCPUs read it without a lock. Addresses are virtual and hold in
 * every address space.
 */
#include "engine/exec/debug.h"

#include <stdlib.h>

#include "engine/base/log.h"
#include "engine/exec/exec.h"
#include "engine/mem/softmmu.h"
#include "engine/sync/sync.h"

/* W: QUIESCED. R: vCPUs that run. Ascending addresses. */
static struct {
    gva pc;
    unsigned kinds;
} breaks[DEBUG_BREAKS];
static unsigned nbreaks;

static void (*tell)(void); /* W: QUIESCED; NULL: nobody debugs */

struct debug_state *debug_state(struct vcpu *v)
{
    return &exec_state(v)->debug;
}

/* -- Breakpoints -------------------------------------------------------------------------------------------------------------- */

/* Place of the first one at pc or above. */
static unsigned place_of(gva pc)
{
    unsigned lo = 0, hi = nbreaks;
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (breaks[mid].pc < pc)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

unsigned debug_break_at(gva pc)
{
    unsigned i = place_of(pc);
    return i < nbreaks && breaks[i].pc == pc ? breaks[i].kinds : 0;
}

gva debug_next_break(gva pc)
{
    if (!nbreaks || pc == UINT32_MAX)
        return 0;
    unsigned i = place_of(pc + 1);
    return i < nbreaks ? breaks[i].pc : 0;
}

/* All QUIESCED. */
static gva wanted;
static struct tb **found;
static size_t nfound, found_room;

static void note_if_there(struct tb *tb)
{
    if (wanted - tb->key.pc >= tb->nbytes)
        return;
    if (nfound == found_room) {
        found_room = 2 * found_room + 16;
        found = realloc(found, found_room * sizeof *found);
        CHECK(found, "out of memory");
    }
    found[nfound++] = tb;
}

/* The scheme's own retire(), so that loops and chains learn it as ever. */
static void kill_blocks_at(gva pc)
{
    wanted = pc;
    nfound = 0;
    tb_for_each(note_if_there);
    for (size_t i = 0; i < nfound; i++)
        tb_invalidate_unlocked(found[i]);
}

bool debug_break_set(gva pc, enum debug_break_kind kind)
{
    CHECK(quiesced_by_me(), "breakpoint while vCPUs run");
    unsigned i = place_of(pc);
    if (i < nbreaks && breaks[i].pc == pc) {
        breaks[i].kinds |= kind;
        return true;
    }
    if (nbreaks == DEBUG_BREAKS)
        return false;
    memmove(&breaks[i + 1], &breaks[i], (nbreaks - i) * sizeof breaks[0]);
    breaks[i].pc = pc;
    breaks[i].kinds = kind;
    nbreaks++;
    kill_blocks_at(pc); /* D1 */
    return true;
}

/* Blocks that ended before the address stay as they are: a little short, and right. */
void debug_break_clear(gva pc, enum debug_break_kind kind)
{
    CHECK(quiesced_by_me(), "breakpoint while vCPUs run");
    unsigned i = place_of(pc);
    if (i == nbreaks || breaks[i].pc != pc || (breaks[i].kinds &= ~(unsigned)kind))
        return;
    nbreaks--;
    memmove(&breaks[i], &breaks[i + 1], (nbreaks - i) * sizeof breaks[0]);
}

/* -- Stops ---------------------------------------------------------------------------------------------------------------------- */

static void stop(struct vcpu *v, enum debug_why why)
{
    debug_state(v)->why = why;
    sync_hold(BIT(v->index));
    if (tell)
        tell();
}

void debug_stop_at_break(struct vcpu *v)
{
    stop(v, DEBUG_BREAK);
    vcpu_leave(v, LEAVE_AGAIN);
}

/* mem/watch.h's hook. */
static void stop_at_watch(struct vcpu *v, gva addr, enum watch_kind kind)
{
    struct debug_state *d = debug_state(v);
    d->addr = addr;
    d->watch = kind;
    stop(v, DEBUG_WATCH);
    vcpu_leave(v, LEAVE_RESTART);
}

/* -- Steps ------------------------------------------------------------------------------------------------------------------------ */

void debug_step(struct vcpu *v, gva lo, gva hi)
{
    struct debug_state *d = debug_state(v);
    d->lo = lo;
    d->hi = hi;
    atomic_fetch_or_explicit(&v->poll, POLL_STEP, memory_order_relaxed);
}

void debug_reset(struct vcpu *v)
{
    debug_state(v)->why = DEBUG_NONE;
    atomic_fetch_and_explicit(&v->poll, ~(uint32_t)POLL_STEP, memory_order_relaxed);
}

static void stepped(struct vcpu *v)
{
    struct debug_state *d = debug_state(v);
    gva pc = v->r[15] & ~1u;
    d->in_step = false;
    bool at_break = debug_break_at(pc) != 0;
    if (pc - d->lo < d->hi - d->lo && !at_break)
        return; /* POLL_STEP stands: the next one, after a safepoint */
    atomic_fetch_and_explicit(&v->poll, ~(uint32_t)POLL_STEP, memory_order_relaxed);
    stop(v, DEBUG_STEP);
}

void debug_do_step(struct vcpu *v)
{
    debug_state(v)->in_step = true; /* it may leave from anywhere below: debug_left() */
    uint64_t left = 1;
    exec_run_bounded(v, &left);
    stepped(v);
}

void debug_left(struct vcpu *v)
{
    struct debug_state *d = debug_state(v);
    if (!d->in_step)
        return;
    d->in_step = false;
    /* Else it is restarted: POLL_STEP stands. */
    if (v->leave_reason == LEAVE_EXCEPTION || v->leave_reason == LEAVE_CONTINUE)
        stepped(v);
}

/* -- Begin and end ------------------------------------------------------------------------------------------------------------------ */

void debug_begin(void (*stopped)(void))
{
    CHECK(quiesced_by_me(), "a debugger comes while vCPUs run");
    tell = stopped;
    watch_hit = stop_at_watch;
    exec_config.exact_flags = true;
    tb_flush_quiesced(NULL);
}

void debug_end(void)
{
    CHECK(quiesced_by_me(), "a debugger goes while vCPUs run");
    nbreaks = 0;
    free(found);
    found = NULL;
    found_room = 0;
    watch_clear_all();
    for (unsigned i = 0; i < nvcpus; i++)
        debug_reset(vcpus[i]);
    tell = NULL;
    exec_config.exact_flags = false;
    tb_flush_quiesced(NULL);
}
