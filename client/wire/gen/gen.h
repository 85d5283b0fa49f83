/* The code generator: schema text in, straight C out. A program of the build host, no part of the
 * core: it may allocate (and never frees) and write files. The language is described in
 * client/wire/README.md. */
#ifndef CLIENT_WIRE_GEN_GEN_H
#define CLIENT_WIRE_GEN_GEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { VERSION_MAX = 32767, FIELDS_MAX = 64, STRUCTS_MAX = 32 };

enum type {
    TYPE_BOOL,
    TYPE_INT8,
    TYPE_INT16,
    TYPE_UINT16,
    TYPE_INT32,
    TYPE_UINT32,
    TYPE_INT64,
    TYPE_UUID,
    TYPE_STRING,
    TYPE_BYTES,
    TYPE_RECORDS,
    TYPE_STRUCT,
};

struct type_info {
    const char *word;      /* in the schema */
    const char *c_type;    /* in C */
    const char *primitive; /* wire_read_X, wire_write_X */
    const char *constant;  /* WIRE_X */
    unsigned min_size;     /* smallest encoding, fixed part */
};
extern const struct type_info type_info[];

struct range {
    int first;
    int last; /* first > last: none */
};

struct strukt;

struct field {
    const char *name;
    enum type type;
    bool array;
    struct strukt *ref;
    struct range versions;
    struct range nullable;
    int tag;              /* -1: none */
    const char *fallback; /* the default's text, NULL for the type's own */
    bool ignorable;
    bool plain;
    int line;
};

struct strukt {
    const char *word;   /* in the schema */
    const char *c_name; /* in C, with the message's name */
    struct field fields[FIELDS_MAX];
    int count;
};

enum kind { KIND_REQUEST, KIND_RESPONSE, KIND_RECORD, KIND_DATA };

struct message {
    const char *name;
    enum kind kind;
    int id;
    struct range versions;
    int flexible; /* VERSION_MAX: never */
    struct strukt root;
    struct strukt *structs[STRUCTS_MAX]; /* children before parents, without root */
    int structs_count;
};

struct api {
    const char *name;
    int key;
    struct range served;
    struct range broker; /* advertised there; none: not on that listener */
    struct range controller;
    int flexible;
    int tier;
};

struct schema {
    const char *path;
    const char *stem;
    bool is_api;
    struct api api;
    struct message messages[2];
    int count;
};

_Noreturn void die(const char *path, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
char *format_text(const char *format, ...) __attribute__((format(printf, 1, 2)));
void schema_read(const char *path, struct schema *schema);
void emit_header(FILE *out, const struct schema *schema);
void emit_code(FILE *out, const struct schema *schema);
void emit_table_header(FILE *out, const struct schema *schemas, int count);
void emit_table_code(FILE *out, const struct schema *schemas, int count);
void emit_crc_header(FILE *out);
void emit_crc_code(FILE *out);

#endif
