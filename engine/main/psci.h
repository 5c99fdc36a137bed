/*
 * psci.h — power calls of the guest: CPUs on and off, the machine off and restarted
 */
#ifndef ENGINE_MAIN_PSCI_H
#define ENGINE_MAIN_PSCI_H

#include "engine/vcpu/vcpu.h"

/* LAUNCH. How the guest calls; PSCI_OFF: HVC and SMC stay what they are without firmware. */
void psci_setup(enum psci_method method);
/* LAUNCH, or all vCPUs stopped: is CPU n on at entry? */
void psci_reset(unsigned n, bool on);

#endif
