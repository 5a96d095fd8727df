/* SPDX-License-Identifier: Apache-2.0
 *
 * The exporter: a ring of spans, and a thread that sends them. Whoever ends a span copies it into the ring, or counts
 * it as lost when the ring is full; nobody waits for the collector but the exporter's own thread.
 *
 * 1. on_span() copies a span, with its texts, into the ring.
 * 2. The thread waits until a batch is full, or the delay is over, and takes a batch out.
 * 3. It sends the batch, again after a pause when the collector asks for that or does not answer, TRIES_MAX times. The
 *    pause is the collector's own (Retry-After), if it names one, and at most AGAIN_MS_MAX.
 * 4. evlog_otlp_close() lets it send what is left, until the time is over: then the request under way is broken off.
 */
#include "otlp.h"

#include "fail.h"
#include "store/objects/s3_http.h"

#include <core/alloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define TRIES_MAX 3
#define PAUSE_MS 500 /* before the second try, then twice as long */
#define AGAIN_MS_MAX 60000

struct kept {
    struct evlog_span span;
    struct evlog_span_link links[]; /* [span.link_count], then the texts */
};

struct evlog_otlp {
    struct el_otlp_config cfg; /* does not change */
    struct s3_http *http;
    struct s3_header *headers; /* [cfg.header_count + 1] */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct kept **ring; /* [cfg.queue_max] */
    uint32_t first, count;
    int64_t due_ns; /* when the oldest one is sent at the latest */
    bool ending;    /* send what is there, then end */
    bool ended;
    bool hurry;              /* somebody waits in evlog_otlp_flush() */
    bool busy;               /* a batch is under way */
    _Atomic bool broken_off; /* send nothing more */
    struct evlog_otlp_stats stats;
    struct kept **batch;   /* [cfg.batch_max], the thread's */
    struct el_buffer body; /* the thread's */
};

/* --- the queue ---------------------------------------------------------------------------------------------------- */

static size_t len_of(const char *text)
{
    return text == NULL ? 0 : strlen(text) + 1;
}

static const char *keep(char **to, const char *text)
{
    return el_trace_keep(to, text, text == NULL ? 0 : strlen(text));
}

static struct kept *copy_of(const struct evlog_span *span)
{
    size_t len = len_of(span->topic) + len_of(span->group) + len_of(span->client_id) + len_of(span->trace_state) +
                 len_of(span->message_id) + len_of(span->error_type) + len_of(span->error_text) +
                 len_of(span->projection) + span->link_count * sizeof *span->links;
    struct kept *kept = el_malloc(sizeof *kept + len);
    if (kept == NULL) {
        return NULL;
    }
    char *to = (char *)&kept->links[span->link_count];
    if (span->link_count > 0) {
        memcpy(kept->links, span->links, span->link_count * sizeof *span->links);
    }
    kept->span = *span; /* the names of operations are the library's */
    kept->span.topic = keep(&to, span->topic);
    kept->span.group = keep(&to, span->group);
    kept->span.client_id = keep(&to, span->client_id);
    kept->span.trace_state = keep(&to, span->trace_state);
    kept->span.message_id = keep(&to, span->message_id);
    kept->span.error_type = keep(&to, span->error_type);
    kept->span.error_text = keep(&to, span->error_text);
    kept->span.projection = keep(&to, span->projection);
    kept->span.links = kept->links;
    return kept;
}

static void on_span(void *arg, const struct evlog_span *span)
{
    struct evlog_otlp *otlp = arg;
    struct kept *kept = copy_of(span);
    (void)pthread_mutex_lock(&otlp->lock);
    if (kept == NULL || otlp->count == otlp->cfg.queue_max) {
        otlp->stats.lost_count++;
        (void)pthread_mutex_unlock(&otlp->lock);
        el_free(kept);
        return;
    }
    if (otlp->count == 0) {
        otlp->due_ns = el_now_ns() + otlp->cfg.delay_ms * EL_NS_PER_MS;
    }
    otlp->ring[(otlp->first + otlp->count++) % otlp->cfg.queue_max] = kept;
    if (otlp->count == 1 || otlp->count == otlp->cfg.batch_max) {
        (void)pthread_cond_signal(&otlp->changed);
    }
    (void)pthread_mutex_unlock(&otlp->lock);
}

