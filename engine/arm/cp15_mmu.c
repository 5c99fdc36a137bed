/*
 * cp15_mmu.c — the MMU's registers: translation control, address translation operations, TLB maintenance (ARM DDI 0406C B3)
 *
 * The walks are in mmu.c, and what is kept of them is the TLB's (engine/mem): here is said when that must forget.
 */
#include "engine/arm/cp15.h"

#include "engine/arm/arm.h"
#include "engine/arm/cp15_reg.h"
#include "engine/arm/state.h"
#include "engine/mem/softmmu.h"
#include "engine/sync/sync.h"

/* -- Translation control ------------------------------------------------------------------------------ */

/* The ASID that non-global entries of v belong to (B3.9.1). */
static uint32_t asid(const struct vcpu *v)
{
    const struct arm_sys *s = &v->sys;
    if (!(s->ttbcr & TTBCR_EAE))
        return s->contextidr & 0xff;
    return (uint32_t)((s->ttbcr & BIT(22) ? s->ttbr1 : s->ttbr0) >> 48) & 0xff;
}

static void asid_may_have_changed(struct vcpu *v, uint32_t old)
{
    if (asid(v) != old)
        softmmu_flush_nonglobal(v);
}

void cp15_sctlr_write(struct vcpu *v, const struct reg *r, uint32_t val)
{
    uint32_t old = v->sys.sctlr;
    v->sys.sctlr = (val & r->mask) | (r->value & ~r->mask);
    if ((old ^ v->sys.sctlr) & (SCTLR_M | SCTLR_WXN | SCTLR_UWXN | SCTLR_EE | SCTLR_TRE | SCTLR_AFE))
        softmmu_flush_all(v);
}

void cp15_flushing_write(struct vcpu *v, const struct reg *r, uint32_t val)
{
    uint32_t *f = cp15_field(v, r), old = *f;
    *f = (old & ~r->mask) | (val & r->mask);
    if (*f != old)
        softmmu_flush_all(v);
}

void cp15_ttbcr_write(struct vcpu *v, const struct reg *r, uint32_t val)
{
    uint32_t old = v->sys.ttbcr;
    (void)r;
    v->sys.ttbcr = val & (val & TTBCR_EAE ? 0xffff3f87u | BIT(22) : 0x37u);
    if (v->sys.ttbcr != old)
        softmmu_flush_all(v);
}

static uint64_t *ttbr(struct vcpu *v, unsigned n)
{
    return n ? &v->sys.ttbr1 : &v->sys.ttbr0;
}

uint32_t cp15_ttbr_read(struct vcpu *v, const struct reg *r)
{
    return (uint32_t)*ttbr(v, r->arg);
}

/* No flush: software switches the ASID or flushes (B3.10.4). */
void cp15_ttbr_write(struct vcpu *v, const struct reg *r, uint32_t val)
{
    uint64_t *t = ttbr(v, r->arg);
    *t = (*t & ~UINT64_C(0xffffffff)) | val;
}

uint64_t cp15_ttbr_read64(struct vcpu *v, const struct reg64 *r)
{
    return *ttbr(v, r->arg);
}

void cp15_ttbr_write64(struct vcpu *v, const struct reg64 *r, uint64_t val)
{
    uint32_t old = asid(v);
    *ttbr(v, r->arg) = val & UINT64_C(0x00ffffffffffffff);
    asid_may_have_changed(v, old);
}

void cp15_dacr_write(struct vcpu *v, const struct reg *r, uint32_t val)
{
    uint32_t old = v->sys.dacr;
    (void)r;
    v->sys.dacr = val;
    softmmu_dacr_changed(v, old);
}

void cp15_contextidr_write(struct vcpu *v, const struct reg *r, uint32_t val)
{
    uint32_t old = asid(v);
    (void)r;
    v->sys.contextidr = val;
    asid_may_have_changed(v, old);
}

/* -- Address translation operations --------------------------------------------------------------------- */

/* B3.11.1; attributes of the memory are not reported. */
void cp15_ats_write(struct vcpu *v, const struct reg *r, uint32_t val)
{
    struct walk_result w;
    bool lpae = v->sys.ttbcr & TTBCR_EAE;
    if (arm_translate(v, val, r->arg & 1 ? ACC_STORE : ACC_LOAD, r->arg & 2 ? MMU_USER : MMU_PRIV, &w)) {
        if (lpae)
            v->sys.par = (w.pa & 0xfffffff000u) | BIT(11);
        else if (w.page_shift == 24) /* SS: PA[39:32] in bits 23..16 */
            v->sys.par = (w.pa & 0xff000000u) | (w.pa >> 32 & 0xff) << 16 | 2;
        else
            v->sys.par = w.pa & 0xfffff000u;
    } else if (lpae) {
        v->sys.par = (w.fsr & 0x3f) << 1 | BIT(11) | 1;
    } else {
        v->sys.par = (bit(w.fsr, 10) << 4 | (w.fsr & 15)) << 1 | 1;
    }
}

uint32_t cp15_par_read(struct vcpu *v, const struct reg *r)
{
    (void)r;
    return (uint32_t)v->sys.par;
}

void cp15_par_write(struct vcpu *v, const struct reg *r, uint32_t val)
{
    (void)r;
    v->sys.par = val;
}

uint64_t cp15_par_read64(struct vcpu *v, const struct reg64 *r)
{
    (void)r;
    return v->sys.par;
}

void cp15_par_write64(struct vcpu *v, const struct reg64 *r, uint64_t val)
{
    (void)r;
    v->sys.par = val;
}

/* -- TLB maintenance --------------------------------------------------------------------------------------- */

static void tlbi_all(struct vcpu *v, uintptr_t arg)
{
    (void)arg;
    softmmu_flush_all(v);
}

/* By address and ASID: the flat tables hold one ASID, and global entries match any; for others there is nothing
 * to take away but the global ones, so the ASID is not looked at. */
static void tlbi_mva(struct vcpu *v, uintptr_t arg)
{
    softmmu_flush_page(v, (gva)arg);
}

static void tlbi_asid(struct vcpu *v, uintptr_t arg)
{
    if ((arg & 0xff) == asid(v))
        softmmu_flush_nonglobal(v);
}

static const work_fn tlbi_fn[] = {tlbi_all, tlbi_mva, tlbi_asid, tlbi_mva};

void cp15_tlbi_write(struct vcpu *v, const struct reg *r, uint32_t val)
{
    tlbi_fn[r->arg & 3](v, val);
    if (!(r->arg & TLBI_IS) || nvcpus <= 1)
        return;
    /* B3.10.5: complete for the other CPUs by the next DSB, and not before. A kernel that changes many pages sends one
     * operation for each: to wait for every vCPU each time costs a turn of the host's scheduler. */
    struct arm_sys *s = &v->sys;
    if (s->tlbi_held < TLBI_HELD) {
        s->tlbi_op[s->tlbi_held] = r->arg & 3;
        s->tlbi_arg[s->tlbi_held] = val;
    }
    s->tlbi_held += s->tlbi_held <= TLBI_HELD;
}

void cp15_tlbi_complete(struct vcpu *v)
{
    struct arm_sys *s = &v->sys;
    uint32_t n = s->tlbi_held;
    s->tlbi_held = 0;
    if (n > TLBI_HELD) {
        sync_queue_all_synced(v, tlbi_all, 0);
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        sync_queue_all_synced(v, tlbi_fn[s->tlbi_op[i]], s->tlbi_arg[i]);
}
