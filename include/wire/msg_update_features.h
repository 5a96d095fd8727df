/* SPDX-License-Identifier: Apache-2.0
 *
 * UpdateFeatures (key 57, versions 0 to 2): raise or lower the levels of features.
 * Which version has which field: client/wire/msg_update_features.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_UPDATE_FEATURES_H
#define EL_WIRE_MSG_UPDATE_FEATURES_H

#include <wire/schema.h>

/* One feature. */
struct el_msg_update_features_update {
    struct el_slice feature;   /* its name */
    int16_t max_version_level; /* the new level; below 1 takes it away */
    bool allow_downgrade;      /* it may be lower */
    int8_t upgrade_type;       /* 1 raise, 2 lower safely, 3 lower with loss */
};

/* The request. */
struct el_msg_update_features_request {
    int32_t timeout_ms;                                    /* longest wait, ms */
    struct el_msg_update_features_update *feature_updates; /* [feature_update_count] by feature */
    uint32_t feature_update_count;
    bool validate_only; /* check, change nothing */
};

/* What became of one feature. */
struct el_msg_update_features_result {
    struct el_slice feature;       /* its name */
    int16_t error_code;            /* enum el_kafka_error */
    struct el_slice error_message; /* null without an error */
};

/* The response. */
struct el_msg_update_features_response {
    int32_t throttle_time_ms;                      /* how long to stay away, ms */
    int16_t error_code;                            /* enum el_kafka_error */
    struct el_slice error_message;                 /* null without an error */
    struct el_msg_update_features_result *results; /* [result_count] by feature */
    uint32_t result_count;
};

extern const struct el_schema el_schema_update_features_update;
extern const struct el_schema el_schema_update_features_request;
extern const struct el_schema el_schema_update_features_result;
extern const struct el_schema el_schema_update_features_response;

#endif
