/* SPDX-License-Identifier: Apache-2.0
 *
 * A client's side of SCRAM that can go wrong in the ways that other servers once took.
 */
#ifndef EL_TEST_SCRAM_CLIENT_H
#define EL_TEST_SCRAM_CLIENT_H

#include <core/scram.h>

/* NULL: as it should be. */
struct scram_client {
    const char *password;
    const char *nonce;   /* of the last message, in place of both sides' */
    const char *binding; /* the same, in place of gs2 */
    bool flip;           /* the proof is wrong in a bit */
};

/* What has been said before the last message. */
struct scram_said {
    int mechanism;
    const char *gs2, *bare; /* together the client's first message */
    struct el_slice server_first;
};

struct scram_last {
    char message[2048];
    char text[4096];                  /* that proof and signature are of */
    uint8_t salted[EL_SCRAM_KEY_MAX]; /* password */
};

/* The client's last message; asserts that the server's is sound. */
void scram_client_last(const struct scram_client *client, const struct scram_said *said, struct scram_last *out);

#endif
