/* SPDX-License-Identifier: Apache-2.0
 *
 * What the requests for streams share: the topic that they name, and texts for people.
 */
#ifndef EL_API_STREAM_TARGET_H
#define EL_API_STREAM_TARGET_H

#include <api/api.h>
#include <stream/streams.h>

#define STREAM_KEY_TEXT_LEN 100u  /* a key as people see it, with its NUL */
#define STREAM_STATE_TEXT_LEN 64u /* "version 7", with its NUL */

/* A topic whose keys are streams, as it was when the request came. */
struct stream_target {
    struct el_uuid topic_id;
    int32_t partition_count;
    int64_t max_age_ms;         /* events that are older are not shown; -1 none */
    struct topic_config config; /* its own settings */
    char name[EL_TOPIC_NAME_MAX + 1];
    int16_t error;           /* enum el_kafka_error: there is no such topic, or its keys are no streams */
    struct el_slice message; /* text, set with error */
};

/* Find it; a zero id means by name. target->error is set, and counted, when it cannot be used. */
void stream_target_find(struct api *api, struct request *request, struct el_slice name, const struct el_uuid *id,
                        struct stream_target *target);
/* The partition of a key. */
int32_t stream_target_partition(const struct stream_target *target, struct el_slice key);
/* Is it a key that a stream can have? returns NULL, or what is wrong with it; static */
const char *stream_key_fault(struct el_slice key);
/* Is it -1, -2, -4 or a version? */
bool stream_expected_valid(int64_t expected);

/* Kafka's code for what evlog's own requests for streams end with: conflicts have one of their own there. */
int16_t stream_error(int error);

/* A key as people see it: in quotes, what is not text as \xHH, cut when it is long. text[STREAM_KEY_TEXT_LEN] */
const char *stream_key_text(char *text, struct el_slice key);
/* What a stream is at: "at version 7", "without events", "deleted". text[STREAM_STATE_TEXT_LEN] */
const char *stream_state_text(char *text, const struct stream_check *told);
/* What was expected: "version 7", "no event", "an event". text[STREAM_STATE_TEXT_LEN] */
const char *stream_expected_text(char *text, int64_t expected);

#endif
