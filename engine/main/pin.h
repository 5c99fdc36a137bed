/*
 * pin.h — which host CPU each vCPU thread is to run on
 */
#ifndef ENGINE_MAIN_PIN_H
#define ENGINE_MAIN_PIN_H

#include "engine/base/base.h"

/* LAUNCH, after sync_init_vcpu: fills vcpu_thread(v)->pin. spec: "none"; "auto": one core each, spread over the machine,
 * and none when there are fewer cores than vCPUs, which is said if `say`; or a list of host CPUs. */
bool pin_vcpus(const char *spec, bool say, struct error *e);

/* The spec alone is looked at: is it one of these forms? */
bool pin_check(const char *spec, struct error *e);

#endif
