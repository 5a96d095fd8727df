/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP listener over libmicrohttpd, which this file alone includes. One thread of the library's own serves all
 * connections; it shares nothing with the shards but what the two callbacks read.
 *
 * 1. http_start() resolves the host, binds, listens; the library starts its thread. With TLS a gate (tls_gate.h) has
 *    the port, and the library gets the sockets that it hands over.
 * 2. Each request is answered at once from the table of routes; bodies are read and thrown away.
 * 3. http_stop() stops accepting, hangs up on every connection, waits until the thread has closed them, and joins it.
 *
 * Two things of libmicrohttpd 0.9.75, the one that Debian 12 has, decide how it is used here (tests/unit/http):
 * - A request that the library itself refuses (headers too long, say) while another thread stops the daemon makes it
 *   follow a null pointer. So it is stopped only when no connection is left.
 * - With epoll it sleeps without a time limit once its connections are at their limit, and never accepts again. So it
 *   polls, which costs nothing with so few connections.
 *
 * What can fail: the port is taken, a page has no memory (500), a client is slow (closed after a timeout), too many
 * clients (closed at once). None of it touches the Kafka side.
 * Source: RFC 9110 (methods, 405 with Allow), RFC 9457 (problem details), Prometheus text format 0.0.4.
 */
#include <http/http.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <core/json_writer.h>
#include <core/logger.h>
#include <core/utf8.h>
#include <http/client_address.h>
#include <http/tls_gate.h>

#include <microhttpd.h>

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HTTP_MAGIC OBJ_MAGIC('h', 't', 't', 'p')
#define CONNECTION_COUNT_MAX TLS_GATE_COUNT_MAX
#define CONNECTION_COUNT_PER_IP_MAX TLS_GATE_COUNT_PER_IP_MAX
#define CONNECTION_TIMEOUT_S 15u
#define CONNECTION_MEMORY_MAX ((size_t)32 << 10) /* request line and headers */
#define DETAIL_MAX 512
#define BACKLOG 128

/* A connection; the library's, which closes it. */
struct place {
    int fd;          /* -1: free */
    bool begun;      /* else it was handed over by the gate, and has not been heard of since */
    char *principal; /* NULL: none */
};

struct http {
    uint32_t magic;
    struct MHD_Daemon *daemon;
    struct tls_gate *gate;  /* with TLS */
    bool secure;            /* with TLS */
    struct http_config cfg; /* host and tls are NULL: only needed at start */
    pthread_mutex_t lock;   /* of what follows */
    pthread_cond_t none_open;
    bool stopping;
    uint32_t open_count; /* of those that have begun */
    struct place places[CONNECTION_COUNT_MAX];
};

/* One answer on its way out; text is el_malloc()ed. */
struct answer {
    unsigned status;
    const char *content_type;
    char *text;
    size_t len;
};

typedef void (*route_fn)(struct http *http, struct answer *answer);

/* --- answers ----------------------------------------------------------------------------------------------------- */

static void answer_text(struct answer *answer, unsigned status, const char *content_type, const char *text)
{
    EL_ASSERT(answer->text == NULL);
    answer->status = status;
    answer->content_type = content_type;
    answer->text = el_strdup(text);
    answer->len = strlen(text);
}

/* A text as it is, and what is no UTF-8 as "?": names of files are any bytes, and texts that are too long are cut. */
static const char *clean(const char *text, char shown[DETAIL_MAX])
{
    bool valid = el_utf8_valid(text, strlen(text));
    size_t len = 0;
    for (; text[len] != 0 && len < DETAIL_MAX - 1; len++) {
        shown[len] = (uint8_t)text[len] >= 0x80 && !valid ? '?' : text[len];
    }
    shown[len] = 0;
    return shown;
}

static void answer_problem(struct answer *answer, unsigned status, const char *title, const char *detail)
{
    struct el_buffer page = {.err = 0};
    char shown[DETAIL_MAX];
    EL_ASSERT(answer->text == NULL);
    EL_ASSERT(status >= 400);
    EL_ASSERT(strlen(detail) < DETAIL_MAX);
    struct el_json_writer json;
    el_json_writer_init(&json, &page);
    el_json_begin_object(&json);
    el_json_add_str(&json, "type", "about:blank");
    el_json_add_str(&json, "title", title);
    el_json_add_uint(&json, "status", status);
    el_json_add_str(&json, "detail", clean(detail, shown));
    el_json_end_object(&json);
    if (el_json_writer_end(&json) != 0 || el_buffer_text(&page) == NULL) {
        el_buffer_free(&page);
    }
    answer->status = status;
    answer->content_type = "application/problem+json";
    answer->text = (char *)page.data; /* el_buffer has its memory from el_malloc(); NULL when there was none */
    answer->len = page.len;
}

