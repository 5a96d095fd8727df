/* SPDX-License-Identifier: Apache-2.0
 *
 * What operators and readers do in the archive mode.
 */
#include "archive_life.h"

#include <core/assert.h>
#include <stdio.h>
#include <stdlib.h>

/* --- operators ---------------------------------------------------------------------------------------------------- */

static bool flag;

static void on_op(struct store_op *op)
{
    (void)op;
    flag = true;
}

struct store_shard *arch_ask(struct archive_life *l, struct store_op *op)
{
    flag = false;
    op->done = on_op;
    return store_shard_at(l->w.store, 0);
}

int arch_told(struct archive_life *l, const struct store_op *op)
{
    return world_wait(&l->w, &flag) ? op->error : EVLOG_ERR_CRASHED;
}

static void set(struct topic_config *config, const char *name, const char *value)
{
    int code = topic_config_set(config, el_slice_str(name), el_slice_str(value), NULL);
    EL_ASSERT(code == 0);
}

bool arch_topic_make(struct archive_life *l, uint32_t index)
{
    static struct topic_op op;
    struct life_topic *t = &l->topics[index];
    struct topic_config config;
    char name[16];
    topic_config_init(&config);
    for (int32_t i = 0; i < PARTITIONS_MAX; i++) {
        free(t->parts[i].acked);
    }
    *t = (struct life_topic){.partition_count = 1 + (int32_t)world_below(&l->w, PARTITIONS_MAX),
                             .awaited = world_chance(&l->w, 300000)};
    if (t->awaited) {
        set(&config, "evlog.durability", world_chance(&l->w, 500000) ? "store" : "both");
    }
    t->compacted = sim_disk_fault(l->w.disk, FAULT_TOPIC_COMPACTED);
    if (t->compacted) {
        set(&config, "cleanup.policy", "compact");
        set(&config, "segment.bytes", "65536");
        set(&config, "segment.ms", "10000");
        set(&config, "min.cleanable.dirty.ratio", "0");
        set(&config, "max.compaction.lag.ms", "2000");
    }
    if (!t->compacted && sim_disk_fault(l->w.disk, FAULT_LOCAL_LEAVES)) {
        set(&config, "segment.bytes", "65536");
        set(&config, "segment.ms", "10000");
        set(&config, "local.retention.bytes", world_chance(&l->w, 500000) ? "0" : "40000");
    }
    t->retention_bytes = -1;
    if (!t->compacted && world_chance(&l->w, 400000)) {
        set(&config, "segment.bytes", "65536");
        set(&config, "retention.bytes", "100000");
        t->retention_bytes = 100000;
    }
    t->retention_ms = -1;
    if (sim_disk_fault(l->w.disk, FAULT_TOPIC_AGES)) {
        char ms[24];
        t->retention_ms = (int64_t)world_below(&l->w, 60000);
        snprintf(ms, sizeof ms, "%lld", (long long)t->retention_ms);
        set(&config, "evlog.archive.retention.ms", ms);
    }
    snprintf(name, sizeof name, "t%llu", (unsigned long long)++l->names);
    op = (struct topic_op){
        .verb = TOPIC_CREATE, .name = el_slice_str(name), .partition_count = t->partition_count, .config = &config};
    store_topic_change(arch_ask(l, &op.base), &op);
    int code = arch_told(l, &op.base);
    t->id = op.id;
    t->there = code == 0;
    return code != EVLOG_ERR_CRASHED;
}

bool arch_topic_delete(struct archive_life *l, uint32_t index)
{
    static struct topic_op op;
    struct life_topic *t = &l->topics[index];
    if (!t->there) {
        return true;
    }
    t->there = false;
    op = (struct topic_op){.verb = TOPIC_DELETE, .id = t->id};
    store_topic_change(arch_ask(l, &op.base), &op);
    return arch_told(l, &op.base) != EVLOG_ERR_CRASHED;
}

