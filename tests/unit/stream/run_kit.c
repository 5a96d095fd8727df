/* SPDX-License-Identifier: Apache-2.0
 *
 * See run_kit.h.
 */
#include "run_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- disk --------------------------------------------------------------------------------------------------------- */

static struct kit_disk *of(struct disk *disk)
{
    return (struct kit_disk *)disk;
}

/* Does this call fail? */
static int begin(struct disk *disk)
{
    struct kit_disk *d = of(disk);
    d->calls++;
    return d->calls == d->fail_at ? d->fail_code : 0;
}

#define PASS(name, params, args)                                                                                       \
    static int pass_##name params                                                                                      \
    {                                                                                                                  \
        int code = begin(disk);                                                                                        \
        return code != 0 ? code : disk_##name args;                                                                    \
    }
PASS(open, (struct disk * disk, const char *path, int flags, int *fd), (of(disk)->inner, path, flags, fd))
PASS(pwritev, (struct disk * disk, int fd, const struct iovec *iov, int iov_count, uint64_t pos),
     (of(disk)->inner, fd, iov, iov_count, pos))
PASS(sync, (struct disk * disk, int fd), (of(disk)->inner, fd))
PASS(sync_dir, (struct disk * disk, const char *path), (of(disk)->inner, path))
PASS(truncate, (struct disk * disk, int fd, uint64_t len), (of(disk)->inner, fd, len))
PASS(rename, (struct disk * disk, const char *from, const char *to), (of(disk)->inner, from, to))
PASS(unlink, (struct disk * disk, const char *path), (of(disk)->inner, path))
PASS(mkdir, (struct disk * disk, const char *path), (of(disk)->inner, path))
PASS(list, (struct disk * disk, const char *path, disk_list_fn fn, void *arg), (of(disk)->inner, path, fn, arg))
PASS(len, (struct disk * disk, int fd, uint64_t *len), (of(disk)->inner, fd, len))

static int pass_close(struct disk *disk, int fd)
{
    return disk_close(of(disk)->inner, fd);
}

static int pass_pread(struct disk *disk, int fd, void *buf, size_t len, uint64_t pos, size_t *done)
{
    int code = begin(disk);
    of(disk)->reads++;
    return code != 0 ? code : disk_pread(of(disk)->inner, fd, buf, len, pos, done);
}

static const struct disk_ops pass_ops = {
    .open = pass_open,
    .close = pass_close,
    .pread = pass_pread,
    .pwritev = pass_pwritev,
    .sync = pass_sync,
    .sync_dir = pass_sync_dir,
    .truncate = pass_truncate,
    .rename = pass_rename,
    .unlink = pass_unlink,
    .mkdir = pass_mkdir,
    .list = pass_list,
    .len = pass_len,
};

void kit_init(struct kit *k, uint64_t seed)
{
    memset(k, 0, sizeof(*k));
    el_rng_seed(&k->rng, seed);
    k->sim = sim_disk_create(&k->rng);
    k->d.disk.ops = &pass_ops;
    k->d.inner = sim_disk_as_disk(k->sim);
    assert_int_equal(index_list_folder(k->d.inner, 0, NULL), 0);
}

void kit_free(struct kit *k)
{
    sim_disk_free(k->sim);
}

void kit_fail_at(struct kit *k, uint64_t n, int code)
{
    k->d.fail_at = n == 0 ? 0 : k->d.calls + n;
    k->d.fail_code = code;
}

/* --- sets --------------------------------------------------------------------------------------------------------- */

static int entry_order(const void *a, const void *b)
{
    return el_stream_entry_compare(a, b);
}

static int name_order(const void *a, const void *b)
{
    const struct kit_name *x = a, *y = b;
    return el_name_compare(x->slot, el_slice_of(x->key, x->len), y->slot, el_slice_of(y->key, y->len));
}

/* Sorts; of equal ones the first stays when they were in the order of their age. */
static void set_sort(struct kit_set *set)
{
    uint32_t kept = 0;
    qsort(set->entries, set->entry_count, sizeof(*set->entries), entry_order);
    for (uint32_t i = 0; i < set->entry_count; i++) {
        if (kept == 0 || entry_order(&set->entries[kept - 1], &set->entries[i]) != 0) {
            set->entries[kept++] = set->entries[i];
        }
    }
    set->entry_count = kept;
    kept = 0;
    qsort(set->names, set->name_count, sizeof(*set->names), name_order);
    for (uint32_t i = 0; i < set->name_count; i++) {
        if (kept == 0 || name_order(&set->names[kept - 1], &set->names[i]) != 0) {
            set->names[kept++] = set->names[i];
        } else {
            free(set->names[i].key);
        }
    }
    set->name_count = kept;
}

