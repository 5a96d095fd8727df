/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: requests come out of any arrangement of bytes, answers leave in order, nothing is kept too long.
 * Method: toy handler over real sockets on both backends.
 */
#include "toy.h"

#include <core/alloc.h>
#include <core/bytes.h>
#include <core/rng.h>
#include <net/conn.h>
#include <wire/msg_fetch.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

EACH_BACKEND(answers_leave_in_the_order_of_requests)
{
    int fd = toy_connect(toy);
    toy_request(toy, fd, 7, "hold a");
    toy_request(toy, fd, 7, "echo b"); /* ids need not be unique */
    toy_request(toy, fd, -1, "hold c");
    toy_request(toy, fd, 5, "hold d");
    TOY_UNTIL(toy, toy->dispatch_count == 4);
    toy_answer(toy, 2); /* d */
    toy_answer(toy, 1); /* c */
    toy_step(toy);
    char byte;
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    toy_answer(toy, 0);
    toy_expect(toy, fd, 7, "hold a");
    toy_expect(toy, fd, 7, "echo b");
    toy_expect(toy, fd, -1, "hold c");
    toy_expect(toy, fd, 5, "hold d");
    assert_int_equal(net_request_count(toy->net), 0);
    close(fd);
}

EACH_BACKEND(requests_without_answer_take_no_place)
{
    int fd = toy_connect(toy);
    toy_request(toy, fd, 1, "hold");
    toy_request(toy, fd, 2, "silent");
    toy_request(toy, fd, 3, "echo");
    toy_request(toy, fd, 4, "silent");
    TOY_UNTIL(toy, toy->dispatch_count == 4);
    toy_answer(toy, 0);
    toy_expect(toy, fd, 1, "hold");
    toy_expect(toy, fd, 3, "echo");
    TOY_UNTIL(toy, net_request_count(toy->net) == 0);
    close(fd);
}

EACH_BACKEND(frame_may_come_byte_by_byte)
{
    uint8_t frame[64];
    int fd = toy_connect(toy);
    for (int round = 0; round < 3; round++) {
        size_t len = toy_frame(frame, round, "echo me", 7);
        for (size_t i = 0; i < len; i++) {
            assert_int_equal(toy->dispatch_count, round);
            toy_send(toy, fd, frame + i, 1);
            toy_step(toy);
        }
        toy_expect(toy, fd, round, "echo me");
    }
    close(fd);
}

/* 3,000 frames of random lengths in one stream that is cut at random places: every echo is right. */
EACH_BACKEND(any_cut_of_the_stream_gives_the_same_requests)
{
    enum { COUNT = 3000, LEN_MAX = 3000 };
    uint8_t *stream = malloc(COUNT * (LEN_MAX + 14));
    uint8_t body[LEN_MAX];
    size_t lens[COUNT], stream_len = 0, sent = 0;
    struct el_rng rng;
    assert_non_null(stream);
    el_rng_seed(&rng, 42);
    for (int i = 0; i < COUNT; i++) {
        lens[i] = 1 + el_rng_below(&rng, el_rng_chance(&rng, 100000) ? LEN_MAX : 60);
        memset(body, i, lens[i]);
        body[0] = 'e';
        stream_len += toy_frame(stream + stream_len, i, body, lens[i]);
    }
    int fd = toy_connect(toy);
    for (int i = 0; i < COUNT; i++) {
        while (sent < stream_len && toy->dispatch_count <= (uint32_t)i) {
            size_t len = EL_MIN(1 + el_rng_below(&rng, 5000), stream_len - sent);
            toy_send(toy, fd, stream + sent, len);
            sent += len;
            toy_step(toy);
        }
        int32_t id = -1;
        assert_int_equal(toy_receive(toy, fd, &id, body, sizeof(body)), lens[i]);
        assert_int_equal(id, i);
        assert_int_equal(body[0], 'e');
        assert_int_equal(body[lens[i] - 1], lens[i] == 1 ? 'e' : (uint8_t)i);
    }
    close(fd);
    free(stream);
}

static void small_pipeline(struct net_config *config)
{
    config->pipeline_max = 8;
}

