/*
 * sync.c — which vCPUs run: the poll word, work, sleep, holding, and the quiescent state
 *
 * One mutex (rank QUIESCE, a leaf) guards who runs and all queues: everything here is off the hot path, and one
 * lock keeps the argument for S1..S4 (sync.h) short:
 *   - a vCPU changes its state only with the lock held, so `running` is exact;
 *   - an exclusive owner is set only when there is none, and then waits until running is 0;
 *   - a vCPU becomes RUNNING only when there is no owner but itself.
 */
#include "engine/sync/sync.h"

#include <stdlib.h>
#include <time.h>

#include "engine/base/histogram.h"
#include "engine/base/log.h"
#include "engine/sync/rcu.h"

struct vcpu_work {
    struct vcpu_work *next;
    work_fn fn;
    uintptr_t arg;
};

static struct mutex q = MUTEX_INIT(RANK_QUIESCE);
static pthread_cond_t all_parked = PTHREAD_COND_INITIALIZER; /* running became 0 */
static pthread_cond_t resume = PTHREAD_COND_INITIALIZER;     /* the exclusive owner left */
static pthread_cond_t acked = PTHREAD_COND_INITIALIZER;      /* work done, or a vCPU stopped running */

/* All guarded by q. */
static unsigned running;
static const void *owner; /* thread-local address of the exclusive thread */
static struct vcpu_work *safe_head, **safe_tail = &safe_head;
static bool stopping;

/* vCPUs that sleep in WFE, or are about to. W: each its own bit, q held; R: vcpu_send_event(), after it has set the event. */
static _Atomic uint32_t wfe_sleepers CACHE_ALIGNED;
_Atomic uint32_t sync_watchers CACHE_ALIGNED;
unsigned sync_wfe_pauses;

struct histogram sync_stop_latency_ns, sync_request_latency_ns;

static _Thread_local unsigned exclusive_depth;
static _Thread_local char self; /* its address names the thread */

static void wait_on(pthread_cond_t *c)
{
    pthread_cond_wait(c, &q.m);
}

/* -- State changes, q held ------------------------------------------------------------------------------------------ */

static void stop_running(struct vcpu_thread *t, int state)
{
    t->state = state;
    if (--running == 0)
        pthread_cond_broadcast(&all_parked);
    pthread_cond_broadcast(&acked);
}

static void start_running(struct vcpu_thread *t)
{
    while (owner && owner != &self)
        wait_on(&resume);
    t->state = VT_RUNNING;
    running++;
}

static void park_while_exclusive(struct vcpu_thread *t)
{
    if (!owner || owner == &self)
        return;
    uint64_t begin = now_ns();
    stop_running(t, VT_PARKED);
    start_running(t);
    hist_add(&sync_stop_latency_ns, now_ns() - begin);
}

/* -- Poll word ------------------------------------------------------------------------------------------------------- */

static void kick_locked(struct vcpu *v, uint32_t poll_bits)
{
    /* Relaxed: what the bit announces is read under q, or is itself atomic (lines). */
    atomic_fetch_or_explicit(&v->poll, poll_bits, memory_order_relaxed);
    if (vcpu_thread(v)->state == VT_ASLEEP || vcpu_thread(v)->held)
        pthread_cond_signal(&vcpu_thread(v)->wake);
}

void vcpu_kick(struct vcpu *v, uint32_t poll_bits)
{
    mutex_lock(&q);
    kick_locked(v, poll_bits);
    mutex_unlock(&q);
}

void vcpu_kick_all(uint32_t poll_bits)
{
    mutex_lock(&q);
    for (unsigned i = 0; i < nvcpus; i++)
        kick_locked(vcpus[i], poll_bits);
    mutex_unlock(&q);
}

void vcpu_set_line(unsigned n, enum vcpu_line line, bool level)
{
    struct vcpu *v = vcpus[n];
    if (level) {
        /* Release pairs with the acquire load in arm_take_interrupt(): the device state behind the line. */
        uint32_t old = atomic_fetch_or_explicit(&v->lines, (uint32_t)line, memory_order_release);
        if (!(old & (uint32_t)line))
            vcpu_kick(v, POLL_IRQ);
    } else {
        atomic_fetch_and_explicit(&v->lines, ~(uint32_t)line, memory_order_release);
    }
}

