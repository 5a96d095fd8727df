/* SPDX-License-Identifier: Apache-2.0
 *
 * See index_check.h. A walk from the front checks every sum, and the order; what only finds rely on is checked here:
 *
 * 1. the index block of a group has the first entry of each of its blocks
 * 2. the filter of a group knows each of its entries, and has as many lines as that asks for
 * 3. from the root of the names a search comes to the front of every leaf
 */
#include <stream/index_check.h>
#include <stream/index_list.h>
#include <stream/index_run_priv.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <stdio.h>

/* A run that is looked through. */
struct check {
    struct index_run run;
    uint32_t next_slot;
    struct el_stream_entry last; /* slot 0: none yet */
    uint64_t entry_count, hash_count;
    uint32_t group_hashes;
    uint8_t keys[EL_RUN_BLOCK_LEN];
    uint8_t block[EL_RUN_BLOCK_LEN];
    struct el_error *err;
};

static int wrong(struct check *c, uint32_t number, const char *what)
{
    return el_error_set(c->err, EVLOG_ERR_CORRUPT, "block %u: %s", number, what);
}

static int unread(struct check *c, uint32_t number, int code)
{
    return el_error_set(c->err, code, "block %u: %s", number, evlog_error_text(code));
}

/* --- entries ------------------------------------------------------------------------------------------------------ */

static int check_entry(struct check *c, uint32_t number, const struct el_stream_entry *e, bool first_of_group)
{
    if (c->last.slot != 0 && el_stream_entry_compare(&c->last, e) >= 0) {
        return wrong(c, number, "its entries do not go on where those before end");
    }
    if (e->slot >= c->next_slot) {
        return wrong(c, number, "an entry of a partition that was never given a slot");
    }
    if (e->position >= INDEX_POSITION_END) {
        return wrong(c, number, "an entry of a version or offset that cannot be");
    }
    if (!index_run_may_hold(&c->run, e->slot, e->hash)) {
        return wrong(c, number, "an entry that the filter does not know");
    }
    if (first_of_group || !el_stream_entry_same_hash(&c->last, e)) {
        c->group_hashes++;
    }
    c->last = *e;
    c->entry_count++;
    return 0;
}

static int check_block(struct check *c, uint32_t number, const uint8_t *key, bool first_of_group)
{
    struct el_entry_unpacker u;
    struct el_stream_entry expected;
    uint16_t count = 0;
    int code = index_run_block(&c->run, number, sizeof(c->block), EL_RUN_ENTRIES, c->block, &count);
    if (code != 0) {
        return unread(c, number, code);
    }
    el_run_key_get(key, &expected);
    el_entry_unpacker_init(&u, c->block + EL_RUN_BLOCK_HEADER_LEN, EL_RUN_BLOCK_LEN - EL_RUN_BLOCK_HEADER_LEN, count);
    code = el_entry_unpack(&u);
    if (code <= 0 || el_stream_entry_compare(&u.last, &expected) != 0) {
        return wrong(c, number, "it does not begin as the index block says");
    }
    for (; code > 0; code = el_entry_unpack(&u), first_of_group = false) {
        int error = check_entry(c, number, &u.last, first_of_group);
        if (error != 0) {
            return error;
        }
    }
    return code == 0 ? 0 : wrong(c, number, "an entry that is none");
}

static int check_group(struct check *c, uint32_t group)
{
    const struct index_run_top *t = &c->run.top[group];
    const struct el_stream_entry first = {.slot = t->slot, .hash = t->hash, .position = t->position};
    uint32_t index_block = t->first_block + t->block_count;
    struct el_stream_entry key;
    uint16_t count = 0;
    int code = index_run_block(&c->run, index_block, sizeof(c->keys), EL_RUN_INDEX, c->keys, &count);
    if (code != 0) {
        return unread(c, index_block, code);
    }
    el_run_key_get(c->keys + EL_RUN_BLOCK_HEADER_LEN, &key);
    if (count != t->block_count || el_stream_entry_compare(&key, &first) != 0) {
        return wrong(c, index_block, "it is not the index of this group");
    }
    c->group_hashes = 0;
    for (uint32_t i = 0; i < count && code == 0; i++) {
        const uint8_t *at = c->keys + EL_RUN_BLOCK_HEADER_LEN + (size_t)i * EL_RUN_KEY_LEN;
        code = check_block(c, t->first_block + i, at, i == 0);
    }
    if (code == 0 && t[1].first_line - t->first_line != el_run_line_count(c->group_hashes)) {
        code = wrong(c, index_block + 1, "the filter has not the length that it should have");
    }
    c->hash_count += c->group_hashes;
    return code;
}

