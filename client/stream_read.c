/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a stream: pages of StreamRead, one event at a time.
 *
 * 1. Opening asks for the first page, so that the caller knows at once what the stream is.
 * 2. The end is fixed by it: the version that the stream had then, so that a busy stream comes to an end.
 * 3. Each page says where the next one begins. A page is kept until all its events were given out; what a caller holds
 *    points into it.
 *
 * A failure leaves the reader where it was: the same page is asked for by the next call. An answer that does not fit
 * the question, or that does not lead on, is refused, so that nothing goes round in circles.
 */
#include "fail.h"
#include "stream_ask.h"
#include "stream_event.h"

#include <core/alloc.h>

#define STREAM_MAGIC OBJ_MAGIC('E', 'V', 'S', 'T')

struct evlog_stream {
    uint32_t magic;
    struct evlog_client *client;
    char *topic;  /* owned */
    uint8_t *key; /* [key_len], owned */
    size_t key_len;
    struct el_msg_ext_stream_read_request request; /* for the next page */
    struct el_msg_ext_stream_read_response page;
    struct el_call call; /* of the page */
    bool has_page;
    bool more;      /* there is a page behind this one */
    uint32_t index; /* of the event given out next */
    struct el_shown_event shown;
    struct evlog_stream_state state;
};

static int code_of(const void *response)
{
    return ((const struct el_msg_ext_stream_read_response *)response)->error;
}

static int misfit(const struct evlog_stream *s, struct evlog_failure *failure)
{
    char what[EL_STREAM_WHAT_LEN];
    return el_fail(failure, EVLOG_ERR_MALFORMED, "%s: the broker's answer does not fit the question",
                   el_stream_what(what, s->topic, (struct evlog_bytes){s->key, s->key_len}));
}

/* Is version a at or behind b in the direction of reading? */
static bool at_or_behind(const struct evlog_stream *s, int64_t a, int64_t b)
{
    return s->request.backward ? a <= b : a >= b;
}

/* Events must be in order and within what was asked, and the page must lead on. */
static bool fits(const struct evlog_stream *s, const struct el_msg_ext_stream_read_response *page)
{
    int64_t at = s->request.from;
    for (uint32_t i = 0; i < page->event_count; i++) {
        int64_t version = page->events[i].version;
        if (version < 0 || version > page->last_version || (at >= 0 && !at_or_behind(s, version, at)) ||
            (s->request.to >= 0 && !at_or_behind(s, s->request.to, version))) {
            return false;
        }
        at = s->request.backward ? version - 1 : version + 1;
        if (at < 0 && i + 1 < page->event_count) {
            return false;
        }
    }
    bool leads_on = page->next >= 0 && page->next != s->request.from && (at < 0 || at_or_behind(s, page->next, at));
    return page->last_version >= -1 && (!page->more || leads_on);
}

static void take_page(struct evlog_stream *s, bool is_first)
{
    s->has_page = true;
    s->index = 0;
    s->state.last_version = s->page.last_version;
    s->state.deleted = s->page.deleted;
    s->state.ended = s->page.ended;
    s->more = s->page.more;
    if (is_first && !s->request.backward && s->request.to < 0) {
        s->request.to = s->page.last_version; /* -1 when there is no stream: then there is no further page */
    }
    if (s->more) {
        s->request.from = s->page.next;
        s->more = s->request.to < 0 || at_or_behind(s, s->request.to, s->request.from);
    }
}

static void drop_page(struct evlog_stream *s)
{
    if (s->has_page) {
        el_call_free(&s->call);
        s->has_page = false;
    }
}

