/* SPDX-License-Identifier: Apache-2.0
 *
 * See sim_tier.h. Everything runs in sim_tier_step(), between the turns of the shards.
 */
#include "sim_tier.h"

#include <core/assert.h>
#include <stdlib.h>

#define COPY_LEN 200000u
#define LOOK_PPM 100000u
#define SECOND_NS 1000000000ull

struct tier_batch {
    int64_t base_offset, end_offset;
    uint64_t append_time_ns;
    int64_t max_timestamp_ms;
    int32_t leader_epoch;
    uint8_t salt[16];
    uint32_t len;
    uint8_t *data;
};

struct tier_part {
    struct tier_part *next;
    struct sim_tier *st;
    struct el_uuid topic_id;
    int32_t partition;
    struct tier_batch *batches; /* [count], of which counting count */
    uint32_t count, room, counting;
    int64_t copied_end; /* of batches */
    int64_t end;        /* of those that count */
    int64_t local_end;
    int64_t confirmed_end; /* what it was asked for, and has */
    /* --- of the process --- */
    struct read_op op;
    bool reading;
    bool known;        /* storage was told */
    uint64_t known_ns; /* when it will be; 0 not set */
    uint64_t count_ns; /* when what was copied counts; 0 nothing waits */
};

struct pending {
    struct pending *next;
    struct tier_read *read;
    struct tier_part *part;
    uint64_t due_ns;
    bool answered;
};

struct sim_tier {
    struct world *w;
    struct sim_tier_knobs knobs;
    struct store_tier ops;
    struct tier_part *parts;
    struct pending *pending;
    bool stopping;
    uint64_t down_until_ns;
    uint64_t reads, given;
    int64_t (*deleted)(void *arg, const struct el_uuid *topic_id, int32_t partition);
    void *deleted_arg;
};

struct sim_tier *sim_tier_create(struct world *w)
{
    struct sim_tier *st = calloc(1, sizeof(*st));
    EL_ASSERT(st != NULL);
    st->w = w;
    st->knobs = (struct sim_tier_knobs){
        .known_ns_max = 2 * SECOND_NS, .count_ns_max = 2 * SECOND_NS, .read_ns_max = SECOND_NS / 20};
    return st;
}

struct sim_tier_knobs *sim_tier_knobs(struct sim_tier *st)
{
    return &st->knobs;
}

void sim_tier_deleted(struct sim_tier *st,
                      int64_t (*deleted)(void *arg, const struct el_uuid *topic_id, int32_t partition), void *arg)
{
    st->deleted = deleted;
    st->deleted_arg = arg;
}

uint64_t sim_tier_reads(const struct sim_tier *st)
{
    return st->reads;
}

uint64_t sim_tier_reads_given(const struct sim_tier *st)
{
    return st->given;
}

static struct tier_part *part_find(const struct sim_tier *st, const struct el_uuid *topic_id, int32_t partition)
{
    for (struct tier_part *p = st->parts; p != NULL; p = p->next) {
        if (p->partition == partition && el_uuid_eq(&p->topic_id, topic_id)) {
            return p;
        }
    }
    return NULL;
}

static struct tier_part *part_of(struct sim_tier *st, const struct tier_view *view)
{
    struct tier_part *p = part_find(st, &view->topic_id, view->partition);
    if (p == NULL) {
        p = calloc(1, sizeof(*p));
        EL_ASSERT(p != NULL);
        *p = (struct tier_part){.next = st->parts, .st = st, .topic_id = view->topic_id, .partition = view->partition};
        st->parts = p;
    }
    return p;
}

/* Batches from n on were never there. */
static void cut_copies(struct tier_part *p, uint32_t n)
{
    for (uint32_t i = n; i < p->count; i++) {
        free(p->batches[i].data);
    }
    p->count = n;
    p->copied_end = p->end;
}

void sim_tier_free(struct sim_tier *st)
{
    if (st == NULL) {
        return;
    }
    sim_tier_down(st);
    while (st->parts != NULL) {
        struct tier_part *p = st->parts;
        st->parts = p->next;
        cut_copies(p, 0);
        free(p->batches);
        free(p);
    }
    free(st);
}

int64_t sim_tier_end(const struct sim_tier *st, const struct el_uuid *topic_id, int32_t partition)
{
    const struct tier_part *p = part_find(st, topic_id, partition);
    return p == NULL ? 0 : p->end;
}

