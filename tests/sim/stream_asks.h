/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions about streams that are asked while others append, trim and delete, and while the disk fails. What an answer
 * says is kept, and compared with the log when that has been read: an answer about a stream or a type is of one moment,
 * the log below its end offset, and holds exactly; that end is behind all that was acknowledged before it was asked.
 */
#ifndef EL_SIM_STREAM_ASKS_H
#define EL_SIM_STREAM_ASKS_H

#include "stream_sifts.h"

#define ASKERS_MAX 3u
#define ASKS_MAX 6000u     /* answers kept until the log is read */
#define ASK_PLACES_MAX 24u /* in one answer */

/* An answer. */
struct ask {
    bool of_list, of_type, backward;
    int32_t partition;
    uint32_t key; /* or number of the prefix */
    uint8_t type;
    int64_t from;
    uint32_t count_max;
    int64_t acked_end;  /* end of what was acknowledged when it was asked */
    int64_t end, start; /* the log that it is about */
    int64_t last_version, last_offset, first_version;
    bool deleted, ended;
    uint32_t count;
    struct stream_place places[ASK_PLACES_MAX];
};

struct asker {
    struct stream_asks *a;
    bool busy, of_list;
    struct stream_find_op find;
    struct stream_list_op list;
    struct ask ask;
    uint32_t shard; /* asked */
};

struct stream_asks {
    struct stream_model *m;
    struct stream_sifts sifts;
    struct asker askers[ASKERS_MAX];
    struct ask *asks; /* [ask_count] */
    uint32_t ask_count;
    int64_t acked_end[STREAM_PARTITIONS_MAX]; /* behind the last offset that a client was told of */
    uint64_t answers, refusals;
};

void stream_asks_init(struct stream_asks *a, struct stream_model *m);
void stream_asks_free(struct stream_asks *a);
/* Somebody asks, by chance. */
void stream_asks_step(struct stream_asks *a);
/* A client was told of an offset. */
void stream_asks_acked(struct stream_asks *a, int32_t partition, int64_t offset);
bool stream_asks_busy(const struct stream_asks *a);
/* The process has ended: nothing is answered any more. */
void stream_asks_lose(struct stream_asks *a);
/* The topic is another one. */
void stream_asks_clear(struct stream_asks *a);
/* All logs were read to their ends: was it the truth? */
void stream_asks_check(struct stream_asks *a);

#endif
