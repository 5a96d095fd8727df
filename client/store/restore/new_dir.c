/* SPDX-License-Identifier: Apache-2.0
 *
 * A data directory while it is written. The file `restoring` has, little-endian:
 *
 *   8 magic "EVLOGRST"  4 format, 1  4 length of the purpose  8 generation  the purpose  8 XXH3-64 of all before
 *   then for each log that is whole: 4 length of the entry, 4 shard, 8 last append time, 8 greatest event time,
 *   8 batches, 8 records, 8 bytes, 8 producer-id counter, the entry as in a checkpoint (section 5), 8 XXH3-64 of these
 *
 * The last one may be cut off by a crash: that log is written anew. The node file comes last, for what it names must
 * be there; then `restoring` goes.
 */
#include "new_dir_state.h"

#include <core/aead.h>
#include <core/alloc.h>
#include <core/assert.h>
#include <core/hash.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <format/checkpoint_layout.h>
#include <format/node_layout.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "EVLOGRST"
#define FORMAT 1u
#define HEAD_LEN 24u
#define RECORD_HEAD_LEN 56u
#define PURPOSE_LEN_MAX 65536u
#define FILE_LEN_MAX (4ull << 30)
#define COUNTER_MASK ((1ll << 40) - 1)
#define COUNTER_STEP (1ll << 24)        /* ids that nobody may have seen */
#define COUNTER_STEP_UNSEEN (1ll << 32) /* likewise, and those in batches that were not read */

int new_failed(struct el_error *err, const char *name, const char *what)
{
    int error = errno;
    int code = error == EDQUOT ? EVLOG_ERR_NO_SPACE : el_error_from_errno(error);
    return el_error_set(err, error == EACCES || error == EPERM || error == EROFS ? EVLOG_ERR_POLICY : code,
                        "%.200s cannot be %s: %s%s", name, what, strerror(error),
                        code == EVLOG_ERR_NO_SPACE ? ": make room there, then begin again: what is whole stays" : "");
}

int new_write(int fd, const void *data, size_t len, uint64_t pos)
{
    const uint8_t *p = data;
    while (len > 0) {
        ssize_t done = pwrite(fd, p, len, (off_t)pos);
        if (done < 0 && errno != EINTR) {
            return -1;
        }
        p += done > 0 ? done : 0;
        pos += done > 0 ? (uint64_t)done : 0;
        len -= done > 0 ? (size_t)done : 0;
    }
    return 0;
}

