/* SPDX-License-Identifier: Apache-2.0
 *
 * Taking batches out of the archive: a step of the job that makes manifests, in each round until it is done.
 *
 *   1. parts that the range touches are found, their batch tables read; and bundles that hold such parts which do not
 *      count any more, beside others that do. An object with a batch that is to go is read as a whole, compared with
 *      its hash, and put anew with a row alone in the batch's place. All of its parts that count go into the new one,
 *      so that nothing of the old one does
 *   2. the manifest of the round states the redaction and the new objects; the old ones are replaced by it
 *   3. the next one states as removed what may have the batch and was replaced, now or earlier, whatever
 *      archive.replaced.retention.ms says, and the objects go
 *   4. when nothing of that is left, objects that no root covers are removed: what a crash left may have it, too. The
 *      newest object of all, which left by age, goes when another one comes, and is waited for if it has the batch
 *
 * Nothing of it is done while another archive goes on from this one (archive_kin.c): its root names objects here.
 *
 * Each step looks at what is there, and so goes on after a crash. In the first round segments may still be under way
 * that take the place of bundles; it begins in the round behind them, for no others are planned meanwhile.
 */
#include <archive/archive_ledger_state.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <core/crypto.h>
#include <core/logger.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <store/archive_pack.h>

static bool is_redacted_partition(const struct archive_redaction_job *r, const struct el_uuid *topic_id, int32_t number)
{
    return number == r->partition && el_uuid_eq(topic_id, &r->topic_id);
}

static bool row_goes(const struct archive_redaction_job *r, const struct el_pack_batch *row)
{
    return row->leaf.first_offset < r->end_offset && el_pack_batch_end(row) > r->first_offset;
}

static int damaged(const char *key, struct el_error *err)
{
    return el_error_set(err, EVLOG_ERR_CORRUPT, "%s is not what was signed: nothing is redacted before it is restored",
                        key);
}

/* --- which objects ------------------------------------------------------------------------------------------------ */

/* Has the part a batch that is still to go? The range is made as long as the batches that it touches.
 * returns 1 | 0 | EVLOG_ERR_... */
static int part_has(struct archive_ledger *l, const struct el_archive_part *part, struct archive_redaction_job *r,
                    struct el_error *err)
{
    struct archive_object object;
    bool known = archive_state_object(l->state, part->object, &object);
    uint64_t len = (uint64_t)part->batch_count * EL_PACK_BATCH_LEN, done = 0;
    uint8_t sha256[32], *table = el_malloc(len);
    char key[EL_ARCHIVE_KEY_MAX];
    EL_ASSERT(known);
    el_archive_key_object(key, &l->incarnation, &object.now);
    if (table == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for a batch table");
    }
    int has = 0, code = object_get(l->cfg.bucket, key, part->table_pos, table, len, &done, err);
    if (code == 0) {
        el_sha256(table, done, sha256);
        code = done == len && memcmp(sha256, part->table_sha256, 32) == 0 ? 0 : damaged(key, err);
    }
    for (uint32_t i = 0; i < part->batch_count && code == 0; i++) {
        struct el_pack_batch row;
        code = el_pack_batch_get(table + (size_t)i * EL_PACK_BATCH_LEN, &row) == 0 ? 0 : damaged(key, err);
        if (code == 0 && row_goes(r, &row) && !row.redacted) {
            r->first_found = has == 0 && r->end_found == 0 ? row.leaf.first_offset
                                                           : EL_MIN(r->first_found, row.leaf.first_offset);
            r->end_found = EL_MAX(r->end_found, el_pack_batch_end(&row));
            has = 1;
        }
    }
    el_free(table);
    EL_ASSERT(has == 0 || r->first_found < r->end_found);
    return code != 0 ? code : has;
}

/* Has an object a part of the range, whether that counts or not?
 * returns 1 | 0 | EVLOG_ERR_... */
