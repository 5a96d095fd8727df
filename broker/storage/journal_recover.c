/* SPDX-License-Identifier: Apache-2.0
 *
 * Which groups of a journal count after a start.
 *
 *   1. make what the last process wrote durable: fdatasync of every slot, sync of the folder
 *   2. read all slots, block by block, and note every group that verifies
 *   3. walk from the checkpoint's cut: at each sequence first look for an incarnation that was started from exactly
 *      this point (then everything the parent has from here on is void), else for the next group of the same
 *      incarnation
 *   4. at the first missing sequence X: when anything proves that X was durable (a later group's durable_through, the
 *      durable-end mark, or a later start that continued beyond it), the disk has lost acknowledged data: refuse.
 *      Else X and all behind it was never acknowledged: a torn tail, discarded
 *
 * Where old groups were overwritten in part, step 2 looks at blocks that clients have filled. What looks like a group
 * there may have been made by one of them, so only groups of starts that are linked to the checkpoint, to the node file
 * or to a mark may prove anything: incarnations are random numbers that no client ever sees.
 */
#include <storage/journal_recover.h>

#include <core/alloc.h>
#include <core/logger.h>
#include <stdio.h>
#include <stdlib.h>

#define WINDOW_LEN (1u << 20)

/* One start as its groups name it. */
struct lineage {
    uint64_t incarnation;
    uint64_t parent;
    bool linked; /* known to be a start of this directory */
};

struct mark {
    uint64_t incarnation;
    uint64_t sequence; /* 0: no mark */
};

struct scanner {
    struct disk *disk;
    struct lineage *starts; /* ascending by incarnation, el_malloc */
    uint32_t start_count;
    struct mark marks[2];
    uint32_t shard;
    struct scan_group *all; /* every valid group, el_malloc */
    uint32_t count;
    uint32_t room;
    uint8_t *buf;
    size_t buf_len;
};

