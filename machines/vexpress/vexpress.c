/*
 * vexpress.c — Versatile Express with the CoreTile Express A15x2: memory map, wiring, power-on
 *
 * Sources: Motherboard Express uATX (V2M-P1) TRM, ARM DUI 0447, with the Cortex-A Series memory map; CoreTile
 * Express A15x2 TRM, ARM DUI 0604; Cortex-A15 MPCore TRM, ARM DDI 0438.
 *
 * RAM is at 0x80000000 and has no second place below 4 GB: unlike the A9 board, the bottom of the address space
 * shows the first flash. What has no row in the tables answers with an external abort, as do the Ethernet and USB
 * chips, which are not fitted.
 *
 * Every CPU starts at the entry point of an ELF, in secure supervisor mode. A raw image (a kernel) starts on CPU 0 with
 * r0 = 0, r1 = machine number, r2 = device tree; the other CPUs wait in a pen in SRAM until SYS_FLAGS holds an address
 * and an interrupt wakes them, as the board's boot monitor has it. With PSCI they are off.
 */
#include "machines/vexpress/vexpress.h"

#include <errno.h>
#include <fcntl.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/mem/mem.h"
#include "machines/console.h"
#include "machines/linux_boot.h"
#include "machines/linux_dtb.h"
#include "machines/loader.h"
#include "machines/semihosting.h"
#include "machines/timers.h"
#include "machines/vexpress/devices.h"
#include "machines/vexpress/sd_card.h"
#include "machines/virtio/virtio.h"

#define RAM_BASE        UINT64_C(0x80000000)
#define RAM_MAX         UINT64_C(0x80000000)
#define SRAM_BASE       UINT64_C(0x14000000)
#define SRAM_BYTES      UINT64_C(0x02000000)
#define VRAM_BASE       UINT64_C(0x18000000)
#define VRAM_BYTES      UINT64_C(0x00800000)
#define TILE_SRAM_BASE  UINT64_C(0x2e000000)
#define TILE_SRAM_BYTES UINT64_C(0x00010000)
#define FLASH_BYTES     UINT64_C(0x04000000)
#define PERIPHBASE      0x2c000000u
#define RAW_OFFSET      UINT64_C(0x10000)
#define DTB_OFFSET      UINT64_C(0x08000000) /* above what a kernel's decompressor writes */
#define DTB_MAX         UINT64_C(0x200000)
#define MACHINE_NUMBER  2272 /* 0x8e0 */
#define VIRTIO_BASE     UINT64_C(0x1c130000)
#define VIRTIO_SPI      40
#define CPSR_ENTRY      0x1d3 /* supervisor; A, I, F masked */

#define DEVICES_MAX     40

enum { SLOT_RNG, SLOT_DISK, SLOT_CONSOLE, SLOT_NET };

struct board {
    struct gicv2 *gic;
    struct image image;      /* without a kernel */
    struct linux_image boot; /* with one */
    uint8_t *dtb;
    size_t dtb_bytes;
    gpa dtb_base;
    enum psci_method dtb_psci;               /* of the tree of a raw image */
    int uart1_fd;                            /* or -1 */
    struct virtio_dev *virtio[VIRTIO_SLOTS]; /* NULL: an empty slot */
    struct sd_card *card;                    /* NULL: none */
    struct pl180 *mmc;
    struct {
        void (*reset)(void *dev);
        void *dev;
    } devices[DEVICES_MAX]; /* const after LAUNCH */
    unsigned device_count;
};

/* -- Devices ------------------------------------------------------------------------------------- */

static void add_reset(struct board *b, void (*reset)(void *), void *dev)
{
    CHECK(b->device_count < DEVICES_MAX, "DEVICES_MAX is too small");
    b->devices[b->device_count].reset = reset;
    b->devices[b->device_count++].dev = dev;
}

static void add(struct board *b, gpa base, uint64_t bytes, const struct mmio_ops *ops, void (*reset)(void *), void *dev,
                const char *name)
{
    mem_add_mmio(base, bytes, ops, dev, name);
    if (reset)
        add_reset(b, reset, dev);
}

/* A page with a device whose registers are all of it. */
#define ADD(base, kind, name, dev) add(b, base, 0x1000, &kind##_ops, kind##_reset, dev, name)

