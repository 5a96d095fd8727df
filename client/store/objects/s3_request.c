/* SPDX-License-Identifier: Apache-2.0
 *
 * A request to S3, from what is wanted to what came of it.
 *
 * 1. headers are put together in the order of their names, and signed with the keys of the moment
 * 2. sent
 * 3. refused because of the keys: they are read anew; when others are there now, the request is sent once more
 * 4. the status and the answer's <Error> become a code and a text that says what to do
 *
 * Texts are made of the key, the status, the error's code and its message, which is printable and short; a message that
 * repeats a secret is left out.
 */
#include "s3_state.h"

#include <core/alloc.h>
#include <core/base64.h>
#include <core/crypto.h>
#include <stdio.h>
#include <time.h>

#define HINT_MAX 240
#define SKEW_MIN_S 60 /* a clock that is off by less is not what a refusal is about */

int s3_senseless(const char *key, const char *what, struct el_error *err)
{
    return el_error_set(err, EVLOG_ERR_CORRUPT, "%.200s: the server's answer makes no sense: %.200s", key, what);
}

/* --- what a status means ------------------------------------------------------------------------------------------ */

/* What an answer says of a request, with all that a hint needs. */
struct verdict {
    const struct s3_store *store;
    const struct s3_call *call;
    const struct s3_answer *answer;
    struct s3_xml_error error;
    int64_t now_s; /* of this machine, when the request was signed */
};

static bool is(const struct verdict *v, const char *code)
{
    return strcmp(v->error.code, code) == 0;
}

static bool keys_are_refused(const struct verdict *v)
{
    return is(v, "ExpiredToken") || is(v, "ExpiredTokenException") || is(v, "InvalidToken") ||
           is(v, "TokenRefreshRequired") || is(v, "RequestExpired") || is(v, "InvalidAccessKeyId") ||
           is(v, "SignatureDoesNotMatch") || (v->error.code[0] == '\0' && v->answer->status == 403);
}

static bool is_elsewhere(const struct verdict *v)
{
    long status = v->answer->status;
    return status == 301 || status == 302 || status == 307 || status == 308 || is(v, "PermanentRedirect") ||
           is(v, "AuthorizationHeaderMalformed") || is(v, "IllegalLocationConstraintException") ||
           is(v, "IncorrectEndpoint");
}

static bool is_busy(const struct verdict *v)
{
    long status = v->answer->status;
    return status == 408 || status == 425 || status == 429 || status == 500 || (status >= 502 && status <= 504) ||
           is(v, "SlowDown") || is(v, "RequestTimeout") || is(v, "InternalError") || is(v, "ServiceUnavailable");
}

static int hint_elsewhere(const struct verdict *v, char hint[HINT_MAX])
{
    const char *region = v->answer->region;
    if (region[0] != '\0' && strcmp(region, v->store->cfg.region) != 0) {
        (void)snprintf(hint, HINT_MAX, "the bucket is in region %.60s, not %.60s: set AWS_REGION", region,
                       v->store->cfg.region);
    } else {
        (void)snprintf(hint, HINT_MAX,
                       "the bucket is in another region or at another address than %.60s: set AWS_REGION or "
                       "AWS_ENDPOINT_URL_S3",
                       v->store->cfg.region);
    }
    return EVLOG_ERR_POLICY;
}

static int hint_refused(const struct verdict *v, char hint[HINT_MAX])
{
    int64_t off_s = v->answer->date_s == 0 ? 0 : v->now_s - v->answer->date_s;
    if (is(v, "RequestTimeTooSkewed") ||
        ((is(v, "RequestExpired") || v->error.code[0] == '\0') && (off_s > SKEW_MIN_S || off_s < -SKEW_MIN_S))) {
        (void)snprintf(hint, HINT_MAX, "this machine's clock is %lld seconds %s the server's: set it",
                       (long long)(off_s < 0 ? -off_s : off_s), off_s < 0 ? "behind" : "ahead of");
    } else if (is(v, "SignatureDoesNotMatch")) {
        (void)snprintf(hint, HINT_MAX, "the secret access key is not the one of this access key id");
    } else if (is(v, "InvalidAccessKeyId")) {
        (void)snprintf(hint, HINT_MAX, "the access key id is not known there");
    } else if (keys_are_refused(v) && v->error.code[0] != '\0') {
        (void)snprintf(hint, HINT_MAX, "the credentials have expired: renew them");
    } else {
        (void)snprintf(hint, HINT_MAX, "the credentials do not allow %s %s: grant it, or use others", v->call->method,
                       v->call->key == NULL ? "on the bucket" : "there");
    }
    return EVLOG_ERR_POLICY;
}