/* -- Work -------------------------------------------------------------------------------------------------------------- */

static struct vcpu_work *new_work(work_fn fn, uintptr_t arg)
{
    struct vcpu_work *w = malloc(sizeof *w);
    CHECK(w, "out of memory");
    *w = (struct vcpu_work){.fn = fn, .arg = arg};
    return w;
}

static void queue_locked(struct vcpu *v, work_fn fn, uintptr_t arg)
{
    struct vcpu_thread *t = vcpu_thread(v);
    struct vcpu_work *w = new_work(fn, arg);
    *t->tail = w;
    t->tail = &w->next;
    t->queued++;
    kick_locked(v, POLL_WORK);
}

void sync_run_on(struct vcpu *v, work_fn fn, uintptr_t arg)
{
    mutex_lock(&q);
    queue_locked(v, fn, arg);
    mutex_unlock(&q);
}

void sync_queue_all_synced(struct vcpu *v, work_fn fn, uintptr_t arg)
{
    struct vcpu_thread *me = vcpu_thread(v);
    mutex_lock(&q);
    for (unsigned i = 0; i < nvcpus; i++) {
        if (vcpus[i] == v)
            continue;
        queue_locked(vcpus[i], fn, arg);
        me->ack_wanted[i] = vcpu_thread(vcpus[i])->queued;
        me->ack_wait = true;
    }
    if (me->ack_wait)
        atomic_fetch_or_explicit(&v->poll, POLL_WORK, memory_order_relaxed);
    mutex_unlock(&q);
}

void sync_safe_work(struct vcpu *v, work_fn fn, uintptr_t arg)
{
    quiesce_begin(v);
    fn(v, arg);
    quiesce_end(v);
}

void sync_safe_work_async(work_fn fn, uintptr_t arg)
{
    mutex_lock(&q);
    bool waiting = false;
    for (struct vcpu_work *w = safe_head; w; w = w->next)
        waiting |= w->fn == fn && w->arg == arg;
    if (!waiting) {
        struct vcpu_work *w = new_work(fn, arg);
        *safe_tail = w;
        safe_tail = &w->next;
        kick_locked(current_vcpu ? current_vcpu : vcpus[0], POLL_WORK);
    }
    mutex_unlock(&q);
}

void quiesce_begin(struct vcpu *v)
{
    if (exclusive_depth++)
        return;
    CHECK(!lock_ranks_held, "quiescence wanted while holding lock \"%s\"",
          lock_rank_name((enum lock_rank)__builtin_ctz(lock_ranks_held)));
    uint64_t begin = now_ns();
    mutex_lock(&q);
    if (v)
        stop_running(vcpu_thread(v), VT_PARKED);
    while (owner)
        wait_on(&resume);
    owner = &self;
    for (unsigned i = 0; i < nvcpus; i++)
        if (vcpu_thread(vcpus[i])->state == VT_RUNNING)
            kick_locked(vcpus[i], POLL_WORK);
    while (running)
        wait_on(&all_parked);
    hist_add(&sync_request_latency_ns, now_ns() - begin);
    mutex_unlock(&q);
    if (v)
        count(v, SAFE_WORK);
}

void quiesce_end(struct vcpu *v)
{
    if (--exclusive_depth)
        return;
    mutex_lock(&q);
    owner = NULL;
    if (v) {
        vcpu_thread(v)->state = VT_RUNNING;
        running++;
    }
    pthread_cond_broadcast(&resume);
    mutex_unlock(&q);
}

bool quiesced_by_me(void)
{
    return exclusive_depth != 0;
}

void sync_wait_begin(struct vcpu *v)
{
    mutex_lock(&q);
    stop_running(vcpu_thread(v), VT_PARKED);
    mutex_unlock(&q);
}

void sync_wait_end(struct vcpu *v)
{
    mutex_lock(&q);
    start_running(vcpu_thread(v));
    mutex_unlock(&q);
}

/* -- Sleeping ------------------------------------------------------------------------------------------------------------- */

void vcpu_request_sleep(struct vcpu *v, int kind)
{
    vcpu_request_sleep_until(v, kind, UINT64_MAX);
}

