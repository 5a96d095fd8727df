/* SPDX-License-Identifier: Apache-2.0
 *
 * A bucket as a store of write-once objects; any thread.
 *
 * put      PUT with If-None-Match: *, the content's SHA-256 signed as the payload's and kept as x-amz-meta-sha256.
 *          A store that does not know the condition would overwrite: the first put of a process is made twice, which
 *          changes nothing, and only after the second was refused is the store trusted.
 * get      GET with a range; the answer must say the same range, and have as many bytes
 * head     HEAD; what it refuses has no text, so GET is asked for the reason: the object may miss, or the bucket
 * list     ListObjectsV2, page after page from the last key on; keys must ascend
 *
 * Nothing is tried again here but a request whose credentials were renewed.
 *
 * Source: Amazon S3 API reference.
 */
#include "s3_state.h"

#include <core/alloc.h>
#include <core/crypto.h>
#include <stdio.h>
#include <stdlib.h>

static int check(struct s3_store *store, const char *key, struct el_error *err)
{
    (void)store;
    return object_key_is_fine(key)
               ? 0
               : el_error_set(err, EVLOG_ERR_ARGUMENT,
                              "\"%.100s\" is no object's name: parts of [A-Za-z0-9._-] with / between them, at most %u",
                              key, OBJECT_KEY_MAX);
}

/* --- put ---------------------------------------------------------------------------------------------------------- */

static int put_single(struct s3_store *store, const char *key, struct el_slice data, const uint8_t sha256[32],
                      struct el_error *err)
{
    struct s3_answer answer = {.status = 0};
    char meta[65];
    el_hex(meta, sha256, 32);
    int rc = s3_request(
        store,
        &(struct s3_call){
            .method = "PUT", .key = key, .body = data, .sha256 = sha256, .meta = meta, .once = true, .changes = true},
        &answer, err);
    s3_answer_free(&answer);
    return rc;
}

/* Does the store refuse what is there? The same bytes are put again, so that nothing is lost when it does not.
 * returns 0 | EVLOG_ERR_UNSUPPORTED | ... */
static int prove_once(struct s3_store *store, const char *key, struct el_slice data, const uint8_t sha256[32],
                      struct el_error *err)
{
    struct el_error again;
    if (atomic_load(&store->writes_once)) {
        return 0;
    }
    int rc = put_single(store, key, data, sha256, &again);
    if (rc == EVLOG_ERR_EXISTS) {
        atomic_store(&store->writes_once, true);
        return 0;
    }
    return rc == 0 ? el_error_set(err, EVLOG_ERR_UNSUPPORTED,
                                  "%.200s: the store puts an object over one that is there (it takes no notice of "
                                  "If-None-Match): evlog does not archive to it",
                                  key)
                   : el_error_set(err, EVLOG_ERR_IN_DOUBT,
                                  "%.200s: put, but not yet known whether the store writes "
                                  "once: %.200s",
                                  key, again.text);
}

static int s3_put(struct object_store *base, const char *key, const void *data, uint64_t len, const uint8_t sha256[32],
                  struct el_error *err)
{
    struct s3_store *store = s3_store_of(base);
    struct el_slice body = el_slice_of(data, (size_t)len);
    int rc = check(store, key, err);
    if (rc == 0 && len > OBJECT_LEN_MAX) {
        rc = el_error_set(err, EVLOG_ERR_LIMIT, "%.200s: longer than an object may be", key);
    }
    if (rc == 0 && len > S3_SINGLE_MAX) {
        return s3_put_parts(store, key, body, sha256, err);
    }
    rc = rc == 0 ? put_single(store, key, body, sha256, err) : rc;
    if (rc == EVLOG_ERR_EXISTS) {
        atomic_store(&store->writes_once, true);
    }
    return rc == 0 ? prove_once(store, key, body, sha256, err) : rc;
}

/* --- head --------------------------------------------------------------------------------------------------------- */

