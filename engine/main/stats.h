/*
 * stats.h — what a run counted, for people and for programs
 */
#ifndef ENGINE_MAIN_STATS_H
#define ENGINE_MAIN_STATS_H

#include "engine/main/options.h"

/* LAUNCH: can the file of --stats be made? Told before the run and not after it. */
bool stats_check(const struct run_options *o, struct error *e);
/* After all threads have ended: as --stats says. False: the file could not be written; e says why, and there is no part of
 * it under its name. */
bool stats_write(const struct run_options *o, const struct resolved *r, uint64_t wall_ns, struct error *e);

#endif
