/* SPDX-License-Identifier: Apache-2.0
 *
 * The codecs of Kafka batches. Decompression never writes past the room it is given: the output cap is the caller's,
 * never a number from the data.
 */
#ifndef EL_CORE_COMPRESS_H
#define EL_CORE_COMPRESS_H

#include <core/bytes.h>

enum el_codec { EL_CODEC_NONE, EL_CODEC_GZIP, EL_CODEC_SNAPPY, EL_CODEC_LZ4, EL_CODEC_ZSTD };

/* Decompress a whole block into out[out_max].
 *
 * snappy  raw block or xerial framing (Java); lz4: frame format; gzip: one or more members; zstd: window at most 8 MiB
 * returns 0 and *out_len | EVLOG_ERR_LIMIT output larger than out_max | EVLOG_ERR_CORRUPT | EVLOG_ERR_NO_MEMORY |
 *         EVLOG_ERR_COMPRESSION unknown codec, or data that common Kafka clients refuse to read: a zstd window above
 *         8 MiB or a zstd dictionary, lz4 blocks that depend on each other
 */
int el_decompress(enum el_codec codec, const void *in, size_t in_len, void *out, size_t out_max, size_t *out_len);

/* Bytes that the data claims to decompress to, 0 when it does not say. A hint from hostile bytes: cap it before use. */
size_t el_decompress_hint(enum el_codec codec, const void *in, size_t in_len);

/* Compress; *out_len <= out_max on success, EVLOG_ERR_LIMIT when it does not fit. */
int el_compress(enum el_codec codec, const void *in, size_t in_len, void *out, size_t out_max, size_t *out_len);
/* Room that el_compress() never exceeds for in_len bytes. */
size_t el_compress_bound(enum el_codec codec, size_t in_len);
/* "none", "gzip", "snappy", "lz4", "zstd"; NULL for an unknown number. */
const char *el_codec_name(int codec);
/* Number of a name, -1 when unknown. */
int el_codec_by_name(const char *name);

#endif
