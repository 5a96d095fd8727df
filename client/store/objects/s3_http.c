/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP over libcurl. Debian's library with GnuTLS is preferred, any other of the same interface will do.
 *
 * 1. a handle is taken from those that rest, with its open connections, or is made
 * 2. curl sends and calls back: for headers, for the body, and about once a second for a look at the clock: too few
 *    bytes in timeout_ms, or a stop, end the request
 * 3. what curl says is judged: had the request left, and does it matter?
 *
 * Redirections are not followed: a signature holds for one host. A connection that ends within an answer says nothing
 * about the object: AGAIN.
 */
#include "s3_http.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <dlfcn.h>
#include <evlog/error.h>
#include <pthread.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
/* These would replace the members of struct curl_calls. */
#undef curl_easy_setopt
#undef curl_easy_getinfo

#define RESTING_MAX 32
#define CONNECT_MAX_MS 10000
#define SPEED_MIN 1024 /* bytes in a second */
#define LINE_MAX_LEN 1024
#define AGAIN_S_MAX 86400 /* of Retry-After; who waits has a limit of its own */

struct curl_calls {
    CURLcode (*global_init)(long flags);
    CURL *(*easy_init)(void);
    CURLcode (*easy_setopt)(CURL *handle, CURLoption option, ...);
    CURLcode (*easy_perform)(CURL *handle);
    CURLcode (*easy_getinfo)(CURL *handle, CURLINFO info, ...);
    void (*easy_reset)(CURL *handle);
    void (*easy_cleanup)(CURL *handle);
    const char *(*easy_strerror)(CURLcode code);
    struct curl_slist *(*slist_append)(struct curl_slist *list, const char *text);
    void (*slist_free_all)(struct curl_slist *list);
    time_t (*getdate)(const char *text, const time_t *unused);
};

struct s3_http {
    int64_t timeout_ms;
    char ca_bundle[PATH_MAX];
    _Atomic bool stopped;
    pthread_mutex_t lock;
    CURL *resting[RESTING_MAX];
    size_t resting_count;
};

/* One request under way. */
struct transfer {
    struct s3_http *http;
    const struct s3_http_request *request;
    struct s3_answer *answer;
    size_t sent;
    bool overflow;
    bool stalled;
    int64_t mark_ms;
    curl_off_t mark_bytes;
    char fault[CURL_ERROR_SIZE];
};

/* --- libcurl ------------------------------------------------------------------------------------------------------ */

static struct curl_calls curl;
static bool is_loaded;
static char load_fault[200];
static pthread_once_t load_once = PTHREAD_ONCE_INIT;

static bool load_call(void *library, const char *name, void *call)
{
    void *found = dlsym(library, name);
    memcpy(call, &found, sizeof found);
    return found != NULL;
}

