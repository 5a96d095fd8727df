/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing segments.
 *
 *   1. segment_write_chunk() takes durable pending batches, gives them a place in the active segment (rolling it when
 *      it is full) and queues a job; positions are final from here on
 *   2. the job, on the disk thread, creates folders and file when needed, cuts the file to its known length on its
 *      first write after a start, reserves blocks in growing steps, gathers header, table and batches in an aligned
 *      buffer and writes them past the page cache (decision 0008)
 *   3. its completion makes the bytes readable and the entries evictable; durable they become at the next checkpoint
 *   4. a rolled segment gets its footer from a job on the compute pool
 *
 * One chunk job of a partition runs at a time, in order. A full disk: the job is tried again every second, positions
 * stay. Any other error stops the shard; nothing is retried, for the kernel may have dropped what it could not write.
 */
#include <storage/segment.h>

#include <core/alloc.h>
#include <core/base64.h>
#include <core/crypto.h>
#include <core/logger.h>
#include <stdio.h>
#include <storage/shard_state.h>
#include <storage/upkeep.h>

#define CHUNK_LEN_FACTOR                                                                                               \
    4u /* a chunk has at most so often the bytes at which one is written, unless a batch is longer */
#define CHUNK_BATCHES_MAX 4096u
#define CHUNK_BUF_LEN_MIN (64u << 10)
#define SPARE_CHUNK_BATCHES 128u
#define ALLOCATE_STEP_MIN (64u << 10)
#define ALLOCATE_STEP_MAX (64u << 20)
#define RETRY_NS 1000000000u
#define MKDIR_TRIES 16
#define CLOSE_LOOKS_MAX 16u /* descriptors looked at in one tick */

void segment_topic_path(char *path, size_t len, const struct el_uuid *topic_id)
{
    char hex[33];
    el_hex(hex, topic_id->bytes, 16);
    snprintf(path, len, "topics/%s", hex);
}

void segment_dir_path(char *path, size_t len, const struct el_uuid *topic_id, int32_t partition)
{
    char hex[33];
    el_hex(hex, topic_id->bytes, 16);
    snprintf(path, len, "topics/%s/%d", hex, partition);
}

void segment_path(char *path, size_t len, const struct el_uuid *topic_id, int32_t partition, uint64_t id)
{
    char hex[33];
    el_hex(hex, topic_id->bytes, 16);
    snprintf(path, len, "topics/%s/%d/%08llu.seg", hex, partition, (unsigned long long)id);
}

/* --- objects ------------------------------------------------------------------------------------------------------ */

int segment_writer_init(struct store_shard *shard)
{
    shard->chunk_buf_len = EL_MAX((size_t)shard->store->cfg.chunk_len * CHUNK_LEN_FACTOR, (size_t)CHUNK_BUF_LEN_MIN);
    shard->chunk_buf = el_buddy_alloc(shard->buddy, shard->chunk_buf_len);
    return shard->chunk_buf == NULL ? EVLOG_ERR_NO_MEMORY : 0;
}

static struct segment *segment_get(struct partition *part, uint64_t id, int64_t base_offset)
{
    struct store_shard *shard = part->shard;
    struct segment *seg = el_pool_get(&shard->segment_pool);
    if (seg == NULL) {
        return NULL;
    }
    seg->magic = SEGMENT_MAGIC;
    seg->part = part;
    seg->topic_id = part->key.topic_id;
    seg->partition = part->key.partition;
    seg->id = id;
    seg->base_offset = seg->end_offset = seg->written_end = base_offset;
    seg->max_timestamp_ms = INT64_MIN;
    seg->generation = shard->journal.incarnation;
    seg->fd = -1;
    el_list_init(&seg->unsynced_link);
    el_list_init(&seg->open_link);
    el_list_init(&seg->link);
    return seg;
}

struct segment *segment_new(struct partition *part, uint64_t id, int64_t base_offset)
{
    return spare_hold(part->shard, 1) ? segment_get(part, id, base_offset) : NULL;
}

