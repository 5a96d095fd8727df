/* SPDX-License-Identifier: Apache-2.0
 *
 * Listing the streams of a topic: a page of StreamList per partition, merged by key in byte order; and deleting one.
 *
 * A key lies in one partition, so no two pages hold the same one. Pages are smaller the more partitions there are: what
 * is held at a time is about PAGE_TOTAL names. A failure leaves the lister where it was.
 */
#include "fail.h"
#include "stream_ask.h"
#include "stream_conflict.h"

#include <core/alloc.h>
#include <stdio.h>
#include <wire/error_code.h>
#include <wire/msg_ext_stream_delete.h>
#include <wire/msg_ext_stream_list.h>

#define LISTER_MAGIC OBJ_MAGIC('E', 'V', 'L', 'I')
#define PAGE_TOTAL 16384
#define PAGE_MIN 16
#define PAGE_MAX 1000

/* The page of one partition. */
struct part {
    struct el_msg_ext_stream_list_response page;
    struct el_call call;
    bool has_page;
    bool more;      /* there is a page behind it, above the last key of this one */
    uint32_t index; /* of the name given out next */
};

struct evlog_stream_lister {
    uint32_t magic;
    struct evlog_client *client;
    char *topic; /* owned */
    struct el_arena arena;
    struct el_msg_ext_stream_list_request request;
    struct el_slice first_after; /* what the caller wants to begin behind, in the arena */
    struct part *parts;          /* [part_count], in the arena */
    int32_t part_count;
    struct evlog_stream_name name;
    int32_t shown; /* partition whose name the caller holds, -1 none */
};

static int list_code(const void *response)
{
    return ((const struct el_msg_ext_stream_list_response *)response)->error;
}

static int order(struct el_slice a, struct el_slice b)
{
    int first = memcmp(a.data, b.data, EL_MIN(a.len, b.len));
    return first != 0 ? first : (a.len > b.len) - (a.len < b.len);
}

static bool starts_with(struct el_slice key, struct el_slice prefix)
{
    return key.len >= prefix.len && (prefix.len == 0 || memcmp(key.data, prefix.data, prefix.len) == 0);
}

/* Keys must rise, above what was asked for, and the page must lead on. */
static bool fits(const struct evlog_stream_lister *l, const struct el_msg_ext_stream_list_response *page)
{
    struct el_slice at = l->request.after;
    for (uint32_t i = 0; i < page->stream_count; i++) {
        struct el_slice key = page->streams[i].key;
        if (key.data == NULL || !starts_with(key, l->request.prefix) || (at.data != NULL && order(key, at) <= 0)) {
            return false;
        }
        at = key;
    }
    return !page->more || page->stream_count > 0;
}

/* Ask for the next page of a partition, in place of the one before. */
static int ask_page(struct evlog_stream_lister *l, int32_t partition, struct evlog_failure *failure)
{
    struct part *part = &l->parts[partition];
    struct el_call before = part->call;
    struct el_stream_ask ask = {
        .topic = l->topic,
        .partition = partition,
        .api = EL_API_StreamList,
        .request = &l->request,
        .code_of = list_code,
    };
    bool had_page = part->has_page;
    l->request.partition = partition;
    l->request.after = had_page ? part->page.streams[part->page.stream_count - 1].key : l->first_after;
    struct el_call call;
    struct el_msg_ext_stream_list_response page;
    int rc = el_stream_ask(l->client, &ask, &call, &page, failure);
    if (rc != 0) {
        return rc;
    }
    char what[300];
    (void)snprintf(what, sizeof what, "streams of topic %.250s", l->topic);
    if (page.error != 0) {
        rc = el_fail_kafka(failure, page.error, page.message, what);
        el_fail_right(failure, "read topic", l->topic);
    } else if (!fits(l, &page)) {
        rc = el_fail(failure, EVLOG_ERR_MALFORMED, "%s: the broker's answer does not fit the question", what);
    }
    if (rc != 0) {
        el_call_free(&call);
        return rc;
    }
    if (had_page) {
        el_call_free(&before);
    }
    part->call = call;
    part->page = page;
    part->has_page = true;
    part->more = page.more;
    part->index = 0;
    return 0;
}

