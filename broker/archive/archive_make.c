/* SPDX-License-Identifier: Apache-2.0
 *
 * The job that makes a manifest of what shards have put, and carries it through.
 *
 *   redact   objects that hold what is redacted are put anew without it (archive_redact.c)
 *   build    records of what has changed, applied to the state by the code that readers check with: a manifest that
 *            breaks a rule is never signed. From time to time a full one takes its place
 *   sign     the root of the tree with it
 *   guard    kept on this disk (archive_guard.c)
 *   publish  put (archive_publish.c)
 *   finish   objects that earlier manifests state as removed are removed; shards are told (archive_plan.c)
 *
 * A step that fails is run again, and the steps before it are not.
 */
#include <archive/archive_ledger_state.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <core/logger.h>
#include <inttypes.h>
#include <stdlib.h>

#define MANIFEST_KEEP_MAX (1u << 20)

/* What is being built. */
struct build {
    struct archive_ledger *l;
    struct archive_make_job *job;
    struct el_error *err;
    struct el_buffer *out;
    struct found {
        struct result_part *part;
        struct archive_result *result;
        bool counts;
    } * found; /* [found_count] by partition and leaf */
    size_t found_count;
    uint64_t *numbers; /* objects of parts that are replaced, sorted */
    size_t number_count;
};

static int no_memory(struct build *b)
{
    return el_error_set(b->err, EVLOG_ERR_NO_MEMORY, "no memory for a manifest");
}

/* --- what was put ------------------------------------------------------------------------------------------------- */

static int by_leaf(const void *left, const void *right)
{
    const struct found *a = left, *b = right;
    const struct el_archive_part *x = &a->part->part, *y = &b->part->part;
    int order = memcmp(x->topic_id.bytes, y->topic_id.bytes, 16);
    order = order != 0 ? order : (x->partition > y->partition) - (x->partition < y->partition);
    return order != 0 ? order : (x->first_leaf > y->first_leaf) - (x->first_leaf < y->first_leaf);
}

static const struct archive_topic_entry *catalogue_next(const struct archive_catalogue *c, size_t *pos)
{
    if (*pos >= c->len) {
        return NULL;
    }
    const struct archive_topic_entry *entry = (const struct archive_topic_entry *)(const void *)(c->data + *pos);
    *pos += EL_ALIGN_UP(sizeof *entry + entry->name_len + entry->settings_len, 8);
    EL_ASSERT(*pos <= c->len);
    return entry;
}

static bool topic_is_known(const struct build *b, const struct el_uuid *id)
{
    size_t pos = 0;
    if (archive_state_topic(b->l->state, id) != NULL) {
        return true;
    }
    for (const struct archive_topic_entry *e; (e = catalogue_next(&b->job->catalogue, &pos)) != NULL;) {
        if (el_uuid_eq(&e->id, id)) {
            return true;
        }
    }
    return false;
}

/* Parts of a topic that was made and deleted since the last manifest do not count, nor does an object of such only. */
static int gather(struct build *b)
{
    size_t count = 0;
    for (uint32_t i = 0; i < b->l->shard_count; i++) {
        for (struct archive_result *r = b->job->results[i]; r != NULL; r = r->next) {
            count += r->part_count;
        }
    }
    b->found = el_calloc(EL_MAX(count, (size_t)1), sizeof *b->found);
    if (b->found == NULL) {
        return no_memory(b);
    }
    for (uint32_t i = 0; i < b->l->shard_count; i++) {
        for (struct archive_result *r = b->job->results[i]; r != NULL; r = r->next) {
            r->object.number = 0;
            for (uint32_t k = 0; k < r->part_count; k++) {
                struct el_uuid *topic = &r->parts[k].part.topic_id;
                if (topic_is_known(b, topic)) {
                    EL_ASSERT(b->found_count < count);
                    b->found[b->found_count++] = (struct found){.part = &r->parts[k], .result = r, .counts = true};
                    r->object.number = 1; /* it gets one */
                }
            }
        }
    }
    qsort(b->found, b->found_count, sizeof *b->found, by_leaf);
    return 0;
}

/* --- keys and topics ---------------------------------------------------------------------------------------------- */