void segment_insert(struct partition *part, struct segment *seg)
{
    struct el_list *before = part->segments.prev;
    EL_ASSERT(el_list_empty(&seg->link));
    while (before != &part->segments && EL_CONTAINER(before, struct segment, link)->base_offset > seg->base_offset) {
        before = before->prev;
    }
    el_list_insert_between(&seg->link, before, before->next);
}

struct segment *segment_create(struct partition *part, uint64_t id, int64_t base_offset)
{
    struct segment *seg = segment_get(part, id, base_offset);
    if (seg != NULL) {
        segment_insert(part, seg);
    }
    return seg;
}

static void segment_close_fd(struct store_shard *shard, struct segment *seg)
{
    if (seg->fd >= 0) {
        disk_close(shard->io->disk, seg->fd);
        seg->fd = -1;
        el_list_remove(&seg->open_link);
        EL_ASSERT(shard->open_count > 0);
        shard->open_count--;
    }
    segment_index_release(seg->index);
    seg->index = NULL;
}

void segment_destroy(struct store_shard *shard, struct segment *seg)
{
    OBJ_CHECK(seg, SEGMENT);
    EL_ASSERT(seg->pins == 0);
    EL_ASSERT(el_list_empty(&seg->link));
    el_list_remove(&seg->unsynced_link);
    segment_close_fd(shard, seg);
    seg->magic = 0;
    el_pool_put(&shard->segment_pool, seg);
}

static void segment_opened(struct store_shard *shard, struct segment *seg, int fd)
{
    EL_ASSERT(fd >= 0);
    if (seg->fd < 0) {
        EL_ASSERT(el_list_empty(&seg->open_link));
        seg->fd = fd;
        el_list_push_back(&shard->open_segments, &seg->open_link);
        shard->open_count++;
    } else {
        if (fd != seg->fd) {
            disk_close(shard->io->disk, fd); /* two readers opened it at once */
        }
        el_list_remove(&seg->open_link);
        el_list_push_back(&shard->open_segments, &seg->open_link);
    }
}

void segment_close_idle(struct store_shard *shard, uint32_t open_max)
{
    for (uint32_t i = 0; i < CLOSE_LOOKS_MAX && shard->open_count > open_max; i++) {
        struct segment *seg = EL_CONTAINER(shard->open_segments.next, struct segment, open_link);
        EL_ASSERT(seg->fd >= 0); /* as many are in the list as are counted */
        if (seg->pins == 0 && el_list_empty(&seg->unsynced_link) && !seg->sealing) {
            segment_close_fd(shard, seg);
        } else { /* in use: out of the way, for thousands may wait for the next checkpoint */
            el_list_remove(&seg->open_link);
            el_list_push_back(&shard->open_segments, &seg->open_link);
        }
    }
}

struct segment *segment_at(struct partition *part, int64_t offset)
{
    for (struct el_list *n = part->segments.prev; n != &part->segments; n = n->prev) {
        struct segment *seg = EL_CONTAINER(n, struct segment, link);
        if (offset >= seg->base_offset) {
            return offset < seg->written_end ? seg : NULL;
        }
    }
    return NULL;
}

void segment_read_begin(struct segment *seg, struct segment_read *read)
{
    OBJ_CHECK(seg, SEGMENT);
    segment_path(read->path, sizeof(read->path), &seg->topic_id, seg->partition, seg->id);
    EL_ASSERT(seg->part != NULL);
    EL_ASSERT(seg->written_len <= seg->len);
    EL_ASSERT(seg->written_end <= seg->end_offset);
    read->topic_id = seg->topic_id;
    read->partition = seg->partition;
    read->segment_id = seg->id;
    read->fd = seg->fd;
    read->written_len = seg->written_len;
    read->sealed = seg->sealed;
    read->index = read->held = segment_index_hold(seg->index);
    seg->pins++;
    seg->part->pins++;
}

void segment_read_end(struct segment *seg, struct segment_read *read)
{
    struct partition *part = seg->part;
    OBJ_CHECK(seg, SEGMENT);
    EL_ASSERT(seg->pins > 0);
    if (read->fd >= 0) {
        segment_opened(part->shard, seg, read->fd);
    }
    seg->pins--;
    if (read->new_index != NULL && segment_index_count(read->new_index) > segment_index_count(seg->index)) {
        segment_index_release(seg->index);
        seg->index = read->new_index;
    } else {
        segment_index_release(read->new_index);
    }
    segment_index_release(read->held);
    read->index = read->held = read->new_index = NULL;
    partition_unpin(part);
}

