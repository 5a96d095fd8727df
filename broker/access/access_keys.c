/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of keys is replaced whole, and the folder that it lies in is durable before. A crash leaves the old file or
 * the new one.
 */
#include <access/access_keys.h>

#include <evlog/error.h>
#include <io/disk_file.h>

#define FILE_TMP EL_ACCESS_KEYS_FILE ".tmp"

int access_keys_load(struct disk *disk, struct access_keys *keys, struct el_error *err)
{
    char text[EL_ACCESS_KEYS_TEXT_MAX + 1];
    struct el_error why = {0};
    size_t len = 0;
    keys->keys.count = 0;
    keys->unsaved = false;
    int code = disk_file_read(disk, EL_ACCESS_KEYS_FILE, text, sizeof text, &len);
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

int access_keys_save(struct disk *disk, const struct el_access_keys *keys)
{
    static const struct disk_file file = {EL_ACCESS_KEYS_DIR, EL_ACCESS_KEYS_FILE, FILE_TMP, DISK_SECRET};
    char text[EL_ACCESS_KEYS_TEXT_MAX];
    size_t len = el_access_keys_text(keys, text);
    int code = disk_mkdir(disk, EL_ACCESS_KEYS_DIR);
    code = code != 0 ? code : disk_sync_dir(disk, "");
    code = code != 0 ? code : disk_file_replace(disk, &file, text, len);
    explicit_bzero(text, sizeof text);
    return code;
}
