/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of an aggregate; shared by loading, deciding and snapshots.
 */
#ifndef EL_CLIENT_AGGREGATE_STATE_H
#define EL_CLIENT_AGGREGATE_STATE_H

#include "client_core.h"

#include <core/buffer.h>
#include <evlog/aggregate.h>

#define EL_AGGREGATE_MAGIC OBJ_MAGIC('E', 'V', 'A', 'G')

struct evlog_aggregate {
    uint32_t magic;
    struct evlog_client *client;
    struct evlog_fold fold;
    char *topic;  /* owned; fold.topic points to it */
    uint8_t *key; /* [key_len], owned */
    size_t key_len;
    void *state;     /* NULL: to be made anew */
    int64_t applied; /* version of the last event in the state, -1 none; its proof is: */
    int64_t applied_offset;
    struct el_buffer applied_id; /* empty: it has none */
    int64_t version;             /* of the stream, deletions counted */
    bool deleted, ended;
    int64_t snapshot_version; /* that the state was made from, -1 none */
    int64_t behind_count;     /* events in the state that no snapshot has */
    int64_t read_count;
};

static inline struct evlog_bytes el_aggregate_key(const struct evlog_aggregate *a)
{
    return (struct evlog_bytes){a->key, a->key_len};
}

/* As evlog_snapshot_get(), of one schema number; -1: of any. */
int el_snapshot_find(struct evlog_client *client, const char *topic, struct evlog_bytes key, int32_t schema,
                     const struct evlog_snapshot **snapshot, struct evlog_failure *failure);

#endif
