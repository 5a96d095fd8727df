/* SPDX-License-Identifier: Apache-2.0
 *
 * What a key store does, on files.
 *
 * A subject's key is found in two steps: subjects/<mac> holds an id, keys/<id> the key. It is made in the same order,
 * under the lock: an id that leads to no key is what a crash between the two leaves, and counts as no key at all; the
 * next one who asks writes both anew. So there is never a key that no subject leads to, and never two that are used.
 *
 * A key is destroyed in one step, the replacing of its file; what comes behind it (the log is told, the subject's file
 * goes) can be done again and again.
 */
#include "fail.h"
#include "key_dir_state.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <core/crypto.h>
#include <stdio.h>
#include <unistd.h>

#define TRY_MAX 64 /* while rotations go on beside */

static struct el_key_dir *dir_of(struct evlog_key_store *store)
{
    return EL_CONTAINER(store, struct el_key_dir, store);
}

static int told(struct evlog_failure *failure, const struct el_error *err, int rc)
{
    return err->code == rc ? el_fail_from(failure, err)
                           : el_fail(failure, rc, "the key store cannot be used: %s", evlog_error_text(rc));
}

/* --- finding ------------------------------------------------------------------------------------------------------ */

/* The name of a subject's file. */
static void name_subject(struct el_key_dir *dir, struct evlog_bytes subject, char name[65])
{
    uint8_t mac[32];
    struct el_key_root root;
    el_key_dir_root(dir, &root);
    el_hmac_sha256(root.index, el_slice_of(subject.data, subject.len), mac);
    explicit_bzero(&root, sizeof root);
    el_hex(name, mac, sizeof mac);
}

/* The file of a subject's key. returns 0 | EVLOG_ERR_NOT_FOUND no subject, or its id leads to nothing | a failure */
static int find_subject(struct el_key_dir *dir, struct evlog_bytes subject, struct el_key_file *file,
                        struct el_error *err)
{
    char name[65], id[EVLOG_KEY_ID_MAX];
    struct el_buffer text = {0};
    name_subject(dir, subject, name);
    int rc = el_key_file_read(dir->subjects_fd, name, &text, err);
    if (rc == 0 && text.len != EL_UUID_TEXT_LEN + 1) {
        rc = el_error_set(err, EVLOG_ERR_KEYS, "key store %.200s: subjects/%s is damaged", dir->path, name);
    }
    if (rc == 0) {
        memcpy(id, text.data, EL_UUID_TEXT_LEN);
        id[EL_UUID_TEXT_LEN] = '\0';
        rc = el_key_read(dir, id, file, err);
    }
    el_buffer_free(&text);
    if (rc == 0 && file->record.state == EVLOG_KEY_DESTROYED && !file->record.untold) {
        rc = EVLOG_ERR_NOT_FOUND;
    }
    return rc;
}

/* The key in a file. The root may be older than the file, when somebody rotates. */
static int unwrap(struct el_key_dir *dir, const struct el_key_file *file, struct el_key_content *content,
                  struct el_error *err)
{
    struct el_key_root root;
    el_key_dir_root(dir, &root);
    bool known = el_key_generation_of(&root, file->generation) != NULL;
    int rc = known ? el_key_unwrap(&root, file, content) : EVLOG_ERR_AGAIN;
    explicit_bzero(&root, sizeof root);
    if (rc == EVLOG_ERR_KEYS) {
        return el_error_set(err, rc, "key store %.200s: key %s is damaged, or of another store", dir->path,
                            file->record.id);
    }
    return rc;
}

/* A key by id, with its content. returns 0 | EVLOG_ERR_ERASED | EVLOG_ERR_NOT_FOUND | a failure */
static int read_content(struct el_key_dir *dir, const char *id, struct el_key_file *file,
                        struct el_key_content *content, struct el_error *err)
{
    int rc = EVLOG_ERR_AGAIN;
    for (int i = 0; i < TRY_MAX && rc == EVLOG_ERR_AGAIN; i++) {
        rc = i == 0 ? 0 : el_key_dir_load(dir, err);
        rc = rc == 0 ? el_key_read(dir, id, file, err) : rc;
        if (rc == 0) {
            rc = file->record.state == EVLOG_KEY_LIVE ? unwrap(dir, file, content, err) : EVLOG_ERR_ERASED;
        }
    }
    return rc != EVLOG_ERR_AGAIN ? rc
                                 : el_error_set(err, EVLOG_ERR_KEYS,
                                                "key store %.200s: key %s has a generation that is "
                                                "not there",
                                                dir->path, id);
}

