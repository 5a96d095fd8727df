/* SPDX-License-Identifier: Apache-2.0
 *
 * Private to broker/access.
 */
#ifndef EL_ACCESS_ACCESS_STATE_H
#define EL_ACCESS_ACCESS_STATE_H

#include <access/access.h>
#include <format/access_names.h>
#include <storage/record_scan.h>

#define ACCESS_MAGIC OBJ_MAGIC('a', 'c', 'c', 's')
#define ACCESS_HOME 0u /* the shard that takes changes */

#define ACCESS_RECORD_OVERHEAD 40u /* varints of a record: lengths, deltas, attributes, no headers */

enum access_state { ACCESS_READING, ACCESS_KNOWN, ACCESS_FAILED };
enum access_preparing { ACCESS_PREPARE_IDLE, ACCESS_PREPARE_BUSY, ACCESS_PREPARE_FAILED, ACCESS_PREPARED };

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
    void (*settled)(void *arg); /* NULL: it was called */
    void *known_arg;            /* of both */
    void (*removed)(void *arg); /* NULL: nobody is told */
    void *removed_arg;
    struct record_scan scan;
    struct access_keys *keys;     /* of the node */
    struct el_access_names names; /* what cannot be opened; on home also what is to be written again */
    bool forgotten;               /* what could not be opened, and all the rest */
    struct io_message report;     /* to home: this shard has read all, or cannot */
    /* home only */
    uint32_t reports_left; /* shards that have not read all */
    bool unreadable;       /* one of them cannot */
    enum access_preparing preparing;
    struct io_op save;              /* of the keys */
    struct el_access_keys new_keys; /* that are being saved */
    uint32_t again_count;           /* names that the batch under way writes again; the last ones */
    uint32_t again_sum;
    struct el_list queue; /* struct access_op.link */
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

/* access_append.c, all on home */
/* Room that a record takes in a batch, at most. */
size_t access_put_len_max(const struct access_record *record);
/* Seal a record and put it into a batch, which has room. returns 0 | EVLOG_ERR_NO_MEMORY */
int access_put(struct access *home, struct el_batch_builder *builder, const struct access_record *record);
/* The end of what has this key in the log, byte for byte. */
void access_put_end(struct access *home, struct el_batch_builder *builder, struct el_slice name);
/* Append home->batch; done calls access_append_end() first. */
void access_append(struct access *home, const struct topic *topic, struct el_slice batch,
                   void (*done)(struct store_op *base));
void access_append_end(struct access *home);

/* access_prepare.c */
/* Begin the next thing that has to be done before changes; nothing is under way. */
void access_prepare(struct access *home);
/* It has come to an end, or to a stop: say so, when nobody has yet. */
void access_settle(struct access *home, enum access_preparing outcome);

/* access_change.c */
/* Answer all changes that wait. */
void access_refuse_all(struct access *home, int error);
/* Take the next change, if there is one and nothing is in its way. */
void access_next(struct access *home);
/* Nobody is waited for any more. */
void access_change_stop(struct access *home);

#endif
