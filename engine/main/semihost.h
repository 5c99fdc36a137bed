/*
 * semihost.h — semihosting calls on their way from the guest CPU to machines/semihosting.c
 */
#ifndef ENGINE_MAIN_SEMIHOST_H
#define ENGINE_MAIN_SEMIHOST_H

#include "engine/vcpu/vcpu.h"

/* GUEST. The hook arm_semihost. */
uint32_t semihost_from_guest(struct vcpu *v, uint32_t op, uint32_t param, bool *exited);

#endif
