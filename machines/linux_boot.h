/*
 * linux_boot.h — what a boot loader does for Linux: kernel, device tree and initial RAM disk into memory
 *
 * Source: the boot protocol of 32-bit ARM Linux (Documentation/arm/booting.rst) and the Devicetree Specification 0.4.
 * All files are untrusted: they are checked before a byte goes to guest memory.
 */
#ifndef MACHINES_LINUX_BOOT_H
#define MACHINES_LINUX_BOOT_H

#include "machines/machine.h"

/* The board as its device tree should tell it. */
struct linux_board {
    const char *compatible; /* one of the root's compatible strings; another tree is of another board */
    const char *model;      /* for messages */
    const char *cpu;        /* compatible string of a CPU */
    gpa ram_base;
    uint64_t ram_bytes;
    unsigned smp;
    const char *const *absent; /* NULL-terminated compatible strings of devices that are not fitted */
    gpa virtio_base;           /* slots of virtio_bytes each, with consecutive shared interrupts */
    uint32_t virtio_bytes;
    unsigned virtio_slots, virtio_spi;
    enum psci_method psci; /* as asked for */
};

struct linux_files {
    const char *kernel, *dtb, *initrd, *append; /* the last two may be NULL */
};

struct linux_image {
    struct linux_blob {
        uint8_t *data;
        size_t bytes;
        gpa base;
    } kernel, dtb, initrd; /* initrd.bytes 0: none */
    gpa end;               /* first byte behind all of them */
    enum psci_method psci; /* what the tree now says: OFF, HVC or SMC */
};

/* Read, check, edit the device tree, decide on places. LAUNCH. Returns false with e filled and nothing allocated. */
bool linux_open(struct linux_image *img, const struct linux_files *files, const struct linux_board *board,
                struct error *e);
/* Store all to guest memory. LAUNCH, or all vCPUs stopped. */
void linux_place(const struct linux_image *img);
void linux_free(struct linux_image *img);

#endif
