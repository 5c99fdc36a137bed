/*
 * sd_card.c — an SD card of high capacity: commands, registers, states
 *
 * Source: SD Specifications, Part 1, Physical Layer Simplified Specification 3.01. Class 0, 2, 4, 8 and 10; no erase, no lock, one bus
 * speed. Blocks have 512 bytes. A write is over when the file has it; what is called programming takes no time.
 */
#include "machines/vexpress/sd_card.h"

#include <stdlib.h>

#include "engine/base/log.h"

#define UNIT   (512u << 10) /* SD 5.3.3: of C_SIZE */
#define RCA    0x4567u
#define OCR    0xc0ff8000u /* powered up, high capacity, 2.7 to 3.6 V */
#define OCR_HC BIT(30)

enum state { IDLE, READY, IDENT, STANDBY, TRANSFER, SENDING, RECEIVING, DISCONNECTED = 8, INACTIVE };

/* Card status: SD 4.10.1 */
#define OUT_OF_RANGE   BIT(31)
#define WP_VIOLATION   BIT(26)
#define ILLEGAL        BIT(22)
#define READY_FOR_DATA BIT(8)
#define APP_CMD        BIT(5)

struct sd_card {
    struct disk_file file;
    /* guarded by device lock */
    enum state state;
    uint32_t errors; /* bits of the card status that the next answer clears */
    bool app;        /* the next command is an application's */
    bool powered_up; /* ACMD41 has been accepted */
    bool one;        /* a transfer of one block */
    uint8_t reg[64]; /* what SENDING sends if reg_bytes */
    uint32_t reg_bytes, reg_at;
    uint64_t at; /* byte of the file, else */
};

static uint32_t status(struct sd_card *c, enum state was)
{
    uint32_t s = c->errors | (uint32_t)was << 9 | READY_FOR_DATA | (c->app ? APP_CMD : 0);
    c->errors = 0;
    return s;
}

static uint64_t size(const struct sd_card *c)
{
    return c->file.sectors * SECTOR;
}

/* -- Registers that are sent as answers ---------------------------------------------------------------- */

static void cid(uint32_t r[4]) /* SD 5.2; the checksum in the lowest byte is the interface's business */
{
    r[0] = 0x00444244; /* maker 0, "DB", "D" */
    r[1] = 0x424c4142; /* "BLAB" */
    r[2] = 0x10000000; /* revision 1.0 */
    r[3] = 0x01010901; /* number 1, September 2016 */
}

static void csd(const struct sd_card *c, uint32_t r[4]) /* SD 5.3.3, version 2.0 */
{
    uint32_t c_size = (uint32_t)(size(c) / UNIT - 1), ro = c->file.read_only;
    r[0] = 0x400e0032;                         /* 25 MHz */
    r[1] = 0x51590000 | (c_size >> 16 & 0x3f); /* classes 0, 2, 4, 8, 10; blocks of 2^9 */
    r[2] = c_size << 16 | 0x7f80;
    r[3] = 0x0a400000 | ro << 13 | ro << 12 | 1;
}

/* -- Registers that are sent as data ---------------------------------------------------------------------- */

static void send_register(struct sd_card *c, uint32_t bytes)
{
    c->reg_bytes = bytes;
    c->reg_at = 0;
    c->state = SENDING;
}

static void send_scr(struct sd_card *c) /* SD 5.6: version 2.00, 1 and 4 bit bus */
{
    static const uint8_t scr[8] = {0x02, 0x25};
    memcpy(c->reg, scr, sizeof scr);
    send_register(c, sizeof scr);
}

static void send_switch(struct sd_card *c) /* SD 4.3.10.4: the default of each group is all there is */
{
    memset(c->reg, 0, sizeof c->reg);
    c->reg[1] = 100; /* mA */
    for (unsigned i = 3; i < 14; i += 2)
        c->reg[i] = 1;
    send_register(c, 64);
}

