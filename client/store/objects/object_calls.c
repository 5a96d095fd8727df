/* SPDX-License-Identifier: Apache-2.0
 *
 * What every store has in common: keys, a put that settles what one try leaves open, an object read whole.
 *
 * object_put_once():
 *   1. put it, if nothing is there
 *   2. EXISTS: compare what is there with what should be: the same is success, since somebody else, or a try whose
 *      answer was lost, has put it
 *   3. IN_DOUBT: look; nothing is there: AGAIN, and the caller's next round starts at 1
 */
#include <core/alloc.h>
#include <core/assert.h>
#include <core/crypto.h>
#include <store/object_store.h>

#define FIRST_LEN (64u << 10) /* most objects are not longer, and need one request */
#define CHUNK_LEN (1u << 20)

static bool is_key_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
}

bool object_key_is_fine(const char *key)
{
    const char *part = key;
    size_t len = key == NULL ? 0 : strnlen(key, OBJECT_KEY_MAX + 1);
    if (len == 0 || len > OBJECT_KEY_MAX) {
        return false;
    }
    for (const char *p = key;; p++) {
        if (*p != '\0' && *p != '/') {
            if (!is_key_byte(*p)) {
                return false;
            }
            continue;
        }
        size_t part_len = (size_t)(p - part);
        if (part_len == 0 || (part_len <= 2 && memcmp(part, "..", part_len) == 0)) {
            return false;
        }
        if (*p == '\0') {
            return true;
        }
        part = p + 1;
    }
}

/* --- put once ----------------------------------------------------------------------------------------------------- */

/* SHA-256 of len bytes that an object shall have, by reading them. */
static int hash_by_reading(struct object_store *s, const char *key, uint64_t len, uint8_t sha256[32],
                           struct el_error *err)
{
    uint8_t *chunk = el_malloc(CHUNK_LEN);
    struct el_sha256 ctx;
    int rc = chunk != NULL ? 0 : el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory to read %.200s", key);
    el_sha256_begin(&ctx);
    for (uint64_t pos = 0; rc == 0 && pos < len;) {
        uint64_t done = 0;
        rc = object_get(s, key, pos, chunk, EL_MIN(len - pos, CHUNK_LEN), &done, err);
        if (rc == 0 && done == 0) {
            rc = el_error_set(err, EVLOG_ERR_TRUNCATED, "%.200s: ends at byte %llu of %llu", key,
                              (unsigned long long)pos, (unsigned long long)len);
        }
        if (rc == 0) {
            el_sha256_add(&ctx, chunk, (size_t)done);
            pos += done;
        }
    }
    el_sha256_end(&ctx, sha256);
    el_free(chunk);
    return rc;
}

int object_compare(struct object_store *s, const char *key, uint64_t len, const uint8_t sha256[32],
                   struct el_error *err)
{
    struct object_info info;
    int rc = object_head(s, key, &info, err);
    if (rc != 0) {
        return rc;
    }
    if (info.len != len) {
        return el_error_set(err, EVLOG_ERR_CONFLICT,
                            "%.200s: another object of %llu bytes has this name, not the %llu bytes to be put; "
                            "nothing was overwritten: does somebody else write to %.120s?",
                            key, (unsigned long long)info.len, (unsigned long long)len, s->url);
    }
    if (!info.has_sha256) {
        rc = hash_by_reading(s, key, len, info.sha256, err);
    }
    if (rc == 0 && memcmp(info.sha256, sha256, sizeof info.sha256) != 0) {
        rc = el_error_set(err, EVLOG_ERR_CONFLICT,
                          "%.200s: another object of the same length has this name; nothing was overwritten: does "
                          "somebody else write to %.120s?",
                          key, s->url);
    }
    return rc;
}

int object_put_once(struct object_store *s, const char *key, const void *data, uint64_t len, const uint8_t sha256[32],
                    struct el_error *err)
{
    int rc = object_put(s, key, data, len, sha256, err);
    if (rc != EVLOG_ERR_EXISTS && rc != EVLOG_ERR_IN_DOUBT) {
        return rc;
    }
    bool there = rc == EVLOG_ERR_EXISTS;
    rc = object_compare(s, key, len, sha256, err);
    if (rc == EVLOG_ERR_NOT_FOUND) {
        rc = el_error_set(err, EVLOG_ERR_AGAIN, "%.200s: %s", key,
                          there ? "it was there, and is not any more" : "the answer was lost, and it is not there");
    }
    return rc;
}

/* --- put together ------------------------------------------------------------------------------------------------- */

int object_batch_put(struct object_batch *batch, const char *key, const void *data, uint64_t len,
                     const uint8_t sha256[32], struct el_error *err)
{
    struct object_store *s = batch->store;
    return s->ops->hold == NULL ? object_put_once(s, key, data, len, sha256, err)
                                : s->ops->hold(s, &batch->held, key, data, len, sha256, err);
}

int object_batch_settle(struct object_batch *batch, struct el_error *err)
{
    struct object_store *s = batch->store;
    return s->ops->settle == NULL ? 0 : s->ops->settle(s, &batch->held, err);
}

void object_batch_drop(struct object_batch *batch)
{
    if (batch->store->ops->drop != NULL) {
        batch->store->ops->drop(batch->store, &batch->held);
    }
}

/* --- get all ------------------------------------------------------------------------------------------------------ */

static int too_long(const char *key, uint64_t max, struct el_error *err)
{
    return el_error_set(err, EVLOG_ERR_LIMIT, "%.200s: longer than %llu bytes, the most it may have", key,
                        (unsigned long long)max);
}

/* Behind the first have bytes, which *data holds, there may be more. */
static int get_rest(struct object_store *s, const char *key, uint64_t max, uint8_t **data, uint64_t *len,
                    struct el_error *err)
{
    struct object_info info;
    int rc = object_head(s, key, &info, err);
    if (rc != 0) {
        return rc;
    }
    if (info.len > max) {
        return too_long(key, max, err);
    }
    if (info.len < *len) {
        return el_error_set(err, EVLOG_ERR_CORRUPT, "%.200s: the store says %llu bytes, and has delivered %llu", key,
                            (unsigned long long)info.len, (unsigned long long)*len);
    }
    uint8_t *whole = el_realloc(*data, (size_t)info.len);
    if (whole == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for the %llu bytes of %.200s",
                            (unsigned long long)info.len, key);
    }
    *data = whole;
    while (*len < info.len) {
        uint64_t done = 0;
        rc = object_get(s, key, *len, whole + *len, info.len - *len, &done, err);
        if (rc != 0) {
            return rc;
        }
        if (done == 0) {
            return el_error_set(err, EVLOG_ERR_TRUNCATED, "%.200s: ends at byte %llu of %llu", key,
                                (unsigned long long)*len, (unsigned long long)info.len);
        }
        *len += done;
    }
    return 0;
}

int object_get_all(struct object_store *s, const char *key, uint64_t max, uint8_t **data, uint64_t *len,
                   struct el_error *err)
{
    uint64_t have = 0;
    uint8_t *first = el_malloc(FIRST_LEN);
    if (first == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory to read %.200s", key);
    }
    int rc = object_get(s, key, 0, first, FIRST_LEN, &have, err);
    EL_ASSERT(have <= FIRST_LEN);
    if (rc == 0 && have == FIRST_LEN) {
        rc = get_rest(s, key, max, &first, &have, err);
    }
    if (rc == 0 && have > max) {
        rc = too_long(key, max, err);
    }
    if (rc != 0) {
        el_free(first);
        return rc;
    }
    *data = first;
    *len = have;
    return 0;
}
