/* aba.c — directed A-B-A litmus: a cell is written and put back under a reservation.
 *
 * Forces: the rule by which a store-exclusive succeeds: by reservation (must fail here) or by
 *   comparing values (stores).
 * Parameters: strict=0 (1: a store-exclusive that should have failed fails the guest).
 * Metrics: missed (variants in which the store-exclusive stored although it must not), "#!
 *   aba=detected|missed", and one "#! check" line a variant.
 * Self-check: strict=1 only: every variant as ARM DDI 0406C A3.4 says. With one CPU only the
 *   variants without a second.
 */
#include "excl.h"

RT_GUEST("aba");

static const struct excl_check checks[] = {
    {"own_none", 32, OWN_NONE, CAN_SUCCEED},
    {"own_clrex", 32, OWN_CLREX, MUST_FAIL},
    {"own_store_same", 32, OWN_STORE_SAME, MAY_FAIL},
    {"none", 32, NOTHING, CAN_SUCCEED},
    {"store_other_page", 32, STORE_OTHER_PAGE, CAN_SUCCEED},
    {"store_aba", 32, STORE_ABA, MUST_FAIL},
    {"strex_aba", 32, STREX_ABA, MUST_FAIL},
    {"store_same", 32, STORE_SAME, MUST_FAIL},
    {"store_byte_same", 32, STORE_BYTE3, MUST_FAIL},
    {"alias_store_same", 32, ALIAS_STORE_SAME, MUST_FAIL},
    {"alias_strex_same", 32, ALIAS_STREX_SAME, MUST_FAIL},
};

static uint32_t wrong;

static void work(unsigned cpu, void *arg)
{
    (void)arg;
    if (cpu == 1)
        excl_serve();
    if (cpu != 0)
        return;
    for (unsigned i = 0; i < ARRAY_LEN(checks); i++)
        wrong += excl_run(&checks[i]) == EXCL_WRONG;
    excl_sync.quit = 1;
}

void guest_main(void)
{
    uint32_t strict = rt_param("strict", 0);
    excl_init();
    rt_parallel(work, NULL);
    rt_printf("#! aba=%s\n", rt_ncpus() < 2 ? "untested" : wrong ? "missed" : "detected");
    rt_metric("missed", wrong, "1");
    if (strict && wrong)
        rt_fail("%u variants wrong", wrong);
    rt_pass();
}
