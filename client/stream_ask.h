/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocking requests about streams to the leader of a topic's partition; and what the parts of streams share.
 */
#ifndef EL_CLIENT_STREAM_ASK_H
#define EL_CLIENT_STREAM_ASK_H

#include "client_core.h"

#include <evlog/stream.h>

struct el_stream_ask {
    const char *topic;
    int32_t partition; /* -1: the broker finds it by the key */
    enum el_api_key api;
    const void *request;
    int (*code_of)(const void *response); /* Kafka code of the answer, 0: none */
    bool appends; /* it is tried until delivery.timeout.ms is over, and may be in doubt then; else request.timeout.ms */
};

/* Ask and wait, trying again after lost connections and answers that time may mend.
 *
 * call      filled on success; el_call_free() when the answer is no longer needed
 * response  the answer's struct; its code_of() is 0 or one that time does not mend
 * returns   0 an answer | EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_UNSUPPORTED the broker has no streams |
 *           EVLOG_ERR_UNREACHABLE | EVLOG_ERR_TIMED_OUT | EVLOG_ERR_IN_DOUBT an append whose answer did not come
 */
int el_stream_ask(struct evlog_client *client, const struct el_stream_ask *ask, struct el_call *call, void *response,
                  struct evlog_failure *failure);

static inline struct el_slice el_slice_from(struct evlog_bytes bytes)
{
    return el_slice_of(bytes.data, bytes.len);
}

/* Is it a topic, and is the key one that a stream can have? returns 0 | EVLOG_ERR_ARGUMENT, EVLOG_ERR_LIMIT, told */
int el_stream_check_name(const char *topic, struct evlog_bytes key, struct evlog_failure *failure);

#define EL_STREAM_WHAT_LEN 400
/* "stream KEY of topic T", for texts: what[EL_STREAM_WHAT_LEN]; bytes that are no text are shown as ?. */
const char *el_stream_what(char *what, const char *topic, struct evlog_bytes key);

#endif
