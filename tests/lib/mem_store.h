/* SPDX-License-Identifier: Apache-2.0
 *
 * An object store in memory, for tests and the simulator: strict about keys and write-once, with faults on demand.
 * Nothing here waits or reads a clock. One store may be used by several threads.
 *
 * Faults come from a script (mem_store_fault(): each is spent on the calls it names), or from a function of the test's
 * that is asked before each call (mem_store_decide()).
 */
#ifndef EL_TEST_MEM_STORE_H
#define EL_TEST_MEM_STORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <store/object_store.h>

#define MEM_FAULTS_MAX 64
#define MEM_PART_MAX 80 /* of a key that a fault names */

enum mem_call { MEM_PUT, MEM_GET, MEM_HEAD, MEM_LIST, MEM_REMOVE, MEM_CALLS };

enum mem_effect {
    MEM_NONE,  /* the call is carried out */
    MEM_FAIL,  /* nothing is done, the answer is `code` */
    MEM_LOST,  /* it is done, the answer gets lost: EVLOG_ERR_IN_DOUBT of put and remove, _AGAIN of the others */
    MEM_SHORT, /* get: half of the bytes arrive, the answer is EVLOG_ERR_TRUNCATED; list: it ends after half, AGAIN */
    MEM_FLIP,  /* get: one bit of what arrives is another one, and nobody says so */
    MEM_BLIND, /* get, head: EVLOG_ERR_NOT_FOUND, list: nothing, as a store that forgets says it */
    MEM_PART   /* put: the first half is there under the key, the answer is EVLOG_ERR_IN_DOUBT: no good store does it */
};

struct mem_fault {
    enum mem_call call;
    char key_part[MEM_PART_MAX]; /* keys (of list: prefixes) that contain it; "" all */
    uint32_t skip;               /* such calls that pass first */
    uint32_t count;              /* calls then affected, UINT32_MAX all */
    enum mem_effect effect;
    int code; /* of FAIL */
};

/* What shall become of a call? For MEM_FAIL sets *code. Called without the store's lock. */
typedef enum mem_effect (*mem_decide_fn)(void *arg, enum mem_call call, const char *key, int *code);

struct mem_object {
    char *key;
    uint8_t *data; /* not NULL */
    uint64_t len;
    uint8_t sha256[32]; /* as put; tests that change data leave it */
    int64_t modified_ms;
};

struct mem_store {
    struct object_store base;
    pthread_mutex_t lock;
    struct mem_object *objects; /* [count], ascending by key */
    size_t count;
    size_t cap;
    struct mem_fault faults[MEM_FAULTS_MAX];
    size_t fault_count;
    mem_decide_fn decide;
    void *decide_arg;
    bool no_sha256;     /* head does not know it */
    int64_t now_ms;     /* modification time of what is put next */
    uint64_t bytes_put; /* of puts that were carried out */
    uint64_t bytes_got;
    uint64_t calls[MEM_CALLS]; /* made, whatever came of them */
    _Atomic bool stopped;
};

/* An empty store; NULL when memory is short. object_store_close(&store->base) frees it. */
struct mem_store *mem_store_open(void);
/* Stop refusing after object_store_stop(), as a process does that opens the same store again. */
void mem_store_reopen(struct mem_store *store);
void mem_store_fault(struct mem_store *store, struct mem_fault fault);
void mem_store_clear_faults(struct mem_store *store);
/* NULL: none. Asked first; when it says MEM_NONE, the script is. */
void mem_store_decide(struct mem_store *store, mem_decide_fn fn, void *arg);

/* What is there, past all faults. The pointer is valid until the next change; NULL when there is no such object. */
struct mem_object *mem_store_find(struct mem_store *store, const char *key);
/* Put or replace, past all rules but those for keys. returns 0 | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_ARGUMENT */
int mem_store_set(struct mem_store *store, const char *key, const void *data, uint64_t len);
/* Rename past all rules; the object must be there, and nothing under the other name. */
void mem_store_rename(struct mem_store *store, const char *from, const char *to);
void mem_store_drop(struct mem_store *store, const char *key);
/* An independent copy of all objects, without faults; NULL when memory is short. */
struct mem_store *mem_store_copy(struct mem_store *store);

#endif
