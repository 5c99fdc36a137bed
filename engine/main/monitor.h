/*
 * monitor.h — the small monitor behind Ctrl-A c
 */
#ifndef ENGINE_MAIN_MONITOR_H
#define ENGINE_MAIN_MONITOR_H

#include "engine/main/options.h"

/* LAUNCH, before console_start. */
void monitor_setup(const struct resolved *r);

#endif
