/* SPDX-License-Identifier: Apache-2.0
 *
 * What a part must not forget, made durable: one write at a time, and all that came meanwhile goes with the next.
 *
 *   1. the table names the blocks that differ from what is stored; stories, parked keys and intents of dead letters go
 *      along, and always the record of the part
 *   2. they are one batch, when they fit into MAIN_LEN_MAX. More than that is stored before or behind it, one write
 *      after the other: blocks may be early, for nobody has been told of them, and deletions late
 *   3. when all is durable the table goes on, dead letters go on, and whoever waits is answered
 *
 * The record of the part, parked keys and the blocks of events that have become dead letters are always in one batch:
 * an intent is forgotten by the same write that makes its event finished.
 *
 * A write that fails is repeated with all that came since, RETRY_NS later.
 */
#include <lease/lease_part.h>

#define MAIN_LEN_MAX (1u << 20)
#define WRITE_LEN_MIN (16u << 10)
#define RETRY_NS 200000000u
#define NOTES_INLINE 24u
#define KEPT_LEN 3072u /* the struct stays one of the buddy's smallest blocks */

/* A block that is to be stored. */
struct note {
    uint64_t number;
    uint32_t len;  /* encoded */
    uint16_t kept; /* its bytes begin there in the save's, plus 1; 0: they are not kept */
    bool gone;
};

/* Bytes of keys and values that must be in one batch, and of all. */
struct sizes {
    size_t must, all;
    uint32_t must_count, count;
};

struct lease_save {
    struct lease_part *part;
    struct lease_write *next; /* to be submitted */
    bool erasing;
    void (*erased)(struct lease_part *part, int error);
    struct lease_write *before, *main, *behind; /* while it is built */
    struct sizes sizes;
    bool one; /* all of it is one batch */
    struct note *notes;
    uint32_t note_count, note_max;
    int error;
    struct note inline_notes[NOTES_INLINE];
    uint32_t kept_len;
    uint8_t kept[KEPT_LEN]; /* bytes of blocks that were measured: a walk over their entries saved */
};
EL_STATIC_ASSERT(sizeof(struct lease_save) <= EL_BUDDY_BLOCK_MIN, "there is one for each write");

static struct lease_save *save_new(struct lease_part *part)
{
    struct leases *ls = lease_part_leases(part);
    struct lease_save *p = el_buddy_alloc(ls->buddy, sizeof *p);
    if (p != NULL) {
        memset(p, 0, offsetof(struct lease_save, kept));
        p->part = part;
        p->notes = p->inline_notes;
        p->note_max = NOTES_INLINE;
    }
    return p;
}

static void writes_drop(struct lease_write *write)
{
    while (write != NULL) {
        struct lease_write *next = write->next;
        lease_write_drop(write);
        write = next;
    }
}

static void save_free(struct lease_save *p)
{
    struct leases *ls = lease_part_leases(p->part);
    if (p->notes != p->inline_notes) {
        el_buddy_free(ls->buddy, p->notes);
    }
    writes_drop(p->before);
    writes_drop(p->main);
    writes_drop(p->behind);
    writes_drop(p->next);
    el_buddy_free(ls->buddy, p);
}

static void note_block(void *arg, uint64_t number, bool gone)
{
    struct lease_save *p = arg;
    if (p->note_count == p->note_max) {
        struct leases *ls = lease_part_leases(p->part);
        struct note *grown = el_buddy_alloc(ls->buddy, (size_t)4 * p->note_max * sizeof *grown);
        if (grown == NULL) {
            p->error = EVLOG_ERR_NO_MEMORY;
            return;
        }
        memcpy(grown, p->notes, p->note_count * sizeof *grown);
        if (p->notes != p->inline_notes) {
            el_buddy_free(ls->buddy, p->notes);
        }
        p->notes = grown;
        p->note_max *= 4;
    }
    p->notes[p->note_count++] = (struct note){.number = number, .gone = gone};
}

/* --- records ------------------------------------------------------------------------------------------------------ */

static struct lease_record_key record_key(const struct lease_part *part, enum lease_record_kind kind, int64_t number)
{
    return (struct lease_record_key){.kind = kind,
                                     .group_id = part->group->id,
                                     .topic_id = part->key.topic_id,
                                     .partition = part->key.partition,
                                     .number = number};
}

