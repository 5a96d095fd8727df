/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of the directory store.
 */
#ifndef EL_CLIENT_DIR_STATE_H
#define EL_CLIENT_DIR_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <store/dir_store.h>

#define DIR_BESIDE "~put" /* folder of what is being written */
#define DIR_BESIDE_MAX 64 /* bytes of a name there, with the 0 byte */
#define DIR_KNOWN 1024u   /* a power of two */

struct dir_store {
    struct object_store base;
    char *url;
    int root_fd;
    _Atomic bool stopped;
    _Atomic uint64_t count;    /* of names in "~put" */
    pthread_mutex_t lock;      /* of known */
    uint64_t known[DIR_KNOWN]; /* hashes of folders whose names are durable, 0 for none */
};

static inline struct dir_store *dir_store_of(struct object_store *base)
{
    return EL_CONTAINER(base, struct dir_store, base);
}

/* May the next call to the system be made? returns 0 | -1 with errno set */
int dir_step(const char *name);
/* Set the code and text of errno. what: "read", "written" ... */
int dir_failed(struct el_error *err, const char *key, const char *what);
int dir_check(struct dir_store *store, const char *key, struct el_error *err);
/* The folder above a key, opened, and the key's last part.
 *
 * create   make missing folders, and see that their names are durable
 * returns  a descriptor | -1 with errno set; ENOENT: no such folder; ENOTDIR: one of them is something else
 */
int dir_parent(struct dir_store *store, const char *key, bool create, const char **name);

/* May an object of that name and length be put? */
int dir_check_put(struct dir_store *store, const char *key, uint64_t len, struct el_error *err);
int dir_sync(int fd, const char *name);
/* Write a file that has no object's name yet, and is not synced. returns a descriptor | -1 with errno set */
int dir_beside(struct dir_store *store, char beside[DIR_BESIDE_MAX], const void *data, uint64_t len);
int dir_beside_sync(struct dir_store *store, int fd);
/* Close it, and remove what got no name. */
void dir_beside_drop(struct dir_store *store, const char *beside, int fd);
/* Set the code and text of errno, after it was not. */
int dir_unwritten(struct dir_store *store, const char *key, struct el_error *err);
/* The same, after dir_parent(): a folder above the key is not there, or something is in its way. */
int dir_unreached(struct dir_store *store, const char *key, const char *what, struct el_error *err);
/* Give what was written and synced its name, if that is free. *dir_fd: the folder, to be synced and closed, or -1.
 * returns 0 | EVLOG_ERR_EXISTS | _POLICY something else is in the way, the text says what | ... */
int dir_name(struct dir_store *store, const char *key, const char *beside, int *dir_fd, struct el_error *err);

/* dir_batch.c */
int dir_hold(struct object_store *base, void **held, const char *key, const void *data, uint64_t len,
             const uint8_t sha256[32], struct el_error *err);
int dir_settle(struct object_store *base, void **held, struct el_error *err);
void dir_drop(struct object_store *base, void **held);

int dir_list(struct object_store *base, const char *prefix, const char *after, object_list_fn fn, void *arg,
             struct el_error *err);

#endif
