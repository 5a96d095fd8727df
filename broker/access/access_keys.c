/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of keys: written beside, synced, renamed, its folder synced, and the folder that this one is in before all.
 * A crash leaves the old file or the new one, whole.
 */
#include <access/access_keys.h>

#include <core/alloc.h>
#include <evlog/error.h>

#define FILE_TMP EL_ACCESS_KEYS_FILE ".tmp"

static int read_file(struct disk *disk, char *text, size_t *len)
{
    int fd;
    int code = disk_open(disk, EL_ACCESS_KEYS_FILE, DISK_READ, &fd);
    if (code == 0) {
        code = disk_pread(disk, fd, text, EL_ACCESS_KEYS_TEXT_MAX + 1, 0, len);
        int closed = disk_close(disk, fd);
        code = code != 0 ? code : closed;
    }
    return code;
}

int access_keys_load(struct disk *disk, struct access_keys *keys, struct el_error *err)
{
    char text[EL_ACCESS_KEYS_TEXT_MAX + 1];
    struct el_error why = {0};
    size_t len = 0;
    keys->keys.count = 0;
    keys->unsaved = false;
    int code = read_file(disk, text, &len);
    if (code == EVLOG_ERR_NOT_FOUND) {
        return 0;
    }
    if (code != 0) {
        return el_error_set(err, code, "%s: %s", EL_ACCESS_KEYS_FILE, evlog_error_text(code));
    }
    if (len > EL_ACCESS_KEYS_TEXT_MAX) {
        code = el_error_set(&why, EVLOG_ERR_LIMIT, "it is longer than a file of keys");
    } else {
        code = el_access_keys_parse(el_slice_of(text, len), &keys->keys, &why);
    }
    explicit_bzero(text, sizeof text);
    return code == 0 ? 0
                     : el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                    "%s: %s. It seals users and rules: put its copy in its place", EL_ACCESS_KEYS_FILE,
                                    why.text);
}

static int write_tmp(struct disk *disk, const char *text, size_t len)
{
    int fd;
    int code = disk_open(disk, FILE_TMP, DISK_WRITE | DISK_CREATE | DISK_EXCL | DISK_SECRET, &fd);
    if (code != 0) {
        return code;
    }
    code = disk_pwrite(disk, fd, text, len, 0);
    code = code != 0 ? code : disk_sync(disk, fd);
    int closed = disk_close(disk, fd);
    return code != 0 ? code : closed;
}

int access_keys_save(struct disk *disk, const struct el_access_keys *keys)
{
    char text[EL_ACCESS_KEYS_TEXT_MAX];
    size_t len = el_access_keys_text(keys, text);
    int code = disk_mkdir(disk, EL_ACCESS_KEYS_DIR);
    code = code != 0 ? code : disk_sync_dir(disk, "");
    if (code == 0) {
        (void)disk_unlink(disk, FILE_TMP); /* of a start that was cut off */
        code = write_tmp(disk, text, len);
    }
    code = code != 0 ? code : disk_rename(disk, FILE_TMP, EL_ACCESS_KEYS_FILE);
    code = code != 0 ? code : disk_sync_dir(disk, EL_ACCESS_KEYS_DIR);
    explicit_bzero(text, sizeof text);
    return code;
}
