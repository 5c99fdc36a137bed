/*
 * packet.h — GDB's remote serial protocol below the commands: framing, checksums, escapes, acknowledgements
 *
 * Source: "Debugging with GDB", appendix E.1 (Overview) and E.10 (Interrupts). A packet is $data#xx, xx the sum of the data's
 * bytes modulo 256; in the data } escapes a byte, which follows XORed with 0x20. Outside of packets + and - acknowledge, and 0x03
 * wants the target to stop.
 */
#ifndef ENGINE_GDB_PACKET_H
#define ENGINE_GDB_PACKET_H

#include "engine/base/base.h"

#define GDB_PACKET_MAX 0x4000 /* data bytes, both ways; the client is told */

enum gdb_input {
    GDB_MORE,      /* nothing complete yet */
    GDB_PACKET,    /* data[0..n), unescaped, and a 0 behind it */
    GDB_WRONG_SUM, /* the same, but the checksum differs */
    GDB_TOO_LONG,  /* a packet that did not fit and is lost */
    GDB_ACK,
    GDB_NAK,
    GDB_INTERRUPT,
};

struct gdb_parser {
    enum { OUTSIDE, INSIDE, ESCAPED, SUM_1, SUM_2 } state;
    bool too_long;
    uint8_t sum, told;
    size_t n;
    char data[GDB_PACKET_MAX + 1];
};

/* One byte from the client. All zeros is a parser at its start. Any bytes are taken. */
enum gdb_input gdb_parse(struct gdb_parser *p, uint8_t byte);

/* What is being answered. What does not fit is left out, and full is set. */
struct gdb_reply {
    size_t n;
    bool full;
    char data[GDB_PACKET_MAX + 1]; /* a 0 behind it */
};

void gdb_clear(struct gdb_reply *r);
void gdb_put(struct gdb_reply *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
void gdb_put_hex(struct gdb_reply *r, const void *bytes, size_t n);
void gdb_put_binary(struct gdb_reply *r, const void *bytes, size_t n); /* escaped */

/* $data#xx to out, which has room for GDB_FRAME_MAX; returns its length. */
#define GDB_FRAME_MAX (GDB_PACKET_MAX + 4)
size_t gdb_frame(const struct gdb_reply *r, char *out);

/* -- Reading a packet -------------------------------------------------------------------------------------------------------- */

/* A hexadecimal number of 1 to 16 digits and no more than 32 bits at *p, which moves behind it. */
bool gdb_number32(const char **p, uint32_t *x);
/* *p moves past c if it is there. */
bool gdb_skip(const char **p, char c);
/* Exactly n bytes from 2n digits; more digits behind them are not looked at. */
bool gdb_bytes(const char *p, void *out, size_t n);

#endif