/* offset -1: all that is shown */
static bool trim_to(struct archive_life *l, struct life_topic *t, int32_t partition, int64_t offset)
{
    static struct trim_op op;
    struct life_part *p = &t->parts[partition];
    op = (struct trim_op){.topic_id = t->id, .partition = partition, .offset = offset};
    p->trimmed = offset < 0 ? INT64_MAX : EL_MAX(p->trimmed, offset); /* also when nobody is told of it */
    store_trim(arch_ask(l, &op.base), &op);
    int code = arch_told(l, &op.base);
    if (code == 0 && p->trimmed == INT64_MAX) {
        p->trimmed = op.log_start_offset;
    }
    return code != EVLOG_ERR_CRASHED;
}

bool arch_trim(struct archive_life *l, uint32_t index)
{
    struct life_topic *t = &l->topics[index];
    if (!t->there) {
        return true;
    }
    int32_t partition = (int32_t)world_below(&l->w, (uint64_t)t->partition_count);
    const struct life_part *p = &t->parts[partition];
    int64_t offset = -1;
    if (p->acked_count > 0 && world_chance(&l->w, 800000)) {
        offset = p->acked[world_below(&l->w, p->acked_count)].offset;
    }
    return trim_to(l, t, partition, offset);
}

bool arch_trim_whole(struct archive_life *l)
{
    bool whole = true;
    for (uint32_t i = 0; i < TOPICS_MAX; i++) {
        struct life_topic *t = &l->topics[i];
        for (int32_t k = 0; k < t->partition_count && t->there && whole; k++) {
            whole = !world_chance(&l->w, 500000) || trim_to(l, t, k, -1);
        }
    }
    return whole;
}

bool arch_topic_grow(struct archive_life *l, uint32_t index)
{
    static struct topic_op op;
    struct life_topic *t = &l->topics[index];
    if (t->partition_count == PARTITIONS_MAX) {
        return true;
    }
    op = (struct topic_op){.verb = TOPIC_GROW, .id = t->id, .partition_count = t->partition_count + 1};
    store_topic_change(arch_ask(l, &op.base), &op);
    int code = arch_told(l, &op.base);
    if (code == 0 || code == EVLOG_ERR_INVALID_PARTITIONS) { /* or it was, and nobody was told */
        t->partition_count++;
    }
    return code != EVLOG_ERR_CRASHED;
}

/* --- readers ------------------------------------------------------------------------------------------------------ */

struct reading {
    struct archive_life *l;
    const struct life_topic *t;
    int32_t partition;
    int64_t newest[LIFE_KEYS]; /* offset at which a key was seen last, -1 none */
    int64_t len;               /* bytes that were read */
};

/* Of a batch that holds one record, as clients make it: length, attributes, two deltas of 0, the key's length. */
static uint32_t record_key(const uint8_t *batch, size_t len)
{
    size_t pos = EL_BATCH_HEADER_LEN;
    while (pos < len && (batch[pos] & 0x80) != 0) {
        pos++;
    }
    pos += 5;
    return pos < len ? (uint32_t)(batch[pos] - 'a') : LIFE_KEYS;
}

/* Batches from `from` on, up to `next`: each as it was acknowledged, and none missing. */
static void read_check(struct reading *r, const struct read_op *op, int64_t from)
{
    const struct life_part *p = &r->t->parts[r->partition];
    int64_t retired = bucket_retired(r->l->bucket, &r->t->id, r->partition)->end_offset;
    for (uint32_t i = 0; i < p->acked_count; i++) {
        const struct acked *a = &p->acked[i];
        const uint8_t *batch = NULL;
        for (uint32_t k = 0; k < op->entry_count && batch == NULL; k++) {
            const uint8_t *at = op->data + op->entries[k].pos;
            batch = el_batch_base_offset(at) == a->offset ? at : NULL;
        }
        bool due = a->offset >= EL_MAX(from, op->log_start_offset) && a->offset < op->next_offset;
        struct el_redaction_mark mark;
        if (arch_is_gone(p, a->offset, a->offset + a->count) &&
            (batch == NULL || el_redaction_mark_get(batch, (size_t)el_batch_total_len(batch), &mark))) {
            continue;
        }
        if (batch == NULL && due && !r->t->compacted && a->offset + a->count > EL_MAX(p->trimmed, retired)) {
            world_violation(&r->l->w, "a read from offset %lld to %lld of partition %d does not have %lld",
                            (long long)from, (long long)op->next_offset, r->partition, (long long)a->offset);
        }
        if (batch != NULL && !r->t->compacted && el_get_be32(batch + EL_BATCH_POS_CRC) != a->crc) {
            world_violation(&r->l->w, "a read of offset %lld of partition %d gives another batch than was acknowledged",
                            (long long)a->offset, r->partition);
        }
    }
    for (uint32_t k = 0; k < op->entry_count && r->t->compacted; k++) {
        const uint8_t *at = op->data + op->entries[k].pos;
        uint32_t key = record_key(at, op->entries[k].len);
        if (key < LIFE_KEYS) {
            r->newest[key] = EL_MAX(r->newest[key], el_batch_base_offset(at));
        }
    }
}

