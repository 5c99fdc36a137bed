/*
 * sysregs.c — the system registers of the motherboard, and the configuration controller behind them
 *
 * Source: Motherboard Express uATX (V2M-P1) TRM, ARM DUI 0447, chapter 4; values of the daughterboard from CoreTile
 * Express A15x2 TRM, ARM DUI 0604. Commands to the configuration controller are done at once.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "engine/base/log.h"
#include "machines/vexpress/devices.h"

#define SYS_ID   0x1190f500u /* DUI 0447, SYS_ID: board HBI0190 */
#define PROC_ID0 0x14000237u /* DUI 0604: HBI0237, Cortex-A15 */
#define PROC_ID1 0xff000000u /* no second daughterboard */

/* guarded by device lock */
struct sysregs {
    uint64_t reset_ns;
    uint32_t mci; /* const after LAUNCH: 1 card in the slot, 2 it is write-protected */
    uint32_t leds, flags, nvflags, misc, dma, flash, cfgsw, clcd;
    uint32_t cfgdata, cfgctrl, cfgstat;
    uint32_t osc[2][16], dvimode, muxfpga; /* [site] as set by the guest */
};

/* -- The configuration controller: DUI 0447, SYS_CFGCTRL ------------------------------------------------ */

enum {
    CFG_OSC = 1,
    CFG_VOLT = 2,
    CFG_AMP = 3,
    CFG_TEMP = 4,
    CFG_RESET = 5,
    CFG_SCC = 6,
    CFG_MUXFPGA = 7,
    CFG_SHUTDOWN = 8,
    CFG_REBOOT = 9,
    CFG_DVIMODE = 11,
    CFG_POWER = 12,
    CFG_ENERGY = 13,
};
enum { SITE_MOTHERBOARD, SITE_DAUGHTERBOARD };
enum { STAT_COMPLETE = 1, STAT_ERROR = 2 };

/* Hz. DUI 0447 and DUI 0604, clocks */
static const uint32_t osc_reset[2][16] = {
    {50000000, 23750000, 24000000, 24000000, 24000000, 24000000},
    {60000000, 0, 0, 0, 40000000, 23750000, 50000000, 60000000, 40000000},
};

/* A function's value that is kept, and nothing else. */
static bool transfer(uint32_t *value, uint32_t *data, bool write)
{
    if (write)
        *value = *data;
    else
        *data = *value;
    return true;
}

/* Returns false for what this board does not have. Reads leave their result in *data. */
static bool configure(struct sysregs *s, uint32_t ctrl, uint32_t *data)
{
    bool write = bit(ctrl, 30);
    unsigned dcc = bits(ctrl, 29, 26), function = bits(ctrl, 25, 20), site = bits(ctrl, 17, 16);
    unsigned position = bits(ctrl, 15, 12), device = bits(ctrl, 11, 0);

    if (dcc != 0 || position != 0 || site > SITE_DAUGHTERBOARD)
        return false;
    switch (function) {
    case CFG_OSC:
        if (device >= 16 || osc_reset[site][device] == 0)
            return false;
        return transfer(&s->osc[site][device], data, write);
    case CFG_VOLT: /* microvolts */
        if (write || device != 0)
            return false;
        *data = site == SITE_DAUGHTERBOARD ? 900000 : 3300000;
        return true;
    case CFG_AMP: /* microamperes */
    case CFG_POWER:
    case CFG_ENERGY:
        if (write || site != SITE_DAUGHTERBOARD || device > 1)
            return false;
        *data = 0;
        return true;
    case CFG_TEMP: /* millidegrees */
        if (write || site != SITE_DAUGHTERBOARD || device != 0)
            return false;
        *data = 35000;
        return true;
    case CFG_MUXFPGA:
        if (site != SITE_MOTHERBOARD || device != 0)
            return false;
        return transfer(&s->muxfpga, data, write);
    case CFG_DVIMODE:
        if (site != SITE_MOTHERBOARD || device != 0)
            return false;
        return transfer(&s->dvimode, data, write);
    case CFG_SHUTDOWN:
        if (!write)
            return false;
        machine_request_end(END_SHUTDOWN, 0);
        return true;
    case CFG_REBOOT:
    case CFG_RESET:
        if (!write)
            return false;
        machine_request_end(END_RESET, 0);
        return true;
    default: return false;
    }
}

