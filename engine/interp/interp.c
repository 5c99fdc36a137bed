/*
 * interp.c — one block of IR, op by op, on the state in struct vcpu
 *
 * The oracle of the JIT, so it shares nothing with it but the slow paths and the atomics twins, and prefers the
 * plain way of saying things. Guest memory is accessed with relaxed atomics of the access's size, which is what
 * an x86 move does and what ThreadSanitizer understands.
 *
 * State at an op that may leave: registers and flags live in v all the time, r15 is stored by the `insn` marker.
 * ITSTATE is stored only before ops that may leave, as the JIT's paths do: elsewhere v->it is the front end's.
 */
#include "engine/interp/interp.h"

#include "engine/arm/fp.h"
#include "engine/arm/helpers.h"
#include "engine/mem/softmmu.h"
#include "strategies/atomics/atomics.h"

/* -- Guest memory ------------------------------------------------------------------------------------ */

static unsigned mem_mode(const struct vcpu *v, uint32_t mem)
{
    return mem & MEM_USER ? MMU_USER : vcpu_mmu_mode(v);
}

/* Host address of [va, va+bytes) when the flat table has it and no alignment rule is broken, else NULL. */
static uint8_t *flat_host(const struct vcpu *v, gva va, unsigned bytes, uint32_t mem, bool store)
{
    if (((mem & MEM_ALIGN) && (va & (bytes - 1))) || ((mem & MEM_ALIGN4) && (va & 3)) ||
        ((mem & MEM_ALIGN16) && (va & 15)))
        return NULL;
    if ((va & (GUEST_PAGE_SIZE - 1)) + bytes > GUEST_PAGE_SIZE)
        return NULL;
    uint64_t entry = flat_entry(v, va, store, mem_mode(v, mem));
    return entry ? (uint8_t *)(uintptr_t)(entry + va) : NULL;
}

static uint64_t load_bytes(const uint8_t *p, unsigned bytes)
{
    uint64_t val = 0;
    if ((uintptr_t)p & (bytes - 1)) {
        for (unsigned i = 0; i < bytes; i++)
            val |= (uint64_t)__atomic_load_n(p + i, __ATOMIC_RELAXED) << (8 * i);
        return val;
    }
    switch (bytes) {
    case 1: return __atomic_load_n(p, __ATOMIC_RELAXED);
    case 2: return __atomic_load_n((const uint16_t *)p, __ATOMIC_RELAXED);
    case 4: return __atomic_load_n((const uint32_t *)p, __ATOMIC_RELAXED);
    default: return __atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED);
    }
}

static void store_bytes(uint8_t *p, uint64_t val, unsigned bytes)
{
    if ((uintptr_t)p & (bytes - 1)) {
        for (unsigned i = 0; i < bytes; i++)
            __atomic_store_n(p + i, (uint8_t)(val >> (8 * i)), __ATOMIC_RELAXED);
        return;
    }
    switch (bytes) {
    case 1: __atomic_store_n(p, (uint8_t)val, __ATOMIC_RELAXED); break;
    case 2: __atomic_store_n((uint16_t *)p, (uint16_t)val, __ATOMIC_RELAXED); break;
    case 4: __atomic_store_n((uint32_t *)p, (uint32_t)val, __ATOMIC_RELAXED); break;
    default: __atomic_store_n((uint64_t *)p, val, __ATOMIC_RELAXED); break;
    }
}

static uint32_t extend(uint32_t val, uint32_t mem)
{
    unsigned nbits = 8u << (mem & MEM_SIZE);
    if (nbits == 32)
        return val;
    return mem & MEM_SIGNED ? (uint32_t)sext(val, nbits) : bits(val, nbits - 1, 0);
}

static uint64_t load(struct vcpu *v, gva va, uint32_t mem)
{
    unsigned bytes = 1u << (mem & MEM_SIZE);
    const uint8_t *p = flat_host(v, va, bytes, mem, false);
    if (bytes == 8)
        return p ? load_bytes(p, 8) : slow_load64(v, va, mem);
    return p ? extend((uint32_t)load_bytes(p, bytes), mem) : slow_load(v, va, mem);
}

