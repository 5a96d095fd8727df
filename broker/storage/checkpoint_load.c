/* SPDX-License-Identifier: Apache-2.0
 *
 * Loading checkpoints: the newest chain of a base and its deltas in which every file verifies. When the newest file is
 * bad the one before serves, for the journal keeps what it needs; when that is bad as well, nothing is guessed.
 */
#include <storage/checkpoint.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <core/crypto.h>
#include <core/logger.h>
#include <stdio.h>
#include <stdlib.h>
#include <storage/shard_state.h>

#define FILE_LEN_MAX (1ull << 30)

struct file_list {
    uint64_t *sequences;
    uint32_t count;
    uint32_t room;
    int error;
};

static void list_add(void *arg, const char *name, bool is_dir)
{
    struct file_list *list = arg;
    char *end = NULL;
    uint64_t sequence = strtoull(name, &end, 16);
    if (is_dir || strlen(name) != 16 || *end != 0 || list->error != 0) {
        return;
    }
    if (list->count == list->room) {
        uint32_t room = list->room == 0 ? 64 : list->room * 2;
        uint64_t *grown = el_realloc(list->sequences, room * sizeof(*grown));
        if (grown == NULL) {
            list->error = EVLOG_ERR_NO_MEMORY;
            return;
        }
        list->sequences = grown;
        list->room = room;
    }
    list->sequences[list->count++] = sequence; /* names are listed in byte order: ascending */
}

static int file_load(struct disk *disk, uint32_t shard, uint64_t sequence, struct checkpoint_file *file)
{
    char path[64];
    snprintf(path, sizeof(path), "checkpoint/%04u/%016llx", shard, (unsigned long long)sequence);
    int fd = -1;
    uint64_t len = 0;
    size_t done = 0;
    *file = (struct checkpoint_file){0};
    int code = disk_open(disk, path, DISK_READ, &fd);
    if (code != 0) {
        return code;
    }
    code = disk_len(disk, fd, &len);
    if (code == 0) {
        file->data = len > FILE_LEN_MAX ? NULL : el_malloc((size_t)len);
        code = file->data == NULL ? EVLOG_ERR_NO_MEMORY : disk_pread(disk, fd, file->data, (size_t)len, 0, &done);
    }
    disk_close(disk, fd);
    file->len = done;
    if (code == 0) {
        code = el_checkpoint_open(file->data, file->len, &file->header);
    }
    if (code == 0 && (file->header.shard != shard || file->header.sequence != sequence)) {
        code = EVLOG_ERR_CORRUPT;
    }
    if (code != 0) {
        el_free(file->data);
        file->data = NULL;
    }
    return code;
}

void checkpoint_chain_free(struct checkpoint_chain *chain)
{
    for (uint32_t i = 0; i < chain->count; i++) {
        el_free(chain->files[i].data);
    }
    el_free(chain->files);
    *chain = (struct checkpoint_chain){0};
}

/* Load base .. sequence; every file between must be there and belong to the same base. */
static int chain_from(struct disk *disk, uint32_t shard, uint64_t sequence, struct checkpoint_chain *chain)
{
    struct checkpoint_file last;
    int code = file_load(disk, shard, sequence, &last);
    if (code != 0) {
        return code;
    }
    uint64_t base = last.header.base_sequence;
    if (base > sequence || sequence - base > 65536 || (base == sequence) != (last.header.kind == EL_CHECKPOINT_BASE)) {
        el_free(last.data);
        return EVLOG_ERR_CORRUPT;
    }
    uint32_t count = (uint32_t)(sequence - base) + 1;
    chain->files = el_calloc(count, sizeof(*chain->files));
    if (chain->files == NULL) {
        el_free(last.data);
        return EVLOG_ERR_NO_MEMORY;
    }
    chain->count = count;
    chain->files[count - 1] = last;
    for (uint32_t i = 0; i + 1 < count && code == 0; i++) {
        code = file_load(disk, shard, base + i, &chain->files[i]);
        const struct el_checkpoint_header *h = &chain->files[i].header;
        if (code == 0 && (h->base_sequence != base || (i == 0) != (h->kind == EL_CHECKPOINT_BASE))) {
            code = EVLOG_ERR_CORRUPT;
        }
    }
    if (code != 0) {
        checkpoint_chain_free(chain);
    }
    return code;
}

