/*
 * guess.h — guessing flat table entries, so that a load need not wait for its look-up
 *
 * A probe puts two dependent loads before the access itself: the table entry, then the data. Most pages of a kernel, and
 * all of a program without an MMU of its own, are mapped at one distance from their host memory, so their entries
 * are equal. Privileged code therefore loads a guess of the entry from struct vcpu, compares the table with it, and uses
 * the guess: the comparison is checked by branch prediction, off the way from address to data. If they differ, cold
 * code takes the entry itself.
 *
 * guess[GUESS_ANY] is what most pages say that the slow path has entered (a majority vote). guess[GUESS_STACK], for
 * addresses made from r13, is the last entry seen: a stack may be mapped page by page, but stays in one for a while.
 * User code, whose pages lie anywhere, does not guess.
 *
 * An entry of 0 is no page: a guess is never 0, so an empty entry never equals it. A stale guess does no harm; only
 * what the table says now is used.
 */
#ifndef ENGINE_X64_GUESS_H
#define ENGINE_X64_GUESS_H

#include "engine/x64/stubs.h"

enum { GUESS_ANY, GUESS_STACK };

/* No entry: these are multiples of the page size. */
#define GUESS_NOTHING UINT64_C(1)

/* Before translated code is entered. */
static inline void guess_prepare(struct vcpu *v)
{
    if (UNLIKELY(!v->guess[GUESS_ANY]))
        v->guess[GUESS_ANY] = v->guess[GUESS_STACK] = GUESS_NOTHING;
}

/* The slow paths of calls, each followed by a vote. One set for the process. */
const struct x64_calls *guess_wrap(const struct x64_calls *calls);

#endif
