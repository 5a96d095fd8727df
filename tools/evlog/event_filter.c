/* SPDX-License-Identifier: Apache-2.0
 *
 * --filter of commands that read events: the patterns are compiled once, before anything is asked of a broker, and each
 * event is matched here, after it has come over the network. Events that could not be looked into are not taken, and
 * their number is told at the end.
 */
#include "event_filter.h"

#include <core/alloc.h>

#define STEPS_MAX (16u << 20) /* enough for payloads of 100 MiB, and about a second of a wildcard's worst */

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

int event_filter_open(struct event_filter *filter, const struct cli *cli, const struct cli_list *patterns)
{
    struct el_slice texts[EL_PATTERN_COUNT_MAX];
    struct el_error err = {0};
    *filter = (struct event_filter){.pattern = NULL};
    el_arena_init(&filter->arena, NULL, 0);
    if (patterns->count == 0) {
        return CLI_OK;
    }
    if (patterns->count > EL_PATTERN_COUNT_MAX) {
        return cli_error(cli, CLI_ERR_VALUE, "--filter: at most %d patterns, of which any may match",
                         EL_PATTERN_COUNT_MAX);
    }
    for (size_t i = 0; i < patterns->count; i++) {
        texts[i] = el_slice_str(patterns->items[i]);
    }
    if (el_pattern_compile_any(texts, patterns->count, NULL, &filter->arena, &filter->pattern, &err) != 0) {
        const struct cli_remedy remedy = {CLI_ERR_VALUE, "docs/patterns.md describes the language of patterns"};
        return cli_error_remedy(cli, remedy, "--filter: %s", err.text);
    }
    filter->scratch = el_malloc(el_pattern_scratch_len(filter->pattern));
    return filter->scratch == NULL ? cli_error(cli, CLI_ERR_VALUE, "no memory") : CLI_OK;
}

void event_filter_close(struct event_filter *filter)
{
    el_free(filter->scratch);
    filter->scratch = NULL;
    filter->pattern = NULL;
    el_arena_reset(&filter->arena);
}

bool event_filter_takes(struct event_filter *filter, const struct evlog_event *event)
{
    struct cursor cursor = {event, 0};
    const struct el_pattern_event looked_at = {
        .key = el_slice_of(event->key.data, event->key.len),
        .value = el_slice_of(event->value.data, event->value.len),
        .header_next = next_header,
        .headers = &cursor,
    };
    if (filter->pattern == NULL) {
        return true;
    }
    enum el_pattern_verdict verdict = el_pattern_match(filter->pattern, &looked_at, filter->scratch, STEPS_MAX);
    filter->unparsable_count += verdict == EL_PATTERN_UNPARSABLE;
    filter->too_long_count += verdict == EL_PATTERN_TOO_MANY_STEPS;
    return verdict == EL_PATTERN_MATCH;
}

void event_filter_say(const struct event_filter *filter, const struct cli *cli)
{
    if (filter->unparsable_count > 0) {
        cli_say(cli, "--filter: %llu events left out whose payload is neither JSON nor CBOR",
                (unsigned long long)filter->unparsable_count);
    }
    if (filter->too_long_count > 0) {
        cli_say(cli, "--filter: %llu events left out that would take too long to match: use fewer wildcards",
                (unsigned long long)filter->too_long_count);
    }
}