static int read_once(struct reading *r, int64_t offset, uint32_t max_bytes, int64_t *next)
{
    static struct read_op op;
    op = (struct read_op){.topic_id = r->t->id,
                          .partition = r->partition,
                          .offset = offset,
                          .max_bytes = max_bytes,
                          .at_least_one = true,
                          .want_entries = true,
                          .current_leader_epoch = -1,
                          .last_fetched_epoch = -1};
    store_read(arch_ask(r->l, &op.base), &op);
    int code = arch_told(r->l, &op.base);
    *next = op.next_offset;
    if (code == EVLOG_ERR_OFFSET_RANGE && offset >= op.log_start_offset && offset <= op.high_watermark) {
        world_violation(&r->l->w, "offset %lld of partition %d is said to be outside of a log from %lld to %lld",
                        (long long)offset, r->partition, (long long)op.log_start_offset, (long long)op.high_watermark);
    }
    if (code == 0) {
        r->len += op.data_len;
        if (op.entry_count > 0) {
            read_check(r, &op, offset);
        } else {
            *next = offset;
        }
        store_read_release(&op);
    }
    return code;
}

bool arch_read(struct archive_life *l, uint32_t index)
{
    struct life_topic *t = &l->topics[index];
    int64_t next;
    if (!t->there) {
        return true;
    }
    struct reading r = {.l = l, .t = t, .partition = (int32_t)world_below(&l->w, (uint64_t)t->partition_count)};
    const struct life_part *p = &t->parts[r.partition];
    int64_t from = p->acked_count == 0 ? 0 : p->acked[world_below(&l->w, p->acked_count)].offset;
    return read_once(&r, from, 1u << world_below(&l->w, 21), &next) != EVLOG_ERR_CRASHED;
}

/* All records have one time: the first that is served is the one that is found. */
static bool lookup(struct archive_life *l, const struct life_topic *t, int32_t partition, int64_t timestamp)
{
    static struct lookup_op op;
    const struct life_part *p = &t->parts[partition];
    int64_t before = arch_log_start(l, t, partition);
    uint32_t acked_before = p->acked_count; /* what is acknowledged while it is looked for may be missed */
    op = (struct lookup_op){
        .topic_id = t->id, .partition = partition, .timestamp = timestamp, .current_leader_epoch = -1};
    store_lookup(arch_ask(l, &op.base), &op);
    int code = arch_told(l, &op.base);
    int64_t after = code == 0 ? arch_log_start(l, t, partition) : -1;
    if (code != 0 || before < 0 || after < 0) {
        return code != EVLOG_ERR_CRASHED && !sim_disk_crashed(l->w.disk);
    }
    after = EL_MAX(after, bucket_retired(l->bucket, &t->id, partition)->end_offset); /* the log start follows */
    for (uint32_t i = 0; i < acked_before; i++) {
        bool gone = arch_is_gone(p, p->acked[i].offset, p->acked[i].offset + p->acked[i].count);
        if (!gone && p->acked[i].offset >= after && (op.offset < 0 || op.offset > p->acked[i].offset)) {
            world_violation(
                &l->w, "time %lld is found at offset %lld of partition %d, which begins at %lld and has %lld",
                (long long)timestamp, (long long)op.offset, partition, (long long)after, (long long)p->acked[i].offset);
        }
    }
    if (op.offset >= 0 && op.offset < before) {
        world_violation(&l->w, "a time is found at offset %lld of partition %d, which begins at %lld",
                        (long long)op.offset, partition, (long long)before);
    }
    return l->w.violation[0] == 0;
}

