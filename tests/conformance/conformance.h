/* One suite over the contracts W1..W9 of client/world/world.h, for any world.
 *
 * A world takes part through a table: struct conf_harness. Its program is <world>_main.c beside
 * this file: the table and
 *
 *     int main(void) { return conformance_run(&harness); }
 *
 * What a harness promises:
 *
 *  - create() gives a set of 1..CONF_WORLDS_MAX worlds that reach each other over the network. Each
 *    has an empty working directory of its own, a region of at least CONF_REGION_SIZE, and a name
 *    that net_resolve() of every world of the set turns into addresses on which that world may
 *    listen. Nothing fails that the test does not provoke: no faults, no losses.
 *  - The suite sets world->actor right after create(), crash() and power_loss().
 *  - The suite submits between two calls of run(), as a node does at the end of a turn, always
 *    between enter() and leave() of that world (NULL when the world needs no such thing). It also
 *    submits from inside completions and turn_end().
 *  - run() lets all worlds of the set take turns until done(context) holds, which it asks before
 *    the first turn and after each; or until `limit_ns` of the worlds' time have passed. It says
 *    whether done held. When nothing is left that could ever happen it may return false at once,
 *    but the clock then stands at the limit.
 *  - crash(): the process is killed. The region is reset, what was in flight is forgotten, peers
 *    see their connections gone or ended; files are as the completed writes left them
 *    (in-flight ones: any part). world() then gives the world of the next incarnation
 *    (perhaps the same pointer), which runs at once.
 *  - power_loss(): crash(), and everything that may be lost of this node's disk (W8) is lost: every
 *    byte, length and name not synced, with nothing torn or rotten.
 *  - connections_max and files_max of the options hold for each world.
 */
#ifndef TESTS_CONFORMANCE_CONFORMANCE_H
#define TESTS_CONFORMANCE_CONFORMANCE_H

#include "client/world/world.h"

#include <stdbool.h>
#include <stdint.h>

enum { CONF_WORLDS_MAX = 3, CONF_REGION_SIZE = 64 * 1024 * 1024 };

/* Free to the harness; one at a time exists. */
struct conf_set;

struct conf_options {
    uint32_t world_count;
    uint32_t connections_max; /* of each world */
    uint32_t files_max;       /* of each world */
};

struct conf_harness {
    const char *name;    /* "posix" */
    bool can_crash;      /* crash() is there */
    bool can_power_loss; /* power_loss() is there */
    bool virtual_time; /* waiting costs nothing: the suite waits minutes instead of milliseconds */

    /* Never fails: it aborts. */
    struct conf_set *(*create)(const struct conf_options *options);
    void (*destroy)(struct conf_set *set); /* also with requests pending */
    struct world *(*world)(struct conf_set *set, uint32_t index);
    struct str (*host)(struct conf_set *set, uint32_t index); /* lives as long as the set */
    void (*enter)(struct conf_set *set, uint32_t index);      /* may be NULL, as leave */
    void (*leave)(struct conf_set *set, uint32_t index);
    bool (*run)(struct conf_set *set, bool (*done)(void *context), void *context, int64_t limit_ns);
    void (*crash)(struct conf_set *set, uint32_t index);
    void (*power_loss)(struct conf_set *set, uint32_t index);
    /* Events that this world's trace has taken so far, of its present incarnation. */
    uint64_t (*traced)(struct conf_set *set, uint32_t index);
    /* Whether world_stop() was called on it, and with which status. */
    bool (*stopped)(struct conf_set *set, uint32_t index, int *status);
};

/* Runs the whole suite; the exit status of the program. */
int conformance_run(const struct conf_harness *harness);

#endif
