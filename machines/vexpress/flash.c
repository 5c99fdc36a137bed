/*
 * flash.c — the NOR flash: erased, and protected against writing
 *
 * Source: ARM DUI 0447, chapter 2: two banks of 64 MB, the first also at address 0 after reset. An erased flash reads all
 * ones. It takes no commands: a program that probes for the command set finds none.
 */
#include <stdatomic.h>

#include "engine/base/log.h"
#include "machines/vexpress/devices.h"

static bool flash_read(void *dev, uint32_t off, unsigned size, int cpu, uint32_t *val)
{
    (void)dev;
    (void)off;
    (void)cpu;
    *val = size == 4 ? UINT32_MAX : BIT(8 * size) - 1;
    return true;
}

static bool flash_write(void *dev, uint32_t off, unsigned size, int cpu, uint32_t val)
{
    (void)dev;
    guest_error("store of %u bytes (0x%" PRIx32 ") to the flash at offset 0x%" PRIx32
                " by CPU %d; ignored, it is protected",
                size, val, off, cpu);
    return true;
}

const struct mmio_ops flash_ops = {flash_read, flash_write};