static void add_devices(struct board *b, const struct machine_config *cfg)
{
    unsigned smp = cfg->smp;
    static uint32_t all_ones = UINT32_MAX;
    b->gic = gicv2_new(smp);
#define SPI(n) ((struct irq_line){gicv2_set_spi, b->gic, (n)})

    /* The core's private peripherals: DDI 0438, chapter 8. */
    add(b, PERIPHBASE + 0x1000, 0x1000, &gicv2_dist_ops, gicv2_reset, b->gic, "gic-distributor");
    add(b, PERIPHBASE + 0x2000, 0x2000, &gicv2_cpu_ops, NULL, b->gic, "gic-cpu-interface");
    gentimer_setup(b->gic, smp);
    add_reset(b, gentimer_reset, NULL);
    pmu_irq_setup(b->gic);
    add_reset(b, pmu_irq_reset, NULL);

    /* The motherboard: DUI 0447, memory map and interrupts. */
    struct sysregs *sysregs = sysregs_new();
    ADD(0x1c010000, sysregs, "sysregs", sysregs);
    ADD(0x1c020000, sp810, "sp810", sp810_new());
    ADD(0x1c030000, i2c_bus, "i2c-pcie", i2c_bus_new());
    ADD(0x1c040000, primecell, "pl041-audio", primecell_new(0x041, 0));
    if (b->card)
        sysregs_set_card(sysregs, sd_card_read_only(b->card));
    b->mmc = pl180_new(SPI(9), SPI(10), b->card);
    ADD(0x1c050000, pl180, "pl180-mmc", b->mmc);
    ADD(0x1c060000, pl050, "pl050-keyboard", pl050_new(SPI(12)));
    ADD(0x1c070000, pl050, "pl050-mouse", pl050_new(SPI(13)));
    struct pl011 *uart0 = pl011_new(SPI(5), true);
    ADD(0x1c090000, pl011, "uart0", uart0);
    struct pl011 *uart1 = pl011_new(SPI(6), false);
    pl011_set_output(uart1, b->uart1_fd);
    ADD(0x1c0a0000, pl011, "uart1", uart1);
    ADD(0x1c0b0000, pl011, "uart2", pl011_new(SPI(7), false));
    ADD(0x1c0c0000, pl011, "uart3", pl011_new(SPI(8), false));
    ADD(0x1c0f0000, sp805, "sp805-watchdog", sp805_new(SPI(0)));
    ADD(0x1c110000, sp804, "sp804-timer01", sp804_new(SPI(2)));
    ADD(0x1c120000, sp804, "sp804-timer23", sp804_new(SPI(3)));
    struct virtio_mmio *virtio = virtio_mmio_new();
    for (unsigned i = 0; i < VIRTIO_SLOTS; i++)
        virtio_mmio_attach(virtio, i, SPI(VIRTIO_SPI + i), b->virtio[i]);
    if (cfg->virtio_console && !strcmp(cfg->virtio_console, "stdio")) {
        pl011_output_only(uart0);
        virtio_console_connect(b->virtio[SLOT_CONSOLE]);
    }
    ADD(VIRTIO_BASE, virtio_mmio, "virtio-mmio", virtio);
    ADD(0x1c160000, i2c_bus, "i2c-dvi", i2c_bus_new());
    ADD(0x1c170000, pl031, "pl031-clock", pl031_new(SPI(4)));
    add(b, 0x1c1a0000, 0x1000, &constant_ops, NULL, &all_ones, "compact-flash"); /* no card: floating bus */
    ADD(0x1c1f0000, primecell, "pl111-display", primecell_new(0x111, 2));

    /* The tile: DUI 0604, memory map. Controllers that programs set up and then forget; and the DMA controller and
     * the second display, which do not identify themselves because they would do nothing. */
    add(b, 0x2b000000, 0x1000, &constant_ops, NULL, NULL, "hdlcd");
    ADD(0x2b060000, sp805, "sp805-tile", sp805_new(SPI(98)));
    ADD(0x2b0a0000, primecell, "pl341-dram-controller", primecell_new(0x341, 0));
    add(b, 0x7ffb0000, 0x1000, &constant_ops, NULL, NULL, "pl330-dma");
    ADD(0x7ffd0000, primecell, "pl354-static-controller", primecell_new(0x354, 0));

    add(b, 0x00000000, FLASH_BYTES, &flash_ops, NULL, NULL, "flash0-alias");
    add(b, 0x08000000, FLASH_BYTES, &flash_ops, NULL, NULL, "flash0");
    add(b, 0x0c000000, FLASH_BYTES, &flash_ops, NULL, NULL, "flash1");
#undef SPI
}

