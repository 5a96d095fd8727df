/* SPDX-License-Identifier: Apache-2.0
 *
 * One request between its frame and its answer. net makes it, hands it to the dispatch function, and frees it; whoever
 * works on it in between calls exactly one of request_reply(), request_reply_release(), request_reply_bytes(),
 * request_end_silent() and request_refuse(), at once or later, from the shard's thread. After that call the request
 * must not be touched again (a release callback gets it once more).
 *
 * Answers leave in the order in which the requests came in, whatever the order of the calls. A request outlives its
 * connection: when that closes, on_abandon is called if set, and the answer, which is still owed, is dropped.
 */
#ifndef EL_NET_REQUEST_H
#define EL_NET_REQUEST_H

#include <auth/sasl.h>
#include <config/listeners.h>
#include <core/arena.h>
#include <core/assert.h>
#include <core/bytes.h>
#include <core/list.h>
#include <stdbool.h>
#include <wire/api.h>

struct conn;
struct net;
struct net_account;
struct net_buffer;
struct net_listener;
struct request;

#define REQUEST_MAGIC OBJ_MAGIC('r', 'e', 'q', 'u')

enum request_state {
    REQUEST_WORKING, /* with its handler */
    REQUEST_READY,   /* answered: waits for its turn, or is being sent */
};

/* How far it has come; request_times.c makes stages of them. */
enum request_mark {
    REQUEST_BEGUN,    /* its handler works on it */
    REQUEST_CHECKED,  /* of an append: its batches are sound, and on their way */
    REQUEST_STORED,   /* of an append: the last of them is durable */
    REQUEST_ANSWERED, /* net's: the answer is made */
    REQUEST_MARK_COUNT
};

#define CLAIM_NOWHERE UINT32_MAX /* for a place: the memory of the request itself, on the shard of its connection */

/* How much memory an answer may take. With must it has nothing yet: one answer of a principal, the first in the order
 * of its connection, may have `least` over the limit, until it has left. */
struct request_need {
    size_t least; /* with less it cannot go on */
    size_t most;
    bool must;
    uint32_t place; /* index of the shard whose memory it is; CLAIM_NOWHERE: of the request itself */
};

typedef void (*request_fn)(struct request *request);

/* How the other side has proved who it is. */
struct net_proof {
    int mechanism;     /* auth/sasl.h; 0: it has not */
    uint64_t until_ns; /* what it is good for, monotonic; 0: for ever */
    uint64_t births;   /* auth.user_births when the user was looked up */
};

struct request {
    uint32_t magic;
    enum request_state state; /* net's */
    const struct el_api *api; /* NULL for an unknown key */
    int16_t api_key;
    int16_t api_version; /* as received, not checked: ask el_api_accepts(). The handler may change it before it
                               * answers: ApiVersions answers an unknown version in the layout of version 0 */
    int32_t correlation_id;
    struct net *net;
    const struct net_listener *listener;  /* that the connection came by */
    struct conn *conn;                    /* NULL once the connection is gone */
    struct el_list link;                  /* the handler's, unlinked at first and again at the end */
    struct el_slice client_id;            /* data NULL for null; pinned as body is */
    struct el_slice body;                 /* behind the request header; pinned until the request ends */
    struct el_arena arena;                /* over the shard's buddy; freed when the answer has left */
    uint64_t received_ns;                 /* io->now_ns when the last byte was there */
    uint64_t mark_ns[REQUEST_MARK_COUNT]; /* monotonic; 0: not come so far */
    void *user;                           /* the handler's */
    bool metered;                         /* the handler's: net_config.meter is told how long the answer is */
    uint32_t throttle_ms; /* how long the client is to stay away; what is in throttle_time_ms of the answer */
    void *watch;          /* of the two below; the dispatcher's */
    /* Optional: sees an answer before it is encoded, and may change it; then keeps it back until request_go(). Both are
     * called once, when an answer is made by request_reply() or request_reply_release(). */
    void (*on_reply)(struct request *request, const struct el_schema *schema, void *response);
    request_fn on_replied;
    bool unrecorded;       /* it has no right to anything, for what it does could not be recorded (api/audit_call.h) */
    request_fn on_abandon; /* optional: the connection is gone; may answer at once, which frees the request */

