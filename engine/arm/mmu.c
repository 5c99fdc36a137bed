/*
 * mmu.c — walks of the guest's page tables: VMSAv7 short descriptors and long descriptors (LPAE)
 *
 * ARM DDI 0406C B3.3 (address translation), B3.5 (short), B3.6 (long), B3.7 (access control), B3.8 (memory types).
 * Order of checks, first one wins: translation fault, access flag fault, domain fault, permission fault.
 *
 * MMU off (SCTLR.M = 0): flat map, all accesses allowed, instruction fetches too. By B3.2.1 data accesses are then
 * strongly-ordered, so unaligned ones would fault or be UNPREDICTABLE; we call RAM normal memory there, as QEMU does,
 * because bare-metal programs rely on it.
 *
 * The tables are read by single-copy atomic loads from RAM, in the byte order of SCTLR.EE; a table that is not in RAM
 * is an external abort on the walk. Nothing is cached here: that is the TLB's (engine/mem).
 */
#include "engine/arm/arm.h"
#include "engine/arm/state.h"
#include "engine/mem/softmmu.h"

struct walk {
    struct vcpu *v;
    gva va;
    enum access acc;
    unsigned mode;
    struct walk_result *out;
};

static bool fault(const struct walk *w, enum arm_fault f, unsigned level)
{
    w->out->fsr = arm_fsr(w->v, f, level);
    if (!(w->v->sys.ttbcr & TTBCR_EAE))
        w->out->fsr |= (uint32_t)w->out->domain << 4;
    return false;
}

static bool read_table(gpa at, void *buf, size_t bytes)
{
    const uint8_t *host = mem_ram_ptr(at, NULL);
    if (!host)
        return false;
    host_load(buf, host, bytes);
    return true;
}

static bool read_desc32(const struct walk *w, gpa at, uint32_t *desc)
{
    if (!read_table(at, desc, 4))
        return false;
    if (w->v->sys.sctlr & SCTLR_EE)
        *desc = __builtin_bswap32(*desc);
    return true;
}

static bool read_desc64(const struct walk *w, gpa at, uint64_t *desc)
{
    if (!read_table(at, desc, 8))
        return false;
    if (w->v->sys.sctlr & SCTLR_EE)
        *desc = __builtin_bswap64(*desc);
    return true;
}

/* -- Rights ------------------------------------------------------------------------------------------ */

/* What both formats come down to. level: for the permission fault. */
static bool finish(const struct walk *w, bool user_r, bool user_w, bool priv_r, bool priv_w, bool xn, bool pxn,
                   unsigned level)
{
    struct walk_result *o = w->out;
    uint32_t sctlr = w->v->sys.sctlr;
    bool priv = w->mode == MMU_PRIV;
    o->read = priv ? priv_r : user_r;
    o->write = priv ? priv_w : user_w;
    /* B3.7.2: XN, PXN; writable memory under WXN, and under UWXN what User may write, for privileged fetches. */
    bool x = o->read && !xn;
    if (priv && pxn)
        x = false;
    if ((sctlr & SCTLR_WXN) && o->write)
        x = false;
    if ((sctlr & SCTLR_UWXN) && priv && user_w)
        x = false;
    o->exec = x;
    bool ok = w->acc == ACC_LOAD ? o->read : w->acc == ACC_STORE ? o->write : o->exec;
    return ok || fault(w, FAULT_PERMISSION, level);
}

/* -- Short descriptors -------------------------------------------------------------------------------- */

/* B3.8.2, B3.8.3: is TEX, C, B strongly-ordered or device memory? */
static bool short_device(const struct vcpu *v, unsigned tex, unsigned cb)
{
    if (v->sys.sctlr & SCTLR_TRE) {
        unsigned n = (tex & 1) << 2 | cb;
        return bits(v->sys.prrr, 2 * n + 1, 2 * n) < 2; /* 00 strongly-ordered, 01 device */
    }
    return (tex == 0 && cb < 2) || (tex == 2 && cb == 0);
}

