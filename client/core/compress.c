/* SPDX-License-Identifier: Apache-2.0
 *
 * The codecs of Kafka batches over zlib, snappy, lz4 and zstd; the only file that includes them. Any thread; a call
 * owns its context, and the libraries take that from the C heap, not from el_malloc.
 *
 * Decompressing:
 *   1. what other Kafka clients could not read is refused first: stored bytes are served as they are;
 *   2. the library writes straight into the caller's room, which is contiguous, so none keeps a window of its own;
 *   3. input must be used up exactly.
 * A wrong length inside the data makes a call fail, never write past the room: EVLOG_ERR_LIMIT when more room could
 * help, EVLOG_ERR_CORRUPT when not.
 *
 * Specifications: gzip RFC 1952; snappy format_description.txt and xerial's SnappyOutputStream; lz4_Frame_format.md;
 * zstd RFC 8878. KafkaLZ4BlockInputStream (Java) refuses linked blocks and dictionaries, hence so does this file.
 */
#include <core/compress.h>

#include <core/alloc.h>
#include <evlog/error.h>

#include <stdbool.h>

#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define GZIP_WINDOW_BITS (15 + 16)  /* 32 KiB window; + 16 selects the gzip wrapper (zlib.h) */
#define GZIP_LEN_MIN 18u            /* header 10, trailer 8 */
#define GZIP_MEMORY_LEVEL 8         /* zlib's default */
#define GZIP_RATIO_MAX 1032u        /* deflate never does better (zlib.net, technical details) */
#define LZ4_FRAME_MAGIC 0x184D2204u /* little-endian, like its flags */
#define LZ4_FRAME_LEN_MIN 7u        /* magic, FLG, BD, header checksum */
#define LZ4_FLG_INDEPENDENT 0x20u
#define LZ4_FLG_CONTENT_SIZE 0x08u
#define LZ4_FLG_DICTIONARY 0x01u
#define XERIAL_HEADER_LEN 16u /* magic 8, version int32, lowest compatible version int32 */
#define XERIAL_VERSION 1u
#define XERIAL_BLOCK_LEN 32768u /* the Java client's snappy block */
#define ZSTD_FRAME_MAGIC 0xFD2FB528u
#define ZSTD_WINDOW_MAX (8u << 20) /* what RFC 8878 asks every decoder to support */
#define ZSTD_LEVEL 3               /* zstd's default, and that of the Kafka clients */

static const uint8_t xerial_magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
static const char *const codec_names[] = {"none", "gzip", "snappy", "lz4", "zstd"};

static int gzip_decompress(struct el_slice in, uint8_t *out, size_t out_max, size_t *out_len);
static int snappy_decompress(struct el_slice in, uint8_t *out, size_t out_max, size_t *out_len);
static int lz4_decompress(struct el_slice in, uint8_t *out, size_t out_max, size_t *out_len);
static int zstd_decompress(struct el_slice in, uint8_t *out, size_t out_max, size_t *out_len);
static int gzip_compress(struct el_slice in, uint8_t *out, size_t out_max, size_t *out_len);
static int xerial_compress(struct el_slice in, uint8_t *out, size_t out_max, size_t *out_len);
static int lz4_compress(struct el_slice in, uint8_t *out, size_t out_max, size_t *out_len);
static int zstd_compress(struct el_slice in, uint8_t *out, size_t out_max, size_t *out_len);

static int copy_plain(struct el_slice in, uint8_t *out, size_t out_max, size_t *out_len)
{
    if (in.len > out_max) {
        return EVLOG_ERR_LIMIT;
    }
    memcpy(out, in.data, in.len);
    *out_len = in.len;
    return 0;
}

int el_decompress(enum el_codec codec, const void *in, size_t in_len, void *out, size_t out_max, size_t *out_len)
{
    uint8_t none = 0; /* the libraries want pointers even where there is nothing */
    struct el_slice source = el_slice_of(in == NULL ? &none : in, in == NULL ? 0 : in_len);
    uint8_t *room = out == NULL ? &none : out;
    size_t room_len = out == NULL ? 0 : out_max;

    switch (codec) {
    case EL_CODEC_NONE:
        return copy_plain(source, room, room_len, out_len);
    case EL_CODEC_GZIP:
        return gzip_decompress(source, room, room_len, out_len);
    case EL_CODEC_SNAPPY:
        return snappy_decompress(source, room, room_len, out_len);
    case EL_CODEC_LZ4:
        return lz4_decompress(source, room, room_len, out_len);
    case EL_CODEC_ZSTD:
        return zstd_decompress(source, room, room_len, out_len);
    }
    return EVLOG_ERR_COMPRESSION;
}

