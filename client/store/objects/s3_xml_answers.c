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

enum { SEEN_KEY = 1, SEEN_NUMBER = 1, SEEN_LEN = 2, SEEN_TIME = 4, SEEN_ID = 4, SEEN_ETAG = 4 };

/* A page of a list: items of elements that must be there once each, and whether there are further pages. */
struct page {
    const char *root, *item;
    unsigned all;  /* bits of an item's elements */
    bool must_say; /* whether there are more */
    /* An element of an item. returns what once() does, 0 for one that is not asked for */
    int (*take)(struct page *page, const char *name, const char *text);
    bool (*give)(struct page *page); /* an item that is whole; false: enough */
    unsigned seen;                   /* of the item */
    unsigned seen_root;
    bool more;
    bool whole; /* the root has ended */
    bool enough;
    int rc;
    /* what items have */
    char key[KEY_MAX];
    char id[S3_UPLOAD_ID_MAX];
    char etag[S3_ETAG_MAX];
    struct s3_xml_object object;
    struct s3_xml_part part;
    /* who is told */
    s3_xml_object_fn object_fn;
    s3_xml_upload_fn upload_fn;
    s3_xml_part_fn part_fn;
    void *arg;
};

static int end_item(struct page *page)
{
    if (page->seen != page->all) {
        return EVLOG_ERR_CORRUPT;
    }
    page->seen = 0;
    page->enough = !page->give(page);
    return 0;
}

/* What stands behind "name/" in a path; NULL: it is another path. */
static const char *below(const char *path, const char *name)
{
    size_t len = strlen(name);
    return strncmp(path, name, len) == 0 && path[len] == '/' ? path + len + 1 : NULL;
}

static bool take_page(void *arg, const char *path, const char *text)
{
    struct page *page = arg;
    const char *in_root = below(path, page->root), *in_item = in_root == NULL ? NULL : below(in_root, page->item);
    if (in_item != NULL) {
        page->rc = page->take(page, in_item, text);
    } else if (in_root != NULL && strcmp(in_root, page->item) == 0) {
        page->rc = end_item(page);
    } else if (in_root != NULL && strcmp(in_root, "IsTruncated") == 0) {
        page->rc = flag_of(text, &page->seen_root, 1, &page->more);
    } else if (strcmp(path, page->root) == 0) {
        page->whole = true;
    }
    return page->rc == 0 && !page->enough;
}

static int read_page(struct el_slice document, struct page *page, bool *more)
{
    int rc = s3_xml_read(document, take_page, page);
    if (rc != 0 || page->rc != 0) {
        return rc != 0 ? rc : page->rc;
    }
    bool said = page->seen_root != 0 || !page->must_say;
    if (!page->enough && (!page->whole || !said)) {
        return EVLOG_ERR_CORRUPT;
    }
    *more = page->more && !page->enough;
    return 0;
}

static int take_key(struct page *page, const char *text)
{
    (void)snprintf(page->key, sizeof page->key, "%s", text);
    return once(&page->seen, SEEN_KEY, *text != '\0' && strlen(text) < sizeof page->key);
}

static int take_object(struct page *page, const char *name, const char *text)
{
    if (strcmp(name, "Key") == 0) {
        return take_key(page, text);
    }
    if (strcmp(name, "Size") == 0) {
        return once(&page->seen, SEEN_LEN, s3_number_of(text, &page->object.len));
    }
    if (strcmp(name, "LastModified") == 0) {
        int64_t ns = 0;
        bool fine = text[0] >= '0' && text[0] <= '9' && el_time_parse(text, 0, &ns, NULL) == 0;
        page->object.modified_ms = ns / 1000000;
        return once(&page->seen, SEEN_TIME, fine);
    }
    return 0;
}

static bool give_object(struct page *page)
{
    page->object.key = page->key;
    return page->object_fn(page->arg, &page->object);
}

int s3_xml_list(struct el_slice document, s3_xml_object_fn fn, void *arg, bool *more)
{
    struct page page = {.root = "ListBucketResult",
                        .item = "Contents",
                        .all = SEEN_KEY | SEEN_LEN | SEEN_TIME,
                        .must_say = true,
                        .take = take_object,
                        .give = give_object,
                        .object_fn = fn,
                        .arg = arg};
    return read_page(document, &page, more);
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

struct begun {
    unsigned seen;
    bool whole;
    int rc;
    char id[S3_UPLOAD_ID_MAX];
};

static bool take_begun(void *arg, const char *path, const char *text)
{
    struct begun *reading = arg;
    if (strcmp(path, "InitiateMultipartUploadResult/UploadId") == 0) {
        reading->rc = once(&reading->seen, SEEN_ID, id_of(text, reading->id));
    } else if (strcmp(path, "InitiateMultipartUploadResult") == 0) {
        reading->whole = true;
    }
    return reading->rc == 0;
}

int s3_xml_upload(struct el_slice document, char id[S3_UPLOAD_ID_MAX])
{
    struct begun reading = {.rc = 0};
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

static int take_upload(struct page *page, const char *name, const char *text)
{
    return strcmp(name, "Key") == 0        ? take_key(page, text)
           : strcmp(name, "UploadId") == 0 ? once(&page->seen, SEEN_ID, id_of(text, page->id))
                                           : 0;
}

static bool give_upload(struct page *page)
{
    return page->upload_fn(page->arg, page->key, page->id);
}

int s3_xml_uploads(struct el_slice document, s3_xml_upload_fn fn, void *arg, bool *more)
{
    struct page page = {.root = "ListMultipartUploadsResult",
                        .item = "Upload",
                        .all = SEEN_KEY | SEEN_ID,
                        .take = take_upload,
                        .give = give_upload,
                        .upload_fn = fn,
                        .arg = arg};
    return read_page(document, &page, more);
}

static int take_part(struct page *page, const char *name, const char *text)
{
    uint64_t number = 0;
    if (strcmp(name, "PartNumber") == 0) {
        bool fine = s3_number_of(text, &number) && number >= 1 && number <= PART_MAX;
        page->part.number = fine ? (uint32_t)number : 0;
        return once(&page->seen, SEEN_NUMBER, fine);
    }
    if (strcmp(name, "Size") == 0) {
        return once(&page->seen, SEEN_LEN, s3_number_of(text, &page->part.len));
    }
    return strcmp(name, "ETag") == 0 ? once(&page->seen, SEEN_ETAG, s3_etag_of(text, page->etag)) : 0;
}

static bool give_part(struct page *page)
{
    page->part.etag = page->etag;
    return page->part_fn(page->arg, &page->part);
}

int s3_xml_parts(struct el_slice document, s3_xml_part_fn fn, void *arg, bool *more)
{
    struct page page = {.root = "ListPartsResult",
                        .item = "Part",
                        .all = SEEN_NUMBER | SEEN_LEN | SEEN_ETAG,
                        .take = take_part,
                        .give = give_part,
                        .part_fn = fn,
                        .arg = arg};
    return read_page(document, &page, more);
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
