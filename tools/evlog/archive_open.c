/* SPDX-License-Identifier: Apache-2.0 */
#include "archive_open.h"

#include <core/alloc.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <store/archive_cluster.h>
#include <string.h>
#include <unistd.h>

#define KEY_FILE_MAX 65536u

int archive_failed(const struct cli *cli, const struct el_error *err)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    failure.code = err->code;
    (void)snprintf(failure.text, sizeof failure.text, "%s", err->text);
    return cli_failure(cli, &failure);
}

int archive_read_file(const struct cli *cli, const char *path, size_t max, struct el_buffer *out)
{
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        return cli_error(cli, CLI_ERR_FILE, "%s: %s", path, strerror(errno));
    }
    int rc = CLI_OK;
    while (rc == CLI_OK && !feof(file)) {
        uint8_t some[8192];
        size_t got = fread(some, 1, sizeof some, file);
        el_buffer_append(out, some, got);
        if (ferror(file) || out->err != 0 || out->len > max) {
            rc = cli_error(cli, CLI_ERR_FILE, "%s: %s", path, out->len > max ? "it is too long" : strerror(errno));
        }
    }
    (void)fclose(file);
    return rc;
}

int archive_write_file(const struct cli *cli, const char *path, struct el_slice text)
{
    char *beside = NULL;
    if ((beside = el_format("%s.%d", path, (int)getpid())) == NULL) {
        return cli_error(cli, CLI_ERR_OUTPUT, "%s: no memory", path);
    }
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool done = fd >= 0;
    for (size_t pos = 0; done && pos < text.len;) {
        ssize_t put = write(fd, text.data + pos, text.len - pos);
        done = put > 0 || (put < 0 && errno == EINTR);
        pos += put > 0 ? (size_t)put : 0;
    }
    done = done && fsync(fd) == 0;
    done = (fd < 0 || close(fd) == 0) && done && rename(beside, path) == 0;
    int rc = done ? CLI_OK : cli_error(cli, CLI_ERR_OUTPUT, "%s: %s", path, strerror(errno));
    if (!done) {
        (void)unlink(beside);
    }
    el_free(beside);
    return rc;
}

int archive_arguments_check(struct archive_arguments *a, bool needs_key)
{
    struct el_buffer pem = {0};
    struct el_error err = {0};
    if (a->root < 0) {
        return cli_error(a->cli, CLI_ERR_VALUE, "--root is the number of a root, from 1");
    }
    if (a->incarnation != NULL && archive_id_parse(el_slice_str(a->incarnation), &a->incarnation_id) != 0) {
        return cli_error(a->cli, CLI_ERR_VALUE, "--incarnation has 32 digits of 0-9 and a-f");
    }
    if (a->key_path == NULL) {
        return needs_key ? cli_error(a->cli, CLI_ERR_VALUE, "--key FILE is needed: the public key of the archive")
                         : CLI_OK;
    }
    int rc = archive_read_file(a->cli, a->key_path, KEY_FILE_MAX, &pem);
    if (rc == CLI_OK && el_public_keys_parse(el_buffer_slice(&pem), a->keys, &a->key_count, &err) != 0) {
        rc = cli_error(a->cli, CLI_ERR_FILE, "%s: %s", a->key_path, err.text);
    }
    if (rc == CLI_OK) {
        a->pem = el_strdup(el_buffer_text(&pem));
    }
    el_buffer_free(&pem);
    return rc;
}

void archive_arguments_free(struct archive_arguments *a)
{
    el_free(a->pem);
}

int archive_open(const struct archive_arguments *a, struct object_store **store, struct archive_reader **reader)
{
    struct el_error err = {0};
    struct archive_reader_options options = {.keys = a->keys,
                                             .key_count = a->key_count,
                                             .incarnation = a->incarnation == NULL ? NULL : &a->incarnation_id,
                                             .sequence = (uint64_t)a->root};
    if (object_store_open(a->url, false, store, &err) != 0) {
        *store = NULL;
        return archive_failed(a->cli, &err);
    }
    if (archive_reader_open(*store, &options, reader, &err) != 0) {
        object_store_close(*store);
        *store = NULL;
        return archive_failed(a->cli, &err);
    }
    return CLI_OK;
}
