/* SPDX-License-Identifier: Apache-2.0
 *
 * See archive_memo.h.
 *
 * An answer is found by a name: what was asked (get, head, put), the range of a get, and the key. A put that was
 * carried out, or found the object there, is answered with EVLOG_ERR_EXISTS from then on, and object_put_once()
 * compares what is there. When head says that it is not there any more, that is forgotten.
 */
#include <archive/archive_memo.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <core/map.h>
#include <string.h>

#define NAME_HEAD_LEN 17u /* kind, pos, len */
#define NAME_LEN_MAX (NAME_HEAD_LEN + OBJECT_KEY_MAX)

struct answer {
    struct object_info info; /* of a head */
    uint64_t len;            /* of the data: what a get gave */
    uint8_t bytes[];         /* name, then data */
};

struct archive_memo {
    struct object_store base;
    struct object_store *store;
    struct el_map answers; /* name -> struct answer */
    uint64_t len;          /* bytes that they take */
};

struct name {
    uint8_t bytes[NAME_LEN_MAX];
    size_t len;
};

static struct archive_memo *of(struct object_store *base)
{
    return EL_CONTAINER(base, struct archive_memo, base);
}

static struct name name_of(char kind, const char *key, uint64_t pos, uint64_t len)
{
    struct name name;
    size_t key_len = strnlen(key, OBJECT_KEY_MAX);
    EL_ASSERT(key_len < OBJECT_KEY_MAX); /* two long names would be one */
    name.bytes[0] = (uint8_t)kind;
    el_put_le64(name.bytes + 1, pos);
    el_put_le64(name.bytes + 9, len);
    memcpy(name.bytes + NAME_HEAD_LEN, key, key_len);
    name.len = NAME_HEAD_LEN + key_len;
    return name;
}

static const struct answer *find(const struct archive_memo *m, const struct name *name)
{
    return el_map_get(&m->answers, name->bytes, name->len);
}

/* Without room or memory the store is asked again. */
static void keep(struct archive_memo *m, const struct name *name, const struct object_info *info, struct el_slice data)
{
    uint64_t len = sizeof(struct answer) + name->len + data.len;
    struct answer *answer = m->len + len > ARCHIVE_MEMO_LEN_MAX ? NULL : el_malloc(len);
    if (answer == NULL) {
        return;
    }
    *answer = (struct answer){.len = data.len};
    if (info != NULL) {
        answer->info = *info;
    }
    memcpy(answer->bytes, name->bytes, name->len);
    if (data.len > 0) {
        memcpy(answer->bytes + name->len, data.data, data.len);
    }
    if (el_map_put(&m->answers, answer->bytes, name->len, answer) != 0) {
        el_free(answer);
        return;
    }
    m->len += len;
}

static void forget(struct archive_memo *m, const struct name *name)
{
    struct answer *answer = el_map_remove(&m->answers, name->bytes, name->len);
    if (answer != NULL) {
        EL_ASSERT(m->len >= sizeof *answer + name->len + answer->len);
        m->len -= sizeof *answer + name->len + answer->len;
        el_free(answer);
    }
}

static void forget_all(struct archive_memo *m)
{
    for (size_t i = 0; i < m->answers.count; i++) {
        el_free(m->answers.entries[i].value);
    }
    el_map_destroy(&m->answers);
    el_map_init(&m->answers, NULL);
    m->len = 0;
}

/* --- calls -------------------------------------------------------------------------------------------------------- */

static int memo_put(struct object_store *base, const char *key, const void *data, uint64_t len,
                    const uint8_t sha256[32], struct el_error *err)
{
    struct archive_memo *m = of(base);
    struct name name = name_of('p', key, 0, 0);
    if (find(m, &name) != NULL) {
        return el_error_set(err, EVLOG_ERR_EXISTS, "%.200s: it is there", key);
    }
    int code = object_put(m->store, key, data, len, sha256, err);
    if (code == 0 || code == EVLOG_ERR_EXISTS) {
        keep(m, &name, NULL, el_slice_of(NULL, 0));
    }
    return code;
}

static int memo_get(struct object_store *base, const char *key, uint64_t pos, void *buf, uint64_t len, uint64_t *done,
                    struct el_error *err)
{
    struct archive_memo *m = of(base);
    struct name name = name_of('g', key, pos, len);
    const struct answer *answer = find(m, &name);
    if (answer != NULL) {
        EL_ASSERT(answer->len <= len);
        memcpy(buf, answer->bytes + name.len, answer->len);
        *done = answer->len;
        return 0;
    }
    int code = object_get(m->store, key, pos, buf, len, done, err);
    if (code == 0) {
        EL_ASSERT(*done <= len);
        keep(m, &name, NULL, el_slice_of(buf, *done));
    }
    return code;
}

static int memo_head(struct object_store *base, const char *key, struct object_info *info, struct el_error *err)
{
    struct archive_memo *m = of(base);
    struct name name = name_of('h', key, 0, 0), put = name_of('p', key, 0, 0);
    const struct answer *answer = find(m, &name);
    if (answer != NULL) {
        *info = answer->info;
        return 0;
    }
    int code = object_head(m->store, key, info, err);
    if (code == 0) {
        keep(m, &name, info, el_slice_of(NULL, 0));
    } else if (code == EVLOG_ERR_NOT_FOUND) {
        forget(m, &put);
    }
    return code;
}

static int memo_list(struct object_store *base, const char *prefix, const char *after, object_list_fn fn, void *arg,
                     struct el_error *err)
{
    return object_list(of(base)->store, prefix, after, fn, arg, err);
}

static int memo_remove(struct object_store *base, const char *key, struct el_error *err)
{
    struct archive_memo *m = of(base);
    forget_all(m);
    return object_remove(m->store, key, err);
}

static void memo_stop(struct object_store *base)
{
    object_store_stop(of(base)->store);
}

static void memo_close(struct object_store *base)
{
    (void)base; /* it is the memo's owner who frees it, and the store has one of its own */
}

static const struct object_store_ops ops = {.put = memo_put,
                                            .get = memo_get,
                                            .head = memo_head,
                                            .list = memo_list,
                                            .remove = memo_remove,
                                            .stop = memo_stop,
                                            .close = memo_close};

/* --- the memo ----------------------------------------------------------------------------------------------------- */

struct archive_memo *archive_memo_new(struct object_store *store)
{
    struct archive_memo *m = el_calloc(1, sizeof *m);
    if (m != NULL) {
        m->base.ops = &ops;
        m->base.url = store->url;
        m->store = store;
        el_map_init(&m->answers, NULL);
    }
    return m;
}

void archive_memo_free(struct archive_memo *m)
{
    if (m != NULL) {
        forget_all(m);
        el_map_destroy(&m->answers);
        el_free(m);
    }
}

struct object_store *archive_memo_store(struct archive_memo *m)
{
    return &m->base;
}

size_t archive_memo_count(const struct archive_memo *m)
{
    return m->answers.count;
}
