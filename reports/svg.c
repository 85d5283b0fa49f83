#include "reports/svg.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SAID_MAX = 4096 };

/* ---- running --------------------------------------------------------------------------------- */

static enum svg_result run(const char *dot_path, const char *svg_path, struct out *said)
{
    char out_option[] = "-o";
    char *argv[] = {
        (char[]){"neato"}, (char[]){"-n2"}, (char[]){"-Tsvg"}, out_option, NULL, NULL, NULL};
    char output[4096];
    char input[4096];
    posix_spawn_file_actions_t actions;
    char buffer[512];
    ssize_t got;
    size_t total = 0;
    int ends[2];
    int status = -1;
    int err;
    pid_t pid;

    snprintf(output, sizeof output, "%s", svg_path);
    snprintf(input, sizeof input, "%s", dot_path);
    argv[4] = output;
    argv[5] = input;
    if (pipe2(ends, O_CLOEXEC) != 0) return SVG_FAILED;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
    err = posix_spawnp(&pid, "neato", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    while (err == 0 && (got = read(ends[0], buffer, sizeof buffer)) != 0) {
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) break;
        if (said != NULL && total < SAID_MAX) out_bytes(said, buffer, (size_t)got);
        total += (size_t)got;
    }
    close(ends[0]);
    if (err == ENOENT) return SVG_MISSING;
    if (err != 0) return SVG_FAILED;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) return SVG_FAILED;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) return SVG_MISSING;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? SVG_DONE : SVG_FAILED;
}

/* ---- adopting -------------------------------------------------------------------------------- */

/* Value of an attribute inside one tag; NULL: not there. */
static const char *attribute(const char *tag, const char *end, const char *name, size_t *length)
{
    size_t name_length = strlen(name);

    for (const char *at = tag; at + name_length + 3 < end; at++) {
        const char *close;

        if (at[0] != ' ' || memcmp(at + 1, name, name_length) != 0) continue;
        if (at[name_length + 1] != '=' || at[name_length + 2] != '"') continue;
        at += name_length + 3;
        close = memchr(at, '"', (size_t)(end - at));
        if (close == NULL) return NULL;
        *length = (size_t)(close - at);
        return at;
    }
    return NULL;
}

static bool is_generated(const char *id)
{
    static const char *const prefixes[] = {"graph", "node", "edge", "a_", "clust", "l_"};

    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (strncmp(id, prefixes[i], strlen(prefixes[i])) == 0) return true;
    }
    return false;
}

/* Graphviz writes each hyphen as a number: ids are looked for as they were given. */
static const char *copy_sign(struct out *out, const char *at)
{
    if (strncmp(at, "&#45;", 5) == 0) {
        out_cstr(out, "-");
        return at + 5;
    }
    out_bytes(out, at, 1);
    return at + 1;
}

/* One tag, without generated ids and Graphviz' own habits. */
static void copy_tag(struct out *out, const char *tag, const char *end)
{
    while (tag < end) {
        if (strncmp(tag, " id=\"", 5) == 0 && is_generated(tag + 5)) {
            tag = (const char *)memchr(tag + 5, '"', (size_t)(end - tag - 5)) + 1;
        } else if (strncmp(tag, "\"transparent\"", 13) == 0) {
            out_cstr(out, "\"none\"");
            tag += 13;
        } else {
            tag = copy_sign(out, tag);
        }
    }
}

static void open_svg(struct out *out, const struct scene *scene, const char *tag, const char *end)
{
    size_t length = 0;
    const char *box = attribute(tag, end, "viewBox", &length);

    out_cstr(out,
             "<svg class=\"fig\" role=\"img\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"");
    if (box != NULL) out_bytes(out, box, length);
    out_format(
        out, "\" aria-labelledby=\"%s-title %s-about\" style=\"max-width:%dpx;min-width:%dpx\">\n",
        scene->name, scene->name, scene->width / 10 * 4 / 3, scene->width / 10 * 4 / 3 * 7 / 10);
    out_format(out, "<title id=\"%s-title\">", scene->name);
    out_html(out, scene->title);
    out_format(out, "</title>\n<desc id=\"%s-about\">", scene->name);
    out_html(out, scene->about);
    out_cstr(out, "</desc>\n");
}

/* <a xlink:title="..."> holds the tooltip. */
static void open_anchor(struct out *out, const char *tag, const char *end)
{
    size_t length = 0;
    const char *title = attribute(tag, end, "xlink:title", &length);

    out_cstr(out, "<g>");
    if (title == NULL || length == 0) return;
    out_cstr(out, "<title>");
    out_bytes(out, title, length);
    out_cstr(out, "</title>");
}

bool svg_adopt(struct out *out, const struct scene *scene, const char *raw)
{
    const char *at = strstr(raw, "<svg");

    if (at == NULL) return false;
    while (*at != '\0') {
        const char *end;

        if (*at != '<') {
            at = copy_sign(out, at);
            continue;
        }
        if (strncmp(at, "<!--", 4) == 0) {
            end = strstr(at, "-->");
            if (end == NULL) return false;
            at = end + 3;
            if (*at == '\n') at++;
            continue;
        }
        if (strncmp(at, "<title>", 7) == 0) {
            end = strstr(at, "</title>");
            if (end == NULL) return false;
            at = end + 8;
            if (*at == '\n') at++;
            continue;
        }
        end = strchr(at, '>');
        if (end == NULL) return false;
        if (strncmp(at, "<svg", 4) == 0)
            open_svg(out, scene, at, end);
        else if (strncmp(at, "<a ", 3) == 0)
            open_anchor(out, at, end);
        else if (strncmp(at, "</a>", 4) == 0)
            out_cstr(out, "</g>");
        else
            copy_tag(out, at, end + 1);
        at = end + 1;
    }
    return true;
}

enum svg_result svg_render(struct out *out, const struct scene *scene, const char *dot_path,
                           const char *svg_path, struct out *said)
{
    struct out raw = {.data = NULL};
    enum svg_result result = run(dot_path, svg_path, said);

    if (result != SVG_DONE) return result;
    if (!out_read_file(&raw, svg_path) || raw.length == 0 || !svg_adopt(out, scene, raw.data))
        result = SVG_FAILED;
    out_free(&raw);
    return result;
}
