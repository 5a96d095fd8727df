/* SPDX-License-Identifier: Apache-2.0
 *
 * One thread with poll() for all connections, which are few. Of each:
 *
 *   HELLO   the handshake is under way; a client that does not begin with a record of one is refused at its first byte
 *   OPEN    bytes of the client are opened and go into one end of a socket pair, whose other end the server has; what
 *           comes out of it is sealed and goes to the client. Each way has one buffer: who is slow is not read from
 *   LAST    what is in out leaves, an alert or the rest of an answer with the end said
 *   LINGER  nothing more is sent; the client's end is awaited, since a socket that is closed with bytes unread takes
 *           away the last answer from its client
 *
 * A handshake costs milliseconds of this thread. Nobody else waits for them but those who ask at this port.
 *
 * What can fail: memory, descriptors, the client. All of it ends one connection.
 */
#include <http/tls_gate.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <core/logger.h>
#include <http/client_address.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define TLS_GATE_MAGIC OBJ_MAGIC('g', 'a', 't', 'e')
#define HANDSHAKE_MS 10000u
#define PATIENCE_MS 1000u
#define STALL_MS 15000u
#define LINGER_MS 2000u
#define PAUSE_MS 100u /* of accepting, without descriptors or memory */
#define STEPS_MAX 16  /* of a connection before others have their turn */
#define ACCEPT_MAX 16 /* likewise */
#define TLS_HANDSHAKE_RECORD 22u
#define IN_LEN 4096u
#define OUT_LEN (2 * EL_TLS_ROOM_MIN)
#define PLAIN_LEN 4096u
#define TEXT_LEN 8192u /* sealed at once; fits into out also in records of 512 bytes, which a client may ask for */
#define POLL_MAX (2 + 2 * TLS_GATE_COUNT_MAX)

enum gate_state { GATE_HELLO, GATE_OPEN, GATE_LAST, GATE_LINGER };

/* Bytes pos .. end are still to go. */
struct span {
    size_t pos, end;
};

struct gate_conn {
    enum gate_state state;
    int fd;     /* the client */
    int inner;  /* this end of the pair; -1 before and after */
    bool heard; /* the client has sent something */
    bool ended; /* the client sends nothing more */
    struct el_tls *tls;
    struct sockaddr_storage address;
    socklen_t address_len;
    uint64_t since_ms; /* of the state; of OPEN and LAST since bytes last left */
    struct span in, plain, out;
    uint8_t in_bytes[IN_LEN]; /* of the wire */
    uint8_t plain_bytes[PLAIN_LEN];
    uint8_t out_bytes[OUT_LEN]; /* of the wire */
};

struct tls_gate {
    uint32_t magic;
    struct tls_gate_config cfg; /* tls is NULL */
    pthread_t thread;
    int wake_fd; /* eventfd: come to an end */
    pthread_mutex_t lock;
    struct el_tls_config *tls; /* under the lock */
    /* the thread's */
    uint32_t count;
    struct gate_conn *conns[TLS_GATE_COUNT_MAX];
    uint64_t now_ms;
    uint64_t accept_from_ms;
    uint64_t log_second;
};

static uint64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static size_t span_len(const struct span *span)
{
    EL_ASSERT(span->pos <= span->end);
    return span->end - span->pos;
}

/* --- connections -------------------------------------------------------------------------------------------------- */

static void close_inner(struct gate_conn *conn)
{
    if (conn->inner >= 0) {
        close(conn->inner);
        conn->inner = -1;
    }
}

static void change_state(struct tls_gate *gate, struct gate_conn *conn, enum gate_state state)
{
    if (conn->state == GATE_HELLO) {
        metrics_add(gate->cfg.metrics, METRIC_TLS_HALF_OPEN, -1);
    }
    EL_ASSERT(state > conn->state);
    conn->state = state;
    conn->since_ms = gate->now_ms;
}

