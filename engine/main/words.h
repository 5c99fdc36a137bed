/*
 * words.h — words for sentences to the user
 */
#ifndef ENGINE_MAIN_WORDS_H
#define ENGINE_MAIN_WORDS_H

#include "engine/base/base.h"

/* The name among those of the table that is nearest to what was typed, or NULL. */
const char *nearest_name(const char *typed, const char *(*name)(size_t i));

/* In the largest unit that it is a multiple of: "512M". Returns buf. */
const char *size_text(uint64_t x, char *buf, size_t n);

#endif
