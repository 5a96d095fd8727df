/* SPDX-License-Identifier: Apache-2.0
 *
 * Dead letters: never lost, never twice.
 *
 *   1. the table tells an event; it gets one of LEASE_INTENTS_MAX slots, is read from the source, and a worker makes
 *      the letter: the event as it was, and headers
 *   2. the next write of the part stores an intent: offset, target, and the next sequence number of a producer id that
 *      only this part has
 *   3. durable: the letter is appended with this number, in order. The partition's idempotent window takes it once,
 *      however often it is sent, and holds as many as there are slots
 *   4. appended: the table knows, and the next write makes the event finished and forgets the intent, in one batch
 *
 * After a crash the intents of the part's record run again from 1, each with its number: what was appended is a
 * duplicate and dropped. The table tells these events later, when they are read; the slot waits for that.
 *
 * What fails keeps the event and its key waiting, nothing else. A topic that cannot be made or written holds up all
 * letters of the part (bury_fail); one that cannot be read or is too large only itself: it leaves its slot and comes
 * back. Numbers are given to letters that are built, so that none is left out; a partition that nobody has proven to
 * know the producer gets one letter at a time, for it would take any number from a stranger.
 */
#include <lease/lease_bury.h>

#include <core/logger.h>
#include <inttypes.h>

#define LETTER_ROOM (4u << 10) /* for headers, at first; more when they need it */

static struct lease_part *slot_part(const struct bury_slot *slot)
{
    return slot->burial->part;
}

static void slot_clear(struct bury_slot *slot)
{
    struct lease_burial *b = slot->burial;
    el_buddy_free(lease_part_leases(b->part)->buddy, slot->letter.buf);
    el_buddy_free(lease_part_leases(b->part)->buddy, slot->texts);
    memset(slot, 0, sizeof *slot);
    slot->burial = b;
}

static struct lease_burial *burial_of(struct lease_part *part)
{
    struct leases *ls = lease_part_leases(part);
    if (part->burial != NULL) {
        return part->burial;
    }
    struct lease_burial *b = lease_alloc(ls, sizeof *b);
    if (b == NULL) {
        return NULL;
    }
    b->part = part;
    el_list_init(&b->later);
    for (uint32_t i = 0; i < LEASE_INTENTS_MAX; i++) {
        b->slots[i].burial = b;
    }
    part->burial = b;
    return b;
}

static struct bury_slot *slot_free(struct lease_burial *b)
{
    for (uint32_t i = 0; i < LEASE_INTENTS_MAX; i++) {
        if (b->slots[i].state == BURY_FREE) {
            return &b->slots[i];
        }
    }
    return NULL;
}

static struct bury_slot *slot_of(struct lease_burial *b, int64_t offset)
{
    for (uint32_t i = 0; i < LEASE_INTENTS_MAX; i++) {
        if (b->slots[i].state != BURY_FREE && b->slots[i].dead.offset == offset) {
            return &b->slots[i];
        }
    }
    return NULL;
}

/* Sequence numbers go round: a is before b when it is less than half a round behind. */
static bool sequence_before(int32_t a, int32_t b)
{
    uint32_t distance = ((uint32_t)b - (uint32_t)a) & 0x7fffffffu;
    return distance != 0 && distance < 0x40000000u;
}

/* --- an event without a slot -------------------------------------------------------------------------------------- */

static void later_free(struct lease_burial *b, struct bury_later *later)
{
    el_list_remove(&later->link);
    lease_free(lease_part_leases(b->part), later);
}

/* It is told again when there is no memory to remember it. */
static void put_off(struct lease_burial *b, const struct lease_dead *dead, uint64_t delay_ns, int error)
{
    struct leases *ls = lease_part_leases(b->part);
    struct bury_later *later = lease_alloc(ls, sizeof *later);
    if (later == NULL) {
        lease_dead_retry(b->part->table, dead->offset);
        b->retry_ns = EL_MAX(b->retry_ns, ls->io->now_ns + bury_longer(0));
        return;
    }
    later->dead = *dead;
    later->delay_ns = delay_ns;
    later->at_ns = delay_ns == 0 ? 0 : ls->io->now_ns + delay_ns;
    later->error = error;
    el_list_push_back(&b->later, &later->link);
}

