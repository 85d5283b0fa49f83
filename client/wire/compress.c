#include "client/wire/compress.h"

#include "client/base/assert.h"
#include "client/base/byteorder.h"

#include <lz4frame.h>
#include <snappy-c.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

/* ---- gzip ---------------------------------------------------------------------------------- */

static enum err gzip_encode(z_stream *stream, int level, struct bytes input, uint8_t *output,
                            size_t max, size_t *length)
{
    if (max > UINT32_MAX) max = UINT32_MAX;
    if (deflateReset(stream) != Z_OK || deflateParams(stream, level, Z_DEFAULT_STRATEGY) != Z_OK)
        return ERR_UNSUPPORTED_COMPRESSION_TYPE; /* the level is not one of zlib's */
    stream->next_in = input.data;
    stream->avail_in = input.length;
    stream->next_out = output;
    stream->avail_out = (uInt)max;
    if (deflate(stream, Z_FINISH) != Z_STREAM_END) return ERR_TOO_LARGE;
    *length = max - stream->avail_out;
    return ERR_NONE;
}

/* One or more members, back to back (RFC 1952). */
static enum err gzip_decode(z_stream *stream, struct bytes input, uint8_t *output, size_t max,
                            size_t *length)
{
    uint8_t nowhere[1];

    if (max > UINT32_MAX) max = UINT32_MAX;
    stream->next_in = input.data;
    stream->avail_in = input.length;
    stream->next_out = max > 0 ? output : nowhere;
    stream->avail_out = (uInt)max;
    do {
        int result = inflateReset(stream) == Z_OK ? inflate(stream, Z_FINISH) : Z_STREAM_ERROR;

        if (result == Z_STREAM_END) continue;
        if ((result == Z_BUF_ERROR || result == Z_OK) && stream->avail_out == 0 &&
            stream->avail_in > 0)
            return ERR_TOO_LARGE;
        return ERR_CORRUPT_MESSAGE;
    } while (stream->avail_in > 0);
    *length = max - stream->avail_out;
    return ERR_NONE;
}

/* ---- snappy -------------------------------------------------------------------------------- */

/* Xerial: 8 bytes magic, int32 version 1, int32 lowest compatible version 1; then chunks of
 * int32 size and a raw snappy block of at most 32 KiB of input. */
static const uint8_t xerial_magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
enum { XERIAL_HEADER = 16, XERIAL_CHUNK = 32768 };

static size_t snappy_bound(size_t length)
{
    size_t chunks = length / XERIAL_CHUNK + 1;

    return XERIAL_HEADER + chunks * (4 + snappy_max_compressed_length(XERIAL_CHUNK));
}

static enum err snappy_encode(struct bytes input, uint8_t *output, size_t max, size_t *length)
{
    size_t used = XERIAL_HEADER;

    memcpy(output, xerial_magic, sizeof xerial_magic);
    be_put32(output + 8, 1);
    be_put32(output + 12, 1);
    for (uint32_t at = 0; at < input.length;) {
        uint32_t left = input.length - at;
        uint32_t take = left < XERIAL_CHUNK ? left : XERIAL_CHUNK;
        size_t made = max - used - 4;

        if (snappy_compress((const char *)input.data + at, take, (char *)output + used + 4,
                            &made) != SNAPPY_OK)
            return ERR_TOO_LARGE;
        be_put32(output + used, (uint32_t)made);
        used += 4 + made;
        at += take;
    }
    *length = used;
    return ERR_NONE;
}

static enum err snappy_decode_raw(struct bytes input, uint8_t *output, size_t max, size_t *length)
{
    size_t size = 0;

    if (snappy_uncompressed_length((const char *)input.data, input.length, &size) != SNAPPY_OK)
        return ERR_CORRUPT_MESSAGE;
    if (size > max) return ERR_TOO_LARGE;
    if (snappy_uncompress((const char *)input.data, input.length, (char *)output, &size) !=
        SNAPPY_OK)
        return ERR_CORRUPT_MESSAGE;
    *length = size;
    return ERR_NONE;
}

static enum err snappy_decode(struct bytes input, uint8_t *output, size_t max, size_t *length)
{
    struct wire_reader reader;
    size_t used = 0;

