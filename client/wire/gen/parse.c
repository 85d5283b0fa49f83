/* Reads one schema file. Strict: whatever it does not know is an error with file and line. */
#include "client/wire/gen/gen.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const struct type_info type_info[] = {
    [TYPE_BOOL] = {"bool", "bool", "bool", "WIRE_BOOL", 1},
    [TYPE_INT8] = {"int8", "int8_t", "int8", "WIRE_INT8", 1},
    [TYPE_INT16] = {"int16", "int16_t", "int16", "WIRE_INT16", 2},
    [TYPE_UINT16] = {"uint16", "uint16_t", "uint16", "WIRE_UINT16", 2},
    [TYPE_INT32] = {"int32", "int32_t", "int32", "WIRE_INT32", 4},
    [TYPE_UINT32] = {"uint32", "uint32_t", "uint32", "WIRE_UINT32", 4},
    [TYPE_INT64] = {"int64", "int64_t", "int64", "WIRE_INT64", 8},
    [TYPE_UUID] = {"uuid", "struct uuid", "uuid", "WIRE_UUID", 16},
    [TYPE_STRING] = {"string", "struct str", "string", "WIRE_STRING", 2},
    [TYPE_BYTES] = {"bytes", "struct bytes", "bytes", "WIRE_BYTES", 4},
    [TYPE_RECORDS] = {"records", "struct bytes", "records", "WIRE_RECORDS", 4},
    [TYPE_STRUCT] = {"", "", "", "WIRE_STRUCT", 0},
};

enum { WORDS_MAX = 32, LINE_MAX_ = 400, INDENT = 4 };

struct line {
    char text[LINE_MAX_];
    char *words[WORDS_MAX + 1]; /* NULL after the last */
    int count;
    int depth;
};

struct parser {
    const char *path;
    FILE *file;
    int number;
    struct line line;
    bool held; /* `line` is still to be consumed */
};

void die(const char *path, int line, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "%s:%d: ", path, line);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(2);
}

char *format_text(const char *format, ...)
{
    char text[512];
    char *copy;
    va_list arguments;
    size_t length;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    length = strlen(text) + 1;
    copy = malloc(length);
    if (copy == NULL) die("generator", 0, "out of memory");
    memcpy(copy, text, length);
    return copy;
}

/* Splits at blanks; "..." is one word. Returns false for a line without content. */
static bool split(struct parser *parser, struct line *line)
{
    char *at = line->text;
    int spaces = 0;

    line->count = 0;
    while (at[spaces] == ' ')
        spaces++;
    at += spaces;
    for (;;) {
        while (*at == ' ')
            at++;
        if (*at == '\0' || *at == '\n' || *at == '#') break;
        if (line->count == WORDS_MAX) die(parser->path, parser->number, "too many words");
        line->words[line->count++] = at;
        while (*at != '\0' && *at != ' ' && *at != '\n') {
            if (*at == '\t') die(parser->path, parser->number, "tab");
            at++;
        }
        if (*at == '\0') break;
        *at++ = '\0';
    }
    line->words[line->count] = NULL;
    if (line->count == 0) return false;
    if (spaces % INDENT != 0) die(parser->path, parser->number, "indent by %d", INDENT);
    line->depth = spaces / INDENT;
    return true;
}

static struct line *peek(struct parser *parser)
{
    while (!parser->held) {
        if (fgets(parser->line.text, sizeof parser->line.text, parser->file) == NULL) return NULL;
        parser->number++;
        if (strchr(parser->line.text, '\n') == NULL)
            die(parser->path, parser->number, "line too long, or no newline at the end");
        parser->held = split(parser, &parser->line);
    }
    return &parser->line;
}

static int parse_number(struct parser *parser, const char *text, const char **end)
{
    char *after;
    long value;

    errno = 0;
    value = strtol(text, &after, 10);
    if (after == text || errno != 0 || value < 0 || value > VERSION_MAX)
        die(parser->path, parser->number, "not a number from 0 to %d: %s", VERSION_MAX, text);
    *end = after;
    return (int)value;
}

