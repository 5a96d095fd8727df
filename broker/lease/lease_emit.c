/* SPDX-License-Identifier: Apache-2.0
 *
 * Emits: what a worker publishes with the acknowledgement of an event is published exactly once.
 *
 *   1. the table takes the acknowledgement: the event is emitting, no outcome of it is taken any more
 *   2. what several workers have acknowledged meanwhile becomes a bundle: one batch for each target partition, with the
 *      next numbers of a producer id that only this part has for that partition
 *   3. the next write of the part stores the bundle, batches and all: now it is decided, and the workers are answered
 *   4. the batches are appended, those of one target in the order of their numbers. A partition's idempotent window
 *      takes each once, however often it is sent: no more batches get numbers than it holds, from the oldest one on
 *      whose bundle has not ended, for that may be sent again
 *   5. all are appended: the events settle, and the next write makes them finished; in it or behind it the bundle's
 *      record is deleted. Their keys go on
 *
 * After a crash the bundles that were stored run again from 4, with their numbers: what was appended is a duplicate and
 * dropped. Their events are emitting when they are read, and hold up no key any more. A new bundle has a new producer
 * id, for the last numbers of the old one are not known. A crash before 3 leaves nothing: the event is delivered again.
 *
 * What a target refuses for good (it was deleted, or a stream in it has ended) becomes dead letters of the group; see
 * lease_emit_refuse.c. One that takes nothing now (a shard that has stopped) keeps the bundle waiting, and the keys of
 * its events. When the part ends (its topic or group goes, or an operator moves it), what is stored is appended first.
 */
#include <lease/lease_bury.h>
#include <lease/lease_emit.h>

#include <core/logger.h>
#include <stdio.h>

#define STORE_RETRY_NS 1000000000u

struct lease_emitter *emitter_of(struct lease_part *part)
{
    struct leases *ls = lease_part_leases(part);
    if (part->emitter != NULL) {
        return part->emitter;
    }
    struct lease_emitter *emitter = lease_alloc(ls, sizeof *emitter);
    if (emitter == NULL) {
        return NULL;
    }
    emitter->part = part;
    emitter->spare_id = -1;
    el_list_init(&emitter->bundles);
    el_list_init(&emitter->staged);
    el_list_init(&emitter->target_list);
    el_map_init(&emitter->targets, ls->buddy);
    part->emitter = emitter;
    return emitter;
}

/* --- bundles ------------------------------------------------------------------------------------------------------ */

struct emit_bundle *emit_bundle_new(struct lease_emitter *emitter, uint32_t event_count, uint32_t staged_count,
                                    uint32_t batch_count)
{
    EL_ASSERT(emitter->bundle_count < LEASE_INTENTS_MAX);
    return emit_bundle_new_at(emitter, &emitter->bundles, event_count, staged_count, batch_count);
}

struct emit_bundle *emit_bundle_new_at(struct lease_emitter *emitter, struct el_list *place, uint32_t event_count,
                                       uint32_t staged_count, uint32_t batch_count)
{
    struct leases *ls = lease_part_leases(emitter->part);
    size_t batches_len = batch_count * sizeof(struct emit_batch);
    size_t offsets_len = event_count * sizeof(int64_t);
    struct emit_bundle *bundle = lease_alloc(ls, sizeof *bundle + batches_len + offsets_len +
                                                     staged_count * sizeof(struct lease_staged *));
    if (bundle == NULL) {
        return NULL;
    }
    bundle->emitter = emitter;
    bundle->batches = (struct emit_batch *)(bundle + 1);
    bundle->offsets = (int64_t *)(void *)(bundle->batches + batch_count);
    bundle->staged = (struct lease_staged **)(void *)(bundle->offsets + event_count);
    bundle->batch_count = bundle->left = batch_count;
    for (uint32_t i = 0; i < batch_count; i++) {
        bundle->batches[i].bundle = bundle;
        el_list_init(&bundle->batches[i].link);
        el_list_init(&bundle->batches[i].pending_link);
    }
    el_list_push_back(place, &bundle->link); /* before it, and so last where it is the list */
    emitter->bundle_count++;
    return bundle;
}

void emit_bundle_free(struct emit_bundle *bundle)
{
    struct lease_emitter *emitter = bundle->emitter;
    struct leases *ls = lease_part_leases(emitter->part);
    for (uint32_t i = 0; i < bundle->batch_count; i++) {
        EL_ASSERT(!bundle->batches[i].appending);
        el_list_remove(&bundle->batches[i].link);
        el_list_remove(&bundle->batches[i].pending_link);
    }
    el_list_remove(&bundle->link);
    emitter->bundle_count--;
    EL_ASSERT(ls->emit_bytes >= bundle->charged);
    ls->emit_bytes -= bundle->charged;
    if (!bundle->borrowed) {
        lease_free(ls, bundle->value);
    }
    lease_free(ls, bundle);
}

