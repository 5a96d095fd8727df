/* SPDX-License-Identifier: Apache-2.0
 *
 * DeleteTopics (key 20, versions 1 to 6): remove topics and their data.
 * Which version has which field: client/wire/msg_delete_topics.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_DELETE_TOPICS_H
#define EL_WIRE_MSG_DELETE_TOPICS_H

#include <wire/schema.h>

/* One topic, by name or by id. */
struct el_msg_delete_topics_topic {
    struct el_slice name;    /* null when given by id */
    struct el_uuid topic_id; /* zero for none */
};

/* The request. */
struct el_msg_delete_topics_request {
    struct el_msg_delete_topics_topic *topics; /* [topic_count] by topic */
    uint32_t topic_count;
    struct el_slice *topic_names; /* [topic_name_count] names */
    uint32_t topic_name_count;
    int32_t timeout_ms; /* longest wait, ms */
};

/* Outcome for one topic. */
struct el_msg_delete_topics_topic_result {
    struct el_slice name;          /* null for an unknown id */
    struct el_uuid topic_id;       /* zero for none */
    int16_t error_code;            /* enum el_kafka_error */
    struct el_slice error_message; /* null without an error */
};

/* The response. */
struct el_msg_delete_topics_response {
    int32_t throttle_time_ms;                            /* how long to stay away, ms */
    struct el_msg_delete_topics_topic_result *responses; /* [response_count] by topic */
    uint32_t response_count;
};

extern const struct el_schema el_schema_delete_topics_topic;
extern const struct el_schema el_schema_delete_topics_request;
extern const struct el_schema el_schema_delete_topics_topic_result;
extern const struct el_schema el_schema_delete_topics_response;

#endif