static void store(struct vcpu *v, gva va, uint64_t val, uint32_t mem)
{
    unsigned bytes = 1u << (mem & MEM_SIZE);
    uint8_t *p = flat_host(v, va, bytes, mem, true);
    if (p)
        store_bytes(p, val, bytes);
    else if (bytes == 8)
        slow_store64(v, va, val, mem);
    else
        slow_store(v, va, (uint32_t)val, mem);
}

static uint32_t ldm(struct vcpu *v, gva va, uint32_t mask)
{
    unsigned nwords = (unsigned)__builtin_popcount(mask);
    const uint8_t *p = flat_host(v, va, nwords * 4, MEM_ALIGN4, false);
    if (p) {
        for (unsigned i = 0; i < nwords; i++)
            v->mbuf[i] = (uint32_t)load_bytes(p + 4 * i, 4);
    } else {
        slow_ldm(v, va, nwords);
    }
    unsigned i = 0;
    for (unsigned r = 0; r < 15; r++)
        if (mask & BIT(r))
            v->r[r] = v->mbuf[i++];
    return mask & BIT(15) ? v->mbuf[i] : 0;
}

static void stm(struct vcpu *v, gva va, uint32_t mask, uint32_t extra)
{
    unsigned nwords = 0;
    for (unsigned r = 0; r < 15; r++)
        if (mask & BIT(r))
            v->mbuf[nwords++] = v->r[r];
    if (mask & BIT(15))
        v->mbuf[nwords++] = extra;
    uint8_t *p = flat_host(v, va, nwords * 4, MEM_ALIGN4, true);
    if (!p) {
        slow_stm(v, va, nwords);
        return;
    }
    for (unsigned i = 0; i < nwords; i++)
        store_bytes(p + 4 * i, v->mbuf[i], 4);
}

/* -- Flags ------------------------------------------------------------------------------------------- */

static uint32_t get_nzcv(const struct vcpu *v)
{
    return (uint32_t)v->nf << 31 | (uint32_t)v->zf << 30 | (uint32_t)v->cf << 29 | (uint32_t)v->vf << 28;
}

/* nzcv: N in bit 3 .. V in bit 0, as FLAG_* */
static void set_flags(struct vcpu *v, uint8_t mask, uint32_t nzcv)
{
    if (mask & FLAG_N)
        v->nf = (nzcv & FLAG_N) != 0;
    if (mask & FLAG_Z)
        v->zf = (nzcv & FLAG_Z) != 0;
    if (mask & FLAG_C)
        v->cf = (nzcv & FLAG_C) != 0;
    if (mask & FLAG_V)
        v->vf = (nzcv & FLAG_V) != 0;
}

static void set_nz(struct vcpu *v, uint8_t mask, uint32_t result)
{
    set_flags(v, mask & FLAG_NZ, (result >> 31 ? FLAG_N : 0) | (result == 0 ? FLAG_Z : 0));
}

static void set_nzc(struct vcpu *v, uint8_t mask, uint32_t result, bool carry)
{
    set_nz(v, mask, result);
    set_flags(v, mask & FLAG_C, carry ? FLAG_C : 0);
}

static bool cond_holds(const struct vcpu *v, unsigned cond)
{
    bool r = true;
    switch (cond >> 1) {
    case 0: r = v->zf; break;
    case 1: r = v->cf; break;
    case 2: r = v->nf; break;
    case 3: r = v->vf; break;
    case 4: r = v->cf && !v->zf; break;
    case 5: r = v->nf == v->vf; break;
    case 6: r = !v->zf && v->nf == v->vf; break;
    default: return true;
    }
    return r != (cond & 1);
}

/* AddWithCarry() of the manual; a subtraction is x + ~y + 1. */
static uint32_t add_with_carry(struct vcpu *v, uint32_t x, uint32_t y, bool carry, uint8_t mask)
{
    uint64_t usum = (uint64_t)x + y + carry;
    int64_t ssum = (int64_t)(int32_t)x + (int32_t)y + carry;
    uint32_t r = (uint32_t)usum;
    set_flags(v, mask,
              (r >> 31 ? FLAG_N : 0) | (r == 0 ? FLAG_Z : 0) | (usum >> 32 ? FLAG_C : 0) |
                  (ssum != (int32_t)r ? FLAG_V : 0));
    return r;
}

/* -- Shifts ------------------------------------------------------------------------------------------ */

