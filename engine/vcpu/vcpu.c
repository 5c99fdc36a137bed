/*
 * vcpu.c — making vCPUs, and leaving translated code from the middle of an instruction
 */
#include "engine/vcpu/vcpu.h"

#include <errno.h>
#include <sys/mman.h>

#include "engine/vcpu/vcpu_alloc.h"

struct vcpu *vcpus[MAX_VCPUS];
unsigned nvcpus;
_Thread_local struct vcpu *current_vcpu;

bool vcpu_alloc(unsigned index, struct error *e)
{
    /* 56 MiB of address space, of which only what the guest touches becomes memory. */
    void *p =
        mmap(NULL, sizeof(struct vcpu), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        error_set(e, 1, "cannot reserve %zu MiB of address space for vCPU %u: %s; lower --smp or the limit (ulimit -v)",
                  sizeof(struct vcpu) >> 20, index, strerror(errno));
        return false;
    }
    struct vcpu *v = p;
    v->index = index;
    for (unsigned m = 0; m < MMU_MODES; m++)
        for (unsigned i = 0; i < JC_ENTRIES; i++)
            atomic_store_explicit(&v->jc[m][i].key, JC_EMPTY(i), memory_order_relaxed);
    vcpus[index] = v;
    return true;
}

/* -- Jump cache ---------------------------------------------------------------------------------------------------------- */

void jc_clear_mode(struct vcpu *v, unsigned mode)
{
    for (unsigned w = 0; w < JC_ENTRIES / 64; w++) {
        for (uint64_t set = v->jc_filled[mode][w]; set; set &= set - 1)
            jc_drop(v, mode, w * 64 + (unsigned)__builtin_ctzll(set));
        v->jc_filled[mode][w] = 0;
    }
}

void jc_clear(struct vcpu *v)
{
    for (unsigned mode = 0; mode < MMU_MODES; mode++)
        jc_clear_mode(v, mode);
}

void vcpu_free_all(void)
{
    for (unsigned i = 0; i < MAX_VCPUS; i++) {
        if (vcpus[i])
            munmap(vcpus[i], sizeof(struct vcpu));
        vcpus[i] = NULL;
    }
    nvcpus = 0;
}

void vcpu_leave(struct vcpu *v, enum leave_reason why)
{
    DCHECK(v == current_vcpu, "vCPU %u leaves in another thread", v->index);
    v->leave_reason = why;
    longjmp(v->leave, 1);
}

void vcpu_leave_for(struct vcpu *v, void (*work)(struct vcpu *v, uintptr_t arg), uintptr_t arg)
{
    v->leave_work = work;
    v->leave_arg = arg;
    vcpu_leave(v, LEAVE_SAFEWORK);
}