static void load(void)
{
    void *library = dlopen("libcurl-gnutls.so.4", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        const char *why = dlerror();
        (void)snprintf(load_fault, sizeof load_fault, "%s", why == NULL ? "libcurl" : why);
        library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    }
    is_loaded = library != NULL && load_call(library, "curl_global_init", &curl.global_init) &&
                load_call(library, "curl_easy_init", &curl.easy_init) &&
                load_call(library, "curl_easy_setopt", &curl.easy_setopt) &&
                load_call(library, "curl_easy_perform", &curl.easy_perform) &&
                load_call(library, "curl_easy_getinfo", &curl.easy_getinfo) &&
                load_call(library, "curl_easy_reset", &curl.easy_reset) &&
                load_call(library, "curl_easy_cleanup", &curl.easy_cleanup) &&
                load_call(library, "curl_easy_strerror", &curl.easy_strerror) &&
                load_call(library, "curl_slist_append", &curl.slist_append) &&
                load_call(library, "curl_slist_free_all", &curl.slist_free_all) &&
                load_call(library, "curl_getdate", &curl.getdate) && curl.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

int s3_http_open(const struct s3_config *cfg, struct s3_http **result, struct el_error *err)
{
    (void)pthread_once(&load_once, load);
    if (!is_loaded) {
        return el_error_set(err, EVLOG_ERR_UNSUPPORTED,
                            "s3:// needs libcurl, which cannot be loaded: install libcurl3-gnutls (%s)", load_fault);
    }
    struct s3_http *http = el_calloc(1, sizeof *http);
    if (http == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory to open a bucket");
    }
    http->timeout_ms = cfg->timeout_ms;
    memcpy(http->ca_bundle, cfg->ca_bundle, sizeof http->ca_bundle);
    (void)pthread_mutex_init(&http->lock, NULL);
    *result = http;
    return 0;
}

void s3_http_close(struct s3_http *http)
{
    if (http != NULL) {
        for (size_t i = 0; i < http->resting_count; i++) {
            curl.easy_cleanup(http->resting[i]);
        }
        (void)pthread_mutex_destroy(&http->lock);
        el_free(http);
    }
}

void s3_http_stop(struct s3_http *http)
{
    atomic_store(&http->stopped, true);
}

static CURL *take_handle(struct s3_http *http)
{
    (void)pthread_mutex_lock(&http->lock);
    CURL *handle = http->resting_count > 0 ? http->resting[--http->resting_count] : NULL;
    (void)pthread_mutex_unlock(&http->lock);
    return handle != NULL ? handle : curl.easy_init();
}

static void give_handle(struct s3_http *http, CURL *handle)
{
    curl.easy_reset(handle); /* what the request pointed to; connections stay */
    (void)pthread_mutex_lock(&http->lock);
    bool rests = http->resting_count < RESTING_MAX;
    if (rests) {
        http->resting[http->resting_count++] = handle;
    }
    (void)pthread_mutex_unlock(&http->lock);
    if (!rests) {
        curl.easy_cleanup(handle);
    }
}

/* --- callbacks ---------------------------------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int on_progress(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    struct transfer *transfer = arg;
    int64_t now = now_ms(), timeout_ms = transfer->http->timeout_ms;
    (void)down_total;
    (void)up_total;
    if (atomic_load(&transfer->http->stopped)) {
        return 1;
    }
    if (now - transfer->mark_ms >= timeout_ms) {
        transfer->stalled = down + up - transfer->mark_bytes < EL_MAX(timeout_ms * SPEED_MIN / 1000, 1);
        transfer->mark_ms = now;
        transfer->mark_bytes = down + up;
    }
    return transfer->stalled ? 1 : 0;
}

static size_t on_read(char *to, size_t size, size_t count, void *arg)
{
    struct transfer *transfer = arg;
    const struct el_slice *body = &transfer->request->body;
    size_t len = EL_MIN(size * count, body->len - transfer->sent);
    if (len > 0) {
        memcpy(to, body->data + transfer->sent, len);
    }
    transfer->sent += len;
    return len;
}

/* curl sends the body again when a connection that has rested is found dead. */
static int on_seek(void *arg, curl_off_t pos, int origin)
{
    struct transfer *transfer = arg;
    if (origin != SEEK_SET || pos < 0 || (uint64_t)pos > transfer->request->body.len) {
        return CURL_SEEKFUNC_FAIL;
    }
    transfer->sent = (size_t)pos;
    return CURL_SEEKFUNC_OK;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct transfer *transfer = arg;
    struct s3_answer *answer = transfer->answer;
    size_t len = size * count;
    if (transfer->request->sink != NULL && answer->status / 100 == 2) {
        if (len > transfer->request->sink_len - answer->got) {
            transfer->overflow = true;
            return 0;
        }
        memcpy(transfer->request->sink + answer->got, data, len);
        answer->got += len;
        return len;
    }
    if (len > S3_TEXT_MAX - answer->text.len) {
        transfer->overflow = true;
        return 0;
    }
    el_buffer_append(&answer->text, data, len);
    return answer->text.err == 0 ? len : 0;
}

/* A header's text into a field; another text before it is a lie. */
static void take_text(struct s3_answer *answer, char *field, size_t max, const char *value)
{
    if ((field[0] != '\0' && strcmp(field, value) != 0) || strlen(value) >= max) {
        answer->lied = true;
        return;
    }
    memcpy(field, value, strlen(value) + 1);
}

/* Seconds, or a date, which is held against our clock. */
static int64_t again_ms_of(const char *value)
{
    uint64_t seconds = 0;
    if (s3_number_of(value, &seconds)) {
        return seconds == 0 ? -1 : (int64_t)EL_MIN(seconds, (uint64_t)AGAIN_S_MAX) * 1000;
    }
    time_t until = curl.getdate(value, NULL), now = time(NULL);
    return until < 0 ? 0 : until <= now ? -1 : EL_MIN((int64_t)(until - now), (int64_t)AGAIN_S_MAX) * 1000;
}

static void take_header(struct s3_answer *answer, const char *name, const char *value)
{
    uint64_t number = 0;
    char etag[S3_ETAG_MAX];
    if (strcasecmp(name, "content-length") == 0) {
        answer->lied = answer->lied || !s3_number_of(value, &number) || (answer->has_len && answer->len != number);
        answer->has_len = true;
        answer->len = number;
    } else if (strcasecmp(name, "content-range") == 0) {
        take_text(answer, answer->range, sizeof answer->range, value);
    } else if (strcasecmp(name, "etag") == 0) {
        if (s3_etag_of(value, etag)) {
            take_text(answer, answer->etag, sizeof answer->etag, etag);
        }
    } else if (strcasecmp(name, "x-amz-meta-sha256") == 0) {
        take_text(answer, answer->sha256, sizeof answer->sha256, value);
    } else if (strcasecmp(name, "x-amz-bucket-region") == 0) {
        take_text(answer, answer->region, sizeof answer->region, value);
    } else if (strcasecmp(name, "date") == 0) {
        answer->date_s = EL_MAX(curl.getdate(value, NULL), 0);
    } else if (strcasecmp(name, "last-modified") == 0) {
        answer->modified_s = EL_MAX(curl.getdate(value, NULL), 0);
    } else if (strcasecmp(name, "retry-after") == 0) {
        answer->again_ms = again_ms_of(value);
    }
}

/* A status line: what came before was of another answer, such as "100 Continue". */
static void begin_answer(struct s3_answer *answer, const char *line)
{
    struct el_buffer text = answer->text;
    const char *blank = strchr(line, ' ');
    long status = 0;
    for (const char *p = blank == NULL ? "" : blank + 1; *p >= '0' && *p <= '9' && status < 1000; p++) {
        status = 10 * status + (*p - '0');
    }
    *answer = (struct s3_answer){.status = status, .text = text};
}

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    struct transfer *transfer = arg;
    char line[LINE_MAX_LEN];
    size_t len = size * count;
    if (len >= sizeof line) {
        return len; /* none that is wanted is so long */
    }
    memcpy(line, data, len);
    line[len] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    if (strncmp(line, "HTTP/", 5) == 0) {
        begin_answer(transfer->answer, line);
        return len;
    }
    char *colon = strchr(line, ':');
    if (colon != NULL) {
        char *value = colon + 1 + strspn(colon + 1, " \t");
        size_t value_len = strlen(value);
        while (value_len > 0 && strchr(" \t", value[value_len - 1]) != NULL) {
            value[--value_len] = '\0';
        }
        *colon = '\0';
        take_header(transfer->answer, line, value);
    }
    return len;
}

