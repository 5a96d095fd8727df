/* SPDX-License-Identifier: Apache-2.0
 *
 * Every byte of a data directory changed, and every file cut at every length.
 *
 *   1. a store runs on the simulated machine until it has all kinds of files: sealed and open segments of topics and of
 *      the catalogue, checkpoints of two generations, journal slots in use and recycled, marks, the node file. It is
 *      stopped well (one directory) or killed when its mark is written (another)
 *   2. for each byte a copy with one bit turned, for each length of each file a copy that ends there; a start on it
 *   3. verdict: a start that is refused as corrupt, or as made by a newer program, and changes nothing; or a store that
 *      serves everything but, in a segment, the batch, chunk or segment that was hit (struct place), which is an error.
 *      Segments of topics and the newest checkpoint are no reason to refuse a start. What is served is right, repeats
 *      are recognized, a new event is taken, and a checkpoint follows
 *
 * Bytes that nobody relies on (the torn tail, old groups, padding) are told from the others by that verdict alone: all
 * that was acknowledged is there.
 */
#include "exhaustive.h"

#include <core/assert.h>
#include <format/segment_layout.h>
#include <stdio.h>
#include <stdlib.h>
#include <storage/shard_state.h>
#include <string.h>

#define PLACES_MAX 512u
#define FILES_MAX 64u
#define CHECKPOINT_FORMAT_POS 8u /* a higher format number is refused as such */

/* Bytes of a segment file, and the offsets that are lost with them. */
struct place {
    char path[SEGMENT_PATH_MAX];
    uint32_t topic; /* index in the model */
    uint64_t from, to;
    int64_t start, end; /* of a hit between from and to */
    int64_t segment_end;
};

enum file_kind { FILE_JOURNAL, FILE_MARK, FILE_CHECKPOINT, FILE_SEGMENT, FILE_CATALOGUE, FILE_NODE, FILE_KIND_COUNT };

static const char *const kind_names[FILE_KIND_COUNT] = {
    "journal slots", "marks", "checkpoints", "topics' segments", "catalogue segments", "node file"};

struct file {
    char path[SEGMENT_PATH_MAX];
    uint64_t len;
    enum file_kind kind;
    bool newest; /* checkpoint */
};

struct rot_run {
    const struct rot_config *cfg;
    struct sim_disk *disk; /* the directory as it was */
    struct client client;
    struct file files[FILES_MAX];
    uint32_t file_count;
    struct place places[PLACES_MAX];
    uint32_t place_count;
    uint64_t index, passed, failed;
    struct {
        uint64_t refused, whole, partly;
    } counts[FILE_KIND_COUNT];
};

static struct machine builder, looker;
static struct el_rng spare_rng;

/* --- the directory ------------------------------------------------------------------------------------------------ */

static void file_add(void *arg, const char *path, uint64_t len)
{
    struct rot_run *r = arg;
    char meta[SEGMENT_PATH_MAX];
    EL_ASSERT(r->file_count < FILES_MAX);
    struct file *f = &r->files[r->file_count++];
    *f = (struct file){.len = len, .kind = FILE_NODE};
    snprintf(f->path, sizeof(f->path), "%s", path);
    segment_topic_path(meta, sizeof(meta), &META_TOPIC_ID);
    if (strncmp(path, "journal/", 8) == 0) {
        f->kind = strstr(path, "mark") != NULL ? FILE_MARK : FILE_JOURNAL;
    } else if (strncmp(path, "checkpoint/", 11) == 0) {
        f->kind = FILE_CHECKPOINT;
        f->newest = true;
        for (uint32_t i = 0; i + 1 < r->file_count; i++) { /* they come in order of their names */
            r->files[i].newest = false;
        }
    } else if (strncmp(path, "topics/", 7) == 0) {
        f->kind = strncmp(path, meta, strlen(meta)) == 0 ? FILE_CATALOGUE : FILE_SEGMENT;
    }
}

static struct place *place_add(struct rot_run *r, const struct place *like, uint64_t from, uint64_t to)
{
    EL_ASSERT(r->place_count < PLACES_MAX);
    struct place *p = &r->places[r->place_count++];
    *p = *like;
    p->from = from;
    p->to = to;
    return p;
}

/* A chunk's header and table, each of its batches, and its padding. returns the position behind it */
static uint64_t chunk_places(struct rot_run *r, const struct place *like, const uint8_t *file, uint64_t pos)
{
    struct el_chunk_header h;
    struct el_chunk_entry e;
    int code = el_chunk_header_get(file + pos, &h);
    EL_ASSERT(code == 0);
    uint64_t at = pos + EL_CHUNK_HEADER_LEN + (uint64_t)h.count * EL_CHUNK_ENTRY_LEN;
    struct place *head = place_add(r, like, pos, at);
    for (uint32_t i = 0; i < h.count; i++) {
        el_chunk_entry_get(file + pos + EL_CHUNK_HEADER_LEN + (uint64_t)i * EL_CHUNK_ENTRY_LEN, &e);
        struct place *p = place_add(r, like, at, at + e.len);
        p->start = e.base_offset;
        p->end = head->end = e.base_offset + (int64_t)e.last_offset_delta + 1;
        head->start = i == 0 ? p->start : head->start;
        at += e.len;
    }
    uint64_t end = el_chunk_end(pos, h.count, h.data_len);
    struct place *padding = place_add(r, like, at, end);
    padding->start = padding->end = head->end; /* nothing is lost with it; with a cut there, what lies behind it */
    return end;
}

