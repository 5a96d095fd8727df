/* SPDX-License-Identifier: Apache-2.0
 *
 * The streams of a partition by name, in byte order. Names are kept once, where version 0 of a stream went: in a table
 * or a run. So a page is a merge of all of them.
 *
 *   1. a job sorts the names of the tables, goes to the first wanted one in each run, and takes a page of them all
 *   2. what each stream is at: by the tables on the shard, else by a second job from the runs
 *   3. streams that are deleted, or that have nothing durable yet, are left out; the next page makes up for it
 *   4. the answer is one block of memory of the owner
 */
#include <stream/stream_state.h>

#include <core/alloc.h>

#define KEYS_LEN_MAX (1u << 20) /* of the names of one page */

struct name {
    uint32_t key_pos, key_len; /* in keys */
    bool known;                /* head is set */
    struct el_hash128 hash;
    struct el_stream_entry head;
};

/* Everything that a job makes is of the heap. */
struct names {
    struct stream_list_op *op;
    struct streams *st;
    struct io_op job;
    struct stream_part *sp;
    struct stream_run_set *runs;
    struct stream_table_mark active_mark, frozen_mark;
    const struct stream_table *active, *frozen;
    int64_t high_watermark;
    bool with_tables; /* the job reads them */
    /* the page */
    struct name *names; /* [name_count] */
    uint32_t name_count, unknown_count;
    uint8_t *keys;
    uint32_t keys_len;
    bool end; /* there are no more names */
    /* what was taken of pages before */
    struct stream_name *taken; /* [op->count_max], keys point into taken_keys by offset */
    uint8_t *taken_keys;
    uint32_t taken_count, taken_len, taken_room;
    uint8_t *last; /* name that the next page begins behind; NULL: op->after */
    uint32_t last_len;
};

/* The answer, in one block. */
struct names_block {
    struct io_message message;
    struct streams *st;
    _Alignas(16) uint8_t data[];
};

static struct streams **op_owner(struct stream_list_op *op)
{
    return (struct streams **)&op->private_[0];
}

static void page_free(struct names *l)
{
    el_free(l->names);
    el_free(l->keys);
    l->names = NULL;
    l->keys = NULL;
    l->name_count = l->keys_len = 0;
}

static void names_end(struct names *l, int error)
{
    struct streams *st = l->st;
    struct stream_list_op *op = l->op;
    EL_ASSERT(!l->with_tables); /* no job reads them for it */
    EL_ASSERT(st->ops > 0);
    page_free(l);
    el_free(l->taken);
    el_free(l->taken_keys);
    el_free(l->last);
    stream_part_unpin(l->sp);
    el_buddy_free(st->buddy, l);
    st->ops--;
    stream_ask_end(st, &op->base, error);
    stream_work_go(st);
}

static void names_page(struct names *l);

/* --- where names come from ---------------------------------------------------------------------------------------- */

struct source {
    struct stream_sorted *sorted;
    struct index_cursor *cursor;
    bool has;
    struct el_slice key;
};

static int source_next(struct source *s, uint32_t slot)
{
    uint32_t of = 0;
    int more = s->sorted != NULL ? stream_sorted_next_name(s->sorted, &of, &s->key)
                                 : index_cursor_next_name(s->cursor, &of, &s->key);
    s->has = more == 1 && of == slot;
    return more < 0 ? more : 0;
}

static int key_compare(struct el_slice a, struct el_slice b)
{
    int order = EL_MIN(a.len, b.len) == 0 ? 0 : memcmp(a.data, b.data, EL_MIN(a.len, b.len));
    return order != 0 ? order : a.len == b.len ? 0 : a.len < b.len ? -1 : 1;
}

static bool begins_with(struct el_slice key, struct el_slice prefix)
{
    return key.len >= prefix.len && (prefix.len == 0 || memcmp(key.data, prefix.data, prefix.len) == 0);
}

static struct el_slice page_after(const struct names *l)
{
    return l->last != NULL ? el_slice_of(l->last, l->last_len) : l->op->after;
}

