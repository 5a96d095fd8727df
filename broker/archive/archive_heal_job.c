/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk that is older than what was signed is healed, on the ledger's side:
 *
 *   1. archive_catch_up(): what this disk has signed last is in the store, as it was; what the newest root covers has
 *      grown out of it; a key of this broker signed that; and whoever put it has been silent for long enough. Shards
 *      are told how far the archive reaches, and how far it did when this disk was its own
 *   2. shards compare and fetch (archive_heal.c)
 *   3. archive_adopt_run(): the leader epoch rises; the name of the next manifest is taken, so that a broker with the
 *      newer disk that is still at work finds out at its next round; a new incarnation is drawn, which continues the
 *      old one from its newest root, as that of a restored directory does. From then on this disk knows nothing else
 *
 * A crash before the end of 3 leaves an older disk that has more than it had, and healing begins anew.
 */
#include <archive/archive_ledger_state.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <core/logger.h>
#include <inttypes.h>
#include <stdio.h>
#include <store/archive_restore.h>

#define NEXT_MS 60000u /* a manifest without a root may be in the making for so long, whatever is configured */

/* --- catching up -------------------------------------------------------------------------------------------------- */

/* The state as this disk knew it; of a restored one that has signed nothing, its draft; of others nothing. */
static int known_state(struct archive_ledger *l, const struct archive_guard *guard, struct el_error *err)
{
    int code = archive_start_over(l, err);
    if (code == 0 && guard->sequence > 0) {
        struct el_hash256 root;
        code = archive_load_state(l, guard->sequence, err);
        code = code != 0 ? code : archive_check_root(l, guard->sequence, guard, &root, err);
    } else if (code == 0 && guard->manifest.len > 0) {
        code = archive_state_apply(l->state, guard->manifest.data, guard->manifest.len, err);
    }
    return code;
}

/* The newest root is signed by a key that is given here. */
static int check_signature(struct archive_ledger *l, uint64_t sequence, struct el_error *err)
{
    char key[EL_ARCHIVE_KEY_MAX], name[EL_ARCHIVE_KEY_MAX];
    uint8_t *data = NULL;
    uint64_t len = 0;
    struct el_hash256 root;
    int code = archive_check_root(l, sequence, NULL, &root, err);
    el_archive_key_root(key, &l->incarnation, sequence);
    el_archive_key_name(name, &l->cluster);
    code = code != 0 ? code : object_get_all(l->cfg.bucket, key, EL_NOTE_LEN_MAX, &data, &len, err);
    if (code == 0 && el_note_verify(el_slice_of(data, len), el_slice_str(name), l->publics, l->cfg.key_count, NULL)) {
        code = el_error_set(err, EVLOG_ERR_CONFLICT,
                            "%s: %s is not signed by any of the keys that are given: give --archive-key those that "
                            "signed last, or nothing of it is believed",
                            l->cfg.bucket->url, key);
    }
    el_free(data);
    return code;
}

/* The manifest behind the newest root, when it is there: its root never came, or comes now. */
static int look_at_next(struct archive_ledger *l, uint64_t *made_ms, struct el_error *err)
{
    struct el_manifest_header header;
    char key[EL_ARCHIVE_KEY_MAX];
    uint8_t *data = NULL;
    uint64_t len = 0;
    el_archive_key_manifest(key, &l->incarnation, l->state->header.sequence + 1);
    int code = object_get_all(l->cfg.bucket, key, EL_MANIFEST_LEN_MAX, &data, &len, err);
    l->next_there = code == 0;
    if (code == 0 && el_manifest_header_get(data, len, &header) == 0) {
        *made_ms = EL_MAX(*made_ms, header.made_ms);
    }
    el_free(data);
    return code == EVLOG_ERR_NOT_FOUND ? 0 : code;
}

