/* Writes the C of one schema: header, codec functions, field tables. */
#include "client/wire/gen/gen.h"

#include <stdlib.h>
#include <string.h>

static bool is_none(struct range range)
{
    return range.first > range.last;
}

/* A C condition for `version` in `range`, given that it is in `all`. */
static const char *condition(struct range range, struct range all)
{
    if (is_none(range)) return "false";
    if (range.first <= all.first && range.last >= all.last) return "true";
    if (range.first <= all.first) return format_text("version <= %d", range.last);
    if (range.last >= all.last) return format_text("version >= %d", range.first);
    if (range.first == range.last) return format_text("version == %d", range.first);
    return format_text("version >= %d && version <= %d", range.first, range.last);
}

static bool always(const char *text)
{
    return strcmp(text, "true") == 0;
}

static bool has_null_flag(const struct field *field)
{
    return (field->array || field->type == TYPE_STRUCT) && !is_none(field->nullable);
}

static const char *c_type(const struct field *field)
{
    if (field->type == TYPE_STRUCT) return format_text("struct %s", field->ref->c_name);
    return type_info[field->type].c_type;
}

static bool default_is_null(const struct field *field)
{
    return field->fallback != NULL && strcmp(field->fallback, "null") == 0;
}

static const char *number(const struct field *field)
{
    if (field->fallback == NULL) return field->type == TYPE_BOOL ? "false" : "0";
    if (field->type == TYPE_INT64) return format_text("INT64_C(%s)", field->fallback);
    return field->fallback;
}

/* ---- header -------------------------------------------------------------------------------- */

static void emit_struct(FILE *out, const struct strukt *strukt)
{
    fprintf(out, "struct %s {\n", strukt->c_name);
    for (int i = 0; i < strukt->count; i++) {
        const struct field *field = &strukt->fields[i];

        fprintf(out, "    %s %s%s;", c_type(field), field->array ? "*" : "", field->name);
        fprintf(out, " /* %d-%d%s%s */\n", field->versions.first, field->versions.last,
                is_none(field->nullable) ? "" : " nullable", field->tag >= 0 ? " tagged" : "");
        if (field->array) fprintf(out, "    uint32_t %s_count;\n", field->name);
        if (has_null_flag(field)) fprintf(out, "    bool %s_null;\n", field->name);
        if (field->type == TYPE_RECORDS)
            fprintf(out,
                    "    const struct wire_slice *%s_slices; /* encode: instead, if count > 0 */\n"
                    "    uint32_t %s_slices_count;\n",
                    field->name, field->name);
    }
    if (strukt->count == 0) fprintf(out, "    uint8_t nothing; /* no fields */\n");
    fprintf(out, "};\n\n");
}

static void emit_prototypes(FILE *out, const struct message *message)
{
    const char *n = message->name;

    for (int i = 0; i < message->structs_count; i++)
        fprintf(out, "void %s_default(struct %s *value);\n", message->structs[i]->c_name,
                message->structs[i]->c_name);
    fprintf(out,
            "void %s_default(struct %s *value);\n"
            "MUST_USE enum err %s_decode(struct wire_reader *reader, int16_t version,\n"
            "    struct arena *arena, struct %s *value);\n"
            "MUST_USE enum err %s_encode(struct wire_writer *writer, int16_t version,\n"
            "    const struct %s *value);\n"
            "size_t %s_size(const struct %s *value, int16_t version);\n"
            "struct wire_size %s_measure(const struct %s *value, int16_t version);\n"
            "extern const struct wire_message %s_message;\n\n",
            n, n, n, n, n, n, n, n, n, n, n);
}

void emit_header(FILE *out, const struct schema *schema)
{
    fprintf(out, "/* Generated from %s. */\n#ifndef WIRE_GEN_%s_H\n#define WIRE_GEN_%s_H\n\n",
            schema->path, schema->stem, schema->stem);
    fprintf(out, "#include \"client/wire/wire.h\"\n\n");
    for (int m = 0; m < schema->count; m++) {
        const struct message *message = &schema->messages[m];

        for (int i = 0; i < message->structs_count; i++)
            emit_struct(out, message->structs[i]);
        emit_struct(out, &message->root);
        emit_prototypes(out, message);
    }
    fprintf(out, "#endif\n");
}