/* -- Images -------------------------------------------------------------------------------------- */

static void put_words(gpa at, const uint32_t *words, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const uint8_t raw[4] = {(uint8_t)words[i], (uint8_t)(words[i] >> 8), (uint8_t)(words[i] >> 16),
                                (uint8_t)(words[i] >> 24)};
        enum mem_result r = mem_write(at + 4 * i, raw, 4);
        CHECK(r == MEM_OK, "no RAM at 0x%" PRIx64, at);
    }
}

/* Where the CPUs other than the first wait for a kernel: with the CPU interface open an SGI ends WFI though
 * interrupts are masked; DUI 0447, SYS_FLAGS. */
static void place_pen(void)
{
    static const uint32_t pen[] = {
        0xe59f0028, /*     ldr  r0, cpu_interface  */
        0xe3a01001, /*     mov  r1, #1             */
        0xe5801000, /*     str  r1, [r0]        @ GICC_CTLR */
        0xe3a010ff, /*     mov  r1, #255           */
        0xe5801004, /*     str  r1, [r0, #4]    @ GICC_PMR */
        0xe59f2018, /*     ldr  r2, flags          */
        0xf57ff04f, /*     dsb                     */
        0xe320f003, /* 1:  wfi                     */
        0xe5921000, /*     ldr  r1, [r2]           */
        0xe3510000, /*     cmp  r1, #0             */
        0x0afffffb, /*     beq  1b                 */
        0xe12fff11, /*     bx   r1                 */
        PERIPHBASE + 0x2000, 0x1c010030,
    };
    put_words(SRAM_BASE, pen, ARRAY_SIZE(pen));
}

static bool load_dtb(struct board *b, const struct machine_config *cfg, struct error *e)
{
    if (!cfg->dtb)
        return true;
    if (!load_file(cfg->dtb, DTB_MAX, &b->dtb, &b->dtb_bytes, e))
        return false;
    if (b->dtb_bytes < 8 || memcmp(b->dtb, "\xd0\x0d\xfe\xed", 4) != 0) {
        error_set(e, 1, "%s: not a flattened device tree, which begins with the bytes d0 0d fe ed", cfg->dtb);
        return false;
    }
    /* The tree of a raw image stays as it is; a damaged one is the image's own affair. */
    if (!fdt_check_full(b->dtb, b->dtb_bytes))
        b->dtb_psci = linux_psci_method(b->dtb);
    gpa ram_end = RAM_BASE + cfg->ram_bytes;
    b->dtb_base = RAM_BASE + DTB_OFFSET;
    if (b->dtb_base + b->dtb_bytes > ram_end)
        b->dtb_base = b->dtb_bytes < cfg->ram_bytes ? (ram_end - b->dtb_bytes) & ~UINT64_C(0xfff) : 0;
    for (unsigned i = 0; i < b->image.segment_count; i++) {
        const struct image_segment *s = &b->image.segments[i];
        if (b->dtb_base < s->base + s->mem_bytes && s->base < b->dtb_base + b->dtb_bytes)
            b->dtb_base = 0;
    }
    if (b->dtb_base < RAM_BASE) {
        error_set(e, 2, "%s: no room in RAM for its %zu bytes beside the image; give more memory", cfg->dtb,
                  b->dtb_bytes);
        return false;
    }
    return true;
}

/* What a device tree of the board lists and this one has not: Ethernet and USB. */
static const char *const absent[] = {"smsc,lan9118", "nxp,usb-isp1761", NULL};

