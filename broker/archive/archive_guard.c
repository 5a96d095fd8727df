/* SPDX-License-Identifier: Apache-2.0
 *
 * What was signed last, on this disk: written, synced, renamed and the folder synced before a signature leaves. After a
 * crash the same bytes are put again, so that nobody ever sees two trees of one size; and a bucket with a newer root
 * than this disk knows of shows that the disk is older than what was signed. docs/format.md section 15.7.
 */
#include <archive/archive_ledger_state.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <core/crypto.h>
#include <io/disk_file.h>

#define GUARD_FILE ARCHIVE_DIR "/signed"
#define GUARD_TMP ARCHIVE_DIR "/signed.tmp"
#define GUARD_HEADER_LEN 96u
#define GUARD_LEN_MAX (EL_MANIFEST_LEN_MAX + (1u << 20))
#define GUARD_FORMAT 1u

static const uint8_t magic[8] = {'E', 'V', 'L', 'O', 'G', 'S', 'G', 'D'};

void archive_guard_free(struct archive_guard *guard)
{
    el_free(guard->memory);
    memset(guard, 0, sizeof *guard);
}

static int read_all(struct disk *disk, uint8_t **data, size_t *len, struct el_error *err)
{
    uint64_t file_len = 0;
    size_t done = 0;
    int fd;
    int code = disk_open(disk, GUARD_FILE, DISK_READ, &fd);
    if (code == EVLOG_ERR_NOT_FOUND) {
        return el_error_set(err, code, "%s: there is none", GUARD_FILE);
    }
    if (code != 0) {
        return el_error_set(err, code, "%s: %s", GUARD_FILE, evlog_error_text(code));
    }
    *data = NULL;
    code = disk_len(disk, fd, &file_len);
    if (code == 0 && file_len > GUARD_LEN_MAX) {
        code = EVLOG_ERR_CORRUPT;
    }
    if (code == 0) {
        *data = el_malloc(EL_MAX(file_len, (uint64_t)1));
        code = *data == NULL ? EVLOG_ERR_NO_MEMORY : disk_pread(disk, fd, *data, file_len, 0, &done);
    }
    int closed = disk_close(disk, fd);
    code = code != 0 ? code : closed;
    if (code == 0 && done != file_len) {
        code = EVLOG_ERR_CORRUPT;
    }
    if (code != 0) {
        el_free(*data);
        return el_error_set(err, code, "%s: %s", GUARD_FILE, evlog_error_text(code));
    }
    *len = done;
    return 0;
}

int archive_guard_load(struct disk *disk, struct archive_guard *guard, struct el_error *err)
{
    uint8_t *p = NULL, sha256[32];
    size_t len = 0;
    memset(guard, 0, sizeof *guard);
    int code = read_all(disk, &p, &len, err);
    if (code != 0) {
        return code;
    }
    bool good = len >= GUARD_HEADER_LEN && memcmp(p, magic, sizeof magic) == 0;
    if (good && el_get_le32(p + 8) != GUARD_FORMAT) {
        code = el_error_set(err, EVLOG_ERR_FORMAT, "%s is of a newer evlog", GUARD_FILE);
        el_free(p);
        return code;
    }
    uint64_t cluster_len = good ? el_get_le32(p + 12) : 0, note_len = good ? el_get_le64(p + 40) : 0;
    uint64_t manifest_len = good ? el_get_le64(p + 48) : 0;
    if (good) {
        uint64_t rest = len - GUARD_HEADER_LEN;
        good = cluster_len <= rest && note_len <= rest && manifest_len <= rest &&
               cluster_len + note_len + manifest_len == rest;
    }
    if (good) {
        struct el_sha256 ctx;
        el_sha256_begin(&ctx);
        el_sha256_add(&ctx, p, 56);
        el_sha256_add(&ctx, p + GUARD_HEADER_LEN, len - GUARD_HEADER_LEN);
        el_sha256_end(&ctx, sha256);
        good = memcmp(sha256, p + 56, 32) == 0 && el_get_le64(p + 88) == 0;
    }
    if (!good) {
        el_free(p);
        return el_error_set(err, EVLOG_ERR_CORRUPT,
                            "%s is damaged: it says what this broker signed last. Nothing is archived without it; "
                            "restore the file, or start on a directory that evlog archive restore made",
                            GUARD_FILE);
    }
    memcpy(guard->incarnation.bytes, p + 16, 16);
    guard->sequence = el_get_le64(p + 32);
    guard->cluster = el_slice_of(p + GUARD_HEADER_LEN, cluster_len);
    guard->note = el_slice_of(p + GUARD_HEADER_LEN + cluster_len, note_len);
    guard->manifest = el_slice_of(p + GUARD_HEADER_LEN + cluster_len + note_len, manifest_len);
    guard->memory = p;
    return 0;
}

static int replace(struct disk *disk, const struct archive_guard *guard, const uint8_t *header)
{
    static const struct disk_file file = {ARCHIVE_DIR, GUARD_FILE, GUARD_TMP, 0};
    struct iovec iov[4] = {{(void *)(uintptr_t)header, GUARD_HEADER_LEN}};
    const struct el_slice parts[] = {guard->cluster, guard->note, guard->manifest};
    int count = 1;
    for (size_t i = 0; i < 3; i++) {
        if (parts[i].len > 0) {
            iov[count++] = (struct iovec){(void *)(uintptr_t)parts[i].data, parts[i].len};
        }
    }
    return disk_file_replacev(disk, &file, iov, count);
}

int archive_guard_save(struct disk *disk, const struct archive_guard *guard, bool *folder_synced, struct el_error *err)
{
    uint8_t header[GUARD_HEADER_LEN] = {0};
    struct el_sha256 ctx;
    EL_ASSERT(guard->cluster.len <= UINT32_MAX);
    memcpy(header, magic, sizeof magic);
    el_put_le32(header + 8, GUARD_FORMAT);
    el_put_le32(header + 12, (uint32_t)guard->cluster.len);
    memcpy(header + 16, guard->incarnation.bytes, 16);
    el_put_le64(header + 32, guard->sequence);
    el_put_le64(header + 40, guard->note.len);
    el_put_le64(header + 48, guard->manifest.len);
    el_sha256_begin(&ctx);
    el_sha256_add(&ctx, header, 56);
    el_sha256_add(&ctx, guard->cluster.data, guard->cluster.len);
    el_sha256_add(&ctx, guard->note.data, guard->note.len);
    el_sha256_add(&ctx, guard->manifest.data, guard->manifest.len);
    el_sha256_end(&ctx, header + 56);
    int code = 0;
    if (folder_synced == NULL || !*folder_synced) {
        code = disk_mkdir(disk, ARCHIVE_DIR);
        code = code != 0 ? code : disk_sync_dir(disk, "");
    }
    code = code != 0 ? code : replace(disk, guard, header);
    if (code != 0) {
        return el_error_set(err, code, "%s cannot be written: %s; nothing is signed before it is", GUARD_FILE,
                            evlog_error_text(code));
    }
    if (folder_synced != NULL) {
        *folder_synced = true;
    }
    return 0;
}
