/* SPDX-License-Identifier: Apache-2.0
 *
 * Log compaction, on the shard. docs/internals/compaction.md has the plan, decision 0009 the reasons.
 *
 *   1. compact_look() chooses the partition with the largest share of dirty bytes among those that are due. Only sealed
 *      segments take part, and no append waits for any of this
 *   2. jobs remember the keys of the dirty part, until all is read or the map is full
 *   3. the segments from the first to the last that was remembered are rewritten in groups of segment.bytes: jobs write
 *      one new segment for a group, and make file and name durable
 *   4. the new segment takes the place of its group, in memory at once, on disk with the next checkpoint. Batches of
 *      the group that are still in the tail go: they would show what the files no longer hold
 *   5. after the last group everything below the end of the map is clean
 *
 * A pass that ends early leaves the groups it has replaced: each says no less than before, for what went from it is
 * superseded by what is still there. A full disk, lack of memory or descriptors: the pass is given up and tried again
 * at the next interval. What cannot be read: no more passes over the partition by this start. An error of writing or
 * syncing stops the shard.
 */
#include <storage/compact.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <core/logger.h>
#include <inttypes.h>
#include <storage/compact_job.h>
#include <storage/upkeep.h>

#define MAP_LEN_MIN (64u << 10) /* when memory is tight a pass takes less than configured, but not less than this */
#define MAP_SHARE 16u           /* of a shard's memory, when nothing is configured */
#define MAP_BYTES_PER_BYTE 2u /* of what is dirty: room for a key in each 16 bytes, and packed batches may have more */

struct compaction {
    struct store_shard *shard;
    struct partition *part; /* pinned, and so are the inputs */
    struct io_op op;
    struct compact_work work;
    uint32_t input_count;     /* pinned: work.input_count may be less */
    uint32_t group_begin;     /* first input of the group under way */
    struct segment *out;      /* the group's new segment, in no list yet; NULL between groups */
    uint32_t segments_before; /* of the groups that were replaced, and what they are now */
    uint32_t segments_after;
    uint64_t bytes_before;
    uint64_t bytes_after;
    bool whole; /* the keys of dirty segments were remembered; else tombstones go, and nothing else */
    struct compact_redaction *redaction; /* what is redacted and nothing else; NULL: another pass */
    int error;                           /* why it was given up */
    struct compact_input inputs[];
};

/* --- settings ----------------------------------------------------------------------------------------------------- */

static int64_t setting(const struct partition *part, enum topic_setting_id id)
{
    return topic_config_int(&part->topic->config, &part->shard->topic_defaults, id);
}

bool compact_wanted(const struct partition *part)
{
    return !part->observed && setting(part, TOPIC_CLEANUP_POLICY) != TOPIC_CLEANUP_DELETE;
}

bool compact_deletes(const struct partition *part)
{
    return part->observed || setting(part, TOPIC_CLEANUP_POLICY) != TOPIC_CLEANUP_COMPACT;
}

/* Is a time ms milliseconds or more ago? */
static bool is_past(uint64_t then_ns, int64_t ms, uint64_t now_ns)
{
    return now_ns >= then_ns && (now_ns - then_ns) / 1000000 >= (uint64_t)ms;
}

void compact_roll(struct partition *part, uint64_t now_ns)
{
    if (!compact_wanted(part)) {
        return;
    }
    int64_t ms = EL_MIN(setting(part, TOPIC_SEGMENT_MS), setting(part, TOPIC_MAX_COMPACTION_LAG_MS));
    if (part->pending != NULL && is_past(part->pending->append_time_ns, ms, now_ns)) {
        int code;
        do {
            code = segment_write_chunk(part, UINT64_MAX);
        } while (code > 0);
    }
    segment_roll_older(part, now_ns, (uint64_t)ms);
}

/* --- what is due -------------------------------------------------------------------------------------------------- */

struct candidate {
    struct partition *part;
    uint32_t count;       /* segments that take part, from the first on */
    uint64_t clean_bytes; /* of those that compaction has covered */
    uint64_t dirty_bytes;
    bool tombstones; /* some may go */
    bool must;       /* max.compaction.lag.ms is over */
};