static bool open_kernel(struct board *b, const struct machine_config *cfg, struct error *e)
{
    const struct linux_board board = {
        .compatible = "arm,vexpress,v2p-ca15",
        .model = "Versatile Express with the A15 tile, such as vexpress-v2p-ca15-tc1.dtb",
        .cpu = "arm,cortex-a15",
        .ram_base = RAM_BASE,
        .ram_bytes = cfg->ram_bytes,
        .smp = cfg->smp,
        .absent = absent,
        .virtio_base = VIRTIO_BASE,
        .virtio_bytes = VIRTIO_SLOT_BYTES,
        .virtio_slots = VIRTIO_SLOTS,
        .virtio_spi = VIRTIO_SPI,
        .psci = cfg->psci,
    };
    const struct linux_files files = {cfg->kernel, cfg->dtb, cfg->initrd, cfg->append};
    return linux_open(&b->boot, &files, &board, e);
}

static void place_images(struct machine *m, bool clear)
{
    struct board *b = m->board;
    if (m->cfg.kernel) {
        linux_place(&b->boot);
        if (m->psci == PSCI_OFF)
            place_pen();
        return;
    }
    image_place(&b->image, clear);
    if (b->dtb) {
        enum mem_result r = mem_write(b->dtb_base, b->dtb, b->dtb_bytes);
        CHECK(r == MEM_OK, "device tree was checked to be in RAM");
    }
    if (m->cfg.raw && m->psci == PSCI_OFF)
        place_pen();
}

/* -- The machine --------------------------------------------------------------------------------- */

static void close_files(struct board *b)
{
    if (b->mmc)
        pl180_stop(b->mmc);
    sd_card_free(b->card);
    b->card = NULL;
    for (unsigned i = 0; i < VIRTIO_SLOTS; i++) {
        virtio_free(b->virtio[i]);
        b->virtio[i] = NULL;
    }
}

static bool open_files(struct board *b, const struct machine_config *cfg, struct error *e)
{
    char name[64];
    b->virtio[SLOT_RNG] = virtio_rng_new();
    if (cfg->disk && !(b->virtio[SLOT_DISK] = virtio_block_new(cfg->disk, e)))
        return false;
    if (cfg->virtio_console) {
        if (!(b->virtio[SLOT_CONSOLE] = virtio_console_new(cfg->virtio_console, name, e)))
            return false;
        if (*name)
            fprintf(stderr, "dbtlab: the virtio console is %s\n", name);
    }
    if (cfg->sd && !(b->card = sd_card_new(cfg->sd, e)))
        return false;
    return !cfg->net || (b->virtio[SLOT_NET] = virtio_net_new(cfg->net, e));
}

static void board_free(struct board *b)
{
    image_free(&b->image);
    linux_free(&b->boot);
    free(b->dtb);
    close_files(b);
    if (b->uart1_fd >= 0)
        close(b->uart1_fd);
    free(b);
}

static bool open_uart1(struct board *b, const struct machine_config *cfg, struct error *e)
{
    if (!cfg->uart1)
        return true;
    b->uart1_fd = open(cfg->uart1, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666);
    if (b->uart1_fd < 0)
        error_set(e, 1, "--uart1: cannot write %s: %s", cfg->uart1, strerror(errno));
    return b->uart1_fd >= 0;
}

