/*
 * linux_dtb.c — the device tree of a Linux boot: checked, and edited to tell the machine as it is
 *
 * Edits of the tree: /memory, /chosen (bootargs, initrd), one CPU node for each vCPU, nodes of virtio slots, /psci, and the
 * removal of what the board does not have. All else stays as the file has it.
 */
#include "machines/linux_dtb.h"

#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>

#include "machines/loader.h"

#define DTB_ROOM 0x4000 /* for the edits, beside the command line */

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

bool linux_dtb_open(struct linux_image *img, const struct linux_files *f, const struct linux_board *b, struct error *e)
{
    uint8_t *file;
    size_t bytes;
    if (!load_file(f->dtb, LINUX_DTB_MAX / 2, &file, &bytes, e))
        return false;
    size_t room = ALIGN_UP(bytes + DTB_ROOM, 4096);
    img->dtb.data = calloc(1, room);
    CHECK(img->dtb.data, "out of memory");
    img->dtb.bytes = room;
    int err = bytes >= 8 && fdt_magic(file) == FDT_MAGIC ? fdt_check_full(file, bytes) : -FDT_ERR_BADMAGIC;
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

bool linux_dtb_edit(struct linux_image *img, const struct linux_files *f, const struct linux_board *b, struct error *e)
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
