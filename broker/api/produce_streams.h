/* SPDX-License-Identifier: Apache-2.0
 *
 * Produce on topics with evlog.streams=true: what the stream index is to know of a batch, where keys belong, and texts
 * for what is refused. In the way of api_produce.c, which has the order of things.
 */
#ifndef EL_API_PRODUCE_STREAMS_H
#define EL_API_PRODUCE_STREAMS_H

#include <api/stream_target.h>

/* Of one batch; in the arena of its request. */
struct produce_streams {
    const struct stream_secret *secret;
    struct topic_config config; /* the topic's own settings */
    int32_t partition;
    int32_t partition_count;
    struct stream_batch batch; /* valid once it is made */
    const char *why;           /* what is wrong with records[batch.failed_index]; static, NULL nothing */
};

/* The topic's; NULL without memory. */
struct produce_streams *produce_streams_new(struct api *api, struct request *request, const struct topic *topic,
                                            int32_t partition);

/* Bytes that a worker needs for what it makes of a batch whose records have so many bytes. */
size_t produce_streams_room(const struct el_batch_info *info, size_t records_len);
/* Look through the records of a batch that passed el_batch_check(), on the shard or on a worker.
 *
 * scratch  for the decompressed records
 * arena    takes what is made
 * returns  0 | what stream_batch_make() returns
 */
int produce_streams_make(struct produce_streams *streams, struct el_slice batch, void *scratch, size_t scratch_len,
                         struct el_arena *arena);
/* Move what a worker made out of its memory. returns 0 | EVLOG_ERR_NO_MEMORY */
int produce_streams_keep(struct produce_streams *streams, struct el_arena *arena);

/* Does every key belong to the partition? returns 0, or EVLOG_ERR_INVALID_RECORD, the record's index and a text */
int produce_streams_place(const struct produce_streams *streams, struct request *request, int32_t *index,
                          struct el_slice *message);
/* Which record a refusal of the index or of produce_streams_make() is about, and a text; data NULL: it has none of its
 * own. */
struct el_slice produce_streams_refusal(const struct produce_streams *streams, struct request *request, int error,
                                        int32_t *index);

#endif