static void put_keys(struct build *b)
{
    const struct archive_state *state = b->l->state;
    for (size_t i = 0; i < b->l->cfg.key_count; i++) {
        struct el_slice bytes = el_slice_of(b->l->publics[i].bytes, b->l->publics[i].len);
        bool stated = false;
        for (size_t k = 0; k < state->key_count; k++) {
            stated = stated || el_slice_eq(state->keys[k].now.bytes, bytes);
        }
        if (!stated) {
            struct el_manifest_key key = {.kind = b->l->publics[i].kind, .changed_ms = b->job->now_ms, .bytes = bytes};
            el_manifest_key_put(b->out, &key);
        }
    }
    for (size_t k = 0; k < state->key_count; k++) { /* one that is not given any more signs no more */
        bool given = state->keys[k].now.retired;
        for (size_t i = 0; i < b->l->cfg.key_count; i++) {
            struct el_slice bytes = el_slice_of(b->l->publics[i].bytes, b->l->publics[i].len);
            given = given || el_slice_eq(state->keys[k].now.bytes, bytes);
        }
        if (!given) {
            struct el_manifest_key key = state->keys[k].now;
            key.retired = true;
            key.changed_ms = b->job->now_ms;
            el_manifest_key_put(b->out, &key);
        }
    }
}

static void put_topics(struct build *b)
{
    const struct archive_catalogue *c = &b->job->catalogue;
    size_t pos = 0;
    if (c->data == NULL) {
        return;
    }
    for (const struct archive_topic_entry *e; (e = catalogue_next(c, &pos)) != NULL;) {
        const uint8_t *text = (const uint8_t *)(e + 1);
        const struct archive_topic *known = archive_state_topic(b->l->state, &e->id);
        struct el_manifest_topic topic = {.id = e->id,
                                          .internal = e->internal,
                                          .partition_count = e->partition_count,
                                          .changed_ms = b->job->now_ms,
                                          .name = el_slice_of(text, e->name_len),
                                          .settings = el_slice_of(text + e->name_len, e->settings_len)};
        if (known == NULL || known->now.partition_count != topic.partition_count ||
            !el_slice_eq(known->now.settings, topic.settings)) {
            el_manifest_topic_put(b->out, &topic);
        }
    }
    for (size_t i = 0; i < b->l->state->topics.count; i++) {
        struct el_manifest_topic topic = ((const struct archive_topic *)b->l->state->topics.entries[i].value)->now;
        bool there = topic.deleted;
        pos = 0;
        for (const struct archive_topic_entry *e; !there && (e = catalogue_next(c, &pos)) != NULL;) {
            there = el_uuid_eq(&e->id, &topic.id);
        }
        if (!there) {
            topic.deleted = true;
            topic.changed_ms = b->job->now_ms;
            el_manifest_topic_put(b->out, &topic);
        }
    }
}

/* --- partitions --------------------------------------------------------------------------------------------------- */

static bool move_of(const struct build *b, const struct el_uuid *topic_id, int32_t number, int64_t *log_start)
{
    for (uint32_t i = 0; i < b->l->shard_count; i++) {
        for (uint32_t k = 0; k < b->job->move_counts[i]; k++) {
            const struct archive_move *m = &b->job->moves[i][k];
            if (m->number == number && el_uuid_eq(&m->topic_id, topic_id)) {
                *log_start = m->log_start;
                return true;
            }
        }
    }
    return false;
}

/* As it was before this manifest. */
static struct el_manifest_partition partition_now(const struct build *b, const struct el_uuid *topic_id, int32_t number)
{
    const struct archive_partition *p = archive_state_partition(b->l->state, topic_id, number);
    const struct archive_partition *draft = p != NULL || b->l->draft == NULL
                                                ? NULL
                                                : archive_state_partition(b->l->draft, topic_id, number);
    if (p != NULL || draft != NULL) {
        return p != NULL ? p->now : draft->now;
    }
    return (struct el_manifest_partition){.topic_id = *topic_id, .partition = number};
}