/* Ready, but there is something that somebody should know. */
static void answer_warning(struct answer *answer, const char *warning)
{
    struct el_buffer page = {.err = 0};
    char shown[DETAIL_MAX];
    struct el_json_writer json;
    el_json_writer_init(&json, &page);
    el_json_begin_object(&json);
    el_json_add_str(&json, "status", "ready");
    el_json_add_str(&json, "warning", clean(warning, shown));
    el_json_end_object(&json);
    el_buffer_append_char(&page, '\n');
    if (el_json_writer_end(&json) != 0 || el_buffer_text(&page) == NULL) {
        el_buffer_free(&page);
    }
    answer->status = 200;
    answer->content_type = "application/json";
    answer->text = (char *)page.data;
    answer->len = page.len;
}

static void route_metrics(struct http *http, struct answer *answer)
{
    int result = http->cfg.render_metrics(http->cfg.arg, &answer->text, &answer->len);
    if (result != 0) {
        answer_problem(answer, 500, "Internal Server Error", evlog_error_text(result));
        return;
    }
    answer->status = 200;
    answer->content_type = "text/plain; version=0.0.4; charset=utf-8";
}

static void route_live(struct http *http, struct answer *answer)
{
    char reason[DETAIL_MAX] = "";
    if (http->cfg.live == NULL || http->cfg.live(http->cfg.arg, reason, sizeof reason)) {
        answer_text(answer, 200, "application/json", "{\"status\":\"live\"}\n");
    } else {
        answer_problem(answer, 503, "Service Unavailable", reason);
    }
}

static void route_ready(struct http *http, struct answer *answer)
{
    char reason[DETAIL_MAX] = "";
    bool ready = http->cfg.ready(http->cfg.arg, reason, sizeof reason);
    if (ready && reason[0] != 0) {
        answer_warning(answer, reason);
    } else if (ready) {
        answer_text(answer, 200, "application/json", "{\"status\":\"ready\"}\n");
    } else {
        answer_problem(answer, 503, "Service Unavailable", reason);
    }
}

static void route_version(struct http *http, struct answer *answer)
{
    answer_text(answer, 200, "application/json", "{\"name\":\"evlogd\",\"version\":\"" EVLOG_VERSION "\"}\n");
}

struct route {
    const char *path;
    route_fn run;
    bool open; /* to everybody: what programs ask that have no name */
};

static const struct route routes[] = {
    {"/metrics", route_metrics, false},
    {"/health/live", route_live, true},
    {"/health/ready", route_ready, true},
    {"/version", route_version, true},
};

static const struct route *find_route(const char *path)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (strcmp(path, routes[i].path) == 0) {
            return &routes[i];
        }
    }
    return NULL;
}

/* --- who asks ---------------------------------------------------------------------------------------------------- */

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)address;
        return ntohl(in->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)address;
        return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) ||
               (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) && in6->sin6_addr.s6_addr[12] == IN_LOOPBACKNET);
    }
    return false;
}

/* returns true when it may go on; else the answer is a refusal */
static bool let_in(struct http *http, struct MHD_Connection *connection, struct answer *answer)
{
    static const struct {
        unsigned status;
        const char *title;
    } refusals[] = {
        [HTTP_WHO] = {401, "Unauthorized"},
        [HTTP_DENIED] = {403, "Forbidden"},
        [HTTP_TOO_MANY] = {429, "Too Many Requests"},
        [HTTP_NOT_NOW] = {503, "Service Unavailable"},
    };
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    char address[EL_ADDRESS_TEXT_MAX] = "", reason[DETAIL_MAX] = "";
    if (http->cfg.judge == NULL) {
        return true;
    }
    if (info != NULL && info->client_addr != NULL) {
        http_client_address(info->client_addr, address);
    }
    const union MHD_ConnectionInfo *context = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    const struct place *place = context == NULL ? NULL : context->socket_context;
    struct http_caller caller = {
        .address = address,
        .secure = http->secure,
        .principal = place == NULL ? NULL : place->principal,
        .loopback = info != NULL && info->client_addr != NULL && is_loopback(info->client_addr),
        .authorization = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization"),
    };
    enum http_verdict verdict = http->cfg.judge(http->cfg.arg, &caller, reason, sizeof reason);
    if (verdict == HTTP_ALLOWED) {
        return true;
    }
    EL_ASSERT(verdict < sizeof refusals / sizeof refusals[0]);
    EL_ASSERT(refusals[verdict].title != NULL);
    answer_problem(answer, refusals[verdict].status, refusals[verdict].title, reason);
    return false;
}

