/* SPDX-License-Identifier: Apache-2.0
 *
 * A shard heals what it has of a disk that is older than what was signed. Appends and changes of the catalogue are held
 * meanwhile. Two orders of the root maker:
 *
 *   look   is the log of each partition how that of the archive begins? Of what this disk has beyond the end that it
 *          knew, the last batch that both have must be the same one: each has random bytes of its own, so logs that
 *          share it are the same below. Then it is known how many partitions are behind
 *   heal   of each that is, batches are read from the archive, verified against the signed tree, and appended as they
 *          were (store_append_given()); offsets that the archive does not have are taken by batches without records.
 *          A log start that the archive has moved is moved here
 *
 * When the catalogue is behind, it alone is healed: after the next start there are the partitions of the others.
 * Of evlog's other topics, what came behind the time that the archive is complete through stays out, as in a restore.
 *
 * Fails: what cannot be read or taken now is tried again, for as long as it takes. Logs that differ end archiving.
 */
#include <archive/archiver_state.h>

#include <core/crypto.h>
#include <core/logger.h>
#include <format/catalogue_layout.h>
#include <inttypes.h>

#define BUF_LEN (1u << 20)
#define ENTRIES 512u
#define SOON_NS 5000000u
#define AGAIN_NS 500000000u
#define HOLLOW_MAX (1 << 30) /* offsets that one batch without records takes */

enum heal_step { HEAL_AT_PART, HEAL_READING_DISK, HEAL_READING_ARCHIVE, HEAL_APPENDING, HEAL_TRIMMING, HEAL_WAITING };

struct archive_heal {
    struct archiver *ar;
    enum heal_step step;
    bool looking;
    bool whole;          /* the partition has all that it is to have */
    bool inside;         /* heal_go() is on the stack */
    size_t index;        /* of told.parts */
    uint32_t tries;      /* since something went on */
    uint32_t due;        /* partitions that are to be healed, and are not */
    struct read_op disk; /* the batch to compare, while it is compared */
    bool has_disk;
    struct tier_read read;
    uint8_t *buf;
    size_t buf_len;
    uint32_t entry; /* of the read that is appended next */
    struct append_op append;
    struct append_given given;
    struct tier_trim trim;
    uint8_t hollow[EL_BATCH_HEADER_LEN];
    struct read_entry entries[ENTRIES];
};

static void heal_go(struct archive_heal *h);

static struct archive_told_part *told_of(struct archive_heal *h)
{
    EL_ASSERT(h->index < h->ar->told.part_count);
    return &h->ar->told.parts[h->index];
}

/* The partition that is looked at; NULL: another shard's, or of a topic that this disk does not know. */
static struct partition *view_of(struct archive_heal *h, struct tier_view *view)
{
    const struct archive_told_part *told = told_of(h);
    struct partition *part = store_tier_find(h->ar->shard, &told->topic_id, told->number);
    if (part != NULL) {
        store_tier_view(part, view);
    }
    return part;
}

static bool is_catalogue(const struct archive_told_part *told)
{
    return el_uuid_eq(&told->topic_id, &EL_CATALOGUE_TOPIC_ID);
}

/* --- waiting and ending ------------------------------------------------------------------------------------------- */

static void on_again(struct io_timer *timer)
{
    struct archive_heal *h = timer->arg;
    EL_ASSERT(h->step == HEAL_WAITING);
    h->step = HEAL_AT_PART;
    heal_go(h);
}

static void try_again(struct archive_heal *h, uint64_t ns)
{
    h->step = HEAL_WAITING;
    h->ar->heal_timer.fire = on_again;
    h->ar->heal_timer.arg = h;
    io_timer_set(h->ar->io, &h->ar->heal_timer, h->ar->io->now_ns + ns);
}

/* Something that helps itself, or that somebody must see to. */
static void failed(struct archive_heal *h, int code, const char *what)
{
    struct archiver *ar = h->ar;
    if (h->tries == 0) {
        el_log(EL_LOG_WARN, "archive", "shard %" PRIu32 ": this disk is not healed yet: %s (%s); it is tried again",
               ar->index, what, evlog_error_text(code));
    }
    try_again(h, archive_backoff_ns(ar->archive, ar->io, h->tries++, code));
}

static void drop_disk(struct archive_heal *h)
{
    if (h->has_disk) {
        store_read_release(&h->disk);
        h->has_disk = false;
    }
}

