/* SPDX-License-Identifier: Apache-2.0
 *
 * The secret that streams, ids and types are hashed with: streams/secret, docs/format.md. It is made once in the life
 * of a data directory; with another one an index is worth nothing and is made anew from the log. On a full disk the
 * start goes on with one that is not kept.
 */
#include <stream/streams.h>

#include <core/hash.h>
#include <core/logger.h>
#include <io/disk_file.h>

#define SECRET_PATH "streams/secret"
#define SECRET_TMP "streams/secret.tmp"
#define SECRET_MAGIC "EVLOGSEC"
#define SECRET_FILE_LEN (8u + EL_XXH3_SECRET_LEN + 8u)

int streams_secret_read(struct disk *disk, struct stream_secret *secret)
{
    uint8_t p[SECRET_FILE_LEN + 1];
    size_t done = 0;
    int code = disk_file_read(disk, SECRET_PATH, p, sizeof p, &done);
    if (code != 0) {
        return code;
    }
    if (done != SECRET_FILE_LEN || memcmp(p, SECRET_MAGIC, 8) != 0 ||
        el_get_le64(p + SECRET_FILE_LEN - 8) != el_xxh3(p, SECRET_FILE_LEN - 8)) {
        return EVLOG_ERR_CORRUPT;
    }
    memcpy(secret->bytes, p + 8, EL_XXH3_SECRET_LEN);
    return 0;
}

static int secret_make(struct io *io, struct stream_secret *secret)
{
    static const struct disk_file file = {"streams", SECRET_PATH, SECRET_TMP, 0};
    struct disk *disk = io->disk;
    uint8_t p[SECRET_FILE_LEN];
    io_random(io, secret->bytes, sizeof secret->bytes);
    memcpy(p, SECRET_MAGIC, 8);
    memcpy(p + 8, secret->bytes, EL_XXH3_SECRET_LEN);
    el_put_le64(p + SECRET_FILE_LEN - 8, el_xxh3(p, SECRET_FILE_LEN - 8));
    int code = disk_mkdir(disk, "streams");
    code = code != 0 ? code : disk_sync_dir(disk, "");
    return code != 0 ? code : disk_file_replace(disk, &file, p, sizeof p);
}

int streams_secret_load(struct io *io, struct stream_secret *secret, struct el_error *err)
{
    int code = streams_secret_read(io->disk, secret);
    if (code == EVLOG_ERR_NOT_FOUND || code == EVLOG_ERR_CORRUPT) {
        code = secret_make(io, secret);
    }
    if (code == EVLOG_ERR_NO_SPACE) { /* an index made with it is made anew by the next start */
        el_log(EL_LOG_WARN, "stream", "%s cannot be kept: the disk is full", SECRET_PATH);
        code = 0;
    }
    return code == 0 ? 0 : el_error_set(err, code, "%s: %s", SECRET_PATH, evlog_error_text(code));
}