static int object_has(struct archive_ledger *l, const struct archive_object *object,
                      const struct archive_redaction_job *r, struct el_error *err)
{
    uint64_t len = EL_PACK_HEADER_LEN + (uint64_t)object->now.part_count * EL_PACK_PART_LEN, done = 0;
    char key[EL_ARCHIVE_KEY_MAX];
    uint8_t *head = el_malloc(len);
    int has = 0;
    el_archive_key_object(key, &l->incarnation, &object->now);
    if (head == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for the parts of an object");
    }
    int code = object_get(l->cfg.bucket, key, 0, head, len, &done, err);
    code = code == 0 && done != len ? damaged(key, err) : code;
    for (uint32_t i = 0; i < object->now.part_count && code == 0; i++) {
        struct el_archive_part part;
        code = el_archive_part_get(head + EL_PACK_HEADER_LEN + (size_t)i * EL_PACK_PART_LEN, &part) == 0
                   ? 0
                   : damaged(key, err);
        if (code == 0 && is_redacted_partition(r, &part.topic_id, part.partition) &&
            part.first_offset < r->end_offset && part.end_offset > r->first_offset) {
            has = 1;
        }
    }
    el_free(head);
    return code != 0 ? code : has;
}

/* --- an object without them --------------------------------------------------------------------------------------- */

struct anew {
    struct archive_ledger *l;
    const struct archive_object *object;
    const struct archive_redaction_job *r;
    struct el_error *err;
    char key[EL_ARCHIVE_KEY_MAX];
    uint8_t *old; /* [object->now.len] */
    uint8_t *buf;
    struct el_archive_part *counting; /* [count] parts of the object that count, in its order */
    uint32_t count, batch_count;
    struct el_archive_part *parts;
    struct archive_pack pack;
};

