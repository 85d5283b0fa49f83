/* What the tables of the language say, for editors and for readers.
 *
 * schema: JSON Schema (2020-12) of a scenario file. It knows keys, actions, arguments and the words
 * they take; what a selector or a condition means only `gregor-sim lint` knows.
 * reference: the same as Markdown; scenarios/README.md holds it between two marks (make reference).
 */
#ifndef SIM_SCENARIO_SCHEMA_H
#define SIM_SCENARIO_SCHEMA_H

void schema_write(void (*put)(void *context, const char *line), void *context);
void reference_write(void (*put)(void *context, const char *line), void *context);

/* The lines around the reference in scenarios/README.md. */
#define REFERENCE_BEGIN "<!-- begin: gregor-sim list reference -->"
#define REFERENCE_END   "<!-- end: gregor-sim list reference -->"

#endif
