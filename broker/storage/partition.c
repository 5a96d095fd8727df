/* SPDX-License-Identifier: Apache-2.0
 *
 * One partition's log in memory.
 *
 *   1. partition_append() checks the producer's sequence, makes room in journal and tail, gives out offsets, copies the
 *      batch into the tail and from there into the journal's group: until here nothing has changed if anything failed
 *   2. partition_on_durable() moves the high watermark when the group is on the disk
 *   3. segment.c plans durable batches into chunks; checkpoint.c carries small remainders
 *
 * Undurable entries pin the partition, so that a deleted one outlives the writes under way.
 */
#include <storage/partition.h>

#include <core/assert.h>
#include <core/hash.h>
#include <core/logger.h>
#include <stdio.h>
#include <storage/shard_state.h>

/* --- life --------------------------------------------------------------------------------------------------------- */

static void partition_init(struct partition *part, struct store_shard *shard)
{
    part->magic = PARTITION_MAGIC;
    part->shard = shard;
    part->next_segment_id = 1;
    el_list_init(&part->entries);
    el_list_init(&part->segments);
    el_list_init(&part->replaced);
    el_list_init(&part->epochs);
    el_list_init(&part->watches);
    el_list_init(&part->dirty_link);
    el_list_init(&part->pending_link);
    el_list_init(&part->behind_link);
    el_list_init(&part->chunk_jobs);
    el_list_init(&part->held);
    el_list_init(&part->held_link);
    el_list_init(&part->held_trims);
    el_list_init(&part->tier.awaiting);
    el_list_init(&part->tier.link);
    part->tier.archived_end = -1;
    el_map_init(&part->producers, shard->buddy);
}

struct partition *partition_create(struct store_shard *shard, struct topic *topic, int32_t number)
{
    struct partition *part = el_pool_get(&shard->partition_pool);
    if (part == NULL) {
        return NULL;
    }
    partition_init(part, shard);
    part->topic = topic;
    part->observed = topic_config_streams(&topic->config);
    part->key.topic_id = topic->id;
    part->key.partition = number;
    if (el_map_put(&shard->partitions, &part->key, sizeof(part->key), part) != 0) {
        el_pool_put(&shard->partition_pool, part);
        return NULL;
    }
    metrics_add(shard->metrics, METRIC_PARTITIONS, 1);
    (void)spare_hold(shard, 0); /* with what there is a partition is better than without: appends ask again */
    tier_changed(part);
    return part;
}

struct partition *partition_find(struct store_shard *shard, const struct el_uuid *topic_id, int32_t number)
{
    struct part_key key = {*topic_id, number};
    return el_map_get(&shard->partitions, &key, sizeof(key));
}

static void pending_leave(struct partition *part)
{
    if (!el_list_empty(&part->pending_link)) {
        EL_ASSERT(part->shard->pending_count > 0);
        part->shard->pending_count--;
        el_list_remove(&part->pending_link);
    }
}

void partition_destroy(struct partition *part)
{
    struct store_shard *shard = part->shard;
    OBJ_CHECK(part, PARTITION);
    for (struct el_list *n; (n = el_list_pop_front(&part->entries)) != NULL;) {
        tail_drop(&shard->tail, EL_CONTAINER(n, struct batch_entry, link));
    }
    el_list_splice_back(&part->segments, &part->replaced);
    for (struct el_list *n; (n = el_list_pop_front(&part->segments)) != NULL;) {
        struct segment *seg = EL_CONTAINER(n, struct segment, link);
        EL_ASSERT(seg->part == part);
        EL_ASSERT(!part->deleted || seg->pins == 0); /* each pin of one pins the partition too */
        seg->pins = 0;                               /* at close, jobs of a dead shard no longer report */
        segment_destroy(shard, seg);
    }
    for (struct el_list *n; (n = el_list_pop_front(&part->epochs)) != NULL;) {
        el_pool_put(&shard->epoch_pool, EL_CONTAINER(n, struct epoch_start, link));
    }
    producer_free_all(part);
    EL_ASSERT(part->producers.count == 0);
    el_list_remove(&part->dirty_link);
    pending_leave(part);
    el_list_remove(&part->behind_link);
    part->magic = 0;
    el_pool_put(&shard->partition_pool, part);
}

/* --- removal of a deleted partition's files ----------------------------------------------------------------------- */

