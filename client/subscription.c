/* SPDX-License-Identifier: Apache-2.0
 *
 * Subscriptions: a consumer with a filter, and what its answers say of where it stands. Runs on the thread that reads.
 *
 * 1. evlog_subscription_next() gives the next event at hand.
 * 2. None is: it has caught up when every partition has been read to the end that its last answer told.
 * 3. Else it waits, and tells from time to time that the position has moved without an event.
 *
 * A partition whose offset is outside the log has gone astray (consumer_fetch.c). What was read before is given out
 * first; then the start of the log is asked for, and events are missing up to there, or the log is another one.
 */
#include "fail.h"
#include "subscription_state.h"

#include <core/alloc.h>
#include <evlog/consumer.h>

#define SUBSCRIPTION_MAGIC OBJ_MAGIC('E', 'V', 'S', 'B')
#define STEPS_MAX (16u << 20) /* of a pattern on one event */
#define GROW_NS (5 * INT64_C(1000000000))
#define KEY_MAX 4096u

/* --- opening ------------------------------------------------------------------------------------------------------ */

static int check_options(const struct evlog_subscription_options *options, struct evlog_failure *failure)
{
    size_t text_len = 0;
    if (options->topic == NULL || options->topic[0] == '\0') {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "a subscription needs a topic");
    }
    if (options->key.len > KEY_MAX || options->prefix.len > KEY_MAX) {
        return el_fail(failure, EVLOG_ERR_LIMIT, "key and prefix have at most %u bytes", KEY_MAX);
    }
    if (options->type_count > EL_FILTER_TYPES_MAX) {
        return el_fail(failure, EVLOG_ERR_LIMIT, "at most %u types; a pattern may have prefixes and wildcards",
                       EL_FILTER_TYPES_MAX);
    }
    for (size_t i = 0; i < options->type_count; i++) {
        size_t len = options->types[i] == NULL ? 0 : strlen(options->types[i]);
        if (len == 0 || len > KEY_MAX) {
            return el_fail(failure, EVLOG_ERR_ARGUMENT, "a type has 1 to %u bytes", KEY_MAX);
        }
    }
    for (size_t i = 0; i < options->filter_count && i < EL_PATTERN_COUNT_MAX; i++) {
        text_len += options->filters[i] == NULL ? 0 : strlen(options->filters[i]);
    }
    if (options->filter_count > EL_PATTERN_COUNT_MAX || text_len > EL_FILTER_TEXT_MAX) {
        return el_fail(failure, EVLOG_ERR_LIMIT, "at most %d patterns, of which any may match, of %u bytes together",
                       EL_PATTERN_COUNT_MAX, EL_FILTER_TEXT_MAX);
    }
    if (options->start > EVLOG_SUBSCRIPTION_TIME || options->on_missing > EVLOG_SUBSCRIPTION_TELL ||
        options->start_ns < 0 || options->behind_max < 0 || options->progress_ms < 1) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "an option is out of its range");
    }
    return 0;
}

static int no_memory(struct evlog_failure *failure)
{
    return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a subscription");
}

/* A copy in the arena; null stays null. */
static bool keep_bytes(struct el_arena *arena, struct evlog_bytes from, struct el_slice *to)
{
    *to = el_slice_of(NULL, 0);
    if (from.data != NULL) {
        *to = el_slice_of(el_arena_dup(arena, from.len == 0 ? "" : from.data, EL_MAX(from.len, (size_t)1)), from.len);
    }
    return from.data == NULL || to->data != NULL;
}

static struct el_slice *keep_texts(struct el_arena *arena, const char *const *texts, size_t count)
{
    struct el_slice *kept = el_arena_alloc(arena, EL_MAX(count, (size_t)1) * sizeof *kept);
    for (size_t i = 0; kept != NULL && i < count; i++) {
        struct evlog_bytes text = {texts[i] == NULL ? "" : texts[i], texts[i] == NULL ? 0 : strlen(texts[i])};
        kept = keep_bytes(arena, text, &kept[i]) ? kept : NULL;
    }
    return kept;
}

