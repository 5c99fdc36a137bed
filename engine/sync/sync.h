/*
 * sync.h — vCPU threads, the poll word, work, and the quiescent state
 *
 * Each vCPU thread is in one of these states, kept under the quiesce lock:
 *   RUNNING  it may be in translated code, in a helper, or between blocks
 *   PARKED   it waits inside sync/ (for someone's quiescent section, for acknowledgements, for the start)
 *   ASLEEP   it waits in WFI or WFE
 * Only RUNNING ones are waited for. Leaving PARKED or ASLEEP goes through the lock and waits while
 * somebody is quiescent-exclusive, so there is no Dekker-style flag on the way into translated code: the
 * hot path's only part in the protocol is the load of the poll word at polled entries.
 *
 * S1  From quiesce_begin() to quiesce_end() no other vCPU is RUNNING.
 * S2  A RUNNING vCPU whose poll word is set reaches a safepoint in bounded time (every cycle of guest code
 *     passes a polled entry; C slow paths end; nothing sleeps while RUNNING but in device reads).
 * S3  Work queued on a vCPU runs before any guest instruction that it executes after it was RUNNING with the
 *     work visible and at a safepoint; a vCPU that is not RUNNING runs its work before it runs guest code.
 * S4  A helper that needs quiescence does not wait in place: it leaves by vcpu_leave_for() and the instruction is
 *     restarted, so two vCPUs that both want it cannot deadlock and no return address into a flushed block survives.
 */
#ifndef ENGINE_SYNC_SYNC_H
#define ENGINE_SYNC_SYNC_H

#include "engine/sync/lock.h"
#include "engine/vcpu/vcpu.h"

/* -- Poll word ------------------------------------------------------------------------------------------------------ */

/* FOREIGN. Make v come to a safepoint soon; wakes it when asleep. */
void vcpu_kick(struct vcpu *v, uint32_t poll_bits);
void vcpu_kick_all(uint32_t poll_bits);

/* -- Work ------------------------------------------------------------------------------------------------------------ */

typedef void (*work_fn)(struct vcpu *v, uintptr_t arg);

/* FOREIGN. fn(v, arg) runs in v's thread at its next safepoint. Memory: one small allocation, freed after. */
void sync_run_on(struct vcpu *v, work_fn fn, uintptr_t arg);

/* Own thread (helper or SAFEPOINT). Queue fn on every other vCPU; v does not run another guest instruction past
 * its next safepoint until each of them has run it or is not RUNNING (S3). The caller must end its block. */
void sync_queue_all_synced(struct vcpu *v, work_fn fn, uintptr_t arg);

/* SAFEPOINT (v: own) or a thread that is no vCPU (v NULL). Runs fn QUIESCED before it returns. */
void sync_safe_work(struct vcpu *v, work_fn fn, uintptr_t arg);

/* FOREIGN. Runs fn QUIESCED soon, in some vCPU's thread. A request whose (fn, arg) is already waiting is dropped:
 * requests coalesce. */
void sync_safe_work_async(work_fn fn, uintptr_t arg);

/* The section itself. May nest in one thread. */
void quiesce_begin(struct vcpu *v);
void quiesce_end(struct vcpu *v);
bool quiesced_by_me(void);

/* SAFEPOINT, own thread: around a wait for something that other vCPUs must get on with (a grace period). Between the two v is
 * PARKED: nobody waits for it, and it must run its work (sync_safepoint) before it runs guest code (S3). A thread is born and
 * ends PARKED (threads.c). */
void sync_wait_begin(struct vcpu *v);
void sync_wait_end(struct vcpu *v);

/* -- Sleeping ---------------------------------------------------------------------------------------------------------- */

/* OFF: nothing but work queued on v ends it, which has to clear vcpu_thread(v)->sleep. CALL: vcpu_call_ready(), or an interrupt that
 * would be taken. */
enum { SLEEP_WFI = 1, SLEEP_WFE = 2, SLEEP_OFF = 4, SLEEP_CALL = 8 };
/* GUEST: v goes to sleep at its next safepoint (the block must end). */
void vcpu_request_sleep(struct vcpu *v, int kind);
/* The same, and it ends when now_ns() reaches until_ns, which leaves vcpu_thread(v)->timed_out set. */
void vcpu_request_sleep_until(struct vcpu *v, int kind, uint64_t until_ns);
/* FOREIGN. What a call of v waits for has come; kept until v sleeps if it does not yet. */
void vcpu_call_ready(struct vcpu *v);
/* FOREIGN: SEV. No lock is taken if v does not sleep in WFE. */
void vcpu_send_event(struct vcpu *v);
void vcpu_send_event_all(void);
/* Own thread. Tests and clears the event register: an event was sent, or v's reservation is lost (v->excl_word), which is then forgotten.
 * So that a store which breaks a reservation need not tell its owner, but in: */