static bool vexpress_create(struct machine *m, const struct machine_config *cfg, struct error *e)
{
    m->cfg = *cfg;
    m->board = NULL;
    if (cfg->smp < 1 || cfg->smp > MAX_VCPUS) {
        error_set(e, 2, "vexpress-a15 has 1 to %u CPUs, not %u", MAX_VCPUS, cfg->smp);
        return false;
    }
    if (cfg->ram_bytes < (1u << 20) || cfg->ram_bytes > RAM_MAX || cfg->ram_bytes % (1u << 20)) {
        error_set(e, 2, "vexpress-a15 takes 1 MiB to %" PRIu64 " MiB of memory in whole MiB, not %" PRIu64 " bytes",
                  RAM_MAX >> 20, cfg->ram_bytes);
        return false;
    }

    struct board *b = calloc(1, sizeof *b);
    CHECK(b, "out of memory");
    b->uart1_fd = -1;
    b->dtb_psci = PSCI_OFF;
    const struct load_range ranges[] = {
        {RAM_BASE, cfg->ram_bytes, "RAM"},
        {SRAM_BASE, SRAM_BYTES, "SRAM"},
        {VRAM_BASE, VRAM_BYTES, "video RAM"},
        {TILE_SRAM_BASE, TILE_SRAM_BYTES, "tile SRAM"},
    };
    /* Files first: a wrong one is told before memory is asked for. */
    bool loaded = cfg->kernel ? open_kernel(b, cfg, e)
                              : image_open(&b->image, cfg->image, cfg->raw, RAM_BASE + RAW_OFFSET, ranges,
                                           ARRAY_SIZE(ranges), e) &&
                                    load_dtb(b, cfg, e);
    loaded = loaded && open_uart1(b, cfg, e) && open_files(b, cfg, e);
    if (!loaded) {
        board_free(b);
        return false;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(ranges); i++) {
        if (!mem_add_ram(ranges[i].base, ranges[i].bytes, e)) {
            board_free(b);
            return false;
        }
    }
    m->board = b;
    m->psci = cfg->kernel ? b->boot.psci : cfg->psci == PSCI_AUTO ? b->dtb_psci : cfg->psci;

    console_setup(cfg->uart_fd_in, cfg->uart_fd_out);
    device_lock();
    add_devices(b, cfg);
    device_unlock();
    place_images(m, false);

    gpa heap = ALIGN_UP(cfg->kernel ? b->boot.end : b->image.end, 4096), ram_end = RAM_BASE + cfg->ram_bytes;
    if (heap < RAM_BASE || heap >= ram_end)
        heap = RAM_BASE;
    /* The last page is left out, so that the limit fits 32 bits with 2 GiB too. */
    semihost_setup(cfg->argv, (uint32_t)heap, (uint32_t)(ram_end - 4096));
    return true;
}

static void vexpress_entry_state(struct machine *m, unsigned cpu, uint32_t regs[16], uint32_t *cpsr, bool *powered_on)
{
    const struct board *b = m->board;
    memset(regs, 0, 16 * sizeof regs[0]);
    *cpsr = CPSR_ENTRY | (b->image.thumb ? 0x20 : 0);
    *powered_on = cpu == 0 || m->psci == PSCI_OFF;
    regs[15] = b->image.entry;
    if (!m->cfg.raw && !m->cfg.kernel)
        return;
    if (cpu == 0 && m->cfg.kernel) {
        regs[1] = UINT32_MAX; /* no machine number: the tree tells */
        regs[2] = (uint32_t)b->boot.dtb.base;
        regs[15] = (uint32_t)b->boot.kernel.base;
    } else if (cpu == 0) {
        regs[1] = MACHINE_NUMBER;
        regs[2] = (uint32_t)b->dtb_base;
    } else {
        regs[15] = (uint32_t)SRAM_BASE;
    }
}

static void vexpress_reset(struct machine *m)
{
    struct board *b = m->board;
    DCHECK(device_lock_held(), "reset without the device lock");
    timers_reset();
    for (unsigned i = 0; i < b->device_count; i++)
        b->devices[i].reset(b->devices[i].dev);
    semihost_reset();
    place_images(m, true);
}

static void vexpress_stop(struct machine *m)
{
    struct board *b = m->board;
    close_files(b);
}

static const struct machine_cpu_ops cpu_ops = {
    .cntpct = gentimer_cntpct,
    .timer_read = gentimer_read,
    .timer_write = gentimer_write,
    .cntvoff_read = gentimer_cntvoff_read,
    .cntvoff_write = gentimer_cntvoff_write,
    .pmu_line = pmu_irq_line,
    .cntfrq_hz = GENTIMER_HZ,
    .periphbase = PERIPHBASE,
};

const struct machine_type vexpress_a15 = {
    .name = "vexpress-a15",
    .summary = "Versatile Express with a Cortex-A15 tile: GICv2, generic and SP804 timers, PL011 UARTs",
    .ram_max = RAM_MAX,
    .cpus_max = MAX_VCPUS,
    .create = vexpress_create,
    .entry_state = vexpress_entry_state,
    .reset = vexpress_reset,
    .stop = vexpress_stop,
    .cpu_ops = &cpu_ops,
};