static void send_zeros(struct sd_card *c, uint32_t bytes)
{
    memset(c->reg, 0, sizeof c->reg);
    send_register(c, bytes);
}

/* -- Commands ------------------------------------------------------------------------------------------------- */

static enum sd_answer answer_r1(struct sd_card *c, enum state was, uint32_t r[4])
{
    r[0] = status(c, was);
    return SD_SHORT;
}

static enum sd_answer illegal(struct sd_card *c)
{
    c->errors |= ILLEGAL; /* told by the next answer: SD 4.6.1 */
    return SD_SILENT;
}

static enum sd_answer start_transfer(struct sd_card *c, uint32_t block, bool write, bool one, uint32_t r[4])
{
    enum state was = c->state;
    if (block >= c->file.sectors)
        c->errors |= OUT_OF_RANGE;
    else if (write && c->file.read_only)
        c->errors |= WP_VIOLATION;
    else
        c->state = write ? RECEIVING : SENDING;
    c->at = (uint64_t)block * SECTOR;
    c->one = one;
    c->reg_bytes = 0;
    return answer_r1(c, was, r);
}

static enum sd_answer command(struct sd_card *c, unsigned index, uint32_t arg, uint32_t r[4]);

static enum sd_answer app_command(struct sd_card *c, unsigned index, uint32_t arg, uint32_t r[4])
{
    enum state was = c->state;
    switch (index) {
    case 41: /* SD_SEND_OP_COND */
        if (was != IDLE)
            return illegal(c);
        if (arg & 0xff8000)
            c->powered_up = arg & OCR_HC; /* a host that does not know high capacity waits in vain: SD 4.2.3.1 */
        r[0] = c->powered_up ? OCR : OCR & ~(BIT(31) | OCR_HC);
        if (c->powered_up)
            c->state = READY;
        return SD_SHORT;
    case 6:  /* SET_BUS_WIDTH */
    case 23: /* SET_WR_BLK_ERASE_COUNT */
    case 42: /* SET_CLR_CARD_DETECT */ return was == TRANSFER ? answer_r1(c, was, r) : illegal(c);
    case 13: /* SD_STATUS */
    case 22: /* SEND_NUM_WR_BLOCKS: what was not acknowledged is to be sent again */
    case 51: /* SEND_SCR */
        if (was != TRANSFER)
            return illegal(c);
        if (index == 51)
            send_scr(c);
        else
            send_zeros(c, index == 13 ? 64 : 4);
        return answer_r1(c, was, r);
    default: /* SD 4.3.9: an unknown one is taken for the other command */
        c->app = false;
        return command(c, index, arg, r);
    }
}

/* Commands of the TRANSFER state. */
static enum sd_answer transfer_command(struct sd_card *c, unsigned index, uint32_t arg, uint32_t r[4])
{
    if (c->state != TRANSFER)
        return illegal(c);
    switch (index) {
    case 6: send_switch(c); return answer_r1(c, TRANSFER, r);
    case 16: return answer_r1(c, TRANSFER, r); /* SET_BLOCKLEN: does not matter for high capacity */
    case 17: return start_transfer(c, arg, false, true, r);
    case 18: return start_transfer(c, arg, false, false, r);
    case 24: return start_transfer(c, arg, true, true, r);
    default: return start_transfer(c, arg, true, false, r); /* 25 */
    }
}

