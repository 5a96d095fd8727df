/* SPDX-License-Identifier: Apache-2.0
 *
 * See stream_events.h. One loop, events_go(), in which each turn does one thing for the first place that is not done:
 *
 *   1. its batch is not here: read from its offset on, and wait; what is in the archive alone comes for many places at
 *      once
 *   2. its batch is here and compressed to more than the shard's scratch memory: a worker opens it, and wait
 *   3. the records of the batch are walked once, for this place and those after it that lie in the same batch and go on
 *      in the same direction; what was found is copied in the order of the places
 *
 * Before the first turn the memory of a read, and of the events twice, as they are found and as they are encoded, is
 * claimed for the principal (net/claim.c): with less of it fewer events come, and with too little it is waited for.
 *
 * An event is missing when its offset was trimmed away meanwhile, which is no error: the place gives nothing.
 */
#include <api/stream_events.h>

#include <format/record.h>

#define RUN_MAX 256u               /* places looked for in one walk */
#define STEPS_MAX 64u              /* turns before others may run */
#define READ_LEN_MAX 262144u       /* bytes of one read, when events lie close together */
#define READ_AHEAD 16u             /* so many places decide whether they do */
#define BYTES_PER_OFFSET 256u      /* until a batch was seen */
#define MEMORY_SHARE 4u            /* of a request's memory are for the events themselves */
#define EVENT_OVERHEAD 64u         /* counted for an event besides its bytes */
#define CLAIM_LEN_MIN (256u << 10) /* bytes that are claimed for events at least; a larger one by itself is taken */

static void events_go(struct stream_events *ev);
static bool claim(struct stream_events *ev);

static void wait_end(struct stream_events *ev)
{
    EL_ASSERT(ev->waiting);
    ev->waiting = false;
    if (!ev->looping) {
        events_go(ev);
    }
}

static void fail(struct stream_events *ev, int error)
{
    ev->error = error;
    ev->ended = true;
}

/* Without memory for more, what is there is an answer; without any there is none. */
static void fail_memory(struct stream_events *ev)
{
    fail(ev, ev->event_count > 0 ? 0 : EVLOG_ERR_NO_MEMORY);
}