/* --- requests ---------------------------------------------------------------------------------------------------- */

static enum MHD_Result send_answer(struct MHD_Connection *connection, struct answer *answer)
{
    if (answer->text == NULL) {
        return MHD_NO; /* no memory: the connection is closed */
    }
    EL_ASSERT(answer->status >= 200);
    EL_ASSERT(answer->content_type != NULL);
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback(answer->len, answer->text,
                                                                                       el_free);
    if (response == NULL) {
        el_free(answer->text);
        return MHD_NO;
    }
    enum MHD_Result result = MHD_add_response_header(response, "Content-Type", answer->content_type);
    if (result == MHD_YES) {
        result = MHD_add_response_header(response, "Cache-Control", "no-store");
    }
    if (result == MHD_YES) {
        result = MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    }
    if (result == MHD_YES && answer->status == 405) {
        result = MHD_add_response_header(response, "Allow", "GET, HEAD");
    }
    if (result == MHD_YES && answer->status == 401) {
        result = MHD_add_response_header(response, "WWW-Authenticate", "Basic realm=\"evlog\", charset=\"UTF-8\"");
    }
    if (result == MHD_YES && answer->status == 401) {
        result = MHD_add_response_header(response, "WWW-Authenticate", "Bearer realm=\"evlog\"");
    }
    if (result == MHD_YES && (answer->status == 429 || answer->status == 503)) {
        result = MHD_add_response_header(response, "Retry-After", "1");
    }
    if (result == MHD_YES) {
        result = MHD_queue_response(connection, answer->status, response);
    }
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path, const char *method,
                                  const char *version, const char *upload, size_t *upload_len, void **state)
{
    static int begun;
    struct http *http = arg;
    struct answer answer = {.status = 0};
    char detail[DETAIL_MAX];
    OBJ_CHECK(http, HTTP);
    if (*state == NULL) { /* headers are in, a body may follow */
        *state = &begun;
        return MHD_YES;
    }
    if (*upload_len != 0) {
        *upload_len = 0;
        return MHD_YES;
    }
    const struct route *route = find_route(path);
    bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    if (route == NULL) {
        snprintf(detail, sizeof detail, "there is nothing at %.200s", path);
        answer_problem(&answer, 404, "Not Found", detail);
    } else if (!reads) {
        snprintf(detail, sizeof detail, "%.200s takes GET and HEAD only", path);
        answer_problem(&answer, 405, "Method Not Allowed", detail);
    } else if (route->open || let_in(http, connection, &answer)) {
        route->run(http, &answer);
    }
    return send_answer(connection, &answer);
}

static void hang_up(int fd)
{
    (void)shutdown(fd, SHUT_RDWR); /* fails when the client has hung up already, which does as well */
}

/* The place of a descriptor, or with -1 a free one. NULL: there is none */
static struct place *find_place(struct http *http, int fd)
{
    for (size_t i = 0; i < CONNECTION_COUNT_MAX; i++) {
        if (http->places[i].fd == fd) {
            return &http->places[i];
        }
    }
    return NULL;
}

static void clear_place(struct place *place)
{
    el_free(place->principal);
    *place = (struct place){.fd = -1};
}

static void connection_begin(struct http *http, struct MHD_Connection *connection, void **context)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    EL_ASSERT(info != NULL);
    EL_ASSERT(http->open_count < CONNECTION_COUNT_MAX);
    struct place *place = find_place(http, http->secure ? info->connect_fd : -1);
    EL_ASSERT(place != NULL);
    EL_ASSERT(!place->begun);
    EL_ASSERT(info->connect_fd >= 0);
    EL_ASSERT(place->fd == -1 || place->fd == info->connect_fd);
    place->fd = info->connect_fd;
    place->begun = true;
    http->open_count++;
    *context = place;
    if (http->stopping) {
        hang_up(info->connect_fd);
    }
}

static void connection_end(struct http *http, struct place *place)
{
    EL_ASSERT(http->open_count > 0);
    EL_ASSERT(place != NULL);
    EL_ASSERT(place >= http->places);
    EL_ASSERT(place < http->places + CONNECTION_COUNT_MAX);
    EL_ASSERT(place->begun);
    clear_place(place);
    http->open_count--;
    if (http->open_count == 0) {
        pthread_cond_signal(&http->none_open);
    }
}

/* Called with a connection's end before its descriptor is closed. */
static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http *http = arg;
    OBJ_CHECK(http, HTTP);
    pthread_mutex_lock(&http->lock);
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        connection_begin(http, connection, context);
    } else {
        connection_end(http, *context);
    }
    pthread_mutex_unlock(&http->lock);
}