/* It cannot be buried now, for a reason of its own. */
static void slot_fail(struct bury_slot *slot, int error)
{
    struct lease_burial *b = slot->burial;
    struct leases *ls = lease_part_leases(b->part);
    char text[LEASE_PART_TEXT_MAX];
    metrics_add(ls->metrics, METRIC_LEASES_DEAD_FAILED, 1);
    if (b->said_ns == 0 || ls->io->now_ns - b->said_ns >= LEASE_MINUTE_NS) {
        b->said_ns = ls->io->now_ns;
        el_log(EL_LOG_WARN, "lease",
               "%s: the event at offset %" PRId64 " cannot become a dead letter, its key waits: %s",
               lease_part_text(b->part, text, sizeof text), slot->dead.offset,
               error == EVLOG_ERR_TOO_LARGE ? "with its headers it is larger than max.message.bytes of their topic"
                                            : evlog_error_text(error));
    }
    uint64_t delay_ns = bury_longer(slot->delay_ns);
    if (slot->intended) { /* keeps its number, and so its slot */
        slot->delay_ns = delay_ns;
        slot->retry_ns = ls->io->now_ns + delay_ns;
        slot->state = BURY_WAITING;
        return;
    }
    put_off(b, &slot->dead, delay_ns, error);
    slot_clear(slot);
}

/* --- appended ----------------------------------------------------------------------------------------------------- */

/* Later events of its key follow it, when the group says so. returns false: there is no memory for that now */
static bool slot_park(struct bury_slot *slot)
{
    struct lease_part *part = slot_part(slot);
    const struct lease_rules *rules = lease_rules_of(part->table);
    struct el_slice key = slot->letter.key;
    if (rules->on_exhausted != LEASE_PARK || rules->order != LEASE_ORDER_KEY || key.data == NULL ||
        slot->dead.death == LEASE_DEATH_PARKED_KEY || key.len > LEASE_PARK_KEY_LEN_MAX) {
        return true;
    }
    struct lease_record_parked record = {slot->dead.offset, lease_wall_ms(lease_part_leases(part))};
    return lease_park_key(part, key, &record, false) == 0;
}

static void slot_settle(struct bury_slot *slot)
{
    struct lease_part *part = slot_part(slot);
    EL_ASSERT(slot->state == BURY_APPENDED);
    if (!slot->told || !slot_park(slot)) {
        return;
    }
    slot->state = BURY_DONE;
    lease_dead_done(part->table, slot->dead.offset); /* it may have gone with the start of the log */
    lease_story_end(&part->stories, slot->dead.offset, slot->dead.offset);
}

/* The event is nowhere any more: there is nothing to bury. */
static void slot_vanished(struct bury_slot *slot)
{
    metrics_add(lease_part_leases(slot_part(slot))->metrics, METRIC_LEASES_GONE, 1);
    slot->letter.key = (struct el_slice){0};
    slot->state = BURY_APPENDED;
    slot_settle(slot);
}

/* No letter with a lower number is still to be appended. */
static bool is_lowest(const struct bury_slot *slot)
{
    const struct lease_burial *b = slot->burial;
    for (uint32_t i = 0; i < LEASE_INTENTS_MAX; i++) {
        const struct bury_slot *other = &b->slots[i];
        if (other != slot && other->intended && other->state < BURY_APPENDED &&
            sequence_before(other->intent.sequence, slot->intent.sequence)) {
            return false;
        }
    }
    return true;
}

/* Numbers that were not used are given anew, under a new producer id, once no letter of the old one may be sent again.
 */