bool sim_tier_whole(const struct sim_tier *st)
{
    for (uint32_t i = 0; i < store_shard_count(st->w->store); i++) {
        size_t cursor = 0;
        struct partition *part;
        while ((part = store_tier_next(store_shard_at(st->w->store, i), &cursor)) != NULL) {
            struct tier_view view;
            store_tier_view(part, &view);
            if (view.archived_end < EL_MAX(view.durable_end, 0) && view.log_start < view.durable_end) {
                return false;
            }
        }
    }
    return true;
}

bool sim_tier_rest(struct sim_tier *st)
{
    struct world *w = st->w;
    uint64_t until_ns = w->clock.now_ns + WORLD_WAIT_NS_MIN;
    while (!sim_tier_whole(st) && w->clock.now_ns < until_ns) {
        if (!world_step(w)) {
            return false;
        }
    }
    return true;
}

static uint64_t after(struct sim_tier *st, uint64_t ns_max)
{
    return st->w->clock.now_ns + 1 + (ns_max == 0 ? 0 : world_below(st->w, ns_max));
}

/* --- copying ------------------------------------------------------------------------------------------------------ */

static void copy_add(struct tier_part *p, const uint8_t *data, const struct read_entry *e)
{
    struct world *w = p->st->w;
    struct el_batch_info info;
    int code = el_batch_verify(data, e->len);
    code = code != 0 ? code : el_batch_header(data, e->len, &info);
    if (code != 0) {
        world_violation(w, "a batch for the archive does not verify");
        return;
    }
    bool whole = info.record_count == 0 || info.record_count == info.last_offset_delta + 1;
    if (!whole || info.base_offset < p->copied_end) {
        world_violation(w, "offset %lld was changed before the archive had it", (long long)info.base_offset);
        return;
    }
    if (p->count == p->room) {
        p->room = p->room == 0 ? 64 : p->room * 2;
        p->batches = realloc(p->batches, p->room * sizeof(*p->batches));
        EL_ASSERT(p->batches != NULL);
    }
    struct tier_batch *b = &p->batches[p->count++];
    *b = (struct tier_batch){.base_offset = info.base_offset,
                             .end_offset = info.base_offset + info.last_offset_delta + 1,
                             .append_time_ns = e->append_time_ns,
                             .max_timestamp_ms = e->max_timestamp_ms,
                             .leader_epoch = e->leader_epoch,
                             .len = e->len,
                             .data = malloc(e->len)};
    EL_ASSERT(b->data != NULL);
    memcpy(b->salt, e->salt, sizeof(b->salt));
    memcpy(b->data, data, e->len);
    p->copied_end = b->end_offset;
}

static void copy_on_read(struct store_op *base)
{
    struct tier_part *p = base->arg;
    struct sim_tier *st = p->st;
    struct world *w = st->w;
    p->reading = false;
    if (base->error != 0) {
        bool fault = world_read_may_fail(w, base->error) || base->error == EVLOG_ERR_OFFSET_RANGE ||
                     base->error == EVLOG_ERR_UNKNOWN_TOPIC || base->error == EVLOG_ERR_NO_MEMORY;
        if (!fault) {
            world_violation(w, "the archive cannot read offset %lld: %s", (long long)p->op.offset,
                            evlog_error_text(base->error));
        }
        return;
    }
    int64_t expected = p->op.offset;
    for (uint32_t i = 0; i < p->op.entry_count && w->violation[0] == 0; i++) {
        const struct read_entry *e = &p->op.entries[i];
        int64_t base_offset = el_batch_base_offset(p->op.data + e->pos);
        if (base_offset > expected) {
            world_violation(w, "offsets %lld to %lld left the disk before the archive had them", (long long)expected,
                            (long long)base_offset - 1);
        } else if (base_offset >= p->copied_end) {
            copy_add(p, p->op.data + e->pos, e);
            expected = p->copied_end;
        }
    }
    if (p->op.entry_count > 0 && p->count_ns == 0) {
        p->count_ns = after(st, st->knobs.count_ns_max);
    }
    store_read_release(&p->op);
}

static void copy_begin(struct sim_tier *st, struct store_shard *shard, struct tier_part *p, int64_t from)
{
    p->reading = true;
    p->op = (struct read_op){.base = {.done = copy_on_read, .arg = p},
                             .topic_id = p->topic_id,
                             .partition = p->partition,
                             .offset = from,
                             .max_bytes = COPY_LEN,
                             .at_least_one = true,
                             .want_entries = true,
                             .for_archive = true,
                             .current_leader_epoch = -1,
                             .last_fetched_epoch = -1};
    store_read(shard, &p->op);
}