static bool tombstones_due(const struct partition *part, const struct segment *seg, uint64_t now_ns)
{
    return seg->tombstones_s != 0 &&
           is_past((uint64_t)seg->tombstones_s * 1000000000u, setting(part, TOPIC_DELETE_RETENTION_MS), now_ns);
}

static struct candidate candidate_of(struct partition *part, uint64_t now_ns)
{
    struct candidate c = {.part = part};
    int64_t lag_min = setting(part, TOPIC_MIN_COMPACTION_LAG_MS), lag_max = setting(part, TOPIC_MAX_COMPACTION_LAG_MS);
    int64_t floor = tier_floor(part); /* the archive has the events as they were appended */
    EL_LIST_EACH(n, &part->segments) {
        const struct segment *seg = EL_CONTAINER(n, struct segment, link);
        bool dirty = seg->end_offset > part->clean_end;
        if (seg->removed) {
            continue; /* they are the first, and leave with the checkpoint under way */
        }
        if (!seg->sealed || seg->end_offset > floor || (dirty && !is_past(seg->last_append_ns, lag_min, now_ns))) {
            break;
        }
        c.must = c.must || (dirty && is_past(seg->first_append_ns, lag_max, now_ns));
        c.tombstones = c.tombstones || tombstones_due(part, seg, now_ns);
        c.dirty_bytes += dirty ? seg->len : 0;
        c.clean_bytes += dirty ? 0 : seg->len;
        c.count++;
    }
    return c;
}

/* Millionths of the bytes that are dirty. */
static int64_t dirty_share(const struct candidate *c)
{
    uint64_t total = c->dirty_bytes + c->clean_bytes;
    return total == 0 ? 0 : (int64_t)((double)c->dirty_bytes * 1e6 / (double)total);
}

/* 0: not due; else how urgent it is. */
static int64_t urgency(const struct candidate *c)
{
    int64_t share = dirty_share(c);
    if (c->dirty_bytes > 0 && c->must) {
        return 2000000 + share;
    }
    if (c->dirty_bytes > 0 && share >= setting(c->part, TOPIC_MIN_CLEANABLE_DIRTY_RATIO)) {
        return 2 + share;
    }
    return c->tombstones ? 1 : 0;
}

static bool choose(struct store_shard *shard, struct candidate *chosen)
{
    uint64_t now_ns = el_clock_now(store_clock(shard->store));
    int64_t best = 0, dirtiest = 0;
    for (size_t i = 0; i < shard->partitions.count; i++) {
        struct partition *part = shard->partitions.entries[i].value;
        if (!compact_wanted(part) || tier_has_more(part)) { /* a tombstone must not go before what it hides is here */
            continue;
        }
        struct candidate c = candidate_of(part, now_ns);
        dirtiest = EL_MAX(dirtiest, dirty_share(&c));
        if (!part->unclean && urgency(&c) > best) {
            best = urgency(&c);
            *chosen = c;
        }
    }
    metrics_set(shard->metrics, METRIC_COMPACTION_DIRTY_PERCENT, dirtiest / 10000);
    return best > 0;
}

/* --- the end of a pass -------------------------------------------------------------------------------------------- */

static void compaction_free(struct compaction *c)
{
    struct store_shard *shard = c->shard;
    el_buddy_free(shard->buddy, c->work.rules.map.places);
    segment_out_give(shard, &c->work.out);
    if (c->out != NULL) {
        segment_destroy(shard, c->out);
    }
    shard->compaction = NULL;
    el_buddy_free(shard->buddy, c);
}

