/*
 * linux_boot.c — zImage and Image, the edited device tree, the initial RAM disk, and their places
 *
 * Places, from the base of RAM:
 *   Image    0x8000: where it was linked to run.
 *   zImage   beyond what it unpacks to, so that it need not move itself first; it says how much that is in a table
 *            that its header points to. Without one, or with little memory, at 0x10000: it then moves itself.
 *   dtb      2 MiB-aligned behind the kernel and what its unpacking needs, within the first 128 MiB
 *   initrd   behind the dtb, within what the kernel maps for good ("lowmem")
 *
 * Edits of the tree: /memory, /chosen (bootargs, initrd), one CPU node for each vCPU, nodes of virtio slots, /psci, and the
 * removal of what the board does not have. All else stays as the file has it.
 */
#include "machines/linux_boot.h"

#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/mem/mem.h"
#include "machines/loader.h"

#define MIB          UINT64_C(0x100000)
#define TEXT_OFFSET  UINT64_C(0x8000)
#define ZIMAGE_LOW   UINT64_C(0x10000)
#define NEAR         (128 * MIB) /* kernel and tree */
#define LOWMEM       (704 * MIB) /* a kernel with 3 GiB of user space maps a little more than that */
#define KERNEL_MIN   0x1000
#define IMAGE_EXTRA  (16 * MIB) /* of an Image: zeroed data behind it, whose size it does not tell */
#define UNPACK_EXTRA (1 * MIB)  /* of a zImage: stack and heap of its decompressor */
#define UNPACK_MAX   (96 * MIB)
#define DTB_MAX      UINT64_C(0x100000)
#define DTB_ROOM     0x4000 /* for the edits, beside the command line */
#define APPEND_MAX   1023   /* COMMAND_LINE_SIZE of ARM Linux is 1024 */

/* -- Kernels ------------------------------------------------------------------------------------- */