static int hint_absent(const struct verdict *v, char hint[HINT_MAX])
{
    if (is(v, "NoSuchBucket")) {
        (void)snprintf(hint, HINT_MAX, "there is no bucket %.63s at %.100s: make it, or correct the URL",
                       v->store->cfg.bucket, v->store->cfg.origin);
        return EVLOG_ERR_POLICY;
    }
    if (is(v, "NoSuchUpload")) {
        (void)snprintf(hint, HINT_MAX, "the upload is gone: it starts over");
        return EVLOG_ERR_AGAIN;
    }
    if (v->error.code[0] == '\0' || is(v, "NoSuchKey")) {
        (void)snprintf(hint, HINT_MAX, "not there");
        return EVLOG_ERR_NOT_FOUND;
    }
    return EVLOG_ERR_POLICY; /* something else is not there, such as the user */
}

/* The code of an answer that is not 2xx, and what to do about it. */
static int judge(const struct verdict *v, char hint[HINT_MAX])
{
    long status = v->answer->status;
    hint[0] = '\0';
    if (is_elsewhere(v)) {
        return hint_elsewhere(v, hint);
    }
    if (is_busy(v)) {
        (void)snprintf(hint, HINT_MAX, "the store asks to come again later");
        return EVLOG_ERR_AGAIN;
    }
    if (status == 401 || status == 403 || keys_are_refused(v)) {
        return hint_refused(v, hint);
    }
    if (status == 404) {
        return hint_absent(v, hint);
    }
    if (status == 412) {
        (void)snprintf(hint, HINT_MAX, "it is there");
        return EVLOG_ERR_EXISTS;
    }
    if (status == 409) {
        (void)snprintf(hint, HINT_MAX, "somebody else writes it at the same time: it starts over");
        return EVLOG_ERR_AGAIN;
    }
    if (status == 501 || is(v, "NotImplemented")) {
        (void)snprintf(hint, HINT_MAX,
                       "the store does not know this request; evlog needs conditional writes (If-None-Match)");
        return EVLOG_ERR_UNSUPPORTED;
    }
    if (is(v, "BadDigest") || is(v, "XAmzContentSHA256Mismatch") || is(v, "InvalidDigest")) {
        (void)snprintf(hint, HINT_MAX, "the bytes were changed on their way");
        return EVLOG_ERR_AGAIN;
    }
    if (status == 507 || is(v, "QuotaExceeded") || is(v, "XMinioStorageFull")) {
        (void)snprintf(hint, HINT_MAX, "the store is full: make room there");
        return EVLOG_ERR_NO_SPACE;
    }
    if (status == 416) {
        return EVLOG_ERR_OFFSET_RANGE;
    }
    return status >= 400 && status < 500 ? EVLOG_ERR_POLICY : EVLOG_ERR_CORRUPT;
}

/* Would the text repeat what must not be told? The lock is held. */
static bool is_secret(const struct s3_keys *keys, const char *text)
{
    return strstr(text, keys->secret_key) != NULL || (keys->token != NULL && strstr(text, keys->token) != NULL);
}

