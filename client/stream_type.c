/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading the events of a type: pages of TypeRead, one partition behind the other, one event at a time. The end of a
 * partition is where its log ended when the last page was asked for. Otherwise as stream_read.c.
 */
#include "fail.h"
#include "stream_ask.h"
#include "stream_event.h"

#include <core/alloc.h>
#include <stdio.h>
#include <wire/msg_ext_type_read.h>

#define TYPE_MAGIC OBJ_MAGIC('E', 'V', 'T', 'Y')

struct evlog_type_reader {
    uint32_t magic;
    struct evlog_client *client;
    char *topic, *type;                          /* owned */
    int32_t partition_last;                      /* read up to this one */
    int64_t from_offset;                         /* of each partition */
    struct el_msg_ext_type_read_request request; /* for the next page */
    struct el_msg_ext_type_read_response page;
    struct el_call call; /* of the page */
    bool has_page;
    int32_t page_partition;
    bool more;      /* there is a page to be asked for */
    uint32_t index; /* of the event given out next */
    struct el_shown_event shown;
};

static int code_of(const void *response)
{
    return ((const struct el_msg_ext_type_read_response *)response)->error;
}

static bool at_or_behind(const struct evlog_type_reader *r, int64_t a, int64_t b)
{
    return r->request.backward ? a <= b : a >= b;
}

/* Events must be in order, and the page must lead on. */
static bool fits(const struct evlog_type_reader *r, const struct el_msg_ext_type_read_response *page)
{
    int64_t at = r->request.from;
    for (uint32_t i = 0; i < page->event_count; i++) {
        int64_t offset = page->events[i].offset;
        if (offset < 0 || (at >= 0 && !at_or_behind(r, offset, at)) || (at < 0 && i > 0)) {
            return false;
        }
        at = r->request.backward ? offset - 1 : offset + 1;
    }
    bool leads_on = page->next >= 0 && page->next != r->request.from && (at < 0 || at_or_behind(r, page->next, at));
    return !page->more || leads_on;
}

static void drop_page(struct evlog_type_reader *r)
{
    if (r->has_page) {
        el_call_free(&r->call);
        r->has_page = false;
    }
}

/* Where the page behind this one is. */
static void go_on(struct evlog_type_reader *r)
{
    r->page_partition = r->request.partition;
    if (r->page.more) {
        r->request.from = r->page.next;
        return;
    }
    r->more = r->request.partition < r->partition_last;
    r->request.partition += r->more;
    r->request.from = r->from_offset;
}

static int ask_page(struct evlog_type_reader *r, struct evlog_failure *failure)
{
    struct el_stream_ask ask = {
        .topic = r->topic,
        .partition = r->request.partition,
        .api = EL_API_TypeRead,
        .request = &r->request,
        .code_of = code_of,
    };
    char what[600];
    drop_page(r);
    int rc = el_stream_ask(r->client, &ask, &r->call, &r->page, failure);
    if (rc != 0) {
        return rc;
    }
    (void)snprintf(what, sizeof what, "events of type %.250s of topic %.250s", r->type, r->topic);
    if (r->page.error != 0) {
        rc = el_fail_kafka(failure, r->page.error, r->page.message, what);
        el_fail_right(failure, "read topic", r->topic);
    } else if (!fits(r, &r->page)) {
        rc = el_fail(failure, EVLOG_ERR_MALFORMED, "%s: the broker's answer does not fit the question", what);
    }
    if (rc != 0) {
        el_call_free(&r->call);
        return rc;
    }
    r->has_page = true;
    r->index = 0;
    go_on(r);
    return 0;
}

static struct evlog_type_reader *reader_new(struct evlog_client *client, const struct evlog_type_options *options)
{
    struct evlog_type_reader *r = el_calloc(1, sizeof *r);
    if (r == NULL) {
        return NULL;
    }
    r->magic = TYPE_MAGIC;
    r->client = client;
    r->topic = el_strdup(options->topic);
    r->type = el_strdup(options->type);
    if (r->topic == NULL || r->type == NULL) {
        evlog_type_close(r);
        return NULL;
    }
    el_schema_init(&el_schema_ext_type_read_request, &r->request);
    r->request.topic = el_slice_str(r->topic);
    r->request.type = el_slice_str(r->type);
    r->request.backward = options->backward;
    r->request.from = r->from_offset = options->from_offset;
    return r;
}

int evlog_type_open(struct evlog_client *client, const struct evlog_type_options *given,
                    struct evlog_type_reader **reader, struct evlog_failure *failure)
{
    struct evlog_type_options options = EVLOG_TYPE_OPTIONS_INIT;
    if (!EL_OPTIONS_TAKE(&options, given)) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the options were not initialised");
    }
    if (options.topic == NULL || options.type == NULL || options.type[0] == '\0' || options.partition < -1 ||
        options.from_offset < -1) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "a topic, a type, and offsets from 0 on are needed");
    }
    struct el_topic_ask topic = {.name = options.topic, .deadline_ns = el_deadline(client->cfg.request_timeout_ms)};
    int32_t count;
    int rc = el_cluster_topic(client, &topic, &count, failure);
    if (rc != 0) {
        return rc;
    }
    if (options.partition >= count) {
        return el_fail(failure, EVLOG_ERR_UNKNOWN_TOPIC, "topic %s has partitions 0 to %d, not %d", options.topic,
                       count - 1, options.partition);
    }
    struct evlog_type_reader *r = reader_new(client, &options);
    if (r == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a reader of a type");
    }
    r->request.partition = options.partition < 0 ? 0 : options.partition;
    r->partition_last = options.partition < 0 ? count - 1 : options.partition;
    r->more = true;
    rc = ask_page(r, failure);
    if (rc != 0) {
        evlog_type_close(r);
        return rc;
    }
    *reader = r;
    return 0;
}

int evlog_type_next(struct evlog_type_reader *r, const struct evlog_stream_event **event, struct evlog_failure *failure)
{
    EL_ASSERT(r != NULL && r->magic == TYPE_MAGIC);
    while (!r->has_page || r->index == r->page.event_count) {
        if (!r->more) {
            return 0;
        }
        int rc = ask_page(r, failure);
        if (rc != 0) {
            return rc;
        }
    }
    struct el_shown_from from = {r->topic, r->page_partition, {NULL, 0}};
    if (el_show_event(&r->shown, &from, &r->page.events[r->index]) != 0) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for an event");
    }
    r->index++;
    *event = &r->shown.out;
    return 1;
}

void evlog_type_close(struct evlog_type_reader *r)
{
    if (r != NULL) {
        EL_ASSERT(r->magic == TYPE_MAGIC);
        drop_page(r);
        el_show_none(&r->shown);
        el_free(r->topic);
        el_free(r->type);
        r->magic = 0;
        el_free(r);
    }
}
