/*
 * list.h — --list-strategies: the table of axes for people and for programs
 */
#ifndef ENGINE_MAIN_LIST_H
#define ENGINE_MAIN_LIST_H

#include <stdio.h>

void list_strategies(FILE *out);
void list_strategies_json(FILE *out);

#endif
