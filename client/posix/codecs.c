#include "client/posix/codecs.h"

#include <lz4frame.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum { GZIP_WINDOW = 15 + 16, GZIP_MEMORY = 8 }; /* 16: gzip framing, not zlib's */

enum err codecs_create(struct codecs *codecs)
{
    struct codecs made = {0};

    made.gzip_deflate = calloc(1, sizeof *made.gzip_deflate);
    made.gzip_inflate = calloc(1, sizeof *made.gzip_inflate);
    if (made.gzip_deflate == NULL ||
        deflateInit2(made.gzip_deflate, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        goto out;
    if (made.gzip_inflate == NULL || inflateInit2(made.gzip_inflate, GZIP_WINDOW) != Z_OK) goto out;
    if (LZ4F_isError(LZ4F_createCompressionContext(&made.lz4_compress, LZ4F_VERSION)) ||
        LZ4F_isError(LZ4F_createDecompressionContext(&made.lz4_decompress, LZ4F_VERSION)))
        goto out;
    made.zstd_compress = ZSTD_createCCtx();
    made.zstd_decompress = ZSTD_createDCtx();
    if (made.zstd_compress == NULL || made.zstd_decompress == NULL) goto out;
    *codecs = made;
    return ERR_NONE;
out:
    codecs_destroy(&made);
    return ERR_NO_MEMORY;
}

void codecs_destroy(struct codecs *codecs)
{
    /* zlib's End functions tolerate a stream that was never initialised. */
    if (codecs->gzip_deflate != NULL) deflateEnd(codecs->gzip_deflate);
    if (codecs->gzip_inflate != NULL) inflateEnd(codecs->gzip_inflate);
    free(codecs->gzip_deflate);
    free(codecs->gzip_inflate);
    if (codecs->lz4_compress != NULL) LZ4F_freeCompressionContext(codecs->lz4_compress);
    if (codecs->lz4_decompress != NULL) LZ4F_freeDecompressionContext(codecs->lz4_decompress);
    ZSTD_freeCCtx(codecs->zstd_compress);
    ZSTD_freeDCtx(codecs->zstd_decompress);
    *codecs = (struct codecs){0};
}

struct cpu codecs_cpu(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    return (struct cpu){.sse42 = __builtin_cpu_supports("sse4.2") != 0};
#else
    return (struct cpu){.sse42 = false};
#endif
}
