/* SPDX-License-Identifier: Apache-2.0
 *
 * Events of an archive for a replay: of all partitions of a topic in the order of append times, as an ordered consumer
 * gives them. Blocks; one thread.
 */
#ifndef EL_CLIENT_REPLAY_ARCHIVE_H
#define EL_CLIENT_REPLAY_ARCHIVE_H

#include <core/bytes.h>
#include <evlog/event.h>
#include <evlog/failure.h>
#include <evlog/replay.h>

struct el_replay_archive;

/* Open the archive that the options name: at its newest root, or the one that they name.
 *
 * returns  0 | what archive_reader_open() and object_store_open() return
 */
int el_replay_archive_open(const struct evlog_replay_options *options, struct el_replay_archive **archive,
                           struct evlog_failure *failure);
void el_replay_archive_close(struct el_replay_archive *archive); /* NULL is passed through */
/* Every event with an append time up to it is there; 0: no time. */
int64_t el_replay_archive_complete_ns(const struct el_replay_archive *archive);

/* The topic of this name, or of this id. returns 0 | EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_NO_MEMORY */
int el_replay_archive_topic(struct el_replay_archive *archive, const char *name, const uint8_t *id,
                            struct evlog_failure *failure);
int32_t el_replay_archive_partition_count(const struct el_replay_archive *archive);
const uint8_t *el_replay_archive_topic_id(const struct el_replay_archive *archive);
/* Where a partition begins, and where events with an append time up to until_ns end (EVLOG_TIME_NONE: all). Both 0 when
 * nothing of it is there. */
int el_replay_archive_range(struct el_replay_archive *archive, int32_t partition, int64_t until_ns, int64_t *start,
                            int64_t *end, struct evlog_failure *failure);
/* Read a partition from start up to end; before the first next. */
void el_replay_archive_assign(struct el_replay_archive *archive, int32_t partition, int64_t start, int64_t end);
/* returns 1 and an event, valid until the next call | 0 that was all | negative */
int el_replay_archive_next(struct el_replay_archive *archive, const struct evlog_event **event,
                           struct evlog_failure *failure);

#endif
