/* SPDX-License-Identifier: Apache-2.0
 *
 * The target of a copy or an import: events go into the same partition as they came from, byte for byte, each once. An
 * interrupted transfer goes on where it stopped: what the target holds already is compared with the source and passed
 * over.
 */
#ifndef EVLOG_TOOLS_TRANSFER_H
#define EVLOG_TOOLS_TRANSFER_H

#include "cli.h"

struct transfer_partition {
    int64_t have_count;  /* events there when it began */
    uint64_t last_hash;  /* of the last of them */
    int64_t seen_count;  /* events of the source */
    int64_t acked_count; /* events stored */
};

struct transfer {
    struct cli *cli; /* connected to where the target is */
    const char *topic;
    struct evlog_producer *producer;
    struct transfer_partition *partitions; /* [partition_count] */
    int32_t partition_count;
    uint64_t sent_count;
    uint64_t passed_count;        /* there already */
    bool disturbed;               /* an event was stored at another offset than the next one */
    struct evlog_failure failure; /* of the first event that was not stored; code 0: none */
    struct el_buffer scratch;     /* an event's bytes, for its hash */
};

/* Make the topic when it is not there, and look at what it holds.
 *
 * settings  [setting_count] for a topic that is made
 * returns   CLI_OK | CLI_CONFLICT another number of partitions, or not from its beginning | another exit code; told
 */
int transfer_begin(struct transfer *t, int32_t partition_count, const struct evlog_setting *settings,
                   size_t setting_count);
/* The next event of a partition, in the order of the source. returns an exit code, told */
int transfer_event(struct transfer *t, const struct evlog_message *message);
/* Wait for everything, and say what was done. returns an exit code, told */
int transfer_end(struct transfer *t, int rc);
/* Free. */
void transfer_free(struct transfer *t);

#endif