static void read_drop(struct stream_events *ev)
{
    if (ev->read.base.done != NULL) {
        store_read_release(&ev->read);
        ev->read.base.done = NULL;
    }
    ev->entry = 0;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* Bytes worth reading at once: those to the place some further on, if that many places are near. */
static uint32_t read_len(const struct stream_events *ev)
{
    EL_ASSERT(ev->place_done < ev->place_count);
    uint32_t ahead = EL_MIN(READ_AHEAD, ev->place_count - ev->place_done - 1);
    int64_t offsets = ev->places[ev->place_done + ahead].offset - ev->places[ev->place_done].offset;
    if (ahead == 0 || offsets <= 0 || offsets > READ_LEN_MAX) {
        return 1; /* just the batch */
    }
    uint64_t len = (uint64_t)offsets * EL_MAX(ev->bytes_per_offset, 1u);
    if (len > READ_LEN_MAX) {
        return 1;
    }
    uint64_t more = (uint64_t)(ev->place_count - ev->place_done) * len / ahead; /* if they go on like this */
    return (uint32_t)EL_MIN(more + len / 4 + 4096, (uint64_t)READ_LEN_MAX);
}

static void events_on_stat(struct store_op *op)
{
    struct stream_events *ev = op->arg;
    EL_ASSERT(ev->place_done < ev->place_count);
    EL_ASSERT(!ev->tried);
    if (op->error != 0) {
        fail(ev, op->error);
    }
    ev->place_done += op->error == 0 ? 1 : 0; /* the one that was not to be read */
    while (!ev->ended && ev->place_done < ev->place_count &&
           ev->places[ev->place_done].offset < ev->stat.log_start_offset) {
        ev->place_done++;
    }
    wait_end(ev);
}

static void events_on_read(struct store_op *op)
{
    struct stream_events *ev = op->arg;
    if (op->error == EVLOG_ERR_OFFSET_RANGE) {
        read_drop(ev);
        ev->tried = false;
        ev->stat = (struct stat_op){.topic_id = ev->topic_id, .partition = ev->partition};
        ev->stat.base.done = events_on_stat;
        ev->stat.base.arg = ev;
        store_stat(ev->api->shard, &ev->stat); /* still waiting */
        return;
    }
    if (op->error != 0) {
        read_drop(ev);
        if (op->error == EVLOG_ERR_NO_MEMORY) {
            fail_memory(ev);
        } else {
            fail(ev, op->error);
        }
    }
    wait_end(ev);
}

/* The places at hand, for what is in the archive alone: there a read is a request, whatever lies between. */
static void wanted_note(struct stream_events *ev)
{
    ev->wanted_count = EL_MIN(ev->place_count - ev->place_done, STREAM_EVENTS_WANTED_MAX);
    for (uint32_t i = 0; i < ev->wanted_count; i++) {
        ev->wanted[i] = ev->places[ev->place_done + i].offset;
    }
}

static void read_start(struct stream_events *ev)
{
    read_drop(ev);
    wanted_note(ev);
    ev->read = (struct read_op){
        .topic_id = ev->topic_id,
        .partition = ev->partition,
        .offset = ev->places[ev->place_done].offset,
        .max_bytes = read_len(ev),
        .at_least_one = true,
        .want_entries = true,
        .wanted = ev->wanted,
        .wanted_count = ev->wanted_count,
        .wanted_bytes = READ_LEN_MAX,
        .current_leader_epoch = -1,
        .last_fetched_epoch = -1,
    };
    ev->read.base.done = events_on_read;
    ev->read.base.arg = ev;
    ev->tried = true;
    ev->waiting = true;
    store_read(ev->api->shard, &ev->read);
}

/* The batch that holds the offset becomes the one at hand. */
static bool batch_find(struct stream_events *ev, int64_t offset)
{
    for (uint32_t turn = 0; turn < ev->read.entry_count; turn++) {
        const struct read_entry *entry = &ev->read.entries[ev->entry];
        EL_ASSERT(entry->pos <= ev->read.data_len);
        EL_ASSERT(entry->len <= ev->read.data_len - entry->pos);
        EL_ASSERT(entry->len >= EL_BATCH_LEN_MIN);
        const uint8_t *batch = ev->read.data + entry->pos;
        if (offset >= el_batch_base_offset(batch) && offset <= el_batch_last_offset(batch)) {
            return true;
        }
        ev->entry = (ev->entry + 1) % ev->read.entry_count;
    }
    return false;
}

/* --- from records to events --------------------------------------------------------------------------------------- */

static bool record_wanted(const struct stream_events *ev, const struct el_record *record)
{
    struct el_slice type;
    if (ev->key.data != NULL && (record->key.data == NULL || !el_slice_eq(record->key, ev->key))) {
        return false;
    }
    if (ev->type.data != NULL) {
        return el_header_find(record, STREAM_HEADER_TYPE, &type) && el_slice_eq(type, ev->type);
    }
    return true;
}

static size_t record_bytes(const struct stream_events *ev, const struct el_record *record)
{
    size_t bytes = EVENT_OVERHEAD + (ev->without_values ? 0 : record->value.len);
    return bytes + el_reader_left(&record->headers) + (ev->key.data == NULL ? record->key.len : 0);
}

/* A slice of the record in the arena; false without memory. */
static bool keep(struct stream_events *ev, struct el_slice from, struct el_slice *to)
{
    *to = (struct el_slice){0};
    if (from.data == NULL) {
        return true;
    }
    to->data = from.len == 0 ? (const uint8_t *)EL_EMPTY : el_arena_dup(&ev->request->arena, from.data, from.len);
    to->len = from.len;
    return to->data != NULL;
}

static bool keep_headers(struct stream_events *ev, const struct el_record *record,
                         struct el_msg_ext_stream_read_event *event)
{
    struct el_reader headers = record->headers;
    struct el_header header;
    event->headers = el_schema_new(&el_schema_ext_stream_read_header, &ev->request->arena, record->header_count);
    if (event->headers == NULL) {
        return false;
    }
    while (event->header_count < record->header_count && el_header_next(&headers, &header)) {
        struct el_msg_ext_stream_read_header *out = &event->headers[event->header_count++];
        if (!keep(ev, header.key, &out->name) || !keep(ev, header.value, &out->value)) {
            return false;
        }
    }
    return true;
}

static bool keep_event(struct stream_events *ev, const struct stream_place *place, const struct el_batch_record *record)
{
    const struct read_entry *entry = &ev->read.entries[ev->entry];
    EL_ASSERT(ev->event_count < ev->place_count); /* so many were made room for */
    struct el_msg_ext_stream_read_event *event = &ev->events[ev->event_count];
    el_schema_init(&el_schema_ext_stream_read_event, event);
    event->offset = record->offset;
    event->version = place->version;
    event->time_ms = record->timestamp_ms;
    event->leader_epoch = entry->leader_epoch;
    event->append_time_ns = entry->append_time_ns;
    if ((ev->key.data == NULL && !keep(ev, record->record.key, &event->key)) ||
        (!ev->without_values && !keep(ev, record->record.value, &event->value)) ||
        !keep_headers(ev, &record->record, event)) {
        return false;
    }
    ev->event_count++;
    return true;
}

/* Places from the one at hand on that lie in the batch and rise, or fall. */
static uint32_t run_len(const struct stream_events *ev, int64_t base, int64_t last, bool *falling)
{
    const struct stream_place *place = &ev->places[ev->place_done];
    uint32_t left = EL_MIN(ev->place_count - ev->place_done, RUN_MAX), n = 1;
    *falling = left > 1 && place[1].offset < place[0].offset;
    while (n < left && place[n].offset >= base && place[n].offset <= last &&
           (*falling ? place[n].offset < place[n - 1].offset : place[n].offset > place[n - 1].offset)) {
        n++;
    }
    return n;
}

/* Walk the open batch for a run of places; found[n] is the record of the n-th, offset -1 for none. */
static int run_find(struct stream_events *ev, uint32_t count, bool falling)
{
    const struct stream_place *places = &ev->places[ev->place_done];
    struct el_batch_record record;
    uint32_t n = 0;
    int rc = 0;
    for (uint32_t i = 0; i < count; i++) {
        ev->found[i].offset = -1;
    }
    while (n < count && (rc = el_batch_next(&ev->iter, &record)) > 0) {
        uint32_t slot = falling ? count - 1 - n : n;
        while (n < count && places[slot].offset < record.offset) {
            slot = falling ? count - 1 - ++n : ++n;
        }
        if (n < count && places[slot].offset == record.offset) {
            n++;
            if (record_wanted(ev, &record.record)) {
                ev->found[slot] = record;
            }
        }
    }
    return rc < 0 ? rc : 0;
}

/* The batch at hand is open: take what is wanted of it. */
static void run_take(struct stream_events *ev)
{
    const uint8_t *batch = ev->read.data + ev->read.entries[ev->entry].pos;
    bool falling;
    uint32_t count = run_len(ev, el_batch_base_offset(batch), el_batch_last_offset(batch), &falling);
    int error = run_find(ev, count, falling);
    if (error != 0) {
        fail(ev, EVLOG_ERR_CORRUPT);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (ev->found[i].offset >= 0) {
            size_t bytes = record_bytes(ev, &ev->found[i].record);
            if (ev->event_count > 0 && (bytes > ev->bytes_allowed || ev->bytes > ev->bytes_allowed - bytes)) {
                ev->ended = true;
                return;
            }
            if (!keep_event(ev, &ev->places[ev->place_done], &ev->found[i])) {
                fail_memory(ev);
                return;
            }
            ev->bytes += bytes;
        }
        ev->place_done++;
        ev->tried = false;
    }
    EL_ASSERT(ev->place_done <= ev->place_count);
}

/* --- opening batches ---------------------------------------------------------------------------------------------- */

static struct el_slice batch_at_hand(const struct stream_events *ev)
{
    const struct read_entry *entry = &ev->read.entries[ev->entry];
    return el_slice_of(ev->read.data + entry->pos, entry->len);
}

/* On a worker; touches only what waits for it. */
static int64_t open_job(struct disk *disk, void *arg)
{
    struct stream_events *ev = arg;
    struct el_slice batch = batch_at_hand(ev);
    return el_batch_open(&ev->iter, batch.data, batch.len, ev->scratch, ev->scratch_len);
}

static void opened(struct stream_events *ev, int error)
{
    if (error == 0) {
        run_take(ev);
    } else if (error == EVLOG_ERR_NO_MEMORY) {
        fail_memory(ev);
    } else {
        fail(ev, EVLOG_ERR_CORRUPT);
    }
}

static void events_on_job(struct io_op *op)
{
    struct stream_events *ev = op->arg;
    EL_ASSERT(ev->scratch != NULL);
    EL_ASSERT(ev->waiting); /* nobody else has touched what the job has */
    opened(ev, (int)op->result);
    el_buddy_free(ev->api->buddy, ev->scratch);
    ev->scratch = NULL;
    wait_end(ev);
}

static void batch_open(struct stream_events *ev)
{
    struct el_slice batch = batch_at_hand(ev);
    int64_t offsets = el_batch_last_offset(batch.data) - el_batch_base_offset(batch.data) + 1;
    ev->bytes_per_offset = (uint32_t)(batch.len / (size_t)EL_MAX(offsets, (int64_t)1)) + 1;
    int error = el_batch_open(&ev->iter, batch.data, batch.len, ev->api->scratch, API_SCRATCH_LEN);
    size_t wanted = ev->iter.info.scratch_len_wanted;
    if (error != EVLOG_ERR_NO_MEMORY || wanted <= API_SCRATCH_LEN) {
        opened(ev, error);
        return;
    }
    EL_ASSERT(wanted <= EL_BATCH_OUTPUT_MAX);
    EL_ASSERT(ev->scratch == NULL);
    ev->scratch = el_buddy_alloc(ev->api->buddy, wanted);
    ev->scratch_len = wanted;
    if (ev->scratch == NULL) {
        fail_memory(ev);
        return;
    }
    ev->job.done = events_on_job;
    ev->job.arg = ev;
    ev->waiting = true;
    io_job(ev->api->io, &ev->job, IO_JOB_COMPUTE, open_job, ev);
}

/* --- the loop ----------------------------------------------------------------------------------------------------- */

static void events_on_pause(struct io_timer *timer)
{
    struct stream_events *ev = timer->arg;
    ev->steps = 0;
    wait_end(ev);
}

static void events_turn(struct stream_events *ev)
{
    if (ev->place_done == ev->place_count) {
        ev->ended = true;
    } else if (ev->steps++ == STEPS_MAX) {
        ev->pause.fire = events_on_pause;
        ev->pause.arg = ev;
        ev->waiting = true;
        io_timer_set(ev->api->io, &ev->pause, ev->api->io->now_ns);
    } else if (batch_find(ev, ev->places[ev->place_done].offset)) {
        batch_open(ev);
    } else if (ev->tried) {
        ev->place_done++; /* not there */
        ev->tried = false;
    } else {
        read_start(ev);
    }
}

/* What the request has taken stays claimed. */
static void claim_keep(struct stream_events *ev)
{
    size_t used = ev->request->arena.used;
    if (ev->claimed > used) {
        request_unclaim(ev->request, CLAIM_NOWHERE, ev->claimed - used);
    } else if (ev->claimed > 0) {
        request_claim_more(ev->request, CLAIM_NOWHERE, used - ev->claimed);
    }
    ev->claimed = used;
}

static void events_go(struct stream_events *ev)
{
    ev->looping = true;
    while (!ev->waiting && !ev->ended) {
        events_turn(ev);
    }
    ev->looping = false;
    if (!ev->waiting) {
        EL_ASSERT(ev->ended);
        EL_ASSERT(ev->scratch == NULL);
        read_drop(ev);
        claim_keep(ev);
        ev->finish(ev, ev->error);
    }
}

/* Events, the blocks that they lie in and the answer made of them share what is left of the request's memory. */
static size_t bytes_allowed(const struct stream_events *ev)
{
    const struct el_arena *arena = &ev->request->arena;
    size_t allowed = (size_t)EL_MIN(ev->bytes_max, ev->api->node->fetch_len_max);
    return arena->used_max == 0 ? allowed : EL_MIN(allowed, (arena->used_max - arena->used) / MEMORY_SHARE);
}

static void events_on_claim(struct request *request)
{
    struct stream_events *ev = request->user;
    if (claim(ev)) {
        events_go(ev);
    }
}

/* returns false: it waits, or has ended */
static bool claim(struct stream_events *ev)
{
    size_t read_memory = store_read_memory(READ_LEN_MAX, true);
    struct request_need need = {
        .least = read_memory + CLAIM_LEN_MIN,
        .most = read_memory + EL_MAX(2 * ev->bytes_allowed, (size_t)CLAIM_LEN_MIN),
        .must = true,
        .place = CLAIM_NOWHERE, /* but for the read, which is short */
    };
    if (!ev->claims) {
        return true;
    }
    EL_ASSERT(ev->claimed == 0);
    ev->claimed = request_claim(ev->request, &need);
    if (ev->claimed == 0 && request_abandoned(ev->request)) {
        ev->finish(ev, EVLOG_ERR_NO_MEMORY); /* nobody gets it */
        return false;
    }
    if (ev->claimed == 0) {
        ev->request->user = ev;
        request_claim_wait(ev->request, &need, events_on_claim);
        return false;
    }
    ev->bytes_allowed = EL_MIN(ev->bytes_allowed, (ev->claimed - read_memory) / 2);
    return true;
}

void stream_events_start(struct stream_events *ev)
{
    struct el_arena *arena = &ev->request->arena;
    EL_ASSERT(ev->place_count <= STREAM_FIND_MAX);
    EL_ASSERT(ev->bytes_max >= 0);
    ev->bytes_per_offset = BYTES_PER_OFFSET;
    ev->events = el_schema_new(&el_schema_ext_stream_read_event, arena, ev->place_count);
    ev->found = el_arena_alloc(arena, EL_MIN(EL_MAX(ev->place_count, 1u), RUN_MAX) * sizeof *ev->found);
    if (ev->events == NULL || ev->found == NULL) {
        ev->finish(ev, EVLOG_ERR_NO_MEMORY);
        return;
    }
    ev->bytes_allowed = bytes_allowed(ev);
    if (claim(ev)) {
        events_go(ev);
    }
}
