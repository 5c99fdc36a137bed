/* exclusive_rules.c — the rules of LDREX/STREX (ARM DDI 0406C A3.4), one deterministic check each.
 *
 * Forces: every way in which a reservation must be lost, and some in which it must not.
 * Parameters: strict=0 (1: any wrong check fails the guest).
 * Metrics: wrong, checked, and one "#! check NAME stored|failed ok|wrong|skipped" line a check.
 * Self-check: always: a store-exclusive that says it failed has left memory alone, and one that
 *   says it stored has stored; strict=1: all checks.
 */
#include "excl.h"

RT_GUEST("exclusive_rules");

static const struct excl_check checks[] = {
    {"pair_32", 32, OWN_NONE, CAN_SUCCEED},
    {"pair_8", 8, OWN_NONE, CAN_SUCCEED},
    {"pair_16", 16, OWN_NONE, CAN_SUCCEED},
    {"pair_64", 64, OWN_NONE, CAN_SUCCEED},
    {"clrex_between", 32, OWN_CLREX, MUST_FAIL},
    {"second_strex_after_one_ldrex", 32, OWN_STREX_TWICE, MUST_FAIL},
    {"strex_to_another_address", 32, OWN_STREX_ELSEWHERE, MUST_FAIL},
    {"ldrex_elsewhere_between", 32, OWN_LDREX_ELSEWHERE, MUST_FAIL},
    {"own_store_other_page", 32, OWN_STORE_OTHER_PAGE, CAN_SUCCEED},
    {"own_store_same_word", 32, OWN_STORE_SAME, MAY_FAIL},
    {"own_store_by_alias", 32, OWN_ALIAS_STORE, MAY_FAIL},
    {"other_does_nothing", 32, NOTHING, CAN_SUCCEED},
    {"other_loads", 32, LOAD, CAN_SUCCEED},
    {"other_ldrex", 32, LDREX_ONLY, CAN_SUCCEED},
    {"other_clrex", 32, CLREX_THERE, CAN_SUCCEED},
    {"other_strex_fails", 32, STREX_FAILING, CAN_SUCCEED},
    {"other_store_far_in_page", 32, STORE_OTHER_LINE, CAN_SUCCEED},
    {"other_store_other_page", 32, STORE_OTHER_PAGE, CAN_SUCCEED},
    {"store_aba", 32, STORE_ABA, MUST_FAIL},
    {"store_same_value", 32, STORE_SAME, MUST_FAIL},
    {"store_other_value", 32, STORE_OTHER_VALUE, MUST_FAIL},
    {"store_byte_0", 32, STORE_BYTE0, MUST_FAIL},
    {"store_byte_3", 32, STORE_BYTE3, MUST_FAIL},
    {"store_half_2", 32, STORE_HALF2, MUST_FAIL},
    {"store_double", 32, STORE_DOUBLE, MUST_FAIL},
    {"store_multiple", 32, STORE_MULTIPLE, MUST_FAIL},
    {"store_unaligned", 32, STORE_UNALIGNED, MUST_FAIL},
    {"strex_aba", 32, STREX_ABA, MUST_FAIL},
    {"strex_same_value", 32, STREX_SAME, MUST_FAIL},
    {"strex_other_value", 32, STREX_OTHER_VALUE, MUST_FAIL},
    {"strexb_same_value", 32, STREXB_SAME, MUST_FAIL},
    {"byte_pair_word_store", 8, STORE_SAME, MUST_FAIL},
    {"byte_pair_byte_store", 8, STORE_BYTE0, MUST_FAIL},
    {"half_pair_word_store", 16, STORE_SAME, MUST_FAIL},
    {"double_pair_low_store", 64, STORE_SAME, MUST_FAIL},
    {"double_pair_high_store", 64, STORE_HIGH, MUST_FAIL},
    {"double_pair_strex_low", 64, STREX_SAME, MUST_FAIL},
    {"alias_store_same_value", 32, ALIAS_STORE_SAME, MUST_FAIL},
    {"alias_store_byte", 32, ALIAS_BYTE, MUST_FAIL},
    {"alias_strex_same_value", 32, ALIAS_STREX_SAME, MUST_FAIL},
};

static uint32_t wrong, checked;

/* What the answer of STREX says about memory. */
static void check_effect(void)
{
    volatile uint32_t *c = excl_cell;
    uint32_t f, t;
    for (unsigned i = 0; i < 100; i++) {
        *c = EXCL_A;
        asm volatile("ldrex %0, [%2]\n\tclrex\n\tstrex %1, %3, [%2]"
                     : "=&r"(t), "=&r"(f)
                     : "r"(c), "r"(EXCL_B)
                     : "memory");
        if (f > 1 || *c != (f ? EXCL_A : EXCL_B))
            rt_fail("after CLREX, STREX says %u and the word is %08x", f, *c);
        asm volatile("ldrex %0, [%2]\n\tstrex %1, %3, [%2]" : "=&r"(t), "=&r"(f) : "r"(c), "r"(EXCL_B) : "memory");
        if (f > 1 || t != EXCL_A || *c != (f ? EXCL_A : EXCL_B))
            rt_fail("STREX says %u and the word is %08x", f, *c);
    }
    rt_clrex();
}

/* Losing the reservation is an event: WFE ends without SEV. CPU 1 stores, and sends an event only if CPU 0 sleeps on:
 * for 100 ms, or where it decides (strict) for 2 s, which no busy host makes of a wake-up. */
static volatile uint32_t wake_ready ALIGNED(64), woken, wake_done, wake_late;
static uint32_t strict;

static void check_wake(void)
{
    uint32_t t;
    volatile uint32_t *c = excl_cell;
    *c = EXCL_A;
    rt_sev();
    rt_wfe(); /* the event register is now clear */
    asm volatile("ldrex %0, [%1]" : "=&r"(t) : "r"(c) : "memory");
    wake_ready = 1;
    while (*c == EXCL_A)
        rt_wfe();
    woken = 1;
    rt_clrex();
    while (!wake_done)
        rt_yield();
    bool ok = !wake_late;
    rt_printf("#! check lost_reservation_ends_wfe %s\n", ok ? "ok" : "wrong");
    wrong += !ok;
    checked++;
}

static void serve_wake(void)
{
    while (!wake_ready)
        rt_yield();
    rt_delay_ns(5000000);
    *(volatile uint32_t *)excl_cell = EXCL_B;
    for (uint64_t t0 = rt_ticks(); !woken && !wake_late;)
        wake_late = rt_elapsed_ns(t0, rt_ticks()) > (strict ? 2000000000 : 100000000);
    rt_sev();
    wake_done = 1;
}

static void work(unsigned cpu, void *arg)
{
    (void)arg;
    if (cpu == 1) {
        excl_serve();
        serve_wake();
    }
    if (cpu != 0)
        return;
    for (unsigned i = 0; i < ARRAY_LEN(checks); i++) {
        int r = excl_run(&checks[i]);
        wrong += r == EXCL_WRONG;
        checked += r != EXCL_SKIPPED;
    }
    excl_sync.quit = 1;
    if (rt_ncpus() > 1)
        check_wake();
}

void guest_main(void)
{
    strict = rt_param("strict", 0);
    excl_init();
    check_effect();
    rt_parallel(work, NULL);
    rt_printf("checked %u\n", checked);
    rt_metric("wrong", wrong, "1");
    rt_metric("checked", checked, "1");
    if (strict && wrong)
        rt_fail("%u of %u checks wrong", wrong, checked);
    rt_pass();
}
