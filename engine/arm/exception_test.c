/*
 * exception_test.c — modes and banks, exception entry and return, interrupts, the helpers that do them
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "engine/arm/state_testlib.h"
#include "engine/arm/sys_helpers.h"
#include "engine/sync/sync.h"

static struct vcpu *v;

static int setup(void **state)
{
    (void)state;
    v = test_vcpu();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arm_semihost = NULL;
    arm_firmware_call = NULL;
    test_vcpu_free();
    return 0;
}

static void reset(void **state)
{
    (void)state;
    assert_int_equal(arm_cpsr_read(v), 0x1d3);
    assert_int_equal(v->sys.sctlr, 0x00c50078);
    assert_int_equal(arm_tb_flags(v), TBF_PRIV);
    uint32_t regs[16] = {1, 2, 3, [13] = 13, [15] = 0x8001};
    arm_reset(v, regs, MODE_SYS | 0xf0000000);
    assert_int_equal(v->r[2], 3);
    assert_int_equal(v->r[15], 0x8001);
    assert_int_equal(v->thumb, 1);
    assert_int_equal(arm_cpsr_read(v), 0xf0000000u | MODE_SYS | CPSR_T);
    assert_int_equal(arm_tb_flags(v), TBF_PRIV | TBF_THUMB | TBF_SYSMODE);
}

static void cpsr_round_trip(void **state)
{
    (void)state;
    static const uint32_t values[] = {
        0x600fffd3 | 0x0600fc00, 0xf80f03d3, 0x08000013, 0x90050230, 0x40000093 | 0x0400a000, 0x0000011f,
    };
    for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
        uint32_t x = values[i] & ~(uint32_t)CPSR_J;
        arm_cpsr_write(v, x, ~0u);
        assert_int_equal(arm_cpsr_read(v), x);
        assert_int_equal(v->r[15] & 1, bit(x, 5));
        arm_cpsr_write(v, MODE_SVC, ~0u);
        assert_int_equal(arm_cpsr_read(v), MODE_SVC);
    }
    arm_cpsr_write(v, 0xffffffff, 0xf0000000);
    assert_int_equal(arm_cpsr_read(v), 0xf0000000u | MODE_SVC);
    arm_cpsr_write(v, 0x00000015, 0x1f); /* no such mode */
    assert_int_equal(arm_mode(v), MODE_SVC);
    v->it = 0x2c;
    assert_int_equal(arm_cpsr_read(v) & CPSR_IT, 0x00002c00 & CPSR_IT);
    assert_int_equal(arm_tb_flags(v) >> TBF_IT_SHIFT & 0xff, 0x2c);
}

static void banking(void **state)
{
    (void)state;
    static const uint32_t modes[] = {MODE_USR, MODE_FIQ, MODE_IRQ, MODE_SVC, MODE_MON, MODE_ABT, MODE_UND};
    for (unsigned i = 0; i < 8; i++)
        v->r[i] = i;
    for (unsigned m = 0; m < ARRAY_SIZE(modes); m++) {
        arm_switch_mode(v, modes[m]);
        for (unsigned n = 8; n < 13; n++)
            if (modes[m] == MODE_FIQ || modes[m] == MODE_USR)
                v->r[n] = modes[m] << 8 | n;
        v->r[13] = modes[m] << 8 | 13;
        v->r[14] = modes[m] << 8 | 14;
    }
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned m = 0; m < ARRAY_SIZE(modes); m++) {
            arm_switch_mode(v, modes[round ? ARRAY_SIZE(modes) - 1 - m : m]);
            uint32_t mode = arm_mode(v);
            for (unsigned n = 0; n < 8; n++)
                assert_int_equal(v->r[n], n);
            for (unsigned n = 8; n < 13; n++)
                assert_int_equal(v->r[n], (mode == MODE_FIQ ? MODE_FIQ : MODE_USR) << 8 | n);
            assert_int_equal(v->r[13], mode << 8 | 13);
            assert_int_equal(v->r[14], mode << 8 | 14);
            /* every register of every other mode is where arm_banked_reg() says */
            for (unsigned o = 0; o < ARRAY_SIZE(modes); o++) {
                assert_int_equal(*arm_banked_reg(v, modes[o], 13), modes[o] << 8 | 13);
                for (unsigned n = 8; n < 13; n++)
                    assert_int_equal(*arm_banked_reg(v, modes[o], n),
                                     (modes[o] == MODE_FIQ ? MODE_FIQ : MODE_USR) << 8 | n);
            }
        }
    }
    arm_switch_mode(v, MODE_SYS);
    assert_int_equal(v->r[13], MODE_USR << 8 | 13);
    arm_switch_mode(v, MODE_FIQ);
    assert_int_equal(helper_get_user_reg(v, 9), MODE_USR << 8 | 9);
    assert_int_equal(helper_get_user_reg(v, 3), 3);
    helper_set_user_reg(v, 14, 0x55);
    arm_switch_mode(v, MODE_USR);
    assert_int_equal(v->r[14], 0x55);
}

