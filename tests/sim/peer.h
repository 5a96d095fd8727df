/* SPDX-License-Identifier: Apache-2.0
 *
 * One Kafka client's connection: requests go out as frames, answers come back in the order of the requests and with
 * their correlation ids, or something is wrong. Bytes move when the seed wants it, and now and then the client breaks
 * the connection, closes half of it, or reads nothing for a while.
 */
#ifndef EL_SIM_PEER_H
#define EL_SIM_PEER_H

#include "world.h"
#include <wire/frame.h>

#define PEER_ASKED_MAX 8u

/* An answer, in the layout of the api's response schema; NULL: the connection was lost before it came. */
typedef void (*peer_answer_fn)(void *arg, const void *response);

struct peer_ask {
    const struct el_api *api;
    int version;
    int32_t correlation_id;
    peer_answer_fn done;
    void *arg;
};

struct peer_bytes {
    uint8_t *data;
    size_t len, room;
};

struct peer {
    struct world *w;
    uint32_t client; /* number of the client, for its address */
    int conn;        /* -1: none */
    bool half_closed;
    uint64_t connect_ns; /* not before */
    uint64_t read_ns;    /* reads nothing before */
    uint32_t lost_count; /* connections that ended */
    uint32_t futile;     /* of them, since the last answer came */
    int32_t correlation_id;
    struct peer_ask asked[PEER_ASKED_MAX]; /* [asked_count] without an answer, oldest first */
    uint32_t asked_count;
    struct peer_bytes out, in;
};

void peer_init(struct peer *p, struct world *w, uint32_t client);
void peer_free(struct peer *p);
/* Connected, and one request more may be asked. */
static inline bool peer_can_ask(const struct peer *p)
{
    return p->conn >= 0 && !p->half_closed && p->asked_count < PEER_ASKED_MAX;
}
/* A version of an api that the broker answers. */
int peer_version(struct peer *p, enum el_api_key key);
/* Send a request; done NULL: there is no answer. */
void peer_send(struct peer *p, enum el_api_key key, int version, const void *body, peer_answer_fn done, void *arg);
/* Connect, send and receive, as far as it goes now. */
void peer_step(struct peer *p);
/* Break the connection: everything asked is lost. No effect without one. */
void peer_lose(struct peer *p, bool reset);
/* When there is something to do; UINT64_MAX: not by itself. */
uint64_t peer_next(const struct peer *p);

#endif
