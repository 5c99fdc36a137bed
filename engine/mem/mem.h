/*
 * mem.h — the guest physical memory map; every C access to guest memory goes through here
 *
 * RAM is one host mapping per bank (shared memory, so that aliases of a bank are views of the same
 * host pages). A store through mem_write() does the three things that a plain memcpy would forget:
 * it kills translations of the bytes, breaks exclusive reservations on them (through the atomics
 * scheme's store twin), and is single-copy atomic for aligned sizes up to 8.
 */
#ifndef ENGINE_MEM_MEM_H
#define ENGINE_MEM_MEM_H

#include "engine/base/base.h"
#include "machines/machine.h"

#define GUEST_PAGE_BITS 12
#define GUEST_PAGE_SIZE (1u << GUEST_PAGE_BITS)
#define GUEST_PAGE_MASK (~(uint32_t)(GUEST_PAGE_SIZE - 1))

/* -- Building the map: LAUNCH ------------------------------------------------------------------------ */

/* Add RAM. Returns false with e filled when the host cannot give it. */
bool mem_add_ram(gpa base, uint64_t bytes, struct error *e);
/* The range [base, base+bytes) shows the RAM that begins at target. */
void mem_add_alias(gpa base, uint64_t bytes, gpa target);
/* The range is a device. name is for logs and `info mtree`. */
void mem_add_mmio(gpa base, uint64_t bytes, const struct mmio_ops *ops, void *dev, const char *name);
void mem_free_all(void);

/* -- Looking at the map -------------------------------------------------------------------------------- */

/* Host pointer to the RAM page frame that holds gpa (at its byte), or NULL for device/unassigned.
 * canonical: if not NULL, receives the address with aliases resolved: two addresses of the same byte
 * have the same canonical address. Any thread; lock-free; const after LAUNCH. */
uint8_t *mem_ram_ptr(gpa pa, gpa *canonical);
uint64_t mem_ram_bytes(void);

/* -- Access from C --------------------------------------------------------------------------------------- */

enum mem_result { MEM_OK, MEM_UNASSIGNED /* external abort */ };

/* Device DMA, loaders, debugger: any size, any alignment, RAM only or MMIO of 1, 2, 4 aligned bytes.
 * Context: FOREIGN; may be called with the device lock held for RAM only. */
enum mem_result mem_read(gpa pa, void *buf, size_t bytes);
enum mem_result mem_write(gpa pa, const void *buf, size_t bytes);

/* One aligned device access of 1, 2 or 4 bytes by vCPU cpu; takes the device lock. */
enum mem_result mem_mmio_read(gpa pa, unsigned size, int cpu, uint32_t *val);
enum mem_result mem_mmio_write(gpa pa, unsigned size, int cpu, uint32_t val);

/* Map as text, for `info mtree` and --log. */
void mem_print_map(void (*line)(const char *text));

#endif
