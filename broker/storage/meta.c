/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes of the catalogue, one after the other on shard 0.
 *
 *   1. check the change against shard 0's copy
 *   2. append it to __evlog_meta and wait until it is durable: from here on it is done, whatever happens
 *   3. apply it on shard 0, then post it to every other shard; each applies it and answers
 *   4. when all have answered the caller is told, so that the next look at any shard shows it
 *
 * A change that finds no memory on a shard stops that shard: its copy would differ from the log.
 */
#include <storage/catalogue.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <stdio.h>

struct meta_message {
    struct io_message message;
    struct meta *meta;
    struct store_shard *shard;
};

struct meta {
    struct store *store;
    struct el_list queue;     /* struct topic_op.base.link */
    struct topic_op *current; /* NULL when idle */
    struct journal_wait wait;
    struct meta_message messages[EL_SHARD_COUNT_MAX];
    uint32_t answers_left;
    struct catalogue_change change; /* slices point into key and value */
    uint8_t owners[2 * EL_PARTITION_COUNT_MAX];
    uint8_t key[CATALOGUE_KEY_LEN];
    uint8_t value[CATALOGUE_VALUE_LEN_MAX];
    size_t value_len;
};

#define CATALOGUE_MEMORY_SHARE 4   /* of a shard's memory, at most a quarter */
#define PARTITION_MEMORY_LEN 2048u /* of a partition with its segments and map entries, or of a topic; rounded up */
EL_STATIC_ASSERT(sizeof(struct partition) + 4 * sizeof(struct segment) <= PARTITION_MEMORY_LEN, "what is charged");

static void meta_next(struct meta *meta);

int meta_create(struct store *store, struct el_error *err)
{
    struct meta *meta = el_calloc(1, sizeof(*meta));
    if (meta == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for the catalogue");
    }
    meta->store = store;
    el_list_init(&meta->queue);
    store->meta = meta;
    return 0;
}

void meta_free(struct store *store)
{
    el_free(store->meta);
    store->meta = NULL;
}

bool meta_idle(const struct store *store)
{
    return store->meta->current == NULL && el_list_empty(&store->meta->queue);
}

static void meta_finish(struct meta *meta, int error)
{
    struct topic_op *op = meta->current;
    EL_ASSERT(op != NULL); /* each change is answered once */
    EL_ASSERT(meta->answers_left == 0);
    meta->current = NULL;
    store_op_finish(&op->base, error);
    meta_next(meta);
}

/* --- after it is durable ------------------------------------------------------------------------------------------ */

static void change_apply(struct store_shard *shard, struct meta *meta)
{
    int code = catalogue_apply(shard, &meta->change, NULL);
    if (code != 0) {
        shard_fail(shard, "a change of topic %.*s cannot be applied (%s)", (int)meta->change.name.len,
                   (const char *)meta->change.name.data, evlog_error_text(code));
    }
}

static void change_on_answer(struct io_message *message)
{
    struct meta *meta = EL_CONTAINER(message, struct meta_message, message)->meta;
    EL_ASSERT(meta->answers_left > 0);
    if (--meta->answers_left == 0) {
        meta_finish(meta, 0);
    }
}

static void change_on_post(struct io_message *message)
{
    struct meta_message *m = EL_CONTAINER(message, struct meta_message, message);
    change_apply(m->shard, m->meta);
    m->message.run = change_on_answer;
    io_post(m->meta->store->shards[0].io, &m->message);
}

static void change_on_durable(struct journal_wait *wait, int error)
{
    struct meta *meta = EL_CONTAINER(wait, struct meta, wait);
    struct store *store = meta->store;
    EL_ASSERT(meta->current != NULL);
    if (error != 0) {
        meta_finish(meta, error);
        return;
    }
    int code = catalogue_decode(el_slice_of(meta->key, sizeof(meta->key)), el_slice_of(meta->value, meta->value_len),
                                &meta->change);
    EL_ASSERT(code == 0);
    change_apply(&store->shards[0], meta);
    meta->answers_left = store->shard_count - 1;
    for (uint32_t i = 1; i < store->shard_count; i++) {
        meta->messages[i] = (struct meta_message){
            .message = {.run = change_on_post}, .meta = meta, .shard = &store->shards[i]};
        io_post(store->shards[i].io, &meta->messages[i].message);
    }
    if (meta->answers_left == 0) {
        meta_finish(meta, 0);
    }
}

/* --- checks ------------------------------------------------------------------------------------------------------- */

static uint64_t partition_total(struct store_shard *shard)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < store_topic_count(shard); i++) {
        total += (uint64_t)store_topic_at(shard, i)->partition_count;
    }
    return total;
}