static int by_place(const void *left, const void *right)
{
    const struct el_archive_part *a = left, *b = right;
    int order = memcmp(a->topic_id.bytes, b->topic_id.bytes, 16);
    return order != 0 ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

static int parts_find(struct anew *n)
{
    const struct archive_state *state = n->l->state;
    n->counting = el_calloc(n->object->part_count, sizeof *n->counting);
    if (n->counting == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < state->partitions.count; i++) {
        const struct archive_partition *p = state->partitions.entries[i].value;
        for (uint32_t k = 0; k < p->part_count; k++) {
            struct el_archive_part part = archive_part_at(p, k);
            if (part.object == n->object->now.number) {
                EL_ASSERT(n->count < n->object->part_count);
                n->batch_count += part.batch_count;
                n->counting[n->count++] = part;
            }
        }
    }
    EL_ASSERT(n->count == n->object->part_count);
    qsort(n->counting, n->count, sizeof *n->counting, by_place);
    return 0;
}

static int object_read(struct anew *n)
{
    uint8_t sha256[32];
    uint64_t len = 0;
    int code = object_get_all(n->l->cfg.bucket, n->key, n->object->now.len, &n->old, &len, n->err);
    if (code != 0) {
        return code == EVLOG_ERR_LIMIT ? damaged(n->key, n->err) : code;
    }
    el_sha256(n->old, len, sha256);
    bool same = len == n->object->now.len && memcmp(sha256, n->object->now.sha256, 32) == 0;
    return same ? 0 : damaged(n->key, n->err);
}

static int part_copy(struct anew *n, const struct el_archive_part *part)
{
    const uint8_t *table = n->old + part->table_pos, *batch = n->old + part->data_pos;
    bool ours = is_redacted_partition(n->r, &part->topic_id, part->partition);
    int code = archive_pack_part(&n->pack, &part->topic_id, part->partition, part->first_leaf);
    for (uint32_t i = 0; i < part->batch_count && code == 0; i++) {
        struct el_pack_batch row;
        size_t room;
        if (el_pack_batch_get(table + (size_t)i * EL_PACK_BATCH_LEN, &row) != 0) {
            return EVLOG_ERR_CORRUPT;
        }
        uint32_t len = row.len;
        if (ours && row_goes(n->r, &row)) {
            memset(row.salt, 0, sizeof row.salt); /* with it short values could be guessed from the digest */
            row.len = 0;
            row.redacted = true;
        }
        uint8_t *data = archive_pack_data(&n->pack, &room);
        EL_ASSERT(room >= row.len);
        memcpy(data, batch, row.len);
        code = archive_pack_row(&n->pack, &row);
        batch += len;
    }
    return code;
}

static int anew_build(struct anew *n)
{
    size_t front = archive_pack_front(n->count, n->batch_count);
    n->buf = el_malloc(front + n->object->now.len);
    n->parts = el_calloc(n->count, sizeof *n->parts);
    if (n->buf == NULL || n->parts == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    archive_pack_begin(&n->pack, n->buf, front + n->object->now.len, n->parts, n->count, n->batch_count);
    int code = 0;
    for (uint32_t i = 0; i < n->count && code == 0; i++) {
        code = part_copy(n, &n->counting[i]);
    }
    return code;
}

/* What the manifest is made of. The new object is put. */
static int anew_put(struct anew *n, struct archive_make_job *job)
{
    const struct el_manifest_object *old = &n->object->now;
    struct el_pack_header header = {
        .incarnation = n->l->incarnation, .shard = old->shard, .kind = old->kind, .sequence = 0};
    struct archive_pack_made made;
    struct archive_result *result = el_calloc(1, sizeof *result);
    header.sequence = old->kind == EL_PACK_BUNDLE ? old->sequence : 0;
    int code = result == NULL ? EVLOG_ERR_NO_MEMORY : archive_pack_finish(&n->pack, &header, NULL, &made);
    if (code == 0) {
        archive_pack_object(&n->pack, &header, &made, &result->object);
        result->parts = el_calloc(made.part_count, sizeof *result->parts);
        code = result->parts == NULL ? EVLOG_ERR_NO_MEMORY : 0;
    }
    if (code != 0) {
        archive_result_free(result);
        return el_error_set(n->err, code, "%s cannot be put anew without what is redacted: %s", n->key,
                            evlog_error_text(code));
    }
    EL_ASSERT(made.part_count == n->count);
    for (uint32_t i = 0; i < made.part_count; i++) {
        result->parts[i].part = n->parts[i];
    }
    result->part_count = made.part_count;
    result->object.state = EL_OBJECT_LIVE;
    result->replaces = true;
    result->redacts = old->number;
    el_archive_key_object(n->key, &n->l->incarnation, &result->object);
    code = archive_put(n->l, job, n->key, made.object, made.len, n->err);
    if (code != 0) {
        archive_result_free(result);
        return code;
    }
    EL_ASSERT(result->redacts > 0);
    EL_ASSERT(result->part_count == n->object->part_count); /* what counts of the object counts of the new one */
    result->next = job->results[0];
    job->results[0] = result;
    return 0;
}

static int object_anew(struct archive_ledger *l, struct archive_make_job *job, const struct archive_object *object,
                       struct el_error *err)
{
    struct anew n = {.l = l, .object = object, .r = job->redaction, .err = err};
    el_archive_key_object(n.key, &l->incarnation, &object->now);
    int code = parts_find(&n);
    code = code != 0 ? code : object_read(&n);
    if (code == 0) {
        code = anew_build(&n);
        code = code == EVLOG_ERR_CORRUPT ? damaged(n.key, err) : code;
    }
    code = code != 0 ? code : anew_put(&n, job);
    if (code != 0 && err->code == 0) {
        (void)el_error_set(err, code, "%s: %s", n.key, evlog_error_text(code));
    }
    el_free(n.counting);
    el_free(n.old);
    el_free(n.buf);
    el_free(n.parts);
    return code;
}

static bool is_put_anew(const struct archive_make_job *job, uint64_t number)
{
    for (const struct archive_result *r = job->results[0]; r != NULL; r = r->next) {
        if (r->redacts == number) {
            return true;
        }
    }
    return false;
}

/* --- objects that no root covers ---------------------------------------------------------------------------------- */

struct sweep {
    const struct archive_ledger *l;
    uint8_t (*known)[32]; /* [count] SHA-256 of names, sorted */
    size_t count;
    struct el_buffer found; /* names that are not among them, each with its NUL */
};

static int by_hash(const void *left, const void *right)
{
    return memcmp(left, right, 32);
}

static bool sweep_note(void *arg, const char *key, uint64_t len, int64_t modified_ms)
{
    struct sweep *s = arg;
    uint8_t hash[32];
    (void)len;
    (void)modified_ms;
    el_sha256(key, strlen(key), hash);
    if (s->count == 0 || bsearch(hash, s->known, s->count, sizeof s->known[0], by_hash) == NULL) {
        el_buffer_append(&s->found, key, strlen(key) + 1);
    }
    return true;
}

/* Only where it is looked: bundles, and segments of the partition. */
static void know(struct sweep *s, const struct archive_redaction_job *r, const struct el_manifest_object *object)
{
    char key[EL_ARCHIVE_KEY_MAX];
    if (object->kind == EL_PACK_BUNDLE || is_redacted_partition(r, &object->topic_id, object->partition)) {
        el_archive_key_object(key, &s->l->incarnation, object);
        el_sha256(key, strlen(key), s->known[s->count++]);
    }
}

static int known_names(struct sweep *s, const struct archive_make_job *job)
{
    const struct archive_ledger *l = s->l;
    size_t count = 0;
    for (size_t i = 0; i < l->state->object_count; i++) {
        struct archive_object object = archive_object_at(l->state, i);
        count += object.now.kind == EL_PACK_BUNDLE ||
                 is_redacted_partition(job->redaction, &object.now.topic_id, object.now.partition);
    }
    for (uint32_t i = 0; i < l->shard_count; i++) {
        for (const struct archive_result *r = job->results[i]; r != NULL; r = r->next) {
            count++;
        }
    }
    s->known = el_calloc(EL_MAX(count, (size_t)1), sizeof s->known[0]);
    if (s->known == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < l->state->object_count; i++) {
        struct archive_object object = archive_object_at(l->state, i);
        know(s, job->redaction, &object.now);
    }
    for (uint32_t i = 0; i < l->shard_count; i++) {
        for (const struct archive_result *r = job->results[i]; r != NULL; r = r->next) {
            know(s, job->redaction, &r->object);
        }
    }
    qsort(s->known, s->count, sizeof s->known[0], by_hash);
    return 0;
}

static int sweep(struct archive_ledger *l, const struct archive_make_job *job, struct el_error *err)
{
    const struct archive_redaction_job *r = job->redaction;
    struct sweep s = {.l = l};
    char prefix[EL_ARCHIVE_KEY_MAX], id[33], topic[33];
    el_hex(id, l->incarnation.bytes, 16);
    el_hex(topic, r->topic_id.bytes, 16);
    int code = known_names(&s, job);
    if (code == 0) {
        (void)snprintf(prefix, sizeof prefix, "%s/bundles/", id);
        code = object_list(l->cfg.bucket, prefix, NULL, sweep_note, &s, err);
    }
    if (code == 0) {
        (void)snprintf(prefix, sizeof prefix, "%s/topics/%s/%d/seg/", id, topic, r->partition);
        code = object_list(l->cfg.bucket, prefix, NULL, sweep_note, &s, err);
    }
    code = code == 0 ? s.found.err : code;
    for (size_t pos = 0; pos < s.found.len && code == 0;) {
        const char *name = (const char *)s.found.data + pos;
        code = object_remove(l->cfg.bucket, name, err);
        pos += strlen(name) + 1;
    }
    if (code != 0 && err->code == 0) {
        (void)el_error_set(err, code, "looking for objects that no root covers: %s", evlog_error_text(code));
    }
    el_buffer_free(&s.found);
    el_free(s.known);
    return code;
}

/* --- the step ----------------------------------------------------------------------------------------------------- */

bool archive_redaction_drops(const struct archive_redaction_job *r, const struct el_manifest_object *object)
{
    if (r == NULL || object->state != EL_OBJECT_REPLACED) {
        return false;
    }
    return object->kind == EL_PACK_BUNDLE || (is_redacted_partition(r, &object->topic_id, object->partition) &&
                                              (int64_t)object->sequence < r->end_offset);
}

/* Segments in place of bundles are being made in this round. */
static bool is_busy(const struct archive_ledger *l, const struct archive_make_job *job)
{
    for (uint32_t i = 0; i < l->shard_count; i++) {
        for (const struct archive_result *r = job->results[i]; r != NULL; r = r->next) {
            if (r->replaces && r->redacts == 0) {
                return true;
            }
        }
    }
    return false;
}

static int objects_anew(struct archive_ledger *l, struct archive_make_job *job, const struct archive_partition *p,
                        bool *clean, struct el_error *err)
{
    struct archive_redaction_job *r = job->redaction;
    for (uint32_t i = 0; i < p->part_count; i++) {
        const struct el_archive_part held = archive_part_at(p, i), *part = &held;
        if (part->end_offset <= r->first_offset || part->first_offset >= r->end_offset) {
            continue;
        }
        int has = is_put_anew(job, part->object) ? 1 : part_has(l, part, r, err);
        *clean = *clean && has == 0;
        if (has == 1 && !is_put_anew(job, part->object)) {
            struct archive_object object;
            bool known = archive_state_object(l->state, part->object, &object);
            EL_ASSERT(known);
            has = object_anew(l, job, &object, err);
        }
        if (has < 0) {
            return has;
        }
    }
    return 0;
}

/* Bundles that hold the range in parts that segments took the place of. */
static int rests_anew(struct archive_ledger *l, struct archive_make_job *job, bool *clean, struct el_error *err)
{
    for (size_t i = 0; i < l->state->object_count; i++) {
        const struct archive_object held = archive_object_at(l->state, i), *object = &held;
        bool rest = object->now.state == EL_OBJECT_LIVE && object->part_count < object->now.part_count;
        if (!rest) {
            continue;
        }
        int has = is_put_anew(job, object->now.number) ? 1 : object_has(l, object, job->redaction, err);
        *clean = *clean && has == 0;
        if (has == 1 && !is_put_anew(job, object->now.number)) {
            has = object_anew(l, job, object, err);
        }
        if (has < 0) {
            return has;
        }
    }
    return 0;
}

/* Are replaced objects left that go first? What has the highest number is stated as removed when there is another one
 * behind it, which may take long: if it holds none of the range it may stay, else it is waited for. */
static int replaced_left(struct archive_ledger *l, struct archive_redaction_job *r, bool *clean, struct el_error *err)
{
    for (size_t i = 0; i < l->state->object_count && *clean; i++) {
        const struct archive_object held = archive_object_at(l->state, i), *object = &held;
        bool drops = archive_redaction_drops(r, &object->now);
        bool last = object->now.number == l->state->last_object;
        int has = drops && last ? object_has(l, object, r, err) : drops;
        if (has < 0) {
            return has;
        }
        *clean = has == 0;
        r->waits = has == 1 && last;
    }
    return 0;
}

int archive_redaction_run(struct archive_ledger *l, struct archive_make_job *job, struct el_error *err)
{
    struct archive_redaction_job *r = job->redaction;
    const struct archive_partition *p = archive_state_partition(l->state, &r->topic_id, r->partition);
    const struct archive_partition *first = p != NULL || l->draft == NULL
                                                ? p
                                                : archive_state_partition(l->draft, &r->topic_id, r->partition);
    bool clean = true, any = false;
    int64_t child_ms;
    int code = 0;
    for (const struct archive_result *result = job->results[0]; result != NULL; result = result->next) {
        any = any || result->redacts != 0; /* this step failed and is run again */
    }
    if (!any) {
        r->first_found = r->end_found = 0;
    }
    r->done = r->child = r->waits = false;
    r->parent_end = first == NULL ? 0 : EL_MIN(first->now.start_offset, r->end_offset);
    if (is_busy(l, job)) {
        return 0;
    }
    code = archive_child_look(l, &child_ms, err);
    if (code != 0 || child_ms != INT64_MIN) {
        r->child = code == 0;
        return code;
    }
    if (p != NULL) {
        code = objects_anew(l, job, p, &clean, err);
    }
    code = code != 0 ? code : rests_anew(l, job, &clean, err);
    code = code != 0 ? code : replaced_left(l, r, &clean, err);
    if (code == 0 && clean) {
        code = sweep(l, job, err);
        r->done = code == 0;
    }
    return code;
}

/* --- what the manifest says --------------------------------------------------------------------------------------- */

static bool is_stated(const struct archive_state *state, const struct el_manifest_redaction *r)
{
    for (size_t i = 0; i < state->redaction_count; i++) {
        const struct el_manifest_redaction *there = &state->redactions[i].now;
        if (there->partition == r->partition && el_uuid_eq(&there->topic_id, &r->topic_id) &&
            there->first_offset <= r->first_offset && there->end_offset >= r->end_offset) {
            return true;
        }
    }
    return false;
}

void archive_redaction_state(const struct archive_ledger *l, const struct el_manifest_redaction *redaction,
                             struct el_buffer *out)
{
    if (!is_stated(l->state, redaction)) {
        el_manifest_redaction_put(out, redaction);
    }
}

void archive_redaction_put(const struct archive_ledger *l, const struct archive_redaction_job *r, struct el_buffer *out)
{
    if (r != NULL && r->end_found > 0) {
        struct el_manifest_redaction stated = {.topic_id = r->topic_id,
                                               .partition = r->partition,
                                               .first_offset = r->first_found,
                                               .end_offset = r->end_found,
                                               .when_ms = r->when_ms,
                                               .reason = el_slice_of(r->reason, r->reason_len)};
        archive_redaction_state(l, &stated, out);
    }
}
