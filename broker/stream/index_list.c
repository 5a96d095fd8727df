/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of a shard's runs. Bytes (docs/format.md section 12), little-endian:
 *
 * Header, 128 bytes:
 *   0 8 magic "EVLOGSTL"  8 4 format  12 4 shard  16 8 sequence  24 8 next run id  32 4 next slot  36 4 slots
 *  40 4 runs  44 4 zero  48 16 secret tag  64 8 body length  72 8 XXH3-64 of the body  80 40 zero
 * 120 8 XXH3-64 of 0..120
 * Body: slots, 32 bytes each: 0 4 slot  4 4 partition  8 16 topic id  24 8 end offset; then run ids, 8 bytes each;
 * what is behind them is passed over.
 */
#include <stream/index_list.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <core/hash.h>
#include <io/disk_file.h>
#include <stdio.h>
#include <stdlib.h>

#define LIST_MAGIC "EVLOGSTL"
#define LIST_FORMAT 1u
#define HEADER_LEN 128u
#define SLOT_LEN 32u
#define LIST_LEN_MAX (HEADER_LEN + INDEX_LIST_SLOTS_MAX * SLOT_LEN + (1u << 20)) /* a file that is longer is none */
#define SWEEP_MAX 64u /* files removed by one walk of the folder */
#define RUN_NAME_LEN 20u

static void folder_path(char *path, uint32_t shard)
{
    snprintf(path, INDEX_PATH_LEN, "streams/%04u", shard);
}
static void list_path(char *path, uint32_t shard)
{
    snprintf(path, INDEX_PATH_LEN, "streams/%04u/list", shard);
}
static void tmp_path(char *path, uint32_t shard)
{
    snprintf(path, INDEX_PATH_LEN, "streams/%04u/list.tmp", shard);
}
void index_run_path(char *path, uint32_t shard, uint64_t run_id)
{
    snprintf(path, INDEX_PATH_LEN, "streams/%04u/%016llx.run", shard, (unsigned long long)run_id);
}

/* --- loading ------------------------------------------------------------------------------------------------------ */

/* returns 0 | EVLOG_ERR_CORRUPT | EVLOG_ERR_FORMAT */
static int header_get(const uint8_t *p, size_t len, uint32_t shard, struct index_list *list)
{
    if (len < HEADER_LEN || memcmp(p, LIST_MAGIC, 8) != 0 || el_get_le64(p + 120) != el_xxh3(p, 120)) {
        return EVLOG_ERR_CORRUPT;
    }
    if (el_get_le32(p + 8) != LIST_FORMAT) {
        return el_get_le32(p + 8) > LIST_FORMAT ? EVLOG_ERR_FORMAT : EVLOG_ERR_CORRUPT;
    }
    list->sequence = el_get_le64(p + 16);
    list->next_run_id = el_get_le64(p + 24);
    list->next_slot = el_get_le32(p + 32);
    list->slot_count = el_get_le32(p + 36);
    list->run_count = el_get_le32(p + 40);
    memcpy(list->secret_tag, p + 48, sizeof(list->secret_tag));
    uint64_t body_len = el_get_le64(p + 64);
    bool sound = el_get_le32(p + 12) == shard && list->sequence > 0 && list->slot_count <= INDEX_LIST_SLOTS_MAX &&
                 list->run_count <= INDEX_LIST_RUNS_MAX && body_len == len - HEADER_LEN &&
                 (uint64_t)list->slot_count * SLOT_LEN + list->run_count * 8ull <= body_len &&
                 el_get_le64(p + 72) == el_xxh3(p + HEADER_LEN, len - HEADER_LEN);
    return sound ? 0 : EVLOG_ERR_CORRUPT;
}

static int slots_get(const uint8_t *p, struct index_list *list)
{
    for (uint32_t i = 0; i < list->slot_count; i++, p += SLOT_LEN) {
        struct index_slot *s = &list->slots[i];
        s->slot = el_get_le32(p);
        s->partition = (int32_t)el_get_le32(p + 4);
        memcpy(s->topic_id.bytes, p + 8, sizeof(s->topic_id.bytes));
        s->end_offset = (int64_t)el_get_le64(p + 24);
        if (s->slot >= list->next_slot || s->slot <= (i == 0 ? 0 : s[-1].slot) || s->partition < 0 ||
            s->end_offset < 0) {
            return EVLOG_ERR_CORRUPT;
        }
    }
    return 0;
}

static int run_order(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x == y ? 0 : x < y ? -1 : 1;
}