/* Shift by the low byte of a register: op is one of the *_R ones. */
static uint32_t shift_by_reg(struct vcpu *v, unsigned op, uint32_t x, uint32_t n, uint8_t mask)
{
    n &= 0xff;
    if (n == 0)
        return x;
    uint32_t r;
    bool carry;
    switch (op) {
    case IR_SHL_R:
        r = n < 32 ? x << n : 0;
        carry = n <= 32 && bit(x, 32 - n);
        break;
    case IR_SHR_R:
        r = n < 32 ? x >> n : 0;
        carry = n <= 32 && bit(x, n - 1);
        break;
    case IR_SAR_R:
        if (n > 32)
            n = 32;
        r = (uint32_t)((int64_t)(int32_t)x >> n);
        carry = bit(x, n - 1);
        break;
    default:
        r = ror32(x, n);
        carry = r >> 31;
        break;
    }
    set_flags(v, mask & FLAG_C, carry ? FLAG_C : 0);
    return r;
}

/* -- Helpers ----------------------------------------------------------------------------------------- */

typedef void (*any_function)(void);

static const any_function helper_functions[] = {
#define HELPER(id, function, args, result, attrs) (any_function) function,
#include "engine/ir/helpers.def"
#undef HELPER
};

#define CALL_BY_COUNT(type)                                                             \
 switch (nargs) {                                                                       \
 case 0: return ((type(*)(struct vcpu *))f)(v);                                         \
 case 1: return ((type(*)(struct vcpu *, uint32_t))f)(v, x);                            \
 case 2: return ((type(*)(struct vcpu *, uint32_t, uint32_t))f)(v, x, y);               \
 default: return ((type(*)(struct vcpu *, uint32_t, uint32_t, uint32_t))f)(v, x, y, z); \
 }

static void call_void(any_function f, unsigned nargs, struct vcpu *v, uint32_t x, uint32_t y, uint32_t z)
{
    CALL_BY_COUNT(void)
}

static uint32_t call_32(any_function f, unsigned nargs, struct vcpu *v, uint32_t x, uint32_t y, uint32_t z)
{
    CALL_BY_COUNT(uint32_t)
}

static uint64_t call_64(any_function f, unsigned nargs, struct vcpu *v, uint32_t x, uint32_t y, uint32_t z)
{
    CALL_BY_COUNT(uint64_t)
}

static uint64_t call_helper(struct vcpu *v, unsigned id, uint32_t x, uint32_t y, uint32_t z)
{
    const struct ir_helper_info *info = &ir_helper_info[id];
    any_function f = helper_functions[id];
    switch (info->result) {
    case 'w': return call_32(f, info->nargs, v, x, y, z);
    case 'd': return call_64(f, info->nargs, v, x, y, z);
    default: call_void(f, info->nargs, v, x, y, z); return 0;
    }
}

/* -- Control ----------------------------------------------------------------------------------------- */

/* Forward to the label. Guest instructions on the way are those whose condition fails: they count too. */
static uint32_t find_label(struct vcpu *v, const struct ir_block *b, uint32_t from, uint32_t label)
{
    for (uint32_t i = from; i < b->n; i++) {
        if (b->ins[i].op == IR_LABEL && b->ins[i].imm == label)
            return i;
        if (b->ins[i].op == IR_INSN)
            count(v, GUEST_INSNS);
    }
    CHECK(false, "label %u is not ahead", label);
}

static int exit_number(const struct ir_block *b, uint32_t at)
{
    int n = 0;
    for (uint32_t i = 0; i < at; i++) {
        uint8_t op = b->ins[i].op;
        n += op == IR_EXIT || op == IR_EXIT_IF || op == IR_EXIT_IFZ || op == IR_EXIT_IFNZ;
    }
    return n;
}

static bool may_leave(const struct ir_ins *in)
{
    bool call = in->op == IR_CALL || in->op == IR_CALL64;
    return call ? ir_helper_info[in->imm].leaves : ir_op_info[in->op].f;
}

static struct interp_end end_at(struct vcpu *v, uint32_t pc_t, int exit, bool loop)
{
    v->r[15] = pc_t;
    v->thumb = pc_t & 1;
    return (struct interp_end){.exit = exit, .loop = loop};
}

