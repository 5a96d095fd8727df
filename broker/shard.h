/* SPDX-License-Identifier: Apache-2.0
 *
 * One shard's thread: its memory, its io, its part of the store, its listener and its handlers, and the loop that runs
 * them. The main thread builds it, starts it, and sends it commands; everything else happens on the shard's thread.
 */
#ifndef EL_SHARD_H
#define EL_SHARD_H

#include <api/api.h>
#include <net/net.h>
#include <pthread.h>
#include <stream/streams.h>

#define SHARD_THREAD_MAGIC OBJ_MAGIC('s', 'h', 't', 'h')

/* What the main thread asks of a shard, one after the other; each is answered once by shard.done. */
enum shard_command {
    SHARD_RELOAD,       /* take over the settings in next_cfg, and write record if there is one */
    SHARD_RECORD,       /* write record */
    SHARD_STOP_NET,     /* answer what has been read, close the connections; at the latest after drain_ns */
    SHARD_STOP_ARCHIVE, /* archive what is left, at the latest after archive_stop_ns */
    SHARD_STOP_STORE,   /* final checkpoint */
    SHARD_EXIT,         /* leave the loop */
};

struct settings_record;
struct shard;
typedef void (*shard_done_fn)(struct shard *shard);

struct shard {
    uint32_t magic;
    uint32_t index;
    struct io *io;
    struct el_buddy buddy;
    struct metrics *metrics;
    struct store_shard *store;
    struct net *net; /* NULL once all its connections and requests have ended */
    struct api api;
    struct groups groups;
    struct groups **peers; /* [shard_count] by shard: all of the node; the main thread's */
    struct leases *leases;
    struct leases **lease_peers; /* the same of work groups */
    struct streams *streams;
    struct audit *audit;                       /* its part of the audit log */
    struct access *access;                     /* users and rules; a copy on every shard */
    struct quota_budget *quota_budget;         /* the node's; NULL: limits are kept, and nobody is held to them */
    struct access **access_peers;              /* [shard_count] of all */
    struct access_keys *access_keys;           /* the node's */
    _Atomic bool access_read;                  /* users and rules have been read; access_error is set */
    int access_error;                          /* 0, or why they are not known */
    struct streams **stream_peers;             /* the same of the stream index */
    const struct stream_secret *stream_secret; /* of the data directory */
    struct archiver *archiver;                 /* NULL: there is no archive */
    struct redactor *redactor;                 /* the node's */
    uint64_t archive_stop_ns;                  /* how long it may take at a stop */
    bool archive_stopping;
    uint32_t shard_count;
    struct api_node node;
    struct config cfg;                                    /* the shard's own copy: SIGHUP changes the main thread's */
    struct config next_cfg;                               /* written by the main thread before SHARD_RELOAD */
    struct el_tls_config *next_tls[CONFIG_LISTENERS_MAX]; /* the same; borrowed while that is carried out */
    struct settings_record *record;                       /* the same; NULL: none */
    const char *data_path;                                /* of the data directory, absolute; NULL for none */
    pthread_t thread;
    bool running;               /* the thread has been started and not joined */
    _Atomic uint64_t turned_ns; /* when it last had nothing to wait for (monotonic), 0: not yet; for other threads */
    struct io_message message;
    enum shard_command command;
    bool exiting;
    uint64_t drain_ns; /* how long a stop waits for clients */
    struct io_timer drain_timer;
    bool net_stopped;        /* all connections have ended, or drain_ns is over */
    bool streams_stopped;    /* they write what they have in memory */
    bool drained;            /* SHARD_STOP_NET was carried out */
    shard_done_fn done;      /* called on the shard's thread when a command is carried out, and once at the start */
    shard_done_fn on_access; /* access_read is true; NULL: nobody asks */
    void *arg;               /* of both */
};

/* The listener's limits as cfg has them; everything else is zero. */
struct net_config shard_net_limits(const struct config *cfg);
/* What a listener calls: the handlers of api. */
void shard_net_calls(struct net_config *net_cfg, struct api *api);
/* Set the node's settings from cfg, for the start and for SHARD_RELOAD. */
void shard_take_config(struct shard *shard, const struct config *cfg);
/* Set up the handlers and listen; io, metrics and store are set. Before shard_begin().
 *
 * net_cfg  conn_total and limits; listeners NULL: those of cfg, otherwise as many with the ports to take;
 *          dispatch is set here
 * returns  0 | EVLOG_ERR_NO_MEMORY | what net_start() returns, with a text
 */
int shard_listen(struct shard *shard, const struct config *cfg, const struct net_config *net_cfg, struct el_error *err);
/* What the thread does: begin once, then one turn after the other, each with the time that the one before gave (0 at
 * first), until exiting is set. For a caller that runs shards in a thread of its own. */
void shard_begin(struct shard *shard);
uint64_t shard_turn(struct shard *shard, uint64_t wait_until_ns);
/* Start the thread. returns 0 | EVLOG_ERR_NO_MEMORY */
int shard_start(struct shard *shard, struct el_error *err);
/* Send a command; the one before it has been answered. Main thread. */
void shard_command(struct shard *shard, enum shard_command command);
/* After its end: give back what the handlers are made of, as far as nothing of it is under way. */
void shard_destroy_parts(struct shard *shard);
/* Wait for the end of the thread, after SHARD_EXIT. */
void shard_join(struct shard *shard);

#endif
