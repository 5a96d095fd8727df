/* SPDX-License-Identifier: Apache-2.0
 *
 * Subscriptions from the client's side. Goal: what cannot be right is refused before anything is read; answers that do
 * not fit what was asked are not believed; events come once, in order, with progress where nothing matches; what is
 * gone is told. Method: a broker of a few arrays, with and without FilterFetch, that lies on request.
 */
#include "../../lib/test.h"
#include "scripted.h"

#include <format/batch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wire/error_code.h>
#include <wire/msg_describe_configs.h>
#include <wire/msg_ext_filter_fetch.h>
#include <wire/msg_ext_stream_read.h>
#include <wire/progress.h>

#define PATIENCE_MS 10000

/* How the next answers to FilterFetch are wrong. */
enum lie { LIE_NOT, LIE_NEXT_BELOW, LIE_BATCH_ABOVE_NEXT, LIE_BATCH_BELOW, LIE_NO_END, LIE_CHECKSUM };

/* A broker whose partition p holds events 0 .. ends[p]; those at offsets that step divides match. */
struct filtering {
    struct scripted s;
    int64_t step; /* 0: none matches */
    int64_t pace; /* offsets that one answer looks at */
    int error;    /* Kafka code of partitions, once */
    bool missing; /* there is no such request */
    bool streams; /* the topic has streams; the key is in partition 1 */
    enum lie lie;
    uint32_t asked; /* FilterFetch requests */
    char filter[128];
};

static size_t build(uint8_t *out, size_t room, int64_t offset)
{
    char value[24];
    struct el_batch_builder builder;
    struct el_slice batch;
    (void)snprintf(value, sizeof value, "%lld", (long long)offset);
    struct el_record_body body = {.key = el_slice_str("k"), .value = el_slice_str(value)};
    el_batch_builder_init(&builder, 4096);
    assert_int_equal(el_batch_builder_add(&builder, 1000, &body), 0);
    assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_NONE, NULL, &batch), 0);
    assert_true(batch.len <= room);
    memcpy(out, batch.data, batch.len);
    el_batch_assign(out, offset, 3);
    el_batch_builder_destroy(&builder);
    return batch.len;
}

static void note_filter(struct filtering *f, const struct el_msg_ext_filter_fetch_request *request)
{
    (void)snprintf(f->filter, sizeof f->filter, "key=%.*s types=%u filters=%u id=%d", (int)request->key.len,
                   request->key.data == NULL ? "" : (const char *)request->key.data, request->type_count,
                   request->filter_count, el_uuid_eq(&request->topic_id, &scripted_topic_id));
}

/* Fill the result of one partition. returns true when it has something to say */
static bool fill(struct filtering *f, const struct el_msg_ext_filter_fetch_partition *p,
                 struct el_msg_ext_filter_fetch_result *r, struct el_msg_ext_log_fetch_batch *batch, uint8_t *room)
{
    int64_t end = f->s.ends[p->partition], offset = p->offset, most = p->offset + f->pace;
    el_schema_init(&el_schema_ext_filter_fetch_result, r);
    r->partition = p->partition;
    if (f->error != 0 || p->offset > end) {
        r->error = (int16_t)(f->error != 0 ? f->error : EL_KAFKA_OFFSET_OUT_OF_RANGE);
        f->error = 0;
        return true;
    }
    while (offset < EL_MIN(end, most) && (f->step == 0 || offset % f->step != 0)) {
        offset++;
    }
    bool found = offset < EL_MIN(end, most);
    r->next = found ? offset + 1 : offset;
    r->high_watermark = end;
    r->log_start = 0;
    r->version = p->version && f->step > 0 ? (p->offset + f->step - 1) / f->step : -1;
    if (found || f->lie == LIE_BATCH_BELOW) {
        el_schema_init(&el_schema_ext_log_fetch_batch, batch);
        batch->append_time_ns = 1000 + (uint64_t)offset;
        batch->batch = el_slice_of(room, build(room, 256, f->lie == LIE_BATCH_BELOW ? p->offset - 1 : offset));
        r->batches = batch;
        r->batch_count = 1;
    }
    r->next = f->lie == LIE_NEXT_BELOW         ? p->offset - 1
              : f->lie == LIE_BATCH_ABOVE_NEXT ? EL_MAX(offset, p->offset)
                                               : r->next;
    r->high_watermark = f->lie == LIE_NO_END ? -1 : r->high_watermark;
    room[EL_BATCH_POS_MAGIC + 1] ^= f->lie == LIE_CHECKSUM ? 0xff : 0;
    return r->next > p->offset || r->next < end || f->lie != LIE_NOT;
}

