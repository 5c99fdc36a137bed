/*
 * machine.h — what a machine is to the engine, and what the engine is to a machine
 *
 * A machine owns the physical memory map, the devices, and the state in which vCPUs start. It never
 * sees a strategy: a device stores into guest memory through mem_write() (engine/mem/mem.h), so no
 * device author can forget to break an exclusive monitor or to kill a translation.
 *
 * Locking. All device state is guarded by the device lock (rank DEVICE). The engine takes it around
 * every mmio_ops call and every timer callback; it is not held while translated code runs, and no
 * device may block while holding it. A device raises a line to a vCPU with vcpu_set_line(), which
 * may be called with the device lock held.
 */
#ifndef MACHINES_MACHINE_H
#define MACHINES_MACHINE_H

#include "engine/base/base.h"

#define MAX_VCPUS 8

struct vcpu;
struct machine;

/* -- Memory-mapped devices ---------------------------------------------------------------------- */

/* Context: a vCPU's own thread (or another device acting as bus master: cpu < 0), device lock held.
 * off: offset in the region. size: 1, 2 or 4 bytes (an 8-byte access arrives as two of 4), aligned.
 * cpu: index of the accessing vCPU. Returns false for an access that the board answers with an
 * external abort. */
struct mmio_ops {
    bool (*read)(void *dev, uint32_t off, unsigned size, int cpu, uint32_t *val);
    bool (*write)(void *dev, uint32_t off, unsigned size, int cpu, uint32_t val);
};

/* -- Virtual time and timers --------------------------------------------------------------------
 *
 * Virtual time is host monotonic time since the machine started, in nanoseconds. One timer thread
 * sleeps until the earliest deadline, takes the device lock and calls back. */

struct dev_timer {
    void (*expired)(void *opaque); /* device lock held */
    void *opaque;
    uint64_t deadline_ns;   /* virtual time; UINT64_MAX: off.  guarded by device lock */
    struct dev_timer *next; /* guarded by device lock */
};

void timer_init(struct dev_timer *t, void (*expired)(void *), void *opaque);
/* Device lock held. deadline in virtual ns; UINT64_MAX disarms. A deadline in the past fires soon. */
void timer_set(struct dev_timer *t, uint64_t deadline_ns);
uint64_t virtual_now_ns(void); /* any thread, no lock */

void device_lock(void);
void device_unlock(void);
bool device_lock_held(void); /* by this thread */

/* -- Lines into a vCPU -------------------------------------------------------------------------- */

enum vcpu_line { LINE_IRQ = 1, LINE_FIQ = 2, LINE_ABORT = 4 /* asynchronous external abort */ };

/* Level of an interrupt input of vCPU n. FOREIGN: any thread. Wakes a vCPU asleep in WFI/WFE and
 * makes a running one leave translated code in bounded time. */
void vcpu_set_line(unsigned n, enum vcpu_line line, bool level);

/* -- Ends of the machine ------------------------------------------------------------------------- */

enum machine_end { END_EXIT, END_SHUTDOWN, END_RESET };

/* Any thread, with or without the device lock. The engine stops all vCPUs at their next safepoint;
 * the process ends with exit_code (END_RESET restarts the machine from its entry state). */
void machine_request_end(enum machine_end how, int exit_code);

/* -- The machine itself ---------------------------------------------------------------------------- */

/* Who answers PSCI calls (ARM DEN 0022), and by which instruction. AUTO, of a configuration: as the device tree says. */
enum psci_method { PSCI_AUTO, PSCI_OFF, PSCI_HVC, PSCI_SMC };

struct machine_config {
    unsigned smp;       /* 1..MAX_VCPUS */
    uint64_t ram_bytes; /* multiple of 1 MiB */
    const char *image;  /* ELF, or raw image with raw=true */
    bool raw;
    const char *dtb;             /* file or NULL */
    const char *kernel;          /* Linux, instead of image; then dtb is needed */
    const char *initrd, *append; /* with kernel; file, command line; or NULL */
    const char *uart1;           /* file that gets what the guest writes to UART1, or NULL */
    const char *disk;            /* FILE[,ro|,cow], or NULL */
    const char *sd;              /* FILE[,ro|,cow], or NULL */
    const char *virtio_console;  /* stdio, pty, file:FILE; or NULL */
    const char *net;             /* BACKEND[,option]...; NULL: none */
    enum psci_method psci;
    const char *const *argv;     /* NULL-terminated: the guest's command line for semihosting */
    int uart_fd_in, uart_fd_out; /* UART0; -1: none */
};

/* Per-core inputs and registers that live in the SoC but are reached through CP15. cnt: generic
 * timer. All of them: vCPU's own thread, no locks (they take the device lock themselves). */
struct machine_cpu_ops {
    uint64_t (*cntpct)(unsigned cpu);
    /* which: 0 secure physical, 1 non-secure physical, 2 hypervisor, 3 virtual.
     * reg: 0 CTL, 1 CVAL, 2 TVAL. */
    uint64_t (*timer_read)(unsigned cpu, unsigned which, unsigned reg);
    void (*timer_write)(unsigned cpu, unsigned which, unsigned reg, uint64_t val);
    uint64_t (*cntvoff_read)(unsigned cpu);
    void (*cntvoff_write)(unsigned cpu, uint64_t val);
    /* The performance monitors' interrupt of a CPU: its level now, and in how many nanoseconds it will rise by itself (UINT64_MAX: not). May
     * be NULL. */
    void (*pmu_line)(unsigned cpu, bool level, uint64_t after_ns);
    uint32_t cntfrq_hz;
    uint32_t periphbase; /* what CBAR reads */
};

struct machine_type {
    const char *name, *summary;
    uint64_t ram_max;
    unsigned cpus_max;
    /* LAUNCH. Builds map and devices (mem_add_ram, mem_add_mmio), loads the image, returns false with e filled.
     * entry_state() is then asked for each vCPU. */
    bool (*create)(struct machine *m, const struct machine_config *cfg, struct error *e);
    /* State of vCPU n at power-on and after reset. Values the machine does not set are zero. */
    void (*entry_state)(struct machine *m, unsigned cpu, uint32_t regs[16], uint32_t *cpsr, bool *powered_on);
    /* Device state back to power-on; device lock held, all vCPUs stopped. RAM contents are reloaded. */
    void (*reset)(struct machine *m);
    /* The run is over, no vCPU runs, device lock not held: ends threads, closes files. May be NULL. */
    void (*stop)(struct machine *m);
    const struct machine_cpu_ops *cpu_ops;
};

struct machine {
    const struct machine_type *type;
    struct machine_config cfg;
    enum psci_method psci; /* W: create; never AUTO. With PSCI all CPUs but the first are off at entry. */
    void *board;           /* the machine's own state */
};

extern const struct machine_type *const machine_types[]; /* NULL-terminated; machines/machines.c */

#endif
