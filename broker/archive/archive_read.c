/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads of what is no longer on this disk.
 *
 *   1. storage asks on the partition's shard (tier.h); the question waits in line: a shard has one job for them at a
 *      time, so that however slow the object store is, it takes one thread
 *   2. the job has a reader of the shard's own (store/archive_reader.h), made at the first question and brought to a
 *      newer root when one is asked for that it does not know
 *   3. batches are read CACHE_LEN at a time, each compared with its leaf, and kept for who reads on
 *
 * A store that cannot be reached, or forgets what a root covers, is EVLOG_ERR_AGAIN for the one who asked.
 */
#include <archive/archive_cold.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <core/logger.h>
#include <inttypes.h>

#define CACHE_LEN (2u << 20)
#define FEW_LEN (64u << 10) /* where nothing else is wanted nearby */

EL_STATIC_ASSERT(sizeof(struct el_list) <= sizeof(((struct tier_read *)0)->private_), "the link lies there");

static struct el_list *link_of(struct tier_read *read)
{
    return (struct el_list *)(void *)read->private_;
}

static struct tier_read *read_of(struct el_list *link)
{
    return EL_CONTAINER(link, struct tier_read, private_);
}

/* --- in the job --------------------------------------------------------------------------------------------------- */

static int cold_open(struct archive_read_job *job, struct el_error *err)
{
    if (job->cold == NULL) {
        job->cold = el_calloc(1, sizeof *job->cold);
        if (job->cold == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        for (uint32_t i = 0; i < COLD_SLOTS; i++) {
            job->cold->slots[i].from = -1;
        }
    }
    if (job->cold->reader != NULL) {
        return 0;
    }
    struct el_public_key keys[EL_SIGN_KEYS_MAX];
    for (size_t i = 0; i < job->cfg->key_count; i++) {
        el_private_key_public(job->cfg->keys[i], &keys[i]);
    }
    struct archive_reader_options options = {
        .keys = keys, .key_count = job->cfg->key_count, .incarnation = &job->incarnation};
    int code = archive_reader_open(job->cfg->bucket, &options, &job->cold->reader, err);
    if (code == EVLOG_ERR_NOT_FOUND && !el_uuid_is_zero(&job->parent)) { /* no root yet: what it continues has all */
        options.incarnation = &job->parent;
        options.sequence = job->parent_sequence;
        code = archive_reader_open(job->cfg->bucket, &options, &job->cold->reader, err);
    }
    return code;
}

/* The slot that holds the batch of an offset, or NULL; *index: of its row. */
static struct cold_slot *slot_find(struct archive_cold *cold, const struct tier_read *read, int64_t offset,
                                   uint32_t *index)
{
    for (uint32_t i = 0; i < COLD_SLOTS; i++) {
        struct cold_slot *s = &cold->slots[i];
        bool same = s->from >= 0 && s->partition == read->partition && el_uuid_eq(&s->topic_id, &read->topic_id);
        if (!same || offset < s->from || offset >= s->batches.next_offset) {
            continue;
        }
        for (*index = 0; *index < s->batches.count; ++*index) {
            const struct el_pack_batch *row = &s->batches.rows[*index];
            if (row->leaf.first_offset + row->last_offset_delta >= offset) {
                s->used = ++cold->uses;
                return s;
            }
        }
    }
    return NULL;
}

/* Read from an offset on into the slot that was not used for the longest time. */
static int slot_fill(struct archive_cold *cold, const struct tier_read *read, int64_t offset, size_t len,
                     struct cold_slot **filled, struct el_error *err)
{
    struct cold_slot *s = &cold->slots[0];
    for (uint32_t i = 1; i < COLD_SLOTS; i++) {
        s = cold->slots[i].used < s->used ? &cold->slots[i] : s;
    }
    s->from = -1;
    s->used = ++cold->uses;
    int code = archive_reader_read(cold->reader, &read->topic_id, read->partition, offset, len, &s->batches, err);
    if (code == 0) {
        s->topic_id = read->topic_id;
        s->partition = read->partition;
        s->from = offset;
    }
    *filled = s;
    return code;
}

static void copy_entry(struct tier_read *read, const struct el_pack_batch *row, uint32_t pos)
{
    EL_ASSERT(read->entry_count < read->entry_max);
    struct read_entry *e = &read->entries[read->entry_count++];
    *e = (struct read_entry){.append_time_ns = row->leaf.append_time_ns,
                             .max_timestamp_ms = row->leaf.max_timestamp_ms,
                             .leader_epoch = row->leaf.leader_epoch,
                             .pos = pos,
                             .len = row->len};
    memcpy(e->salt, row->salt, sizeof e->salt);
}

/* One row, which fits. */
static void copy_row(struct tier_read *read, const struct archive_batches *b, uint32_t index)
{
    size_t pos = 0;
    for (uint32_t i = 0; i < index; i++) {
        pos += b->rows[i].len;
    }
    EL_ASSERT(index < b->count);
    EL_ASSERT(read->data_len + b->rows[index].len <= read->buf_len);
    memcpy(read->buf + read->data_len, b->data + pos, b->rows[index].len);
    copy_entry(read, &b->rows[index], (uint32_t)read->data_len);
    read->data_len += b->rows[index].len;
}

/* Copy rows from index on; redacted ones are passed over. first_offset tells of a row that is there and not taken too,
 * for who asked passes over what is not there. */
static void copy_rows(struct tier_read *read, const struct archive_batches *b, uint32_t index)
{
    size_t pos = 0;
    for (uint32_t i = 0; i < index; i++) {
        pos += b->rows[i].len;
    }
    for (; index < b->count; index++) {
        const struct el_pack_batch *row = &b->rows[index];
        bool full = read->entries != NULL && read->entry_count == read->entry_max;
        bool over = read->data_len + row->len > read->data_max && (read->data_len > 0 || !read->at_least_one);
        if (row->leaf.first_offset >= read->end_offset) {
            return;
        }
        if (read->first_offset < 0 && !row->redacted) {
            read->first_offset = row->leaf.first_offset;
        }
        if (read->buf == NULL && !row->redacted) { /* only where it is, and what its entry says */
            read->next_offset = row->leaf.first_offset + row->last_offset_delta + 1;
            if (read->entries != NULL) {
                copy_entry(read, row, 0);
            }
            return;
        }
        if (full || over) {
            return;
        }
        if (read->data_len + row->len > read->buf_len) {
            read->wanted_len = row->len;
            read->error = read->data_len == 0 ? EVLOG_ERR_LIMIT : 0;
            return;
        }
        if (!row->redacted) {
            memcpy(read->buf + read->data_len, b->data + pos, row->len);
            if (read->entries != NULL) {
                copy_entry(read, row, (uint32_t)read->data_len);
            }
            read->data_len += row->len;
        }
        pos += row->len;
        read->next_offset = row->leaf.first_offset + row->last_offset_delta + 1;
        if (read->by != TIER_BY_OFFSET && read->data_len > 0) {
            return;
        }
    }
}

/* What was read may all be redacted: then what follows it is the answer. */
static int read_from(struct archive_cold *cold, struct tier_read *read, int64_t offset, struct el_error *err)
{
    int64_t from;
    do {
        uint32_t index = 0;
        struct cold_slot *s = slot_find(cold, read, offset, &index);
        int code = s != NULL ? 0 : slot_fill(cold, read, offset, EL_MAX(read->buf_len, (size_t)CACHE_LEN), &s, err);
        if (code != 0) {
            return code;
        }
        from = read->next_offset = offset;
        copy_rows(read, &s->batches, index);
        offset = read->next_offset;
    } while (read->first_offset < 0 && offset > from && offset < read->end_offset);
    return 0;
}

/* --- batches far apart -------------------------------------------------------------------------------------------- */

/* Bytes of an offset, about, where it lies. */
static double offset_len(struct archive_cold *cold, const struct tier_read *read, int64_t offset)
{
    struct archive_piece piece;
    int code = archive_reader_piece(cold->reader, &read->topic_id, read->partition, offset, &piece, NULL);
    int64_t count = piece.end_offset - piece.first_offset;
    if (code != 0 || piece.first_offset < 0 || count <= 0) {
        return 1;
    }
    return (double)piece.data_len / (double)count;
}

/* The slot with the batch of wanted[at]: one range holds what else is wanted nearby, on the side where that lies. */
static int slot_near(struct archive_cold *cold, const struct tier_read *read, uint32_t at, struct cold_slot **slot,
                     uint32_t *index, struct el_error *err)
{
    int64_t offset = read->wanted[at], from = offset;
    *slot = slot_find(cold, read, offset, index);
    if (*slot != NULL) {
        return 0;
    }
    int64_t span = (int64_t)(CACHE_LEN / 4 * 3 / EL_MAX(offset_len(cold, read, offset), 1.0));
    bool alone = true;
    for (uint32_t i = at + 1; i < read->wanted_count; i++) {
        bool near = read->wanted[i] >= offset - span && read->wanted[i] <= offset + span;
        alone = alone && !near;
        from = near ? EL_MIN(from, read->wanted[i]) : from;
    }
    int code = slot_fill(cold, read, from, alone ? FEW_LEN : CACHE_LEN, slot, err);
    *slot = code == 0 ? slot_find(cold, read, offset, index) : NULL;
    if (code == 0 && *slot == NULL && from < offset) { /* they lie further apart than on average */
        code = slot_fill(cold, read, offset, CACHE_LEN, slot, err);
        *slot = code == 0 ? slot_find(cold, read, offset, index) : NULL;
    }
    return code;
}

/* Is the batch of the offset there already? */
static bool is_taken(const struct tier_read *read, int64_t offset)
{
    for (uint32_t i = 0; i < read->entry_count; i++) {
        const uint8_t *batch = read->buf + read->entries[i].pos;
        if (offset >= el_batch_base_offset(batch) && offset <= el_batch_last_offset(batch)) {
            return true;
        }
    }
    return false;
}

/* The first batch as ever, then those of the other offsets that are wanted, in the order of these, as long as they fit.
 * An error behind the first is the next read's. */
static int read_wanted(struct archive_cold *cold, struct tier_read *read, struct el_error *err)
{
    uint32_t entry_max = read->entry_max;
    struct cold_slot *slot;
    uint32_t index = 0;
    int code = read->wanted[0] == read->offset ? slot_near(cold, read, 0, &slot, &index, err) : 0;
    read->entry_max = 1;
    code = code != 0 ? code : read_from(cold, read, read->offset, err);
    read->entry_max = entry_max;
    int64_t next = read->next_offset;
    for (uint32_t i = 0; i < read->wanted_count && code == 0 && read->error == 0 && read->data_len > 0; i++) {
        if (read->wanted[i] >= read->end_offset || is_taken(read, read->wanted[i])) {
            continue;
        }
        if (slot_near(cold, read, i, &slot, &index, NULL) != 0) {
            break;
        }
        const struct el_pack_batch *row = slot == NULL ? NULL : &slot->batches.rows[index];
        if (row == NULL || row->redacted || row->leaf.first_offset > read->wanted[i]) {
            continue; /* it is not there */
        }
        if (read->entry_count == entry_max || read->data_len + row->len > EL_MIN(read->data_max, read->buf_len)) {
            break;
        }
        copy_row(read, &slot->batches, index);
    }
    read->next_offset = next;
    return code;
}

/* --- the question ------------------------------------------------------------------------------------------------- */

/* Does the reader's root cover what is asked for? */
static bool reaches(struct archive_cold *cold, const struct tier_read *read)
{
    const struct archive_partition *p = archive_state_partition(archive_reader_state(cold->reader), &read->topic_id,
                                                                read->partition);
    return p != NULL && p->now.end_offset >= read->end_offset;
}

/* Is the reader that of the archive that the broker's own continues? */
static bool is_parents(const struct archive_read_job *job)
{
    return !el_uuid_eq(&archive_reader_root(job->cold->reader)->incarnation, &job->incarnation);
}

static int read_run(struct archive_read_job *job, struct tier_read *read, struct el_error *err)
{
    int64_t offset = read->offset;
    int code = cold_open(job, err);
    if (code == 0 && !reaches(job->cold, read) && is_parents(job)) {
        archive_cold_free(job->cold);
        job->cold = NULL;
        code = cold_open(job, err);
    }
    if (code == 0 && !reaches(job->cold, read)) {
        code = archive_reader_refresh(job->cold->reader, NULL, err);
        uint64_t seen = code == 0 ? archive_reader_root(job->cold->reader)->sequence : 0;
        if (code == 0 && seen < job->sequence) { /* half an answer would pass for "there is no more" */
            code = el_error_set(err, EVLOG_ERR_AGAIN, "root %" PRIu64 " is the newest that is seen, %" PRIu64 " is put",
                                seen, job->sequence);
        }
    }
    if (code == 0 && read->by == TIER_BY_SIZE) {
        return archive_reader_seek_size(job->cold->reader, &read->topic_id, read->partition, read->end_offset,
                                        (uint64_t)EL_MAX(read->time, (int64_t)0), &read->first_offset, err);
    }
    if (code == 0 && read->by == TIER_BY_PRESENCE) {
        return cold_presence(job, read, err);
    }
    if (code == 0 && read->by == TIER_BY_NEWEST) {
        return cold_newest(job->cold, read, err);
    }
    if (code == 0 && read->by != TIER_BY_OFFSET) {
        struct archive_seek seek = {.by = read->by == TIER_BY_TIMESTAMP ? ARCHIVE_EVENT_TIME_MS
                                                                        : ARCHIVE_APPEND_TIME_NS,
                                    .time = read->time,
                                    .from_offset = read->offset};
        code = archive_reader_seek_from(job->cold->reader, &read->topic_id, read->partition, &seek, &offset, err);
        if (code != 0 || offset < 0 || offset >= read->end_offset) {
            return code;
        }
    }
    if (code == 0 && read->by == TIER_BY_OFFSET && read->wanted_count > 0) {
        return read_wanted(job->cold, read, err);
    }
    return code != 0 ? code : read_from(job->cold, read, offset, err);
}

void archive_cold_free(struct archive_cold *cold)
{
    if (cold == NULL) {
        return;
    }
    archive_reader_close(cold->reader);
    for (uint32_t i = 0; i < COLD_SLOTS; i++) {
        archive_batches_free(&cold->slots[i].batches);
    }
    el_free(cold);
}

void archive_cold_forget(struct archiver *ar)
{
    ar->cold_stale = ar->cold_job.read != NULL;
    if (!ar->cold_stale) {
        archive_cold_free(ar->cold_job.cold);
        ar->cold_job.cold = NULL;
    }
}

static void read_begin(struct tier_read *read)
{
    read->data_len = 0;
    read->entry_count = 0;
    read->first_offset = -1;
    read->next_offset = read->offset;
    read->wanted_len = 0;
    read->error = 0;
}

int64_t archive_read_job_run(struct disk *disk, void *arg)
{
    struct archive_read_job *job = arg;
    struct tier_read *read = job->read;
    struct el_error err = {0};
    read_begin(read);
    job->missing = 0;
    job->memory_len = 0;
    int code = read_run(job, read, &err);
    if (code == EVLOG_ERR_NOT_FOUND || code == EVLOG_ERR_CORRUPT) {
        /* an object that was replaced meanwhile, perhaps: from the newest root once more */
        archive_cold_free(job->cold);
        job->cold = NULL;
        read_begin(read);
        job->missing = 0;
        code = read_run(job, read, &err);
    }
    if (code == EVLOG_ERR_CORRUPT && (job->missing == 0 || job->missing != job->missing_told)) {
        el_log(EL_LOG_ERROR, "archive", "%s", err.text);
        job->missing_told = job->missing;
    }
    job->memory_len = archive_cold_memory(job->cold);
    if (code == EVLOG_ERR_UNKNOWN_TOPIC && read->by != TIER_BY_PRESENCE) {
        return 0; /* nothing there */
    }
    read->error = code == 0                   ? read->error
                  : code == EVLOG_ERR_CORRUPT ? EVLOG_ERR_CORRUPT
                  : code == EVLOG_ERR_CLOSED  ? EVLOG_ERR_CLOSED
                                              : EVLOG_ERR_AGAIN;
    return 0;
}

/* --- on the shard ------------------------------------------------------------------------------------------------- */

static void reads_go(struct archiver *ar);

void archive_read_job_fill(struct archiver *ar)
{
    ar->cold_job.cfg = &ar->archive->cfg;
    ar->cold_job.incarnation = ar->archive->begin.incarnation;
    ar->cold_job.parent = ar->archive->begin.parent;
    ar->cold_job.parent_sequence = ar->archive->begin.parent_sequence;
    ar->cold_job.sequence = atomic_load(&ar->archive->sequence_shown);
}

static void read_on_done(struct io_op *op)
{
    struct archiver *ar = op->arg;
    struct tier_read *read = ar->cold_job.read;
    EL_ASSERT(read != NULL);
    EL_ASSERT(ar->reads > 0);
    EL_ASSERT(read->data_len <= read->buf_len);
    EL_ASSERT(read->entry_count <= read->entry_max);
    ar->cold_job.read = NULL;
    ar->reads--;
    ar->cold_ns = ar->io->now_ns;
    ar->cold_len = ar->cold_job.memory_len;
    if (ar->cold_stale) {
        archive_cold_forget(ar);
        ar->cold_len = 0;
    }
    archive_memory_charge(ar);
    metrics_add(ar->metrics, METRIC_ARCHIVE_READS, 1);
    if (ar->cold_job.missing != 0) {
        metrics_add(ar->metrics, METRIC_ARCHIVE_MISSING, 1);
        atomic_store(&ar->archive->missing_ns, el_clock_now(store_clock(ar->archive->store)));
    }
    store_tier_read_done(read);
    reads_go(ar);
}

static void reads_go(struct archiver *ar)
{
    struct el_list *link;
    bool readable = ar->known || (ar->ended && ar->readable);
    bool over = ar->ended && (ar->leaving || !readable);
    while (over && ar->cold_job.read == NULL && (link = el_list_pop_front(&ar->read_list)) != NULL) {
        struct tier_read *read = read_of(link);
        read_begin(read);
        read->error = EVLOG_ERR_CLOSED;
        EL_ASSERT(ar->reads > 0);
        ar->reads--;
        store_tier_read_done(read);
    }
    if (!readable) { /* which incarnation this disk's is; another one's events may be others */
        return;
    }
    if (ar->cold_job.read != NULL || (link = el_list_pop_front(&ar->read_list)) == NULL) {
        return;
    }
    ar->cold_job.read = read_of(link);
    archive_read_job_fill(ar);
    ar->cold_op.done = read_on_done;
    ar->cold_op.arg = ar;
    io_job(ar->io, &ar->cold_op, IO_JOB_ARCHIVE, archive_read_job_run, &ar->cold_job);
}

void archive_reads_go(struct archiver *ar)
{
    EL_ASSERT(ar->ended || ar->known);
    reads_go(ar);
}

static void read_kick(struct io_message *message)
{
    struct archiver *ar = EL_CONTAINER(message, struct archiver, kick);
    EL_ASSERT(ar->kicked);
    ar->kicked = false;
    reads_go(ar);
}

void archive_reads_kick(struct archiver *ar)
{
    if (!ar->kicked) {
        ar->kicked = true;
        ar->kick.run = read_kick;
        io_post(ar->io, &ar->kick);
    }
}

void archive_read_begin(void *arg, struct tier_read *read)
{
    struct archiver *ar = arg;
    OBJ_CHECK(ar, ARCHIVER);
    el_list_init(link_of(read));
    el_list_push_back(&ar->read_list, link_of(read));
    ar->reads++;
    archive_reads_kick(ar); /* no answer from inside of this call */
}
