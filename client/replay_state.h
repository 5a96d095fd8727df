/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a replay: replay_plan.c says how far it goes, replay.c reads and tells. One thread.
 */
#ifndef EL_CLIENT_REPLAY_STATE_H
#define EL_CLIENT_REPLAY_STATE_H

#include "consumer_state.h"
#include "replay_archive.h"
#include "replay_fold.h"

#include <core/buffer.h>
#include <evlog/replay.h>

struct el_replay {
    struct evlog_client *client;
    const struct evlog_replay_options *options;
    struct evlog_consumer *consumer;   /* NULL: an archive alone is read */
    struct el_replay_archive *archive; /* what is read before that; NULL: nothing */
    struct el_fold fold;
    int64_t *start_offsets; /* [partition_count] */
    int64_t *end_offsets;   /* [partition_count], behind start_offsets */
    int32_t partition_count;
    bool compare_until; /* until is compared event by event, not by a cut */
    bool partial;
    bool begun; /* the event that the options begin with, or behind, has come */
    bool done;  /* count_max is reached */
    bool indexed;
    int32_t begin_partition; /* until it has begun: whose event it begins with, or behind */
    int64_t begin_offset;    /* the first one of that partition that begins it */
    int64_t skip_offset;     /* and below this one it is left out itself */
    uint64_t read_count;
    uint64_t total_count;
    struct el_buffer packed;      /* headers of the event at hand */
    struct evlog_header *headers; /* [header_room] of a live event that is told */
    size_t header_room;
};

/* Decide how far each partition is read, and where the replay begins. */
int el_replay_plan(struct el_replay *replay, struct evlog_failure *failure);

#endif