/* code: SYSm | R << 5 -> which mode's register (13, 14, 8..12; 16: SPSR) */
static void banked_moves(void **state)
{
    (void)state;
    static const struct {
        uint8_t code, mode, reg;
    } t[] = {
        {0x00, MODE_USR, 8},  {0x04, MODE_USR, 12}, {0x05, MODE_USR, 13}, {0x06, MODE_USR, 14}, {0x08, MODE_FIQ, 8},
        {0x0c, MODE_FIQ, 12}, {0x0d, MODE_FIQ, 13}, {0x0e, MODE_FIQ, 14}, {0x10, MODE_IRQ, 14}, {0x11, MODE_IRQ, 13},
        {0x12, MODE_SVC, 14}, {0x13, MODE_SVC, 13}, {0x14, MODE_ABT, 14}, {0x15, MODE_ABT, 13}, {0x16, MODE_UND, 14},
        {0x17, MODE_UND, 13}, {0x1c, MODE_MON, 14}, {0x1d, MODE_MON, 13}, {0x2e, MODE_FIQ, 16}, {0x30, MODE_IRQ, 16},
        {0x32, MODE_SVC, 16}, {0x34, MODE_ABT, 16}, {0x36, MODE_UND, 16}, {0x3c, MODE_MON, 16},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
        arm_switch_mode(v, MODE_SYS);
        helper_msr_banked(v, t[i].code, 0x1000 + i);
        assert_int_equal(helper_mrs_banked(v, t[i].code), 0x1000 + i);
        arm_switch_mode(v, t[i].mode);
        assert_int_equal(t[i].reg == 16 ? helper_mrs_spsr(v) : v->r[t[i].reg], 0x1000 + i);
    }
    unsigned bad = 0;
    for (unsigned code = 0; code < 64; code++) {
        arm_switch_mode(v, MODE_SVC);
        bad += LEFT(v, helper_mrs_banked(v, code));
    }
    assert_int_equal(64 - bad, 7 + 7 + 8 + 2 + 6);
    arm_switch_mode(v, MODE_USR);
    assert_true(LEFT(v, helper_msr_banked(v, 0x13, 0)));
    assert_int_equal(arm_mode(v), MODE_UND);
}

struct entry {
    const char *name;
    void (*raise)(void);
    uint32_t mode, vector;
    int lr_arm, lr_thumb; /* from the instruction's address */
    uint32_t set;         /* CPSR bits */
    bool leaves, advances_it;
};

static void raise_svc(void)
{
    helper_svc(v, 1);
}
static void raise_und(void)
{
    helper_undef(v);
}
static void raise_dabt(void)
{
    arm_data_abort(v, 0x1234, true, 0x5);
}
static void raise_pabt(void)
{
    arm_prefetch_abort(v, 0x1234, 0x5);
}
static void raise_bkpt(void)
{
    helper_bkpt(v, 0);
}
static void raise_smc(void)
{
    helper_smc(v, 0);
}
static void raise_hvc(void)
{
    helper_hvc(v, 0);
}
static void raise_lines(uint32_t lines)
{
    v->lines = lines;
    assert_true(arm_take_interrupt(v));
}
static void raise_irq(void)
{
    raise_lines(LINE_IRQ);
}
static void raise_fiq(void)
{
    raise_lines(LINE_FIQ | LINE_IRQ);
}
static void raise_serror(void)
{
    raise_lines(LINE_ABORT | LINE_FIQ);
}

