/* The codecs of record batches (protocol.md 10): gzip, snappy, lz4, zstd. Whole buffer in, whole
 * buffer out, with a maximum; nothing of ours is allocated. The libraries' contexts are made
 * outside the core (client/posix/codecs.h) and handed in; a context keeps no state between calls,
 * so one set per thread is enough.
 *
 * DIFFERS: lz4 with linked blocks is refused, because Java's reader refuses it: what we take in,
 * every consumer must be able to read. */
#ifndef CLIENT_WIRE_COMPRESS_H
#define CLIENT_WIRE_COMPRESS_H

#include "client/wire/record.h"

struct z_stream_s;
struct LZ4F_cctx_s;
struct LZ4F_dctx_s;
struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

struct codecs {
    struct z_stream_s *gzip_deflate;
    struct z_stream_s *gzip_inflate;
    struct LZ4F_cctx_s *lz4_compress;
    struct LZ4F_dctx_s *lz4_decompress;
    struct ZSTD_CCtx_s *zstd_compress;
    struct ZSTD_DCtx_s *zstd_decompress;
};

/* The codec's own: gzip -1, lz4 0 (fast), zstd 3; snappy has no levels. */
enum { COMPRESS_LEVEL_DEFAULT = INT32_MIN };

/* Room that compress_encode wants for `length` bytes; CODEC_NONE: `length`. */
size_t compress_bound(enum codec codec, size_t length);
/* ERR_TOO_LARGE when max is below compress_bound(). Snappy is written in xerial framing. */
MUST_USE enum err compress_encode(const struct codecs *codecs, enum codec codec, int32_t level,
                                  struct bytes input, uint8_t *output, size_t max, size_t *length);
/* ERR_CORRUPT_MESSAGE: not a stream of that codec, cut short, or bytes left over. ERR_TOO_LARGE:
 * more than `max`. ERR_UNSUPPORTED_COMPRESSION_TYPE: CODEC_NONE. */
MUST_USE enum err compress_decode(const struct codecs *codecs, enum codec codec, struct bytes input,
                                  uint8_t *output, size_t max, size_t *length);

/* The records of a batch, ready for record_iter: in place when there is no codec, else inflated
 * into `scratch`. `max` bounds what a small batch may grow to: nothing on the wire does. */
MUST_USE enum err compress_open(const struct codecs *codecs, const struct record_batch *batch,
                                uint8_t *scratch, size_t max, struct bytes *records);
/* compress_open, then a walk over all records: what a leader does once with a client's batch.
 * `scratch` is used only for compressed ones. */
MUST_USE enum err compress_validate(const struct codecs *codecs, const struct record_batch *batch,
                                    uint8_t *scratch, size_t max, struct record_summary *summary);

#endif
