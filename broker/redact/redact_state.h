/* SPDX-License-Identifier: Apache-2.0
 *
 * What the redactor is made of; shard 0 only. Private to broker/redact.
 */
#ifndef EL_REDACT_REDACT_STATE_H
#define EL_REDACT_REDACT_STATE_H

#include <redact/redactor.h>

enum work_step { WORK_IDLE, WORK_LOCAL, WORK_ARCHIVE, WORK_RELEASE };

struct redact_done {
    struct redact_entry entry;
    int64_t parent_end;
};

struct redactor {
    struct store *store;
    struct store_shard *shard; /* 0 */
    struct io *io;             /* of shard 0 */
    struct archiver *archiver; /* NULL: there is no archive */
    bool archives;             /* there is one, or this directory has had one */
    bool stopping;
    /* the list: the first saved_count of it are durable */
    struct redact_entry entries[REDACT_PENDING_MAX];
    uint32_t count, saved_count;
    struct redact_entry saving[REDACT_PENDING_MAX]; /* the job's */
    uint32_t saving_count;
    uint32_t saving_left; /* of them, entries that left the list since */
    bool save_wanted, save_busy;
    struct io_op save_op;
    struct el_list asks; /* struct redact_ask: they wait for it */
    /* the work on entries[0] */
    enum work_step step;
    bool busy; /* an op is under way */
    struct redact_op local;
    struct archive_redact_ask ask;
    struct io_timer timer;
    char stuck[192]; /* what stands in the way, "" nothing */
    /* what was done */
    struct redact_done done[REDACT_DONE_MAX];
    uint32_t done_turn;
};

/* --- redactor.c --------------------------------------------------------------------------------------------------- */

/* The ask's entry has joined the list: it is answered when that is durable. */
void redactor_accept(struct redactor *r, struct redact_ask *ask);

/* --- redact_find.c: what is in the range -------------------------------------------------------------------------- */

/* Look, on shard 0, and answer or have it accepted. */
void redact_find(struct redact_ask *ask);
/* The ask is answered with its results. */
void redact_answer(struct redact_ask *ask, int error);
void redact_refuse(struct redact_ask *ask, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
