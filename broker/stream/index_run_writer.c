/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing a run. In a job, one thread at a time.
 *
 * 1. entries are packed into a block; the first entry of each block is a key of the group's index block
 * 2. a group of EL_RUN_KEYS_MAX blocks ends with its index block and the filter over its hashes, so what is kept in
 *    memory is one group, however long the run gets
 * 3. names are packed into leaves, and the first name of each leaf into the tree above it, built from below: a level
 *    has one open block
 * 4. the top has an item for each group; the footer says where all is
 *
 * What has been packed leaves through one buffer, front to back, and is synced on the way, so that a long run does not
 * leave the device a flood at its end. An error stays: all further calls return it, and closing removes the file.
 */
#include <stream/index_run.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <stdio.h>
#include <stream/index_list.h>

#define OUT_LEN (256u << 10)
#define SYNC_LEN (8u << 20)
#define BLOCK_NUMBER_MAX (UINT32_MAX - 64u) /* the last blocks of a run have to find room behind it */
#define NAME_LEVELS_MAX 22u /* a block of the tree has three names at least, and there are 2^32 blocks */

/* A block of names that is being filled. */
struct name_level {
    struct el_name_packer pack;
    uint32_t first_slot;
    uint32_t first_len;
    uint32_t carried_len;
    uint8_t first[EL_RUN_NAME_KEY_MAX];   /* name that the block begins with */
    uint8_t carried[EL_RUN_NAME_KEY_MAX]; /* that of the block before, on its way to the level above */
    uint8_t block[EL_RUN_NAME_LEN];
};

struct slot_hash {
    struct el_hash128 hash;
    uint32_t slot;
};

struct index_run_writer {
    struct disk *disk;
    char path[INDEX_PATH_LEN];
    int fd;
    int code; /* the error that ended it */
    bool finished;
    bool names; /* entries are complete */
    struct el_index_run_info info;

    uint8_t *out; /* [OUT_LEN] */
    size_t out_len;
    uint64_t out_pos;    /* file position of out */
    uint64_t synced_pos; /* the file is synced below it */

    struct el_stream_entry last;
    struct el_entry_packer pack;
    uint8_t block[EL_RUN_BLOCK_LEN];
    uint8_t keys[EL_RUN_BLOCK_LEN]; /* index block of the group */
    struct el_run_group group;      /* block_count 0: none begun */
    struct slot_hash *hashes;       /* of the group, each once */
    uint32_t hash_count, hash_room;
    struct el_run_group *groups; /* those that are complete */
    uint32_t group_room;

    struct name_level *levels[NAME_LEVELS_MAX];
};

/* --- bytes -------------------------------------------------------------------------------------------------------- */

static int out_flush(struct index_run_writer *w)
{
    if (w->code == 0 && w->out_len > 0) {
        w->code = disk_pwrite(w->disk, w->fd, w->out, w->out_len, w->out_pos);
        w->out_pos += w->out_len;
        w->out_len = 0;
    }
    if (w->code == 0 && w->out_pos - w->synced_pos >= SYNC_LEN) {
        w->code = disk_sync(w->disk, w->fd);
        w->synced_pos = w->out_pos;
    }
    return w->code;
}

static uint32_t next_number(const struct index_run_writer *w)
{
    return (uint32_t)((w->out_pos + w->out_len) / EL_RUN_BLOCK_LEN);
}

/* Room for so many bytes in the buffer, which the caller fills at once; NULL after an error. */
static uint8_t *out_room(struct index_run_writer *w, size_t len)
{
    if (w->out_len + len > OUT_LEN) {
        out_flush(w);
    }
    if (w->code == 0 && next_number(w) > BLOCK_NUMBER_MAX) {
        w->code = EVLOG_ERR_LIMIT;
    }
    if (w->code != 0) {
        return NULL;
    }
    uint8_t *room = w->out + w->out_len;
    w->out_len += len;
    return room;
}

/* Seal a block and let it go. Its number is that of the place. */
static int block_put(struct index_run_writer *w, uint8_t *p, size_t len, enum el_run_block_kind kind, uint16_t count)
{
    struct el_run_block block = {.run_id = w->info.run_id, .kind = kind, .count = count};
    uint8_t *room = out_room(w, len);
    if (room != NULL) {
        block.number = next_number(w) - (uint32_t)(len / EL_RUN_BLOCK_LEN);
        el_run_block_seal(p, len, &block);
        memcpy(room, p, len);
    }
    return w->code;
}

