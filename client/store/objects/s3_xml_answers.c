/* SPDX-License-Identifier: Apache-2.0
 *
 * What answers of S3 say. An element that is there twice, misses, or has another form than it must have makes the whole
 * answer a lie: EVLOG_ERR_CORRUPT.
 */
#include "s3_xml.h"

#include <core/timefmt.h>
#include <evlog/error.h>
#include <stdio.h>
#include <stdlib.h>

#define PART_MAX 10000

bool s3_number_of(const char *text, uint64_t *value)
{
    uint64_t number = 0;
    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        uint64_t digit = (uint64_t)(uint8_t)*text - '0';
        if (digit > 9 || number > (UINT64_MAX - digit) / 10) {
            return false;
        }
        number = 10 * number + digit;
    }
    *value = number;
    return true;
}

bool s3_etag_of(const char *text, char etag[S3_ETAG_MAX])
{
    size_t len = strlen(text);
    if (len >= 2 && text[0] == '"' && text[len - 1] == '"') {
        text++;
        len -= 2;
    }
    if (len == 0 || len >= S3_ETAG_MAX) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    (c != '\0' && strchr("-_.:+/=", c) != NULL);
        if (!fine) {
            return false;
        }
    }
    memcpy(etag, text, len);
    etag[len] = '\0';
    return true;
}

/* An element of an item that must be there once: what has been seen of the item. */
static int once(unsigned *seen, unsigned bit, bool fine)
{
    bool again = (*seen & bit) != 0;
    *seen |= bit;
    return again || !fine ? EVLOG_ERR_CORRUPT : 0;
}

static int flag_of(const char *text, unsigned *seen, unsigned bit, bool *value)
{
    *value = strcmp(text, "true") == 0;
    return once(seen, bit, *value || strcmp(text, "false") == 0);
}

/* --- errors ------------------------------------------------------------------------------------------------------- */

struct error_reading {
    struct s3_xml_error *error;
    bool is_error;
};

static void take_plain(char *out, size_t max, const char *text, bool message)
{
    size_t len = 0;
    for (; *text != '\0' && len + 1 < max; text++) {
        char c = *text;
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.';
        if (letter || (message && c >= ' ' && c <= '~')) {
            out[len++] = c;
        }
    }
    out[len] = '\0';
}

static bool take_error(void *arg, const char *path, const char *text)
{
    struct error_reading *reading = arg;
    if (strcmp(path, "Error/Code") == 0) {
        take_plain(reading->error->code, sizeof reading->error->code, text, false);
    } else if (strcmp(path, "Error/Message") == 0) {
        take_plain(reading->error->message, sizeof reading->error->message, text, true);
    }
    reading->is_error = reading->is_error || strcmp(path, "Error/Code") == 0;
    return true;
}

bool s3_xml_is_error(struct el_slice document, struct s3_xml_error *error)
{
    struct error_reading reading = {.error = error};
    *error = (struct s3_xml_error){.code = ""};
    /* What stands before a fault still says something to a reader. */
    (void)s3_xml_read(document, take_error, &reading);
    return reading.is_error;
}

/* --- lists -------------------------------------------------------------------------------------------------------- */

#define KEY_MAX 1025 /* S3's own keys, not only ours */

struct list_reading {
    s3_xml_object_fn fn;
    void *arg;
    unsigned seen; /* of the item */
    unsigned seen_root;
    bool more;
    bool whole; /* the root has ended */
    bool enough;
    int rc;
    struct s3_xml_object object;
    char key[KEY_MAX];
};

enum { SEEN_KEY = 1, SEEN_LEN = 2, SEEN_TIME = 4, SEEN_ID = 4, SEEN_ETAG = 4, SEEN_NUMBER = 1, SEEN_MORE = 1 };

static int end_object(struct list_reading *reading)
{
    if (reading->seen != (SEEN_KEY | SEEN_LEN | SEEN_TIME)) {
        return EVLOG_ERR_CORRUPT;
    }
    reading->seen = 0;
    reading->object.key = reading->key;
    reading->enough = !reading->fn(reading->arg, &reading->object);
    return 0;
}

