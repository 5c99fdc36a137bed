/*
 * vcpu_alloc.h — making and unmaking vCPU structs: launch and tests
 */
#ifndef ENGINE_VCPU_VCPU_ALLOC_H
#define ENGINE_VCPU_VCPU_ALLOC_H

#include "engine/vcpu/vcpu.h"

/* LAUNCH. Fills vcpus[index]; the caller counts nvcpus. False: e says why. */
bool vcpu_alloc(unsigned index, struct error *e);
void vcpu_free_all(void);

#endif