static int parse_int(struct parser *parser, const char *text)
{
    const char *end;
    int value;

    if (text == NULL) die(parser->path, parser->number, "number missing");
    value = parse_number(parser, text, &end);
    if (*end != '\0') die(parser->path, parser->number, "not a number: %s", text);
    return value;
}

/* "3", "0-5", "2+" */
static struct range parse_range(struct parser *parser, const char *text)
{
    struct range range;
    const char *end;

    if (text == NULL) die(parser->path, parser->number, "version range missing");
    range.first = range.last = parse_number(parser, text, &end);
    if (*end == '+') {
        range.last = VERSION_MAX;
        end++;
    } else if (*end == '-') {
        range.last = parse_number(parser, end + 1, &end);
    }
    if (*end != '\0' || range.first > range.last)
        die(parser->path, parser->number, "not a version range: %s", text);
    return range;
}

static struct range clip(struct range range, struct range limits)
{
    if (range.first < limits.first) range.first = limits.first;
    if (range.last > limits.last) range.last = limits.last;
    return range;
}

static void check_word(struct parser *parser, const char *word)
{
    if (!islower((unsigned char)*word)) die(parser->path, parser->number, "name: %s", word);
    for (const char *at = word; *at != '\0'; at++)
        if (!islower((unsigned char)*at) && !isdigit((unsigned char)*at) && *at != '_')
            die(parser->path, parser->number, "name: %s", word);
}

static struct strukt *find_struct(struct message *message, const char *word)
{
    for (int i = 0; i < message->structs_count; i++)
        if (strcmp(message->structs[i]->word, word) == 0) return message->structs[i];
    return NULL;
}

static void parse_fields(struct parser *parser, struct message *message, struct strukt *parent,
                         int depth);

static void parse_type(struct parser *parser, struct field *field, const char **word)
{
    const char *text = *word;

    field->array = strncmp(text, "[]", 2) == 0;
    if (field->array) text += 2;
    field->type = TYPE_STRUCT;
    for (int i = 0; i < TYPE_STRUCT; i++)
        if (strcmp(type_info[i].word, text) == 0) field->type = (enum type)i;
    check_word(parser, text);
    if (field->type == TYPE_RECORDS && field->array)
        die(parser->path, parser->number, "no arrays of records");
    *word = text;
}

/* The text stands in C as it is: it must be a number, true or null, as the type has it. */
static void check_default(struct parser *parser, const struct field *field)
{
    const char *text = field->fallback;
    char *end;

    if (text == NULL) return;
    if (strcmp(text, "null") == 0) {
        if (field->nullable.first <= field->nullable.last) return;
    } else if (strcmp(text, "true") == 0) {
        if (field->type == TYPE_BOOL && !field->array) return;
    } else if (field->type > TYPE_BOOL && field->type <= TYPE_INT64 && !field->array) {
        errno = 0;
        (void)strtoll(text, &end, 10);
        if (errno == 0 && end != text && *end == '\0') return;
    }
    die(parser->path, parser->number, "not a default of this type: %s", text);
}

static void parse_attributes(struct parser *parser, struct message *message, struct field *field,
                             char **words)
{
    const char *path = parser->path;

    for (; *words != NULL; words++) {
        if (strcmp(*words, "null") == 0) {
            field->nullable = clip(parse_range(parser, *++words), field->versions);
        } else if (strcmp(*words, "tag") == 0) {
            field->tag = parse_int(parser, *++words);
        } else if (strcmp(*words, "=") == 0) {
            if (*++words == NULL) die(path, parser->number, "default missing");
            field->fallback = format_text("%s", *words);
        } else if (strcmp(*words, "ignorable") == 0) {
            field->ignorable = true;
        } else if (strcmp(*words, "plain") == 0) {
            field->plain = true;
        } else {
            die(path, parser->number, "unknown word: %s", *words);
        }
    }
    check_default(parser, field);
    if (field->tag >= 0 && field->versions.first < message->flexible)
        die(path, parser->number, "a tagged field in versions that are not flexible");
    if (field->tag >= 0 && field->type == TYPE_RECORDS)
        die(path, parser->number, "records cannot be tagged");
    if (field->plain && field->type != TYPE_STRING)
        die(path, parser->number, "plain is for strings");
    if (field->nullable.first <= field->nullable.last && !field->array && field->type < TYPE_STRING)
        die(path, parser->number, "this type cannot be null");
}

