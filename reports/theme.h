/* The one table of colours. Graphviz writes a colour as a presentation attribute, and CSS beats
 * those: the light value is the key under which a page finds the dark one (reports.md 1.3). So a
 * figure uses colours of this table only, and no two entries share a light value unless they share
 * the dark one. */
#ifndef REPORTS_THEME_H
#define REPORTS_THEME_H

#include "reports/out.h"

#define THEME_LIST(X)                             \
    X(PAPER, "#ffffff", "#12171d")                \
    X(INK, "#1f2933", "#e6edf3")                  \
    X(MUTED, "#616e7c", "#9fb0c0")                \
    X(RULE, "#d9dee3", "#2b3641")                 \
    X(SOFT, "#f4f6f8", "#1a222b")                 \
    X(EMPTY, "#e8ebee", "#222c36") /* dead */     \
    X(DOWN, "#9aa5b1", "#6b7a89")                 \
    X(MARK, "#cbd2d9", "#3a4754") /* hw area */   \
    X(RED, "#b3001b", "#ff8a94")                  \
    X(RED_PALE, "#fde8e8", "#3a1a20")             \
    X(RECORDS, "#0b5c8f", "#7cc4f2")              \
    X(FETCH, "#5f6b78", "#93a1af")                \
    X(CLIENT, "#00664b", "#6fd6b4")               \
    X(CLIENT_LANE, "#bfe3d6", "#164a3a")          \
    X(CONTROLLER, "#6b3fa0", "#c4a4f0")           \
    X(CONTROLLER_LANE, "#d9cdea", "#3b2a58")      \
    X(EPOCH_0, "#a9d8f5", "#0d3550") /* sky */    \
    X(EPOCH_0_INK, "#0a4f7d", "#8fd0f8")          \
    X(EPOCH_1, "#ffb454", "#6b3d05") /* orange */ \
    X(EPOCH_1_INK, "#5c3000", "#ffc178")          \
    X(EPOCH_2, "#9aa2ee", "#2e3478") /* indigo */ \
    X(EPOCH_2_INK, "#23276e", "#c3c8ff")          \
    X(EPOCH_3, "#4fc3a1", "#0b4a3a") /* green */  \
    X(EPOCH_3_INK, "#003d30", "#7fe3c3")          \
    X(EPOCH_4, "#ffd08a", "#4a3108") /* amber */  \
    X(EPOCH_4_INK, "#7a4700", "#ffcf87")

#define THEME_ENUM(name, light, dark) THEME_##name,
enum theme { THEME_LIST(THEME_ENUM) THEME_COUNT, THEME_NONE = THEME_COUNT };
#undef THEME_ENUM

enum { THEME_EPOCHS = 5 };

const char *theme_light(enum theme colour);
const char *theme_dark(enum theme colour);
/* The tint of the n-th epoch that the page shows, and the text that reads on it. */
enum theme theme_epoch(uint32_t nth);
enum theme theme_epoch_ink(uint32_t nth);
/* CSS variables of the page and, for the dark scheme, what the figures' colours become. */
void theme_css(struct out *out);

#endif