bool arch_lookup(struct archive_life *l, uint32_t index)
{
    const struct life_topic *t = &l->topics[index];
    if (!t->there || t->compacted) {
        return true;
    }
    int32_t partition = (int32_t)world_below(&l->w, (uint64_t)t->partition_count);
    return lookup(l, t, partition, world_chance(&l->w, 500000) ? -3 : 1000);
}

#define READ_TRIES_MAX 2000

int64_t arch_log_start(struct archive_life *l, const struct life_topic *t, int32_t partition)
{
    static struct stat_op op;
    op = (struct stat_op){.topic_id = t->id, .partition = partition};
    store_stat(arch_ask(l, &op.base), &op);
    return arch_told(l, &op.base) == 0 ? op.log_start_offset : -1;
}

static int64_t log_start(struct reading *r)
{
    return arch_log_start(r->l, r->t, r->partition);
}

/* Is all that was acknowledged between two offsets redacted? A log that was restored begins behind that. */
static bool is_all_redacted(const struct life_part *p, int64_t from, int64_t end)
{
    bool redacted = p->gone_count > 0;
    for (uint32_t i = 0; i < p->acked_count; i++) {
        const struct acked *a = &p->acked[i];
        redacted = redacted &&
                   (a->offset < from || a->offset >= end || arch_is_gone(p, a->offset, a->offset + a->count));
    }
    return redacted;
}

/* May the log begin behind what was there, but for retention.bytes? */
static bool start_is_due(const struct reading *r, int64_t start)
{
    const struct life_part *p = &r->t->parts[r->partition];
    int64_t from = EL_MAX(p->trimmed, bucket_retired(r->l->bucket, &r->t->id, r->partition)->end_offset);
    return start <= from || is_all_redacted(p, from, start);
}

#define LEAST_SHARE 8 /* of segments, in bytes of their batches: a chunk is whole blocks, however little it holds */

/* All of the log was read. It begins where somebody wanted it to, or leaves what retention.bytes keeps. */
static void start_check(struct reading *r, int64_t start)
{
    bool kept = r->t->retention_bytes >= 0 && r->len >= r->t->retention_bytes / LEAST_SHARE;
    bool redacted = r->t->retention_bytes >= 0 && r->t->parts[r->partition].gone_count > 0; /* that counts as well */
    if (r->l->w.violation[0] == 0 && !start_is_due(r, start) && !kept && !redacted) {
        world_violation(&r->l->w, "partition %d begins at offset %lld, with %lld bytes, and nobody wanted that",
                        r->partition, (long long)start, (long long)r->len);
    }
}

static void read_whole(struct reading *r)
{
    const struct life_part *p = &r->t->parts[r->partition];
    int64_t at = log_start(r), next, newest[LIFE_KEYS];
    int64_t start = at;
    memset(r->newest, -1, sizeof r->newest);
    memset(newest, -1, sizeof newest);
    for (int tries = 0;;) {
        int code = read_once(r, at, 100000, &next);
        if (r->l->w.violation[0] != 0 || (code == 0 && next == at)) {
            break;
        }
        if (code == 0) {
            at = next;
            tries = 0;
        } else if (code == EVLOG_ERR_OFFSET_RANGE && at < log_start(r)) {
            at = start = log_start(r);
            r->len = 0;
        } else if (code == EVLOG_ERR_CRASHED || tries++ == READ_TRIES_MAX) {
            world_violation(&r->l->w, "offset %lld of partition %d cannot be read: %s", (long long)at, r->partition,
                            evlog_error_text(code));
            return;
        }
    }
    start_check(r, start);
    for (uint32_t i = 0; i < p->acked_count && r->t->compacted; i++) {
        newest[p->acked[i].key] = EL_MAX(newest[p->acked[i].key], p->acked[i].offset);
    }
    for (uint32_t k = 0; k < LIFE_KEYS; k++) { /* what nobody was told of may be newer: then the key is seen there */
        if (newest[k] >= p->trimmed && r->newest[k] < newest[k] && r->l->w.violation[0] == 0 && at <= newest[k]) {
            world_violation(&r->l->w, "the newest event of a key, at offset %lld of partition %d, is gone",
                            (long long)newest[k], r->partition);
        }
    }
}