/* Into the first of the writes that has room, or a new one in front of it. */
static void put(struct lease_save *p, struct lease_write **writes, struct el_slice key, struct el_slice value)
{
    struct lease_write *write = *writes;
    if (p->error != 0) {
        return;
    }
    if (write == NULL || !lease_write_room(write, key.len, value.len)) {
        EL_ASSERT(writes != &p->main); /* it was made large enough */
        size_t len = EL_MIN(write == NULL ? WRITE_LEN_MIN : write->builder.buf_len * 4, (size_t)MAIN_LEN_MAX);
        p->error = lease_write_new(lease_part_leases(p->part), 1, EL_MAX(len, key.len + value.len), &write);
        if (p->error != 0) {
            return;
        }
        write->next = *writes;
        *writes = write;
    }
    lease_write_put(write, key, value);
}

static void put_record(struct lease_save *p, struct lease_write **writes, const struct lease_record_key *key,
                       struct el_slice value)
{
    uint8_t text[LEASE_KEY_LEN_MAX];
    struct el_writer w;
    el_writer_init(&w, text, sizeof text);
    lease_record_key_encode(&w, key);
    EL_ASSERT(w.err == 0);
    put(p, writes, el_slice_of(text, el_writer_len(&w)), value);
}

static void put_parked(struct lease_save *p, struct lease_write **writes, const struct lease_parked *parked)
{
    struct leases *ls = lease_part_leases(p->part);
    uint8_t text[LEASE_RECORD_PARKED_LEN];
    struct el_writer w, value;
    struct lease_record_key key = record_key(p->part, LEASE_RECORD_PARKED, 0);
    key.key = parked->key;
    el_writer_init(&w, ls->scratch, LEASE_SCRATCH_LEN);
    lease_record_key_encode(&w, &key);
    el_writer_init(&value, text, sizeof text);
    lease_record_parked_encode(&value, &(struct lease_record_parked){parked->offset, parked->time_ms});
    EL_ASSERT(w.err == 0);
    EL_ASSERT(value.err == 0);
    bool gone = parked->released || p->erasing;
    put(p, writes, el_slice_of(ls->scratch, el_writer_len(&w)),
        gone ? (struct el_slice){0} : el_slice_of(text, el_writer_len(&value)));
}

static void put_story(struct lease_save *p, struct lease_write **writes, const struct lease_story *story)
{
    struct leases *ls = lease_part_leases(p->part);
    struct lease_record_key key = record_key(p->part, LEASE_RECORD_STORY, story->offset);
    if (story->ended || p->erasing) {
        put_record(p, writes, &key, (struct el_slice){0});
        return;
    }
    struct el_writer w;
    el_writer_init(&w, ls->scratch, LEASE_SCRATCH_LEN);
    lease_story_encode(&w, story);
    EL_ASSERT(w.err == 0);
    put_record(p, writes, &key, el_slice_of(ls->scratch, el_writer_len(&w)));
}

static void put_block(struct lease_save *p, struct lease_write **writes, const struct note *note)
{
    struct leases *ls = lease_part_leases(p->part);
    struct lease_record_key key = record_key(p->part, LEASE_RECORD_BLOCK, (int64_t)note->number);
    if (note->gone || p->erasing) {
        put_record(p, writes, &key, (struct el_slice){0});
        return;
    }
    if (note->kept != 0) {
        put_record(p, writes, &key, el_slice_of(p->kept + note->kept - 1, note->len));
        return;
    }
    size_t len = lease_block_encode(p->part->table, note->number, ls->scratch, LEASE_SCRATCH_LEN);
    EL_ASSERT(len > 0);
    EL_ASSERT(len == note->len);
    put_record(p, writes, &key, el_slice_of(ls->scratch, len));
}

static void put_emits(void *arg, int64_t number, struct el_slice value)
{
    struct lease_save *p = arg;
    struct lease_record_key key = record_key(p->part, LEASE_RECORD_EMITS, number);
    /* Stored before the events are finished, deleted after that. */
    put_record(p, p->one ? &p->main : value.data == NULL ? &p->behind : &p->before, &key, value);
}

static void put_part(struct lease_save *p, const struct lease_record_part *record)
{
    uint8_t text[LEASE_RECORD_PART_LEN_MAX];
    struct el_writer w;
    struct lease_record_key key = record_key(p->part, LEASE_RECORD_PART, 0);
    el_writer_init(&w, text, sizeof text);
    lease_record_part_encode(&w, record);
    EL_ASSERT(w.err == 0);
    put_record(p, &p->main, &key, p->erasing ? (struct el_slice){0} : el_slice_of(text, el_writer_len(&w)));
}

/* --- events that come back, and letters --------------------------------------------------------------------------- */