static int make(struct evlog_stream_lister *l, const struct evlog_stream_list_options *options)
{
    l->topic = el_strdup(options->topic);
    l->parts = el_arena_zalloc(&l->arena, (size_t)l->part_count * sizeof *l->parts);
    const uint8_t *prefix = el_arena_dup(&l->arena, options->prefix.len == 0 ? "" : options->prefix.data,
                                         options->prefix.len);
    const uint8_t *after = options->after.data == NULL
                               ? NULL
                               : el_arena_dup(&l->arena, options->after.data, options->after.len);
    if (l->topic == NULL || l->parts == NULL || prefix == NULL || (options->after.data != NULL && after == NULL)) {
        return EVLOG_ERR_NO_MEMORY;
    }
    el_schema_init(&el_schema_ext_stream_list_request, &l->request);
    l->request.topic = el_slice_str(l->topic);
    l->request.prefix = el_slice_of(prefix, options->prefix.len);
    l->request.with_deleted = options->with_deleted;
    l->request.max = EL_MAX(EL_MIN(PAGE_TOTAL / l->part_count, PAGE_MAX), PAGE_MIN);
    l->first_after = el_slice_of(after, after == NULL ? 0 : options->after.len);
    return 0;
}

int evlog_stream_list_open(struct evlog_client *client, const struct evlog_stream_list_options *given,
                           struct evlog_stream_lister **lister, struct evlog_failure *failure)
{
    struct evlog_stream_list_options options = EVLOG_STREAM_LIST_OPTIONS_INIT;
    if (!EL_OPTIONS_TAKE(&options, given) || options.topic == NULL) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "a topic is needed");
    }
    struct el_topic_ask topic = {.name = options.topic, .deadline_ns = el_deadline(client->cfg.request_timeout_ms)};
    int32_t count;
    int rc = el_cluster_topic(client, &topic, &count, failure);
    if (rc != 0) {
        return rc;
    }
    struct evlog_stream_lister *l = el_calloc(1, sizeof *l);
    if (l == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a list of streams");
    }
    l->magic = LISTER_MAGIC;
    l->client = client;
    l->part_count = count;
    l->shown = -1;
    el_arena_init(&l->arena, NULL, 0);
    rc = make(l, &options) == 0 ? 0 : el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a list of streams");
    for (int32_t i = 0; rc == 0 && i < count; i++) {
        rc = ask_page(l, i, failure);
    }
    if (rc != 0) {
        evlog_stream_list_close(l);
        return rc;
    }
    *lister = l;
    return 0;
}

int evlog_stream_list_next(struct evlog_stream_lister *l, const struct evlog_stream_name **name,
                           struct evlog_failure *failure)
{
    EL_ASSERT(l != NULL && l->magic == LISTER_MAGIC);
    if (l->shown >= 0) {
        l->parts[l->shown].index++;
        l->shown = -1;
    }
    const struct el_msg_ext_stream_list_stream *lowest = NULL;
    int32_t where = -1;
    for (int32_t i = 0; i < l->part_count; i++) {
        struct part *part = &l->parts[i];
        if (part->index == part->page.stream_count && part->more) {
            int rc = ask_page(l, i, failure);
            if (rc != 0) {
                return rc;
            }
        }
        const struct el_msg_ext_stream_list_stream *stream = &part->page.streams[part->index];
        if (part->index < part->page.stream_count && (lowest == NULL || order(stream->key, lowest->key) < 0)) {
            lowest = stream;
            where = i;
        }
    }
    if (lowest == NULL) {
        return 0;
    }
    l->shown = where;
    l->name = (struct evlog_stream_name){
        .key = {lowest->key.data, lowest->key.len},
        .partition = where,
        .last_version = lowest->last_version,
        .deleted = lowest->deleted,
        .ended = lowest->ended,
    };
    *name = &l->name;
    return 1;
}

