/* SPDX-License-Identifier: Apache-2.0
 *
 * The audit log: who did what, in records of the internal topic __evlog_audit. One struct audit per shard; all of it
 * runs on that shard's thread.
 *
 * Two ways in:
 *
 *   - audit_write() takes a finished record, and tells when it is durable: of changes, which wait for that. Its memory
 *     is the caller's, so that what waits is bounded by the memory of requests.
 *   - audit_note() takes what may come in any number: denials, proofs of who somebody is, access to data. Equal ones
 *     are summed in tables of fixed size: the first denial or proof becomes a record at once, what follows one a
 *     minute; access one a minute. What finds no row is counted in a row for all others.
 *
 * The topic is made when the first record comes. Nobody but this layer writes to it: requests refuse to touch internal
 * topics. Format of the records: docs/audit.md. Reasons: docs/decisions/0023-audit.md.
 */
#ifndef EL_AUDIT_AUDIT_H
#define EL_AUDIT_AUDIT_H

#include <config/audit_classes.h>
#include <storage/store.h>

#define AUDIT_TOPIC "__evlog_audit"
#define AUDIT_RECORD_LEN_MAX 20480u /* of the value of one record */
#define AUDIT_ID_LEN 16u            /* digits of an id */

struct audit;

struct audit_settings {
    uint32_t classes;        /* 1 << enum config_audit_class */
    bool required;           /* a change whose record cannot be kept is refused */
    int64_t retention_ms;    /* of the topic; -1: for ever */
    int64_t retention_bytes; /* -1: no bound */
};

/* One record that somebody waits for. */
struct audit_op {
    struct el_slice value; /* JSON, at most AUDIT_RECORD_LEN_MAX; borrowed until done */
    char id[AUDIT_ID_LEN + 1];
    void (*done)(struct audit_op *op); /* perhaps inside audit_write() */
    void *arg;
    int error;           /* out: 0 it is durable | what store_append() or the creation of the topic ended with */
    struct el_list link; /* private */
};

/* What is summed. All texts borrowed for the call; data NULL: there is none. */
struct audit_note {
    int class;                 /* enum config_audit_class: DENIALS, AUTHENTICATION, ACCESS or FAULTS */
    struct el_slice principal; /* of a failed proof: the name that was claimed */
    struct el_slice address;
    struct el_slice listener;
    struct el_slice action;   /* "CreateTopics", "read", "SCRAM-SHA-256", or which fault */
    struct el_slice resource; /* "Topic orders" */
    const char *outcome;      /* "ok", "denied", "failed"; static */
    struct el_slice detail;   /* that of the first one is kept: "Create" */
    uint64_t count;           /* 0 is 1 */
};

/* returns 0 | EVLOG_ERR_NO_MEMORY */
int audit_create(struct store_shard *shard, struct audit **out);
/* When it is idle, or its thread has ended. */
void audit_destroy(struct audit *audit);
void audit_configure(struct audit *audit, const struct audit_settings *settings);
/* Begin; on the shard's thread. Before that nothing is written. */
void audit_start(struct audit *audit);
/* What is summed is written, and later notes are not summed any more. audit_write() goes on as long as the store. */
void audit_stop(struct audit *audit);
/* Nothing is under way. */
bool audit_idle(const struct audit *audit);

/* Is this class kept? */
bool audit_wants(const struct audit *audit, int class);
bool audit_required(const struct audit *audit);
void audit_write(struct audit *audit, struct audit_op *op);
void audit_note(struct audit *audit, const struct audit_note *note);
/* A record that was to be kept is not: count it. */
void audit_lost(struct audit *audit);
/* A new id: hexadecimal digits. */
void audit_id(struct audit *audit, char id[AUDIT_ID_LEN + 1]);

#endif