static void segment_places(struct rot_run *r, uint32_t topic, const struct segment *seg)
{
    struct disk *disk = sim_disk_as_disk(builder.w.disk);
    struct place like = {
        .topic = topic, .start = seg->base_offset, .end = seg->end_offset, .segment_end = seg->end_offset};
    segment_path(like.path, sizeof(like.path), &seg->topic_id, seg->partition, seg->id);
    uint8_t *file = malloc(seg->len);
    size_t done = 0;
    int fd = -1;
    EL_ASSERT(file != NULL);
    int code = disk_open(disk, like.path, DISK_READ, &fd);
    code = code != 0 ? code : disk_pread(disk, fd, file, seg->len, 0, &done);
    EL_ASSERT(code == 0);
    EL_ASSERT(done == seg->len);
    disk_close(disk, fd);
    place_add(r, &like, 0, EL_SEGMENT_HEADER_LEN);
    for (uint64_t pos = EL_SEGMENT_HEADER_LEN; pos < seg->len;) {
        pos = chunk_places(r, &like, file, pos);
    }
    free(file);
}

/* Append until the journal has gone on into another slot since the last checkpoint: were that one freed too early, the
 * checkpoint before could not serve. returns false after a violation */
static bool slot_turn(struct machine *m)
{
    static const enum verb append[] = {VERB_APPEND};
    const struct journal *j = &store_shard_at(m->w.store, 0)->journal;
    bool good = true;
    for (uint32_t active = j->active; good && j->active == active;) {
        good = machine_work(m, append, 1, false, NULL, NULL);
    }
    return good;
}

/* returns false after a violation */
static bool build(struct rot_run *r, bool stopped)
{
    static const enum verb deleted[] = {VERB_ROLL, VERB_APPEND, VERB_DELETE, VERB_CHECKPOINT};
    static const enum verb kept[] = {
        VERB_ROLL,   VERB_APPEND,     VERB_APPEND, VERB_APPEND, VERB_CHECKPOINT, VERB_ROLL,       VERB_RESTART,
        VERB_APPEND, VERB_TRIM,       VERB_ROLL,   VERB_APPEND, VERB_APPEND,     VERB_CHECKPOINT, VERB_ROLL,
        VERB_APPEND, VERB_APPEND,     VERB_APPEND, VERB_APPEND, VERB_APPEND,     VERB_APPEND,     VERB_CHECKPOINT,
        VERB_APPEND, VERB_CHECKPOINT, VERB_APPEND, VERB_APPEND, VERB_APPEND,     VERB_APPEND,     VERB_APPEND,
        VERB_APPEND, VERB_APPEND,     VERB_APPEND, VERB_APPEND, VERB_APPEND,     VERB_APPEND,     VERB_APPEND,
    };
    struct machine *m = &builder;
    machine_init(m);
    bool good = machine_prepare(m, false) &&
                machine_work(m, deleted, sizeof(deleted) / sizeof(deleted[0]), false, NULL, NULL) && machine_topic(m) &&
                machine_topic(m) && machine_work(m, kept, sizeof(kept) / sizeof(kept[0]), false, NULL, NULL) &&
                slot_turn(m) && machine_look(m);
    if (good && stopped) {
        good = machine_stop(m) && machine_start(m) && machine_settle(m); /* its segments are as the stop left them */
    }
    r->place_count = r->file_count = 0;
    for (uint32_t t = 0; t < m->c.m.topic_count && good; t++) {
        struct partition *part = partition_find(store_shard_at(m->w.store, 0), &m->c.m.topics[t].id, 0);
        if (part != NULL) {
            EL_LIST_EACH(n, &part->segments) {
                segment_places(r, t, EL_CONTAINER(n, struct segment, link));
            }
        }
    }
    if (good && stopped) {
        good = machine_stop(m);
    } else if (good) {
        machine_kill(m);
    }
    if (!good) {
        printf("the directory was not built: %s\n", m->w.violation);
        return false;
    }
    sim_disk_power_cycle(m->w.disk);
    r->disk = sim_disk_copy(m->w.disk, &spare_rng);
    client_copy(&r->client, &m->c);
    sim_disk_each(r->disk, true, file_add, r);
    machine_free(m);
    return true;
}

/* --- verdict ------------------------------------------------------------------------------------------------------ */

struct hit {
    const struct file *file;
    uint64_t pos; /* of the byte, or the new length */
    bool cut;
};

/* What may be unreadable. end 0: nothing */
static struct model_damage allowed(const struct rot_run *r, const struct hit *hit)
{
    for (uint32_t i = 0; i < r->place_count; i++) {
        const struct place *p = &r->places[i];
        if (strcmp(p->path, hit->file->path) == 0 && hit->pos >= p->from && hit->pos < p->to) {
            return (struct model_damage){p->topic, 0, p->start, hit->cut ? p->segment_end : p->end};
        }
    }
    return (struct model_damage){0};
}