/* --- chunk jobs --------------------------------------------------------------------------------------------------- */

struct chunk_job {
    struct el_list link; /* partition's chunk_jobs */
    struct io_op op;
    struct io_timer retry_timer;
    struct segment *seg;
    uint64_t plan; /* checkpoints planned before it was made */
    uint64_t pos;  /* where it writes */
    uint64_t len;
    int64_t end_offset;
    struct batch_entry *first; /* entries of the chunk are consecutive from here */
    uint32_t count;
    int fd;     /* in: open or -1; out */
    bool trim;  /* cut the file to pos first */
    bool waits; /* for space; counted in shard->chunks_waiting */
    bool make_dirs;
    uint64_t allocate_from; /* reserve [from, to) first, when to > from */
    uint64_t allocate_to;
    char path[SEGMENT_PATH_MAX];
    char dir[SEGMENT_PATH_MAX];
    char topic_dir[SEGMENT_PATH_MAX];
    uint8_t file_header[EL_SEGMENT_HEADER_LEN];
    int iov_count;
    struct iovec *iov; /* behind the struct */
    uint8_t *table;    /* chunk header and table, behind iov */
    uint8_t *buf;      /* the shard's: jobs on its disk thread run one after the other */
    size_t buf_len;
};

EL_STATIC_ASSERT(sizeof(struct chunk_job) + (SPARE_CHUNK_BATCHES + 2) * sizeof(struct iovec) + EL_CHUNK_HEADER_LEN +
                         SPARE_CHUNK_BATCHES * EL_CHUNK_ENTRY_LEN <=
                     SPARE_CHUNK_LEN,
                 "it fits into the spare block");

static int chunk_open(struct disk *disk, struct chunk_job *job)
{
    if (job->fd >= 0) {
        return 0;
    }
    int code = 0;
    if (job->make_dirs) {
        code = EVLOG_ERR_NOT_FOUND;
    }
    for (int tries = 0; tries < MKDIR_TRIES && code == EVLOG_ERR_NOT_FOUND; tries++) {
        code = disk_mkdir(disk, job->topic_dir);
        code = code != 0 ? code : disk_mkdir(disk, job->dir); /* another shard may just remove the deleted topic's */
    }
    return code != 0 ? code : disk_open(disk, job->path, DISK_WRITE | DISK_CREATE, &job->fd);
}

int segment_write_direct(struct disk *disk, int fd, const struct iovec *iov, int iov_count, uint8_t *buf,
                         size_t buf_len, uint64_t pos)
{
    size_t filled = 0;
    int code = 0;
    EL_ASSERT(pos % EL_SEGMENT_ALIGN == 0);
    EL_ASSERT(buf_len % EL_SEGMENT_ALIGN == 0);
    for (int i = 0; i < iov_count; i++) {
        const uint8_t *data = iov[i].iov_base;
        size_t left = iov[i].iov_len;
        while (left > 0 && code == 0) {
            size_t part = EL_MIN(left, buf_len - filled);
            memcpy(buf + filled, data, part);
            filled += part;
            data += part;
            left -= part;
            if (filled == buf_len) {
                code = disk_pwrite(disk, fd, buf, filled, pos);
                pos += filled;
                filled = 0;
            }
        }
    }
    if (filled > 0 && code == 0) {
        size_t padded = EL_ALIGN_UP(filled, (size_t)EL_SEGMENT_ALIGN);
        memset(buf + filled, 0, padded - filled);
        code = disk_pwrite(disk, fd, buf, padded, pos);
    }
    return code;
}

/* Through a descriptor of its own, for readers and the seal go through the page cache. Nothing that it could be told of
 * later is lost when it is closed: what it wrote is with the device, and the sync goes through job->fd. */
