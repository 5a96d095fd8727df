/* SPDX-License-Identifier: Apache-2.0
 *
 * Spans of several events at once. Goal: they link to what is sampled, are sampled as their events are, hold a bounded
 * number of links, and without a tracer or memory the work goes on. Method: a client with nothing but a tracer.
 */
#include "../../../client/trace.h"
#include "../../lib/test.h"

#include <stdio.h>
#include <string.h>

#define SAMPLED "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
#define OTHER "00-5bf92f3577b34da6a3ce929d0e0e4736-01f067aa0ba902b7-01"
#define NOT_SAMPLED "00-6bf92f3577b34da6a3ce929d0e0e4736-02f067aa0ba902b7-00"

static struct evlog_client client;
static char client_id[] = "c";
static struct evlog_span seen; /* the last one; its texts are gone */
static struct evlog_span_link seen_links[EL_SPAN_LINKS_MAX + 1];
static char seen_text[128];
static int seen_count;

static void on_span(void *arg, const struct evlog_span *span)
{
    (void)arg;
    seen = *span;
    assert_true(span->link_count <= EL_SPAN_LINKS_MAX);
    if (span->link_count > 0) {
        memcpy(seen_links, span->links, span->link_count * sizeof *span->links);
    }
    (void)snprintf(seen_text, sizeof seen_text, "%s|%s|%s|%s|%s", span->operation, span->topic, span->group,
                   span->projection, span->error_type);
    seen_count++;
}

static void begin(double ratio, bool ignores_parent)
{
    memset(&client, 0, sizeof client);
    client.cfg.client_id = client_id;
    client.tracer = (struct evlog_tracer){sizeof client.tracer, on_span, NULL, ratio, ignores_parent};
    seen_count = 0;
}

static struct evlog_event event_of(const char *parent, struct evlog_header *header, int64_t offset)
{
    *header = (struct evlog_header){{"traceparent", 11}, {parent, parent == NULL ? 0 : strlen(parent)}};
    return (struct evlog_event){
        .topic = "t", .partition = 2, .offset = offset, .headers = header, .header_count = parent != NULL};
}

static struct el_span_about about(const char *topic)
{
    return (struct el_span_about){.kind = EVLOG_SPAN_CONSUMER,
                                  .operation = "process",
                                  .operation_type = "process",
                                  .topic = topic,
                                  .projection = "p",
                                  .partition = -1};
}

/* A batch of events with these contexts (NULL: none). returns how many spans there are */
static int spans_of(const char *const *parents, size_t count)
{
    struct evlog_header header;
    struct el_span_about its = about("t");
    struct el_span_batch *batch = el_span_batch_begin(&client, &its);
    int before = seen_count;
    assert_true(batch != NULL || el_test_failing());
    for (size_t i = 0; i < count; i++) {
        struct evlog_event event = event_of(parents[i], &header, (int64_t)i);
        el_span_batch_add(batch, &event);
    }
    el_span_batch_end(batch, NULL, NULL);
    return seen_count - before;
}

TEST(trace_batch, links_to_sampled_contexts_and_begins_a_trace_of_its_own)
{
    const char *const parents[] = {SAMPLED, NULL, NOT_SAMPLED, OTHER};
    static const unsigned char none[8];
    begin(0, false);
    assert_int_equal(spans_of(parents, 4), 1);
    assert_string_equal(seen_text, "process|t|(null)|p|(null)");
    assert_true(seen.message_count == 4 && seen.link_count == 2 && seen.links_left_out == 0);
    assert_true(seen_links[0].context.trace_id[0] == 0x4b && seen_links[1].context.trace_id[0] == 0x5b);
    assert_true(seen_links[0].context.span_id[1] == 0xf0 && seen_links[0].context.flags == EVLOG_TRACE_SAMPLED);
    assert_true(seen_links[0].partition == 2 && seen_links[0].offset == 0 && seen_links[1].offset == 3);
    assert_memory_equal(seen.parent_id, none, sizeof none);
    assert_true(seen.context.trace_id[0] != 0 && seen.context.flags == EVLOG_TRACE_SAMPLED);
    assert_true(seen.partition == -1 && seen.offset == -1 && seen.body_len == -1 && seen.attempt == 0);
    assert_true(seen.start_ns > 0 && seen.end_ns >= seen.start_ns);
}

