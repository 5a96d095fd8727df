/* SPDX-License-Identifier: Apache-2.0
 *
 * See archive_keys.h. The folder is durable before a file is written, and a file is there whole or not at all. It is
 * readable by its owner only, from the first byte on. The public part comes first: when the keys are there, so is it.
 */
#include <archive_keys.h>

#include <config/config.h>
#include <core/alloc.h>
#include <core/logger.h>
#include <errno.h>
#include <fcntl.h>
#include <io/disk_file.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_FILE_MAX (64u << 10)
#define KEYS_DIR "keys"
#define SECRET_FILE KEYS_DIR "/archive.pem"
#define PUBLIC_FILE KEYS_DIR "/archive.pub.pem"

static int fault(struct el_error *err, const char *path)
{
    int code = el_error_from_errno(errno);
    return el_error_set(err, code, "%s: %s", path, strerror(errno));
}

int archive_keys_make(struct disk *disk, char shown[ARCHIVE_KEYS_TEXT_MAX], struct el_error *err)
{
    static const enum el_sign_kind kinds[] = {EL_SIGN_ECDSA_P256, EL_SIGN_ED25519};
    static const struct disk_file public_file = {KEYS_DIR, PUBLIC_FILE, PUBLIC_FILE ".tmp", DISK_SECRET},
                                  secret_file = {KEYS_DIR, SECRET_FILE, SECRET_FILE ".tmp", DISK_SECRET};
    char secret[ARCHIVE_KEYS_TEXT_MAX] = "";
    int code = 0;
    shown[0] = 0;
    for (size_t i = 0; i < 2 && code == 0; i++) {
        struct el_private_key *key = NULL;
        struct el_public_key pub;
        code = el_private_key_make(kinds[i], &key, err);
        if (code == 0) {
            el_private_key_public(key, &pub);
            code = el_private_key_pem(key, secret + strlen(secret), sizeof secret - strlen(secret));
            code = code != 0 ? code
                             : el_public_key_pem(&pub, shown + strlen(shown), ARCHIVE_KEYS_TEXT_MAX - strlen(shown));
        }
        el_private_key_free(key);
    }
    code = code != 0 ? code : disk_mkdir(disk, KEYS_DIR);
    code = code != 0 ? code : disk_sync_dir(disk, "");
    code = code != 0 ? code : disk_file_replace(disk, &public_file, shown, strlen(shown));
    code = code != 0 ? code : disk_file_replace(disk, &secret_file, secret, strlen(secret));
    explicit_bzero(secret, sizeof secret);
    return code == 0 ? 0
                     : el_error_set(err, code,
                                    "the keys that sign the archive cannot be made in " KEYS_DIR "/ of the "
                                    "data directory: %s",
                                    evlog_error_text(code));
}

int archive_keys_read(const char *path, struct el_private_key *keys[EL_SIGN_KEYS_MAX], size_t *count,
                      struct el_error *err)
{
    static char text[KEY_FILE_MAX];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return fault(err, path);
    }
    struct stat st;
    ssize_t len = read(fd, text, sizeof text);
    int code = len < 0 || fstat(fd, &st) != 0 ? fault(err, path) : 0;
    close(fd);
    if (code == 0 && len == (ssize_t)sizeof text) {
        code = el_error_set(err, EVLOG_ERR_LIMIT, "%s is too long for a file of keys", path);
    }
    if (code == 0) {
        if ((st.st_mode & 077) != 0) {
            el_log(EL_LOG_WARN, "archive", "%s can be read by others than its owner: chmod 400 it", path);
        }
        code = el_private_keys_parse(el_slice_of(text, (size_t)len), keys, count, err);
        code = code == 0 ? 0 : el_error_wrap(err, "%s", path);
    }
    explicit_bzero(text, sizeof text);
    return code;
}

/* A line of the log for each public key: the text between its PEM's first and last line. */
static void log_public(const char *pem)
{
    char line[ARCHIVE_KEYS_TEXT_MAX];
    size_t len = 0;
    for (const char *at = pem; *at != 0; at += strcspn(at, "\n"), at += *at == '\n') {
        size_t part = strcspn(at, "\n");
        if (at[0] != '-' && part < sizeof line - len) {
            memcpy(line + len, at, part);
            len += part;
        } else if (strncmp(at, "-----END", 8) == 0) {
            el_log(EL_LOG_INFO, "archive", "public key: %.*s", (int)len, line);
            len = 0;
        }
    }
}

int archive_keys_own(struct disk *disk, const char *data_path, struct el_private_key *keys[EL_SIGN_KEYS_MAX],
                     size_t *count, struct el_error *err)
{
    char own[CONFIG_PATH_MAX + 64], shown[ARCHIVE_KEYS_TEXT_MAX];
    snprintf(own, sizeof own, "%s/" SECRET_FILE, data_path);
    if (access(own, F_OK) != 0 && errno == ENOENT) {
        int code = archive_keys_make(disk, shown, err);
        if (code != 0) {
            return code;
        }
        el_log(EL_LOG_INFO, "archive",
               "made the keys that sign the archive: %s. Keep a copy of it elsewhere; auditors need %s/" PUBLIC_FILE,
               own, data_path);
        log_public(shown);
    }
    return archive_keys_read(own, keys, count, err);
}