struct interp_end interp_run(struct vcpu *v, const struct ir_block *b, const struct atomics_ops *atomics)
{
    uint64_t val[IR_MAX_INS];
    uint32_t thumb = v->thumb, it = 0;

    for (uint32_t i = 0; i < b->n; i++) {
        const struct ir_ins *in = &b->ins[i];
        const uint64_t a = in->a != IR_NONE ? val[in->a] : 0;
        const uint64_t bb = in->b != IR_NONE ? val[in->b] : 0;
        const uint32_t x = (uint32_t)a, y = (uint32_t)bb;
        const uint32_t n = in->imm;
        uint8_t s = in->s;
        uint64_t r = 0;

        if (may_leave(in))
            v->it = it;
        switch ((enum ir_op)in->op) {
        case IR_NOP:
        case IR_LABEL: continue;
        case IR_INSN:
            v->r[15] = n | thumb;
            it = in->imm2;
            count(v, GUEST_INSNS);
            continue;

        case IR_BR: i = find_label(v, b, i, n); continue;
        case IR_BRCOND:
            if (cond_holds(v, in->cond))
                i = find_label(v, b, i, n);
            continue;
        case IR_BRZ:
            if (x == 0)
                i = find_label(v, b, i, n);
            continue;
        case IR_BRNZ:
            if (x != 0)
                i = find_label(v, b, i, n);
            continue;

        case IR_CONST: r = n; break;
        case IR_GET_REG: r = v->r[n]; break;
        case IR_SET_REG: v->r[n] = x; continue;
        case IR_LD_ENV: {
            uint32_t word;
            memcpy(&word, (const char *)v + n, 4);
            r = word;
            break;
        }
        case IR_ST_ENV: memcpy((char *)v + n, &x, 4); continue;
        case IR_LD_ENV64: memcpy(&r, (const char *)v + n, 8); break;
        case IR_ST_ENV64: memcpy((char *)v + n, &a, 8); continue;
        case IR_GET_NZCV: r = get_nzcv(v); break;
        case IR_SET_NZCV: set_flags(v, s, x >> 28); continue;
        case IR_FP_FLAGS: set_flags(v, s, fp_nzcv(v) >> 28); continue;
        case IR_GET_C: r = v->cf; break;
        case IR_SET_C: set_flags(v, s, x & 1 ? FLAG_C : 0); continue;
        case IR_SET_NZ: set_nz(v, s, x); continue;
        case IR_SET_NZ64: set_flags(v, s, (a >> 63 ? FLAG_N : 0) | (a == 0 ? FLAG_Z : 0)); continue;

        /* clang-format off: a table */
        case IR_ADD: r = add_with_carry(v, x, y, 0, s); break;
        case IR_SUB: r = add_with_carry(v, x, ~y, 1, s); break;
        case IR_ADC: r = add_with_carry(v, x, y, v->cf, s); break;
        case IR_SBC: r = add_with_carry(v, x, ~y, v->cf, s); break;
        case IR_AND:
            r = x & y;
            set_nz(v, s, (uint32_t)r);
            break;
        case IR_OR:
            r = x | y;
            set_nz(v, s, (uint32_t)r);
            break;
        case IR_XOR:
            r = x ^ y;
            set_nz(v, s, (uint32_t)r);
            break;
        case IR_BIC:
            r = x & ~y;
            set_nz(v, s, (uint32_t)r);
            break;
        case IR_NOT: r = ~x; break;
        case IR_MUL: r = x * y; break;
        case IR_MULU64: r = (uint64_t)x * y; break;
        case IR_MULS64: r = (uint64_t)((int64_t)(int32_t)x * (int32_t)y); break;
        case IR_ADD64: r = a + bb; break;
        case IR_SUB64: r = a - bb; break;
        case IR_PACK64: r = x | (uint64_t)y << 32; break;
        case IR_LO32: r = x; break;
        case IR_HI32: r = a >> 32; break;
        case IR_UDIV: r = y ? x / y : 0; break;
        case IR_SDIV:
            if (y == 0)
                r = 0;
            else if (y == UINT32_MAX) /* INT_MIN / -1 traps on the host */
                r = 0u - x;
            else
                r = (uint32_t)((int32_t)x / (int32_t)y);
            break;

        case IR_SHL:
            r = x << n;
            set_nzc(v, s, (uint32_t)r, bit(x, 32 - n));
            break;
        case IR_SHR:
            r = x >> n;
            set_nzc(v, s, (uint32_t)r, bit(x, n - 1));
            break;
        case IR_SAR:
            r = (uint32_t)((int32_t)x >> n);
            set_nzc(v, s, (uint32_t)r, bit(x, n - 1));
            break;
        case IR_ROR:
            r = ror32(x, n);
            set_nzc(v, s, (uint32_t)r, (r >> 31) & 1);
            break;
        case IR_RRX:
            r = (uint32_t)v->cf << 31 | x >> 1;
            set_nzc(v, s, (uint32_t)r, x & 1);
            break;
        case IR_SHL_R:
        case IR_SHR_R:
        case IR_SAR_R:
        case IR_ROR_R: r = shift_by_reg(v, in->op, x, y, s); break;

        case IR_UBFX: r = bits(x, n + in->imm2 - 1, n); break;
        case IR_SBFX: r = (uint32_t)sext(x >> n, in->imm2); break;
        case IR_BFI: {
            uint32_t mask = bits(UINT32_MAX, in->imm2 - 1, 0) << n;
            r = (x & ~mask) | (y << n & mask);
            break;
        }
        case IR_SXTB: r = (uint32_t)sext(x, 8); break;
        case IR_SXTH: r = (uint32_t)sext(x, 16); break;
        case IR_UXTB: r = x & 0xff; break;
        case IR_UXTH: r = x & 0xffff; break;
        case IR_REV: r = __builtin_bswap32(x); break;
        case IR_REV64: r = __builtin_bswap64(a); break;
        case IR_REV16: r = (x & 0x00ff00ff) << 8 | (x >> 8 & 0x00ff00ff); break;
        case IR_CLZ: r = x ? (uint32_t)__builtin_clz(x) : 32; break;
        /* clang-format on */
        case IR_SEL: r = cond_holds(v, in->cond) ? x : y; break;
        case IR_SELNZ: r = (uint32_t)val[in->c] != 0 ? x : y; break;
        case IR_SETCOND: r = cond_holds(v, in->cond); break;

        case IR_LD:
        case IR_LD64: r = load(v, x, in->aux); break;
        case IR_ST:
        case IR_ST64: store(v, x, bb, in->aux); continue;
        case IR_LDM: r = ldm(v, x, n); break;
        case IR_STM: stm(v, x, n, in->imm2); continue;
        case IR_LDREX:
        case IR_LDREX64: r = atomics->ldrex(v, x, in->aux); break;
        case IR_STREX:
        case IR_STREX64: r = atomics->strex(v, x, bb, in->aux); break;
        case IR_CLREX: atomics->clear(v); continue;
        case IR_SWP: r = atomics->swp(v, x, y, in->aux); break;
        case IR_BARRIER:
            /* A read-modify-write instead of a fence: ThreadSanitizer does not know fences. Orders this vCPU's
             * earlier accesses before its later ones against those of every other vCPU. */
            atomic_fetch_or_explicit(&v->poll, 0, memory_order_seq_cst);
            continue;

        case IR_CALL:
        case IR_CALL64:
            count(v, HELPER_CALLS);
            r = call_helper(v, n, x, y, in->c != IR_NONE ? (uint32_t)val[in->c] : 0);
            break;

        case IR_EXIT: return end_at(v, n, exit_number(b, i), false);
        case IR_EXIT_IF:
            if (cond_holds(v, in->cond))
                return end_at(v, n, exit_number(b, i), false);
            continue;
        case IR_EXIT_IFZ:
            if (x == 0)
                return end_at(v, n, exit_number(b, i), false);
            continue;
        case IR_EXIT_IFNZ:
            if (x != 0)
                return end_at(v, n, exit_number(b, i), false);
            continue;
        case IR_EXIT_IND: return end_at(v, x, -1, false);
        case IR_EXIT_LOOP: return end_at(v, n, -1, true);
        case IR_EXIT_LOOP_IND: return end_at(v, x, -1, true);
        case IR_OP_COUNT: break;
        }
        val[i] = r;
    }
    CHECK(false, "block at 0x%x has no end", b->n ? b->ins[0].imm : 0);
}
