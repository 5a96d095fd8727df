/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions about offsets, and the cut with what the library needs of it beyond the public call.
 */
#ifndef EL_CLIENT_OFFSETS_H
#define EL_CLIENT_OFFSETS_H

#include "client_core.h"

/* Where a cut goes through the partitions of a topic. */
struct el_cut {
    int64_t time_ns;        /* asked for; 0: now */
    int64_t chosen_ns;      /* the time of the answer */
    int64_t *start_offsets; /* [partition_count], the caller's */
    int64_t *end_offsets;   /* [partition_count], the caller's */
    int32_t partition_count;
};

/* Ask for a cut; blocks. returns as evlog_cut() */
int el_cut_ask(struct evlog_client *client, const char *topic, struct el_cut *cut, struct evlog_failure *failure);

#endif
