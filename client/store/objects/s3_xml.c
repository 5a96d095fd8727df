/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading XML: one pass, no memory but one element's text and the path.
 *
 *   "<name" begins an element: its name goes on the path; what stands before it must be blanks
 *   text is collected, references replaced
 *   "</name>" must be the path's last name; the element is told
 */
#include "s3_xml.h"

#include <core/assert.h>
#include <core/utf8.h>
#include <evlog/error.h>

struct reading {
    const char *p;
    const char *end;
    s3_xml_fn fn;
    void *arg;
    size_t depth;
    size_t name_at[S3_XML_DEPTH_MAX]; /* where each name begins in path */
    bool has_children[S3_XML_DEPTH_MAX];
    char path[S3_XML_PATH_MAX];
    size_t path_len;
    char text[S3_XML_TEXT_MAX + 5]; /* one more character of 4 bytes, and a NUL */
    size_t text_len;
    bool text_is_blank;
    bool ended; /* the root has, or the caller wants no more */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.' || c == ':';
}

static bool starts(const struct reading *r, const char *with)
{
    size_t len = strlen(with);
    return (size_t)(r->end - r->p) >= len && memcmp(r->p, with, len) == 0;
}

static void skip_blanks(struct reading *r)
{
    while (r->p < r->end && is_blank(*r->p)) {
        r->p++;
    }
}

/* --- text --------------------------------------------------------------------------------------------------------- */

static int add_point(struct reading *r, uint32_t point)
{
    bool is_char = point == 9 || point == 10 || point == 13 ||
                   (point >= 32 && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff));
    if (!is_char) {
        return EVLOG_ERR_MALFORMED;
    }
    if (r->text_len >= S3_XML_TEXT_MAX) {
        return EVLOG_ERR_LIMIT;
    }
    r->text_len += el_utf8_put(point, (uint8_t *)r->text + r->text_len);
    r->text_is_blank = r->text_is_blank && point <= 32;
    return 0;
}

/* "&#...;" behind its "#". */
static int read_number(struct reading *r)
{
    bool hex = r->p < r->end && *r->p == 'x';
    uint32_t point = 0, digits = 0;
    r->p += hex;
    for (; r->p < r->end && *r->p != ';'; r->p++, digits++) {
        char c = *r->p, low = (char)(c | 0x20);
        uint32_t digit = c >= '0' && c <= '9'              ? (uint32_t)(c - '0')
                         : hex && low >= 'a' && low <= 'f' ? (uint32_t)(low - 'a' + 10)
                                                           : 99;
        if (digit == 99 || digits == 8) {
            return EVLOG_ERR_MALFORMED;
        }
        point = EL_MIN(point * (hex ? 16 : 10) + digit, 0x110000u);
    }
    if (r->p == r->end) {
        return EVLOG_ERR_TRUNCATED;
    }
    r->p++;
    return digits == 0 ? EVLOG_ERR_MALFORMED : add_point(r, point);
}

static int read_reference(struct reading *r)
{
    static const struct {
        const char *name;
        char value;
    } named[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
    if (starts(r, "&#")) {
        r->p += 2;
        return read_number(r);
    }
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++) {
        if (starts(r, named[i].name)) {
            r->p += strlen(named[i].name);
            return add_point(r, (uint32_t)named[i].value);
        }
    }
    return EVLOG_ERR_MALFORMED;
}

static int read_text(struct reading *r)
{
    uint32_t point;
    if (*r->p == '&') {
        return read_reference(r);
    }
    size_t len = el_utf8_next(r->p, (size_t)(r->end - r->p), &point);
    if (len == 0) {
        return EVLOG_ERR_MALFORMED;
    }
    r->p += len;
    return add_point(r, point);
}

static void begin_text(struct reading *r)
{
    r->text_len = 0;
    r->text_is_blank = true;
}

/* --- elements ----------------------------------------------------------------------------------------------------- */

/* The innermost element has ended. */
static int end_element(struct reading *r)
{
    size_t at = --r->depth;
    if (r->has_children[at]) {
        if (!r->text_is_blank) {
            return EVLOG_ERR_MALFORMED;
        }
        r->text_len = 0;
    }
    r->text[r->text_len] = '\0';
    r->ended = !r->fn(r->arg, r->path, r->text) || r->depth == 0;
    r->path_len = at == 0 ? 0 : r->name_at[at] - 1;
    r->path[r->path_len] = '\0';
    begin_text(r);
    return 0;
}