void vcpu_request_sleep_until(struct vcpu *v, int kind, uint64_t until_ns)
{
    vcpu_thread(v)->sleep = kind;
    vcpu_thread(v)->until_ns = until_ns;
}

void vcpu_call_ready(struct vcpu *v)
{
    mutex_lock(&q);
    vcpu_thread(v)->call_ready = true;
    if (vcpu_thread(v)->state == VT_ASLEEP)
        pthread_cond_signal(&vcpu_thread(v)->wake);
    mutex_unlock(&q);
}

void vcpu_send_event(struct vcpu *v)
{
    /* Release pairs with the exchange in vcpu_take_event(): what happened before the SEV. seq_cst: before the look at the
     * sleepers; the other side sets its bit and then looks at the event (fall_asleep()). */
    if (atomic_exchange_explicit(&v->event, 1, memory_order_seq_cst))
        return; /* whoever set it woke the sleeper */
    if (!(atomic_load_explicit(&wfe_sleepers, memory_order_seq_cst) & BIT(v->index)))
        return;
    mutex_lock(&q);
    if (vcpu_thread(v)->state == VT_ASLEEP)
        pthread_cond_signal(&vcpu_thread(v)->wake);
    mutex_unlock(&q);
}

void vcpu_send_event_all(void)
{
    for (unsigned i = 0; i < nvcpus; i++)
        vcpu_send_event(vcpus[i]);
}

/* -- Lost reservations ---------------------------------------------------------------------------------------------------- */

static bool has_reservation(const struct vcpu *v)
{
    /* Relaxed, atomic: in quiescence others write 0. */
    return __atomic_load_n(&v->excl_state, __ATOMIC_RELAXED) && v->excl_word;
}

static bool reservation_lost(const struct vcpu *v)
{
    return has_reservation(v) && atomic_load_explicit(v->excl_word, memory_order_seq_cst) != v->excl_val;
}

bool vcpu_take_event(struct vcpu *v)
{
    /* seq_cst: after the bits set by fall_asleep(); other sides are vcpu_send_event() and the stores that look at sync_watchers. They
     * also order what was written before the event. */
    bool event = atomic_exchange_explicit(&v->event, 0, memory_order_seq_cst);
    if (reservation_lost(v)) {
        __atomic_store_n(&v->excl_state, 0, __ATOMIC_RELAXED);
        event = true;
    }
    return event;
}

bool vcpu_await_event(struct vcpu *v)
{
    for (unsigned n = sync_wfe_pauses; n; n--) {
        /* Relaxed: vcpu_take_event() looks again. */
        if (atomic_load_explicit(&v->event, memory_order_relaxed) || reservation_lost(v))
            break;
        if (atomic_load_explicit(&v->poll, memory_order_relaxed))
            return false;
        __builtin_ia32_pause();
    }
    return vcpu_take_event(v);
}

void vcpu_wake_watchers(const _Atomic uint64_t *word)
{
    uint32_t who = atomic_load_explicit(&sync_watchers, memory_order_seq_cst);
    for (; who; who &= who - 1) {
        struct vcpu *v = vcpus[__builtin_ctz(who)];
        /* Relaxed: written before the bit. */
        if (__atomic_load_n(&v->excl_word, __ATOMIC_RELAXED) == word)
            vcpu_send_event(v);
    }
}

/* q held. Before the last look at what would end the sleep. */
static void fall_asleep(const struct vcpu *v, int kind)
{
    if (kind != SLEEP_WFE)
        return;
    atomic_fetch_or_explicit(&wfe_sleepers, BIT(v->index), memory_order_seq_cst);
    if (has_reservation(v))
        atomic_fetch_or_explicit(&sync_watchers, BIT(v->index), memory_order_seq_cst);
}

static void wake_up(const struct vcpu *v, int kind)
{
    if (kind != SLEEP_WFE)
        return;
    /* Relaxed: who still sees the bit sends an event too many, or takes the lock in vain. */
    atomic_fetch_and_explicit(&wfe_sleepers, ~BIT(v->index), memory_order_relaxed);
    atomic_fetch_and_explicit(&sync_watchers, ~BIT(v->index), memory_order_relaxed);
}

