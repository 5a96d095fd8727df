/* SPDX-License-Identifier: Apache-2.0
 *
 * The first job: what does the bucket have, and may this broker go on from there?
 *
 *   1. what was signed last, on this disk (archive_guard.c), and which incarnations are under the prefix
 *   2. neither: a new incarnation is drawn, kept on this disk, and cluster.json put
 *   3. one that names this disk's as its parent: a directory that was restored goes on with the archive, this one not
 *   4. both: the roots from the last known one on are looked at. The last one is there: go on. Only the one before is:
 *      put again what was signed. Anything else is another writer's, or this disk is older than what was signed: it is
 *      also when the next manifest is there, for a manifest is put when it was signed, before its root
 *   5. the full manifest and the deltas up to there are the state; its root, key and tiles must agree
 *
 * Everything but what ends in EVLOG_ERR_CONFLICT is tried again. The next try looks anew at what may have changed (what
 * this disk has signed, who is under the prefix, which roots are there); what the store has answered about objects,
 * which never change, is kept until a try succeeds (archive_memo.h): one call that fails costs that call and the looks,
 * and not the reading of all manifests.
 */
#include <archive/archive_ledger_state.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <core/crypto.h>
#include <core/logger.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <store/archive_cluster.h>

#define ID_LEN 33u
#define NOTE_MAX EL_NOTE_LEN_MAX
#define INCARNATIONS_MAX 10000u

