/* SPDX-License-Identifier: Apache-2.0
 *
 * ApiVersions (key 18, versions 0 to 5): which requests in which versions a broker answers.
 * Which version has which field: client/wire/msg_api_versions.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_API_VERSIONS_H
#define EL_WIRE_MSG_API_VERSIONS_H

#include <wire/schema.h>

/* The request. */
struct el_msg_api_versions_request {
    struct el_slice client_software_name;    /* such as "librdkafka" */
    struct el_slice client_software_version; /* such as "2.3.0" */
    struct el_slice cluster_id;              /* cluster meant, null when not known */
    int32_t node_id;                         /* node meant, -1 when not known */
};

/* Versions of one request. */
struct el_msg_api_versions_key {
    int16_t api_key;     /* request */
    int16_t min_version; /* lowest */
    int16_t max_version; /* highest */
};

/* A cluster feature this broker could run. */
struct el_msg_api_versions_supported_feature {
    struct el_slice name; /* feature */
    int16_t min_version;  /* lowest */
    int16_t max_version;  /* highest */
};

/* A cluster feature in force. */
struct el_msg_api_versions_finalized_feature {
    struct el_slice name;      /* feature */
    int16_t max_version_level; /* highest in force */
    int16_t min_version_level; /* lowest in force */
};

/* The response. */
struct el_msg_api_versions_response {
    int16_t error_code;                       /* enum el_kafka_error */
    struct el_msg_api_versions_key *api_keys; /* [api_key_count] ascending */
    uint32_t api_key_count;
    int32_t throttle_time_ms;                                         /* how long to stay away, ms */
    struct el_msg_api_versions_supported_feature *supported_features; /* [supported_feature_count] tag */
    uint32_t supported_feature_count;
    int64_t finalized_features_epoch;                                 /* tag; -1 unknown */
    struct el_msg_api_versions_finalized_feature *finalized_features; /* [finalized_feature_count] tag */
    uint32_t finalized_feature_count;
    bool zk_migration_ready; /* tag; never set by evlog */
};

extern const struct el_schema el_schema_api_versions_request;
extern const struct el_schema el_schema_api_versions_key;
extern const struct el_schema el_schema_api_versions_supported_feature;
extern const struct el_schema el_schema_api_versions_finalized_feature;
extern const struct el_schema el_schema_api_versions_response;

#endif