/* Open a source, and go to the first name that is wanted. */
static int sorted_open(struct names *l, struct source *s, const struct stream_table *table,
                       const struct stream_table_mark *mark)
{
    struct el_slice after = page_after(l);
    int code = stream_sorted_make(table, mark, l->sp->slot, l->op->prefix, &s->sorted);
    code = code != 0 ? code : source_next(s, l->sp->slot);
    while (code == 0 && s->has && after.data != NULL && key_compare(s->key, after) <= 0) {
        code = source_next(s, l->sp->slot);
    }
    return code;
}

static int cursor_open(struct names *l, struct source *s, const struct index_run *run)
{
    int code = index_cursor_open(run, &s->cursor);
    code = code != 0 ? code : index_cursor_seek_name(s->cursor, l->sp->slot, l->op->prefix, page_after(l));
    return code != 0 ? code : source_next(s, l->sp->slot);
}

static int sources_open(struct names *l, struct source *sources, uint32_t *count)
{
    int code = 0;
    *count = 0;
    if (l->frozen != NULL) {
        code = sorted_open(l, &sources[(*count)++], l->frozen, &l->frozen_mark);
    }
    if (code == 0) {
        code = sorted_open(l, &sources[(*count)++], l->active, &l->active_mark);
    }
    for (uint32_t i = 0; i < l->runs->count && code == 0; i++) {
        if (l->runs->runs[i]->run.info.name_count > 0) {
            code = cursor_open(l, &sources[(*count)++], &l->runs->runs[i]->run);
        }
    }
    EL_ASSERT(*count <= l->runs->count + 2);
    return code;
}

static void sources_close(struct source *sources, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (sources[i].sorted != NULL) {
            stream_sorted_free(sources[i].sorted);
        }
        if (sources[i].cursor != NULL) {
            index_cursor_close(sources[i].cursor);
        }
    }
}

/* --- one page, a job ---------------------------------------------------------------------------------------------- */

static struct source *lowest(struct names *l, struct source *sources, uint32_t count)
{
    struct source *low = NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct source *s = &sources[i];
        if (s->has && begins_with(s->key, l->op->prefix) && (low == NULL || key_compare(s->key, low->key) < 0)) {
            low = s;
        }
    }
    return low;
}

static void name_take(struct names *l, struct el_slice key)
{
    EL_ASSERT(l->name_count <= l->op->count_max);
    EL_ASSERT(key.len <= KEYS_LEN_MAX - l->keys_len);
    struct name *name = &l->names[l->name_count++];
    memset(name, 0, sizeof *name);
    name->key_pos = l->keys_len;
    name->key_len = (uint32_t)key.len;
    if (key.len > 0) {
        memcpy(l->keys + l->keys_len, key.data, key.len);
    }
    l->keys_len += (uint32_t)key.len;
    name->hash = stream_hash_key(&l->st->secret, key);
}

