/* SPDX-License-Identifier: Apache-2.0
 *
 * An object store in memory; see mem_store.h. Objects are an array in the order of their keys: tests have few.
 */
#include "mem_store.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <core/crypto.h>

static struct mem_store *of(struct object_store *base)
{
    return EL_CONTAINER(base, struct mem_store, base);
}

static void lock(struct mem_store *store)
{
    (void)pthread_mutex_lock(&store->lock);
}

static void unlock(struct mem_store *store)
{
    (void)pthread_mutex_unlock(&store->lock);
}

/* --- objects; the lock is held ------------------------------------------------------------------------------------ */

/* Where a key is, or would be. */
static size_t place_of(const struct mem_store *store, const char *key)
{
    size_t low = 0, high = store->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(store->objects[middle].key, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct mem_object *find(struct mem_store *store, const char *key)
{
    size_t at = place_of(store, key);
    return at < store->count && strcmp(store->objects[at].key, key) == 0 ? &store->objects[at] : NULL;
}

static void drop(struct mem_store *store, const char *key)
{
    struct mem_object *object = find(store, key);
    if (object != NULL) {
        el_free(object->key);
        el_free(object->data);
        store->count--;
        memmove(object, object + 1, (size_t)(store->objects + store->count - object) * sizeof *object);
    }
}

static int grow(struct mem_store *store)
{
    if (store->count < store->cap) {
        return 0;
    }
    size_t cap = EL_MAX(16, 2 * store->cap);
    struct mem_object *objects = el_realloc(store->objects, cap * sizeof *objects);
    if (objects == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    store->objects = objects;
    store->cap = cap;
    return 0;
}

/* Nothing is there under the key. */
static int add(struct mem_store *store, const char *key, const void *data, uint64_t len, const uint8_t sha256[32])
{
    struct mem_object made = {.key = el_strdup(key), .data = el_malloc(len), .len = len, .modified_ms = store->now_ms};
    if (made.key == NULL || made.data == NULL || grow(store) != 0) {
        el_free(made.key);
        el_free(made.data);
        return EVLOG_ERR_NO_MEMORY;
    }
    if (len > 0) {
        memcpy(made.data, data, len);
    }
    memcpy(made.sha256, sha256, sizeof made.sha256);
    size_t at = place_of(store, key);
    memmove(store->objects + at + 1, store->objects + at, (store->count - at) * sizeof made);
    store->objects[at] = made;
    store->count++;
    return 0;
}

/* --- faults ------------------------------------------------------------------------------------------------------- */

/* What becomes of a call; counts it. A list's key is its prefix. */
static enum mem_effect effect_of(struct mem_store *store, enum mem_call call, const char *key, int *code)
{
    enum mem_effect effect = store->decide == NULL ? MEM_NONE : store->decide(store->decide_arg, call, key, code);
    lock(store);
    store->calls[call]++;
    for (size_t i = 0; i < store->fault_count && effect == MEM_NONE; i++) {
        struct mem_fault *fault = &store->faults[i];
        if (fault->call != call || strstr(key, fault->key_part) == NULL) {
            continue;
        }
        if (fault->skip > 0) {
            fault->skip--;
        } else if (fault->count > 0) {
            fault->count -= fault->count != UINT32_MAX;
            effect = fault->effect;
            *code = fault->code;
        }
    }
    unlock(store);
    return effect;
}

/* Checks and faults before a call. returns 0 to carry it out, and how | what it ends with */
static int begin(struct mem_store *store, enum mem_call call, const char *key, enum mem_effect *effect,
                 struct el_error *err)
{
    int code = 0;
    *effect = MEM_NONE;
    atomic_store(&store->base.seen_ms, store->now_ms);
    if (call != MEM_LIST && !object_key_is_fine(key)) {
        return el_error_set(err, EVLOG_ERR_ARGUMENT, "\"%.100s\" is no key", key);
    }
    if (atomic_load(&store->stopped)) {
        return el_error_set(err, EVLOG_ERR_CLOSED, "%.200s: stopping", key);
    }
    *effect = effect_of(store, call, key, &code);
    if (*effect == MEM_FAIL) {
        EL_ASSERT(code < 0);
        return el_error_set(err, code, "%.200s: a fault", key);
    }
    return *effect == MEM_BLIND && call != MEM_LIST ? el_error_set(err, EVLOG_ERR_NOT_FOUND, "%.200s: a fault", key)
                                                    : 0;
}

/* The answer of a call that was carried out and whose answer may be lost. */
static int end(enum mem_effect effect, int rc, const char *key, struct el_error *err)
{
    return effect == MEM_LOST ? el_error_set(err, EVLOG_ERR_IN_DOUBT, "%.200s: the answer was lost", key) : rc;
}

/* --- calls -------------------------------------------------------------------------------------------------------- */

static int mem_put(struct object_store *base, const char *key, const void *data, uint64_t len, const uint8_t sha256[32],
                   struct el_error *err)
{
    struct mem_store *store = of(base);
    enum mem_effect effect;
    uint8_t real[32];
    int rc = begin(store, MEM_PUT, key, &effect, err);
    if (rc != 0) {
        return rc;
    }
    el_sha256(data, len, real);
    EL_ASSERT(memcmp(real, sha256, sizeof real) == 0);
    if (effect == MEM_PART) {
        len /= 2;
        el_sha256(data, len, real);
    }
    lock(store);
    if (find(store, key) != NULL) {
        rc = el_error_set(err, EVLOG_ERR_EXISTS, "%.200s: it is there", key);
    } else {
        rc = add(store, key, data, len, real);
        store->bytes_put += rc == 0 ? len : 0;
        rc = rc == 0 ? 0 : el_error_set(err, rc, "no memory for %.200s", key);
    }
    unlock(store);
    return end(effect == MEM_PART ? MEM_LOST : effect, rc, key, err);
}

static int mem_get(struct object_store *base, const char *key, uint64_t pos, void *buf, uint64_t len, uint64_t *done,
                   struct el_error *err)
{
    struct mem_store *store = of(base);
    enum mem_effect effect;
    int rc = begin(store, MEM_GET, key, &effect, err);
    if (rc != 0) {
        return rc;
    }
    lock(store);
    struct mem_object *object = find(store, key);
    uint64_t got = 0;
    if (object == NULL) {
        rc = el_error_set(err, EVLOG_ERR_NOT_FOUND, "%.200s: not there", key);
    } else if (pos < object->len) {
        got = EL_MIN(len, object->len - pos);
        memcpy(buf, object->data + pos, got);
    }
    store->bytes_got += got;
    unlock(store);
    if (rc == 0 && effect == MEM_SHORT) {
        return el_error_set(err, EVLOG_ERR_TRUNCATED, "%.200s: half of it arrived", key);
    }
    if (effect == MEM_FLIP && got > 0) {
        ((uint8_t *)buf)[got / 2] ^= 0x10;
    }
    if (rc == 0) {
        *done = got;
    }
    return effect == MEM_LOST ? el_error_set(err, EVLOG_ERR_AGAIN, "%.200s: the answer was lost", key) : rc;
}

static int mem_head(struct object_store *base, const char *key, struct object_info *info, struct el_error *err)
{
    struct mem_store *store = of(base);
    enum mem_effect effect;
    int rc = begin(store, MEM_HEAD, key, &effect, err);
    if (rc != 0) {
        return rc;
    }
    lock(store);
    struct mem_object *object = find(store, key);
    if (object == NULL) {
        rc = el_error_set(err, EVLOG_ERR_NOT_FOUND, "%.200s: not there", key);
    } else {
        *info = (struct object_info){
            .len = object->len, .has_sha256 = !store->no_sha256, .modified_ms = object->modified_ms};
        if (info->has_sha256) {
            memcpy(info->sha256, object->sha256, sizeof info->sha256);
        }
    }
    unlock(store);
    return effect == MEM_LOST ? el_error_set(err, EVLOG_ERR_AGAIN, "%.200s: the answer was lost", key) : rc;
}

/* The first object above a key, or at it: its key is copied, so that the callback may use the store. */
static bool next_key(struct mem_store *store, char *key, bool above, struct mem_object *object)
{
    lock(store);
    size_t at = place_of(store, key);
    at += above && at < store->count && strcmp(store->objects[at].key, key) == 0;
    bool found = at < store->count;
    if (found) {
        *object = store->objects[at];
        memcpy(key, object->key, strlen(object->key) + 1);
    }
    unlock(store);
    return found;
}

static int mem_list(struct object_store *base, const char *prefix, const char *after, object_list_fn fn, void *arg,
                    struct el_error *err)
{
    struct mem_store *store = of(base);
    enum mem_effect effect;
    struct mem_object object;
    char key[OBJECT_KEY_MAX + 1] = "";
    int rc = begin(store, MEM_LIST, prefix, &effect, err);
    if (rc != 0 || effect == MEM_BLIND || strlen(prefix) > OBJECT_KEY_MAX) {
        return rc;
    }
    bool from_after = after != NULL && strcmp(after, prefix) >= 0;
    memcpy(key, from_after ? after : prefix, strnlen(from_after ? after : prefix, OBJECT_KEY_MAX));
    for (bool above = from_after; next_key(store, key, above, &object); above = true) {
        if (strncmp(key, prefix, strlen(prefix)) != 0) {
            break;
        }
        if (effect == MEM_SHORT && above) {
            return el_error_set(err, EVLOG_ERR_AGAIN, "%.200s: half of the listing arrived", prefix);
        }
        if (!fn(arg, key, object.len, object.modified_ms)) {
            break;
        }
    }
    return effect == MEM_LOST ? el_error_set(err, EVLOG_ERR_AGAIN, "%.200s: the answer was lost", prefix) : 0;
}

static int mem_remove(struct object_store *base, const char *key, struct el_error *err)
{
    struct mem_store *store = of(base);
    enum mem_effect effect;
    int rc = begin(store, MEM_REMOVE, key, &effect, err);
    if (rc == 0) {
        lock(store);
        drop(store, key);
        unlock(store);
        rc = end(effect, 0, key, err);
    }
    return rc;
}

static void mem_stop(struct object_store *base)
{
    atomic_store(&of(base)->stopped, true);
}

static void mem_close(struct object_store *base)
{
    struct mem_store *store = of(base);
    while (store->count > 0) {
        drop(store, store->objects[store->count - 1].key);
    }
    (void)pthread_mutex_destroy(&store->lock);
    el_free(store->objects);
    el_free(store);
}

static const struct object_store_ops mem_ops = {.put = mem_put,
                                                .get = mem_get,
                                                .head = mem_head,
                                                .list = mem_list,
                                                .remove = mem_remove,
                                                .stop = mem_stop,
                                                .close = mem_close};

/* --- what tests do ------------------------------------------------------------------------------------------------ */

struct mem_store *mem_store_open(void)
{
    struct mem_store *store = el_calloc(1, sizeof *store);
    if (store != NULL) {
        store->base = (struct object_store){.ops = &mem_ops, .url = "mem://test"};
        store->now_ms = 1700000000000;
        (void)pthread_mutex_init(&store->lock, NULL);
    }
    return store;
}

void mem_store_reopen(struct mem_store *store)
{
    atomic_store(&store->stopped, false);
}

void mem_store_fault(struct mem_store *store, struct mem_fault fault)
{
    lock(store);
    EL_ASSERT(store->fault_count < MEM_FAULTS_MAX);
    store->faults[store->fault_count++] = fault;
    unlock(store);
}

void mem_store_clear_faults(struct mem_store *store)
{
    lock(store);
    store->fault_count = 0;
    unlock(store);
}

void mem_store_decide(struct mem_store *store, mem_decide_fn fn, void *arg)
{
    store->decide = fn;
    store->decide_arg = arg;
}

struct mem_object *mem_store_find(struct mem_store *store, const char *key)
{
    lock(store);
    struct mem_object *object = find(store, key);
    unlock(store);
    return object;
}

int mem_store_set(struct mem_store *store, const char *key, const void *data, uint64_t len)
{
    uint8_t sha256[32];
    if (!object_key_is_fine(key)) {
        return EVLOG_ERR_ARGUMENT;
    }
    el_sha256(data, len, sha256);
    lock(store);
    drop(store, key);
    int rc = add(store, key, data, len, sha256);
    unlock(store);
    return rc;
}

void mem_store_rename(struct mem_store *store, const char *from, const char *to)
{
    lock(store);
    struct mem_object *object = find(store, from);
    EL_ASSERT(object != NULL);
    EL_ASSERT(find(store, to) == NULL);
    int rc = add(store, to, object->data, object->len, object->sha256);
    EL_ASSERT(rc == 0);
    drop(store, from);
    unlock(store);
}

void mem_store_drop(struct mem_store *store, const char *key)
{
    lock(store);
    drop(store, key);
    unlock(store);
}

struct mem_store *mem_store_copy(struct mem_store *store)
{
    struct mem_store *copy = mem_store_open();
    int rc = copy == NULL ? EVLOG_ERR_NO_MEMORY : 0;
    lock(store);
    for (size_t i = 0; i < store->count && rc == 0; i++) {
        const struct mem_object *object = &store->objects[i];
        copy->now_ms = object->modified_ms;
        rc = add(copy, object->key, object->data, object->len, object->sha256);
    }
    unlock(store);
    if (rc != 0) {
        object_store_close(copy == NULL ? NULL : &copy->base);
        return NULL;
    }
    copy->now_ms = store->now_ms;
    return copy;
}