int new_sync_folder(struct new_dir *dir, const char *name, struct el_error *err)
{
    int fd = openat(dir->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = fd < 0 ? -1 : fsync(fd);
    int code = failed == 0 ? 0 : new_failed(err, name, "synced");
    if (fd >= 0) {
        (void)close(fd);
    }
    return code;
}

int new_dir_folder(struct new_dir *dir, const char *name, struct el_error *err)
{
    char above[512];
    if (mkdirat(dir->fd, name, NEW_FOLDER_MODE) != 0) {
        return errno == EEXIST ? 0 : new_failed(err, name, "made");
    }
    snprintf(above, sizeof above, "%s", name);
    char *slash = strrchr(above, '/');
    if (slash == NULL) {
        return new_sync_folder(dir, ".", err);
    }
    *slash = 0;
    return new_sync_folder(dir, above, err);
}

void new_whole_key(uint8_t key[20], const struct el_uuid *topic_id, int32_t partition)
{
    memcpy(key, topic_id->bytes, 16);
    el_put_le32(key + 16, (uint32_t)partition);
}

bool new_dir_has(const struct new_dir *dir, const struct el_uuid *topic_id, int32_t partition)
{
    uint8_t key[20];
    struct new_dir *d = (struct new_dir *)(uintptr_t)dir;
    new_whole_key(key, topic_id, partition);
    (void)pthread_mutex_lock(&d->lock);
    bool has = el_map_get(&dir->whole, key, sizeof key) != NULL;
    (void)pthread_mutex_unlock(&d->lock);
    return has;
}

/* --- the file of what is whole ------------------------------------------------------------------------------------ */

static int whole_add(struct new_dir *dir, const uint8_t *record, size_t entry_len)
{
    const uint8_t *entry = record + RECORD_HEAD_LEN;
    struct new_whole *whole = entry_len < EL_CHECKPOINT_ENTRY_LEN ? NULL : el_malloc(sizeof *whole + entry_len);
    if (whole == NULL) {
        return entry_len < EL_CHECKPOINT_ENTRY_LEN ? EVLOG_ERR_CORRUPT : EVLOG_ERR_NO_MEMORY;
    }
    memcpy(whole->key, entry, 20);
    memcpy(whole + 1, entry, entry_len);
    whole->shard = el_get_le32(record + 4);
    whole->entry = el_slice_of((const uint8_t *)(whole + 1), entry_len);
    int code = el_map_put(&dir->whole, whole->key, sizeof whole->key, whole);
    if (code != 0) {
        el_free(whole);
        return code;
    }
    dir->counts.logs++;
    dir->counts.last_append_ns = EL_MAX(dir->counts.last_append_ns, el_get_le64(record + 8));
    dir->counts.max_timestamp_ms = EL_MAX(dir->counts.max_timestamp_ms, (int64_t)el_get_le64(record + 16));
    dir->counts.batches += el_get_le64(record + 24);
    dir->counts.records += el_get_le64(record + 32);
    dir->counts.bytes += el_get_le64(record + 40);
    dir->producer_counter = EL_MAX(dir->producer_counter, (int64_t)el_get_le64(record + 48));
    return 0;
}

int new_note_whole(struct new_dir *dir, const struct new_log_head *head, struct el_slice entry,
                   const struct new_dir_counts *counts, int64_t producer_counter, struct el_error *err)
{
    size_t len = RECORD_HEAD_LEN + entry.len;
    uint8_t *record = el_malloc(len + 8);
    if (record == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for what a log has");
    }
    el_put_le32(record, (uint32_t)entry.len);
    el_put_le32(record + 4, head->shard);
    el_put_le64(record + 8, counts->last_append_ns);
    el_put_le64(record + 16, (uint64_t)counts->max_timestamp_ms);
    el_put_le64(record + 24, counts->batches);
    el_put_le64(record + 32, counts->records);
    el_put_le64(record + 40, counts->bytes);
    el_put_le64(record + 48, (uint64_t)producer_counter);
    memcpy(record + RECORD_HEAD_LEN, entry.data, entry.len);
    el_put_le64(record + len, el_xxh3(record, len));
    (void)pthread_mutex_lock(&dir->lock);
    int code = new_write(dir->restoring_fd, record, len + 8, dir->restoring_len) != 0 || fsync(dir->restoring_fd) != 0
                   ? new_failed(err, EL_RESTORING_FILE, "written")
                   : whole_add(dir, record, entry.len);
    dir->restoring_len += code == 0 ? len + 8 : 0;
    (void)pthread_mutex_unlock(&dir->lock);
    el_free(record);
    return code == EVLOG_ERR_NO_MEMORY ? el_error_set(err, code, "no memory for what a log has") : code;
}

static int restoring_new(struct new_dir *dir, const char *purpose, struct el_error *err)
{
    size_t purpose_len = strlen(purpose), len = HEAD_LEN + purpose_len;
    uint8_t *p = el_malloc(len + 8);
    int code = p == NULL ? EVLOG_ERR_NO_MEMORY : el_random_fill(&dir->generation, sizeof dir->generation);
    if (code != 0) {
        el_free(p);
        return el_error_set(err, code, "nothing can be restored: %s", evlog_error_text(code));
    }
    dir->generation |= 1;
    memcpy(p, MAGIC, 8);
    el_put_le32(p + 8, FORMAT);
    el_put_le32(p + 12, (uint32_t)purpose_len);
    el_put_le64(p + 16, dir->generation);
    memcpy(p + HEAD_LEN, purpose, purpose_len);
    el_put_le64(p + len, el_xxh3(p, len));
    dir->restoring_fd = openat(dir->fd, EL_RESTORING_FILE, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, NEW_FILE_MODE);
    if (dir->restoring_fd < 0 || new_write(dir->restoring_fd, p, len + 8, 0) != 0 || fsync(dir->restoring_fd) != 0) {
        code = new_failed(err, EL_RESTORING_FILE, "written");
    }
    dir->restoring_len = len + 8;
    el_free(p);
    return code != 0 ? code : new_sync_folder(dir, ".", err);
}

/* Logs that are whole, up to a record that a crash cut off. */
static int records_read(struct new_dir *dir, const uint8_t *p, size_t len, size_t pos)
{
    int code = 0;
    while (code == 0 && len - pos >= RECORD_HEAD_LEN + 8) {
        size_t entry_len = el_get_le32(p + pos), whole = RECORD_HEAD_LEN + entry_len;
        if (len - pos < whole + 8 || el_get_le64(p + pos + whole) != el_xxh3(p + pos, whole)) {
            break;
        }
        code = whole_add(dir, p + pos, entry_len);
        pos += whole + 8;
    }
    dir->restoring_len = pos;
    dir->counts.logs_before = dir->counts.logs;
    return code;
}

int new_restoring_take(struct new_dir *dir, const uint8_t *p, size_t len, const char *purpose, struct el_error *err)
{
    size_t purpose_len = len < HEAD_LEN ? 0 : el_get_le32(p + 12), head_len = HEAD_LEN + purpose_len;
    if (len < HEAD_LEN || memcmp(p, MAGIC, 8) != 0 || el_get_le32(p + 8) != FORMAT || purpose_len > PURPOSE_LEN_MAX ||
        len < head_len + 8 || el_get_le64(p + head_len) != el_xxh3(p, head_len)) {
        return el_error_set(err, EVLOG_ERR_CORRUPT, "%s/" EL_RESTORING_FILE " cannot be read: remove what is there",
                            dir->path);
    }
    if (purpose_len != strlen(purpose) || memcmp(p + HEAD_LEN, purpose, purpose_len) != 0) {
        return el_error_set(err, EVLOG_ERR_EXISTS,
                            "%s is half written for something else (%.*s): ask for that again, or remove what is there",
                            dir->path, (int)EL_MIN(purpose_len, (size_t)200), (const char *)p + HEAD_LEN);
    }
    dir->generation = el_get_le64(p + 16);
    int code = records_read(dir, p, len, head_len + 8);
    return code == 0 ? 0 : el_error_set(err, code, "what is whole cannot be read: %s", evlog_error_text(code));
}

static int restoring_load(struct new_dir *dir, const char *purpose, struct el_error *err)
{
    struct stat st;
    if (fstat(dir->restoring_fd, &st) != 0 || (uint64_t)st.st_size > FILE_LEN_MAX) {
        return el_error_set(err, EVLOG_ERR_CORRUPT, "%s/" EL_RESTORING_FILE " cannot be read: remove what is there",
                            dir->path);
    }
    size_t len = (size_t)st.st_size, done = 0;
    uint8_t *p = el_malloc(len + 1);
    if (p == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for what is whole");
    }
    for (ssize_t n = 1; n > 0 && done<len; done += n> 0 ? (size_t)n : 0) {
        n = pread(dir->restoring_fd, p + done, len - done, (off_t)done);
    }
    int code = done < len ? new_failed(err, EL_RESTORING_FILE, "read") : new_restoring_take(dir, p, len, purpose, err);
    el_free(p);
    return code;
}

/* --- begin and close ---------------------------------------------------------------------------------------------- */

/* Is there anything, but what a mount point has? */
static int look_empty(struct new_dir *dir, struct el_error *err)
{
    int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    int code = d == NULL ? new_failed(err, dir->path, "read") : 0;
    for (struct dirent *e; d != NULL && code == 0 && (e = readdir(d)) != NULL;) {
        bool nothing = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
                       strcmp(e->d_name, "lost+found") == 0 || strcmp(e->d_name, "lock") == 0;
        if (!nothing) {
            code = el_error_set(err, EVLOG_ERR_EXISTS,
                                "%s is not empty (%.100s): nothing is written over; name a directory that is empty or "
                                "not there",
                                dir->path, e->d_name);
        }
    }
    if (d != NULL) {
        (void)closedir(d);
    } else if (fd >= 0) {
        (void)close(fd);
    }
    return code;
}

static int open_dir(struct new_dir *dir, const char *purpose, struct el_error *err)
{
    if (mkdir(dir->path, NEW_FOLDER_MODE) != 0 && errno != EEXIST) {
        return new_failed(err, dir->path, "made");
    }
    dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->fd < 0) {
        return new_failed(err, dir->path, "opened");
    }
    dir->restoring_fd = openat(dir->fd, EL_RESTORING_FILE, O_RDWR | O_CLOEXEC);
    if (dir->restoring_fd >= 0) {
        return restoring_load(dir, purpose, err);
    }
    int code = look_empty(dir, err);
    code = code != 0 ? code : restoring_new(dir, purpose, err);
    return code != 0 ? code : new_dir_folder(dir, "topics", err);
}