/* ---- defaults ------------------------------------------------------------------------------ */

static void emit_set_default(FILE *out, const char *indent, const struct field *field)
{
    const char *n = field->name;

    if (field->array) {
        fprintf(out, "%svalue->%s = NULL;\n%svalue->%s_count = 0;\n", indent, n, indent, n);
        if (has_null_flag(field))
            fprintf(out, "%svalue->%s_null = %s;\n", indent, n,
                    default_is_null(field) ? "true" : "false");
        return;
    }
    switch (field->type) {
    case TYPE_BOOL:
    case TYPE_INT8:
    case TYPE_INT16:
    case TYPE_UINT16:
    case TYPE_INT32:
    case TYPE_UINT32:
    case TYPE_INT64: fprintf(out, "%svalue->%s = %s;\n", indent, n, number(field)); break;
    case TYPE_UUID: fprintf(out, "%svalue->%s = (struct uuid){{0}};\n", indent, n); break;
    case TYPE_STRING:
        fprintf(out, "%svalue->%s = %s;\n", indent, n,
                default_is_null(field) ? "STR_NULL" : "STR(\"\")");
        break;
    case TYPE_BYTES:
    case TYPE_RECORDS:
        fprintf(out, "%svalue->%s = %s;\n", indent, n,
                default_is_null(field) ? "BYTES_NULL" : "EMPTY_BYTES");
        if (field->type == TYPE_RECORDS)
            fprintf(out, "%svalue->%s_slices = NULL;\n%svalue->%s_slices_count = 0;\n", indent, n,
                    indent, n);
        break;
    case TYPE_STRUCT:
        fprintf(out, "%s%s_default(&value->%s);\n", indent, field->ref->c_name, n);
        if (has_null_flag(field))
            fprintf(out, "%svalue->%s_null = %s;\n", indent, n,
                    default_is_null(field) ? "true" : "false");
        break;
    }
}

static const char *is_default_expression(const struct field *field)
{
    const char *n = field->name;
    bool nullable = !is_none(field->nullable);

    if (has_null_flag(field) && default_is_null(field)) return format_text("value->%s_null", n);
    if (field->array && nullable)
        return format_text("value->%s_count == 0 && !value->%s_null", n, n);
    if (field->array) return format_text("value->%s_count == 0", n);
    switch (field->type) {
    case TYPE_BOOL:
        return format_text("%svalue->%s", strcmp(number(field), "true") == 0 ? "" : "!", n);
    case TYPE_INT8:
    case TYPE_INT16:
    case TYPE_UINT16:
    case TYPE_INT32:
    case TYPE_UINT32:
    case TYPE_INT64: return format_text("value->%s == %s", n, number(field));
    case TYPE_UUID: return format_text("uuid_is_zero(value->%s)", n);
    case TYPE_STRING:
    case TYPE_BYTES:
        if (default_is_null(field)) return format_text("value->%s.data == NULL", n);
        if (nullable) return format_text("value->%s.data != NULL && value->%s.length == 0", n, n);
        return format_text("value->%s.length == 0", n);
    case TYPE_RECORDS:
        return format_text("value->%s.length == 0 && value->%s_slices_count == 0", n, n);
    case TYPE_STRUCT: break;
    }
    return format_text("%sis_default_%s(&value->%s)",
                       nullable ? format_text("!value->%s_null && ", n) : "", field->ref->c_name,
                       n);
}

static void emit_defaults(FILE *out, const struct strukt *strukt)
{
    const char *n = strukt->c_name;

    fprintf(out, "void %s_default(struct %s *value)\n{\n    memset(value, 0, sizeof *value);\n", n,
            n);
    for (int i = 0; i < strukt->count; i++)
        emit_set_default(out, "    ", &strukt->fields[i]);
    fprintf(out, "}\n\nstatic void any_default_%s(void *value)\n{\n    %s_default(value);\n}\n\n",
            n, n);
    fprintf(out, "MAYBE_UNUSED static bool is_default_%s(const struct %s *value)\n{\n", n, n);
    if (strukt->count == 0) fprintf(out, "    (void)value;\n");
    for (int i = 0; i < strukt->count; i++)
        fprintf(out, "    if (!(%s)) return false;\n", is_default_expression(&strukt->fields[i]));
    fprintf(out, "    return true;\n}\n\n");
}

