/* SPDX-License-Identifier: Apache-2.0
 *
 * The little XML that S3 answers with, from servers that may lie. Pure functions.
 *
 * Read: elements with text or elements in them, attributes (passed over), a declaration, the five named and the numeric
 * references. Refused: everything else that XML allows (document types, processing instructions, comments, CDATA, text
 * beside elements), what is not well-formed or not UTF-8, and whatever is longer or deeper than an answer can be.
 */
#ifndef EL_CLIENT_S3_XML_H
#define EL_CLIENT_S3_XML_H

#include <core/bytes.h>
#include <stdbool.h>

#define S3_XML_DEPTH_MAX 8
#define S3_XML_PATH_MAX 256
#define S3_XML_TEXT_MAX 4096 /* of one element */

/* An element has ended. path: names from the root on with "/" between them; text: what was in it, "" when elements
 * were. return false ends the reading. */
typedef bool (*s3_xml_fn)(void *arg, const char *path, const char *text);

/* Read a whole document.
 *
 * returns  0 | EVLOG_ERR_MALFORMED | EVLOG_ERR_TRUNCATED it ends within an element | EVLOG_ERR_LIMIT
 */
int s3_xml_read(struct el_slice document, s3_xml_fn fn, void *arg);

/* --- answers ----------------------------------------------------------------------------------------------------- */

#define S3_CODE_MAX 64
#define S3_MESSAGE_MAX 256
#define S3_UPLOAD_ID_MAX 512
#define S3_ETAG_MAX 128

struct s3_xml_error {
    char code[S3_CODE_MAX];       /* letters, digits and "." only; "" when there is no code */
    char message[S3_MESSAGE_MAX]; /* printable ASCII only, cut */
};
/* Is it an error document? error is filled when it is. */
bool s3_xml_is_error(struct el_slice document, struct s3_xml_error *error);

struct s3_xml_object {
    const char *key;
    uint64_t len;
    int64_t modified_ms;
};
/* return false ends the reading */
typedef bool (*s3_xml_object_fn)(void *arg, const struct s3_xml_object *object);
/* ListBucketResult. returns 0 and *more: there are further pages | as s3_xml_read() | what a list may not say:
 * EVLOG_ERR_CORRUPT */
int s3_xml_list(struct el_slice document, s3_xml_object_fn fn, void *arg, bool *more);

/* InitiateMultipartUploadResult. returns 0 | as s3_xml_read() | EVLOG_ERR_CORRUPT */
int s3_xml_upload(struct el_slice document, char id[S3_UPLOAD_ID_MAX]);

/* return false ends the reading */
typedef bool (*s3_xml_upload_fn)(void *arg, const char *key, const char *id);
/* ListMultipartUploadsResult. */
int s3_xml_uploads(struct el_slice document, s3_xml_upload_fn fn, void *arg, bool *more);

struct s3_xml_part {
    uint32_t number; /* 1 .. 10,000 */
    uint64_t len;
    const char *etag; /* without quotes */
};
typedef bool (*s3_xml_part_fn)(void *arg, const struct s3_xml_part *part);
/* ListPartsResult. */
int s3_xml_parts(struct el_slice document, s3_xml_part_fn fn, void *arg, bool *more);

/* Is it a CompleteMultipartUploadResult, read whole? */
bool s3_xml_is_completed(struct el_slice document);

/* The text of an etag without its quotes; false when it has characters that none has, or is too long. */
bool s3_etag_of(const char *text, char etag[S3_ETAG_MAX]);
/* Decimal digits and nothing else. */
bool s3_number_of(const char *text, uint64_t *value);

#endif
