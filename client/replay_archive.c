/* SPDX-License-Identifier: Apache-2.0
 *
 * See replay_archive.h. For each partition some batches are kept; the next one that is opened is that with the lowest
 * append time, of the lowest partition. For that all partitions that are not read to their end need one.
 */
#include "replay_archive.h"

#include "fail.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <core/sign.h>
#include <format/batch.h>
#include <store/archive_cluster.h>
#include <store/archive_reader.h>
#include <store/patience.h>

#define READ_LEN_MAX (4u << 20) /* of one partition */
#define READ_LEN_MIN (64u << 10)
#define READ_LEN_ALL (64u << 20) /* of all, about */

struct part {
    int32_t number;
    int64_t position, end;
    struct archive_batches batches;
    uint32_t row;
    const uint8_t *batch; /* of that row */
    bool ended;
};

struct el_replay_archive {
    struct object_store *store;
    struct archive_reader *reader;
    struct archive_reader *stated; /* at the root that was asked for, where reader stands at the newest; else NULL */
    struct el_public_key keys[EL_SIGN_KEYS_MAX];
    char *name;
    struct el_uuid topic_id;
    struct part *parts; /* [part_count] */
    int32_t part_count;
    struct part *open; /* whose batch is being read; NULL none */
    struct el_batch_iter iter;
    void *scratch;
    size_t scratch_len;
    struct evlog_event event;
    struct evlog_header *headers;
    size_t header_room;
};

/* --- open --------------------------------------------------------------------------------------------------------- */

static int open_reader(const struct el_replay_archive *archive, const struct archive_reader_options *options,
                       struct archive_reader **reader, struct el_error *err)
{
    uint32_t tries = 0;
    int code;
    do {
        code = archive_reader_open(archive->store, options, reader, err);
    } while (object_try_again(code, &tries));
    return code;
}

/* An older root says what there is. Objects that it names may be gone, their content in others: what it covers is read
 * as of the newest, which must have grown out of it. */
static int open_stated(struct el_replay_archive *archive, const struct archive_reader_options *options,
                       struct el_error *err)
{
    uint32_t tries = 0;
    int code = open_reader(archive, options, &archive->stated, err);
    if (code != 0) {
        return code;
    }
    do {
        code = archive_reader_refresh(archive->reader, NULL, err);
    } while (object_try_again(code, &tries));
    return code;
}

static int open_readers(struct el_replay_archive *archive, const struct evlog_replay_options *wanted,
                        struct el_error *err)
{
    struct archive_reader_options options = {.keys = archive->keys, .sequence = wanted->archive_root};
    struct evlog_bytes keys = wanted->archive_keys;
    struct el_uuid incarnation;
    if (wanted->archive_incarnation != NULL) {
        if (archive_id_parse(el_slice_str(wanted->archive_incarnation), &incarnation) != 0) {
            return el_error_set(err, EVLOG_ERR_MALFORMED, "an archive's id has 32 digits of 0-9 and a-f");
        }
        options.incarnation = &incarnation;
    }
    int code = keys.data == NULL
                   ? 0
                   : el_public_keys_parse(el_slice_of(keys.data, keys.len), archive->keys, &options.key_count, err);
    code = code != 0 ? code : object_store_open(wanted->archive_url, false, &archive->store, err);
    code = code != 0 ? code : open_reader(archive, &options, &archive->reader, err);
    return code != 0 || options.sequence == 0 ? code : open_stated(archive, &options, err);
}

int el_replay_archive_open(const struct evlog_replay_options *options, struct el_replay_archive **out,
                           struct evlog_failure *failure)
{
    struct el_replay_archive *archive = el_calloc(1, sizeof *archive);
    struct el_error err = {0};
    if (archive == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory to read an archive");
    }
    if (open_readers(archive, options, &err) != 0) {
        el_replay_archive_close(archive);
        return el_fail_from(failure, &err);
    }
    *out = archive;
    return 0;
}

void el_replay_archive_close(struct el_replay_archive *archive)
{
    if (archive == NULL) {
        return;
    }
    for (int32_t i = 0; i < archive->part_count; i++) {
        archive_batches_free(&archive->parts[i].batches);
    }
    archive_reader_close(archive->reader);
    archive_reader_close(archive->stated);
    object_store_close(archive->store);
    el_free(archive->parts);
    el_free(archive->name);
    el_free(archive->scratch);
    el_free(archive->headers);
    el_free(archive);
}

/* Who says what there is. */
static struct archive_reader *stated(const struct el_replay_archive *archive)
{
    return archive->stated != NULL ? archive->stated : archive->reader;
}