void evlog_otlp_tracer(struct evlog_otlp *otlp, struct evlog_tracer *tracer)
{
    struct evlog_tracer full = EVLOG_TRACER_INIT;
    if (otlp != NULL) {
        full.on_span = on_span;
        full.arg = otlp;
        full.sample_ratio = otlp->cfg.sample_ratio;
        full.ignores_parent = otlp->cfg.ignores_parent;
    }
    full.size = tracer->size;
    memcpy(tracer, &full, EL_MIN(tracer->size, sizeof full));
}

/* --- the thread --------------------------------------------------------------------------------------------------- */

static void wait_until(struct evlog_otlp *otlp, int64_t until_ns)
{
    if (until_ns == EL_NEVER_NS) {
        (void)pthread_cond_wait(&otlp->changed, &otlp->lock);
        return;
    }
    struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    (void)pthread_cond_timedwait(&otlp->changed, &otlp->lock, &until);
}

static void note_failure(struct evlog_otlp *otlp, const char *text)
{
    (void)pthread_mutex_lock(&otlp->lock);
    (void)snprintf(otlp->stats.last_failure, sizeof otlp->stats.last_failure, "%.255s", text);
    (void)pthread_mutex_unlock(&otlp->lock);
}

/* What became of one try. */
struct posted {
    uint32_t refused_count; /* of those that were taken as a whole, by itself */
    int64_t pause_ms;       /* before another try, as the collector wants it; 0: it did not say */
};

static void note_answer(struct evlog_otlp *otlp, const struct s3_answer *answer, uint32_t count, struct posted *posted)
{
    char message[160], text[256];
    posted->refused_count = el_otlp_refused(el_buffer_slice(&answer->text), count, message, sizeof message);
    if (posted->refused_count > 0) {
        (void)snprintf(text, sizeof text, "the collector refused %u of %u spans%s%s", posted->refused_count, count,
                       message[0] == '\0' ? "" : ": ", message);
        note_failure(otlp, text);
    } else if (message[0] != '\0') {
        (void)snprintf(text, sizeof text, "the collector took all, but says: %s", message);
        note_failure(otlp, text);
    }
}

/* Post the body once. returns 0 taken | EVLOG_ERR_AGAIN worth another try | another code: it is not */
static int post(struct evlog_otlp *otlp, uint32_t count, struct posted *posted)
{
    struct s3_http_request request = {
        .method = "POST",
        .url = otlp->cfg.url,
        .headers = otlp->headers,
        .header_count = otlp->cfg.header_count + 1,
        .body = el_buffer_slice(&otlp->body),
    };
    struct s3_answer answer = {.status = 0};
    struct el_error err = {0};
    char text[160];
    int rc = s3_http_send(otlp->http, &request, &answer, &err);
    long status = answer.status;
    *posted = (struct posted){.pause_ms = answer.again_ms};
    if (rc == 0 && status / 100 == 2) {
        note_answer(otlp, &answer, count, posted);
        s3_answer_free(&answer);
        return 0;
    }
    s3_answer_free(&answer);
    if (rc == 0) {
        (void)snprintf(text, sizeof text, "the collector answered with status %ld", status);
        note_failure(otlp, text);
        bool later = status == 429 || status == 502 || status == 503 || status == 504;
        return later ? EVLOG_ERR_AGAIN : EVLOG_ERR_POLICY;
    }
    note_failure(otlp, rc == EVLOG_ERR_POLICY ? "the collector's certificate is not trusted: name the authority's file "
                                                "with OTEL_EXPORTER_OTLP_CERTIFICATE"
                                              : err.text);
    return rc == EVLOG_ERR_POLICY || rc == EVLOG_ERR_CLOSED ? rc : EVLOG_ERR_AGAIN;
}

static void pause_for(struct evlog_otlp *otlp, int64_t pause_ms)
{
    int64_t resume_ns = el_now_ns() + EL_MIN(pause_ms, (int64_t)AGAIN_MS_MAX) * EL_NS_PER_MS;
    (void)pthread_mutex_lock(&otlp->lock);
    while (!otlp->broken_off && el_now_ns() < resume_ns) {
        wait_until(otlp, resume_ns);
    }
    (void)pthread_mutex_unlock(&otlp->lock);
}

