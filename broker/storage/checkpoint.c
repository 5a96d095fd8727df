/* SPDX-License-Identifier: Apache-2.0
 *
 * Taking checkpoints: the numbered steps stand in checkpoint.h, loading them in checkpoint_load.c.
 *
 * The state that is written is that of the moment of the plan, appends in flight included. That is sound because the
 * checkpoint counts only once the journal is durable beyond that moment; replay from the cut then meets batches that
 * the state knows already, and leaves them out by offset.
 */
#include <storage/checkpoint.h>

#include <core/assert.h>
#include <core/logger.h>
#include <stdio.h>
#include <storage/shard_state.h>
#include <storage/upkeep.h>

#define SYNC_ONE_BY_ONE_MAX 64u /* above, one syncfs is cheaper than a sync per file */
#define BASE_LEN_MIN (1u << 20) /* deltas may grow to this before a new base, or to the base's own length */
#define DELTA_COUNT_MAX 64u
#define RETRY_NS 1000000000u
#define UNLINK_MAX 64u

struct checkpoint_job {
    uint64_t sequence;
    uint64_t cut;
    uint8_t *buf; /* file contents, block of the buddy */
    size_t len;
    struct el_checkpoint_header header;
    bool base;
    char dir[32];
    char tmp_path[64];
    char path[64];
    uint32_t shard;
    uint64_t unlink_from; /* checkpoint files [from, to) go after the rename */
    uint64_t unlink_to;
    bool sync_all;
    uint32_t segment_count;
    struct segment *segments[SYNC_ONE_BY_ONE_MAX]; /* pinned */
    int fds[SYNC_ONE_BY_ONE_MAX];
    char dirs[SYNC_ONE_BY_ONE_MAX][SEGMENT_PATH_MAX]; /* folder of a new file, or "" */
    char topic_dirs[SYNC_ONE_BY_ONE_MAX][SEGMENT_PATH_MAX];
};

static void dir_path(char *path, size_t len, uint32_t shard)
{
    snprintf(path, len, "checkpoint/%04u", shard);
}
static void file_path(char *path, size_t len, uint32_t shard, uint64_t sequence)
{
    snprintf(path, len, "checkpoint/%04u/%016llx", shard, (unsigned long long)sequence);
}

static void retry_fire(struct io_timer *timer)
{
    struct store_shard *shard = timer->arg;
    EL_ASSERT(shard->checkpoint.state == CHECKPOINT_RETRY);
    shard->checkpoint.state = CHECKPOINT_IDLE;
    shard->checkpoint.wanted = true;
}

int checkpoint_init(struct store_shard *shard)
{
    struct checkpoint *c = &shard->checkpoint;
    c->retry_timer.fire = retry_fire;
    c->retry_timer.arg = shard;
    c->memory = el_buddy_alloc(shard->buddy, sizeof(*c->memory));
    return c->memory == NULL ? EVLOG_ERR_NO_MEMORY : 0;
}

static void job_free(struct store_shard *shard)
{
    struct checkpoint_job *job = shard->checkpoint.job;
    if (job != NULL) {
        spare_state_return(shard, job->buf);
        shard->checkpoint.job = NULL;
    }
}

void checkpoint_free(struct store_shard *shard)
{
    io_timer_cancel(shard->io, &shard->checkpoint.retry_timer);
    job_free(shard);
    el_buddy_free(shard->buddy, shard->checkpoint.memory);
    shard->checkpoint.memory = NULL;
}

void checkpoint_hurry(struct store_shard *shard)
{
    struct checkpoint *c = &shard->checkpoint;
    if (c->state == CHECKPOINT_RETRY && c->for_memory) {
        io_timer_cancel(shard->io, &c->retry_timer);
        retry_fire(&c->retry_timer);
    }
}

/* --- plan: batches ------------------------------------------------------------------------------------------------ */

