/*
 * monitor.h — the small monitor behind Ctrl-A c, and behind a debugger's `monitor`
 */
#ifndef ENGINE_MAIN_MONITOR_H
#define ENGINE_MAIN_MONITOR_H

#include "engine/main/options.h"

/* LAUNCH, before console_start. */
void monitor_setup(const struct resolved *r);
void monitor_on_console(void);

/* Any thread that is no vCPU's: answers one line by print(). */
void monitor_ask(const char *line, void (*print)(const char *text));

#endif
