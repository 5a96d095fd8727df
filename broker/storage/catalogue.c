/* SPDX-License-Identifier: Apache-2.0
 *
 * A shard's copy of the catalogue. Topics are found by a folded name, in which '.' is '_', because two topics whose
 * names differ only there may not both exist.
 */
#include <storage/catalogue.h>

#include <core/assert.h>
#include <core/crypto.h>
#include <core/logger.h>
#include <format/catalogue_layout.h>
#include <stdio.h>

#define INLINE_OWNERS 32

const struct el_uuid META_TOPIC_ID = {{'e', 'v', 'l', 'o', 'g', '-', 'm', 'e', 't', 'a', 0, 0, 0, 0, 0, 1}};

/* A topic with the memory its fields point to. */
struct topic_slot {
    struct topic topic;
    char folded[EL_TOPIC_NAME_MAX + 1];    /* map key */
    uint16_t inline_owners[INLINE_OWNERS]; /* shard_of of small topics */
    int32_t owner_room;
};

static void fold(char *out, const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        out[i] = name[i] == '.' ? '_' : name[i];
    }
}

int topic_name_check(struct el_slice name, struct el_error *err)
{
    if (name.len == 0 || name.len > EL_TOPIC_NAME_MAX) {
        return el_error_set(err, EVLOG_ERR_INVALID_TOPIC, "topic name has %zu characters; 1 to %d are allowed",
                            name.len, EL_TOPIC_NAME_MAX);
    }
    if (el_slice_eq(name, el_slice_str(".")) || el_slice_eq(name, el_slice_str(".."))) {
        return el_error_set(err, EVLOG_ERR_INVALID_TOPIC, "topic name may not be '.' or '..'");
    }
    for (size_t i = 0; i < name.len; i++) {
        char c = (char)name.data[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                    c == '_' || c == '-';
        if (!good) {
            return el_error_set(
                err, EVLOG_ERR_INVALID_TOPIC,
                "topic name has a character that is not a letter, digit, '.', '_' or '-' at position %zu", i);
        }
    }
    return 0;
}

struct topic *catalogue_collision(struct store_shard *shard, struct el_slice name)
{
    char folded[EL_TOPIC_NAME_MAX];
    if (name.len == 0 || name.len > EL_TOPIC_NAME_MAX) {
        return NULL;
    }
    fold(folded, (const char *)name.data, name.len);
    return el_map_get(&shard->topics_by_name, folded, name.len);
}

const struct topic *store_topic_by_name(struct store_shard *shard, struct el_slice name)
{
    const struct topic *topic = catalogue_collision(shard, name);
    return topic != NULL && memcmp(topic->name, name.data, name.len) == 0 ? topic : NULL;
}

const struct topic *store_topic_by_id(struct store_shard *shard, const struct el_uuid *id)
{
    return el_map_get(&shard->topics_by_id, id, sizeof(*id));
}

uint32_t store_topic_count(struct store_shard *shard)
{
    return (uint32_t)shard->topics_by_id.count;
}

const struct topic *store_topic_at(struct store_shard *shard, uint32_t index)
{
    EL_ASSERT(index < shard->topics_by_id.count);
    return shard->topics_by_id.entries[index].value;
}

struct store_shard *shard_owner(struct store_shard *shard, const struct el_uuid *topic_id, int32_t partition)
{
    const struct topic *topic = store_topic_by_id(shard, topic_id);
    if (topic == NULL || partition < 0 || partition >= topic->partition_count) {
        return NULL;
    }
    EL_ASSERT(topic->shard_of[partition] < shard->store->shard_count);
    return &shard->store->shards[topic->shard_of[partition]];
}

uint16_t catalogue_place(struct store_shard *shard, uint64_t n)
{
    return (uint16_t)(n % shard->store->shard_count);
}

/* --- encoding ----------------------------------------------------------------------------------------------------- */

size_t catalogue_encode(const struct catalogue_change *change, uint8_t *key, uint8_t *value)
{
    key[0] = 1;
    memcpy(key + 1, change->id.bytes, 16);
    size_t settings_len = 0;
    size_t owners_len = (size_t)change->partition_count * 2;
    uint8_t *p = value + 12;
    EL_ASSERT(change->name.len <= EL_TOPIC_NAME_MAX);
    EL_ASSERT(change->partition_count <= EL_PARTITION_COUNT_MAX);
    if (change->name.len > 0) {
        memcpy(p, change->name.data, change->name.len);
    }
    p += change->name.len;
    if (owners_len > 0) {
        memcpy(p, change->owners, owners_len);
    }
    p += owners_len;
    int code = topic_config_encode(&change->config, p, TOPIC_CONFIG_BYTES_MAX, &settings_len);
    EL_ASSERT(code == 0);
    EL_ASSERT(settings_len <= TOPIC_CONFIG_BYTES_MAX);
    value[0] = 1;
    value[1] = (uint8_t)change->verb;
    value[2] = change->internal;
    value[3] = 0;
    el_put_le32(value + 4, (uint32_t)change->partition_count);
    el_put_le16(value + 8, (uint16_t)change->name.len);
    el_put_le16(value + 10, (uint16_t)settings_len);
    return 12 + change->name.len + owners_len + settings_len;
}

int catalogue_decode(struct el_slice key, struct el_slice value, struct catalogue_change *change)
{
    struct el_catalogue_record record;
    int code = el_catalogue_record_get(key, value, &record);
    if (code != 0) {
        return code;
    }
    if (el_uuid_eq(&record.id, &META_TOPIC_ID)) {
        return EVLOG_ERR_CORRUPT; /* no change is made to the catalogue's own topic */
    }
    change->id = record.id;
    change->verb = record.verb == EL_CATALOGUE_PUT ? CATALOGUE_PUT : CATALOGUE_DELETE;
    change->internal = record.internal;
    change->partition_count = record.partition_count;
    change->name = record.name;
    change->owners = record.owners;
    code = topic_config_decode(&change->config, record.settings.data, record.settings.len);
    return code == 0 ? 0 : EVLOG_ERR_CORRUPT;
}

/* --- applying ----------------------------------------------------------------------------------------------------- */

static int owners_reserve(struct store_shard *shard, struct topic_slot *slot, int32_t count)
{
    if (count <= slot->owner_room) {
        return 0;
    }
    uint16_t *grown = el_buddy_alloc(shard->buddy, (size_t)count * sizeof(*grown));
    if (grown == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    memcpy(grown, slot->topic.shard_of, (size_t)slot->topic.partition_count * sizeof(*grown));
    if (slot->topic.shard_of != slot->inline_owners) {
        el_buddy_free(shard->buddy, slot->topic.shard_of);
    }
    slot->topic.shard_of = grown;
    slot->owner_room = count;
    return 0;
}

/* Each topic has a name of its own, and keeps it. Changes were checked before they were written; bytes of a disk say
 * anything. */
static int change_check(struct store_shard *shard, const struct catalogue_change *change, struct el_error *err)
{
    char id[33], other[33];
    const struct topic *topic = store_topic_by_id(shard, &change->id);
    const struct topic *named = catalogue_collision(shard, change->name);
    el_hex(id, change->id.bytes, sizeof(change->id.bytes));
    if (topic != NULL && !el_slice_eq(el_slice_of(topic->name, topic->name_len), change->name)) {
        return el_error_set(err, EVLOG_ERR_CORRUPT, "topic %s has two names, %s and %.*s", id, topic->name,
                            (int)change->name.len, (const char *)change->name.data);
    }
    if (topic == NULL && named != NULL) {
        el_hex(other, named->id.bytes, sizeof(named->id.bytes));
        return el_error_set(err, EVLOG_ERR_CORRUPT, "two topics, %s and %s, have one name: %s and %.*s", other, id,
                            named->name, (int)change->name.len, (const char *)change->name.data);
    }
    return 0;
}

static struct topic_slot *topic_new(struct store_shard *shard, const struct catalogue_change *change)
{
    struct topic_slot *slot = el_pool_get(&shard->topic_pool);
    if (slot == NULL) {
        return NULL;
    }
    struct topic *topic = &slot->topic;
    topic->id = change->id;
    topic->name_len = (uint16_t)change->name.len;
    topic->internal = change->internal;
    topic->shard_of = slot->inline_owners;
    slot->owner_room = INLINE_OWNERS;
    memcpy(topic->name, change->name.data, change->name.len);
    fold(slot->folded, topic->name, topic->name_len);
    if (el_map_put(&shard->topics_by_name, slot->folded, topic->name_len, topic) != 0) {
        el_pool_put(&shard->topic_pool, slot);
        return NULL;
    }
    if (el_map_put(&shard->topics_by_id, &topic->id, sizeof(topic->id), topic) != 0) {
        el_map_remove(&shard->topics_by_name, slot->folded, topic->name_len);
        el_pool_put(&shard->topic_pool, slot);
        return NULL;
    }
    return slot;
}

static int topic_put(struct store_shard *shard, const struct catalogue_change *change)
{
    struct topic *topic = el_map_get(&shard->topics_by_id, &change->id, sizeof(change->id));
    struct topic_slot *slot = topic == NULL ? topic_new(shard, change) : EL_CONTAINER(topic, struct topic_slot, topic);
    if (slot == NULL || owners_reserve(shard, slot, change->partition_count) != 0) {
        return EVLOG_ERR_NO_MEMORY;
    }
    topic = &slot->topic;
    topic->config = change->config;
    for (int32_t i = 0; shard->tier != NULL && i < topic->partition_count; i++) {
        struct partition *part = partition_find(shard, &topic->id, i);
        if (part != NULL) {
            partition_show(part); /* evlog.durability may have changed */
        }
    }
    for (int32_t i = topic->partition_count; i < change->partition_count; i++) {
        uint16_t owner = el_get_le16(change->owners + (size_t)i * 2);
        if (owner >= shard->store->shard_count) {
            return EVLOG_ERR_CORRUPT;
        }
        EL_ASSERT(i < slot->owner_room);
        topic->shard_of[i] = owner;
        topic->partition_count = i + 1;
        if (owner == shard->index) {
            struct partition *part = partition_create(shard, topic, i);
            if (part == NULL) {
                return EVLOG_ERR_NO_MEMORY;
            }
        }
    }
    return 0;
}

static void topic_free(struct store_shard *shard, struct topic *topic)
{
    struct topic_slot *slot = EL_CONTAINER(topic, struct topic_slot, topic);
    EL_ASSERT(topic->partition_count <= slot->owner_room);
    el_map_remove(&shard->topics_by_id, &topic->id, sizeof(topic->id));
    el_map_remove(&shard->topics_by_name, slot->folded, topic->name_len);
    if (topic->shard_of != slot->inline_owners) {
        el_buddy_free(shard->buddy, topic->shard_of);
    }
    el_pool_put(&shard->topic_pool, slot);
}

static int topic_delete(struct store_shard *shard, const struct el_uuid *id)
{
    struct topic *topic = el_map_get(&shard->topics_by_id, id, sizeof(*id));
    if (topic != NULL) {
        for (int32_t i = 0; i < topic->partition_count; i++) {
            struct partition *part = partition_find(shard, id, i);
            if (part != NULL) {
                partition_delete(part);
            }
        }
        topic_free(shard, topic);
    }
    if (el_map_get(&shard->tombstones, id, sizeof(*id)) != NULL) {
        return 0;
    }
    struct el_uuid *copy = el_pool_get(&shard->id_pool);
    if (copy == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    *copy = *id;
    return el_map_put(&shard->tombstones, copy, sizeof(*copy), copy);
}

int catalogue_apply(struct store_shard *shard, const struct catalogue_change *change, struct el_error *err)
{
    int code = change->verb == CATALOGUE_PUT ? change_check(shard, change, err) : 0;
    if (code == 0) {
        code = change->verb == CATALOGUE_PUT ? topic_put(shard, change) : topic_delete(shard, &change->id);
    }
    if (shard->index == 0) {
        metrics_set(shard->metrics, METRIC_TOPICS, (int64_t)shard->topics_by_id.count);
    }
    return code;
}

int catalogue_bootstrap(struct store_shard *shard)
{
    static const uint8_t owners[2] = {0, 0};
    static const char *const settings[][2] = {
        {"retention.ms", "-1"},        {"retention.bytes", "-1"},    {"message.timestamp.type", "CreateTime"},
        {"cleanup.policy", "compact"}, {"segment.bytes", "1048576"}, {"max.compaction.lag.ms", "604800000"},
        {"evlog.durability", "flush"}};
    el_pool_init(&shard->topic_pool, shard->buddy, sizeof(struct topic_slot));
    struct catalogue_change change = {
        .verb = CATALOGUE_PUT,
        .id = META_TOPIC_ID,
        .internal = true,
        .name = el_slice_str(META_TOPIC_NAME),
        .partition_count = 1,
        .owners = owners,
    };
    topic_config_init(&change.config);
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        int code = topic_config_set(&change.config, el_slice_str(settings[i][0]), el_slice_str(settings[i][1]), NULL);
        EL_ASSERT(code == 0);
    }
    return catalogue_apply(shard, &change, NULL);
}

void catalogue_free(struct store_shard *shard)
{
    while (shard->partitions.count > 0) {
        struct partition *part = shard->partitions.entries[shard->partitions.count - 1].value;
        el_map_remove(&shard->partitions, &part->key, sizeof(part->key));
        partition_destroy(part);
    }
    while (shard->topics_by_id.count > 0) {
        topic_free(shard, shard->topics_by_id.entries[shard->topics_by_id.count - 1].value);
    }
    el_map_destroy(&shard->partitions);
    el_map_destroy(&shard->topics_by_id);
    el_map_destroy(&shard->topics_by_name);
    el_map_destroy(&shard->tombstones);
    el_pool_destroy(&shard->topic_pool);
    el_pool_destroy(&shard->id_pool);
}
