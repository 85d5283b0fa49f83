/* What the oracles know of a run besides its events, as a line of text "name=value ..." that goes
 * along in its trace (SIM_ORACLES): the same oracles, set up alike, judge the file again. */
#include "sim/check/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum config_kind { CONFIG_FLAG, CONFIG_I32, CONFIG_I64 };

struct config_field {
    const char *name;
    enum config_kind kind;
    size_t at;
};

#define FIELD(KIND, name)                                \
    {                                                    \
#name, KIND, offsetof(struct check_config, name) \
    }

static const struct config_field config_fields[] = {
    FIELD(CONFIG_FLAG, unclean_election),
    FIELD(CONFIG_FLAG, fsync_before_ack),
    FIELD(CONFIG_FLAG, idempotent),
    FIELD(CONFIG_FLAG, acks_all),
    FIELD(CONFIG_I64, transactional),
    FIELD(CONFIG_FLAG, final_drain),
    FIELD(CONFIG_I64, off[0]),
    FIELD(CONFIG_I64, off[1]),
    FIELD(CONFIG_I64, off[2]),
    FIELD(CONFIG_FLAG, only_history),
    FIELD(CONFIG_I32, min_isr),
    FIELD(CONFIG_I32, loss_budget),
    FIELD(CONFIG_I64, replica_lag_ns),
    FIELD(CONFIG_I64, fetch_wait_ns),
    FIELD(CONFIG_I64, session_ns),
    FIELD(CONFIG_I64, heartbeat_ns),
    FIELD(CONFIG_I64, member_session_ns),
    FIELD(CONFIG_I64, request_timeout_ns),
    FIELD(CONFIG_I64, election_ns),
    FIELD(CONFIG_I64, quorum_fetch_ns),
    FIELD(CONFIG_I64, delete_retention_ns),
};

enum { CONFIG_FIELDS = sizeof config_fields / sizeof *config_fields };

static int64_t field_get(const struct check_config *config, const struct config_field *field)
{
    const char *at = (const char *)config + field->at;

    switch (field->kind) {
    case CONFIG_FLAG: return *(const bool *)(const void *)at;
    case CONFIG_I32: return *(const int32_t *)(const void *)at;
    case CONFIG_I64: return *(const int64_t *)(const void *)at;
    }
    return 0;
}

static void field_set(struct check_config *config, const struct config_field *field, int64_t value)
{
    char *at = (char *)config + field->at;

    switch (field->kind) {
    case CONFIG_FLAG: *(bool *)(void *)at = value != 0; return;
    case CONFIG_I32: *(int32_t *)(void *)at = (int32_t)value; return;
    case CONFIG_I64: *(int64_t *)(void *)at = value; return;
    }
}

void check_config_print(const struct check_config *config, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (uint32_t i = 0; i < CONFIG_FIELDS && used < size; i++) {
        used += (size_t)snprintf(text + used, size - used, "%s%s=%" PRId64, i > 0 ? " " : "",
                                 config_fields[i].name, field_get(config, &config_fields[i]));
    }
}

bool check_config_parse(struct check_config *config, const char *text)
{
    while (*text != '\0') {
        size_t length = strcspn(text, "=");
        const struct config_field *field = NULL;
        char *end;
        int64_t value;

        for (uint32_t i = 0; i < CONFIG_FIELDS; i++) {
            if (strlen(config_fields[i].name) == length &&
                memcmp(config_fields[i].name, text, length) == 0)
                field = &config_fields[i];
        }
        if (text[length] != '=') return false;
        value = strtoll(text + length + 1, &end, 10);
        if (end == text + length + 1 || (*end != ' ' && *end != '\0')) return false;
        if (field != NULL) field_set(config, field, value); /* of a later version: passed over */
        text = *end == ' ' ? end + 1 : end;
    }
    return true;
}