int index_run_writer_open(struct disk *disk, const char *path, uint64_t run_id, struct index_run_writer **writer,
                          struct el_error *err)
{
    struct index_run_writer *w = el_calloc(1, sizeof(*w));
    uint8_t *out = el_malloc(OUT_LEN);
    int code = w == NULL || out == NULL ? EVLOG_ERR_NO_MEMORY : 0;
    if (code == 0) {
        EL_ASSERT(strlen(path) < sizeof(w->path));
        w->disk = disk;
        w->out = out;
        w->info.run_id = run_id;
        memcpy(w->path, path, strlen(path));
        code = disk_open(disk, path, DISK_WRITE | DISK_CREATE | DISK_EXCL, &w->fd);
    }
    if (code != 0) {
        el_free(out);
        el_free(w);
        return el_error_set(err, code, "stream index: making %s: %s", path, evlog_error_text(code));
    }
    el_run_header_put(out_room(w, EL_RUN_BLOCK_LEN), run_id);
    el_entry_packer_init(&w->pack, w->block + EL_RUN_BLOCK_HEADER_LEN, EL_RUN_BLOCK_LEN - EL_RUN_BLOCK_HEADER_LEN);
    *writer = w;
    return 0;
}

/* --- entries ------------------------------------------------------------------------------------------------------ */

/* A longer array in place of a full one; NULL when there is no memory, and the old one stays. */
static void *grown(void *array, uint32_t *room, size_t item_len)
{
    uint32_t more = *room == 0 ? 64 : *room * 2;
    void *longer = el_realloc(array, more * item_len);
    if (longer != NULL) {
        *room = more;
    }
    return longer;
}