static void put_base(struct lease_save *p, struct lease_write **writes)
{
    uint8_t text[LEASE_RECORD_BASE_LEN];
    struct el_writer w;
    struct lease_record_key key = record_key(p->part, LEASE_RECORD_BASE, 0);
    int64_t base = p->part->back.base_writing;
    el_writer_init(&w, text, sizeof text);
    lease_record_base_encode(&w, base);
    EL_ASSERT(w.err == 0);
    bool gone = base == 0 || p->erasing;
    put_record(p, writes, &key, gone ? (struct el_slice){0} : el_slice_of(text, el_writer_len(&w)));
}

static void put_mark(struct lease_save *p, struct lease_write **writes, const struct lease_mark *mark)
{
    uint8_t text[LEASE_RECORD_MARK_LEN];
    struct el_writer w;
    struct lease_record_key key = record_key(p->part, LEASE_RECORD_MARK, 0);
    key.dead_id = mark->dead_id;
    key.dead_partition = mark->dead_partition;
    el_writer_init(&w, text, sizeof text);
    lease_record_mark_encode(&w, &mark->record);
    EL_ASSERT(w.err == 0);
    bool gone = mark->ended || p->erasing;
    put_record(p, writes, &key, gone ? (struct el_slice){0} : el_slice_of(text, el_writer_len(&w)));
}

static void put_again(struct lease_save *p)
{
    if (lease_again_base(p->part)) {
        put_base(p, &p->main);
    }
    EL_LIST_EACH(node, &p->part->back.marks) {
        const struct lease_mark *mark = EL_CONTAINER(node, struct lease_mark, link);
        if (mark->writing) {
            put_mark(p, &p->main, mark);
        }
    }
}

/* The same for the end of all records. */
static void end_again(struct lease_save *p)
{
    struct lease_part *part = p->part;
    if (part->back.base_stored) {
        put_base(p, &p->behind);
    }
    EL_LIST_EACH(node, &part->back.marks) {
        put_mark(p, &p->behind, EL_CONTAINER(node, struct lease_mark, link));
    }
    int64_t number = -1;
    while (lease_letters_next(part, &number)) {
        struct lease_record_key key = record_key(part, LEASE_RECORD_LETTERS, number);
        put_record(p, &p->behind, &key, (struct el_slice){0});
    }
}

/* --- a write ------------------------------------------------------------------------------------------------------ */

static void size_add(struct sizes *sizes, bool must, size_t len)
{
    sizes->all += len;
    sizes->count++;
    sizes->must += must ? len : 0;
    sizes->must_count += must;
}

static bool block_must(const struct lease_save *p, const struct note *note)
{
    return !note->gone && (lease_bury_done_in(p->part, note->number) || lease_again_in(p->part, note->number));
}

static void size_emits(void *arg, int64_t number, struct el_slice value)
{
    struct lease_save *p = arg;
    (void)number;
    size_add(&p->sizes, false, 4 + p->part->group->id.len + 28 + value.len);
}

/* Blocks are mostly a few bytes; long ones are encoded again when they are written. */
static void measure_block(struct lease_save *p, struct note *note)
{
    struct leases *ls = lease_part_leases(p->part);
    if (note->gone || p->erasing) {
        return;
    }
    note->len = (uint32_t)lease_block_encode(p->part->table, note->number, ls->scratch, LEASE_SCRATCH_LEN);
    if (note->len <= KEPT_LEN - p->kept_len) {
        memcpy(p->kept + p->kept_len, ls->scratch, note->len);
        note->kept = (uint16_t)(p->kept_len + 1);
        p->kept_len += note->len;
    }
}

static void measure(struct lease_save *p)
{
    struct lease_part *part = p->part;
    struct sizes sizes = {0};
    size_t key_len = 4 + part->group->id.len + 28;
    size_add(&sizes, true, key_len + LEASE_RECORD_PART_LEN_MAX);
    for (uint32_t i = 0; i < p->note_count; i++) {
        struct note *note = &p->notes[i];
        measure_block(p, note);
        size_add(&sizes, block_must(p, note), key_len + note->len);
    }
    EL_LIST_EACH(node, &part->parked_writing) {
        const struct lease_parked *parked = EL_CONTAINER(node, struct lease_parked, link);
        size_add(&sizes, true, key_len + parked->key.len + LEASE_RECORD_PARKED_LEN);
    }
    if (lease_again_base(part)) {
        size_add(&sizes, true, key_len + LEASE_RECORD_BASE_LEN);
    }
    EL_LIST_EACH(node, &part->back.marks) {
        if (EL_CONTAINER(node, struct lease_mark, link)->writing) {
            size_add(&sizes, true, key_len + 20 + LEASE_RECORD_MARK_LEN);
        }
    }
    EL_LIST_EACH(node, &part->stories.writing) {
        size_add(&sizes, false, key_len + lease_story_len(EL_CONTAINER(node, struct lease_story, link)));
    }
    p->sizes = sizes;
    lease_emit_write_each(part, size_emits, p);
    p->one = p->sizes.all <= MAIN_LEN_MAX;
}