/* ---- reading ------------------------------------------------------------------------------- */

/* Bytes that the smallest encoding of a plain field takes; `+ x` for what depends on flexible. */
static void emit_min_size(FILE *out, const struct message *message, const struct strukt *strukt)
{
    fprintf(out,
            "MAYBE_UNUSED static size_t min_size_%s(int16_t version, bool flexible)\n{\n"
            "    size_t size = flexible ? 1 : 0;\n\n    (void)version;\n",
            strukt->c_name);
    for (int i = 0; i < strukt->count; i++) {
        const struct field *field = &strukt->fields[i];
        const char *when = condition(field->versions, message->versions);
        const char *size = format_text("%u", type_info[field->type].min_size);

        if (field->tag >= 0) continue;
        if (field->array || field->type == TYPE_BYTES || field->type == TYPE_RECORDS)
            size = "flexible ? 1 : 4";
        else if (field->type == TYPE_STRING && !field->plain)
            size = "flexible ? 1 : 2";
        else if (field->type == TYPE_STRUCT && has_null_flag(field))
            size = "1";
        else if (field->type == TYPE_STRUCT)
            size = format_text("min_size_%s(version, flexible)", field->ref->c_name);
        fprintf(out, "    ");
        if (!always(when)) fprintf(out, "if (%s) ", when);
        fprintf(out, "size += %s;\n", size);
    }
    fprintf(out, "    return size > 0 ? size : 1;\n}\n\n");
}

static void emit_read_array(FILE *out, const char *in, const struct message *message,
                            const struct field *field)
{
    const char *n = field->name;
    const char *min = format_text("%u", type_info[field->type].min_size);

    if (field->type == TYPE_STRUCT)
        min = format_text("min_size_%s(version, reader->flexible)", field->ref->c_name);
    else if (field->type == TYPE_STRING)
        min = "reader->flexible ? 1 : 2";
    else if (field->type == TYPE_BYTES)
        min = "reader->flexible ? 1 : 4";
    fprintf(out, "%sarray = wire_read_array(reader, arena, %s,\n", in, min);
    fprintf(out, "%s    sizeof *value->%s, %s);\n", in, n,
            condition(field->nullable, message->versions));
    fprintf(out, "%svalue->%s = array.elements;\n%svalue->%s_count = array.count;\n", in, n, in, n);
    if (has_null_flag(field)) fprintf(out, "%svalue->%s_null = array.null;\n", in, n);
    fprintf(out, "%sfor (uint32_t i = 0; i < array.count && reader->error == ERR_NONE; i++)\n", in);
    if (field->type == TYPE_STRUCT)
        fprintf(out, "%s    read_%s(reader, version, arena, &value->%s[i]);\n", in,
                field->ref->c_name, n);
    else if (field->type == TYPE_STRING || field->type == TYPE_BYTES)
        fprintf(out, "%s    value->%s[i] = wire_read_%s(reader, false);\n", in, n,
                type_info[field->type].primitive);
    else
        fprintf(out, "%s    value->%s[i] = wire_read_%s(reader);\n", in, n,
                type_info[field->type].primitive);
}

