/* SPDX-License-Identifier: Apache-2.0
 *
 * Redactions that are not done, on this disk: written beside, synced, renamed, the folder synced. docs/format.md
 * section 16.
 */
#include <redact/redactor.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <core/hash.h>
#include <io/disk_file.h>

#define FILE_TMP REDACT_FILE ".tmp"
#define FILE_FORMAT 1u
#define HEADER_LEN 32u
#define ENTRY_LEN 48u /* before the reason */
#define FILE_LEN_MAX (HEADER_LEN + REDACT_PENDING_MAX * (ENTRY_LEN + EL_REDACTION_REASON_MAX))

static const uint8_t magic[8] = {'E', 'V', 'L', 'O', 'G', 'R', 'D', 'X'};

static size_t entry_put(uint8_t *p, const struct redact_entry *e)
{
    EL_ASSERT(e->end_offset > e->first_offset);
    EL_ASSERT(e->reason_len <= EL_REDACTION_REASON_MAX);
    memcpy(p, e->topic_id.bytes, 16);
    el_put_le32(p + 16, (uint32_t)e->partition);
    el_put_le32(p + 20, e->reason_len);
    el_put_le64(p + 24, (uint64_t)e->first_offset);
    el_put_le64(p + 32, (uint64_t)e->end_offset);
    el_put_le64(p + 40, e->when_ms);
    memcpy(p + ENTRY_LEN, e->reason, e->reason_len);
    return ENTRY_LEN + e->reason_len;
}

/* returns bytes, 0 when it makes no sense */
static size_t entry_get(const uint8_t *p, size_t len, struct redact_entry *e)
{
    if (len < ENTRY_LEN || el_get_le32(p + 20) > EL_REDACTION_REASON_MAX || el_get_le32(p + 20) > len - ENTRY_LEN) {
        return 0;
    }
    *e = (struct redact_entry){.partition = (int32_t)el_get_le32(p + 16),
                               .first_offset = (int64_t)el_get_le64(p + 24),
                               .end_offset = (int64_t)el_get_le64(p + 32),
                               .when_ms = el_get_le64(p + 40),
                               .reason_len = (uint16_t)el_get_le32(p + 20)};
    memcpy(e->topic_id.bytes, p, 16);
    memcpy(e->reason, p + ENTRY_LEN, e->reason_len);
    bool good = e->partition >= 0 && e->first_offset >= 0 && e->end_offset > e->first_offset;
    return good ? ENTRY_LEN + e->reason_len : 0;
}

static int parse(const uint8_t *p, size_t len, struct redact_entry *entries, uint32_t *count)
{
    if (len < HEADER_LEN || memcmp(p, magic, sizeof magic) != 0) {
        return EVLOG_ERR_CORRUPT;
    }
    if (el_get_le32(p + 8) != FILE_FORMAT) {
        return EVLOG_ERR_FORMAT;
    }
    uint32_t stated = el_get_le32(p + 12);
    size_t pos = HEADER_LEN;
    if (stated > REDACT_PENDING_MAX || el_get_le64(p + 16) != len ||
        el_get_le64(p + 24) != (el_xxh3(p, 24) ^ el_xxh3(p + HEADER_LEN, len - HEADER_LEN))) {
        return EVLOG_ERR_CORRUPT;
    }
    for (uint32_t i = 0; i < stated; i++) {
        size_t entry_len = entry_get(p + pos, len - pos, &entries[i]);
        if (entry_len == 0) {
            return EVLOG_ERR_CORRUPT;
        }
        pos += entry_len;
    }
    if (pos != len) {
        return EVLOG_ERR_CORRUPT;
    }
    *count = stated;
    return 0;
}

int redact_file_load(struct disk *disk, struct redact_entry entries[REDACT_PENDING_MAX], uint32_t *count,
                     struct el_error *err)
{
    uint8_t *buf = el_malloc(FILE_LEN_MAX + 1);
    size_t len = 0;
    *count = 0;
    int code = buf == NULL ? EVLOG_ERR_NO_MEMORY : disk_file_read(disk, REDACT_FILE, buf, FILE_LEN_MAX + 1, &len);
    code = code == 0 ? parse(buf, len, entries, count) : code;
    el_free(buf);
    if (code == EVLOG_ERR_NOT_FOUND) {
        return 0;
    }
    if (code == EVLOG_ERR_CORRUPT) {
        return el_error_set(err, code,
                            "%s is damaged: it says what is still to be redacted. Move it away, start evlogd, and ask "
                            "again for what was under way",
                            REDACT_FILE);
    }
    return code == 0 ? 0 : el_error_set(err, code, "%s: %s", REDACT_FILE, evlog_error_text(code));
}

int redact_file_save(struct disk *disk, const struct redact_entry *entries, uint32_t count)
{
    static const struct disk_file file = {"", REDACT_FILE, FILE_TMP, 0};
    uint8_t *buf = el_calloc(1, FILE_LEN_MAX);
    size_t len = HEADER_LEN;
    EL_ASSERT(count <= REDACT_PENDING_MAX);
    if (buf == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        len += entry_put(buf + len, &entries[i]);
    }
    EL_ASSERT(len <= FILE_LEN_MAX);
    memcpy(buf, magic, sizeof magic);
    el_put_le32(buf + 8, FILE_FORMAT);
    el_put_le32(buf + 12, count);
    el_put_le64(buf + 16, len);
    el_put_le64(buf + 24, el_xxh3(buf, 24) ^ el_xxh3(buf + HEADER_LEN, len - HEADER_LEN));
    int code = disk_file_replace(disk, &file, buf, len);
    el_free(buf);
    return code;
}