static void compaction_end(struct compaction *c)
{
    struct partition *part = c->part;
    struct metrics *metrics = c->shard->metrics;
    struct compact_redaction *redaction = c->redaction;
    int error = c->error;
    for (uint32_t i = 0; i < c->input_count; i++) {
        if (c->inputs[i].seg != NULL) {
            EL_ASSERT(c->inputs[i].seg->pins > 0);
            c->inputs[i].seg->pins--;
        }
    }
    metrics_add(metrics, METRIC_COMPACTION_READ_BYTES, c->work.read_bytes);
    metrics_add(metrics, METRIC_COMPACTION_WRITTEN_BYTES, c->work.out.written_bytes);
    metrics_add(metrics, METRIC_COMPACTION_DROPPED, c->work.dropped_records);
    compaction_free(c);
    if (redaction != NULL) {
        redaction->ended(redaction, error);
    }
    partition_unpin(part);
}

void compact_free(struct store_shard *shard)
{
    struct compaction *c = shard->compaction;
    if (c != NULL) { /* in the middle of a pass */
        compact_work_drop(shard->store->disk, &c->work);
        compaction_free(c);
    }
}

static void job_start(struct compaction *c, io_job_fn job, io_done_fn done)
{
    struct store_shard *shard = c->shard;
    EL_ASSERT(shard->compaction == c);
    c->work.rules.now_ns = el_clock_now(store_clock(shard->store));
    c->op.done = done;
    c->op.arg = c;
    shard->jobs++;
    io_job(shard->io, &c->op, IO_JOB_COMPUTE, job, &c->work);
}

static void close_on_done(struct io_op *op)
{
    struct compaction *c = op->arg;
    c->shard->jobs--;
    compaction_end(c);
}

static void give_up(struct compaction *c)
{
    job_start(c, compact_job_close, close_on_done);
}

/* A job is over. returns true when the pass goes on */
static bool job_went_well(struct compaction *c)
{
    struct store_shard *shard = c->shard;
    struct partition *part = c->part;
    int64_t code = c->op.result;
    EL_ASSERT(shard->jobs > 0);
    shard->jobs--;
    if (code < 0 && c->work.out.disk_failed && !part->deleted) {
        shard_fail(shard, "compacting partition %d failed (%s)", part->key.partition, evlog_error_text((int)code));
    } else if (code < 0 && !part->deleted && !shard->failed && c->redaction == NULL) {
        part->unclean = code != EVLOG_ERR_NO_SPACE && code != EVLOG_ERR_NO_FILES && code != EVLOG_ERR_NO_MEMORY &&
                        code != EVLOG_ERR_IO;
        el_log(EL_LOG_WARN, "storage", "topic %s partition %d is not compacted%s: %s", part->topic->name,
               part->key.partition, part->unclean ? " until the next start" : " now", evlog_error_text((int)code));
    }
    if (code < 0 || part->deleted || shard->failed || shard->stopping) {
        c->error = code < 0 ? (int)code : EVLOG_ERR_CLOSED;
        give_up(c);
        return false;
    }
    return true;
}

/* --- groups ------------------------------------------------------------------------------------------------------- */

static void group_begin(struct compaction *c);

static void pass_done(struct compaction *c)
{
    struct store_shard *shard = c->shard;
    struct partition *part = c->part;
    const struct compact_work *work = &c->work;
    if (c->whole) {
        EL_ASSERT(work->rules.map_end > part->clean_end);
        part->clean_end = work->rules.map_end;
        partition_mark_dirty(part);
    }
    if (c->redaction != NULL) {
        compact_work_drop(shard->store->disk, &c->work);
        compaction_end(c);
        return;
    }
    metrics_add(shard->metrics, METRIC_COMPACTIONS, 1);
    el_log(work->dropped_records > 0 ? EL_LOG_INFO : EL_LOG_DEBUG, "storage",
           "topic %s partition %d: compacted below offset %" PRId64 ": %u segments to %u, %" PRIu64 " KiB to %" PRIu64
           " KiB, %" PRIu64 " events left out",
           part->topic->name, part->key.partition, part->clean_end, c->segments_before, c->segments_after,
           c->bytes_before >> 10, c->bytes_after >> 10, work->dropped_records);
    compact_work_drop(shard->store->disk, &c->work);
    compaction_end(c);
    compact_look(shard);
}

