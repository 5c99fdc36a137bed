/*
 * fakes_testlib.h — an engine for tests of devices: RAM, a memory map, interrupt lines, ends of the machine
 *
 * Takes the place of engine/mem, engine/sync and engine/main, so that a device is tested alone.
 */
#ifndef MACHINES_FAKES_TESTLIB_H
#define MACHINES_FAKES_TESTLIB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdatomic.h>

#include "machines/machine.h"

extern uint32_t fake_lines[MAX_VCPUS];        /* enum vcpu_line bits as set last. guarded by device lock */
extern unsigned fake_line_changes[MAX_VCPUS]; /* calls of vcpu_set_line. guarded by device lock */

struct fake_end {
    _Atomic unsigned count;
    enum machine_end how; /* of the last request */
    int exit_code;
};
extern struct fake_end fake_end;

/* Forget map, lines and ends. */
void fake_reset(void);

/* Keep a device reachable until the end of the program, for the leak check: its timers may be armed. */
void *fake_own(void *dev);

/* An access by cpu as the engine makes it: device lock taken. False: external abort. */
bool fake_read(gpa pa, unsigned size, int cpu, uint32_t *val);
bool fake_write(gpa pa, unsigned size, int cpu, uint32_t val);
/* Word accesses that must not abort. */
uint32_t rd(gpa pa);
void wr(gpa pa, uint32_t val);
uint32_t rd_cpu(int cpu, gpa pa);
void wr_cpu(int cpu, gpa pa, uint32_t val);

/* Regions of the map, for tests that go through all of them. */
unsigned fake_mmio_count(void);
void fake_mmio_region(unsigned n, gpa *base, uint64_t *bytes, const char **name);

/* A new file with these bytes, removed at exit; returns its path, valid until the next call. */
const char *fake_file(const void *data, size_t bytes);

#endif