static void emit_read_field(FILE *out, const char *in, const struct message *message,
                            const struct field *field)
{
    const char *n = field->name;
    const char *nullable = condition(field->nullable, message->versions);

    if (field->array) {
        emit_read_array(out, in, message, field);
    } else if (field->type == TYPE_STRUCT && has_null_flag(field)) {
        fprintf(out, "%svalue->%s_null = (%s) && !wire_read_present%s(reader);\n", in, n, nullable,
                field->tag >= 0 ? "_tagged" : "");
        fprintf(out, "%sif (value->%s_null)\n%s    %s_default(&value->%s);\n%selse\n", in, n, in,
                field->ref->c_name, n, in);
        fprintf(out, "%s    read_%s(reader, version, arena, &value->%s);\n", in, field->ref->c_name,
                n);
    } else if (field->type == TYPE_STRUCT) {
        fprintf(out, "%sread_%s(reader, version, arena, &value->%s);\n", in, field->ref->c_name, n);
    } else if (field->type == TYPE_RECORDS) {
        fprintf(out, "%svalue->%s = wire_read_bytes(reader, %s);\n", in, n, nullable);
        fprintf(out, "%svalue->%s_slices = NULL;\n%svalue->%s_slices_count = 0;\n", in, n, in, n);
    } else if (field->type == TYPE_STRING || field->type == TYPE_BYTES) {
        fprintf(out, "%svalue->%s = wire_read_%s%s(reader, %s);\n", in, n,
                field->plain ? "plain_" : "", type_info[field->type].primitive, nullable);
    } else {
        fprintf(out, "%svalue->%s = wire_read_%s(reader);\n", in, n,
                type_info[field->type].primitive);
    }
}

static bool has_tags(const struct strukt *strukt)
{
    for (int i = 0; i < strukt->count; i++)
        if (strukt->fields[i].tag >= 0) return true;
    return false;
}

static void emit_read_tags(FILE *out, const struct message *message, const struct strukt *strukt)
{
    for (int i = 0; i < strukt->count; i++)
        if (strukt->fields[i].tag >= 0) emit_set_default(out, "    ", &strukt->fields[i]);
    if (message->flexible > message->versions.last) return;
    if (!has_tags(strukt)) {
        fprintf(out, "    if (reader->flexible) wire_tags_skip_all(reader);\n");
        return;
    }
    fprintf(out, "    if (!reader->flexible) return;\n    wire_tags_begin(reader, &tags);\n"
                 "    while (wire_tags_next(reader, &tags)) {\n        switch (tags.tag) {\n");
    for (int i = 0; i < strukt->count; i++) {
        const struct field *field = &strukt->fields[i];
        const char *when = condition(field->versions, message->versions);

        if (field->tag < 0) continue;
        fprintf(out, "        case %d:\n", field->tag);
        if (!always(when))
            fprintf(out,
                    "            if (!(%s)) {\n                wire_tags_skip(reader);\n"
                    "                break;\n            }\n",
                    when);
        emit_read_field(out, "            ", message, field);
        fprintf(out, "            break;\n");
    }
    fprintf(out, "        default: wire_tags_skip(reader); break;\n        }\n    }\n");
}

static void emit_read(FILE *out, const struct message *message, const struct strukt *strukt)
{
    bool arrays = false;

    for (int i = 0; i < strukt->count; i++)
        arrays |= strukt->fields[i].array;
    fprintf(out,
            "static void read_%s(struct wire_reader *reader, int16_t version,\n"
            "    struct arena *arena, struct %s *value)\n{\n",
            strukt->c_name, strukt->c_name);
    if (arrays) fprintf(out, "    struct wire_array array;\n");
    if (has_tags(strukt)) fprintf(out, "    struct wire_tags tags;\n");
    fprintf(out, "\n    (void)version;\n    (void)arena;\n");
    if (strukt->count == 0) fprintf(out, "    value->nothing = 0;\n");
    for (int i = 0; i < strukt->count; i++) {
        const struct field *field = &strukt->fields[i];
        const char *when = condition(field->versions, message->versions);

        if (field->tag >= 0) continue;
        if (always(when)) {
            emit_read_field(out, "    ", message, field);
            continue;
        }
        fprintf(out, "    if (%s) {\n", when);
        emit_read_field(out, "        ", message, field);
        fprintf(out, "    } else {\n");
        emit_set_default(out, "        ", field);
        fprintf(out, "    }\n");
    }
    emit_read_tags(out, message, strukt);
    fprintf(out, "}\n\n");
}

/* ---- writing ------------------------------------------------------------------------------- */

