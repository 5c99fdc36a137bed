/*
 * linux_boot.c — zImage and Image, the device tree, the initial RAM disk, and their places
 *
 * Places, from the base of RAM:
 *   Image    0x8000: where it was linked to run.
 *   zImage   beyond what it unpacks to, so that it need not move itself first; it says how much that is in a table
 *            that its header points to. Without one, or with little memory, at 0x10000: it then moves itself.
 *   dtb      2 MiB-aligned behind the kernel and what its unpacking needs, within the first 128 MiB
 *   initrd   behind the dtb, within what the kernel maps for good ("lowmem")
 */
#include "machines/linux_boot.h"

#include <stdlib.h>

#include "engine/mem/mem.h"
#include "machines/linux_dtb.h"
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
#define APPEND_MAX   1023 /* COMMAND_LINE_SIZE of ARM Linux is 1024 */

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

    uint64_t initrd = ALIGN_UP(dtb + LINUX_DTB_MAX, MIB);
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
              linux_dtb_open(img, f, board, e) && place(img, f, board, e) && linux_dtb_edit(img, f, board, e);
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
