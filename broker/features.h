/* Features of a cluster (KIP-584): what this build knows of each, and Kafka's names for levels.
 * What counts is finalized in the metadata log (FeatureLevelRecord), kraft.version by its own
 * record in the quorum's. */
#ifndef BROKER_FEATURES_H
#define BROKER_FEATURES_H

#include "broker/config.h"

#define FEATURES_METADATA_VERSION "metadata.version"
#define FEATURES_KRAFT_VERSION    "kraft.version"
#define FEATURES_GROUP_VERSION    "group.version" /* 1: groups of KIP-848 */
#define FEATURES_ELR_VERSION      "eligible.leader.replicas.version"

enum {
    /* 3.7-IV2. DIFFERS: Kafka 4 begins at 7 (3.3-IV3); replicas' directories are always written. */
    FEATURES_METADATA_MIN = 17,
    FEATURES_GROUP_SINCE = 22, /* 4.0-IV0: a cluster formatted from here on has group.version 1 */
    FEATURES_COUNT = 5,
};

struct features_range {
    struct str name;
    int16_t min;
    int16_t max;
};

/* Those of this build, as configured; in the order of names. */
void features_supported(const struct config *config, struct features_range ranges[FEATURES_COUNT]);

#endif
