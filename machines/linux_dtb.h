/*
 * linux_dtb.h — the device tree of a Linux boot
 */
#ifndef MACHINES_LINUX_DTB_H
#define MACHINES_LINUX_DTB_H

#include "machines/linux_boot.h"

#define LINUX_DTB_MAX UINT64_C(0x100000) /* with the room for edits */

/* Read and check f->dtb into img->dtb, with room to grow. LAUNCH. Returns false with e filled; img->dtb.data is the caller's to free. */
bool linux_dtb_open(struct linux_image *img, const struct linux_files *f, const struct linux_board *b, struct error *e);
/* When all places in img are known: make the tree say them and the board. Fills img->psci. */
bool linux_dtb_edit(struct linux_image *img, const struct linux_files *f, const struct linux_board *b, struct error *e);

/* How a checked tree says that PSCI 0.2 or later is called: HVC, SMC, or OFF if it does not. */
enum psci_method linux_psci_method(const void *fdt);

#endif
