/*
 * target.h — the running machine as the commands of the protocol see it: stops, memory, breakpoints, threads
 *
 * GDB's all-stop mode: while commands are answered every vCPU is held (sync_hold), and each of these functions looks or changes in
 * a quiescent section of its own, so that work which a held vCPU still does (TLB flushes others asked for) is not in between.
 * vCPU n is thread n + 1. Context: the server's thread, which is registered for grace periods.
 */
#ifndef ENGINE_GDB_TARGET_H
#define ENGINE_GDB_TARGET_H

#include "engine/exec/debug.h"
#include "engine/gdb/registers.h"

/* Hold all vCPUs and begin to debug. stopped(): see debug_begin(). */
void target_attach(void (*stopped)(void));
/* All breakpoints go, all vCPUs run on. */
void target_detach(void);

/* Hold all vCPUs; returns when they stand still. */
void target_stop(void);

struct target_stop {
    unsigned vcpu;
    enum debug_why why; /* DEBUG_NONE: nothing of its own, somebody asked for the stop */
    gva addr;
    enum watch_kind watch;
    unsigned breaks; /* DEBUG_BREAK: enum debug_break_kind bits */
};
/* All are held: what stopped them. A finished step comes first; among the rest the vCPU after the one told last. What is not
 * told happens again (rule D2), but for other finished steps, which are kept. */
struct target_stop target_why(void);

enum target_action { ACTION_NONE, ACTION_GO, ACTION_STEP };
struct target_resume {
    enum target_action action;
    gva lo, hi; /* ACTION_STEP: on while pc is in [lo, hi) */
};
/* Let vCPUs go. False: nothing runs, a stop that was kept is there already. */
bool target_resume(const struct target_resume r[MAX_VCPUS]);

void target_registers(unsigned vcpu, uint8_t out[REGISTERS_BYTES]);
void target_set_registers(unsigned vcpu, const uint8_t in[REGISTERS_BYTES]);
void target_register(unsigned vcpu, unsigned n, uint8_t out[8]);
void target_set_register(unsigned vcpu, unsigned n, const uint8_t in[8]);

size_t target_read(unsigned vcpu, gva va, void *buf, size_t bytes); /* how much */
bool target_write(unsigned vcpu, gva va, const void *buf, size_t bytes);

/* type: the digit of Z and z packets. False: there are too many, or it cannot be watched. */
bool target_point(unsigned type, gva addr, uint32_t kind, bool set);

/* One line about a vCPU: mode, and whether it waits for an interrupt or an event. */
void target_describe(unsigned vcpu, char *out, size_t size);

#endif