/* Lines hold the session's token. */
static void free_lines(struct curl_slist *lines)
{
    for (struct curl_slist *line = lines; line != NULL; line = line->next) {
        explicit_bzero(line->data, strlen(line->data));
    }
    curl.slist_free_all(lines);
}

/* --- one request -------------------------------------------------------------------------------------------------- */

/* Header lines for curl; NULL when memory is short. */
static struct curl_slist *lines_of(const struct s3_http_request *request)
{
    struct curl_slist *list = curl.slist_append(NULL, "Expect:");
    struct el_buffer line = {.err = 0};
    for (size_t i = 0; list != NULL && i < request->header_count; i++) {
        el_buffer_reset(&line);
        el_buffer_printf(&line, "%s: %s", request->headers[i].name, request->headers[i].value);
        const char *text = el_buffer_text(&line);
        struct curl_slist *longer = text == NULL ? NULL : curl.slist_append(list, text);
        if (longer == NULL) {
            free_lines(list);
        }
        list = longer;
    }
    if (line.data != NULL) {
        explicit_bzero(line.data, line.cap); /* it held the session's token */
    }
    el_buffer_free(&line);
    return list;
}

static void set_up(CURL *handle, struct transfer *transfer, struct curl_slist *lines)
{
    const struct s3_http *http = transfer->http;
    const struct s3_http_request *request = transfer->request;
    (void)curl.easy_setopt(handle, CURLOPT_URL, request->url);
    (void)curl.easy_setopt(handle, CURLOPT_HTTPHEADER, lines);
    (void)curl.easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl.easy_setopt(handle, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl.easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L);
    (void)curl.easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    (void)curl.easy_setopt(handle, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl.easy_setopt(handle, CURLOPT_USERAGENT, "evlog/" EVLOG_VERSION);
    (void)curl.easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, (long)EL_MIN(http->timeout_ms, CONNECT_MAX_MS));
    (void)curl.easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
    (void)curl.easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)curl.easy_setopt(handle, CURLOPT_XFERINFODATA, transfer);
    (void)curl.easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl.easy_setopt(handle, CURLOPT_HEADERDATA, transfer);
    (void)curl.easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl.easy_setopt(handle, CURLOPT_WRITEDATA, transfer);
    (void)curl.easy_setopt(handle, CURLOPT_ERRORBUFFER, transfer->fault);
    if (http->ca_bundle[0] != '\0') {
        (void)curl.easy_setopt(handle, CURLOPT_CAINFO, http->ca_bundle);
    }
    bool has_body = strcmp(request->method, "PUT") == 0 || strcmp(request->method, "POST") == 0;
    if (strcmp(request->method, "HEAD") == 0) {
        (void)curl.easy_setopt(handle, CURLOPT_NOBODY, 1L);
    } else if (has_body) {
        (void)curl.easy_setopt(handle, CURLOPT_UPLOAD, 1L);
        (void)curl.easy_setopt(handle, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body.len);
        (void)curl.easy_setopt(handle, CURLOPT_READFUNCTION, on_read);
        (void)curl.easy_setopt(handle, CURLOPT_READDATA, transfer);
        (void)curl.easy_setopt(handle, CURLOPT_SEEKFUNCTION, on_seek);
        (void)curl.easy_setopt(handle, CURLOPT_SEEKDATA, transfer);
        (void)curl.easy_setopt(handle, CURLOPT_UPLOAD_BUFFERSIZE, 512L << 10);
    }
    (void)curl.easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request->method);
}