static int check_entries(struct check *c)
{
    int code = 0;
    for (uint32_t group = 0; group < c->run.info.group_count && code == 0; group++) {
        code = check_group(c, group);
    }
    if (code == 0 && (c->entry_count != c->run.info.entry_count || c->hash_count != c->run.info.hash_count)) {
        code = el_error_set(c->err, EVLOG_ERR_CORRUPT, "it has %llu entries, its footer says %llu",
                            (unsigned long long)c->entry_count, (unsigned long long)c->run.info.entry_count);
    }
    return code;
}

/* --- names -------------------------------------------------------------------------------------------------------- */

static int check_order(struct check *c, struct index_cursor *cursor)
{
    struct el_slice key;
    uint32_t slot = 0;
    uint64_t count = 0;
    int code;
    while ((code = index_cursor_next_name(cursor, &slot, &key)) > 0) {
        if (slot >= c->next_slot) {
            return el_error_set(c->err, EVLOG_ERR_CORRUPT, "a name of a partition that was never given a slot");
        }
        count++;
    }
    if (code == 0 && count != c->run.info.name_count) {
        return el_error_set(c->err, EVLOG_ERR_CORRUPT, "it has %llu names, its footer says %llu",
                            (unsigned long long)count, (unsigned long long)c->run.info.name_count);
    }
    return code == 0 ? 0 : el_error_set(c->err, code, "names: %s", evlog_error_text(code));
}

static int check_leaf(struct check *c, struct index_cursor *cursor, uint32_t number,
                      const struct el_name_unpacker *first)
{
    struct el_slice key, wanted = el_slice_of(first->key, first->key_len);
    uint32_t slot = 0;
    int code = index_cursor_seek_name(cursor, first->slot, wanted, (struct el_slice){NULL, 0});
    code = code != 0 ? code : index_cursor_next_name(cursor, &slot, &key);
    if (code <= 0 || el_name_compare(slot, key, first->slot, wanted) != 0) {
        return code < 0 ? unread(c, number, code) : wrong(c, number, "a search for its first name does not find it");
    }
    return 0;
}

