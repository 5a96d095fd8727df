/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog.archive.retention.ms: segments whose newest event is older leave the archive.
 *
 *   look    between two rounds: of partitions whose topics have a retention, the batch tables of their first segments
 *           are read, for the append time of the last batch and for the leaves; once a segment, which is remembered
 *   state   the next manifest says what has left, with the tree over those leaves; the parts do not count any more, and
 *           objects without any are replaced, and removed later like all such
 *   tell    shards move the log start when the events are not on their disk either (storage/tier.h)
 *
 * Only what segments hold leaves, from the first leaf on: of those the leaf hashes are in tiles, which stay, so that
 * the tree goes on to verify. Topics that are compacted or have streams, and evlog's own, lose nothing. What lies in an
 * archive that this one goes on from stays there.
 */
#include <archive/archive_ledger_state.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <core/logger.h>
#include <inttypes.h>
#include <store/archive_reader.h>

#define TABLES_MAX 64u /* that a look reads */

/* What is known of the first segment of a partition. */
struct first_segment {
    uint8_t key[20];
    uint64_t leaf;      /* its first */
    uint64_t newest_ns; /* append time of its last batch */
};

struct topic_age {
    struct el_uuid id;
    uint64_t changed;                     /* manifest whose record of the topic was looked at */
    bool unreadable;                      /* its settings: it keeps everything */
    bool own_policy, own_streams, own_ms; /* it has values of its own */
    int64_t policy, streams, ms;
};

struct look {
    struct archive_ledger *l;
    struct archive_sweep_job *job;
    uint32_t tables; /* read so far */
};

static int no_memory(struct look *k)
{
    return el_error_set(&k->job->err, EVLOG_ERR_NO_MEMORY, "no memory to look for old segments");
}

/* --- how long ----------------------------------------------------------------------------------------------------- */

static struct topic_age *topic_age(struct look *k, const struct archive_topic *topic)
{
    struct topic_age *age = el_map_get(&k->l->topic_ages, topic->now.id.bytes, 16);
    struct topic_config config;
    if (age != NULL && age->changed == topic->changed) {
        return age;
    }
    if (age == NULL) {
        age = el_calloc(1, sizeof *age);
        if (age == NULL) {
            return NULL;
        }
        age->id = topic->now.id;
        if (el_map_put(&k->l->topic_ages, age->id.bytes, 16, age) != 0) {
            el_free(age);
            return NULL;
        }
    }
    age->changed = topic->changed;
    age->unreadable = topic_config_decode(&config, topic->now.settings.data, topic->now.settings.len) != 0;
    if (!age->unreadable) {
        age->own_policy = topic_config_is_overridden(&config, TOPIC_CLEANUP_POLICY);
        age->own_streams = topic_config_is_overridden(&config, TOPIC_STREAMS);
        age->own_ms = topic_config_is_overridden(&config, TOPIC_ARCHIVE_RETENTION_MS);
        age->policy = topic_config_int(&config, NULL, TOPIC_CLEANUP_POLICY);
        age->streams = topic_config_int(&config, NULL, TOPIC_STREAMS);
        age->ms = topic_config_int(&config, NULL, TOPIC_ARCHIVE_RETENTION_MS);
    }
    return age;
}

/* -1: for ever. */
static int retention(struct look *k, const struct archive_partition *p, int64_t *ms)
{
    const struct archive_topic *topic = archive_state_topic(k->l->state, &p->now.topic_id);
    *ms = -1;
    if (topic == NULL || topic->now.internal) {
        return 0;
    }
    const struct topic_age *age = topic_age(k, topic);
    if (age == NULL) {
        return no_memory(k);
    }
    int64_t common_ms = topic_config_int(NULL, &k->job->topic_defaults, TOPIC_ARCHIVE_RETENTION_MS);
    int64_t common = topic_config_int(NULL, &k->job->topic_defaults, TOPIC_CLEANUP_POLICY);
    int64_t streams = topic_config_int(NULL, &k->job->topic_defaults, TOPIC_STREAMS);
    bool keeps = age->unreadable || (age->own_policy ? age->policy : common) != TOPIC_CLEANUP_DELETE ||
                 (age->own_streams ? age->streams : streams) != 0; /* versions count from the first event */
    *ms = keeps ? -1 : age->own_ms ? age->ms : common_ms;
    return 0;
}

/* --- segments ----------------------------------------------------------------------------------------------------- */