static void parse_field(struct parser *parser, struct message *message, struct strukt *parent,
                        int depth)
{
    struct line line = *peek(parser);
    struct field field = {.tag = -1, .nullable = {1, 0}, .line = parser->number};
    const char *type;

    if (parent->count == FIELDS_MAX) die(parser->path, parser->number, "too many fields");
    if (line.count < 3) die(parser->path, parser->number, "want: name type versions");
    /* The copy's words still point into the parser's buffer, which peek() below overwrites. */
    field.name = format_text("%s", line.words[0]);
    check_word(parser, field.name);
    type = format_text("%s", line.words[1]);
    parse_type(parser, &field, &type);
    field.versions = clip(parse_range(parser, line.words[2]), message->versions);
    if (field.versions.first > field.versions.last)
        die(parser->path, parser->number, "in no version of the message");
    parse_attributes(parser, message, &field, line.words + 3);
    for (int i = 0; i < parent->count; i++)
        if (strcmp(parent->fields[i].name, field.name) == 0)
            die(parser->path, parser->number, "second field %s", field.name);
    for (int i = 0; i < parent->count; i++)
        if (field.tag >= 0 && parent->fields[i].tag == field.tag)
            die(parser->path, parser->number, "tag %d is taken", field.tag);
    parser->held = false;
    if (field.type == TYPE_STRUCT) {
        struct line *next = peek(parser);
        bool defined = next != NULL && next->depth > depth;

        field.ref = find_struct(message, type);
        if (defined && field.ref != NULL)
            die(parser->path, field.line, "second struct %s in one message", type);
        if (!defined && field.ref == NULL)
            die(parser->path, field.line, "no type and no struct: %s", type);
        if (defined) {
            struct strukt *child = calloc(1, sizeof *child);

            if (child == NULL) die(parser->path, field.line, "out of memory");
            child->word = type;
            child->c_name = format_text("%s_%s", message->name, type);
            parse_fields(parser, message, child, depth + 1);
            if (message->structs_count == STRUCTS_MAX)
                die(parser->path, field.line, "too many structs");
            message->structs[message->structs_count++] = child;
            field.ref = child;
        }
    }
    parent->fields[parent->count++] = field;
}

static void parse_fields(struct parser *parser, struct message *message, struct strukt *parent,
                         int depth)
{
    struct line *line;

    while ((line = peek(parser)) != NULL && line->depth >= depth) {
        if (line->depth > depth) die(parser->path, parser->number, "indented too far");
        parse_field(parser, message, parent, depth);
    }
}

static void parse_message(struct parser *parser, struct schema *schema, const char *name,
                          enum kind kind, int id, struct range versions, int flexible)
{
    struct message *message = &schema->messages[schema->count++];

    *message = (struct message){.name = name,
                                .kind = kind,
                                .id = id,
                                .versions = versions,
                                .flexible = flexible,
                                .root = {.word = "", .c_name = name}};
    parse_fields(parser, message, &message->root, 1);
}

static int parse_flexible(struct parser *parser, const char *text)
{
    bool never = text != NULL && strcmp(text, "never") == 0;

    return never ? VERSION_MAX : parse_int(parser, text);
}

/* api NAME key N serve R [broker R] [controller R] flexible N|never tier N
 * record NAME id N serve R flexible N|never
 * data NAME serve R flexible N|never */
