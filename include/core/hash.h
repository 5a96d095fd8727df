/* SPDX-License-Identifier: Apache-2.0
 *
 * Hashes and checksums.
 */
#ifndef EL_CORE_HASH_H
#define EL_CORE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* XXH3-64, seed 0: the one checksum of evlog's files, and the hash of keys. Source: xxHash specification. */
uint64_t el_xxh3(const void *data, size_t len);
/* XXH3-128 with a secret of random bytes: whoever does not know them cannot make two inputs with one hash. */
#define EL_XXH3_SECRET_LEN 192
struct el_hash128 {
    uint64_t low;
    uint64_t high;
};
struct el_hash128 el_xxh3_128(const void *data, size_t len, const uint8_t secret[EL_XXH3_SECRET_LEN]);
/* CRC-32C (Castagnoli) of Kafka batches; start with crc 0. SSE4.2 where the processor has it, else a table. */
uint32_t el_crc32c(uint32_t crc, const void *data, size_t len);
/* The table version alone, for tests. */
uint32_t el_crc32c_table(uint32_t crc, const void *data, size_t len);
/* murmur2 as Kafka's Java client uses it to choose partitions (seed 0x9747b28c); the partition of a key is
 * (hash & 0x7fffffff) % partition_count. */
uint32_t el_murmur2(const void *data, size_t len);
/* CRC-32 (ISO 3309), as librdkafka uses it to choose partitions: hash % partition_count. For short keys. */
uint32_t el_crc32(const void *data, size_t len);
/* FNV-1a, 32 bits, as Sarama uses it to choose partitions. */
uint32_t el_fnv1a(const void *data, size_t len);

#endif
