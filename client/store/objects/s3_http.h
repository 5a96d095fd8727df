/* SPDX-License-Identifier: Apache-2.0
 *
 * One HTTP request and its answer, over libcurl, which is loaded when the first bucket is opened. Only
 * client/store/objects/s3_http.c knows libcurl.
 */
#ifndef EL_CLIENT_S3_HTTP_H
#define EL_CLIENT_S3_HTTP_H

#include "s3_config.h"
#include "s3_xml.h"

#include <stdatomic.h>

#define S3_TEXT_MAX (8u << 20) /* of an answer that is no object: 1,000 keys of a listing are less */

struct s3_http;

struct s3_http_request {
    const char *method; /* GET, HEAD, PUT, POST, DELETE */
    const char *url;
    const struct s3_header *headers; /* [header_count] */
    size_t header_count;
    struct el_slice body;
    bool changes;  /* a lost answer leaves a doubt */
    uint8_t *sink; /* where the body of a 2xx answer goes; NULL: to text */
    uint64_t sink_len;
};

/* All zero before, s3_answer_free() after. */
struct s3_answer {
    long status;  /* the final one; 0: none came */
    uint64_t got; /* bytes in the sink */
    struct el_buffer text;
    bool lied; /* a header was there twice, or has no meaning */
    bool has_len;
    uint64_t len;           /* content-length */
    char range[80];         /* content-range */
    char etag[S3_ETAG_MAX]; /* without quotes */
    char sha256[65];        /* x-amz-meta-sha256 */
    char region[64];        /* x-amz-bucket-region */
    int64_t date_s;         /* the server's clock, 0: not told */
    int64_t modified_s;     /* last-modified, 0: not told */
    int64_t again_ms;       /* retry-after, from when it came; -1 a time that is over, 0: not told */
};

/* returns 0 | EVLOG_ERR_UNSUPPORTED libcurl is not there: the text says what to install | EVLOG_ERR_NO_MEMORY */
int s3_http_open(const struct s3_config *cfg, struct s3_http **http, struct el_error *err);
void s3_http_close(struct s3_http *http);
/* Requests under way end within a second, later ones at once. */
void s3_http_stop(struct s3_http *http);

/* Send a request and read its answer; any thread.
 *
 * returns  0 an answer came whole, whatever its status | EVLOG_ERR_AGAIN | _IN_DOUBT the request changes something and
 *          may have been carried out | _CORRUPT | _POLICY the server's certificate is not trusted |
 *          _CLOSED | _NO_MEMORY; err says why, without a name before it
 */
int s3_http_send(struct s3_http *http, const struct s3_http_request *request, struct s3_answer *answer,
                 struct el_error *err);
/* Empty, for another try. */
void s3_answer_free(struct s3_answer *answer);

#endif