/* Whoever has the newer disk may be at work: then the archive is its. */
static int check_silence(struct archive_ledger *l, struct archive_begin_job *job, struct el_error *err)
{
    uint64_t made_ms = l->state->header.made_ms;
    int code = look_at_next(l, &made_ms, err);
    if (code != 0) {
        return code;
    }
    uint64_t silent_ms = job->now_ms > made_ms ? job->now_ms - made_ms : 0;
    if (l->seen_root != l->state->header.sequence || l->seen_next != l->next_there) {
        l->seen_root = l->state->header.sequence;
        l->seen_next = l->next_there;
        l->seen_ms = job->mono_ms;
    }
    silent_ms = EL_MAX(silent_ms, job->mono_ms - l->seen_ms); /* the machines' clocks may differ */
    uint64_t wanted_ms = l->next_there ? EL_MAX(l->cfg.silent_ms, NEXT_MS) : l->cfg.silent_ms;
    if (silent_ms >= wanted_ms) {
        return 0;
    }
    job->waits = true;
    return el_error_set(err, EVLOG_ERR_AGAIN,
                        "%s has root %" PRIu64 ", which this directory did not sign: this disk is older than what was "
                        "signed. It was put %" PRIu64 " s ago, by a broker that may be at work: when it is silent for "
                        "%" PRIu64 " s this disk is healed from the archive, at once with --from-archive=true",
                        l->cfg.bucket->url, l->state->header.sequence, silent_ms / 1000, wanted_ms / 1000);
}

/* What this disk knew, in the order of the newest state's partitions. Of what has left the archive it may have the
 * beginning, and nobody has the rest: a log has no hole that looks like a whole history, so it begins behind that. By
 * what was known, not by what is on the disk, for that grows before a crash. */
static void note_known(const struct archive_state *before, struct archive_told *told)
{
    for (size_t i = 0; i < told->part_count; i++) {
        struct archive_told_part *part = &told->parts[i];
        const struct archive_partition *p = archive_state_partition(before, &part->topic_id, part->number);
        part->known_end = p == NULL ? 0 : p->now.end_offset;
        part->healed_end = part->end;
        part->log_start = part->known_end < part->retired ? EL_MAX(part->log_start, part->retired) : part->log_start;
    }
}

int archive_catch_up(struct archive_ledger *l, const struct archive_guard *guard, struct archive_begin_job *job,
                     struct el_error *err)
{
    uint64_t last = 0;
    int code = known_state(l, guard, err);
    struct archive_state *before = l->state;
    l->state = code == 0 ? archive_state_new() : NULL;
    if (code == 0 && l->state == NULL) {
        code = el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for what the archive has");
    }
    code = code != 0 ? code : archive_last_root(l, &last, err);
    if (code == 0 && last == 0) {
        code = el_error_set(err, EVLOG_ERR_NOT_FOUND, "there is no root to go on from");
    }
    code = code != 0 ? code : archive_load_state(l, last, err);
    code = code != 0 ? code : check_signature(l, last, err);
    if (code == 0 && guard->sequence > 0) {
        code = archive_state_continues(before, l->state, err);
        err->code = code = code == EVLOG_ERR_CORRUPT ? EVLOG_ERR_CONFLICT : code;
    }
    if (code == 0 && l->state->redaction_count > before->redaction_count) {
        code = el_error_set(
            err, EVLOG_ERR_CONFLICT,
            "events were redacted since this disk, which is older than what was signed, was the "
            "archive's, and it still has them: it is not healed; start evlogd --from-archive=true on an "
            "empty data directory, and destroy this one");
    }
    code = code != 0 ? code : check_silence(l, job, err);
    code = code != 0 ? code : archive_inherit(l, err);
    code = code != 0 ? code : archive_plan(l, true, NULL, job->now_ms, err);
    if (code == 0) {
        note_known(before, &l->told);
    }
    archive_state_free(before);
    return code;
}

/* --- adopting ----------------------------------------------------------------------------------------------------- */

static int64_t healed_end(const struct archive_adopt_job *job, size_t hint, const struct archive_partition *p)
{
    for (size_t i = 0; i < job->told.part_count; i++) { /* at its own place, but for partitions that were not told */
        const struct archive_told_part *part = &job->told.parts[(hint + i) % job->told.part_count];
        if (part->number == p->now.partition && el_uuid_eq(&part->topic_id, &p->now.topic_id)) {
            return part->healed_end;
        }
    }
    return p->now.end_offset;
}