static int tell(struct s3_store *store, struct verdict *v, struct el_error *err)
{
    char hint[HINT_MAX];
    const char *key = v->call->key == NULL ? store->cfg.bucket : v->call->key;
    int code = judge(v, hint);
    (void)pthread_mutex_lock(&store->lock);
    bool secret = is_secret(&store->keys, v->error.message) || is_secret(&store->keys, v->error.code);
    (void)pthread_mutex_unlock(&store->lock);
    if (secret) {
        v->error = (struct s3_xml_error){.code = ""};
    }
    const char *said = v->error.message;
    return el_error_set(err, code, "%.200s: %s%s%ld%s%s%s%.120s%s", key, hint, hint[0] == '\0' ? "" : " (",
                        v->answer->status, v->error.code[0] == '\0' ? "" : " ", v->error.code,
                        said[0] == '\0' ? "" : ": ", said, hint[0] == '\0' ? "" : ")");
}

/* --- one try ------------------------------------------------------------------------------------------------------ */

/* What a request is made of, beside the call. */
struct parts {
    struct el_buffer url;
    struct el_buffer path;
    struct el_buffer authorization;
    uint8_t digest[32]; /* of the body */
    char payload[65];
    char checksum[48];
    char date[S3_DATE_LEN + 1];
    char *token;
    struct s3_header headers[S3_HEADERS_MAX]; /* ascending by name, then "authorization" */
    size_t header_count;
};

static void add_header(struct parts *parts, const char *name, const char *value)
{
    if (value != NULL) {
        EL_ASSERT(parts->header_count < S3_HEADERS_MAX);
        parts->headers[parts->header_count++] = (struct s3_header){name, value};
    }
}

static void add_headers(const struct s3_store *store, const struct s3_call *call, struct parts *parts)
{
    add_header(parts, "content-md5", call->md5);
    add_header(parts, "host", store->cfg.host);
    add_header(parts, "if-none-match", call->once ? "*" : NULL);
    add_header(parts, "range", call->range);
    /* The store checks these bytes and keeps their sum; buckets that lock objects demand one. */
    add_header(parts, "x-amz-checksum-sha256", call->once && call->sha256 != NULL ? parts->checksum : NULL);
    add_header(parts, "x-amz-content-sha256", parts->payload);
    add_header(parts, "x-amz-date", parts->date);
    add_header(parts, "x-amz-meta-sha256", call->meta);
    add_header(parts, "x-amz-security-token", store->keys.token);
}

