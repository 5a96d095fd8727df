/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of the S3 store.
 *
 *   s3_store.c     the calls of a store
 *   s3_parts.c     objects too large for one request
 *   s3_request.c   a request signed and sent, credentials renewed, an answer judged
 *   s3_http.c      libcurl
 *   s3_config.c    addresses and credentials; s3_sign.c, s3_xml.c: bytes in, bytes out
 */
#ifndef EL_CLIENT_S3_STATE_H
#define EL_CLIENT_S3_STATE_H

#include "s3_http.h"

#include <core/assert.h>
#include <pthread.h>
#include <store/object_store.h>

#define S3_PART_LEN (8u << 20)    /* S3 allows parts from 5 MiB, and 10,000 of them */
#define S3_SINGLE_MAX S3_PART_LEN /* longer objects go in parts */

EL_STATIC_ASSERT(OBJECT_LEN_MAX / S3_PART_LEN <= 10000, "an object has no more parts than S3 allows");

struct s3_store {
    struct object_store base;
    char *url;
    struct s3_config cfg;
    s3_env_fn env;
    struct s3_http *http;
    pthread_mutex_t lock; /* of the two below */
    struct s3_keys keys;
    uint32_t keys_count;      /* how often they were renewed */
    _Atomic bool bucket_seen; /* the bucket has answered: 404 is of an object */
    _Atomic bool writes_once; /* the bucket has refused to put an object twice */
};

struct s3_call {
    const char *method;
    const char *key;   /* NULL: the bucket itself */
    const char *query; /* encoded, ascending; NULL none */
    struct el_slice body;
    const uint8_t *sha256; /* of the body; NULL: it is computed */
    const char *meta;      /* x-amz-meta-sha256, or NULL */
    const char *md5;       /* content-md5, in base64, or NULL */
    const char *range;     /* or NULL */
    bool once;             /* If-None-Match: * */
    bool changes;          /* a lost answer leaves a doubt */
    uint8_t *sink;
    uint64_t sink_len;
};

static inline struct s3_store *s3_store_of(struct object_store *base)
{
    return EL_CONTAINER(base, struct s3_store, base);
}

/* Open with another environment than the process's; for tests. */
int s3_store_open_env(const char *url, s3_env_fn env, struct object_store **store, struct el_error *err);
int s3_store_open(const char *url, struct object_store **store, struct el_error *err);

/* Sign, send, and judge. 2xx is 0; every other answer is the code that object_store.h gives it, and err says what to
 * do. answer is all zero before, and must be freed. */
int s3_request(struct s3_store *store, const struct s3_call *call, struct s3_answer *answer, struct el_error *err);
/* An answer that makes no sense. */
int s3_senseless(const char *key, const char *what, struct el_error *err);

int s3_put_parts(struct s3_store *store, const char *key, struct el_slice data, const uint8_t sha256[32],
                 struct el_error *err);

#endif
