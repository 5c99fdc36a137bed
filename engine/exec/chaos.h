/*
 * chaos.h — seeded fault injection (--chaos=): what rarely happens, made to happen
 *
 * Off, it costs a load of a constant at places that are slow anyway. Each vCPU draws from its own generator, so a run with one
 * vCPU can be repeated by its seed; with several only the draws repeat, not the interleaving.
 */
#ifndef ENGINE_EXEC_CHAOS_H
#define ENGINE_EXEC_CHAOS_H

#include "engine/vcpu/vcpu.h"

#define CHAOS_KINDS(X)                                                  \
 X(DELAY, "delay", "sleep a little at a safepoint or a racy point")     \
 X(STREX, "strex", "a store-exclusive fails although it could succeed") \
 X(FLUSH, "flush", "flush all translations")                            \
 X(UNCHAIN, "unchain", "invalidate the block that was entered last")    \
 X(ALLOC, "alloc", "code memory is full")

enum chaos_kind {
#define X(id, name, help) CHAOS_##id,
    CHAOS_KINDS(X)
#undef X
        CHAOS_COUNT
};

/* Per million; 0: never. Const after LAUNCH. */
extern uint32_t chaos_rate[CHAOS_COUNT];
extern uint64_t chaos_seed;

/* "seed=N,delay=PPM,strex=PPM,..." or "all" (all kinds, moderate). */
bool chaos_parse(const char *text, struct error *e);
bool chaos_draw(struct vcpu *v, enum chaos_kind k); /* own thread */

static inline bool chaos_fail(struct vcpu *v, enum chaos_kind k)
{
    return UNLIKELY(chaos_rate[k]) && chaos_draw(v, k);
}

/* Any point of a slow path where a delay is interesting. */
void chaos_delay(struct vcpu *v);
/* SAFEPOINT. */
void chaos_safepoint(struct vcpu *v);

/* LAUNCH, last; and after the vCPUs have ended. Nothing when chaos is off. */
void chaos_start(void);
void chaos_stop(void);

#endif