void emit_complain(struct lease_emitter *emitter, const struct emit_target *target, int error)
{
    struct leases *ls = lease_part_leases(emitter->part);
    char text[LEASE_PART_TEXT_MAX];
    metrics_add(ls->metrics, METRIC_LEASE_EMITS_FAILED, 1);
    lease_part_end_delayed(emitter->part, error);
    if (emitter->said_ns != 0 && ls->io->now_ns - emitter->said_ns < LEASE_MINUTE_NS) {
        return;
    }
    emitter->said_ns = ls->io->now_ns;
    const struct topic *topic = target == NULL ? NULL : store_topic_by_id(ls->shard, &target->key.topic_id);
    if (topic == NULL) {
        el_log(EL_LOG_WARN, "lease", "%s: what was emitted waits, and with it the keys of its events: %s",
               lease_part_text(emitter->part, text, sizeof text), evlog_error_text(error));
    } else {
        el_log(EL_LOG_WARN, "lease", "%s: what was emitted to %s %d waits, and with it the keys of its events: %s",
               lease_part_text(emitter->part, text, sizeof text), topic->name, target->key.partition,
               evlog_error_text(error));
    }
}

/* --- what workers bring ------------------------------------------------------------------------------------------- */

uint32_t lease_emits_len_max(const struct leases *ls)
{
    return (uint32_t)EL_MIN((uint64_t)LEASE_EMITS_LEN_MAX, lease_emit_budget(ls) / 4);
}

uint32_t lease_emit_len(const struct lease_emit *emit)
{
    uint64_t len = LEASE_RECORD_OVERHEAD + emit->body.key.len + emit->body.value.len;
    for (size_t i = 0; i < emit->body.header_count; i++) {
        len += emit->body.headers[i].key.len + emit->body.headers[i].value.len + 10u;
    }
    return (uint32_t)EL_MIN(len, (uint64_t)UINT32_MAX);
}

bool lease_emit_stage(struct lease_part *part, struct lease_staged *staged)
{
    struct lease_emitter *emitter = emitter_of(part);
    if (emitter == NULL) {
        return false;
    }
    staged->open = 1;
    el_list_push_back(&emitter->staged, &staged->link);
    return true;
}

/* A bundle that it is part of has been stored, or could not be; or none of it is to be put into one any more. The last
 * of these puts it into the list of those to be told. */
static void staged_release(struct lease_staged *staged, int error, struct el_list *tell)
{
    EL_ASSERT(staged->open > 0);
    staged->error = staged->error != 0 ? staged->error : error;
    if (--staged->open == 0) {
        el_list_push_back(tell, &staged->link);
    }
}

void lease_emit_tell(struct el_list *tell)
{
    for (struct el_list *node = el_list_pop_front(tell); node != NULL; node = el_list_pop_front(tell)) {
        struct lease_staged *staged = EL_CONTAINER(node, struct lease_staged, link);
        staged->told(staged, staged->error);
    }
}

/* --- the turn ----------------------------------------------------------------------------------------------------- */

/* Tell the table; for a restored one again and again, until it has read all events. */
static void settle(struct emit_bundle *bundle)
{
    struct lease_part *part = bundle->emitter->part;
    uint32_t kept = 0;
    EL_ASSERT(bundle->state == EMIT_APPENDED);
    for (uint32_t i = 0; i < bundle->event_count; i++) {
        if (!lease_emit_done(part->table, bundle->offsets[i])) {
            bundle->offsets[kept++] = bundle->offsets[i];
        }
    }
    EL_ASSERT(kept == 0 || bundle->restored);
    bundle->event_count = kept;
    bundle->state = kept == 0 ? EMIT_DONE : EMIT_APPENDED;
}

static void alone_on_write(struct lease_write *write, int error)
{
    struct emit_bundle *bundle = write->arg;
    struct lease_emitter *emitter = bundle->emitter;
    struct lease_part *part = emitter->part;
    OBJ_CHECK(part, LEASE_PART);
    EL_ASSERT(bundle->state == EMIT_ALONE);
    bundle->state = error == 0 ? EMIT_INTENDED : EMIT_BUILT;
    if (error != 0) {
        emitter->retry_ns = lease_part_leases(part)->io->now_ns + STORE_RETRY_NS;
        lease_part_end_delayed(part, error);
    }
    lease_part_turn(part);
    lease_part_unpin(part);
}