/* Ask for the page that the request describes; the one before is given back. */
static int ask_page(struct evlog_stream *s, bool is_first, struct evlog_failure *failure)
{
    struct el_stream_ask ask = {
        .topic = s->topic,
        .partition = -1,
        .api = EL_API_StreamRead,
        .request = &s->request,
        .code_of = code_of,
    };
    drop_page(s);
    int rc = el_stream_ask(s->client, &ask, &s->call, &s->page, failure);
    if (rc != 0) {
        return rc;
    }
    if (s->page.error != 0) {
        char what[EL_STREAM_WHAT_LEN];
        rc = el_fail_kafka(failure, s->page.error, s->page.message,
                           el_stream_what(what, s->topic, (struct evlog_bytes){s->key, s->key_len}));
        el_fail_right(failure, "read topic", s->topic);
    } else if (!fits(s, &s->page)) {
        rc = misfit(s, failure);
    }
    if (rc != 0) {
        el_call_free(&s->call);
        return rc;
    }
    take_page(s, is_first);
    return 0;
}

static int check_options(const struct evlog_stream_options *options, struct evlog_failure *failure)
{
    int rc = el_stream_check_name(options->topic, options->key, failure);
    if (rc != 0) {
        return rc;
    }
    int64_t first = options->backward ? options->to : options->from;
    int64_t last = options->backward ? options->from : options->to;
    if (options->from < -1 || options->to < -1 || (first >= 0 && last >= 0 && first > last)) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT,
                       "there is nothing from version %lld to version %lld%s: versions count from 0",
                       (long long)options->from, (long long)options->to, options->backward ? " backward" : "");
    }
    if (options->as_of_ns < 0) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "append times begin in 1970");
    }
    return 0;
}

int evlog_stream_open(struct evlog_client *client, const struct evlog_stream_options *given,
                      struct evlog_stream **stream, struct evlog_failure *failure)
{
    struct evlog_stream_options options = EVLOG_STREAM_OPTIONS_INIT;
    if (!EL_OPTIONS_TAKE(&options, given)) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the options were not initialised");
    }
    int rc = check_options(&options, failure);
    if (rc != 0) {
        return rc;
    }
    struct evlog_stream *s = el_calloc(1, sizeof *s);
    if (s != NULL) {
        s->magic = STREAM_MAGIC;
        s->client = client;
        s->topic = el_strdup(options.topic);
        s->key = el_malloc(options.key.len + 1);
    }
    if (s == NULL || s->topic == NULL || s->key == NULL) {
        evlog_stream_close(s);
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a reader of a stream");
    }
    memcpy(s->key, options.key.data, options.key.len);
    s->key_len = options.key.len;
    s->state.last_version = -1;
    el_schema_init(&el_schema_ext_stream_read_request, &s->request);
    s->request.topic = el_slice_str(s->topic);
    s->request.key = el_slice_of(s->key, s->key_len);
    s->request.from = options.from;
    s->request.to = options.to;
    s->request.backward = options.backward;
    s->request.as_of_ns = (uint64_t)options.as_of_ns;
    rc = ask_page(s, true, failure);
    if (rc != 0) {
        evlog_stream_close(s);
        return rc;
    }
    *stream = s;
    return 0;
}

int evlog_stream_next(struct evlog_stream *s, const struct evlog_stream_event **event, struct evlog_failure *failure)
{
    EL_ASSERT(s != NULL && s->magic == STREAM_MAGIC);
    while (!s->has_page || s->index == s->page.event_count) {
        if (!s->more) {
            return 0;
        }
        int rc = ask_page(s, false, failure);
        if (rc != 0) {
            return rc;
        }
    }
    struct el_shown_from from = {s->topic, s->page.partition, {s->key, s->key_len}};
    if (el_show_event(&s->shown, &from, &s->page.events[s->index]) != 0) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for an event");
    }
    s->index++;
    *event = &s->shown.out;
    return 1;
}

void evlog_stream_state(const struct evlog_stream *s, struct evlog_stream_state *state)
{
    EL_ASSERT(s != NULL && s->magic == STREAM_MAGIC);
    struct evlog_stream_state full = s->state;
    full.size = state->size;
    memcpy(state, &full, EL_MIN(state->size, sizeof full));
}

void evlog_stream_close(struct evlog_stream *s)
{
    if (s != NULL) {
        EL_ASSERT(s->magic == STREAM_MAGIC);
        drop_page(s);
        el_show_none(&s->shown);
        el_free(s->topic);
        el_free(s->key);
        s->magic = 0;
        el_free(s);
    }
}