int new_dir_begin(const char *path, const char *purpose, struct new_dir **out, struct el_error *err)
{
    struct new_dir *dir = el_calloc(1, sizeof *dir);
    char *copy = el_strdup(path);
    EL_ASSERT(strlen(purpose) <= PURPOSE_LEN_MAX);
    if (dir == NULL || copy == NULL) {
        el_free(dir);
        el_free(copy);
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory to write a data directory");
    }
    dir->path = copy;
    dir->fd = dir->restoring_fd = -1;
    dir->counts.max_timestamp_ms = INT64_MIN;
    (void)pthread_mutex_init(&dir->lock, NULL);
    el_map_init(&dir->whole, NULL);
    int code = open_dir(dir, purpose, err);
    if (code != 0) {
        new_dir_close(dir);
        return code;
    }
    *out = dir;
    return 0;
}

void new_dir_close(struct new_dir *dir)
{
    if (dir == NULL) {
        return;
    }
    for (size_t i = 0; i < dir->whole.count; i++) {
        el_free(dir->whole.entries[i].value);
    }
    el_map_destroy(&dir->whole);
    if (dir->restoring_fd >= 0) {
        (void)close(dir->restoring_fd);
    }
    if (dir->fd >= 0) {
        (void)close(dir->fd);
    }
    (void)pthread_mutex_destroy(&dir->lock);
    el_free(dir->path);
    el_free(dir);
}