static int chunk_write_direct(struct disk *disk, const struct chunk_job *job)
{
    int fd = -1;
    int code = disk_open(disk, job->path, DISK_WRITE | DISK_DIRECT, &fd);
    if (code == 0) {
        code = segment_write_direct(disk, fd, job->iov, job->iov_count, job->buf, job->buf_len, job->pos);
        disk_close(disk, fd);
    }
    return code;
}

static int64_t chunk_run(struct disk *disk, void *arg)
{
    struct chunk_job *job = arg;
    int code = chunk_open(disk, job);
    if (code == 0 && job->trim) {
        code = disk_truncate(disk, job->fd, job->pos);
    }
    if (code == 0 && job->allocate_to > job->allocate_from) {
        code = disk_allocate(disk, job->fd, job->allocate_from, job->allocate_to - job->allocate_from);
    }
    return code != 0 ? code : chunk_write_direct(disk, job);
}

static void chunk_start(struct chunk_job *job);

static void chunk_retry(struct io_timer *timer)
{
    chunk_start(timer->arg);
}

/* The bytes are in the file (not durable yet): readable, and their entries may leave the memory. */
static void chunk_written(struct chunk_job *job)
{
    struct segment *seg = job->seg;
    struct partition *part = seg->part;
    struct store_shard *shard = part->shard;
    EL_ASSERT(seg->written_len == job->pos);
    EL_ASSERT(job->pos + job->len <= seg->len);
    EL_ASSERT(job->end_offset > seg->written_end);
    EL_ASSERT(job->end_offset <= seg->end_offset);
    seg->written_len = job->pos + job->len;
    seg->written_end = job->end_offset;
    seg->exists = true;
    seg->trimmed = true;
    seg->allocated_len = EL_MAX(seg->allocated_len, job->allocate_to);
    seg->synced_since = false;
    part->directory_known = true;
    if (el_list_empty(&seg->unsynced_link)) {
        el_list_push_back(&shard->unsynced, &seg->unsynced_link);
    }
    struct batch_entry *entry = job->first;
    for (uint32_t i = 0; i < job->count; i++) {
        EL_ASSERT(entry->part == part);
        EL_ASSERT(entry->planned);
        EL_ASSERT(!entry->in_segment);
        EL_ASSERT(batch_entry_next(entry) <= job->end_offset);
        entry->in_segment = true;
        entry->planned = false;
        entry = EL_CONTAINER(entry->link.next, struct batch_entry, link);
    }
    metrics_add(shard->metrics, METRIC_CHUNKS_WRITTEN, 1);
}

static void chunk_job_free(struct store_shard *shard, struct chunk_job *job)
{
    if (!spare_chunk_return(&shard->spare, job)) {
        el_buddy_free(shard->buddy, job);
    }
}

/* The job is over, written or not. */
static void chunk_end(struct chunk_job *job)
{
    struct partition *part = job->seg->part;
    struct store_shard *shard = part->shard;
    struct checkpoint *c = &shard->checkpoint;
    el_list_remove(&job->link);
    EL_ASSERT(shard->chunk_jobs > 0);
    EL_ASSERT(shard->jobs >= shard->chunk_jobs);
    EL_ASSERT(shard->chunks_waiting >= job->waits);
    EL_ASSERT(job->seg->pins > 0);
    shard->chunk_jobs--;
    shard->jobs--;
    shard->chunks_waiting -= job->waits;
    job->seg->pins--;
    if (job->plan < c->plan && c->chunks_left > 0) {
        c->chunks_left--;
    }
    chunk_job_free(shard, job);
    partition_unpin(part);
    checkpoint_hurry(shard);
}