static void owners_fill(struct meta *meta, struct store_shard *shard, const struct topic *topic, int32_t count)
{
    uint64_t next = partition_total(shard);
    for (int32_t i = 0; i < count; i++) {
        bool kept = topic != NULL && i < topic->partition_count;
        el_put_le16(meta->owners + (size_t)i * 2, kept ? topic->shard_of[i] : catalogue_place(shard, next++));
    }
}

static int refuse(struct topic_op *op, int code, const char *text)
{
    snprintf(op->message, sizeof(op->message), "%.*s", (int)sizeof(op->message) - 1, text);
    return code;
}

/* May the catalogue take `added` more partitions? What it takes of a shard's memory stays taken, and a start needs as
 * much again, so it must be refused before it is durable. */
static int check_memory(struct store_shard *shard, struct topic_op *op, int32_t added)
{
    const struct store *store = shard->store;
    uint64_t memory = UINT64_MAX;
    EL_ASSERT(store->shard_count > 0);
    for (uint32_t i = 0; i < store->shard_count; i++) {
        memory = EL_MIN(memory, (uint64_t)store->shards[i].buddy->len);
    }
    uint64_t partitions = (partition_total(shard) + (uint64_t)added) / store->shard_count + 1;
    uint64_t topics = store_topic_count(shard) + shard->tombstones.count / 8 + 1;
    uint64_t room = memory / CATALOGUE_MEMORY_SHARE / PARTITION_MEMORY_LEN;
    if (partitions + topics <= room) {
        return 0;
    }
    snprintf(op->message, sizeof(op->message),
             "memory.max is too small for so many: a shard has room for %llu topics and partitions together",
             (unsigned long long)room);
    return EVLOG_ERR_POLICY;
}

/* Would appends wait for an archive that is none? `before` NULL: the topic is new. */
static int check_archive(struct store_shard *shard, struct topic_op *op, const struct topic_config *before)
{
    if (shard->tier != NULL || op->config == NULL || !topic_config_needs_archive(op->config, NULL) ||
        (before != NULL && topic_config_needs_archive(before, NULL))) {
        return 0;
    }
    return refuse(op, EVLOG_ERR_INVALID_CONFIG,
                  "evlog.durability=store and both wait for the archive, and this broker has none: start evlogd with "
                  "--archive, or leave the setting out");
}

static int check_create(struct meta *meta, struct store_shard *shard, struct topic_op *op)
{
    struct el_error err = {0};
    if (topic_name_check(op->name, &err) != 0) {
        return refuse(op, err.code, err.text);
    }
    const struct topic *there = catalogue_collision(shard, op->name);
    if (there != NULL && there->name_len == op->name.len && memcmp(there->name, op->name.data, op->name.len) == 0) {
        return refuse(op, EVLOG_ERR_TOPIC_EXISTS, "topic exists already");
    }
    if (there != NULL) {
        return refuse(op, EVLOG_ERR_INVALID_TOPIC,
                      "topic name collides with an existing one: '.' and '_' count as the same");
    }
    if (op->partition_count < 1 || op->partition_count > EL_PARTITION_COUNT_MAX) {
        return refuse(op, EVLOG_ERR_INVALID_PARTITIONS, "a topic has 1 to 10000 partitions");
    }
    if (op->config != NULL && topic_config_check_new(op->config, &err) != 0) {
        return refuse(op, err.code, err.text);
    }
    int code = check_archive(shard, op, NULL);
    code = code != 0 ? code : check_memory(shard, op, op->partition_count);
    if (code != 0) {
        return code;
    }
    do {
        io_random(shard->io, op->id.bytes, sizeof(op->id.bytes));
    } while (el_uuid_is_zero(&op->id) || store_topic_by_id(shard, &op->id) != NULL ||
             el_map_get(&shard->tombstones, &op->id, sizeof(op->id)) != NULL);
    owners_fill(meta, shard, NULL, op->partition_count);
    meta->change = (struct catalogue_change){CATALOGUE_PUT,       op->id,       op->internal, op->name,
                                             op->partition_count, meta->owners, {.set = {0}}};
    if (op->config != NULL) {
        meta->change.config = *op->config;
    }
    return 0;
}