static void conn_free(struct tls_gate *gate, uint32_t i)
{
    EL_ASSERT(i < gate->count);
    struct gate_conn *conn = gate->conns[i];
    if (conn->state == GATE_HELLO) {
        metrics_add(gate->cfg.metrics, METRIC_TLS_HALF_OPEN, -1);
    }
    close_inner(conn);
    close(conn->fd);
    el_tls_free(conn->tls);
    explicit_bzero(conn->plain_bytes, sizeof conn->plain_bytes);
    el_free(conn);
    gate->conns[i] = gate->conns[--gate->count];
}

/* How a handshake has ended. */
static void tell(struct tls_gate *gate, const char *address, struct net_handshake *handshake)
{
    if (gate->cfg.shaken != NULL) {
        handshake->address = el_slice_str(address);
        gate->cfg.shaken(gate->cfg.arg, handshake);
    }
}

/* why: for people, one line a second, whoever it is about; failure: the same in one word, NULL: the handshake was over
 * before */
static void refused(struct tls_gate *gate, const struct gate_conn *conn, const char *why, const char *failure)
{
    char address[EL_ADDRESS_TEXT_MAX];
    http_client_address((const struct sockaddr *)&conn->address, address);
    metrics_add(gate->cfg.metrics, METRIC_TLS_REFUSED, 1);
    if (failure != NULL) {
        tell(gate, address, &(struct net_handshake){.failure = failure});
    }
    if (gate->log_second == gate->now_ms / 1000u + 1) {
        return;
    }
    gate->log_second = gate->now_ms / 1000u + 1;
    el_log(EL_LOG_WARN, "http", "%s: closing the connection: TLS: %s", address, why);
}

/* --- bytes -------------------------------------------------------------------------------------------------------- */

enum progress { MOVED, WAITS, DEAD };

/* Bytes of the wire leave. */
static enum progress send_out(struct tls_gate *gate, struct gate_conn *conn)
{
    ssize_t n = send(conn->fd, conn->out_bytes + conn->out.pos, span_len(&conn->out), MSG_NOSIGNAL);
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR ? WAITS : DEAD;
    }
    EL_ASSERT((size_t)n <= span_len(&conn->out));
    conn->out.pos += (size_t)n;
    conn->since_ms = conn->state == GATE_HELLO ? conn->since_ms : gate->now_ms;
    return MOVED;
}

/* Bytes of the wire come; there were none left. */
static enum progress receive_in(struct gate_conn *conn)
{
    EL_ASSERT(span_len(&conn->in) == 0);
    ssize_t n = recv(conn->fd, conn->in_bytes, IN_LEN, 0);
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR ? WAITS : DEAD;
    }
    conn->in = (struct span){0, (size_t)n};
    conn->ended = n == 0;
    return MOVED;
}

static struct el_tls_bytes bytes_of(struct gate_conn *conn, bool with_out)
{
    return (struct el_tls_bytes){.in = conn->in_bytes + conn->in.pos,
                                 .in_len = span_len(&conn->in),
                                 .out = conn->out_bytes,
                                 .out_room = with_out ? OUT_LEN : 0};
}

/* The client has said its last word: so has the pair's end. */
static enum progress end_of_client(struct gate_conn *conn)
{
    EL_ASSERT(conn->inner >= 0);
    conn->ended = true;
    return shutdown(conn->inner, SHUT_WR) == 0 ? MOVED : DEAD;
}

/* From the client to the server. */
static enum progress step_inward(struct tls_gate *gate, struct gate_conn *conn)
{
    if (span_len(&conn->plain) > 0) {
        ssize_t n = send(conn->inner, conn->plain_bytes + conn->plain.pos, span_len(&conn->plain), MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return WAITS;
        }
        conn->plain.pos = n < 0 ? conn->plain.end : conn->plain.pos + (size_t)n; /* its answer may still come */
        return MOVED;
    }
    if (conn->ended) {
        return WAITS;
    }
    struct el_tls_bytes bytes = bytes_of(conn, false);
    int64_t n = el_tls_read(conn->tls, &bytes, conn->plain_bytes, PLAIN_LEN);
    EL_ASSERT(bytes.in_len <= span_len(&conn->in));
    EL_ASSERT(n <= (int64_t)PLAIN_LEN);
    conn->in.pos = conn->in.end - bytes.in_len;
    if (n == EVLOG_ERR_CLOSED) {
        return end_of_client(conn);
    }
    if (n < 0) {
        refused(gate, conn, "a record is damaged, not authentic, or wants to negotiate again", NULL);
        return DEAD;
    }
    if (n > 0) {
        conn->plain = (struct span){0, (size_t)n};
        return MOVED;
    }
    enum progress came = receive_in(conn);
    return came == MOVED && conn->ended ? end_of_client(conn) : came;
}

