/* SPDX-License-Identifier: Apache-2.0
 *
 * Restoring, in this order:
 *
 *   1. the root, and whether the archive is complete through the time that was asked for
 *   2. the catalogue as of that time: which topics there were, and which shard owned each partition
 *   3. the directory is begun, or gone on with; the catalogue's log
 *   4. the logs of all partitions, by several threads; each is durable before it counts as whole
 *   5. the file of keys of users and rules, where the directory is from, checkpoints, the node file
 */
#include "archive_restore_state.h"

#include <core/aead.h>
#include <core/alloc.h>
#include <core/assert.h>
#include <core/crypto.h>
#include <core/timefmt.h>
#include <format/catalogue_layout.h>
#include <stdio.h>

#define TIME_TEXT_MAX 64

/* --- what is asked for -------------------------------------------------------------------------------------------- */

static int check_time(struct restore *r, struct el_error *err)
{
    uint64_t until_ns = r->options->until_ns, complete_ns = archive_reader_state(r->reader)->header.cut_ns;
    char wanted[TIME_TEXT_MAX], text[TIME_TEXT_MAX];
    if (until_ns == 0 || until_ns <= complete_ns) {
        return 0;
    }
    el_time_format(wanted, (int64_t)EL_MIN(until_ns, (uint64_t)INT64_MAX), 9);
    el_time_format(text, (int64_t)complete_ns, 9);
    return complete_ns == 0
               ? el_error_set(err, EVLOG_ERR_ARGUMENT,
                              "the archive is not complete through any time yet: leave the time out for all there is")
               : el_error_set(
                     err, EVLOG_ERR_ARGUMENT,
                     "the archive is complete through %s, not through %s: name that time or an earlier one, or "
                     "none for all there is",
                     text, wanted);
}

/* Another request does not go on with a directory. */
static int make_purpose(struct restore *r, struct el_buffer *out)
{
    const struct archive_root *root = archive_reader_root(r->reader);
    char hex[33];
    el_hex(hex, root->incarnation.bytes, 16);
    el_buffer_printf(out, "archive %s root %llu", hex, (unsigned long long)root->sequence);
    if (r->options->until_ns != 0) {
        el_buffer_printf(out, " until %llu", (unsigned long long)r->options->until_ns);
    }
    for (size_t i = 0; i < r->options->topic_count; i++) {
        el_buffer_printf(out, " topic %s", r->options->topics[i]);
    }
    if (r->options->whole != NULL && r->options->until_ns == 0) {
        el_buffer_printf(out, " recent %llu", (unsigned long long)r->options->recent_ns);
    }
    return el_buffer_text(out) == NULL ? EVLOG_ERR_NO_MEMORY : 0;
}

static int begin(struct restore *r, struct el_error *err)
{
    struct el_buffer purpose = {0};
    int code = make_purpose(r, &purpose);
    code = code != 0 ? el_error_set(err, code, "no memory to restore")
                     : new_dir_begin(r->options->path, el_buffer_text(&purpose), &r->dir, err);
    el_buffer_free(&purpose);
    return code;
}

/* --- partitions --------------------------------------------------------------------------------------------------- */

static uint64_t until_of(const struct restore *r, const struct restore_topic *topic)
{
    uint64_t complete_ns = archive_reader_state(r->reader)->header.cut_ns;
    /* who lost a right does not get it back */
    bool newest = restore_is_access(topic);
    if (!newest && (r->options->until_ns != 0 || !topic->internal)) {
        return r->options->until_ns;
    }
    return EL_MAX(complete_ns, (uint64_t)1); /* progress of groups: not beyond what is complete */
}

static int list_parts(struct restore *r, struct el_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < r->topic_count; i++) {
        count += r->topics[i].wanted ? (size_t)r->topics[i].partition_count : 0;
        r->counts.topics += r->topics[i].wanted && !r->topics[i].internal;
    }
    r->parts = el_calloc(EL_MAX(count, (size_t)1), sizeof *r->parts);
    if (r->parts == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for %zu partitions", count);
    }
    for (size_t i = 0; i < r->topic_count; i++) {
        const struct restore_topic *topic = &r->topics[i];
        for (int32_t p = 0; topic->wanted && p < topic->partition_count; p++) {
            r->parts[r->part_count++] = (struct restore_part){.topic_id = topic->id,
                                                              .partition = p,
                                                              .shard = topic->owners[p],
                                                              .until_ns = until_of(r, topic),
                                                              .whole = topic->whole,
                                                              .end_offset = -1};
            const struct archive_partition *known = archive_state_partition(archive_reader_state(r->reader), &topic->id,
                                                                            p);
            for (uint32_t n = 0; known != NULL && topic->whole && n < known->part_count; n++) {
                r->counts.bytes_all += archive_part_at(known, n).data_len;
            }
        }
    }
    r->counts.partitions_all = r->part_count;
    return 0;
}

static void fail(struct restore *r, const struct el_error *err)
{
    (void)pthread_mutex_lock(&r->lock);
    if (r->failure.code == 0) {
        r->failure = *err;
    }
    (void)pthread_mutex_unlock(&r->lock);
    atomic_store(&r->next, r->part_count); /* nobody begins another one */
}