static void parse_head(struct parser *parser, struct schema *schema)
{
    struct line *line = peek(parser);
    struct api *api = &schema->api;

    if (line == NULL || line->depth != 0 || line->count < 2)
        die(parser->path, parser->number, "want: api|record|data NAME ...");
    *api = (struct api){.name = format_text("%s", line->words[1]),
                        .key = -1,
                        .served = {1, 0},
                        .broker = {1, 0},
                        .controller = {1, 0},
                        .flexible = -1,
                        .tier = -1};
    check_word(parser, api->name);
    if (strcmp(api->name, schema->stem) != 0)
        die(parser->path, parser->number, "the file is not called %s.txt", api->name);
    for (char **word = line->words + 2; *word != NULL; word++) {
        if (strcmp(*word, "key") == 0 || strcmp(*word, "id") == 0)
            api->key = parse_int(parser, *++word);
        else if (strcmp(*word, "serve") == 0)
            api->served = parse_range(parser, *++word);
        else if (strcmp(*word, "broker") == 0)
            api->broker = parse_range(parser, *++word);
        else if (strcmp(*word, "controller") == 0)
            api->controller = parse_range(parser, *++word);
        else if (strcmp(*word, "tier") == 0)
            api->tier = parse_int(parser, *++word);
        else if (strcmp(*word, "flexible") == 0)
            api->flexible = parse_flexible(parser, *++word);
        else
            die(parser->path, parser->number, "unknown word: %s", *word);
    }
    if (api->served.first > api->served.last || api->served.last == VERSION_MAX)
        die(parser->path, parser->number, "serve FIRST-LAST missing");
    if (api->flexible < 0) die(parser->path, parser->number, "flexible N|never missing");
}

static void parse_api(struct parser *parser, struct schema *schema)
{
    const struct api *api = &schema->api;
    static const char *const words[] = {"request", "response"};

    if (api->key < 0 || api->tier < 0)
        die(parser->path, parser->number, "an api has a key and a tier");
    for (int i = 0; i < 2; i++) {
        struct line *line = peek(parser);

        if (line == NULL || line->depth != 0 || line->count != 1 ||
            strcmp(line->words[0], words[i]) != 0)
            die(parser->path, parser->number, "want: %s", words[i]);
        parser->held = false;
        parse_message(parser, schema, format_text("%s_%s", api->name, words[i]),
                      i == 0 ? KIND_REQUEST : KIND_RESPONSE, api->key, api->served, api->flexible);
    }
}

void schema_read(const char *path, struct schema *schema)
{
    struct parser parser = {.path = path, .file = fopen(path, "r")};
    const char *slash = strrchr(path, '/');
    const char *stem = slash != NULL ? slash + 1 : path;
    const char *word;

    if (parser.file == NULL) die(path, 0, "cannot open");
    *schema =
        (struct schema){.path = path, .stem = format_text("%.*s", (int)strcspn(stem, "."), stem)};
    if (peek(&parser) == NULL) die(path, 0, "empty");
    word = format_text("%s", parser.line.words[0]);
    schema->is_api = strcmp(word, "api") == 0;
    parse_head(&parser, schema);
    parser.held = false;
    if (schema->is_api) {
        parse_api(&parser, schema);
    } else if (strcmp(word, "record") == 0) {
        if (schema->api.key < 0) die(path, 1, "a record has an id");
        parse_message(&parser, schema, schema->api.name, KIND_RECORD, schema->api.key,
                      schema->api.served, schema->api.flexible);
    } else if (strcmp(word, "data") == 0) {
        parse_message(&parser, schema, schema->api.name, KIND_DATA, -1, schema->api.served,
                      schema->api.flexible);
    } else {
        die(path, parser.number, "want: api, record or data");
    }
    if (peek(&parser) != NULL) die(path, parser.number, "nothing may follow");
    fclose(parser.file);
}