/* What was copied counts from now on, and some of it is not needed on the disk. */
static void counts(struct sim_tier *st, struct tier_part *p, struct partition *part)
{
    p->end = p->copied_end;
    p->counting = p->count;
    p->count_ns = 0;
    int64_t more = p->end - p->local_end;
    bool all = st->knobs.eager || world_chance(st->w, 500000);
    p->local_end += all ? more : (int64_t)world_below(st->w, (uint64_t)more + 1);
    store_tier_archived(part, p->end, p->local_end);
}

static void part_look(struct sim_tier *st, struct store_shard *shard, struct partition *part)
{
    struct world *w = st->w;
    struct tier_view view;
    store_tier_view(part, &view);
    struct tier_part *p = part_of(st, &view);
    bool down = st->knobs.down || w->clock.now_ns < st->down_until_ns;
    if (view.durable_end < p->end) {
        world_violation(w, "the log ends at %lld, the archive at %lld", (long long)view.durable_end, (long long)p->end);
        return;
    }
    int64_t deleted = st->deleted == NULL ? INT64_MAX : st->deleted(st->deleted_arg, &view.topic_id, view.partition);
    if (view.log_start > EL_MAX(p->end, deleted)) {
        world_violation(w, "the log begins at %lld, the archive ends at %lld", (long long)view.log_start,
                        (long long)p->end);
        return;
    }
    if (view.local_start > EL_MAX(p->confirmed_end, view.log_start)) {
        world_violation(w, "the disk begins at %lld, and the archive was seen to have what lies below %lld",
                        (long long)view.local_start, (long long)p->confirmed_end);
        return;
    }
    if (down) {
        return;
    }
    if (!p->known) {
        p->known_ns = p->known_ns == 0 ? after(st, st->knobs.known_ns_max) : p->known_ns;
        if (w->clock.now_ns >= p->known_ns) {
            p->known = true;
            store_tier_archived(part, p->end, p->local_end);
        }
        return;
    }
    if (p->count_ns != 0 && w->clock.now_ns >= p->count_ns && !st->knobs.hold && !p->reading) {
        counts(st, p, part);
    }
    int64_t from = EL_MAX(p->copied_end, view.log_start); /* what was deleted before it was copied is a gap */
    if (!p->reading && from < view.durable_end) {
        store_tier_settled(part);
        copy_begin(st, shard, p, from);
    }
}

/* --- reads -------------------------------------------------------------------------------------------------------- */

static void tier_changed_(void *arg, struct partition *part)
{
    (void)arg;
    (void)part; /* every partition is looked at, sooner or later */
}

static void tier_read_(void *arg, struct tier_read *read)
{
    struct sim_tier *st = arg;
    struct pending *p = calloc(1, sizeof(*p));
    EL_ASSERT(p != NULL);
    bool slow = !st->stopping && sim_disk_fault(st->w->disk, FAULT_ARCHIVE_SLOW);
    *p = (struct pending){.next = st->pending,
                          .read = read,
                          .part = part_find(st, &read->topic_id, read->partition),
                          .due_ns = after(st, slow ? 40 * SECOND_NS : st->knobs.read_ns_max)};
    st->pending = p;
    st->reads++;
}

static bool matches(const struct tier_read *read, const struct tier_batch *b)
{
    if (b->end_offset <= read->offset || b->base_offset >= read->end_offset) {
        return false;
    }
    return read->by == TIER_BY_OFFSET      ? true
           : read->by == TIER_BY_TIMESTAMP ? b->max_timestamp_ms >= read->time
                                           : b->append_time_ns >= (uint64_t)read->time;
}

static void serve_size(const struct sim_tier *st, const struct tier_part *p, struct tier_read *read)
{
    uint64_t left = (uint64_t)read->time;
    (void)st;
    read->first_offset = read->end_offset;
    for (uint32_t i = p->counting; i-- > 0;) {
        const struct tier_batch *b = &p->batches[i];
        if (b->base_offset >= read->end_offset) {
            continue;
        }
        if (b->end_offset <= read->offset || b->len > left) {
            break;
        }
        left -= b->len;
        read->first_offset = b->base_offset;
    }
}