static const struct entry entries[] = {
    {"svc", raise_svc, MODE_SVC, 0x08, 4, 2, CPSR_I, true, true},
    {"undefined", raise_und, MODE_UND, 0x04, 4, 2, CPSR_I, true, false},
    {"data abort", raise_dabt, MODE_ABT, 0x10, 8, 8, CPSR_I | CPSR_A, true, false},
    {"prefetch abort", raise_pabt, MODE_ABT, 0x0c, 4, 4, CPSR_I | CPSR_A, true, false},
    {"bkpt", raise_bkpt, MODE_ABT, 0x0c, 4, 4, CPSR_I | CPSR_A, true, false},
    {"smc", raise_smc, MODE_MON, 0x08, 4, 4, CPSR_I | CPSR_A | CPSR_F, true, true},
    {"hvc", raise_hvc, MODE_UND, 0x04, 4, 2, CPSR_I, true, false},
    {"irq", raise_irq, MODE_IRQ, 0x18, 4, 4, CPSR_I | CPSR_A, false, false},
    {"fiq", raise_fiq, MODE_FIQ, 0x1c, 4, 4, CPSR_I | CPSR_A | CPSR_F, false, false},
    {"async abort", raise_serror, MODE_ABT, 0x10, 8, 8, CPSR_I | CPSR_A, false, false},
};

/* variant: one bit each for Thumb, high vectors, SCTLR.TE, SCTLR.EE */
enum { THUMB = 1, HIGH = 2, TE = 4, EE = 8 };

static void one_entry(const struct entry *t, const unsigned variant)
{
    const uint32_t old = (MODE_SYS | 0xa8050000 | (variant & EE ? 0 : CPSR_E)) |
                         (variant & THUMB ? CPSR_T | 0x04000c00 /* IT 0x0e */ : 0);
    v->sys.sctlr =
        0x00c50078 | (variant & HIGH ? SCTLR_V : 0) | (variant & TE ? SCTLR_TE : 0) | (variant & EE ? SCTLR_EE : 0);
    v->sys.vbar = 0x80008000;
    v->sys.mvbar = 0x8000a000;
    v->r[15] = 0x80002000;
    arm_cpsr_write(v, old, ~0u);
    v->thumb = 0; /* in the middle of a block only r15 knows */
    volatile unsigned clears = fake_clears;
    assert_int_equal(LEFT(v, t->raise()), t->leaves);
    if (t->leaves)
        assert_int_equal(v->leave_reason, LEAVE_EXCEPTION);
    assert_int_equal(fake_clears, clears + 1);
    uint32_t base = t->mode == MODE_MON ? 0x8000a000 : variant & HIGH ? 0xffff0000 : 0x80008000;
    uint32_t te = variant & TE ? 1 : 0;
    if (v->r[15] != ((base + t->vector) | te))
        fail_msg("%s, variant %u: to %#x", t->name, variant, v->r[15]);
    assert_int_equal(v->thumb, te);
    assert_int_equal(v->it, 0);
    assert_int_equal(v->r[14], 0x80002000 + (variant & THUMB ? t->lr_thumb : t->lr_arm));
    uint32_t want_spsr = old;
    if ((variant & THUMB) && t->advances_it) /* IT 0x0e -> 0x1c */
        want_spsr = (want_spsr & ~CPSR_IT) | 0x00001c00;
    assert_int_equal(v->sys.spsr[arm_bank(t->mode)], want_spsr);
    assert_int_equal(arm_cpsr_read(v),
                     (old & 0xf80f0000) | t->mode | t->set | (te ? CPSR_T : 0) | (variant & EE ? CPSR_E : 0));
    v->lines = 0;
}

