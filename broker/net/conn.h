/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections and the shard's net object, as the files of this folder see them. Private to it.
 */
#ifndef EL_NET_CONN_H
#define EL_NET_CONN_H

#include <core/assert.h>
#include <core/map.h>
#include <core/pool.h>
#include <core/sm.h>
#include <core/tls.h>
#include <net/net.h>

#define NET_MAGIC OBJ_MAGIC('n', 'e', 't', '0')
#define LISTENER_MAGIC OBJ_MAGIC('l', 'i', 's', 't')
#define CONN_MAGIC OBJ_MAGIC('c', 'o', 'n', 'n')
#define BUFFER_MAGIC OBJ_MAGIC('b', 'u', 'f', 'r')

#define NET_UNTRUSTED_FRAME_LEN_MAX (16u << 10) /* before a client has proved who it is */
#define CONN_IOV_MAX 32                         /* parts of answers in one send */
#define CONN_SEND_LEN_MAX (1u << 20)            /* bytes of one send, so that its deadline measures progress */
#define CONN_RECV_LEN_MIN 1024u                 /* less room than this is not worth a receive */
#define CONN_BUFFER_LEN_FIRST 8192u             /* block of a fresh connection */
#define NET_SPARE_MAX 8                         /* large receive buffers kept for the next large frame */

/* Bytes received; shared by the connection that fills it and the requests that lie in it. Lives in one buddy block. */
struct net_buffer {
    uint32_t magic;
    uint32_t ref_count;
    struct net *net;
    struct net_account *account; /* it counts for this one; NULL: for none */
    size_t data_len;             /* bytes of data */
    size_t block_len;            /* bytes of the block */
    _Alignas(16) uint8_t data[];
};

/* What a connection can be late with; each kind has one time limit, so a list in order of beginning is enough. */
enum conn_wait_kind { WAIT_FRAME, WAIT_SEND, WAIT_IDLE, WAIT_LINGER, WAIT_HANDSHAKE, WAIT_PROOF, WAIT_KIND_COUNT };

struct conn_wait {
    struct el_list link; /* in net.waits[kind], oldest first; unlinked: not waiting */
    uint64_t since_ns;
};

/* OPEN -> DRAINING (stop) -> LINGERING (all answered) -> CLOSING; OPEN and DRAINING also go to CLOSING at once. */
enum conn_state {
    CONN_OPEN,      /* reads and answers */
    CONN_DRAINING,  /* reads no more, answers what has been read */
    CONN_LINGERING, /* has sent its end, waits for the client's */
    CONN_CLOSING,   /* waits for its ops to end, then is freed */
    CONN_STATE_COUNT
};

/* See conn_tls.c. */
enum conn_tls_state {
    TLS_HELLO,
    TLS_QUEUED,
    TLS_WORKING,
    TLS_SENDING,
    TLS_GREETING,
    TLS_OPEN,
    TLS_FAILED,
    TLS_ENDED, /* its end has been said */
};

struct conn_tls {
    struct conn *conn;
    enum conn_tls_state state;
    bool half;                    /* counted in net.tls_half_count */
    bool in_busy;                 /* the last receive filled its buffer */
    int step;                     /* what the last job said */
    struct el_tls *tls;           /* NULL before the first job */
    struct el_tls_config *config; /* of the job, a reference */
    void *reserve;                /* block of the buddy that stands for the heap of tls; nothing lies in it */
    struct el_list link;          /* in net.tls_queue or net.tls_greeting, or unlinked */
    uint64_t since_ns;            /* in net.tls_greeting */
    struct net_buffer *in;        /* from the wire; NULL before the first byte is wanted */
    size_t in_pos, in_end;        /* bytes of it that are not taken yet */
    struct net_buffer *out;       /* to the wire; NULL when nothing leaves */
    size_t out_len;
    size_t plain_len; /* bytes of answers that are in it */
    struct io_op job;
    struct el_error err; /* of the job */
};

