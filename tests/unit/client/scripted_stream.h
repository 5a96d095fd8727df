/* SPDX-License-Identifier: Apache-2.0
 *
 * A broker with streams on the topic "t" of two partitions, for tests of what the client makes of them: versions, ids,
 * pages, faults on request. A key is in partition 1 when its first byte is odd. Keys of the topic "t.snapshots", which
 * is there once it was made, stand in the same logs with a '~' before them. It writes down what it was asked:
 *
 *     append(KEY@EXPECTED IDS) read(KEY FROM..TO) list(PARTITION) type(PARTITION FROM) delete(KEY) create(TOPIC)
 */
#ifndef EL_TEST_SCRIPTED_STREAM_H
#define EL_TEST_SCRIPTED_STREAM_H

#include "scripted.h"

#include <wire/msg_ext_stream_append.h>

#define SCRIPTED_STREAM_PARTS 2
#define SCRIPTED_STREAM_EVENTS 512 /* of a partition */
#define SCRIPTED_TEXT_LEN 64
#define SCRIPTED_HEADERS 4

struct scripted_event {
    char key[SCRIPTED_TEXT_LEN], id[SCRIPTED_TEXT_LEN], type[SCRIPTED_TEXT_LEN], data[SCRIPTED_TEXT_LEN];
    char headers[SCRIPTED_HEADERS][2][SCRIPTED_TEXT_LEN]; /* names and values; empty name: none */
    int64_t version;
    bool soft, hard; /* deletes the stream */
};

struct scripted_stream {
    struct scripted s;
    struct scripted_event log[SCRIPTED_STREAM_PARTS]
                             [SCRIPTED_STREAM_EVENTS]; /* by offset; append time 1000 (offset + 1) */
    int count[SCRIPTED_STREAM_PARTS];
    int page;  /* events or names in an answer */
    int lost;  /* so many answers of appends are lost after they were stored */
    int error; /* Kafka code, answered error_count times before anything is done */
    int error_count;
    bool unsupported;                                  /* there are no such requests */
    bool silent;                                       /* no append is ever answered, nor stored */
    bool unfit;                                        /* answers do not fit the question */
    uint32_t append_count;                             /* requests */
    void (*before_append)(struct scripted_stream *st); /* runs with the lock held; NULL */
};

void scripted_stream_begin(struct scripted_stream *st, const char *const *settings);
void scripted_stream_end(struct scripted_stream *st);
/* Put an event there, as another client would; NULL id and type: none. */
void scripted_stream_put(struct scripted_stream *st, const char *key, const char *id, const char *type,
                         const char *data);
/* The same with the lock held. */
void scripted_stream_add(struct scripted_stream *st, const char *key, const char *id, const char *type,
                         const char *data);

#endif