/* From the server to the client. */
static enum progress step_outward(struct tls_gate *gate, struct gate_conn *conn)
{
    uint8_t text[TEXT_LEN];
    if (span_len(&conn->out) > 0) {
        return send_out(gate, conn);
    }
    ssize_t n = recv(conn->inner, text, sizeof text, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return WAITS;
    }
    struct el_tls_bytes bytes = bytes_of(conn, true);
    bytes.in_len = 0;
    if (n <= 0) {
        el_tls_close(conn->tls, &bytes);
        change_state(gate, conn, GATE_LAST);
    } else if (el_tls_write(conn->tls, &bytes, text, (size_t)n) != n) {
        return DEAD;
    }
    EL_ASSERT(bytes.out_len <= OUT_LEN);
    conn->out = (struct span){0, bytes.out_len};
    conn->since_ms = gate->now_ms;
    return MOVED;
}

/* --- the handshake ------------------------------------------------------------------------------------------------ */

/* The client has a name: that is a proof. */
static void tell_proof(struct tls_gate *gate, struct gate_conn *conn, const char *principal)
{
    char address[EL_ADDRESS_TEXT_MAX];
    struct net_handshake handshake = {
        .principal = principal, .version = el_tls_version(conn->tls), .cipher = el_tls_cipher(conn->tls)};
    bool shown = el_tls_peer_digest(conn->tls, handshake.certificate);
    EL_ASSERT(shown);
    http_client_address((const struct sockaddr *)&conn->address, address);
    metrics_add(gate->cfg.metrics, METRIC_AUTHENTICATIONS, 1);
    tell(gate, address, &handshake);
}

/* Its name, its pair, and over to the server. */
static int hand_over(struct tls_gate *gate, struct gate_conn *conn, struct principal_refusal *refusal)
{
    char principal[TLS_GATE_PRINCIPAL_MAX] = "";
    int pair[2];
    struct principal_names names = {.subject = el_tls_peer_subject(conn->tls)};
    names.uri_count = el_tls_peer_uris(conn->tls, &names.uri);
    int rc = names.subject.data == NULL
                 ? 0
                 : gate->cfg.name(gate->cfg.arg, &names, principal, sizeof principal, refusal);
    if (rc != 0) {
        return rc;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        *refusal = (struct principal_refusal){strerror(errno), "no_memory"};
        return EVLOG_ERR_NO_MEMORY;
    }
    EL_ASSERT(conn->inner < 0); /* it is handed over once */
    change_state(gate, conn, GATE_OPEN);
    conn->inner = pair[0];
    metrics_add(gate->cfg.metrics, METRIC_TLS_HANDSHAKES, 1);
    if (principal[0] != '\0') {
        tell_proof(gate, conn, principal);
    }
    struct tls_gate_client client = {
        .fd = pair[1],
        .address = (const struct sockaddr *)&conn->address,
        .address_len = conn->address_len,
        .principal = principal,
    };
    gate->cfg.take(gate->cfg.arg, &client);
    return 0;
}

static enum progress fail(struct tls_gate *gate, struct gate_conn *conn, const char *why, const char *failure)
{
    refused(gate, conn, why, failure);
    change_state(gate, conn, GATE_LAST); /* with an alert, perhaps */
    return MOVED;
}