void new_dir_count(struct new_dir *dir, struct new_dir_counts *counts)
{
    (void)pthread_mutex_lock(&dir->lock);
    *counts = dir->counts;
    (void)pthread_mutex_unlock(&dir->lock);
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

static int put_file(struct new_dir *dir, const char *folder, const char *name, struct el_slice bytes, mode_t mode,
                    struct el_error *err)
{
    char path[512], tmp[520];
    if (strcmp(folder, ".") == 0) {
        snprintf(path, sizeof path, "%s", name);
    } else {
        snprintf(path, sizeof path, "%s/%s", folder, name);
    }
    snprintf(tmp, sizeof tmp, "%s.tmp", path);
    (void)unlinkat(dir->fd, tmp, 0); /* of a restore that was cut off; perhaps nobody may write it */
    int fd = openat(dir->fd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    int failed = fd < 0 || new_write(fd, bytes.data, bytes.len, 0) != 0 || fsync(fd) != 0;
    int code = failed ? new_failed(err, path, "written") : 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (code == 0 && renameat(dir->fd, tmp, dir->fd, path) != 0) {
        code = new_failed(err, path, "renamed");
    }
    return code != 0 ? code : new_sync_folder(dir, folder, err);
}

int new_dir_file(struct new_dir *dir, const char *folder, const char *name, struct el_slice bytes, struct el_error *err)
{
    return put_file(dir, folder, name, bytes, NEW_FILE_MODE, err);
}

int new_dir_secret(struct new_dir *dir, const char *folder, const char *name, struct el_slice bytes,
                   struct el_error *err)
{
    return put_file(dir, folder, name, bytes, NEW_SECRET_MODE, err);
}

static int write_checkpoint(struct new_dir *dir, uint32_t shard, uint64_t clock_ns, int64_t counter,
                            struct el_error *err)
{
    struct el_buffer file = {0};
    char folder[32];
    uint8_t head[EL_CHECKPOINT_HEADER_LEN] = {0};
    uint32_t count = 0;
    el_buffer_append(&file, head, sizeof head);
    for (size_t i = 0; i < dir->whole.count; i++) {
        const struct new_whole *whole = dir->whole.entries[i].value;
        if (whole->shard == shard) {
            el_buffer_append(&file, whole->entry.data, whole->entry.len);
            count++;
        }
    }
    if (file.err != 0) {
        el_buffer_free(&file);
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for a checkpoint");
    }
    struct el_checkpoint_header header = {
        .shard = shard,
        .sequence = 1,
        .kind = EL_CHECKPOINT_BASE,
        .entry_count = count,
        .base_sequence = 1,
        .clock_ns = clock_ns,
        .producer_counter = shard == 0 ? counter : 0,
        .body_len = file.len - sizeof head,
    };
    el_checkpoint_seal((uint8_t *)file.data, &header);
    snprintf(folder, sizeof folder, "checkpoint/%04u", shard);
    int code = new_dir_folder(dir, folder, err);
    code = code != 0 ? code : new_dir_file(dir, folder, "0000000000000001", el_buffer_slice(&file), err);
    el_buffer_free(&file);
    return code;
}

int new_dir_finish(struct new_dir *dir, const struct new_dir_node *node, struct el_error *err)
{
    uint64_t clock_ns = EL_MAX(dir->counts.last_append_ns, node->clock_ns);
    int64_t counter = dir->producer_counter + (node->unseen ? COUNTER_STEP_UNSEEN : COUNTER_STEP);
    uint8_t bytes[EL_NODE_LEN];
    char folder[32];
    EL_ASSERT(node->shard_count >= 1 && node->shard_count <= EL_SHARD_COUNT_MAX);
    counter &= COUNTER_MASK;
    int code = new_dir_folder(dir, "checkpoint", err);
    code = code != 0 ? code : new_dir_folder(dir, "journal", err);
    for (uint32_t i = 0; i < node->shard_count && code == 0; i++) {
        snprintf(folder, sizeof folder, "journal/%04u", i);
        code = new_dir_folder(dir, folder, err);
        code = code != 0 ? code : write_checkpoint(dir, i, clock_ns, counter, err);
    }
    el_node_put(bytes, &(struct el_node){.shard_count = node->shard_count,
                                         .id = node->id,
                                         .boot = 1,
                                         .leader_epoch = node->leader_epoch,
                                         .clean = true,
                                         .clock_ns = clock_ns,
                                         .incarnation = dir->generation});
    code = code != 0 ? code : new_dir_file(dir, ".", "node", el_slice_of(bytes, sizeof bytes), err);
    if (code == 0 && unlinkat(dir->fd, EL_RESTORING_FILE, 0) != 0) {
        code = new_failed(err, EL_RESTORING_FILE, "removed");
    }
    return code != 0 ? code : new_sync_folder(dir, ".", err);
}
