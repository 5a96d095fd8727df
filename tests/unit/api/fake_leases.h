/* SPDX-License-Identifier: Apache-2.0
 *
 * Work groups of a few arrays, in place of those of broker/lease: every partition has a number of events that are ready
 * and gives them out in order. Part of the fake of fake.h; begun and ended with it.
 */
#ifndef EL_TEST_API_FAKE_LEASES_H
#define EL_TEST_API_FAKE_LEASES_H

#include "fake.h"

#define FAKE_PARTITION_MAX 40
#define FAKE_RECORD_LEN 100u /* bytes of data of each event */

/* One thing that was asked of a partition. */
struct fake_lease_call {
    struct el_uuid topic_id;
    int32_t partition;
    uint64_t session;
    bool release; /* else a fetch */
    uint32_t outcome_count;
    struct lease_outcome outcomes[4]; /* texts are not kept */
    char reason[80], error[300];      /* of the first outcome */
    int32_t emit_partitions[4];       /* the same */
    uint32_t records_max, bytes_max, range_fill;
    int64_t window_ms;
};

struct fake_leases {
    int64_t next[FAKE_TOPIC_MAX][FAKE_PARTITION_MAX]; /* first event that is ready */
    int64_t end[FAKE_TOPIC_MAX][FAKE_PARTITION_MAX];  /* one past the last */
    int error[FAKE_TOPIC_MAX][FAKE_PARTITION_MAX];    /* what fetches end with */
    int outcome_error;                                /* what outcomes end with */
    struct lease_batch batch;                         /* what an answer may bring; 0 no limit */
    int32_t lease_ms;
    struct fake_lease_call calls[256]; /* [call_count] fetches and releases in order */
    uint32_t call_count;
    bool defer; /* fetches, releases and ends of watches wait in ops until fake_lease_run() */
    struct lease_op *ops[FAKE_OP_MAX];
    uint32_t op_count;
    struct lease_op *watches[FAKE_OP_MAX]; /* under way */
    uint32_t watch_count;
    uint32_t cancel_count;
    uint32_t block_count; /* results not yet given back */
    uint64_t session_last;
    /* groups */
    struct share_heartbeat_op heartbeat; /* the last one, texts as long as its request lives */
    int heartbeat_error;
    struct share_assignment assignments[4];
    uint32_t assignment_count;
    bool assigned;
    int group_error; /* what is said of any group */
    struct share_member_view members[4];
    uint32_t member_count;
    struct lease_offsets_op offsets_answer; /* its results are those of every partition */
    struct lease_offsets_op offsets_asked[FAKE_OP_MAX];
    uint32_t offsets_count;
    struct lease_why_op why_answer;
    int32_t why_partition; /* where the key is known */
    int32_t parked_partition;
    /* redrives */
    struct lease_redrive_op redrive_asked;
    struct lease_selection redrive_selection; /* texts as long as its request lives */
    int redrive_error;
    const char *redrive_message; /* NULL: none */
    struct lease_redrive_view redrives[2];
    uint32_t redrive_count;
    struct lease_redrives_op redrives_asked;
    struct lease_letter_range letter_ranges[2];
    uint32_t letter_range_count;
    struct lease_letters_op letters_asked;
};

extern struct fake_leases leases_fake;

struct leases *fake_leases_begin(void);
void fake_leases_end(void);
/* So many more events of a partition of topic 0 are ready: watches fire. */
void fake_lease_ready(int32_t partition, int64_t count);
/* End the oldest deferred operation. */
void fake_lease_run(void);
/* Releases among the calls. */
uint32_t fake_lease_releases(void);

#endif
