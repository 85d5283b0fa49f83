/* What the simulator's JSON files have in common. */
#ifndef SIM_JSON_H
#define SIM_JSON_H

#include <stdio.h>

/* As a JSON string, with its quotes. */
void json_text(FILE *file, const char *text);

#endif