static bool short_rights(const struct walk *w, unsigned ap, bool xn, bool pxn, unsigned level)
{
    const struct arm_sys *s = &w->v->sys;
    bool afe = s->sctlr & SCTLR_AFE;
    if (afe && !(ap & 1))
        return fault(w, FAULT_ACCESS, level);
    switch (bits(s->dacr, 2 * w->out->domain + 1u, 2 * w->out->domain)) {
    case 1: /* client: permissions are checked */ break;
    case 3: /* manager: nothing is checked, XN neither */
        w->out->read = w->out->write = w->out->exec = true;
        return true;
    default: return fault(w, FAULT_DOMAIN, level);
    }
    if (afe) /* AP[2:1]: read-only, user access */
        ap = (ap & 6) | 1;
    static const struct {
        bool ur, uw, pr, pw;
    } t[8] = {
        /* AP[2:0] (table B3-8) */
        {0, 0, 0, 0}, {0, 0, 1, 1}, {1, 0, 1, 1}, {1, 1, 1, 1}, {0, 0, 0, 0}, {0, 0, 1, 0}, {1, 0, 1, 0}, {1, 0, 1, 0},
    };
    return finish(w, t[ap].ur, t[ap].uw, t[ap].pr, t[ap].pw, xn, pxn, level);
}

static bool walk_short(const struct walk *w)
{
    const struct arm_sys *s = &w->v->sys;
    struct walk_result *o = w->out;
    unsigned n = s->ttbcr & 7;
    gpa base;
    /* B3.5.4: TTBR1 when any of the top N bits is set. */
    if (n && w->va >> (32 - n)) {
        if (s->ttbcr & BIT(5)) /* PD1 */
            return fault(w, FAULT_TRANSLATION, 1);
        base = s->ttbr1 & 0xffffc000u;
        n = 0;
    } else {
        if (s->ttbcr & BIT(4)) /* PD0 */
            return fault(w, FAULT_TRANSLATION, 1);
        base = (uint32_t)s->ttbr0 & ~((1u << (14 - n)) - 1);
    }
    uint32_t l1, l2;
    uint32_t index = (w->va << n) >> n >> 20;
    if (!read_desc32(w, base + 4 * index, &l1))
        return fault(w, FAULT_EXTERNAL_WALK, 1);

    if (l1 & 2) { /* section or supersection; bit 0 is PXN */
        unsigned ap = bit(l1, 15) << 2 | bits(l1, 11, 10), tex = bits(l1, 14, 12);
        bool super = l1 & BIT(18);
        if (super) {
            o->page_shift = 24;
            o->pa =
                (l1 & 0xff000000u) | (gpa)bits(l1, 23, 20) << 32 | (gpa)bits(l1, 8, 5) << 36 | (w->va & 0x00fff000u);
        } else {
            o->page_shift = 20;
            o->domain = (uint8_t)bits(l1, 8, 5);
            o->pa = (l1 & 0xfff00000u) | (w->va & 0x000ff000u);
        }
        o->global = !(l1 & BIT(17));
        o->device = short_device(w->v, tex, bits(l1, 3, 2));
        return short_rights(w, ap, l1 & BIT(4), l1 & 1, 1);
    }
    if (!(l1 & 1))
        return fault(w, FAULT_TRANSLATION, 1);

    o->domain = (uint8_t)bits(l1, 8, 5);
    if (!read_desc32(w, (l1 & 0xfffffc00u) + 4 * bits(w->va, 19, 12), &l2))
        return fault(w, FAULT_EXTERNAL_WALK, 2);
    if (!(l2 & 3))
        return fault(w, FAULT_TRANSLATION, 2);
    unsigned ap = bit(l2, 9) << 2 | bits(l2, 5, 4), tex;
    bool xn;
    if (l2 & 2) {
        o->page_shift = 12;
        o->pa = l2 & 0xfffff000u;
        tex = bits(l2, 8, 6);
        xn = l2 & 1;
    } else {
        o->page_shift = 16;
        o->pa = (l2 & 0xffff0000u) | (w->va & 0xf000u);
        tex = bits(l2, 14, 12);
        xn = l2 & BIT(15);
    }
    o->global = !(l2 & BIT(11));
    o->device = short_device(w->v, tex, bits(l2, 3, 2));
    return short_rights(w, ap, xn, l1 & BIT(2), 2);
}

