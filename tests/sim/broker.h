/* SPDX-License-Identifier: Apache-2.0
 *
 * The real broker on a simulated machine: the shards of broker/shard.c with their listeners and handlers, in one
 * thread, on simulated sockets.
 */
#ifndef EL_SIM_BROKER_H
#define EL_SIM_BROKER_H

#include "clients.h"
#include <settings_desk.h>
#include <shard.h>

#define FLAGS_MAX 24
#define FLAG_LEN_MAX 64

/* A command line, as text. */
struct flags {
    char text[FLAGS_MAX][FLAG_LEN_MAX];
    char *argv[FLAGS_MAX + 1];
    int count;
};

struct broker {
    struct world *w;
    struct clients *clients;
    struct flags flags; /* of the last reading */
    struct config config;
    struct settings_desk desk;           /* changes of settings */
    struct broker_settings_op *changing; /* kept, and not on every shard yet; NULL none */
    struct rule_book rules;              /* what clients know of it */
    bool reloading;                      /* not every shard has the last reading yet */
    struct net_config limits;            /* of every listener */
    _Atomic(uint32_t) conn_total;
    struct census census; /* who has how many connections */
    struct lent lent;     /* who holds how much of whose memory */
    struct shard shards[WORLD_SHARDS_MAX];
    struct groups *groups[WORLD_SHARDS_MAX];
    struct leases *leases[WORLD_SHARDS_MAX];
    struct access *access[WORLD_SHARDS_MAX];
    struct streams *streams[WORLD_SHARDS_MAX];
    struct stream_secret secret;
    struct access_keys access_keys;
    struct redactor *redactor;
    uint64_t drain_ns;
    uint32_t done_count; /* commands that were carried out */
    bool stopping_net, stopping_store;
};

/* Put a broker on the machine. Before its first start. */
void broker_init(struct broker *b, struct world *w, struct clients *clients);
/* After a start: not every shard has read users and rules. */
bool broker_access_unread(const struct broker *b);
/* Every shard has: is all there that clients were told of? */
void broker_access_check(const struct broker *b);
/* Requests that have not ended. */
uint32_t broker_requests(const struct broker *b);

#endif