static bool answer_filter(struct filtering *f, struct el_call *call)
{
    const struct el_msg_ext_filter_fetch_request *request = call->request;
    struct el_msg_ext_filter_fetch_response response;
    struct el_msg_ext_filter_fetch_result results[SCRIPTED_PARTITIONS];
    struct el_msg_ext_log_fetch_batch batches[SCRIPTED_PARTITIONS];
    static uint8_t rooms[SCRIPTED_PARTITIONS][256];
    bool any = request->max_wait_ms == 0;
    if (f->missing) {
        call->failure.code = EVLOG_ERR_UNSUPPORTED;
        el_call_end(&f->s.client, call);
        return true;
    }
    el_schema_init(&el_schema_ext_filter_fetch_response, &response);
    for (uint32_t i = 0; i < request->partition_count; i++) {
        bool has = fill(f, &request->partitions[i], &results[i], &batches[i], rooms[i]);
        any = any || has;
    }
    if (!any) {
        return false;
    }
    f->asked++;
    note_filter(f, request);
    response.partitions = results;
    response.partition_count = request->partition_count;
    scripted_give(&f->s, call, &response);
    return true;
}

static void answer_log(struct filtering *f, struct el_call *call)
{
    const struct el_msg_ext_log_fetch_request *request = call->request;
    struct el_msg_ext_log_fetch_response response;
    struct el_msg_ext_log_fetch_topic_result topic;
    struct el_msg_ext_log_fetch_partition_result results[SCRIPTED_PARTITIONS];
    struct el_msg_ext_log_fetch_batch batches[SCRIPTED_PARTITIONS];
    static uint8_t rooms[SCRIPTED_PARTITIONS][256];
    el_schema_init(&el_schema_ext_log_fetch_response, &response);
    el_schema_init(&el_schema_ext_log_fetch_topic_result, &topic);
    for (uint32_t i = 0; i < request->topics[0].partition_count; i++) {
        const struct el_msg_ext_log_fetch_partition *p = &request->topics[0].partitions[i];
        el_schema_init(&el_schema_ext_log_fetch_partition_result, &results[i]);
        el_schema_init(&el_schema_ext_log_fetch_batch, &batches[i]);
        results[i].partition = p->partition;
        results[i].high_watermark = f->s.ends[p->partition];
        results[i].log_start = 0;
        if (p->fetch_offset < results[i].high_watermark) {
            batches[i].batch = el_slice_of(rooms[i], build(rooms[i], 256, p->fetch_offset));
            results[i].batches = &batches[i];
            results[i].batch_count = 1;
        }
    }
    topic.topic = el_slice_str("t");
    topic.partitions = results;
    topic.partition_count = request->topics[0].partition_count;
    response.topics = &topic;
    response.topic_count = 1;
    scripted_give(&f->s, call, &response);
}

static void answer_read(struct filtering *f, struct el_call *call)
{
    struct el_msg_ext_stream_read_response response;
    el_schema_init(&el_schema_ext_stream_read_response, &response);
    response.error = f->streams ? 0 : EL_KAFKA_POLICY_VIOLATION;
    response.partition = 1;
    scripted_give(&f->s, call, &response);
}

static bool other(struct scripted *s, struct el_call *call)
{
    struct filtering *f = EL_CONTAINER(s, struct filtering, s);
    struct el_msg_describe_configs_response configs;
    struct el_msg_describe_configs_result result;
    switch ((int)call->api->key) {
    case EL_API_FilterFetch:
        return answer_filter(f, call);
    case EL_API_LogFetch:
        answer_log(f, call);
        return true;
    case EL_API_StreamRead:
        answer_read(f, call);
        return true;
    case EL_API_DescribeConfigs:
        el_schema_init(&el_schema_describe_configs_response, &configs);
        el_schema_init(&el_schema_describe_configs_result, &result);
        configs.results = &result;
        configs.result_count = 1;
        scripted_give(s, call, &configs);
        return true;
    default:
        scripted_give(s, call, NULL);
        return true;
    }
}