/* Send a batch. Lock not held. returns how many of its spans the collector has taken */
static uint32_t send_batch(struct evlog_otlp *otlp, uint32_t count)
{
    struct posted posted = {.pause_ms = 0};
    el_buffer_reset(&otlp->body);
    int rc = el_otlp_encode(&otlp->cfg, (const struct evlog_span *const *)otlp->batch, count, &otlp->body);
    if (rc != 0) {
        note_failure(otlp, evlog_error_text(rc));
        return 0;
    }
    for (int tries = 1;; tries++) {
        rc = otlp->broken_off ? EVLOG_ERR_CLOSED : post(otlp, count, &posted);
        if (rc != EVLOG_ERR_AGAIN || tries == TRIES_MAX) {
            return rc == 0 ? count - posted.refused_count : 0;
        }
        pause_for(otlp, posted.pause_ms != 0 ? posted.pause_ms : (int64_t)PAUSE_MS << (tries - 1));
    }
}

static uint32_t take_batch(struct evlog_otlp *otlp)
{
    uint32_t count = EL_MIN(otlp->count, otlp->cfg.batch_max);
    for (uint32_t i = 0; i < count; i++) {
        otlp->batch[i] = otlp->ring[otlp->first];
        otlp->first = (otlp->first + 1) % otlp->cfg.queue_max;
    }
    otlp->count -= count;
    return count;
}

static void *run(void *arg)
{
    struct evlog_otlp *otlp = arg;
    (void)pthread_mutex_lock(&otlp->lock);
    while (otlp->count > 0 || !otlp->ending) {
        bool due = (otlp->hurry && otlp->count > 0) || otlp->ending || otlp->count >= otlp->cfg.batch_max ||
                   (otlp->count > 0 && el_now_ns() >= otlp->due_ns);
        if (!due) {
            wait_until(otlp, otlp->count == 0 ? EL_NEVER_NS : otlp->due_ns);
            continue;
        }
        uint32_t count = take_batch(otlp);
        otlp->busy = true;
        (void)pthread_mutex_unlock(&otlp->lock);
        uint32_t taken = send_batch(otlp, count);
        for (uint32_t i = 0; i < count; i++) {
            el_free(otlp->batch[i]);
        }
        (void)pthread_mutex_lock(&otlp->lock);
        otlp->stats.sent_count += taken;
        otlp->stats.failed_count += count - taken;
        otlp->due_ns = el_now_ns() + otlp->cfg.delay_ms * EL_NS_PER_MS;
        otlp->busy = false;
        otlp->hurry = otlp->hurry && otlp->count > 0;
        (void)pthread_cond_broadcast(&otlp->changed);
    }
    otlp->ended = true;
    (void)pthread_cond_broadcast(&otlp->changed);
    (void)pthread_mutex_unlock(&otlp->lock);
    return NULL;
}

/* --- open and close ----------------------------------------------------------------------------------------------- */

static void otlp_free(struct evlog_otlp *otlp)
{
    s3_http_close(otlp->http);
    el_otlp_config_free(&otlp->cfg);
    el_buffer_free(&otlp->body);
    el_free(otlp->headers);
    el_free(otlp->ring);
    el_free(otlp->batch);
    (void)pthread_mutex_destroy(&otlp->lock);
    (void)pthread_cond_destroy(&otlp->changed);
    el_free(otlp);
}

static int open_http(struct evlog_otlp *otlp, struct evlog_failure *failure)
{
    struct el_error err = {0};
    struct s3_config *cfg = el_calloc(1, sizeof *cfg);
    if (cfg == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for an exporter of traces");
    }
    cfg->timeout_ms = otlp->cfg.timeout_ms;
    (void)snprintf(cfg->ca_bundle, sizeof cfg->ca_bundle, "%s", otlp->cfg.ca_file);
    int rc = s3_http_open(cfg, &otlp->http, &err);
    el_free(cfg);
    return rc == EVLOG_ERR_UNSUPPORTED
               ? el_fail(failure, rc, "traces are sent with libcurl, which cannot be loaded: install libcurl3-gnutls")
           : rc != 0 ? el_fail_from(failure, &err)
                     : 0;
}

