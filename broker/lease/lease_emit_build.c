/* SPDX-License-Identifier: Apache-2.0
 *
 * Bundles of what workers emit: as many whole events as fit, in the order in which they were acknowledged, and of them
 * one batch for each target. How long records become is bounded from above first, so that what is built always fits.
 */
#include <lease/lease_emit.h>

#include <stdio.h>

#define RETRY_NS 100000000u

/* --- what a worker brings ----------------------------------------------------------------------------------------- */

int lease_emit_check(struct lease_part *part, const struct lease_outcome *outcome, char *text, size_t text_len)
{
    struct lease_emitter *emitter = emitter_of(part);
    struct emit_target *touched[LEASE_EMITS_BATCHES_MAX];
    uint64_t len = LEASE_EMITS_HEAD_LEN + sizeof(int64_t), len_max = lease_emits_len_max(lease_part_leases(part));
    uint32_t count = 0;
    int code = emitter == NULL ? EVLOG_ERR_NO_MEMORY : 0;
    for (uint32_t i = 0; i < outcome->emit_count && code == 0; i++) {
        const struct lease_emit *emit = &outcome->emits[i];
        struct emit_target *target = emit_target_get(emitter, &emit->topic_id, emit->partition);
        if (target == NULL || count == LEASE_EMITS_BATCHES_MAX) {
            code = target == NULL ? EVLOG_ERR_NO_MEMORY : EVLOG_ERR_TOO_LARGE;
            snprintf(text, text_len, "an event emits to more than %u partitions", LEASE_EMITS_BATCHES_MAX);
            break;
        }
        if (target->event_len == 0) {
            touched[count++] = target;
            target->event_len = EL_BATCH_HEADER_LEN;
            len += EL_BATCH_HEADER_LEN + LEASE_EMITS_BATCH_HEAD_LEN;
        }
        uint32_t emit_len = lease_emit_len(emit);
        len += emit_len;
        if (emit_len > emit->batch_len_max || target->event_len + emit_len > emit->batch_len_max) {
            code = EVLOG_ERR_TOO_LARGE;
            snprintf(text, text_len, "an event emits more to a partition than max.message.bytes (%u) of its topic",
                     emit->batch_len_max);
        } else if (len > len_max) {
            code = EVLOG_ERR_TOO_LARGE;
            snprintf(text, text_len, "an event emits more than %llu bytes: publish them with a producer",
                     (unsigned long long)len_max);
        }
        target->event_len += emit_len;
    }
    while (count > 0) {
        touched[--count]->event_len = 0;
    }
    return code;
}

/* --- what goes into a bundle -------------------------------------------------------------------------------------- */

/* What goes into the next bundle. */
struct choice {
    uint32_t event_count, staged_count, batch_count;
    uint64_t len; /* bytes at most */
    bool later;   /* the next event cannot be put anywhere now */
    struct emit_target *targets[LEASE_EMITS_BATCHES_MAX];
    /* while an event is looked at */
    struct emit_target *touched[LEASE_EMITS_BATCHES_MAX];
    uint32_t touched_count;
};

static void later(struct lease_emitter *emitter, struct choice *choice)
{
    choice->later = true;
    emitter->retry_ns = lease_part_leases(emitter->part)->io->now_ns + RETRY_NS;
}

/* Count an emit to its target. returns false: it does not go into this bundle */
static bool look_at(struct lease_emitter *emitter, struct choice *choice, const struct lease_emit *emit)
{
    struct emit_target *target = emit_target_get(emitter, &emit->topic_id, emit->partition);
    if (target == NULL) {
        later(emitter, choice);
        return false;
    }
    if (emit_target_full(target, NULL) || !emit_target_ready(emitter, target)) {
        choice->later = true;
        return false;
    }
    if (target->event_len == 0) {
        if (choice->touched_count == LEASE_EMITS_BATCHES_MAX) {
            return false;
        }
        choice->touched[choice->touched_count++] = target;
        target->event_len = target->bundle_len == 0 ? EL_BATCH_HEADER_LEN : 0;
    }
    target->event_len += lease_emit_len(emit);
    return target->bundle_len == 0 || target->bundle_len + target->event_len <= emit->batch_len_max;
}