/* out_max is at least el_compress_bound(): snappy and lz4 refuse less, and zstd may fail in room that would do. */
static int compress_roomy(enum el_codec codec, struct el_slice in, uint8_t *out, size_t out_max, size_t *out_len)
{
    switch (codec) {
    case EL_CODEC_NONE:
        return copy_plain(in, out, out_max, out_len);
    case EL_CODEC_GZIP:
        return gzip_compress(in, out, out_max, out_len);
    case EL_CODEC_SNAPPY:
        return xerial_compress(in, out, out_max, out_len);
    case EL_CODEC_LZ4:
        return lz4_compress(in, out, out_max, out_len);
    case EL_CODEC_ZSTD:
        return zstd_compress(in, out, out_max, out_len);
    }
    return EVLOG_ERR_COMPRESSION;
}

int el_compress(enum el_codec codec, const void *in, size_t in_len, void *out, size_t out_max, size_t *out_len)
{
    uint8_t none = 0;
    struct el_slice source = el_slice_of(in == NULL ? &none : in, in == NULL ? 0 : in_len);
    uint8_t *room = out == NULL ? &none : out;
    size_t room_len = out == NULL ? 0 : out_max;
    size_t bound = el_compress_bound(codec, source.len);
    if (room_len >= bound) {
        return compress_roomy(codec, source, room, room_len, out_len);
    }
    uint8_t *buf = el_malloc(bound);
    if (buf == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    size_t len = 0;
    int err = compress_roomy(codec, source, buf, bound, &len);
    if (err == 0 && len > room_len) {
        err = EVLOG_ERR_LIMIT;
    }
    if (err == 0) {
        memcpy(room, buf, len);
        *out_len = len;
    }
    el_free(buf);
    return err;
}

static LZ4F_preferences_t lz4_preferences(void)
{
    LZ4F_preferences_t prefs = LZ4F_INIT_PREFERENCES;
    prefs.frameInfo.blockMode = LZ4F_blockIndependent; /* the Java client reads no other */
    prefs.frameInfo.blockSizeID = LZ4F_max64KB;        /* its default: small buffers in every reader */
    return prefs;
}

size_t el_compress_bound(enum el_codec codec, size_t in_len)
{
    switch (codec) {
    case EL_CODEC_NONE:
        return in_len;
    case EL_CODEC_GZIP:
        return compressBound(in_len) + GZIP_LEN_MIN; /* that bound is for the zlib wrapper, 12 bytes smaller */
    case EL_CODEC_SNAPPY: {
        size_t block_count = in_len / XERIAL_BLOCK_LEN + 1;
        return XERIAL_HEADER_LEN + block_count * (4 + snappy_max_compressed_length(XERIAL_BLOCK_LEN));
    }
    case EL_CODEC_LZ4: {
        LZ4F_preferences_t prefs = lz4_preferences();
        return LZ4F_compressFrameBound(in_len, &prefs);
    }
    case EL_CODEC_ZSTD:
        return ZSTD_compressBound(in_len);
    }
    return in_len;
}

const char *el_codec_name(int codec)
{
    return codec < 0 || codec > EL_CODEC_ZSTD ? NULL : codec_names[codec];
}

int el_codec_by_name(const char *name)
{
    for (int i = 0; i <= EL_CODEC_ZSTD; i++) {
        if (name != NULL && strcmp(name, codec_names[i]) == 0) {
            return i;
        }
    }
    return -1;
}

/* --- gzip ------------------------------------------------------------------------------------------------------- */

static int gzip_decompress(struct el_slice in, uint8_t *out, size_t out_max, size_t *out_len)
{
    if (in.len > UINT32_MAX) {
        return EVLOG_ERR_CORRUPT; /* zlib counts in 32 bits; no batch is that long */
    }
    uint32_t room = (uint32_t)EL_MIN(out_max, (size_t)UINT32_MAX);
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)in.data, .avail_in = (uInt)in.len};
    if (inflateInit2(&stream, GZIP_WINDOW_BITS) != Z_OK) {
        return EVLOG_ERR_NO_MEMORY;
    }
    stream.next_out = out;
    stream.avail_out = room;
    int err = 0;
    for (;;) {
        int rc = inflate(&stream, Z_NO_FLUSH); /* Z_OK always means progress, so this ends */
        if (rc == Z_STREAM_END && stream.avail_in == 0) {
            break;
        }
        if (rc == Z_STREAM_END) {
            rc = inflateReset(&stream); /* the next member */
        }
        if (rc != Z_OK) {
            bool full = rc == Z_BUF_ERROR && stream.avail_out == 0;
            err = full ? EVLOG_ERR_LIMIT : rc == Z_MEM_ERROR ? EVLOG_ERR_NO_MEMORY : EVLOG_ERR_CORRUPT;
            break;
        }
    }
    inflateEnd(&stream);
    if (err == 0) {
        *out_len = room - stream.avail_out;
    }
    return err;
}