static void chunk_on_done(struct io_op *op)
{
    struct chunk_job *job = EL_CONTAINER(op, struct chunk_job, op);
    struct segment *seg = job->seg;
    struct partition *part = seg->part;
    struct store_shard *shard = part->shard;
    bool full = op->result == EVLOG_ERR_NO_SPACE || op->result == EVLOG_ERR_NO_FILES;
    EL_ASSERT(part->chunk_jobs.next == &job->link); /* one at a time, in order */
    if (job->fd >= 0) {
        segment_opened(shard, seg, job->fd);
    }
    if (full && !shard->failed && !part->deleted) {
        if (shard->chunks_waiting == 0) {
            el_log(EL_LOG_WARN, "storage", "%s: %s; trying again every second", job->path,
                   evlog_error_text((int)op->result));
        }
        shard->chunks_waiting += !job->waits;
        job->waits = true;
        upkeep_set_full(shard, true);
        job->retry_timer.fire = chunk_retry;
        job->retry_timer.arg = job;
        io_timer_set(shard->io, &job->retry_timer, shard->io->now_ns + RETRY_NS);
        return;
    }
    if (op->result >= 0) {
        chunk_written(job);
    } else if (!part->deleted) { /* else nobody needs the bytes, and the file's removal waits for this job */
        shard_fail(shard, "writing %s failed (%s)", job->path, evlog_error_text((int)op->result));
    }
    while (job->link.next != &part->chunk_jobs && (shard->failed || part->deleted)) {
        chunk_end(EL_CONTAINER(job->link.next, struct chunk_job, link)); /* never behind a hole */
    }
    if (job->link.next != &part->chunk_jobs) {
        chunk_start(EL_CONTAINER(job->link.next, struct chunk_job, link));
    }
    chunk_end(job);
}

static void chunk_start(struct chunk_job *job)
{
    struct segment *seg = job->seg;
    struct store_shard *shard = seg->part->shard;
    EL_ASSERT(seg->written_len == job->pos || shard->failed);
    EL_ASSERT(job->pos + job->len <= seg->len);
    job->fd = seg->fd;
    job->trim = !seg->trimmed;
    job->make_dirs = !seg->part->directory_known;
    job->allocate_from = EL_MAX(seg->allocated_len, job->pos);
    job->allocate_to = job->pos + job->len;
    if (job->allocate_to > seg->allocated_len) {
        uint64_t step = EL_MIN(EL_MAX(seg->allocated_len * 3, (uint64_t)ALLOCATE_STEP_MIN),
                               (uint64_t)ALLOCATE_STEP_MAX);
        job->allocate_to = EL_ALIGN_UP(EL_MAX(job->allocate_to, seg->allocated_len + step), EL_JOURNAL_ALIGN);
    }
    job->buf = shard->chunk_buf;
    EL_ASSERT(job->allocate_to >= job->pos + job->len);
    job->buf_len = shard->chunk_buf_len;
    job->op.done = chunk_on_done;
    io_job(shard->io, &job->op, IO_JOB_DISK, chunk_run, job);
}

/* --- planning ----------------------------------------------------------------------------------------------------- */

static void segment_roll(struct segment *seg)
{
    EL_ASSERT(!seg->rolled);
    EL_ASSERT(!seg->sealing);
    EL_ASSERT(seg->link.next == &seg->part->segments); /* only the last one takes chunks */
    seg->rolled = true;
    seg->dirty = true;
    partition_mark_dirty(seg->part);
}

static struct segment *segment_active(struct partition *part)
{
    if (el_list_empty(&part->segments)) {
        return NULL;
    }
    struct segment *seg = EL_CONTAINER(part->segments.prev, struct segment, link);
    return seg->rolled || seg->sealed ? NULL : seg;
}

void segment_roll_now(struct partition *part)
{
    struct segment *seg = segment_active(part);
    if (seg != NULL) {
        segment_roll(seg);
    }
}

void segment_roll_older(struct partition *part, uint64_t now_ns, uint64_t ms)
{
    struct segment *seg = segment_active(part);
    uint64_t since_ns = seg == NULL ? 0 : EL_MIN(seg->created_ns, seg->first_append_ns);
    if (seg != NULL && now_ns > since_ns && (now_ns - since_ns) / 1000000 >= ms) {
        segment_roll(seg);
    }
}

void segment_roll_old(struct partition *part, uint64_t now_ns)
{
    struct segment *seg = segment_active(part);
    int64_t ms = topic_config_int(&part->topic->config, &part->shard->topic_defaults, TOPIC_SEGMENT_MS);
    if (seg != NULL && now_ns > seg->created_ns && (now_ns - seg->created_ns) / 1000000 >= (uint64_t)ms) {
        segment_roll(seg);
    }
}