/* What is in memory of the group would show events that its file no longer has. */
static void drop_entries(struct partition *part, int64_t end)
{
    EL_LIST_EACH_SAFE(n, tmp, &part->entries) {
        struct batch_entry *e = EL_CONTAINER(n, struct batch_entry, link);
        if (batch_entry_next(e) > end) {
            break;
        }
        EL_ASSERT(e->in_segment);
        EL_ASSERT(e != part->pending);
        el_list_remove(&e->link);
        tail_drop(&part->shard->tail, e);
    }
}

static void group_replace(struct compaction *c)
{
    struct partition *part = c->part;
    struct compact_work *work = &c->work;
    struct segment *seg = c->out;
    const struct compact_input *last = &c->inputs[work->group_end - 1];
    uint32_t tombstones_s = 0;
    EL_ASSERT(c->group_begin < work->group_end);
    EL_ASSERT(work->group_end <= work->input_count);
    EL_ASSERT(seg->base_offset == c->inputs[c->group_begin].base_offset);
    EL_ASSERT(work->out.len >= EL_SEGMENT_HEADER_LEN);
    for (uint32_t i = c->group_begin; i < work->group_end; i++) {
        struct segment *old = c->inputs[i].seg;
        tombstones_s = old->tombstones_s;
        EL_ASSERT(!old->removed);
        EL_ASSERT(old->part == part);
        EL_ASSERT(part->segment_bytes >= old->len);
        EL_ASSERT(old->len == c->inputs[i].written_len); /* nothing was added since it was read */
        EL_ASSERT(old->end_offset == c->inputs[i].end_offset);
        EL_ASSERT(old->pins > 0);
        part->segment_bytes -= old->len;
        old->removed = true;
        old->pins--;
        c->inputs[i].seg = NULL;
        c->segments_before++;
        c->bytes_before += old->len;
        el_list_remove(&old->link);
        el_list_push_back(&part->replaced, &old->link);
    }
    seg->end_offset = seg->written_end = last->end_offset;
    seg->len = seg->written_len = work->out.len;
    seg->max_timestamp_ms = work->out.max_timestamp_ms;
    bool empty = work->out.first_append_ns == 0;
    seg->first_append_ns = empty ? last->last_append_ns : work->out.first_append_ns;
    seg->last_append_ns = empty ? last->last_append_ns : work->out.last_append_ns;
    seg->tombstones_s = c->redaction == NULL ? work->out.tombstones_s : tombstones_s;
    seg->created_ns = work->rules.now_ns;
    seg->exists = seg->trimmed = seg->name_durable = true;
    seg->sealed = seg->rolled = seg->dirty = true;
    seg->compacted = c->redaction == NULL || last->compacted;
    segment_insert(part, seg);
    part->segment_bytes += seg->len;
    c->segments_after++;
    c->bytes_after += seg->len;
    c->out = NULL;
    drop_entries(part, seg->end_offset);
}

static void write_on_done(struct io_op *op)
{
    struct compaction *c = op->arg;
    struct store_shard *shard = c->shard;
    if (!job_went_well(c)) {
        return;
    }
    if (op->result == COMPACT_MORE) {
        job_start(c, compact_job_write, write_on_done);
        return;
    }
    EL_ASSERT(c->work.input == c->work.group_end); /* all of the group was read */
    group_replace(c);
    c->work.out.made = false;   /* it is the partition's now */
    if (c->redaction != NULL) { /* a pass that ends before does it again */
        c->redaction->batch_count += c->work.redacted_batches;
        c->work.redacted_batches = 0;
    }
    partition_mark_dirty(c->part);
    shard->checkpoint.wanted = true; /* two of them, and the old files go */
    group_begin(c);
}

/* A pass for tombstones alone, or one that redacts, rewrites segments each by itself. */
static uint32_t group_end_of(const struct compaction *c, uint32_t begin)
{
    uint64_t bytes_max = (uint64_t)setting(c->part, TOPIC_SEGMENT_BYTES), bytes = 0;
    uint32_t end = begin;
    EL_ASSERT(begin < c->work.input_count);
    do {
        bytes += c->inputs[end++].written_len;
    } while (c->whole && end < c->work.input_count && bytes + c->inputs[end].written_len <= bytes_max);
    return end;
}