/* returns false: the event does not go into this bundle */
static bool event_fits(struct lease_emitter *emitter, struct choice *choice, const struct lease_outcome *outcome)
{
    bool fits = choice->event_count < LEASE_EMITS_EVENTS_MAX;
    choice->touched_count = 0;
    for (uint32_t i = 0; i < outcome->emit_count && fits; i++) {
        fits = look_at(emitter, choice, &outcome->emits[i]);
    }
    uint64_t len = sizeof(int64_t);
    uint32_t more = 0;
    for (uint32_t i = 0; i < choice->touched_count; i++) {
        const struct emit_target *target = choice->touched[i];
        len += target->event_len + (target->bundle_len == 0 ? LEASE_EMITS_BATCH_HEAD_LEN : 0);
        more += target->bundle_len == 0;
    }
    fits = fits && choice->batch_count + more <= LEASE_EMITS_BATCHES_MAX &&
           (choice->event_count == 0 || choice->len + len <= lease_emits_len_max(lease_part_leases(emitter->part)));
    choice->len += fits ? len : 0;
    return fits;
}

static void event_take(struct lease_emitter *emitter, struct choice *choice, const struct lease_outcome *outcome)
{
    for (uint32_t i = 0; i < choice->touched_count; i++) {
        struct emit_target *target = choice->touched[i];
        if (target->bundle_len == 0) {
            choice->targets[choice->batch_count++] = target;
        }
        target->bundle_len += target->event_len;
    }
    for (uint32_t i = 0; i < outcome->emit_count; i++) {
        struct lease_emit *emit = &outcome->emits[i];
        struct emit_target *target = emit_target_get(emitter, &emit->topic_id, emit->partition);
        EL_ASSERT(target != NULL);
        emit->next = NULL;
        if (target->last == NULL) {
            target->first = emit;
        } else {
            target->last->next = emit;
        }
        target->last = emit;
    }
    choice->event_count++;
}

/* The next outcome of a worker that has emits, from i on. */
static uint32_t next_emitting(const struct lease_staged *staged, uint32_t i)
{
    while (i < staged->outcome_count && staged->outcomes[i].emit_count == 0) {
        i++;
    }
    return i;
}

/* Whole events, as many as fit. */
static void choose(struct lease_emitter *emitter, struct choice *choice)
{
    bool fits = true;
    EL_LIST_EACH(node, &emitter->staged) {
        struct lease_staged *staged = EL_CONTAINER(node, struct lease_staged, link);
        uint32_t before = choice->event_count;
        staged->chosen = next_emitting(staged, staged->next);
        while (fits && staged->chosen < staged->outcome_count) {
            const struct lease_outcome *outcome = &staged->outcomes[staged->chosen];
            fits = event_fits(emitter, choice, outcome);
            if (fits) {
                event_take(emitter, choice, outcome);
                staged->chosen = next_emitting(staged, staged->chosen + 1);
            }
            for (uint32_t i = 0; i < choice->touched_count; i++) {
                choice->touched[i]->event_len = 0;
            }
        }
        choice->staged_count += choice->event_count > before;
        if (!fits) {
            return;
        }
    }
}

/* Offsets come nearly in order. */
static void add_offset(struct emit_bundle *bundle, int64_t offset)
{
    uint32_t i = bundle->event_count++;
    for (; i > 0 && bundle->offsets[i - 1] > offset; i--) {
        bundle->offsets[i] = bundle->offsets[i - 1];
    }
    EL_ASSERT(i == 0 || bundle->offsets[i - 1] < offset);
    bundle->offsets[i] = offset;
}