static int gzip_compress(struct el_slice in, uint8_t *out, size_t out_max, size_t *out_len)
{
    if (in.len > UINT32_MAX) {
        return EVLOG_ERR_LIMIT;
    }
    uint32_t room = (uint32_t)EL_MIN(out_max, (size_t)UINT32_MAX);
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)in.data, .avail_in = (uInt)in.len};
    int rc = deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW_BITS, GZIP_MEMORY_LEVEL,
                          Z_DEFAULT_STRATEGY);
    if (rc != Z_OK) {
        return EVLOG_ERR_NO_MEMORY;
    }
    stream.next_out = out;
    stream.avail_out = room;
    rc = deflate(&stream, Z_FINISH);
    deflateEnd(&stream);
    if (rc != Z_STREAM_END) {
        return EVLOG_ERR_LIMIT;
    }
    *out_len = room - stream.avail_out;
    return 0;
}

/* --- snappy ----------------------------------------------------------------------------------------------------- */

static bool is_xerial(struct el_slice in)
{
    return in.len >= XERIAL_HEADER_LEN && memcmp(in.data, xerial_magic, sizeof(xerial_magic)) == 0;
}

/* One raw block. The length it begins with is compared with the room before anything is written. */
static int snappy_block(struct el_slice in, uint8_t *out, size_t out_max, size_t *out_len)
{
    size_t len = 0;
    if (snappy_uncompressed_length((const char *)in.data, in.len, &len) != SNAPPY_OK) {
        return EVLOG_ERR_CORRUPT;
    }
    if (len > out_max) {
        return EVLOG_ERR_LIMIT;
    }
    if (snappy_uncompress((const char *)in.data, in.len, (char *)out, &len) != SNAPPY_OK) {
        return EVLOG_ERR_CORRUPT;
    }
    *out_len = len;
    return 0;
}

static int snappy_decompress(struct el_slice in, uint8_t *out, size_t out_max, size_t *out_len)
{
    if (!is_xerial(in)) {
        return snappy_block(in, out, out_max, out_len);
    }
    if (el_get_be32(in.data + sizeof(xerial_magic)) < XERIAL_VERSION) {
        return EVLOG_ERR_CORRUPT;
    }
    size_t pos = XERIAL_HEADER_LEN;
    size_t total = 0;
    while (pos < in.len) {
        if (in.len - pos < 4) {
            return EVLOG_ERR_CORRUPT;
        }
        size_t block_len = el_get_be32(in.data + pos);
        pos += 4;
        if (block_len > in.len - pos) {
            return EVLOG_ERR_CORRUPT;
        }
        size_t len = 0;
        int err = snappy_block(el_slice_of(in.data + pos, block_len), out + total, out_max - total, &len);
        if (err != 0) {
            return err;
        }
        total += len;
        pos += block_len;
    }
    *out_len = total;
    return 0;
}

