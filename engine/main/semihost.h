/*
 * semihost.h — semihosting calls on their way from the guest CPU to machines/semihosting.c
 */
#ifndef ENGINE_MAIN_SEMIHOST_H
#define ENGINE_MAIN_SEMIHOST_H

#include "engine/arm/sys_helpers.h"

/* GUEST. The hook arm_semihost. */
enum arm_semihost_end semihost_from_guest(struct vcpu *v, uint32_t op, uint32_t param, uint32_t *result);
/* LAUNCH, after the machine has set up its console. */
void semihost_setup_waits(void);

#endif