static enum sd_answer command(struct sd_card *c, unsigned index, uint32_t arg, uint32_t r[4])
{
    enum state was = c->state;
    bool mine = arg >> 16 == RCA;
    switch (index) {
    case 0: sd_card_reset(c); return SD_SILENT;
    case 2:
        if (was != READY)
            return illegal(c);
        c->state = IDENT;
        cid(r);
        return SD_LONG;
    case 3: /* SEND_RELATIVE_ADDR: the address, and some bits of the status (SD 4.9.5) */
        if (was != IDENT && was != STANDBY)
            return illegal(c);
        c->state = STANDBY;
        r[0] = RCA << 16 | (status(c, was) & 0x1fff);
        return SD_SHORT;
    case 7: /* SELECT_CARD; another's address deselects */
        if (!mine) {
            c->state = was == TRANSFER || was == SENDING ? STANDBY : was;
            return SD_SILENT;
        }
        if (was != STANDBY)
            return illegal(c);
        c->state = TRANSFER;
        return answer_r1(c, was, r);
    case 8: /* SEND_IF_COND */
        if (was != IDLE || bits(arg, 11, 8) != 1)
            return SD_SILENT;
        r[0] = arg & 0xfff;
        return SD_SHORT;
    case 9:
    case 10:
        if (was != STANDBY || !mine)
            return mine ? illegal(c) : SD_SILENT;
        if (index == 9)
            csd(c, r);
        else
            cid(r);
        return SD_LONG;
    case 12: /* STOP_TRANSMISSION */
        if (was != SENDING && was != RECEIVING)
            return illegal(c);
        c->state = TRANSFER;
        return answer_r1(c, was, r);
    case 13: return was < STANDBY || !mine ? SD_SILENT : answer_r1(c, was, r);
    case 15: c->state = mine ? INACTIVE : was; return SD_SILENT;
    case 55: /* APP_CMD */
        if (was != IDLE && !mine)
            return SD_SILENT;
        c->app = true;
        return answer_r1(c, was, r);
    case 6:
    case 16:
    case 17:
    case 18:
    case 24:
    case 25: return transfer_command(c, index, arg, r);
    default: return illegal(c);
    }
}

enum sd_answer sd_card_command(struct sd_card *c, unsigned index, uint32_t arg, uint32_t response[4])
{
    if (c->state == INACTIVE)
        return SD_SILENT;
    if (!c->app)
        return command(c, index, arg, response);
    enum sd_answer a = app_command(c, index, arg, response);
    c->app = false;
    return a;
}

/* -- Data --------------------------------------------------------------------------------------------------- */

enum sd_data sd_card_data(const struct sd_card *c, const uint8_t **reg, uint64_t *at, uint64_t *bytes)
{
    *reg = c->reg + c->reg_at;
    *at = c->at;
    if (c->state != SENDING && c->state != RECEIVING)
        return SD_IDLE;
    *bytes = c->reg_bytes ? c->reg_bytes - c->reg_at : c->one ? SECTOR : size(c) - c->at;
    if (c->reg_bytes)
        return SD_REGISTER;
    return c->state == SENDING ? SD_READ : SD_WRITE;
}

void sd_card_moved(struct sd_card *c, uint32_t bytes)
{
    if (c->reg_bytes) {
        c->reg_at += bytes;
        if (c->reg_at >= c->reg_bytes)
            c->state = TRANSFER;
        return;
    }
    c->at += bytes;
    if (c->one)
        c->state = TRANSFER;
}

/* -- Life -------------------------------------------------------------------------------------------------------- */

void sd_card_reset(struct sd_card *c)
{
    c->state = IDLE;
    c->errors = 0;
    c->app = c->powered_up = c->one = false;
    c->reg_bytes = c->reg_at = 0;
    c->at = 0;
}

struct sd_card *sd_card_new(const char *spec, struct error *e)
{
    struct sd_card *c = calloc(1, sizeof *c);
    CHECK(c, "out of memory");
    if (!disk_file_open(&c->file, "sd", spec, UNIT, e)) {
        free(c);
        return NULL;
    }
    if (c->file.sectors > UINT64_C(1) << 32) { /* CMD17 and its like count blocks in 32 bits */
        error_set(e, 1, "--sd: %s has more than 2 TiB", spec);
        sd_card_free(c);
        return NULL;
    }
    sd_card_reset(c);
    return c;
}

void sd_card_free(struct sd_card *c)
{
    if (c)
        disk_file_close(&c->file);
    free(c);
}

bool sd_card_read_only(const struct sd_card *c)
{
    return c->file.read_only;
}

struct disk_file *sd_card_file(struct sd_card *c)
{
    return &c->file;
}