/* Attributes say nothing that is wanted; they must be well-formed. returns 0, behind the last | EVLOG_ERR_ */
static int skip_attributes(struct reading *r)
{
    while (true) {
        bool blank = r->p < r->end && is_blank(*r->p);
        skip_blanks(r);
        if (r->p == r->end || !is_name_byte(*r->p)) {
            return 0;
        }
        if (!blank) {
            return EVLOG_ERR_MALFORMED;
        }
        while (r->p < r->end && is_name_byte(*r->p)) {
            r->p++;
        }
        if (!starts(r, "=\"") && !starts(r, "='")) {
            return r->end - r->p < 2 ? EVLOG_ERR_TRUNCATED : EVLOG_ERR_MALFORMED;
        }
        const char *close = memchr(r->p + 2, r->p[1], (size_t)(r->end - r->p - 2));
        if (close == NULL) {
            return EVLOG_ERR_TRUNCATED;
        }
        if (memchr(r->p + 2, '<', (size_t)(close - r->p - 2)) != NULL) {
            return EVLOG_ERR_MALFORMED;
        }
        r->p = close + 1;
    }
}

/* At "<" of an element's begin. */
static int begin_element(struct reading *r)
{
    const char *name = ++r->p;
    if (r->depth > 0) {
        if (!r->text_is_blank) {
            return EVLOG_ERR_MALFORMED;
        }
        r->has_children[r->depth - 1] = true;
    }
    while (r->p < r->end && is_name_byte(*r->p)) {
        r->p++;
    }
    size_t len = (size_t)(r->p - name);
    if (r->p == r->end) {
        return EVLOG_ERR_TRUNCATED;
    }
    if (len == 0) {
        return EVLOG_ERR_MALFORMED;
    }
    if (r->depth == S3_XML_DEPTH_MAX || r->path_len + 1 + len >= sizeof r->path) {
        return EVLOG_ERR_LIMIT;
    }
    if (r->depth > 0) {
        r->path[r->path_len++] = '/';
    }
    r->name_at[r->depth] = r->path_len;
    r->has_children[r->depth++] = false;
    memcpy(r->path + r->path_len, name, len);
    r->path_len += len;
    r->path[r->path_len] = '\0';
    begin_text(r);
    int rc = skip_attributes(r);
    bool empty = rc == 0 && starts(r, "/>");
    if (rc != 0 || (!empty && !starts(r, ">"))) {
        return rc != 0 ? rc : r->end - r->p < 2 ? EVLOG_ERR_TRUNCATED : EVLOG_ERR_MALFORMED;
    }
    r->p += empty ? 2 : 1;
    return empty ? end_element(r) : 0;
}

/* At "</". */
static int close_element(struct reading *r)
{
    const char *name = r->path + r->name_at[r->depth - 1];
    size_t len = strlen(name);
    r->p += 2;
    if ((size_t)(r->end - r->p) <= len) {
        return EVLOG_ERR_TRUNCATED;
    }
    if (memcmp(r->p, name, len) != 0) {
        return EVLOG_ERR_MALFORMED;
    }
    r->p += len;
    skip_blanks(r);
    if (r->p == r->end) {
        return EVLOG_ERR_TRUNCATED;
    }
    return *r->p++ == '>' ? end_element(r) : EVLOG_ERR_MALFORMED;
}

/* A byte order mark, and "<?xml ... ?>". */
static int skip_declaration(struct reading *r)
{
    if (starts(r, "\xef\xbb\xbf")) {
        r->p += 3;
    }
    skip_blanks(r);
    if (!starts(r, "<?xml")) {
        return 0;
    }
    const char *close = memchr(r->p, '>', (size_t)(r->end - r->p));
    if (close == NULL) {
        return EVLOG_ERR_TRUNCATED;
    }
    if (close[-1] != '?') {
        return EVLOG_ERR_MALFORMED;
    }
    r->p = close + 1;
    skip_blanks(r);
    return 0;
}

int s3_xml_read(struct el_slice document, s3_xml_fn fn, void *arg)
{
    struct reading r = {.p = (const char *)document.data, .fn = fn, .arg = arg, .text_is_blank = true};
    if (document.len == 0) {
        return EVLOG_ERR_TRUNCATED;
    }
    r.end = r.p + document.len;
    int rc = skip_declaration(&r);
    if (rc == 0 && r.p < r.end && *r.p != '<') {
        return EVLOG_ERR_MALFORMED;
    }
    while (rc == 0 && !r.ended) {
        if (r.p == r.end) {
            return EVLOG_ERR_TRUNCATED;
        }
        bool closes = starts(&r, "</");
        if (closes && r.depth == 0) {
            return EVLOG_ERR_MALFORMED;
        }
        rc = closes ? close_element(&r) : *r.p == '<' ? begin_element(&r) : read_text(&r);
    }
    if (rc == 0 && r.depth == 0) {
        skip_blanks(&r);
        rc = r.p == r.end ? 0 : EVLOG_ERR_MALFORMED;
    }
    return rc;
}
