/*
 * monitor.c — what can be asked of a running guest: Ctrl-A c or a debugger's `monitor`, then `help`
 *
 * Context: the console's thread, or the debugger's. Counters are read while their owners count: they may lag. Registers are read with all
 * vCPUs standing still.
 */
#include "engine/main/monitor.h"

#include <stdarg.h>
#include <stdio.h>

#include "engine/gdb/server.h"
#include "engine/sync/sync.h"
#include "engine/tb/tb.h"
#include "engine/mem/mem.h"
#include "machines/console.h"

static const struct resolved *resolved; /* const after LAUNCH */

static _Thread_local void (*out)(const char *text); /* who asked, in this thread */

PRINTF_LIKE(1, 2) static void say(const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    out(text);
}

static void info_strategies(void)
{
    for (unsigned i = 0; i < naxes; i++)
        say("%-14s %s: %s\n", axes[i].name, resolved->scheme[i]->name, resolved->scheme[i]->summary);
}

static uint64_t total(enum counter_id id)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < nvcpus; i++)
        sum += vcpus[i]->counters[id];
    return sum;
}

static void info_tb(void)
{
    static const enum counter_id shown[] = {CNT_TB_TRANSLATED, CNT_TB_CHAINED, CNT_TB_INVALIDATED, CNT_TB_FLUSHES,
                                            CNT_JC_MISS};
    static const char *const names[] = {"translated", "jumps patched", "invalidated", "flushes", "jump cache misses"};
    say("live blocks        %" PRIu64 "\n", tb_live_count());
    for (size_t i = 0; i < ARRAY_SIZE(shown); i++)
        say("%-18s %" PRIu64 "\n", names[i], total(shown[i]));
}

static void print_vcpus(struct vcpu *unused, uintptr_t arg)
{
    (void)unused;
    (void)arg;
    for (unsigned i = 0; i < nvcpus; i++) {
        const struct vcpu *v = vcpus[i];
        say("vCPU %u: pc %08x sp %08x lr %08x mode %02x%s, host thread %" PRIu64 "\n", i, v->r[15] & ~1u, v->r[13],
            v->r[14], v->cpsr & 0x1f, vcpu_thread(vcpus[i])->state == VT_ASLEEP ? ", asleep" : "",
            vcpu_thread(vcpus[i])->host_tid);
    }
}

static void print_line(const char *text)
{
    say("%s\n", text);
}

static void leave(void)
{
    machine_request_end(END_EXIT, 0);
}

static void reset(void)
{
    machine_request_end(END_RESET, 0);
}

void monitor_ask(const char *line, void (*print)(const char *text))
{
    out = print;
    if (!strcmp(line, "info strategies"))
        info_strategies();
    else if (!strcmp(line, "info tb"))
        info_tb();
    else if (!strcmp(line, "info vcpus"))
        sync_safe_work(NULL, print_vcpus, 0);
    else if (!strcmp(line, "info mtree"))
        mem_print_map(print_line);
    else if (!strcmp(line, "reset"))
        gdb_wait_for_reset(reset);
    else if (!strcmp(line, "quit") || !strcmp(line, "q"))
        leave();
    else
        say("info strategies|tb|vcpus|mtree   reset   quit\n");
}

static bool command(const char *line)
{
    if (!*line || !strcmp(line, "continue") || !strcmp(line, "c"))
        return *line == 0;
    monitor_ask(line, console_monitor_print);
    if (!strcmp(line, "help"))
        say("continue; Ctrl-A c turns back to the guest, Ctrl-A x leaves\n");
    return true;
}

void monitor_setup(const struct resolved *r)
{
    resolved = r;
}

void monitor_on_console(void)
{
    console_raw(leave, command);
}