/* A connection among those of its address, or of its principal. */
struct conn_seat {
    uint64_t id; /* of net.config.census */
    bool seated; /* counted there */
};

/* What a principal, or an address, holds of the shard's memory. */
struct net_account {
    uint64_t id;        /* key in net.accounts: that of the seat */
    uint32_t ref_count; /* connections, buffers, and requests with a claim or without the one they wait for */
    size_t bytes;
    size_t pledged;               /* of them: claims of requests that are not answered yet */
    struct conn *floor;           /* that goes on over the limit; NULL: none */
    struct request *answer_floor; /* whose answer does; NULL: none */
    struct el_list waiting;       /* struct request.claim_link: for a claim, who came first first */
    struct el_list wake_link;     /* in net.waking, or unlinked */
};

/* Why a connection is refused, or waits; each is logged by itself. */
enum net_refusal {
    NET_REFUSED_FULL,
    NET_REFUSED_RATE,
    NET_REFUSED_ADDRESS,
    NET_REFUSED_MEMORY,
    NET_HELD_BACK, /* it is not read on */
    NET_REFUSAL_COUNT
};

struct net_refusals {
    uint64_t said_ns; /* when the last one was logged; 0: never */
    uint64_t unsaid;  /* since then */
};

/* The same of principals that have too many connections, each by itself. */
#define NET_SAID_PRINCIPALS 16u
struct net_said {
    uint64_t id; /* as in the census */
    struct net_refusals refusals;
};

struct conn {
    uint32_t magic;
    struct el_sm sm; /* enum conn_state */
    struct net *net;
    const struct net_listener *listener;
    uint64_t id;
    int fd;
    bool receiving;             /* recv_op is submitted */
    bool sending;               /* send_op is submitted */
    bool cancelled;             /* CLOSING: ops have been cancelled */
    bool starved;               /* no memory to read on: in net.starving */
    bool held_back;             /* that is so because its account is full */
    bool muted;                 /* its client is to stay away until mute_timer: nothing is read on */
    bool refusing;              /* a request was refused: what is not dispatched never will be */
    struct el_list link;        /* in net.conns */
    struct el_list attend_link; /* in net.attention, or unlinked */
    struct el_list starve_link; /* in net.starving, or unlinked */
    struct conn_wait waits[WAIT_KIND_COUNT];
    struct el_list requests;   /* by request.order, in order of arrival */
    uint32_t request_count;    /* of those */
    uint32_t claim_waits;      /* of those, that wait for a claim */
    size_t request_bytes;      /* of their frames */
    size_t reply_bytes;        /* answered and not yet sent */
    size_t owed_bytes;         /* of those, that no claim stands for: they count for the account */
    struct net_buffer *buffer; /* receives; NULL before the first byte is wanted */
    size_t parsed;             /* bytes of it that have become requests */
    size_t filled;             /* bytes of it received */
    size_t frame_mark;         /* bytes of the frame in progress at which its deadline was last moved */
    size_t frame_len_seen;     /* longest frame received whole */
    struct conn_seat address_seat;
    struct conn_seat principal_seat;
    struct net_account *account; /* NULL: nobody counts */
    struct conn_tls *tls;        /* of net.tls_pool; NULL: plain */
    char *principal;             /* [NET_PRINCIPAL_MAX] of net.principal_pool; NULL: anonymous */
    struct sasl *sasl;           /* an exchange under way, of net.sasl_pool; NULL: none */
    bool raw_sasl;               /* its messages are frames of their own, without a request around them */
    bool trusted;                /* an exchange has ended well */
    struct net_proof proof;      /* trusted: of that exchange */
    void *user;
    struct io_timer mute_timer;
    struct io_op recv_op;
    struct io_op send_op;
    struct iovec iov[CONN_IOV_MAX];
    char peer[64]; /* "address:port" */
};

