/* SPDX-License-Identifier: Apache-2.0
 *
 * Dead letters of work groups from outside: redrive them, drop them, ask what became of them. evlog only; Apache Kafka
 * keeps no dead letters.
 *
 * A redrive is a task of the broker: it brings the events of letters back to their group, in order, once each, and goes
 * on by itself over restarts. It may append copies to a topic instead. Every function blocks for at most
 * request.timeout.ms a request and may be called from any thread. Results lie in one object, which its _free gives
 * back with everything in it. Since 1.0.
 */
#ifndef EVLOG_REDRIVE_H
#define EVLOG_REDRIVE_H

#include <evlog/client.h>
#include <evlog/event.h>

#ifdef __cplusplus
extern "C" {
#endif

struct evlog_letter_range {
    int32_t partition;
    int64_t first, last; /* offsets, inclusive */
};

struct evlog_redrive_options {
    size_t size;       /* sizeof(struct evlog_redrive_options) */
    const char *group; /* that gave the events up */
    const char *topic; /* of the letters */
    bool drop;         /* settle the letters, and bring nothing back */
    const char *to;    /* append the events to this topic, and bring none back; NULL: do not */
    bool dry_run;      /* count, and change nothing */
    int32_t rate;      /* events a second, 0: as fast as workers take them */
    /* Which letters: those that are all of this. */
    struct evlog_bytes key;                  /* of the event; data NULL: any */
    const char *reason;                      /* as the letter has it; NULL: any */
    const char *pattern;                     /* event pattern on the letter; NULL: any */
    int64_t since_ms, until_ms;              /* of the letter's own time, since <= time < until; -1: open */
    const struct evlog_letter_range *ranges; /* [range_count], at most 64; none: all */
    size_t range_count;
};
#define EVLOG_REDRIVE_OPTIONS_INIT                                                                                     \
    {                                                                                                                  \
        .size = sizeof(struct evlog_redrive_options), .since_ms = -1, .until_ms = -1                                   \
    }

/* Begin a redrive of the letters that are in the topic now.
 *
 * id       its number, written on success
 * returns  0 | EVLOG_ERR_GROUP_NOT_FOUND | EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_ARGUMENT the selection or the topic to
 *          copy to cannot be, or
 *          another redrive of these letters is running | EVLOG_ERR_UNSUPPORTED the broker is not evlog
 */
int evlog_redrive_start(struct evlog_client *client, const struct evlog_redrive_options *options, uint64_t *id,
                        struct evlog_failure *failure);

struct evlog_redrive {
    uint64_t id;
    const char *group, *topic;
    const char *state; /* "running", "done", "cancelled", "failed" */
    const char *why;   /* it waits or has failed; empty: nothing to say */
    const char *to;    /* topic that letters are copied to; NULL: none */
    bool drop, dry_run;
    int32_t rate;
    int64_t began_ms, ended_ms; /* ended: -1 not yet */
    int32_t partition;          /* where it stands */
    int64_t offset;
    uint64_t total, seen;       /* offsets to be looked at, about; that were */
    uint64_t matched;           /* open letters that were selected */
    uint64_t redriven, dropped; /* redriven: also those copied */
    uint64_t gone;              /* the source does not have the event any more; they stay open */
    uint64_t
        passed; /* the group's filter lets the event pass by, or the topic copied to does not take it; they stay open */
    uint64_t settled; /* selected ones that were redriven or dropped before */
    uint64_t others;  /* records that are no letters of the group */
};
struct evlog_redrive_list {
    const struct evlog_redrive *redrives; /* [redrive_count], by id */
    size_t redrive_count;
};

/* Redrives that run, and the last of each group that have ended.
 *
 * topic    of the letters; NULL: of all
 * list     written on success; free with evlog_redrive_list_free()
 */
int evlog_redrive_list(struct evlog_client *client, const char *topic, struct evlog_redrive_list **list,
                       struct evlog_failure *failure);
/* The same of one. returns also EVLOG_ERR_NOT_FOUND */
int evlog_redrive_find(struct evlog_client *client, uint64_t id, struct evlog_redrive_list **list,
                       struct evlog_failure *failure);
void evlog_redrive_list_free(struct evlog_redrive_list *list);
/* End one that runs; what it has done stays done. returns 0 it has ended | EVLOG_ERR_NOT_FOUND | EVLOG_ERR_ARGUMENT it
 * had ended before */
int evlog_redrive_cancel(struct evlog_client *client, uint64_t id, struct evlog_failure *failure);

/* Letters next to each other that are not open. */
struct evlog_letters {
    int64_t first, last; /* offsets, inclusive */
    bool dropped;        /* else redriven */
};
struct evlog_letter_list {
    const struct evlog_letters *letters; /* [letter_count] rising; all others are open */
    size_t letter_count;
};

/* What became of the letters of one partition.
 *
 * list     written on success; free with evlog_letter_list_free()
 * returns  0 | EVLOG_ERR_GROUP_NOT_FOUND | EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_UNSUPPORTED
 */
int evlog_letter_list(struct evlog_client *client, const char *group, const char *topic, int32_t partition,
                      struct evlog_letter_list **list, struct evlog_failure *failure);
void evlog_letter_list_free(struct evlog_letter_list *list);

/* Let a parked key go on: its events are delivered again. Those that followed the first one to the dead letters stay
 * there until they are redriven, which for their order comes first.
 *
 * topic    of the events, not of the letters
 * returns  0 | EVLOG_ERR_NOT_FOUND the key is not parked | EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_UNSUPPORTED
 */
int evlog_key_release(struct evlog_client *client, const char *group, const char *topic, struct evlog_bytes key,
                      struct evlog_failure *failure);

/* Where a key is parked, and after which letter of it. */
struct evlog_parked {
    int32_t partition;
    uint64_t token;
};
/* returns 0 it is parked, the lowest partition is written | EVLOG_ERR_NOT_FOUND | as evlog_key_release() */
int evlog_key_parked(struct evlog_client *client, const char *group, const char *topic, struct evlog_bytes key,
                     struct evlog_parked *parked, struct evlog_failure *failure);
/* Let it go on there, unless more of its events have become dead letters since evlog_key_parked(): redrive between the
 * two, and no letter of the key is left behind.
 *
 * returns  as evlog_key_release() | EVLOG_ERR_AGAIN there are more letters: ask again, and redrive these
 */
int evlog_key_release_after(struct evlog_client *client, const char *group, const char *topic, struct evlog_bytes key,
                            const struct evlog_parked *parked, struct evlog_failure *failure);

#ifdef __cplusplus
}
#endif
#endif
