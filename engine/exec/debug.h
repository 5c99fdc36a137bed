/*
 * debug.h — what a debugger asks of execution: breakpoints, single steps, and why a vCPU stopped
 *
 * D1  No block that can be found begins at a breakpoint or runs over one. So whoever arrives at one comes to
 *     exec_translate(), which stops it there, and code elsewhere pays nothing.
 * D2  A vCPU stops before the instruction at fault: at a breakpoint nothing of it has run, at a watchpoint nothing of the access
 *     has been done. So a stop that nobody is told of happens once more when the vCPU goes on; only a finished step
 *     has to be remembered.
 * D3  While somebody debugs, flags are right at the end of every block (no look at what the next one does with them).
 *
 * A vCPU that stops holds itself (sync_hold) and runs on to its safepoint.
 */
#ifndef ENGINE_EXEC_DEBUG_H
#define ENGINE_EXEC_DEBUG_H

#include "engine/mem/watch.h"
#include "engine/vcpu/vcpu.h"

/* Whose breakpoint it is: one address may have both. They work alike. */
enum debug_break_kind { BREAK_SOFTWARE = 1, BREAK_HARDWARE = 2 };

enum debug_why { DEBUG_NONE, DEBUG_BREAK, DEBUG_WATCH, DEBUG_STEP };

/* W: the vCPU's own thread when it stops, or QUIESCED. R: QUIESCED. */
struct debug_state {
    enum debug_why why;
    gva addr;              /* DEBUG_WATCH: the first watched byte that the access touches */
    enum watch_kind watch; /* DEBUG_WATCH */
    /* Single steps, as long as POLL_STEP stands: on and on while pc is in [lo, hi). */
    gva lo, hi;
    bool in_step; /* own thread */
};

struct debug_state *debug_state(struct vcpu *v);

/* -- The debugger's side: QUIESCED --------------------------------------------------------------------------------------------- */

/* Begin and end: all translations go, as their flags may be short of D3, or need not be right any more. stopped(): called in a
 * vCPU's thread when it has stopped; must not wait. The end removes all breakpoints and watchpoints. */
void debug_begin(void (*stopped)(void));
void debug_end(void);

#define DEBUG_BREAKS 1024
/* False: there are too many. Setting one that stands is no error, nor is removing one that does not. */
bool debug_break_set(gva pc, enum debug_break_kind kind);
void debug_break_clear(gva pc, enum debug_break_kind kind);
/* enum debug_break_kind bits at pc, 0: none. */
unsigned debug_break_at(gva pc);

/* Steps of v, once it is let go: one instruction, and more while pc stays in [lo, hi). No interrupt is taken in a step, and a
 * breakpoint on the first instruction does not count. */
void debug_step(struct vcpu *v, gva lo, gva hi);
/* Forget v's stop and its steps. */
void debug_reset(struct vcpu *v);

/* -- The loop's side: own thread ------------------------------------------------------------------------------------------------- */

/* Lowest breakpoint above pc, 0: none. */
gva debug_next_break(gva pc);
/* GUEST: v arrived at a breakpoint. */
NORETURN void debug_stop_at_break(struct vcpu *v);
/* SAFEPOINT, POLL_STEP stands: run one instruction. */
void debug_do_step(struct vcpu *v);
/* v came back to the loop from the middle of an instruction. */
void debug_left(struct vcpu *v);

#endif
