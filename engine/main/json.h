/*
 * json.h — the little that is needed to write JSON
 */
#ifndef ENGINE_MAIN_JSON_H
#define ENGINE_MAIN_JSON_H

#include <stdio.h>

/* A string in quotes; NULL: null. Bytes that are no printable ASCII are escaped, those above 127 taken as Latin-1,
 * so the result is valid whatever a file's name holds. */
void json_string(FILE *out, const char *s);

#endif