/* The partition of found[from .. to). returns 0 | EVLOG_ERR_CONFLICT leaves that do not follow: a fault of ours */
static int put_found(struct build *b, size_t from, size_t to)
{
    const struct el_archive_part *first = &b->found[from].part->part;
    struct el_manifest_partition now = partition_now(b, &first->topic_id, first->partition);
    bool grown = false;
    for (size_t i = from; i < to; i++) {
        const struct result_part *rp = b->found[i].part;
        if (b->found[i].result->replaces) {
            continue;
        }
        if (rp->part.first_leaf != now.tree.size || rp->part.first_offset < now.end_offset) {
            return el_error_set(b->err, EVLOG_ERR_CONFLICT,
                                "batches of partition %d do not follow what is archived: leaf %" PRIu64 " at offset "
                                "%" PRId64 " behind leaf %" PRIu64 " at %" PRId64 ". This is a fault of evlog",
                                first->partition, rp->part.first_leaf, rp->part.first_offset, now.tree.size,
                                now.end_offset);
        }
        for (uint32_t k = 0; k < rp->part.batch_count; k++) {
            el_frontier_add(&now.tree, &rp->leaves[k]);
        }
        EL_ASSERT(now.tree.size == el_archive_part_leaf_end(&rp->part));
        EL_ASSERT(rp->part.end_offset > now.end_offset);
        now.end_offset = rp->part.end_offset;
        now.last_append_ns = EL_MAX(now.last_append_ns, rp->last_append_ns);
        grown = true;
    }
    int64_t log_start = now.log_start;
    bool moved = move_of(b, &first->topic_id, first->partition, &log_start);
    now.log_start = EL_MAX(now.log_start, log_start);
    if (grown || moved) {
        el_manifest_partition_put(b->out, &now);
    }
    return 0;
}

static int put_partitions(struct build *b)
{
    int code = 0;
    size_t to;
    for (size_t from = 0; from < b->found_count && code == 0; from = to) {
        const struct el_archive_part *first = &b->found[from].part->part;
        for (to = from; to < b->found_count; to++) {
            const struct el_archive_part *part = &b->found[to].part->part;
            if (part->partition != first->partition || !el_uuid_eq(&part->topic_id, &first->topic_id)) {
                break;
            }
        }
        code = put_found(b, from, to);
    }
    return code;
}