static int make_filter(struct evlog_subscription *s, const struct evlog_subscription_options *options,
                       struct evlog_failure *failure)
{
    struct el_consumer_filter *filter = &s->filter;
    struct el_error err = {0};
    struct el_slice *types = keep_texts(&s->arena, options->types, options->type_count);
    struct el_slice *filters = keep_texts(&s->arena, options->filters, options->filter_count);
    if (types == NULL || filters == NULL || !keep_bytes(&s->arena, options->key, &filter->sieve.key) ||
        !keep_bytes(&s->arena, options->prefix, &filter->sieve.prefix)) {
        return no_memory(failure);
    }
    filter->sieve.types = types;
    filter->sieve.type_count = (uint32_t)options->type_count;
    filter->sieve.steps_max = STEPS_MAX;
    filter->filters = filters;
    filter->filter_count = (uint32_t)options->filter_count;
    if (options->filter_count > 0) {
        int rc = el_pattern_compile_any(filters, options->filter_count, NULL, &s->arena, &filter->sieve.pattern, &err);
        if (rc != 0) {
            (void)el_fail_from(failure, &err);
            el_fail_wrap(failure, "filter");
            el_fail_hint(failure, "docs/patterns.md describes the language of patterns");
            return rc;
        }
    }
    filter->scratch = el_malloc(el_sieve_scratch_len(&filter->sieve));
    return filter->scratch == NULL ? no_memory(failure) : 0;
}

static int64_t position_sum(const struct evlog_subscription *s)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < s->consumer.feed_count; i++) {
        sum += s->consumer.feeds[i]->position;
    }
    return sum;
}

static int begin(struct evlog_subscription *s, const struct evlog_subscription_options *options,
                 struct evlog_failure *failure)
{
    s->consumer.topic = el_strdup(options->topic);
    if (s->consumer.topic == NULL) {
        return no_memory(failure);
    }
    int rc = make_filter(s, options, failure);
    rc = rc == 0 ? el_subscription_place(s, options, failure) : rc;
    s->told_ns = el_now_ns();
    s->grow_at_ns = s->told_ns + GROW_NS;
    s->told_sum = position_sum(s);
    return rc;
}

int evlog_subscription_open(struct evlog_client *client, const struct evlog_subscription_options *given,
                            struct evlog_subscription **subscription, struct evlog_failure *failure)
{
    struct evlog_subscription_options options = EVLOG_SUBSCRIPTION_OPTIONS_INIT;
    if (!EL_OPTIONS_TAKE(&options, given)) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the options were not initialised");
    }
    int rc = check_options(&options, failure);
    if (rc != 0) {
        return rc;
    }
    struct evlog_subscription *s = el_calloc(1, sizeof *s);
    if (s == NULL) {
        return no_memory(failure);
    }
    s->magic = SUBSCRIPTION_MAGIC;
    s->client = client;
    el_arena_init(&s->arena, NULL, 0);
    el_consumer_init(&s->consumer, client);
    el_client_lock(client);
    s->consumer.lane = client->lane_next; /* its fetches wait at the broker, and others are not to wait for them */
    client->lane_next += 2;
    el_client_unlock(client);
    s->consumer.filter = &s->filter;
    s->consumer.resets = true;
    s->on_missing = options.on_missing;
    s->behind_max = options.behind_max;
    s->progress_ns = options.progress_ms * EL_NS_PER_MS;
    rc = begin(s, &options, failure);
    if (rc != 0) {
        evlog_subscription_close(s);
        return rc;
    }
    *subscription = s;
    return 0;
}

/* --- items -------------------------------------------------------------------------------------------------------- */

static int give(struct evlog_subscription *s, enum evlog_subscription_kind kind,
                const struct evlog_subscription_item **item)
{
    s->item.kind = kind;
    s->told_ns = el_now_ns();
    if (kind != EVLOG_SUBSCRIPTION_EVENT) {
        s->told_sum = position_sum(s);
    }
    *item = &s->item;
    return 1;
}

static void drop_view(struct evlog_subscription *s)
{
    el_span_end(s->handling, NULL, NULL);
    s->handling = NULL;
    if (s->has_view) {
        evlog_event_view_free(&s->view);
        s->has_view = false;
    }
    s->item = (struct evlog_subscription_item){.kind = EVLOG_SUBSCRIPTION_EVENT};
}

static int give_event(struct evlog_subscription *s, const struct evlog_subscription_item **item,
                      struct evlog_failure *failure)
{
    struct evlog_consumer *consumer = &s->consumer;
    s->view = (struct evlog_event_view){.size = sizeof s->view};
    if (evlog_event_view(&consumer->event, &s->view) != 0) {
        el_consumer_jump(consumer, consumer->open, consumer->event.offset); /* it was not given out */
        return no_memory(failure);
    }
    s->has_view = true;
    s->event = (struct evlog_stream_event){
        .event = &consumer->event,
        .version = s->filter.one_stream ? consumer->event_version : -1,
        .type = s->view.type,
        .id = s->view.id,
        .data = s->view.data,
    };
    s->item.event = &s->event;
    s->handling = el_span_process(s->client, &consumer->event, NULL, 0);
    consumer->open->stored_epoch = EL_MAX(consumer->open->stored_epoch, consumer->event.leader_epoch);
    return give(s, EVLOG_SUBSCRIPTION_EVENT, item);
}

