#include "reports/theme.h"

#include "client/base/assert.h"

struct theme_pair {
    const char *light;
    const char *dark;
};

#define THEME_ROW(name, light, dark) {light, dark},
static const struct theme_pair pairs[] = {THEME_LIST(THEME_ROW)};
#undef THEME_ROW

const char *theme_light(enum theme colour)
{
    ASSERT(colour < THEME_COUNT);
    return pairs[colour].light;
}

const char *theme_dark(enum theme colour)
{
    ASSERT(colour < THEME_COUNT);
    return pairs[colour].dark;
}

enum theme theme_epoch(uint32_t nth)
{
    return (enum theme)(THEME_EPOCH_0 + 2 * (nth % THEME_EPOCHS));
}

enum theme theme_epoch_ink(uint32_t nth)
{
    return (enum theme)(THEME_EPOCH_0_INK + 2 * (nth % THEME_EPOCHS));
}

static void variables(struct out *out, bool dark)
{
    static const struct {
        const char *name;
        enum theme colour;
    } names[] = {{"paper", THEME_PAPER},    {"ink", THEME_INK},     {"mute", THEME_MUTED},
                 {"rule", THEME_RULE},      {"soft", THEME_SOFT},   {"bad", THEME_RED},
                 {"badbg", THEME_RED_PALE}, {"good", THEME_CLIENT}, {"link", THEME_RECORDS}};

    for (uint32_t i = 0; i < COUNT_OF(names); i++) {
        out_format(out, "--%s:%s;", names[i].name,
                   dark ? theme_dark(names[i].colour) : theme_light(names[i].colour));
    }
}

void theme_css(struct out *out)
{
    out_cstr(out, ":root{color-scheme:light dark;");
    variables(out, false);
    out_cstr(out, "}\n@media (prefers-color-scheme:dark){:root{");
    variables(out, true);
    out_cstr(out, "}\n");
    for (uint32_t i = 0; i < THEME_COUNT; i++) {
        const struct theme_pair *pair = &pairs[i];

        out_format(out, "svg.fig [fill=\"%s\"]{fill:%s}svg.fig [stroke=\"%s\"]{stroke:%s}\n",
                   pair->light, pair->dark, pair->light, pair->dark);
    }
    /* Graphviz leaves out black, its default: a text without fill. */
    out_format(out, "svg.fig text:not([fill]){fill:%s}}\n", theme_dark(THEME_INK));
}