    if (input.length < XERIAL_HEADER || memcmp(input.data, xerial_magic, sizeof xerial_magic) != 0)
        return snappy_decode_raw(input, output, max, length);
    wire_reader_init(&reader, input.data + XERIAL_HEADER, input.length - XERIAL_HEADER);
    while (wire_left(&reader) > 0) {
        int32_t size = wire_read_int32(&reader);
        const uint8_t *chunk = size < 0 ? NULL : wire_take(&reader, (size_t)size);
        size_t made = 0;
        enum err err;

        if (chunk == NULL) return ERR_CORRUPT_MESSAGE;
        err = snappy_decode_raw((struct bytes){chunk, (uint32_t)size}, output + used, max - used,
                                &made);
        if (err != ERR_NONE) return err;
        used += made;
    }
    *length = used;
    return ERR_NONE;
}

/* ---- lz4 ----------------------------------------------------------------------------------- */

enum { LZ4_VERSION_MASK = 0xc0, LZ4_VERSION_01 = 0x40, LZ4_INDEPENDENT = 0x20 };
static const uint8_t lz4_magic[4] = {0x04, 0x22, 0x4d, 0x18};

/* 64 KiB independent blocks, no checksums: what Java and librdkafka write. */
static LZ4F_preferences_t lz4_preferences(int level)
{
    LZ4F_preferences_t preferences;

    memset(&preferences, 0, sizeof preferences);
    preferences.frameInfo.blockSizeID = LZ4F_max64KB;
    preferences.frameInfo.blockMode = LZ4F_blockIndependent;
    preferences.compressionLevel = level;
    preferences.autoFlush = 1; /* one update per frame: same bytes, tighter bound */
    return preferences;
}

static size_t lz4_bound(size_t length)
{
    LZ4F_preferences_t preferences = lz4_preferences(0);

    return LZ4F_HEADER_SIZE_MAX + LZ4F_compressBound(length, &preferences);
}

static enum err lz4_encode(LZ4F_cctx *context, int level, struct bytes input, uint8_t *output,
                           size_t max, size_t *length)
{
    LZ4F_preferences_t preferences = lz4_preferences(level);
    size_t used = LZ4F_compressBegin(context, output, max, &preferences);
    size_t made;

    if (LZ4F_isError(used)) return ERR_TOO_LARGE;
    made = LZ4F_compressUpdate(context, output + used, max - used, input.data, input.length, NULL);
    if (LZ4F_isError(made)) return ERR_TOO_LARGE;
    used += made;
    made = LZ4F_compressEnd(context, output + used, max - used, NULL);
    if (LZ4F_isError(made)) return ERR_TOO_LARGE;
    *length = used + made;
    return ERR_NONE;
}

static enum err lz4_decode(LZ4F_dctx *context, struct bytes input, uint8_t *output, size_t max,
                           size_t *length)
{
    size_t consumed = 0;
    size_t used = 0;
    size_t hint = 1;
    uint8_t nowhere[1];

    if (input.length < 5 || memcmp(input.data, lz4_magic, sizeof lz4_magic) != 0 ||
        (input.data[4] & LZ4_VERSION_MASK) != LZ4_VERSION_01 ||
        (input.data[4] & LZ4_INDEPENDENT) == 0)
        return ERR_CORRUPT_MESSAGE;
    LZ4F_resetDecompressionContext(context);
    while (hint != 0) {
        size_t taken = input.length - consumed;
        size_t made = max - used;

        hint = LZ4F_decompress(context, max > 0 ? output + used : nowhere, &made,
                               input.data + consumed, &taken, NULL);
        if (LZ4F_isError(hint)) return ERR_CORRUPT_MESSAGE;
        if (hint != 0 && taken == 0 && made == 0)
            return used == max && consumed < input.length ? ERR_TOO_LARGE : ERR_CORRUPT_MESSAGE;
        consumed += taken;
        used += made;
        if (hint != 0 && consumed == input.length && used == max) {
            /* All input is inside the context: is there more to come out? */
            size_t one = sizeof nowhere;

            taken = 0;
            hint = LZ4F_decompress(context, nowhere, &one, input.data + consumed, &taken, NULL);
            return !LZ4F_isError(hint) && one > 0 ? ERR_TOO_LARGE : ERR_CORRUPT_MESSAGE;
        }
    }
    if (consumed != input.length) return ERR_CORRUPT_MESSAGE;
    *length = used;
    return ERR_NONE;
}