static bool is_at_end(const struct evlog_subscription *s, int64_t *behind)
{
    bool at_end = true;
    *behind = 0;
    for (uint32_t i = 0; i < s->consumer.feed_count; i++) {
        const struct el_feed *feed = s->consumer.feeds[i];
        bool known = feed->high_watermark != INT64_MAX;
        at_end = at_end && known && !feed->astray && feed->position >= feed->high_watermark;
        *behind += known ? EL_MAX(feed->high_watermark - feed->position, 0) : 0;
    }
    return at_end;
}

static bool fell_behind(struct evlog_subscription *s)
{
    int64_t behind;
    if (!s->caught_up || s->answers_seen == s->consumer.answer_count) {
        return false;
    }
    s->answers_seen = s->consumer.answer_count;
    (void)is_at_end(s, &behind);
    s->caught_up = behind <= s->behind_max;
    s->item.behind = behind;
    return !s->caught_up;
}

/* --- missing events ----------------------------------------------------------------------------------------------- */

/* returns 1 an item | 0 go on | negative */
static int mend(struct evlog_subscription *s, struct el_feed *feed, struct evlog_failure *failure)
{
    int64_t start_offset = 0, position = feed->position;
    int rc = evlog_offset_at(s->client, feed->topic, feed->partition, EVLOG_OFFSET_EARLIEST, &start_offset, failure);
    if (rc != 0) {
        return rc;
    }
    bool gone = start_offset > position;
    bool told = gone && s->on_missing == EVLOG_SUBSCRIPTION_TELL;
    bool fresh = gone && feed->stored_offset == position; /* begun where the log began then */
    el_consumer_jump(&s->consumer, feed, told || fresh ? start_offset : position);
    if (fresh) {
        feed->stored_offset = start_offset;
        return 0;
    }
    if (!gone) {
        (void)el_fail(failure, EVLOG_ERR_CONFLICT,
                      "%s[%d] has no offset %lld: the log is another one, or an older copy", feed->topic,
                      feed->partition, (long long)position);
        el_fail_hint(failure, "if this is the right server, begin anew, from the beginning");
        return EVLOG_ERR_CONFLICT;
    }
    if (!told) {
        (void)el_fail(failure, EVLOG_ERR_OFFSET_RANGE,
                      "%s[%d]: events from offset %lld on are gone, the log begins at "
                      "%lld",
                      feed->topic, feed->partition, (long long)position, (long long)start_offset);
        el_fail_hint(failure, "keep events for longer (retention.ms), or let missing ones be told (on_missing) and go "
                              "on");
        return EVLOG_ERR_OFFSET_RANGE;
    }
    s->item.partition = feed->partition;
    s->item.from_offset = position;
    s->item.to_offset = start_offset;
    return 1;
}