static int hash_add(struct index_run_writer *w, const struct el_stream_entry *entry)
{
    if (w->hash_count == w->hash_room) {
        struct slot_hash *longer = grown(w->hashes, &w->hash_room, sizeof(*longer));
        if (longer == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        w->hashes = longer;
    }
    w->hashes[w->hash_count++] = (struct slot_hash){.hash = entry->hash, .slot = entry->slot};
    return 0;
}

static int filter_put(struct index_run_writer *w, uint32_t line_count)
{
    uint8_t *lines = el_calloc(line_count, EL_RUN_LINE_LEN);
    if (lines == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < w->hash_count; i++) {
        el_run_filter_add(lines, line_count, w->hashes[i].slot, w->hashes[i].hash);
    }
    for (uint32_t from = 0; from < line_count && w->code == 0; from += EL_RUN_LINES_MAX) {
        uint32_t count = EL_MIN(line_count - from, EL_RUN_LINES_MAX);
        memset(w->block, 0, sizeof(w->block));
        memcpy(w->block + EL_RUN_LINES_POS, lines + (size_t)from * EL_RUN_LINE_LEN, (size_t)count * EL_RUN_LINE_LEN);
        block_put(w, w->block, sizeof(w->block), EL_RUN_FILTER, (uint16_t)count);
    }
    el_free(lines);
    return w->code;
}

static int group_close(struct index_run_writer *w)
{
    struct el_run_group *group = &w->group;
    EL_ASSERT(group->block_count > 0);
    EL_ASSERT(w->hash_count > 0);
    EL_ASSERT(next_number(w) == group->first_block + group->block_count);
    if (w->info.group_count == w->group_room) {
        struct el_run_group *longer = grown(w->groups, &w->group_room, sizeof(*longer));
        if (longer == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        w->groups = longer;
    }
    size_t keys_len = EL_RUN_BLOCK_HEADER_LEN + (size_t)group->block_count * EL_RUN_KEY_LEN;
    memset(w->keys + keys_len, 0, sizeof(w->keys) - keys_len);
    group->line_count = el_run_line_count(w->hash_count);
    int code = block_put(w, w->keys, sizeof(w->keys), EL_RUN_INDEX, (uint16_t)group->block_count);
    code = code != 0 ? code : filter_put(w, group->line_count);
    if (code != 0) {
        return code;
    }
    w->groups[w->info.group_count++] = *group;
    w->info.block_count += group->block_count;
    w->info.hash_count += w->hash_count;
    w->info.filter_len += (uint64_t)group->line_count * EL_RUN_LINE_LEN;
    w->group = (struct el_run_group){.block_count = 0};
    w->hash_count = 0;
    return 0;
}

/* Let the block of entries go; the next one is empty. */
static int entries_put(struct index_run_writer *w)
{
    struct el_entry_packer *pack = &w->pack;
    EL_ASSERT(pack->count > 0);
    memset(pack->p, 0, (size_t)(pack->end - pack->p));
    int code = block_put(w, w->block, sizeof(w->block), EL_RUN_ENTRIES, pack->count);
    w->group.block_count++;
    el_entry_packer_init(pack, w->block + EL_RUN_BLOCK_HEADER_LEN, EL_RUN_BLOCK_LEN - EL_RUN_BLOCK_HEADER_LEN);
    if (code == 0 && w->group.block_count == EL_RUN_KEYS_MAX) {
        code = group_close(w);
    }
    return code;
}

static int entries_close(struct index_run_writer *w)
{
    int code = w->pack.count > 0 ? entries_put(w) : 0;
    code = code != 0 || w->group.block_count == 0 ? code : group_close(w);
    w->info.names_block = next_number(w);
    w->names = true;
    return code;
}

static int entry_add(struct index_run_writer *w, const struct el_stream_entry *entry)
{
    int code = 0;
    if (!el_entry_pack(&w->pack, entry)) {
        code = entries_put(w);
        if (code != 0) {
            return code;
        }
        bool fits = el_entry_pack(&w->pack, entry);
        EL_ASSERT(fits);
    }
    if (w->pack.count == 1) {
        if (w->group.block_count == 0) {
            w->group.first = *entry;
            w->group.first_block = next_number(w);
        }
        el_run_key_put(w->keys + EL_RUN_BLOCK_HEADER_LEN + (size_t)w->group.block_count * EL_RUN_KEY_LEN, entry);
    }
    if (w->hash_count == 0 || !el_stream_entry_same_hash(&w->last, entry)) {
        code = hash_add(w, entry);
    }
    w->last = *entry;
    w->info.entry_count++;
    return code;
}

int index_run_writer_add(struct index_run_writer *w, const struct el_stream_entry *entry)
{
    EL_ASSERT(!w->finished);
    EL_ASSERT(!w->names);
    EL_ASSERT(entry->slot > 0);
    EL_ASSERT(w->info.entry_count == 0 || el_stream_entry_compare(&w->last, entry) < 0);
    if (w->code == 0) {
        w->code = entry_add(w, entry);
    }
    return w->code;
}

/* --- names -------------------------------------------------------------------------------------------------------- */

static void level_clear(struct name_level *l, bool index)
{
    el_name_packer_init(&l->pack, l->block + EL_RUN_BLOCK_HEADER_LEN, EL_RUN_NAME_LEN - EL_RUN_BLOCK_HEADER_LEN, index);
}

/* Let the block of a level go; *number is its place in the file, and l->carried the name that it begins with. */
static int level_put(struct index_run_writer *w, struct name_level *l, uint32_t *number)
{
    EL_ASSERT(l->pack.count > 0);
    memset(l->pack.p, 0, (size_t)(l->pack.end - l->pack.p));
    int code = block_put(w, l->block, sizeof(l->block), l->pack.index ? EL_RUN_NAME_INDEX : EL_RUN_NAMES,
                         l->pack.count);
    *number = next_number(w) - EL_RUN_NAME_LEN / EL_RUN_BLOCK_LEN;
    memcpy(l->carried, l->first, l->first_len);
    l->carried_len = l->first_len;
    w->info.name_block_count++;
    level_clear(l, l->pack.index);
    return code;
}

/* returns false when the block is full */
static bool level_add(struct name_level *l, uint32_t slot, struct el_slice key, uint32_t block)
{
    if (!el_name_pack(&l->pack, slot, key, block)) {
        return false;
    }
    if (l->pack.count == 1) {
        l->first_slot = slot;
        l->first_len = (uint32_t)key.len;
        memcpy(l->first, l->pack.key, key.len);
    }
    return true;
}

/* Add a name to a level; a block that is full by that goes, and its name to the level above, and so on. */
static int name_add(struct index_run_writer *w, uint32_t level, uint32_t slot, struct el_slice key, uint32_t block)
{
    for (; level < NAME_LEVELS_MAX; level++) {
        struct name_level *l = w->levels[level];
        if (l == NULL) {
            l = w->levels[level] = el_malloc(sizeof(*l));
            if (l == NULL) {
                return EVLOG_ERR_NO_MEMORY;
            }
            level_clear(l, level > 0);
        }
        if (level_add(l, slot, key, block)) {
            return 0;
        }
        uint32_t full_slot = l->first_slot, number = 0;
        int code = level_put(w, l, &number);
        if (code != 0) {
            return code;
        }
        bool fits = level_add(l, slot, key, block);
        EL_ASSERT(fits);
        slot = full_slot;
        key = el_slice_of(l->carried, l->carried_len);
        block = number;
    }
    return EVLOG_ERR_LIMIT;
}

int index_run_writer_add_name(struct index_run_writer *w, uint32_t slot, struct el_slice key)
{
    EL_ASSERT(!w->finished);
    EL_ASSERT(slot > 0);
    EL_ASSERT(key.len <= EL_RUN_NAME_KEY_MAX);
    if (w->code == 0 && !w->names) {
        w->code = entries_close(w);
    }
    if (w->code == 0) {
        w->code = name_add(w, 0, slot, key, 0);
        w->info.name_count++;
    }
    return w->code;
}

/* From the leaves up, until one block is over all. */
static int names_close(struct index_run_writer *w)
{
    for (uint32_t level = 0; level < NAME_LEVELS_MAX && w->levels[level] != NULL; level++) {
        struct name_level *l = w->levels[level];
        uint32_t number = 0;
        int code = level_put(w, l, &number);
        bool root = level + 1 == NAME_LEVELS_MAX || w->levels[level + 1] == NULL;
        if (code == 0 && !root) {
            code = name_add(w, level + 1, l->first_slot, el_slice_of(l->carried, l->carried_len), number);
        }
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

/* --- end ---------------------------------------------------------------------------------------------------------- */

static int top_put(struct index_run_writer *w)
{
    w->info.top_block = next_number(w);
    for (uint32_t from = 0; from < w->info.group_count && w->code == 0; from += EL_RUN_GROUPS_MAX) {
        uint32_t count = EL_MIN(w->info.group_count - from, EL_RUN_GROUPS_MAX);
        memset(w->block, 0, sizeof(w->block));
        for (uint32_t i = 0; i < count; i++) {
            el_run_group_put(w->block + EL_RUN_BLOCK_HEADER_LEN + (size_t)i * EL_RUN_GROUP_LEN, &w->groups[from + i]);
        }
        block_put(w, w->block, sizeof(w->block), EL_RUN_TOP, (uint16_t)count);
    }
    return w->code;
}

static int footer_put(struct index_run_writer *w)
{
    uint8_t *room = out_room(w, EL_RUN_BLOCK_LEN);
    if (room == NULL) {
        return w->code;
    }
    w->info.file_len = w->out_pos + w->out_len;
    el_run_footer_put(room, &w->info);
    return out_flush(w);
}

static int run_finish(struct index_run_writer *w)
{
    int code = w->names ? 0 : entries_close(w);
    code = code != 0 ? code : names_close(w);
    code = code != 0 ? code : top_put(w);
    code = code != 0 ? code : footer_put(w);
    return code != 0 ? code : disk_sync(w->disk, w->fd);
}

int index_run_writer_finish(struct index_run_writer *w, struct el_index_run_info *info)
{
    EL_ASSERT(!w->finished);
    if (w->code == 0) {
        w->code = run_finish(w);
    }
    if (w->code == 0) {
        w->finished = true;
        *info = w->info;
    }
    return w->code;
}

uint64_t index_run_writer_len(const struct index_run_writer *w)
{
    return w->out_pos + w->out_len;
}

void index_run_writer_close(struct index_run_writer *w)
{
    if (w == NULL) {
        return;
    }
    disk_close(w->disk, w->fd);
    if (!w->finished) {
        disk_unlink(w->disk, w->path); /* what stays is removed at the next start */
    }
    for (uint32_t level = 0; level < NAME_LEVELS_MAX; level++) {
        el_free(w->levels[level]);
    }
    el_free(w->groups);
    el_free(w->hashes);
    el_free(w->out);
    el_free(w);
}
