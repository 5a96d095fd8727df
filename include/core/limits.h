/* SPDX-License-Identifier: Apache-2.0
 *
 * Every fixed limit, with its reason. Relations between them are checked at compile time.
 */
#ifndef EL_CORE_LIMITS_H
#define EL_CORE_LIMITS_H

#include <core/assert.h>

#define EL_REQUEST_LEN_MAX (100u << 20) /* socket.request.max.bytes of Kafka */
#define EL_FETCH_LEN_MAX (55u << 20)    /* Kafka's fetch.max.bytes */
#define EL_BATCH_LEN_DEFAULT 1048588u   /* max.message.bytes: 1 MiB of records and overhead */
#define EL_BATCH_LEN_MAX (16u << 20)    /* largest max.message.bytes: a batch must fit into one journal group */
#define EL_BATCH_OUTPUT_MAX (64u << 20) /* decompressed bytes of one batch */
#define EL_TOPIC_NAME_MAX 249           /* Kafka's limit */
#define EL_PARTITION_COUNT_MAX 10000    /* of one topic */
#define EL_SHARD_COUNT_MAX 64
#define EL_JOURNAL_ALIGN 4096u       /* O_DIRECT block; stored in every group */
#define EL_GROUP_LEN_MAX (24u << 20) /* one journal group; a slot holds at least one */
#define EL_CBOR_DEPTH_MAX 12

EL_STATIC_ASSERT(EL_BATCH_LEN_MAX + 2 * EL_JOURNAL_ALIGN <= EL_GROUP_LEN_MAX, "the largest batch fits into a group");
EL_STATIC_ASSERT(EL_BATCH_LEN_MAX <= EL_REQUEST_LEN_MAX, "the largest batch fits into a request");

#endif