static void check_damage(struct rot_run *r, struct machine *m, const struct hit *hit)
{
    const struct model_damage found = m->c.m.damage, may = allowed(r, hit);
    if (found.end == 0) {
        r->counts[hit->file->kind].whole++;
        return;
    }
    r->counts[hit->file->kind].partly++;
    if (may.end == 0 || found.topic != may.topic || found.start < may.start || found.end > may.end) {
        world_violation(&m->w, "topic %u cannot be read from %lld to %lld; what was hit is from %lld to %lld",
                        found.topic, (long long)found.start, (long long)found.end, (long long)may.start,
                        (long long)may.end);
    }
}

static void check_refusal(struct rot_run *r, struct machine *m, const struct hit *hit, int code, const char *text)
{
    bool newer = hit->pos >= CHECKPOINT_FORMAT_POS && hit->pos < CHECKPOINT_FORMAT_POS + 4;
    bool spared = hit->file->kind == FILE_SEGMENT || (hit->file->newest && !newer);
    r->counts[hit->file->kind].refused++;
    if (code != EVLOG_ERR_CORRUPT && code != EVLOG_ERR_FORMAT) {
        world_violation(&m->w, "refused, but as: %s", text);
    } else if (spared) {
        world_violation(&m->w, "refused: %s", text);
    } else if (text[0] == 0) {
        world_violation(&m->w, "refused without a word");
    }
}

static void look(struct rot_run *r, const struct hit *hit)
{
    struct machine *m = &looker;
    struct el_error err = {0};
    struct sim_disk *disk = sim_disk_copy(r->disk, &m->w.rng);
    bool done = hit->cut ? sim_disk_cut(disk, hit->file->path, hit->pos)
                         : sim_disk_flip(disk, hit->file->path, hit->pos, (uint8_t)(1u << hit->pos % 8));
    EL_ASSERT(done);
    uint64_t digest = sim_disk_digest(disk);
    machine_become(m, disk, &r->client);
    m->w.rotten = 1;
    int code = machine_try(m, &err);
    if (code != 0) {
        check_refusal(r, m, hit, code, err.text);
        if (sim_disk_digest(disk) != digest || sim_disk_pending(disk, NULL, 0) > 0) {
            world_violation(&m->w, "refused, but something was changed");
        }
    } else if (machine_look(m)) {
        check_damage(r, m, hit);
        for (uint32_t t = 0; t < m->c.m.topic_count && m->w.violation[0] == 0; t++) {
            if (m->c.m.topics[t].state == TOPIC_THERE) {
                model_check_lookup(&m->c.m, t, 0);
            }
        }
        (void)(m->w.violation[0] == 0 && machine_goes_on(m) && machine_settle(m));
    }
    r->passed += m->w.violation[0] == 0;
    r->failed += m->w.violation[0] != 0;
    if (m->w.violation[0] != 0) {
        printf("%s, %s %llu: FAILED\n  %s\n", hit->file->path, hit->cut ? "cut at" : "byte",
               (unsigned long long)hit->pos, m->w.violation);
        fflush(stdout);
    }
    machine_free(m);
}

static bool chosen(struct rot_run *r)
{
    uint64_t i = r->index++;
    return i % r->cfg->slice == 0 && i / r->cfg->slice % r->cfg->part.count == r->cfg->part.index &&
           r->failed < FAILURES_MAX;
}

static bool directory_look(struct rot_run *r, bool stopped)
{
    uint64_t bytes = 0;
    if (!build(r, stopped)) {
        return false;
    }
    for (uint32_t i = 0; i < r->file_count; i++) {
        struct hit hit = {.file = &r->files[i]};
        bytes += hit.file->len;
        for (hit.pos = 0; hit.pos < hit.file->len; hit.pos++) {
            for (int cut = 0; cut < 2; cut++) {
                hit.cut = cut == 1;
                if (chosen(r)) {
                    look(r, &hit);
                }
            }
        }
    }
    printf("a directory that was %s: %u files, %llu bytes\n", stopped ? "stopped well" : "killed", r->file_count,
           (unsigned long long)bytes);
    client_free(&r->client);
    sim_disk_free(r->disk);
    return true;
}

bool rot_points_run(const struct rot_config *cfg)
{
    static struct rot_run r;
    r = (struct rot_run){.cfg = cfg};
    bool good = directory_look(&r, false) && directory_look(&r, true);
    for (int k = 0; k < FILE_KIND_COUNT; k++) {
        printf("%s: %llu starts refused, %llu served whole, %llu but for a range\n", kind_names[k],
               (unsigned long long)r.counts[k].refused, (unsigned long long)r.counts[k].whole,
               (unsigned long long)r.counts[k].partly);
    }
    printf("%llu passed, %llu failed\n", (unsigned long long)r.passed, (unsigned long long)r.failed + !good);
    return good && r.failed == 0 && r.passed > 0;
}
