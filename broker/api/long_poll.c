/* SPDX-License-Identifier: Apache-2.0
 *
 * Long poll over partitions. Runs on the connection's shard.
 *
 *   1. every partition is read, several at a time, in the order of the request; reads under way together may not bring
 *      more than the limit of the request has room for; those through a sieve are few at a time
 *   2. the first partition that has something gets its first batch whatever its size, or a consumer would stop for ever
 *      at a batch larger than its limits
 *   3. enough bytes, an error, or no time to wait: finish
 *   4. otherwise watch the partitions that are read to their end; one that grows is read again, the others are not
 *   5. at the deadline, or when the client is gone, or storage stops: finish with what is there
 *   6. the answer leaves at once; watches still under way are cancelled, which takes a trip to their shards, and the
 *      request is held until the last one has ended
 *
 * Invariant: bytes + reserved <= bytes_max, but for the one forced batch.
 */
#include <api/long_poll.h>

#define LONG_POLL_MAGIC OBJ_MAGIC('p', 'o', 'l', 'l')
/* When more than one byte is waited for, small appends would each make the whole range be read again: wait a little and
 * read what several have brought. */
#define RECHECK_NS 5000000u
/* Where most of what comes does not pass the sieve, each small append would cost a look: so often at most. The first
 * one after a pause is looked at at once. */
#define SIEVE_NS 1000000u
#define ROOM_MIN (64u << 10) /* a read of so little that finds no memory is given up */
/* A sieve has to get past what does not fit, so that each read under way may bring a batch of any size. */
#define SIFTS_MAX 8u

static void poll_pump(struct long_poll *poll);

/* --- the end ------------------------------------------------------------------------------------------------------ */

static void poll_watch_ended(struct long_poll *poll)
{
    EL_ASSERT(poll->watching_count > 0);
    poll->watching_count--;
    if (poll->finishing && poll->watching_count == 0) {
        poll->magic = 0;
        request_unhold(poll->request);
    }
}

static void poll_finish(struct long_poll *poll)
{
    EL_ASSERT(!poll->finishing);
    EL_ASSERT(poll->reading_count == 0);
    poll->finishing = true;
    io_timer_cancel(poll->api->io, &poll->deadline);
    io_timer_cancel(poll->api->io, &poll->recheck);
    poll->request->on_abandon = NULL;
    el_list_remove(&poll->request->link);
    if (poll->watching_count == 0) {
        poll->magic = 0;
        poll->finish(poll);
        return;
    }
    /* Watches under way use the parts; one more in the count keeps those through the loop. */
    request_hold(poll->request);
    poll->watching_count++;
    poll->finish(poll);
    for (uint32_t i = 0; i < poll->part_count; i++) {
        if (poll->parts[i].watching) {
            store_watch_cancel(&poll->parts[i].watch);
        }
    }
    poll_watch_ended(poll);
}

/* The time is over, or nobody waits any more. */
static void poll_expire(struct long_poll *poll)
{
    poll->expired = true;
    if (!poll->finishing && !poll->pumping && poll->started && poll->reading_count == 0) {
        poll_finish(poll);
    }
}

static void poll_on_deadline(struct io_timer *timer)
{
    struct long_poll *poll = timer->arg;
    OBJ_CHECK(poll, LONG_POLL);
    poll_expire(poll);
}

static void poll_on_recheck(struct io_timer *timer)
{
    struct long_poll *poll = timer->arg;
    OBJ_CHECK(poll, LONG_POLL);
    poll_pump(poll);
}

static void poll_on_abandon(struct request *request)
{
    struct long_poll *poll = request->user;
    OBJ_CHECK(poll, LONG_POLL);
    poll_expire(poll);
}

void api_stop(struct api *api)
{
    OBJ_CHECK(api, API);
    api->stopping = true;
    share_sessions_stop(&api->share);
    struct el_list all;
    el_list_init(&all);
    el_list_splice_back(&all, &api->poll_list);
    for (struct el_list *node = el_list_pop_front(&all); node != NULL; node = el_list_pop_front(&all)) {
        struct request *request = EL_CONTAINER(node, struct request, link);
        el_list_push_back(&api->poll_list, node);
        request->on_abandon(request);
    }
}

/* --- watches ------------------------------------------------------------------------------------------------------ */

static void part_drop(struct long_poll_part *part)
{
    if (part->holding) {
        EL_ASSERT(part->poll->bytes >= part->read.data_len);
        part->poll->bytes -= part->read.data_len;
        part->holding = false;
        if (part->sift == NULL || part->sift->holding) {
            store_read_release(&part->read);
        }
        if (part->sift != NULL) {
            part->sift->holding = false;
        }
    }
}

