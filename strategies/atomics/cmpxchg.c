/*
 * cmpxchg.c — a store-exclusive is a compare-and-swap with the value that was loaded
 *
 * Idea: the load-link remembers address and value, the store-conditional swaps if the value is still that. Wait-free, inline,
 * one locked instruction, and scales on private lines like the host does.
 * Source: PICO-CAS, Cota et al., CGO 2017; Konrad 2015; QEMU since 2.8 (354161b37c, 37b995f6e7).
 * Invariants: C1, C2 in cas_site.h.
 *
 * What is known not to work: ABA. A store, or several, by anyone that leaves the same bits goes unseen. The key is the virtual
 * address, so a store-exclusive through another mapping of the same page fails, spuriously but safely.
 */
#include "strategies/atomics/cas_site.h"

const struct atomics_ops atomics_cmpxchg = {
    .head = {.name = "cmpxchg",
             .summary = "compare-and-swap with the value loaded: inline and scalable, open to ABA",
             .source = "PICO-CAS, CGO 2017; Konrad 2015",
             .needs = NEEDS_(CMPXCHG64),
             .gives = GIVES(PROGRESS) | GIVES(NO_STOP)},
    .emit_ldrex = cas_emit_ldrex,
    .emit_strex = cas_emit_strex,
    .emit_clrex = cas_emit_clrex,
    .budget_ldrex = CAS_BUDGET_LDREX,
    .budget_strex = CAS_BUDGET_STREX,
    .ldrex = cas_ldrex,
    .strex = cas_strex,
    .swp = excl_swap,
    .clear = cas_clear,
};