TEST(trace_batch, is_sampled_as_its_events_are)
{
    begin(1, false);
    assert_int_equal(spans_of((const char *const[]){NOT_SAMPLED, NULL, NOT_SAMPLED}, 3), 0);
    assert_int_equal(spans_of((const char *const[]){NULL, NULL}, 2), 1);
    assert_true(seen.message_count == 2 && seen.link_count == 0);
    assert_int_equal(spans_of(NULL, 0), 0); /* no events: nothing to tell */
    begin(0, false);
    assert_int_equal(spans_of((const char *const[]){NULL}, 1), 0);
    begin(0, true);
    assert_int_equal(spans_of((const char *const[]){SAMPLED}, 1), 0);
    begin(1, true);
    assert_int_equal(spans_of((const char *const[]){NOT_SAMPLED}, 1), 1);
    assert_int_equal(seen.link_count, 0); /* nobody has that span */
    client.tracer.on_span = NULL;
    struct el_span_about its = about("t");
    assert_null(el_span_batch_begin(&client, &its));
    assert_null(el_span_batch_received(&client, &its, 1, 2));
    el_span_batch_add(NULL, NULL);
    el_span_batch_end(NULL, NULL, NULL);
}

TEST(trace_batch, has_a_bounded_number_of_links)
{
    static const char *parents[EL_SPAN_LINKS_MAX + 5];
    for (size_t i = 0; i < EL_SPAN_LINKS_MAX + 5; i++) {
        parents[i] = SAMPLED;
    }
    begin(1, false);
    assert_int_equal(spans_of(parents, EL_SPAN_LINKS_MAX), 1);
    assert_true(seen.link_count == EL_SPAN_LINKS_MAX && seen.links_left_out == 0);
    assert_int_equal(spans_of(parents, EL_SPAN_LINKS_MAX + 5), 1);
    assert_true(seen.link_count == EL_SPAN_LINKS_MAX && seen.links_left_out == 5);
    assert_int_equal(seen.message_count, EL_SPAN_LINKS_MAX + 5);
}

TEST(trace_batch, of_a_fetch_lasts_from_the_request_to_the_answer)
{
    struct evlog_header header;
    struct evlog_event event = event_of(SAMPLED, &header, 0);
    struct el_span_about its = about("t");
    begin(1, false);
    int64_t now_ns = el_now_ns(), unix_ns = el_trace_now_ns();
    struct el_span_batch *batch = el_span_batch_received(&client, &its, now_ns - 7000000000, now_ns - 5000000000);
    el_span_batch_add(batch, &event);
    el_span_batch_end(batch, NULL, NULL);
    assert_int_equal(seen_count, 1);
    assert_int_equal(seen.end_ns - seen.start_ns, 2000000000);
    assert_true(unix_ns - seen.end_ns > 4000000000 && unix_ns - seen.end_ns < 6000000000);
}

TEST_TORTURE(trace_batch, without_memory_the_work_goes_on)
{
    const char *parents[20];
    for (size_t i = 0; i < 20; i++) {
        parents[i] = SAMPLED;
    }
    begin(1, false);
    int count = spans_of(parents, 20);
    assert_true(count == 1 || el_test_failing());
    if (count == 1) {
        assert_int_equal(seen.message_count, 20);
        assert_int_equal(seen.link_count + seen.links_left_out, 20);
        assert_true(seen.link_count == 20 || el_test_failing());
    }
}

TEST_TORTURE(trace_batch, of_several_topics_has_one_span_for_each)
{
    struct evlog_header header;
    struct evlog_event event = event_of(SAMPLED, &header, 0);
    struct el_span_about a = about("a"), b = about("b");
    begin(1, false);
    struct el_span_batches batches = {.client = &client, .start_ns = el_trace_now_ns() - 5};
    el_span_batches_add(&batches, &a, &event);
    el_span_batches_add(&batches, &b, &event);
    el_span_batches_add(&batches, &a, &event);
    int64_t start_ns = batches.start_ns;
    el_span_batches_end(&batches, "EVLOG_ERR_DATABASE", "no such table");
    assert_null(batches.first);
    assert_true(seen_count == 2 || el_test_failing());
    if (!el_test_failing()) {
        assert_string_equal(seen_text, "process|a|(null)|p|EVLOG_ERR_DATABASE");
        assert_int_equal(seen.message_count, 2);
        assert_int_equal(seen.start_ns, start_ns);
    }
    el_span_batches_end(&batches, NULL, NULL);
}
