/* SPDX-License-Identifier: Apache-2.0
 *
 * AlterUserScramCredentials (key 51, version 0): users to make, to give other passwords, and to remove.
 * Which version has which field: client/wire/msg_alter_user_scram_credentials.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_ALTER_USER_SCRAM_CREDENTIALS_H
#define EL_WIRE_MSG_ALTER_USER_SCRAM_CREDENTIALS_H

#include <wire/schema.h>

/* A mechanism that a user loses. */
struct el_msg_alter_user_scram_credentials_deletion {
    struct el_slice name; /* of the user */
    int8_t mechanism;     /* enum el_scram_mechanism */
};

/* A mechanism that a user gets. */
struct el_msg_alter_user_scram_credentials_upsertion {
    struct el_slice name; /* of the user */
    int8_t mechanism;     /* enum el_scram_mechanism */
    int32_t iterations;
    struct el_slice salt;            /* random, of the client */
    struct el_slice salted_password; /* see el_scram_salt() */
};

/* The request. */
struct el_msg_alter_user_scram_credentials_request {
    struct el_msg_alter_user_scram_credentials_deletion *deletions; /* [deletion_count] */
    uint32_t deletion_count;
    struct el_msg_alter_user_scram_credentials_upsertion *upsertions; /* [upsertion_count] */
    uint32_t upsertion_count;
};

/* What became of one user. */
struct el_msg_alter_user_scram_credentials_result {
    struct el_slice user;          /* name */
    int16_t error_code;            /* enum el_kafka_error */
    struct el_slice error_message; /* null without an error */
};

/* The response. */
struct el_msg_alter_user_scram_credentials_response {
    int32_t throttle_time_ms;                                   /* how long to stay away, ms */
    struct el_msg_alter_user_scram_credentials_result *results; /* [result_count] */
    uint32_t result_count;
};

extern const struct el_schema el_schema_alter_user_scram_credentials_deletion;
extern const struct el_schema el_schema_alter_user_scram_credentials_upsertion;
extern const struct el_schema el_schema_alter_user_scram_credentials_request;
extern const struct el_schema el_schema_alter_user_scram_credentials_result;
extern const struct el_schema el_schema_alter_user_scram_credentials_response;

#endif
