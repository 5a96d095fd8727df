/* SPDX-License-Identifier: Apache-2.0
 *
 * See archive_keys.h. A key file is written whole under another name, synced and renamed: a crash leaves none or all of
 * it. It is readable by its owner only, from the first byte on.
 */
#include <archive_keys.h>

#include <config/config.h>
#include <core/alloc.h>
#include <core/logger.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_FILE_MAX (64u << 10)
#define PATH_LEN (CONFIG_PATH_MAX + 64)

static int fault(struct el_error *err, const char *path)
{
    int code = el_error_from_errno(errno);
    return el_error_set(err, code, "%s: %s", path, strerror(errno));
}

static int read_keys(const char *path, struct el_private_key *keys[EL_SIGN_KEYS_MAX], size_t *count,
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

/* Have the names in a folder on the disk. */
static int sync_folder(const char *folder, struct el_error *err)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = fd < 0 || fsync(fd) != 0 ? fault(err, folder) : 0;
    if (fd >= 0) {
        close(fd);
    }
    return code;
}

/* Write a file that is not there yet. */
static int write_file(const char *folder, const char *name, const char *text, mode_t mode, struct el_error *err)
{
    char path[PATH_LEN], tmp[PATH_LEN];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    snprintf(tmp, sizeof tmp, "%s/%s.tmp", folder, name);
    (void)unlink(tmp);
    int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0) {
        return fault(err, tmp);
    }
    size_t len = strlen(text);
    bool good = write(fd, text, len) == (ssize_t)len && fsync(fd) == 0;
    int code = good ? 0 : fault(err, tmp);
    close(fd);
    if (code == 0 && rename(tmp, path) != 0) {
        code = fault(err, path);
    }
    return code != 0 ? code : sync_folder(folder, err);
}

/* folder: in that of the data */
static int make_keys(const char *data_path, const char *folder, const char *name, struct el_error *err)
{
    static const enum el_sign_kind kinds[] = {EL_SIGN_ECDSA_P256, EL_SIGN_ED25519};
    char secret[2 * EL_SIGN_PEM_MAX] = "", shown[2 * EL_SIGN_PEM_MAX] = "";
    int code = 0;
    for (size_t i = 0; i < 2 && code == 0; i++) {
        struct el_private_key *key = NULL;
        struct el_public_key pub;
        code = el_private_key_make(kinds[i], &key, err);
        if (code == 0) {
            el_private_key_public(key, &pub);
            code = el_private_key_pem(key, secret + strlen(secret), sizeof secret - strlen(secret));
            code = code != 0 ? code : el_public_key_pem(&pub, shown + strlen(shown), sizeof shown - strlen(shown));
        }
        el_private_key_free(key);
    }
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        code = fault(err, folder);
    }
    code = code != 0 ? code : sync_folder(data_path, err);
    code = code != 0 ? code : write_file(folder, "archive.pub.pem", shown, 0444, err);
    code = code != 0 ? code : write_file(folder, name, secret, 0400, err);
    explicit_bzero(secret, sizeof secret);
    if (code == 0) {
        el_log(EL_LOG_INFO, "archive",
               "made the keys that sign the archive: %s/%s. Keep a copy of it elsewhere; auditors need "
               "%s/archive.pub.pem",
               folder, name, folder);
        fprintf(stderr, "%s", shown);
    }
    return code;
}

int archive_keys_open(const char *path, const char *data_path, struct el_private_key *keys[EL_SIGN_KEYS_MAX],
                      size_t *count, struct el_error *err)
{
    char folder[PATH_LEN - 32], own[PATH_LEN];
    if (path[0] != 0) {
        return read_keys(path, keys, count, err);
    }
    snprintf(folder, sizeof folder, "%s/keys", data_path);
    snprintf(own, sizeof own, "%s/archive.pem", folder);
    if (access(own, F_OK) != 0 && errno == ENOENT) {
        int code = make_keys(data_path, folder, "archive.pem", err);
        if (code != 0) {
            return code;
        }
    }
    return read_keys(own, keys, count, err);
}
