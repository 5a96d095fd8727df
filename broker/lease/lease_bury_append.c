/* SPDX-License-Identifier: Apache-2.0
 *
 * Dead letters: intents in the part's writes, and the appends that follow them in the order of their numbers. See
 * lease_bury.c.
 */
#include <lease/lease_bury.h>

/* Sequence numbers go round: a is before b when it is less than half a round behind. */
static bool sequence_before(int32_t a, int32_t b)
{
    uint32_t distance = ((uint32_t)b - (uint32_t)a) & 0x7fffffffu;
    return distance != 0 && distance < 0x40000000u;
}

/* --- with the part's writes --------------------------------------------------------------------------------------- */

/* A letter that may get its intent with the next write. */
static bool may_intend(struct bury_slot *slot, struct bury_target *target)
{
    struct lease_burial *b = slot->burial;
    if (slot->state != BURY_BUILT || b->fenced || !bury_producer(b) || !bury_target(b, target)) {
        return false;
    }
    if (slot->letter.builder.len > target->len_max && !slot->intended) {
        bury_slot_fail(slot, EVLOG_ERR_TOO_LARGE);
        return false;
    }
    return true;
}

bool lease_bury_wants_write(struct lease_part *part)
{
    struct lease_burial *b = part->burial;
    bool wants = false;
    for (uint32_t i = 0; b != NULL && part->sm.state == PART_READY && i < LEASE_INTENTS_MAX; i++) {
        struct bury_target target;
        wants = wants || b->slots[i].state == BURY_DONE || may_intend(&b->slots[i], &target);
    }
    return wants;
}

static void slot_intend(struct bury_slot *slot, const struct bury_target *target)
{
    struct lease_part *part = bury_part(slot);
    if (!slot->intended) {
        slot->intent = (struct lease_intent){
            .offset = slot->dead.offset,
            .topic_id = target->topic_id,
            .partition = target->partition,
            .sequence = part->next_sequence,
            .reason = (uint8_t)slot->dead.death,
            .attempts = (int32_t)slot->dead.attempts,
        };
        part->next_sequence = el_sequence_add(part->next_sequence, 1);
        slot->intended = true;
    }
    slot->state = BURY_INTENT;
}

void lease_bury_write_begin(struct lease_part *part, struct lease_record_part *record)
{
    struct lease_burial *b = part->burial;
    for (uint32_t i = 0; b != NULL && i < LEASE_INTENTS_MAX; i++) {
        struct bury_slot *slot = &b->slots[i];
        struct bury_target target;
        if (part->sm.state == PART_READY && may_intend(slot, &target)) {
            slot_intend(slot, &target);
        }
        if (slot->state == BURY_DONE) {
            slot->state = BURY_FINISHING;
        } else if (slot->state != BURY_FREE && slot->intended) {
            record->intents[record->intent_count] = slot->intent;
            record->intents[record->intent_count++].reason |= slot->appended ? LEASE_INTENT_APPENDED : 0u;
        }
    }
}

void lease_bury_write_end(struct lease_part *part, bool durable)
{
    struct lease_burial *b = part->burial;
    for (uint32_t i = 0; b != NULL && i < LEASE_INTENTS_MAX; i++) {
        struct bury_slot *slot = &b->slots[i];
        if (slot->state == BURY_INTENT) {
            slot->state = durable ? BURY_INTENDED : BURY_BUILT; /* with its number: it may be stored all the same */
        } else if (slot->state == BURY_FINISHING && durable) {
            bury_slot_clear(slot);
        } else if (slot->state == BURY_FINISHING) {
            slot->state = BURY_DONE;
        }
    }
}

bool lease_bury_done_in(const struct lease_part *part, uint64_t block)
{
    const struct lease_burial *b = part->burial;
    for (uint32_t i = 0; b != NULL && i < LEASE_INTENTS_MAX; i++) {
        const struct bury_slot *slot = &b->slots[i];
        if (slot->state == BURY_FINISHING && (uint64_t)slot->dead.offset >> LEASE_BLOCK_BITS == block) {
            return true;
        }
    }
    return false;
}

