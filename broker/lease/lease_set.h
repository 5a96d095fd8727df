/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs of one block of 65,536 offsets: as bytes of its record, and as a list of nodes for what was restored and not yet
 * read again. A list belongs to one block, is in order, and loses runs only at its front.
 */
#ifndef EL_LEASE_SET_H
#define EL_LEASE_SET_H

#include <core/cursor.h>
#include <lease/lease_node.h>

#define LEASE_RUN_UNTOUCHED 0u
#define LEASE_RUN_FINISHED 0xffffu
#define LEASE_RUN_REJECTED                                                                                             \
    0x8000u /* a bit, with attempts up to LEASE_REJECTED_MAX; else attempts, to LEASE_ATTEMPTS_MAX */
#define LEASE_REJECTED_MAX (LEASE_ATTEMPTS_MAX - 1)
#define LEASE_BLOCK_OFFSETS (1u << LEASE_BLOCK_BITS)
#define LEASE_BLOCK_VERSION 1u

EL_STATIC_ASSERT(LEASE_ATTEMPTS_MAX < LEASE_RUN_REJECTED, "attempts are told from rejected");
EL_STATIC_ASSERT((LEASE_REJECTED_MAX | LEASE_RUN_REJECTED) < LEASE_RUN_FINISHED, "and that from finished");

struct lease_run {
    uint16_t first, last; /* place in the block, inclusive */
    uint16_t what;        /* LEASE_RUN_FINISHED, or attempts, maybe with LEASE_RUN_REJECTED */
};

/* --- as bytes ----------------------------------------------------------------------------------------------------- */

struct lease_run_writer {
    struct el_writer w;
    uint32_t total; /* offsets pushed */
    uint32_t len;   /* of the run that is not written yet */
    uint16_t what;  /* of that run */
};
void lease_run_writer_init(struct lease_run_writer *rw, uint8_t *buf, size_t room);
/* The next len offsets, which may be 0. */
void lease_run_push(struct lease_run_writer *rw, uint32_t len, uint16_t what);
/* returns bytes | 0: the room was too small */
size_t lease_run_writer_end(struct lease_run_writer *rw);

struct lease_run_reader {
    struct el_reader r;
    uint32_t total; /* offsets read */
    int last_what;  /* of the run before, -1 none */
};
/* Sticky: every later call fails when the version is not known. */
void lease_run_reader_init(struct lease_run_reader *rr, struct el_slice data);
/* The next run that is not untouched. Bytes from disk: all is checked.
 * returns   1 | 0: there is none, and all was well | EVLOG_ERR_MALFORMED */
int lease_run_read(struct lease_run_reader *rr, struct lease_run *run);

/* --- as a list behind a block's node ------------------------------------------------------------------------------ */

/* Append. returns 0 | EVLOG_ERR_NO_MEMORY */
int lease_runs_push(struct lease_memory *m, struct lease_node *block, struct lease_run run);
/* Forget what lies below place (0 .. 65,536). */
void lease_runs_trim(struct lease_memory *m, struct lease_node *block, uint32_t place);
/* The offset at that place, which is in a run, is untouched. returns 0 | EVLOG_ERR_NO_MEMORY nothing has changed */
int lease_runs_punch(struct lease_memory *m, struct lease_node *block, uint16_t place);
/* Where one walk over a list is; the list may not change meanwhile. */
struct lease_runs_cursor {
    uint32_t id;
    uint32_t index;
};
void lease_runs_begin(const struct lease_node *block, struct lease_runs_cursor *cursor);
/* The next run that does not end before place. returns false: there is none */
bool lease_runs_next(const struct lease_memory *m, struct lease_runs_cursor *cursor, uint32_t place,
                     struct lease_run *run);

#endif