static int page_fill(struct names *l, struct source *sources, uint32_t count)
{
    EL_ASSERT(l->taken_count <= l->op->count_max);
    uint32_t name_max = l->op->count_max - l->taken_count + 1; /* one more: is there more? */
    l->end = false;
    while (l->name_count < name_max && KEYS_LEN_MAX - l->keys_len >= EL_STREAM_KEY_MAX) {
        struct source *s = lowest(l, sources, count);
        if (s == NULL) {
            l->end = true;
            return 0;
        }
        struct el_slice before = {0};
        if (l->name_count > 0) {
            const struct name *last = &l->names[l->name_count - 1];
            before = el_slice_of(l->keys + last->key_pos, last->key_len);
        }
        if (l->name_count == 0 || key_compare(before, s->key) != 0) {
            name_take(l, s->key);
        }
        int code = source_next(s, l->sp->slot);
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

static int64_t page_run(struct disk *disk, void *arg)
{
    struct names *l = arg;
    (void)disk;
    uint32_t count = 0;
    struct source *sources = el_calloc(l->runs->count + 2, sizeof *sources);
    l->names = el_malloc((l->op->count_max + 1) * sizeof *l->names);
    l->keys = el_malloc(KEYS_LEN_MAX);
    int code = sources == NULL || l->names == NULL || l->keys == NULL ? EVLOG_ERR_NO_MEMORY : 0;
    code = code != 0 ? code : sources_open(l, sources, &count);
    code = code != 0 ? code : page_fill(l, sources, count);
    if (sources != NULL) {
        sources_close(sources, count);
    }
    el_free(sources);
    return code;
}

/* --- what they are at --------------------------------------------------------------------------------------------- */

static int64_t heads_run(struct disk *disk, void *arg)
{
    struct names *l = arg;
    (void)disk;
    for (uint32_t i = 0; i < l->name_count; i++) {
        struct name *name = &l->names[i];
        if (!name->known) {
            int code = stream_runs_newest(l->runs, l->sp->slot, name->hash, false, l->high_watermark, &name->head,
                                          &name->known);
            if (code != 0) {
                return code;
            }
        }
    }
    return 0;
}

/* Keep a name for the answer; in a job, for its memory. */
static int name_keep(struct names *l, const struct name *name)
{
    if (l->taken == NULL) {
        l->taken = el_malloc(l->op->count_max * sizeof *l->taken);
    }
    if (l->taken_room - l->taken_len < name->key_len || l->taken_keys == NULL) {
        uint32_t room = EL_MAX(2 * l->taken_room, l->taken_len + name->key_len + 4096);
        uint8_t *grown = el_realloc(l->taken_keys, room);
        if (grown == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        l->taken_keys = grown;
        l->taken_room = room;
    }
    if (l->taken == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    if (name->key_len > 0) {
        memcpy(l->taken_keys + l->taken_len, l->keys + name->key_pos, name->key_len);
    }
    EL_ASSERT(l->taken_count < l->op->count_max);
    EL_ASSERT(l->taken_len + name->key_len <= l->taken_room);
    l->taken[l->taken_count++] = (struct stream_name){
        .key = {.data = NULL, .len = name->key_len}, /* its place follows from those before */
        .last_version = (int64_t)name->head.position,
        .last_offset = stream_place_offset(name->head.place),
        .deleted = (name->head.place & STREAM_PLACE_SOFT) != 0,
        .ended = (name->head.place & STREAM_PLACE_HARD) != 0,
    };
    l->taken_len += name->key_len;
    return 0;
}

/* The second job: heads from runs, then the page goes to the answer. */
static int64_t take_run(struct disk *disk, void *arg)
{
    struct names *l = arg;
    struct stream_list_op *op = l->op;
    int code = (int)heads_run(disk, l);
    for (uint32_t i = 0; i < l->name_count && code == 0; i++) {
        const struct name *name = &l->names[i];
        bool gone = (name->head.place & STREAM_PLACE_FLAGS) != 0;
        if (!name->known || (gone && !op->with_deleted)) {
            continue;
        }
        if (l->taken_count == op->count_max) {
            op->more = true;
            break;
        }
        code = name_keep(l, name);
    }
    if (code == 0 && l->name_count > 0) {
        const struct name *last = &l->names[l->name_count - 1];
        uint8_t *copy = el_malloc(last->key_len + 1u);
        if (copy == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        memcpy(copy, l->keys + last->key_pos, last->key_len);
        el_free(l->last);
        l->last = copy;
        l->last_len = last->key_len;
    }
    return code;
}

/* --- the answer --------------------------------------------------------------------------------------------------- */

static void names_answer(struct names *l)
{
    struct stream_list_op *op = l->op;
    size_t names_len = l->taken_count * sizeof *op->names;
    if (l->taken_count == 0) {
        names_end(l, 0);
        return;
    }
    struct names_block *block = el_buddy_alloc(l->st->buddy, sizeof *block + names_len + l->taken_len);
    if (block == NULL) {
        names_end(l, EVLOG_ERR_NO_MEMORY);
        return;
    }
    block->st = l->st;
    op->names = (struct stream_name *)(void *)block->data;
    uint8_t *keys = block->data + names_len;
    memcpy(op->names, l->taken, names_len);
    if (l->taken_len > 0) {
        memcpy(keys, l->taken_keys, l->taken_len);
    }
    for (uint32_t i = 0; i < l->taken_count; i++) {
        op->names[i].key.data = keys;
        keys += op->names[i].key.len;
    }
    EL_ASSERT(keys == block->data + names_len + l->taken_len);
    op->count = l->taken_count;
    op->private_[1] = block;
    names_end(l, 0);
}

/* A job is back. returns false when the question has ended */
static bool job_back(struct names *l)
{
    int error = (int)l->job.result;
    if (l->with_tables) {
        l->with_tables = false;
        EL_ASSERT(l->st->name_jobs > 0);
        l->st->name_jobs--;
    }
    if (error != 0 && error != EVLOG_ERR_NO_MEMORY) {
        streams_fail(l->st, error, "an index file cannot be read");
        error = EVLOG_ERR_STORAGE;
    }
    if (error == 0 && l->sp->part == NULL) {
        error = EVLOG_ERR_UNKNOWN_TOPIC;
    }
    if (error != 0) {
        stream_runs_drop(l->st, l->runs);
        names_end(l, error);
    }
    return error == 0;
}

static void take_on_done(struct io_op *job)
{
    struct names *l = EL_CONTAINER(job, struct names, job);
    if (!job_back(l)) {
        return;
    }
    stream_runs_drop(l->st, l->runs);
    if (l->op->more || l->end) {
        names_answer(l);
    } else {
        page_free(l);
        names_page(l);
    }
}

static void page_on_done(struct io_op *job)
{
    struct names *l = EL_CONTAINER(job, struct names, job);
    struct streams *st = l->st;
    if (!job_back(l)) {
        return;
    }
    stream_runs_drop(st, l->runs);
    for (uint32_t i = 0; i < l->name_count; i++) {
        struct name *name = &l->names[i];
        name->known = stream_tables_newest(&st->view, l->sp->slot, name->hash, false, l->high_watermark, &name->head);
    }
    l->runs = stream_runs_hold(st);
    l->job.done = take_on_done;
    io_job(st->io, &l->job, IO_JOB_COMPUTE, take_run, l);
}

static void names_page(struct names *l)
{
    struct streams *st = l->st;
    EL_ASSERT(!l->with_tables);
    EL_ASSERT(l->names == NULL);
    l->active = st->view.active;
    l->frozen = st->view.frozen;
    l->active_mark = stream_table_mark(l->active);
    if (l->frozen != NULL) {
        l->frozen_mark = stream_table_mark(l->frozen);
    }
    l->runs = stream_runs_hold(st);
    l->with_tables = true;
    st->name_jobs++;
    l->job.done = page_on_done;
    io_job(st->io, &l->job, IO_JOB_COMPUTE, page_run, l);
}

/* --- the op ------------------------------------------------------------------------------------------------------- */

static void list_run(struct store_op *base)
{
    struct stream_list_op *op = EL_CONTAINER(base, struct stream_list_op, base);
    struct streams *st = *op_owner(op);
    struct stream_part *sp = stream_ask_part(st, base, &op->topic_id, op->partition);
    if (sp == NULL) {
        return;
    }
    struct names *l = el_buddy_alloc(st->buddy, sizeof *l);
    if (l == NULL) {
        stream_ask_end(st, base, EVLOG_ERR_NO_MEMORY);
        return;
    }
    memset(l, 0, sizeof *l);
    l->st = st;
    l->op = op;
    l->sp = sp;
    l->high_watermark = store_observed_high_watermark(sp->part);
    sp->pins++;
    st->ops++;
    names_page(l);
}

void streams_list(struct streams *st, struct stream_list_op *op)
{
    EL_ASSERT(op->count_max >= 1);
    EL_ASSERT(op->count_max <= STREAM_FIND_MAX);
    op->names = NULL;
    op->count = 0;
    op->more = false;
    op->private_[1] = NULL;
    stream_ask(st, &op->base, &op->topic_id, op->partition, op_owner(op), list_run);
}

static void block_home(struct io_message *message)
{
    struct names_block *block = EL_CONTAINER(message, struct names_block, message);
    el_buddy_free(block->st->buddy, block);
}

void streams_list_release(struct streams *st, struct stream_list_op *op)
{
    struct names_block *block = op->private_[1];
    op->private_[1] = NULL;
    op->names = NULL;
    if (block == NULL) {
        return;
    }
    if (block->st == st) {
        el_buddy_free(st->buddy, block);
        return;
    }
    block->message.run = block_home;
    io_post(block->st->io, &block->message);
}