/* Each run once, and none that is still to be given. */
static int runs_get(const uint8_t *p, struct index_list *list)
{
    for (uint32_t i = 0; i < list->run_count; i++) {
        list->run_ids[i] = el_get_le64(p + (size_t)i * 8);
        if (list->run_ids[i] >= list->next_run_id) {
            return EVLOG_ERR_CORRUPT;
        }
    }
    uint64_t *sorted = el_memdup(list->run_ids, (size_t)list->run_count * 8);
    if (sorted == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    qsort(sorted, list->run_count, sizeof(*sorted), run_order);
    int code = 0;
    for (uint32_t i = 1; i < list->run_count; i++) {
        code = sorted[i] == sorted[i - 1] ? EVLOG_ERR_CORRUPT : code;
    }
    el_free(sorted);
    return code;
}

static int list_get(const uint8_t *p, size_t len, uint32_t shard, struct index_list *list)
{
    struct index_list found = {.sequence = 0};
    int code = header_get(p, len, shard, &found);
    if (code != 0) {
        return code;
    }
    found.slots = el_malloc((size_t)found.slot_count * sizeof(*found.slots));
    found.run_ids = el_malloc((size_t)found.run_count * sizeof(*found.run_ids));
    code = found.slots == NULL || found.run_ids == NULL ? EVLOG_ERR_NO_MEMORY : 0;
    code = code != 0 ? code : slots_get(p + HEADER_LEN, &found);
    code = code != 0 ? code : runs_get(p + HEADER_LEN + (size_t)found.slot_count * SLOT_LEN, &found);
    if (code != 0) {
        index_list_free(&found);
        return code;
    }
    *list = found;
    return 0;
}

static int list_read(struct disk *disk, int fd, uint32_t shard, struct index_list *list)
{
    uint64_t len = 0;
    size_t done = 0;
    int code = disk_len(disk, fd, &len);
    if (code != 0 || len > LIST_LEN_MAX) {
        return code != 0 ? code : EVLOG_ERR_CORRUPT;
    }
    uint8_t *p = el_malloc((size_t)len);
    if (p == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    code = disk_pread(disk, fd, p, (size_t)len, 0, &done);
    code = code != 0 ? code : list_get(p, done, shard, list);
    el_free(p);
    return code;
}

int index_list_load(struct disk *disk, uint32_t shard, struct index_list *list, struct el_error *err)
{
    char path[INDEX_PATH_LEN];
    int fd = -1;
    list_path(path, shard);
    int code = disk_open(disk, path, DISK_READ, &fd);
    if (code == EVLOG_ERR_NOT_FOUND) {
        *list = (struct index_list){.next_run_id = 1, .next_slot = 1};
        return 0;
    }
    if (code == 0) {
        code = list_read(disk, fd, shard, list);
        disk_close(disk, fd);
    }
    return code == 0 ? 0 : el_error_set(err, code, "stream index: %s: %s", path, evlog_error_text(code));
}

void index_list_free(struct index_list *list)
{
    el_free(list->slots);
    el_free(list->run_ids);
    *list = (struct index_list){.sequence = 0};
}

/* --- saving ------------------------------------------------------------------------------------------------------- */

static size_t list_len(const struct index_list *list)
{
    return HEADER_LEN + (size_t)list->slot_count * SLOT_LEN + (size_t)list->run_count * 8;
}

static void list_put(uint8_t *p, uint32_t shard, const struct index_list *list)
{
    size_t body_len = list_len(list) - HEADER_LEN;
    uint8_t *at = p + HEADER_LEN;
    for (uint32_t i = 0; i < list->slot_count; i++, at += SLOT_LEN) {
        const struct index_slot *s = &list->slots[i];
        EL_ASSERT(s->slot < list->next_slot);
        EL_ASSERT(s->slot > (i == 0 ? 0 : s[-1].slot));
        EL_ASSERT(s->end_offset >= 0);
        el_put_le32(at, s->slot);
        el_put_le32(at + 4, (uint32_t)s->partition);
        memcpy(at + 8, s->topic_id.bytes, sizeof(s->topic_id.bytes));
        el_put_le64(at + 24, (uint64_t)s->end_offset);
    }
    for (uint32_t i = 0; i < list->run_count; i++, at += 8) {
        EL_ASSERT(list->run_ids[i] < list->next_run_id);
        el_put_le64(at, list->run_ids[i]);
    }
    memset(p, 0, HEADER_LEN);
    memcpy(p, LIST_MAGIC, 8);
    el_put_le32(p + 8, LIST_FORMAT);
    el_put_le32(p + 12, shard);
    el_put_le64(p + 16, list->sequence);
    el_put_le64(p + 24, list->next_run_id);
    el_put_le32(p + 32, list->next_slot);
    el_put_le32(p + 36, list->slot_count);
    el_put_le32(p + 40, list->run_count);
    memcpy(p + 48, list->secret_tag, sizeof(list->secret_tag));
    el_put_le64(p + 64, body_len);
    el_put_le64(p + 72, el_xxh3(p + HEADER_LEN, body_len));
    el_put_le64(p + 120, el_xxh3(p, 120));
}

int index_list_folder(struct disk *disk, uint32_t shard, struct el_error *err)
{
    char path[INDEX_PATH_LEN];
    folder_path(path, shard);
    int code = disk_mkdir(disk, "streams");
    code = code != 0 ? code : disk_mkdir(disk, path);
    code = code != 0 ? code : disk_sync_dir(disk, "");
    code = code != 0 ? code : disk_sync_dir(disk, "streams");
    return code == 0 ? 0 : el_error_set(err, code, "stream index: making folder %s: %s", path, evlog_error_text(code));
}

int index_list_save(struct disk *disk, uint32_t shard, const struct index_list *list, struct el_error *err)
{
    char path[INDEX_PATH_LEN], tmp[INDEX_PATH_LEN], folder[INDEX_PATH_LEN];
    EL_ASSERT(list->sequence > 0);
    EL_ASSERT(list->slot_count <= INDEX_LIST_SLOTS_MAX);
    EL_ASSERT(list->run_count <= INDEX_LIST_RUNS_MAX);
    list_path(path, shard);
    tmp_path(tmp, shard);
    folder_path(folder, shard);
    int code = index_list_folder(disk, shard, err);
    if (code != 0) {
        return code;
    }
    uint8_t *p = el_malloc(list_len(list));
    if (p == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "stream index: no memory to write %s", path);
    }
    list_put(p, shard, list);
    const struct disk_file file = {folder, path, tmp, 0};
    code = disk_file_replace(disk, &file, p, list_len(list));
    el_free(p);
    return code == 0 ? 0 : el_error_set(err, code, "stream index: writing %s: %s", path, evlog_error_text(code));
}

/* --- sweeping ----------------------------------------------------------------------------------------------------- */

struct sweep {
    const struct index_list *list;
    char names[SWEEP_MAX][RUN_NAME_LEN + 1];
    uint32_t count;
};

/* "00000000000000ab.run" */
static bool is_run_name(const char *name, uint64_t *run_id)
{
    *run_id = 0;
    for (unsigned i = 0; i < 16; i++) {
        char c = name[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return false;
        }
        *run_id = *run_id << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return strcmp(name + 16, ".run") == 0;
}

static bool is_listed(const struct index_list *list, uint64_t run_id)
{
    for (uint32_t i = 0; i < list->run_count; i++) {
        if (list->run_ids[i] == run_id) {
            return true;
        }
    }
    return false;
}

static void sweep_look(void *arg, const char *name, bool is_dir)
{
    struct sweep *s = arg;
    uint64_t run_id = 0;
    bool goes = !is_dir &&
                (strcmp(name, "list.tmp") == 0 || (is_run_name(name, &run_id) && !is_listed(s->list, run_id)));
    if (goes && s->count < SWEEP_MAX) {
        snprintf(s->names[s->count++], sizeof(s->names[0]), "%s", name);
    }
}

int index_list_sweep(struct disk *disk, uint32_t shard, const struct index_list *list, struct el_error *err)
{
    char folder[INDEX_PATH_LEN], path[INDEX_PATH_LEN + RUN_NAME_LEN + 2];
    struct sweep s = {.list = list};
    int code = 0;
    folder_path(folder, shard);
    do {
        s.count = 0;
        code = disk_list(disk, folder, sweep_look, &s);
        for (uint32_t i = 0; i < s.count && code == 0; i++) {
            snprintf(path, sizeof(path), "%s/%s", folder, s.names[i]);
            code = disk_unlink(disk, path);
        }
    } while (code == 0 && s.count == SWEEP_MAX);
    if (code == 0 || code == EVLOG_ERR_NOT_FOUND) {
        return 0;
    }
    return el_error_set(err, code, "stream index: removing left-over files of %s: %s", folder, evlog_error_text(code));
}