/* Put a request together and sign it; the lock is held. returns 0 | EVLOG_ERR_NO_MEMORY */
static int build(struct s3_store *store, const struct s3_call *call, struct parts *parts, int64_t now_s)
{
    const char *query = call->query == NULL ? "" : call->query;
    el_buffer_append_str(&parts->path, store->cfg.path);
    if (call->key != NULL) {
        el_buffer_printf(&parts->path, "/%s%s", store->cfg.prefix, call->key);
    } else if (parts->path.len == 0) {
        el_buffer_append_char(&parts->path, '/');
    }
    const char *path = el_buffer_text(&parts->path);
    el_hex(parts->payload, parts->digest, sizeof parts->digest);
    el_base64_encode(parts->checksum, parts->digest, sizeof parts->digest);
    s3_date_format(parts->date, now_s);
    add_headers(store, call, parts);
    if (path == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    el_buffer_printf(&parts->url, "%s%s%s%s", store->cfg.origin, path, *query == '\0' ? "" : "?", query);
    s3_sign(&(struct s3_signed){.method = call->method,
                                .path = path,
                                .query = query,
                                .region = store->cfg.region,
                                .service = "s3",
                                .date = parts->date,
                                .payload = parts->payload,
                                .headers = parts->headers,
                                .header_count = parts->header_count},
            &store->keys.with, &parts->authorization);
    const char *authorization = el_buffer_text(&parts->authorization);
    add_header(parts, "authorization", authorization);
    return authorization == NULL || el_buffer_text(&parts->url) == NULL ? EVLOG_ERR_NO_MEMORY : 0;
}

/* A header that points to the keys must not outlive the lock: the token is copied. */
static int keep_token(struct parts *parts)
{
    for (size_t i = 0; i < parts->header_count; i++) {
        if (strcmp(parts->headers[i].name, "x-amz-security-token") == 0) {
            parts->token = el_strdup(parts->headers[i].value);
            parts->headers[i].value = parts->token;
            return parts->token == NULL ? EVLOG_ERR_NO_MEMORY : 0;
        }
    }
    return 0;
}

static int send_once(struct s3_store *store, const struct s3_call *call, struct s3_answer *answer, struct verdict *v,
                     uint32_t *keys_count, struct el_error *err)
{
    struct parts *parts = el_calloc(1, sizeof *parts);
    const char *key = call->key == NULL ? store->cfg.bucket : call->key;
    if (parts == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for a request");
    }
    if (call->sha256 != NULL) {
        memcpy(parts->digest, call->sha256, sizeof parts->digest);
    } else { /* of a part: some milliseconds, in which other threads may send theirs */
        el_sha256(call->body.data, call->body.len, parts->digest);
    }
    v->now_s = (int64_t)time(NULL);
    (void)pthread_mutex_lock(&store->lock);
    *keys_count = store->keys_count;
    int rc = build(store, call, parts, v->now_s);
    rc = rc == 0 ? keep_token(parts) : rc;
    (void)pthread_mutex_unlock(&store->lock);
    if (rc != 0) {
        rc = el_error_set(err, rc, "no memory for a request");
    } else {
        rc = s3_http_send(store->http,
                          &(struct s3_http_request){.method = call->method,
                                                    .url = (const char *)parts->url.data,
                                                    .headers = parts->headers,
                                                    .header_count = parts->header_count,
                                                    .body = call->body,
                                                    .changes = call->changes,
                                                    .sink = call->sink,
                                                    .sink_len = call->sink_len},
                          answer, err);
        if (rc != 0) {
            (void)el_error_wrap(err, "%.200s", key);
        }
    }
    if (parts->token != NULL) {
        explicit_bzero(parts->token, strlen(parts->token));
        el_free(parts->token);
    }
    el_buffer_free(&parts->url);
    el_buffer_free(&parts->path);
    el_buffer_free(&parts->authorization);
    el_free(parts);
    return rc;
}

/* Read the credentials anew, unless somebody has since keys_count. returns true when others are there now */
static bool renew(struct s3_store *store, uint32_t keys_count)
{
    struct s3_keys keys;
    (void)pthread_mutex_lock(&store->lock);
    bool renewed = store->keys_count != keys_count;
    if (!renewed && s3_keys_read(store->env, &keys, NULL) == 0) {
        renewed = !s3_keys_equal(&keys, &store->keys);
        if (renewed) {
            struct s3_keys old = store->keys;
            store->keys = keys;
            store->keys_count++;
            keys = old;
        }
        s3_keys_free(&keys);
    }
    (void)pthread_mutex_unlock(&store->lock);
    return renewed;
}

int s3_request(struct s3_store *store, const struct s3_call *call, struct s3_answer *answer, struct el_error *err)
{
    const char *key = call->key == NULL ? store->cfg.bucket : call->key;
    for (bool again = false;; again = true) {
        struct verdict v = {.store = store, .call = call, .answer = answer};
        uint32_t keys_count = 0;
        int rc = send_once(store, call, answer, &v, &keys_count, err);
        if (rc != 0) {
            return rc;
        }
        if (answer->date_s > 0) {
            atomic_store(&store->base.seen_ms, answer->date_s * 1000);
        }
        if (answer->status / 100 == 2) {
            atomic_store(&store->bucket_seen, true);
            return answer->lied ? call->changes
                                      ? el_error_set(err, EVLOG_ERR_IN_DOUBT,
                                                     "%.200s: the answer's headers contradict each other", key)
                                      : s3_senseless(key, "its headers contradict each other", err)
                                : 0;
        }
        (void)s3_xml_is_error(el_buffer_slice(&answer->text), &v.error);
        if (is(&v, "NoSuchKey")) {
            atomic_store(&store->bucket_seen, true);
        }
        if (again || !keys_are_refused(&v) || !renew(store, keys_count)) {
            return tell(store, &v, err);
        }
        s3_answer_free(answer);
    }
}