static void batch_give(struct tier_read *read, const struct tier_batch *b)
{
    if (read->entries != NULL) {
        struct read_entry *e = &read->entries[read->entry_count++];
        *e = (struct read_entry){.append_time_ns = b->append_time_ns,
                                 .max_timestamp_ms = b->max_timestamp_ms,
                                 .leader_epoch = b->leader_epoch,
                                 .pos = (uint32_t)read->data_len,
                                 .len = b->len};
        memcpy(e->salt, b->salt, sizeof(e->salt));
    }
    if (read->buf != NULL) {
        memcpy(read->buf + read->data_len, b->data, b->len);
        read->data_len += b->len;
    }
    read->next_offset = b->end_offset;
}

static void serve_batches(const struct sim_tier *st, const struct tier_part *p, uint32_t i, struct tier_read *read)
{
    size_t most = st->knobs.read_len_max == 0 ? read->data_max : EL_MIN(read->data_max, st->knobs.read_len_max);
    uint32_t count_max = read->by == TIER_BY_OFFSET ? UINT32_MAX : 1;
    read->first_offset = p->batches[i].base_offset;
    for (uint32_t n = 0; i < p->counting && n < count_max && p->batches[i].base_offset < read->end_offset; i++, n++) {
        const struct tier_batch *b = &p->batches[i];
        bool wanted = read->data_len + b->len <= most || (read->data_len == 0 && read->at_least_one);
        bool fits = read->buf == NULL || (wanted && read->data_len + b->len <= read->buf_len);
        if (!fits || (read->entries != NULL && read->entry_count == read->entry_max)) {
            if (read->data_len == 0 && read->at_least_one && b->len > read->buf_len) {
                read->error = EVLOG_ERR_LIMIT;
                read->wanted_len = b->len;
            }
            break;
        }
        batch_give(read, b);
    }
}

/* The first batch as ever, then those that hold what else is wanted. */
static void serve_wanted(const struct sim_tier *st, const struct tier_part *p, uint32_t first, struct tier_read *read)
{
    size_t most = st->knobs.read_len_max == 0 ? read->data_max : EL_MIN(read->data_max, st->knobs.read_len_max);
    uint32_t entry_max = read->entry_max;
    read->entry_max = 1;
    serve_batches(st, p, first, read);
    read->entry_max = entry_max;
    int64_t next = read->next_offset;
    bool taken[4096] = {false};
    taken[first % 4096] = true;
    for (uint32_t k = 0; k < read->wanted_count && read->error == 0 && read->data_len > 0; k++) {
        uint32_t i = 0;
        while (i < p->counting && p->batches[i].end_offset <= read->wanted[k]) {
            i++;
        }
        bool there = i < p->counting && p->batches[i].base_offset <= read->wanted[k];
        if (!there || taken[i % 4096] || p->batches[i].base_offset >= read->end_offset) {
            continue;
        }
        taken[i % 4096] = true;
        const struct tier_batch *b = &p->batches[i];
        if (read->entry_count == read->entry_max || read->data_len + b->len > most ||
            read->data_len + b->len > read->buf_len) {
            break;
        }
        batch_give(read, b);
    }
    read->next_offset = next;
}

static void serve_newest(const struct tier_part *p, struct tier_read *read)
{
    const struct tier_batch *found = NULL;
    for (uint32_t i = 0; i < p->counting; i++) {
        const struct tier_batch *b = &p->batches[i];
        bool in_range = b->end_offset > read->offset && b->base_offset < read->end_offset;
        found = in_range && (found == NULL || b->max_timestamp_ms > found->max_timestamp_ms) ? b : found;
    }
    if (found != NULL) {
        read->first_offset = found->base_offset;
        batch_give(read, found);
    }
}

/* It has what it says that it has, and tells of it bit by bit. */
static void serve_presence(struct sim_tier *st, struct tier_part *p, struct tier_read *read)
{
    int64_t len = read->end_offset - read->offset;
    bool whole = st->knobs.eager || world_chance(st->w, 700000);
    read->next_offset = read->offset + (whole ? len : (int64_t)world_below(st->w, (uint64_t)len + 1));
    p->confirmed_end = EL_MAX(p->confirmed_end, read->next_offset);
}

