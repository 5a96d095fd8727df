/* SPDX-License-Identifier: Apache-2.0
 *
 * A place for write-once objects: an S3 bucket, a directory, or a test's own. Blocking; a store may be used by several
 * threads at once.
 *
 * Keys are relative to the URL's prefix: 1 .. OBJECT_KEY_MAX bytes of [A-Za-z0-9._/-], no empty part, no part that is
 * "." or "..". Objects have 0 .. OBJECT_LEN_MAX bytes.
 *
 * Every call returns 0 or a negative EVLOG_ERR_ code and fills err (which may be NULL) with a text that names the key,
 * what the store said, and what to do:
 *
 *   NOT_FOUND     no such object
 *   EXISTS        put: an object with this key is there; nothing was changed
 *   IN_DOUBT      put: the answer was lost; the object may be there or not (look with head before trying again)
 *   AGAIN         the store asks to come again later (429, 500, 503, a broken connection, a time-out of a read)
 *   POLICY        refused: credentials, rights, clock (401, 403), or in a directory something else stands where an
 *                 object or a folder of its name should, when reading too; trying again alone does not help
 *   TRUNCATED     the store delivered less than it promised, and said that it was all
 *   CORRUPT       the store delivered something else than it promised, or an answer that makes no sense
 *   NO_SPACE, IO  of a directory
 *   CLOSED        object_store_stop() was called
 */
#ifndef EL_STORE_OBJECT_STORE_H
#define EL_STORE_OBJECT_STORE_H

#include <core/bytes.h>
#include <core/err.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OBJECT_KEY_MAX 512u
#define OBJECT_LEN_MAX (5ull << 30)

struct object_store;

struct object_info {
    uint64_t len;
    bool has_sha256;    /* the store knows it: S3 from the metadata that put() left, a directory by reading the file */
    uint8_t sha256[32]; /* of the content */
    int64_t modified_ms;
};

/* return false ends the listing */
typedef bool (*object_list_fn)(void *arg, const char *key, uint64_t len, int64_t modified_ms);

struct object_store_ops {
    int (*put)(struct object_store *store, const char *key, const void *data, uint64_t len, const uint8_t sha256[32],
               struct el_error *err);
    /* These three, or none of them: see object_batch_put(). *held is the store's own, NULL at first and after settle
     * and drop. settle ends with nothing held also when it fails. */
    int (*hold)(struct object_store *store, void **held, const char *key, const void *data, uint64_t len,
                const uint8_t sha256[32], struct el_error *err);
    int (*settle)(struct object_store *store, void **held, struct el_error *err);
    void (*drop)(struct object_store *store, void **held);
    int (*get)(struct object_store *store, const char *key, uint64_t pos, void *buf, uint64_t len, uint64_t *done,
               struct el_error *err);
    int (*head)(struct object_store *store, const char *key, struct object_info *info, struct el_error *err);
    int (*list)(struct object_store *store, const char *prefix, const char *after, object_list_fn fn, void *arg,
                struct el_error *err);
    int (*remove)(struct object_store *store, const char *key, struct el_error *err);
    void (*stop)(struct object_store *store);
    void (*close)(struct object_store *store);
};

/* Is this a key? */
bool object_key_is_fine(const char *key);

struct object_store {
    const struct object_store_ops *ops;
    const char *url; /* as given, without credentials: for texts */
    /* The store's own clock, ms since 1970, when it last showed it: what an object's modified_ms is compared with.
     * Never ahead of it. 0: it has not yet. */
    _Atomic int64_t seen_ms;
};

/* Open what url names, taken letter by letter: "s3://BUCKET/PREFIX" (credentials and endpoint by the names of the AWS
 * SDKs, from the environment) or "file:///DIR" (made when absent and `create` is set). No request is sent yet.
 * returns 0 | EVLOG_ERR_ARGUMENT | _NOT_FOUND | _IO with a text */
int object_store_open(const char *url, bool create, struct object_store **store, struct el_error *err);

/* Put a whole object that must not exist. sha256: of data. Large ones go in parts, which a repeated put of the same key
 * and content after a failure, also by another process, takes up again. One try; see object_put_once(). */
static inline int object_put(struct object_store *s, const char *key, const void *data, uint64_t len,
                             const uint8_t sha256[32], struct el_error *err)
{
    return s->ops->put(s, key, data, len, sha256, err);
}
/* Up to len bytes from pos on; *done tells how many, fewer only at the object's end. */
static inline int object_get(struct object_store *s, const char *key, uint64_t pos, void *buf, uint64_t len,
                             uint64_t *done, struct el_error *err)
{
    return s->ops->get(s, key, pos, buf, len, done, err);
}
static inline int object_head(struct object_store *s, const char *key, struct object_info *info, struct el_error *err)
{
    return s->ops->head(s, key, info, err);
}
/* Keys that begin with prefix and are above `after` ("" or NULL: all), in byte order. */
static inline int object_list(struct object_store *s, const char *prefix, const char *after, object_list_fn fn,
                              void *arg, struct el_error *err)
{
    return s->ops->list(s, prefix, after, fn, arg, err);
}
/* 0 also when it was not there. */
static inline int object_remove(struct object_store *s, const char *key, struct el_error *err)
{
    return s->ops->remove(s, key, err);
}
/* Calls under way and later ones end soon with EVLOG_ERR_CLOSED; any thread. */
static inline void object_store_stop(struct object_store *s) { s->ops->stop(s); }
/* No call may be under way. NULL is passed through. */
static inline void object_store_close(struct object_store *s)
{
    if (s != NULL) {
        s->ops->close(s);
    }
}

/* Put, and settle what a single try leaves open: EXISTS is success when the object there has the same content (length
 * and SHA-256, by head or else by reading it); IN_DOUBT is looked up. One round without waiting: the caller repeats it
 * after AGAIN.
 * returns 0 | EVLOG_ERR_CONFLICT another object has this key: nothing may be overwritten, somebody must look |
 * EVLOG_ERR_AGAIN | _POLICY | ... */
int object_put_once(struct object_store *s, const char *key, const void *data, uint64_t len, const uint8_t sha256[32],
                    struct el_error *err);
/* Is the object that is there of this length and content? returns 0 | EVLOG_ERR_NOT_FOUND | _CONFLICT | ... */
int object_compare(struct object_store *s, const char *key, uint64_t len, const uint8_t sha256[32],
                   struct el_error *err);

/* Objects that a store can make durable together, for less than one after the other. Of one thread; ends with
 * object_batch_settle() or object_batch_drop(). */
struct object_batch {
    struct object_store *store;
    void *held; /* the store's */
};

/* As object_put_once(), but what it says of the store is known, and the object durable, only when
 * object_batch_settle() has returned 0: until then any of them may be there. As many as the caller wants: the store
 * holds some, and settles them between. data may go at once. */
int object_batch_put(struct object_batch *batch, const char *key, const void *data, uint64_t len,
                     const uint8_t sha256[32], struct el_error *err);
/* returns 0: all are there, and durable | as object_put_once(): put all of them again */
int object_batch_settle(struct object_batch *batch, struct el_error *err);
/* What was not settled is of no use. Nothing held: nothing. */
void object_batch_drop(struct object_batch *batch);

/* A whole object into memory of its own, at most max bytes (longer: EVLOG_ERR_LIMIT). *data is the caller's to free by
 * el_free(); it is not NULL for an empty object. */
int object_get_all(struct object_store *s, const char *key, uint64_t max, uint8_t **data, uint64_t *len,
                   struct el_error *err);

#endif
