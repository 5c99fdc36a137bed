/*
 * console_tty.h — what console.c asks of console_tty.c
 */
#ifndef MACHINES_CONSOLE_TTY_H
#define MACHINES_CONSOLE_TTY_H

#include "engine/base/base.h"

/* LAUNCH, by console_start(). If console_raw() was called and fd is a terminal in the foreground, its keys are the guest's
 * from here on, until console_restore(). Returns whether that is so. */
bool console_tty_begin(int fd);
/* Console thread. Takes our keys out of what was read, and does what they say; the number of bytes left for the guest. */
size_t console_tty_keys(unsigned char *buf, size_t bytes);

#endif