static void begin(struct filtering *f, bool is_evlog)
{
    static const char *const settings[] = {"request.timeout.ms", "3000", "fetch.max.wait.ms", "20", NULL};
    memset(f, 0, sizeof *f);
    scripted_begin(&f->s, settings);
    el_client_lock(&f->s.client);
    f->step = 1;
    f->pace = 100;
    f->s.other = other;
    f->s.partition_count = 2;
    f->s.client.is_evlog = is_evlog;
    el_client_unlock(&f->s.client);
}

static struct evlog_subscription_options options_of(void)
{
    struct evlog_subscription_options options = EVLOG_SUBSCRIPTION_OPTIONS_INIT;
    options.topic = "t";
    return options;
}

static struct evlog_subscription *open_as(struct filtering *f, const struct evlog_subscription_options *options)
{
    struct evlog_subscription *subscription = NULL;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    if (evlog_subscription_open(&f->s.client, options, &subscription, &failure) != 0) {
        fail_msg("not opened: %s", failure.text);
    }
    return subscription;
}

static void expect_refused(struct filtering *f, const struct evlog_subscription_options *options, int code,
                           const char *text)
{
    struct evlog_subscription *subscription = NULL;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    assert_int_equal(evlog_subscription_open(&f->s.client, options, &subscription, &failure), code);
    assert_null(subscription);
    if (strstr(failure.text, text) == NULL && strstr(failure.hint, text) == NULL) {
        fail_msg("\"%s\" is not in: %s (%s)", text, failure.text, failure.hint);
    }
}

static const struct evlog_subscription_item *next(struct evlog_subscription *s)
{
    const struct evlog_subscription_item *item = NULL;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    int rc = evlog_subscription_next(s, PATIENCE_MS, &item, &failure);
    if (rc != 1) {
        fail_msg("no item (%d): %s", rc, failure.text);
    }
    return item;
}

static void expect_event(struct evlog_subscription *s, int32_t partition, int64_t offset)
{
    const struct evlog_subscription_item *item = next(s);
    assert_int_equal(item->kind, EVLOG_SUBSCRIPTION_EVENT);
    assert_int_equal(item->event->event->partition, partition);
    assert_int_equal(item->event->event->offset, offset);
}

static void expect_item(struct evlog_subscription *s, enum evlog_subscription_kind kind)
{
    assert_int_equal(next(s)->kind, kind);
}

static void expect_failure(struct evlog_subscription *s, int code, const char *text)
{
    const struct evlog_subscription_item *item;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    assert_int_equal(evlog_subscription_next(s, PATIENCE_MS, &item, &failure), code);
    if (strstr(failure.text, text) == NULL && strstr(failure.hint, text) == NULL) {
        fail_msg("\"%s\" is not in: %s (%s)", text, failure.text, failure.hint);
    }
}

static const char *word_of(const struct el_progress *progress)
{
    static struct el_buffer text;
    el_buffer_reset(&text);
    el_progress_format(&text, progress);
    return el_buffer_text(&text);
}

/* --- refusals ------------------------------------------------------------------------------------------------------
 * */

TEST(subscription, options_that_cannot_be_are_refused)
{
    struct filtering f;
    static char long_key[4098];
    const char *types[65], *filters[6];
    memset(long_key, 'k', sizeof long_key - 1);
    begin(&f, true);
    struct evlog_subscription_options o = options_of();
    o.size = 0;
    expect_refused(&f, &o, EVLOG_ERR_ARGUMENT, "not initialised");
    o = options_of();
    o.topic = NULL;
    expect_refused(&f, &o, EVLOG_ERR_ARGUMENT, "needs a topic");
    o = options_of();
    o.key = (struct evlog_bytes){long_key, 4097};
    expect_refused(&f, &o, EVLOG_ERR_LIMIT, "at most 4096 bytes");
    o = options_of();
    for (int i = 0; i < 65; i++) {
        types[i] = "T";
    }
    o.types = types;
    o.type_count = 65;
    expect_refused(&f, &o, EVLOG_ERR_LIMIT, "at most 64 types");
    types[0] = "";
    o.type_count = 1;
    expect_refused(&f, &o, EVLOG_ERR_ARGUMENT, "1 to 4096 bytes");
    o = options_of();
    for (int i = 0; i < 6; i++) {
        filters[i] = "{\"key\":[\"a\"]}";
    }
    o.filters = filters;
    o.filter_count = 6;
    expect_refused(&f, &o, EVLOG_ERR_LIMIT, "at most 5 patterns");
    filters[1] = "{\"key\":7}";
    o.filter_count = 2;
    expect_refused(&f, &o, EVLOG_ERR_MALFORMED, "filter: pattern 2: ");
    o = options_of();
    o.behind_max = -1;
    expect_refused(&f, &o, EVLOG_ERR_ARGUMENT, "out of its range");
    o = options_of();
    o.position = "nonsense";
    expect_refused(&f, &o, EVLOG_ERR_MALFORMED, "is no position");
    scripted_end(&f.s);
}

