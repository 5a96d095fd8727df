/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to broker/access.
 */
#ifndef EL_ACCESS_ACCESS_STATE_H
#define EL_ACCESS_ACCESS_STATE_H

#include <access/access.h>
#include <storage/record_scan.h>

#define ACCESS_MAGIC OBJ_MAGIC('a', 'c', 'c', 's')
#define ACCESS_HOME 0u /* the shard that takes changes */

enum access_state { ACCESS_READING, ACCESS_KNOWN, ACCESS_FAILED };

struct access {
    uint32_t magic;
    enum access_state state;
    struct auth auth;
    struct store_shard *shard;
    struct io *io;
    struct el_buddy *buddy;
    struct metrics *metrics;
    struct access **peers; /* [shard_count] */
    uint32_t shard_count;
    uint32_t index;
    bool stopping;
    uint32_t busy; /* messages, scans and appends under way */
    void (*known)(void *arg, int error);
    void *known_arg;
    struct record_scan scan;
    struct io_message report; /* to home: this shard has read all, or cannot */
    /* home only */
    uint32_t reports_left; /* shards that have not read all */
    bool unreadable;       /* one of them cannot */
    struct el_list queue;  /* struct access_op.link */
    struct access_op *current;
    bool creating;
    bool pumping; /* inside the loop that begins changes */
    struct topic_config create_config;
    struct topic_op create_op;
    struct append_op append;
    uint8_t *batch;         /* of the append, in the buddy */
    uint32_t tell_shard;    /* that is being told */
    int tell_error;         /* what it said */
    struct io_message tell; /* to it and back */
    struct io_timer retry;  /* it has no memory: again */
    uint64_t complained_ns; /* of that, last; 0 never */
};

/* Put all records of a change into force on a shard. returns 0 | EVLOG_ERR_NO_MEMORY some may be in force: again */
int access_apply(struct access *access, const struct access_op *op);

/* access_change.c */
/* Take the next change, if there is one and nothing is in its way. */
void access_next(struct access *home);
/* Nobody is waited for any more. */
void access_change_stop(struct access *home);

#endif