/* ---- zstd ---------------------------------------------------------------------------------- */

static enum err zstd_encode(ZSTD_CCtx *context, int level, struct bytes input, uint8_t *output,
                            size_t max, size_t *length)
{
    size_t made = ZSTD_compressCCtx(context, output, max, input.data, input.length, level);

    if (ZSTD_isError(made)) return ERR_TOO_LARGE;
    *length = made;
    return ERR_NONE;
}

static enum err zstd_decode(ZSTD_DCtx *context, struct bytes input, uint8_t *output, size_t max,
                            size_t *length)
{
    size_t made;

    if (input.length == 0) return ERR_CORRUPT_MESSAGE;
    made = ZSTD_decompressDCtx(context, output, max, input.data, input.length);
    if (ZSTD_isError(made))
        return ZSTD_getErrorCode(made) == ZSTD_error_dstSize_tooSmall ? ERR_TOO_LARGE
                                                                      : ERR_CORRUPT_MESSAGE;
    *length = made;
    return ERR_NONE;
}

/* ---- all ----------------------------------------------------------------------------------- */

size_t compress_bound(enum codec codec, size_t length)
{
    switch (codec) {
    case CODEC_NONE: return length;
    case CODEC_GZIP: return length + length / 1000 + 64 + (length >> 12) + (length >> 14);
    case CODEC_SNAPPY: return snappy_bound(length);
    case CODEC_LZ4: return lz4_bound(length);
    case CODEC_ZSTD: return ZSTD_compressBound(length);
    }
    IMPOSSIBLE("codec");
}

enum err compress_encode(const struct codecs *codecs, enum codec codec, int32_t level,
                         struct bytes input, uint8_t *output, size_t max, size_t *length)
{
    bool standard = level == COMPRESS_LEVEL_DEFAULT;

    if (max < compress_bound(codec, input.length)) return ERR_TOO_LARGE;
    switch (codec) {
    case CODEC_NONE: return ERR_UNSUPPORTED_COMPRESSION_TYPE;
    case CODEC_GZIP:
        return gzip_encode(codecs->gzip_deflate, standard ? Z_DEFAULT_COMPRESSION : level, input,
                           output, max, length);
    case CODEC_SNAPPY: return snappy_encode(input, output, max, length);
    case CODEC_LZ4:
        return lz4_encode(codecs->lz4_compress, standard ? 0 : level, input, output, max, length);
    case CODEC_ZSTD:
        return zstd_encode(codecs->zstd_compress, standard ? 3 : level, input, output, max, length);
    }
    IMPOSSIBLE("codec");
}

enum err compress_decode(const struct codecs *codecs, enum codec codec, struct bytes input,
                         uint8_t *output, size_t max, size_t *length)
{
    switch (codec) {
    case CODEC_NONE: return ERR_UNSUPPORTED_COMPRESSION_TYPE;
    case CODEC_GZIP: return gzip_decode(codecs->gzip_inflate, input, output, max, length);
    case CODEC_SNAPPY: return snappy_decode(input, output, max, length);
    case CODEC_LZ4: return lz4_decode(codecs->lz4_decompress, input, output, max, length);
    case CODEC_ZSTD: return zstd_decode(codecs->zstd_decompress, input, output, max, length);
    }
    IMPOSSIBLE("codec");
}

enum err compress_open(const struct codecs *codecs, const struct record_batch *batch,
                       uint8_t *scratch, size_t max, struct bytes *records)
{
    enum codec codec;
    size_t length = 0;
    enum err err = record_batch_codec(batch, &codec);

    if (err != ERR_NONE) return err;
    if (codec == CODEC_NONE) {
        *records = record_batch_payload(batch);
        return ERR_NONE;
    }
    if (max > UINT32_MAX) max = UINT32_MAX;
    err = compress_decode(codecs, codec, record_batch_payload(batch), scratch, max, &length);
    if (err != ERR_NONE) return err;
    *records = (struct bytes){scratch, (uint32_t)length};
    return ERR_NONE;
}

enum err compress_validate(const struct codecs *codecs, const struct record_batch *batch,
                           uint8_t *scratch, size_t max, struct record_summary *summary)
{
    struct bytes records;
    enum err err = compress_open(codecs, batch, scratch, max, &records);

    return err != ERR_NONE ? err : record_summarize(batch, records, summary);
}