EACH_BACKEND_WITH(reading_pauses_at_the_pipeline_limit_and_goes_on, small_pipeline)
{
    uint8_t frames[100 * 32];
    size_t len = 0;
    int fd = toy_connect(toy);
    for (int i = 0; i < 100; i++) {
        len += toy_frame(frames + len, i, "hold", 4);
    }
    toy_send(toy, fd, frames, len);
    for (int i = 0; i < 100; i++) {
        TOY_UNTIL(toy, toy->held_count > 0);
        toy_step(toy);
        assert_true(toy->held_count <= 8);
        toy_answer(toy, toy->held_count - 1);
        if (toy->held_count == 0 && i < 92) {
            TOY_UNTIL(toy, toy->held_count == 8);
        }
    }
    for (int i = 0; i < 100; i++) {
        toy_expect(toy, fd, i, "hold");
    }
    close(fd);
}

/* --- large ------------------------------------------------------------------------------------------------------ */

/* What a frame announces is believed only as it arrives: memory stays near the bytes received. */
EACH_BACKEND(buffer_grows_with_bytes_received_not_announced)
{
    uint8_t head[14];
    int fd = toy_connect(toy);
    toy_frame(head, 1, "", 0);
    el_put_be32(head, 90u << 20);
    toy_send(toy, fd, head, sizeof(head));
    uint8_t *chunk = calloc(1, 100000);
    assert_non_null(chunk);
    size_t sent = sizeof(head);
    for (int i = 0; i < 30; i++) {
        toy_send(toy, fd, chunk, 100000);
        sent += 100000;
        toy_step(toy);
        toy_step(toy);
        assert_true(toy->buddy.used <= toy->buddy_used_first + (256u << 10) + 6 * sent);
    }
    close(fd);
    TOY_UNTIL(toy, net_conn_count(toy->net) == 0);
    free(chunk);
}

EACH_BACKEND(large_requests_arrive_whole_and_their_memory_is_given_back)
{
    size_t len = 3u << 20;
    uint8_t *frame = malloc(len + 14), *body = malloc(len), *back = malloc(len);
    assert_non_null(frame);
    assert_non_null(body);
    assert_non_null(back);
    int fd = toy_connect(toy);
    for (int32_t round = 0; round < 5; round++) {
        for (size_t i = 0; i < len; i++) {
            body[i] = (uint8_t)(i * 2654435761u >> 11);
        }
        body[0] = 'e';
        toy_send(toy, fd, frame, toy_frame(frame, round, body, len));
        int32_t id = -1;
        assert_int_equal(toy_receive(toy, fd, &id, back, len), len);
        assert_int_equal(id, round);
        assert_memory_equal(back, body, len);
    }
    TOY_UNTIL(toy, net_request_count(toy->net) == 0);
    toy_step(toy);
    const struct conn *conn = EL_CONTAINER(toy->net->conns.next, struct conn, link);
    assert_true(conn->buffer->block_len <= 64u << 10);                   /* an idle connection keeps no large buffer */
    assert_true(toy->buddy.used <= toy->buddy_used_first + (34u << 20)); /* spares */
    close(fd);
    free(frame);
    free(body);
    free(back);
}

/* --- slow readers ----------------------------------------------------------------------------------------------- */

static void small_backlog(struct net_config *config)
{
    config->backlog_bytes_max = 1u << 20;
}

static void request_big(struct toy *toy, int fd, int32_t id, uint32_t len)
{
    uint8_t frame[32], body[5] = {'b'};
    el_put_be32(body + 1, len);
    toy_send(toy, fd, frame, toy_frame(frame, id, body, sizeof(body)));
}

EACH_BACKEND_WITH(slow_reader_holds_back_only_itself, small_backlog)
{
    enum { COUNT = 40, LEN = 1u << 20 };
    uint8_t *body = malloc(LEN);
    assert_non_null(body);
    int slow = toy_connect(toy), other = toy_connect(toy);
    for (int i = 0; i < COUNT; i++) {
        request_big(toy, slow, i, LEN);
    }
    for (int i = 0; i < 20; i++) {
        toy_request(toy, other, i, "echo");
        toy_expect(toy, other, i, "echo");
    }
    assert_true(toy->dispatch_count < COUNT); /* the kernel's buffers and the backlog are full */
    assert_true(toy->buddy.used < toy->buddy_used_first + (16u << 20));
    for (int32_t i = 0; i < COUNT; i++) {
        int32_t id = -1;
        assert_int_equal(toy_receive(toy, slow, &id, body, LEN), LEN);
        assert_int_equal(id, i);
        for (size_t k = 0; k < LEN; k += 4093) {
            assert_int_equal(body[k], (uint8_t)(k * 31 + (size_t)i));
        }
    }
    close(slow);
    close(other);
    free(body);
}