static bool hex_of(const char *text, uint8_t bytes[32])
{
    if (strlen(text) != 64 || strspn(text, "0123456789abcdef") != 64) {
        return false;
    }
    for (size_t i = 0; i < 64; i++) {
        uint8_t digit = (uint8_t)(text[i] <= '9' ? text[i] - '0' : text[i] - 'a' + 10);
        bytes[i / 2] = (uint8_t)(i % 2 == 0 ? digit << 4 : bytes[i / 2] | digit);
    }
    return true;
}

/* HEAD was refused, and brought no text: GET says why, and whether the object misses or the bucket. */
static int ask_why(struct s3_store *store, const char *key, int head_rc, struct el_error *err)
{
    struct s3_answer answer = {.status = 0};
    uint8_t byte;
    if (head_rc != EVLOG_ERR_POLICY && (head_rc != EVLOG_ERR_NOT_FOUND || atomic_load(&store->bucket_seen))) {
        return head_rc;
    }
    int rc = s3_request(
        store, &(struct s3_call){.method = "GET", .key = key, .range = "bytes=0-0", .sink = &byte, .sink_len = 1},
        &answer, err);
    s3_answer_free(&answer);
    return rc == 0 || rc == EVLOG_ERR_OFFSET_RANGE || rc == EVLOG_ERR_CORRUPT
               ? el_error_set(err, EVLOG_ERR_AGAIN, "%.200s: HEAD was refused, and GET was not", key)
               : rc;
}

static int s3_head(struct object_store *base, const char *key, struct object_info *info, struct el_error *err)
{
    struct s3_store *store = s3_store_of(base);
    struct s3_answer answer = {.status = 0};
    int rc = check(store, key, err);
    rc = rc == 0 ? s3_request(store, &(struct s3_call){.method = "HEAD", .key = key}, &answer, err) : rc;
    rc = rc == 0 ? 0 : ask_why(store, key, rc, err);
    if (rc == 0 && !answer.has_len) {
        rc = s3_senseless(key, "it does not say how long the object is", err);
    }
    if (rc == 0 && answer.len > OBJECT_LEN_MAX) {
        rc = s3_senseless(key, "the object is longer than any that was put", err);
    }
    if (rc == 0) {
        *info = (struct object_info){.len = answer.len, .modified_ms = answer.modified_s * 1000};
        info->has_sha256 = hex_of(answer.sha256, info->sha256);
    }
    s3_answer_free(&answer);
    return rc;
}

/* --- get ---------------------------------------------------------------------------------------------------------- */

/* "bytes 5-9/100" */
static bool range_of(const char *text, uint64_t *first, uint64_t *last, uint64_t *total)
{
    char word[80], *dash, *slash;
    (void)snprintf(word, sizeof word, "%s", text);
    if (strncmp(word, "bytes ", 6) != 0) {
        return false;
    }
    dash = strchr(word, '-');
    slash = strchr(word, '/');
    if (dash == NULL || slash == NULL || dash > slash) {
        return false;
    }
    *dash = *slash = '\0';
    return s3_number_of(word + 6, first) && s3_number_of(dash + 1, last) && s3_number_of(slash + 1, total);
}

/* Did as much come as was to come? */
static int check_range(const char *key, const struct s3_answer *answer, uint64_t pos, uint64_t len,
                       struct el_error *err)
{
    uint64_t first = 0, last = 0, total = 0;
    if (answer->status == 200) {
        if (pos != 0 || !answer->has_len) {
            return s3_senseless(key, "a part of the object was asked for, and all of it came", err);
        }
        total = answer->len;
        last = total - 1;
    } else if (answer->status != 206 || !range_of(answer->range, &first, &last, &total)) {
        return s3_senseless(key, "it does not say which part of the object it has", err);
    }
    uint64_t want = pos < total ? EL_MIN(len, total - pos) : 0;
    if (first != pos || last - first + 1 != want || total > OBJECT_LEN_MAX ||
        (answer->has_len && answer->len != want)) {
        return s3_senseless(key, "it has another part of the object than was asked for", err);
    }
    return answer->got == want ? 0
                               : el_error_set(err, EVLOG_ERR_TRUNCATED, "%.200s: %llu of %llu bytes came", key,
                                              (unsigned long long)answer->got, (unsigned long long)want);
}