/* The segment that takes a chunk of chunk_len bytes. */
static struct segment *segment_for(struct partition *part, uint64_t chunk_len)
{
    int64_t bytes = topic_config_int(&part->topic->config, &part->shard->topic_defaults, TOPIC_SEGMENT_BYTES);
    struct segment *seg = segment_active(part);
    if (seg != NULL && seg->len > 0 && seg->len + chunk_len > (uint64_t)bytes) {
        segment_roll(seg);
        seg = NULL;
    }
    if (seg == NULL) {
        seg = segment_create(part, part->next_segment_id, part->segment_end);
        if (seg != NULL) {
            part->next_segment_id++;
            seg->created_ns = el_clock_now(store_clock(part->shard->store));
            (void)spare_hold(part->shard, 0); /* a partition's next one is prepaid; not two */
        }
    }
    if (seg != NULL) {
        EL_ASSERT(seg->link.next == &part->segments);
        EL_ASSERT(seg->id < part->next_segment_id);
        EL_ASSERT(seg->end_offset <= part->segment_end);
    }
    return seg;
}

struct chunk_plan {
    struct batch_entry *first;
    uint32_t count;
    uint64_t data_len;
    int64_t end_offset;
};

static void chunk_collect(struct partition *part, uint64_t through, uint32_t count_max, struct chunk_plan *plan)
{
    uint64_t durable = part->shard->journal.durable_sequence;
    uint64_t len_max = (uint64_t)part->shard->store->cfg.chunk_len * CHUNK_LEN_FACTOR;
    *plan = (struct chunk_plan){.first = part->pending};
    struct batch_entry *entry = part->pending;
    while (entry != NULL && entry->sequence <= through && entry->sequence <= durable && plan->count < count_max &&
           (plan->count == 0 || plan->data_len + entry->len <= len_max)) {
        plan->count++;
        plan->data_len += entry->len;
        plan->end_offset = batch_entry_next(entry);
        struct el_list *next = entry->link.next;
        entry = next == &part->entries ? NULL : EL_CONTAINER(next, struct batch_entry, link);
    }
}

static void file_header_put(struct chunk_job *job, const struct segment *seg)
{
    struct el_segment_header h = {
        .topic_id = seg->topic_id,
        .partition = seg->partition,
        .segment_id = seg->id,
        .base_offset = seg->base_offset,
        .generation = seg->generation,
    };
    if (seg->link.prev != &seg->part->segments) {
        const struct segment *previous = EL_CONTAINER(seg->link.prev, struct segment, link);
        h.previous_id = previous->id;
        h.previous_generation = previous->generation;
    }
    el_segment_header_put(job->file_header, &h);
}

/* Table, checksums and the list of buffers; entries become planned. */
static void chunk_fill(struct chunk_job *job, struct segment *seg, const struct chunk_plan *plan, bool new_file)
{
    int64_t next_offset = seg->part->segment_end;
    uint64_t data_len = 0;
    job->iov_count = 0;
    if (new_file) {
        file_header_put(job, seg);
        job->iov[job->iov_count++] = (struct iovec){job->file_header, EL_SEGMENT_HEADER_LEN};
    }
    size_t table_len = EL_CHUNK_HEADER_LEN + (size_t)plan->count * EL_CHUNK_ENTRY_LEN;
    job->iov[job->iov_count++] = (struct iovec){job->table, table_len};
    struct batch_entry *entry = plan->first;
    for (uint32_t i = 0; i < plan->count; i++) {
        EL_ASSERT(!entry->planned);
        EL_ASSERT(!entry->in_segment);
        EL_ASSERT(entry->base_offset == next_offset); /* no hole, and nothing twice */
        next_offset = batch_entry_next(entry);
        data_len += entry->len;
        struct el_chunk_entry e = {
            .append_time_ns = entry->append_time_ns,
            .base_offset = entry->base_offset,
            .leader_epoch = entry->leader_epoch,
            .len = entry->len,
            .checksum = entry->checksum,
            .max_timestamp_ms = entry->max_timestamp_ms,
            .last_offset_delta = entry->last_offset_delta,
        };
        memcpy(e.salt, entry->salt, sizeof(e.salt));
        el_chunk_entry_put(job->table + EL_CHUNK_HEADER_LEN + (size_t)i * EL_CHUNK_ENTRY_LEN, &e);
        job->iov[job->iov_count++] = (struct iovec){entry->batch, entry->len};
        entry->planned = true;
        seg->max_timestamp_ms = EL_MAX(seg->max_timestamp_ms, entry->max_timestamp_ms);
        seg->first_append_ns = seg->first_append_ns == 0 ? entry->append_time_ns : seg->first_append_ns;
        seg->last_append_ns = entry->append_time_ns;
        entry = EL_CONTAINER(entry->link.next, struct batch_entry, link);
    }
    EL_ASSERT(next_offset == plan->end_offset);
    EL_ASSERT(data_len == plan->data_len);
    EL_ASSERT((uint32_t)job->iov_count == plan->count + 1 + new_file);
    struct el_chunk_header h = {seg->topic_id,
                                seg->partition,
                                plan->count,
                                seg->id,
                                seg->len + (new_file ? EL_SEGMENT_HEADER_LEN : 0),
                                (uint32_t)plan->data_len};
    el_chunk_seal(job->table, &h);
}