int64_t el_replay_archive_complete_ns(const struct el_replay_archive *archive)
{
    return (int64_t)EL_MIN(archive_reader_state(stated(archive))->header.cut_ns, (uint64_t)INT64_MAX);
}

int el_replay_archive_topic(struct el_replay_archive *archive, const char *name, const uint8_t *id,
                            struct evlog_failure *failure)
{
    const struct archive_state *state = archive_reader_state(stated(archive));
    struct el_uuid wanted;
    if (id != NULL) {
        memcpy(wanted.bytes, id, sizeof wanted.bytes);
    }
    const struct archive_topic *topic = id != NULL ? archive_state_topic(state, &wanted)
                                                   : archive_state_topic_named(state, el_slice_str(name));
    if (topic == NULL) {
        return el_fail(failure, EVLOG_ERR_UNKNOWN_TOPIC, "there is no topic %s in the archive", name);
    }
    archive->name = el_strdup(name);
    archive->parts = el_calloc(EL_MAX(topic->now.partition_count, 1u), sizeof *archive->parts);
    if (archive->name == NULL || archive->parts == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory to read topic %s", name);
    }
    archive->topic_id = topic->now.id;
    archive->part_count = (int32_t)topic->now.partition_count;
    for (int32_t i = 0; i < archive->part_count; i++) {
        archive->parts[i].number = i;
        archive->parts[i].ended = true;
    }
    return 0;
}

int32_t el_replay_archive_partition_count(const struct el_replay_archive *archive)
{
    return archive->part_count;
}

const uint8_t *el_replay_archive_topic_id(const struct el_replay_archive *archive)
{
    return archive->topic_id.bytes;
}

/* --- ranges ------------------------------------------------------------------------------------------------------- */

int el_replay_archive_range(struct el_replay_archive *archive, int32_t partition, int64_t until_ns, int64_t *start,
                            int64_t *end, struct evlog_failure *failure)
{
    struct archive_range range;
    struct el_error err = {0};
    int64_t offset = -1;
    *start = *end = 0;
    int code = partition >= archive->part_count
                   ? EVLOG_ERR_UNKNOWN_TOPIC
                   : archive_reader_range(stated(archive), &archive->topic_id, partition, &range, &err);
    if (code != 0) {
        return code == EVLOG_ERR_UNKNOWN_TOPIC ? 0 : el_fail_from(failure, &err);
    }
    *start = EL_MAX(range.start_offset, range.log_start);
    *end = EL_MAX(range.end_offset, *start); /* what is between was deleted */
    if (until_ns == EVLOG_TIME_NONE || range.last_append_ns <= (uint64_t)until_ns) {
        return 0;
    }
    code = archive_reader_seek(archive->reader, &archive->topic_id, partition, ARCHIVE_APPEND_TIME_NS, until_ns + 1,
                               &offset, &err);
    if (code != 0) {
        return el_fail_from(failure, &err);
    }
    *end = offset < 0 ? *end : EL_MAX(EL_MIN(offset, *end), *start);
    return 0;
}

void el_replay_archive_assign(struct el_replay_archive *archive, int32_t partition, int64_t start, int64_t end)
{
    struct part *part = &archive->parts[partition];
    EL_ASSERT(partition < archive->part_count);
    part->position = start;
    part->end = end;
    part->ended = start >= end;
}

/* --- events ------------------------------------------------------------------------------------------------------- */

static bool has_batch(const struct part *part)
{
    return part->row < part->batches.count;
}

static void pass_row(struct part *part)
{
    const struct el_pack_batch *row = &part->batches.rows[part->row];
    part->batch += row->redacted ? 0 : row->len;
    part->row++;
}

/* Have the next batch that is not redacted at hand, or the end. */
static int load(struct el_replay_archive *archive, struct part *part, struct evlog_failure *failure)
{
    size_t len = EL_MAX(EL_MIN((size_t)READ_LEN_MAX, (size_t)READ_LEN_ALL / (size_t)archive->part_count),
                        (size_t)READ_LEN_MIN);
    struct el_error err = {0};
    while (!part->ended) {
        while (has_batch(part) && part->batches.rows[part->row].redacted) {
            pass_row(part);
        }
        if (has_batch(part)) {
            part->ended = part->batches.rows[part->row].leaf.first_offset >= part->end;
            return 0;
        }
        if (part->batches.count > 0) {
            part->position = EL_MAX(part->position, part->batches.next_offset);
        }
        part->ended = part->position >= part->end;
        if (part->ended) {
            break;
        }
        uint32_t tries = 0;
        int code;
        do {
            code = archive_reader_read(archive->reader, &archive->topic_id, part->number, part->position, len,
                                       &part->batches, &err);
        } while (object_try_again(code, &tries));
        if (code != 0) {
            return el_fail_from(failure, &err);
        }
        part->row = 0;
        part->batch = part->batches.data;
        part->ended = part->batches.count == 0;
    }
    return 0;
}

