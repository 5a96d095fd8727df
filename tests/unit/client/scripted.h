/* SPDX-License-Identifier: Apache-2.0
 *
 * A broker that follows a script, for tests of subscribers: the client's internal thread with the network replaced by a
 * function. One node, one topic "t", one group. What was asked is written down as text, so that a test can wait for it
 * and look at its order.
 */
#ifndef EL_TEST_SCRIPTED_H
#define EL_TEST_SCRIPTED_H

#include "../../../client/client_core.h"

#include <evlog/evlog.h>

#define SCRIPTED_PARTITIONS 8
#define SCRIPTED_LOG_LEN 16384

struct scripted {
    struct evlog_client client;
    pthread_t thread;
    bool stopping;
    struct el_list held; /* calls that are not answered yet */
    /* the script; change it under client.lock */
    int32_t partition_count;
    int64_t ends[SCRIPTED_PARTITIONS];                                     /* of the logs */
    int64_t starts[SCRIPTED_PARTITIONS];                                   /* of the logs, as ListOffsets says */
    int64_t committed[SCRIPTED_PARTITIONS];                                /* -1 none */
    int find_error, join_error, sync_error, heartbeat_error, commit_error; /* Kafka codes, answered until changed */
    bool once;  /* the next error is answered once, then all is well */
    bool leads; /* the member divides, else it is told what it gets: */
    int32_t given[SCRIPTED_PARTITIONS];
    uint32_t given_count;
    bool holds_joins;
    bool breaks_sync; /* assignments are bytes that mean nothing */
    const char *strategy;
    const char *second_topic; /* another one than "t", which is there when has_second is set; NULL: none is asked for */
    bool has_second;
    int32_t generation;
    bool (*other)(struct scripted *s,
                  struct el_call *call); /* answers requests that are not known here; false: later */
    char log[SCRIPTED_LOG_LEN];
    size_t log_len;
};

/* Start; settings are pairs KEY, VALUE, NULL at the end, or NULL. */
void scripted_begin(struct scripted *s, const char *const *settings);
void scripted_end(struct scripted *s);
/* Wait until the log holds text behind pos (bytes). returns where it ends; fails the test when it does not come */
size_t scripted_wait(struct scripted *s, size_t pos, const char *text);
/* True when the log holds text behind pos. */
bool scripted_has(struct scripted *s, size_t pos, const char *text);
/* Where the log ends now. */
size_t scripted_pos(struct scripted *s);
/* Let go of joins that are held, answering them. */
void scripted_release(struct scripted *s);
/* Add events to a partition. */
void scripted_append(struct scripted *s, int32_t partition, int64_t count);

/* Of the topic "t". */
extern const struct el_uuid scripted_topic_id;
/* For other(): end a call with a response of its api (NULL: with a broken connection), write into the log. */
void scripted_give(struct scripted *s, struct el_call *call, const void *response);
void scripted_note(struct scripted *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