static bool is_found(const struct build *b, const struct el_uuid *topic_id, int32_t number)
{
    size_t low = 0, high = b->found_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct el_archive_part *part = &b->found[middle].part->part;
        int order = memcmp(part->topic_id.bytes, topic_id->bytes, 16);
        order = order != 0 ? order : (part->partition > number) - (part->partition < number);
        if (order == 0) {
            return true;
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return false;
}

/* Is it of a restored directory, and stated for the first time? */
static bool in_draft(const struct build *b, const struct el_uuid *topic_id, int32_t number)
{
    return b->l->draft != NULL && archive_state_partition(b->l->draft, topic_id, number) != NULL;
}

/* Partitions whose log start moved and that have nothing new, also those that never had anything: a log start above the
 * end says that these offsets were given. And at first those of a restored directory. */
static void put_moved(struct build *b)
{
    for (uint32_t i = 0; i < b->l->shard_count; i++) {
        for (uint32_t k = 0; k < b->job->move_counts[i]; k++) {
            const struct archive_move *m = &b->job->moves[i][k];
            bool drafted = in_draft(b, &m->topic_id, m->number);
            if (!drafted && topic_is_known(b, &m->topic_id) && !is_found(b, &m->topic_id, m->number)) {
                struct el_manifest_partition now = partition_now(b, &m->topic_id, m->number);
                now.log_start = EL_MAX(now.log_start, m->log_start);
                el_manifest_partition_put(b->out, &now);
            }
        }
    }
    for (size_t i = 0; b->l->draft != NULL && i < b->l->draft->partitions.count; i++) {
        const struct archive_partition *p = b->l->draft->partitions.entries[i].value;
        bool known = topic_is_known(b, &p->now.topic_id);
        if (known && !is_found(b, &p->now.topic_id, p->now.partition)) {
            struct el_manifest_partition now = p->now;
            int64_t log_start = now.log_start;
            (void)move_of(b, &now.topic_id, now.partition, &log_start);
            now.log_start = EL_MAX(now.log_start, log_start);
            el_manifest_partition_put(b->out, &now);
        }
    }
}

/* --- what is too old ---------------------------------------------------------------------------------------------- */

/* Does a segment of this round take the place of parts of the partition? */
static bool is_replaced(const struct build *b, const struct el_uuid *topic_id, int32_t number)
{
    for (size_t i = 0; i < b->found_count; i++) {
        const struct el_archive_part *part = &b->found[i].part->part;
        if (b->found[i].result->replaces && part->partition == number && el_uuid_eq(&part->topic_id, topic_id)) {
            return true;
        }
    }
    return false;
}

/* Those that a segment of this round reaches into, and those that are not as they were when they were looked at, wait
 * for the next look. */
static void choose_retired(struct build *b)
{
    struct archive_ledger *l = b->l;
    size_t kept = 0;
    for (size_t i = 0; i < l->retiring_count; i++) {
        const struct el_manifest_retired r = l->retiring[i];
        const struct archive_partition *p = archive_state_partition(l->state, &r.topic_id, r.partition);
        bool fits = p != NULL && r.tree.size > p->retired->tree.size && !is_replaced(b, &r.topic_id, r.partition);
        bool ends = false;
        for (uint32_t k = 0; fits && k < p->part_count; k++) {
            struct el_archive_part part = archive_part_at(p, k);
            if (part.first_leaf >= r.tree.size) {
                break;
            }
            ends = el_archive_part_leaf_end(&part) == r.tree.size && part.end_offset == r.end_offset;
        }
        if (ends) {
            l->retiring[kept++] = r;
        }
    }
    l->retiring_count = kept;
}

static void put_retired(struct build *b)
{
    for (size_t i = 0; i < b->l->retiring_count; i++) {
        el_manifest_retired_put(b->out, &b->l->retiring[i]);
    }
}

/* --- objects ------------------------------------------------------------------------------------------------------ */

static int by_number(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* Objects of the parts that new segments cover, or that are too old, once for each part. */
static int gather_replaced(struct build *b)
{
    size_t max = 0;
    for (size_t i = 0; i < b->found_count; i++) {
        const struct el_archive_part *part = &b->found[i].part->part;
        const struct archive_partition *p = b->found[i].result->replaces
                                                ? archive_state_partition(b->l->state, &part->topic_id, part->partition)
                                                : NULL;
        max += p == NULL ? 0 : p->part_count;
    }
    for (size_t i = 0; i < b->l->retiring_count; i++) {
        const struct el_manifest_retired *r = &b->l->retiring[i];
        max += archive_state_partition(b->l->state, &r->topic_id, r->partition)->part_count;
    }
    b->numbers = el_calloc(EL_MAX(max, (size_t)1), sizeof *b->numbers);
    if (b->numbers == NULL) {
        return no_memory(b);
    }
    for (size_t i = 0; i < b->found_count; i++) {
        const struct el_archive_part *part = &b->found[i].part->part;
        const struct archive_partition *p = b->found[i].result->replaces
                                                ? archive_state_partition(b->l->state, &part->topic_id, part->partition)
                                                : NULL;
        for (uint32_t k = 0; p != NULL && k < p->part_count; k++) {
            struct el_archive_part old = archive_part_at(p, k);
            if (old.first_leaf >= part->first_leaf && old.first_leaf < part->first_leaf + part->batch_count) {
                EL_ASSERT(b->number_count < max);
                b->numbers[b->number_count++] = old.object;
            }
        }
    }
    for (size_t i = 0; i < b->l->retiring_count; i++) {
        const struct el_manifest_retired *r = &b->l->retiring[i];
        const struct archive_partition *p = archive_state_partition(b->l->state, &r->topic_id, r->partition);
        for (uint32_t k = 0; k < p->part_count && archive_part_at(p, k).first_leaf < r->tree.size; k++) {
            EL_ASSERT(b->number_count < max);
            b->numbers[b->number_count++] = archive_part_at(p, k).object;
        }
    }
    qsort(b->numbers, b->number_count, sizeof *b->numbers, by_number);
    return 0;
}

/* How many of the object's parts are replaced now. */
static uint32_t replaced_count(const struct build *b, uint64_t number)
{
    size_t low = 0, high = b->number_count;
    uint32_t count = 0;
    while (low < high) {
        size_t middle = (low + high) / 2;
        low = b->numbers[middle] < number ? middle + 1 : low;
        high = b->numbers[middle] < number ? high : middle;
    }
    for (; low < b->number_count && b->numbers[low] == number; low++) {
        count++;
    }
    return count;
}

static void put_objects(struct build *b)
{
    const struct archive_state *state = b->l->state;
    uint64_t number = state->last_object;
    for (size_t i = 0; i < state->object_count; i++) {
        struct archive_object known = archive_object_at(state, i);
        struct el_manifest_object object = known.now;
        uint32_t count = b->number_count == 0 ? 0 : replaced_count(b, object.number);
        EL_ASSERT(count <= known.part_count); /* no part is replaced twice */
        bool old = object.state == EL_OBJECT_REPLACED && object.replaced_ms + b->l->cfg.replaced_ms <= b->job->now_ms;
        old = old || archive_redaction_drops(b->job->redaction, &object);
        old = old && object.number != state->last_object;
        if (object.state == EL_OBJECT_LIVE && count > 0 && count == known.part_count) {
            object.state = EL_OBJECT_REPLACED;
            object.replaced_ms = b->job->now_ms;
            el_manifest_object_put(b->out, &object);
        } else if (old && b->l->removing_count < REMOVED_MAX) {
            el_archive_key_object(b->l->removing[b->l->removing_count++], &b->l->incarnation, &object);
            object.state = EL_OBJECT_REMOVED;
            el_manifest_object_put(b->out, &object);
        }
    }
    for (uint32_t i = 0; i < b->l->shard_count; i++) {
        for (struct archive_result *r = b->job->results[i]; r != NULL; r = r->next) {
            if (r->object.number != 0) {
                r->object.number = ++number;
                el_manifest_object_put(b->out, &r->object);
            }
        }
    }
}

static void put_parts(struct build *b)
{
    for (size_t i = 0; i < b->found_count; i++) {
        EL_ASSERT(b->found[i].result->object.number > b->l->state->last_object);
        b->found[i].part->part.object = b->found[i].result->object.number;
        el_manifest_part_put(b->out, &b->found[i].part->part);
    }
}

static void put_redactions(struct build *b)
{
    for (size_t i = 0; i < b->found_count; i++) {
        const struct result_part *part = b->found[i].part;
        for (uint32_t k = 0; k < part->redaction_count; k++) {
            archive_redaction_state(b->l, &part->redactions[k], b->out);
        }
    }
    archive_redaction_put(b->l, b->job->redaction, b->out);
}

/* --- the manifest ------------------------------------------------------------------------------------------------- */

static int build_delta(struct build *b)
{
    struct el_manifest_header header;
    const struct archive_state *state = b->l->state;
    archive_state_next(state, &b->l->incarnation, &header);
    if (b->l->draft != NULL) {
        header.parent = b->l->draft->header.parent;
        header.parent_sequence = b->l->draft->header.parent_sequence;
        memcpy(header.parent_root, b->l->draft->header.parent_root, sizeof header.parent_root);
    }
    header.cut_ns = EL_MAX(state->header.cut_ns, b->job->cut_ns);
    header.made_ms = b->job->now_ms;
    header.leader_epoch = EL_MAX(state->header.leader_epoch, b->job->leader_epoch);
    b->l->removing_count = 0;
    el_buffer_reset(b->out);
    el_manifest_begin(b->out);
    archive_state_put_tree(state, b->out);
    put_keys(b);
    put_topics(b);
    int code = put_partitions(b);
    if (code != 0) {
        return code;
    }
    put_moved(b);
    put_retired(b);
    put_objects(b);
    put_parts(b);
    put_redactions(b);
    code = el_manifest_seal(b->out, &header);
    return code == 0 ? 0 : el_error_set(b->err, code, "a manifest: %s", evlog_error_text(code));
}

static int apply_delta(struct build *b)
{
    struct archive_ledger *l = b->l;
    int code = archive_note_tiles(l, b->err);
    if (code != 0) {
        return code;
    }
    code = archive_state_apply(l->state, l->manifest.data, l->manifest.len, b->err);
    if (code != 0) { /* the state is broken, also by want of memory: only a new beginning helps */
        el_error_wrap(b->err,
                      "a manifest that this broker made is not one; this is a fault of evlog, or memory is short");
        return b->err->code = EVLOG_ERR_CONFLICT;
    }
    archive_state_free(l->draft);
    l->draft = NULL;
    bool first = l->state->header.kind == EL_MANIFEST_FULL;
    l->delta_len += first ? 0 : l->manifest.len;
    if (first || archive_state_chain(l->state) >= l->cfg.full_every || l->delta_len > l->full_len) {
        if (!first) {
            el_buffer_reset(&l->manifest);
            code = archive_state_to_full(l->state, &l->manifest);
        }
        l->full_len = l->manifest.len;
        l->delta_len = 0;
    }
    return code == 0 ? 0 : el_error_set(b->err, EVLOG_ERR_CONFLICT, "no memory for a full manifest: restart evlogd");
}

static int build(struct archive_ledger *l, struct archive_make_job *job, struct el_error *err)
{
    struct build b = {.l = l, .job = job, .err = err, .out = &l->manifest};
    int code = gather(&b);
    choose_retired(&b);
    code = code != 0 ? code : gather_replaced(&b);
    code = code != 0 ? code : build_delta(&b);
    code = code != 0 ? code : apply_delta(&b);
    job->retired_count = code == 0 ? l->retiring_count : 0;
    l->retiring_count = 0;
    el_free(b.found);
    el_free(b.numbers);
    return code;
}

static int save(struct archive_ledger *l, struct disk *disk, struct el_error *err)
{
    struct archive_guard guard = {.incarnation = l->incarnation,
                                  .sequence = l->state->header.sequence,
                                  .cluster = el_buffer_slice(&l->cluster_json),
                                  .note = el_buffer_slice(&l->note),
                                  .manifest = el_buffer_slice(&l->manifest)};
    return archive_guard_save(disk, &guard, &l->guard_folder_synced, err);
}

/* --- behind the root ---------------------------------------------------------------------------------------------- */

static void count_objects(struct archive_ledger *l, struct archive_make_job *job)
{
    job->object_count = job->object_len = job->replaced_count = 0;
    for (size_t i = 0; i < l->state->object_count; i++) {
        const struct archive_object object = archive_object_at(l->state, i);
        const struct el_manifest_object *o = &object.now;
        job->object_count += o->state == EL_OBJECT_LIVE;
        job->object_len += o->state == EL_OBJECT_LIVE ? o->len : 0;
        job->replaced_count += o->state == EL_OBJECT_REPLACED;
    }
}

/* Bundles and segments that nobody needs. What fails here, or is needed by an archive that goes on from this one, stays
 * and is an orphan: archive_sweep.c. */
static void remove_old(struct archive_ledger *l)
{
    struct el_error look_err = {0};
    int64_t child_ms = INT64_MIN;
    int code = l->removing_count == 0 ? 0 : archive_child_look(l, &child_ms, &look_err);
    if (code != 0) {
        el_log(EL_LOG_WARN, "archive", "%zu objects stay although nothing needs them: %s", l->removing_count,
               look_err.text);
    }
    for (size_t i = 0; i < l->removing_count && code == 0 && child_ms == INT64_MIN; i++) {
        struct el_error err = {0};
        if (object_remove(l->cfg.bucket, l->removing[i], &err) != 0) {
            el_log(EL_LOG_WARN, "archive", "%s stays although nothing needs it: %s", l->removing[i], err.text);
        }
    }
    l->removing_count = 0;
}

static int finish(struct archive_ledger *l, struct archive_make_job *job, struct el_error *err)
{
    remove_old(l);
    if (l->manifest.cap > MANIFEST_KEEP_MAX) { /* a full one, as long as all that is known, and the next is far off */
        el_buffer_free(&l->manifest);
    }
    for (uint32_t i = 0; i < l->shard_count; i++) {
        archive_results_free(job->results[i]);
        job->results[i] = NULL;
    }
    int code = archive_plan(l, false, job, job->now_ms, err);
    count_objects(l, job);
    job->told = l->told;
    job->sequence = l->state->header.sequence;
    job->complete_ns = l->state->header.cut_ns;
    job->root_ms = l->state->header.made_ms;
    job->memory_len = archive_ledger_memory(l);
    job->manifest_len = archive_state_full_len(l->state);
    return code;
}

int64_t archive_make_run(struct disk *disk, void *arg)
{
    struct archive_make_job *job = arg;
    struct archive_ledger *l = job->ledger;
    int code = 0;
    EL_ASSERT(job->step == MAKE_BUILD || job->step == MAKE_FINISH || l->manifest.len > 0); /* it is put again */
    job->err.code = 0;
    if (job->step == MAKE_BUILD) {
        job->now_ms = EL_MAX(job->now_ms, l->state->header.made_ms); /* the machine's clock may go back */
        code = job->redaction == NULL ? 0 : archive_redaction_run(l, job, &job->err);
        code = code != 0 ? code : build(l, job, &job->err);
        job->step = code == 0 ? MAKE_SIGN : MAKE_BUILD;
    }
    if (code == 0 && job->step == MAKE_SIGN) { /* a step of its own: the state has the manifest */
        code = archive_sign_root(l, &job->err);
        job->step = code == 0 ? MAKE_GUARD : MAKE_SIGN;
    }
    if (code == 0 && job->step == MAKE_GUARD) {
        code = save(l, disk, &job->err);
        job->step = code == 0 ? MAKE_PUBLISH : MAKE_GUARD;
    }
    if (code == 0 && job->step == MAKE_PUBLISH) {
        code = archive_publish(l, job, &job->err);
        job->step = code == 0 ? MAKE_FINISH : MAKE_PUBLISH;
    }
    if (code == 0) {
        code = finish(l, job, &job->err);
    }
    return code;
}