static void group_begin(struct compaction *c)
{
    struct partition *part = c->part;
    struct compact_work *work = &c->work;
    while (!c->whole && c->redaction == NULL && work->input < work->input_count &&
           !tombstones_due(part, c->inputs[work->input].seg, work->rules.now_ns)) {
        work->input++;
    }
    if (work->input == work->input_count) {
        pass_done(c);
        return;
    }
    c->group_begin = work->input;
    EL_ASSERT(c->out == NULL);
    work->group_end = group_end_of(c, work->input);
    c->out = segment_new(part, part->next_segment_id, c->inputs[c->group_begin].base_offset);
    if (c->out == NULL) {
        c->error = EVLOG_ERR_NO_MEMORY;
        give_up(c);
        return;
    }
    part->next_segment_id++;
    partition_mark_dirty(part);
    segment_out_begin(&work->out, c->out);
    job_start(c, compact_job_write, write_on_done);
}

/* --- keys --------------------------------------------------------------------------------------------------------- */

static void map_on_done(struct io_op *op)
{
    struct compaction *c = op->arg;
    struct compact_work *work = &c->work;
    if (!job_went_well(c)) {
        return;
    }
    if (op->result == COMPACT_MORE) {
        job_start(c, compact_job_map, map_on_done);
        return;
    }
    EL_ASSERT(work->rules.map_end > work->map_from);
    work->input = 0;
    while (work->input_count > 0 && c->inputs[work->input_count - 1].base_offset >= work->rules.map_end) {
        work->input_count--; /* of their keys none is known */
    }
    group_begin(c);
}

/* --- the beginning ------------------------------------------------------------------------------------------------ */

/* As much as is configured, less for a partition that cannot have so many keys. */
static size_t map_len(const struct store_shard *shard, uint64_t dirty_bytes)
{
    uint64_t configured = shard->store->cfg.compact_map_len;
    uint64_t most = configured > 0 ? configured : shard->buddy->len / MAP_SHARE;
    uint64_t useful = EL_MAX(dirty_bytes * MAP_BYTES_PER_BYTE, (uint64_t)MAP_LEN_MIN);
    return (size_t)EL_MAX(EL_MIN(most, useful), (uint64_t)COMPACT_MAP_LEN_MIN);
}

static bool buffers_take(struct compaction *c, uint64_t dirty_bytes)
{
    struct store_shard *shard = c->shard;
    size_t len = map_len(shard, dirty_bytes);
    void *map = NULL;
    while ((map = el_buddy_alloc(shard->buddy, len)) == NULL && len / 2 >= MAP_LEN_MIN) {
        len /= 2;
    }
    if (map != NULL) {
        compact_map_init(&c->work.rules.map, map, len);
    }
    return segment_out_take(shard, &c->work.out) && map != NULL;
}

/* The first `count` segments that end above an offset. */
static void inputs_take(struct compaction *c, uint32_t count, int64_t from)
{
    struct partition *part = c->part;
    const struct segment *last = EL_CONTAINER(part->segments.prev, struct segment, link);
    EL_LIST_EACH(n, &part->segments) {
        struct segment *seg = EL_CONTAINER(n, struct segment, link);
        if (seg->removed || seg->end_offset <= from || c->input_count == count) {
            continue;
        }
        EL_ASSERT(seg->sealed);
        EL_ASSERT(seg->written_len == seg->len);
        EL_ASSERT(c->input_count == 0 || seg->base_offset >= c->inputs[c->input_count - 1].end_offset);
        seg->pins++;
        c->inputs[c->input_count++] = (struct compact_input){
            .seg = seg,
            .id = seg->id,
            .written_len = seg->written_len,
            .base_offset = seg->base_offset,
            .end_offset = seg->end_offset,
            .last_append_ns = seg->last_append_ns,
            .compacted = seg->compacted,
            .dirty = seg->end_offset > part->clean_end,
        };
    }
    EL_ASSERT(c->input_count == count);
    c->work.rules.keep_offset = last->end_offset - 1;
    part->pins++;
}