static void heal_free(struct archiver *ar)
{
    struct archive_heal *h = ar->heal;
    if (h != NULL) {
        io_timer_cancel(ar->io, &ar->heal_timer);
        drop_disk(h);
        el_buddy_free(ar->buddy, h->buf);
        el_buddy_free(ar->buddy, h);
        ar->heal = NULL;
    }
}

static void heal_end(struct archive_heal *h)
{
    struct archiver *ar = h->ar;
    EL_ASSERT(ar->heal == h);
    EL_ASSERT(ar->cold_job.read != &h->read); /* no job writes to it any more */
    ar->heal_due = h->due;
    if (!h->looking) {
        metrics_set(ar->metrics, METRIC_ARCHIVE_HEAL_PARTITIONS, h->due);
    }
    heal_free(ar);
    archiver_answer(ar);
}

void archiver_heal_stop(struct archiver *ar)
{
    struct archive_heal *h = ar->heal;
    if (h != NULL && h->step == HEAL_WAITING && !h->inside) {
        heal_end(h);
    } else if (h == NULL && ar->heal_timer.heap_index != 0) { /* it waits for memory */
        io_timer_cancel(ar->io, &ar->heal_timer);
        archiver_answer(ar);
    }
}

/* --- comparing ---------------------------------------------------------------------------------------------------- */

static void say_differs(struct archive_heal *h, struct partition *part, int64_t offset)
{
    char id[33];
    const struct archive_told_part *told = told_of(h);
    el_hex(id, told->topic_id.bytes, 16);
    store_tier_refuse(part);
    archive_fail(
        h->ar->archive,
        "partition %d of topic %s has another event at offset %" PRId64
        " on this disk than in the archive: this disk is older than what was signed, and was written to since. "
        "Nothing is appended to it and nothing archived; keep what you need of it (evlog topics export), and "
        "start evlogd --from-archive on an empty data directory, or on the newer disk",
        told->number, id, offset);
}

/* Is the first batch that the archive gave that of the disk? Where the archive has none, it was deleted there before it
 * was archived. */
static bool is_same(const struct archive_heal *h)
{
    const struct read_entry *mine = &h->disk.entries[0], *other = &h->entries[0];
    const uint8_t *batch = h->disk.data + mine->pos, *theirs = h->buf + other->pos;
    if (h->read.entry_count == 0 || h->read.first_offset > el_batch_last_offset(batch)) {
        return true;
    }
    return mine->len == other->len && memcmp(batch, theirs, mine->len) == 0 &&
           mine->append_time_ns == other->append_time_ns && mine->leader_epoch == other->leader_epoch &&
           memcmp(mine->salt, other->salt, sizeof mine->salt) == 0;
}

static bool is_due(const struct archive_told_part *told, const struct tier_view *view)
{
    return view->durable_end < told->end || view->log_start < told->log_start;
}

static void part_next(struct archive_heal *h)
{
    h->index++;
    h->whole = false;
    h->step = HEAL_AT_PART;
}

static void part_looked_at(struct archive_heal *h)
{
    struct tier_view view;
    const struct archive_told_part *told = told_of(h);
    if (view_of(h, &view) != NULL && is_due(told, &view)) {
        h->due++;
        h->ar->heal_catalogue = h->ar->heal_catalogue || is_catalogue(told);
    }
    part_next(h);
}