static uint32_t word(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

#define ZIMAGE_MAGIC    0x016f2818u
#define ZIMAGE_MAGIC_BE 0x18286f01u

static bool is_zimage(const struct linux_blob *k)
{
    return word(k->data + 0x24) == ZIMAGE_MAGIC;
}

/* What a file is that is no ARM kernel; NULL: cannot tell. */
static const char *foreign_kernel(const uint8_t *p, size_t bytes)
{
    static const struct {
        unsigned at, n;
        const char *magic, *what;
    } known[] = {
        {0, 4,
         "\x7f"
         "ELF",
         "an ELF file; a bare-metal one is given without --kernel, of a vmlinux take the zImage"},
        {0, 2, "\x1f\x8b", "compressed by gzip; unpack it, or take the zImage"},
        {0, 6,
         "\xfd"
         "7zXZ\0",
         "compressed by xz; unpack it, or take the zImage"},
        {0, 4, "\x28\xb5\x2f\xfd", "compressed by zstd; unpack it, or take the zImage"},
        {0, 4, "\x27\x05\x19\x56", "a uImage of U-Boot; take the zImage"},
        {0, 4, "\xd0\x0d\xfe\xed", "a device tree; that is for --dtb"},
        {0, 6, "070701", "a cpio archive; that is for --initrd"},
        {0, 8, "!<arch>\n", "an archive such as a Debian package; take /boot/vmlinuz-* out of it"},
        {0x38, 4, "ARMd", "a kernel for 64-bit ARM"},
        {0x202, 4, "HdrS", "a kernel for x86"},
        {0x30, 5, "RISCV", "a kernel for RISC-V"},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(known); i++)
        if (known[i].at + known[i].n <= bytes && !memcmp(p + known[i].at, known[i].magic, known[i].n))
            return known[i].what;
    return NULL;
}

static bool check_kernel(const struct linux_blob *k, const char *path, struct error *e)
{
    if (k->bytes < KERNEL_MIN) {
        error_set(e, 1, "%s: %zu bytes are no kernel; --kernel takes a zImage or an uncompressed Image", path,
                  k->bytes);
        return false;
    }
    if (word(k->data + 0x24) == ZIMAGE_MAGIC_BE) {
        error_set(e, 1, "%s: a big-endian zImage; the kernel must be little-endian", path);
        return false;
    }
    const char *what = foreign_kernel(k->data, k->bytes);
    if (what) {
        error_set(e, 1, "%s: this is %s", path, what);
        return false;
    }
    if (is_zimage(k)) {
        uint64_t size = word(k->data + 0x2c) - (uint64_t)word(k->data + 0x28);
        if (word(k->data + 0x2c) < word(k->data + 0x28) || size > k->bytes) {
            error_set(e, 1, "%s: the zImage says that it has %" PRIu64 " bytes, the file has %zu; is it truncated?",
                      path, size, k->bytes);
            return false;
        }
        return true;
    }
    /* An Image has no magic number; its first instruction, as A32 or a pair of T32, is unconditional: 0b1110 or 0xf. */
    if (k->data[3] >> 4 != 0xe && k->data[3] >> 4 != 0xf) {
        error_set(e, 1,
                  "%s: no kernel: neither a zImage (18 28 6f 01 at byte 36) nor an uncompressed Image of 32-bit ARM",
                  path);
        return false;
    }
    return true;
}

/* Bytes from the base of RAM that a zImage's kernel takes when it is unpacked; 0: it does not say.
 * The table: words of length, tag, then (tag "ZSLK") offset of the word that holds the unpacked size, and size of the
 * zeroed data. */
static uint64_t unpacked_end(const struct linux_blob *k)
{
    if (word(k->data + 0x34) != 0x45454545u)
        return 0;
    uint64_t at = word(k->data + 0x38);
    if (at + 16 > k->bytes || word(k->data + at + 4) != 0x5a534c4b)
        return 0;
    uint64_t size_at = word(k->data + at + 8), zeroed = word(k->data + at + 12);
    if (size_at + 4 > k->bytes)
        return 0;
    uint64_t end = TEXT_OFFSET + word(k->data + size_at) + zeroed;
    return end < UNPACK_MAX ? end : 0;
}

/* -- Places -------------------------------------------------------------------------------------- */

static bool place(struct linux_image *img, const struct linux_files *f, const struct linux_board *board,
                  struct error *e)
{
    uint64_t near = board->ram_bytes < NEAR ? board->ram_bytes : NEAR;
    uint64_t low = board->ram_bytes < LOWMEM ? board->ram_bytes : LOWMEM;
    uint64_t at, behind;

    if (is_zimage(&img->kernel)) {
        uint64_t unpacked = unpacked_end(&img->kernel);
        at = ALIGN_UP(unpacked ? unpacked : 32 * MIB, MIB);
        behind = at + img->kernel.bytes + UNPACK_EXTRA;
        if (behind + 4 * MIB > near) {
            at = ZIMAGE_LOW;
            behind = (unpacked ? unpacked : 32 * MIB) + img->kernel.bytes + UNPACK_EXTRA;
        }
    } else {
        at = TEXT_OFFSET;
        behind = at + img->kernel.bytes + IMAGE_EXTRA;
    }
    img->kernel.base = board->ram_base + at;

    uint64_t dtb = ALIGN_UP(behind, 2 * MIB);
    if (dtb + img->dtb.bytes > near) {
        error_set(e, 2,
                  "%s: the kernel needs %" PRIu64 " MiB, with its device tree; --memory gives %" PRIu64
                  " MiB, of which the first %" PRIu64 " serve",
                  f->kernel, (dtb + img->dtb.bytes + MIB - 1) / MIB, board->ram_bytes / MIB, near / MIB);
        return false;
    }
    img->dtb.base = board->ram_base + dtb;
    img->end = img->dtb.base + img->dtb.bytes;
    if (!img->initrd.bytes)
        return true;

    uint64_t initrd = ALIGN_UP(dtb + DTB_MAX, MIB);
    if (initrd + img->initrd.bytes > low) {
        error_set(e, 2,
                  "%s: %zu bytes do not fit: behind the kernel are %" PRIu64
                  " MiB of the memory that it can use for it",
                  f->initrd, img->initrd.bytes, initrd < low ? (low - initrd) / MIB : 0);
        return false;
    }
    img->initrd.base = board->ram_base + initrd;
    img->end = img->initrd.base + img->initrd.bytes;
    return true;
}

/* -- The device tree ------------------------------------------------------------------------------ */

static bool fdt_error(struct error *e, const char *path, const char *what, int err)
{
    error_set(e, 1, "%s: cannot edit %s of the device tree: %s", path, what, fdt_strerror(err));
    return false;
}

/* One of the root's or a node's properties that hold a count of cells. */
static unsigned root_cells(const void *fdt, bool size)
{
    int n = size ? fdt_size_cells(fdt, 0) : fdt_address_cells(fdt, 0);
    return n == 2 ? 2 : 1;
}

static unsigned put_cells(fdt32_t *to, uint64_t val, unsigned cells)
{
    unsigned n = 0;
    if (cells == 2)
        to[n++] = cpu_to_fdt32((uint32_t)(val >> 32));
    to[n++] = cpu_to_fdt32((uint32_t)val);
    return n;
}

static int set_reg(void *fdt, int node, gpa base, uint64_t bytes)
{
    fdt32_t reg[4];
    unsigned n = put_cells(reg, base, root_cells(fdt, false));
    n += put_cells(reg + n, bytes, root_cells(fdt, true));
    return fdt_setprop(fdt, node, "reg", reg, (int)(n * sizeof reg[0]));
}

static int edit_memory(void *fdt, const struct linux_board *b)
{
    char name[32];
    int node;
    while ((node = fdt_node_offset_by_prop_value(fdt, -1, "device_type", "memory", 7)) >= 0) {
        int err = fdt_del_node(fdt, node);
        if (err)
            return err;
    }
    snprintf(name, sizeof name, "memory@%" PRIx64, b->ram_base);
    node = fdt_add_subnode(fdt, 0, name);
    if (node < 0)
        return node;
    int err = fdt_setprop_string(fdt, node, "device_type", "memory");
    return err ? err : set_reg(fdt, node, b->ram_base, b->ram_bytes);
}

/* The node of PSCI 0.2 or later, whose function numbers are fixed (ARM DEN 0022; those of 0.1 are the tree's own). */
static int psci_node(const void *fdt)
{
    static const char *const names[] = {"arm,psci-0.2", "arm,psci-1.0", "arm,psci-1.1"};
    int node = -FDT_ERR_NOTFOUND;
    for (unsigned i = 0; i < ARRAY_SIZE(names) && node < 0; i++)
        node = fdt_node_offset_by_compatible(fdt, -1, names[i]);
    return node;
}

enum psci_method linux_psci_method(const void *fdt)
{
    int node = psci_node(fdt), len = 0;
    const char *method = node < 0 ? NULL : fdt_getprop(fdt, node, "method", &len);
    if (method && len == 4 && !memcmp(method, "hvc", 4))
        return PSCI_HVC;
    return method && len == 4 && !memcmp(method, "smc", 4) ? PSCI_SMC : PSCI_OFF;
}

/* Leaves a node exactly if somebody will answer. */
static int edit_psci(void *fdt, enum psci_method asked, enum psci_method *now)
{
    int node, err;
    *now = asked == PSCI_AUTO ? linux_psci_method(fdt) : asked;
    while ((node = psci_node(fdt)) >= 0 || (node = fdt_node_offset_by_compatible(fdt, -1, "arm,psci")) >= 0)
        if ((err = fdt_del_node(fdt, node)))
            return err;
    if (*now == PSCI_OFF)
        return 0;
    node = fdt_add_subnode(fdt, 0, "psci");
    if (node < 0)
        return node;
    err = fdt_setprop_string(fdt, node, "compatible", "arm,psci-0.2");
    return err ? err : fdt_setprop_string(fdt, node, "method", *now == PSCI_HVC ? "hvc" : "smc");
}

static int edit_cpus(void *fdt, const struct linux_board *b, enum psci_method psci)
{
    int cpus = fdt_path_offset(fdt, "/cpus"), node, err = 0;
    if (cpus < 0)
        return cpus;
    while ((node = fdt_first_subnode(fdt, cpus)) >= 0)
        if ((err = fdt_del_node(fdt, node)))
            return err;
    for (unsigned i = b->smp; i-- > 0;) { /* a new node goes before its brothers */
        char name[16];
        snprintf(name, sizeof name, "cpu@%x", i);
        node = fdt_add_subnode(fdt, cpus, name);
        if (node < 0)
            return node;
        if ((err = fdt_setprop_string(fdt, node, "device_type", "cpu")) ||
            (err = fdt_setprop_string(fdt, node, "compatible", b->cpu)) ||
            (err = fdt_setprop_u32(fdt, node, "reg", i)) ||
            (psci != PSCI_OFF && (err = fdt_setprop_string(fdt, node, "enable-method", "psci"))))
            return err;
    }
    return 0;
}

static int edit_chosen(void *fdt, const struct linux_image *img, const char *append)
{
    int node = fdt_path_offset(fdt, "/chosen"), err = 0;
    if (node < 0)
        node = fdt_add_subnode(fdt, 0, "chosen");
    if (node < 0)
        return node;
    if (append && (err = fdt_setprop_string(fdt, node, "bootargs", append)))
        return err;
    if (!img->initrd.bytes)
        return 0;
    if ((err = fdt_setprop_u64(fdt, node, "linux,initrd-start", img->initrd.base)))
        return err;
    return fdt_setprop_u64(fdt, node, "linux,initrd-end", img->initrd.base + img->initrd.bytes);
}

static int remove_absent(void *fdt, const struct linux_board *b)
{
    for (unsigned i = 0; b->absent[i]; i++) {
        int node;
        while ((node = fdt_node_offset_by_compatible(fdt, -1, b->absent[i])) >= 0) {
            int err = fdt_del_node(fdt, node);
            if (err)
                return err;
        }
    }
    return 0;
}

static int add_virtio(void *fdt, const struct linux_board *b)
{
    for (unsigned i = b->virtio_slots; i-- > 0;) {
        char name[40];
        gpa base = b->virtio_base + (gpa)i * b->virtio_bytes;
        fdt32_t irq[3] = {cpu_to_fdt32(0), cpu_to_fdt32(b->virtio_spi + i), cpu_to_fdt32(4)}; /* SPI, level, high */
        int err;
        snprintf(name, sizeof name, "virtio_mmio@%" PRIx64, base);
        if (fdt_subnode_offset(fdt, 0, name) >= 0)
            continue;
        int node = fdt_add_subnode(fdt, 0, name);
        if (node < 0)
            return node;
        if ((err = fdt_setprop_string(fdt, node, "compatible", "virtio,mmio")) ||
            (err = set_reg(fdt, node, base, b->virtio_bytes)) ||
            (err = fdt_setprop(fdt, node, "interrupts", irq, sizeof irq)) ||
            (err = fdt_setprop_empty(fdt, node, "dma-coherent")))
            return err;
    }
    return 0;
}

/* Every compatible string of the root, for a message. */
static const char *root_name(const void *fdt)
{
    const char *name = fdt_getprop(fdt, 0, "model", NULL);
    if (!name)
        name = fdt_stringlist_get(fdt, 0, "compatible", 0, NULL);
    return name ? name : "an unnamed board";
}

/* Read the tree and give it room to grow. */
static bool open_dtb(struct linux_image *img, const struct linux_files *f, const struct linux_board *b, struct error *e)
{
    uint8_t *file;
    size_t bytes;
    if (!load_file(f->dtb, DTB_MAX / 2, &file, &bytes, e))
        return false;
    size_t room = ALIGN_UP(bytes + DTB_ROOM, 4096);
    img->dtb.data = calloc(1, room);
    CHECK(img->dtb.data, "out of memory");
    img->dtb.bytes = room;
    int err = bytes >= 8 && word(file) == 0xedfe0dd0u ? fdt_check_full(file, bytes) : -FDT_ERR_BADMAGIC;
    if (!err)
        err = fdt_open_into(file, img->dtb.data, (int)room);
    free(file);
    if (err == -FDT_ERR_BADMAGIC) {
        error_set(e, 1, "%s: not a flattened device tree, which begins with the bytes d0 0d fe ed", f->dtb);
        return false;
    }
    if (err) {
        error_set(e, 1, "%s: the device tree is damaged: %s", f->dtb, fdt_strerror(err));
        return false;
    }
    if (fdt_node_check_compatible(img->dtb.data, 0, b->compatible)) {
        error_set(e, 1, "%s: this is the device tree of %s; the machine is %s (%s)", f->dtb, root_name(img->dtb.data),
                  b->model, b->compatible);
        return false;
    }
    return true;
}

static bool edit_dtb(struct linux_image *img, const struct linux_files *f, const struct linux_board *b, struct error *e)
{
    void *fdt = img->dtb.data;
    int err;
    if ((err = remove_absent(fdt, b)))
        return fdt_error(e, f->dtb, "the devices", err);
    if ((err = edit_memory(fdt, b)))
        return fdt_error(e, f->dtb, "/memory", err);
    if ((err = edit_psci(fdt, b->psci, &img->psci)))
        return fdt_error(e, f->dtb, "/psci", err);
    if ((err = edit_cpus(fdt, b, img->psci)))
        return fdt_error(e, f->dtb, "/cpus", err);
    if ((err = add_virtio(fdt, b)))
        return fdt_error(e, f->dtb, "the virtio nodes", err);
    if ((err = edit_chosen(fdt, img, f->append)))
        return fdt_error(e, f->dtb, "/chosen", err);
    return true;
}

/* -- All together ---------------------------------------------------------------------------------- */

bool linux_open(struct linux_image *img, const struct linux_files *f, const struct linux_board *board, struct error *e)
{
    *img = (struct linux_image){0};
    if (!f->dtb) {
        error_set(e, 2, "--kernel needs --dtb=FILE, the device tree of %s", board->model);
        return false;
    }
    if (f->append && strlen(f->append) > APPEND_MAX) {
        error_set(e, 2, "--append: %zu bytes are too many; a kernel takes %d", strlen(f->append), APPEND_MAX);
        return false;
    }
    bool ok = load_file(f->kernel, board->ram_bytes, &img->kernel.data, &img->kernel.bytes, e) &&
              check_kernel(&img->kernel, f->kernel, e) &&
              (!f->initrd || load_file(f->initrd, board->ram_bytes, &img->initrd.data, &img->initrd.bytes, e)) &&
              open_dtb(img, f, board, e) && place(img, f, board, e) && edit_dtb(img, f, board, e);
    if (!ok)
        linux_free(img);
    return ok;
}

static void place_blob(const struct linux_blob *b)
{
    if (b->bytes) {
        enum mem_result r = mem_write(b->base, b->data, b->bytes);
        CHECK(r == MEM_OK, "0x%" PRIx64 " was checked to be in RAM", b->base);
    }
}

void linux_place(const struct linux_image *img)
{
    place_blob(&img->kernel);
    place_blob(&img->dtb);
    place_blob(&img->initrd);
}

void linux_free(struct linux_image *img)
{
    free(img->kernel.data);
    free(img->dtb.data);
    free(img->initrd.data);
    *img = (struct linux_image){0};
}