/* The events of one target as a batch behind the others. */
static void write_batch(struct emit_bundle *bundle, struct emit_batch *batch, struct emit_target *target,
                        struct el_writer *w)
{
    struct el_batch_builder builder;
    struct el_slice bytes;
    struct el_batch_origin origin = {.producer_id = target->producer_id, .base_sequence = target->next_sequence};
    uint8_t *place = w->p + LEASE_EMITS_BATCH_HEAD_LEN;
    EL_ASSERT(place + target->bundle_len <= w->end);
    el_batch_builder_init_fixed(&builder, place, target->bundle_len);
    for (const struct lease_emit *emit = target->first; emit != NULL; emit = emit->next) {
        int code = el_batch_builder_add(&builder, emit->timestamp_ms, &emit->body);
        EL_ASSERT(code == 0);
    }
    int code = el_batch_builder_finish(&builder, EL_CODEC_NONE, &origin, &bytes);
    EL_ASSERT(code == 0);
    lease_record_emits_batch_head(w, &target->key.topic_id, target->key.partition, (uint32_t)bytes.len);
    batch->pos = (uint32_t)(w->p - bundle->value);
    w->p += bytes.len;
    code = el_batch_check(bytes.data, bytes.len, EL_BATCH_LEN_MAX, NULL, 0, &batch->op.info);
    EL_ASSERT(code == 0);
    target->next_sequence = el_sequence_add(target->next_sequence, batch->op.info.record_count);
    emit_target_add(target, batch, &target->batches);
}

static void write_bundle(struct emit_bundle *bundle, struct choice *choice, size_t room)
{
    struct el_writer w;
    el_writer_init(&w, bundle->value, room);
    bundle->place = ++bundle->emitter->place;
    lease_record_emits_begin(&w, bundle->place, choice->batch_count, bundle->offsets, bundle->event_count);
    for (uint32_t i = 0; i < choice->batch_count; i++) {
        write_batch(bundle, &bundle->batches[i], choice->targets[i], &w);
    }
    EL_ASSERT(w.err == 0);
    bundle->value_len = (uint32_t)el_writer_len(&w);
    bundle->number = bundle->offsets[0];
    bundle->state = EMIT_BUILT;
}

/* The chosen events are in the bundle: workers whose last ones they were wait for its write only. */
static void take_staged(struct lease_emitter *emitter, struct emit_bundle *bundle, uint32_t event_count)
{
    while (bundle->event_count < event_count) {
        struct lease_staged *staged = EL_CONTAINER(emitter->staged.next, struct lease_staged, link);
        for (uint32_t i = next_emitting(staged, staged->next); i < staged->chosen; i = next_emitting(staged, i + 1)) {
            add_offset(bundle, staged->outcomes[i].first);
        }
        staged->next = staged->chosen;
        staged->open++;
        bundle->staged[bundle->staged_count++] = staged;
        if (staged->next == staged->outcome_count) {
            el_list_remove(&staged->link);
            staged->open--; /* the bundles' remain */
        }
    }
}

static void forget(struct choice *choice)
{
    for (uint32_t i = 0; i < choice->batch_count; i++) {
        choice->targets[i]->first = choice->targets[i]->last = NULL;
        choice->targets[i]->bundle_len = 0;
    }
}

/* returns false: there is nothing, or not now */
static bool build_one(struct lease_emitter *emitter)
{
    struct leases *ls = lease_part_leases(emitter->part);
    struct choice choice;
    choice.event_count = choice.staged_count = choice.batch_count = choice.touched_count = 0;
    choice.len = LEASE_EMITS_HEAD_LEN;
    choice.later = false;
    choose(emitter, &choice);
    if (choice.event_count == 0) {
        EL_ASSERT(choice.later);
        forget(&choice);
        return false;
    }
    uint8_t *value = ls->emit_bytes + choice.len > lease_emit_budget(ls) ? NULL : lease_alloc(ls, choice.len);
    struct emit_bundle *bundle = value == NULL ? NULL
                                               : emit_bundle_new(emitter, choice.event_count, choice.staged_count,
                                                                 choice.batch_count);
    if (bundle == NULL) {
        later(emitter, &choice);
        forget(&choice);
        lease_free(ls, value);
        return false;
    }
    bundle->value = value;
    bundle->charged = (uint32_t)choice.len;
    ls->emit_bytes += choice.len;
    take_staged(emitter, bundle, choice.event_count);
    EL_ASSERT(bundle->event_count == choice.event_count);
    write_bundle(bundle, &choice, choice.len);
    forget(&choice);
    return true;
}

void emit_build_turn(struct lease_emitter *emitter)
{
    uint64_t now = lease_part_leases(emitter->part)->io->now_ns;
    while (!el_list_empty(&emitter->staged) && emitter->bundle_count < LEASE_INTENTS_MAX && emitter->retry_ns <= now) {
        if (!build_one(emitter)) {
            return;
        }
    }
}
