/*
 * launch.c — one run of a guest: the order in which everything comes to life, ends, and goes
 *
 * Life of a run: options are checked, schemes chosen (resolve.c) -> code memory, stubs -> vCPU structs -> machine and image
 * -> softmmu and loop state of each vCPU -> the schemes' own state -> registers of the entry state -> grace
 * periods, console, timers -> vCPU threads. The end comes by machine_request_end() from any thread, by --timeout, or by
 * the last vCPU leaving its loop; this thread then takes all down in the reverse order.
 *
 * L1  Strategies are chosen before anything can store to guest memory, for stores ask the atomics scheme.
 * L2  No thread but this one exists before start_threads() and after join(): LAUNCH context.
 * L3  A reset of the machine joins the vCPU threads and starts new ones; nothing of ours is made anew.
 */
#include "engine/main/launch.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "engine/arm/arm.h"
#include "engine/arm/sys_helpers.h"
#include "engine/exec/chaos.h"
#include "engine/exec/exec.h"
#include "engine/exec/fatal.h"
#include "engine/gdb/server.h"
#include "engine/main/crash.h"
#include "engine/main/monitor.h"
#include "engine/main/pin.h"
#include "engine/main/psci.h"
#include "engine/main/semihost.h"
#include "engine/main/stats.h"
#include "engine/mem/mem.h"
#include "engine/mem/softmmu.h"
#include "engine/sync/rcu.h"
#include "engine/sync/sync.h"
#include "engine/tb/code.h"
#include "engine/tb/tb.h"
#include "engine/vcpu/vcpu_alloc.h"
#include "engine/x64/x64.h"
#include "machines/console.h"
#include "machines/timers.h"
#include "strategies/atomics/atomics.h"
#include "strategies/invalidation/invalidation.h"
#include "strategies/tb-cache/tb_cache.h"
#include "strategies/tb-lifetime/tb_lifetime.h"

#define SECOND_NS UINT64_C(1000000000)
#define STOP_GRACE_NS \
 (20 * SECOND_NS) /* a vCPU that has not come to a safepoint by then is stuck in a call of ours or the host's */

static struct machine machine;
static const struct run_options *options; /* const after LAUNCH */

/* -- The end ------------------------------------------------------------------------------------------------------------ */

static pthread_mutex_t end_lock = PTHREAD_MUTEX_INITIALIZER; /* a leaf */
static pthread_cond_t end_changed;
static struct {
    bool requested;
    enum machine_end how;
    int exit_code;
    unsigned inside; /* vCPU threads in their loops */
} end;               /* guarded by end_lock */

void machine_request_end(enum machine_end how, int exit_code)
{
    pthread_mutex_lock(&end_lock);
    if (!end.requested) {
        end.requested = true;
        end.how = how;
        end.exit_code = how == END_SHUTDOWN ? 0 : exit_code;
    }
    pthread_cond_broadcast(&end_changed);
    pthread_mutex_unlock(&end_lock);
    sync_stop_all();
}

/* Wait until the end is requested, or all vCPUs have left. False: not before that time of now_ns() (0: no limit). */
static bool wait_for(bool all_left, uint64_t until_ns)
{
    struct timespec until = {.tv_sec = (time_t)(until_ns / SECOND_NS), .tv_nsec = (long)(until_ns % SECOND_NS)};
    int err = 0;
    rcu_go_offline(); /* no grace period waits for this thread */
    pthread_mutex_lock(&end_lock);
    while (err != ETIMEDOUT && end.inside && (all_left || !end.requested))
        err = until_ns ? pthread_cond_timedwait(&end_changed, &end_lock, &until)
                       : pthread_cond_wait(&end_changed, &end_lock);
    bool done = !end.inside || (!all_left && end.requested);
    pthread_mutex_unlock(&end_lock);
    rcu_go_online();
    return done;
}

/* -- A vCPU's thread -------------------------------------------------------------------------------------------------------- */

static void run_vcpu(struct vcpu *v)
{
    if (!options->insns && !options->step) {
        invalidation->cpu_exec(v);
        return;
    }
    uint64_t left = options->insns ? options->insns : UINT64_MAX;
    while (left && !sync_stopping()) {
        uint64_t n = options->step && options->step < left ? options->step : left;
        uint64_t ran = invalidation->cpu_exec_bounded(v, n);
        left -= ran < left ? ran : left;
    }
    if (!left)
        machine_request_end(END_EXIT, 0);
}

