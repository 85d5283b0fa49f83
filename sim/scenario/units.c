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

/* Digits as a whole number, decimals as millionths; decimals beyond the sixth are refused. */
static bool units_digits(const char **at, int64_t *whole, int64_t *micro)
{
    int64_t value = 0;
    int digits = 0;

    for (; **at >= '0' && **at <= '9'; (*at)++, digits++) {
        if (value > INT64_MAX / 20) return false;
        value = value * 10 + (**at - '0');
    }
    if (digits == 0) return false;
    *micro = 0;
    if (**at == '.' && (*at)[1] >= '0' && (*at)[1] <= '9') {
        int64_t weight = 100000;

        for ((*at)++; **at >= '0' && **at <= '9'; (*at)++, weight /= 10) {
            if (weight == 0) return false;
            *micro += (**at - '0') * weight;
        }
    }
    *whole = value;
    return true;
}

bool units_scan(const char *text, enum unit *unit, int64_t *value, uint32_t *used)
{
    const char *at = text;
    bool negative = *at == '-';
    int64_t whole;
    int64_t micro;
    size_t length = 0;

    if (negative) at++;
    if (!units_digits(&at, &whole, &micro)) return false;
    while (unit_letter(at[length]))
        length++;
    for (uint32_t i = 0; i < COUNT_OF(unit_suffixes); i++) {
        int64_t scale = unit_suffixes[i].scale;

        if (strlen(unit_suffixes[i].suffix) != length) continue;
        if (strncmp(unit_suffixes[i].suffix, at, length) != 0) continue;
        if (whole > INT64_MAX / 2 / scale) return false;
        /* A part of a smallest piece (half a byte) is refused. */
        if (micro != 0 && micro * (scale % 1000000) % 1000000 != 0) return false;
        *unit = unit_suffixes[i].unit;
        *value = whole * scale + micro * (scale / 1000000) + micro * (scale % 1000000) / 1000000;
        if (negative) *value = -*value;
        *used = (uint32_t)((size_t)(at - text) + length);
        return true;
    }
    return false;
}

/* The value in one unit: digits, and as many decimals as it needs. */
static bool write_in(int64_t value, int64_t scale, const char *suffix, char *text, size_t size)
{
    uint64_t magnitude = value < 0 ? (uint64_t)0 - (uint64_t)value : (uint64_t)value;
    uint64_t whole = magnitude / (uint64_t)scale;
    uint64_t rest = magnitude % (uint64_t)scale;
    char decimals[8] = "";
    int length;

    if (rest != 0) {
        if (scale > 1000000 || rest * 1000000 % (uint64_t)scale != 0) return false;
        length = snprintf(decimals, sizeof decimals, ".%06u",
                          (unsigned)(rest * 1000000 / (uint64_t)scale));
        while (length > 1 && decimals[length - 1] == '0')
            decimals[--length] = '\0';
    }
    (void)snprintf(text, size, "%s%llu%s%s", value < 0 ? "-" : "", (unsigned long long)whole,
                   decimals, suffix);
    return true;
}

static void write_one(enum unit unit, int64_t value, char *text, size_t size)
{
    /* Whole numbers of the largest unit first; minutes and hours are for those who write. */
    static const char *const order[] = {"s", "ms", "us", "ns",  "GiB", "MiB", "KiB",
                                        "B", "/s", "%",  "ppm", "x",   ""};

    for (int exact = 1; exact >= 0; exact--) {
        for (uint32_t i = 0; i < COUNT_OF(order); i++) {
            for (uint32_t j = 0; j < COUNT_OF(unit_suffixes); j++) {
                if (unit_suffixes[j].unit != unit) continue;
                if (strcmp(unit_suffixes[j].suffix, order[i]) != 0) continue;
                if (exact == 1 && value % unit_suffixes[j].scale != 0) continue;
                if (write_in(value, unit_suffixes[j].scale, order[i], text, size)) return;
            }
        }
    }
    IMPOSSIBLE("a quantity that has no words");
}

void units_write(enum unit unit, struct unit_range range, char *text, size_t size)
{
    size_t used;

    write_one(unit, range.min, text, size);
    if (range.min == range.max) return;
    used = strlen(text);
    (void)snprintf(text + used, size - used, "..");
    write_one(unit, range.max, text + used + 2, size - used - 2);
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