/* One listening socket. */
struct net_listener {
    uint32_t magic;
    uint32_t index; /* in net.listeners */
    struct net *net;
    struct config_listener config;
    int fd; /* -1 when closed */
    uint16_t port;
    bool accepting; /* accept_op is submitted */
    struct io_op accept_op;
    struct io_timer accept_timer; /* pause after EVLOG_ERR_NO_FILES */
};

enum net_state { NET_LISTENING, NET_STOPPING, NET_STOPPED };

struct net {
    uint32_t magic;
    enum net_state state;
    struct io *io;
    struct el_buddy *buddy;
    struct metrics *metrics;
    struct net_config config; /* listeners is NULL */
    struct net_listener listeners[CONFIG_LISTENERS_MAX];
    uint32_t listener_count;
    struct el_list conns;
    uint32_t conn_count;
    uint32_t request_count; /* those of closed connections, too */
    uint64_t conn_id_last;
    struct el_pool conn_pool;
    struct el_pool request_pool;
    struct el_pool principal_pool;
    struct el_pool tls_pool;
    struct el_list tls_queue;    /* struct conn_tls.link: handshakes that wait for a job, those that have begun first */
    struct el_list tls_greeting; /* struct conn_tls.link: those that wait for their client, oldest first */
    uint32_t tls_queue_count;    /* in tls_queue */
    uint32_t tls_half_count;     /* contexts whose handshake has not ended */
    uint32_t tls_job_count;      /* under way */
    struct io_timer tls_timer;   /* when the queue is to be looked at again */
    struct el_pool sasl_pool;
    struct el_pool account_pool;
    struct el_map accounts; /* id to struct net_account */
    struct el_list waking;  /* struct net_account.wake_link: something of theirs has left, and somebody waits for it */
    struct io_timer wake_timer;
    struct el_list attention; /* connections with something to do at the end of the step */
    struct io_timer attend_timer;
    struct el_list waits[WAIT_KIND_COUNT];
    uint32_t unproven_count;     /* connections in waits[WAIT_PROOF] */
    struct io_timer sweep_timer; /* at the earliest deadline or earlier */
    struct el_list starving;
    struct io_timer starve_timer;
    size_t recv_bytes;                        /* blocks of all receive buffers */
    struct net_buffer *spares[NET_SPARE_MAX]; /* [spare_count] free large ones, counted in recv_bytes */
    uint32_t spare_count;
    struct net_refusals refusals[NET_REFUSAL_COUNT];
    struct net_said said[NET_SAID_PRINCIPALS]; /* said_ns 0: free */
    uint64_t unsaid_others;                    /* of principals that found no row */
    uint64_t log_second;                       /* io->now_ns / 1 s of the last refusal logged */
    uint32_t log_count;                        /* refusals logged in that second */
    uint64_t slow_second;                      /* the same of slow operations */
    uint32_t slow_count;
    struct io_timer stop_timer; /* at the deadline of the stop, or now to see whether all has ended */
    uint64_t stop_at_ns;
    net_stopped_fn stopped;
    void *stopped_arg;
};

static inline enum conn_state conn_state(const struct conn *conn)
{
    return (enum conn_state)conn->sm.state;
}

/* conn.c */
void conn_open(const struct net_listener *listener, int fd);
/* The address in "address:port", without brackets. */
struct el_slice conn_address(const char *peer);
/* As request_set_principal(). */
int conn_set_principal(struct conn *conn, const char *text);
/* Look after the connection at the end of this step: send, read on, close. */
void conn_attend(struct conn *conn);
/* Do so. The connection may be freed. */
void conn_look_after(struct conn *conn);
/* No memory to go on with: try again soon. */
void conn_starve(struct conn *conn);
/* One that starves tries again now. */
void conn_feed(struct conn *conn);
/* End the connection; what is not sent is lost. error: evlogd's decision, to be counted. */
void conn_close(struct conn *conn, bool error);
/* No more reading; close when all is answered. */
void conn_drain(struct conn *conn);
/* Look at no more requests for so long. */
void conn_mute(struct conn *conn, uint64_t mute_ns);
/* The client was late. */
void conn_late(struct conn *conn, enum conn_wait_kind kind);
void conn_wait_begin(struct conn *conn, enum conn_wait_kind kind);
void conn_wait_end(struct conn *conn, enum conn_wait_kind kind);
/* An ended request leaves its connection. */
void conn_request_gone(struct conn *conn, struct request *request);