/* As of a restored directory: docs/format.md section 15.7. */
static int make_draft(struct archive_ledger *l, const struct archive_adopt_job *job, struct el_buffer *out)
{
    const struct archive_state *state = l->state;
    struct el_frontier none = {0};
    struct el_hash256 root;
    el_manifest_begin(out);
    el_manifest_tree_put(out, &none);
    for (size_t i = 0; i < state->topics.count; i++) {
        const struct archive_topic *topic = state->topics.entries[i].value;
        el_manifest_topic_put(out, &topic->now);
    }
    for (size_t i = 0; i < state->partitions.count; i++) {
        const struct archive_partition *p = state->partitions.entries[i].value;
        int64_t end = healed_end(job, i, p);
        el_manifest_partition_put(out, &(struct el_manifest_partition){.topic_id = p->now.topic_id,
                                                                       .partition = p->now.partition,
                                                                       .start_offset = end,
                                                                       .end_offset = end,
                                                                       .log_start = EL_MIN(p->now.log_start, end)});
    }
    struct el_manifest_header header = {.kind = EL_MANIFEST_FULL,
                                        .incarnation = job->fresh,
                                        .sequence = 1,
                                        .full_sequence = 1,
                                        .made_ms = job->now_ms,
                                        .parent = l->incarnation,
                                        .parent_sequence = state->header.sequence,
                                        .leader_epoch = job->leader_epoch};
    el_frontier_root(&state->tree, &root);
    memcpy(header.parent_root, root.bytes, sizeof header.parent_root);
    return el_manifest_seal(out, &header);
}

/* The next manifest of the old incarnation, in which nothing has changed. No root will cover it, and nobody else can
 * put another one. */
static int make_fence(struct archive_ledger *l, const struct archive_adopt_job *job, struct el_error *err)
{
    struct el_manifest_header header;
    archive_state_next(l->state, &l->incarnation, &header);
    header.cut_ns = l->state->header.cut_ns;
    header.made_ms = EL_MAX(job->now_ms, l->state->header.made_ms);
    header.leader_epoch = l->state->header.leader_epoch;
    el_buffer_reset(&l->manifest);
    el_manifest_begin(&l->manifest);
    archive_state_put_tree(l->state, &l->manifest);
    int code = el_manifest_seal(&l->manifest, &header);
    code = code != 0 ? code : archive_state_apply(l->state, l->manifest.data, l->manifest.len, err);
    if (code == 0 && archive_state_chain(l->state) >= EL_MANIFEST_CHAIN_MAX) {
        el_buffer_reset(&l->manifest);
        code = archive_state_to_full(l->state, &l->manifest);
    }
    return code == 0 ? 0 : el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for a manifest");
}

/* One that was there before is as good. Another one is of a broker that is at work. */
static int put_fence(struct archive_ledger *l, struct el_error *err)
{
    char key[EL_ARCHIVE_KEY_MAX];
    el_archive_key_manifest(key, &l->incarnation, l->state->header.sequence);
    int code = archive_put(l, NULL, key, l->manifest.data, l->manifest.len, err);
    if (code == EVLOG_ERR_CONFLICT) {
        code = l->next_there ? 0
                             : el_error_set(err, EVLOG_ERR_EXISTS, "%s has gone on: what it has is looked at again",
                                            l->cfg.bucket->url);
    }
    return code;
}

static int adopt(struct archive_adopt_job *job, struct disk *disk, struct el_error *err)
{
    struct archive_ledger *l = job->ledger;
    int code = 0;
    if (!job->made) {
        int32_t epoch = l->state->header.leader_epoch;
        job->leader_epoch = epoch > INT32_MAX - ARCHIVE_RESTORE_EPOCHS ? epoch : epoch + ARCHIVE_RESTORE_EPOCHS;
        el_buffer_reset(&l->note); /* the draft is kept there */
        code = make_draft(l, job, &l->note);
        code = code != 0 ? el_error_set(err, code, "no memory for a manifest") : make_fence(l, job, err);
        job->made = code == 0;
        if (code != 0) { /* the state may be broken */
            return err->code = EVLOG_ERR_CONFLICT;
        }
    }
    code = store_epoch_raise(job->store, job->leader_epoch, err);
    code = code != 0 ? code : put_fence(l, err);
    struct archive_guard guard = {.incarnation = job->fresh, .manifest = el_buffer_slice(&l->note)};
    return code != 0 ? code : archive_guard_save(disk, &guard, NULL, err);
}

int64_t archive_adopt_run(struct disk *disk, void *arg)
{
    struct archive_adopt_job *job = arg;
    job->err.code = 0;
    return adopt(job, disk, &job->err);
}