void evlog_stream_list_close(struct evlog_stream_lister *l)
{
    if (l == NULL) {
        return;
    }
    EL_ASSERT(l->magic == LISTER_MAGIC);
    for (int32_t i = 0; l->parts != NULL && i < l->part_count; i++) {
        if (l->parts[i].has_page) {
            el_call_free(&l->parts[i].call);
        }
    }
    el_arena_reset(&l->arena);
    el_free(l->topic);
    l->magic = 0;
    el_free(l);
}

/* --- deleting ---------------------------------------------------------------------------------------------------- */

static int delete_code(const void *response)
{
    return ((const struct el_msg_ext_stream_delete_response *)response)->error;
}

static int judge_delete(const struct evlog_stream_delete *options, const struct el_msg_ext_stream_delete_response *r,
                        struct evlog_failure *failure)
{
    char what[EL_STREAM_WHAT_LEN];
    (void)el_stream_what(what, options->topic, options->key);
    if (r->error == 0) {
        bool fits = r->position.data != NULL && r->position.len < EVLOG_POSITION_MAX;
        return fits ? 0
                    : el_fail(failure, EVLOG_ERR_MALFORMED, "%s: the broker's answer does not fit the question", what);
    }
    bool unknown = r->conflict_count > 0 && r->conflicts[0].current_version < 0;
    if (r->error == EL_KAFKA_RESOURCE_NOT_FOUND || (unknown && options->expected == EVLOG_EXPECT_EXISTS)) {
        (void)el_fail(failure, EVLOG_ERR_NOT_FOUND, "%s is not there", what);
        el_fail_hint(failure, "'evlog streams ls TOPIC' lists the streams");
        return EVLOG_ERR_NOT_FOUND;
    }
    if (r->conflict_count == 0) {
        int rc = el_fail_kafka(failure, r->error, r->message, what);
        el_fail_right(failure, "delete topic", options->topic);
        return rc;
    }
    return el_conflict_fail(failure, options->topic, options->key, r->conflicts, r->conflict_count, r->message);
}

static void fill_deleted(struct evlog_appended *full, const struct el_msg_ext_stream_delete_response *r, int rc,
                         struct evlog_bytes key)
{
    if (rc == 0) {
        full->partition = r->partition;
        full->first_version = full->version = r->version;
        full->first_offset = full->offset = r->offset;
        full->duplicate = r->duplicate;
        memcpy(full->position, r->position.data, r->position.len);
    } else if (r->conflict_count > 0) {
        el_conflict_take(&r->conflicts[0], key, &full->conflict);
    }
}

int evlog_stream_delete(struct evlog_client *client, const struct evlog_stream_delete *given,
                        struct evlog_appended *appended, struct evlog_failure *failure)
{
    struct evlog_stream_delete options = EVLOG_STREAM_DELETE_INIT;
    if (!EL_OPTIONS_TAKE(&options, given)) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the options were not initialised");
    }
    int rc = el_stream_check_name(options.topic, options.key, failure);
    if (rc != 0) {
        return rc;
    }
    struct el_msg_ext_stream_delete_request request;
    struct el_msg_ext_stream_delete_response response;
    struct el_call call;
    el_schema_init(&el_schema_ext_stream_delete_request, &request);
    request.topic = el_slice_str(options.topic);
    request.key = el_slice_from(options.key);
    request.hard = options.hard;
    request.expected = options.expected;
    request.timeout_ms = (int32_t)EL_MIN(client->cfg.request_timeout_ms, INT32_MAX);
    struct el_stream_ask ask = {
        .topic = options.topic,
        .partition = -1,
        .api = EL_API_StreamDelete,
        .request = &request,
        .code_of = delete_code,
        .appends = true,
    };
    rc = el_stream_ask(client, &ask, &call, &response, failure);
    if (rc != 0) {
        return rc;
    }
    rc = judge_delete(&options, &response, failure);
    if (rc == 0 || el_is_conflict(rc)) {
        struct evlog_appended full = EVLOG_APPENDED_INIT;
        fill_deleted(&full, &response, rc, options.key);
        el_appended_give(appended, &full);
    }
    el_call_free(&call);
    return rc;
}