static void write_cfgctrl(struct sysregs *s, uint32_t val)
{
    s->cfgctrl = val & 0x7fffffff; /* the start bit clears itself when the command is done */
    if (!bit(val, 31))
        return;
    s->cfgstat = STAT_COMPLETE;
    if (!configure(s, val, &s->cfgdata)) {
        s->cfgstat |= STAT_ERROR;
        dlog(DEV, "SYS_CFGCTRL 0x%08" PRIx32 ": no such function or device", val);
    }
}

/* -- Registers ----------------------------------------------------------------------------------- */

static bool sysregs_read(void *dev, uint32_t off, unsigned size, int cpu, uint32_t *val)
{
    struct sysregs *s = dev;
    DCHECK(device_lock_held(), "system register read without the device lock");
    (void)cpu;
    uint64_t ns = virtual_now_ns() - s->reset_ns;
    uint32_t word;

    switch (off & ~3u) { /* 0x04, SYS_SW: all switches are off */
    case 0x00: word = SYS_ID; break;
    case 0x08: word = s->leds; break;
    case 0x24: word = (uint32_t)(ns / 10000000); break;
    case 0x30:
    case 0x34: word = s->flags; break;
    case 0x38:
    case 0x3c: word = s->nvflags; break;
    case 0x48: word = s->mci; break;
    case 0x4c: word = s->flash; break;
    case 0x50: word = s->clcd; break;
    case 0x58: word = s->cfgsw; break;
    /* 24 ticks each microsecond, in two steps for 64 bits to be enough for centuries. */
    case 0x5c: word = (uint32_t)(ns / 1000 * 24 + ns % 1000 * 24 / 1000); break;
    case 0x60: word = s->misc; break;
    case 0x64: word = s->dma; break;
    case 0x84: word = PROC_ID0; break;
    case 0x88: word = PROC_ID1; break;
    case 0xa0: word = s->cfgdata; break;
    case 0xa4: word = s->cfgctrl; break;
    case 0xa8: word = s->cfgstat; break;
    default: word = 0; break;
    }
    *val = word_part(word, off, size);
    return true;
}

static bool sysregs_write(void *dev, uint32_t off, unsigned size, int cpu, uint32_t val)
{
    struct sysregs *s = dev;
    DCHECK(device_lock_held(), "system register write without the device lock");
    (void)cpu;
    if (size != 4 && off >= 0x84) {
        guest_error("system registers: store of %u bytes at 0x%" PRIx32 "; ignored, they are words", size, off);
        return true;
    }
    val <<= 8 * (off & 3);
    switch (off & ~3u) {
    case 0x08: s->leds = val & 0xff; break;
    case 0x30: s->flags |= val; break;
    case 0x34: s->flags &= ~val; break;
    case 0x38: s->nvflags |= val; break;
    case 0x3c: s->nvflags &= ~val; break;
    case 0x4c: s->flash = val & 3; break;
    case 0x50: s->clcd = val & 0x3f; break;
    case 0x58: s->cfgsw = val; break;
    case 0x60: s->misc = val & 0x4000; break;
    case 0x64: s->dma = val; break;
    case 0xa0: s->cfgdata = val; break;
    case 0xa4: write_cfgctrl(s, val); break;
    case 0xa8: s->cfgstat = val & (STAT_COMPLETE | STAT_ERROR); break;
    default: break;
    }
    return true;
}

void sysregs_reset(void *dev)
{
    struct sysregs *s = dev;
    /* NVFLAGS keep their value over a reset: DUI 0447, SYS_NVFLAGS */
    *s = (struct sysregs){.nvflags = s->nvflags, .mci = s->mci, .reset_ns = virtual_now_ns()};
    memcpy(s->osc, osc_reset, sizeof s->osc);
}

struct sysregs *sysregs_new(void)
{
    struct sysregs *s = calloc(1, sizeof *s);
    CHECK(s, "out of memory");
    sysregs_reset(s);
    return s;
}

void sysregs_set_card(struct sysregs *s, bool read_only)
{
    s->mci = read_only ? 3 : 1;
}

const struct mmio_ops sysregs_ops = {sysregs_read, sysregs_write};
