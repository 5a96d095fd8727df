/* SPDX-License-Identifier: Apache-2.0 */
#include "attestation_note.h"

#include <core/timefmt.h>
#include <errno.h>
#include <evlog/error.h>
#include <stdlib.h>
#include <store/archive_cluster.h>
#include <string.h>

int attestation_note_text(struct el_slice note, struct el_slice *text)
{
    struct el_uuid cluster;
    if (note.len <= ATTESTATION_ORIGIN_LEN || memcmp(note.data, "evlog/", 6) != 0 ||
        memcmp(note.data + 38, "/attest\n", 8) != 0 ||
        archive_id_parse(el_slice_of(note.data + 6, 32), &cluster) != 0) {
        return EVLOG_ERR_MALFORMED;
    }
    size_t end = note.len - 1; /* of the empty line behind the text */
    while (end > ATTESTATION_ORIGIN_LEN && (note.data[end] != '\n' || note.data[end - 1] != '\n')) {
        end--;
    }
    *text = el_slice_of(note.data, end);
    return end == note.len - 1 ? EVLOG_ERR_NOT_FOUND : 0;
}

/* The next line of text, without its line feed. */
static bool next_line(struct el_slice *text, struct el_slice *line)
{
    const uint8_t *end = text->len == 0 ? NULL : memchr(text->data, '\n', text->len);
    if (end == NULL) {
        return false;
    }
    *line = el_slice_of(text->data, (size_t)(end - text->data));
    *text = el_slice_of(end + 1, text->len - line->len - 1);
    return true;
}

/* The word that stands behind "name " and skip more bytes of that line. */
static bool take(struct el_slice text, const char *name, size_t skip, char *out, size_t room)
{
    struct el_slice line;
    size_t name_len = strlen(name);
    while (next_line(&text, &line)) {
        if (line.len <= name_len || memcmp(line.data, name, name_len) != 0) {
            continue;
        }
        const uint8_t *p = line.data + name_len, *end = line.data + line.len;
        p = (size_t)(end - p) > skip ? p + skip : end;
        const uint8_t *blank = memchr(p, ' ', (size_t)(end - p));
        size_t len = (size_t)((blank == NULL ? end : blank) - p);
        if (len == 0 || len >= room || memchr(p, '\0', len) != NULL) {
            return false;
        }
        memcpy(out, p, len);
        out[len] = '\0';
        return true;
    }
    return false;
}

static bool number_of(const char *text, int64_t *number)
{
    char *end;
    errno = 0;
    *number = strtoll(text, &end, 10);
    return text[0] >= '1' && text[0] <= '9' && *end == '\0' && errno == 0;
}

int attestation_note_read(struct el_slice text, struct attestation_said *said)
{
    struct attestation_said got;
    char until[40], root[24];
    bool ok = take(text, "archive ", 0, got.incarnation, sizeof got.incarnation) &&
              take(text, "root ", 0, root, sizeof root) && take(text, "until ", 0, until, sizeof until) &&
              take(text, "topic ", 33, got.topic, sizeof got.topic) && number_of(root, &got.root) &&
              el_time_parse(until, 0, &got.until_ns, NULL) == 0 && got.until_ns >= 0 &&
              archive_id_parse(el_slice_str(got.incarnation), &got.incarnation_id) == 0;
    if (!ok) {
        return EVLOG_ERR_MALFORMED;
    }
    *said = got;
    return 0;
}

static bool says_version(struct el_slice line)
{
    size_t len = sizeof ATTESTATION_MADE_BY - 1;
    return line.len > len && memcmp(line.data, ATTESTATION_MADE_BY, len) == 0;
}

bool attestation_note_differs(struct el_slice text, struct el_slice made, bool whole,
                              struct attestation_difference *difference)
{
    for (size_t line = 1;; line++) {
        struct el_slice theirs = el_slice_str(""), ours = theirs;
        bool more = next_line(&made, &ours);
        bool there = (more || whole) && next_line(&text, &theirs);
        if (!more && !there) {
            return false;
        }
        if (more != there || (!el_slice_eq(theirs, ours) && !(says_version(theirs) && says_version(ours)))) {
            *difference = (struct attestation_difference){line, theirs, ours};
            return true;
        }
    }
}