static void entry_table(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(entries); i++) {
        for (unsigned variant = 0; variant < 16; variant++)
            one_entry(&entries[i], variant);
    }
}

static void fault_registers(void **state)
{
    (void)state;
    LEFT(v, arm_data_abort(v, 0xdead0, true, 0x35));
    assert_int_equal(v->sys.dfsr, 0x835);
    assert_int_equal(v->sys.dfar, 0xdead0);
    LEFT(v, arm_prefetch_abort(v, 0xbeef0, 0x37));
    assert_int_equal(v->sys.ifsr, 0x07);
    assert_int_equal(v->sys.ifar, 0xbeef0);
    LEFT(v, arm_alignment_fault(v, 0x3, false));
    assert_int_equal(v->sys.dfsr, 0x001);
    LEFT(v, arm_external_abort(v, 0x4, false));
    assert_int_equal(v->sys.dfsr, 0x008);
    LEFT(v, arm_prefetch_external_abort(v, 0x8));
    assert_int_equal(v->sys.ifsr, 0x008);
    LEFT(v, helper_bkpt(v, 3));
    assert_int_equal(v->sys.ifsr, 0x002);
    v->cpsr = MODE_SYS;
    v->lines = LINE_ABORT;
    assert_true(arm_take_interrupt(v));
    assert_int_equal(v->sys.dfsr, 0x406);
    assert_int_equal(v->lines, 0); /* taken once */
    v->sys.ttbcr = TTBCR_EAE;
    LEFT(v, arm_alignment_fault(v, 0x3, true));
    assert_int_equal(v->sys.dfsr, 0xa21);
    LEFT(v, arm_external_abort(v, 0x4, false));
    assert_int_equal(v->sys.dfsr, 0x210);
}

static void masks(void **state)
{
    (void)state;
    v->lines = LINE_IRQ | LINE_FIQ | LINE_ABORT;
    v->cpsr = MODE_SYS | CPSR_A | CPSR_I | CPSR_F;
    assert_false(arm_interrupt_deliverable(v));
    assert_false(arm_take_interrupt(v));
    v->cpsr &= ~(uint32_t)CPSR_I;
    assert_true(arm_interrupt_deliverable(v));
    assert_true(arm_take_interrupt(v));
    assert_int_equal(arm_mode(v), MODE_IRQ);
    assert_false(arm_take_interrupt(v));
    v->cpsr &= ~(uint32_t)CPSR_F;
    assert_true(arm_take_interrupt(v));
    assert_int_equal(arm_mode(v), MODE_FIQ);
    v->sys.scr = SCR_IRQ;
    v->sys.mvbar = 0x80003000;
    v->cpsr = MODE_SYS;
    v->lines = LINE_IRQ;
    assert_true(arm_take_interrupt(v));
    assert_int_equal(v->r[15], 0x80003018);
}

static void returns(void **state)
{
    (void)state;
    v->r[13] = 0x111;
    v->sys.bank_r13[BANK_USR] = 0x222;
    unsigned clears = fake_clears;
    helper_exception_return(v, 0x80004003, MODE_USR | CPSR_T | 0x40000000);
    assert_int_equal(v->r[15], 0x80004003);
    assert_int_equal(v->thumb, 1);
    assert_int_equal(v->r[13], 0x222);
    assert_int_equal(v->zf, 1);
    assert_int_equal(fake_clears, clears + 1);
    assert_true(LEFT(v, helper_exception_return(v, 0x80004003, MODE_SVC))); /* from User mode */
    assert_int_equal(arm_mode(v), MODE_UND);
    helper_exception_return(v, 0x80004003, MODE_SVC);
    assert_int_equal(v->r[15], 0x80004000);
    assert_int_equal(v->thumb, 0);
    assert_int_equal(v->r[13], 0x111);
}