/* The part ends, and stores nothing else any more. */
static void store_alone(struct emit_bundle *bundle)
{
    struct lease_emitter *emitter = bundle->emitter;
    struct leases *ls = lease_part_leases(emitter->part);
    if (emitter->retry_ns > ls->io->now_ns || ls->state != LEASES_READY) {
        return;
    }
    lease_part_pin(emitter->part);
    bundle->state = EMIT_ALONE;
    int code = lease_save_emits(emitter->part, bundle->number, el_slice_of(bundle->value, bundle->value_len),
                                alone_on_write, bundle);
    if (code != 0) {
        bundle->state = EMIT_BUILT;
        emitter->retry_ns = ls->io->now_ns + STORE_RETRY_NS;
        lease_part_end_delayed(emitter->part, code);
        lease_part_unpin(emitter->part);
    }
}

void lease_emit_turn(struct lease_part *part)
{
    struct lease_emitter *emitter = part->emitter;
    if (emitter == NULL) {
        return;
    }
    EL_LIST_EACH_SAFE(node, following, &emitter->bundles) {
        struct emit_bundle *bundle = EL_CONTAINER(node, struct emit_bundle, link);
        if (bundle->state == EMIT_BUILT && bundle->stored && part->sm.state == PART_ENDING) {
            store_alone(bundle);
        }
        if (bundle->state == EMIT_INTENDED) {
            emit_append_turn(bundle);
        }
        if (bundle->state == EMIT_INTENDED && bundle->refused_count > 0) {
            emit_refuse_turn(bundle);
            bundle = EL_CONTAINER(following->prev, struct emit_bundle, link);
        }
        if (bundle->state == EMIT_INTENDED && bundle->left == 0) {
            bundle->state = EMIT_APPENDED;
        }
        if (bundle->state == EMIT_APPENDED && part->sm.state == PART_READY) {
            settle(bundle);
        }
    }
    if (part->sm.state == PART_READY && part->save == NULL) { /* else more of it comes together meanwhile */
        emit_build_turn(emitter);
    }
}

uint64_t lease_emit_next(const struct lease_part *part)
{
    const struct lease_emitter *emitter = part->emitter;
    uint64_t now = lease_part_leases(part)->io->now_ns, next = UINT64_MAX;
    if (emitter == NULL) {
        return next;
    }
    if (emitter->retry_ns > now) {
        next = emitter->retry_ns;
    }
    next = EL_MIN(next, emit_refuse_next(emitter));
    EL_LIST_EACH(node, &emitter->target_list) {
        const struct emit_target *target = EL_CONTAINER(node, struct emit_target, link);
        if (!el_list_empty(&target->batches) && target->retry_ns > now) {
            next = EL_MIN(next, target->retry_ns);
        }
    }
    return next;
}

bool lease_emit_busy(const struct lease_part *part)
{
    const struct lease_emitter *emitter = part->emitter;
    if (emitter == NULL) {
        return false;
    }
    EL_LIST_EACH(node, &emitter->bundles) {
        const struct emit_bundle *bundle = EL_CONTAINER(node, struct emit_bundle, link);
        if (bundle->state == EMIT_INTENT || bundle->state == EMIT_INTENDED || bundle->state == EMIT_ALONE ||
            (bundle->state == EMIT_BUILT && bundle->stored)) {
            return true;
        }
    }
    return false;
}

bool lease_emit_under_way(const struct lease_part *part)
{
    const struct lease_emitter *emitter = part->emitter;
    return emitter != NULL && (emitter->bundle_count > 0 || !el_list_empty(&emitter->staged));
}

/* --- with the part's writes --------------------------------------------------------------------------------------- */

bool lease_emit_wants_write(const struct lease_part *part)
{
    const struct lease_emitter *emitter = part->emitter;
    if (emitter == NULL || part->sm.state != PART_READY) {
        return false;
    }
    EL_LIST_EACH(node, &emitter->bundles) {
        enum emit_state state = EL_CONTAINER(node, struct emit_bundle, link)->state;
        if (state == EMIT_BUILT || state == EMIT_DONE) {
            return true;
        }
    }
    return false;
}

