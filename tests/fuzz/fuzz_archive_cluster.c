/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster.json of whoever can write to the bucket. What is taken is written and taken again as the same.
 */
#include <core/assert.h>
#include <core/buffer.h>
#include <evlog/error.h>
#include <store/archive_cluster.h>

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void again(const struct archive_cluster *cluster)
{
    struct archive_cluster other;
    struct el_buffer text = {0};
    int code = archive_cluster_write(cluster, &text);
    EL_ASSERT(code == 0);
    code = archive_cluster_parse(el_buffer_slice(&text), &other, NULL);
    EL_ASSERT(code == 0);
    EL_ASSERT(el_uuid_eq(&cluster->cluster, &other.cluster));
    EL_ASSERT(el_uuid_eq(&cluster->incarnation, &other.incarnation));
    EL_ASSERT(el_uuid_eq(&cluster->parent, &other.parent));
    EL_ASSERT(el_uuid_is_zero(&cluster->parent) || cluster->parent_sequence == other.parent_sequence);
    EL_ASSERT(cluster->made_ms == other.made_ms);
    EL_ASSERT(cluster->key_count == other.key_count);
    for (size_t i = 0; i < cluster->key_count; i++) {
        EL_ASSERT(cluster->keys[i].kind == other.keys[i].kind);
        EL_ASSERT(cluster->keys[i].len == other.keys[i].len);
        EL_ASSERT(memcmp(cluster->keys[i].bytes, other.keys[i].bytes, other.keys[i].len) == 0);
    }
    el_buffer_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct archive_cluster cluster;
    int code = archive_cluster_parse(el_slice_of(data, len), &cluster, NULL);
    EL_ASSERT(code == 0 || code == EVLOG_ERR_MALFORMED || code == EVLOG_ERR_FORMAT);
    if (code == 0) {
        EL_ASSERT(cluster.key_count <= EL_SIGN_KEYS_MAX);
        again(&cluster);
    }
    return 0;
}