static void status_moves(void **state)
{
    (void)state;
    helper_msr_cpsr(v, 0xffffffff, 0xffffffff & ~0x1fu);
    assert_int_equal(arm_cpsr_read(v), 0xf80f03c0u | MODE_SVC); /* never T, IT, J */
    assert_int_equal(helper_mrs_cpsr(v), 0xf80f03c0u | MODE_SVC);
    v->r[15] |= 1;
    v->it = 8;
    assert_int_equal(helper_mrs_cpsr(v), 0xf80f03c0u | MODE_SVC);
    v->r[15] &= ~1u;
    v->it = 0;
    helper_msr_cpsr(v, MODE_USR, 0xff);
    assert_int_equal(arm_mode(v), MODE_USR);
    helper_msr_cpsr(v, MODE_SVC | CPSR_I, 0xffffffff); /* a User program may write the flags */
    assert_int_equal(arm_cpsr_read(v), MODE_USR | CPSR_A);
    helper_cps(v, 0x3 << 9 | CPSR_I | 0x20 | MODE_SVC);
    assert_int_equal(arm_cpsr_read(v), MODE_USR | CPSR_A);
    assert_true(LEFT(v, helper_mrs_spsr(v)));

    arm_cpsr_write(v, MODE_SVC, ~0u);
    helper_msr_spsr(v, 0xffffffff, 0xff000000);
    helper_msr_spsr(v, 0x12, 0xff);
    assert_int_equal(helper_mrs_spsr(v), 0xff000012);
    helper_cps(v, 3 << 9 | CPSR_I | CPSR_A);
    assert_int_equal(arm_cpsr_read(v), MODE_SVC | CPSR_I | CPSR_A);
    helper_cps(v, 2 << 9 | CPSR_A | 0x20 | MODE_IRQ);
    assert_int_equal(arm_cpsr_read(v), MODE_IRQ | CPSR_I);
    helper_cps(v, 0x20 | MODE_SYS);
    assert_int_equal(arm_cpsr_read(v), MODE_SYS | CPSR_I);
    helper_setend(v, 1);
    assert_int_equal(arm_tb_flags(v) & TBF_BE, TBF_BE);
    helper_setend(v, 0);
    assert_int_equal(arm_tb_flags(v) & TBF_BE, 0);
}

static void srs(void **state)
{
    (void)state;
    helper_set_banked_sp(v, MODE_ABT, 0x1230);
    assert_int_equal(helper_srs_addr(v, MODE_ABT), 0x1230);
    assert_int_equal(v->sys.bank_r13[BANK_ABT], 0x1230);
    helper_set_banked_sp(v, MODE_SVC, 0x4560);
    assert_int_equal(v->r[13], 0x4560);
    assert_true(LEFT(v, helper_srs_addr(v, 0x1a)));
}

static enum arm_semihost_end semihost(struct vcpu *w, uint32_t op, uint32_t param, uint32_t *result)
{
    (void)w;
    if (op == 0x18)
        return ARM_SEMIHOST_END;
    if (op == 7)
        return ARM_SEMIHOST_WAIT;
    *result = op + param;
    return ARM_SEMIHOST_DONE;
}

static bool firmware(struct vcpu *w, bool hvc, uint32_t imm)
{
    w->r[0] = hvc ? 0x10002 : 0;
    return hvc && imm == 0;
}

