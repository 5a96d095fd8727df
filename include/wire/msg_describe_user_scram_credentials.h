/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeUserScramCredentials (key 50, version 0): which users there are, by mechanism.
 * Which version has which field: client/wire/msg_describe_user_scram_credentials.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_DESCRIBE_USER_SCRAM_CREDENTIALS_H
#define EL_WIRE_MSG_DESCRIBE_USER_SCRAM_CREDENTIALS_H

#include <wire/schema.h>

/* A user that is asked for. */
struct el_msg_describe_user_scram_credentials_user {
    struct el_slice name;
};

/* The request. */
struct el_msg_describe_user_scram_credentials_request {
    struct el_msg_describe_user_scram_credentials_user *users; /* [user_count] null or empty: all */
    uint32_t user_count;
};

/* One mechanism of a user. */
struct el_msg_describe_user_scram_credentials_info {
    int8_t mechanism; /* enum el_scram_mechanism */
    int32_t iterations;
};

/* One user. */
struct el_msg_describe_user_scram_credentials_result {
    struct el_slice user;                                                 /* name */
    int16_t error_code;                                                   /* enum el_kafka_error */
    struct el_slice error_message;                                        /* null without an error */
    struct el_msg_describe_user_scram_credentials_info *credential_infos; /* [credential_info_count] */
    uint32_t credential_info_count;
};

/* The response. */
struct el_msg_describe_user_scram_credentials_response {
    int32_t throttle_time_ms;                                      /* how long to stay away, ms */
    int16_t error_code;                                            /* enum el_kafka_error */
    struct el_slice error_message;                                 /* null without an error */
    struct el_msg_describe_user_scram_credentials_result *results; /* [result_count] */
    uint32_t result_count;
};

extern const struct el_schema el_schema_describe_user_scram_credentials_user;
extern const struct el_schema el_schema_describe_user_scram_credentials_request;
extern const struct el_schema el_schema_describe_user_scram_credentials_info;
extern const struct el_schema el_schema_describe_user_scram_credentials_result;
extern const struct el_schema el_schema_describe_user_scram_credentials_response;

#endif
