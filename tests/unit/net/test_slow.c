/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: an operation over the limit is counted and said in one line, a few a second; what a client asked to wait for is
 * no slowness, nor is anything without a limit. Method: requests that the test holds longer than the limit.
 */
#include "toy.h"

#include <net/conn.h>

#include <string.h>
#include <unistd.h>

#define HELD_NS 3000000u

static void millisecond(struct net_config *config)
{
    config->slow_ns = 1000000;
}

static void hold_for(struct toy *toy, uint64_t ns)
{
    uint64_t until_ns = io_mono(toy->io) + ns;
    while (io_mono(toy->io) < until_ns) {
        io_step(toy->io, until_ns);
    }
}

static void hold_one(struct toy *toy, int fd, bool waits)
{
    toy->log[0] = '\0';
    toy_request(toy, fd, 1, "hold");
    TOY_UNTIL(toy, toy->held_count == 1);
    if (waits) {
        request_wait_begin(toy->held[0]);
        request_wait_begin(toy->held[0]); /* once more changes nothing */
    }
    hold_for(toy, HELD_NS);
    if (waits) {
        request_wait_end(toy->held[0]);
        request_wait_end(toy->held[0]);
    }
    toy_answer(toy, 0);
    toy_expect(toy, fd, 1, "hold");
    TOY_UNTIL(toy, net_request_count(toy->net) == 0);
}

EACH_BACKEND_WITH(slow_operation_is_said_in_one_line, millisecond)
{
    int fd = toy_connect(toy);
    hold_one(toy, fd, false);
    assert_int_equal(metrics_get(toy->metrics, METRIC_OPERATIONS_SLOW), 1);
    const char *line = strstr(toy->log, "slow operation api=\"Metadata\" version=0 client_id=");
    assert_non_null(line);
    assert_non_null(strstr(line, " principal=\"User:ANONYMOUS\" address=\"127.0.0.1:"));
    assert_non_null(strstr(line, " request_bytes="));
    assert_null(strstr(line, " work_ms=0 "));
    assert_non_null(strstr(line, " wait_ms=0 "));
    assert_ptr_equal(strchr(line, '\n'), toy->log + strlen(toy->log) - 1);
    close(fd);
}

static int asked_count;

static bool say_trace(void *arg, const struct request *request, char text[NET_TRACE_ID_LEN + 1])
{
    (void)arg;
    assert_non_null(request->body.data); /* still there */
    memcpy(text, "4bf92f3577b34da6a3ce929d0e0e4736", NET_TRACE_ID_LEN + 1);
    return asked_count++ == 0;
}

static void millisecond_and_trace(struct net_config *config)
{
    config->slow_ns = 1000000;
    config->trace_id = say_trace;
    asked_count = 0;
}

EACH_BACKEND_WITH(slow_operation_names_the_trace_it_belongs_to, millisecond_and_trace)
{
    int fd = toy_connect(toy);
    hold_one(toy, fd, false);
    assert_non_null(strstr(toy->log, " trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\""));
    hold_one(toy, fd, false); /* one that belongs to none, or is not said: a few lines a second */
    assert_null(strstr(toy->log, "trace_id"));
    assert_int_equal(asked_count, 2); /* once a line */
    close(fd);
}

EACH_BACKEND_WITH(wait_that_was_asked_for_is_not_slow, millisecond)
{
    int fd = toy_connect(toy);
    /* The machine may hold a step up for a millisecond: then it is slow, for another reason. One of many is not. */
    int64_t slow = 0;
    for (int i = 0; i < 20; i++) {
        hold_one(toy, fd, true);
        slow = metrics_get(toy->metrics, METRIC_OPERATIONS_SLOW);
        if (slow <= i) {
            break;
        }
    }
    assert_true(slow < 20);
    close(fd);
}

EACH_BACKEND(without_a_limit_nothing_is_slow)
{
    int fd = toy_connect(toy);
    hold_one(toy, fd, false);
    assert_int_equal(metrics_get(toy->metrics, METRIC_OPERATIONS_SLOW), 0);
    assert_null(strstr(toy->log, "slow"));
    close(fd);
}

EACH_BACKEND_WITH(many_slow_operations_are_counted_and_few_are_said, millisecond)
{
    int fd = toy_connect(toy);
    uint64_t from_ns = toy->io->now_ns;
    for (int i = 0; i < 30; i++) {
        toy_request(toy, fd, i, "hold");
    }
    TOY_UNTIL(toy, toy->held_count == 30);
    hold_for(toy, HELD_NS);
    while (toy->held_count > 0) {
        toy_answer(toy, toy->held_count - 1);
    }
    for (int i = 0; i < 30; i++) {
        toy_expect(toy, fd, i, "hold");
    }
    TOY_UNTIL(toy, net_request_count(toy->net) == 0);
    uint64_t seconds = (toy->io->now_ns - from_ns) / 1000000000u + 2;
    uint64_t lines = 0;
    for (const char *at = toy->log; (at = strstr(at, "slow operation")) != NULL; at++) {
        lines++;
    }
    assert_int_equal(metrics_get(toy->metrics, METRIC_OPERATIONS_SLOW), 30);
    assert_true(lines >= 1 && lines <= 2 * seconds);
    close(fd);
}