struct remove_job {
    struct io_op op;
    struct store_shard *shard;
    char dir[SEGMENT_PATH_MAX];
    char topic_dir[SEGMENT_PATH_MAX];
    char names[64][32]; /* a batch of names; the folder is listed again until it is empty */
    uint32_t name_count;
};
EL_STATIC_ASSERT(sizeof(struct remove_job) <= EL_BUDDY_BLOCK_MIN, "one block of the buddy");

static void remove_collect(void *arg, const char *name, bool is_dir)
{
    struct remove_job *job = arg;
    if (!is_dir && job->name_count < 64 && strlen(name) < sizeof(job->names[0])) {
        snprintf(job->names[job->name_count++], sizeof(job->names[0]), "%s", name);
    }
}

/* Unlink everything in the partition's folder, then the folders. The topic's tombstone is durable, so that a crash in
 * between leaves only files that the next start removes again. */
static int64_t remove_run(struct disk *disk, void *arg)
{
    struct remove_job *job = arg;
    for (;;) {
        job->name_count = 0;
        int code = disk_list(disk, job->dir, remove_collect, job);
        if (code != 0 || job->name_count == 0) {
            break;
        }
        for (uint32_t i = 0; i < job->name_count; i++) {
            char path[SEGMENT_PATH_MAX + 40];
            snprintf(path, sizeof(path), "%s/%s", job->dir, job->names[i]);
            code = disk_unlink(disk, path);
            if (code != 0) {
                return code;
            }
        }
    }
    disk_rmdir(disk, job->dir);
    disk_rmdir(disk, job->topic_dir); /* succeeds for the last partition of the topic */
    return 0;
}

static void remove_on_done(struct io_op *op)
{
    struct remove_job *job = EL_CONTAINER(op, struct remove_job, op);
    struct store_shard *shard = job->shard;
    if (op->result < 0) {
        el_log(EL_LOG_WARN, "storage", "%s: files of a deleted topic stay behind: %s", job->dir,
               evlog_error_text((int)op->result));
    }
    EL_ASSERT(shard->jobs > 0);
    shard->jobs--;
    el_buddy_free(shard->buddy, job);
}

static void remove_start(struct partition *part)
{
    struct store_shard *shard = part->shard;
    struct remove_job *job = el_buddy_alloc(shard->buddy, sizeof(*job));
    if (job == NULL) {
        el_log(EL_LOG_WARN, "storage", "no memory to remove the files of a deleted partition; the next start does it");
        return;
    }
    memset(job, 0, sizeof(*job));
    job->shard = shard;
    segment_dir_path(job->dir, sizeof(job->dir), &part->key.topic_id, part->key.partition);
    segment_topic_path(job->topic_dir, sizeof(job->topic_dir), &part->key.topic_id);
    job->op.done = remove_on_done;
    shard->jobs++;
    io_job(shard->io, &job->op, IO_JOB_DISK, remove_run, job);
}

static void partition_bury(struct partition *part)
{
    EL_ASSERT(part->deleted);
    EL_ASSERT(part->pins == 0);
    EL_ASSERT(el_list_empty(&part->watches)); /* each was told of the end */
    EL_ASSERT(el_list_empty(&part->held));
    EL_ASSERT(el_list_empty(&part->held_trims));
    EL_ASSERT(el_list_empty(&part->tier.awaiting));
    EL_ASSERT(el_list_empty(&part->chunk_jobs));
    if (part->next_segment_id > 1) { /* it had files; some may wait for checkpoints to be removed */
        remove_start(part);
    }
    partition_destroy(part);
}

void partition_unpin(struct partition *part)
{
    OBJ_CHECK(part, PARTITION);
    EL_ASSERT(part->pins > 0);
    part->pins--;
    if (part->pins == 0 && part->deleted) {
        partition_bury(part);
    }
}

/* All that fire leave the list before the first is told, for who is told may cancel others of them. */
static void watches_fire(struct partition *part, int error)
{
    struct el_list fired;
    el_list_init(&fired);
    EL_LIST_EACH_SAFE(n, tmp, &part->watches) {
        struct watch_op *watch = EL_CONTAINER(n, struct watch_op, base.link);
        EL_ASSERT(watch->state == WATCH_ARMED);
        if (error != 0 || part->high_watermark > watch->offset) {
            el_list_remove(&watch->base.link);
            el_list_push_back(&fired, &watch->base.link);
            watch->state = WATCH_FIRED;
        }
    }
    for (struct el_list *n; (n = el_list_pop_front(&fired)) != NULL;) {
        store_op_finish(&EL_CONTAINER(n, struct watch_op, base.link)->base, error);
    }
}

