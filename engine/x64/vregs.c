/*
 * vregs.c — the guest's vector registers while a block runs: what xmm registers hold
 *
 * v->vfp[] is always right: results are stored at once, and the xmm register they were made in is remembered, so that
 * the next operation does not wait for the store. Nothing has to be written back at an exit, a fault or a call; a call merely
 * loses the registers. V1..V3 say when one may be used.
 *
 * V1  A register holds `len` bytes of v->vfp[] from `off` on in its low bytes; those above are anything.
 * V2  Whatever writes to v->vfp[] by other means says so: vreg_wrote().
 * V3  C functions lose all of them, and labels do: vreg_drop_all(). So do LDM, STM and exclusives, whose slow paths call C. Only the slow paths of loads and stores and of the
 *     operations in lower_fp.c and lower_vec.c, which are left and come back in the middle of the straight line, call C through
 *     thunks that keep xmm0..7 (stubs.c, KEPT_XMM); registers above are for use within one operation.
 *
 * A store of two doublewords is not forwarded to a load of 16 bytes: such a load is made of two. x->vpieces has a bit for each
 * doubleword that this block stored by itself.
 */
#include "engine/x64/emit.h"

#include "engine/x64/asm_vex.h"

static struct x64_mem vreg_mem(unsigned off)
{
    return vmem(offsetof(struct vcpu, vfp) + off);
}

void vreg_drop_all(struct xlate *x)
{
    for (unsigned k = 0; k < KEPT_XMM; k++)
        x->vreg[k].len = 0;
    x->vlocked = 0;
}

void vreg_end_op(struct xlate *x)
{
    x->vlocked = 0;
}

bool vreg_any(const struct xlate *x)
{
    for (unsigned k = 0; k < KEPT_XMM; k++)
        if (x->vreg[k].len)
            return true;
    return false;
}

int vreg_temp(struct xlate *x)
{
    int best = -1;

    for (int k = 0; k < KEPT_XMM; k++) {
        if (x->vlocked & BIT(k))
            continue;
        if (best < 0 || !x->vreg[k].len || (x->vreg[best].len && x->vreg[k].used < x->vreg[best].used))
            best = k;
        if (!x->vreg[best].len)
            break;
    }
    CHECK(best >= 0, "no xmm register left at pc %#x", x->pc);
    x->vreg[best].len = 0;
    x->vlocked |= BIT(best);
    return best;
}

static int find(struct xlate *x, unsigned off, unsigned len)
{
    for (int k = 0; k < KEPT_XMM; k++)
        if (x->vreg[k].len >= len && x->vreg[k].off == off)
            return k;
    return -1;
}

void vreg_load(struct xlate *x, int reg, unsigned off, unsigned len)
{
    struct x64_asm *a = &x->a;

    if (len == 16 && (x->vpieces >> off / 8 & 3)) {
        asm_vex_rrm(a, VX_MOVSD_LD, reg, NO_REG, vreg_mem(off));
        asm_vex_rrm(a, VX_MOVHPS_LD, reg, reg, vreg_mem(off + 8));
        return;
    }
    asm_vex_rrm(a, len == 16 ? VX_MOVUPS_LD : len == 8 ? VX_MOVSD_LD : VX_MOVSS_LD, reg, NO_REG, vreg_mem(off));
}

static void bind(struct xlate *x, int reg, unsigned off, unsigned len)
{
    x->vreg[reg].off = (uint8_t)off;
    x->vreg[reg].len = (uint8_t)len;
    x->vreg[reg].plain = false;
    x->vreg[reg].used = x->i;
}

int vreg_get(struct xlate *x, unsigned off, unsigned len)
{
    int reg = find(x, off, len);

    if (reg < 0) {
        reg = vreg_temp(x);
        vreg_load(x, reg, off, len);
        bind(x, reg, off, len);
    }
    x->vreg[reg].used = x->i;
    x->vlocked |= BIT(reg);
    return reg;
}

void vreg_wrote(struct xlate *x, unsigned off, unsigned len)
{
    for (unsigned k = 0; k < KEPT_XMM; k++)
        if (x->vreg[k].len && x->vreg[k].off < off + len && off < x->vreg[k].off + x->vreg[k].len)
            x->vreg[k].len = 0;
    x->vpieces |= 1u << off / 8;
}

void vreg_put(struct xlate *x, int reg, unsigned off, unsigned len)
{
    asm_vex_rrm(&x->a, len == 16 ? VX_MOVUPS_ST : len == 8 ? VX_MOVSD_ST : VX_MOVSS_ST, reg, NO_REG, vreg_mem(off));
    vreg_wrote(x, off, len);
    if (len == 16)
        x->vpieces &= ~(3u << off / 8);
    if (reg < KEPT_XMM)
        bind(x, reg, off, len);
}

bool vreg_env(size_t env, unsigned *off)
{
    size_t begin = offsetof(struct vcpu, vfp);

    if (env < begin || env >= begin + sizeof(((struct vcpu *)0)->vfp))
        return false;
    *off = (unsigned)(env - begin);
    return true;
}
