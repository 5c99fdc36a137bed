/*
 * threads.c — the host threads of vCPUs: start, placement, join
 *
 * A thread is born PARKED, becomes RUNNING for its loop, and is PARKED again when the loop has been left (sync.h).
 */
#include "engine/sync/sync.h"

#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/sync/rcu.h"

/* Some 5 us. */
#define WFE_PAUSES 256

static void (*loop_body)(struct vcpu *v);

static void *thread_main(void *arg)
{
    struct vcpu *v = arg;
    struct vcpu_thread *t = vcpu_thread(v);
    current_vcpu = v;
    t->host_tid = (uint64_t)syscall(SYS_gettid);
    if (t->pin >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((unsigned)t->pin, &set);
        sched_setaffinity(0, sizeof set, &set); /* observed_cpu says whether it took */
    }
    rcu_thread_enter();
    sync_wait_end(v);
    loop_body(v);
    t->observed_cpu = sched_getcpu();
    sync_wait_begin(v);
    rcu_thread_exit();
    return NULL;
}

bool sync_start(void (*body)(struct vcpu *v), struct error *e)
{
    loop_body = body;
    cpu_set_t cpus;
    bool own_each = !sched_getaffinity(0, sizeof cpus, &cpus) && (unsigned)CPU_COUNT(&cpus) >= nvcpus;
    sync_wfe_pauses = own_each ? WFE_PAUSES : 0;
    for (unsigned i = 0; i < nvcpus; i++) {
        char name[16];
        int err = pthread_create(&vcpu_thread(vcpus[i])->thread, NULL, thread_main, vcpus[i]);
        if (err) {
            error_set(e, 1, "cannot start the thread of vCPU %u: %s", i, strerror(err));
            return false;
        }
        snprintf(name, sizeof name, "vcpu%u", i);
        pthread_setname_np(vcpu_thread(vcpus[i])->thread, name);
    }
    return true;
}

void sync_join(void)
{
    /* The caller may be a registered RCU reader: do not hold up grace periods while waiting. */
    rcu_go_offline();
    for (unsigned i = 0; i < nvcpus; i++)
        pthread_join(vcpu_thread(vcpus[i])->thread, NULL);
    rcu_go_online();
}