static struct lease_write *reversed(struct lease_write *write)
{
    struct lease_write *out = NULL;
    while (write != NULL) {
        struct lease_write *next = write->next;
        write->next = out;
        out = write;
        write = next;
    }
    return out;
}

static void append_writes(struct lease_write **list, struct lease_write *more)
{
    while (*list != NULL) {
        list = &(*list)->next;
    }
    *list = more;
}

static int build(struct lease_save *p, const struct lease_record_part *record)
{
    struct lease_part *part = p->part;
    measure(p);
    bool one = p->one;
    p->error = p->error != 0 ? p->error
                             : lease_write_new(lease_part_leases(part), one ? p->sizes.count : p->sizes.must_count,
                                               one ? p->sizes.all : p->sizes.must, &p->main);
    if (p->error != 0) {
        return p->error;
    }
    put_part(p, record);
    put_again(p);
    for (uint32_t i = 0; i < p->note_count; i++) {
        const struct note *note = &p->notes[i];
        bool here = one || block_must(p, note);
        put_block(p, here ? &p->main : note->gone ? &p->behind : &p->before, note);
    }
    EL_LIST_EACH(node, &part->parked_writing) {
        put_parked(p, &p->main, EL_CONTAINER(node, struct lease_parked, link));
    }
    EL_LIST_EACH(node, &part->stories.writing) {
        put_story(p, one ? &p->main : &p->behind, EL_CONTAINER(node, struct lease_story, link));
    }
    lease_emit_write_each(part, put_emits, p);
    p->next = reversed(p->before);
    append_writes(&p->next, p->main);
    append_writes(&p->next, reversed(p->behind));
    p->before = p->main = p->behind = NULL;
    return p->error;
}

static void calls_written(struct el_list *calls, int error)
{
    for (struct el_list *node = el_list_pop_front(calls); node != NULL; node = el_list_pop_front(calls)) {
        lease_call_written(lease_call_of(node), error);
    }
}

/* All of it is durable (0), or something failed. */
static void save_end(struct lease_save *p, int error)
{
    struct lease_part *part = p->part;
    struct leases *ls = lease_part_leases(part);
    bool erasing = p->erasing;
    void (*erased)(struct lease_part *, int) = p->erased;
    part->save = NULL;
    save_free(p);
    if (erasing && part->table == NULL) {
        erased(part, error);
        return;
    }
    lease_write_end(part->table, error == 0, lease_part_now(part));
    lease_story_write_end(&part->stories, error == 0);
    lease_park_write_end(part, error == 0);
    if (erasing) {
        erased(part, error);
        return;
    }
    lease_bury_write_end(part, error == 0);
    struct el_list tell;
    el_list_init(&tell);
    lease_emit_write_end(part, error, &tell);
    lease_again_write_end(part, error == 0);
    part->write_failed = error != 0;
    if (error != 0) {
        part->write_ns = ls->io->now_ns + RETRY_NS;
    }
    calls_written(&part->carried, error);
    lease_emit_tell(&tell);
    if (part->sm.state == PART_STARTING) {
        lease_part_started(part, error);
    } else if (part->sm.state == PART_MOVING && part->moved) {
        lease_move_end(part, error);
    }
}

static void save_on_write(struct lease_write *write, int error);

static void submit_next(struct lease_save *p)
{
    struct lease_write *write = p->next;
    p->next = write->next;
    write->next = NULL;
    lease_write_submit(write, save_on_write, p);
}

static void save_on_write(struct lease_write *write, int error)
{
    struct lease_save *p = write->arg;
    struct lease_part *part = p->part;
    OBJ_CHECK(part, LEASE_PART);
    if (error == 0 && p->next != NULL) {
        submit_next(p);
        return;
    }
    lease_part_pin(part);
    save_end(p, error);
    lease_part_unpin(part); /* the write's own */
    lease_part_turn(part);
    lease_part_unpin(part);
}

