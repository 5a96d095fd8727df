/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client can do before and while it proves who it is: the real net and the real handlers of requests, on a
 * simulated network without faults, whose clock the test moves. There is no store behind them, so that nobody may be
 * let through to a handler that asks one; those of proofs, ApiVersions and ListPartitionReassignments do not.
 */
#ifndef EL_TEST_GATE_H
#define EL_TEST_GATE_H

#include "../sim/sim_io.h"

#include <api/api.h>
#include <net/net.h>

#define GATE_MS UINT64_C(1000000)
#define GATE_ANSWER_MAX 65536u

struct gate {
    struct sim_clock clock;
    struct el_rng rng;
    struct sim_disk *disk; /* of the simulated machine; empty */
    struct sim_net *wire;
    struct io *io;
    struct el_buddy buddy;
    struct metrics *metrics;
    struct store_shard *shard; /* memory and time alone */
    struct auth auth;
    struct config cfg;
    struct api_node node;
    struct api api;
    struct net *net;
    net_dispatch_fn dispatch; /* what requests go to; api_dispatch() with &api at first */
};

/* A client's connection. */
struct gate_conn {
    struct gate *gate;
    int wire;
    int32_t correlation_id; /* of the last request */
    bool closed;            /* the broker's end was reached */
    size_t len;
    uint8_t bytes[GATE_ANSWER_MAX]; /* [len] come and not taken */
};

/* gate_store.c: a shard of a store that has nothing but these; free() ends it. */
struct store_shard *gate_store_make(struct io *io, struct el_buddy *buddy, struct metrics *metrics);

/* flags: of evlogd's command line, NULL-terminated, beside a SASL_PLAINTEXT listener. */
void gate_begin(struct gate *gate, const char *const *flags);
/* Ends all connections. */
void gate_end(struct gate *gate);
void gate_add_user(struct gate *gate, int mechanism, const char *name, const char *password);
/* Let so much time pass. */
void gate_run(struct gate *gate, uint64_t ns);

/* Connect, and wait until the broker has accepted. */
void gate_connect(struct gate *gate, struct gate_conn *conn);
/* From now on handlers see a listener with TLS: those that are connected may be offered PLAIN. Nobody else may come. */
void gate_seem_tls(struct gate *gate);
/* The client closes. */
void gate_drop(struct gate_conn *conn);
/* Send bytes, as many as are taken before the broker closes, or answers fill the client's memory. */
void gate_send(struct gate_conn *conn, const void *data, size_t len);
/* Take what has come by now. */
void gate_look(struct gate_conn *conn);
/* The frame of a request. returns its length, at most room */
size_t gate_frame(struct gate_conn *conn, enum el_api_key key, int version, const void *message, uint8_t *frame,
                  size_t room);
/* Send it. */
void gate_ask(struct gate_conn *conn, enum el_api_key key, int version, const void *message);
/* The answer that has come to it.
 *
 * out      of the API's response schema; valid as long as arena
 * returns  false: there is none, now
 */
bool gate_answer(struct gate_conn *conn, enum el_api_key key, int version, struct el_arena *arena, void *out);

#endif
