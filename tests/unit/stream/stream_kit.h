/* SPDX-License-Identifier: Apache-2.0
 *
 * A stream index without files: the tables and the cache as they are, and runs that are a map in memory. One at a time.
 */
#ifndef EL_TEST_STREAM_KIT_H
#define EL_TEST_STREAM_KIT_H

#include <core/map.h>
#include <stream/stream_admit.h>

#define KIT_RECORD_MAX 64
#define KIT_CHECK_MAX 8

/* What a record of a test says; NULL none. */
struct kit_record {
    const char *key;
    const char *id;
    const char *type;
    int64_t expected;  /* STREAM_ANY: no check */
    uint8_t tombstone; /* STREAM_RECORD_SOFT, _HARD or 0 */
};

struct kit_check {
    const char *key;
    int64_t expected;
};

struct kit {
    struct el_buddy buddy;
    struct stream_view view;
    uint64_t table_memory;
    uint64_t heads_memory;
    struct el_map runs;   /* slot and hash -> newest entry */
    uint64_t run_entries; /* in runs, older ones too */
    uint64_t run_names;
    bool filters_lie;          /* filters say maybe to everything */
    struct stream_batch batch; /* the last one made */
    struct stream_record records[KIT_RECORD_MAX];
    struct stream_check checks[KIT_CHECK_MAX];
};

extern const struct stream_secret kit_secret;

void kit_begin(struct kit *k, uint64_t table_memory, uint64_t heads_memory);
/* Fails the test when memory is not given back. */
void kit_end(struct kit *k);
/* Make k->batch of records and checks; offsets deltas 0, 1, 2 ... */
void kit_batch(struct kit *k, const struct kit_record *records, uint32_t record_count, const struct kit_check *checks,
               uint32_t check_count);
/* stream_admit() of k->batch at an offset, lookups answered. */
int kit_admit(struct kit *k, uint32_t slot, int64_t offset);
void kit_answer(struct kit *k, struct stream_lookup *lookups, uint32_t count, uint32_t slot);
/* The active table becomes the frozen one, which must be gone. */
void kit_freeze(struct kit *k);
/* The frozen table becomes part of the runs, and its heads go to the cache. */
void kit_flush(struct kit *k);
/* Tables and cache are lost. */
void kit_crash(struct kit *k);
struct el_hash128 kit_key(const char *key);

#endif