/* A retention of years in milliseconds is more than there are nanoseconds. */
static uint64_t ns_of(int64_t ms)
{
    return (uint64_t)ms > UINT64_MAX / 1000000 ? UINT64_MAX : (uint64_t)ms * 1000000;
}

/* Room for a pass over so many segments; NULL: no memory now. */
static struct compaction *pass_new(struct partition *part, uint32_t count)
{
    struct store_shard *shard = part->shard;
    EL_ASSERT(shard->compaction == NULL);
    size_t len = sizeof(struct compaction) + count * sizeof(struct compact_input);
    struct compaction *c = el_buddy_alloc(shard->buddy, len);
    if (c == NULL) {
        return NULL;
    }
    memset(c, 0, len);
    c->shard = shard;
    c->part = part;
    c->work.out.fd = c->work.out.direct_fd = -1;
    shard->compaction = c;
    return c;
}

static void pass_fill(struct compaction *c, uint32_t count, int64_t from)
{
    const struct partition *part = c->part;
    inputs_take(c, count, from);
    c->work.topic_id = part->key.topic_id;
    c->work.partition = part->key.partition;
    c->work.inputs = c->inputs;
    c->work.input_count = c->input_count;
    c->work.map_from = c->work.rules.map_end = part->clean_end;
    c->work.rules.now_ns = el_clock_now(store_clock(c->shard->store));
}

static void pass_begin(struct store_shard *shard, const struct candidate *chosen)
{
    struct partition *part = chosen->part;
    struct compaction *c = pass_new(part, chosen->count);
    if (c == NULL) {
        return; /* no memory now */
    }
    if (!buffers_take(c, chosen->dirty_bytes)) {
        compaction_free(c);
        return;
    }
    pass_fill(c, chosen->count, INT64_MIN);
    c->work.rules.tombstone_ns = ns_of(setting(part, TOPIC_DELETE_RETENTION_MS));
    io_random(shard->io, c->work.rules.secret, sizeof(c->work.rules.secret));
    c->whole = chosen->dirty_bytes > 0;
    if (c->whole) {
        job_start(c, compact_job_map, map_on_done);
    } else {
        group_begin(c);
    }
}

/* Nothing but chunk jobs makes segment files, and those that the last run left behind are gone. */
static bool may_begin(struct store_shard *shard)
{
    if (shard->compaction != NULL || shard->failed || shard->stopping || shard->disk_full) {
        return false;
    }
    if (!shard->swept || shard->sweeping) {
        shard->checkpoint.wanted = shard->checkpoint.wanted || !shard->swept;
        return false;
    }
    return true;
}

int compact_redact(struct partition *part, struct compact_redaction *redaction)
{
    struct store_shard *shard = part->shard;
    uint32_t count = 0;
    if (!may_begin(shard)) {
        return EVLOG_ERR_AGAIN;
    }
    EL_LIST_EACH(n, &part->segments) {
        const struct segment *seg = EL_CONTAINER(n, struct segment, link);
        count += !seg->removed && seg->end_offset > redaction->first && seg->base_offset < redaction->end;
    }
    struct compaction *c = pass_new(part, count);
    if (c == NULL) {
        return EVLOG_ERR_AGAIN;
    }
    if (!segment_out_take(shard, &c->work.out)) {
        compaction_free(c);
        return EVLOG_ERR_AGAIN;
    }
    pass_fill(c, count, redaction->first);
    c->redaction = redaction;
    c->work.rules.redact_first = redaction->first;
    c->work.rules.redact_end = redaction->end;
    c->work.rules.redact_ms = redaction->when_ms;
    c->work.rules.redact_reason = redaction->reason;
    group_begin(c);
    return 0;
}

void compact_look(struct store_shard *shard)
{
    struct candidate chosen = {0};
    if (shard->compaction != NULL || shard->failed || shard->stopping || shard->disk_full || !choose(shard, &chosen)) {
        return;
    }
    if (may_begin(shard)) { /* first go the files of passes that had no end */
        pass_begin(shard, &chosen);
    }
}