static size_t chunk_job_len(uint32_t count)
{
    return sizeof(struct chunk_job) + (count + 2) * sizeof(struct iovec) + EL_CHUNK_HEADER_LEN +
           (size_t)count * EL_CHUNK_ENTRY_LEN;
}

/* A job for what is pending up to `through`. A checkpoint's may be the spare one, which takes less at once. */
static struct chunk_job *chunk_job_new(struct partition *part, uint64_t through, struct chunk_plan *plan)
{
    struct store_shard *shard = part->shard;
    chunk_collect(part, through, CHUNK_BATCHES_MAX, plan);
    if (plan->count == 0) {
        return NULL;
    }
    struct chunk_job *job = el_buddy_alloc(shard->buddy, chunk_job_len(plan->count));
    if (job == NULL && through != UINT64_MAX && (job = spare_chunk_take(&shard->spare)) != NULL) {
        chunk_collect(part, through, SPARE_CHUNK_BATCHES, plan);
    }
    if (job == NULL) {
        return NULL;
    }
    EL_ASSERT(plan->count > 0);
    EL_ASSERT(plan->end_offset <= part->durable_end);
    memset(job, 0, sizeof(*job));
    job->iov = (struct iovec *)(void *)(job + 1);
    job->table = (uint8_t *)(job->iov + plan->count + 2);
    el_list_init(&job->link);
    return job;
}

int segment_write_chunk(struct partition *part, uint64_t through)
{
    struct store_shard *shard = part->shard;
    OBJ_CHECK(part, PARTITION);
    struct chunk_plan plan = {0};
    struct chunk_job *job = shard->failed ? NULL : chunk_job_new(part, through, &plan);
    if (plan.count == 0) {
        return 0;
    }
    struct segment *seg = job == NULL ? NULL : segment_for(part, el_chunk_len(plan.count, plan.data_len));
    if (seg == NULL) {
        chunk_job_free(shard, job);
        return EVLOG_ERR_NO_MEMORY;
    }
    bool new_file = seg->len == 0;
    chunk_fill(job, seg, &plan, new_file);
    job->seg = seg;
    job->plan = shard->checkpoint.plan;
    job->pos = seg->len;
    job->len = el_chunk_end(seg->len + (new_file ? EL_SEGMENT_HEADER_LEN : 0), plan.count, plan.data_len) - seg->len;
    EL_ASSERT(job->pos % EL_SEGMENT_ALIGN == 0);
    EL_ASSERT(job->len % EL_SEGMENT_ALIGN == 0);
    job->end_offset = plan.end_offset;
    job->first = plan.first;
    job->count = plan.count;
    segment_path(job->path, sizeof(job->path), &seg->topic_id, seg->partition, seg->id);
    segment_dir_path(job->dir, sizeof(job->dir), &seg->topic_id, seg->partition);
    segment_topic_path(job->topic_dir, sizeof(job->topic_dir), &seg->topic_id);
    seg->len += job->len;
    seg->end_offset = plan.end_offset;
    seg->dirty = true;
    seg->pins++;
    part->segment_bytes += job->len;
    part->pins++;
    partition_planned(part, plan.end_offset);
    partition_mark_dirty(part);
    shard->chunk_jobs++;
    shard->jobs++;
    el_list_push_back(&part->chunk_jobs, &job->link);
    if (part->chunk_jobs.next == &job->link) {
        chunk_start(job);
    }
    return (int)plan.count;
}