int checkpoint_chain_load(struct disk *disk, uint32_t shard, struct checkpoint_chain *chain, struct el_error *err)
{
    struct file_list list = {0};
    char dir[32];
    *chain = (struct checkpoint_chain){0};
    snprintf(dir, sizeof(dir), "checkpoint/%04u", shard);
    int code = disk_list(disk, dir, list_add, &list);
    if (code == EVLOG_ERR_NOT_FOUND) {
        return el_error_set(err, EVLOG_ERR_CORRUPT, "folder %s is missing: restore the data directory from a copy",
                            dir);
    }
    code = code != 0 ? code : list.error;
    for (uint32_t tries = 0; code == 0 && list.count > 0 && tries < 2; tries++) {
        uint64_t sequence = list.sequences[list.count - 1];
        code = chain_from(disk, shard, sequence, chain);
        if (code != EVLOG_ERR_CORRUPT && code != EVLOG_ERR_TRUNCATED && code != EVLOG_ERR_NOT_FOUND) {
            break;
        }
        el_log(EL_LOG_WARN, "storage", "%s/%016llx cannot be used (%s)%s", dir, (unsigned long long)sequence,
               evlog_error_text(code), tries == 0 ? "; using the checkpoint before" : "");
        list.count--;
        code = tries == 0 && list.count > 0 ? 0 : EVLOG_ERR_CORRUPT;
    }
    if (list.sequences != NULL) {
        chain->oldest = list.sequences[0];
    }
    el_free(list.sequences);
    if (code == 0) {
        return 0;
    }
    return el_error_set(err, code,
                        "checkpoints of shard %u cannot be read (%s): restore the data directory from a copy, or keep "
                        "it as it is for a repair",
                        shard, evlog_error_text(code));
}

/* --- applying ----------------------------------------------------------------------------------------------------- */

static struct segment *segment_by_id(struct partition *part, uint64_t id)
{
    for (struct el_list *n = part->segments.prev; n != &part->segments; n = n->prev) {
        struct segment *seg = EL_CONTAINER(n, struct segment, link);
        if (seg->id == id) {
            return seg;
        }
    }
    return NULL;
}

/* Does it fit between its neighbours? Only the last segment takes more chunks. */
static bool apply_neighbours(const struct partition *part, struct segment *seg, int64_t end_offset)
{
    if (seg->link.prev != &part->segments) {
        struct segment *before = EL_CONTAINER(seg->link.prev, struct segment, link);
        if (before->end_offset > seg->base_offset) {
            return false;
        }
        before->rolled = true;
    }
    if (seg->link.next != &part->segments) {
        seg->rolled = true;
        return EL_CONTAINER(seg->link.next, struct segment, link)->base_offset >= end_offset;
    }
    return true;
}

