/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of an archive's objects and origins of its notes: docs/format.md sections 15 and 15.1.
 */
#include <format/archive_layout.h>

#include <core/crypto.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define ID_TEXT_LEN 33

struct id_text {
    char text[ID_TEXT_LEN];
};

static struct id_text id_hex(const struct el_uuid *id)
{
    struct id_text t;
    el_hex(t.text, id->bytes, sizeof(id->bytes));
    return t;
}

static void __attribute__((format(printf, 2, 3))) put(char key[EL_ARCHIVE_KEY_MAX], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(key, EL_ARCHIVE_KEY_MAX, format, args);
    va_end(args);
    EL_ASSERT(len > 0);
    EL_ASSERT(len < (int)EL_ARCHIVE_KEY_MAX);
}

void el_archive_key_cluster(char key[EL_ARCHIVE_KEY_MAX], const struct el_uuid *incarnation)
{
    put(key, "%s/cluster.json", id_hex(incarnation).text);
}

void el_archive_key_root(char key[EL_ARCHIVE_KEY_MAX], const struct el_uuid *incarnation, uint64_t sequence)
{
    put(key, "%s/root/%016" PRIx64, id_hex(incarnation).text, sequence);
}

void el_archive_key_manifest(char key[EL_ARCHIVE_KEY_MAX], const struct el_uuid *incarnation, uint64_t sequence)
{
    put(key, "%s/manifest/%016" PRIx64, id_hex(incarnation).text, sequence);
}

void el_archive_key_object(char key[EL_ARCHIVE_KEY_MAX], const struct el_uuid *incarnation,
                           const struct el_manifest_object *o)
{
    char hash[17];
    el_hex(hash, o->sha256, 8);
    if (o->kind == EL_PACK_BUNDLE) {
        put(key, "%s/bundles/%04u/%016" PRIx64 "-%s", id_hex(incarnation).text, o->shard, o->sequence, hash);
        return;
    }
    put(key, "%s/topics/%s/%d/seg/%020" PRIu64 "-%s.seg", id_hex(incarnation).text, id_hex(&o->topic_id).text,
        o->partition, o->sequence, hash);
}

void el_archive_key_tile(char key[EL_ARCHIVE_KEY_MAX], const struct el_uuid *incarnation,
                         const struct el_uuid *topic_id, int32_t partition, uint32_t level, uint64_t index,
                         uint32_t width)
{
    char tile[EL_TILE_NAME_MAX];
    el_tile_name(tile, level, index, width);
    if (topic_id == NULL) {
        put(key, "%s/%s", id_hex(incarnation).text, tile);
        return;
    }
    put(key, "%s/topics/%s/%d/%s", id_hex(incarnation).text, id_hex(topic_id).text, partition, tile);
}

void el_archive_key_checkpoint(char key[EL_ARCHIVE_KEY_MAX], const struct el_uuid *incarnation,
                               const struct el_uuid *topic_id, int32_t partition, uint64_t size)
{
    put(key, "%s/topics/%s/%d/checkpoint/%020" PRIu64, id_hex(incarnation).text, id_hex(topic_id).text, partition,
        size);
}

void el_archive_origin_root(char text[EL_ARCHIVE_KEY_MAX], const struct el_uuid *cluster,
                            const struct el_uuid *incarnation)
{
    put(text, "evlog/%s/%s/root", id_hex(cluster).text, id_hex(incarnation).text);
}

void el_archive_origin_partition(char text[EL_ARCHIVE_KEY_MAX], const struct el_uuid *cluster,
                                 const struct el_uuid *incarnation, const struct el_uuid *topic_id, int32_t partition)
{
    put(text, "evlog/%s/%s/%s/%d", id_hex(cluster).text, id_hex(incarnation).text, id_hex(topic_id).text, partition);
}

void el_archive_key_name(char text[EL_ARCHIVE_KEY_MAX], const struct el_uuid *cluster)
{
    put(text, "evlog/%s", id_hex(cluster).text);
}