void partition_delete(struct partition *part)
{
    struct store_shard *shard = part->shard;
    OBJ_CHECK(part, PARTITION);
    EL_ASSERT(!part->deleted);
    el_map_remove(&shard->partitions, &part->key, sizeof(part->key));
    metrics_add(shard->metrics, METRIC_PARTITIONS, -1);
    observer_forget(part);
    part->deleted = true;
    part->topic = NULL;
    part->pins++;
    el_list_remove(&part->dirty_link);
    pending_leave(part);
    el_list_remove(&part->behind_link);
    watches_fire(part, EVLOG_ERR_UNKNOWN_TOPIC);
    tier_forget(part);
    partition_unpin(part);
}

void partition_mark_dirty(struct partition *part)
{
    if (!part->deleted && el_list_empty(&part->dirty_link)) {
        el_list_push_back(&part->shard->dirty, &part->dirty_link);
    }
}

/* --- epochs ------------------------------------------------------------------------------------------------------- */

int partition_note_epoch(struct partition *part, int32_t epoch, int64_t start_offset)
{
    if (!el_list_empty(&part->epochs)) {
        const struct epoch_start *last = EL_CONTAINER(part->epochs.prev, struct epoch_start, link);
        if (last->epoch >= epoch) {
            return 0;
        }
    }
    struct epoch_start *e = el_pool_get(&part->shard->epoch_pool);
    if (e == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    e->epoch = epoch;
    e->start_offset = start_offset;
    el_list_push_back(&part->epochs, &e->link);
    return 0;
}

/* Epochs that ended at or below the log start are of no use but for the newest of them. */
static void epochs_prune(struct partition *part)
{
    while (part->epochs.next != part->epochs.prev) {
        struct epoch_start *first = EL_CONTAINER(part->epochs.next, struct epoch_start, link);
        const struct epoch_start *second = EL_CONTAINER(first->link.next, struct epoch_start, link);
        if (second->start_offset > part->log_start) {
            break;
        }
        el_list_remove(&first->link);
        el_pool_put(&part->shard->epoch_pool, first);
    }
}

/* --- append ------------------------------------------------------------------------------------------------------- */

static void pending_enter(struct partition *part)
{
    EL_ASSERT(el_list_empty(&part->pending_link));
    EL_ASSERT(!part->deleted);
    el_list_push_back(&part->shard->pending, &part->pending_link);
    part->shard->pending_count++;
}

static void entry_link(struct partition *part, struct batch_entry *entry)
{
    EL_ASSERT(entry->part == NULL);
    EL_ASSERT(entry->base_offset == part->next_offset);
    EL_ASSERT((part->pending == NULL) == (part->pending_bytes == 0));
    el_list_push_back(&part->entries, &entry->link);
    entry->part = part;
    if (part->pending == NULL) {
        part->pending = entry;
        pending_enter(part);
    }
    part->pending_bytes += entry->len;
}

/* Room everywhere before anything changes. */
static int append_prepare(struct partition *part, const struct append_op *op)
{
    struct store_shard *shard = part->shard;
    if (part->next_offset > INT64_MAX - 1 - op->info.last_offset_delta) {
        return EVLOG_ERR_CORRUPT; /* no log gets so long: what is on the disk says so */
    }
    if (op->given != NULL && op->given->append_time_ns >= EL_CLOCK_END_NS) {
        return EVLOG_ERR_CORRUPT; /* the clock is raised to it */
    }
    int code = spare_hold(shard, part->pending == NULL ? 1 : 0) ? 0 : EVLOG_ERR_NO_MEMORY;
    code = code != 0 ? code : journal_room(&shard->journal, op->batch_len);
    if (code == 0 && op->info.producer_id >= 0) {
        code = producer_reserve(part, &op->info);
    }
    if (code == 0) {
        int32_t epoch = op->given != NULL ? op->given->leader_epoch : store_leader_epoch(shard->store);
        code = partition_note_epoch(part, epoch, part->next_offset);
    }
    return code;
}

static void append_note_producer(struct partition *part, const struct append_op *op)
{
    struct producer_batch batch = {
        .first_sequence = op->info.base_sequence,
        .last_sequence = el_batch_last_sequence(&op->info),
        .base_offset = op->base_offset,
        .append_time_ns = op->append_time_ns,
        .group_sequence = op->sequence,
    };
    producer_note(part, &op->info, &batch);
}

/* Does the topic replace the producer's times by its own? */
static bool stamps_append_time(const struct partition *part)
{
    const struct topic_config *defaults = &part->shard->topic_defaults;
    return topic_config_int(&part->topic->config, defaults, TOPIC_TIMESTAMP_TYPE) == TOPIC_LOG_APPEND_TIME;
}

static void answer_append_time(const struct partition *part, struct append_op *op, uint64_t append_time_ns)
{
    op->append_time_ns = append_time_ns;
    op->append_time_ms = stamps_append_time(part) ? (int64_t)(append_time_ns / 1000000) : -1;
}

/* As it was when it was first appended. */
static void append_take_given(struct partition *part, struct batch_entry *entry, const struct append_given *given)
{
    entry->leader_epoch = given->leader_epoch;
    entry->append_time_ns = given->append_time_ns;
    entry->max_timestamp_ms = given->max_timestamp_ms;
    memcpy(entry->salt, given->salt, sizeof(entry->salt));
    el_clock_raise(store_clock(part->shard->store), given->append_time_ns);
}

static struct batch_entry *append_copy(struct partition *part, const struct append_op *op, const struct jgroup *group)
{
    struct batch_entry *entry = tail_add(&part->shard->tail, op->batch_len);
    if (entry == NULL) {
        return NULL;
    }
    memcpy(entry->batch, op->batch, op->batch_len);
    entry->leader_epoch = store_leader_epoch(part->shard->store);
    entry->append_time_ns = group->append_time_ns;
    entry->max_timestamp_ms = op->info.record_timestamp_max;
    if (op->given == NULL && stamps_append_time(part)) {
        entry->max_timestamp_ms = (int64_t)(group->append_time_ns / 1000000);
        el_batch_stamp_append_time(entry->batch, op->batch_len, entry->max_timestamp_ms);
    }
    shard_salt(part->shard, entry->salt);
    if (op->given != NULL) {
        append_take_given(part, entry, op->given);
    }
    el_batch_assign(entry->batch, part->next_offset, entry->leader_epoch);
    entry->checksum = el_xxh3(entry->batch, op->batch_len);
    entry->base_offset = part->next_offset;
    entry->last_offset_delta = (uint32_t)op->info.last_offset_delta;
    entry->sequence = group->sequence;
    return entry;
}

static void append_journal(struct partition *part, struct batch_entry *entry, struct jgroup *group)
{
    struct el_frame frame = {
        .type = EL_FRAME_BATCH,
        .topic_id = part->key.topic_id,
        .partition = part->key.partition,
        .leader_epoch = entry->leader_epoch,
        .base_offset = entry->base_offset,
        .append_time_ns = entry->append_time_ns,
        .payload = entry->batch,
        .payload_len = entry->len,
    };
    memcpy(frame.salt, entry->salt, sizeof(frame.salt));
    journal_add(&part->shard->journal, &frame);
    EL_ASSERT(*group->entries_end == NULL);
    EL_ASSERT(entry->group_next == NULL);
    *group->entries_end = entry;
    group->entries_end = &entry->group_next;
    part->pins++;
}

static bool is_memory_topic(const struct partition *part)
{
    return topic_config_int(&part->topic->config, &part->shard->topic_defaults, TOPIC_DURABILITY) ==
           TOPIC_DURABILITY_MEMORY;
}

int partition_append(struct partition *part, struct append_op *op)
{
    struct store_shard *shard = part->shard;
    OBJ_CHECK(part, PARTITION);
    EL_ASSERT(op->batch_len == op->info.len);
    EL_ASSERT(op->info.last_offset_delta >= 0);
    if (op->given != NULL && op->info.base_offset != part->next_offset) {
        return EVLOG_ERR_CONFLICT;
    }
    if (op->info.producer_id >= 0 && op->given == NULL) {
        const struct producer_batch *found = NULL;
        int code = producer_check(part, &op->info, &found);
        if (code == EVLOG_ERR_EXISTS) {
            op->duplicate = true;
            op->base_offset = found->base_offset;
            answer_append_time(part, op, found->append_time_ns);
            op->sequence = found->group_sequence;
            op->told_end = found->base_offset + op->info.last_offset_delta + 1;
            metrics_add(shard->metrics, METRIC_APPEND_DUPLICATES, 1);
            return 0;
        }
        if (code != 0) {
            return code;
        }
    }
    int code = append_prepare(part, op);
    if (code != 0) {
        return code;
    }
    struct jgroup *group = journal_group(&shard->journal);
    EL_ASSERT(group->sequence > shard->journal.durable_sequence);
    struct batch_entry *entry = append_copy(part, op, group);
    if (entry == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    append_journal(part, entry, group);
    op->base_offset = entry->base_offset;
    answer_append_time(part, op, entry->append_time_ns);
    op->sequence = group->sequence;
    entry_link(part, entry);
    if (op->info.producer_id >= 0) {
        append_note_producer(part, op);
    }
    op->told_end = part->next_offset = batch_entry_next(entry);
    partition_mark_dirty(part);
    if (is_memory_topic(part)) {
        partition_show(part);
    }
    metrics_add(shard->metrics, METRIC_APPENDS, 1);
    metrics_add(shard->metrics, METRIC_APPEND_RECORDS, op->info.record_count);
    metrics_add(shard->metrics, METRIC_APPEND_BYTES, op->batch_len);
    EL_ASSERT(op->told_end > op->base_offset);
    EL_ASSERT(part->segment_end <= part->durable_end);
    EL_ASSERT(part->durable_end < part->next_offset);
    EL_ASSERT(part->high_watermark <= part->next_offset);
    return 0;
}

void partition_show(struct partition *part)
{
    int64_t end = part->durable_end;
    if (part->topic != NULL && is_memory_topic(part)) {
        end = part->next_offset;
    } else if (part->topic != NULL && tier_decides(part)) {
        end = EL_MIN(end, part->tier.archived_end);
    }
    EL_ASSERT(end <= part->next_offset);
    if (end > part->high_watermark) {
        part->high_watermark = end;
        watches_fire(part, 0);
        tier_release(part, 0);
    }
}

void partition_on_durable(struct partition *part, struct batch_entry *entry)
{
    OBJ_CHECK(part, PARTITION);
    EL_ASSERT(entry->part == part);
    EL_ASSERT(part->durable_end == entry->base_offset);
    EL_ASSERT(!entry->in_segment); /* what is not durable is in no chunk */
    EL_ASSERT(!entry->planned);
    part->durable_end = batch_entry_next(entry);
    EL_ASSERT(part->durable_end <= part->next_offset);
    partition_show(part);
    tier_changed(part);
    if (!part->deleted && part->pending_bytes >= part->shard->store->cfg.chunk_len &&
        el_list_empty(&part->behind_link)) {
        el_list_push_back(&part->shard->behind, &part->behind_link);
    }
}

void partition_planned(struct partition *part, int64_t end)
{
    EL_ASSERT(end > part->segment_end);
    EL_ASSERT(end <= part->durable_end);
    part->segment_end = end;
    while (part->pending != NULL && part->pending->base_offset < end) {
        EL_ASSERT(part->pending_bytes >= part->pending->len);
        part->pending_bytes -= part->pending->len;
        struct el_list *next = part->pending->link.next;
        part->pending = next == &part->entries ? NULL : EL_CONTAINER(next, struct batch_entry, link);
    }
    if (part->pending == NULL) {
        EL_ASSERT(part->pending_bytes == 0);
        pending_leave(part);
    } else {
        EL_ASSERT(part->pending->base_offset == end); /* chunks hold whole batches */
    }
}

void partition_bookmark(struct partition *part, struct batch_entry *entry)
{
    EL_ASSERT(entry->part == part);
    if (entry->bookmark != NULL || entry->link.next == &part->entries) {
        return; /* the end is found without one */
    }
    struct batch_entry **place = &part->bookmarks[part->bookmark_turn++ % PARTITION_BOOKMARKS];
    if (*place != NULL) {
        EL_ASSERT((*place)->bookmark == place);
        (*place)->bookmark = NULL;
    }
    *place = entry;
    entry->bookmark = place;
}

/* The bookmark closest below an offset, NULL when both ends of the list are closer. */
static struct batch_entry *bookmark_below(const struct partition *part, int64_t offset, int64_t distance_max)
{
    struct batch_entry *best = NULL;
    for (uint32_t i = 0; i < PARTITION_BOOKMARKS; i++) {
        struct batch_entry *entry = part->bookmarks[i];
        if (entry != NULL && entry->base_offset <= offset && offset - entry->base_offset < distance_max) {
            EL_ASSERT(entry->part == part);
            distance_max = offset - entry->base_offset;
            best = entry;
        }
    }
    return best;
}

/* The entry that holds an offset: a walk from whichever end of the list or bookmark is closest. Without bookmarks each
 * fetch of a reader far behind would walk half of everything in memory. */
struct batch_entry *partition_entry_at(struct partition *part, int64_t offset)
{
    if (el_list_empty(&part->entries)) {
        return NULL;
    }
    const struct batch_entry *first = EL_CONTAINER(part->entries.next, struct batch_entry, link);
    const struct batch_entry *last = EL_CONTAINER(part->entries.prev, struct batch_entry, link);
    if (offset < first->base_offset || offset >= batch_entry_next(last)) {
        return NULL;
    }
    int64_t from_first = offset - first->base_offset, from_last = last->base_offset - offset;
    struct batch_entry *bookmark = bookmark_below(part, offset, EL_MIN(from_first, EL_MAX(from_last, (int64_t)0)));
    if (bookmark != NULL || from_first < from_last) {
        struct el_list *begin = bookmark == NULL ? part->entries.next : &bookmark->link;
        for (struct el_list *n = begin; n != &part->entries; n = n->next) {
            struct batch_entry *e = EL_CONTAINER(n, struct batch_entry, link);
            if (offset < batch_entry_next(e)) {
                return offset >= e->base_offset ? e : NULL;
            }
        }
        return NULL;
    }
    for (struct el_list *n = part->entries.prev; n != &part->entries; n = n->prev) {
        struct batch_entry *e = EL_CONTAINER(n, struct batch_entry, link);
        if (offset >= e->base_offset) {
            return offset < batch_entry_next(e) ? e : NULL;
        }
    }
    return NULL;
}

void partition_set_log_start(struct partition *part, int64_t log_start)
{
    EL_ASSERT(log_start <= part->high_watermark);
    if (log_start <= part->log_start) {
        return;
    }
    part->log_start = log_start;
    epochs_prune(part);
    partition_mark_dirty(part);
}

int partition_trim_frame(struct partition *part, int64_t log_start)
{
    struct journal *journal = &part->shard->journal;
    EL_ASSERT(log_start > 0);
    EL_ASSERT(log_start <= part->next_offset);
    int code = journal_room(journal, 0);
    if (code == 0) {
        struct el_frame frame = {
            .type = EL_FRAME_LOG_START,
            .topic_id = part->key.topic_id,
            .partition = part->key.partition,
            .base_offset = log_start,
        };
        journal_add(journal, &frame);
    }
    return code;
}

static void trim_on_durable(struct journal_wait *wait, int error)
{
    struct partition *part = EL_CONTAINER(wait, struct partition, trim_wait);
    OBJ_CHECK(part, PARTITION);
    EL_ASSERT(part->trimming);
    part->trimming = false;
    if (error == 0) {
        partition_set_log_start(part, part->trim_target);
    }
    partition_unpin(part);
}

int partition_trim(struct partition *part, int64_t log_start)
{
    EL_ASSERT(log_start <= part->high_watermark);
    if (part->trimming) {
        return EVLOG_ERR_AGAIN;
    }
    int code = partition_trim_frame(part, log_start);
    if (code == 0) {
        part->trimming = true;
        part->trim_target = log_start;
        part->trim_wait.done = trim_on_durable;
        part->pins++;
        journal_wait(&part->shard->journal, &part->trim_wait);
    }
    return code;
}

void partition_epoch_end(const struct partition *part, int32_t asked, int32_t *epoch, int64_t *end_offset)
{
    int32_t current = store_leader_epoch(part->shard->store);
    *epoch = -1;
    *end_offset = -1;
    if (asked < 0 || asked > current) {
        return;
    }
    if (asked == current) {
        *epoch = current;
        *end_offset = part->high_watermark;
        return;
    }
    int64_t end = part->high_watermark;
    for (const struct el_list *n = part->epochs.prev; n != &part->epochs; n = n->prev) {
        const struct epoch_start *e = EL_CONTAINER(n, struct epoch_start, link);
        if (e->epoch <= asked) {
            *epoch = e->epoch;
            *end_offset = EL_MIN(end, part->high_watermark);
            return;
        }
        end = e->start_offset;
    }
    *epoch = asked; /* below all known: nothing of it is left, so it ends where the first known one begins */
    *end_offset = EL_MIN(end, part->high_watermark);
}

/* --- recovery ----------------------------------------------------------------------------------------------------- */

/* Place by offset, looking from the newest on; returns NULL in *place when the same batch is there already. */
static int load_place(struct partition *part, int64_t base_offset, int64_t next_offset, struct el_list **place)
{
    struct el_list *n = part->entries.prev;
    for (; n != &part->entries; n = n->prev) {
        const struct batch_entry *e = EL_CONTAINER(n, struct batch_entry, link);
        if (e->base_offset == base_offset && batch_entry_next(e) == next_offset) {
            *place = NULL;
            return 0;
        }
        if (batch_entry_next(e) <= base_offset) {
            break;
        }
        if (e->base_offset < next_offset) {
            return EVLOG_ERR_CORRUPT;
        }
    }
    *place = n;
    return 0;
}

static int load_entry(struct partition *part, const struct el_frame *frame, const struct el_batch_info *info,
                      struct el_list *place)
{
    struct batch_entry *entry = tail_add(&part->shard->tail, frame->payload_len);
    if (entry == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    memcpy(entry->batch, frame->payload, frame->payload_len);
    memcpy(entry->salt, frame->salt, sizeof(entry->salt));
    entry->part = part;
    entry->base_offset = frame->base_offset;
    entry->last_offset_delta = (uint32_t)info->last_offset_delta;
    entry->leader_epoch = frame->leader_epoch;
    entry->append_time_ns = frame->append_time_ns;
    entry->max_timestamp_ms = info->max_timestamp;
    entry->checksum = el_xxh3(entry->batch, entry->len);
    el_list_insert_between(&entry->link, place, place->next);
    return 0;
}

int partition_load(struct partition *part, const struct el_frame *frame, bool is_carry)
{
    struct el_batch_info info;
    if (el_batch_header(frame->payload, frame->payload_len, &info) != 0 || info.len != frame->payload_len ||
        info.base_offset != frame->base_offset || frame->base_offset < 0) {
        return EVLOG_ERR_CORRUPT;
    }
    int64_t next_offset = frame->base_offset + info.last_offset_delta + 1;
    int code = 0;
    if (!is_carry && info.producer_id >= 0) {
        struct producer_batch batch = {info.base_sequence, el_batch_last_sequence(&info), frame->base_offset,
                                       frame->append_time_ns, 0};
        code = producer_reserve(part, &info);
        if (code == 0) {
            producer_note(part, &info, &batch);
        }
    }
    if (code == 0) {
        code = partition_note_epoch(part, frame->leader_epoch, frame->base_offset);
    }
    if (code != 0 || next_offset <= part->segment_end) {
        return code;
    }
    struct el_list *place = NULL;
    code = frame->base_offset < part->segment_end ? EVLOG_ERR_CORRUPT
                                                  : load_place(part, frame->base_offset, next_offset, &place);
    return code != 0 || place == NULL ? code : load_entry(part, frame, &info, place);
}

int partition_load_end(struct partition *part, struct el_error *err)
{
    int64_t next = part->segment_end;
    EL_LIST_EACH(n, &part->entries) {
        struct batch_entry *e = EL_CONTAINER(n, struct batch_entry, link);
        if (e->base_offset != next) {
            return el_error_set(err, EVLOG_ERR_CORRUPT,
                                "topic %s partition %d: offsets %lld to %lld are missing from the journal",
                                part->topic->name, part->key.partition, (long long)next, (long long)e->base_offset - 1);
        }
        next = batch_entry_next(e);
        part->pending_bytes += e->len;
        if (part->pending == NULL) {
            part->pending = e;
            pending_enter(part);
        }
    }
    if (next < part->next_offset) { /* what the checkpoint says was durable */
        return el_error_set(err, EVLOG_ERR_CORRUPT, "topic %s partition %d: the log ends at %lld, before %lld",
                            part->topic->name, part->key.partition, (long long)next, (long long)part->next_offset);
    }
    EL_ASSERT((part->pending == NULL) == (part->pending_bytes == 0));
    part->next_offset = next;
    part->durable_end = part->high_watermark = next;
    epochs_prune(part);
    part->recovered_id = part->next_segment_id;
    if (part->pending != NULL) {
        partition_mark_dirty(part);
    }
    return 0;
}