/* conn_trust.c */
/* May it send anything? */
bool conn_trusted(const struct conn *conn);
/* Longest frame that it may send now. */
size_t conn_frame_len_max(const struct conn *conn);
/* Is the next frame a message of an exchange, without a request around it? */
bool conn_reads_raw(const struct conn *conn);
/* Forget an exchange that is under way. */
void conn_trust_drop(struct conn *conn);
/* It has proved nothing yet: the oldest of too many such makes room. */
void conn_unproven(struct conn *conn);
/* It has proved who it is, or sent a request where that is enough, or it ends. */
void conn_proved(struct conn *conn);
/* End the connection that has proved nothing for longest. returns false: there is none */
bool net_drop_unproven(struct net *net);

/* conn_limits.c */
/* Count the connection among those of its address, and what it holds. returns false: it may not be */
bool conn_seat_address(struct conn *conn, enum net_refusal *why);
/* Count it among those of a principal in place of the one before; say of each principal once a minute that they are too
 * many, and how often it was so.
 * returns 0 | EVLOG_ERR_LIMIT they are too many | EVLOG_ERR_NO_MEMORY; nothing changes then */
int conn_seat_principal(struct conn *conn, const char *principal);
/* Count it no more. */
void conn_seats_leave(struct conn *conn);
/* May it be accepted, from what is known before there is a connection? */
bool net_admits(struct net *net, const char *peer, enum net_refusal *why);
/* Log it once a minute, with how often it was so. */
void net_say(struct net *net, const char *peer, enum net_refusal why);
/* Close a socket that may not become a connection; count it, and say so once a minute. */
void net_refuse(struct net *net, int fd, const char *peer, enum net_refusal why);

/* account.c */
/* Count what the connection holds for this id, and no longer for the one before. returns 0 | EVLOG_ERR_NO_MEMORY */
int account_join(struct conn *conn, uint64_t id);
void account_leave(struct conn *conn);
/* The answer to a request waits to be sent; so many bytes of it have left, or never will. */
void account_owe(struct conn *conn, struct request *request);
void account_paid(struct conn *conn, const struct request *request, size_t len);
/* A buffer counts from now on, when it is large enough; no more. */
void account_charge(struct net_account *account, struct net_buffer *buffer);
void account_discharge(struct net_buffer *buffer);
/* May the connection be read on, into a block of more_len bytes? A larger one than it has, or 0. returns false: it is
 * held back */
bool account_lets(struct conn *conn, size_t more_len);
/* Its request is whole: another one may have the floor. */
void account_yield(struct conn *conn);
/* So much more, or less, counts for it. */
void account_add(struct net_account *account, size_t len);
void account_take(struct net *net, struct net_account *account, size_t len);
/* One more that refers to it, or one less. */
void account_ref(struct net_account *account);
void account_unref(struct net *net, struct net_account *account);
/* Something has changed that who waits there may have waited for. */
void account_wake(struct net *net, struct net_account *account);

/* claim.c */
/* The request is about to be answered: what it has claimed is what it holds. */
void claim_redeem(struct request *request);
/* The request has been answered: its claim stands for the answer, which may be longer. */
void claim_settle(struct request *request);
/* Nothing is left of the answer, or of the request. */
void claim_end(struct request *request);
/* The request leaves its connection: it waits no more, and claim_again stays set when it did. */
void claim_leave(struct request *request);
/* Another request may be the first of the connection now. */
void claim_first(struct conn *conn);
void net_on_wake(struct io_timer *timer);