static int get_range(struct s3_store *store, const char *key, uint64_t pos, struct s3_call *call, uint64_t *done,
                     struct el_error *err)
{
    struct s3_answer answer = {.status = 0};
    char range[64];
    (void)snprintf(range, sizeof range, "bytes=%llu-%llu", (unsigned long long)pos,
                   (unsigned long long)(pos + call->sink_len - 1));
    call->range = range;
    int rc = s3_request(store, call, &answer, err);
    if (rc == EVLOG_ERR_OFFSET_RANGE) {
        uint64_t total = 0;
        bool lies = strncmp(answer.range, "bytes */", 8) == 0 &&
                    (!s3_number_of(answer.range + 8, &total) || total > pos);
        *done = lies ? *done : 0; /* behind the object's end */
        rc = lies ? s3_senseless(key, "it refuses a range that the object has", err) : 0;
    } else if (rc == 0) {
        rc = check_range(key, &answer, pos, call->sink_len, err);
        *done = rc == 0 ? answer.got : *done;
    }
    s3_answer_free(&answer);
    return rc;
}

static int s3_get(struct object_store *base, const char *key, uint64_t pos, void *buf, uint64_t len, uint64_t *done,
                  struct el_error *err)
{
    struct s3_store *store = s3_store_of(base);
    struct object_info info;
    int rc = check(store, key, err);
    if (rc != 0) {
        return rc;
    }
    if (len == 0 || pos > OBJECT_LEN_MAX) { /* nothing to be asked for, but the object must be there */
        rc = s3_head(base, key, &info, err);
        *done = rc == 0 ? 0 : *done;
        return rc;
    }
    struct s3_call call = {.method = "GET", .key = key, .sink = buf, .sink_len = EL_MIN(len, OBJECT_LEN_MAX - pos + 1)};
    return get_range(store, key, pos, &call, done, err);
}

/* --- list --------------------------------------------------------------------------------------------------------- */

struct listing {
    struct s3_store *store;
    const char *prefix; /* with the URL's before it */
    object_list_fn fn;
    void *arg;
    char last[1025]; /* key, with the URL's prefix before it */
    size_t count;    /* of the page */
    bool lied;
    bool enough;
};

static bool take_object(void *arg, const struct s3_xml_object *object)
{
    struct listing *listing = arg;
    const char *key = object->key;
    if (strncmp(key, listing->prefix, strlen(listing->prefix)) != 0 || strcmp(key, listing->last) <= 0) {
        listing->lied = true;
        return false;
    }
    (void)snprintf(listing->last, sizeof listing->last, "%s", key);
    listing->count++;
    key += strlen(listing->store->cfg.prefix);
    if (object_key_is_fine(key)) { /* others have put what is not */
        listing->enough = !listing->fn(listing->arg, key, object->len, object->modified_ms);
    }
    return !listing->enough;
}

static int list_page(struct listing *listing, bool *more, struct el_error *err)
{
    struct s3_answer answer = {.status = 0};
    struct el_buffer query = {.err = 0};
    s3_query_add(&query, "list-type", "2");
    s3_query_add(&query, "prefix", listing->prefix);
    if (listing->last[0] != '\0') {
        s3_query_add(&query, "start-after", listing->last);
    }
    const char *text = el_buffer_text(&query);
    int rc = text == NULL ? el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory to list")
                          : s3_request(listing->store, &(struct s3_call){.method = "GET", .query = text}, &answer, err);
    listing->count = 0;
    if (rc == 0) {
        int read = s3_xml_list(el_buffer_slice(&answer.text), take_object, listing, more);
        if (read != 0 || listing->lied || (*more && listing->count == 0)) {
            rc = s3_senseless(listing->prefix[0] == '\0' ? "the bucket" : listing->prefix,
                              listing->lied ? "its keys are not in order, or not those that were asked for"
                                            : "its list cannot be read",
                              err);
        }
    }
    el_buffer_free(&query);
    s3_answer_free(&answer);
    return rc;
}