    /* net's */
    struct el_list order;      /* place among the connection's requests */
    struct net_buffer *buffer; /* holds client_id and body */
    struct el_slice *parts;    /* [part_count] the answer, frame length included */
    uint32_t part_count;
    uint32_t part_next;    /* first part not sent in full */
    size_t part_sent;      /* bytes of it that are sent */
    size_t reply_len;      /* bytes not yet sent */
    size_t frame_len;      /* bytes the request took on the wire */
    size_t reply_len_all;  /* bytes of the answer */
    uint64_t waited_ns;    /* that the client asked for */
    uint64_t wait_from_ns; /* such a wait is under way; 0: none */
    bool noted;            /* its times are counted */
    bool raw;              /* a message of an exchange without a request around it; its answer has none either */
    bool refused;          /* in its turn the connection is closed */
    request_fn release;
    bool held;  /* by the handler, beyond its answer */
    bool ended; /* only the hold keeps it */
    /* claim.c's */
    struct net_account *claim_account; /* its claim counts there, or it waits there; NULL: neither */
    size_t claimed;                    /* bytes that count */
    struct el_list claim_link;         /* in claim_account->waiting, or unlinked */
    size_t lent;                       /* of them, that are counted at a place as well */
    struct request_need claim_need;    /* waiting: for that */
    request_fn claim_again;            /* waiting: what is called then */
};

/* Start the work on a request; called in order of arrival, from io_step(). The body is not yet decoded and the pair of
 * key and version not yet checked. */
typedef void (*net_dispatch_fn)(void *arg, struct request *request);

/* It has come so far. */
void request_mark(struct request *request, enum request_mark mark, uint64_t now_ns);
/* What its client asked to wait for is waited for, or what evlogd keeps back; no slowness. Both may be called again, in
 * any order. */
void request_wait_begin(struct request *request);
void request_wait_end(struct request *request);

#define NET_TRACE_ID_LEN 32u /* digits */
/* To which trace a request belongs: hex into text, while its body is there. returns false: that is not known */
typedef bool (*net_trace_id_fn)(void *arg, const struct request *request, char text[NET_TRACE_ID_LEN + 1]);

/* The answer to a metered request is len bytes long, and about to be made; may call request_throttle(). */
typedef void (*net_meter_fn)(void *arg, struct request *request, size_t len);

/* Answer: frame length, response header of the API's version, then the response. The response and all it points to are
 * copied before the return. A response that cannot be encoded, or for which there is no memory, closes the connection;
 * the reason is logged.
 *
 * schema  the API's response schema, to be sure of what response is; layout (Kafka's or CBOR) is that of the API
 */
void request_reply(struct request *request, const struct el_schema *schema, const void *response);

/* The same, but long records are sent from where they are.
 *
 * release  called once when nothing refers to the response's memory any more: the answer has left or is dropped,
 *          perhaps inside this call; the request and its arena are freed after it returns. NULL: the arena owns it
 *          all
 */
void request_reply_release(struct request *request, const struct el_schema *schema, const void *response,
                           request_fn release);

/* An answer that on_replied keeps back leaves now. */
void request_go(struct request *request);
/* It never does: as request_close(). */
void request_withhold(struct request *request, const char *reason);

/* Answer with a body that is already encoded (copied before the return). The API must be a known one. */
void request_reply_bytes(struct request *request, const void *body, size_t len);

/* No answer: acks 0. */
void request_end_silent(struct request *request);

/* The request cannot be answered at all (unknown API or version, malformed body): count it, log it with peer, key,
 * version and reason, read no more, and close the connection when the answers before this one have left. Also for a
 * request without an answer that failed (acks 0). The reason is copied. */
void request_refuse(struct request *request, const char *reason);

/* Keep the request, its body and its arena beyond the answer, which may leave before the work has ended (a
 * deadline): to be called before one of the calls above, which do not end the request then. */
void request_hold(struct request *request);
/* Give a held request up, once, after it has been answered. */
void request_unhold(struct request *request);

/* As request_refuse(), for a request that is sound but cannot be worked on or answered: the caller has counted why.
 * reason NULL: it has been logged */
void request_close(struct request *request, const char *reason);

