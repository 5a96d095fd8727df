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
 * duplicate and dropped. The table tells these events later, when they are read; the slot waits for that, but not for
 * earlier events of their keys that have come back: those may need a slot themselves.
 *
 * What fails keeps the event and its key waiting, nothing else. A topic that cannot be made or written holds up all
 * letters of the part (bury_fail); one that cannot be read or is too large only itself: it leaves its slot and comes
 * back. Numbers are given to letters that are built, so that none is left out; a partition that nobody has proven to
 * know the producer gets one letter at a time, for it would take any number from a stranger.
 */
#include <lease/lease_bury.h>

#include <core/logger.h>
#include <inttypes.h>

void bury_slot_clear(struct bury_slot *slot)
{
    struct lease_burial *b = slot->burial;
    el_buddy_free(lease_part_leases(b->part)->buddy, slot->letter.buf);
    el_buddy_free(lease_part_leases(b->part)->buddy, slot->texts);
    memset(slot, 0, sizeof *slot);
    slot->burial = b;
}

struct lease_burial *bury_of(struct lease_part *part)
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

void bury_slot_fail(struct bury_slot *slot, int error)
{
    struct lease_burial *b = slot->burial;
    struct leases *ls = lease_part_leases(b->part);
    char text[LEASE_PART_TEXT_MAX];
    EL_ASSERT(slot->state != BURY_FREE);
    EL_ASSERT(error != 0);
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
    bury_slot_clear(slot);
}

/* --- the turn ----------------------------------------------------------------------------------------------------- */

static void slot_take(struct bury_slot *slot, const struct lease_dead *dead, uint64_t delay_ns)
{
    slot->dead = *dead;
    slot->told = true;
    slot->delay_ns = delay_ns;
    bury_slot_read(slot);
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
        if (slot != NULL && slot->told) { /* it vanished in between */
            EL_ASSERT(slot->state == BURY_DONE || slot->state == BURY_FINISHING);
            lease_dead_done(part->table, dead.offset);
        } else if (slot != NULL) {
            slot->told = true;
            if (slot->state == BURY_APPENDED) {
                bury_slot_settle(slot);
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
            bury_slot_read(slot);
        }
        break;
    case BURY_INTENDED:
        bury_append_turn(slot);
        break;
    case BURY_APPENDED:
        bury_slot_settle(slot);
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
    EL_ASSERT(part->sm.state == PART_READY);
    struct lease_counts counts = lease_counts(part->table);
    bool dying = counts.of[LEASE_STATE_DYING] + counts.of[LEASE_STATE_CHECK] > 0;
    struct lease_burial *b = part->burial != NULL || !dying ? part->burial : bury_of(part);
    if (b == NULL) {
        return;
    }
    if (b->retry_ns <= lease_part_leases(part)->io->now_ns) {
        take_later(b);
        take_dying(part, b);
    }
    if (b->fenced) {
        bury_fence_turn(b);
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
        bool early = slot->state == BURY_APPENDED && !slot->told && lease_dead_waits(part->table, slot->dead.offset);
        bool stuck = slot->state == BURY_APPENDED && slot->told;
        next = early ? EL_MIN(next, slot->retry_ns) : next;
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

/* --- the rest ----------------------------------------------------------------------------------------------------- */

int lease_bury_restore(struct lease_part *part, const struct lease_intent *intent)
{
    EL_ASSERT(part->table != NULL);
    EL_ASSERT(intent->offset >= 0);
    struct lease_burial *b = bury_of(part);
    struct bury_slot *slot = b == NULL ? NULL : slot_free(b);
    if (slot == NULL) {
        return EVLOG_ERR_NO_MEMORY; /* a record has no more intents than there are slots */
    }
    slot->appended = (intent->reason & LEASE_INTENT_APPENDED) != 0;
    slot->intent = *intent;
    slot->intent.reason &= (uint8_t)~LEASE_INTENT_APPENDED;
    slot->dead = (struct lease_dead){intent->offset, (uint32_t)intent->attempts, (enum lease_death)slot->intent.reason};
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
    EL_ASSERT(!b->making);
    EL_ASSERT(!b->drawing);
    for (uint32_t i = 0; i < LEASE_INTENTS_MAX; i++) {
        EL_ASSERT(b->slots[i].state != BURY_READING);
        EL_ASSERT(b->slots[i].state != BURY_BUILDING);
        EL_ASSERT(b->slots[i].state != BURY_APPENDING);
        bury_slot_clear(&b->slots[i]);
    }
    lease_free(lease_part_leases(part), b);
    part->burial = NULL;
}