static int conflict(struct el_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int conflict(struct el_error *err, const char *format, ...)
{
    char text[EL_ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return el_error_set(err, EVLOG_ERR_CONFLICT, "%s", text);
}

/* --- who else is under the prefix --------------------------------------------------------------------------------- */

static bool first_key(void *arg, const char *key, uint64_t len, int64_t modified_ms)
{
    char *first = arg;
    (void)len;
    (void)modified_ms;
    snprintf(first, OBJECT_KEY_MAX, "%s", key);
    return false;
}

/* folder: the first of its objects' names, which is an object itself when it ends there. What is called like an archive
 * and is an object may hide one, in a directory: the store says so. */
static int cluster_of(struct archive_ledger *l, const char *folder, size_t folder_len, bool *ours, struct el_error *err)
{
    char key[OBJECT_KEY_MAX], own[ID_LEN], other[ID_LEN];
    uint8_t *data = NULL;
    uint64_t len = 0;
    struct archive_cluster cluster;
    struct el_uuid other_id;
    snprintf(key, sizeof key, "%.*s/cluster.json", (int)folder_len, folder);
    bool stranger = folder[folder_len] == 0 && archive_id_parse(el_slice_of(folder, folder_len), &other_id) != 0;
    int code = stranger ? EVLOG_ERR_NOT_FOUND
                        : object_get_all(l->cfg.bucket, key, ARCHIVE_CLUSTER_LEN_MAX, &data, &len, err);
    if (code == EVLOG_ERR_NOT_FOUND) {
        return conflict(err, "%s has %.60s, which is no archive of evlog: give --archive a prefix of its own",
                        l->cfg.bucket->url, folder);
    }
    if (code != 0) {
        return code;
    }
    code = archive_cluster_parse(el_slice_of(data, len), &cluster, err);
    el_free(data);
    if (code != 0) {
        return conflict(err, "%s: %s makes no sense: somebody must look", l->cfg.bucket->url, key);
    }
    *ours = el_uuid_eq(&cluster.cluster, &l->cluster);
    if (!*ours) {
        el_hex(own, l->cluster.bytes, sizeof l->cluster.bytes);
        el_hex(other, cluster.cluster.bytes, sizeof cluster.cluster.bytes);
        return conflict(err,
                        "%s holds the archive of another cluster (%s; this one is %s): nothing is written there; give "
                        "--archive a prefix of its own",
                        l->cfg.bucket->url, other, own);
    }
    if (cluster.made_ms >= l->around_ms) {
        l->around_ms = cluster.made_ms;
        l->around = cluster.incarnation;
    }
    if (el_uuid_eq(&cluster.parent, &l->incarnation) && cluster.made_ms >= l->heir_ms) {
        l->heir_ms = cluster.made_ms;
        l->heir = cluster.incarnation;
        l->heir_sequence = cluster.parent_sequence;
    }
    return 0;
}

/* Every incarnation must be this cluster's; the one made last is noted. One look for each: the listing
 * goes on behind its folder. */
static int look_around(struct archive_ledger *l, uint32_t *count, struct el_error *err)
{
    char after[OBJECT_KEY_MAX] = "", first[OBJECT_KEY_MAX];
    *count = 0;
    for (uint32_t i = 0; i < INCARNATIONS_MAX; i++) {
        bool ours = false;
        first[0] = 0;
        int code = object_list(l->cfg.bucket, "", after, first_key, first, err);
        if (code != 0) {
            return code;
        }
        if (first[0] == 0) {
            return 0;
        }
        size_t len = strcspn(first, "/");
        code = cluster_of(l, first, len, &ours, err);
        if (code != 0) {
            return code;
        }
        ++*count;
        snprintf(after, sizeof after, "%.*s0", (int)len, first); /* '0' follows '/' */
    }
    return conflict(err, "%s holds too many archives", l->cfg.bucket->url);
}

/* A directory that was restored from this disk's archive has begun to archive. */
static int refuse_heir(struct archive_ledger *l, struct el_error *err)
{
    char heir[ID_LEN], own[ID_LEN];
    el_hex(heir, l->heir.bytes, sizeof l->heir.bytes);
    el_hex(own, l->incarnation.bytes, sizeof l->incarnation.bytes);
    l->behind = true;
    l->incarnation = l->heir;
    return conflict(err,
                    "%s/%s continues the archive of this disk (%s) behind root %" PRIu64
                    ": it is that of a directory which was restored from it, and the heir. Nothing is archived from "
                    "here, and what is appended here is on this disk only. Go on with the heir; if it was made by "
                    "mistake, remove %s/ from the store and start evlogd anew",
                    l->cfg.bucket->url, heir, own, l->heir_sequence, heir);
}

/* --- a new incarnation -------------------------------------------------------------------------------------------- */

static int cluster_json(struct archive_ledger *l, const struct archive_begin_job *job,
                        const struct archive_state *draft, struct el_error *err)
{
    struct archive_cluster cluster = {
        .cluster = l->cluster, .incarnation = l->incarnation, .made_ms = job->now_ms, .key_count = l->cfg.key_count};
    if (draft != NULL) {
        cluster.parent = draft->header.parent;
        cluster.parent_sequence = draft->header.parent_sequence;
    }
    memcpy(cluster.keys, l->publics, sizeof l->publics[0] * l->cfg.key_count);
    el_buffer_reset(&l->cluster_json);
    int code = archive_cluster_write(&cluster, &l->cluster_json);
    return code == 0 ? 0 : el_error_set(err, code, "no memory for cluster.json");
}

static int begin_anew(struct archive_ledger *l, struct disk *disk, struct archive_begin_job *job, struct el_error *err)
{
    l->incarnation = job->fresh;
    int code = cluster_json(l, job, NULL, err);
    if (code != 0) {
        return code;
    }
    struct archive_guard guard = {.incarnation = l->incarnation, .cluster = el_buffer_slice(&l->cluster_json)};
    return archive_guard_save(disk, &guard, NULL, err);
}

/* --- going on ----------------------------------------------------------------------------------------------------- */

static int get_manifest(struct archive_ledger *l, uint64_t sequence, uint8_t **data, uint64_t *len,
                        struct el_error *err)
{
    char key[EL_ARCHIVE_KEY_MAX];
    el_archive_key_manifest(key, &l->incarnation, sequence);
    int code = object_get_all(l->cfg.bucket, key, EL_MANIFEST_LEN_MAX, data, len, err);
    if (code == EVLOG_ERR_NOT_FOUND) {
        code = conflict(err, "%s is gone from %s: objects were removed there. Archiving cannot go on from it", key,
                        l->cfg.bucket->url);
    }
    return code;
}

static int apply(struct archive_ledger *l, const uint8_t *data, size_t len, struct el_error *err)
{
    int code = archive_state_apply(l->state, data, len, err);
    if (code != 0 && code != EVLOG_ERR_NO_MEMORY) {
        el_error_wrap(err, "%s", l->cfg.bucket->url);
        err->code = code = EVLOG_ERR_CONFLICT;
    }
    return code;
}

/* The state as of manifest `sequence`, from the full one that it builds on. */
int archive_load_state(struct archive_ledger *l, uint64_t sequence, struct el_error *err)
{
    struct el_manifest_header header;
    uint8_t *last = NULL;
    uint64_t last_len = 0;
    int code = get_manifest(l, sequence, &last, &last_len, err);
    if (code == 0 && el_manifest_header_get(last, last_len, &header) != 0) {
        code = conflict(err, "%s: manifest %" PRIu64 " is damaged", l->cfg.bucket->url, sequence);
    }
    for (uint64_t i = code == 0 ? header.full_sequence : sequence; i < sequence && code == 0; i++) {
        uint8_t *data = NULL;
        uint64_t len = 0;
        code = get_manifest(l, i, &data, &len, err);
        code = code != 0 ? code : apply(l, data, len, err);
        l->full_len = i == header.full_sequence ? len : l->full_len;
        l->delta_len += i == header.full_sequence ? 0 : len;
        el_free(data);
    }
    code = code != 0 ? code : apply(l, last, last_len, err);
    if (code == 0 && header.full_sequence == sequence) {
        l->full_len = last_len;
    }
    el_free(last);
    return code;
}

struct roots {
    struct archive_ledger *l;
    uint64_t known; /* the last that this disk knows of */
    bool before, last, newer;
};

static bool note_root(void *arg, const char *key, uint64_t len, int64_t modified_ms)
{
    struct roots *r = arg;
    char text[EL_ARCHIVE_KEY_MAX];
    (void)len;
    (void)modified_ms;
    el_archive_key_root(text, &r->l->incarnation, r->known);
    int order = strcmp(key, text);
    r->newer = r->newer || order > 0;
    r->last = r->last || order == 0;
    if (r->known > 1) {
        el_archive_key_root(text, &r->l->incarnation, r->known - 1);
        r->before = r->before || strcmp(key, text) == 0;
    }
    return !r->newer;
}

/* A manifest leaves the broker that signs it when it is kept on its disk. */
static int look_at_next_manifest(const struct roots *r, bool *there, struct el_error *err)
{
    char key[EL_ARCHIVE_KEY_MAX];
    struct object_info info;
    el_archive_key_manifest(key, &r->l->incarnation, r->known + 1);
    int code = object_head(r->l->cfg.bucket, key, &info, err);
    *there = code == 0;
    return code == EVLOG_ERR_NOT_FOUND ? 0 : code;
}

static int look_at_roots(struct roots *r, struct el_error *err)
{
    char prefix[EL_ARCHIVE_KEY_MAX], after[EL_ARCHIVE_KEY_MAX] = "", id[ID_LEN];
    el_hex(id, r->l->incarnation.bytes, 16);
    snprintf(prefix, sizeof prefix, "%s/root/", id);
    if (r->known > 2) {
        el_archive_key_root(after, &r->l->incarnation, r->known - 2);
    }
    int code = object_list(r->l->cfg.bucket, prefix, after, note_root, r, err);
    if (code != 0) {
        return code;
    }
    bool manifest = false;
    code = r->newer ? 0 : look_at_next_manifest(r, &manifest, err);
    if (code != 0) {
        return code;
    }
    if (r->newer || manifest) {
        r->l->behind = r->l->older = true;
        return conflict(
            err,
            "%s has a %s behind number %" PRIu64 ", the last that this directory has signed: this disk is "
            "older than what was signed, or another broker has its archive. Nothing is overwritten; restore "
            "from the archive: evlogd --from-archive, or evlog archive restore",
            r->l->cfg.bucket->url, r->newer ? "root" : "manifest", r->known);
    }
    if (!r->last && !r->before && r->known > 1) {
        return conflict(err,
                        "%s has neither root %" PRIu64
                        " nor the one before it, which this broker has put: objects were "
                        "removed there, or --archive names another place than before",
                        r->l->cfg.bucket->url, r->known);
    }
    return 0;
}

int archive_check_root(struct archive_ledger *l, uint64_t sequence, const struct archive_guard *guard,
                       struct el_hash256 *root, struct el_error *err)
{
    char key[EL_ARCHIVE_KEY_MAX];
    uint8_t *data = NULL;
    uint64_t len = 0;
    struct el_checkpoint_note note;
    el_archive_key_root(key, &l->incarnation, sequence);
    int code = object_get_all(l->cfg.bucket, key, NOTE_MAX, &data, &len, err);
    if (code != 0) {
        return code;
    }
    el_frontier_root(&l->state->tree, root);
    bool same = guard == NULL || (len == guard->note.len && memcmp(data, guard->note.data, len) == 0);
    if (!same || el_note_parse(el_slice_of(data, len), &note) != 0 || note.size != sequence ||
        memcmp(note.root, root->bytes, 32) != 0) {
        code = conflict(err,
                        "%s: %s is not what this broker has signed: another writer is at work there, or it was damaged",
                        l->cfg.bucket->url, key);
    }
    el_free(data);
    return code;
}

/* The keys must be able to go on from those that are stated: one of them at least is known. */
static int check_keys(struct archive_ledger *l, struct el_error *err)
{
    size_t stated = 0;
    for (size_t i = 0; i < l->state->key_count; i++) {
        const struct archive_key *key = &l->state->keys[i];
        for (size_t k = 0; k < l->cfg.key_count && !key->now.retired; k++) {
            stated += el_slice_eq(key->now.bytes, el_slice_of(l->publics[k].bytes, l->publics[k].len));
        }
    }
    if (stated == 0) {
        return conflict(err,
                        "none of the keys that are given has signed the archive at %s: to change keys, give "
                        "--archive-key a file with the old and the new ones",
                        l->cfg.bucket->url);
    }
    return 0;
}

/* What was signed and is not in the bucket is put again, byte for byte. */
static int finish_last(struct archive_ledger *l, const struct archive_guard *guard, struct el_error *err)
{
    int code = archive_note_tiles(l, err);
    code = code != 0 ? code : apply(l, guard->manifest.data, guard->manifest.len, err);
    if (code != 0) {
        return code;
    }
    el_buffer_reset(&l->manifest);
    el_buffer_append(&l->manifest, guard->manifest.data, guard->manifest.len);
    el_buffer_reset(&l->note);
    el_buffer_append(&l->note, guard->note.data, guard->note.len);
    if (l->manifest.err != 0 || l->note.err != 0) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for a manifest");
    }
    return archive_publish(l, NULL, err);
}

static int go_on(struct archive_ledger *l, const struct archive_guard *guard, struct el_error *err)
{
    struct roots roots = {.l = l, .known = guard->sequence};
    struct el_hash256 root;
    struct archive_tree tree = {.store = l->cfg.bucket, .incarnation = l->incarnation, .of_manifests = true};
    int code = look_at_roots(&roots, err);
    if (code != 0 || guard->sequence == 0) {
        return code;
    }
    uint64_t there = roots.last ? guard->sequence : guard->sequence - 1;
    if (there > 0) {
        code = archive_load_state(l, there, err);
        code = code != 0 ? code : archive_check_root(l, there, roots.last ? guard : NULL, &root, err);
        code = code != 0 ? code : archive_tiles_load(&tree, there, &root, &l->tiles, err);
    }
    if (code == 0 && !roots.last) {
        el_log(EL_LOG_INFO, "archive", "root %" PRIu64 " was signed and may not be in the bucket: it is put again",
               guard->sequence);
        code = finish_last(l, guard, err);
    }
    return code != 0 ? code : check_keys(l, err);
}

/* --- the job ------------------------------------------------------------------------------------------------------ */

int archive_start_over(struct archive_ledger *l, struct el_error *err)
{
    archive_told_free(&l->told);
    archive_state_free(l->state);
    archive_state_free(l->draft);
    l->draft = NULL;
    l->full_len = l->delta_len = 0;
    l->behind = l->older = false;
    l->around_ms = l->heir_ms = 0;
    l->heir = (struct el_uuid){{0}};
    archive_tiles_init(&l->tiles);
    l->state = archive_state_new();
    return l->state != NULL ? 0 : el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for what the archive has");
}

/* A restored directory has a draft of its first manifest: where its partitions begin. */
static int take_draft(struct archive_ledger *l, struct archive_begin_job *job, const struct archive_guard *guard,
                      struct disk *disk, struct el_error *err)
{
    int code = 0;
    if (guard->sequence == 0 && guard->manifest.len > 0) {
        l->draft = archive_state_new();
        code = l->draft == NULL ? el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for what the archive has")
                                : archive_state_apply(l->draft, guard->manifest.data, guard->manifest.len, err);
    }
    if (code == 0 && guard->cluster.len == 0) { /* keys are known here only */
        code = cluster_json(l, job, l->draft, err);
        struct archive_guard fresh = *guard;
        fresh.cluster = el_buffer_slice(&l->cluster_json);
        code = code != 0 ? code : archive_guard_save(disk, &fresh, NULL, err);
    } else if (code == 0) {
        el_buffer_reset(&l->cluster_json);
        el_buffer_append(&l->cluster_json, guard->cluster.data, guard->cluster.len);
        code = l->cluster_json.err;
    }
    return code;
}

static int begin(struct archive_ledger *l, struct disk *disk, struct archive_begin_job *job,
                 struct archive_guard *guard, struct el_error *err)
{
    char key[EL_ARCHIVE_KEY_MAX];
    uint32_t count = 0;
    bool known = true;
    int code = archive_guard_load(disk, guard, err);
    if (code == EVLOG_ERR_NOT_FOUND) {
        known = false;
        code = 0;
    } else if (code == EVLOG_ERR_CORRUPT || code == EVLOG_ERR_FORMAT) {
        return err->code = EVLOG_ERR_CONFLICT;
    }
    l->incarnation = guard->incarnation;
    code = code != 0 ? code : look_around(l, &count, err);
    if (code != 0) {
        return code;
    }
    if (known && !el_uuid_is_zero(&l->heir)) {
        return refuse_heir(l, err);
    }
    if (!known && count > 0) {
        l->behind = l->older = true;
        l->incarnation = l->around;
        return conflict(err,
                        "%s holds an archive of this cluster, and this data directory knows nothing of it: the disk is "
                        "older than what was signed, or its folder " ARCHIVE_DIR
                        " was removed. Nothing is overwritten; restore from the archive: evlogd --from-archive",
                        l->cfg.bucket->url);
    }
    if (known) {
        code = take_draft(l, job, guard, disk, err);
    } else {
        code = begin_anew(l, disk, job, err);
    }
    el_archive_key_cluster(key, &l->incarnation);
    if (code == 0 && guard->sequence == 0) {
        code = archive_put(l, NULL, key, l->cluster_json.data, l->cluster_json.len, err);
    }
    if (code == 0 && l->draft != NULL && !el_uuid_is_zero(&l->draft->header.parent)) {
        code = archive_parent_check(l, &l->draft->header, err);
    }
    return code == 0 && known ? go_on(l, guard, err) : code;
}

static bool note_last(void *arg, const char *key, uint64_t len, int64_t modified_ms)
{
    uint64_t *last = arg;
    (void)len;
    (void)modified_ms;
    *last = strtoull(strrchr(key, '/') + 1, NULL, 16);
    return true;
}

int archive_last_root(struct archive_ledger *l, uint64_t *last, struct el_error *err)
{
    char prefix[EL_ARCHIVE_KEY_MAX], id[ID_LEN];
    el_hex(id, l->incarnation.bytes, sizeof l->incarnation.bytes);
    snprintf(prefix, sizeof prefix, "%s/root/", id);
    *last = 0;
    return object_list(l->cfg.bucket, prefix, "", note_last, last, err);
}

/* This disk is older than what was signed, or has an heir. Nothing may be appended to partitions of which the archive
 * has more, and shards can only know what those are from its last root. returns EVLOG_ERR_CONFLICT, err is as before |
 * what is to be tried again */
static int tell_behind(struct archive_ledger *l, struct archive_begin_job *job, struct el_error *err)
{
    struct el_error found = *err;
    uint64_t last = 0;
    int code = archive_start_over(l, err);
    code = code != 0 ? code : archive_last_root(l, &last, err);
    code = code != 0 || last == 0 ? code : archive_load_state(l, last, err);
    code = code != 0 ? code : archive_plan(l, true, NULL, job->now_ms, err);
    if (code != 0 && code != EVLOG_ERR_CONFLICT) {
        return code;
    }
    job->told = l->told;
    *err = found;
    return EVLOG_ERR_CONFLICT;
}

/* Whatever becomes of archiving, what has left this disk is in the incarnation that it knows, under that root, or in
 * the one that it continues. */
static void tell_where(struct archive_begin_job *job, const struct archive_guard *guard)
{
    struct el_manifest_header draft = {0};
    bool kept = guard->manifest.len > 0 &&
                el_manifest_header_get(guard->manifest.data, guard->manifest.len, &draft) == 0;
    bool drafted = guard->sequence == 0 && kept;
    job->kept_ns = kept && !drafted ? draft.cut_ns : 0;
    job->readable = guard->sequence > 0 || drafted;
    if (job->readable) {
        job->incarnation = guard->incarnation;
        job->sequence = guard->sequence;
        job->parent = drafted ? draft.parent : (struct el_uuid){0};
        job->parent_sequence = drafted ? draft.parent_sequence : 0;
    }
}

static void tell(struct archive_ledger *l, struct archive_begin_job *job)
{
    job->told = l->told;
    job->incarnation = l->incarnation;
    if (l->draft != NULL) {
        job->parent = l->draft->header.parent;
        job->parent_sequence = l->draft->header.parent_sequence;
    }
    job->sequence = l->state->header.sequence;
    job->complete_ns = l->state->header.cut_ns;
    job->root_ms = l->state->header.made_ms;
    for (uint32_t i = 0; i < job->shard_count; i++) {
        job->bundle_next[i] = l->state->last_object + 1;
    }
    for (size_t i = 0; i < l->state->object_count; i++) {
        const struct archive_object object = archive_object_at(l->state, i);
        const struct el_manifest_object *o = &object.now;
        if (o->kind == EL_PACK_BUNDLE && o->shard < job->shard_count) {
            job->bundle_next[o->shard] = EL_MAX(job->bundle_next[o->shard], o->sequence + 1);
        }
    }
}

/* What has failed is a call of the store, and what others gave is good. */
static bool is_the_stores(int code)
{
    return code == EVLOG_ERR_AGAIN || code == EVLOG_ERR_POLICY || code == EVLOG_ERR_TRUNCATED ||
           code == EVLOG_ERR_IN_DOUBT || code == EVLOG_ERR_IO;
}

static int begin_try(struct archive_ledger *l, struct disk *disk, struct archive_begin_job *job,
                     struct archive_guard *guard, struct el_error *err)
{
    int code = archive_start_over(l, err);
    job->told = (struct archive_told){0};
    code = code != 0 ? code : begin(l, disk, job, guard, err);
    l->began_ms = job->now_ms;
    tell_where(job, guard);
    job->older = job->waits = false;
    if (code == EVLOG_ERR_CONFLICT && l->older && l->cfg.heals) {
        struct el_error found = *err;
        code = archive_catch_up(l, guard, job, err);
        job->older = code == 0;
        if (code == EVLOG_ERR_NOT_FOUND || code == EVLOG_ERR_CONFLICT) {
            *err = code == EVLOG_ERR_NOT_FOUND ? found : *err;
            err->code = code = EVLOG_ERR_CONFLICT;
            l->behind = true;
        }
    }
    if (code == EVLOG_ERR_CONFLICT && l->behind) {
        code = tell_behind(l, job, err);
    }
    code = code != 0 || job->older ? code : archive_inherit(l, err);
    code = code != 0 || job->older ? code : archive_ages_find(l, job->now_ms, err);
    return code != 0 || job->older ? code : archive_plan(l, true, NULL, job->now_ms, err);
}

int64_t archive_begin_run(struct disk *disk, void *arg)
{
    struct archive_begin_job *job = arg;
    struct archive_ledger *l = job->ledger;
    struct archive_guard guard = {0};
    struct object_store *bucket = l->cfg.bucket;
    job->err.code = 0;
    job->further = false;
    l->memo = l->memo != NULL ? l->memo : archive_memo_new(bucket);
    if (l->memo == NULL) {
        return el_error_set(&job->err, EVLOG_ERR_NO_MEMORY, "no memory to look at what the archive has");
    }
    size_t answers = archive_memo_count(l->memo);
    l->cfg.bucket = archive_memo_store(l->memo);
    int code = begin_try(l, disk, job, &guard, &job->err);
    l->cfg.bucket = bucket;
    job->further = archive_memo_count(l->memo) > answers;
    if (!is_the_stores(code)) {
        archive_memo_free(l->memo);
        l->memo = NULL;
    }
    if (code == 0) {
        tell(l, job);
    }
    job->memory_len = archive_ledger_memory(l);
    job->manifest_len = l->state == NULL ? 0 : archive_state_full_len(l->state);
    archive_guard_free(&guard);
    return code;
}

/* --- the ledger --------------------------------------------------------------------------------------------------- */

int archive_ledger_create(const struct archive_config *cfg, const struct el_uuid *cluster, uint32_t shard_count,
                          struct archive_ledger **ledger)
{
    struct archive_ledger *l = el_calloc(1, sizeof *l);
    if (l == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    l->cfg = *cfg;
    l->cluster = *cluster;
    el_map_init(&l->topic_ages, NULL);
    el_map_init(&l->first_segments, NULL);
    l->shard_count = shard_count;
    for (size_t i = 0; i < cfg->key_count; i++) {
        el_private_key_public(cfg->keys[i], &l->publics[i]);
    }
    *ledger = l;
    return 0;
}

void archive_ledger_destroy(struct archive_ledger *l)
{
    if (l == NULL) {
        return;
    }
    archive_told_free(&l->told);
    archive_state_free(l->state);
    archive_state_free(l->draft);
    el_buffer_free(&l->cluster_json);
    el_buffer_free(&l->manifest);
    el_buffer_free(&l->note);
    el_free(l->before);
    el_free(l->ages);
    archive_retire_free(l);
    archive_memo_free(l->memo);
    el_free(l->inherited);
    el_free(l);
}
