/* SPDX-License-Identifier: Apache-2.0
 *
 * The targets of a part's emits, and appending to them.
 *
 * A target's batches are appended in the order of their bundles. Several are under way once the partition is known to
 * know the producer: from a stranger it takes any number, and so the first one goes alone. A number that is refused all
 * the same (the partition has lost what it knew) is given anew, under another producer id, stored before it is used.
 */
#include <lease/lease_bury.h>
#include <lease/lease_emit.h>

#include <core/hash.h>

#define DRAW_RETRY_NS 1000000000u

/* --- targets ------------------------------------------------------------------------------------------------------ */

/* Those that have not been used for long make room; not the ones that a bundle is being built for. */
static void targets_trim(struct lease_emitter *emitter)
{
    struct leases *ls = lease_part_leases(emitter->part);
    EL_LIST_EACH_SAFE(node, following, &emitter->target_list) {
        struct emit_target *target = EL_CONTAINER(node, struct emit_target, link);
        if (emitter->targets.count <= EMIT_TARGETS_KEPT) {
            return;
        }
        if (el_list_empty(&target->pending) && target->bundle_len == 0 && target->event_len == 0) {
            el_map_remove(&emitter->targets, &target->key, sizeof target->key);
            el_list_remove(&target->link);
            lease_free(ls, target);
        }
    }
}

struct emit_target *emit_target_get(struct lease_emitter *emitter, const struct el_uuid *topic_id, int32_t partition)
{
    struct leases *ls = lease_part_leases(emitter->part);
    struct emit_target_key key = {.topic_id = *topic_id, .partition = partition};
    struct emit_target *target = el_map_get(&emitter->targets, &key, sizeof key);
    if (target != NULL) {
        el_list_remove(&target->link);
        el_list_push_back(&emitter->target_list, &target->link);
        return target;
    }
    targets_trim(emitter);
    target = lease_alloc(ls, sizeof *target);
    if (target == NULL) {
        return NULL;
    }
    target->key = key;
    target->producer_id = target->proven_id = -1;
    el_list_init(&target->batches);
    el_list_init(&target->pending);
    if (el_map_put(&emitter->targets, &target->key, sizeof target->key, target) != 0) {
        lease_free(ls, target);
        return NULL;
    }
    el_list_push_back(&emitter->target_list, &target->link);
    return target;
}

static void draw_on_done(struct store_op *base)
{
    struct lease_emitter *emitter = base->arg;
    struct lease_part *part = emitter->part;
    OBJ_CHECK(part, LEASE_PART);
    emitter->drawing = false;
    if (base->error == 0) {
        emitter->spare_id = emitter->draw.producer_id;
    } else {
        emitter->retry_ns = lease_part_leases(part)->io->now_ns + DRAW_RETRY_NS;
        emit_complain(emitter, NULL, base->error);
    }
    lease_part_turn(part);
    lease_part_unpin(part);
}

bool emit_target_ready(struct lease_emitter *emitter, struct emit_target *target)
{
    struct leases *ls = lease_part_leases(emitter->part);
    if (target->producer_id < 0 && emitter->spare_id < 0 && !emitter->drawing && emitter->retry_ns <= ls->io->now_ns) {
        emitter->drawing = true;
        emitter->draw = (struct producer_id_op){.base = {.done = draw_on_done, .arg = emitter}};
        lease_part_pin(emitter->part);
        store_producer_id(ls->shard, &emitter->draw); /* it may be there at once */
    }
    if (target->producer_id < 0 && emitter->spare_id >= 0) {
        target->producer_id = emitter->spare_id;
        target->next_sequence = 0;
        emitter->spare_id = -1;
    }
    return target->producer_id >= 0;
}

bool emit_target_full(const struct emit_target *target, const struct emit_bundle *step)
{
    EL_LIST_EACH(node, &target->pending) {
        const struct emit_batch *oldest = EL_CONTAINER(node, struct emit_batch, pending_link);
        if (oldest->bundle != step || !oldest->appended) {
            return target->given - oldest->given >= LEASE_INTENTS_MAX;
        }
    }
    return false;
}

void emit_target_add(struct emit_target *target, struct emit_batch *batch, struct el_list *place)
{
    batch->target = target;
    batch->given = target->given++;
    el_list_push_back(place, &batch->link);
    el_list_push_back(&target->pending, &batch->pending_link);
}

/* --- appending ---------------------------------------------------------------------------------------------------- */

static struct emit_batch *first_of(const struct emit_target *target)
{
    EL_ASSERT(!el_list_empty(&target->batches));
    return EL_CONTAINER(target->batches.next, struct emit_batch, link);
}