static void emit_write_field(FILE *out, const char *in, const struct message *message,
                             const struct field *field)
{
    const char *n = field->name;
    const char *nullable = condition(field->nullable, message->versions);
    const char *primitive = type_info[field->type].primitive;

    if (field->array) {
        fprintf(out, "%swire_write_count(writer, value->%s_count, %s, %s);\n", in, n,
                has_null_flag(field) ? format_text("value->%s_null", n) : "false", nullable);
        fprintf(out, "%sfor (uint32_t i = 0; i < value->%s_count; i++)\n", in, n);
        if (field->type == TYPE_STRUCT)
            fprintf(out, "%s    write_%s(writer, version, &value->%s[i]);\n", in,
                    field->ref->c_name, n);
        else
            fprintf(out, "%s    wire_write_%s(writer, value->%s[i]%s);\n", in, primitive, n,
                    field->type == TYPE_STRING || field->type == TYPE_BYTES ? ", false" : "");
    } else if (field->type == TYPE_STRUCT && has_null_flag(field)) {
        fprintf(out, "%sif (value->%s_null && !(%s)) wire_writer_fail(writer, ERR_BAD_STATE);\n",
                in, n, nullable);
        if (field->tag >= 0)
            fprintf(out, "%sif (%s) wire_write_uvarint(writer, value->%s_null ? 0 : 1);\n", in,
                    nullable, n);
        else
            fprintf(out, "%sif (%s) wire_write_int8(writer, value->%s_null ? -1 : 1);\n", in,
                    nullable, n);
        fprintf(out, "%sif (!value->%s_null) write_%s(writer, version, &value->%s);\n", in, n,
                field->ref->c_name, n);
    } else if (field->type == TYPE_STRUCT) {
        fprintf(out, "%swrite_%s(writer, version, &value->%s);\n", in, field->ref->c_name, n);
    } else if (field->type == TYPE_RECORDS) {
        fprintf(out, "%swire_write_records(writer, value->%s, value->%s_slices,\n", in, n, n);
        fprintf(out, "%s    value->%s_slices_count, %s);\n", in, n, nullable);
    } else if (field->type == TYPE_STRING || field->type == TYPE_BYTES) {
        fprintf(out, "%swire_write_%s%s(writer, value->%s, %s);\n", in,
                field->plain ? "plain_" : "", primitive, n, nullable);
    } else {
        fprintf(out, "%swire_write_%s(writer, value->%s);\n", in, primitive, n);
    }
}

static void emit_absent(FILE *out, const struct message *message, const struct field *field)
{
    const char *when = condition(field->versions, message->versions);

    if (always(when) || field->ignorable) return;
    fprintf(out,
            "    if (!(%s) && !(%s))\n        wire_writer_fail(writer, ERR_UNSUPPORTED_VERSION);\n",
            when, is_default_expression(field));
}

/* The tagged field with the lowest tag above `above`; NULL at the end. */
static const struct field *next_tag(const struct strukt *strukt, int above)
{
    const struct field *best = NULL;

    for (int i = 0; i < strukt->count; i++) {
        const struct field *field = &strukt->fields[i];

        if (field->tag > above && (best == NULL || field->tag < best->tag)) best = field;
    }
    return best;
}

static void emit_write_tags(FILE *out, const struct message *message, const struct strukt *strukt)
{
    const struct field *field;

    if (message->flexible > message->versions.last) return;
    if (!has_tags(strukt)) {
        fprintf(out, "    if (writer->flexible) wire_write_uvarint(writer, 0);\n");
        return;
    }
    fprintf(out, "    if (!writer->flexible) return;\n");
    for (field = next_tag(strukt, -1); field != NULL; field = next_tag(strukt, field->tag))
        fprintf(out, "    if ((%s) && !(%s)) tags++;\n",
                condition(field->versions, message->versions), is_default_expression(field));
    fprintf(out, "    wire_write_uvarint(writer, tags);\n");
    for (field = next_tag(strukt, -1); field != NULL; field = next_tag(strukt, field->tag)) {
        const char *name = format_text("%s_tag_%d", strukt->c_name, field->tag);

        fprintf(out, "    if ((%s) && !(%s)) {\n", condition(field->versions, message->versions),
                is_default_expression(field));
        fprintf(out,
                "        struct wire_writer shadow = wire_writer_shadow(writer);\n\n"
                "        write_%s(&shadow, version, value);\n"
                "        wire_write_tag(writer, %d, shadow.used);\n"
                "        write_%s(writer, version, value);\n    }\n",
                name, field->tag, name);
    }
}

