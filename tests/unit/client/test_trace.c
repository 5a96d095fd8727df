/* SPDX-License-Identifier: Apache-2.0
 *
 * Which spans there are and what they hold. Goal: sampling is the parent's or the ratio's, ids are right, texts outlive
 * what they were made from, and without memory what is traced goes on. Method: a client with nothing but a tracer.
 */
#include "../../../client/trace.h"
#include "../../lib/test.h"

#include <evlog/error.h>
#include <stdio.h>
#include <string.h>

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define SAMPLED "00-" TRACE "-00f067aa0ba902b7-01"
#define NOT_SAMPLED "00-" TRACE "-00f067aa0ba902b7-00"

static struct evlog_client client;
static char client_id[] = "c";
static struct evlog_span seen; /* the last one; its texts are gone */
static char seen_text[128];
static int seen_count;

static void on_span(void *arg, const struct evlog_span *span)
{
    assert_ptr_equal(arg, &seen);
    seen = *span;
    (void)snprintf(seen_text, sizeof seen_text, "%s|%s|%s|%s", span->topic, span->message_id, span->trace_state,
                   span->error_type);
    seen_count++;
}

static void begin(double ratio, bool ignores_parent)
{
    memset(&client, 0, sizeof client);
    client.cfg.client_id = client_id;
    client.tracer = (struct evlog_tracer){sizeof client.tracer, on_span, &seen, ratio, ignores_parent};
    seen_count = 0;
}

static bool decides(const char *parent, struct el_trace_place *place)
{
    struct evlog_header header = {{"traceparent", 11}, {parent, parent == NULL ? 0 : strlen(parent)}};
    return el_trace_decide(&client, &header, parent != NULL, place);
}

TEST(trace, the_parent_says_what_is_sampled)
{
    struct el_trace_place place;
    char text[EVLOG_TRACEPARENT_LEN + 1];
    begin(0, false);
    assert_true(decides(SAMPLED, &place));
    evlog_traceparent_format(&place.context, text);
    assert_memory_equal(text, SAMPLED, 36);          /* the same trace */
    assert_memory_not_equal(text, SAMPLED, 36 + 16); /* another span */
    assert_int_equal(place.parent_id[1], 0xf0);
    assert_false(decides(NOT_SAMPLED, &place));
    assert_false(decides(NULL, &place));
    begin(1, false);
    assert_false(decides(NOT_SAMPLED, &place));
    assert_true(decides(NULL, &place));
    assert_int_equal(place.parent_id[1], 0);
    begin(1, true);
    assert_true(decides(NOT_SAMPLED, &place));
    assert_memory_equal(place.context.trace_id, "\x4b\xf9", 2);
    begin(0, true);
    assert_false(decides(SAMPLED, &place));
}

TEST(trace, a_ratio_is_kept_and_depends_on_the_trace_alone)
{
    struct el_trace_place place;
    int count = 0;
    begin(0.25, false);
    for (int i = 0; i < 4000; i++) {
        count += decides(NULL, &place);
    }
    assert_in_range(count, 800, 1200);
    begin(0.6, true); /* a3ce... >> 1 is 0.6399 of the range */
    assert_false(decides(SAMPLED, &place));
    begin(0.65, true);
    assert_true(decides(SAMPLED, &place));
}

TEST_TORTURE(trace, a_span_keeps_its_texts_and_is_told_once)
{
    begin(1, false);
    char topic[] = "orders", id[] = "e\xff\x01", state[] = "v=1", parent[] = SAMPLED;
    struct evlog_header headers[] = {
        {{"ce_id", 5}, {id, 3}}, {{"traceparent", 11}, {parent, 55}}, {{"tracestate", 10}, {state, 3}}};
    struct evlog_event event = {
        .topic = topic, .partition = 2, .offset = 7, .headers = headers, .header_count = 3, .value = {"v", 1}};
    struct el_span *span = el_span_process(&client, &event, "g", 3);
    struct el_span *below = el_span_settle(span, "nack");
    assert_true((span != NULL && below != NULL) || el_test_failing());
    memset(topic, 'x', sizeof topic - 1);
    memset(id, 'x', sizeof id - 1);
    memset(state, 'x', sizeof state - 1);
    if (span != NULL) {
        struct evlog_trace_context context = *el_span_context(span);
        el_span_end(span, "no luck", "text");
        assert_int_equal(seen_count, 1);
        assert_string_equal(seen_text, "orders|e??|v=1|no luck");
        assert_true(seen.partition == 2 && seen.offset == 7 && seen.attempt == 3 && seen.body_len == 1);
        assert_true(seen.end_ns >= seen.start_ns && seen.start_ns > 0);
        if (below != NULL) {
            el_span_end_code(below, EVLOG_ERR_LEASE, "gone");
            assert_int_equal(seen_count, 2);
            assert_string_equal(seen_text, "orders|(null)|v=1|EVLOG_ERR_LEASE");
            assert_memory_equal(seen.parent_id, context.span_id, sizeof context.span_id);
            assert_memory_equal(seen.context.trace_id, context.trace_id, sizeof context.trace_id);
        }
    }
    el_span_end(NULL, NULL, NULL);
}

TEST(trace, without_a_tracer_there_are_no_spans)
{
    begin(1, false);
    client.tracer.on_span = NULL;
    struct evlog_event event = {.topic = "t"};
    assert_null(el_span_process(&client, &event, NULL, 0));
    assert_null(el_span_settle(NULL, "ack"));
    assert_int_equal(el_span_len(NULL), 0);
}

TEST(trace, tracers_that_mean_nothing_or_come_late_are_refused)
{
    struct evlog_client *open;
    struct evlog_producer *producer;
    struct evlog_tracer tracer = EVLOG_TRACER_INIT;
    assert_int_equal(evlog_client_open(NULL, &open, NULL), 0);
    tracer.sample_ratio = 1.5;
    assert_int_equal(evlog_client_set_tracer(open, &tracer, NULL), EVLOG_ERR_ARGUMENT);
    tracer.sample_ratio = 0;
    tracer.size = 0;
    assert_int_equal(evlog_client_set_tracer(open, &tracer, NULL), EVLOG_ERR_ARGUMENT);
    tracer.size = sizeof tracer;
    assert_int_equal(evlog_client_set_tracer(open, &tracer, NULL), 0);
    assert_int_equal(evlog_producer_open(open, &producer, NULL), 0);
    assert_int_equal(evlog_client_set_tracer(open, &tracer, NULL), EVLOG_ERR_ARGUMENT);
    evlog_producer_close(producer);
    evlog_client_close(open);
}
