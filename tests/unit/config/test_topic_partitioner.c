/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a key has the partition that the clients named in each choice give it.
 * Method: hashes from other implementations (Java's Utils.murmur2, zlib, FNV's published vectors), partitions by hand.
 */
#include "test.h"

#include <config/topic_partitioner.h>

static int32_t partition_of(const char *partitioner, const char *key, int32_t count)
{
    struct topic_config cfg;
    topic_config_init(&cfg);
    if (partitioner != NULL) {
        assert_int_equal(topic_config_set(&cfg, el_slice_str("evlog.streams"), el_slice_str("true"), NULL), 0);
        assert_int_equal(topic_config_set(&cfg, el_slice_str("evlog.key.partitioner"), el_slice_str(partitioner), NULL),
                         0);
    }
    int32_t partition = topic_partition_of(&cfg, el_slice_str(key), count);
    assert_true(strlen(topic_partitioner_hint(&cfg)) > 0);
    return partition;
}

TEST(topic_partitioner, murmur2_is_that_of_java_and_the_default)
{
    /* Utils.murmur2("foobar") is -790332482, ("21") is -973932308 */
    assert_int_equal(partition_of("murmur2", "foobar", 1000), (int32_t)((uint32_t)-790332482 & 0x7fffffffu) % 1000);
    assert_int_equal(partition_of("murmur2", "21", 7), (int32_t)((uint32_t)-973932308 & 0x7fffffffu) % 7);
    assert_int_equal(partition_of(NULL, "foobar", 1000), partition_of("murmur2", "foobar", 1000));
}

TEST(topic_partitioner, crc32_is_not_made_positive)
{
    assert_int_equal(partition_of("crc32", "123456789", 1000), (int32_t)(0xcbf43926u % 1000));
    assert_int_equal(partition_of("crc32", "", 1000), 0);
}

TEST(topic_partitioner, fnv1a_takes_the_absolute_value)
{
    assert_int_equal(partition_of("fnv1a", "foobar", 1000), (int32_t)((0u - 0xbf9cf968u) % 1000));
    assert_int_equal(partition_of("fnv1a", "", 1000), (int32_t)((0u - 0x811c9dc5u) % 1000));
}

TEST(topic_partitioner, one_partition_takes_every_key)
{
    assert_int_equal(partition_of("murmur2", "a", 1), 0);
    assert_int_equal(partition_of("crc32", "a", 1), 0);
    assert_int_equal(partition_of("fnv1a", "a", 1), 0);
}