/* --- seal --------------------------------------------------------------------------------------------------------- */

struct seal_job {
    struct io_op op;
    struct segment *seg;
    struct segment_read read;
};

static int64_t seal_run(struct disk *disk, void *arg)
{
    struct seal_job *job = arg;
    struct segment_read *read = &job->read;
    int code = segment_read_run(disk, read); /* builds the whole index */
    const struct segment_index *index = read->new_index != NULL ? read->new_index : read->index;
    EL_ASSERT(read->data_len == 0);
    if (code == 0 && segment_index_damaged(index)) {
        code = EVLOG_ERR_CORRUPT; /* a footer would vouch for it */
    }
    if (code != 0) {
        return code;
    }
    size_t footer_len = el_footer_len(segment_index_count(index), false);
    uint8_t *footer = el_malloc(footer_len);
    if (footer == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    el_footer_put(footer, read->written_len, segment_index_entries(index), segment_index_count(index), NULL);
    code = disk_pwrite(disk, read->fd, footer, footer_len, read->written_len);
    if (code == 0) {
        code = disk_truncate(disk, read->fd, read->written_len + footer_len);
    }
    el_free(footer);
    return code;
}

static void seal_on_done(struct io_op *op)
{
    struct seal_job *job = EL_CONTAINER(op, struct seal_job, op);
    struct segment *seg = job->seg;
    struct partition *part = seg->part;
    struct store_shard *shard = part->shard;
    EL_ASSERT(seg->sealing);
    EL_ASSERT(!seg->sealed);
    EL_ASSERT(seg->written_len == seg->len); /* nothing was added meanwhile */
    EL_ASSERT(shard->jobs > 0);
    seg->sealing = false;
    shard->jobs--;
    if (op->result == 0) {
        seg->sealed = true;
        seg->dirty = true;
        seg->synced_since = false;
        partition_mark_dirty(part);
        if (el_list_empty(&seg->unsynced_link)) {
            el_list_push_back(&shard->unsynced, &seg->unsynced_link);
        }
        metrics_add(shard->metrics, METRIC_SEGMENTS_SEALED, 1);
    } else if (op->result == EVLOG_ERR_IO) {
        shard_fail(shard, "sealing %s failed (%s)", job->read.path, evlog_error_text((int)op->result));
    } else {
        seg->damaged = op->result == EVLOG_ERR_CORRUPT;
        el_log(EL_LOG_WARN, "storage", "%s: not sealed now: %s", job->read.path, evlog_error_text((int)op->result));
    }
    segment_read_end(seg, &job->read);
    el_buddy_free(shard->buddy, job);
}

static void segment_seal(struct segment *seg)
{
    struct store_shard *shard = seg->part->shard;
    EL_ASSERT(seg->rolled);
    EL_ASSERT(seg->exists);
    struct seal_job *job = el_buddy_alloc(shard->buddy, sizeof(*job));
    if (job == NULL) {
        return;
    }
    memset(job, 0, sizeof(*job));
    job->seg = seg;
    segment_read_begin(seg, &job->read);
    job->read.kind = SEEK_OFFSET;
    job->read.value = INT64_MAX;
    seg->sealing = true;
    shard->jobs++;
    job->op.done = seal_on_done;
    io_job(shard->io, &job->op, IO_JOB_COMPUTE, seal_run, job);
}

void segment_seal_rolled(struct partition *part)
{
    EL_LIST_EACH(n, &part->segments) {
        struct segment *seg = EL_CONTAINER(n, struct segment, link);
        if (seg->rolled && !seg->sealed && !seg->sealing && !seg->damaged && !seg->removed &&
            seg->written_len == seg->len && !part->shard->failed) {
            segment_seal(seg);
        }
    }
}