static int on_find(struct evlog_key_store *store, const char *id, struct evlog_data_key *key,
                   struct evlog_key_record *record, struct evlog_failure *failure)
{
    struct el_key_file file;
    struct el_key_content content;
    struct el_error err = {0};
    int rc = read_content(dir_of(store), id, &file, &content, &err);
    if (rc == 0 || rc == EVLOG_ERR_ERASED) {
        *record = file.record;
    }
    if (rc == 0) {
        memcpy(key->id, file.record.id, sizeof key->id);
        memcpy(key->bytes, content.key, sizeof key->bytes);
        explicit_bzero(&content, sizeof content);
        return 0;
    }
    return rc == EVLOG_ERR_ERASED ? el_fail(failure, rc, "key %s is erased", id) : told(failure, &err, rc);
}

static int on_look(struct evlog_key_store *store, struct evlog_bytes subject, struct evlog_key_record *record,
                   struct evlog_failure *failure)
{
    struct el_key_file file;
    struct el_error err = {0};
    int rc = find_subject(dir_of(store), subject, &file, &err);
    if (rc == EVLOG_ERR_NOT_FOUND) {
        return el_fail(failure, rc, "the key store knows no such subject");
    }
    if (rc == 0) {
        *record = file.record;
    }
    return rc == 0 ? 0 : told(failure, &err, rc);
}

/* --- making ------------------------------------------------------------------------------------------------------- */

static int wrap_newest(struct el_key_dir *dir, struct el_key_file *file, const struct el_key_content *content)
{
    struct el_key_root root;
    el_key_dir_root(dir, &root);
    int rc = el_key_wrap(&root, file, content);
    explicit_bzero(&root, sizeof root);
    return rc;
}

/* Under the lock, the root is fresh. */
static int make_key(struct el_key_dir *dir, struct evlog_bytes subject, struct el_key_file *file,
                    struct el_key_content *content, struct el_error *err)
{
    char name[65], line[EL_UUID_TEXT_LEN + 2];
    struct el_uuid id;
    int rc = el_random_fill(id.bytes, sizeof id.bytes);
    rc = rc == 0 ? el_random_fill(content->key, sizeof content->key) : rc;
    memset(file, 0, sizeof *file);
    el_uuid_format(file->record.id, &id);
    file->record.made_ms = el_key_now_ms();
    memcpy(content->subject, subject.data, subject.len);
    content->subject_len = subject.len;
    rc = rc == 0 ? wrap_newest(dir, file, content) : rc;
    if (rc != 0) {
        return el_error_set(err, EVLOG_ERR_KEYS, "a key cannot be made: %s", evlog_error_text(rc));
    }
    name_subject(dir, subject, name);
    (void)snprintf(line, sizeof line, "%s\n", file->record.id);
    rc = el_key_file_replace(dir->subjects_fd, name, el_slice_of(line, EL_UUID_TEXT_LEN + 1), false, err);
    return rc == 0 ? el_key_write(dir, file, false, err) : rc;
}

/* Find a subject's key, or make it. returns 0 | EVLOG_ERR_ERASED | a failure */
static int find_or_make(struct el_key_dir *dir, struct evlog_bytes subject, struct el_key_file *file,
                        struct el_key_content *content, struct el_error *err)
{
    int rc = find_subject(dir, subject, file, err);
    if (rc == 0) {
        char id[EVLOG_KEY_ID_MAX];
        memcpy(id, file->record.id, sizeof id);
        return read_content(dir, id, file, content, err);
    }
    if (rc != EVLOG_ERR_NOT_FOUND) {
        return rc;
    }
    int lock = el_key_dir_lock(dir->fd, err);
    if (lock < 0) {
        return lock;
    }
    rc = el_key_dir_load(dir, err);
    rc = rc == 0 ? find_subject(dir, subject, file, err) : rc;
    if (rc == 0) {
        rc = file->record.state == EVLOG_KEY_LIVE ? unwrap(dir, file, content, err) : EVLOG_ERR_ERASED;
    } else if (rc == EVLOG_ERR_NOT_FOUND) {
        rc = make_key(dir, subject, file, content, err);
    }
    (void)close(lock);
    return rc;
}