/* ARM DDI 0406C B1.8.13, B1.8.14: WFI ends on a pending interrupt even if masked in CPSR, WFE on the event register or an
 * interrupt that would be taken, both on a debug event. q is held. */
static bool awake(struct vcpu *v, int kind)
{
    uint32_t lines = atomic_load_explicit(&v->lines, memory_order_acquire); /* pairs with vcpu_set_line() */
    if (kind == SLEEP_OFF)
        return false;
    /* An asynchronous debug event: who steps past the instruction wants to see the next one. A call is not over by it. */
    if (kind != SLEEP_CALL && (atomic_load_explicit(&v->poll, memory_order_relaxed) & POLL_STEP))
        return true;
    if (kind == SLEEP_WFI)
        return lines;
    if (((lines & LINE_IRQ) && !(v->cpsr & CPSR_I)) || ((lines & LINE_FIQ) && !(v->cpsr & CPSR_F)) ||
        ((lines & LINE_ABORT) && !(v->cpsr & CPSR_A)))
        return true;
    if (kind == SLEEP_CALL) {
        bool ready = vcpu_thread(v)->call_ready;
        vcpu_thread(v)->call_ready = false;
        return ready;
    }
    if (vcpu_take_event(v))
        return true;
    if (vcpu_thread(v)->until_ns == UINT64_MAX || now_ns() < vcpu_thread(v)->until_ns)
        return false;
    vcpu_thread(v)->timed_out = true;
    return true;
}

static void wait_asleep(struct vcpu_thread *t)
{
    if (t->until_ns == UINT64_MAX || t->held) {
        wait_on(&t->wake);
        return;
    }
    struct timespec until = {.tv_sec = (time_t)(t->until_ns / 1000000000u),
                             .tv_nsec = (long)(t->until_ns % 1000000000u)};
    pthread_cond_timedwait(&t->wake, &q.m, &until);
}

/* -- Holding ------------------------------------------------------------------------------------------------------------- */

void sync_hold(uint32_t mask)
{
    mutex_lock(&q);
    for (unsigned i = 0; i < nvcpus; i++) {
        if (!bit(mask, i))
            continue;
        vcpu_thread(vcpus[i])->held = true;
        kick_locked(vcpus[i], POLL_WORK);
    }
    mutex_unlock(&q);
}

void sync_let_go(uint32_t mask)
{
    mutex_lock(&q);
    for (unsigned i = 0; i < nvcpus; i++) {
        if (!bit(mask, i))
            continue;
        struct vcpu_thread *t = vcpu_thread(vcpus[i]);
        t->leaving = t->at_safepoint;
        t->held = false;
        pthread_cond_signal(&t->wake);
    }
    for (unsigned i = 0; i < nvcpus; i++)
        while (bit(mask, i) && vcpu_thread(vcpus[i])->leaving && !stopping)
            wait_on(&acked);
    mutex_unlock(&q);
}

/* q held, own thread: see sync_let_go(). */
static void has_left(struct vcpu_thread *t)
{
    t->at_safepoint = false;
    if (UNLIKELY(t->leaving)) {
        t->leaving = false;
        pthread_cond_broadcast(&acked);
    }
}

/* q held, own thread: stand still, offline as in sleep, until let go or until there is work. */
static void stand_held(struct vcpu_thread *t)
{
    stop_running(t, VT_PARKED);
    rcu_go_offline();
    while (t->held && !t->head && !safe_head && !stopping)
        wait_on(&t->wake);
    rcu_go_online();
    t->was_held = true;
    start_running(t);
}

/* -- The loop's side ---------------------------------------------------------------------------------------------------------- */

static bool run_one(struct vcpu *v, struct vcpu_thread *t)
{
    struct vcpu_work *w = t->head;
    if (w) {
        t->head = w->next;
        if (!t->head)
            t->tail = &t->head;
        mutex_unlock(&q);
        w->fn(v, w->arg);
        mutex_lock(&q);
        t->done++;
        pthread_cond_broadcast(&acked);
    } else if ((w = safe_head)) {
        safe_head = w->next;
        if (!safe_head)
            safe_tail = &safe_head;
        mutex_unlock(&q);
        sync_safe_work(v, w->fn, w->arg);
        mutex_lock(&q);
    } else {
        return false;
    }
    free(w);
    return true;
}

