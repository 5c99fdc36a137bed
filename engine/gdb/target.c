/*
 * target.c — the running machine as the commands of the protocol see it
 */
#include "engine/gdb/target.h"

#include <stdio.h>

#include "engine/arm/arm.h"
#include "engine/mem/peek.h"
#include "engine/sync/rcu.h"
#include "engine/sync/sync.h"

static unsigned told; /* vCPU whose stop was told last */

static uint32_t everybody(void)
{
    return nvcpus == 32 ? UINT32_MAX : BIT(nvcpus) - 1;
}

/* Offline while it waits, or a vCPU that waits for a grace period would wait for us and we for it. */
static void begin(void)
{
    quiesce_begin(NULL);
    rcu_go_online();
}

static void end(void)
{
    rcu_go_offline();
    quiesce_end(NULL);
}

/* -- Stops ------------------------------------------------------------------------------------------------------------------------ */

void target_attach(void (*stopped)(void))
{
    sync_hold(everybody());
    begin();
    debug_begin(stopped);
    end();
    told = 0;
}

void target_detach(void)
{
    begin();
    debug_end();
    end();
    sync_let_go(everybody());
}

void target_stop(void)
{
    sync_hold(everybody());
    begin(); /* returns when nobody is in guest code; held, nobody goes back there */
    end();
}

struct target_stop target_why(void)
{
    struct target_stop s = {.vcpu = told};
    begin();
    int rank = 0;
    for (unsigned i = 1; i <= nvcpus; i++) {
        unsigned n = (told + i) % nvcpus;
        const struct debug_state *d = debug_state(vcpus[n]);
        int r = d->why == DEBUG_STEP ? 2 : d->why != DEBUG_NONE;
        if (r > rank) {
            rank = r;
            s = (struct target_stop){n, d->why, d->addr, d->watch, debug_break_at(vcpus[n]->r[15] & ~1u)};
        }
    }
    for (unsigned i = 0; i < nvcpus; i++)
        if (i == s.vcpu || debug_state(vcpus[i])->why != DEBUG_STEP)
            debug_reset(vcpus[i]);
    end();
    told = s.vcpu;
    return s;
}

bool target_resume(const struct target_resume r[MAX_VCPUS])
{
    uint32_t go = 0;
    bool kept = false;
    begin();
    for (unsigned i = 0; i < nvcpus; i++)
        kept |= r[i].action == ACTION_STEP && debug_state(vcpus[i])->why == DEBUG_STEP;
    for (unsigned i = 0; i < nvcpus && !kept; i++) {
        if (r[i].action == ACTION_NONE)
            continue;
        go |= BIT(i);
        debug_reset(vcpus[i]);
        if (r[i].action == ACTION_STEP)
            debug_step(vcpus[i], r[i].lo, r[i].hi);
    }
    end();
    if (go)
        sync_let_go(go);
    return !kept;
}

/* -- Registers and memory ------------------------------------------------------------------------------------------------------------ */

void target_registers(unsigned vcpu, uint8_t out[REGISTERS_BYTES])
{
    begin();
    for (unsigned n = 0; n < REGISTERS; out += register_bytes(n++))
        register_read(vcpus[vcpu], n, out);
    end();
}

void target_set_registers(unsigned vcpu, const uint8_t in[REGISTERS_BYTES])
{
    /* CPSR first: it says to which bank sp and lr belong, and whether pc is Thumb. */
    const uint8_t *at[REGISTERS];
    for (unsigned n = 0; n < REGISTERS; in += register_bytes(n++))
        at[n] = in;
    begin();
    register_write(vcpus[vcpu], REG_CPSR, at[REG_CPSR]);
    for (unsigned n = 0; n < REGISTERS; n++)
        if (n != REG_CPSR)
            register_write(vcpus[vcpu], n, at[n]);
    end();
}

void target_register(unsigned vcpu, unsigned n, uint8_t out[8])
{
    begin();
    register_read(vcpus[vcpu], n, out);
    end();
}

void target_set_register(unsigned vcpu, unsigned n, const uint8_t in[8])
{
    begin();
    register_write(vcpus[vcpu], n, in);
    end();
}

size_t target_read(unsigned vcpu, gva va, void *buf, size_t bytes)
{
    begin();
    size_t n = mem_peek(vcpus[vcpu], va, buf, bytes);
    end();
    return n;
}

bool target_write(unsigned vcpu, gva va, const void *buf, size_t bytes)
{
    begin();
    bool ok = mem_poke(vcpus[vcpu], va, buf, bytes);
    end();
    return ok;
}

/* -- Breakpoints and watchpoints ------------------------------------------------------------------------------------------------------ */

bool target_point(unsigned type, gva addr, uint32_t kind, bool set)
{
    static const enum watch_kind watched[] = {[2] = WATCH_WRITE, [3] = WATCH_READ, [4] = WATCH_ACCESS};
    bool ok = true;
    begin();
    if (type < 2) {
        enum debug_break_kind how = type == 0 ? BREAK_SOFTWARE : BREAK_HARDWARE;
        if (set)
            ok = debug_break_set(addr & ~1u, how);
        else
            debug_break_clear(addr & ~1u, how);
    } else if (set) {
        ok = watch_set(addr, kind, watched[type]);
    } else {
        watch_clear(addr, kind, watched[type]);
    }
    end();
    return ok;
}

/* -- Threads ----------------------------------------------------------------------------------------------------------------------------- */

void target_describe(unsigned vcpu, char *out, size_t size)
{
    static const char *const modes[32] = {
        [MODE_USR] = "usr", [MODE_FIQ] = "fiq", [MODE_IRQ] = "irq", [MODE_SVC] = "svc", [MODE_MON] = "mon",
        [MODE_ABT] = "abt", [MODE_HYP] = "hyp", [MODE_UND] = "und", [MODE_SYS] = "sys"};
    static const char *const sleeps[] = {[0] = "",
                                         [SLEEP_WFI] = ", waits for an interrupt",
                                         [SLEEP_WFE] = ", waits for an event",
                                         [SLEEP_OFF] = ", off",
                                         [SLEEP_CALL] = ", waits in a semihosting call"};
    struct vcpu *v = vcpus[vcpu];
    begin();
    const char *mode = modes[v->cpsr & 0x1f];
    snprintf(out, size, "%s%s", mode ? mode : "?", sleeps[vcpu_thread(v)->sleep]);
    end();
}