static int on_take(struct evlog_key_store *store, struct evlog_bytes subject, struct evlog_data_key *key,
                   struct evlog_failure *failure)
{
    struct el_key_file file;
    struct el_key_content content;
    struct el_error err = {0};
    int rc = find_or_make(dir_of(store), subject, &file, &content, &err);
    if (rc == EVLOG_ERR_ERASED) {
        (void)el_fail(failure, rc, "the subject's key %s is %s: nothing is sealed with it", file.record.id,
                      file.record.state == EVLOG_KEY_DISABLED ? "disabled, to be erased" : "being erased");
        el_fail_hint(failure, "'evlog keys restore SUBJECT' makes a disabled key live again");
        return rc;
    }
    if (rc != 0) {
        return told(failure, &err, rc);
    }
    memcpy(key->id, file.record.id, sizeof key->id);
    memcpy(key->bytes, content.key, sizeof key->bytes);
    explicit_bzero(&content, sizeof content);
    return 0;
}

/* --- changing ----------------------------------------------------------------------------------------------------- */

/* Change what a key's file says, under the lock: fn returns 0 to have it written, 1 when nothing changes, or a code. */
struct change {
    int (*fn)(struct el_key_file *file, int64_t number, struct el_error *err);
    int64_t number;
    bool to_destroy; /* a key that is damaged can be destroyed, too */
};

static int rewrite(struct el_key_dir *dir, const struct change *change, struct el_key_file *file, struct el_error *err)
{
    struct el_key_content content = {.subject_len = 0};
    bool had_key = file->record.state != EVLOG_KEY_DESTROYED;
    int rc = had_key ? unwrap(dir, file, &content, err) : 0;
    if (rc == EVLOG_ERR_AGAIN) {
        rc = el_error_set(err, EVLOG_ERR_KEYS, "key %s has a generation that is not there", file->record.id);
    }
    rc = change->to_destroy ? 0 : rc;
    rc = rc == 0 ? change->fn(file, change->number, err) : rc;
    if (rc == 0 && file->record.state != EVLOG_KEY_DESTROYED) {
        rc = wrap_newest(dir, file, &content);
    }
    explicit_bzero(&content, sizeof content);
    if (rc == 0) {
        rc = el_key_write(dir, file, had_key, err); /* also before it is disabled: that holds the same key */
    }
    return rc == 1 ? 0 : rc;
}

static int change_key(struct evlog_key_store *store, struct evlog_bytes subject, const struct change *change,
                      struct evlog_key_record *record, struct evlog_failure *failure)
{
    struct el_key_dir *dir = dir_of(store);
    struct el_key_file file;
    struct el_error err = {0};
    int lock = el_key_dir_lock(dir->fd, &err);
    int rc = lock < 0 ? lock : el_key_dir_load(dir, &err);
    rc = rc == 0 ? find_subject(dir, subject, &file, &err) : rc;
    rc = rc == 0 ? rewrite(dir, change, &file, &err) : rc;
    if (lock >= 0) {
        (void)close(lock);
    }
    if (rc == EVLOG_ERR_NOT_FOUND) {
        return el_fail(failure, rc, "the key store knows no such subject");
    }
    if (rc == 0) {
        *record = file.record;
    }
    return rc == 0 ? 0 : told(failure, &err, rc);
}

static int erased(const struct el_key_file *file, struct el_error *err)
{
    return el_error_set(err, EVLOG_ERR_ERASED, "key %s is destroyed", file->record.id);
}

static int disable(struct el_key_file *file, int64_t until_ms, struct el_error *err)
{
    struct evlog_key_record *record = &file->record;
    if (record->state == EVLOG_KEY_DESTROYED) {
        return erased(file, err);
    }
    record->changed_ms = record->state == EVLOG_KEY_DISABLED ? record->changed_ms : el_key_now_ms();
    record->state = EVLOG_KEY_DISABLED;
    record->until_ms = EL_MAX(record->until_ms, EL_MIN(EL_MAX(until_ms, 0), EL_KEY_TIME_MAX_MS));
    return 0;
}

static int restore(struct el_key_file *file, int64_t none, struct el_error *err)
{
    (void)none;
    if (file->record.state == EVLOG_KEY_DESTROYED) {
        return erased(file, err);
    }
    file->record.state = EVLOG_KEY_LIVE;
    file->record.changed_ms = file->record.until_ms = 0;
    return 0;
}

