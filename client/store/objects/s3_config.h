/* SPDX-License-Identifier: Apache-2.0
 *
 * Where an S3 bucket is and who asks, by the names that AWS's own programs use.
 *
 *   AWS_ENDPOINT_URL_S3, else AWS_ENDPOINT_URL          https://s3.REGION.amazonaws.com
 *   AWS_REGION, else AWS_DEFAULT_REGION, else `region` of the profile in AWS_CONFIG_FILE (~/.aws/config)     us-east-1
 *   AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, else the profile AWS_PROFILE (default) in
 *   AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials)
 *   AWS_CA_BUNDLE                                       the system's
 *   EVLOG_S3_STYLE=path|virtual                         virtual for AWS, path for others
 *   EVLOG_S3_TIMEOUT                                    60s, for which less than 1 KiB/s may arrive
 */
#ifndef EL_CLIENT_S3_CONFIG_H
#define EL_CLIENT_S3_CONFIG_H

#include "s3_sign.h"

#include <core/err.h>
#include <limits.h>

#define S3_BUCKET_MAX 63
#define S3_PREFIX_MAX 400
#define S3_REGION_MAX 63
#define S3_HOST_MAX 255

typedef const char *(*s3_env_fn)(const char *name);

struct s3_config {
    char origin[S3_HOST_MAX + S3_BUCKET_MAX + 16]; /* "https://host:port" that requests go to */
    char host[S3_HOST_MAX + S3_BUCKET_MAX + 2];    /* the same without the scheme: the header */
    char bucket[S3_BUCKET_MAX + 1];
    char path[S3_BUCKET_MAX + 2];   /* of the bucket: "/bucket", or "" when the host names it */
    char prefix[S3_PREFIX_MAX + 2]; /* of keys: ends with "/", or "" */
    char region[S3_REGION_MAX + 1];
    int64_t timeout_ms;
    char ca_bundle[PATH_MAX]; /* "" the system's */
};

/* returns 0 | EVLOG_ERR_ARGUMENT with a text that names what is wrong, and no secret */
int s3_config_read(const char *url, s3_env_fn env, struct s3_config *cfg, struct el_error *err);

struct s3_keys {
    struct s3_credentials with; /* points into the fields below */
    char *access_key;
    char *secret_key;
    char *token;
};

/* Read who asks, anew at each call.
 * returns 0 | EVLOG_ERR_ARGUMENT there are none, or they make no sense; the text says where they were looked for |
 * EVLOG_ERR_NO_MEMORY */
int s3_keys_read(s3_env_fn env, struct s3_keys *keys, struct el_error *err);
bool s3_keys_equal(const struct s3_keys *a, const struct s3_keys *b);
/* Wipe and free; all zero afterwards. */
void s3_keys_free(struct s3_keys *keys);

#endif