static uint64_t durable_pending(const struct partition *part, uint64_t cut)
{
    uint64_t len = 0;
    const struct el_list *n = part->pending == NULL ? &part->entries : &part->pending->link;
    for (; n != &part->entries; n = n->next) {
        const struct batch_entry *e = EL_CONTAINER(n, struct batch_entry, link);
        if (e->sequence > cut) {
            break;
        }
        len += e->len;
    }
    return len;
}

/* Remainders below this are carried: halved until all of them fit into an eighth of the ring, and into half of what can
 * be written before this checkpoint frees anything. */
static uint64_t carry_threshold(const struct store_shard *shard, uint64_t cut)
{
    uint64_t total_max = EL_MIN(shard->journal.cfg.ring_len / 8, journal_left(&shard->journal) / 2);
    uint64_t threshold = shard->store->cfg.carry_len;
    for (;; threshold /= 2) {
        uint64_t total = 0;
        EL_LIST_EACH(n, &shard->pending) {
            uint64_t len = durable_pending(EL_CONTAINER(n, struct partition, pending_link), cut);
            total += len < threshold ? len : 0;
        }
        if (total <= total_max) {
            return threshold;
        }
    }
}

/* Append a durable batch to the journal again and move its copy in memory with it. */
static int carry_entry(struct partition *part, struct batch_entry *old)
{
    struct store_shard *shard = part->shard;
    int code = journal_room(&shard->journal, old->len);
    if (code != 0) {
        return code;
    }
    struct batch_entry *entry = tail_add(&shard->tail, old->len);
    if (entry == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    EL_ASSERT(old->part == part);
    EL_ASSERT(!old->planned);
    EL_ASSERT(!old->in_segment);
    EL_ASSERT(old->group_next == NULL); /* its own group is durable */
    struct tail_block *block = entry->block;
    uint32_t len = entry->len;
    memcpy(entry, old, sizeof(*entry));
    memcpy(entry->batch, old->batch, old->len);
    entry->block = block;
    entry->len = len;
    entry->group_next = NULL;
    entry->bookmark = NULL;
    entry->sequence = journal_group(&shard->journal)->sequence;
    EL_ASSERT(entry->sequence > old->sequence);
    el_list_insert_between(&entry->link, &old->link, old->link.next);
    el_list_remove(&old->link);
    part->pending = part->pending == old ? entry : part->pending;
    tail_drop(&shard->tail, old);
    struct el_frame frame = {
        .type = EL_FRAME_CARRY,
        .topic_id = part->key.topic_id,
        .partition = part->key.partition,
        .leader_epoch = entry->leader_epoch,
        .base_offset = entry->base_offset,
        .append_time_ns = entry->append_time_ns,
        .payload = entry->batch,
        .payload_len = entry->len,
    };
    memcpy(frame.salt, entry->salt, sizeof(frame.salt));
    journal_add(&shard->journal, &frame);
    metrics_add(shard->metrics, METRIC_CARRY_FRAMES, 1);
    return 0;
}

static int chunk_partition(struct partition *part, uint64_t cut)
{
    int code;
    do {
        code = segment_write_chunk(part, cut);
    } while (code > 0);
    return code;
}

static int carry_partition(struct partition *part, uint64_t cut)
{
    struct batch_entry *entry = part->pending;
    while (entry != NULL && entry->sequence <= cut) {
        struct el_list *next = entry->link.next;
        int code = carry_entry(part, entry);
        if (code != 0) {
            return code;
        }
        entry = next == &part->entries ? NULL : EL_CONTAINER(next, struct batch_entry, link);
    }
    return 0;
}

/* Every durable batch that is in no segment gets a new place: a chunk, or the journal's head. Where memory for carried
 * batches is short, all get chunks: those are written from where the batches lie. What was carried before that is
 * durable when the checkpoint is tried again, and before the batches that were not. */
static int plan_batches(struct store_shard *shard, uint64_t cut)
{
    struct checkpoint *c = &shard->checkpoint;
    uint64_t threshold = carry_threshold(shard, cut);
    EL_LIST_EACH_SAFE(n, tmp, &shard->pending) {
        struct partition *part = EL_CONTAINER(n, struct partition, pending_link);
        uint64_t len = durable_pending(part, cut);
        const struct batch_entry *first = part->pending;
        bool carry = len < threshold && !c->no_carry;
        int code = carry ? carry_partition(part, cut) : 0;
        c->no_carry = c->no_carry || code == EVLOG_ERR_NO_MEMORY;
        if (len > 0 && (!carry || (code == EVLOG_ERR_NO_MEMORY && part->pending == first))) {
            code = chunk_partition(part, cut);
        }
        if (code < 0) {
            return code;
        }
    }
    return 0;
}

/* --- plan: state -------------------------------------------------------------------------------------------------- */

/* Segments wholly below the log start, or that the archive alone keeps, leave the list; their files go when two
 * checkpoints no longer name them. */
static void drop_trimmed(struct store_shard *shard, struct partition *part, uint64_t sequence)
{
    EL_LIST_EACH_SAFE(n, tmp, &part->segments) {
        struct segment *seg = EL_CONTAINER(n, struct segment, link);
        if (seg->end_offset > EL_MAX(part->log_start, part->tier.drop_end) || seg->written_len != seg->len ||
            seg->pins > 0 || seg->sealing) {
            break;
        }
        if (seg->removed) {
            continue;
        }
        part->tier.partly = part->tier.partly || seg->end_offset > part->log_start;
        seg->removed = true;
        seg->dirty = true;
        seg->removed_at = sequence;
        EL_ASSERT(part->segment_bytes >= seg->len);
        part->segment_bytes -= seg->len;
    }
    EL_LIST_EACH(n, &part->replaced) {
        struct segment *seg = EL_CONTAINER(n, struct segment, link);
        EL_ASSERT(seg->removed);
        seg->removed_at = sequence;
    }
}

static size_t state_len(const struct partition *part)
{
    size_t len = EL_CHECKPOINT_ENTRY_LEN;
    EL_LIST_EACH(n, &part->epochs) {
        len += EL_CHECKPOINT_EPOCH_LEN;
    }
    EL_LIST_EACH(n, &part->segments) {
        len += EL_CHECKPOINT_SEGMENT_LEN;
    }
    EL_LIST_EACH(n, &part->replaced) {
        len += EL_CHECKPOINT_SEGMENT_LEN;
    }
    return len + part->producers.count * (EL_CHECKPOINT_PRODUCER_LEN + PRODUCER_BATCHES_KEPT * EL_CHECKPOINT_BATCH_LEN);
}

static void segment_put(struct el_writer *w, struct segment *seg, uint32_t *count)
{
    struct el_checkpoint_segment s = {
        .id = seg->id,
        .base_offset = seg->base_offset,
        .end_offset = seg->end_offset,
        .len = seg->len,
        .max_timestamp_ms = seg->max_timestamp_ms,
        .first_append_ns = seg->first_append_ns,
        .last_append_ns = seg->last_append_ns,
        .generation = seg->generation,
        .created_ns = seg->created_ns,
        .flags = (seg->sealed ? EL_CHECKPOINT_SEGMENT_SEALED : 0) | (seg->removed ? EL_CHECKPOINT_SEGMENT_REMOVED : 0) |
                 (seg->compacted ? EL_CHECKPOINT_SEGMENT_COMPACTED : 0),
        .tombstones_s = seg->tombstones_s,
    };
    EL_ASSERT(s.len >= EL_SEGMENT_HEADER_LEN); /* what a start checks, too */
    EL_ASSERT(s.end_offset >= s.base_offset);
    el_checkpoint_segment_put(w, &s);
    seg->dirty = false;
    (*count)++;
}

/* Those that leave first, so that what takes their offsets finds the place free. */
static void segments_put(struct el_writer *w, struct partition *part, bool all, uint32_t *count)
{
    EL_LIST_EACH(n, &part->replaced) {
        segment_put(w, EL_CONTAINER(n, struct segment, link), count);
    }
    EL_LIST_EACH(n, &part->segments) {
        struct segment *seg = EL_CONTAINER(n, struct segment, link);
        if (seg->dirty || (all && !seg->removed)) {
            segment_put(w, seg, count);
        }
    }
}

static void producers_put(struct el_writer *w, struct partition *part, bool all, uint32_t *count)
{
    for (size_t i = 0; i < part->producers.count; i++) {
        struct producer *p = part->producers.entries[i].value;
        if (p->batch_count == 0 || !(all || p->dirty)) {
            continue;
        }
        struct el_checkpoint_producer head = {p->id, p->epoch, p->batch_count, p->last_append_ns};
        el_checkpoint_producer_put(w, &head);
        for (uint32_t k = 0; k < p->batch_count; k++) {
            const struct producer_batch *b = &p->batches[k];
            struct el_checkpoint_batch out = {b->first_sequence, b->last_sequence, b->base_offset, b->append_time_ns};
            el_checkpoint_batch_put(w, &out);
        }
        p->dirty = false;
        (*count)++;
    }
}

static void state_put(struct el_writer *w, struct partition *part, bool all)
{
    struct el_checkpoint_entry e = {
        .topic_id = part->key.topic_id,
        .partition = part->key.partition,
        .flags = tier_has_more(part) ? EL_CHECKPOINT_ENTRY_ARCHIVED : 0,
        .log_start = part->log_start,
        .next_offset = EL_MAX(part->high_watermark, part->durable_end),
        .segment_end = part->segment_end,
        .next_segment_id = part->next_segment_id,
        .clean_end = part->clean_end,
    };
    EL_ASSERT(e.segment_end <= e.next_offset);
    EL_ASSERT(e.log_start <= e.next_offset);
    EL_ASSERT(e.clean_end <= e.segment_end);
    uint8_t *place = w->p;
    el_checkpoint_entry_put(w, &e);
    EL_LIST_EACH(n, &part->epochs) {
        const struct epoch_start *s = EL_CONTAINER(n, struct epoch_start, link);
        struct el_checkpoint_epoch out = {s->epoch, s->start_offset};
        el_checkpoint_epoch_put(w, &out);
        e.epoch_count++;
    }
    segments_put(w, part, all, &e.segment_count);
    producers_put(w, part, all, &e.producer_count);
    struct el_writer head;
    el_writer_init(&head, place, EL_CHECKPOINT_ENTRY_LEN);
    el_checkpoint_entry_put(&head, &e);
}

/* From here on nothing but reads under way uses them, and those pin the partition as well. */
static void removed_leave(struct store_shard *shard, struct partition *part)
{
    EL_LIST_EACH_SAFE(n, tmp, &part->segments) {
        struct segment *seg = EL_CONTAINER(n, struct segment, link);
        if (seg->removed) {
            el_list_remove(&seg->link);
            el_list_push_back(&part->replaced, &seg->link);
        }
    }
    EL_LIST_EACH(n, &part->replaced) {
        el_list_remove(&EL_CONTAINER(n, struct segment, link)->unsynced_link);
    }
    el_list_splice_back(&shard->removed_segments, &part->replaced);
}

/* Producers that were silent for a day are forgotten here, so that bases shrink again. */
static void partition_tidy(struct store_shard *shard, struct partition *part, uint64_t sequence)
{
    uint64_t day = 86400ull * 1000000000;
    uint64_t now = el_clock_now(store_clock(shard->store));
    drop_trimmed(shard, part, sequence);
    producer_expire(part, now > day ? now - day : 0);
}

static uint32_t plan_state_put(struct store_shard *shard, struct el_writer *w, bool base)
{
    uint32_t count = 0;
    if (base) {
        for (size_t i = 0; i < shard->partitions.count; i++, count++) {
            struct partition *part = shard->partitions.entries[i].value;
            state_put(w, part, true);
            removed_leave(shard, part);
        }
    }
    for (struct el_list *n; (n = el_list_pop_front(&shard->dirty)) != NULL;) {
        if (!base) {
            struct partition *part = EL_CONTAINER(n, struct partition, dirty_link);
            state_put(w, part, false);
            removed_leave(shard, part);
            count++;
        }
    }
    return count;
}

static bool base_due(const struct checkpoint *c)
{
    return c->sequence == 0 || c->retry_base || c->sequence - c->base_sequence >= DELTA_COUNT_MAX ||
           c->delta_len > EL_MAX((uint64_t)BASE_LEN_MIN, c->base_len);
}

static int plan_state(struct store_shard *shard, struct checkpoint_job *job)
{
    struct checkpoint *c = &shard->checkpoint;
    size_t len = EL_CHECKPOINT_HEADER_LEN;
    job->base = base_due(c);
    if (job->base) {
        for (size_t i = 0; i < shard->partitions.count; i++) {
            partition_tidy(shard, shard->partitions.entries[i].value, job->sequence);
            len += state_len(shard->partitions.entries[i].value);
        }
    } else {
        EL_LIST_EACH(n, &shard->dirty) {
            partition_tidy(shard, EL_CONTAINER(n, struct partition, dirty_link), job->sequence);
            len += state_len(EL_CONTAINER(n, struct partition, dirty_link));
        }
    }
    job->buf = spare_state_take(shard, len);
    if (job->buf == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    struct el_writer w;
    el_writer_init(&w, job->buf + EL_CHECKPOINT_HEADER_LEN, len - EL_CHECKPOINT_HEADER_LEN);
    uint32_t count = plan_state_put(shard, &w, job->base);
    EL_ASSERT(w.err == 0);
    job->len = EL_CHECKPOINT_HEADER_LEN + el_writer_len(&w);
    job->header = (struct el_checkpoint_header){
        .shard = shard->index,
        .sequence = job->sequence,
        .kind = job->base ? EL_CHECKPOINT_BASE : EL_CHECKPOINT_DELTA,
        .entry_count = count,
        .base_sequence = job->base ? job->sequence : c->base_sequence,
        .incarnation = job->cut > shard->journal.parent_sequence ? shard->journal.incarnation
                                                                 : shard->journal.parent_incarnation,
        .cut = job->cut,
        .clock_ns = el_clock_last(store_clock(shard->store)),
        .producer_counter = c->producer_counter,
        .body_len = el_writer_len(&w),
        .delta_len = job->base ? 0 : c->delta_len + el_writer_len(&w),
        .previous_cut = c->cut,
    };
    el_checkpoint_seal(job->buf, &job->header);
    return 0;
}

/* --- plan --------------------------------------------------------------------------------------------------------- */

static void wait_on_durable(struct journal_wait *wait, int error)
{
    struct checkpoint *c = EL_CONTAINER(wait, struct checkpoint, wait);
    EL_ASSERT(c->wait_busy);
    c->wait_busy = false;
    c->waited = error == 0;
}

static struct checkpoint_job *job_new(struct store_shard *shard)
{
    struct checkpoint *c = &shard->checkpoint;
    struct checkpoint_job *job = c->memory;
    memset(job, 0, sizeof(*job));
    job->shard = shard->index;
    job->sequence = c->sequence + 1;
    job->cut = shard->journal.durable_sequence;
    dir_path(job->dir, sizeof(job->dir), shard->index);
    snprintf(job->tmp_path, sizeof(job->tmp_path), "checkpoint/%04u/tmp", shard->index);
    file_path(job->path, sizeof(job->path), shard->index, job->sequence);
    return job;
}

static void plan_retry(struct store_shard *shard, int code)
{
    struct checkpoint *c = &shard->checkpoint;
    if (c->put_off++ == 0) {
        el_log(EL_LOG_WARN, "storage", "shard %u: checkpoint put off, tried again every second: %s", shard->index,
               evlog_error_text(code));
    }
    job_free(shard);
    c->state = CHECKPOINT_RETRY;
    c->carried_through = journal_last_sequence(&shard->journal);
    c->retry_base = true;
    c->for_memory = code == EVLOG_ERR_NO_MEMORY;
    shard->checkpoint_short = c->for_memory;
    io_timer_set(shard->io, &c->retry_timer, shard->io->now_ns + RETRY_NS);
}

static void plan(struct store_shard *shard)
{
    struct checkpoint *c = &shard->checkpoint;
    EL_ASSERT(c->state == CHECKPOINT_IDLE);
    EL_ASSERT(c->job == NULL);
    EL_ASSERT(!c->wait_busy);
    c->wanted = false;
    c->started_ns = io_mono(shard->io);
    c->job = job_new(shard);
    int code = plan_batches(shard, c->job->cut);
    if (code == 0) {
        code = plan_state(shard, c->job);
    }
    if (code != 0) {
        if (code != EVLOG_ERR_STORAGE) {
            plan_retry(shard, code);
        }
        return;
    }
    c->retry_base = false;
    c->plan++; /* chunks that are planned from here on are not waited for, whatever the order in which they end */
    c->chunks_left = shard->chunk_jobs;
    c->waited = false;
    c->wait_busy = true;
    c->wait.done = wait_on_durable;
    shard->journal.bytes_since_cut = 0;
    c->state = CHECKPOINT_CHUNKS;
    journal_wait(&shard->journal, &c->wait);
}

/* --- sync --------------------------------------------------------------------------------------------------------- */

/* A sync that failed for want of space has lost bytes like any other: the kernel has marked the pages clean, so it must
 * not look like a call that can be made again. */
static int sync_outcome(int code)
{
    return code == EVLOG_ERR_NO_SPACE ? EVLOG_ERR_IO : code;
}

static int sync_files(struct disk *disk, const struct checkpoint_job *job)
{
    if (job->sync_all) {
        return disk_sync_all(disk);
    }
    int code = 0;
    for (uint32_t i = 0; i < job->segment_count && code == 0; i++) {
        code = disk_sync(disk, job->fds[i]);
    }
    bool named = false;
    for (uint32_t i = 0; i < job->segment_count && code == 0; i++) {
        if (job->dirs[i][0] != 0) {
            named = true;
            code = disk_sync_dir(disk, job->dirs[i]);
            code = code != 0 ? code : disk_sync_dir(disk, job->topic_dirs[i]);
        }
    }
    return code == 0 && named ? disk_sync_dir(disk, "topics") : code;
}

static int64_t sync_run(struct disk *disk, void *arg)
{
    struct checkpoint_job *job = arg;
    int code = sync_outcome(sync_files(disk, job));
    int fd = -1;
    if (code == 0) {
        code = disk_open(disk, job->tmp_path, DISK_WRITE | DISK_CREATE, &fd);
    }
    if (code != 0) {
        return code;
    }
    code = disk_truncate(disk, fd, 0);
    if (code == 0) {
        code = disk_pwrite(disk, fd, job->buf, job->len, 0);
    }
    if (code == 0) {
        code = disk_sync(disk, fd);
    }
    disk_close(disk, fd); /* after an error the file is written anew from the start, under a synced descriptor */
    return code;
}

static void sync_on_done(struct io_op *op)
{
    struct store_shard *shard = op->arg;
    struct checkpoint *c = &shard->checkpoint;
    struct checkpoint_job *job = c->job;
    EL_ASSERT(c->state == CHECKPOINT_SYNC);
    EL_ASSERT(shard->jobs > 0);
    shard->jobs--;
    bool done = op->result == 0;
    for (uint32_t i = 0; i < job->segment_count; i++) {
        EL_ASSERT(job->segments[i]->pins > 0);
        job->segments[i]->pins--;
        partition_unpin(job->segments[i]->part);
    }
    if (done) {
        EL_LIST_EACH_SAFE(n, tmp, &shard->unsynced) {
            struct segment *seg = EL_CONTAINER(n, struct segment, unsynced_link);
            if (seg->synced_since) {
                seg->name_durable = true;
                el_list_remove(&seg->unsynced_link);
            }
        }
        c->state = CHECKPOINT_DURABLE;
    } else if (op->result == EVLOG_ERR_NO_SPACE || op->result == EVLOG_ERR_NO_FILES) {
        plan_retry(shard, (int)op->result);
    } else {
        shard_fail(shard, "a checkpoint sync failed (%s)", evlog_error_text((int)op->result));
    }
}

static void sync_start(struct store_shard *shard)
{
    struct checkpoint *c = &shard->checkpoint;
    struct checkpoint_job *job = c->job;
    c->state = CHECKPOINT_SYNC;
    job->segment_count = 0;
    EL_LIST_EACH(n, &shard->unsynced) {
        struct segment *seg = EL_CONTAINER(n, struct segment, unsynced_link);
        seg->synced_since = true;
        if (job->segment_count == EL_MIN(shard->store->cfg.sync_files_max, SYNC_ONE_BY_ONE_MAX)) {
            job->sync_all = true;
            continue;
        }
        uint32_t i = job->segment_count++;
        EL_ASSERT(seg->fd >= 0);
        job->segments[i] = seg;
        job->fds[i] = seg->fd;
        job->dirs[i][0] = 0;
        if (!seg->name_durable) {
            segment_dir_path(job->dirs[i], SEGMENT_PATH_MAX, &seg->topic_id, seg->partition);
            segment_topic_path(job->topic_dirs[i], SEGMENT_PATH_MAX, &seg->topic_id);
        }
        seg->pins++;
        seg->part->pins++;
    }
    shard->jobs++;
    c->op.done = sync_on_done;
    c->op.arg = shard;
    io_job(shard->io, &c->op, IO_JOB_DISK, sync_run, job);
}

/* --- rename and after --------------------------------------------------------------------------------------------- */

static int64_t rename_run(struct disk *disk, void *arg)
{
    struct checkpoint_job *job = arg;
    int code = disk_rename(disk, job->tmp_path, job->path);
    if (code == 0) {
        code = sync_outcome(disk_sync_dir(disk, job->dir));
    }
    for (uint64_t s = job->unlink_from; s < job->unlink_to && code == 0; s++) {
        char path[64];
        file_path(path, sizeof(path), job->shard, s);
        code = disk_unlink(disk, path);
        code = code == EVLOG_ERR_NOT_FOUND ? 0 : code;
    }
    return code;
}

struct unlink_job {
    struct io_op op;
    struct store_shard *shard;
    uint32_t count;
    char paths[UNLINK_MAX / 2][SEGMENT_PATH_MAX];
};
EL_STATIC_ASSERT(sizeof(struct unlink_job) <= EL_BUDDY_BLOCK_MIN, "one block of the buddy");

static int64_t unlink_run(struct disk *disk, void *arg)
{
    struct unlink_job *job = arg;
    int code = 0;
    for (uint32_t i = 0; i < job->count && code != EVLOG_ERR_CRASHED; i++) {
        code = disk_unlink(disk, job->paths[i]);
    }
    return code;
}

static void unlink_on_done(struct io_op *op)
{
    struct unlink_job *job = EL_CONTAINER(op, struct unlink_job, op);
    job->shard->jobs--;
    job->shard->unlinks--;
    el_buddy_free(job->shard->buddy, job);
}

/* Files that neither of the last two checkpoints names. What does not fit into one job waits for the next. */
static void unlink_removed(struct store_shard *shard)
{
    struct unlink_job *job = NULL;
    EL_LIST_EACH_SAFE(n, tmp, &shard->removed_segments) {
        struct segment *seg = EL_CONTAINER(n, struct segment, link);
        EL_ASSERT(seg->removed);
        if (seg->removed_at >= shard->checkpoint.sequence || seg->pins > 0) {
            continue;
        }
        if (job == NULL) {
            job = el_buddy_alloc(shard->buddy, sizeof(*job));
            if (job == NULL) {
                return;
            }
            memset(job, 0, sizeof(*job));
            job->shard = shard;
        }
        segment_path(job->paths[job->count++], SEGMENT_PATH_MAX, &seg->topic_id, seg->partition, seg->id);
        el_list_remove(&seg->link);
        segment_destroy(shard, seg);
        metrics_add(shard->metrics, METRIC_SEGMENTS_DELETED, 1);
        if (job->count == UNLINK_MAX / 2) {
            break;
        }
    }
    if (job != NULL) {
        shard->jobs++;
        shard->unlinks++;
        job->op.done = unlink_on_done;
        io_job(shard->io, &job->op, IO_JOB_DISK, unlink_run, job);
    }
}

static void rename_on_done(struct io_op *op)
{
    struct store_shard *shard = op->arg;
    struct checkpoint *c = &shard->checkpoint;
    struct checkpoint_job *job = c->job;
    EL_ASSERT(c->state == CHECKPOINT_RENAME);
    EL_ASSERT(job->sequence == c->sequence + 1);
    EL_ASSERT(job->cut >= c->cut); /* what it frees is never taken back */
    shard->jobs--;
    if (op->result == EVLOG_ERR_NO_SPACE) { /* of the rename itself: nothing has changed */
        plan_retry(shard, (int)op->result);
        return;
    }
    if (op->result != 0) {
        shard_fail(shard, "naming a checkpoint failed (%s)", evlog_error_text((int)op->result));
        return;
    }
    c->put_off = 0;
    c->no_carry = false;
    shard->checkpoint_short = false;
    c->sequence = job->sequence;
    if (job->base) {
        c->previous_base = c->base_sequence;
        c->base_sequence = job->sequence;
        c->base_len = job->len;
    }
    c->delta_len = job->header.delta_len;
    c->previous_cut = c->cut;
    c->cut = job->cut;
    c->state = CHECKPOINT_IDLE;
    job_free(shard);
    journal_free_through(&shard->journal, c->previous_cut);
    unlink_removed(shard);
    upkeep_sweep(shard);
    metrics_add(shard->metrics, METRIC_CHECKPOINTS, 1);
    metrics_observe_ns(shard->metrics, METRIC_CHECKPOINT_SECONDS, io_mono(shard->io) - c->started_ns);
}

static void rename_start(struct store_shard *shard)
{
    struct checkpoint *c = &shard->checkpoint;
    c->state = CHECKPOINT_RENAME;
    c->job->unlink_from = 0;
    c->job->unlink_to = 0;
    if (c->job->base && c->base_sequence > 0) { /* keep the base before and its deltas: the older generation */
        c->job->unlink_from = c->previous_base;
        c->job->unlink_to = c->base_sequence;
    }
    shard->jobs++;
    c->op.done = rename_on_done;
    c->op.arg = shard;
    io_job(shard->io, &c->op, IO_JOB_DISK, rename_run, c->job);
}

/* --- when --------------------------------------------------------------------------------------------------------- */

static bool is_due(const struct store_shard *shard)
{
    const struct journal *j = &shard->journal;
    return shard->checkpoint.wanted || journal_stale_slots(j, shard->checkpoint.cut) > j->slot_max / 2 ||
           j->bytes_since_cut >= j->cfg.ring_len / 4 || journal_tight(j) ||
           (!el_list_empty(&shard->held) && !journal_behind(j));
}

void checkpoint_tick(struct store_shard *shard, bool force)
{
    struct checkpoint *c = &shard->checkpoint;
    if (shard->failed) {
        return;
    }
    /* One that was put off may have left its wait in the journal, and carried batches before others that were not: a
     * cut between them would leave the others out. */
    bool may_plan = !c->wait_busy && shard->journal.durable_sequence >= c->carried_through;
    if (c->state == CHECKPOINT_IDLE && may_plan && (force || is_due(shard))) {
        plan(shard);
    }
    if (c->state == CHECKPOINT_CHUNKS && c->chunks_left == 0 && !shard->failed) {
        sync_start(shard);
    }
    if (c->state == CHECKPOINT_DURABLE && c->waited) {
        rename_start(shard);
    }
}
