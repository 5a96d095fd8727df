/* SPDX-License-Identifier: Apache-2.0 */
#include <store/access_key_file.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int fault(const char *path, struct el_error *err)
{
    int error = errno;
    return el_error_set(err, el_error_from_errno(error), "%.200s: %s", path, strerror(error));
}

static int check(int fd, const char *path, struct el_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return fault(path, err);
    }
    if (!S_ISREG(st.st_mode)) {
        return el_error_set(err, EVLOG_ERR_MALFORMED, "%.200s is no file", path);
    }
    if ((st.st_mode & S_IRWXO) != 0) {
        return el_error_set(err, EVLOG_ERR_POLICY, "%.200s can be read by everybody: chmod 400 it", path);
    }
    return 0;
}

int access_key_file_read(const char *path, struct el_access_keys *keys, struct el_error *err)
{
    char text[EL_ACCESS_KEYS_TEXT_MAX + 1];
    size_t len = 0;
    ssize_t n = 1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return fault(path, err);
    }
    int code = check(fd, path, err);
    while (code == 0 && n > 0 && len < sizeof text) {
        n = read(fd, text + len, sizeof text - len);
        code = n < 0 && errno != EINTR ? fault(path, err) : 0;
        n = n < 0 && code == 0 ? 1 : n;
        len += n > 0 && code == 0 ? (size_t)n : 0;
    }
    (void)close(fd);
    if (code == 0 && len == sizeof text) {
        code = el_error_set(err, EVLOG_ERR_LIMIT, "%.200s is longer than a file of keys", path);
    }
    if (code == 0 && el_access_keys_parse(el_slice_of(text, len), keys, err) != 0) {
        code = el_error_wrap(err, "%.200s", path);
    }
    explicit_bzero(text, sizeof text);
    return code;
}