TEST(subscription, positions_of_another_log_are_refused)
{
    struct filtering f;
    begin(&f, true);
    f.s.ends[0] = f.s.ends[1] = 5;
    struct el_progress_entry entries[] = {{0, -1, 5}, {1, -1, 6}, {2, -1, 0}};
    struct el_progress progress = {.whole = true, .entries = entries, .count = 2};
    struct evlog_subscription_options o = options_of();
    o.position = word_of(&progress);
    expect_refused(&f, &o, EVLOG_ERR_CONFLICT, "made anew");
    progress.topic_id = scripted_topic_id;
    o.position = word_of(&progress);
    expect_refused(&f, &o, EVLOG_ERR_CONFLICT, "ends at offset 5, before 6");
    entries[1].offset = 4;
    progress.count = 3;
    o.position = word_of(&progress);
    expect_refused(&f, &o, EVLOG_ERR_CONFLICT, "fewer partitions");
    progress.count = 1;
    progress.whole = false;
    o.position = word_of(&progress);
    expect_refused(&f, &o, EVLOG_ERR_CONFLICT, "of one stream or one append");
    f.streams = true; /* and the key is in partition 1 */
    o.key = (struct evlog_bytes){"k", 1};
    expect_refused(&f, &o, EVLOG_ERR_CONFLICT, "nothing of the partition of this key");
    scripted_end(&f.s);
}

TEST(subscription, does_not_believe_answers_that_do_not_fit)
{
    struct filtering f;
    begin(&f, true);
    f.s.ends[0] = 5;
    f.s.partition_count = 1;
    struct el_progress_entry entry = {0, -1, 2};
    struct el_progress progress = {.topic_id = scripted_topic_id, .whole = true, .entries = &entry, .count = 1};
    struct evlog_subscription_options o = options_of();
    o.position = word_of(&progress);
    for (int lie = LIE_NEXT_BELOW; lie <= LIE_CHECKSUM; lie++) {
        f.lie = (enum lie)lie;
        struct evlog_subscription *s = open_as(&f, &o);
        expect_failure(s, EVLOG_ERR_CORRUPT, "t[0] at offset 2");
        el_client_lock(&f.s.client);
        f.lie = LIE_NOT;
        el_client_unlock(&f.s.client);
        expect_event(s, 0, 2); /* asked again, from the same place */
        evlog_subscription_close(s);
    }
    scripted_end(&f.s);
}

TEST(subscription, ends_when_its_topic_is_gone)
{
    struct filtering f;
    begin(&f, true);
    struct evlog_subscription_options o = options_of();
    struct evlog_subscription *s = open_as(&f, &o);
    f.error = EL_KAFKA_UNKNOWN_TOPIC_ID;
    expect_failure(s, EVLOG_ERR_UNKNOWN_TOPIC_ID, "is deleted");
    evlog_subscription_close(s);
    scripted_end(&f.s);
}