bool lease_bury_follows(const struct lease_part *part, struct el_slice key)
{
    const struct lease_burial *b = part->burial;
    for (uint32_t i = 0; b != NULL && i < LEASE_INTENTS_MAX; i++) {
        const struct bury_slot *slot = &b->slots[i];
        bool under_way = slot->state != BURY_FREE && slot->state != BURY_DONE && slot->state != BURY_FINISHING;
        if (under_way && slot->dead.death == LEASE_DEATH_PARKED_KEY &&
            (slot->letter.key.data == NULL || el_slice_eq(slot->letter.key, key))) {
            return true;
        }
    }
    return false;
}

/* --- appended ----------------------------------------------------------------------------------------------------- */

/* Later events of its key follow it, when the group says so. returns false: there is no memory for that now */
static bool slot_park(struct bury_slot *slot)
{
    struct lease_part *part = bury_part(slot);
    const struct lease_rules *rules = lease_rules_of(part->table);
    struct el_slice key = slot->letter.key;
    if (rules->on_exhausted != LEASE_PARK || rules->order != LEASE_ORDER_KEY || key.data == NULL ||
        slot->dead.death == LEASE_DEATH_PARKED_KEY || key.len > LEASE_PARK_KEY_LEN_MAX) {
        return true;
    }
    struct lease_record_parked record = {slot->dead.offset, lease_wall_ms(lease_part_leases(part))};
    return lease_park_key(part, key, &record, false) == 0;
}

void bury_slot_settle(struct bury_slot *slot)
{
    struct lease_part *part = bury_part(slot);
    EL_ASSERT(slot->state == BURY_APPENDED);
    if (!slot->told && !lease_dead_waits(part->table, slot->dead.offset)) {
        return;
    }
    if (!slot_park(slot)) {
        slot->retry_ns = lease_part_leases(part)->io->now_ns + bury_longer(0);
        return;
    }
    struct lease_parked *parked = slot->letter.key.data == NULL ? NULL : lease_parked_find(part, slot->letter.key);
    if (parked != NULL) {
        lease_parked_followed(part, parked);
    }
    slot->state = BURY_DONE;
    slot->told = true;
    lease_dead_done(part->table, slot->dead.offset); /* it may have gone with the start of the log */
    lease_story_end(&part->stories, slot->dead.offset, slot->dead.offset);
}

void bury_slot_vanished(struct bury_slot *slot)
{
    metrics_add(lease_part_leases(bury_part(slot))->metrics, METRIC_LEASES_GONE, 1);
    slot->letter.key = (struct el_slice){0};
    slot->state = BURY_APPENDED;
    slot->appended = true;
    slot->told = true; /* the table never will: the event is below the start of its log */
    bury_slot_settle(slot);
}

/* No letter with a lower number is still to be appended. */
static bool is_lowest(const struct bury_slot *slot)
{
    const struct lease_burial *b = slot->burial;
    for (uint32_t i = 0; i < LEASE_INTENTS_MAX; i++) {
        const struct bury_slot *other = &b->slots[i];
        if (other != slot && other->intended && !other->appended && other->state < BURY_APPENDED &&
            sequence_before(other->intent.sequence, slot->intent.sequence)) {
            return false;
        }
    }
    return true;
}

/* Numbers that were not used are given anew, under a new producer id, once no letter of the old one may be sent again.
 */
void bury_fence_turn(struct lease_burial *b)
{
    for (uint32_t i = 0; i < LEASE_INTENTS_MAX; i++) {
        enum bury_state state = b->slots[i].state;
        if (state == BURY_INTENT || state == BURY_APPENDING) {
            return;
        }
    }
    for (uint32_t i = 0; i < LEASE_INTENTS_MAX; i++) {
        struct bury_slot *slot = &b->slots[i];
        if (slot->appended) {
            continue;
        }
        slot->intended = false;
        slot->state = slot->state == BURY_INTENDED ? BURY_BUILT : slot->state;
    }
    b->fenced = false;
    b->proven = (struct el_uuid){0};
    b->part->producer_id = -1;
}