static bool take_object(void *arg, const char *path, const char *text)
{
    struct list_reading *reading = arg;
    int rc = 0;
    if (strcmp(path, "ListBucketResult/Contents/Key") == 0) {
        rc = once(&reading->seen, SEEN_KEY, *text != '\0' && strlen(text) < sizeof reading->key);
        (void)snprintf(reading->key, sizeof reading->key, "%s", text);
    } else if (strcmp(path, "ListBucketResult/Contents/Size") == 0) {
        rc = once(&reading->seen, SEEN_LEN, s3_number_of(text, &reading->object.len));
    } else if (strcmp(path, "ListBucketResult/Contents/LastModified") == 0) {
        int64_t ns = 0;
        bool fine = text[0] >= '0' && text[0] <= '9' && el_time_parse(text, 0, &ns, NULL) == 0;
        rc = once(&reading->seen, SEEN_TIME, fine);
        reading->object.modified_ms = ns / 1000000;
    } else if (strcmp(path, "ListBucketResult/Contents") == 0) {
        rc = end_object(reading);
    } else if (strcmp(path, "ListBucketResult/IsTruncated") == 0) {
        rc = flag_of(text, &reading->seen_root, SEEN_MORE, &reading->more);
    } else if (strcmp(path, "ListBucketResult") == 0) {
        reading->whole = true;
    }
    reading->rc = rc;
    return rc == 0 && !reading->enough;
}

int s3_xml_list(struct el_slice document, s3_xml_object_fn fn, void *arg, bool *more)
{
    struct list_reading reading = {.fn = fn, .arg = arg};
    int rc = s3_xml_read(document, take_object, &reading);
    if (rc != 0 || reading.rc != 0) {
        return rc != 0 ? rc : reading.rc;
    }
    if (reading.enough) {
        *more = false;
        return 0;
    }
    *more = reading.more;
    return reading.whole && reading.seen_root == SEEN_MORE ? 0 : EVLOG_ERR_CORRUPT;
}

/* --- uploads in parts --------------------------------------------------------------------------------------------- */

static bool id_of(const char *text, char id[S3_UPLOAD_ID_MAX])
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '!' || text[i] > '~') {
            return false;
        }
    }
    if (len == 0 || len >= S3_UPLOAD_ID_MAX) {
        return false;
    }
    memcpy(id, text, len + 1);
    return true;
}

struct upload_reading {
    s3_xml_upload_fn fn;
    void *arg;
    unsigned seen;
    unsigned seen_root;
    bool more;
    bool whole;
    bool enough;
    int rc;
    char key[KEY_MAX];
    char id[S3_UPLOAD_ID_MAX];
};

static bool take_begun(void *arg, const char *path, const char *text)
{
    struct upload_reading *reading = arg;
    if (strcmp(path, "InitiateMultipartUploadResult/UploadId") == 0) {
        reading->rc = once(&reading->seen, SEEN_ID, id_of(text, reading->id));
    } else if (strcmp(path, "InitiateMultipartUploadResult") == 0) {
        reading->whole = true;
    }
    return reading->rc == 0;
}

int s3_xml_upload(struct el_slice document, char id[S3_UPLOAD_ID_MAX])
{
    struct upload_reading reading = {.fn = NULL};
    int rc = s3_xml_read(document, take_begun, &reading);
    rc = rc != 0 ? rc : reading.rc;
    if (rc == 0 && (!reading.whole || reading.seen != SEEN_ID)) {
        rc = EVLOG_ERR_CORRUPT;
    }
    if (rc == 0) {
        memcpy(id, reading.id, S3_UPLOAD_ID_MAX);
    }
    return rc;
}

static int end_upload(struct upload_reading *reading)
{
    if (reading->seen != (SEEN_KEY | SEEN_ID)) {
        return EVLOG_ERR_CORRUPT;
    }
    reading->seen = 0;
    reading->enough = !reading->fn(reading->arg, reading->key, reading->id);
    return 0;
}

