/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs on the simulated disk, with a model beside: sorted arrays of the entries and names that a run was given. The
 * disk counts calls, and can let one of them fail.
 */
#ifndef EL_TEST_STREAM_RUN_KIT_H
#define EL_TEST_STREAM_RUN_KIT_H

#include "../../sim/sim_disk.h"

#include <core/alloc.h>
#include <core/rng.h>
#include <stream/index_list.h>
#include <stream/index_run.h>
#include <test.h>

struct kit_disk {
    struct disk disk; /* passes every call on */
    struct disk *inner;
    uint64_t calls, reads;
    uint64_t fail_at; /* this call fails, counted by calls from 1; 0 none */
    int fail_code;
};

struct kit {
    struct el_rng rng;
    struct sim_disk *sim;
    struct kit_disk d;
};

void kit_init(struct kit *k, uint64_t seed);
void kit_free(struct kit *k);
/* Let the n-th call from now fail once; 0 none. */
void kit_fail_at(struct kit *k, uint64_t n, int code);

struct kit_name {
    uint32_t slot;
    uint32_t len;
    uint8_t *key;
};

/* What a run holds. */
struct kit_set {
    struct el_stream_entry *entries; /* in order, without duplicates */
    uint32_t entry_count;
    struct kit_name *names; /* the same */
    uint32_t name_count;
};

/* Streams, types and ids of up to slot_max partitions: a few with very many entries, many with one. Hashes come from a
 * small stock when the rng of another set was seeded alike, so that sets overlap. */
void kit_set_draw(struct kit_set *set, struct el_rng *rng, uint32_t entry_max, uint32_t name_max, uint32_t slot_max);
void kit_set_free(struct kit_set *set);
/* Of sets[count], newest first, what a merge must hold. */
void kit_set_merge(struct kit_set *out, const struct kit_set *const *sets, uint32_t count, bool (*keep)(uint32_t slot));

/* An open run, and the memory it uses. */
struct kit_run {
    struct index_run run;
    void *memory;
};

/* returns what the first failing call returned, 0 when none did */
int kit_write(struct kit *k, uint64_t run_id, const struct kit_set *set, struct el_index_run_info *info);
int kit_open(struct kit *k, uint64_t run_id, bool with_filter, struct kit_run *run);
void kit_close(struct kit_run *run);
/* The run walked from its front is the set. */
void kit_run_is(const struct kit_run *run, const struct kit_set *set);
/* A walk ends with this. */
int kit_walk(const struct index_run *run);

#endif
