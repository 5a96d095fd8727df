/* SPDX-License-Identifier: Apache-2.0
 *
 * RedriveTasks (key 0x4026, version 0): redrives that run or have ended; cancel one.
 * Body: one CBOR map; every field and its key: docs/protocol.md section 5.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_EXT_REDRIVE_TASKS_H
#define EL_WIRE_MSG_EXT_REDRIVE_TASKS_H

#include <wire/schema.h>

/* The request. */
struct el_msg_ext_redrive_tasks_request {
    uint64_t id;           /* verbs 1 and 2: of the redrive */
    int8_t verb;           /* 0 list, 1 describe, 2 cancel */
    struct el_slice topic; /* verb 0: of the letters, null for all */
};

/* One redrive. */
struct el_msg_ext_redrive_tasks_task {
    uint64_t id;           /* number */
    struct el_slice to;    /* topic that letters are copied to, null none */
    struct el_slice why;   /* it waits or has failed, null nothing to say */
    uint64_t gone;         /* letters whose source has the event no more */
    int32_t rate;          /* events a second, 0 no bound */
    uint64_t seen;         /* offsets that were looked at */
    struct el_slice group; /* group */
    struct el_slice state; /* running, done, cancelled, failed */
    struct el_slice topic; /* of the letters */
    uint64_t total;        /* offsets to be looked at, about */
    int8_t action;         /* 0 redrive, 1 drop, 2 copy */
    int64_t offset;        /* where it stands */
    uint64_t others;       /* records that are no letters of the group */
    uint64_t passed;       /* letters whose events the group's filter lets pass by, or the target does not take */
    uint64_t dropped;      /* letters settled without coming back */
    bool dry_run;          /* it only counts */
    uint64_t matched;      /* open letters that were selected */
    uint64_t settled;      /* selected ones that were redriven or dropped before */
    int64_t began_ms;      /* time */
    int64_t ended_ms;      /* time, -1 not yet */
    uint64_t redriven;     /* letters whose events have come back, or were copied */
    int32_t partition;     /* where it stands */
};

/* The response. */
struct el_msg_ext_redrive_tasks_response {
    int16_t error;                               /* enum el_kafka_error */
    struct el_msg_ext_redrive_tasks_task *tasks; /* [task_count] by id */
    uint32_t task_count;
    struct el_slice message; /* text when error is set, else null */
};

extern const struct el_schema el_schema_ext_redrive_tasks_request;
extern const struct el_schema el_schema_ext_redrive_tasks_task;
extern const struct el_schema el_schema_ext_redrive_tasks_response;

#endif