static void short_send(struct net_config *config)
{
    config->send_ns_max = 1000000;
}

EACH_BACKEND_WITH(reader_that_never_reads_is_cut, short_send)
{
    int fd = toy_connect(toy);
    request_big(toy, fd, 1, 64u << 20);
    TOY_UNTIL(toy, net_conn_count(toy->net) == 1 || toy->closed_count == 1);
    TOY_UNTIL(toy, toy->closed_count == 1);
    assert_int_equal(metrics_get(toy->metrics, METRIC_CONNECTIONS_CLOSED_ERROR), 1);
    assert_int_equal(metrics_get(toy->metrics, METRIC_REFUSED_UNREAD), 1);
    assert_non_null(strstr(toy->log, "answers are not read"));
    close(fd);
}

/* --- answers from where the records are ------------------------------------------------------------------------- */

static uint32_t released_count;
static uint8_t records[300000];

static void fetch_released(struct request *request)
{
    assert_true(request->user == records);
    released_count++;
}

static void dispatch_fetch(void *arg, struct request *request)
{
    assert_int_equal(request->api_key, 1);
    struct el_msg_fetch_response *response = el_arena_alloc(&request->arena, sizeof(*response));
    struct el_msg_fetch_topic_result *topic = el_schema_new(&el_schema_fetch_topic_result, &request->arena, 1);
    struct el_msg_fetch_partition_result *parts = el_schema_new(&el_schema_fetch_partition_result, &request->arena, 3);
    assert_non_null(response);
    assert_non_null(topic);
    assert_non_null(parts);
    el_schema_init(&el_schema_fetch_response, response);
    response->responses = topic;
    response->response_count = 1;
    topic->topic = el_slice_str("orders");
    topic->partitions = parts;
    topic->partition_count = 3;
    parts[0].records = el_slice_of(records, 100000);
    parts[1].records = el_slice_of(records + 100000, 100);
    parts[2].records = el_slice_of(records + 100100, sizeof(records) - 100100);
    request->user = records;
    request_reply_release(request, &el_schema_fetch_response, response, fetch_released);
}

static void fetch_config(struct net_config *config)
{
    config->dispatch = dispatch_fetch;
    config->conn_closed = NULL;
}

EACH_BACKEND_WITH(records_are_sent_in_place_and_released_once, fetch_config)
{
    uint8_t frame[64];
    uint8_t *body = malloc(sizeof(records) + 1000);
    int32_t id = 0;
    released_count = 0;
    assert_non_null(body);
    for (size_t i = 0; i < sizeof(records); i++) {
        records[i] = (uint8_t)(i * 17 + i / 256);
    }
    toy_frame(frame, 9, "", 0);
    el_put_be16(frame + 4, 1); /* Fetch */
    el_put_be16(frame + 6, 4);
    int fd = toy_connect(toy);
    toy_send(toy, fd, frame, 14);
    size_t len = toy_receive(toy, fd, &id, body, sizeof(records) + 1000);
    assert_int_equal(id, 9);
    TOY_UNTIL(toy, released_count == 1);
    struct el_reader r;
    struct el_arena arena;
    struct el_msg_fetch_response response;
    el_arena_init(&arena, NULL, 0);
    el_alloc_seal(false);
    el_reader_init(&r, body, len);
    assert_int_equal(el_schema_decode(&el_schema_fetch_response, 4, &r, &arena, &response), 0);
    el_alloc_seal(true);
    assert_int_equal(el_reader_left(&r), 0);
    assert_int_equal(response.responses[0].partition_count, 3);
    size_t pos = 0;
    for (int i = 0; i < 3; i++) {
        struct el_slice part = response.responses[0].partitions[i].records;
        assert_memory_equal(part.data, records + pos, part.len);
        pos += part.len;
    }
    assert_int_equal(pos, sizeof(records));
    /* Released as well when nobody is there to read. */
    for (int i = 0; i < 60; i++) {
        toy_send(toy, fd, frame, 14);
    }
    toy_step(toy);
    struct linger reset = {1, 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
    close(fd);
    TOY_UNTIL(toy, net_conn_count(toy->net) == 0);
    assert_int_equal(net_request_count(toy->net), 0);
    el_arena_reset(&arena);
    free(body);
}
