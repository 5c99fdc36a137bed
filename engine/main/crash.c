/*
 * crash.c — when our own invariants break: strategies, vCPUs, and the host code that failed, then abort
 *
 * The signal handler calls what is not safe in signal handlers; the process is lost already, and the worst that
 * can come of it is a second signal, which ends it. Under the sanitizers their own handlers stay.
 */
#include "engine/main/crash.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "engine/exec/exec.h"
#include "engine/exec/fatal.h"
#include "engine/tb/code.h"
#include "engine/tb/tb.h"
#include "engine/x64/x64.h"
#include "machines/console.h"
#include "strategies/tb-cache/tb_cache.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
# define OWN_HANDLERS 0
#else
# define OWN_HANDLERS 1
#endif
#define ALT_STACK_BYTES ((size_t)256 << 10)
#define CODE_SHOWN      48 /* bytes around the failing instruction */

static const struct resolved *config; /* const after LAUNCH */
static _Thread_local void *alt_stack;

static void print_run(void)
{
    fprintf(stderr, "dbtlab: ran with --engine=%s", exec_config.engine == ENGINE_INTERP ? "interp" : "jit");
    for (unsigned i = 0; i < naxes; i++)
        fprintf(stderr, " --%s=%s", axes[i].name, config->scheme[i]->name);
    fprintf(stderr, " --smp=%u\n", nvcpus);
    if (current_vcpu)
        fprintf(stderr, "dbtlab: in the thread of vCPU %u\n", current_vcpu->index);
    for (unsigned i = 0; i < nvcpus; i++) {
        if (vcpus[i]) {
            fatal_dump_vcpu(stderr, vcpus[i]);
            fatal_dump_events(stderr, vcpus[i]);
        }
    }
    fflush(stderr);
}

#if OWN_HANDLERS

static const uint8_t *wanted;
static const struct tb *found;

static void find_block(struct tb *tb)
{
    const uint8_t *begin = tb->entry_xpage;
    if (begin && wanted >= begin && wanted < begin + tb->code_bytes)
        found = tb;
}

static void print_line(void *ctx, const char *text)
{
    fprintf(stderr, "  %s%s\n", (const char *)ctx, text);
}

static void print_code(uint64_t pc)
{
    wanted = (const uint8_t *)(uintptr_t)pc;
    found = NULL;
    if (tb_cache)
        tb_for_each(find_block);
    if (!found) {
        fprintf(stderr, "dbtlab: in a stub or a block that is no more\n");
        x64_dump(wanted, CODE_SHOWN, pc, print_line, "");
        return;
    }
    uint64_t begin = (uintptr_t)found->entry_xpage;
    fprintf(stderr, "dbtlab: in the block of guest pc %08x (%u instructions, flags %x), %" PRIu64 " bytes into it%s\n",
            found->key.pc, found->ninsns, found->key.flags, pc - begin, tb_is_dead(found) ? ", which is dead" : "");
    x64_dump(found->entry_xpage, pc - begin, begin, print_line, "   ");
    x64_dump(wanted, found->code_bytes - (pc - begin), pc, print_line, "=> ");
}

static void handler(int sig, siginfo_t *info, void *context)
{
    /* The next one, from here or from another thread, ends the process at once. */
    signal(sig, SIG_DFL);
    ucontext_t *uc = context;
    uint64_t pc = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
    console_restore();
    bool ours = code_is_ours(pc);
    fprintf(stderr, "dbtlab: %s at host address %p, host pc %#" PRIx64 "%s\n", strsignal(sig), info->si_addr, pc,
            ours ? ", in code memory" : "");
    print_run();
    if (ours) {
        static const char *const names[] = {"r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15",
                                            "rdi", "rsi", "rbp", "rbx", "rdx", "rax", "rcx", "rsp"};
        for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
            fprintf(stderr, "  %-3s %016llx%s", names[i], (unsigned long long)uc->uc_mcontext.gregs[i],
                    i % 4 == 3 ? "\n" : "");
        print_code(pc);
    }
    fflush(stderr);
    signal(SIGABRT, SIG_DFL);
    abort();
}

#endif

void crash_init(const struct resolved *r)
{
    config = r;
    check_failed_hook = print_run;
#if OWN_HANDLERS
    struct sigaction act = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    for (unsigned i = 0; i < ARRAY_SIZE(signals); i++)
        sigaction(signals[i], &act, NULL);
#endif
}

void crash_thread_enter(void)
{
    if (!OWN_HANDLERS)
        return;
    void *p = mmap(NULL, ALT_STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return;
    alt_stack = p;
    stack_t s = {.ss_sp = p, .ss_size = ALT_STACK_BYTES};
    sigaltstack(&s, NULL);
}

void crash_thread_exit(void)
{
    if (!alt_stack)
        return;
    stack_t s = {.ss_flags = SS_DISABLE};
    sigaltstack(&s, NULL);
    munmap(alt_stack, ALT_STACK_BYTES);
    alt_stack = NULL;
}
