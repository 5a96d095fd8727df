/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of the key store in a directory:
 *
 *     store              which master key, wrapping keys (generations) under it, a key for naming subjects
 *     lock               flock() of whoever changes something
 *     keys/<id>          one data key and its subject, wrapped; or that it is destroyed
 *     subjects/<mac>     the id of a subject's key; the name is an HMAC of the subject
 *
 * Every file is replaced whole: written beside, synced, renamed, and the directory synced. Readers take no lock.
 */
#ifndef EL_CLIENT_KEY_DIR_STATE_H
#define EL_CLIENT_KEY_DIR_STATE_H

#include <core/aead.h>
#include <core/base64.h>
#include <core/buffer.h>
#include <core/err.h>
#include <evlog/seal.h>
#include <limits.h>
#include <pthread.h>

#define EL_KEY_GENERATION_MAX 8
#define EL_KEY_NAME_MAX 80 /* bytes of a file's name below the directory's parts, the NUL counted */
#define EL_KEY_TIME_MAX_MS (INT64_MAX / 1000000) /* times can be told in nanoseconds */

/* Something wrapped: a nonce, and ciphertext and tag in base64. */
#define EL_KEY_WRAP_LEN_MAX (EVLOG_DATA_KEY_LEN + EVLOG_SUBJECT_LEN_MAX + EL_AEAD_TAG_LEN)
struct el_key_wrap {
    uint8_t nonce[EL_AEAD_NONCE_LEN];
    uint8_t sealed[EL_KEY_WRAP_LEN_MAX];
    size_t len;
};

struct el_key_generation {
    uint32_t number; /* 1, 2, ... */
    uint8_t key[EL_AEAD_KEY_LEN];
};

/* The file "store", unwrapped. */
struct el_key_root {
    struct el_uuid id;
    char master_path[PATH_MAX];
    uint8_t master[EL_AEAD_KEY_LEN];
    uint8_t index[32]; /* names subjects */
    struct el_key_generation generations[EL_KEY_GENERATION_MAX];
    uint32_t generation_count; /* ascending; the last one wraps what is written */
};

/* The file of a key. */
struct el_key_file {
    struct evlog_key_record record;
    uint32_t generation; /* not when it is destroyed, as all below */
    struct el_key_wrap wrap;
};

/* A data key and its subject. */
struct el_key_content {
    uint8_t key[EVLOG_DATA_KEY_LEN];
    uint8_t subject[EVLOG_SUBJECT_LEN_MAX];
    size_t subject_len;
};

struct el_key_dir {
    struct evlog_key_store store;
    char path[PATH_MAX];
    char master_path[PATH_MAX]; /* as the caller gave it, empty: as the store says */
    int fd, keys_fd, subjects_fd;
    pthread_mutex_t mutex; /* of root */
    struct el_key_root root;
};

/* --- key_dir_file.c --- */

/* Told before every call that changes something on disk, with its name; a number above 0 is the errno that the call
 * fails with, one below 0 lets a sync be taken as done. Tests only. */
extern int (*el_key_dir_hook)(const char *step);

/* Read a small file. returns 0 | EVLOG_ERR_NOT_FOUND | EVLOG_ERR_KEYS | EVLOG_ERR_NO_MEMORY */
int el_key_file_read(int dir_fd, const char *name, struct el_buffer *text, struct el_error *err);
/* Replace or make a file, durably. wipe: what it held is overwritten where it lay */
int el_key_file_replace(int dir_fd, const char *name, struct el_slice text, bool wipe, struct el_error *err);
/* Remove a file, durably; one that is not there is fine. */
int el_key_file_remove(int dir_fd, const char *name, struct el_error *err);
/* Wait for the lock of a store. returns a descriptor to be closed | a negative code */
int el_key_dir_lock(int dir_fd, struct el_error *err);
/* Make a directory for the owner alone, and sync where it lies; one that is there is fine. */
int el_key_dir_make(int parent_fd, const char *name, struct el_error *err);
/* Read the master key's file. returns 0 | EVLOG_ERR_NOT_FOUND | EVLOG_ERR_KEYS others may read it, or it is none */
int el_key_master_read(const char *path, uint8_t master[EL_AEAD_KEY_LEN], struct el_error *err);
/* The same, made with a random key when it is not there. */
int el_key_master_make(const char *path, uint8_t master[EL_AEAD_KEY_LEN], struct el_error *err);

/* --- key_dir_text.c --- */

/* The files as text. Readers are strict. returns 0 | EVLOG_ERR_KEYS it is none | EVLOG_ERR_NO_MEMORY */
void el_key_text_write(struct el_buffer *out, const struct el_key_file *file);
int el_key_text_read(struct el_slice text, struct el_key_file *file, struct el_error *err);
/* Unwrap what a key's file holds with a generation's key, and wrap it. returns 0 | EVLOG_ERR_KEYS | a failure */
int el_key_unwrap(const struct el_key_root *root, const struct el_key_file *file, struct el_key_content *content);
int el_key_wrap(const struct el_key_root *root, struct el_key_file *file, const struct el_key_content *content);

/* The file "store". Writing draws nonces. */
int el_key_root_write(struct el_buffer *out, const struct el_key_root *root, struct el_error *err);
/* Read it with a master key's file: given, or NULL: the one that it names. */
int el_key_root_read(struct el_slice text, const char *given, struct el_key_root *root, struct el_error *err);

/* --- key_dir.c --- */

/* Read the file "store" anew. */
int el_key_dir_load(struct el_key_dir *dir, struct el_error *err);
/* A copy of the root. */
void el_key_dir_root(struct el_key_dir *dir, struct el_key_root *root);
const struct el_key_generation *el_key_generation_of(const struct el_key_root *root, uint32_t number);
/* Read the file of a key. returns 0 | EVLOG_ERR_NOT_FOUND | EVLOG_ERR_KEYS */
int el_key_read(const struct el_key_dir *dir, const char *id, struct el_key_file *file, struct el_error *err);
int el_key_write(const struct el_key_dir *dir, const struct el_key_file *file, bool wipe, struct el_error *err);
int64_t el_key_now_ms(void);
/* Tell the ids of all keys. Anything but 0 from fn ends it with that code. */
int el_key_each(const struct el_key_dir *dir, int (*fn)(void *arg, const char *id), void *arg, struct el_error *err);

/* --- key_dir_calls.c --- */

extern const struct evlog_key_store_calls el_key_dir_calls;

#endif