static void fence_turn(struct lease_burial *b)
{
    for (uint32_t i = 0; i < LEASE_INTENTS_MAX; i++) {
        enum bury_state state = b->slots[i].state;
        if (state == BURY_INTENT || state >= BURY_APPENDING) {
            return;
        }
    }
    for (uint32_t i = 0; i < LEASE_INTENTS_MAX; i++) {
        struct bury_slot *slot = &b->slots[i];
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
        if (part->sm.state == PART_READY) {
            slot_settle(slot);
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
        if (other == slot || !other->intended) {
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
    struct lease_part *part = slot_part(slot);
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
        slot_fail(slot, code);
        return;
    }
    slot->state = BURY_APPENDING;
    lease_part_pin(part);
    store_append(ls->shard, &slot->append);
}

/* --- the letter --------------------------------------------------------------------------------------------------- */

/* Compare the key of an event whose hash is that of a parked one. returns false: it is not parked */
static bool slot_checked(struct bury_slot *slot)
{
    struct lease_part *part = slot_part(slot);
    if (slot->dead.death != LEASE_DEATH_CHECK) {
        return true;
    }
    if (slot->letter.key.data == NULL || lease_parked_find(part, slot->letter.key) == NULL) {
        lease_check_passed(part->table, slot->dead.offset, lease_part_now(part));
        slot_clear(slot);
        return false;
    }
    slot->dead.death = LEASE_DEATH_PARKED_KEY;
    return true;
}

static void slot_build(struct bury_slot *slot, size_t room);

static void slot_built(struct bury_slot *slot, int code)
{
    struct lease_part *part = slot_part(slot);
    struct leases *ls = lease_part_leases(part);
    if (code == EVLOG_ERR_LIMIT && slot->letter.wanted_len <= EL_BATCH_LEN_MAX && part->sm.state == PART_READY) {
        size_t wanted = slot->letter.wanted_len;
        el_buddy_free(ls->buddy, slot->letter.buf);
        slot->letter.buf = NULL;
        slot_build(slot, wanted);
        return;
    }
    store_read_release(&slot->read);
    el_buddy_free(ls->buddy, slot->texts);
    slot->texts = NULL;
    if (part->sm.state != PART_READY) {
        slot_clear(slot);
    } else if (code == EVLOG_ERR_NOT_FOUND) {
        slot_vanished(slot);
    } else if (code != 0) {
        slot_fail(slot, code == EVLOG_ERR_LIMIT ? EVLOG_ERR_TOO_LARGE : code);
    } else if (slot_checked(slot)) {
        slot->state = slot->intended ? BURY_INTENDED : BURY_BUILT;
    }
    lease_part_turn(part);
    lease_part_unpin(part);
}

static int64_t build_job(struct disk *disk, void *arg)
{
    (void)disk;
    return lease_letter_build(arg);
}

static void build_on_done(struct io_op *op)
{
    struct bury_slot *slot = op->arg;
    OBJ_CHECK(slot_part(slot), LEASE_PART);
    slot_built(slot, (int)op->result);
}

static void slot_build(struct bury_slot *slot, size_t room)
{
    struct leases *ls = lease_part_leases(slot_part(slot));
    slot->state = BURY_BUILDING;
    slot->letter.buf = el_buddy_alloc(ls->buddy, room);
    slot->letter.buf_len = slot->letter.buf == NULL ? 0 : room;
    if (slot->letter.buf == NULL) {
        slot_built(slot, EVLOG_ERR_NO_MEMORY);
        return;
    }
    slot->job.done = build_on_done;
    slot->job.arg = slot;
    io_job(ls->io, &slot->job, IO_JOB_COMPUTE, build_job, &slot->letter);
}

/* The texts of a letter as the worker's own. returns false without memory */
static bool slot_texts(struct bury_slot *slot)
{
    struct lease_part *part = slot_part(slot);
    struct leases *ls = lease_part_leases(part);
    struct lease_letter *letter = &slot->letter;
    const struct lease_story *story = lease_story_find(&part->stories, slot->dead.offset);
    const struct topic *source = store_topic_by_id(ls->shard, &part->key.topic_id);
    struct el_slice reason = {0}, error = {0};
    if (story != NULL) {
        lease_story_last(story, &reason, &error);
    }
    struct el_slice topic = source == NULL ? el_slice_str("") : el_slice_of(source->name, source->name_len);
    size_t history_len = story == NULL ? 0 : lease_story_len(story);
    size_t room = topic.len + part->group->id.len + reason.len + error.len + history_len + 1;
    struct el_writer w;
    slot->texts = el_buddy_alloc(ls->buddy, room);
    if (slot->texts == NULL) {
        return false;
    }
    struct el_slice *in[] = {&topic, &part->group->id, &reason, &error};
    struct el_slice *out[] = {&letter->topic, &letter->group, &letter->reason, &letter->error};
    el_writer_init(&w, slot->texts, room);
    for (size_t i = 0; i < sizeof in / sizeof in[0]; i++) {
        *out[i] = in[i]->data == NULL ? (struct el_slice){0} : el_slice_of(w.p, in[i]->len);
        el_write_bytes(&w, in[i]->data, in[i]->len);
    }
    if (story != NULL) {
        letter->history = el_slice_of(w.p, history_len);
        lease_story_encode(&w, story);
    }
    EL_ASSERT(w.err == 0);
    return true;
}

static void slot_on_read(struct store_op *base)
{
    struct bury_slot *slot = base->arg;
    struct lease_part *part = slot_part(slot);
    struct read_op *read = &slot->read;
    OBJ_CHECK(part, LEASE_PART);
    EL_ASSERT(slot->state == BURY_READING);
    slot->letter = (struct lease_letter){
        .data = read->data,
        .len = read->data_len,
        .offset = slot->dead.offset,
        .now_ms = lease_wall_ms(lease_part_leases(part)),
        .partition = part->key.partition,
        .attempts = slot->dead.attempts,
        .death = slot->dead.death,
    };
    int code = base->error == EVLOG_ERR_OFFSET_RANGE ? EVLOG_ERR_NOT_FOUND : base->error;
    if (code == 0 && (read->data_len == 0 || part->sm.state != PART_READY)) {
        code = EVLOG_ERR_NOT_FOUND;
    }
    if (code == 0 && !slot_texts(slot)) {
        code = EVLOG_ERR_NO_MEMORY;
    }
    if (code != 0) {
        slot_built(slot, code);
        return;
    }
    slot_build(slot, read->data_len + LETTER_ROOM + slot->letter.history.len);
}

static void slot_read(struct bury_slot *slot)
{
    struct lease_part *part = slot_part(slot);
    slot->state = BURY_READING;
    slot->read = (struct read_op){
        .base = {.done = slot_on_read, .arg = slot},
        .topic_id = part->key.topic_id,
        .partition = part->key.partition,
        .offset = slot->dead.offset,
        .max_bytes = 1, /* one batch */
        .at_least_one = true,
        .current_leader_epoch = -1,
        .last_fetched_epoch = -1,
    };
    lease_part_pin(part);
    store_read(lease_part_leases(part)->shard, &slot->read);
}

/* --- the turn ----------------------------------------------------------------------------------------------------- */

static void slot_take(struct bury_slot *slot, const struct lease_dead *dead, uint64_t delay_ns)
{
    slot->dead = *dead;
    slot->told = true;
    slot->delay_ns = delay_ns;
    slot_read(slot);
}

/* Events that wait for a slot, and have waited long enough. */
static void take_later(struct lease_burial *b)
{
    uint64_t now = lease_part_leases(b->part)->io->now_ns;
    EL_LIST_EACH_SAFE(node, next, &b->later) {
        struct bury_later *later = EL_CONTAINER(node, struct bury_later, link);
        struct bury_slot *slot = slot_free(b);
        if (slot == NULL) {
            return;
        }
        if (later->at_ns <= now) {
            struct lease_dead dead = later->dead;
            uint64_t delay_ns = later->delay_ns;
            later_free(b, later);
            slot_take(slot, &dead, delay_ns);
            return; /* the list may be another one now; the turn comes again */
        }
    }
}

static bool restored_waits(const struct lease_burial *b)
{
    for (uint32_t i = 0; i < LEASE_INTENTS_MAX; i++) {
        if (b->slots[i].state != BURY_FREE && !b->slots[i].told) {
            return true;
        }
    }
    return false;
}

/* What the table tells. While a restored intent waits to be told, all is taken: behind it may be that one. */
static void take_dying(struct lease_part *part, struct lease_burial *b)
{
    struct lease_dead dead;
    while ((slot_free(b) != NULL && el_list_empty(&b->later)) || restored_waits(b)) {
        if (!lease_next_dying(part->table, &dead)) {
            return;
        }
        struct bury_slot *slot = slot_of(b, dead.offset);
        if (slot != NULL) {
            EL_ASSERT(!slot->told);
            slot->told = true;
            if (slot->state == BURY_APPENDED) {
                slot_settle(slot);
            }
        } else if ((slot = slot_free(b)) != NULL) {
            slot_take(slot, &dead, 0);
        } else {
            put_off(b, &dead, 0, 0);
        }
    }
}

static void slot_turn(struct bury_slot *slot)
{
    struct lease_burial *b = slot->burial;
    uint64_t now = lease_part_leases(b->part)->io->now_ns;
    switch (slot->state) {
    case BURY_WAITING:
        if (slot->retry_ns <= now) {
            el_buddy_free(lease_part_leases(b->part)->buddy, slot->letter.buf);
            slot->letter.buf = NULL;
            slot_read(slot);
        }
        break;
    case BURY_INTENDED:
        if (!b->fenced && b->retry_ns <= now && may_append(b, slot)) {
            slot_append(slot);
        }
        break;
    case BURY_APPENDED:
        slot_settle(slot);
        break;
    case BURY_FREE:
    case BURY_READING:
    case BURY_BUILDING:
    case BURY_BUILT:
    case BURY_INTENT:
    case BURY_APPENDING:
    case BURY_DONE:
    case BURY_FINISHING:
        break;
    }
}

void lease_bury_turn(struct lease_part *part)
{
    struct lease_counts counts = lease_counts(part->table);
    bool dying = counts.of[LEASE_STATE_DYING] + counts.of[LEASE_STATE_CHECK] > 0;
    struct lease_burial *b = part->burial != NULL || !dying ? part->burial : burial_of(part);
    if (b == NULL) {
        return;
    }
    if (b->retry_ns <= lease_part_leases(part)->io->now_ns) {
        take_later(b);
        take_dying(part, b);
    }
    if (b->fenced) {
        fence_turn(b);
    }
    /* Lowest number first, as the partition wants them. */
    for (uint32_t n = 0; n < LEASE_INTENTS_MAX; n++) {
        for (uint32_t i = 0; i < LEASE_INTENTS_MAX; i++) {
            slot_turn(&b->slots[i]);
        }
    }
}

uint64_t lease_bury_next(const struct lease_part *part)
{
    const struct lease_burial *b = part->burial;
    struct lease_counts counts = lease_counts(part->table);
    bool dying = counts.of[LEASE_STATE_DYING] + counts.of[LEASE_STATE_CHECK] > 0;
    uint64_t now = lease_part_leases(part)->io->now_ns;
    if (b == NULL) {
        return dying ? now + bury_longer(0) : UINT64_MAX; /* there was no memory */
    }
    uint64_t next = UINT64_MAX;
    bool room = false;
    for (uint32_t i = 0; i < LEASE_INTENTS_MAX; i++) {
        const struct bury_slot *slot = &b->slots[i];
        room = room || slot->state == BURY_FREE;
        if (slot->state == BURY_WAITING) {
            next = EL_MIN(next, slot->retry_ns);
        }
        bool stuck = slot->state == BURY_APPENDED && slot->told;
        if (stuck || (b->retry_ns > now && (slot->state == BURY_INTENDED || slot->state == BURY_BUILT))) {
            next = EL_MIN(next, EL_MAX(b->retry_ns, now + bury_longer(0)));
        }
    }
    EL_LIST_EACH(node, &b->later) {
        next = room ? EL_MIN(next, EL_CONTAINER(node, struct bury_later, link)->at_ns) : next;
    }
    if (dying && room) {
        next = EL_MIN(next, EL_MAX(b->retry_ns, now));
    }
    return next == UINT64_MAX ? next : EL_MAX(next, now);
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
        slot_fail(slot, EVLOG_ERR_TOO_LARGE);
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
    struct lease_part *part = slot_part(slot);
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
            record->intents[record->intent_count++] = slot->intent;
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
            slot_clear(slot);
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

/* --- the rest ----------------------------------------------------------------------------------------------------- */

int lease_bury_restore(struct lease_part *part, const struct lease_intent *intent)
{
    struct lease_burial *b = burial_of(part);
    struct bury_slot *slot = b == NULL ? NULL : slot_free(b);
    if (slot == NULL) {
        return EVLOG_ERR_NO_MEMORY; /* a record has no more intents than there are slots */
    }
    slot->dead = (struct lease_dead){intent->offset, (uint32_t)intent->attempts, (enum lease_death)intent->reason};
    slot->intent = *intent;
    slot->intended = true;
    slot->state = BURY_WAITING;
    return 0;
}

enum lease_death lease_bury_intended(const struct lease_part *part, int64_t offset)
{
    const struct lease_burial *b = part->burial;
    for (uint32_t i = 0; b != NULL && i < LEASE_INTENTS_MAX; i++) {
        const struct bury_slot *slot = &b->slots[i];
        if (slot->state != BURY_FREE && !slot->told && slot->dead.offset == offset) {
            return slot->dead.death;
        }
    }
    return LEASE_DEATH_NONE;
}

const char *lease_bury_why(const struct lease_part *part, int64_t offset)
{
    struct lease_burial *b = part->burial;
    if (b == NULL) {
        return "";
    }
    EL_LIST_EACH(node, &b->later) {
        const struct bury_later *later = EL_CONTAINER(node, struct bury_later, link);
        if (later->dead.offset == offset && later->error != 0) {
            return later->error == EVLOG_ERR_TOO_LARGE
                       ? "as a dead letter it is larger than max.message.bytes of their "
                         "topic"
                       : evlog_error_text(later->error);
        }
    }
    return b->why;
}

void lease_bury_free(struct lease_part *part)
{
    struct lease_burial *b = part->burial;
    if (b == NULL) {
        return;
    }
    while (!el_list_empty(&b->later)) {
        later_free(b, EL_CONTAINER(b->later.next, struct bury_later, link));
    }
    for (uint32_t i = 0; i < LEASE_INTENTS_MAX; i++) {
        slot_clear(&b->slots[i]);
    }
    lease_free(lease_part_leases(part), b);
    part->burial = NULL;
}
