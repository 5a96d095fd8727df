/* SPDX-License-Identifier: Apache-2.0
 *
 * A store with one shard on the simulated machine, for tests that make one thing happen. Blocking calls: each steps the
 * machine until its answer has come.
 */
#ifndef EL_TEST_STORAGE_KIT_H
#define EL_TEST_STORAGE_KIT_H

#include "../../sim/world.h"
#include <storage/shard_state.h>
#include <test.h>

struct kit {
    struct world w;
    struct el_uuid topic;
    uint32_t sent;           /* batches so far: each has its number in it */
    uint64_t append_time_ns; /* of the last kit_append() */
};

/* A machine that is off, with an empty disk and limits that a few batches reach. */
void kit_init(struct kit *k, uint64_t seed);
/* Start. returns 0 | EVLOG_ERR_... */
int kit_open(struct kit *k);
/* Power cut, and power again. */
void kit_crash(struct kit *k);
/* A clean stop, then a power cut. */
void kit_stop(struct kit *k);
void kit_free(struct kit *k);
struct store_shard *kit_shard(struct kit *k);
/* Let the machine run. */
void kit_steps(struct kit *k, uint32_t count);
/* Run until a checkpoint that begins now is complete. returns false when none came */
bool kit_checkpoint(struct kit *k);

/* Make a topic with settings "name=value ..."; it becomes the one that the other calls mean. */
void kit_topic(struct kit *k, int32_t partition_count, const char *settings);
/* Any change of the catalogue; base.done is filled in here. returns its error */
int kit_topic_change(struct kit *k, struct topic_op *op);
int kit_topic_delete(struct kit *k);
/* Append one batch with one record of value_len bytes. returns its offset | EVLOG_ERR_... */
int64_t kit_append(struct kit *k, int32_t partition, uint32_t value_len);
/* The same of an idempotent producer with epoch 0. */
int64_t kit_append_as(struct kit *k, int32_t partition, uint32_t value_len, int64_t producer, int32_t sequence);
/* Fill an op with a batch of its own, malloc; everything else is zero. */
void kit_batch(struct kit *k, struct append_op *op, int32_t partition, uint32_t value_len);
void kit_batch_as(struct kit *k, struct append_op *op, int32_t partition, uint32_t value_len, int64_t producer,
                  int32_t sequence);
/* So many batches at once, all answered with 0. */
void kit_append_many(struct kit *k, int32_t partition, uint32_t value_len, uint32_t count);
/* Read on from offset and check every byte. returns the offset at which reading ended | EVLOG_ERR_... when nothing
 * could be read at offset */
int64_t kit_read(struct kit *k, int32_t partition, int64_t offset);
/* Every offset from `from` to the end can be read and is right. */
void kit_read_all(struct kit *k, int32_t partition, int64_t from, int64_t end);
/* ListOffsets. */
int64_t kit_lookup(struct kit *k, int32_t partition, int64_t timestamp);
/* Files whose path contains text. */
uint32_t kit_files(struct kit *k, const char *text);
/* Change a byte of the n-th file whose path contains text. */
void kit_flip(struct kit *k, const char *text, uint32_t n, uint64_t pos);

#endif
