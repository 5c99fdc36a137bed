/*
 * launch.h — one run of a guest, from its options to its exit code
 */
#ifndef ENGINE_MAIN_LAUNCH_H
#define ENGINE_MAIN_LAUNCH_H

#include "engine/main/options.h"

#define EXIT_TIMEOUT 124

/* Runs to the end of the machine and takes everything down again. Returns the exit code; with e filled nothing ran, or
 * what was asked for could not be done. Once in a process. */
int launch(const struct run_options *o, const struct resolved *r, struct error *e);

#endif