static bool acks_missing(const struct vcpu *v)
{
    const struct vcpu_thread *me = v->thread;
    for (unsigned i = 0; i < nvcpus; i++) {
        const struct vcpu_thread *o = vcpus[i]->thread;
        if (vcpus[i] != v && o->state == VT_RUNNING && o->done < me->ack_wanted[i])
            return true;
    }
    return false;
}

bool sync_safepoint(struct vcpu *v)
{
    struct vcpu_thread *t = vcpu_thread(v);
    mutex_lock(&q);
    for (;;) {
        t->at_safepoint = true;
        atomic_fetch_and_explicit(&v->poll, ~(uint32_t)(POLL_WORK | POLL_IRQ), memory_order_relaxed);
        park_while_exclusive(t);
        if (run_one(v, t))
            continue;
        if (stopping)
            break;
        if (t->ack_wait) {
            if (acks_missing(v)) {
                stop_running(t, VT_PARKED);
                while (acks_missing(v) && !t->head && !stopping)
                    wait_on(&acked);
                start_running(t);
                continue;
            }
            t->ack_wait = false;
        }
        if (t->held) {
            stand_held(t);
            continue;
        }
        if (!t->sleep)
            break;
        if (awake(v, t->sleep)) {
            t->sleep = 0;
            break;
        }
        count(v, WFI);
        has_left(t);
        /* Nobody waits for a sleeper: neither for quiescence nor for a grace period. */
        stop_running(t, VT_ASLEEP);
        rcu_go_offline();
        fall_asleep(v, t->sleep);
        bool woke = false; /* awake() consumes the event: its answer must not be lost to work that came with it */
        /* Held it sleeps on, whatever comes: who looks at it finds what the stop found. */
        while ((t->held || !(woke = awake(v, t->sleep))) && !t->head && !safe_head && !stopping)
            wait_asleep(t);
        wake_up(v, t->sleep);
        rcu_go_online();
        start_running(t);
        if (woke)
            t->sleep = 0;
    }
    has_left(t);
    bool go_on = !stopping;
    mutex_unlock(&q);
    return go_on;
}

/* -- Life ------------------------------------------------------------------------------------------------------------------------ */

bool sync_init_vcpu(struct vcpu *v, struct error *e)
{
    struct vcpu_thread *t = calloc(1, sizeof *t);
    if (!t) {
        error_set(e, 1, "out of memory for vCPU %u", v->index);
        return false;
    }
    t->tail = &t->head;
    t->pin = -1;
    t->until_ns = UINT64_MAX;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC); /* now_ns() */
    pthread_cond_init(&t->wake, &attr);
    pthread_condattr_destroy(&attr);
    v->thread = t;
    return true;
}

void sync_free_vcpu(struct vcpu *v)
{
    struct vcpu_thread *t = vcpu_thread(v);
    if (!t)
        return;
    for (struct vcpu_work *w = t->head, *next; w; w = next) { /* came when the loop had been left for good */
        next = w->next;
        free(w);
    }
    pthread_cond_destroy(&t->wake);
    free(t);
    v->thread = NULL;
}

void sync_stop_all(void)
{
    mutex_lock(&q);
    stopping = true;
    for (unsigned i = 0; i < nvcpus; i++)
        kick_locked(vcpus[i], POLL_STOP);
    pthread_cond_broadcast(&acked);
    mutex_unlock(&q);
}

bool sync_stopping(void)
{
    mutex_lock(&q);
    bool s = stopping;
    mutex_unlock(&q);
    return s;
}

void sync_stop_clear(void)
{
    mutex_lock(&q);
    stopping = false;
    for (unsigned i = 0; i < nvcpus; i++) {
        atomic_fetch_and_explicit(&vcpus[i]->poll, ~(uint32_t)POLL_STOP, memory_order_relaxed);
        if (vcpu_thread(vcpus[i])->held) /* over the end too */
            kick_locked(vcpus[i], POLL_WORK);
    }
    mutex_unlock(&q);
}