static void append_on_done(struct store_op *base)
{
    struct bury_slot *slot = base->arg;
    struct lease_burial *b = slot->burial;
    struct lease_part *part = b->part;
    OBJ_CHECK(part, LEASE_PART);
    EL_ASSERT(slot->state == BURY_APPENDING);
    switch (base->error) {
    case 0:
        b->proven = slot->intent.topic_id;
        b->proven_partition = slot->intent.partition;
        bury_went_well(b);
        metrics_add(lease_part_leases(part)->metrics, METRIC_LEASES_DEAD, 1);
        slot->state = BURY_APPENDED;
        slot->appended = true;
        if (part->sm.state == PART_READY) {
            bury_slot_settle(slot);
        }
        break;
    case EVLOG_ERR_UNKNOWN_TOPIC:
    case EVLOG_ERR_UNKNOWN_TOPIC_ID: /* it is gone, and the intent with it */
        slot->intended = false;
        slot->state = BURY_BUILT;
        b->proven = (struct el_uuid){0};
        break;
    case EVLOG_ERR_SEQUENCE:
    case EVLOG_ERR_PRODUCER_EPOCH:
        slot->state = BURY_INTENDED;
        b->fenced = b->fenced || is_lowest(slot); /* else one before it failed */
        break;
    default:
        slot->state = BURY_INTENDED;
        bury_fail(b, base->error, "the topic %s takes none: %s", b->topic_name, evlog_error_text(base->error));
        break;
    }
    lease_part_turn(part);
    lease_part_unpin(part);
}

/* All letters with lower numbers are appended, or on their way where the partition is known to order them. */
static bool may_append(const struct lease_burial *b, const struct bury_slot *slot)
{
    bool proven = el_uuid_eq(&b->proven, &slot->intent.topic_id) && b->proven_partition == slot->intent.partition;
    for (uint32_t i = 0; i < LEASE_INTENTS_MAX; i++) {
        const struct bury_slot *other = &b->slots[i];
        if (other == slot || !other->intended || other->appended) {
            continue;
        }
        if (other->state == BURY_APPENDING && !proven) {
            return false;
        }
        if (sequence_before(other->intent.sequence, slot->intent.sequence) && other->state < BURY_APPENDING) {
            return false;
        }
    }
    return true;
}

static void slot_append(struct bury_slot *slot)
{
    struct lease_part *part = bury_part(slot);
    struct leases *ls = lease_part_leases(part);
    struct el_batch_origin origin = {.producer_id = part->producer_id, .base_sequence = slot->intent.sequence};
    struct el_slice batch;
    int code = el_batch_builder_finish(&slot->letter.builder, EL_CODEC_NONE, &origin, &batch);
    EL_ASSERT(code == 0);
    slot->append = (struct append_op){
        .base = {.done = append_on_done, .arg = slot},
        .topic_id = slot->intent.topic_id,
        .partition = slot->intent.partition,
        .batch = batch.data,
        .batch_len = (uint32_t)batch.len,
    };
    code = el_batch_check(batch.data, batch.len, EL_BATCH_LEN_MAX, NULL, 0, &slot->append.info);
    if (code != 0) {
        bury_slot_fail(slot, code);
        return;
    }
    slot->state = BURY_APPENDING;
    lease_part_pin(part);
    store_append(ls->shard, &slot->append);
}

void bury_append_turn(struct bury_slot *slot)
{
    struct lease_burial *b = slot->burial;
    EL_ASSERT(slot->state == BURY_INTENDED);
    if (slot->appended) { /* before a restart: only its key was to be known */
        slot->state = BURY_APPENDED;
        bury_slot_settle(slot);
        return;
    }
    if (!b->fenced && b->retry_ns <= lease_part_leases(b->part)->io->now_ns && may_append(b, slot)) {
        slot_append(slot);
    }
}