void lease_emit_write_begin(struct lease_part *part)
{
    struct lease_emitter *emitter = part->emitter;
    if (emitter == NULL || part->sm.state != PART_READY) {
        return;
    }
    EL_LIST_EACH(node, &emitter->bundles) {
        struct emit_bundle *bundle = EL_CONTAINER(node, struct emit_bundle, link);
        if (bundle->state == EMIT_BUILT) {
            bundle->state = EMIT_INTENT;
        } else if (bundle->state == EMIT_DONE) {
            bundle->state = EMIT_FINISHING;
        }
    }
}

void lease_emit_write_each(const struct lease_part *part, lease_emit_record_fn each, void *arg)
{
    const struct lease_emitter *emitter = part->emitter;
    if (emitter == NULL) {
        return;
    }
    EL_LIST_EACH(node, &emitter->bundles) {
        const struct emit_bundle *bundle = EL_CONTAINER(node, struct emit_bundle, link);
        if (bundle->state == EMIT_FINISHING || part->sm.state == PART_ENDING) {
            each(arg, bundle->number, (struct el_slice){0});
        } else if (bundle->state == EMIT_INTENT) {
            each(arg, bundle->number, el_slice_of(bundle->value, bundle->value_len));
        }
    }
}

static void release_all(struct emit_bundle *bundle, int error, struct el_list *tell)
{
    for (uint32_t i = 0; i < bundle->staged_count; i++) {
        staged_release(bundle->staged[i], error, tell);
    }
    bundle->staged_count = 0;
}

void lease_emit_write_end(struct lease_part *part, int error, struct el_list *tell)
{
    struct lease_emitter *emitter = part->emitter;
    if (emitter == NULL) {
        return;
    }
    EL_LIST_EACH_SAFE(node, following, &emitter->bundles) {
        struct emit_bundle *bundle = EL_CONTAINER(node, struct emit_bundle, link);
        if (bundle->state == EMIT_INTENT) {
            bundle->state = error == 0 ? EMIT_INTENDED
                                       : EMIT_BUILT; /* with its numbers: it may be stored all the same */
            bundle->stored = bundle->stored || error == 0;
            release_all(bundle, error, tell);
        } else if (bundle->state == EMIT_FINISHING && error == 0) {
            emit_bundle_free(bundle);
        } else if (bundle->state == EMIT_FINISHING) {
            bundle->state = EMIT_DONE;
        }
    }
}

/* --- the rest ----------------------------------------------------------------------------------------------------- */

/* Records of bundles with refused batches were written anew, behind those of later bundles. */
static struct el_list *place_of_bundle(struct lease_emitter *emitter, uint64_t place)
{
    EL_LIST_EACH(node, &emitter->bundles) {
        if (EL_CONTAINER(node, struct emit_bundle, link)->place > place) {
            return node;
        }
    }
    return &emitter->bundles;
}

static struct el_list *place_of_batch(struct emit_target *target, uint64_t place)
{
    EL_LIST_EACH(node, &target->batches) {
        if (EL_CONTAINER(node, struct emit_batch, link)->bundle->place > place) {
            return node;
        }
    }
    return &target->batches;
}