static void emit_write(FILE *out, const struct message *message, const struct strukt *strukt)
{
    for (int i = 0; i < strukt->count; i++) {
        const struct field *field = &strukt->fields[i];

        if (field->tag < 0) continue;
        fprintf(out,
                "static void write_%s_tag_%d(struct wire_writer *writer, int16_t version,\n"
                "    const struct %s *value)\n{\n    (void)version;\n",
                strukt->c_name, field->tag, strukt->c_name);
        emit_write_field(out, "    ", message, field);
        fprintf(out, "}\n\n");
    }
    fprintf(out,
            "static void write_%s(struct wire_writer *writer, int16_t version,\n"
            "    const struct %s *value)\n{\n",
            strukt->c_name, strukt->c_name);
    if (has_tags(strukt)) fprintf(out, "    uint32_t tags = 0;\n\n");
    fprintf(out, "    (void)version;\n    (void)value;\n");
    if (message->flexible > message->versions.last) fprintf(out, "    (void)writer;\n");
    for (int i = 0; i < strukt->count; i++) {
        const struct field *field = &strukt->fields[i];
        const char *when = condition(field->versions, message->versions);

        emit_absent(out, message, field);
        if (field->tag >= 0) continue;
        if (always(when)) {
            emit_write_field(out, "    ", message, field);
            continue;
        }
        fprintf(out, "    if (%s) {\n", when);
        emit_write_field(out, "        ", message, field);
        fprintf(out, "    }\n");
    }
    emit_write_tags(out, message, strukt);
    fprintf(out, "}\n\n");
}

/* ---- the message --------------------------------------------------------------------------- */

static const char *flexible_condition(const struct message *message)
{
    struct range range = {message->flexible, message->versions.last};

    return condition(range, message->versions);
}

static const char *in_versions(const struct message *message)
{
    if (message->versions.first == message->versions.last)
        return format_text("version == %d", message->versions.first);
    return format_text("version >= %d && version <= %d", message->versions.first,
                       message->versions.last);
}

static void emit_entry_points(FILE *out, const struct message *message)
{
    const char *n = message->name;
    const char *flexible = flexible_condition(message);

    fprintf(out,
            "enum err %s_decode(struct wire_reader *reader, int16_t version,\n"
            "    struct arena *arena, struct %s *value)\n{\n    struct %s decoded;\n\n"
            "    if (!(%s)) return ERR_UNSUPPORTED_VERSION;\n    reader->flexible = %s;\n"
            "    read_%s(reader, version, arena, &decoded);\n"
            "    if (reader->error != ERR_NONE) return reader->error;\n    *value = decoded;\n"
            "    return ERR_NONE;\n}\n\n",
            n, n, n, in_versions(message), flexible, n);
    fprintf(out,
            "enum err %s_encode(struct wire_writer *writer, int16_t version,\n"
            "    const struct %s *value)\n{\n"
            "    if (!(%s)) wire_writer_fail(writer, ERR_UNSUPPORTED_VERSION);\n"
            "    writer->flexible = %s;\n    write_%s(writer, version, value);\n"
            "    return writer->error;\n}\n\n",
            n, n, in_versions(message), flexible, n);
    fprintf(out,
            "struct wire_size %s_measure(const struct %s *value, int16_t version)\n{\n"
            "    struct wire_writer writer;\n\n    wire_writer_measure(&writer);\n"
            "    writer.flexible = %s;\n    write_%s(&writer, version, value);\n"
            "    return wire_writer_size(&writer);\n}\n\n"
            "size_t %s_size(const struct %s *value, int16_t version)\n{\n"
            "    return %s_measure(value, version).bytes;\n}\n\n",
            n, n, flexible, n, n, n, n);
    fprintf(out,
            "static enum err any_decode_%s(struct wire_reader *reader, int16_t version,\n"
            "    struct arena *arena, void *value)\n{\n"
            "    return %s_decode(reader, version, arena, value);\n}\n\n"
            "static enum err any_encode_%s(struct wire_writer *writer, int16_t version,\n"
            "    const void *value)\n{\n    return %s_encode(writer, version, value);\n}\n\n"
            "static struct wire_size any_measure_%s(const void *value, int16_t version)\n{\n"
            "    return %s_measure(value, version);\n}\n\n",
            n, n, n, n, n, n);
}