/* -- Long descriptors ---------------------------------------------------------------------------------- */

static bool walk_long(const struct walk *w)
{
    const struct arm_sys *s = &w->v->sys;
    struct walk_result *o = w->out;
    unsigned t0 = s->ttbcr & 7, t1 = bits(s->ttbcr, 18, 16), size;
    uint64_t ttbr;
    /* B3.6.4: TTBR0 for addresses whose top T0SZ bits are 0, TTBR1 for those whose top T1SZ are 1. */
    bool low = !t0 || !(w->va >> (32 - t0));
    bool high = t1 ? (~w->va >> (32 - t1)) == 0 : !low;
    if (low && !(t1 && high && !t0)) {
        if (s->ttbcr & BIT(7)) /* EPD0 */
            return fault(w, FAULT_TRANSLATION, 1);
        ttbr = s->ttbr0;
        size = 32 - t0;
    } else if (high) {
        if (s->ttbcr & BIT(23)) /* EPD1 */
            return fault(w, FAULT_TRANSLATION, 1);
        ttbr = s->ttbr1;
        size = 32 - t1;
    } else {
        return fault(w, FAULT_TRANSLATION, 1);
    }

    /* Tables are 4 KiB with 512 entries; that of level 1 has 4 at most. */
    unsigned level = size > 30 ? 1 : 2;
    unsigned shift = level == 1 ? 30 : 21;
    gpa table = (ttbr & 0xffffffffffu) & ~((UINT64_C(8) << (size - shift)) - 1);
    uint64_t index = (w->va & (uint32_t)((UINT64_C(1) << size) - 1)) >> shift;
    /* From APTable, XNTable, PXNTable of the levels above. */
    bool no_user = false, no_write = false, xn = false, pxn = false;
    uint64_t d;
    for (;; level++, shift -= 9) {
        if (!read_desc64(w, table + 8 * index, &d))
            return fault(w, FAULT_EXTERNAL_WALK, level);
        if (!(d & 1) || (level == 3 && !(d & 2)))
            return fault(w, FAULT_TRANSLATION, level);
        if (level == 3 || !(d & 2))
            break;
        no_user |= (d >> 61) & 1;
        no_write |= (d >> 62) & 1;
        xn |= (d >> 60) & 1;
        pxn |= (d >> 59) & 1;
        table = d & 0xfffffff000u;
        index = (w->va >> (shift - 9)) & 511;
    }
    o->page_shift = (uint8_t)shift;
    gpa within = ((gpa)1 << shift) - 1;
    o->pa = (d & 0xfffffff000u & ~within) | (w->va & within & ~(gpa)0xfff);
    o->global = !((d >> 11) & 1);
    unsigned attr = bits((uint32_t)d, 4, 2);
    uint32_t mair = attr < 4 ? s->prrr : s->nmrr; /* MAIR0, MAIR1 */
    o->device = !(mair >> (8 * (attr & 3)) & 0xf0);
    if (!(d & BIT(10)))
        return fault(w, FAULT_ACCESS, level);
    bool ro = (d & BIT(7)) || no_write, user = (d & BIT(6)) && !no_user;
    return finish(w, user, user && !ro, true, !ro, xn || ((d >> 54) & 1), pxn || ((d >> 53) & 1), level);
}

bool arm_translate(struct vcpu *v, gva va, enum access acc, unsigned mode, struct walk_result *out)
{
    struct walk w = {v, va, acc, mode, out};
    memset(out, 0, sizeof(*out));
    if (!(v->sys.sctlr & SCTLR_M)) {
        out->pa = va & GUEST_PAGE_MASK;
        out->page_shift = 12;
        out->read = out->write = out->exec = out->global = true;
        return true;
    }
    return v->sys.ttbcr & TTBCR_EAE ? walk_long(&w) : walk_short(&w);
}