static bool take_upload(void *arg, const char *path, const char *text)
{
    struct upload_reading *reading = arg;
    int rc = 0;
    if (strcmp(path, "ListMultipartUploadsResult/Upload/Key") == 0) {
        rc = once(&reading->seen, SEEN_KEY, *text != '\0' && strlen(text) < sizeof reading->key);
        (void)snprintf(reading->key, sizeof reading->key, "%s", text);
    } else if (strcmp(path, "ListMultipartUploadsResult/Upload/UploadId") == 0) {
        rc = once(&reading->seen, SEEN_ID, id_of(text, reading->id));
    } else if (strcmp(path, "ListMultipartUploadsResult/Upload") == 0) {
        rc = end_upload(reading);
    } else if (strcmp(path, "ListMultipartUploadsResult/IsTruncated") == 0) {
        rc = flag_of(text, &reading->seen_root, SEEN_MORE, &reading->more);
    } else if (strcmp(path, "ListMultipartUploadsResult") == 0) {
        reading->whole = true;
    }
    reading->rc = rc;
    return rc == 0 && !reading->enough;
}

int s3_xml_uploads(struct el_slice document, s3_xml_upload_fn fn, void *arg, bool *more)
{
    struct upload_reading reading = {.fn = fn, .arg = arg};
    int rc = s3_xml_read(document, take_upload, &reading);
    if (rc != 0 || reading.rc != 0) {
        return rc != 0 ? rc : reading.rc;
    }
    *more = reading.more && !reading.enough;
    return reading.whole || reading.enough ? 0 : EVLOG_ERR_CORRUPT;
}

struct part_reading {
    s3_xml_part_fn fn;
    void *arg;
    unsigned seen;
    unsigned seen_root;
    bool more;
    bool whole;
    bool enough;
    int rc;
    struct s3_xml_part part;
    char etag[S3_ETAG_MAX];
};

static int end_part(struct part_reading *reading)
{
    if (reading->seen != (SEEN_NUMBER | SEEN_LEN | SEEN_ETAG)) {
        return EVLOG_ERR_CORRUPT;
    }
    reading->seen = 0;
    reading->part.etag = reading->etag;
    reading->enough = !reading->fn(reading->arg, &reading->part);
    return 0;
}

static bool take_part(void *arg, const char *path, const char *text)
{
    struct part_reading *reading = arg;
    uint64_t number = 0;
    int rc = 0;
    if (strcmp(path, "ListPartsResult/Part/PartNumber") == 0) {
        bool fine = s3_number_of(text, &number) && number >= 1 && number <= PART_MAX;
        rc = once(&reading->seen, SEEN_NUMBER, fine);
        reading->part.number = fine ? (uint32_t)number : 0;
    } else if (strcmp(path, "ListPartsResult/Part/Size") == 0) {
        rc = once(&reading->seen, SEEN_LEN, s3_number_of(text, &reading->part.len));
    } else if (strcmp(path, "ListPartsResult/Part/ETag") == 0) {
        rc = once(&reading->seen, SEEN_ETAG, s3_etag_of(text, reading->etag));
    } else if (strcmp(path, "ListPartsResult/Part") == 0) {
        rc = end_part(reading);
    } else if (strcmp(path, "ListPartsResult/IsTruncated") == 0) {
        rc = flag_of(text, &reading->seen_root, SEEN_MORE, &reading->more);
    } else if (strcmp(path, "ListPartsResult") == 0) {
        reading->whole = true;
    }
    reading->rc = rc;
    return rc == 0 && !reading->enough;
}

int s3_xml_parts(struct el_slice document, s3_xml_part_fn fn, void *arg, bool *more)
{
    struct part_reading reading = {.fn = fn, .arg = arg};
    int rc = s3_xml_read(document, take_part, &reading);
    if (rc != 0 || reading.rc != 0) {
        return rc != 0 ? rc : reading.rc;
    }
    *more = reading.more && !reading.enough;
    return reading.whole || reading.enough ? 0 : EVLOG_ERR_CORRUPT;
}

static bool take_completed(void *arg, const char *path, const char *text)
{
    bool *completed = arg;
    (void)text;
    *completed = strcmp(path, "CompleteMultipartUploadResult") == 0;
    return true;
}

bool s3_xml_is_completed(struct el_slice document)
{
    bool completed = false;
    return s3_xml_read(document, take_completed, &completed) == 0 && completed;
}
