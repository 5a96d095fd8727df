/* SPDX-License-Identifier: Apache-2.0
 *
 * Signatures of requests to S3: bytes in, bytes out.
 * Source: AWS Signature Version 4 for S3, header form, whole payload.
 */
#ifndef EL_CLIENT_S3_SIGN_H
#define EL_CLIENT_S3_SIGN_H

#include <core/buffer.h>
#include <stdbool.h>

#define S3_DATE_LEN 16 /* "20130524T000000Z" */
#define S3_HEADERS_MAX 12

/* NUL-terminated; borrowed. */
struct s3_credentials {
    const char *access_key;
    const char *secret_key;
    const char *token; /* of a session, or NULL */
};

struct s3_header {
    const char *name;  /* lower case */
    const char *value; /* no blanks at its ends */
};

struct s3_signed {
    const char *method;
    const char *path;  /* as sent: begins with "/", encoded */
    const char *query; /* as sent: encoded, ascending by name, without "?"; "" for none */
    const char *region;
    const char *service;
    const char *date;                /* S3_DATE_LEN characters, UTC */
    const char *payload;             /* SHA-256 of the body, 64 hexadecimal digits */
    const struct s3_header *headers; /* [header_count], ascending by name; all of them are signed */
    size_t header_count;
};

/* "20130524T000000Z" of a time; text[S3_DATE_LEN + 1]. */
void s3_date_format(char *text, int64_t unix_s);
/* Append what is not a letter, digit or one of "-._~" as %XX; slash: "/" stays as well. */
void s3_encode(struct el_buffer *out, const char *text, bool slash);
/* Append "name=value", and "&" before it unless it is the first; in ascending order of names. value NULL: "name=". */
void s3_query_add(struct el_buffer *query, const char *name, const char *value);
/* The value of the header "authorization", appended to out. Nothing of the secret stays in memory. */
void s3_sign(const struct s3_signed *request, const struct s3_credentials *with, struct el_buffer *out);
/* The key that signs; for tests. */
void s3_signing_key(const struct s3_signed *request, const char *secret, uint8_t key[32]);

#endif