static void serve(struct sim_tier *st, struct tier_part *p, struct tier_read *read)
{
    read->error = 0;
    read->data_len = 0;
    read->entry_count = 0;
    read->first_offset = read->next_offset = -1;
    read->wanted_len = 0;
    bool down = st->knobs.down || st->w->clock.now_ns < st->down_until_ns;
    if (st->knobs.read_error != 0 || down || sim_disk_fault(st->w->disk, FAULT_ARCHIVE_ERROR)) {
        read->error = st->knobs.read_error != 0 ? st->knobs.read_error : EVLOG_ERR_AGAIN;
        return;
    }
    if (p == NULL || read->end_offset > p->end) {
        world_violation(st->w, "the archive is asked for offsets %lld to %lld by %d, it ends at %lld",
                        (long long)read->offset, (long long)read->end_offset, (int)read->by,
                        p == NULL ? -1ll : (long long)p->end);
        return;
    }
    if (read->by == TIER_BY_SIZE) {
        serve_size(st, p, read);
        return;
    }
    if (read->by == TIER_BY_NEWEST) {
        serve_newest(p, read);
        return;
    }
    if (read->by == TIER_BY_PRESENCE && st->knobs.presence_error != 0) {
        read->error = st->knobs.presence_error;
        return;
    }
    if (read->by == TIER_BY_PRESENCE) {
        serve_presence(st, p, read);
        return;
    }
    for (uint32_t i = 0; i < p->counting; i++) {
        if (matches(read, &p->batches[i])) {
            if (read->wanted_count > 0) {
                serve_wanted(st, p, i, read);
            } else {
                serve_batches(st, p, i, read);
            }
            st->given++;
            return;
        }
    }
}

/* One that is due is answered, which may begin others. */
static bool answer_one(struct sim_tier *st)
{
    for (struct pending **at = &st->pending; *at != NULL; at = &(*at)->next) {
        struct pending *p = *at;
        if (p->due_ns <= st->w->clock.now_ns) {
            struct tier_read *read = p->read;
            serve(st, p->part, read);
            *at = p->next;
            free(p);
            store_tier_read_done(read);
            return true;
        }
    }
    return false;
}

/* --- life --------------------------------------------------------------------------------------------------------- */

void sim_tier_open(struct sim_tier *st)
{
    st->stopping = false;
    st->ops = (struct store_tier){tier_changed_, tier_read_, st};
    for (uint32_t i = 0; i < store_shard_count(st->w->store); i++) {
        store_tier_set(store_shard_at(st->w->store, i), &st->ops);
    }
}

void sim_tier_down(struct sim_tier *st)
{
    while (st->pending != NULL) {
        struct pending *p = st->pending;
        st->pending = p->next;
        free(p);
    }
    for (struct tier_part *p = st->parts; p != NULL; p = p->next) {
        p->reading = p->known = false;
        p->known_ns = p->count_ns = 0;
        cut_copies(p, p->counting);
    }
}

void sim_tier_stop(struct sim_tier *st)
{
    st->stopping = true;
    for (struct pending *p = st->pending; p != NULL; p = p->next) {
        p->due_ns = EL_MIN(p->due_ns, st->w->clock.now_ns);
    }
}

void sim_tier_step(struct sim_tier *st)
{
    struct world *w = st->w;
    if (!st->knobs.calm && sim_disk_fault(w->disk, FAULT_ARCHIVE_DOWN)) {
        st->down_until_ns = after(st, 30 * SECOND_NS);
        world_say(w, "the archive is out of reach, ns", (long long)(st->down_until_ns - w->clock.now_ns), 0);
    }
    for (int i = 0; i < 8 && answer_one(st); i++) {
    }
    for (uint32_t i = 0; i < store_shard_count(w->store); i++) {
        struct store_shard *shard = store_shard_at(w->store, i);
        size_t cursor = 0;
        for (struct partition *part; (part = store_tier_next(shard, &cursor)) != NULL && w->violation[0] == 0;) {
            if (st->knobs.eager || world_chance(w, LOOK_PPM)) {
                part_look(st, shard, part);
            }
        }
    }
}

/* A time that something waits for: what is late already waits for other things. */
static uint64_t sooner(const struct sim_tier *st, uint64_t next, uint64_t due_ns)
{
    uint64_t now_ns = st->w->clock.now_ns;
    if (due_ns == 0 || (due_ns <= now_ns && (st->knobs.hold || st->knobs.down || now_ns < st->down_until_ns))) {
        return next;
    }
    return EL_MIN(next, due_ns);
}

uint64_t sim_tier_next(const struct sim_tier *st)
{
    uint64_t next = sooner(st, UINT64_MAX, st->w->clock.now_ns < st->down_until_ns ? st->down_until_ns : 0);
    for (const struct pending *p = st->pending; p != NULL; p = p->next) {
        next = EL_MIN(next, p->due_ns);
    }
    for (const struct tier_part *p = st->parts; p != NULL; p = p->next) {
        next = sooner(st, next, p->count_ns);
        next = p->known ? next : sooner(st, next, p->known_ns);
    }
    return next;
}