static void save_begin(struct lease_part *part)
{
    struct leases *ls = lease_part_leases(part);
    struct lease_save *p = save_new(part);
    part->write_wanted = false;
    part->passing = false;
    part->write_ns = UINT64_MAX;
    if (p == NULL) {
        part->write_ns = ls->io->now_ns + RETRY_NS;
        return;
    }
    part->save = p;
    lease_part_pin(part);
    el_list_splice_back(&part->carried, &part->settled);
    lease_write_begin(part->table, note_block, p);
    struct lease_record_part record = {.start = lease_write_start(part->table)};
    lease_bury_write_begin(part, &record);
    lease_emit_write_begin(part);
    lease_again_write_begin(part, record.start);
    record.producer_id = part->producer_id;
    record.next_sequence = part->next_sequence;
    lease_story_write_begin(&part->stories);
    lease_park_write_begin(part);
    int error = build(p, &record);
    if (error == 0) {
        submit_next(p);
        return;
    }
    save_end(p, error);
    lease_part_unpin(part);
}

static bool wants_write(struct lease_part *part)
{
    return part->write_wanted || !el_list_empty(&part->settled) || lease_bury_wants_write(part) ||
           lease_emit_wants_write(part);
}

void lease_save_turn(struct lease_part *part)
{
    struct leases *ls = lease_part_leases(part);
    bool serves = part->sm.state == PART_READY || (part->sm.state == PART_STARTING && part->table != NULL) ||
                  (part->sm.state == PART_MOVING && part->moved);
    if (part->save != NULL || !serves || ls->stopping || ls->state != LEASES_READY) {
        return;
    }
    bool changed = lease_dirty(part->table) || !el_list_empty(&part->stories.changed) ||
                   !el_list_empty(&part->parked_changed);
    if (changed || part->passing) {
        uint64_t within_ns = changed ? LEASE_WRITE_WITHIN_NS : LEASE_PASSED_WITHIN_NS;
        part->write_ns = part->write_failed ? part->write_ns : EL_MIN(part->write_ns, ls->io->now_ns + within_ns);
    }
    if (part->write_ns <= ls->io->now_ns || (wants_write(part) && !part->write_failed)) {
        save_begin(part);
    }
}

void lease_save_last(struct lease_part *part)
{
    const struct leases *ls = lease_part_leases(part);
    bool changed = part->sm.state == PART_READY && (lease_dirty(part->table) || part->passing);
    if (changed && part->save == NULL && ls->state == LEASES_READY) {
        save_begin(part);
    }
}

void lease_save_now(struct lease_part *part)
{
    part->write_wanted = true;
}

/* --- the end of all records --------------------------------------------------------------------------------------- */

void lease_save_erase(struct lease_part *part, void (*done)(struct lease_part *part, int error))
{
    struct lease_save *p = save_new(part);
    EL_ASSERT(part->save == NULL);
    if (p == NULL) {
        done(part, EVLOG_ERR_NO_MEMORY);
        return;
    }
    p->erasing = true;
    p->erased = done;
    part->save = p;
    lease_part_pin(part);
    int error = 0;
    if (part->table == NULL) {
        EL_LIST_EACH(node, &part->stored) {
            put(p, &p->behind, EL_CONTAINER(node, struct lease_stored, link)->key, (struct el_slice){0});
        }
        end_again(p);
        p->next = reversed(p->behind);
        p->behind = NULL;
        error = p->error;
    } else {
        lease_write_begin(part->table, note_block, p);
        lease_stories_end_all(&part->stories);
        lease_story_write_begin(&part->stories);
        lease_park_end_all(part);
        lease_park_write_begin(part);
        end_again(p);
        error = build(p, &(struct lease_record_part){0});
    }
    if (error == 0 && p->next != NULL) {
        submit_next(p);
        return;
    }
    save_end(p, error);
    lease_part_unpin(part);
}

/* --- a record by itself ------------------------------------------------------------------------------------------- */

int lease_save_emits(struct lease_part *part, int64_t number, struct el_slice value, lease_write_fn done, void *arg)
{
    uint8_t text[LEASE_KEY_LEN_MAX];
    struct el_writer w;
    struct lease_write *write;
    struct lease_record_key key = record_key(part, LEASE_RECORD_EMITS, number);
    el_writer_init(&w, text, sizeof text);
    lease_record_key_encode(&w, &key);
    EL_ASSERT(w.err == 0);
    int code = lease_write_new(lease_part_leases(part), 1, el_writer_len(&w) + value.len, &write);
    if (code == 0) {
        lease_write_put(write, el_slice_of(text, el_writer_len(&w)), value);
        lease_write_submit(write, done, arg);
    }
    return code;
}
