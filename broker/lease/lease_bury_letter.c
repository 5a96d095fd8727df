/* SPDX-License-Identifier: Apache-2.0
 *
 * Dead letters: the event is read from its log, and a worker makes the letter. See lease_bury.c.
 */
#include <lease/lease_bury.h>

#define LETTER_ROOM (4u << 10) /* for headers, at first; more when they need it */

/* Compare the key of an event whose hash is that of a parked one. returns false: it is not parked */
static bool slot_checked(struct bury_slot *slot)
{
    struct lease_part *part = bury_part(slot);
    if (slot->dead.death != LEASE_DEATH_CHECK) {
        return true;
    }
    if (slot->letter.key.data == NULL || lease_parked_find(part, slot->letter.key) == NULL) {
        lease_check_passed(part->table, slot->dead.offset, lease_part_now(part));
        bury_slot_clear(slot);
        return false;
    }
    slot->dead.death = LEASE_DEATH_PARKED_KEY;
    return true;
}

static void slot_build(struct bury_slot *slot, size_t room);

static void slot_built(struct bury_slot *slot, int code)
{
    struct lease_part *part = bury_part(slot);
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
        bury_slot_clear(slot);
    } else if (code == EVLOG_ERR_NOT_FOUND) {
        bury_slot_vanished(slot);
    } else if (code != 0) {
        bury_slot_fail(slot, code == EVLOG_ERR_LIMIT ? EVLOG_ERR_TOO_LARGE : code);
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
    OBJ_CHECK(bury_part(slot), LEASE_PART);
    slot_built(slot, (int)op->result);
}

static void slot_build(struct bury_slot *slot, size_t room)
{
    struct leases *ls = lease_part_leases(bury_part(slot));
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
    struct lease_part *part = bury_part(slot);
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
    struct lease_part *part = bury_part(slot);
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

void bury_slot_read(struct bury_slot *slot)
{
    struct lease_part *part = bury_part(slot);
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