/* The client has used more than it may: no request behind this one is looked at for so long, and the answer says it
 * (KIP-219). The longest of several counts. */
void request_throttle(struct request *request, uint32_t throttle_ms);

/* --- memory for an answer ----------------------------------------------------------------------------------------- */

/* Count memory that the answer is about to take for its principal, on top of what the request has claimed already. What
 * is left of evlog.inflight.bytes.per.principal is given out to who asks first. Where nobody counts, all is given and
 * nothing counted.
 *
 * returns  need->least .. need->most | 0: so much is not left, or the connection is gone
 */
size_t request_claim(struct request *request, const struct request_need *need);
/* The same of memory that is taken already, whatever is left. */
void request_claim_more(struct request *request, uint32_t place, size_t len);
/* So much of it was given back, or not taken. Until then the answer counts as at least what is claimed. What is claimed
 * CLAIM_NOWHERE is given back with the request. */
void request_unclaim(struct request *request, uint32_t place, size_t len);
/* After a claim was refused: call again once, from io_step(), when it may succeed, or the connection is gone and there
 * is no on_abandon. Not for a request whose connection is gone. */
void request_claim_wait(struct request *request, const struct request_need *need, request_fn again);
/* Its principal is over the limit, or others of it wait: what is claimed should leave soon. */
bool request_claim_presses(const struct request *request);
/* It does not wait any more; nothing happens when it does not. */
void request_claim_cancel(struct request *request);

/* True when the connection is gone or going: an early end saves work. */
bool request_abandoned(const struct request *request);

/* Who sent it: its principal and the address without the port; valid as long as request_peer(). Nobody in particular
 * when the connection is gone, whose answer is dropped. */
void request_caller(const struct request *request, struct auth_caller *caller);
/* "address:port" of the client; valid until the return to io_step(). "gone" when the connection is. */
const char *request_peer(const struct request *request);
/* Number of the connection, unique in the process' life on this shard; 0 when the connection is gone. */
uint64_t request_conn_id(const struct request *request);
/* The handlers' word on the connection, NULL at first (client software, sessions); NULL when the connection is gone.
 * net_config.conn_closed gets it at the end. */
void **request_conn_user(struct request *request);

/* --- who asks ----------------------------------------------------------------------------------------------------- */

#define NET_PRINCIPAL_MAX 512 /* with the NUL */
#define NET_PRINCIPAL_ANONYMOUS "User:ANONYMOUS"

/* The listener that the request came by: its place in net_config.listeners, and what that says of it. Also when the
 * connection is gone. */
uint32_t request_listener_index(const struct request *request);
const struct config_listener *request_listener(const struct request *request);
/* Kafka's name of who is on the other side: "User:ANONYMOUS" until the connection has proved more, and when it is gone.
 * Valid until the return to io_step() or the next request_set_principal(). */
const char *request_principal(const struct request *request);
/* The other side has proved who it is; text is copied ("User:..."). Nothing happens when the connection is gone.
 *
 * returns  0 | EVLOG_ERR_LIMIT it has too many connections, or is longer than NET_PRINCIPAL_MAX | EVLOG_ERR_NO_MEMORY;
 *          the principal stays then
 */
int request_set_principal(struct request *request, const char *text);

/* Has the other side proved who it is, where its listener wants that? Before, and when the time that it was trusted for
 * is over, it may do nothing but prove it. */
bool request_trusted(const struct request *request);
/* Has it ever, and by which mechanism (auth/sasl.h)? 0: it has not. */
int request_proved_by(const struct request *request);
/* It has: principal is copied. returns as request_set_principal() */
int request_trust(struct request *request, const char *principal, const struct net_proof *proof);
/* The proof; mechanism 0: there is none. */
struct net_proof request_proof(const struct request *request);
/* The exchange that is under way on the connection; NULL: none. */
struct sasl *request_sasl(const struct request *request);
/* Begin one, in place of any other; its messages come as the version of the request, a SaslHandshake, says: those of
 * version 0 are frames of their own. returns 0 | EVLOG_ERR_NO_MEMORY */
int request_sasl_begin(struct request *request, int mechanism);
void request_sasl_end(struct request *request);
/* No request behind this one is looked at: the connection is closed when it has been answered. */
void request_is_last(struct request *request);

#endif