TEST(subscription, tells_what_is_missing_or_fails)
{
    struct filtering f;
    begin(&f, true);
    f.s.partition_count = 1;
    f.s.ends[0] = 20;
    struct el_progress_entry entry = {0, -1, 3};
    struct el_progress progress = {.topic_id = scripted_topic_id, .whole = true, .entries = &entry, .count = 1};
    struct evlog_subscription_options o = options_of();
    o.position = word_of(&progress);
    struct evlog_subscription *s = open_as(&f, &o);
    f.s.starts[0] = 10; /* retention went by meanwhile */
    f.error = EL_KAFKA_OFFSET_OUT_OF_RANGE;
    expect_failure(s, EVLOG_ERR_OFFSET_RANGE, "begins at 10");
    evlog_subscription_close(s);
    expect_refused(&f, &o, EVLOG_ERR_OFFSET_RANGE, "begins at 10");
    o.on_missing = EVLOG_SUBSCRIPTION_TELL;
    s = open_as(&f, &o);
    f.error = EL_KAFKA_OFFSET_OUT_OF_RANGE;
    const struct evlog_subscription_item *item = next(s);
    assert_int_equal(item->kind, EVLOG_SUBSCRIPTION_MISSING);
    assert_int_equal(item->partition, 0);
    assert_int_equal(item->from_offset, 3);
    assert_int_equal(item->to_offset, 10);
    expect_event(s, 0, 10);
    evlog_subscription_close(s);
    f.s.starts[0] = 0;
    s = open_as(&f, &o);
    f.error = EL_KAFKA_OFFSET_OUT_OF_RANGE; /* and nothing is missing: the log is another one */
    expect_failure(s, EVLOG_ERR_CONFLICT, "has no offset 3");
    evlog_subscription_close(s);
    o = options_of(); /* from the beginning, wherever that is by now */
    s = open_as(&f, &o);
    f.s.starts[0] = 15;
    f.error = EL_KAFKA_OFFSET_OUT_OF_RANGE;
    expect_event(s, 0, 15);
    evlog_subscription_close(s);
    scripted_end(&f.s);
}

/* --- reading -------------------------------------------------------------------------------------------------------
 * */

TEST(subscription, gives_what_matches_and_gets_on_where_nothing_does)
{
    struct filtering f;
    begin(&f, true);
    f.s.partition_count = 1;
    f.s.ends[0] = 1000;
    f.step = 400;
    struct evlog_subscription_options o = options_of();
    o.prefix = (struct evlog_bytes){"k", 1};
    o.progress_ms = 1;
    struct evlog_subscription *s = open_as(&f, &o);
    const struct evlog_subscription_item *item;
    int64_t wanted = 0;
    do {
        item = next(s);
        if (item->kind == EVLOG_SUBSCRIPTION_EVENT) {
            assert_int_equal(item->event->event->offset, wanted);
            assert_int_equal(item->event->version, -1);
            wanted += 400;
        }
    } while (item->kind != EVLOG_SUBSCRIPTION_CAUGHT_UP);
    assert_int_equal(wanted, 1200);
    assert_true(evlog_subscription_is_caught_up(s));
    scripted_append(&f.s, 0, 150);
    do {
        item = next(s);
        assert_int_equal(item->kind, EVLOG_SUBSCRIPTION_POSITION); /* nothing matches, and it is told */
        struct el_progress progress;
        assert_int_equal(el_progress_parse(el_slice_str(evlog_subscription_position(s)), &progress), 0);
        wanted = progress.entries[0].offset;
        el_progress_free(&progress);
    } while (wanted < 1150);
    assert_int_equal(wanted, 1150);
    evlog_subscription_close(s);
    scripted_end(&f.s);
}

TEST(subscription, counts_the_versions_of_one_stream)
{
    struct filtering f;
    begin(&f, true);
    f.streams = true;
    f.step = 7;
    f.s.ends[0] = f.s.ends[1] = 30;
    struct evlog_subscription_options o = options_of();
    o.key = (struct evlog_bytes){"k", 1};
    struct evlog_subscription *s = open_as(&f, &o);
    for (int64_t version = 0; version < 5; version++) {
        const struct evlog_subscription_item *item = next(s);
        assert_int_equal(item->event->event->partition, 1); /* the only one that is read */
        assert_int_equal(item->event->event->offset, version * 7);
        assert_int_equal(item->event->version, version);
    }
    expect_item(s, EVLOG_SUBSCRIPTION_CAUGHT_UP);
    char *kept = strdup(evlog_subscription_position(s));
    evlog_subscription_close(s);
    assert_string_equal(f.filter, "key=k types=0 filters=0 id=1");
    scripted_append(&f.s, 1, 10);
    o.position = kept;
    s = open_as(&f, &o);
    const struct evlog_subscription_item *item = next(s);
    assert_int_equal(item->event->event->offset, 35);
    assert_int_equal(item->event->version, 5);
    free(kept);
    evlog_subscription_close(s);
    scripted_end(&f.s);
}

