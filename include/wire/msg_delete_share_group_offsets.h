/* SPDX-License-Identifier: Apache-2.0
 *
 * DeleteShareGroupOffsets (key 92, version 0): have a share group without members forget topics.
 * Which version has which field: client/wire/msg_delete_share_group_offsets.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_DELETE_SHARE_GROUP_OFFSETS_H
#define EL_WIRE_MSG_DELETE_SHARE_GROUP_OFFSETS_H

#include <wire/schema.h>

/* A topic to forget. */
struct el_msg_delete_share_group_offsets_topic {
    struct el_slice topic_name; /* topic */
};

/* The request. */
struct el_msg_delete_share_group_offsets_request {
    struct el_slice group_id;                               /* group */
    struct el_msg_delete_share_group_offsets_topic *topics; /* [topic_count] by topic */
    uint32_t topic_count;
};

/* Outcome of one topic. */
struct el_msg_delete_share_group_offsets_topic_result {
    struct el_slice topic_name;    /* topic */
    struct el_uuid topic_id;       /* its id */
    int16_t error_code;            /* enum el_kafka_error */
    struct el_slice error_message; /* null without an error */
};

/* The response. */
struct el_msg_delete_share_group_offsets_response {
    int32_t throttle_time_ms;                                         /* how long to stay away, ms */
    int16_t error_code;                                               /* enum el_kafka_error */
    struct el_slice error_message;                                    /* null without an error */
    struct el_msg_delete_share_group_offsets_topic_result *responses; /* [response_count] by topic */
    uint32_t response_count;
};

extern const struct el_schema el_schema_delete_share_group_offsets_topic;
extern const struct el_schema el_schema_delete_share_group_offsets_request;
extern const struct el_schema el_schema_delete_share_group_offsets_topic_result;
extern const struct el_schema el_schema_delete_share_group_offsets_response;

#endif