static struct el_hash128 stock_hash(uint64_t n)
{
    struct el_rng rng;
    el_rng_seed(&rng, n);
    struct el_hash128 hash = {.low = el_rng_next(&rng), .high = el_rng_next(&rng)};
    return hash;
}

static void draw_entry(struct el_stream_entry *e, struct el_rng *rng, uint32_t slot_max)
{
    memset(e, 0, sizeof(*e));
    e->slot = 1 + (uint32_t)el_rng_below(rng, slot_max);
    switch (el_rng_below(rng, 4)) {
    case 0: /* one of a few hot streams */
        e->hash = stock_hash(el_rng_below(rng, 3));
        e->position = el_rng_below(rng, 50000);
        e->place = e->position * 3 + el_rng_below(rng, 3);
        break;
    case 1: /* a type */
        e->hash = stock_hash(100 + el_rng_below(rng, 5));
        e->position = el_rng_below(rng, 1000000);
        break;
    case 2: /* a short stream, with tombstones */
        e->hash = stock_hash(1000 + el_rng_below(rng, 5000));
        e->position = el_rng_below(rng, 10);
        e->place = el_rng_next(rng) >> 30 | el_rng_below(rng, 4) << 62;
        break;
    default:
        e->hash = stock_hash(1000000 + el_rng_below(rng, 100000));
        e->position = el_rng_below(rng, 1000000);
        e->place = el_rng_below(rng, 100);
    }
}

static void draw_name(struct kit_name *n, struct el_rng *rng, uint32_t slot_max)
{
    char text[64];
    n->slot = 1 + (uint32_t)el_rng_below(rng, slot_max);
    n->len = (uint32_t)snprintf(text, sizeof(text), "%s-%llu", el_rng_below(rng, 2) == 0 ? "customer" : "order",
                                (unsigned long long)el_rng_below(rng, 1000000));
    if (el_rng_below(rng, 50) == 0) {
        n->len = (uint32_t)el_rng_below(rng, EL_RUN_NAME_KEY_MAX + 1);
    }
    n->key = malloc(n->len + 1);
    for (uint32_t i = 0; i < n->len; i++) {
        n->key[i] = i < strlen(text) ? (uint8_t)text[i] : (uint8_t)el_rng_below(rng, 3);
    }
}

void kit_set_draw(struct kit_set *set, struct el_rng *rng, uint32_t entry_max, uint32_t name_max, uint32_t slot_max)
{
    *set = (struct kit_set){.entry_count = (uint32_t)el_rng_below(rng, entry_max + 1),
                            .name_count = (uint32_t)el_rng_below(rng, name_max + 1)};
    set->entries = malloc((set->entry_count + 1) * sizeof(*set->entries));
    set->names = malloc((set->name_count + 1) * sizeof(*set->names));
    for (uint32_t i = 0; i < set->entry_count; i++) {
        draw_entry(&set->entries[i], rng, slot_max);
    }
    for (uint32_t i = 0; i < set->name_count; i++) {
        draw_name(&set->names[i], rng, slot_max);
    }
    set_sort(set);
}

void kit_set_free(struct kit_set *set)
{
    for (uint32_t i = 0; i < set->name_count; i++) {
        free(set->names[i].key);
    }
    free(set->names);
    free(set->entries);
}

static bool has_entry(const struct kit_set *set, const struct el_stream_entry *e)
{
    return set->entry_count > 0 &&
           bsearch(e, set->entries, set->entry_count, sizeof(*set->entries), entry_order) != NULL;
}