static int xerial_compress(struct el_slice in, uint8_t *out, size_t out_max, size_t *out_len)
{
    memcpy(out, xerial_magic, sizeof(xerial_magic));
    el_put_be32(out + 8, XERIAL_VERSION);
    el_put_be32(out + 12, XERIAL_VERSION);
    size_t total = XERIAL_HEADER_LEN;
    for (size_t pos = 0; pos < in.len; pos += XERIAL_BLOCK_LEN) {
        size_t block_len = EL_MIN(in.len - pos, (size_t)XERIAL_BLOCK_LEN);
        size_t len = out_max - total - 4;
        if (snappy_compress((const char *)in.data + pos, block_len, (char *)out + total + 4, &len) != SNAPPY_OK) {
            return EVLOG_ERR_LIMIT;
        }
        el_put_be32(out + total, (uint32_t)len);
        total += 4 + len;
    }
    *out_len = total;
    return 0;
}

static size_t snappy_hint(struct el_slice in)
{
    size_t len = 0;
    if (!is_xerial(in)) {
        return snappy_uncompressed_length((const char *)in.data, in.len, &len) == SNAPPY_OK ? len : 0;
    }
    size_t total = 0;
    for (size_t pos = XERIAL_HEADER_LEN; in.len - pos >= 4;) {
        size_t block_len = el_get_be32(in.data + pos);
        pos += 4;
        if (block_len > in.len - pos ||
            snappy_uncompressed_length((const char *)in.data + pos, block_len, &len) != SNAPPY_OK) {
            return 0;
        }
        total += len; /* at most 2^32 each, and fewer than 2^30 blocks */
        pos += block_len;
    }
    return total;
}

/* --- lz4 -------------------------------------------------------------------------------------------------------- */

/* 0 when every Kafka client can read a frame with this header. */
static int lz4_check_frame(struct el_slice in)
{
    if (in.len < LZ4_FRAME_LEN_MIN || el_get_le32(in.data) != LZ4_FRAME_MAGIC) {
        return EVLOG_ERR_CORRUPT;
    }
    uint8_t flags = in.data[4];
    if ((flags & LZ4_FLG_INDEPENDENT) == 0 || (flags & LZ4_FLG_DICTIONARY) != 0) {
        return EVLOG_ERR_COMPRESSION;
    }
    return 0;
}

static int lz4_decompress(struct el_slice in, uint8_t *out, size_t out_max, size_t *out_len)
{
    int err = lz4_check_frame(in);
    if (err != 0) {
        return err;
    }
    LZ4F_dctx *ctx = NULL;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&ctx, LZ4F_VERSION))) {
        return EVLOG_ERR_NO_MEMORY;
    }
    const LZ4F_decompressOptions_t options = {.stableDst = 1};
    size_t in_pos = 0;
    size_t out_pos = 0;
    size_t more = 1; /* 0 once the frame has ended */
    while (more != 0 && err == 0) {
        size_t in_used = in.len - in_pos;
        size_t out_used = out_max - out_pos;
        more = LZ4F_decompress(ctx, out + out_pos, &out_used, in.data + in_pos, &in_used, &options);
        if (LZ4F_isError(more)) {
            err = EVLOG_ERR_CORRUPT;
            break;
        }
        in_pos += in_used;
        out_pos += out_used;
        if (more != 0 && in_used == 0 && out_used == 0) {
            err = out_pos == out_max ? EVLOG_ERR_LIMIT : EVLOG_ERR_CORRUPT;
        }
    }
    LZ4F_freeDecompressionContext(ctx);
    if (err == 0 && in_pos != in.len) {
        err = EVLOG_ERR_CORRUPT; /* readers stop at the end of the frame */
    }
    if (err == 0) {
        *out_len = out_pos;
    }
    return err;
}

static int lz4_compress(struct el_slice in, uint8_t *out, size_t out_max, size_t *out_len)
{
    LZ4F_preferences_t prefs = lz4_preferences();
    size_t len = LZ4F_compressFrame(out, out_max, in.data, in.len, &prefs);
    if (LZ4F_isError(len)) {
        return EVLOG_ERR_NO_MEMORY; /* the room is enough, so only its own tables can be missing */
    }
    *out_len = len;
    return 0;
}

/* --- zstd ------------------------------------------------------------------------------------------------------- */