static enum progress step_hello(struct tls_gate *gate, struct gate_conn *conn)
{
    struct el_error err = {0};
    struct principal_refusal refusal = {.why = NULL};
    if (span_len(&conn->out) > 0) {
        return send_out(gate, conn);
    }
    if (span_len(&conn->in) == 0) {
        enum progress came = receive_in(conn);
        return came == MOVED && conn->ended ? DEAD : came;
    }
    if (!conn->heard && conn->in_bytes[0] != TLS_HANDSHAKE_RECORD) {
        return fail(gate, conn, "the client does not speak TLS: this port wants it (https)", "no_tls");
    }
    conn->heard = true;
    struct el_tls_bytes bytes = bytes_of(conn, true);
    int rc = el_tls_handshake(conn->tls, &bytes, &err);
    EL_ASSERT(bytes.in_len <= span_len(&conn->in));
    EL_ASSERT(bytes.out_len <= OUT_LEN);
    conn->in.pos = conn->in.end - bytes.in_len;
    conn->out = (struct span){0, bytes.out_len};
    if (rc < 0) {
        return fail(gate, conn, err.text, el_tls_failure(conn->tls));
    }
    if (rc == EL_TLS_DONE && hand_over(gate, conn, &refusal) != 0) {
        return fail(gate, conn, refusal.why, refusal.failure);
    }
    return MOVED;
}

/* Nothing is of interest any more but the end. */
static enum progress step_linger(struct gate_conn *conn)
{
    ssize_t n = recv(conn->fd, conn->in_bytes, IN_LEN, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return WAITS;
    }
    return n > 0 ? MOVED : DEAD;
}

static enum progress step_last(struct tls_gate *gate, struct gate_conn *conn)
{
    if (span_len(&conn->out) > 0) {
        return send_out(gate, conn);
    }
    close_inner(conn);
    change_state(gate, conn, GATE_LINGER);
    return shutdown(conn->fd, SHUT_WR) == 0 ? MOVED : DEAD;
}

static enum progress step_open(struct tls_gate *gate, struct gate_conn *conn)
{
    enum progress outward = step_outward(gate, conn);
    if (outward == DEAD || conn->state != GATE_OPEN) {
        return outward;
    }
    enum progress inward = step_inward(gate, conn);
    return inward == WAITS ? outward : inward;
}

static enum progress step(struct tls_gate *gate, struct gate_conn *conn)
{
    switch (conn->state) {
    case GATE_HELLO:
        return step_hello(gate, conn);
    case GATE_OPEN:
        return step_open(gate, conn);
    case GATE_LAST:
        return step_last(gate, conn);
    case GATE_LINGER:
        return step_linger(conn);
    }
    return DEAD;
}

/* --- time --------------------------------------------------------------------------------------------------------- */

/* When the connection is given up; UINT64_MAX: the server decides. */
static uint64_t deadline_of(const struct gate_conn *conn)
{
    switch (conn->state) {
    case GATE_HELLO:
        return conn->since_ms + HANDSHAKE_MS;
    case GATE_OPEN:
        return span_len(&conn->out) > 0 ? conn->since_ms + STALL_MS : UINT64_MAX;
    case GATE_LAST:
        return conn->since_ms + STALL_MS;
    case GATE_LINGER:
        return conn->since_ms + LINGER_MS;
    }
    return 0;
}

/* returns false when it is over with the connection */
static bool go_on(struct tls_gate *gate, struct gate_conn *conn, bool *more)
{
    enum progress progress = MOVED;
    for (int i = 0; i < STEPS_MAX && progress == MOVED; i++) {
        progress = step(gate, conn);
    }
    *more = *more || progress == MOVED;
    if (progress != DEAD && deadline_of(conn) <= gate->now_ms) {
        if (conn->state == GATE_HELLO) {
            refused(gate, conn, "the handshake did not end in time", "too_late");
        }
        return false;
    }
    return progress != DEAD;
}

/* --- accepting ---------------------------------------------------------------------------------------------------- */