static void calls(void **state)
{
    (void)state;
    arm_semihost = semihost;
    v->r[0] = 5, v->r[1] = 0x100;
    assert_false(LEFT(v, helper_svc(v, 0x123456)));
    assert_int_equal(v->r[0], 0x105);
    assert_true(LEFT(v, helper_svc(v, 0xab))); /* A32: another number */
    assert_int_equal(v->leave_reason, LEAVE_EXCEPTION);
    v->r[15] = 0x80002001;
    assert_false(LEFT(v, helper_svc(v, 0xab)));
    assert_false(LEFT(v, helper_bkpt(v, 0xab)));
    v->r[0] = 7; /* waits: the instruction will run again */
    assert_true(LEFT(v, helper_svc(v, 0xab)));
    assert_int_equal(v->leave_reason, LEAVE_RESTART);
    assert_int_equal(v->r[15], 0x80002001);
    assert_int_equal(v->r[0], 7);
    assert_int_equal(vcpu_thread(v)->sleep, SLEEP_CALL);
    vcpu_thread(v)->sleep = 0;
    v->r[0] = 0x18;
    assert_true(LEFT(v, helper_svc(v, 0xab)));
    assert_int_equal(v->leave_reason, LEAVE_CONTINUE);
    assert_int_equal(v->r[15], 0x80002003);
    arm_cpsr_write(v, MODE_USR, 0x1f);
    assert_true(LEFT(v, helper_svc(v, 0xab)));
    assert_int_equal(v->leave_reason, LEAVE_EXCEPTION);

    arm_firmware_call = firmware;
    assert_false(LEFT(v, helper_hvc(v, 0)));
    assert_int_equal(v->r[0], 0x10002);
    assert_true(LEFT(v, helper_hvc(v, 1)));
    arm_cpsr_write(v, MODE_USR, 0x1f);
    assert_true(LEFT(v, helper_hvc(v, 0)));
    assert_int_equal(arm_mode(v), MODE_UND);
}

static void waiting(void **state)
{
    (void)state;
    struct vcpu_thread *t = vcpu_thread(v);
    v->event = 1;
    helper_wfe(v);
    assert_int_equal(t->sleep, 0);
    assert_int_equal(v->event, 0);
    helper_wfe(v);
    assert_int_equal(t->sleep, SLEEP_WFE);
    t->sleep = 0;
    helper_wfi(v);
    assert_int_equal(t->sleep, SLEEP_WFI);
    if (fakes_in_use()) {
        helper_sev(v);
        assert_int_equal(v->event, 1);
    }
}

/* The event stream: rising and falling changes of a bit of the virtual count, each of which ends one WFE. */
static uint64_t ticks;

static uint64_t cntpct(unsigned cpu)
{
    return (void)cpu, ticks;
}

static uint64_t cntvoff(unsigned cpu)
{
    return (void)cpu, 1000;
}

static bool wfe_sleeps(uint64_t count)
{
    struct vcpu_thread *t = vcpu_thread(v);
    ticks = 1000 + count;
    t->sleep = 0;
    helper_wfe(v);
    return t->sleep == SLEEP_WFE;
}

static void event_stream(void **state)
{
    static const struct machine_cpu_ops ops = {.cntpct = cntpct, .cntvoff_read = cntvoff, .cntfrq_hz = 1000000};
    struct vcpu_thread *t = vcpu_thread(v);
    (void)state;
    v->cpu_ops = &ops;
    v->event = 0;
    assert_true(wfe_sleeps(12345));
    assert_true(t->until_ns == UINT64_MAX); /* not enabled */
    v->sys.cntkctl = BIT(2) | 7 << 4;       /* bit 7 rises: at 128, 384, 640, ... */
    uint64_t before_ns = now_ns();
    assert_true(wfe_sleeps(127));
    assert_in_range(t->until_ns, before_ns + 1, now_ns() + 2000);
    t->timed_out = true; /* the one at 128 ended that sleep */
    assert_true(wfe_sleeps(128));
    assert_true(wfe_sleeps(383));
    assert_false(wfe_sleeps(384)); /* came while nobody waited */
    assert_true(wfe_sleeps(385));
    assert_false(wfe_sleeps(5000)); /* many are one: the register has one bit */
    assert_true(wfe_sleeps(5001));
    v->event = 1;
    assert_false(wfe_sleeps(5002));
    v->sys.cntkctl = BIT(2) | BIT(3) | 7 << 4; /* falls: at 256, 512, ... */
    wfe_sleeps(5003);
    assert_true(wfe_sleeps(5119));
    assert_false(wfe_sleeps(5120));
    assert_true(wfe_sleeps(5121));
    v->cpu_ops = NULL;
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(reset),   T(cpsr_round_trip), T(banking), T(banked_moves), T(entry_table), T(fault_registers), T(masks),
        T(returns), T(status_moves),    T(srs),     T(calls),        T(waiting),     T(event_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