/* p[EL_RUN_NAME_LEN] and u are for the blocks. */
static int check_tree(struct check *c, struct index_cursor *cursor, uint8_t *p, struct el_name_unpacker *u)
{
    for (uint32_t i = 0; i < c->run.info.name_block_count; i++) {
        struct el_run_block block = {.run_id = c->run.info.run_id,
                                     .number = c->run.info.names_block + i * (EL_RUN_NAME_LEN / EL_RUN_BLOCK_LEN)};
        int code = index_run_bytes(&c->run, block.number, p, EL_RUN_NAME_LEN);
        code = code != 0 ? code : el_run_block_open(p, EL_RUN_NAME_LEN, &block);
        if (code != 0) {
            return unread(c, block.number, code);
        }
        bool index = block.kind == EL_RUN_NAME_INDEX;
        el_name_unpacker_init(u, p + EL_RUN_BLOCK_HEADER_LEN, EL_RUN_NAME_LEN - EL_RUN_BLOCK_HEADER_LEN, block.count,
                              index);
        code = el_name_unpack(u);
        code = code <= 0 ? wrong(c, block.number, "no names") : index ? 0 : check_leaf(c, cursor, block.number, u);
        while (code == 0 && index && u->left > 0) {
            code = el_name_unpack(u) > 0 ? 0 : wrong(c, block.number, "a name that is none");
        }
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

static int check_names(struct check *c)
{
    struct index_cursor *cursor = NULL;
    uint8_t *p = el_malloc(EL_RUN_NAME_LEN);
    struct el_name_unpacker *u = el_malloc(sizeof(*u));
    int code = p == NULL || u == NULL ? EVLOG_ERR_NO_MEMORY : index_cursor_open(&c->run, &cursor);
    if (code != 0) {
        el_error_set(c->err, code, "%s", evlog_error_text(code));
    }
    code = code != 0 ? code : check_order(c, cursor);
    code = code != 0 ? code : check_tree(c, cursor, p, u);
    index_cursor_close(cursor);
    el_free(u);
    el_free(p);
    return code;
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static int run_look(struct check *c, struct disk *disk, const char *path, uint64_t run_id)
{
    struct el_index_run_info info;
    int code = index_run_peek(disk, path, &info, c->err);
    if (code == 0 && info.run_id != run_id) {
        code = el_error_set(c->err, EVLOG_ERR_CORRUPT, "it is another run");
    }
    if (code != 0) {
        return code;
    }
    void *memory = el_malloc(index_run_memory(&info, true));
    if (memory == NULL) {
        return el_error_set(c->err, EVLOG_ERR_NO_MEMORY, "no memory for its filter");
    }
    code = index_run_open(disk, path, &info, memory, true, &c->run, c->err);
    if (code == 0) {
        code = check_entries(c);
        code = code != 0 ? code : check_names(c);
        index_run_close(&c->run);
    }
    el_free(memory);
    return code;
}

static int run_check(struct disk *disk, uint32_t shard, const struct index_list *list, uint64_t run_id,
                     struct index_check_count *count, struct el_error *err)
{
    char path[INDEX_PATH_LEN];
    struct check *c = el_calloc(1, sizeof(*c));
    if (c == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory to check the stream index");
    }
    c->next_slot = list->next_slot;
    c->err = err;
    index_run_path(path, shard, run_id);
    int code = run_look(c, disk, path, run_id);
    if (code == EVLOG_ERR_NOT_FOUND) {
        code = el_error_set(err, EVLOG_ERR_CORRUPT, "the list names it, but it is not there");
    }
    if (code == 0) {
        count->run_count++;
        count->entry_count += c->run.info.entry_count;
        count->name_count += c->run.info.name_count;
    } else {
        el_error_wrap(err, "%s", path);
    }
    el_free(c);
    return code;
}

int index_check_shard(struct disk *disk, uint32_t shard, struct index_check_count *count, struct el_error *err)
{
    struct index_list list;
    struct index_check_count found = {.run_count = 0};
    int code = index_list_load(disk, shard, &list, err);
    if (code != 0) {
        return code;
    }
    for (uint32_t i = 0; i < list.run_count && code == 0; i++) {
        code = run_check(disk, shard, &list, list.run_ids[i], &found, err);
    }
    index_list_free(&list);
    if (code == 0) {
        *count = found;
    }
    return code;
}

int index_drop(struct disk *disk, uint32_t shard, struct el_error *err)
{
    char folder[INDEX_PATH_LEN], path[INDEX_PATH_LEN + 8];
    const struct index_list none = {.sequence = 0};
    snprintf(folder, sizeof(folder), "streams/%04u", shard);
    snprintf(path, sizeof(path), "%s/list", folder);
    int code = index_list_sweep(disk, shard, &none, err); /* first: a list without its runs is of no use to anyone */
    if (code != 0) {
        return code;
    }
    code = disk_sync_dir(disk, folder);
    code = code != 0 ? code : disk_unlink(disk, path);
    code = code == 0 || code == EVLOG_ERR_NOT_FOUND ? disk_sync_dir(disk, folder) : code;
    if (code == 0 || code == EVLOG_ERR_NOT_FOUND) {
        return 0;
    }
    return el_error_set(err, code, "stream index: removing %s: %s", path, evlog_error_text(code));
}
