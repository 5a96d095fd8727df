/* SPDX-License-Identifier: Apache-2.0
 *
 * Partition 0 of a topic "source" that work group "g" works on, at the desk: asked from the other shard.
 */
#ifndef EL_TEST_PART_KIT_H
#define EL_TEST_PART_KIT_H

#include "desk.h"

#include <lease/lease_part.h>

extern struct topic *part_source;
extern bool part_waits; /* the last op has not been answered */
extern struct lease_fetch_op part_settle_op;

/* The desk, the topic, and the group with settings "name=value ...". */
void part_begin(const char *settings);
void part_end(void);

struct part_event {
    const char *key; /* NULL: none */
    const char *value;
};
void part_append(const char *key);
void part_append_batch(const struct part_event *events, uint32_t count, enum el_codec codec);

void part_on_answer(struct lease_op *op);
struct lease_fetch_op part_fetch_of(uint64_t session, uint32_t records_max);
void part_fetch(struct lease_fetch_op *op);
/* returns the first offset leased, -1 none, or the op's error. The first question to a partition finds nothing read. */
int64_t part_lease(uint64_t session);
void part_settle_begin(uint64_t session, int64_t offset, enum lease_outcome_kind kind);
/* returns its outcome_error */
int part_settle(uint64_t session, int64_t offset, enum lease_outcome_kind kind);
/* Events in partition 0 of a topic; -1: there is no such topic. */
int64_t part_letters(const char *topic);
/* Durable batches of a topic: what was appended twice counts twice. */
uint32_t part_durable(const char *topic);
/* Why a key waits, as people are told. */
const char *part_why(const char *key);

#endif