static void emit_field_row(FILE *out, const struct strukt *strukt, const struct field *field)
{
    bool has_number = field->type <= TYPE_INT64 && !field->array;

    fprintf(out, "    {.name = \"%s\", .type = %s, .array = %s, .ignorable = %s, .plain = %s,\n",
            field->name, type_info[field->type].constant, field->array ? "true" : "false",
            field->ignorable ? "true" : "false", field->plain ? "true" : "false");
    fprintf(out,
            "     .default_null = %s, .tag = %d, .versions = {%d, %d}, .nullable = {%d, %d},\n",
            default_is_null(field) ? "true" : "false", field->tag, field->versions.first,
            field->versions.last, field->nullable.first, field->nullable.last);
    fprintf(out, "     .default_number = %s, .offset = offsetof(struct %s, %s),\n",
            has_number ? number(field) : "0", strukt->c_name, field->name);
    if (field->array)
        fprintf(out, "     .count_offset = offsetof(struct %s, %s_count),\n", strukt->c_name,
                field->name);
    else
        fprintf(out, "     .count_offset = WIRE_NO_OFFSET,\n");
    if (has_null_flag(field))
        fprintf(out, "     .null_offset = offsetof(struct %s, %s_null),\n", strukt->c_name,
                field->name);
    else
        fprintf(out, "     .null_offset = WIRE_NO_OFFSET,\n");
    if (field->type == TYPE_STRUCT)
        fprintf(out, "     .element = &struct_%s},\n", field->ref->c_name);
    else
        fprintf(out, "     .element = NULL},\n");
}

static void emit_fields(FILE *out, const struct strukt *strukt)
{
    if (strukt->count > 0) {
        fprintf(out, "static const struct wire_field fields_%s[] = {\n", strukt->c_name);
        for (int i = 0; i < strukt->count; i++)
            emit_field_row(out, strukt, &strukt->fields[i]);
        fprintf(out, "};\n\n");
    }
    fprintf(out,
            "static const struct wire_struct struct_%s = {\"%s\", sizeof(struct %s), %s%s, %d,\n"
            "    any_default_%s};\n\n",
            strukt->c_name, strukt->c_name, strukt->c_name, strukt->count > 0 ? "fields_" : "",
            strukt->count > 0 ? strukt->c_name : "NULL", strukt->count, strukt->c_name);
}

static void emit_message(FILE *out, const struct message *message)
{
    static const char *const kinds[] = {"WIRE_REQUEST", "WIRE_RESPONSE", "WIRE_RECORD",
                                        "WIRE_DATA"};
    const char *n = message->name;

    for (int i = 0; i <= message->structs_count; i++) {
        const struct strukt *strukt =
            i < message->structs_count ? message->structs[i] : &message->root;

        emit_defaults(out, strukt);
        emit_min_size(out, message, strukt);
        emit_read(out, message, strukt);
        emit_write(out, message, strukt);
        emit_fields(out, strukt);
    }
    emit_entry_points(out, message);
    fprintf(out,
            "const struct wire_message %s_message = {\n    .name = \"%s\", .kind = %s, .id = %d,\n"
            "    .versions = {%d, %d}, .flexible_from = %d, .body = &struct_%s,\n"
            "    .decode = any_decode_%s, .encode = any_encode_%s, .measure = any_measure_%s};\n\n",
            n, n, kinds[message->kind], message->id, message->versions.first,
            message->versions.last, message->flexible, n, n, n, n);
}