/* All before it are appended, or on their way where the partition is known to order them. */
static bool may_append(const struct emit_batch *batch)
{
    const struct emit_target *target = batch->target;
    EL_LIST_EACH(node, &target->batches) {
        const struct emit_batch *other = EL_CONTAINER(node, struct emit_batch, link);
        if (other == batch) {
            return true;
        }
        if (!other->appending || target->proven_id != batch->op.info.producer_id ||
            other->op.info.producer_id != batch->op.info.producer_id) {
            return false;
        }
    }
    EL_ASSERT(!"a batch that is not appended is in its target's list");
    return false;
}

void emit_batch_end(struct emit_batch *batch)
{
    batch->appended = true;
    el_list_remove(&batch->link);
    EL_ASSERT(batch->bundle->left > 0);
    batch->bundle->left--;
}

static void append_on_done(struct store_op *base)
{
    struct emit_batch *batch = base->arg;
    struct emit_target *target = batch->target;
    struct lease_emitter *emitter = batch->bundle->emitter;
    struct lease_part *part = emitter->part;
    struct leases *ls = lease_part_leases(part);
    OBJ_CHECK(part, LEASE_PART);
    EL_ASSERT(batch->appending);
    batch->appending = false;
    switch (base->error) {
    case 0:
        target->proven_id = batch->op.info.producer_id;
        target->retry_ns = target->delay_ns = 0;
        target->error = 0;
        metrics_add(ls->metrics, batch->letters ? METRIC_LEASE_EMITS_REFUSED : METRIC_LEASE_EMITS,
                    batch->op.info.record_count);
        emit_batch_end(batch);
        break;
    case EVLOG_ERR_SEQUENCE:
    case EVLOG_ERR_PRODUCER_EPOCH:
        batch->renumber = batch == first_of(target); /* else one before it failed */
        break;
    case EVLOG_ERR_CLOSED:
        break;
    default:
        if (emit_refused_for_good(batch, base->error)) {
            emit_batch_refuse(batch, base->error);
            break;
        }
        target->error = base->error;
        target->delay_ns = bury_longer(target->delay_ns);
        target->retry_ns = ls->io->now_ns + target->delay_ns;
        emit_complain(emitter, target, base->error);
        break;
    }
    lease_part_turn(part);
    lease_part_unpin(part);
}

static void batch_append(struct emit_batch *batch)
{
    struct lease_part *part = batch->bundle->emitter->part;
    struct el_batch_info info = batch->op.info;
    batch->op = (struct append_op){
        .base = {.done = append_on_done, .arg = batch},
        .topic_id = batch->target->key.topic_id,
        .partition = batch->target->key.partition,
        .batch = batch->bundle->value + batch->pos,
        .batch_len = info.len,
        .info = info,
    };
    batch->appending = true;
    lease_part_pin(part);
    store_append(lease_part_leases(part)->shard, &batch->op);
}

/* Another producer id and number, to be stored before they are used; while the part ends they are only used. */
static void batch_renumber(struct emit_batch *batch)
{
    struct emit_bundle *bundle = batch->bundle;
    struct emit_target *target = batch->target;
    uint8_t *bytes = bundle->value + batch->pos;
    if (target->producer_id == batch->op.info.producer_id) {
        target->producer_id = -1;
    }
    if (!emit_target_ready(bundle->emitter, target)) {
        return;
    }
    el_put_be64(bytes + EL_BATCH_POS_PRODUCER_ID, (uint64_t)target->producer_id);
    el_put_be32(bytes + EL_BATCH_POS_BASE_SEQUENCE, (uint32_t)target->next_sequence);
    el_put_be32(bytes + EL_BATCH_POS_CRC,
                el_crc32c(0, bytes + EL_BATCH_POS_ATTRIBUTES, batch->op.info.len - EL_BATCH_POS_ATTRIBUTES));
    int code = el_batch_check(bytes, batch->op.info.len, EL_BATCH_LEN_MAX, NULL, 0, &batch->op.info);
    EL_ASSERT(code == 0);
    target->next_sequence = el_sequence_add(target->next_sequence, batch->op.info.record_count);
    batch->renumber = false;
    if (bundle->emitter->part->sm.state == PART_READY) {
        bundle->state = EMIT_BUILT;
    }
}

void emit_append_turn(struct emit_bundle *bundle)
{
    uint64_t now = lease_part_leases(bundle->emitter->part)->io->now_ns;
    for (uint32_t i = 0; i < bundle->batch_count && bundle->state == EMIT_INTENDED; i++) {
        struct emit_batch *batch = &bundle->batches[i];
        if (batch->appended || batch->appending || batch->refused != 0 || batch->target->retry_ns > now) {
            continue;
        }
        if (batch->renumber) {
            batch_renumber(batch);
        } else if (may_append(batch)) {
            batch_append(batch);
        }
    }
}
