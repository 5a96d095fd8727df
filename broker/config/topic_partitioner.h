/* SPDX-License-Identifier: Apache-2.0
 *
 * Which partition a key belongs to, on a topic whose placement of keys is fixed (evlog.streams=true). Pure functions.
 */
#ifndef EL_CONFIG_TOPIC_PARTITIONER_H
#define EL_CONFIG_TOPIC_PARTITIONER_H

#include <config/topic_config.h>

/* The partition of a key: 0 .. partition_count - 1. On a topic without streams that of murmur2, which is only a habit.
 *
 * key      data is not NULL
 * source   docs/semantics.md, Streams
 */
int32_t topic_partition_of(const struct topic_config *cfg, struct el_slice key, int32_t partition_count);
/* How clients are made to place keys so: a sentence part that follows "set". Static. */
const char *topic_partitioner_hint(const struct topic_config *cfg);

#endif
