/*
 * fatal.h — guest states that nothing can come of, and what a vCPU looks like as text
 */
#ifndef ENGINE_EXEC_FATAL_H
#define ENGINE_EXEC_FATAL_H

#include <stdio.h>

#include "engine/vcpu/vcpu.h"

#define FATAL_EXIT_CODE 70

/* v's thread, GUEST or SAFEPOINT: print why and v, and ask for the end of the machine with exit code 70. Returns; the caller
 * goes to its next safepoint, where the end is seen. */
void guest_fatal(struct vcpu *v, const char *why);

/* v's thread, SAFEPOINT: call it when v has come back to the loop by LEAVE_EXCEPTION. Recognises a vector whose own
 * first instruction raises the exception that leads back to it, with nothing run in between; after a few times
 * that is guest_fatal(). A dozen instructions; nothing on the way of those who take no exceptions. */
void fatal_watch(struct vcpu *v);

/* v's thread: remember an event for the dumps below; the last few stay. what: a constant. A store of five words and a look at
 * the clock: for slow paths. */
void fatal_event(struct vcpu *v, const char *what, uint32_t a, uint32_t b);
/* The last events of v, oldest first. Any thread. */
void fatal_dump_events(FILE *out, const struct vcpu *v);

/* Registers, CPSR, CP15 fault state and interrupt lines of v, by lines. Any thread; exact when v is at a safepoint. */
void fatal_dump_vcpu(FILE *out, const struct vcpu *v);

#endif
