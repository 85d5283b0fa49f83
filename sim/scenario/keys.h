/* The keys of a scenario file outside of its steps, in one table: the parser takes what it knows
 * from here, and so do the schema for editors and the reference in scenarios/README.md. */
#ifndef SIM_SCENARIO_KEYS_H
#define SIM_SCENARIO_KEYS_H

enum key_map {
    KEYS_TOP,
    KEYS_STOP,
    KEYS_CLUSTER,
    KEYS_NETWORK,
    KEYS_DISK,
    KEYS_POWER_LOSS,
    KEYS_CLOCK,
    KEYS_LIVENESS,
    KEY_MAPS,
};

/* shape: time, size, rate, share, drift, count, bool, text, any; "one of a b"; or the name of
 * another map, perhaps after "off " when that word may stand for it. */
struct key_word {
    const char *name;
    const char *shape;
    const char *about;
};

const char *keys_map_name(enum key_map map); /* "cluster" */
/* Terminated by a NULL name. */
const struct key_word *keys_of(enum key_map map);
/* The names alone, terminated by NULL: what read_map() wants. */
const char *const *keys_names(enum key_map map);

#endif