/* 0 when the frame's window is one that every decoder has (RFC 8878, 3.1.1.1). A frame in a single segment has a window
 * as large as its content. */
static int zstd_check_frame(const uint8_t *frame, size_t len)
{
    if (len < 6 || el_get_le32(frame) != ZSTD_FRAME_MAGIC) {
        return EVLOG_ERR_CORRUPT;
    }
    bool single_segment = (frame[4] & 0x20) != 0;
    uint64_t window_len;
    if (single_segment) {
        window_len = ZSTD_getFrameContentSize(frame, len);
        if (window_len == ZSTD_CONTENTSIZE_ERROR || window_len == ZSTD_CONTENTSIZE_UNKNOWN) {
            return EVLOG_ERR_CORRUPT;
        }
    } else {
        uint64_t base = 1ull << (10 + (frame[5] >> 3));
        window_len = base + base / 8 * (frame[5] & 7);
    }
    return window_len > ZSTD_WINDOW_MAX ? EVLOG_ERR_COMPRESSION : 0;
}

static int zstd_code(size_t result)
{
    ZSTD_ErrorCode code = ZSTD_getErrorCode(result);
    if (code == ZSTD_error_dstSize_tooSmall) {
        return EVLOG_ERR_LIMIT;
    }
    if (code == ZSTD_error_memory_allocation) {
        return EVLOG_ERR_NO_MEMORY;
    }
    return code == ZSTD_error_dictionary_wrong ? EVLOG_ERR_COMPRESSION : EVLOG_ERR_CORRUPT;
}

static int zstd_decompress(struct el_slice in, uint8_t *out, size_t out_max, size_t *out_len)
{
    size_t pos = 0;
    do {
        int err = zstd_check_frame(in.data + pos, in.len - pos);
        if (err != 0) {
            return err;
        }
        size_t frame_len = ZSTD_findFrameCompressedSize(in.data + pos, in.len - pos);
        if (ZSTD_isError(frame_len)) {
            return EVLOG_ERR_CORRUPT;
        }
        pos += frame_len;
    } while (pos < in.len);

    ZSTD_DCtx *ctx = ZSTD_createDCtx();
    if (ctx == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    size_t len = ZSTD_decompressDCtx(ctx, out, out_max, in.data, in.len);
    ZSTD_freeDCtx(ctx);
    if (ZSTD_isError(len)) {
        return zstd_code(len);
    }
    *out_len = len;
    return 0;
}

static int zstd_compress(struct el_slice in, uint8_t *out, size_t out_max, size_t *out_len)
{
    size_t len = ZSTD_compress(out, out_max, in.data, in.len, ZSTD_LEVEL);
    if (ZSTD_isError(len)) {
        return ZSTD_getErrorCode(len) == ZSTD_error_memory_allocation ? EVLOG_ERR_NO_MEMORY : EVLOG_ERR_LIMIT;
    }
    *out_len = len;
    return 0;
}

/* --- hints ------------------------------------------------------------------------------------------------------ */

size_t el_decompress_hint(enum el_codec codec, const void *in, size_t in_len)
{
    struct el_slice source = el_slice_of(in, in == NULL ? 0 : in_len);
    switch (codec) {
    case EL_CODEC_NONE:
        return source.len;
    case EL_CODEC_GZIP: {
        size_t len = source.len < GZIP_LEN_MIN ? 0 : el_get_le32(source.data + source.len - 4); /* of the last member */
        return len / GZIP_RATIO_MAX > source.len ? 0 : len;
    }
    case EL_CODEC_SNAPPY:
        return source.len == 0 ? 0 : snappy_hint(source);
    case EL_CODEC_LZ4:
        if (source.len < LZ4_FRAME_LEN_MIN + 8 || (source.data[4] & LZ4_FLG_CONTENT_SIZE) == 0) {
            return 0;
        }
        return el_get_le64(source.data + 6);
    case EL_CODEC_ZSTD: { /* of the first frame */
        unsigned long long len = source.len == 0 ? 0 : ZSTD_getFrameContentSize(source.data, source.len);
        return len == ZSTD_CONTENTSIZE_ERROR || len == ZSTD_CONTENTSIZE_UNKNOWN ? 0 : len;
    }
    }
    return 0;
}