static void body(struct vcpu *v)
{
    crash_thread_enter();
    run_vcpu(v);
    crash_thread_exit();
    pthread_mutex_lock(&end_lock);
    end.inside--;
    pthread_cond_broadcast(&end_changed);
    pthread_mutex_unlock(&end_lock);
}

static bool start_threads(struct error *e)
{
    pthread_mutex_lock(&end_lock);
    end.requested = false;
    end.exit_code = 0;
    end.inside = nvcpus;
    pthread_mutex_unlock(&end_lock);
    return sync_start(body, e);
}

/* -- Coming to life ------------------------------------------------------------------------------------------------------------ */

static void configure(const struct resolved *r)
{
    exec_config.engine = options->engine == OPTION_ENGINE_INTERP ? ENGINE_INTERP : ENGINE_JIT;
    exec_config.no_chain = options->no_chain;
    exec_config.count_insns = options->count_insns;
    tb_iciallu_flushes = options->iciallu == OPTION_ICIALLU_FLUSH;
    exec_config.max_insns = (unsigned)options->max_insns;
    exec_config.dump = r->dump;
    exec_config.dump_lo = r->dump_lo;
    exec_config.dump_hi = r->dump_hi;
    for (unsigned i = 0; i < naxes; i++)
        axes[i].choose(r->scheme[i]);
}

static bool make_vcpus(struct error *e)
{
    for (unsigned i = 0; i < options->smp; i++) {
        if (!vcpu_alloc(i, e) || !sync_init_vcpu(vcpus[i], e))
            return false;
        nvcpus = i + 1;
    }
    return true;
}

static bool make_machine(const struct resolved *r, struct error *e)
{
    const struct machine_config cfg = {
        .smp = (unsigned)options->smp,
        .ram_bytes = options->memory,
        .image = options->image,
        .raw = options->raw,
        .dtb = options->dtb,
        .kernel = options->kernel,
        .initrd = options->initrd,
        .append = options->append,
        .uart1 = options->uart1,
        .disk = options->disk,
        .sd = options->sd,
        .virtio_console = options->virtio_console,
        .net = !strcmp(options->net, "none") ? NULL : options->net,
        .psci = (enum psci_method)options->psci,
        .argv = options->guest_args,
        .uart_fd_in = STDIN_FILENO,
        .uart_fd_out = STDOUT_FILENO,
    };
    machine.type = r->machine;
    return r->machine->create(&machine, &cfg, e);
}

static bool launch_schemes(struct error *e)
{
    if ((tb_cache->launch && !tb_cache->launch(tb_lifetime->chunks_per_pool, e)) ||
        (tb_lifetime->launch && !tb_lifetime->launch(e)) || (invalidation->launch && !invalidation->launch(e)) ||
        (atomics->launch && !atomics->launch(e)))
        return false;
    for (unsigned i = 0; i < nvcpus; i++)
        if ((tb_cache->vcpu_init && !tb_cache->vcpu_init(vcpus[i], e)) ||
            (invalidation->vcpu_init && !invalidation->vcpu_init(vcpus[i], e)) ||
            (atomics->vcpu_init && !atomics->vcpu_init(vcpus[i], e)))
            return false;
    return true;
}

/* Registers as the machine has them at power-on. A CPU that is off waits for PSCI's CPU_ON. */
static void enter_state(void)
{
    for (unsigned i = 0; i < nvcpus; i++) {
        uint32_t regs[16] = {0}, cpsr = 0;
        bool on = true;
        machine.type->entry_state(&machine, i, regs, &cpsr, &on);
        arm_reset(vcpus[i], regs, cpsr);
        atomic_store_explicit(&vcpus[i]->event, 0, memory_order_relaxed);
        vcpu_request_sleep(vcpus[i], on ? 0 : SLEEP_OFF);
        psci_reset(i, on);
        vcpu_thread(vcpus[i])->ack_wait = false;
    }
}

static bool come_to_life(const struct resolved *r, struct error *e)
{
    configure(r); /* L1 */
    if (!code_memory_init(options->code_memory, e) || (exec_config.engine == ENGINE_JIT && !x64_init(e)))
        return false;
    if (!make_vcpus(e) || !make_machine(r, e))
        return false;
    for (unsigned i = 0; i < nvcpus; i++) {
        vcpus[i]->cpu_ops = machine.type->cpu_ops;
        if (!softmmu_init(vcpus[i], e) || !exec_init_vcpu(vcpus[i], e))
            return false;
    }
    arm_clear_exclusive = atomics->clear;
    arm_semihost = options->semihosting == SEMIHOSTING_ON ? semihost_from_guest : NULL;
    semihost_setup_waits();
    psci_setup(machine.psci);
    if (!launch_schemes(e))
        return false;
    enter_state();
    return pin_vcpus(options->pin, options->verbose, e);
}

