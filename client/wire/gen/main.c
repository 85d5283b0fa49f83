/* wiregen OUTDIR SCHEMA...: writes OUTDIR/<stem>.[ch] for each schema, OUTDIR/api_table.[ch] and
 * OUTDIR/crc32c_table.[ch]. A file whose content would not change is left alone, so that make
 * rebuilds only what must be. */
#include "client/wire/gen/gen.h"

#include <stdlib.h>
#include <string.h>

static char *read_all(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    long end;

    if (file == NULL) return NULL;
    if (fseek(file, 0, SEEK_END) == 0 && (end = ftell(file)) >= 0) {
        text = malloc((size_t)end + 1);
        rewind(file);
        *length = text != NULL ? fread(text, 1, (size_t)end, file) : 0;
    }
    fclose(file);
    return text;
}

/* Moves `fresh` to `path` if they differ. */
static void settle(const char *fresh, const char *path)
{
    size_t fresh_length = 0, old_length = 0;
    char *fresh_text = read_all(fresh, &fresh_length);
    char *old_text = read_all(path, &old_length);

    if (fresh_text != NULL && old_text != NULL && fresh_length == old_length &&
        memcmp(fresh_text, old_text, old_length) == 0)
        remove(fresh);
    else if (rename(fresh, path) != 0)
        die(path, 0, "cannot rename");
    free(fresh_text);
    free(old_text);
}

static FILE *open_fresh(const char *folder, const char *stem)
{
    const char *path = format_text("%s/%s.new", folder, stem);
    FILE *file = fopen(path, "w");

    if (file == NULL) die(path, 0, "cannot create");
    return file;
}

static void finish(FILE *file, const char *folder, const char *stem, const char *extension)
{
    const char *fresh = format_text("%s/%s.new", folder, stem);

    if (fclose(file) != 0) die(fresh, 0, "cannot write");
    settle(fresh, format_text("%s/%s.%s", folder, stem, extension));
}

int main(int argc, char **argv)
{
    int count = argc - 2;
    struct schema *schemas;
    FILE *file;

    if (count < 1) {
        fprintf(stderr, "usage: wiregen OUTDIR SCHEMA...\n");
        return 2;
    }
    schemas = calloc((size_t)count, sizeof *schemas);
    if (schemas == NULL) die("generator", 0, "out of memory");
    for (int i = 0; i < count; i++) {
        schema_read(argv[i + 2], &schemas[i]);
        for (int j = 0; j < i; j++)
            if (strcmp(schemas[i].stem, schemas[j].stem) == 0 ||
                (schemas[i].messages[0].kind == schemas[j].messages[0].kind &&
                 schemas[i].api.key >= 0 && schemas[i].api.key == schemas[j].api.key))
                die(argv[i + 2], 1, "name or number already taken by %s", schemas[j].path);
    }
    for (int i = 0; i < count; i++) {
        file = open_fresh(argv[1], schemas[i].stem);
        emit_header(file, &schemas[i]);
        finish(file, argv[1], schemas[i].stem, "h");
        file = open_fresh(argv[1], schemas[i].stem);
        emit_code(file, &schemas[i]);
        finish(file, argv[1], schemas[i].stem, "c");
    }
    file = open_fresh(argv[1], "api_table");
    emit_table_header(file, schemas, count);
    finish(file, argv[1], "api_table", "h");
    file = open_fresh(argv[1], "api_table");
    emit_table_code(file, schemas, count);
    finish(file, argv[1], "api_table", "c");
    file = open_fresh(argv[1], "crc32c_table");
    emit_crc_header(file);
    finish(file, argv[1], "crc32c_table", "h");
    file = open_fresh(argv[1], "crc32c_table");
    emit_crc_code(file);
    finish(file, argv[1], "crc32c_table", "c");
    return 0;
}
