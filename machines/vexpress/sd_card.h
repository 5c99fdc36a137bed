/*
 * sd_card.h — an SD card of high capacity in the slot of the MMC interface
 *
 * Source: SD Specifications, Part 1, Physical Layer Simplified Specification 3.01 ("SD"). Device lock held in all that do not say
 * otherwise. The card never waits for the host: sd_card_file() is for the interface's thread.
 */
#ifndef MACHINES_VEXPRESS_SD_CARD_H
#define MACHINES_VEXPRESS_SD_CARD_H

#include "machines/disk_file.h"

struct sd_card;

/* LAUNCH. spec: FILE[,ro|,cow], of 512 KiB or a multiple. NULL with e filled. */
struct sd_card *sd_card_new(const char *spec, struct error *e);
void sd_card_free(struct sd_card *c);              /* nobody uses it any more; NULL: nothing */
bool sd_card_read_only(const struct sd_card *c);   /* any thread */
struct disk_file *sd_card_file(struct sd_card *c); /* for the thread that transfers */

/* Power on, or off and on. */
void sd_card_reset(struct sd_card *c);

enum sd_answer { SD_SILENT, SD_SHORT, SD_LONG };
/* A command (SD 4.7.4) and what the card answers: response[0] of the short form; of the long form bits 127..96 in response[0], and so
 * on. */
enum sd_answer sd_card_command(struct sd_card *c, unsigned index, uint32_t arg, uint32_t response[4]);

/* What the data lines are for after the last command. */
enum sd_data {
    SD_IDLE,
    SD_REGISTER, /* the card sends *bytes bytes at *reg */
    SD_READ,     /* the card sends the file from byte *at on, at most *bytes */
    SD_WRITE,    /* the card takes data for the file from byte *at on, at most *bytes */
};
enum sd_data sd_card_data(const struct sd_card *c, const uint8_t **reg, uint64_t *at, uint64_t *bytes);
/* So much went over the data lines. */
void sd_card_moved(struct sd_card *c, uint32_t bytes);

#endif
