/*
 * fakes_testlib.c — an engine for tests of devices
 */
#include "machines/fakes_testlib.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/mem/mem.h"
#include "engine/sync/lock.h"

/* The table of machines is linked into every test; those of the board bring the real one. */
extern const struct machine_type vexpress_a15;
__attribute__((weak)) const struct machine_type vexpress_a15 = {.name = NULL};

/* -- engine/sync --------------------------------------------------------------------------------- */

_Thread_local uint32_t lock_ranks_held;

NORETURN void lock_rank_failed(enum lock_rank r)
{
    fprintf(stderr, "lock of rank %d taken out of order\n", r);
    abort();
}

uint32_t fake_lines[MAX_VCPUS];
unsigned fake_line_changes[MAX_VCPUS];

void vcpu_set_line(unsigned n, enum vcpu_line line, bool level)
{
    assert_true(device_lock_held());
    assert_true(n < MAX_VCPUS);
    fake_lines[n] = level ? fake_lines[n] | line : fake_lines[n] & ~(uint32_t)line;
    fake_line_changes[n]++;
}

/* -- engine/main --------------------------------------------------------------------------------- */

struct fake_end fake_end;

void machine_request_end(enum machine_end how, int exit_code)
{
    fake_end.how = how;
    fake_end.exit_code = exit_code;
    atomic_fetch_add_explicit(&fake_end.count, 1, memory_order_relaxed);
}

/* -- engine/mem ---------------------------------------------------------------------------------- */

static struct region {
    gpa base;
    uint64_t bytes;
    const struct mmio_ops *ops;
    void *dev;
    const char *name;
    uint8_t *ram;
} regions[64];
static unsigned region_count;

static struct region *region_of(gpa pa, uint64_t bytes)
{
    for (unsigned i = 0; i < region_count; i++)
        if (pa >= regions[i].base && bytes <= regions[i].bytes && pa - regions[i].base <= regions[i].bytes - bytes)
            return &regions[i];
    return NULL;
}

static void add_region(struct region r)
{
    assert_true(region_count < ARRAY_SIZE(regions));
    for (unsigned i = 0; i < region_count; i++)
        assert_true(r.base >= regions[i].base + regions[i].bytes || regions[i].base >= r.base + r.bytes);
    regions[region_count++] = r;
}

bool mem_add_ram(gpa base, uint64_t bytes, struct error *e)
{
    (void)e;
    uint8_t *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(p != MAP_FAILED);
    add_region((struct region){.base = base, .bytes = bytes, .ram = p, .name = "ram"});
    return true;
}

void mem_add_mmio(gpa base, uint64_t bytes, const struct mmio_ops *ops, void *dev, const char *name)
{
    add_region((struct region){.base = base, .bytes = bytes, .ops = ops, .dev = dev, .name = name});
}

/* Relaxed bytes: a driver may well write what a device reads just then (fuzzed rings do); as real RAM, it is no race of ours. */
enum mem_result mem_read(gpa pa, void *buf, size_t bytes)
{
    struct region *r = region_of(pa, bytes);
    if (!r || !r->ram)
        return MEM_UNASSIGNED;
    const uint8_t *ram = r->ram + (pa - r->base);
    for (size_t i = 0; i < bytes; i++)
        ((uint8_t *)buf)[i] = __atomic_load_n(&ram[i], __ATOMIC_RELAXED);
    return MEM_OK;
}

enum mem_result mem_write(gpa pa, const void *buf, size_t bytes)
{
    struct region *r = region_of(pa, bytes);
    if (!r || !r->ram)
        return MEM_UNASSIGNED;
    uint8_t *ram = r->ram + (pa - r->base);
    for (size_t i = 0; i < bytes; i++)
        __atomic_store_n(&ram[i], ((const uint8_t *)buf)[i], __ATOMIC_RELAXED);
    return MEM_OK;
}

uint8_t *mem_ram_ptr(gpa pa, gpa *canonical)
{
    struct region *r = region_of(pa, 1);
    if (!r || !r->ram)
        return NULL;
    if (canonical)
        *canonical = pa;
    return r->ram + (pa - r->base);
}

unsigned fake_mmio_count(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < region_count; i++)
        n += regions[i].ops != NULL;
    return n;
}

void fake_mmio_region(unsigned n, gpa *base, uint64_t *bytes, const char **name)
{
    for (unsigned i = 0; i < region_count; i++) {
        if (!regions[i].ops || n--)
            continue;
        *base = regions[i].base;
        *bytes = regions[i].bytes;
        *name = regions[i].name;
        return;
    }
    fail();
}

bool fake_read(gpa pa, unsigned size, int cpu, uint32_t *val)
{
    struct region *r = region_of(pa, size);
    if (!r || !r->ops)
        return false;
    device_lock();
    *val = 0xdeadbeef;
    bool ok = r->ops->read(r->dev, (uint32_t)(pa - r->base), size, cpu, val);
    device_unlock();
    return ok;
}

bool fake_write(gpa pa, unsigned size, int cpu, uint32_t val)
{
    struct region *r = region_of(pa, size);
    if (!r || !r->ops)
        return false;
    device_lock();
    bool ok = r->ops->write(r->dev, (uint32_t)(pa - r->base), size, cpu, val);
    device_unlock();
    return ok;
}

uint32_t rd_cpu(int cpu, gpa pa)
{
    uint32_t val;
    assert_true(fake_read(pa, 4, cpu, &val));
    return val;
}

void wr_cpu(int cpu, gpa pa, uint32_t val)
{
    assert_true(fake_write(pa, 4, cpu, val));
}

uint32_t rd(gpa pa)
{
    return rd_cpu(0, pa);
}

void wr(gpa pa, uint32_t val)
{
    wr_cpu(0, pa, val);
}

void *fake_own(void *dev)
{
    static void *owned[256];
    static unsigned count;
    assert_true(count < ARRAY_SIZE(owned));
    return owned[count++] = dev;
}

void fake_reset(void)
{
    for (unsigned i = 0; i < region_count; i++)
        if (regions[i].ram)
            munmap(regions[i].ram, regions[i].bytes);
    region_count = 0;
    memset(fake_lines, 0, sizeof fake_lines);
    memset(fake_line_changes, 0, sizeof fake_line_changes);
    fake_end.count = 0;
    fake_end.exit_code = 0;
}

/* -- Files --------------------------------------------------------------------------------------- */

static char file_name[256];

static void remove_file(void)
{
    unlink(file_name);
}

const char *fake_file(const void *data, size_t bytes)
{
    const char *dir = getenv("TEST_TMPDIR");
    if (!file_name[0]) {
        snprintf(file_name, sizeof file_name, "%s/dbtlab-test-%d", dir ? dir : "/tmp", (int)getpid());
        atexit(remove_file);
    }
    FILE *f = fopen(file_name, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
    return file_name;
}