static int check_existing(struct meta *meta, struct store_shard *shard, struct topic_op *op)
{
    struct el_error err = {0};
    const struct topic *topic = el_uuid_is_zero(&op->id) ? store_topic_by_name(shard, op->name)
                                                         : store_topic_by_id(shard, &op->id);
    if (topic == NULL) {
        return refuse(op, el_uuid_is_zero(&op->id) ? EVLOG_ERR_UNKNOWN_TOPIC : EVLOG_ERR_UNKNOWN_TOPIC_ID,
                      "no such topic");
    }
    if (el_uuid_eq(&topic->id, &META_TOPIC_ID)) {
        return refuse(op, EVLOG_ERR_POLICY, "the catalogue's own topic cannot be changed");
    }
    op->id = topic->id;
    meta->change = (struct catalogue_change){
        CATALOGUE_PUT,          topic->id,    topic->internal, el_slice_of(topic->name, topic->name_len),
        topic->partition_count, meta->owners, topic->config};
    switch (op->verb) {
    case TOPIC_DELETE:
        meta->change.verb = CATALOGUE_DELETE;
        meta->change.partition_count = 0;
        return 0;
    case TOPIC_GROW:
        if (op->partition_count <= topic->partition_count || op->partition_count > EL_PARTITION_COUNT_MAX) {
            snprintf(op->message, sizeof(op->message), "topic has %d partitions; it can only grow, to at most %d",
                     topic->partition_count, EL_PARTITION_COUNT_MAX);
            return EVLOG_ERR_INVALID_PARTITIONS;
        }
        if (topic_config_streams(&topic->config)) {
            return refuse(
                op, EVLOG_ERR_POLICY,
                "a topic with evlog.streams=true keeps its number of partitions, for another number would move "
                "keys away from their streams: make another topic and replay into it");
        }
        if (check_memory(shard, op, op->partition_count - topic->partition_count) != 0) {
            return EVLOG_ERR_POLICY;
        }
        meta->change.partition_count = op->partition_count;
        break;
    case TOPIC_ALTER:
        if (op->expected != NULL && !topic_config_equal(op->expected, &topic->config)) {
            return refuse(op, EVLOG_ERR_AGAIN, "the topic's settings were changed meanwhile");
        }
        if (op->config != NULL && topic_config_check_change(&topic->config, op->config, &err) != 0) {
            return refuse(op, err.code, err.text);
        }
        if (check_archive(shard, op, &topic->config) != 0) {
            return EVLOG_ERR_INVALID_CONFIG;
        }
        if (op->config != NULL) {
            meta->change.config = *op->config;
        }
        break;
    case TOPIC_CREATE:
        break;
    }
    owners_fill(meta, shard, topic, meta->change.partition_count);
    return 0;
}

static void change_begin(struct meta *meta, struct topic_op *op)
{
    struct store_shard *shard = &meta->store->shards[0];
    EL_ASSERT(meta->current == NULL);
    EL_ASSERT(meta->answers_left == 0);
    meta->current = op;
    int code = op->verb == TOPIC_CREATE ? check_create(meta, shard, op) : check_existing(meta, shard, op);
    if (code != 0 || op->validate_only) {
        meta_finish(meta, code);
        return;
    }
    meta->value_len = catalogue_encode(&meta->change, meta->key, meta->value);
    EL_ASSERT(meta->value_len <= sizeof(meta->value));
    struct el_record_body body = {.key = el_slice_of(meta->key, sizeof(meta->key)),
                                  .value = el_slice_of(meta->value, meta->value_len)};
    meta->wait.done = change_on_durable;
    code = shard_append_internal(partition_find(shard, &META_TOPIC_ID, META_PARTITION), &body, &meta->wait);
    if (code != 0) {
        meta_finish(meta, code);
    }
}

/* Begin the next change; a loop, for a refused one ends at once. */
static void meta_next(struct meta *meta)
{
    const struct store_shard *shard = &meta->store->shards[0];
    bool ends = shard->stopping || shard->tier_ends;
    bool holds = shard->tier_holds && !ends; /* what the archive has of the catalogue is not known yet */
    while (meta->current == NULL && !holds && !el_list_empty(&meta->queue)) {
        struct store_op *op = EL_CONTAINER(el_list_pop_front(&meta->queue), struct store_op, link);
        if (shard->tier_holds) {
            store_op_finish(op, EVLOG_ERR_CLOSED);
            continue;
        }
        change_begin(meta, EL_CONTAINER(op, struct topic_op, base));
    }
}

static void topic_change_run(struct store_op *base)
{
    struct meta *meta = base->owner->store->meta;
    if (base->owner->stopping || base->owner->failed) {
        store_op_finish(base, base->owner->failed ? EVLOG_ERR_STORAGE : EVLOG_ERR_CLOSED);
        return;
    }
    el_list_push_back(&meta->queue, &base->link);
    meta_next(meta);
}

void meta_retry(struct store *store)
{
    meta_next(store->meta);
}

void store_topic_change(struct store_shard *shard, struct topic_op *op)
{
    op->message[0] = 0;
    store_op_send(shard, &shard->store->shards[0], &op->base, topic_change_run);
}
