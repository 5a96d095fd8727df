/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a client that has to stay away is answered at once and read on later; connections that prove nothing are few,
 * and for a short time. Method: toy handler over real sockets on both backends.
 */
#include "toy.h"

#include <core/bytes.h>
#include <net/conn.h>
#include <unistd.h>
#include <wire/msg_metadata.h>

static void throttle(struct toy *toy, int fd, int32_t id, uint8_t ms)
{
    uint8_t body[2] = {'t', ms}, frame[64];
    toy_send(toy, fd, frame, toy_frame(frame, id, body, 2));
}

/* The answer is there at once; the request behind it is looked at when the time is over. */
EACH_BACKEND(a_muted_connection_is_answered_and_read_on_later)
{
    int fd = toy_connect(toy), other = toy_connect(toy);
    uint8_t body[256];
    int32_t id;
    uint64_t from_ns = io_mono(toy->io);
    throttle(toy, fd, 1, 200);
    toy_request(toy, fd, 2, "echo");
    toy_receive(toy, fd, &id, body, sizeof body);
    assert_int_equal(id, 1);
    assert_true(io_mono(toy->io) - from_ns < 150000000u);
    assert_int_equal(toy->dispatch_count, 1);
    toy_request(toy, other, 3, "echo");
    toy_expect(toy, other, 3, "echo"); /* nobody else waits */
    toy_expect(toy, fd, 2, "echo");
    assert_true(io_mono(toy->io) - from_ns >= 200000000u);
    close(fd);
    close(other);
}

EACH_BACKEND(a_muted_connection_may_go_and_a_stop_ends_its_silence)
{
    int gone = toy_connect(toy), fd = toy_connect(toy);
    uint8_t body[256];
    int32_t id;
    throttle(toy, gone, 1, 255);
    toy_receive(toy, gone, &id, body, sizeof body);
    close(gone);
    throttle(toy, fd, 1, 255);
    toy_request(toy, fd, 2, "echo");
    toy_receive(toy, fd, &id, body, sizeof body);
    TOY_UNTIL(toy, net_conn_count(toy->net) == 1);
    toy_begin_stop(toy);
    toy_expect(toy, fd, 2, "echo"); /* it had been read */
    toy_expect_close(toy, fd);
    close(fd);
    TOY_UNTIL(toy, toy->stopped_count == 1);
}

/* --- nothing proved ----------------------------------------------------------------------------------------------- */

static void few(struct net_config *config)
{
    config->unproven_count_max = 3;
    config->unproven_ns_max = 60000000000u;
}

static void brief(struct net_config *config)
{
    config->unproven_ns_max = 50000000u;
}

static void full(struct net_config *config)
{
    config->conn_count_max = 3;
    config->unproven_ns_max = 60000000000u;
}

EACH_BACKEND_WITH(the_oldest_that_has_proved_nothing_makes_room, few)
{
    int proved = toy_connect(toy), silent[4];
    toy_request(toy, proved, 1, "echo");
    toy_expect(toy, proved, 1, "echo");
    for (int i = 0; i < 4; i++) {
        silent[i] = toy_connect(toy);
        TOY_UNTIL(toy, metrics_get(toy->metrics, METRIC_CONNECTIONS_ACCEPTED) == i + 2);
    }
    toy_expect_close(toy, silent[0]);
    assert_int_equal(metrics_get(toy->metrics, METRIC_UNPROVEN), 3);
    assert_int_equal(metrics_get(toy->metrics, METRIC_UNPROVEN_DROPPED), 1);
    toy_request(toy, silent[1], 2, "echo"); /* a request is proof, here */
    toy_expect(toy, silent[1], 2, "echo");
    assert_int_equal(metrics_get(toy->metrics, METRIC_UNPROVEN), 2);
    toy_request(toy, proved, 3, "echo");
    toy_expect(toy, proved, 3, "echo");
    for (int i = 0; i < 4; i++) {
        close(silent[i]);
    }
    close(proved);
    TOY_UNTIL(toy, net_conn_count(toy->net) == 0);
    assert_int_equal(metrics_get(toy->metrics, METRIC_UNPROVEN), 0);
}

EACH_BACKEND_WITH(a_connection_that_proves_nothing_in_time_is_closed, brief)
{
    int silent = toy_connect(toy), half = toy_connect(toy), proved = toy_connect(toy);
    toy_request(toy, proved, 1, "echo");
    toy_expect(toy, proved, 1, "echo");
    toy_send(toy, half, "\0\0\0\100half", 8);
    toy_expect_close(toy, silent);
    toy_expect_close(toy, half);
    assert_int_equal(metrics_get(toy->metrics, METRIC_UNPROVEN_DROPPED), 2);
    toy_request(toy, proved, 2, "echo");
    toy_expect(toy, proved, 2, "echo");
    close(silent);
    close(half);
    close(proved);
}

/* A full house of silent ones keeps nobody out. */
EACH_BACKEND_WITH(when_all_places_are_taken_one_that_proves_nothing_goes, full)
{
    int fds[4];
    for (int i = 0; i < 4; i++) {
        fds[i] = toy_connect(toy);
        TOY_UNTIL(toy, metrics_get(toy->metrics, METRIC_CONNECTIONS_ACCEPTED) == i + 1);
    }
    toy_expect_close(toy, fds[0]);
    toy_request(toy, fds[3], 1, "echo");
    toy_expect(toy, fds[3], 1, "echo");
    for (int i = 0; i < 4; i++) {
        close(fds[i]);
    }
}