TEST(subscription, tells_when_it_falls_behind_and_has_caught_up_again)
{
    struct filtering f;
    begin(&f, true);
    f.s.partition_count = 1;
    f.pace = 3;
    struct evlog_subscription_options o = options_of();
    o.behind_max = 4;
    struct evlog_subscription *s = open_as(&f, &o);
    expect_item(s, EVLOG_SUBSCRIPTION_CAUGHT_UP);
    scripted_append(&f.s, 0, 4);
    for (int64_t i = 0; i < 4; i++) {
        expect_event(s, 0, i);
    }
    scripted_append(&f.s, 0, 9);
    const struct evlog_subscription_item *item = next(s);
    assert_int_equal(item->kind, EVLOG_SUBSCRIPTION_FELL_BEHIND);
    assert_int_equal(item->behind, 9);
    assert_false(evlog_subscription_is_caught_up(s));
    for (int64_t i = 4; i < 13; i++) {
        expect_event(s, 0, i);
    }
    expect_item(s, EVLOG_SUBSCRIPTION_CAUGHT_UP);
    evlog_subscription_close(s);
    scripted_end(&f.s);
}

TEST(subscription, filters_here_what_the_broker_cannot)
{
    const char *filter = "{\"data\":[{\"numeric\":[\">=\",3,\"<\",6]}]}";
    for (int kind = 0; kind < 2; kind++) {
        struct filtering f;
        begin(&f, kind == 0); /* an evlog without FilterFetch; a Kafka broker */
        f.missing = true;
        f.s.partition_count = 1;
        f.s.ends[0] = 8;
        struct evlog_subscription_options o = options_of();
        o.filters = &filter;
        o.filter_count = 1;
        struct evlog_subscription *s = open_as(&f, &o);
        for (int64_t i = 3; i < 6; i++) {
            expect_event(s, 0, i);
        }
        expect_item(s, EVLOG_SUBSCRIPTION_CAUGHT_UP);
        assert_int_equal(f.asked, 0);
        evlog_subscription_close(s);
        scripted_end(&f.s);
    }
}

TEST(subscription, times_out_without_losing_its_place)
{
    struct filtering f;
    begin(&f, true);
    f.s.partition_count = 1;
    struct evlog_subscription_options o = options_of();
    o.start = EVLOG_SUBSCRIPTION_END;
    f.s.ends[0] = 3;
    struct evlog_subscription *s = open_as(&f, &o);
    const struct evlog_subscription_item *item;
    expect_item(s, EVLOG_SUBSCRIPTION_CAUGHT_UP);
    assert_int_equal(evlog_subscription_next(s, 0, &item, NULL), 0);
    assert_int_equal(evlog_subscription_next(s, 5, &item, NULL), 0);
    scripted_append(&f.s, 0, 2);
    expect_event(s, 0, 3);
    expect_event(s, 0, 4);
    evlog_subscription_close(s);
    scripted_end(&f.s);
}

TEST(subscription, positions_are_compared_with_those_of_appends)
{
    struct el_position append = {.topic_id = scripted_topic_id, .partition = 1, .offset = 6};
    struct el_progress_entry entries[] = {{0, -1, 9}, {1, 2, 5}};
    struct el_progress progress = {.topic_id = scripted_topic_id, .whole = true, .entries = entries, .count = 2};
    char word[EL_POSITION_TEXT_LEN + 1], *before = strdup(word_of(&progress));
    enum evlog_position_order order;
    el_position_format(word, &append);
    assert_int_equal(evlog_position_compare(before, "what", &order), EVLOG_ERR_MALFORMED);
    assert_int_equal(evlog_position_compare("", word, &order), EVLOG_ERR_MALFORMED);
    assert_int_equal(evlog_position_compare(before, word, &order), 0);
    assert_int_equal(order, EVLOG_POSITION_BEFORE); /* what was appended has not been given out */
    entries[1].offset = 6;
    assert_int_equal(evlog_position_compare(word_of(&progress), word, &order), 0);
    assert_int_equal(order, EVLOG_POSITION_EQUAL);
    assert_int_equal(evlog_position_compare(word_of(&progress), before, &order), 0);
    assert_int_equal(order, EVLOG_POSITION_AFTER);
    append.topic_id.bytes[0] = 99;
    el_position_format(word, &append);
    assert_int_equal(evlog_position_compare(before, word, &order), EVLOG_ERR_ARGUMENT);
    free(before);
}