/* Append time of a segment's last batch; its leaves go into the tree. */
static int read_segment(struct look *k, const struct el_archive_part *part, struct el_frontier *tree,
                        uint64_t *newest_ns)
{
    struct archive_object object;
    bool known = archive_state_object(k->l->state, part->object, &object);
    char key[EL_ARCHIVE_KEY_MAX];
    uint8_t *table = NULL;
    uint32_t bad = 0;
    EL_ASSERT(known);
    el_archive_key_object(key, &k->l->incarnation, &object.now);
    int code = archive_fetch(k->l->cfg.bucket, key, part->table_pos, (uint64_t)part->batch_count * EL_PACK_BATCH_LEN,
                             &table, &k->job->err);
    k->tables++;
    if (code != 0) {
        return code;
    }
    if (el_pack_table_check(part, table, &bad) != 0) {
        code = el_error_set(&k->job->err, EVLOG_ERR_CORRUPT, "%.200s: the batch table is not what was signed", key);
    }
    for (uint32_t i = 0; i < part->batch_count && code == 0; i++) {
        const uint8_t *row = table + (size_t)i * EL_PACK_BATCH_LEN;
        struct el_pack_batch batch;
        struct el_hash256 leaf;
        code = el_pack_batch_get(row, &batch);
        el_merkle_leaf(row, EL_LEAF_ENTRY_LEN, &leaf);
        el_frontier_add(tree, &leaf);
        *newest_ns = EL_MAX(*newest_ns, batch.leaf.append_time_ns);
    }
    el_free(table);
    return code;
}

static bool is_old(const struct look *k, uint64_t newest_ns, int64_t ms)
{
    uint64_t now_ms = k->job->now_ns / 1000000, newest_ms = newest_ns / 1000000;
    return now_ms > newest_ms && now_ms - newest_ms > (uint64_t)ms;
}

static int remember(struct look *k, const struct archive_partition *p, uint64_t leaf, uint64_t newest_ns)
{
    struct first_segment *first = el_map_get(&k->l->first_segments, p->key, sizeof p->key);
    if (first == NULL) {
        first = el_calloc(1, sizeof *first);
        if (first == NULL) {
            return no_memory(k);
        }
        memcpy(first->key, p->key, sizeof first->key);
        if (el_map_put(&k->l->first_segments, first->key, sizeof first->key, first) != 0) {
            el_free(first);
            return no_memory(k);
        }
    }
    first->leaf = leaf;
    first->newest_ns = newest_ns;
    return 0;
}

static bool in_segment(const struct archive_ledger *l, const struct el_archive_part *part)
{
    struct archive_object object;
    return archive_state_object(l->state, part->object, &object) && object.now.kind == EL_PACK_SEGMENT;
}

static int look_at(struct look *k, const struct archive_partition *p, int64_t ms)
{
    struct archive_ledger *l = k->l;
    const struct first_segment *first = el_map_get(&l->first_segments, p->key, sizeof p->key);
    if (p->part_count == 0 ||
        (first != NULL && first->leaf == archive_part_at(p, 0).first_leaf && !is_old(k, first->newest_ns, ms))) {
        return 0;
    }
    struct el_manifest_retired r = {.topic_id = p->now.topic_id,
                                    .partition = p->now.partition,
                                    .newest_append_ns = p->retired->newest_append_ns,
                                    .when_ms = EL_MAX(k->job->now_ns / 1000000, p->retired->when_ms),
                                    .retention_ms = ms,
                                    .tree = p->retired->tree};
    int code = 0;
    uint32_t count = 0;
    for (; count < p->part_count && k->tables < TABLES_MAX; count++) {
        struct el_archive_part part = archive_part_at(p, count);
        if (!in_segment(l, &part)) {
            break;
        }
        struct el_frontier tree = r.tree;
        uint64_t newest_ns = r.newest_append_ns;
        code = read_segment(k, &part, &tree, &newest_ns);
        if (code != 0) {
            return code;
        }
        if (!is_old(k, newest_ns, ms)) {
            code = remember(k, p, part.first_leaf, newest_ns);
            break;
        }
        r.tree = tree;
        r.newest_append_ns = newest_ns;
        r.end_offset = part.end_offset;
    }
    if (count > 0 && code == 0) {
        EL_ASSERT(l->retiring_count < RETIRING_MAX);
        EL_ASSERT(r.tree.size > p->retired->tree.size);
        l->retiring[l->retiring_count++] = r;
    }
    return code;
}

int archive_retire_look(struct archive_ledger *l, struct archive_sweep_job *job)
{
    struct look look = {.l = l, .job = job}, *k = &look;
    size_t count = l->state->partitions.count;
    int code = 0;
    l->retiring_count = 0;
    for (size_t i = 0; i < count && code == 0; i++) {
        if (k->tables >= TABLES_MAX || l->retiring_count == RETIRING_MAX || atomic_load(job->hurry)) {
            break;
        }
        const struct archive_partition *p = l->state->partitions.entries[l->retire_turn++ % count].value;
        int64_t ms = -1;
        code = retention(k, p, &ms);
        if (code == 0 && ms >= 0) {
            code = look_at(k, p, ms);
        }
    }
    return code;
}

void archive_retire_free(struct archive_ledger *l)
{
    for (size_t i = 0; i < l->topic_ages.count; i++) {
        el_free(l->topic_ages.entries[i].value);
    }
    for (size_t i = 0; i < l->first_segments.count; i++) {
        el_free(l->first_segments.entries[i].value);
    }
    el_map_destroy(&l->topic_ages);
    el_map_destroy(&l->first_segments);
}