static int start(struct evlog_otlp *otlp, struct evlog_failure *failure)
{
    otlp->headers = el_calloc(otlp->cfg.header_count + 1, sizeof *otlp->headers);
    otlp->ring = el_calloc(otlp->cfg.queue_max, sizeof(struct kept *));
    otlp->batch = el_calloc(otlp->cfg.batch_max, sizeof(struct kept *));
    if (otlp->headers == NULL || otlp->ring == NULL || otlp->batch == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for an exporter of traces");
    }
    otlp->headers[0] = (struct s3_header){"content-type", "application/json"};
    for (uint32_t i = 0; i < otlp->cfg.header_count; i++) {
        otlp->headers[i + 1] = (struct s3_header){otlp->cfg.headers[i].key, otlp->cfg.headers[i].value};
    }
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&otlp->thread, NULL, run, otlp);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0 ? 0 : el_fail(failure, EVLOG_ERR_NO_MEMORY, "no thread for an exporter of traces");
}

static const char *env_of(const char *name)
{
    return getenv(name);
}

int evlog_otlp_open(struct evlog_otlp **otlp, struct evlog_failure *failure)
{
    struct evlog_otlp *fresh = el_calloc(1, sizeof *fresh);
    *otlp = NULL;
    if (fresh == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for an exporter of traces");
    }
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&fresh->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)pthread_mutex_init(&fresh->lock, NULL);
    int rc = el_otlp_config_read(env_of, &fresh->cfg, failure);
    bool on = rc == 0 && fresh->cfg.on;
    rc = on ? open_http(fresh, failure) : rc;
    rc = on && rc == 0 ? start(fresh, failure) : rc;
    if (!on || rc != 0) {
        otlp_free(fresh);
        return rc;
    }
    *otlp = fresh;
    return 0;
}

void evlog_otlp_stats(struct evlog_otlp *otlp, struct evlog_otlp_stats *stats)
{
    struct evlog_otlp_stats full = {.size = stats->size};
    if (otlp != NULL) {
        (void)pthread_mutex_lock(&otlp->lock);
        full = otlp->stats;
        (void)pthread_mutex_unlock(&otlp->lock);
        full.size = stats->size;
    }
    memcpy(stats, &full, EL_MIN(stats->size, sizeof full));
}

bool evlog_otlp_flush(struct evlog_otlp *otlp, int timeout_ms)
{
    if (otlp == NULL) {
        return true;
    }
    int64_t deadline_ns = el_deadline(EL_MAX(timeout_ms, 0));
    (void)pthread_mutex_lock(&otlp->lock);
    while ((otlp->count > 0 || otlp->busy) && el_now_ns() < deadline_ns) {
        otlp->hurry = true;
        (void)pthread_cond_broadcast(&otlp->changed);
        wait_until(otlp, deadline_ns);
    }
    bool all = otlp->count == 0 && !otlp->busy && otlp->stats.lost_count == 0 && otlp->stats.failed_count == 0;
    (void)pthread_mutex_unlock(&otlp->lock);
    return all;
}

void evlog_otlp_close(struct evlog_otlp *otlp, int timeout_ms)
{
    if (otlp == NULL) {
        return;
    }
    int64_t deadline_ns = el_deadline(EL_MAX(timeout_ms, 0));
    (void)pthread_mutex_lock(&otlp->lock);
    otlp->ending = true;
    (void)pthread_cond_broadcast(&otlp->changed);
    while (!otlp->ended && el_now_ns() < deadline_ns) {
        wait_until(otlp, deadline_ns);
    }
    if (!otlp->ended) {
        otlp->broken_off = true;
        s3_http_stop(otlp->http);
        (void)pthread_cond_broadcast(&otlp->changed);
    }
    (void)pthread_mutex_unlock(&otlp->lock);
    (void)pthread_join(otlp->thread, NULL);
    otlp_free(otlp);
}
