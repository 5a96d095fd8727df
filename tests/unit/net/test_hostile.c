/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: who has not proved who it is cannot use up memory. Method: toy handler over real sockets on both backends, and
 * what the shard's memory has given away. Which is which: docs/security.md, Faults of others.
 */
#include "toy.h"

#include <core/bytes.h>
#include <net/conn.h>
#include <unistd.h>

#define CROWD 200

static void with_sasl(struct net_config *config)
{
    ((struct config_listener *)(uintptr_t)config->listeners)->protocol = CONFIG_SASL_PLAINTEXT;
}

static void say_nothing(struct toy *toy, int *fds, const void *first, size_t len)
{
    for (int i = 0; i < CROWD; i++) {
        fds[i] = toy_connect(toy);
        if (len > 0) {
            toy_send(toy, fds[i], first, len);
        }
    }
    TOY_UNTIL(toy, metrics_get(toy->metrics, METRIC_CONNECTIONS_ACCEPTED) == CROWD);
    for (int i = 0; i < 20; i++) {
        toy_step(toy);
    }
}

static void cve_2022_34917(struct toy *toy)
{
    static const uint8_t most[] = {0, 0, 0x40, 0, 0}; /* 16 KiB are to come, and one byte does */
    static const uint8_t more[] = {6, 0, 0, 0, 0};    /* 96 MiB */
    int fds[CROWD], fd;
    say_nothing(toy, fds, most, sizeof most);
    assert_int_equal(net_conn_count(toy->net), CROWD);
    assert_true(toy->buddy.used - toy->buddy_used_first <= CROWD * (CONN_BUFFER_LEN_FIRST + 4096u));
    fd = toy_connect(toy);
    toy_send(toy, fd, more, sizeof more);
    toy_expect_close(toy, fd);
    close(fd);
    for (int i = 0; i < CROWD; i++) {
        close(fds[i]);
    }
}

TEST(cve_2022_34917, a_claimed_length_takes_no_memory_before_a_proof)
{
    toy_run(false, with_sasl, cve_2022_34917);
}

static void cve_2017_7654(struct toy *toy)
{
    static const uint8_t crafted[] = {0, 0, 0, 14, 0, 3, 0, 0, 0, 0, 0, 1, 0x7f, 0xff, 'a', 'b', 'c', 'd'};
    size_t used = 0;
    for (int i = 0; i < 600; i++) {
        int fd = toy_connect(toy);
        toy_send(toy, fd, crafted, sizeof crafted);
        toy_expect_close(toy, fd);
        close(fd);
        TOY_UNTIL(toy, net_conn_count(toy->net) == 0);
        used = i == 100 ? toy->buddy.used : used; /* pools have what they need */
        assert_true(i <= 100 || toy->buddy.used <= used);
    }
}

TEST(cve_2017_7654, a_connection_that_is_refused_leaves_nothing)
{
    toy_run(false, with_sasl, cve_2017_7654);
}

static void small(struct net_config *config)
{
    config->recv_bytes_max = 1u << 20;
    config->unproven_ns_max = 3000000000u; /* until then each holds what it has */
}

/* Each of many connections sends little of a large request: together they get what there is, and the rest waits. */
static void cve_2026_58210(struct toy *toy)
{
    static uint8_t part[32u << 10];
    int fds[CROWD];
    part[1] = 0x40; /* 4 MiB */
    say_nothing(toy, fds, part, sizeof part);
    assert_true(toy->net->recv_bytes <= 1u << 20);
    for (int i = 0; i < CROWD; i++) {
        close(fds[i]);
    }
    TOY_UNTIL(toy, net_conn_count(toy->net) == 0);
    int fd = toy_connect(toy);
    toy_request(toy, fd, 1, "echo");
    toy_expect(toy, fd, 1, "echo");
    close(fd);
}

TEST(cve_2026_58210, many_requests_that_have_begun_share_one_budget)
{
    toy_run(false, small, cve_2026_58210);
}
