/*
 * mem.h — the guest physical memory map; every C access to guest memory goes through here
 *
 * RAM is one host mapping per bank; aliases of a bank resolve to the same host pages. A store
 * through mem_write() does the three things that a plain memcpy would forget:
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

/* Plain copies between host memory and guest RAM. Aligned ones of 1, 2, 4 and 8 bytes are single-copy atomic; longer ones
 * go by such pieces. Relaxed: they race with translated code as the guest's own accesses do. */
static inline void host_store(uint8_t *host, const void *val, size_t bytes)
{
    const uint8_t *from = (const uint8_t *)val;
    while (bytes) {
        uintptr_t at = (uintptr_t)host;
        size_t n = bytes >= 8 && !(at & 7) ? 8 : bytes >= 4 && !(at & 3) ? 4 : bytes >= 2 && !(at & 1) ? 2 : 1;
        uint64_t x = 0;
        memcpy(&x, from, n);
        switch (n) {
        case 8: __atomic_store_n((uint64_t *)(void *)host, x, __ATOMIC_RELAXED); break;
        case 4: __atomic_store_n((uint32_t *)(void *)host, (uint32_t)x, __ATOMIC_RELAXED); break;
        case 2: __atomic_store_n((uint16_t *)(void *)host, (uint16_t)x, __ATOMIC_RELAXED); break;
        default: __atomic_store_n(host, (uint8_t)x, __ATOMIC_RELAXED); break;
        }
        host += n;
        from += n;
        bytes -= n;
    }
}

static inline void host_load(void *buf, const uint8_t *host, size_t bytes)
{
    uint8_t *to = (uint8_t *)buf;
    while (bytes) {
        uintptr_t at = (uintptr_t)host;
        size_t n = bytes >= 8 && !(at & 7) ? 8 : bytes >= 4 && !(at & 3) ? 4 : bytes >= 2 && !(at & 1) ? 2 : 1;
        uint64_t x;
        switch (n) {
        case 8: x = __atomic_load_n((const uint64_t *)(const void *)host, __ATOMIC_RELAXED); break;
        case 4: x = __atomic_load_n((const uint32_t *)(const void *)host, __ATOMIC_RELAXED); break;
        case 2: x = __atomic_load_n((const uint16_t *)(const void *)host, __ATOMIC_RELAXED); break;
        default: x = __atomic_load_n(host, __ATOMIC_RELAXED); break;
        }
        memcpy(to, &x, n);
        host += n;
        to += n;
        bytes -= n;
    }
}

/* Map as text, for `info mtree` and --log. */
void mem_print_map(void (*line)(const char *text));

#endif