static void work(struct restore *r, struct archive_reader *reader)
{
    for (size_t i = atomic_fetch_add(&r->next, 1); i < r->part_count; i = atomic_fetch_add(&r->next, 1)) {
        struct el_error err = {0};
        if (restore_log(r, reader, &r->parts[i], &err) != 0) {
            fail(r, &err);
            return;
        }
    }
}

static int open_reader(struct restore *r, const struct archive_reader_options *options, struct archive_reader **reader,
                       struct el_error *err)
{
    uint32_t tries = 0;
    int code;
    do {
        code = archive_reader_open(r->store, options, reader, err);
    } while (object_try_again(code, &tries) && restore_goes_on(r));
    return code;
}

/* One more reader at the same root. */
static void *work_thread(void *arg)
{
    struct restore *r = arg;
    const struct archive_root *root = archive_reader_root(r->reader);
    struct archive_reader_options options = *r->reader_options;
    struct archive_reader *reader = NULL;
    struct el_error err = {0};
    options.incarnation = &root->incarnation;
    options.sequence = root->sequence;
    if (open_reader(r, &options, &reader, &err) != 0) {
        fail(r, &err);
        return NULL;
    }
    work(r, reader);
    archive_reader_close(reader);
    return NULL;
}

static int restore_parts(struct restore *r, struct el_error *err)
{
    pthread_t threads[ARCHIVE_RESTORE_THREADS_MAX];
    uint32_t wanted = r->options->threads == 0 ? 2 : EL_MIN(r->options->threads, ARCHIVE_RESTORE_THREADS_MAX);
    uint32_t count = 0;
    while (count + 1 < wanted && count + 1 < r->part_count &&
           pthread_create(&threads[count], NULL, work_thread, r) == 0) {
        count++;
    }
    work(r, r->reader);
    for (uint32_t i = 0; i < count; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    return r->failure.code == 0 ? 0 : el_error_set(err, r->failure.code, "%s", r->failure.text);
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

static int finish(struct restore *r, struct el_error *err)
{
    int code = restore_access(r, err);
    code = code != 0 ? code : restore_origin(r, err);
    return code != 0 ? code
                     : new_dir_finish(r->dir,
                                      &(struct new_dir_node){.id = archive_reader_root(r->reader)->cluster,
                                                             .shard_count = r->shard_count,
                                                             .leader_epoch = r->leader_epoch,
                                                             .unseen = r->options->whole != NULL,
                                                             .clock_ns = r->meta_append_ns},
                                      err);
}

static int run(struct restore *r, struct el_error *err)
{
    int code = open_reader(r, r->reader_options, &r->reader, err);
    code = code != 0 ? code : check_time(r, err);
    if (code == 0 && el_random_fill(&r->incarnation, sizeof r->incarnation) != 0) {
        code = el_error_set(err, EVLOG_ERR_IO, "the system has no random numbers");
    }
    code = code != 0 ? code : restore_catalogue_read(r, err);
    code = code != 0 ? code : list_parts(r, err);
    code = code != 0 ? code : begin(r, err);
    if (code != 0) {
        return code;
    }
    int32_t epoch = archive_reader_state(r->reader)->header.leader_epoch;
    r->leader_epoch = epoch > INT32_MAX - ARCHIVE_RESTORE_EPOCHS ? epoch : epoch + ARCHIVE_RESTORE_EPOCHS;
    code = restore_catalogue_write(r, err);
    code = code != 0 ? code : restore_parts(r, err);
    return code != 0 ? code : finish(r, err);
}

static void tell(struct restore *r, struct archive_restore_result *result)
{
    struct new_dir_counts counts = {0};
    *result = (struct archive_restore_result){.counts = r->counts, .access_unopened = r->access_unopened};
    memcpy(result->access_key, r->access_key, sizeof result->access_key);
    if (r->reader != NULL) {
        result->root = *archive_reader_root(r->reader);
        result->complete_ns = archive_reader_state(r->reader)->header.cut_ns;
    }
    if (r->dir != NULL) {
        new_dir_count(r->dir, &counts);
        result->counts.batches = counts.batches;
        result->counts.records = counts.records;
        result->counts.before = counts.logs_before;
        result->counts.last_append_ns = counts.last_append_ns;
        result->counts.max_timestamp_ms = counts.max_timestamp_ms;
    }
}

int archive_restore(struct object_store *store, const struct archive_reader_options *reader_options,
                    const struct archive_restore_options *options, struct archive_restore_result *result,
                    struct el_error *err)
{
    struct restore r = {.store = store, .reader_options = reader_options, .options = options};
    (void)pthread_mutex_init(&r.lock, NULL);
    int code = run(&r, err);
    tell(&r, result);
    new_dir_close(r.dir);
    restore_catalogue_free(&r);
    el_free(r.parts);
    archive_reader_close(r.reader);
    (void)pthread_mutex_destroy(&r.lock);
    return code;
}