static int open_batch(struct el_replay_archive *archive, struct part *part, struct evlog_failure *failure)
{
    const struct el_pack_batch *row = &part->batches.rows[part->row];
    int code = el_batch_open(&archive->iter, part->batch, row->len, archive->scratch, archive->scratch_len);
    while (code == EVLOG_ERR_NO_MEMORY && archive->iter.info.scratch_len_wanted > archive->scratch_len) {
        size_t wanted = archive->iter.info.scratch_len_wanted;
        el_free(archive->scratch);
        archive->scratch = el_malloc(wanted);
        archive->scratch_len = archive->scratch == NULL ? 0 : wanted;
        if (archive->scratch == NULL) {
            break;
        }
        code = el_batch_open(&archive->iter, part->batch, row->len, archive->scratch, archive->scratch_len);
    }
    if (code != 0) {
        return el_fail(failure, code, "%s[%d]: batch at offset %lld cannot be read: %s", archive->name, part->number,
                       (long long)row->leaf.first_offset, evlog_error_text(code));
    }
    archive->open = part;
    return 0;
}

/* The batch with the lowest append time. returns 1 it is open | 0 there is none | negative */
static int open_next(struct el_replay_archive *archive, struct evlog_failure *failure)
{
    struct part *best = NULL;
    for (int32_t i = 0; i < archive->part_count; i++) {
        struct part *part = &archive->parts[i];
        int code = load(archive, part, failure);
        if (code != 0) {
            return code;
        }
        if (!part->ended && (best == NULL || part->batches.rows[part->row].leaf.append_time_ns <
                                                 best->batches.rows[best->row].leaf.append_time_ns)) {
            best = part;
        }
    }
    if (best == NULL) {
        return 0;
    }
    int code = open_batch(archive, best, failure);
    return code == 0 ? 1 : code;
}

static int fill(struct el_replay_archive *archive, const struct el_batch_record *record)
{
    const struct el_record *r = &record->record;
    const struct part *part = archive->open;
    if (r->header_count > archive->header_room) {
        struct evlog_header *grown = el_realloc(archive->headers, r->header_count * sizeof *grown);
        if (grown == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        archive->headers = grown;
        archive->header_room = r->header_count;
    }
    struct el_reader headers = r->headers;
    size_t count = 0;
    for (struct el_header header; count < r->header_count && el_header_next(&headers, &header); count++) {
        archive->headers[count] = (struct evlog_header){{header.key.data, header.key.len},
                                                        {header.value.data, header.value.len}};
    }
    archive->event = (struct evlog_event){.topic = archive->name,
                                          .partition = part->number,
                                          .leader_epoch = part->batches.rows[part->row].leaf.leader_epoch,
                                          .offset = record->offset,
                                          .timestamp_ms = record->timestamp_ms,
                                          .append_time_ns = (int64_t)part->batches.rows[part->row].leaf.append_time_ns,
                                          .key = {r->key.data, r->key.len},
                                          .value = {r->value.data, r->value.len},
                                          .headers = archive->headers,
                                          .header_count = count};
    return 0;
}

/* The next event of the open batch that is asked for. returns 1 | 0 none | negative */
static int next_in_batch(struct el_replay_archive *archive, struct evlog_failure *failure)
{
    struct part *part = archive->open;
    struct el_batch_record record;
    bool control = (archive->iter.info.attributes & EL_BATCH_ATTR_CONTROL) != 0;
    int more = control ? 0 : el_batch_next(&archive->iter, &record);
    while (more == 1 && record.offset < part->position) {
        more = el_batch_next(&archive->iter, &record);
    }
    if (more == 1 && record.offset < part->end) {
        int code = fill(archive, &record);
        part->position = record.offset + 1;
        return code == 0 ? 1 : el_fail(failure, code, "no memory to read topic %s", archive->name);
    }
    if (more < 0) {
        return el_fail(failure, more, "%s[%d]: a record at or behind offset %lld cannot be read: %s", archive->name,
                       part->number, (long long)part->position, evlog_error_text(more));
    }
    pass_row(part);
    archive->open = NULL;
    return 0;
}

int el_replay_archive_next(struct el_replay_archive *archive, const struct evlog_event **event,
                           struct evlog_failure *failure)
{
    int got = 0;
    while (got == 0) {
        got = archive->open == NULL ? open_next(archive, failure) : 1;
        if (got != 1) {
            return got;
        }
        got = next_in_batch(archive, failure);
    }
    *event = &archive->event;
    return got;
}