/* A client of the gate, on its thread. What the library does not take it closes. */
static void on_client(void *arg, const struct tls_gate_client *client)
{
    struct http *http = arg;
    OBJ_CHECK(http, HTTP);
    EL_ASSERT(http->secure);
    EL_ASSERT(client->fd >= 0);
    char *principal = client->principal[0] == 0 ? NULL : el_strdup(client->principal);
    pthread_mutex_lock(&http->lock);
    struct place *place = find_place(http, client->fd); /* of one that the library has closed unheard */
    place = place != NULL ? place : find_place(http, -1);
    bool taken = place != NULL && (principal != NULL || client->principal[0] == 0);
    if (taken) {
        EL_ASSERT(!place->begun); /* one that has begun still has its descriptor */
        clear_place(place);
        place->fd = client->fd;
        place->principal = principal;
    }
    pthread_mutex_unlock(&http->lock);
    if (!taken) {
        el_free(principal);
        close(client->fd);
    } else if (MHD_add_connection(http->daemon, client->fd, client->address, client->address_len) != MHD_YES) {
        pthread_mutex_lock(&http->lock);
        clear_place(place);
        pthread_mutex_unlock(&http->lock);
    }
}

static int on_name(void *arg, const struct principal_names *names, char *principal, size_t principal_max,
                   struct principal_refusal *refusal)
{
    struct http *http = arg;
    OBJ_CHECK(http, HTTP);
    return http->cfg.name(http->cfg.arg, names, principal, principal_max, refusal);
}

static void on_shaken(void *arg, const struct net_handshake *handshake)
{
    struct http *http = arg;
    OBJ_CHECK(http, HTTP);
    http->cfg.shaken(http->cfg.arg, handshake);
}

static void on_library_log(void *arg, const char *format, va_list args)
{
    char text[256];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    vsnprintf(text, sizeof text, format, args);
#pragma GCC diagnostic pop
    text[strcspn(text, "\n")] = 0;
    el_log(EL_LOG_DEBUG, "http", "%s", text);
}

/* --- start and stop ---------------------------------------------------------------------------------------------- */

static int listen_at(const struct addrinfo *address, int *fd)
{
    int one = 1;
    int sock = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (sock < 0) {
        return errno;
    }
    if (setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(sock, address->ai_addr, address->ai_addrlen) != 0 || listen(sock, BACKLOG) != 0) {
        int saved = errno;
        close(sock);
        return saved;
    }
    *fd = sock;
    return 0;
}

static const char *shown_host(const struct http_config *cfg)
{
    return cfg->host[0] == 0 ? "*" : cfg->host;
}

/* Listen at the first address of the host that takes it. */
static int listen_host(const struct http_config *cfg, int *fd, struct el_error *err)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    char port[8];
    int errno_value = 0;
    snprintf(port, sizeof port, "%u", cfg->port);
    int result = getaddrinfo(cfg->host[0] == 0 ? NULL : cfg->host, port, &hints, &list);
    if (result != 0) {
        return el_error_set(err, EVLOG_ERR_ARGUMENT, "http address %s: %s", shown_host(cfg), gai_strerror(result));
    }
    for (struct addrinfo *address = list; address != NULL; address = address->ai_next) {
        errno_value = listen_at(address, fd);
        if (errno_value == 0) {
            break;
        }
    }
    freeaddrinfo(list);
    if (errno_value == 0) {
        return 0;
    }
    return el_error_set(err, el_error_from_errno(errno_value), "http address %s port %u: %s%s", shown_host(cfg),
                        cfg->port, strerror(errno_value),
                        errno_value == EADDRINUSE ? "; choose another with --http=HOST:PORT, or --http=off" : "");
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage address = {.ss_family = 0};
    socklen_t len = sizeof address;
    char port[8] = "0";
    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0 ||
        getnameinfo((struct sockaddr *)&address, len, NULL, 0, port, sizeof port, NI_NUMERICSERV) != 0) {
        return 0;
    }
    unsigned number = 0;
    return sscanf(port, "%u", &number) == 1 ? (uint16_t)number : 0;
}

static void http_free(struct http *http)
{
    EL_ASSERT(http->open_count == 0);
    for (size_t i = 0; i < CONNECTION_COUNT_MAX; i++) {
        clear_place(&http->places[i]); /* of those that never began */
    }
    pthread_cond_destroy(&http->none_open);
    pthread_mutex_destroy(&http->lock);
    http->magic = 0;
    el_free(http);
}

