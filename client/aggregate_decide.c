/* SPDX-License-Identifier: Apache-2.0
 *
 * Decisions: load, decide, append with the version that was decided on, and once more when another was faster.
 *
 * What is retried is the decision, on the state with what the other has appended: an append that was refused says
 * nothing of what this caller would do now. A condition on another stream that fails is the caller's to look at: this
 * stream has not changed, and deciding again would come to the same.
 */
#include "aggregate_state.h"
#include "fail.h"
#include "group_ask.h"
#include "stream_ask.h"
#include "stream_conflict.h"

#include <core/alloc.h>

#define TRIES_MAX 1000

struct evlog_decision {
    struct el_arena arena;          /* of all copies */
    struct evlog_new_event *events; /* [event_room] */
    size_t event_count, event_room;
    struct evlog_stream_check *checks; /* [check_room] */
    size_t check_count, check_room;
};

/* --- what is decided --------------------------------------------------------------------------------------------- */

static void decision_reset(struct evlog_decision *d)
{
    el_arena_reset(&d->arena);
    d->event_count = d->check_count = 0;
}

static void decision_free(struct evlog_decision *d)
{
    decision_reset(d);
    el_free(d->events);
    el_free(d->checks);
}

/* Room for one more of an array. returns 0 | EVLOG_ERR_LIMIT | EVLOG_ERR_NO_MEMORY */
static int grow(void **items, size_t count, size_t *room, size_t size)
{
    if (count == EVLOG_APPEND_EVENTS_MAX) {
        return EVLOG_ERR_LIMIT;
    }
    if (count < *room) {
        return 0;
    }
    size_t more = EL_MAX(2 * *room, 8);
    void *grown = el_realloc(*items, more * size);
    if (grown == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    *items = grown;
    *room = more;
    return 0;
}

static bool copy_text(struct el_arena *arena, const char **text)
{
    *text = *text == NULL ? NULL : el_arena_strndup(arena, *text, strlen(*text));
    return *text != NULL;
}

static bool copy_bytes(struct el_arena *arena, struct evlog_bytes *bytes)
{
    if (bytes->data != NULL) {
        bytes->data = el_arena_dup(arena, bytes->data, bytes->len);
    }
    return bytes->data != NULL;
}

static int copy_headers(struct evlog_decision *d, struct evlog_new_event *event)
{
    struct evlog_header *headers = el_arena_dup(&d->arena, event->headers, event->header_count * sizeof *headers);
    if (headers == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < event->header_count; i++) {
        bool has_value = headers[i].value.data != NULL;
        if (headers[i].key.data == NULL) {
            return EVLOG_ERR_ARGUMENT;
        }
        if (!copy_bytes(&d->arena, &headers[i].key) || (!copy_bytes(&d->arena, &headers[i].value) && has_value)) {
            return EVLOG_ERR_NO_MEMORY;
        }
    }
    event->headers = headers;
    return 0;
}

int evlog_decision_emit(struct evlog_decision *d, const struct evlog_new_event *event)
{
    struct evlog_new_event copy = *event;
    if (event->header_count > EVLOG_APPEND_EVENTS_MAX || (event->header_count > 0 && event->headers == NULL)) {
        return EVLOG_ERR_ARGUMENT;
    }
    int rc = grow((void **)&d->events, d->event_count, &d->event_room, sizeof *d->events);
    if (rc != 0) {
        return rc;
    }
    if ((!copy_text(&d->arena, &copy.id) && event->id != NULL) ||
        (!copy_text(&d->arena, &copy.type) && event->type != NULL) ||
        (!copy_text(&d->arena, &copy.source) && event->source != NULL) ||
        (!copy_text(&d->arena, &copy.content_type) && event->content_type != NULL) ||
        (!copy_bytes(&d->arena, &copy.data) && event->data.data != NULL)) {
        return EVLOG_ERR_NO_MEMORY;
    }
    rc = event->header_count == 0 ? 0 : copy_headers(d, &copy);
    if (rc == 0) {
        d->events[d->event_count++] = copy;
    }
    return rc;
}

int evlog_decision_check(struct evlog_decision *d, struct evlog_bytes key, int64_t expected)
{
    struct evlog_stream_check check = {key, expected};
    if (key.data == NULL) {
        return EVLOG_ERR_ARGUMENT;
    }
    int rc = grow((void **)&d->checks, d->check_count, &d->check_room, sizeof *d->checks);
    if (rc == 0 && !copy_bytes(&d->arena, &check.key)) {
        rc = EVLOG_ERR_NO_MEMORY;
    }
    if (rc == 0) {
        d->checks[d->check_count++] = check;
    }
    return rc;
}

/* --- deciding ---------------------------------------------------------------------------------------------------- */

static bool is_own(const struct evlog_aggregate *a, const struct evlog_conflict *conflict)
{
    return conflict->key.data != NULL && conflict->key.len == a->key_len &&
           memcmp(conflict->key.data, a->key, a->key_len) == 0;
}

struct deciding {
    const struct evlog_decide_options *options;
    struct evlog_decision decision;
    struct evlog_appended appended;
    bool again; /* another was faster */
};

static int append(struct evlog_aggregate *a, struct deciding *d, struct evlog_failure *failure)
{
    struct evlog_append append = EVLOG_APPEND_INIT;
    append.topic = a->topic;
    append.key = el_aggregate_key(a);
    append.expected = a->version < 0 ? EVLOG_EXPECT_NONE : a->version;
    append.events = d->decision.events;
    append.event_count = d->decision.event_count;
    append.checks = d->decision.checks;
    append.check_count = d->decision.check_count;
    return evlog_append(a->client, &append, &d->appended, failure);
}

static int decide_once(struct evlog_aggregate *a, struct deciding *d, struct evlog_failure *failure)
{
    char what[EL_STREAM_WHAT_LEN];
    d->again = false;
    d->appended = (struct evlog_appended)EVLOG_APPENDED_INIT;
    int rc = evlog_aggregate_refresh(a, failure);
    if (rc != 0) {
        return rc;
    }
    decision_reset(&d->decision);
    rc = d->options->decide(d->options->arg, a, &d->decision);
    if (rc != 0) {
        (void)el_fail(failure, rc < 0 ? rc : EVLOG_ERR_FAILED, "%s: it was decided to append nothing: code %d",
                      el_stream_what(what, a->topic, el_aggregate_key(a)), rc);
        return rc;
    }
    if (d->decision.event_count == 0) {
        d->appended.partition = -1;
        d->appended.first_version = d->appended.version = a->version;
        d->appended.first_offset = d->appended.offset = -1;
        return 0;
    }
    rc = append(a, d, failure);
    d->again = rc == EVLOG_ERR_WRONG_VERSION && is_own(a, &d->appended.conflict);
    return rc;
}

int evlog_decide_on(struct evlog_aggregate *a, const struct evlog_decide_options *given,
                    struct evlog_appended *appended, struct evlog_failure *failure)
{
    struct evlog_decide_options options = EVLOG_DECIDE_OPTIONS_INIT;
    struct deciding d = {.options = &options};
    EL_ASSERT(a != NULL && a->magic == EL_AGGREGATE_MAGIC);
    if (!EL_OPTIONS_TAKE(&options, given) || options.decide == NULL || options.tries_max < 1 ||
        options.tries_max > TRIES_MAX) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "a decision needs a callback, and 1 to %d tries", TRIES_MAX);
    }
    el_arena_init(&d.decision.arena, NULL, 0);
    int rc = decide_once(a, &d, failure);
    for (int32_t tries = 1; d.again && tries < options.tries_max; tries++) {
        if (tries > 1 && !el_pause_before_retry(a->client, (uint32_t)tries, EL_NEVER_NS)) {
            break;
        }
        rc = decide_once(a, &d, failure);
    }
    if (d.again) {
        el_fail_wrap(failure, "after %d decisions", options.tries_max);
        el_fail_hint(failure, "others append to this stream all the time: allow more tries, or append less often");
    }
    /* Keys of checks were copies of the decision's. */
    d.appended.conflict.key = is_own(a, &d.appended.conflict) ? el_aggregate_key(a) : (struct evlog_bytes){NULL, 0};
    el_appended_give(appended, &d.appended);
    decision_free(&d.decision);
    return rc;
}

int evlog_decide(struct evlog_client *client, const struct evlog_fold *fold, struct evlog_bytes key,
                 const struct evlog_decide_options *options, struct evlog_appended *appended,
                 struct evlog_failure *failure)
{
    struct evlog_aggregate *a;
    int rc = evlog_load(client, fold, key, &a, failure);
    if (rc != 0) {
        return rc;
    }
    rc = evlog_decide_on(a, options, appended, failure);
    if (appended != NULL && appended->size >= sizeof *appended && appended->conflict.key.data != NULL) {
        appended->conflict.key = key;
    }
    evlog_aggregate_close(a);
    return rc;
}
