/*
 * vexpress.h — the board's place in the table of machines
 */
#ifndef MACHINES_VEXPRESS_VEXPRESS_H
#define MACHINES_VEXPRESS_VEXPRESS_H

#include "machines/machine.h"

extern const struct machine_type vexpress_a15;

#endif