int lease_emit_restore(struct lease_part *part, int64_t number, struct el_slice value)
{
    struct leases *ls = lease_part_leases(part);
    struct lease_record_emits emits;
    struct lease_emitter *emitter = emitter_of(part);
    int code = lease_record_emits_decode(value, &emits);
    if (code != 0 || emitter == NULL) {
        return code != 0 ? code : EVLOG_ERR_NO_MEMORY;
    }
    if (emitter->bundle_count == LEASE_INTENTS_MAX || lease_record_emits_offset(&emits, 0) != number) {
        return EVLOG_ERR_CORRUPT;
    }
    struct el_list *place = place_of_bundle(emitter, emits.place);
    struct emit_bundle *bundle = emit_bundle_new_at(emitter, place, emits.event_count, 0, emits.batch_count);
    if (bundle == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    bundle->place = emits.place;
    emitter->place = EL_MAX(emitter->place, emits.place);
    bundle->state = EMIT_INTENDED;
    bundle->restored = bundle->borrowed = bundle->stored = true;
    bundle->value = (uint8_t *)(uintptr_t)value.data;
    bundle->value_len = bundle->charged = (uint32_t)value.len;
    ls->emit_bytes += bundle->charged;
    bundle->number = number;
    bundle->event_count = emits.event_count;
    for (uint32_t i = 0; i < emits.event_count; i++) {
        bundle->offsets[i] = lease_record_emits_offset(&emits, i);
    }
    for (uint32_t i = 0; i < emits.batch_count; i++) {
        struct lease_record_emits_batch record = {0};
        struct emit_batch *batch = &bundle->batches[i];
        lease_record_emits_next(&emits, &record);
        struct emit_target *target = emit_target_get(emitter, &record.topic_id, record.partition);
        if (target == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        batch->pos = record.pos;
        batch->op.info = record.info;
        emit_target_add(target, batch, place_of_batch(target, bundle->place));
        batch->letters = emit_batch_is_letters(batch);
    }
    return 0;
}

void lease_emit_restored(struct lease_part *part)
{
    struct lease_emitter *emitter = part->emitter;
    if (emitter == NULL) {
        return;
    }
    EL_LIST_EACH(node, &emitter->bundles) {
        struct emit_bundle *bundle = EL_CONTAINER(node, struct emit_bundle, link);
        EL_LIST_EACH(other, &part->stored) {
            struct lease_stored *stored = EL_CONTAINER(other, struct lease_stored, link);
            if (stored->value.data == bundle->value) {
                EL_ASSERT(bundle->borrowed);
                stored->value = (struct el_slice){0};
                bundle->borrowed = false;
            }
        }
        EL_ASSERT(!bundle->borrowed);
    }
}

uint32_t emit_bundle_find(const struct emit_bundle *bundle, int64_t offset)
{
    uint32_t low = 0, high = bundle->event_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (bundle->offsets[middle] < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < bundle->event_count && bundle->offsets[low] == offset ? low : bundle->event_count;
}

bool lease_emit_intended(const struct lease_part *part, int64_t offset)
{
    const struct lease_emitter *emitter = part->emitter;
    if (emitter == NULL) {
        return false;
    }
    EL_LIST_EACH(node, &emitter->bundles) {
        const struct emit_bundle *bundle = EL_CONTAINER(node, struct emit_bundle, link);
        if (bundle->restored && emit_bundle_find(bundle, offset) < bundle->event_count) {
            return true;
        }
    }
    return false;
}

void lease_emit_why(const struct lease_part *part, int64_t offset, char *text, size_t text_len)
{
    const struct lease_emitter *emitter = part->emitter;
    text[0] = 0;
    if (emitter == NULL) {
        return;
    }
    EL_LIST_EACH(node, &emitter->bundles) {
        const struct emit_bundle *bundle = EL_CONTAINER(node, struct emit_bundle, link);
        if (emit_bundle_find(bundle, offset) == bundle->event_count) {
            continue;
        }
        for (uint32_t i = 0; i < bundle->batch_count; i++) {
            const struct emit_target *target = bundle->batches[i].target;
            if (bundle->batches[i].refused != 0) {
                emit_refuse_why(&bundle->batches[i], text, text_len);
                return;
            }
            if (bundle->batches[i].appended || target->error == 0) {
                continue;
            }
            const struct topic *topic = store_topic_by_id(lease_part_leases(part)->shard, &target->key.topic_id);
            snprintf(text, text_len, "%s %d takes nothing that is emitted to it: %s",
                     topic == NULL ? "a topic" : topic->name, target->key.partition, evlog_error_text(target->error));
            return;
        }
    }
}

void lease_emit_close(struct lease_part *part, int error)
{
    struct lease_emitter *emitter = part->emitter;
    if (emitter == NULL) {
        return;
    }
    struct el_list tell;
    el_list_init(&tell);
    for (struct el_list *node = el_list_pop_front(&emitter->staged); node != NULL;
         node = el_list_pop_front(&emitter->staged)) {
        staged_release(EL_CONTAINER(node, struct lease_staged, link), error, &tell);
    }
    EL_LIST_EACH(node, &emitter->bundles) {
        struct emit_bundle *bundle = EL_CONTAINER(node, struct emit_bundle, link);
        if (bundle->state == EMIT_BUILT) { /* others: with their write */
            release_all(bundle, error, &tell);
        }
    }
    lease_emit_tell(&tell);
}

void lease_emit_free(struct lease_part *part)
{
    struct lease_emitter *emitter = part->emitter;
    struct leases *ls = lease_part_leases(part);
    if (emitter == NULL) {
        return;
    }
    EL_ASSERT(el_list_empty(&emitter->staged));
    while (!el_list_empty(&emitter->bundles)) {
        emit_bundle_free(EL_CONTAINER(emitter->bundles.next, struct emit_bundle, link));
    }
    while (!el_list_empty(&emitter->target_list)) {
        lease_free(ls, EL_CONTAINER(el_list_pop_front(&emitter->target_list), struct emit_target, link));
    }
    el_map_destroy(&emitter->targets);
    lease_free(ls, emitter);
    part->emitter = NULL;
}
