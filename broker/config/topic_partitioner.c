/* SPDX-License-Identifier: Apache-2.0
 *
 * Partitions of keys, as the clients compute them.
 */
#include <config/topic_partitioner.h>

#include <core/assert.h>
#include <core/hash.h>

static enum topic_partitioner partitioner_of(const struct topic_config *cfg)
{
    return (enum topic_partitioner)topic_config_int(cfg, NULL, TOPIC_KEY_PARTITIONER);
}

/* Sarama, and librdkafka's fnv1a after it, take the absolute value of a signed number. */
static uint32_t magnitude(uint32_t hash)
{
    return (hash & 0x80000000u) != 0 ? 0u - hash : hash;
}

int32_t topic_partition_of(const struct topic_config *cfg, struct el_slice key, int32_t partition_count)
{
    uint32_t hash = 0;
    EL_ASSERT(key.data != NULL);
    EL_ASSERT(partition_count > 0);
    switch (partitioner_of(cfg)) {
    case TOPIC_MURMUR2:
        hash = el_murmur2(key.data, key.len) & 0x7fffffffu;
        break;
    case TOPIC_CRC32:
        hash = el_crc32(key.data, key.len);
        break;
    case TOPIC_FNV1A:
        hash = magnitude(el_fnv1a(key.data, key.len));
        break;
    }
    return (int32_t)(hash % (uint32_t)partition_count);
}

const char *topic_partitioner_hint(const struct topic_config *cfg)
{
    switch (partitioner_of(cfg)) {
    case TOPIC_MURMUR2:
        return "no partition and no partitioner of your own in Java and franz-go, partitioner=murmur2_random in "
               "librdkafka, confluent clients and kcat (-X)";
    case TOPIC_CRC32:
        return "partitioner=consistent_random in librdkafka, confluent clients and kcat (-X); the Java client has none "
               "like it";
    case TOPIC_FNV1A:
        return "the hash partitioner in Sarama, partitioner=fnv1a_random in librdkafka, confluent clients and kcat "
               "(-X)";
    }
    return "";
}
