/* SPDX-License-Identifier: Apache-2.0
 *
 * What docs/semantics.md, Streams, says of an append, as plainly as can be: arrays of streams, nothing hashed, nothing
 * cached, everything in memory. Streams, ids and types are small numbers.
 */
#ifndef EL_TEST_STREAM_MODEL_H
#define EL_TEST_STREAM_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define MODEL_SLOTS 3
#define MODEL_KEYS 150
#define MODEL_IDS 20
#define MODEL_TYPES 5
#define MODEL_RECORDS 40
#define MODEL_CHECKS 4

struct model_record {
    int key, id, type; /* -1 none */
    int64_t expected;
    bool soft, hard;
};

struct model_check {
    int key;
    int64_t expected;
};

struct model_batch {
    struct model_record records[MODEL_RECORDS];
    uint32_t record_count;
    struct model_check checks[MODEL_CHECKS];
    uint32_t check_count;
};

struct model_stream {
    int64_t count;
    bool soft, hard;              /* by its last event */
    int64_t id_offset[MODEL_IDS]; /* -1 not there */
    int64_t id_version[MODEL_IDS];
    int64_t *offsets; /* [count] of its events */
};

struct model_slot {
    struct model_stream streams[MODEL_KEYS];
    struct model_record *log; /* [log_count] by offset */
    uint32_t *batch_at;       /* [log_count] offset at which the record's batch begins */
    int64_t log_count;
};

struct model {
    struct model_slot slots[MODEL_SLOTS];
};

struct model_answer {
    int code;
    int failed_index;
    int64_t versions[MODEL_RECORDS];
    int64_t offsets[MODEL_RECORDS];
    bool check_failed[MODEL_CHECKS];
    int64_t cited; /* greatest offset of any event that the answer speaks of */
};

void model_begin(struct model *m);
void model_end(struct model *m);
/* What is to be answered; nothing changes. */
void model_decide(const struct model *m, uint32_t slot, const struct model_batch *batch, struct model_answer *answer);
/* The batch is appended. */
void model_append(struct model *m, uint32_t slot, const struct model_batch *batch);

#endif