static int apply_segment(struct partition *part, const struct el_checkpoint_segment *s)
{
    struct segment *seg = segment_by_id(part, s->id);
    if ((s->flags & EL_CHECKPOINT_SEGMENT_REMOVED) != 0) {
        if (seg != NULL) {
            part->segment_bytes -= seg->len;
            el_list_remove(&seg->link);
            segment_destroy(part->shard, seg);
        }
        return 0;
    }
    if (s->end_offset < s->base_offset || s->len < EL_SEGMENT_HEADER_LEN) {
        return EVLOG_ERR_CORRUPT;
    }
    if (seg == NULL) {
        seg = segment_create(part, s->id, s->base_offset);
        if (seg == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
    }
    if (s->base_offset != seg->base_offset || !apply_neighbours(part, seg, s->end_offset)) {
        return EVLOG_ERR_CORRUPT;
    }
    part->segment_bytes += s->len - seg->len;
    seg->end_offset = seg->written_end = s->end_offset;
    seg->len = seg->written_len = s->len;
    seg->max_timestamp_ms = s->max_timestamp_ms;
    seg->first_append_ns = s->first_append_ns;
    seg->last_append_ns = s->last_append_ns;
    seg->generation = s->generation;
    seg->created_ns = s->created_ns;
    seg->sealed = (s->flags & EL_CHECKPOINT_SEGMENT_SEALED) != 0;
    seg->compacted = (s->flags & EL_CHECKPOINT_SEGMENT_COMPACTED) != 0;
    seg->tombstones_s = s->tombstones_s;
    seg->rolled = seg->rolled || seg->sealed;
    seg->exists = seg->name_durable = true;
    part->directory_known = true;
    return 0;
}

static int apply_producer(struct partition *part, struct el_reader *r)
{
    struct el_checkpoint_producer head;
    el_checkpoint_producer_get(r, &head);
    struct producer p = {.id = head.id, .epoch = head.epoch, .last_append_ns = head.last_append_ns};
    if (r->err != 0 || head.batch_count == 0 || head.batch_count > PRODUCER_BATCHES_KEPT) {
        return EVLOG_ERR_CORRUPT;
    }
    p.batch_count = (uint8_t)head.batch_count;
    for (uint32_t i = 0; i < head.batch_count; i++) {
        struct el_checkpoint_batch b;
        el_checkpoint_batch_get(r, &b);
        p.batches[i] = (struct producer_batch){b.first_sequence, b.last_sequence, b.base_offset, b.append_time_ns, 0};
    }
    return r->err != 0 ? EVLOG_ERR_CORRUPT : part == NULL ? 0 : producer_load(part, &p);
}

/* What comes next lies behind all that is there: the next chunk by its offset, the next file by its number. */
static bool apply_is_sound(const struct partition *part)
{
    int64_t end = 0;
    bool sound = part->segment_end >= 0 && part->segment_end <= part->next_offset && part->log_start >= 0 &&
                 part->next_offset <= INT64_MAX - INT32_MAX; /* the longest batch has an end */
    EL_LIST_EACH(n, &part->segments) {
        const struct segment *seg = EL_CONTAINER(n, struct segment, link);
        sound = sound && seg->base_offset >= end && seg->id < part->next_segment_id;
        end = seg->end_offset;
    }
    return sound && end <= part->segment_end;
}

/* One entry; part NULL reads over it. */
static int apply_entry(struct partition *part, const struct el_checkpoint_entry *e, struct el_reader *r)
{
    int code = 0;
    if (part != NULL) {
        part->log_start = e->log_start;
        part->next_offset = e->next_offset;
        part->segment_end = e->segment_end;
        part->high_watermark = e->next_offset;
        part->next_segment_id = e->next_segment_id;
        part->clean_end = e->clean_end;
        part->tier.partly = (e->flags & EL_CHECKPOINT_ENTRY_ARCHIVED) != 0;
        code = e->clean_end < 0 || e->clean_end > e->segment_end ? EVLOG_ERR_CORRUPT : 0;
    }
    for (uint32_t i = 0; i < e->epoch_count && code == 0 && r->err == 0; i++) {
        struct el_checkpoint_epoch s;
        el_checkpoint_epoch_get(r, &s);
        code = s.epoch < 0 || s.start_offset < 0 ? EVLOG_ERR_CORRUPT
               : part == NULL                    ? 0
                                                 : partition_note_epoch(part, s.epoch, s.start_offset);
    }
    for (uint32_t i = 0; i < e->segment_count && code == 0 && r->err == 0; i++) {
        struct el_checkpoint_segment s;
        el_checkpoint_segment_get(r, &s);
        code = part == NULL || r->err != 0 ? 0 : apply_segment(part, &s);
    }
    if (code == 0 && part != NULL && r->err == 0 && !apply_is_sound(part)) {
        code = EVLOG_ERR_CORRUPT;
    }
    for (uint32_t i = 0; i < e->producer_count && code == 0 && r->err == 0; i++) {
        code = apply_producer(part, r);
    }
    return code != 0 ? code : r->err != 0 ? EVLOG_ERR_CORRUPT : 0;
}

static int apply_file(struct store_shard *shard, const struct checkpoint_file *file,
                      bool (*want)(const struct part_key *key), struct el_error *err)
{
    struct el_reader r;
    el_reader_init(&r, file->data + EL_CHECKPOINT_HEADER_LEN, file->len - EL_CHECKPOINT_HEADER_LEN);
    for (uint32_t i = 0; i < file->header.entry_count; i++) {
        struct el_checkpoint_entry e;
        el_checkpoint_entry_get(&r, &e);
        struct part_key key = {e.topic_id, e.partition};
        struct partition *part = NULL;
        if (r.err == 0 && want(&key)) {
            part = partition_find(shard, &e.topic_id, e.partition);
            if (part == NULL && el_map_get(&shard->tombstones, &e.topic_id, sizeof(e.topic_id)) == NULL) {
                char hex[33];
                el_hex(hex, e.topic_id.bytes, 16);
                return el_error_set(err, EVLOG_ERR_CORRUPT,
                                    "a checkpoint of shard %u names topic %s, which the catalogue "
                                    "does not know",
                                    shard->index, hex);
            }
        }
        int code = apply_entry(part, &e, &r);
        if (code != 0) {
            return el_error_set(err, code, "checkpoint %llu of shard %u: %s", (unsigned long long)file->header.sequence,
                                shard->index, evlog_error_text(code));
        }
    }
    return 0;
}

int checkpoint_chain_apply(struct store_shard *shard, const struct checkpoint_chain *chain,
                           bool (*want)(const struct part_key *key), struct el_error *err)
{
    for (uint32_t i = 0; i < chain->count; i++) {
        int code = apply_file(shard, &chain->files[i], want, err);
        if (code != 0) {
            return code;
        }
    }
    return 0;
}