static void poll_on_watch(struct store_op *op)
{
    struct long_poll_part *part = op->arg;
    struct long_poll *poll = part->poll;
    OBJ_CHECK(poll, LONG_POLL);
    EL_ASSERT(part->watching);
    part->watching = false;
    if (poll->finishing) {
        poll_watch_ended(poll);
        return;
    }
    poll->watching_count--;
    if (op->error == EVLOG_ERR_CLOSED) {
        poll->expired = true; /* the shard stops: answer with what is there */
    } else {
        part->wanted = true; /* grown or deleted: reading tells which */
        poll->cursor = 0;
    }
    if (poll->pumping || poll->reading_count > 0) {
        return;
    }
    uint64_t now_ns = poll->api->io->now_ns;
    uint64_t from_ns = part->sift != NULL     ? poll->looked_ns + SIEVE_NS
                       : poll->bytes_min <= 1 ? now_ns
                                              : now_ns + RECHECK_NS;
    if (from_ns <= now_ns || poll->expired) {
        poll_pump(poll);
    } else if (poll->recheck.heap_index == 0) {
        io_timer_set(poll->api->io, &poll->recheck, from_ns);
    }
}

static void poll_watch_all(struct long_poll *poll)
{
    struct api *api = poll->api;
    poll->pumping = true;
    for (uint32_t i = 0; i < poll->part_count; i++) {
        struct long_poll_part *part = &poll->parts[i];
        bool at_end = part->read.next_offset >= part->read.high_watermark || part->read.data_len == 0;
        if (part->watching || part->wanted || !at_end) {
            continue;
        }
        part->watch.base.done = poll_on_watch;
        part->watch.base.arg = part;
        part->watch.topic_id = part->target.topic_id;
        part->watch.partition = part->partition;
        /* A sieve has looked as far as part->offset, and the log may have grown since. */
        part->watch.offset = part->sift != NULL ? part->offset : EL_MAX(part->offset, part->read.high_watermark);
        part->watching = true;
        poll->watching_count++;
        store_watch(api->shard, &part->watch);
    }
    poll->pumping = false;
}

/* --- reads -------------------------------------------------------------------------------------------------------- */

/* There is more to be looked at than one answer may cost: the asker goes on from where it got. */
static bool part_unfinished(const struct long_poll_part *part)
{
    return part->sift != NULL && part->read.next_offset < part->read.high_watermark;
}

static bool poll_satisfied(const struct long_poll *poll)
{
    if (poll->expired || poll->without_memory || poll->wait_ms <= 0 || poll->part_count == 0 ||
        poll->bytes >= poll->bytes_min) {
        return true;
    }
    for (uint32_t i = 0; i < poll->part_count; i++) {
        if (poll->parts[i].error != 0 || poll->parts[i].read.diverging_epoch >= 0 || part_unfinished(&poll->parts[i])) {
            return true;
        }
    }
    /* Full without enough: bytes_min is above what may be returned. */
    return poll->bytes >= poll->bytes_max;
}

/* Rule 2. returns true when a partition has to be read again */
static bool poll_force_first(struct long_poll *poll)
{
    for (uint32_t i = 0; i < poll->part_count; i++) {
        struct long_poll_part *part = &poll->parts[i];
        bool has_data = part->error == 0 && part->read.diverging_epoch < 0 &&
                        part->read.high_watermark > part->offset &&
                        (part->sift == NULL || part->sift->blocked || part->read.data_len > 0);
        if (!has_data) {
            continue;
        }
        if (part->read.data_len > 0 || part->forced) {
            return false;
        }
        part->forced = true;
        part->wanted = true;
        poll->cursor = 0;
        return true;
    }
    return false;
}

/* The budget has no block of that size now: ask for less, down to what a small batch needs. */
static void part_without_memory(struct long_poll_part *part)
{
    struct long_poll *poll = part->poll;
    if (part->reserved > ROOM_MIN) {
        part->bytes_max = part->reserved / 2;
        part->wanted = true;
        part->error = 0;
        poll->cursor = 0;
    } else if (poll->bytes > 0) {
        EL_ASSERT(part->read.high_watermark >= 0); /* which readers take for the end of what there is */
        EL_ASSERT(part->read.data_len == 0);
        part->error = 0; /* the others' data goes out, now; this partition comes next time */
        poll->without_memory = true;
    }
}

static void poll_on_read(struct store_op *op)
{
    struct long_poll_part *part = op->arg;
    struct long_poll *poll = part->poll;
    OBJ_CHECK(poll, LONG_POLL);
    EL_ASSERT(part->reading);
    EL_ASSERT(poll->reading_count > 0);
    part->reading = false;
    part->holding = true;
    EL_ASSERT(poll->reserved >= part->reserved);
    EL_ASSERT(part->read.data_len <= part->reserved || part->forced);
    poll->reading_count--;
    poll->reserved -= part->reserved;
    poll->bytes += part->read.data_len;
    part->error = op->error;
    if (op->error == EVLOG_ERR_NO_MEMORY) {
        part_without_memory(part);
    }
    if (part->sift != NULL && op->error == 0 && part->read.data_len == 0) {
        part->offset = part->read.next_offset; /* nothing there up to it */
    }
    if (!poll->pumping) {
        poll_pump(poll);
    }
}