static int mend_all(struct evlog_subscription *s, struct evlog_failure *failure)
{
    int rc = 0;
    s->consumer.has_astray = false;
    for (uint32_t i = 0; i < s->consumer.feed_count; i++) {
        struct el_feed *feed = s->consumer.feeds[i];
        if (feed->astray && rc == 0) {
            rc = mend(s, feed, failure);
        }
        s->consumer.has_astray = s->consumer.has_astray || feed->astray;
    }
    return rc;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* Nothing is at hand: what can be told of that, or wait. returns 1 an item | 0 go on | negative */
static int idle(struct evlog_subscription *s, int64_t deadline_ns, const struct evlog_subscription_item **item,
                struct evlog_failure *failure)
{
    int64_t behind, now_ns = el_now_ns();
    if (s->consumer.has_astray) {
        int rc = mend_all(s, failure);
        return rc == 1 ? give(s, EVLOG_SUBSCRIPTION_MISSING, item) : rc;
    }
    if (!s->caught_up && is_at_end(s, &behind)) {
        s->caught_up = true;
        s->answers_seen = s->consumer.answer_count;
        return give(s, EVLOG_SUBSCRIPTION_CAUGHT_UP, item);
    }
    if (now_ns - s->told_ns >= s->progress_ns) {
        if (position_sum(s) != s->told_sum) {
            return give(s, EVLOG_SUBSCRIPTION_POSITION, item);
        }
        s->told_ns = now_ns;
    }
    if (now_ns >= s->grow_at_ns) {
        s->grow_at_ns = now_ns + GROW_NS;
        struct evlog_failure why = EVLOG_FAILURE_INIT;
        int rc = el_subscription_grow(s, &why);
        if (rc == EVLOG_ERR_NO_MEMORY) {
            return el_fail_copy(failure, &why); /* all else is seen by reading, too */
        }
    }
    int64_t until_ns = EL_MIN(deadline_ns, s->told_ns + s->progress_ns);
    int rc = el_consumer_wait(&s->consumer, until_ns, failure);
    return rc < 0 ? rc : 0;
}

int evlog_subscription_next(struct evlog_subscription *s, int timeout_ms, const struct evlog_subscription_item **item,
                            struct evlog_failure *failure)
{
    int64_t deadline_ns = el_deadline(timeout_ms);
    EL_ASSERT(s != NULL);
    EL_ASSERT(s->magic == SUBSCRIPTION_MAGIC);
    drop_view(s);
    s->consumer.started = true;
    for (bool last = false;;) {
        int rc = s->consumer.open == NULL ? el_consumer_take(&s->consumer, failure) : 0;
        if (rc == 0 && fell_behind(s)) {
            return give(s, EVLOG_SUBSCRIPTION_FELL_BEHIND, item);
        }
        rc = rc == 0 ? el_consumer_event(&s->consumer, failure) : rc;
        if (rc == 1) {
            return give_event(s, item, failure);
        }
        rc = rc == 0 && !last ? idle(s, deadline_ns, item, failure) : rc;
        if (rc != 0 || last) {
            return rc;
        }
        last = el_now_ns() >= deadline_ns; /* what has come by now is given out */
    }
}

const char *evlog_subscription_position(struct evlog_subscription *s)
{
    struct el_progress progress = {.topic_id = s->filter.topic_id, .whole = s->whole};
    EL_ASSERT(s->magic == SUBSCRIPTION_MAGIC);
    progress.entries = el_calloc(EL_MAX(s->consumer.feed_count, 1u), sizeof *progress.entries);
    if (progress.entries == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < s->consumer.feed_count; i++) {
        const struct el_feed *feed = s->consumer.feeds[i];
        progress.entries[progress.count++] = (struct el_progress_entry){feed->partition, feed->stored_epoch,
                                                                        feed->position};
    }
    el_buffer_reset(&s->word);
    el_progress_format(&s->word, &progress);
    el_progress_free(&progress);
    return el_buffer_text(&s->word);
}

bool evlog_subscription_is_caught_up(const struct evlog_subscription *s)
{
    return s->caught_up;
}

void evlog_subscription_left_out(const struct evlog_subscription *s, uint64_t *unparsable_count,
                                 uint64_t *too_long_count)
{
    *unparsable_count = s->filter.unparsable_count;
    *too_long_count = s->filter.too_long_count;
}

void evlog_subscription_close(struct evlog_subscription *s)
{
    if (s == NULL) {
        return;
    }
    EL_ASSERT(s->magic == SUBSCRIPTION_MAGIC);
    drop_view(s);
    el_consumer_destroy(&s->consumer);
    el_client_lock(s->client);
    el_conns_retire(s->client, s->consumer.lane);
    el_client_unlock(s->client);
    el_free(s->filter.scratch);
    el_arena_reset(&s->arena);
    el_buffer_free(&s->word);
    s->magic = 0;
    el_free(s);
}

int evlog_position_compare(const char *a, const char *b, enum evlog_position_order *order)
{
    struct el_progress left = {.count = 0}, right = {.count = 0};
    enum el_progress_order found;
    int rc = el_progress_parse(el_slice_str(a), &left);
    rc = rc == 0 ? el_progress_parse(el_slice_str(b), &right) : rc;
    rc = rc == 0 ? el_progress_compare(&left, &right, &found) : rc;
    el_progress_free(&left);
    el_progress_free(&right);
    if (rc != 0) {
        return rc;
    }
    switch (found) {
    case EL_PROGRESS_EQUAL:
        *order = EVLOG_POSITION_EQUAL;
        break;
    case EL_PROGRESS_BEFORE:
        *order = EVLOG_POSITION_BEFORE;
        break;
    case EL_PROGRESS_AFTER:
        *order = EVLOG_POSITION_AFTER;
        break;
    case EL_PROGRESS_APART:
        *order = EVLOG_POSITION_APART;
        break;
    }
    return 0;
}
