/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking into a run. An open run is its top in memory, maybe its filter, and a descriptor; nothing of it changes, so
 * any number of threads may look.
 *
 * A find: the group by the top, in memory; the first block by the group's index block; from there block after block, in
 * the direction asked for, until an entry lies outside. Each block that is read is checked; one that is damaged fails
 * the finds that need it and no others.
 */
#include <stream/index_run_priv.h>

#include <core/alloc.h>
#include <core/assert.h>

#define READ_LEN (64u << 10)

EL_STATIC_ASSERT(sizeof(struct index_run_top) == 40, "the top of a run with 10^9 entries takes a few MiB");
EL_STATIC_ASSERT(READ_LEN % EL_RUN_BLOCK_LEN == 0, "whole blocks are read");

/* --- blocks ------------------------------------------------------------------------------------------------------- */

int index_run_bytes(const struct index_run *run, uint32_t number, uint8_t *p, size_t len)
{
    size_t done = 0;
    int code = disk_pread(run->disk, run->fd, p, len, (uint64_t)number * EL_RUN_BLOCK_LEN, &done);
    return code != 0 ? code : done < len ? EVLOG_ERR_CORRUPT : 0;
}

int index_run_block(const struct index_run *run, uint32_t number, size_t len, enum el_run_block_kind kind, uint8_t *p,
                    uint16_t *count)
{
    struct el_run_block block = {.run_id = run->info.run_id, .number = number};
    int code = index_run_bytes(run, number, p, len);
    code = code != 0 ? code : el_run_block_open(p, len, &block);
    if (code == 0 && block.kind != kind) {
        code = EVLOG_ERR_CORRUPT;
    }
    if (code == 0) {
        *count = block.count;
    }
    return code;
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

static int run_peek(struct disk *disk, int fd, struct el_index_run_info *info)
{
    uint8_t p[EL_RUN_BLOCK_LEN];
    uint64_t len = 0, run_id = 0;
    size_t done = 0;
    int code = disk_len(disk, fd, &len);
    if (code == 0 && len < (size_t)2 * EL_RUN_BLOCK_LEN) {
        code = EVLOG_ERR_CORRUPT;
    }
    code = code != 0 ? code : disk_pread(disk, fd, p, sizeof(p), 0, &done);
    if (code == 0) {
        code = done < sizeof(p) ? EVLOG_ERR_CORRUPT : el_run_header_get(p, &run_id);
    }
    code = code != 0 ? code : disk_pread(disk, fd, p, sizeof(p), len - EL_RUN_BLOCK_LEN, &done);
    if (code == 0) {
        code = done < sizeof(p) ? EVLOG_ERR_CORRUPT : el_run_footer_get(p, run_id, len, info);
    }
    return code;
}

int index_run_peek(struct disk *disk, const char *path, struct el_index_run_info *info, struct el_error *err)
{
    int fd = -1;
    int code = disk_open(disk, path, DISK_READ, &fd);
    if (code == 0) {
        code = run_peek(disk, fd, info);
        disk_close(disk, fd);
    }
    return code == 0 ? 0 : el_error_set(err, code, "stream index: %s: %s", path, evlog_error_text(code));
}

static size_t top_len(const struct el_index_run_info *info)
{
    return EL_ALIGN_UP(((size_t)info->group_count + 1) * sizeof(struct index_run_top), (size_t)EL_RUN_LINE_LEN);
}

size_t index_run_memory(const struct el_index_run_info *info, bool with_filter)
{
    return top_len(info) + (with_filter ? (size_t)info->filter_len : 0);
}

/* A group must begin where the one before ends, in blocks and in keys. */
static int top_take(const struct index_run *run, struct index_run_top *top, uint32_t index,
                    const struct el_run_group *group)
{
    struct index_run_top *t = &top[index];
    if (group->first.slot == 0 || group->block_count == 0 || group->block_count > EL_RUN_KEYS_MAX ||
        group->line_count == 0 || group->line_count > run->info.filter_len / EL_RUN_LINE_LEN - t->first_line ||
        group->first_block != t->first_block) {
        return EVLOG_ERR_CORRUPT;
    }
    if (index > 0) {
        const struct el_stream_entry before = {.slot = t[-1].slot, .hash = t[-1].hash, .position = t[-1].position};
        if (el_stream_entry_compare(&before, &group->first) >= 0) {
            return EVLOG_ERR_CORRUPT;
        }
    }
    t->hash = group->first.hash;
    t->position = group->first.position;
    t->slot = group->first.slot;
    t->block_count = group->block_count;
    uint64_t next = (uint64_t)t->first_block + group->block_count + 1 + el_run_filter_blocks(group->line_count);
    if (next > run->info.names_block) {
        return EVLOG_ERR_CORRUPT;
    }
    t[1] = (struct index_run_top){.first_block = (uint32_t)next, .first_line = t->first_line + group->line_count};
    return 0;
}

static int top_read(const struct index_run *run, struct index_run_top *top)
{
    uint8_t p[EL_RUN_BLOCK_LEN];
    uint32_t read = 0;
    uint16_t count = 0;
    struct el_run_group group;
    top[0] = (struct index_run_top){.first_block = 1};
    for (uint32_t b = 0; read < run->info.group_count; b++) {
        int code = index_run_block(run, run->info.top_block + b, sizeof(p), EL_RUN_TOP, p, &count);
        if (code == 0 && count != EL_MIN(run->info.group_count - read, EL_RUN_GROUPS_MAX)) {
            code = EVLOG_ERR_CORRUPT;
        }
        for (uint32_t i = 0; code == 0 && i < count; i++, read++) {
            el_run_group_get(p + EL_RUN_BLOCK_HEADER_LEN + (size_t)i * EL_RUN_GROUP_LEN, &group);
            code = top_take(run, top, read, &group);
        }
        if (code != 0) {
            return code;
        }
    }
    EL_ASSERT(read == run->info.group_count);
    bool whole = top[read].first_block == run->info.names_block &&
                 (uint64_t)top[read].first_line * EL_RUN_LINE_LEN == run->info.filter_len;
    return whole ? 0 : EVLOG_ERR_CORRUPT;
}

static int filter_take(const struct index_run *run, uint32_t number, const uint8_t *p, uint8_t *lines, uint32_t count)
{
    struct el_run_block block = {.run_id = run->info.run_id, .number = number};
    int code = el_run_block_open(p, EL_RUN_BLOCK_LEN, &block);
    if (code != 0 || block.kind != EL_RUN_FILTER || block.count != count) {
        return EVLOG_ERR_CORRUPT;
    }
    memcpy(lines, p + EL_RUN_LINES_POS, (size_t)count * EL_RUN_LINE_LEN);
    return 0;
}

static int filter_read(const struct index_run *run, uint8_t *lines, uint8_t *buf)
{
    for (uint32_t g = 0; g < run->info.group_count; g++) {
        const struct index_run_top *t = &run->top[g];
        uint32_t number = t->first_block + t->block_count + 1, end = t[1].first_block, line = t->first_line;
        while (number < end) {
            uint32_t count = EL_MIN(end - number, READ_LEN / EL_RUN_BLOCK_LEN);
            int code = index_run_bytes(run, number, buf, (size_t)count * EL_RUN_BLOCK_LEN);
            for (uint32_t i = 0; code == 0 && i < count; i++) {
                uint32_t line_count = EL_MIN(t[1].first_line - line, EL_RUN_LINES_MAX);
                EL_ASSERT(line + line_count <= t[1].first_line); /* which top_take() has kept within the filter */
                code = filter_take(run, number + i, buf + (size_t)i * EL_RUN_BLOCK_LEN,
                                   lines + (size_t)line * EL_RUN_LINE_LEN, line_count);
                line += line_count;
            }
            if (code != 0) {
                return code;
            }
            number += count;
        }
    }
    return 0;
}

static int run_fill(struct index_run *run, void *memory, bool with_filter)
{
    struct index_run_top *top = memory;
    int code = top_read(run, top);
    run->top = top;
    if (code != 0 || !with_filter) {
        return code;
    }
    uint8_t *lines = (uint8_t *)memory + top_len(&run->info);
    uint8_t *buf = el_malloc(READ_LEN);
    code = buf == NULL ? EVLOG_ERR_NO_MEMORY : filter_read(run, lines, buf);
    el_free(buf);
    run->filter = lines;
    return code;
}

int index_run_open(struct disk *disk, const char *path, const struct el_index_run_info *info, void *memory,
                   bool with_filter, struct index_run *run, struct el_error *err)
{
    struct index_run found = {.fd = -1, .disk = disk, .info = *info};
    EL_ASSERT((uintptr_t)memory % _Alignof(struct index_run_top) == 0);
    int code = disk_open(disk, path, DISK_READ, &found.fd);
    if (code == 0) {
        code = run_fill(&found, memory, with_filter);
        if (code != 0) {
            disk_close(disk, found.fd);
        }
    }
    if (code != 0) {
        return el_error_set(err, code, "stream index: %s: %s", path, evlog_error_text(code));
    }
    *run = found;
    return 0;
}

void index_run_close(struct index_run *run)
{
    EL_ASSERT(run->fd >= 0);
    disk_close(run->disk, run->fd);
    run->fd = -1;
}

/* --- finding ------------------------------------------------------------------------------------------------------ */

/* Is the first entry of the group at or below the key? */
static bool begins_at_or_below(const struct index_run_top *t, const struct el_stream_entry *key)
{
    if (t->slot != key->slot) {
        return t->slot < key->slot;
    }
    if (t->hash.high != key->hash.high) {
        return t->hash.high < key->hash.high;
    }
    if (t->hash.low != key->hash.low) {
        return t->hash.low < key->hash.low;
    }
    return t->position <= key->position;
}

/* How many groups begin at or below the key: those behind hold only what is above it. */
static uint32_t groups_up_to(const struct index_run *run, const struct el_stream_entry *key)
{
    uint32_t low = 0, high = run->info.group_count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (begins_at_or_below(&run->top[mid], key)) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

bool index_run_may_hold(const struct index_run *run, uint32_t slot, struct el_hash128 hash)
{
    const struct el_stream_entry last = {.slot = slot, .hash = hash, .position = UINT64_MAX};
    uint32_t count = groups_up_to(run, &last);
    if (count == 0) {
        return false;
    }
    if (run->filter == NULL) {
        return true;
    }
    /* The last entry of the hash, if there is one, is in this group. */
    const struct index_run_top *t = &run->top[count - 1];
    return el_run_filter_has(run->filter + (size_t)t->first_line * EL_RUN_LINE_LEN, t[1].first_line - t->first_line,
                             slot, hash);
}

/* Whoever has a version goes on with the next one, whatever bytes of a disk say. */
static bool is_beyond(const struct el_stream_entry *entry)
{
    return entry->position >= INDEX_POSITION_END;
}

/* What a find has come to. */
struct finding {
    const struct index_run *run;
    struct el_stream_entry low, high; /* keys of the range */
    struct el_stream_entry *entries;
    uint32_t room, count;
    uint8_t block[EL_RUN_BLOCK_LEN];
};

/* Which block of the group holds the last entry at or below the key, or its first block when all are above. */
static int block_in_group(struct finding *f, uint32_t group, const struct el_stream_entry *key, uint32_t *block)
{
    EL_ASSERT(group < f->run->info.group_count);
    const struct index_run_top *t = &f->run->top[group];
    uint16_t count = 0;
    int code = index_run_block(f->run, t->first_block + t->block_count, sizeof(f->block), EL_RUN_INDEX, f->block,
                               &count);
    if (code != 0 || count != t->block_count) {
        return code != 0 ? code : EVLOG_ERR_CORRUPT;
    }
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        struct el_stream_entry first;
        el_run_key_get(f->block + EL_RUN_BLOCK_HEADER_LEN + (size_t)mid * EL_RUN_KEY_LEN, &first);
        if (el_stream_entry_compare(&first, key) <= 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    *block = low == 0 ? 0 : low - 1;
    EL_ASSERT(*block < t->block_count);
    return 0;
}

static int block_unpacker(struct finding *f, uint32_t group, uint32_t block, struct el_entry_unpacker *u)
{
    uint16_t count = 0;
    int code = index_run_block(f->run, f->run->top[group].first_block + block, sizeof(f->block), EL_RUN_ENTRIES,
                               f->block, &count);
    if (code == 0 && count == 0) {
        code = EVLOG_ERR_CORRUPT;
    }
    el_entry_unpacker_init(u, f->block + EL_RUN_BLOCK_HEADER_LEN, EL_RUN_BLOCK_LEN - EL_RUN_BLOCK_HEADER_LEN, count);
    return code;
}

/* Take what is in range of one block. returns 1 the next block may hold more | 0 no more | EVLOG_ERR_... */
static int take_ascending(struct finding *f, uint32_t group, uint32_t block)
{
    struct el_entry_unpacker u;
    int code = block_unpacker(f, group, block, &u);
    code = code != 0 ? code : el_entry_unpack(&u);
    while (code > 0 && f->count < f->room) {
        if (el_stream_entry_compare(&u.last, &f->high) > 0) {
            return 0;
        }
        if (el_stream_entry_compare(&u.last, &f->low) >= 0) {
            f->entries[f->count++] = u.last;
            if (is_beyond(&u.last)) {
                return EVLOG_ERR_CORRUPT;
            }
        }
        code = el_entry_unpack(&u);
    }
    return code < 0 ? code : f->count < f->room;
}

static int find_ascending(struct finding *f)
{
    uint32_t count = groups_up_to(f->run, &f->low), group = count == 0 ? 0 : count - 1, block = 0;
    int code = count == 0 ? 0 : block_in_group(f, group, &f->low, &block);
    int more = code == 0;
    while (more > 0 && group < f->run->info.group_count) {
        EL_ASSERT(block < f->run->top[group].block_count);
        more = take_ascending(f, group, block);
        if (++block == f->run->top[group].block_count) {
            block = 0;
            group++;
        }
    }
    return code != 0 ? code : more < 0 ? more : 0;
}

static void turn_round(struct el_stream_entry *entries, uint32_t count)
{
    for (uint32_t i = 0; i < count / 2; i++) {
        struct el_stream_entry e = entries[i];
        entries[i] = entries[count - 1 - i];
        entries[count - 1 - i] = e;
    }
}

/* As take_ascending(), from the block's end: entries go round in what is left of the room, so that the last ones stay.
 */
static int take_descending(struct finding *f, uint32_t group, uint32_t block)
{
    struct el_entry_unpacker u;
    struct el_stream_entry *ring = f->entries + f->count;
    EL_ASSERT(f->count < f->room);
    uint32_t room = f->room - f->count, in_range = 0, at = 0;
    int code = block_unpacker(f, group, block, &u);
    code = code != 0 ? code : el_entry_unpack(&u);
    bool goes_on = code > 0 && el_stream_entry_compare(&u.last, &f->low) > 0; /* what is before may be in range too */
    while (code > 0 && el_stream_entry_compare(&u.last, &f->high) <= 0) {
        if (el_stream_entry_compare(&u.last, &f->low) >= 0) {
            if (is_beyond(&u.last)) {
                return EVLOG_ERR_CORRUPT;
            }
            ring[at] = u.last;
            at = at + 1 == room ? 0 : at + 1;
            in_range++;
        }
        code = el_entry_unpack(&u);
    }
    if (code < 0) {
        return code;
    }
    uint32_t take = EL_MIN(in_range, room);
    turn_round(ring, in_range > room ? at : take);
    if (in_range > room) {
        turn_round(ring + at, room - at);
    }
    f->count += take;
    EL_ASSERT(f->count <= f->room);
    return f->count < f->room && goes_on;
}

static int find_descending(struct finding *f)
{
    uint32_t count = groups_up_to(f->run, &f->high), block = 0;
    if (count == 0) {
        return 0;
    }
    uint32_t group = count - 1;
    int code = block_in_group(f, group, &f->high, &block);
    if (code != 0) {
        return code;
    }
    for (;;) {
        int more = take_descending(f, group, block);
        if (more <= 0 || (block == 0 && group == 0)) {
            return more < 0 ? more : 0;
        }
        if (block == 0) {
            group--;
            block = f->run->top[group].block_count;
        }
        block--;
    }
}

int index_run_find(const struct index_run *run, uint32_t slot, struct el_hash128 hash, uint64_t low, uint64_t high,
                   bool descending, struct el_stream_entry *entries, uint32_t room, uint32_t *count)
{
    struct finding f = {.run = run,
                        .low = {.slot = slot, .hash = hash, .position = low},
                        .high = {.slot = slot, .hash = hash, .position = high},
                        .entries = entries,
                        .room = room};
    int code = low > high || room == 0 ? 0 : descending ? find_descending(&f) : find_ascending(&f);
    if (code == 0) {
        *count = f.count;
    }
    return code;
}
