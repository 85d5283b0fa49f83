#include "sim/scenario/units.h"

#include "client/base/assert.h"
#include "client/base/list.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *suffix;
    enum unit unit;
    int64_t scale;
} unit_suffixes[] = {
    {"ns", UNIT_TIME, 1},
    {"us", UNIT_TIME, 1000},
    {"ms", UNIT_TIME, 1000000},
    {"s", UNIT_TIME, 1000000000},
    {"min", UNIT_TIME, INT64_C(60000000000)},
    {"h", UNIT_TIME, INT64_C(3600000000000)},
    {"B", UNIT_SIZE, 1},
    {"KiB", UNIT_SIZE, 1024},
    {"MiB", UNIT_SIZE, 1024 * 1024},
    {"GiB", UNIT_SIZE, 1024 * 1024 * 1024},
    {"/s", UNIT_RATE, 1000},
    {"/ms", UNIT_RATE, 1000000},
    {"%", UNIT_SHARE, 10000},
    {"ppm", UNIT_DRIFT, 1000},
    {"x", UNIT_FACTOR, 1000},
    {"", UNIT_COUNT, 1},
    {"k", UNIT_COUNT, 1000},
    {"M", UNIT_COUNT, 1000000},
};

static const char *const unit_examples[] = {
    [UNIT_COUNT] = "3 or 5k",      [UNIT_TIME] = "250ms or 3s", [UNIT_SIZE] = "512B or 64KiB",
    [UNIT_RATE] = "200/s",         [UNIT_SHARE] = "15%",        [UNIT_DRIFT] = "-200ppm",
    [UNIT_FACTOR] = "20x or 1.5x",
};

const char *units_example(enum unit unit)
{
    return unit_examples[unit];
}

static bool unit_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '%' || c == '/';
}

/* Digits and decimals as value * 1000; decimals beyond the third are refused. */
static bool units_digits(const char **at, int64_t *milli)
{
    int64_t value = 0;
    int digits = 0;

    for (; **at >= '0' && **at <= '9'; (*at)++, digits++) {
        if (value > INT64_MAX / 20000) return false;
        value = value * 10 + (**at - '0');
    }
    if (digits == 0) return false;
    value *= 1000;
    if (**at == '.' && (*at)[1] >= '0' && (*at)[1] <= '9') {
        int64_t weight = 100;

        for ((*at)++; **at >= '0' && **at <= '9'; (*at)++, weight /= 10) {
            if (weight == 0) return false;
            value += (**at - '0') * weight;
        }
    }
    *milli = value;
    return true;
}

bool units_scan(const char *text, enum unit *unit, int64_t *value, uint32_t *used)
{
    const char *at = text;
    bool negative = *at == '-';
    int64_t milli;
    size_t length = 0;

    if (negative) at++;
    if (!units_digits(&at, &milli)) return false;
    while (unit_letter(at[length]))
        length++;
    for (uint32_t i = 0; i < COUNT_OF(unit_suffixes); i++) {
        int64_t scale = unit_suffixes[i].scale;

        if (strlen(unit_suffixes[i].suffix) != length) continue;
        if (strncmp(unit_suffixes[i].suffix, at, length) != 0) continue;
        if (milli % 1000 != 0 && scale % 1000 != 0) {
            if (milli * scale % 1000 != 0) return false; /* half a byte */
        }
        if (milli / 1000 > INT64_MAX / 2 / scale) return false;
        *unit = unit_suffixes[i].unit;
        *value = milli / 1000 * scale + milli % 1000 * scale / 1000;
        if (negative) *value = -*value;
        *used = (uint32_t)((size_t)(at - text) + length);
        return true;
    }
    return false;
}

bool units_parse(enum unit unit, const char *text, struct unit_range *range, char *why)
{
    const char *at = text;
    int64_t values[2] = {0, 0};
    int count = 0;

    for (; count < 2; count++) {
        enum unit got = UNIT_COUNT;
        uint32_t used = 0;

        if (!units_scan(at, &got, &values[count], &used)) break;
        if (got != unit) {
            (void)snprintf(why, 128, "\"%.40s\" has %s; wanted is for example %s", text,
                           got == UNIT_COUNT ? "no unit" : "the wrong unit", unit_examples[unit]);
            return false;
        }
        at += used;
        if (count == 0 && strncmp(at, "..", 2) == 0 && at[2] != '\0') {
            at += 2;
            continue;
        }
        count++;
        break;
    }
    if (count == 0 || *at != '\0') {
        (void)snprintf(why, 128, "\"%.40s\" is no quantity; wanted is for example %s", text,
                       unit_examples[unit]);
        return false;
    }
    if (count == 1) values[1] = values[0];
    if (values[0] > values[1]) {
        (void)snprintf(why, 128, "\"%.40s\": the range is empty; the smaller end comes first",
                       text);
        return false;
    }
    range->min = values[0];
    range->max = values[1];
    return true;
}

int64_t units_draw(struct unit_range range, struct rng *rng)
{
    return rng_range(rng, range.min, range.max);
}
