/* SPDX-License-Identifier: Apache-2.0
 *
 * The batch of a projection: events copied out of the reader, because a transaction that fails is run again. It holds
 * what is at hand and waits for no more than the first event, so that a live projection is late by one transaction.
 */
#include "fail.h"
#include "projection_state.h"

#include <core/alloc.h>

#define STEPS_MAX (16u << 20) /* of a pattern on one event */

/* --- filter ------------------------------------------------------------------------------------------------------- */

int el_projection_filter(struct evlog_projection *projection, struct evlog_failure *failure)
{
    const struct evlog_projection_options *options = &projection->options;
    struct el_slice texts[EL_PATTERN_COUNT_MAX];
    struct el_error err = {0};
    if (options->filter_count == 0) {
        return 0;
    }
    if (options->filter_count > EL_PATTERN_COUNT_MAX) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "at most %d filters, of which any may match", EL_PATTERN_COUNT_MAX);
    }
    for (size_t i = 0; i < options->filter_count; i++) {
        texts[i] = el_slice_str(options->filters[i]);
    }
    int rc = el_pattern_compile_any(texts, options->filter_count, NULL, &projection->pattern_arena,
                                    &projection->pattern, &err);
    if (rc != 0) {
        (void)el_fail_from(failure, &err);
        el_fail_wrap(failure, "projection %s: filter", options->name);
        el_fail_hint(failure, "docs/patterns.md describes the language of patterns");
        return rc;
    }
    projection->pattern_scratch = el_malloc(el_pattern_scratch_len(projection->pattern));
    return projection->pattern_scratch == NULL ? el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a filter") : 0;
}

struct cursor {
    const struct evlog_event *event;
    size_t index;
};

static bool next_header(void *headers, struct el_slice *name, struct el_slice *value)
{
    struct cursor *cursor = headers;
    if (cursor->index == cursor->event->header_count) {
        return false;
    }
    const struct evlog_header *header = &cursor->event->headers[cursor->index++];
    *name = el_slice_of(header->key.data, header->key.len);
    *value = el_slice_of(header->value.data, header->value.len);
    return true;
}

static bool is_wanted(const struct evlog_projection *projection, const struct evlog_event *event)
{
    struct cursor cursor = {event, 0};
    const struct el_pattern_event looked_at = {
        .key = el_slice_of(event->key.data, event->key.len),
        .value = el_slice_of(event->value.data, event->value.len),
        .header_next = next_header,
        .headers = &cursor,
    };
    return projection->pattern == NULL || el_pattern_match(projection->pattern, &looked_at, projection->pattern_scratch,
                                                           STEPS_MAX) == EL_PATTERN_MATCH;
}

/* --- copies ------------------------------------------------------------------------------------------------------- */

static bool copy_bytes(struct el_arena *arena, struct evlog_bytes *bytes)
{
    if (bytes->data == NULL) {
        return true;
    }
    bytes->data = el_arena_dup(arena, bytes->len == 0 ? "" : bytes->data, bytes->len);
    return bytes->data != NULL;
}

static bool copy_headers(struct el_arena *arena, struct evlog_event *event)
{
    struct evlog_header *headers = el_arena_dup(arena, event->headers, event->header_count * sizeof *headers);
    if (headers == NULL) {
        return false;
    }
    for (size_t i = 0; i < event->header_count; i++) {
        if (!copy_bytes(arena, &headers[i].key) || !copy_bytes(arena, &headers[i].value)) {
            return false;
        }
    }
    event->headers = headers;
    return true;
}

static uint32_t feed_of(const struct evlog_projection *projection, const struct evlog_event *event)
{
    for (uint32_t i = 0; i < projection->feed_count; i++) {
        const struct evlog_projection_position *saved = &projection->feeds[i].saved;
        if (saved->partition == event->partition && strcmp(saved->topic, event->topic) == 0) {
            return i;
        }
    }
    EL_ASSERT(!"an event of a partition that is not read");
    return 0;
}

/* A copy of all of it: also of what the filter leaves out, whose key is counted and whose id the checkpoint names. */
static int add_item(struct evlog_projection *projection, const struct evlog_event *event, struct evlog_failure *failure)
{
    struct el_projection_item *item = &projection->items[projection->item_count];
    *item = (struct el_projection_item){.event = *event, .view = {.size = sizeof item->view}};
    item->wanted = is_wanted(projection, event);
    item->feed = feed_of(projection, event);
    item->done = el_projection_is_ahead(projection, event, item->feed);
    item->event.topic = projection->feeds[item->feed].saved.topic;
    bool fine = copy_bytes(&projection->arena, &item->event.key) && copy_headers(&projection->arena, &item->event) &&
                copy_bytes(&projection->arena, &item->event.value);
    int rc = fine ? evlog_event_view(&item->event, &item->view) : EVLOG_ERR_NO_MEMORY;
    if (rc != 0) {
        return el_fail(failure, rc, "no memory for a batch of projection %s", projection->options.name);
    }
    projection->item_count++;
    return 0;
}

static void empty_batch(struct evlog_projection *projection)
{
    for (uint32_t i = 0; i < projection->item_count; i++) {
        evlog_event_view_free(&projection->items[i].view);
    }
    projection->item_count = 0;
    el_arena_reset(&projection->arena);
}

int el_projection_read(struct evlog_projection *projection, int timeout_ms, struct evlog_failure *failure)
{
    const struct evlog_event *event;
    empty_batch(projection);
    size_t bytes_max = EL_PROJECTION_BATCH_BYTES * (size_t)EL_MAX(projection->lanes.count, 1u);
    while (projection->item_count < projection->item_room && projection->arena.used < bytes_max) {
        int rc = evlog_consumer_next(&projection->consumer, projection->item_count == 0 ? timeout_ms : 0, &event,
                                     failure);
        if (rc < 0 && projection->item_count == 0) {
            return rc;
        }
        if (rc != 1) {
            break; /* what fails behind the first event fails again at the next call */
        }
        rc = add_item(projection, event, failure);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}
