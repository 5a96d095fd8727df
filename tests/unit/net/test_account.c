/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: one principal cannot take the memory of requests from the others, with requests that it begins, with answers
 * that it does not read, or with those that are being made; it goes on itself, one connection after the other, and is
 * not late while it is held back.
 * Method: connections of two principals, little memory for each, frames that stop half-way, and claims for requests
 * that are held.
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

static void little_idle(struct net_config *config)
{
    config->principal_bytes_max = LIMIT;
    config->idle_ns_max = 100000000;
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

/* One connection has the floor and is closed; the one that waits for it is not. */
static void expect_patience(struct toy *toy)
{
    int working = toy_connect_as(toy, "User:alice", 0), slow = toy_connect_as(toy, "User:alice", 0);
    int waiting = toy_connect_as(toy, "User:alice", 0);
    size_t len = large(6, 'h');
    toy_send(toy, working, frame, len);
    TOY_UNTIL(toy, toy->held_count == 1);
    len = large(7, 'e');
    toy_send(toy, slow, frame, len / 2); /* and no more */
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

EACH_BACKEND_WITH(who_is_held_back_is_not_late, little_time)
{
    expect_patience(toy);
}

EACH_BACKEND_WITH(who_is_held_back_is_not_idle, little_idle)
{
    expect_patience(toy);
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

/* --- claims ------------------------------------------------------------------------------------------------------- */

#define PIECE (64u << 10)

static uint32_t called;
static struct request *last_called;

static void on_again(struct request *request)
{
    called++;
    last_called = request;
}

/* A request that is held; its correlation id is how many are. */
static struct request *held(struct toy *toy, int fd)
{
    uint32_t count = toy->held_count;
    toy_request(toy, fd, (int32_t)count + 1, "hold");
    TOY_UNTIL(toy, toy->held_count == count + 1);
    return toy->held[count];
}

static uint32_t place = CLAIM_NOWHERE; /* whose memory it is */

static size_t claim(struct request *request, size_t least, size_t most, bool must)
{
    struct request_need need = {.least = least, .most = most, .must = must, .place = place};
    return request_claim(request, &need);
}

static void wait_for_piece(struct request *request)
{
    struct request_need need = {.least = PIECE, .most = PIECE, .must = true, .place = place};
    request_claim_wait(request, &need, on_again);
}

EACH_BACKEND_WITH(what_answers_will_take_counts_before_they_are_made, little)
{
    int fds[3] = {toy_connect_as(toy, "User:alice", 0), toy_connect_as(toy, "User:alice", 0),
                  toy_connect_as(toy, "User:bob", 0)};
    struct request *first = held(toy, fds[0]), *second = held(toy, fds[1]), *other = held(toy, fds[2]);
    assert_int_equal(claim(first, PIECE, LIMIT - PIECE, false), LIMIT - PIECE);
    assert_int_equal(claim(second, PIECE, LIMIT, false), PIECE); /* less than it would have */
    assert_int_equal(claim(second, PIECE, LIMIT, false), 0);
    assert_int_equal(claim(other, PIECE, LIMIT, false), LIMIT);
    request_unclaim(first, place, PIECE);
    assert_int_equal(claim(second, 2 * PIECE, LIMIT, false), 0);
    assert_int_equal(claim(second, PIECE, LIMIT, false), PIECE);
    request_claim_more(first, place, LIMIT); /* a batch that is larger by itself */
    assert_int_equal(claim(second, 1, LIMIT, false), 0);
    toy_answer(toy, 0);
    toy_expect(toy, fds[0], 1, "hold");
    assert_int_equal(claim(second, PIECE, LIMIT, false), LIMIT - 2 * PIECE); /* it has left, and all that was its */
    for (int i = 0; i < 3; i++) {
        close(fds[i]);
    }
    TOY_UNTIL(toy, toy->abandon_count == 2);
    toy_answer(toy, 0);
    toy_answer(toy, 0);
}

EACH_BACKEND_WITH(one_answer_of_a_principal_goes_on_over_the_limit, little)
{
    int fds[3];
    struct request *requests[3];
    called = 0;
    for (int i = 0; i < 3; i++) {
        fds[i] = toy_connect_as(toy, "User:alice", 0);
    }
    for (int i = 0; i < 3; i++) {
        requests[i] = held(toy, fds[i]);
    }
    assert_int_equal(claim(requests[0], LIMIT, LIMIT, true), LIMIT);
    assert_int_equal(claim(requests[1], PIECE, LIMIT, true), PIECE);
    assert_int_equal(claim(requests[1], PIECE, LIMIT, true), PIECE); /* it has the floor */
    assert_int_equal(claim(requests[2], PIECE, LIMIT, true), 0);
    wait_for_piece(requests[2]);
    assert_true(held_back(toy) > 0);
    request_unclaim(requests[1], place, PIECE); /* there is no more room by that, and the floor is taken */
    toy_step(toy);
    toy_step(toy);
    assert_int_equal(called, 0);
    toy_answer(toy, 1);
    toy_expect(toy, fds[1], 2, "hold");
    TOY_UNTIL(toy, called == 1);
    assert_ptr_equal(last_called, requests[2]);
    assert_int_equal(claim(requests[2], PIECE, LIMIT, true), PIECE);
    while (toy->held_count > 0) {
        toy_answer(toy, 0);
    }
    for (int i = 0; i < 3; i++) {
        close(fds[i]);
    }
}

EACH_BACKEND_WITH(who_waits_is_called_in_order_as_far_as_there_is_room, little)
{
    int fds[5];
    struct request *requests[5];
    called = 0;
    for (int i = 0; i < 5; i++) {
        fds[i] = toy_connect_as(toy, "User:alice", 0);
    }
    for (int i = 0; i < 5; i++) {
        requests[i] = held(toy, fds[i]);
    }
    assert_int_equal(claim(requests[0], LIMIT, LIMIT, false), LIMIT);
    assert_int_equal(claim(requests[1], 1, 1, true), 1); /* the floor */
    for (int i = 2; i < 5; i++) {
        assert_int_equal(claim(requests[i], PIECE, PIECE, true), 0);
        wait_for_piece(requests[i]);
    }
    request_claim_cancel(requests[3]);
    request_unclaim(requests[0], place, PIECE + 1);
    TOY_UNTIL(toy, called == 1);
    assert_ptr_equal(last_called, requests[2]);
    assert_int_equal(claim(requests[2], PIECE, PIECE, false), PIECE);
    toy_step(toy);
    toy_step(toy);
    assert_int_equal(called, 1);
    request_unclaim(requests[2], place, PIECE); /* a claim that found nothing */
    TOY_UNTIL(toy, called == 2);
    assert_ptr_equal(last_called, requests[4]);
    while (toy->held_count > 0) {
        toy_answer(toy, 0);
    }
    for (int i = 0; i < 5; i++) {
        close(fds[i]);
    }
}

EACH_BACKEND_WITH(nothing_behind_a_request_that_waits_is_looked_at, little)
{
    int full_fd = toy_connect_as(toy, "User:alice", 0), floor_fd = toy_connect_as(toy, "User:alice", 0);
    int fd = toy_connect_as(toy, "User:alice", 0);
    called = 0;
    struct request *full = held(toy, full_fd), *floor = held(toy, floor_fd);
    struct request *first = held(toy, fd), *second = held(toy, fd);
    assert_int_equal(claim(full, LIMIT, LIMIT, false), LIMIT);
    assert_int_equal(claim(second, PIECE, PIECE, true), 0); /* its answer could not leave */
    assert_int_equal(claim(floor, PIECE, PIECE, true), PIECE);
    wait_for_piece(second);
    request_unclaim(floor, place, PIECE); /* the floor is free, and not for this one */
    toy_request(toy, fd, 5, "echo");
    for (int i = 0; i < 20; i++) {
        toy_step(toy);
    }
    assert_int_equal(called, 0);
    assert_int_equal(claim(first, PIECE, PIECE, true), PIECE);
    toy_answer(toy, 2);
    toy_expect(toy, fd, 3, "hold");
    TOY_UNTIL(toy, called == 1); /* now it is the first */
    assert_int_equal(claim(second, PIECE, PIECE, true), PIECE);
    toy_answer(toy, 2);
    toy_expect(toy, fd, 4, "hold");
    toy_expect(toy, fd, 5, "echo");
    toy_answer(toy, 1);
    toy_answer(toy, 0);
    close(full_fd);
    close(floor_fd);
    close(fd);
}

EACH_BACKEND_WITH(who_waits_and_is_gone_is_told_so, little)
{
    int fds[2] = {toy_connect_as(toy, "User:alice", 0), toy_connect_as(toy, "User:alice", 0)};
    called = 0;
    struct request *full = held(toy, fds[0]), *waiting = held(toy, fds[1]);
    assert_int_equal(claim(full, LIMIT, LIMIT, false), LIMIT);
    waiting->on_abandon = NULL;
    wait_for_piece(waiting);
    close(fds[1]);
    TOY_UNTIL(toy, called == 1);
    assert_true(request_abandoned(waiting));
    assert_int_equal(claim(waiting, PIECE, PIECE, true), 0);
    toy_answer(toy, 1);
    close(fds[0]);
    TOY_UNTIL(toy, toy->abandon_count == 1);
    assert_int_equal(claim(full, PIECE, PIECE, true), 0); /* it is done for */
    toy_answer(toy, 0);
}

/* Two shards that read from the same third one. */
static struct lent lent;

static void lending(struct net_config *config)
{
    config->principal_bytes_max = LIMIT;
    config->lent = &lent;
}

EACH_BACKEND_WITH(memory_of_a_shard_counts_on_all_of_them, lending)
{
    int fds[2] = {toy_connect_as(toy, "User:alice", 0), toy_connect_as(toy, "User:bob", 0)};
    struct request *first = held(toy, fds[0]), *other = held(toy, fds[1]);
    uint64_t id = first->conn->account->id;
    called = 0;
    place = 2;
    lent_add(&lent, id, place, LIMIT - PIECE); /* by another shard */
    assert_int_equal(claim(first, PIECE, LIMIT, false), PIECE);
    assert_int_equal(claim(first, PIECE, LIMIT, false), 0);
    assert_int_equal(claim(other, PIECE, LIMIT, false), LIMIT); /* somebody else */
    request_unclaim(other, place, LIMIT);
    place = 1;
    assert_int_equal(claim(first, PIECE, PIECE, false), PIECE); /* of another shard */
    request_unclaim(first, place, PIECE);
    place = 2;
    request_unclaim(first, place, PIECE);
    lent_add(&lent, id, place, PIECE);
    struct request_need need = {.least = PIECE, .most = PIECE, .place = place};
    request_claim_wait(first, &need, on_again);
    toy_step(toy);
    toy_step(toy);
    assert_int_equal(called, 0);
    lent_take(&lent, id, place, LIMIT); /* nobody tells of that */
    TOY_UNTIL(toy, called == 1);
    assert_int_equal(claim(first, PIECE, PIECE, false), PIECE);
    assert_int_equal(lent_bytes(&lent, id, place), PIECE);
    request_unclaim(first, place, PIECE);
    toy_answer(toy, 0);
    toy_answer(toy, 0);
    assert_int_equal(lent_bytes(&lent, id, place), 0);
    place = CLAIM_NOWHERE;
    close(fds[0]);
    close(fds[1]);
}