void emit_code(FILE *out, const struct schema *schema)
{
    fprintf(out,
            "/* Generated from %s. */\n#include \"wire/%s.h\"\n\n#include <string.h>\n\n"
            "#define MAYBE_UNUSED __attribute__((unused))\n"
            "#define EMPTY_BYTES  ((struct bytes){(const uint8_t *)\"\", 0})\n\n",
            schema->path, schema->stem);
    for (int m = 0; m < schema->count; m++)
        emit_message(out, &schema->messages[m]);
}

/* ---- the table of all ---------------------------------------------------------------------- */

static const char *upper(const char *text)
{
    char *copy = format_text("%s", text);

    for (char *at = copy; *at != '\0'; at++)
        if (*at >= 'a' && *at <= 'z') *at = (char)(*at - 'a' + 'A');
    return copy;
}

static void emit_range(FILE *out, const char *name, struct range range)
{
    fprintf(out, ".%s = {%d, %d}, ", name, range.first, range.last);
}

void emit_table_header(FILE *out, const struct schema *schemas, int count)
{
    fprintf(out, "/* Generated from the head lines of client/wire/schema. */\n"
                 "#ifndef WIRE_GEN_API_TABLE_H\n#define WIRE_GEN_API_TABLE_H\n\n"
                 "#include \"client/wire/wire.h\"\n\nenum api_key {\n");
    for (int i = 0; i < count; i++)
        if (schemas[i].is_api)
            fprintf(out, "    API_%s = %d,\n", upper(schemas[i].stem), schemas[i].api.key);
    fprintf(out, "};\n\nenum metadata_record_id {\n");
    for (int i = 0; i < count; i++)
        if (schemas[i].messages[0].kind == KIND_RECORD)
            fprintf(out, "    METADATA_%s = %d,\n", upper(schemas[i].stem), schemas[i].api.key);
    fprintf(out, "};\n\n"
                 "struct api_entry {\n    const char *name;\n    int16_t key;\n"
                 "    int16_t flexible_from;\n    int16_t tier;\n"
                 "    struct wire_range served;     /* what the codec knows */\n"
                 "    struct wire_range broker;     /* advertised there; none: not there */\n"
                 "    struct wire_range controller; /* the same */\n"
                 "    const struct wire_message *request;\n"
                 "    const struct wire_message *response;\n};\n\n");
    fprintf(out, "/* Ascending by key. */\nextern const struct api_entry api_table[];\n"
                 "extern const uint32_t api_table_count;\n\n"
                 "/* Every message there is: requests, responses, records, headers. */\n"
                 "extern const struct wire_message *const api_table_messages[];\n"
                 "extern const uint32_t api_table_messages_count;\n\n#endif\n");
}

void emit_table_code(FILE *out, const struct schema *schemas, int count)
{
    fprintf(out, "/* Generated from the head lines of client/wire/schema. */\n"
                 "#include \"wire/api_table.h\"\n\n");
    for (int i = 0; i < count; i++)
        fprintf(out, "#include \"wire/%s.h\"\n", schemas[i].stem);
    fprintf(out, "\nconst struct api_entry api_table[] = {\n");
    for (int key = 0; key <= 1000; key++) {
        for (int i = 0; i < count; i++) {
            const struct api *api = &schemas[i].api;

            if (!schemas[i].is_api || api->key != key) continue;
            fprintf(out, "    {.name = \"%s\", .key = %d, .flexible_from = %d, .tier = %d,\n     ",
                    api->name, api->key, api->flexible, api->tier);
            emit_range(out, "served", api->served);
            emit_range(out, "broker", api->broker);
            emit_range(out, "controller", api->controller);
            fprintf(out,
                    "\n     .request = &%s_request_message, .response = &%s_response_message},\n",
                    api->name, api->name);
        }
    }
    fprintf(out,
            "};\n\nconst uint32_t api_table_count = sizeof api_table / sizeof api_table[0];\n\n"
            "const struct wire_message *const api_table_messages[] = {\n");
    for (int i = 0; i < count; i++)
        for (int m = 0; m < schemas[i].count; m++)
            fprintf(out, "    &%s_message,\n", schemas[i].messages[m].name);
    fprintf(out, "};\n\nconst uint32_t api_table_messages_count =\n"
                 "    sizeof api_table_messages / sizeof api_table_messages[0];\n");
}
