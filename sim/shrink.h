/* From a failing run to the smallest scenario that fails alike (simulation.md 5.2).
 *
 *   concrete   what the plan's run drew is written out: shape, settings, clients, every fault as a
 *              step with time and node
 *   passes     one after the other, until a whole round changes nothing; every candidate is
 *              the present scenario with one edit, written as YAML, read again (lint), run with
 *              the same seed, and kept when it fails with the same signature
 *   anchors    times and nodes into conditions and roles, as far as the failure then also comes
 *              with other seeds
 *
 * The budget is counted in events, not in seconds: the same plan has the same result. */
#ifndef SIM_SHRINK_H
#define SIM_SHRINK_H

#include "sim/plan.h"

/* What a candidate did. */
struct shrink_outcome {
    bool same; /* it failed with the signature that is looked for */
    bool in_safety;
    int64_t since_ns; /* of the verdict, since the cluster stood */
    uint64_t events;
};

/* Runs a candidate; it is judged with `seed` and is over after `events_max` events. */
struct shrink_oracle {
    void (*judge)(void *context, struct scenario *candidate, uint64_t seed, uint64_t events_max,
                  struct shrink_outcome *outcome);
    void *context;
};

struct shrink {
    struct shrink_oracle oracle;
    uint64_t seed;
    char *text;                    /* the smallest so far; malloced */
    struct scenario *now;          /* the same, read */
    struct shrink_outcome outcome; /* of it */
    uint32_t tried;
    uint32_t kept;
    uint32_t refused; /* by the lint */
    uint64_t spent;   /* events of all candidates */
    uint64_t budget;
    uint64_t slack; /* events that a candidate may have beyond three times those of now */
    uint64_t *seen; /* digests of what was tried: not again */
    uint32_t seen_count;
    int score;  /* of the result: so many of */
    int scored; /* so many other seeds fail alike */
    bool progress;
};

/* An edit: changes the copy; `n` counts the ways to do it. */
enum shrink_edit { SHRINK_EDIT, SHRINK_SKIP, SHRINK_END };
typedef enum shrink_edit shrink_pass(struct scenario *copy, uint32_t n,
                                     const struct shrink_outcome *outcome);
struct shrink_pass_info {
    const char *name;
    shrink_pass *pass;
};
/* Those of shrink_edit.c in their order; name NULL at the end. */
extern const struct shrink_pass_info shrink_passes[];

/* Without steps [from, to). */
void shrink_edit_cut(struct scenario *copy, uint32_t from, uint32_t to);

/* shrink_concrete.c: the scenario of a plan with nothing left open, its faults as steps; malloced.
 * NULL with a sentence. */
char *shrink_concrete(const struct plan *plan, struct yaml_error *error);
/* The same with the steps of the plan's own scenario, for one that has no random faults. */
char *shrink_scripted(const struct plan *plan, struct yaml_error *error);
char *shrink_written(const struct scenario *scenario);

/* shrink_loop.c. False: `text` itself does not fail alike. */
bool shrink_begin(struct shrink *shrink, char *text);
void shrink_loop(struct shrink *shrink);
/* shrink_anchor.c */
void shrink_anchors(struct shrink *shrink);
/* shrink_story.c. All steps as one that comes again and again, the n-th variant; malloced. NULL: no
 * more (`end`). */
char *shrink_story(struct scenario *from, uint32_t n, bool *end);
/* True: this text is the new smallest; it is kept or freed. */
bool shrink_try(struct shrink *shrink, char *text);
/* How many of `count` other seeds fail alike; stops as soon as `wanted` cannot be reached. */
int shrink_score(struct shrink *shrink, const char *text, int count, int wanted);
void shrink_end(struct shrink *shrink);

/* gregor-sim shrink DIR|PLAN [--out SMALL.yaml] [--time 60s] */
int shrink_command(int argc, char **argv, struct codecs *codecs);

#endif
