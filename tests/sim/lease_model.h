/* SPDX-License-Identifier: Apache-2.0
 *
 * What the workers of the lease mode know, and what must hold of it: at least once; the events of a key strictly in
 * order; an event that was acknowledged comes never again; what was exhausted or rejected is in the dead-letter topic
 * exactly once, and then was not acknowledged; where a group stands never goes back.
 */
#ifndef EL_SIM_LEASE_MODEL_H
#define EL_SIM_LEASE_MODEL_H

#include "world.h"
#include <lease/leases.h>

#define LEASE_GROUPS_MAX 2u
#define LEASE_TOPICS_MAX 2u
#define LEASE_PARTITIONS_MAX 3
#define LEASE_EVENTS_MAX 4096u /* of a partition */
#define LEASE_KEYS 6u          /* key 0: none */
#define LEASE_NONCES_MAX 65536u

enum lease_model_order { MODEL_BY_KEY, MODEL_BY_PARTITION, MODEL_UNORDERED };

/* An event, as one group sees it. */
struct lease_view {
    uint16_t deliveries;    /* as the broker has counted them when it was delivered last */
    uint32_t lost_before;   /* log->lost at that time */
    uint64_t answered;      /* and the clock of questions, or when it was finished; 0 never */
    uint64_t letter_seen;   /* the same of its letter */
    uint64_t dead_at;       /* it was dead then for sure; 0 nobody knows */
    bool ack_sent;          /* it may be done */
    bool acked;             /* it is: that was answered */
    bool rejected;          /* a worker said so, maybe without an answer */
    bool told;              /* that was answered */
    uint16_t buried;        /* times that it is in the dead-letter topic */
    uint16_t buried_before; /* the group was moved there, or made anew */
    bool buried_late;       /* one more may be from before that: in a journal that failed, and shown after a restart */
    uint16_t redriven;      /* letters of it that are marked as redriven */
    uint16_t letters;       /* buried since buried_before, as of the last reading of the whole topic */
    uint16_t returned;      /* of those, the ones it has surely come back from: it was delivered since */
    uint16_t copied;        /* the same, of a redrive to a topic */
    uint16_t copies;        /* of it, that are in that topic */
    bool letter_gone;       /* it may have been in a dead-letter topic that was deleted, and be finished */
    bool copied_more;       /* the same: letters that were copied may be gone */
    /* see lease_emits.h */
    uint8_t emits_wanted, emits_said, emits_found; /* acknowledged with so many; those that say so; a bit for each */
    uint32_t emit_nonce, emits_nonce_found;
    uint32_t emits_before; /* the nonce when the group was moved, or made anew */
};

struct lease_event {
    bool known; /* in the log */
    uint8_t key;
    bool poison; /* workers always fail */
    uint64_t number;
    struct lease_view views[LEASE_GROUPS_MAX];
};

struct lease_log {
    struct el_uuid topic_id;
    int32_t partition;
    struct lease_event *events; /* [LEASE_EVENTS_MAX] */
    int64_t end;                /* of those known */
    int64_t trimmed;            /* events below may be gone */
    int64_t start[LEASE_GROUPS_MAX];
    int64_t skipped[LEASE_GROUPS_MAX];      /* the group was moved there, last: events below are finished */
    bool away[LEASE_GROUPS_MAX];            /* it is being moved, or ended: nobody works on it */
    uint32_t redrives[LEASE_GROUPS_MAX];    /* of its letters, that may have been begun */
    uint32_t lost[LEASE_GROUPS_MAX];        /* fetches without an answer: each may have been a delivery of any event */
    int64_t letters_gone[LEASE_GROUPS_MAX]; /* that were in topics which were deleted, since the group begins there */
    uint32_t flying[LEASE_GROUPS_MAX];      /* fetches whose answers are late: likewise */
};

struct lease_model_group {
    char id[16];
    enum lease_model_order order;
    int32_t attempts_max; /* -1 no end */
    bool parks, halts;
    uint32_t lease_ms;
    bool filters; /* one event in FILTER_OF does not match */
};
#define LEASE_FILTER_OF 3u
#define LEASE_FILTER "{\"f\":[\"1\",\"2\"]}" /* header f: the event's number modulo that */

struct lease_model {
    struct world *w;
    uint32_t group_count;
    struct lease_model_group groups[LEASE_GROUPS_MAX];
    uint32_t topic_count;
    int32_t partition_count;
    struct lease_log logs[LEASE_TOPICS_MAX][LEASE_PARTITIONS_MAX];
    uint64_t deliveries, acks, dead;
    uint64_t clock; /* of questions: rises with each fetch that is begun or answered */
    uint32_t nonce; /* of the last acknowledgement with emits */
    uint8_t *owed;  /* [LEASE_NONCES_MAX] emits of an acknowledgement that counted, of events whose view is forgotten */
    uint8_t *paid;  /* [LEASE_NONCES_MAX] a bit for each of them that was found */
};

void lease_model_init(struct lease_model *m, struct world *w);
void lease_model_free(struct lease_model *m);
struct lease_log *lease_model_log(struct lease_model *m, uint32_t topic, int32_t partition);
/* An event is in the log. */
void lease_model_stored(struct lease_model *m, struct lease_log *log, int64_t offset, uint8_t key, uint64_t number);
/* The process has ended. What was leased and given back, because it did not fit into an answer, may count. */
void lease_model_crash(struct lease_model *m);
/* A worker got it, who asked at that time of m->clock. */
void lease_model_delivered(struct lease_model *m, struct lease_log *log, uint32_t group, int64_t offset,
                           int32_t deliveries, uint64_t asked);
/* It was told by a dead letter; redriven: that is marked so. */
void lease_model_buried(struct lease_model *m, struct lease_log *log, uint32_t group, int64_t offset, bool redriven);
/* All letters of the log were read: since that time of the clock. */
void lease_model_letters_read(struct lease_model *m, struct lease_log *log, uint32_t group, uint64_t since);
/* A worker was told that its acknowledgement counts. */
void lease_model_acked(struct lease_model *m, struct lease_log *log, uint32_t group, int64_t offset);
/* The same of its rejection. */
void lease_model_rejected(struct lease_model *m, struct lease_log *log, uint32_t group, int64_t offset);
/* The group begins anew at that offset; what is in the dead-letter topic was read just now. */
void lease_model_moved(struct lease_model *m, struct lease_log *log, uint32_t group, int64_t offset);
/* The topic was deleted: the log is another one, and empty. */
void lease_model_deleted(struct lease_model *m, struct lease_log *log);
/* The topic of its dead letters was deleted: whatever may have been in it is gone; what came later is in the next one.
 * count: of its letters, when it is gone for sure; -1: it may be */
void lease_model_letters_gone(struct lease_model *m, struct lease_log *log, uint32_t group, int64_t count);
/* May it stand there, when it was seen at that place before? Further, when what lies between may be finished; events
 * that do not match are looked at again after a crash. */
bool lease_model_stands(const struct lease_model *m, const struct lease_log *log, uint32_t group, int64_t start,
                        int64_t seen);
/* Where the group stands. */
void lease_model_start(struct lease_model *m, struct lease_log *log, uint32_t group, int64_t start);
/* All is quiet and finished: nothing is missing. */
void lease_model_end(struct lease_model *m);

#endif