static int scanner_add(struct scanner *s, uint32_t slot, const struct el_group_header *h)
{
    if (s->count == s->room) {
        uint32_t room = s->room == 0 ? 1024 : s->room * 2;
        struct scan_group *grown = el_realloc(s->all, (size_t)room * sizeof(*grown));
        if (grown == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        s->all = grown;
        s->room = room;
    }
    s->all[s->count++] = (struct scan_group){slot, *h};
    return 0;
}

static int scanner_read(struct scanner *s, int fd, uint64_t pos, size_t len, size_t *done)
{
    if (len > s->buf_len) {
        uint8_t *grown = el_realloc(s->buf, len);
        if (grown == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        s->buf = grown;
        s->buf_len = len;
    }
    return disk_pread(s->disk, fd, s->buf, len, pos, done);
}

static bool group_fits_place(const struct el_group_header *h, const struct scanner *s, uint32_t slot, uint64_t pos)
{
    return h->shard == s->shard && h->slot == slot && h->pos == pos && h->incarnation != 0;
}

/* Note every valid group of one slot. */
static int scan_slot(struct scanner *s, int fd, uint32_t slot, uint64_t slot_len, bool stop_at_bad)
{
    uint64_t pos = 0;
    while (pos < slot_len) {
        size_t done = 0;
        int code = scanner_read(s, fd, pos, (size_t)EL_MIN((uint64_t)WINDOW_LEN, slot_len - pos), &done);
        if (code != 0) {
            return code;
        }
        size_t at = 0;
        while (done - at >= EL_JOURNAL_ALIGN) {
            struct el_group_header h = {0};
            code = el_group_open(s->buf + at, done - at, true, &h);
            if (code == EVLOG_ERR_TRUNCATED && at > 0 && h.len <= slot_len - pos - at) {
                break; /* begins in this window: read again from its start */
            }
            if (code == EVLOG_ERR_TRUNCATED && h.len <= slot_len - pos) {
                code = scanner_read(s, fd, pos, (size_t)EL_ALIGN_UP(h.len, EL_JOURNAL_ALIGN), &done);
                code = code != 0 ? code : el_group_open(s->buf, done, true, &h);
            }
            bool newer = code == EVLOG_ERR_FORMAT && pos + at == 0; /* every start begins at the front of a slot */
            if (newer || code == EVLOG_ERR_NO_MEMORY || code == EVLOG_ERR_IO || code == EVLOG_ERR_CRASHED) {
                return code;
            }
            bool good = code == 0 && group_fits_place(&h, s, slot, pos + at);
            if (good) {
                code = scanner_add(s, slot, &h);
                if (code != 0) {
                    return code;
                }
            } else if (stop_at_bad) {
                return 0;
            }
            at += good ? (size_t)EL_ALIGN_UP(h.len, EL_JOURNAL_ALIGN) : EL_JOURNAL_ALIGN;
            at = EL_MIN(at, done);
        }
        if (at == 0) {
            break; /* less than a block is left */
        }
        pos += at;
    }
    return 0;
}

static int scan_all(struct scanner *s, const struct journal_start *start, struct journal_scan *scan,
                    struct el_error *err)
{
    char path[48];
    for (uint32_t slot = 0; slot < JOURNAL_SLOT_COUNT_MAX; slot++) {
        int fd = -1;
        uint64_t len = 0;
        journal_slot_path(path, sizeof(path), s->shard, slot);
        int code = disk_open(s->disk, path, DISK_WRITE, &fd);
        if (code == EVLOG_ERR_NOT_FOUND) {
            break;
        }
        if (code == 0) {
            code = disk_sync(s->disk, fd);
            code = code != 0 ? code : disk_len(s->disk, fd, &len);
            code = code != 0 ? code : scan_slot(s, fd, slot, len, start->clean);
            disk_close(s->disk, fd);
        }
        if (code != 0) {
            return el_error_set(err, code, "%s: %s%s", path, evlog_error_text(code),
                                code == EVLOG_ERR_FORMAT ? ": start a newer evlogd" : "");
        }
        scan->slot_count = slot + 1;
    }
    journal_dir_path(path, sizeof(path), s->shard);
    int code = disk_sync_dir(s->disk, path);
    if (code == EVLOG_ERR_NOT_FOUND) {
        return el_error_set(err, EVLOG_ERR_CORRUPT, "folder %s is missing: restore the data directory from a copy",
                            path);
    }
    return code == 0 ? 0 : el_error_set(err, code, "%s: %s", path, evlog_error_text(code));
}

static int by_sequence(const void *a, const void *b)
{
    const struct scan_group *x = a, *y = b;
    if (x->header.sequence != y->header.sequence) {
        return x->header.sequence < y->header.sequence ? -1 : 1;
    }
    return x->header.boot < y->header.boot ? -1 : x->header.boot > y->header.boot;
}

/* Index of the first group with this sequence or a higher one. */
static uint32_t first_at(const struct scanner *s, uint64_t sequence)
{
    uint32_t low = 0, high = s->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (s->all[mid].header.sequence < sequence) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

/* The group that follows (incarnation, sequence - 1), or NULL. */
static const struct scan_group *chain_next(const struct scanner *s, uint64_t incarnation, uint64_t sequence)
{
    const struct scan_group *same = NULL, *child = NULL;
    for (uint32_t i = first_at(s, sequence); i < s->count && s->all[i].header.sequence == sequence; i++) {
        const struct el_group_header *h = &s->all[i].header;
        if (h->incarnation == incarnation) {
            same = &s->all[i];
        } else if (h->parent_incarnation == incarnation && h->parent_sequence == sequence - 1) {
            child = &s->all[i]; /* sorted by boot: the last one is the newest start */
        }
    }
    return child != NULL ? child : same;
}

static int chain_walk(const struct scanner *s, const struct journal_start *start, struct journal_scan *scan)
{
    scan->incarnation = start->incarnation;
    scan->sequence = start->sequence;
    scan->groups = el_malloc((size_t)s->count * sizeof(*scan->groups) + 1);
    if (scan->groups == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    const struct scan_group *next;
    while ((next = chain_next(s, scan->incarnation, scan->sequence + 1)) != NULL) {
        EL_ASSERT(scan->group_count < s->count); /* each sequence once */
        scan->groups[scan->group_count++] = *next;
        scan->incarnation = next->header.incarnation;
        scan->sequence++;
    }
    return 0;
}

/* --- proofs ------------------------------------------------------------------------------------------------------- */

static int by_incarnation(const void *a, const void *b)
{
    const struct lineage *x = a, *y = b;
    return x->incarnation < y->incarnation ? -1 : x->incarnation > y->incarnation;
}

static struct lineage *lineage_of(const struct scanner *s, uint64_t incarnation)
{
    struct lineage key = {.incarnation = incarnation};
    return s->start_count == 0 ? NULL : bsearch(&key, s->starts, s->start_count, sizeof(key), by_incarnation);
}

static void link_one(const struct scanner *s, uint64_t incarnation)
{
    struct lineage *start = lineage_of(s, incarnation);
    if (start != NULL) {
        start->linked = true;
    }
}

/* Link what names a linked start as its parent, and the parents of what is linked, until nothing changes. */
static void links_spread(struct scanner *s, const struct journal_start *start)
{
    for (bool again = true; again;) {
        again = false;
        for (uint32_t i = 0; i < s->start_count; i++) {
            struct lineage *child = &s->starts[i];
            struct lineage *parent = lineage_of(s, child->parent);
            bool known = child->parent == start->incarnation || (parent != NULL && parent->linked);
            if (!child->linked && known) {
                child->linked = again = true;
            } else if (child->linked && parent != NULL && !parent->linked) {
                parent->linked = again = true;
            }
        }
    }
}

static int links_find(struct scanner *s, const struct journal_start *start)
{
    s->starts = el_malloc((size_t)s->count * sizeof(*s->starts) + 1);
    if (s->starts == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < s->count; i++) {
        const struct el_group_header *h = &s->all[i].header;
        s->starts[i] = (struct lineage){h->incarnation, h->parent_incarnation, false};
    }
    if (s->count > 0) {
        qsort(s->starts, s->count, sizeof(*s->starts), by_incarnation);
    }
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->start_count == 0 || s->starts[s->start_count - 1].incarnation != s->starts[i].incarnation) {
            EL_ASSERT(s->start_count <= i);
            s->starts[s->start_count++] = s->starts[i];
        }
    }
    link_one(s, start->incarnation);
    link_one(s, start->node_incarnation);
    for (size_t i = 0; i < 2; i++) {
        link_one(s, s->marks[i].incarnation);
    }
    links_spread(s, start);
    return 0;
}

static int marks_read(struct scanner *s, struct el_error *err)
{
    char path[48];
    int fd = -1;
    journal_mark_path(path, sizeof(path), s->shard);
    int code = disk_open(s->disk, path, DISK_READ, &fd);
    if (code == EVLOG_ERR_NOT_FOUND) {
        return 0;
    }
    for (uint64_t block = 0; block < 2 && code == 0; block++) {
        uint8_t p[EL_MARK_LEN];
        size_t done = 0;
        struct mark mark;
        code = disk_pread(s->disk, fd, p, sizeof(p), block * EL_JOURNAL_ALIGN, &done);
        if (code == 0 && done == sizeof(p) && el_mark_get(p, s->shard, &mark.incarnation, &mark.sequence) == 0) {
            s->marks[block] = mark;
        }
    }
    if (fd >= 0) {
        disk_close(s->disk, fd);
    }
    return code == 0 ? 0 : el_error_set(err, code, "%s: %s", path, evlog_error_text(code));
}

/* The highest sequence that is proven to have been durable. Any run may testify: each later start has accepted what was
 * durable before it, so nothing that was durable is ever void. */
static uint64_t durable_end(const struct scanner *s)
{
    uint64_t end = EL_MAX(s->marks[0].sequence, s->marks[1].sequence);
    for (uint32_t i = 0; i < s->count; i++) {
        const struct el_group_header *h = &s->all[i].header;
        if (lineage_of(s, h->incarnation)->linked) {
            end = EL_MAX(end, EL_MAX(h->durable_through, h->parent_sequence));
        }
    }
    return end;
}

/* A node file of another directory, or an old copy of this one's, would let boot counters repeat; a journal of another
 * directory would give this one its events. At the front of a slot lies a group that a broker wrote; anywhere else it
 * may be part of a record that a client made to look so, unless it is linked. */
static int owner_check(const struct scanner *s, const struct journal_start *start, struct el_error *err)
{
    for (uint32_t i = 0; i < s->count; i++) {
        const struct el_group_header *h = &s->all[i].header;
        bool later = h->boot > start->node_boot ||
                     (h->boot == start->node_boot && h->incarnation != start->node_incarnation);
        bool linked = lineage_of(s, h->incarnation)->linked;
        if ((linked && later) || ((linked || h->pos == 0) && h->node_tag != start->node_tag)) {
            return el_error_set(err, EVLOG_ERR_CONFLICT,
                                "journal of shard %u was written by start %llu of another node or of a newer node file "
                                "(this one counts %llu starts): put back the node file and the journal that belong "
                                "together",
                                start->shard, (unsigned long long)h->boot, (unsigned long long)start->node_boot);
        }
    }
    return 0;
}

static void slots_account(const struct scanner *s, struct journal_scan *scan)
{
    for (uint32_t i = 0; i < s->count; i++) {
        const struct el_group_header *h = &s->all[i].header;
        EL_ASSERT(s->all[i].slot < scan->slot_count);
        if (h->sequence <= scan->sequence) {
            scan->last_sequence[s->all[i].slot] = EL_MAX(scan->last_sequence[s->all[i].slot], h->sequence);
        } else {
            scan->discarded++;
        }
    }
}

int journal_scan(struct disk *disk, const struct journal_start *start, struct journal_scan *scan, struct el_error *err)
{
    struct scanner s = {.disk = disk, .shard = start->shard};
    *scan = (struct journal_scan){0};
    int code = scan_all(&s, start, scan, err);
    code = code != 0 ? code : marks_read(&s, err);
    if (code == 0) {
        if (s.count > 0) {
            qsort(s.all, s.count, sizeof(*s.all), by_sequence);
        }
        code = links_find(&s, start);
        code = code != 0 ? code : chain_walk(&s, start, scan);
        code = code == 0 ? 0 : el_error_set(err, code, "no memory to read the journal of shard %u", start->shard);
    }
    code = code != 0 ? code : owner_check(&s, start, err);
    if (code == 0) {
        uint64_t end = durable_end(&s);
        if (end > scan->sequence) {
            code = el_error_set(err, EVLOG_ERR_CORRUPT,
                                "journal of shard %u: group %llu is missing or damaged, but groups through %llu were "
                                "acknowledged; nothing was changed: restore the disk or a copy of the directory",
                                start->shard, (unsigned long long)scan->sequence + 1, (unsigned long long)end);
        }
        slots_account(&s, scan);
    }
    el_free(s.all);
    el_free(s.starts);
    el_free(s.buf);
    if (code != 0) {
        journal_scan_free(scan);
    }
    return code;
}

void journal_scan_free(struct journal_scan *scan)
{
    el_free(scan->groups);
    scan->groups = NULL;
    scan->group_count = 0;
}

static int group_frames(const uint8_t *buf, const struct el_group_header *h, journal_frame_fn fn, void *arg)
{
    struct el_frame frame;
    size_t pos = EL_GROUP_HEADER_LEN;
    uint32_t count = 0;
    int code;
    while ((code = el_frame_next(buf, h, &pos, &frame)) == 0) {
        count++;
        code = fn(arg, h, &frame);
        if (code != 0) {
            return code;
        }
    }
    return code == EVLOG_ERR_NOT_FOUND && count == h->frame_count ? 0 : EVLOG_ERR_CORRUPT;
}

int journal_replay(struct disk *disk, uint32_t shard, const struct journal_scan *scan, journal_frame_fn fn, void *arg,
                   struct el_error *err)
{
    struct scanner s = {.disk = disk, .shard = shard};
    int fd = -1, code = 0;
    uint32_t open_slot = UINT32_MAX;
    char path[48] = "";
    for (uint32_t i = 0; i < scan->group_count && code == 0; i++) {
        const struct scan_group *g = &scan->groups[i];
        if (g->slot != open_slot) {
            if (fd >= 0) {
                disk_close(disk, fd);
                fd = -1;
            }
            journal_slot_path(path, sizeof(path), shard, g->slot);
            open_slot = g->slot;
            code = disk_open(disk, path, DISK_READ, &fd);
        }
        size_t done = 0;
        struct el_group_header h;
        code = code != 0 ? code : scanner_read(&s, fd, g->header.pos, g->header.len, &done);
        code = code != 0 ? code : el_group_open(s.buf, done, true, &h);
        code = code != 0 ? code : group_frames(s.buf, &h, fn, arg);
        if (code != 0 && (err == NULL || err->code == 0)) {
            el_error_set(err, code, "%s: group %llu at position %llu: %s", path, (unsigned long long)g->header.sequence,
                         (unsigned long long)g->header.pos, evlog_error_text(code));
        }
    }
    if (fd >= 0) {
        disk_close(disk, fd);
    }
    el_free(s.buf);
    return code;
}
