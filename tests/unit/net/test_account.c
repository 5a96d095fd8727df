/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: one principal cannot take the memory of requests from the others, with requests that it begins or with answers
 * that it does not read; it goes on itself, one connection after the other, and is not late while it is held back.
 * Method: connections of two principals, little memory for each, and frames that stop half-way.
 */
#include "toy.h"

#include <net/conn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIMIT (256u << 10)
#define FRAME_LEN (512u << 10)

static uint8_t frame[FRAME_LEN + 64], body[FRAME_LEN];

static void little(struct net_config *config)
{
    config->principal_bytes_max = LIMIT;
}

static void little_time(struct net_config *config)
{
    config->principal_bytes_max = LIMIT;
    config->frame_ns_max = 100000000;
}

/* A large request: order is 'e' or 'h'. returns its length */
static size_t large(int32_t correlation_id, char order)
{
    memset(body, 'x', sizeof body);
    body[0] = (uint8_t)order;
    return toy_frame(frame, correlation_id, body, FRAME_LEN - 64);
}

static void expect_large(struct toy *toy, int fd, int32_t expected)
{
    static uint8_t got[FRAME_LEN];
    int32_t correlation_id;
    assert_int_equal(toy_receive(toy, fd, &correlation_id, got, sizeof got), FRAME_LEN - 64);
    assert_int_equal(correlation_id, expected);
}

static int64_t held_back(const struct toy *toy)
{
    return metrics_get(toy->metrics, METRIC_HELD_BACK);
}

EACH_BACKEND_WITH(one_request_of_a_principal_goes_on_whatever_it_holds, little)
{
    int first = toy_connect_as(toy, "User:alice", 0), second = toy_connect_as(toy, "User:alice", 0);
    int other = toy_connect_as(toy, "User:bob", 0);
    size_t len = large(5, 'e');
    toy_send(toy, first, frame, len - 1); /* larger than the limit by itself */
    TOY_UNTIL(toy, toy->net->recv_bytes > FRAME_LEN);
    toy_send(toy, second, frame, len - 1);
    TOY_UNTIL(toy, held_back(toy) == 1);
    assert_non_null(strstr(toy->log, "reading pauses: its principal holds as much as it may"));
    toy_send(toy, other, frame, len); /* nobody else waits */
    expect_large(toy, other, 5);
    assert_true(toy->net->recv_bytes < 4 * FRAME_LEN);
    toy_send(toy, first, frame + len - 1, 1);
    expect_large(toy, first, 5);
    toy_send(toy, second, frame + len - 1, 1);
    expect_large(toy, second, 5);
    close(first);
    close(second);
    close(other);
}

EACH_BACKEND_WITH(who_is_held_back_is_not_late, little_time)
{
    int working = toy_connect_as(toy, "User:alice", 0), slow = toy_connect_as(toy, "User:alice", 0);
    int waiting = toy_connect_as(toy, "User:alice", 0);
    size_t len = large(6, 'h');
    toy_send(toy, working, frame, len);
    TOY_UNTIL(toy, toy->held_count == 1);
    len = large(7, 'e');
    toy_send(toy, slow, frame, len / 2); /* has the floor, and is late with the rest */
    TOY_UNTIL(toy, toy->net->recv_bytes > FRAME_LEN + LIMIT / 2);
    toy_send(toy, waiting, frame, len);
    TOY_UNTIL(toy, held_back(toy) == 1);
    toy_expect_close(toy, slow);
    expect_large(toy, waiting, 7); /* it has the floor now, and was not closed */
    toy_answer(toy, 0);
    expect_large(toy, working, 6);
    close(working);
    close(slow);
    close(waiting);
}

EACH_BACKEND_WITH(answers_that_are_not_read_count, little)
{
    uint8_t order[8] = {'b'};
    size_t answer_len = 16u << 20;
    uint8_t *answer = malloc(answer_len);
    int32_t correlation_id;
    assert_non_null(answer);
    el_put_be32(order + 1, (uint32_t)answer_len);
    int lazy = toy_connect_as(toy, "User:alice", 0), second = toy_connect_as(toy, "User:alice", 0);
    int other = toy_connect_as(toy, "User:bob", 0);
    toy_send(toy, lazy, frame, toy_frame(frame, 1, order, sizeof order));
    TOY_UNTIL(toy, toy->dispatch_count == 4);
    toy_request(toy, second, 2, "hold");
    TOY_UNTIL(toy, toy->held_count == 1);
    toy_request(toy, second, 3, "echo"); /* behind one that is under way */
    TOY_UNTIL(toy, held_back(toy) == 1);
    toy_request(toy, other, 4, "echo");
    toy_expect(toy, other, 4, "echo");
    assert_int_equal(toy->dispatch_count, 6);
    assert_int_equal(toy_receive(toy, lazy, &correlation_id, answer, answer_len), answer_len);
    TOY_UNTIL(toy, toy->dispatch_count == 7);
    toy_answer(toy, 0);
    toy_expect(toy, second, 2, "hold");
    toy_expect(toy, second, 3, "echo");
    free(answer);
    close(lazy);
    close(second);
    close(other);
}
