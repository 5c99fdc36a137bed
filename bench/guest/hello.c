/* hello.c — the smallest guest: start of all CPUs, .data and .bss, output, exit.
 *
 * Forces: start of every CPU at the entry, MPIDR, GICD_TYPER, WFE/SEV (or WFI/SGI with idle=wfi),
 *   UART, exit.
 * Parameters: none of its own.
 * Self-check: .data holds its values, .bss is zero, every CPU checks in once and under its own
 *   number.
 */
#include "rt.h"

RT_GUEST("hello");

static volatile uint32_t in_data = 0x600df00d;
static volatile uint32_t in_bss[1024];
static volatile uint32_t seen[RT_MAX_CPUS];

static void check_in(unsigned cpu, void *arg)
{
    (void)arg;
    seen[cpu] += 1 + (rt_cpu() != cpu);
    for (unsigned turn = 0; turn < rt_ncpus(); turn++) {
        if (turn == cpu)
            rt_printf("hello from cpu %u of %u\n", cpu, rt_ncpus());
        rt_barrier();
    }
}

void guest_main(void)
{
    rt_printf("%s\n", RT_ISA);
    if (in_data != 0x600df00d)
        rt_fail(".data was not loaded");
    for (unsigned i = 0; i < ARRAY_LEN(in_bss); i++)
        if (in_bss[i])
            rt_fail(".bss is not zero");
    rt_parallel(check_in, NULL);
    for (unsigned i = 0; i < RT_MAX_CPUS; i++)
        if (seen[i] != (i < rt_ncpus()))
            rt_fail("cpu %u checked in %u times", i, seen[i]);
    rt_pass();
}