/* conn_recv.c */
/* Make requests of what has been received, then receive on, unless the connection has enough to do. */
void conn_read(struct conn *conn);
/* Read and throw away until the client closes. returns false when that is not possible */
bool conn_discard(struct conn *conn);
void conn_on_recv(struct io_op *op);

/* conn_send.c */
/* Send what is answered and whose turn it is. */
void conn_write(struct conn *conn);
void conn_on_send(struct io_op *op);

/* conn_tls.c */
/* The connection speaks TLS: begin. returns false without memory */
bool conn_tls_begin(struct conn *conn);
/* Go on with what can go on; nothing happens when TLS is open. */
void conn_tls_go(struct conn *conn);
/* len bytes more have been received. */
void conn_tls_took(struct conn *conn, size_t len);
/* Open records that have come; with none left a receive is started.
 * returns  bytes into buf[len] | 0 none now | a code: close the connection */
int64_t conn_tls_read(struct conn *conn, void *buf, size_t len);
/* Seal what conn->iov says, as much as goes at once, and send it; without memory the connection starves. */
void conn_tls_write(struct conn *conn, int iov_count, size_t len);
/* A send has ended. returns bytes of answers that were in it */
size_t conn_tls_sent(struct conn *conn);
/* Its handshake is refused: count it, and tell why in one word. */
void conn_tls_refused(struct conn *conn, const char *failure);
/* Say that nothing more will come. returns true while that leaves */
bool conn_tls_say_end(struct conn *conn);
/* No job works with the connection; data may flow. Both are so without TLS. */
bool conn_tls_idle(const struct conn *conn);
bool conn_tls_open(const struct conn *conn);
/* Free what the connection has of TLS. */
void conn_tls_end(struct conn *conn);
/* Start the jobs of handshakes that may run now. */
void net_tls_next(struct net *net);
void net_on_tls_timer(struct io_timer *timer);

/* recv_buffer.c */
/* A buffer for at least data_len bytes, one reference; NULL over the budget. */
struct net_buffer *buffer_get(struct net *net, size_t data_len);
/* Bytes of the block that it would be. */
size_t buffer_block_len(size_t data_len);
void buffer_ref(struct net_buffer *buffer);
void buffer_unref(struct net_buffer *buffer);
/* Give spare buffers back to the buddy. */
void buffer_drop_spares(struct net *net);

/* request.c */
/* Make a request of one frame behind its length prefix, which lies in conn->buffer.
 *
 * returns 0 | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_TRUNCATED, EVLOG_ERR_MALFORMED bad header */
int request_make(struct conn *conn, struct el_slice frame, struct request **request);
/* The same of a frame that is a message of an exchange and nothing else: a SaslAuthenticate of version 0.
 *
 * frame  with its length prefix
 */
int request_make_raw(struct conn *conn, struct el_slice frame, struct request **request);
/* Free a request that nobody works on: its answer has left or is dropped. */
void request_free(struct request *request);
/* Its connection is gone: tell the handler. The request may be freed by this. */
void request_abandon(struct request *request);

/* request_times.c */
/* Once, before the request leaves its connection: count where its time went, and say so when it was slow. */
void request_times_note(struct request *request);

/* listener.c */
/* False when this second has seen enough lines about slow operations. */
bool net_may_log_slow(struct net *net);
/* False when this second has seen enough log lines about refusals. */
bool net_may_log(struct net *net);
/* A connection or request has ended: perhaps the stop is complete. */
void net_check_stopped(struct net *net);
/* The connection waits from now on: have the sweep come in time. */
void net_sweep_by(struct net *net, uint64_t at_ns);
uint64_t net_wait_ns(const struct net *net, enum conn_wait_kind kind);
#endif