static struct http *http_new(const struct http_config *cfg)
{
    struct http *h = el_calloc(1, sizeof *h);
    if (h == NULL) {
        return NULL;
    }
    h->magic = HTTP_MAGIC;
    h->cfg = *cfg;
    h->cfg.host = NULL;
    h->cfg.tls = NULL;
    h->secure = cfg->tls != NULL;
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->none_open, NULL);
    for (size_t i = 0; i < CONNECTION_COUNT_MAX; i++) {
        h->places[i].fd = -1;
    }
    return h;
}

/* fd -1: it listens to nobody. The logger comes first: options after it may log. The daemon owns fd from here on, also
 * on failure. */
static struct MHD_Daemon *start_daemon(struct http *http, int fd)
{
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC | MHD_USE_ERROR_LOG |
                     (fd == -1 ? (unsigned)MHD_USE_NO_LISTEN_SOCKET : 0);
    const struct MHD_OptionItem listen[] = {
        {fd == -1 ? MHD_OPTION_END : MHD_OPTION_LISTEN_SOCKET, fd, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    return MHD_start_daemon(flags, 0, NULL, NULL, on_request, http, MHD_OPTION_EXTERNAL_LOGGER, on_library_log, NULL,
                            MHD_OPTION_ARRAY, listen, MHD_OPTION_NOTIFY_CONNECTION, on_connection, http,
                            MHD_OPTION_CONNECTION_LIMIT, CONNECTION_COUNT_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
                            CONNECTION_COUNT_PER_IP_MAX, MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_TIMEOUT_S,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY_MAX, MHD_OPTION_END);
}

/* returns 0 | a code; fd is the gate's then, else the caller's */
static int start_gate(struct http *http, const struct http_config *cfg, int fd)
{
    const struct tls_gate_config gate_cfg = {
        .listen_fd = fd,
        .tls = cfg->tls,
        .metrics = cfg->metrics,
        .name = on_name,
        .shaken = cfg->shaken == NULL ? NULL : on_shaken,
        .take = on_client,
        .arg = http,
    };
    return tls_gate_start(&gate_cfg, &http->gate);
}

int http_start(const struct http_config *cfg, struct http **http, uint16_t *bound_port, struct el_error *err)
{
    int fd = -1;
    EL_ASSERT(cfg->host != NULL);
    EL_ASSERT(cfg->render_metrics != NULL);
    EL_ASSERT(cfg->ready != NULL);
    EL_ASSERT(cfg->tls == NULL || (cfg->metrics != NULL && cfg->name != NULL));
    int result = listen_host(cfg, &fd, err);
    if (result != 0) {
        return result;
    }
    uint16_t port = port_of(fd);
    struct http *h = http_new(cfg);
    if (h == NULL) {
        result = el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for the HTTP listener");
        goto fail_fd;
    }
    h->daemon = start_daemon(h, cfg->tls == NULL ? fd : -1);
    if (h->daemon == NULL) {
        result = el_error_set(err, EVLOG_ERR_FAILED, "the HTTP listener did not start on port %u", port);
        goto fail_http;
    }
    result = cfg->tls == NULL ? 0 : start_gate(h, cfg, fd);
    if (result != 0) {
        el_error_set(err, result, "the HTTP listener with TLS did not start on port %u", port);
        goto fail_daemon;
    }
    *http = h;
    *bound_port = port;
    return 0;

fail_daemon:
    MHD_stop_daemon(h->daemon);
fail_http:
    http_free(h);
    if (cfg->tls == NULL) {
        return result;
    }
fail_fd:
    close(fd);
    return result;
}

void http_renew_tls(struct http *http, struct el_tls_config *tls)
{
    OBJ_CHECK(http, HTTP);
    EL_ASSERT(http->secure);
    tls_gate_renew(http->gate, tls);
}

void http_stop(struct http *http)
{
    if (http == NULL) {
        return;
    }
    OBJ_CHECK(http, HTTP);
    tls_gate_stop(http->gate);
    int listen_fd = !http->secure ? MHD_quiesce_daemon(http->daemon) : -1;
    pthread_mutex_lock(&http->lock);
    http->stopping = true;
    for (size_t i = 0; i < CONNECTION_COUNT_MAX; i++) {
        if (http->places[i].begun) {
            hang_up(http->places[i].fd);
        }
    }
    while (http->open_count > 0) {
        pthread_cond_wait(&http->none_open, &http->lock);
    }
    pthread_mutex_unlock(&http->lock);
    MHD_stop_daemon(http->daemon);
    if (listen_fd != -1) {
        close(listen_fd);
    }
    http_free(http);
}