static int destroy(struct el_key_file *file, int64_t none, struct el_error *err)
{
    (void)none;
    (void)err;
    if (file->record.state == EVLOG_KEY_DESTROYED) {
        return 1;
    }
    file->record.state = EVLOG_KEY_DESTROYED;
    file->record.changed_ms = el_key_now_ms();
    file->record.until_ms = 0;
    file->record.untold = true;
    explicit_bzero(&file->wrap, sizeof file->wrap);
    return 0;
}

static int tell(struct el_key_file *file, int64_t none, struct el_error *err)
{
    (void)none;
    if (file->record.state != EVLOG_KEY_DESTROYED) {
        return el_error_set(err, EVLOG_ERR_CONFLICT, "key %s is not destroyed", file->record.id);
    }
    file->record.untold = false;
    return 0;
}

static int on_disable(struct evlog_key_store *store, struct evlog_bytes subject, int64_t until_ms,
                      struct evlog_key_record *record, struct evlog_failure *failure)
{
    return change_key(store, subject, &(struct change){.fn = disable, .number = until_ms}, record, failure);
}

static int on_restore(struct evlog_key_store *store, struct evlog_bytes subject, struct evlog_key_record *record,
                      struct evlog_failure *failure)
{
    return change_key(store, subject, &(struct change){.fn = restore}, record, failure);
}

static int on_destroy(struct evlog_key_store *store, struct evlog_bytes subject, struct evlog_key_record *record,
                      struct evlog_failure *failure)
{
    return change_key(store, subject, &(struct change){.fn = destroy, .to_destroy = true}, record, failure);
}

static int on_told(struct evlog_key_store *store, struct evlog_bytes subject, struct evlog_failure *failure)
{
    struct el_key_dir *dir = dir_of(store);
    struct evlog_key_record record;
    struct el_error err = {0};
    char name[65];
    int rc = change_key(store, subject, &(struct change){.fn = tell}, &record, failure);
    if (rc != 0 && rc != EVLOG_ERR_NOT_FOUND) {
        return rc;
    }
    name_subject(dir, subject, name);
    int lock = el_key_dir_lock(dir->fd, &err);
    struct el_key_file file;
    rc = lock < 0 ? lock : find_subject(dir, subject, &file, &err);
    if (rc == EVLOG_ERR_NOT_FOUND) { /* as it must be, unless a new key was made meanwhile */
        rc = el_key_file_remove(dir->subjects_fd, name, &err);
    }
    if (lock >= 0) {
        (void)close(lock);
    }
    return rc == 0 ? 0 : told(failure, &err, rc);
}

/* --- listing, closing --------------------------------------------------------------------------------------------- */

struct listing {
    struct el_key_dir *dir;
    evlog_key_record_fn fn;
    void *arg;
    struct el_error *err;
};

static int list_one(void *arg, const char *id)
{
    struct listing *listing = arg;
    struct el_key_file file;
    int rc = el_key_read(listing->dir, id, &file, listing->err);
    return rc == 0 ? listing->fn(listing->arg, &file.record) : rc == EVLOG_ERR_NOT_FOUND ? 0 : rc;
}

static int on_list(struct evlog_key_store *store, evlog_key_record_fn fn, void *arg, struct evlog_failure *failure)
{
    struct el_error err = {0};
    struct listing listing = {dir_of(store), fn, arg, &err};
    int rc = el_key_each(listing.dir, list_one, &listing, &err);
    return rc == 0 || err.code != rc ? rc : el_fail_from(failure, &err);
}

static void on_close(struct evlog_key_store *store)
{
    struct el_key_dir *dir = dir_of(store);
    const int fds[] = {dir->fd, dir->keys_fd, dir->subjects_fd};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
    (void)pthread_mutex_destroy(&dir->mutex);
    explicit_bzero(dir, sizeof *dir);
    el_free(dir);
}

const struct evlog_key_store_calls el_key_dir_calls = {
    .size = sizeof(struct evlog_key_store_calls),
    .take = on_take,
    .find = on_find,
    .look = on_look,
    .disable = on_disable,
    .restore = on_restore,
    .destroy = on_destroy,
    .told = on_told,
    .list = on_list,
    .close = on_close,
};