/* -- Reset ----------------------------------------------------------------------------------------------------------------------- */

/* All vCPU threads are joined, here and below. */
static void drop_blocks(void)
{
    quiesce_begin(NULL);
    tb_flush_quiesced(NULL);
    for (unsigned i = 0; i < nvcpus; i++)
        exec_state(vcpus[i])->last = NULL;
    quiesce_end(NULL);
}

static void reset_machine(void)
{
    drop_blocks();
    quiesce_begin(NULL);
    for (unsigned i = 0; i < nvcpus; i++) {
        softmmu_flush_all(vcpus[i]);
        if (atomics->clear)
            atomics->clear(vcpus[i]);
    }
    device_lock();
    machine.type->reset(&machine);
    device_unlock();
    enter_state();
    quiesce_end(NULL); /* till here no debugger looks */
    sync_stop_clear();
}

/* -- Running and going ------------------------------------------------------------------------------------------------------------ */

static void dump_all(const char *why)
{
    fprintf(stderr, "dbtlab: %s\n", why);
    for (unsigned i = 0; i < nvcpus; i++)
        fatal_dump_vcpu(stderr, vcpus[i]);
}

/* Bring all vCPUs out of their loops. Returns false when one does not come. */
static bool stop_and_join(void)
{
    sync_stop_all();
    if (!wait_for(true, now_ns() + STOP_GRACE_NS))
        return false;
    sync_join();
    return true;
}

/* From the first instruction to the last. Returns the exit code. */
static int run(struct error *e)
{
    uint64_t deadline = options->timeout ? now_ns() + options->timeout * SECOND_NS : 0;
    for (;;) {
        if (!start_threads(e)) { /* some run already: nothing can be undone in order */
            fprintf(stderr, "dbtlab: %s\n", e->text);
            console_restore();
            _exit(e->exit_code);
        }
        gdb_machine_reset(); /* if that is why we are here again */
        bool timely = wait_for(false, deadline);
        if (!stop_and_join()) {
            dump_all("a vCPU did not come back to its loop; the registers are those of its last safepoint");
            fflush(NULL);
            console_restore();
            _exit(timely ? 1 : EXIT_TIMEOUT);
        }
        if (!timely) {
            char why[80];
            snprintf(why, sizeof why, "timeout after %" PRIu64 " s", options->timeout);
            dump_all(why);
            return EXIT_TIMEOUT;
        }
        if (!end.requested || end.how != END_RESET || options->no_reboot)
            break;
        reset_machine();
    }
    if (options->insns)
        dump_all("state after --insns");
    return end.requested ? end.exit_code : 0;
}

/* Also of what has come to life only in part. */
static void take_down(void)
{
    if (tb_cache && tb_cache->shutdown)
        tb_cache->shutdown();
    if (atomics && atomics->shutdown)
        atomics->shutdown();
    for (unsigned i = 0; i < nvcpus; i++) {
        softmmu_free(vcpus[i]);
        free(vcpus[i]->exec);
        sync_free_vcpu(vcpus[i]);
    }
    mem_free_all();
    code_memory_free();
    vcpu_free_all();
}

int launch(const struct run_options *o, const struct resolved *r, struct error *e)
{
    options = o;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&end_changed, &attr);
    signal(SIGPIPE, SIG_IGN); /* a reader of our output that goes away does not end the guest */

    crash_init(r);
    if ((o->stats && !stats_check(o, e)) || !come_to_life(r, e)) {
        take_down();
        return e->exit_code;
    }
    monitor_setup(r);
    if (o->kernel)
        monitor_on_console();
    rcu_engine_init();
    if (!console_start(e) || !timers_start(e))
        return e->exit_code;
    if (o->gdb && !gdb_start(o->gdb, !o->gdb_nowait, monitor_ask, e)) {
        console_stop();
        timers_stop();
        return e->exit_code;
    }
    chaos_start();
    uint64_t begin = now_ns();
    int exit_code = run(e);
    gdb_stop(exit_code);
    uint64_t wall_ns = now_ns() - begin;
    chaos_stop();
    timers_stop();
    console_stop(); /* first: its thread tells devices of input */
    if (machine.type->stop)
        machine.type->stop(&machine);
    if (o->stats && !stats_write(o, r, wall_ns, e))
        exit_code = e->exit_code;
    drop_blocks(); /* an index can be freed only when it is empty */
    rcu_engine_stop();
    take_down();
    return exit_code;
}
