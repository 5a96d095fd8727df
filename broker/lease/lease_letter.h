/* SPDX-License-Identifier: Apache-2.0
 *
 * A dead letter: the event as it was, and headers that tell what became of it. Pure functions over bytes, on a worker.
 */
#ifndef EL_LEASE_LEASE_LETTER_H
#define EL_LEASE_LEASE_LETTER_H

#include <format/batch.h>
#include <lease/lease_table.h>

#define LEASE_LETTER_PREFIX "evlog-dlq-"
/* Of a letter of what an event has emitted: the topic that has refused it. */
#define LEASE_LETTER_EMIT_TOPIC LEASE_LETTER_PREFIX "emit-topic"

struct lease_letter {
    const uint8_t *data; /* batches back to back, the event is in the first that reaches its offset */
    size_t len;
    int64_t offset;
    int64_t now_ms;        /* time of the letter */
    struct el_slice topic; /* of the source */
    int32_t partition;
    struct el_slice group;
    uint32_t attempts;
    enum lease_death death;
    struct el_slice reason;  /* a worker's; data NULL: what death says */
    struct el_slice error;   /* the last one; data NULL: none */
    struct el_slice history; /* CBOR: see lease_story.h; data NULL: none */
    uint8_t *buf;            /* [buf_len] for the letter */
    size_t buf_len;
    size_t wanted_len;               /* out, with EVLOG_ERR_LIMIT: so much is needed */
    struct el_batch_builder builder; /* out: over buf; to be finished with producer and sequence */
    struct el_slice key;             /* out: in buf; data NULL: none */
};

/* Build it.
 * returns   0 | EVLOG_ERR_LIMIT more room is needed | EVLOG_ERR_NOT_FOUND the event is not in the log any more |
 *           EVLOG_ERR_NO_MEMORY | EVLOG_ERR_INVALID_RECORD, ... the batch cannot be understood */
int lease_letter_build(struct lease_letter *letter);
/* The word for a death in headers and for people. */
const char *lease_death_word(enum lease_death death);

#endif