static bool same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    if (a->ss_family != b->ss_family) {
        return false;
    }
    if (a->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in_a = (const void *)a, *in_b = (const void *)b;
        return memcmp(&in_a->sin6_addr, &in_b->sin6_addr, sizeof in_a->sin6_addr) == 0;
    }
    const struct sockaddr_in *in_a = (const void *)a, *in_b = (const void *)b;
    return in_a->sin_addr.s_addr == in_b->sin_addr.s_addr;
}

/* May it go when there is no room? */
static bool may_go(const struct tls_gate *gate, const struct gate_conn *conn)
{
    bool late = conn->state == GATE_HELLO && conn->since_ms + PATIENCE_MS <= gate->now_ms;
    return late || conn->state == GATE_LINGER;
}

/* Is there room for one more of this address? If not, who has kept others waiting long enough goes. */
static bool make_room(struct tls_gate *gate, const struct sockaddr_storage *address)
{
    uint32_t same_count = 0;
    for (uint32_t i = 0; i < gate->count; i++) {
        same_count += same_host(&gate->conns[i]->address, address) ? 1 : 0;
    }
    bool crowd = same_count >= TLS_GATE_COUNT_PER_IP_MAX;
    if (!crowd && gate->count < TLS_GATE_COUNT_MAX) {
        return true;
    }
    uint32_t oldest = UINT32_MAX;
    for (uint32_t i = 0; i < gate->count; i++) {
        const struct gate_conn *conn = gate->conns[i];
        bool counts = may_go(gate, conn) && (!crowd || same_host(&conn->address, address));
        if (counts && (oldest == UINT32_MAX || conn->since_ms < gate->conns[oldest]->since_ms)) {
            oldest = i;
        }
    }
    if (oldest == UINT32_MAX) {
        return false;
    }
    if (gate->conns[oldest]->state == GATE_HELLO) {
        refused(gate, gate->conns[oldest], "others wait, and the handshake has not ended", "made_room");
    }
    conn_free(gate, oldest);
    return true;
}

static struct el_tls *new_tls(struct tls_gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    struct el_tls *tls = el_tls_new(gate->tls, NULL);
    pthread_mutex_unlock(&gate->lock);
    return tls;
}

/* returns false when there is nobody more for now */
static bool accept_one(struct tls_gate *gate)
{
    struct sockaddr_storage address = {.ss_family = 0};
    socklen_t address_len = sizeof address;
    int fd = accept4(gate->cfg.listen_fd, (struct sockaddr *)&address, &address_len, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        bool full = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
        gate->accept_from_ms = full ? gate->now_ms + PAUSE_MS : 0;
        return !full && errno != EAGAIN;
    }
    struct gate_conn *conn = make_room(gate, &address) ? el_calloc(1, sizeof *conn) : NULL;
    struct el_tls *tls = conn == NULL ? NULL : new_tls(gate);
    if (tls == NULL) {
        metrics_add(gate->cfg.metrics, METRIC_TLS_REFUSED, 1);
        el_free(conn);
        close(fd);
        return true;
    }
    const int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* only costs time when it fails */
    conn->fd = fd;
    conn->inner = -1;
    conn->tls = tls;
    conn->address = address;
    conn->address_len = address_len;
    conn->since_ms = gate->now_ms;
    EL_ASSERT(gate->count < TLS_GATE_COUNT_MAX);
    gate->conns[gate->count++] = conn;
    metrics_add(gate->cfg.metrics, METRIC_TLS_HALF_OPEN, 1);
    return true;
}

/* --- the thread --------------------------------------------------------------------------------------------------- */

static void want(struct pollfd *wanted, int fd, bool in, bool out)
{
    *wanted = (struct pollfd){.fd = in || out ? fd : -1, .events = (short)((in ? POLLIN : 0) | (out ? POLLOUT : 0))};
}

static void want_conn(const struct gate_conn *conn, struct pollfd wanted[2])
{
    bool out = span_len(&conn->out) > 0, open = conn->state == GATE_OPEN, plain = span_len(&conn->plain) > 0;
    bool reads = conn->state == GATE_LINGER || (conn->state == GATE_HELLO && !out) || (open && !plain && !conn->ended);
    want(&wanted[0], conn->fd, reads, out);
    want(&wanted[1], conn->inner, open && !out, open && plain);
}

