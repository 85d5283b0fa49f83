#include "broker/features.h"

void features_supported(const struct config *config, struct features_range ranges[FEATURES_COUNT])
{
    /* A build older than 4.0 knows nothing of group.version. Transactions of the second kind are
     * not there: nobody can turn them on. */
    bool groups = config->feature_metadata_version_max >= FEATURES_GROUP_SINCE;
    const struct features_range all[FEATURES_COUNT] = {
        {STR(FEATURES_ELR_VERSION), 0, (int16_t)config->feature_elr_version_max},
        {STR(FEATURES_GROUP_VERSION), 0,
         groups ? (int16_t)config->feature_group_version_max : (int16_t)0},
        {STR(FEATURES_KRAFT_VERSION), 0, (int16_t)config->feature_kraft_version_max},
        {STR(FEATURES_METADATA_VERSION), FEATURES_METADATA_MIN,
         (int16_t)config->feature_metadata_version_max},
        {STR("transaction.version"), 0, 0},
    };

    for (uint32_t i = 0; i < FEATURES_COUNT; i++)
        ranges[i] = all[i];
}
