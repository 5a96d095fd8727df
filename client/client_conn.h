/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection: a socket, the versions its broker answers, requests going out and answers coming in. Owned by the
 * internal thread of a client; every function needs the client's lock held.
 */
#ifndef EL_CLIENT_CLIENT_CONN_H
#define EL_CLIENT_CLIENT_CONN_H

#include "client_core.h"

#include <core/tls.h>
#include <wire/msg_api_versions.h>

#define EL_HOST_LEN_MAX 255
#define EL_API_VERSIONS_FIRST 3 /* version of ApiVersions that is asked first */

enum el_conn_state {
    EL_CONN_CLOSED,      /* waits to be wanted, not before retry_at_ns */
    EL_CONN_CONNECTING,  /* fd connects */
    EL_CONN_SECURING,    /* the TLS handshake is under way */
    EL_CONN_PROVING,     /* the exchange of SASL is under way */
    EL_CONN_NEGOTIATING, /* ApiVersions is on its way */
    EL_CONN_READY,
};

struct addrinfo;
struct el_proof; /* client_sasl.c */

struct el_conn {
    struct el_list link; /* client->conns */
    enum el_conn_state state;
    int32_t node_id; /* EL_NODE_ANY: to an address of bootstrap.servers */
    uint32_t lane;
    int fd;                         /* -1 when closed */
    bool retired;                   /* nobody uses it any more; freed when the loop over all connections is through */
    uint32_t poll_index;            /* in the poll set of this turn, UINT32_MAX none */
    char peer[EL_HOST_LEN_MAX + 8]; /* host:port, for texts */
    struct addrinfo *addresses;     /* what the name resolved to; freed when connected */
    struct addrinfo *address;       /* the one being tried */
    int64_t connect_deadline_ns;
    int64_t retry_at_ns;    /* closed: not before */
    uint32_t failure_count; /* attempts in a row that failed */
    struct el_list sending; /* calls not fully written; the first may be partly */
    struct el_list flying;  /* calls that wait for their answer, in order */
    uint32_t flying_count;
    uint8_t prefix[4]; /* length of the frame being read */
    size_t prefix_have;
    uint8_t *frame; /* [frame_room], grows as bytes come */
    size_t frame_room;
    size_t frame_len; /* announced */
    size_t frame_have;
    struct el_msg_api_versions_key *versions; /* [version_count], owned */
    uint32_t version_count;
    struct el_tls *tls; /* NULL: plain, or not connected */
    uint8_t *tls_out;   /* sealed bytes, of which [tls_out_pos, tls_out_len) are still to be sent */
    size_t tls_out_len;
    size_t tls_out_pos;
    bool has_answered;          /* a request behind ApiVersions */
    struct el_proof *proof;     /* owned; NULL: no exchange of SASL is under way */
    int64_t rest_at_ns;         /* takes no new calls from then on, for its proof will end; 0: for ever good */
    struct el_call negotiation; /* ApiVersions, and what proves who the client is */
    struct el_msg_api_versions_request negotiation_request;
};

/* --- client_conn.c --- */

/* Close and end every call on it: with failure's code when it was sent or written in part, else it waits again. */
void el_conn_fail(struct evlog_client *client, struct el_conn *conn, int code, const char *text);
/* Ask for the broker's versions; version 0 .. 3. */
void el_conn_negotiate(struct evlog_client *client, struct el_conn *conn, int16_t version);
/* Connected, and secured where that is wanted: prove who the client is, or ask for versions. */
void el_conn_greet(struct evlog_client *client, struct el_conn *conn);
/* Encode a call and queue it, on a negotiated connection (or ApiVersions). Ends the call when it cannot be sent. */
void el_conn_send(struct evlog_client *client, struct el_conn *conn, struct el_call *call, int16_t version);
/* Write what can be written now. */
void el_conn_write(struct evlog_client *client, struct el_conn *conn);
/* Read what is there, ending the calls that are answered. */
void el_conn_read(struct evlog_client *client, struct el_conn *conn);

/* Take plain bytes that have come; false when the connection was closed. */
bool el_conn_take_bytes(struct evlog_client *client, struct el_conn *conn, const uint8_t *p, size_t len);

/* --- client_tls.c --- */

/* Read the files that the settings name, when they ask for TLS.
 * returns  0 | EVLOG_ERR_INVALID_CONFIG with the file and what to do | EVLOG_ERR_NO_MEMORY */
int el_client_tls_open(struct evlog_client *client, struct evlog_failure *failure);
/* Begin the handshake on a connected socket. */
void el_conn_secure(struct evlog_client *client, struct el_conn *conn);
/* Send what is sealed. returns true when all of it has left */
bool el_conn_tls_flush(struct evlog_client *client, struct el_conn *conn);
/* Seal and send as much as goes now. returns bytes taken | EVLOG_ERR_AGAIN later | another code: closed */
int64_t el_conn_tls_write(struct evlog_client *client, struct el_conn *conn, const void *data, size_t len);
/* Take bytes of the wire: the handshake goes on, or they are opened and taken. returns false when it was closed */
bool el_conn_tls_read(struct evlog_client *client, struct el_conn *conn, const uint8_t *data, size_t len);
void el_conn_tls_free(struct el_conn *conn);

/* --- client_sasl.c --- */

/* Begin to prove who the client is; el_conn_negotiate() follows. */
void el_conn_prove(struct evlog_client *client, struct el_conn *conn);
/* The negotiation's call has its answer: go on with the exchange. */
void el_conn_proof_step(struct evlog_client *client, struct el_conn *conn);
void el_conn_proof_free(struct el_conn *conn);

/* --- client_connect.c --- */

/* Begin to connect; on failure the connection is closed with a time to try again. */
void el_conn_connect(struct evlog_client *client, struct el_conn *conn);
/* The socket has become writable, or failed: go on to the next address or to negotiation. */
void el_conn_connected(struct evlog_client *client, struct el_conn *conn);
/* Forget the resolved addresses. */
void el_conn_addresses_free(struct el_conn *conn);

#endif
