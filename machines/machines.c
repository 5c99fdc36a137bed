/*
 * machines.c — the table of machines
 */
#include "machines/machine.h"
#include "machines/vexpress/vexpress.h"

const struct machine_type *const machine_types[] = {
    &vexpress_a15,
    NULL,
};