void arch_read_all(struct archive_life *l)
{
    for (uint32_t i = 0; i < TOPICS_MAX; i++) {
        for (int32_t k = 0; k < l->topics[i].partition_count && l->topics[i].there; k++) {
            struct reading r = {.l = l, .t = &l->topics[i], .partition = k};
            if (l->w.violation[0] == 0) {
                read_whole(&r);
            }
            if (l->w.violation[0] == 0 && !r.t->compacted && lookup(l, r.t, k, 1000)) {
                (void)lookup(l, r.t, k, -3);
            }
        }
    }
}

/* The partition, as the shard that owns it sees it. returns false: it is not there */
static bool tier_of(struct archive_life *l, const struct life_topic *t, int32_t partition, struct tier_view *view)
{
    for (uint32_t i = 0; i < l->w.shard_count; i++) {
        struct partition *part = store_tier_find(store_shard_at(l->w.store, i), &t->id, partition);
        if (part != NULL) {
            store_tier_view(part, view);
            return true;
        }
    }
    return false;
}

/* Its log start may move while it is read, by retention. */
static void read_left(struct reading *r, struct tier_view *view)
{
    struct world *w = &r->l->w;
    int64_t next = 0, start = view->log_start;
    int code = EVLOG_ERR_AGAIN;
    for (int tries = 0; tries < READ_TRIES_MAX && view->local_start > start && w->violation[0] == 0; tries++) {
        code = read_once(r, start, 100000, &next);
        if (code == 0) {
            world_say(w, "what has left the disk is read", (long long)start, (long long)next);
            return;
        }
        bool there = tier_of(r->l, r->t, r->partition, view);
        EL_ASSERT(there);
        if (view->log_start > start && r->t->retention_bytes < 0 && !start_is_due(r, view->log_start)) {
            world_violation(w, "partition %d begins at offset %lld, and at %lld before, and nobody wanted that",
                            r->partition, (long long)view->log_start, (long long)start);
        }
        start = view->log_start;
    }
    if (view->local_start > start) {
        world_violation(w, "offset %lld of partition %d, which has left the disk, cannot be read: %s", (long long)start,
                        r->partition, evlog_error_text(code));
    }
}

void arch_read_left(struct archive_life *l)
{
    for (uint32_t i = 0; i < TOPICS_MAX; i++) {
        for (int32_t k = 0; k < l->topics[i].partition_count && l->topics[i].there; k++) {
            struct reading r = {.l = l, .t = &l->topics[i], .partition = k};
            struct tier_view view;
            if (l->w.violation[0] == 0 && tier_of(l, r.t, k, &view) && view.local_start > view.log_start) {
                read_left(&r, &view);
            }
        }
    }
}

/* --- rounds ------------------------------------------------------------------------------------------------------- */

static void on_ask(struct archive_ask *ask)
{
    flag = true;
}

bool arch_now(struct archive_life *l, bool wait, bool seal, int *code)
{
    static struct archive_ask question;
    question = (struct archive_ask){.done = on_ask, .now = true, .wait = wait, .seal = seal};
    flag = false;
    archive_ask(archive_shard(l->archive, (uint32_t)world_below(&l->w, l->w.shard_count)), &question);
    bool answered = world_wait(&l->w, &flag);
    *code = question.error;
    l->sweeps = question.sweeps;
    if (answered && question.phase == ARCHIVE_STOPPED) {
        world_violation(&l->w, "archiving has ended for good: %s", question.text);
    }
    return answered;
}
