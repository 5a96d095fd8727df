/* SPDX-License-Identifier: Apache-2.0
 *
 * CreateTopics (key 19, versions 2 to 7): make topics.
 * Which version has which field: client/wire/msg_create_topics.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_CREATE_TOPICS_H
#define EL_WIRE_MSG_CREATE_TOPICS_H

#include <wire/schema.h>

/* Brokers for one partition, chosen by hand. */
struct el_msg_create_topics_assignment {
    int32_t partition_index; /* index */
    int32_t *broker_ids;     /* [broker_id_count] first one leads */
    uint32_t broker_id_count;
};

/* One setting of the new topic. */
struct el_msg_create_topics_config {
    struct el_slice name;  /* setting */
    struct el_slice value; /* null for none */
};

/* One topic to make. */
struct el_msg_create_topics_topic {
    struct el_slice name;                                /* topic name */
    int32_t num_partitions;                              /* -1 for the default */
    int16_t replication_factor;                          /* -1 for the default */
    struct el_msg_create_topics_assignment *assignments; /* [assignment_count] empty unless chosen by hand */
    uint32_t assignment_count;
    struct el_msg_create_topics_config *configs; /* [config_count] settings */
    uint32_t config_count;
};

/* The request. */
struct el_msg_create_topics_request {
    struct el_msg_create_topics_topic *topics; /* [topic_count] by topic */
    uint32_t topic_count;
    int32_t timeout_ms; /* longest wait, ms */
    bool validate_only; /* check, change nothing */
};

/* One setting as it is in force. */
struct el_msg_create_topics_config_result {
    struct el_slice name;  /* setting */
    struct el_slice value; /* null for none */
    bool read_only;        /* fixed at start */
    int8_t config_source;  /* 1 topic, 2-4 broker, 5 default */
    bool is_sensitive;     /* value is withheld */
};

/* Outcome for one topic. */
struct el_msg_create_topics_topic_result {
    struct el_slice name;                               /* topic name */
    struct el_uuid topic_id;                            /* zero for none */
    int16_t error_code;                                 /* enum el_kafka_error */
    struct el_slice error_message;                      /* null without an error */
    int16_t topic_config_error_code;                    /* tag; why configs is null */
    int32_t num_partitions;                             /* -1 on error */
    int16_t replication_factor;                         /* -1 on error */
    struct el_msg_create_topics_config_result *configs; /* [config_count] null when not allowed to see them */
    uint32_t config_count;
};

/* The response. */
struct el_msg_create_topics_response {
    int32_t throttle_time_ms;                         /* how long to stay away, ms */
    struct el_msg_create_topics_topic_result *topics; /* [topic_count] by topic */
    uint32_t topic_count;
};

extern const struct el_schema el_schema_create_topics_assignment;
extern const struct el_schema el_schema_create_topics_config;
extern const struct el_schema el_schema_create_topics_topic;
extern const struct el_schema el_schema_create_topics_request;
extern const struct el_schema el_schema_create_topics_config_result;
extern const struct el_schema el_schema_create_topics_topic_result;
extern const struct el_schema el_schema_create_topics_response;

#endif