/* Sleep until something is to be done. returns false at the end */
static bool wait_for_work(struct tls_gate *gate, bool more)
{
    struct pollfd wanted[POLL_MAX];
    uint64_t until_ms = gate->accept_from_ms > 0 ? gate->accept_from_ms : UINT64_MAX;
    EL_ASSERT(gate->count <= TLS_GATE_COUNT_MAX);
    want(&wanted[0], gate->wake_fd, true, false);
    want(&wanted[1], gate->cfg.listen_fd, gate->accept_from_ms == 0, false);
    for (uint32_t i = 0; i < gate->count; i++) {
        want_conn(gate->conns[i], &wanted[2 + (size_t)2 * i]);
        until_ms = EL_MIN(until_ms, deadline_of(gate->conns[i]));
    }
    uint64_t wait_ms = more ? 0 : until_ms > gate->now_ms ? until_ms - gate->now_ms : 0;
    int rc = poll(wanted, 2 + (nfds_t)2 * gate->count, until_ms == UINT64_MAX && !more ? -1 : (int)wait_ms);
    if (rc < 0) {
        EL_ASSERT(errno == EINTR || errno == ENOMEM);
        return true;
    }
    return wanted[0].revents == 0;
}

static void *gate_main(void *arg)
{
    struct tls_gate *gate = arg;
    bool more = false;
    OBJ_CHECK(gate, TLS_GATE);
    while (wait_for_work(gate, more)) {
        gate->now_ms = clock_ms();
        more = false;
        for (uint32_t i = gate->count; i-- > 0;) { /* the last one takes the place of one that goes */
            if (!go_on(gate, gate->conns[i], &more)) {
                conn_free(gate, i);
            }
        }
        for (int i = 0; i < ACCEPT_MAX && gate->accept_from_ms <= gate->now_ms && accept_one(gate); i++) {
        }
    }
    while (gate->count > 0) {
        conn_free(gate, gate->count - 1);
    }
    return NULL;
}

static void gate_free(struct tls_gate *gate)
{
    EL_ASSERT(gate->count == 0);
    el_tls_config_unref(gate->tls);
    pthread_mutex_destroy(&gate->lock);
    if (gate->wake_fd >= 0) {
        close(gate->wake_fd);
    }
    gate->magic = 0;
    el_free(gate);
}

int tls_gate_start(const struct tls_gate_config *cfg, struct tls_gate **gate)
{
    struct tls_gate *made = el_calloc(1, sizeof *made);
    if (made == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    made->magic = TLS_GATE_MAGIC;
    made->cfg = *cfg;
    made->cfg.tls = NULL;
    made->tls = el_tls_config_ref(cfg->tls);
    made->now_ms = clock_ms();
    pthread_mutex_init(&made->lock, NULL);
    made->wake_fd = eventfd(0, EFD_CLOEXEC);
    sigset_t all, old; /* signals are the main thread's */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = made->wake_fd < 0 ? errno : pthread_create(&made->thread, NULL, gate_main, made);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0) {
        gate_free(made);
        return EVLOG_ERR_NO_MEMORY;
    }
    *gate = made;
    return 0;
}

void tls_gate_renew(struct tls_gate *gate, struct el_tls_config *tls)
{
    OBJ_CHECK(gate, TLS_GATE);
    pthread_mutex_lock(&gate->lock);
    struct el_tls_config *before = gate->tls;
    gate->tls = el_tls_config_ref(tls);
    pthread_mutex_unlock(&gate->lock);
    el_tls_config_unref(before);
}

void tls_gate_stop(struct tls_gate *gate)
{
    const uint64_t one = 1;
    if (gate == NULL) {
        return;
    }
    OBJ_CHECK(gate, TLS_GATE);
    ssize_t n = write(gate->wake_fd, &one, sizeof one);
    EL_ASSERT(n == (ssize_t)sizeof one);
    pthread_join(gate->thread, NULL);
    close(gate->cfg.listen_fd);
    gate_free(gate);
}