static int s3_list(struct object_store *base, const char *prefix, const char *after, object_list_fn fn, void *arg,
                   struct el_error *err)
{
    struct s3_store *store = s3_store_of(base);
    char whole[S3_PREFIX_MAX + OBJECT_KEY_MAX + 2];
    bool more = true;
    int rc = 0;
    if (strlen(prefix) > OBJECT_KEY_MAX || (after != NULL && strlen(after) > OBJECT_KEY_MAX)) {
        return 0;
    }
    struct listing *listing = el_calloc(1, sizeof *listing);
    if (listing == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory to list");
    }
    (void)snprintf(whole, sizeof whole, "%s%s", store->cfg.prefix, prefix);
    listing->store = store;
    listing->prefix = whole;
    listing->fn = fn;
    listing->arg = arg;
    if (after != NULL && after[0] != '\0') {
        (void)snprintf(listing->last, sizeof listing->last, "%s%s", store->cfg.prefix, after);
    }
    while (rc == 0 && more && !listing->enough) {
        rc = list_page(listing, &more, err);
    }
    el_free(listing);
    return rc;
}

/* --- remove, open, close ------------------------------------------------------------------------------------------ */

static int s3_remove(struct object_store *base, const char *key, struct el_error *err)
{
    struct s3_store *store = s3_store_of(base);
    struct s3_answer answer = {.status = 0};
    int rc = check(store, key, err);
    rc = rc == 0 ? s3_request(store, &(struct s3_call){.method = "DELETE", .key = key}, &answer, err) : rc;
    s3_answer_free(&answer);
    return rc == EVLOG_ERR_NOT_FOUND ? 0 : rc;
}

static void s3_stop(struct object_store *base)
{
    s3_http_stop(s3_store_of(base)->http);
}

static void s3_close(struct object_store *base)
{
    struct s3_store *store = s3_store_of(base);
    s3_http_close(store->http);
    s3_keys_free(&store->keys);
    (void)pthread_mutex_destroy(&store->lock);
    el_free(store->url);
    el_free(store);
}

static const struct object_store_ops s3_ops = {.put = s3_put,
                                               .get = s3_get,
                                               .head = s3_head,
                                               .list = s3_list,
                                               .remove = s3_remove,
                                               .stop = s3_stop,
                                               .close = s3_close};

int s3_store_open_env(const char *url, s3_env_fn env, struct object_store **result, struct el_error *err)
{
    struct s3_store *store = el_calloc(1, sizeof *store);
    if (store == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory to open a bucket");
    }
    (void)pthread_mutex_init(&store->lock, NULL);
    store->base.ops = &s3_ops;
    store->env = env;
    int rc = s3_config_read(url, env, &store->cfg, err);
    rc = rc == 0 ? s3_keys_read(env, &store->keys, err) : rc;
    rc = rc == 0 ? s3_http_open(&store->cfg, &store->http, err) : rc;
    if (rc == 0) {
        store->url = el_strdup(url);
        store->base.url = store->url;
        rc = store->url != NULL ? 0 : el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory to open a bucket");
    }
    if (rc != 0) {
        s3_close(&store->base);
        return rc;
    }
    *result = &store->base;
    return 0;
}

static const char *environment(const char *name)
{
    return getenv(name);
}

int s3_store_open(const char *url, struct object_store **store, struct el_error *err)
{
    return s3_store_open_env(url, environment, store, err);
}