void kit_set_merge(struct kit_set *out, const struct kit_set *const *sets, uint32_t count, bool (*keep)(uint32_t slot))
{
    uint32_t entry_room = 1, name_room = 1;
    for (uint32_t i = 0; i < count; i++) {
        entry_room += sets[i]->entry_count;
        name_room += sets[i]->name_count;
    }
    *out = (struct kit_set){.entries = malloc(entry_room * sizeof(*out->entries)),
                            .names = malloc(name_room * sizeof(*out->names))};
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t n = 0; n < sets[i]->entry_count; n++) {
            bool newer = false;
            for (uint32_t j = 0; j < i && !newer; j++) {
                newer = has_entry(sets[j], &sets[i]->entries[n]);
            }
            if (!newer && keep(sets[i]->entries[n].slot)) {
                out->entries[out->entry_count++] = sets[i]->entries[n];
            }
        }
        for (uint32_t n = 0; n < sets[i]->name_count; n++) {
            struct kit_name name = sets[i]->names[n];
            if (keep(name.slot)) {
                uint8_t *key = malloc(name.len + 1);
                memcpy(key, name.key, name.len);
                name.key = key;
                out->names[out->name_count++] = name;
            }
        }
    }
    set_sort(out);
}

/* --- runs --------------------------------------------------------------------------------------------------------- */

int kit_write(struct kit *k, uint64_t run_id, const struct kit_set *set, struct el_index_run_info *info)
{
    char path[INDEX_PATH_LEN];
    struct index_run_writer *w = NULL;
    index_run_path(path, 0, run_id);
    int code = index_run_writer_open(&k->d.disk, path, run_id, &w, NULL);
    if (code != 0) {
        return code;
    }
    for (uint32_t i = 0; i < set->entry_count && code == 0; i++) {
        code = index_run_writer_add(w, &set->entries[i]);
    }
    for (uint32_t i = 0; i < set->name_count && code == 0; i++) {
        const struct kit_name *n = &set->names[i];
        code = index_run_writer_add_name(w, n->slot, el_slice_of(n->key, n->len));
    }
    code = code != 0 ? code : index_run_writer_finish(w, info);
    index_run_writer_close(w);
    return code;
}

int kit_open(struct kit *k, uint64_t run_id, bool with_filter, struct kit_run *run)
{
    char path[INDEX_PATH_LEN];
    struct el_index_run_info info;
    index_run_path(path, 0, run_id);
    int code = index_run_peek(&k->d.disk, path, &info, NULL);
    if (code != 0) {
        return code;
    }
    run->memory = malloc(index_run_memory(&info, with_filter));
    code = index_run_open(&k->d.disk, path, &info, run->memory, with_filter, &run->run, NULL);
    if (code != 0) {
        free(run->memory);
    }
    return code;
}

void kit_close(struct kit_run *run)
{
    index_run_close(&run->run);
    free(run->memory);
}

void kit_run_is(const struct kit_run *run, const struct kit_set *set)
{
    struct index_cursor *c = NULL;
    struct el_stream_entry e;
    struct el_slice key;
    uint32_t slot = 0;
    assert_int_equal(run->run.info.entry_count, set->entry_count);
    assert_int_equal(run->run.info.name_count, set->name_count);
    assert_int_equal(index_cursor_open(&run->run, &c), 0);
    for (uint32_t i = 0; i < set->entry_count; i++) {
        assert_int_equal(index_cursor_next(c, &e), 1);
        assert_int_equal(el_stream_entry_compare(&e, &set->entries[i]), 0);
        assert_int_equal(e.place, set->entries[i].place);
    }
    assert_int_equal(index_cursor_next(c, &e), 0);
    for (uint32_t i = 0; i < set->name_count; i++) {
        const struct kit_name *n = &set->names[i];
        assert_int_equal(index_cursor_next_name(c, &slot, &key), 1);
        assert_int_equal(el_name_compare(slot, key, n->slot, el_slice_of(n->key, n->len)), 0);
    }
    assert_int_equal(index_cursor_next_name(c, &slot, &key), 0);
    index_cursor_close(c);
}

int kit_walk(const struct index_run *run)
{
    struct index_cursor *c = NULL;
    struct el_stream_entry e;
    struct el_slice key;
    uint32_t slot = 0;
    int code = index_cursor_open(run, &c);
    if (code != 0) {
        return code;
    }
    do {
        code = index_cursor_next(c, &e);
    } while (code > 0);
    for (int more = code == 0; more > 0;) {
        more = index_cursor_next_name(c, &slot, &key);
        code = more < 0 ? more : 0;
    }
    index_cursor_close(c);
    return code;
}