bool vcpu_take_event(struct vcpu *v);
/* Own thread, RUNNING: as vcpu_take_event(), but it waits for an event for sync_wfe_pauses first: what WFE waits for mostly comes
 * sooner than a thread is put to sleep and woken (some 20 us, against 5 here). It ends early, without taking an event, when the poll word
 * is set. */
bool vcpu_await_event(struct vcpu *v);
/* The host's pauses; 0 where vCPUs share processors and a wait holds up who is to send the event. W: sync_start(). */
extern unsigned sync_wfe_pauses;
/* Bit n: vCPU n sleeps in WFE, or is about to, with a reservation. W: that vCPU, before it looks whether the reservation is lost;
 * R: whoever has changed an excl_word by a locked instruction, after that. So one of the two sees the other. */
extern _Atomic uint32_t sync_watchers;
/* FOREIGN. An event to those of them whose excl_word is this one. */
void vcpu_wake_watchers(const _Atomic uint64_t *word);

/* -- Holding: a debugger's stop --------------------------------------------------------------------------------------------- */

/* FOREIGN, or a vCPU on itself. From its next safepoint on a vCPU of the mask (bit n: vCPU n) runs no guest code until it is let
 * go. Held it is not RUNNING: nobody waits for it, and its work it runs all the same (S3). To know that all of the mask stand
 * still, and to look at them, be quiescent. The end of the machine lets all go. */
void sync_hold(uint32_t mask);
/* One thread that is no vCPU's. Returns when each of the mask that was at its safepoint has left it, or sleeps: so it gets on by a
 * block at least before it is held again, however soon another one stops them all. */
void sync_let_go(uint32_t mask);

/* -- The loop's side: own thread, SAFEPOINT ------------------------------------------------------------------------------ */

/* The slow part of a safepoint, entered when the poll word or a sleep request is set: parks while others are exclusive,
 * runs work, sleeps, waits for acknowledgements. Returns false when the machine ends. */
bool sync_safepoint(struct vcpu *v);
static inline bool sync_wanted(struct vcpu *v);

/* -- Life ----------------------------------------------------------------------------------------------------------------- */

struct vcpu_thread {
    pthread_t thread;
    pthread_cond_t wake;
    enum { VT_PARKED, VT_RUNNING, VT_ASLEEP } state; /* guarded by quiesce lock */
    struct vcpu_work *head, **tail;                  /* guarded by quiesce lock */
    uint64_t queued, done;                           /* work items, counted; guarded by quiesce lock */
    uint64_t ack_wanted[MAX_VCPUS];                  /* others' `queued` that this vCPU waits for; own thread */
    bool ack_wait;                                   /* own thread */
    bool call_ready;                                 /* guarded by quiesce lock */
    int sleep;                                       /* SLEEP_*, own thread */
    uint64_t until_ns;                               /* of the sleep; UINT64_MAX: no limit; own thread */
    bool timed_out;                                  /* own thread */
    bool held;                                       /* sync_hold(); guarded by quiesce lock */
    bool at_safepoint;                               /* inside sync_safepoint(), awake; guarded by quiesce lock */
    bool leaving;                                    /* let go, and still in its safepoint; guarded by quiesce lock */
    bool was_held;    /* since the loop last looked: pointers to blocks are lost. Own thread */
    int pin;          /* logical CPU or -1; const after LAUNCH */
    int observed_cpu; /* where it last ran */
    uint64_t host_tid;
};

static inline struct vcpu_thread *vcpu_thread(struct vcpu *v)
{
    return v->thread;
}

static inline bool sync_wanted(struct vcpu *v)
{
    /* Relaxed: what the poller then reads is guarded by the quiesce lock. */
    return UNLIKELY(atomic_load_explicit(&v->poll, memory_order_relaxed) | (uint32_t)vcpu_thread(v)->sleep);
}

bool sync_init_vcpu(struct vcpu *v, struct error *e); /* LAUNCH */
/* After sync_join(), or without sync_start(): also the work that was queued and is not done. */
void sync_free_vcpu(struct vcpu *v);
/* threads.c. LAUNCH: start one host thread a vCPU running body(v); sync_join waits for all. */
bool sync_start(void (*body)(struct vcpu *v), struct error *e);
void sync_join(void);
/* Ask all vCPUs to leave the loop. FOREIGN. */
void sync_stop_all(void);
bool sync_stopping(void);
/* After a reset of the machine: let the loops run again. */
void sync_stop_clear(void);

/* How long quiescent sections made others stand still; for --stats. Guarded by the quiesce lock. */
struct histogram;
extern struct histogram sync_stop_latency_ns, sync_request_latency_ns;

#endif
