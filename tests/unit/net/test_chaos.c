/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: no sequence of client and handler behaviour breaks order, leaks, or ends a connection that did nothing wrong.
 * Method: seeded random actions of 20 clients (requests of all kinds in random pieces, resets, closes) against random
 * answers; each client that is still there must get exactly the answers it is owed, in order.
 */
#include "toy.h"

#include <core/bytes.h>
#include <core/rng.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENT_COUNT 20
#define BODY_MAX 20000
#define ACTIONS 4000

struct client {
    int fd;
    int32_t sent_id;    /* of the last request sent in full */
    int32_t owed[4096]; /* ids of answers to come, in order */
    uint32_t owed_count;
    uint32_t owed_next;
    uint8_t pending[BODY_MAX + 64]; /* [pending_len] frame being sent, from pending_pos */
    size_t pending_len;
    size_t pending_pos;
    uint8_t received[BODY_MAX + 64]; /* answer being received */
    size_t received_len;
};

static void client_open(struct toy *toy, struct client *client)
{
    memset(client, 0, sizeof(*client));
    client->fd = toy_connect(toy);
}

static void client_close(struct client *client, bool reset)
{
    struct linger linger = {1, 0};
    if (reset) {
        assert_int_equal(setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    }
    close(client->fd);
    client->fd = -1;
}

static void client_begin(struct client *client, struct el_rng *rng)
{
    static const char orders[] = "eeehhs";
    uint8_t body[BODY_MAX];
    size_t len = 1 + el_rng_below(rng, el_rng_chance(rng, 50000) ? BODY_MAX - 1 : 200);
    int32_t id = ++client->sent_id;
    memset(body, id, len);
    body[0] = (uint8_t)orders[el_rng_below(rng, sizeof(orders) - 1)];
    client->pending_len = toy_frame(client->pending, id, body, len);
    client->pending_pos = 0;
    if (body[0] != 's' && client->owed_count < 4096) {
        client->owed[client->owed_count++] = id;
    }
}

static void client_send_some(struct client *client, struct el_rng *rng)
{
    if (client->pending_pos == client->pending_len) {
        client_begin(client, rng);
    }
    size_t left = client->pending_len - client->pending_pos;
    size_t len = el_rng_chance(rng, 300000) ? 1 + el_rng_below(rng, left) : left;
    ssize_t n = send(client->fd, client->pending + client->pending_pos, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    assert_true(n > 0 || errno == EAGAIN);
    client->pending_pos += n > 0 ? (size_t)n : 0;
}

/* Check one answer: its id is the next owed, its body is that of the request. */
static void client_check(struct client *client, size_t len)
{
    assert_true(client->owed_next < client->owed_count);
    int32_t id = client->owed[client->owed_next++];
    assert_int_equal((int32_t)el_get_be32(client->received + 4), id);
    for (size_t i = 9; i < len; i++) {
        assert_int_equal(client->received[i], (uint8_t)id);
    }
}

static void client_receive(struct client *client)
{
    for (;;) {
        size_t want = client->received_len < 4 ? 4 : 4 + el_get_be32(client->received);
        assert_true(want <= sizeof(client->received));
        if (want > 4 && client->received_len == want) {
            client_check(client, want);
            client->received_len = 0;
            continue;
        }
        ssize_t n = recv(client->fd, client->received + client->received_len, want - client->received_len,
                         MSG_DONTWAIT);
        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            return;
        }
        assert_true(n > 0);
        client->received_len += (size_t)n;
    }
}

static void answer_some(struct toy *toy, struct el_rng *rng)
{
    if (toy->held_count > 0) {
        toy_answer(toy, (uint32_t)el_rng_below(rng, toy->held_count));
    }
}

static void act(struct toy *toy, struct client *client, struct el_rng *rng)
{
    uint64_t dice = el_rng_below(rng, 1000);
    if (dice < 5) {
        client_close(client, dice < 2);
        client_open(toy, client);
    } else if (dice < 600) {
        client_send_some(client, rng);
    } else if (dice < 800) {
        client_receive(client);
    } else if (dice < 900) {
        answer_some(toy, rng);
    } else {
        io_step(toy->io, 0);
    }
    while (toy->held_count > TOY_HELD_MAX - CLIENT_COUNT * 8) {
        answer_some(toy, rng);
    }
}

/* What has been begun is finished, every answer comes. */
static void finish(struct toy *toy, struct client *client)
{
    toy_send(toy, client->fd, client->pending + client->pending_pos, client->pending_len - client->pending_pos);
    while (client->owed_next < client->owed_count) {
        while (toy->held_count > 0) {
            toy_answer(toy, 0);
        }
        toy_step(toy);
        client_receive(client);
    }
}

static void few_requests(struct net_config *config)
{
    config->pipeline_max = 8;
    config->backlog_bytes_max = 30000;
}

EACH_BACKEND_WITH(random_clients_get_what_they_are_owed, few_requests)
{
    struct client *clients = calloc(CLIENT_COUNT, sizeof(*clients));
    struct el_rng rng;
    assert_non_null(clients);
    for (uint64_t seed = 1; seed <= 5; seed++) {
        el_rng_seed(&rng, seed);
        print_message("seed %lu\n", (unsigned long)seed);
        for (int i = 0; i < CLIENT_COUNT; i++) {
            client_open(toy, &clients[i]);
        }
        for (int i = 0; i < ACTIONS; i++) {
            act(toy, &clients[el_rng_below(&rng, CLIENT_COUNT)], &rng);
        }
        for (int i = 0; i < CLIENT_COUNT; i++) {
            finish(toy, &clients[i]);
        }
        for (int i = 0; i < CLIENT_COUNT; i++) {
            client_close(&clients[i], false);
        }
        TOY_UNTIL(toy, net_conn_count(toy->net) == 0);
        assert_int_equal(net_request_count(toy->net), 0);
    }
    free(clients);
}