/* What became of a request that brought no whole answer. left: it was sent, at least in part. */
static int judge(const struct transfer *transfer, CURLcode code, bool left, struct el_error *err)
{
    const char *why = transfer->fault[0] != '\0' ? transfer->fault : curl.easy_strerror(code);
    int lost = left && transfer->request->changes ? EVLOG_ERR_IN_DOUBT : EVLOG_ERR_AGAIN;
    if (code == CURLE_ABORTED_BY_CALLBACK && !transfer->stalled) {
        return el_error_set(err, EVLOG_ERR_CLOSED, "stopping");
    }
    if (code == CURLE_ABORTED_BY_CALLBACK) {
        return el_error_set(err, lost, "no answer: less than %d bytes a second for %lld ms", SPEED_MIN,
                            (long long)transfer->http->timeout_ms);
    }
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE) {
        return el_error_set(err, EVLOG_ERR_POLICY,
                            "the server's certificate is not trusted (%.150s): name the authority's file with "
                            "AWS_CA_BUNDLE",
                            why);
    }
    if (code == CURLE_OUT_OF_MEMORY || transfer->answer->text.err != 0) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for a request");
    }
    if (transfer->overflow) {
        return el_error_set(err, transfer->request->changes ? lost : EVLOG_ERR_CORRUPT,
                            "the server has sent more than was asked for");
    }
    if (code == CURLE_WEIRD_SERVER_REPLY || code == CURLE_UNSUPPORTED_PROTOCOL) {
        return el_error_set(err, lost, "what came is no answer of an HTTP server: %.200s", why);
    }
    return el_error_set(err, lost, "%s%.200s", left ? "the answer was lost: " : "", why);
}

int s3_http_send(struct s3_http *http, const struct s3_http_request *request, struct s3_answer *answer,
                 struct el_error *err)
{
    struct transfer transfer = {.http = http, .request = request, .answer = answer, .mark_ms = now_ms()};
    long request_len = 0;
    if (atomic_load(&http->stopped)) {
        return el_error_set(err, EVLOG_ERR_CLOSED, "stopping");
    }
    CURL *handle = take_handle(http);
    struct curl_slist *lines = handle == NULL ? NULL : lines_of(request);
    if (lines == NULL) {
        if (handle != NULL) {
            give_handle(http, handle);
        }
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for a request");
    }
    set_up(handle, &transfer, lines);
    CURLcode code = curl.easy_perform(handle);
    (void)curl.easy_getinfo(handle, CURLINFO_REQUEST_SIZE, &request_len);
    give_handle(http, handle);
    free_lines(lines);
    if (code != CURLE_OK || answer->text.err != 0) {
        return judge(&transfer, code, request_len > 0, err);
    }
    return 0;
}

void s3_answer_free(struct s3_answer *answer)
{
    el_buffer_free(&answer->text);
    *answer = (struct s3_answer){.status = 0};
}