static void part_read(struct long_poll_part *part, uint32_t room)
{
    struct long_poll *poll = part->poll;
    EL_ASSERT(!part->reading);
    EL_ASSERT(!part->watching);
    part_drop(part);
    part->read = (struct read_op){
        .base = {.done = poll_on_read, .arg = part},
        .topic_id = part->target.topic_id,
        .partition = part->partition,
        .offset = part->offset,
        .max_bytes = room,
        .at_least_one = part->forced,
        .want_entries = part->want_entries,
        .current_leader_epoch = part->current_leader_epoch,
        .last_fetched_epoch = part->last_fetched_epoch,
        .high_watermark = -1,
        .log_start_offset = -1,
        .diverging_epoch = -1,
    };
    part->wanted = false;
    part->reading = true;
    part->reserved = room;
    poll->reserved += room;
    poll->reading_count++;
    if (part->sift != NULL) {
        sift_start(part->sift, &part->read);
    } else {
        store_read(poll->api->shard, &part->read);
    }
}

/* Has this read to wait for those under way? A sieve reads more than it may keep: with so little room, alone. */
static bool part_waits(const struct long_poll_part *part, uint64_t room)
{
    uint32_t under_way = part->poll->reading_count;
    if (part->sift != NULL) {
        return under_way >= (room < SIFT_FIRST_LEN ? 1 : SIFTS_MAX);
    }
    return under_way > 0 && room == 0 && part->bytes_max > 0;
}

/* Submit wanted reads as far as the limit allows. returns false when some have to wait for those under way */
static bool poll_read_wanted(struct long_poll *poll)
{
    while (poll->cursor < poll->part_count) {
        struct long_poll_part *part = &poll->parts[poll->cursor];
        if (!part->wanted || part->watching) {
            poll->cursor++;
            continue;
        }
        uint64_t own = part->holding ? part->read.data_len : 0; /* given back before it is read again */
        uint64_t used = poll->bytes + poll->reserved - own;
        uint64_t room = used >= poll->bytes_max ? 0 : EL_MIN(poll->bytes_max - used, (uint64_t)part->bytes_max);
        room = part->sift != NULL ? EL_MIN(room, (uint64_t)part->sift->scan_len) : room;
        if (part_waits(part, room)) {
            return false;
        }
        poll->cursor++; /* before the read, which may end inside and move it back */
        part_read(part, (uint32_t)room);
    }
    return true;
}

/* Go on until reads are under way, watches are armed, or the end. */
static void poll_pump(struct long_poll *poll)
{
    poll->looked_ns = poll->api->io->now_ns;
    request_wait_end(poll->request);
    for (;;) {
        poll->pumping = true;
        bool all = poll_read_wanted(poll);
        poll->pumping = false;
        if (poll->reading_count > 0) {
            return;
        }
        if (!all || poll_force_first(poll)) {
            continue;
        }
        poll->started = true;
        if (poll_satisfied(poll)) {
            poll_finish(poll);
            return;
        }
        request_wait_begin(poll->request);
        poll_watch_all(poll);
        if (poll->cursor == poll->part_count && !poll->expired) {
            return;
        }
        /* A watch has fired inside: look again. */
    }
}

void long_poll_start(struct long_poll *poll)
{
    EL_ASSERT(poll->finish != NULL);
    EL_ASSERT(poll->request->on_abandon == NULL);
    poll->magic = LONG_POLL_MAGIC;
    poll->request->user = poll;
    poll->request->on_abandon = poll_on_abandon;
    poll->deadline.fire = poll_on_deadline;
    poll->deadline.arg = poll;
    poll->recheck.fire = poll_on_recheck;
    poll->recheck.arg = poll;
    bool forced = true;
    for (uint32_t i = 0; i < poll->part_count; i++) {
        struct long_poll_part *part = &poll->parts[i];
        part->poll = poll;
        part->error = part->target.error;
        part->wanted = part->error == 0;
        part->read.diverging_epoch = -1;
        part->read.high_watermark = -1;
        /* The first partition is the first that can have data, so it needs no second reading. */
        part->forced = forced && part->wanted;
        forced = forced && !part->wanted;
    }
    el_list_push_back(&poll->api->poll_list, &poll->request->link);
    if (poll->api->stopping) {
        poll->wait_ms = 0;
    }
    if (poll->wait_ms > 0) {
        uint64_t wait_ns = (uint64_t)poll->wait_ms * 1000000u;
        io_timer_set(poll->api->io, &poll->deadline, poll->request->received_ns + wait_ns);
    }
    poll_pump(poll);
}

void long_poll_release(struct long_poll *poll)
{
    for (uint32_t i = 0; i < poll->part_count; i++) {
        EL_ASSERT(!poll->parts[i].reading);
        part_drop(&poll->parts[i]);
    }
}