static void compared(struct archive_heal *h)
{
    struct tier_view view;
    struct partition *part = view_of(h, &view);
    if (part != NULL && !is_same(h)) {
        say_differs(h, part, el_batch_base_offset(h->disk.data + h->disk.entries[0].pos));
    }
    drop_disk(h);
    part_looked_at(h);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static void archive_on_read(struct io_op *op);

static void archive_read(struct archive_heal *h, int64_t offset)
{
    struct archiver *ar = h->ar;
    const struct archive_told_part *told = told_of(h);
    h->read = (struct tier_read){.topic_id = told->topic_id,
                                 .partition = told->number,
                                 .offset = offset,
                                 .end_offset = told->end,
                                 .buf = h->buf,
                                 .buf_len = h->buf_len,
                                 .data_max = h->looking ? 1 : h->buf_len,
                                 .at_least_one = true,
                                 .entries = h->entries,
                                 .entry_max = ENTRIES,
                                 .by = TIER_BY_OFFSET};
    EL_ASSERT(ar->cold_job.read == NULL);
    archive_read_job_fill(ar);
    ar->cold_job.read = &h->read;
    h->step = HEAL_READING_ARCHIVE;
    ar->cold_op.done = archive_on_read;
    ar->cold_op.arg = h;
    io_job(ar->io, &ar->cold_op, IO_JOB_ARCHIVE, archive_read_job_run, &ar->cold_job);
}

static bool grow(struct archive_heal *h)
{
    uint8_t *larger = h->read.wanted_len > EL_BATCH_LEN_MAX ? NULL : el_buddy_alloc(h->ar->buddy, h->read.wanted_len);
    if (larger != NULL) {
        el_buddy_free(h->ar->buddy, h->buf);
        h->buf = larger;
        h->buf_len = h->read.wanted_len;
    }
    return larger != NULL;
}

static void archive_on_read(struct io_op *op)
{
    struct archive_heal *h = op->arg;
    EL_ASSERT(h->step == HEAL_READING_ARCHIVE);
    EL_ASSERT(h->ar->cold_job.read == &h->read);
    EL_ASSERT(h->read.data_len <= h->buf_len);
    h->ar->cold_job.read = NULL;
    metrics_add(h->ar->metrics, METRIC_ARCHIVE_READS, 1);
    h->entry = 0;
    if (h->read.error == EVLOG_ERR_LIMIT && grow(h)) {
        drop_disk(h);
        h->step = HEAL_AT_PART;
    } else if (h->read.error != 0) {
        drop_disk(h);
        failed(h, h->read.error, "the archive cannot be read");
    } else if (h->looking) {
        h->tries = 0;
        compared(h);
    } else {
        h->step = HEAL_APPENDING;
    }
    heal_go(h);
}

static void disk_on_read(struct store_op *base)
{
    struct archive_heal *h = base->arg;
    EL_ASSERT(h->step == HEAL_READING_DISK);
    h->has_disk = true;
    if (h->ar->ended) { /* the reading job may be another's now */
        drop_disk(h);
        h->step = HEAL_AT_PART;
        heal_go(h);
        return;
    }
    if (h->disk.base.error == 0 && h->disk.entry_count > 0) {
        archive_read(h, el_batch_base_offset(h->disk.data + h->disk.entries[0].pos));
        return;
    }
    int code = h->disk.base.error;
    drop_disk(h);
    if (code != 0 && code != EVLOG_ERR_OFFSET_RANGE) {
        failed(h, code, "the log cannot be read");
    } else {
        part_looked_at(h); /* nothing is there any more that could be another event */
    }
    heal_go(h);
}

static void disk_read(struct archive_heal *h, int64_t offset)
{
    const struct archive_told_part *told = told_of(h);
    h->step = HEAL_READING_DISK;
    h->disk = (struct read_op){.base = {.done = disk_on_read, .arg = h},
                               .topic_id = told->topic_id,
                               .partition = told->number,
                               .offset = offset,
                               .max_bytes = 1,
                               .at_least_one = true,
                               .want_entries = true,
                               .for_archive = true,
                               .current_leader_epoch = -1,
                               .last_fetched_epoch = -1};
    store_read(h->ar->shard, &h->disk);
}

/* --- the catalogue ------------------------------------------------------------------------------------------------ */

/* Shards that a batch of the catalogue needs: partitions stay on the shard that they were made on. */
static uint32_t shards_needed(const uint8_t *batch, uint32_t len)
{
    struct el_batch_iter iter;
    struct el_batch_record record;
    struct el_catalogue_record topic;
    uint32_t count = 0;
    int code = el_batch_open(&iter, batch, len, NULL, 0);
    while (code == 0 && el_batch_next(&iter, &record) == 1) {
        code = el_catalogue_record_get(record.record.key, record.record.value, &topic);
        for (int32_t i = 0; code == 0 && i < topic.partition_count; i++) {
            count = EL_MAX(count, el_get_le16(topic.owners + (size_t)i * 2) + 1u);
        }
    }
    return count;
}

/* returns false: evlogd has too few shards for what the newer disk had, and archiving has ended */
static bool has_shards(struct archive_heal *h, const uint8_t *batch, uint32_t len)
{
    uint32_t needed = is_catalogue(told_of(h)) ? shards_needed(batch, len) : 0;
    if (needed > h->ar->archive->shard_count) {
        archive_fail(h->ar->archive,
                     "this disk is older than what was signed, and is not healed: the newer one had %" PRIu32
                     " shards, this evlogd runs %" PRIu32 ": start it with --shards=%" PRIu32,
                     needed, h->ar->archive->shard_count, needed);
    }
    return needed <= h->ar->archive->shard_count;
}

/* --- appending ---------------------------------------------------------------------------------------------------- */

static void append_on_done(struct store_op *base)
{
    struct archive_heal *h = base->arg;
    if (base->error != 0) { /* the place of the batch is looked for again */
        failed(h, base->error, "nothing can be appended");
    } else {
        h->tries = h->append.no_wait ? h->tries : 0;
        h->step = HEAL_APPENDING;
    }
    heal_go(h);
}

static void append(struct archive_heal *h, const uint8_t *batch, uint32_t len, int64_t offset, bool last)
{
    const struct archive_told_part *told = told_of(h);
    h->append = (struct append_op){.base = {.done = append_on_done, .arg = h},
                                   .topic_id = told->topic_id,
                                   .partition = told->number,
                                   .batch = batch,
                                   .batch_len = len,
                                   .no_wait = !last};
    int code = el_batch_verify(batch, len);
    code = code != 0 ? code : el_batch_header(batch, len, &h->append.info);
    if (code != 0) {
        failed(h, code, "what the archive has does not verify");
        return;
    }
    if (!has_shards(h, batch, len)) {
        h->step = HEAL_AT_PART;
        h->index = h->ar->told.part_count; /* nothing more is done */
        return;
    }
    h->append.info.base_offset = offset;
    h->step = HEAL_READING_DISK; /* under way; append_on_done() goes on */
    store_append_given(h->ar->shard, &h->append, &h->given);
}

/* Offsets from..to belong to no event. */
static void append_hollow(struct archive_heal *h, int64_t from, int64_t to)
{
    EL_ASSERT(to > from);
    int64_t count = EL_MIN(to - from, (int64_t)HOLLOW_MAX);
    struct el_batch_info info = {
        .last_offset_delta = (int32_t)(count - 1), .producer_id = -1, .producer_epoch = -1, .base_sequence = -1};
    el_batch_hollow(h->hollow, &info);
    h->given.max_timestamp_ms = -1;
    io_random(h->ar->io, h->given.salt, sizeof h->given.salt);
    append(h, h->hollow, sizeof h->hollow, from, true);
}

/* Does the archive's batch stay out, with all behind it? */
static bool is_beyond(const struct archive_heal *h, const struct tier_view *view, const struct read_entry *e)
{
    const struct archive_told_part *told = &h->ar->told.parts[h->index];
    return view->internal && !is_catalogue(told) && e->append_time_ns > h->ar->archive->begin.complete_ns;
}

/* The next batch of what was read, or the offsets before it. */
static void append_next(struct archive_heal *h, const struct tier_view *view)
{
    const struct read_entry *e = &h->entries[h->entry];
    const uint8_t *batch = h->buf + e->pos;
    if (h->entry == h->read.entry_count) {
        h->step = HEAL_AT_PART;
        return;
    }
    int64_t base = el_batch_base_offset(batch);
    if (is_beyond(h, view, e)) {
        h->whole = true;
        h->step = HEAL_AT_PART;
        return;
    }
    h->given = (struct append_given){
        .append_time_ns = e->append_time_ns, .max_timestamp_ms = e->max_timestamp_ms, .leader_epoch = e->leader_epoch};
    memcpy(h->given.salt, e->salt, sizeof e->salt);
    if (base > view->next_offset) {
        append_hollow(h, view->next_offset, base);
    } else if (base < view->next_offset) {
        h->entry++;
    } else {
        h->entry++;
        append(h, batch, e->len, base, h->entry == h->read.entry_count);
    }
}

/* --- one partition after the other -------------------------------------------------------------------------------- */

static void trim_on_done(struct tier_trim *trim, int error)
{
    struct archive_heal *h = EL_CONTAINER(trim, struct archive_heal, trim);
    EL_ASSERT(h->step == HEAL_TRIMMING);
    if (error != 0) {
        try_again(h, AGAIN_NS);
    } else {
        h->step = HEAL_AT_PART;
    }
    heal_go(h);
}

static void part_end(struct archive_heal *h, struct partition *part, const struct tier_view *view)
{
    struct archive_told_part *told = told_of(h);
    int64_t log_start = EL_MIN(told->log_start, view->durable_end);
    if (log_start > view->log_start) {
        h->trim.log_start = log_start;
        h->trim.done = trim_on_done;
        h->step = HEAL_TRIMMING;
        if (store_tier_trim(part, &h->trim) != 0) {
            try_again(h, AGAIN_NS);
        }
        return;
    }
    told->healed_end = EL_MIN(told->end, view->durable_end);
    EL_ASSERT(h->due > 0);
    EL_ASSERT(told->healed_end <= told->end);
    h->due--;
    metrics_set(h->ar->metrics, METRIC_ARCHIVE_HEAL_PARTITIONS, h->due);
    part_next(h);
}

static void look_at_part(struct archive_heal *h, const struct tier_view *view)
{
    const struct archive_told_part *told = told_of(h);
    int64_t both = EL_MIN(view->durable_end, told->end);
    if (both > told->known_end && both > EL_MAX(view->log_start, view->local_start)) {
        disk_read(h, both - 1);
    } else {
        part_looked_at(h);
    }
}

static void heal_part(struct archive_heal *h, struct partition *part, const struct tier_view *view)
{
    const struct archive_told_part *told = told_of(h);
    if (!is_due(told, view) || (h->ar->heal_only_catalogue && !is_catalogue(told))) {
        part_next(h);
    } else if (h->whole || view->durable_end >= told->end) {
        part_end(h, part, view);
    } else if (h->read.entry_count == 0 && h->read.offset == view->durable_end && h->read.partition == told->number &&
               el_uuid_eq(&h->read.topic_id, &told->topic_id) && h->read.end_offset == told->end) {
        /* nothing behind it but offsets */
        h->given = (struct append_given){.append_time_ns = el_clock_last(store_clock(h->ar->archive->store)),
                                         .leader_epoch = store_leader_epoch(h->ar->archive->store)};
        append_hollow(h, view->durable_end, told->end);
    } else {
        archive_read(h, view->durable_end);
    }
}

/* One step. */
static void heal_turn(struct archive_heal *h)
{
    struct tier_view view;
    struct partition *part = view_of(h, &view);
    if (part == NULL) {
        part_next(h);
    } else if (h->step == HEAL_APPENDING) {
        append_next(h, &view);
    } else if (view.next_offset > view.durable_end) {
        try_again(h, SOON_NS);
    } else if (h->looking) {
        look_at_part(h, &view);
    } else {
        heal_part(h, part, &view);
    }
}

static void heal_go(struct archive_heal *h)
{
    struct archiver *ar = h->ar;
    if (h->inside) {
        return;
    }
    h->inside = true;
    while ((h->step == HEAL_AT_PART || h->step == HEAL_APPENDING) && h->index < ar->told.part_count && !ar->ended) {
        heal_turn(h);
    }
    h->inside = false;
    bool rests = h->step == HEAL_AT_PART || h->step == HEAL_APPENDING || (h->step == HEAL_WAITING && ar->ended);
    if (rests && (h->index == ar->told.part_count || ar->ended)) {
        heal_end(h);
    }
}

/* --- orders ------------------------------------------------------------------------------------------------------- */

static void heal_begin(struct archiver *ar, bool looking);

static void on_memory(struct io_timer *timer)
{
    struct archiver *ar = timer->arg;
    heal_begin(ar, ar->order == ORDER_HEAL_LOOK);
}

static void heal_begin(struct archiver *ar, bool looking)
{
    EL_ASSERT(ar->heal == NULL);
    struct archive_heal *h = ar->ended ? NULL : el_buddy_alloc(ar->buddy, sizeof *h);
    uint8_t *buf = h == NULL ? NULL : el_buddy_alloc(ar->buddy, BUF_LEN);
    if (buf == NULL && !ar->ended) {
        el_buddy_free(ar->buddy, h);
        ar->heal_timer.fire = on_memory;
        ar->heal_timer.arg = ar;
        io_timer_set(ar->io, &ar->heal_timer, ar->io->now_ns + AGAIN_NS);
        return;
    }
    if (ar->ended) {
        archiver_answer(ar);
        return;
    }
    memset(h, 0, sizeof *h);
    h->ar = ar;
    h->looking = looking;
    h->buf = buf;
    h->buf_len = BUF_LEN;
    h->due = looking ? 0 : ar->heal_due;
    ar->heal = h;
    heal_go(h);
}

void archiver_heal_look(struct archiver *ar)
{
    ar->holds = true;
    store_tier_hold(ar->shard, true);
    ar->heal_due = 0;
    ar->heal_catalogue = false;
    heal_begin(ar, true);
}

void archiver_heal(struct archiver *ar)
{
    heal_begin(ar, false);
}
