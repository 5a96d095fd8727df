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
 * returns  a descriptor | -1 with errno set; ENOENT and ENOTDIR: no such folder
 */
int dir_parent(struct dir_store *store, const char *key, bool create, const char **name);

int dir_list(struct object_store *base, const char *prefix, const char *after, object_list_fn fn, void *arg,
             struct el_error *err);

#endif
