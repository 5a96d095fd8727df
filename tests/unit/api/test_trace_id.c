/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the trace of a request is that of its first event, and a body that is none, cut, damaged or too large has none;
 * nothing of the shard's memory is kept. Method: requests as clients encode them, cut at every byte.
 */
#include "fake.h"

#include <api/trace_id.h>
#include <stdlib.h>
#include <wire/msg_ext_stream_append.h>
#include <wire/msg_metadata.h>
#include <wire/msg_produce.h>

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00-" TRACE "-00f067aa0ba902b7-01"

static struct fake f;
static struct el_batch_builder builder;

/* A batch of two records of so many bytes, the first with this header; borrowed from the builder. */
static struct el_slice make_batch(const char *name, const char *value, enum el_codec codec, size_t len)
{
    struct el_header headers[] = {{el_slice_str("a"), el_slice_of(NULL, 0)}, {el_slice_str(name), el_slice_str(value)}};
    uint8_t *bytes = calloc(1, len + 1);
    struct el_slice batch;
    el_batch_builder_reset(&builder);
    struct el_record_body first = {.value = el_slice_of(bytes, len), .headers = headers, .header_count = 2};
    struct el_record_body second = {.value = el_slice_of(bytes, len)};
    assert_int_equal(el_batch_builder_add(&builder, 0, &first), 0);
    assert_int_equal(el_batch_builder_add(&builder, 0, &second), 0);
    assert_int_equal(el_batch_builder_finish(&builder, codec, NULL, &batch), 0);
    free(bytes);
    return batch;
}

static struct fake_request *produce(struct el_slice batch)
{
    struct el_msg_produce_partition part = {.index = 0, .records = batch};
    struct el_msg_produce_topic topic;
    struct el_msg_produce_request message;
    el_schema_init(&el_schema_produce_request, &message);
    el_schema_init(&el_schema_produce_topic, &topic);
    topic.name = el_slice_str("events");
    topic.partition_data = &part;
    topic.partition_data_count = 1;
    message.topic_data = &topic;
    message.topic_data_count = 1;
    return fake_request(&f, EL_API_Produce, 9, &message);
}

/* Does it say which trace? Frees the request. */
static bool is_traced(struct fake_request *r)
{
    char text[NET_TRACE_ID_LEN + 1] = "";
    size_t used = f.buddy.used;
    bool found = api_trace_id(&f.api, &r->request, text);
    assert_int_equal(f.buddy.used, used);
    assert_string_equal(text, found ? TRACE : "");
    request_end_silent(&r->request);
    fake_free(r);
    return found;
}

static void begin(void)
{
    fake_begin(&f);
    fake_add_topic(&f, "events", 1);
    el_batch_builder_init(&builder, EL_BATCH_OUTPUT_MAX);
}

static void end(void)
{
    el_batch_builder_destroy(&builder);
    fake_end(&f);
}

TEST(trace_id, of_a_produce_is_that_of_its_first_record)
{
    begin();
    assert_true(is_traced(produce(make_batch("traceparent", PARENT, EL_CODEC_NONE, 10))));
    assert_true(is_traced(produce(make_batch("traceparent", PARENT, EL_CODEC_NONE, 600000))));
    assert_true(is_traced(produce(make_batch("traceparent", PARENT, EL_CODEC_LZ4, 100000))));
    assert_false(is_traced(produce(make_batch("traceparent", PARENT, EL_CODEC_LZ4, API_TRACE_SCRATCH_LEN))));
    assert_false(is_traced(produce(make_batch("Traceparent", PARENT, EL_CODEC_NONE, 10))));
    assert_false(is_traced(produce(make_batch("traceparent", PARENT "x", EL_CODEC_NONE, 10))));
    assert_false(is_traced(produce(make_batch("traceparent", "", EL_CODEC_NONE, 10))));
    end();
}

TEST(trace_id, of_what_is_no_batch_is_none)
{
    begin();
    struct el_slice batch = make_batch("traceparent", PARENT, EL_CODEC_LZ4, 3000);
    uint8_t *copy = malloc(batch.len);
    assert_non_null(copy);
    for (size_t len = 0; len < batch.len; len++) { /* all of the memory that it may read */
        uint8_t *cut = malloc(len + 1);
        assert_non_null(cut);
        memcpy(cut, batch.data, len);
        assert_false(is_traced(produce(el_slice_of(cut, len))));
        free(cut);
    }
    for (size_t pos = EL_BATCH_POS_MAGIC; pos < batch.len; pos++) {
        memcpy(copy, batch.data, batch.len);
        copy[pos] ^= 0x40;
        assert_false(is_traced(produce(el_slice_of(copy, batch.len))));
    }
    free(copy);
    end();
}

TEST(trace_id, of_a_body_that_is_cut_is_none)
{
    begin();
    struct fake_request *whole = produce(make_batch("traceparent", PARENT, EL_CODEC_NONE, 10));
    for (size_t len = 0; len < whole->request.body.len; len++) {
        assert_false(is_traced(fake_request_bytes(&f, EL_API_Produce, 9, whole->request.body.data, len)));
    }
    assert_true(is_traced(whole));
    end();
}

TEST(trace_id, of_an_append_is_that_of_its_first_event)
{
    struct el_msg_ext_stream_append_header headers[2] = {{el_slice_str("a"), el_slice_of(NULL, 0)},
                                                         {el_slice_str("traceparent"), el_slice_str(PARENT)}};
    struct el_msg_ext_stream_append_event event;
    struct el_msg_ext_stream_append_append append;
    struct el_msg_ext_stream_append_request message;
    begin();
    el_schema_init(&el_schema_ext_stream_append_event, &event);
    el_schema_init(&el_schema_ext_stream_append_append, &append);
    el_schema_init(&el_schema_ext_stream_append_request, &message);
    event.headers = headers;
    event.header_count = 2;
    append.key = el_slice_str("k");
    append.events = &event;
    append.event_count = 1;
    message.topic = el_slice_str("events");
    message.appends = &append;
    message.append_count = 1;
    assert_true(is_traced(fake_request(&f, EL_API_StreamAppend, 0, &message)));
    event.header_count = 1;
    assert_false(is_traced(fake_request(&f, EL_API_StreamAppend, 0, &message)));
    append.event_count = 0;
    assert_false(is_traced(fake_request(&f, EL_API_StreamAppend, 0, &message)));
    end();
}

TEST(trace_id, of_other_requests_and_without_memory_is_none)
{
    struct el_msg_metadata_request metadata;
    void *blocks[64];
    int count = 0;
    begin();
    el_schema_init(&el_schema_metadata_request, &metadata);
    assert_false(is_traced(fake_request(&f, EL_API_Metadata, 1, &metadata)));
    struct fake_request *r = produce(make_batch("traceparent", PARENT, EL_CODEC_NONE, 10));
    for (size_t len = 128u << 20; len >= 4096; len /= 2) {
        for (void *block = el_buddy_alloc(&f.buddy, len); block != NULL; block = el_buddy_alloc(&f.buddy, len)) {
            assert_true(count < 64);
            blocks[count++] = block;
        }
    }
    assert_false(is_traced(r));
    while (count > 0) {
        el_buddy_free(&f.buddy, blocks[--count]);
    }
    end();
}
