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
 * The memory of a read is claimed for the principal before it is read (net/claim.c), and what was not used of it given
 * back behind it: while nothing is there, nothing is claimed. With less than the limits allow reads are smaller; with
 * too little for the forced batch it is waited for, until the deadline, or for CLAIM_WAIT_NS where there is none.
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
#define ROOM_MIN (64u << 10)              /* a read of so little that finds no memory is given up */
#define CLAIM_WAIT_NS UINT64_C(500000000) /* who does not wait for events does so for memory */
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
    EL_ASSERT(!poll->claiming);
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
    if (poll->finishing || poll->pumping || poll->reading_count > 0) {
        return;
    }
    if (poll->claiming) {
        poll_pump(poll); /* those that are not read yet are looked at, and bring nothing */
    } else if (poll->started) {
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

static void part_unclaim(struct long_poll_part *part, size_t len)
{
    EL_ASSERT(part->claimed >= len);
    part->claimed -= len;
    request_unclaim(part->poll->request, part->place, len);
}

static void part_drop(struct long_poll_part *part)
{
    part_unclaim(part, part->claimed);
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
    if (poll->expired || poll->wait_ms <= 0 || poll->part_count == 0 || poll->bytes >= poll->bytes_min ||
        (poll->bytes > 0 && (poll->without_memory || request_claim_presses(poll->request)))) {
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
        if (part->read.data_len > 0 || part->forced || part->barred) {
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

/* Memory that what was read holds: of it no more is claimed. */
static void part_settle(struct long_poll_part *part)
{
    const struct sift *sift = part->sift;
    size_t used = sift == NULL || sift->holding ? part->read.memory_len : 0;
    used += sift == NULL ? 0 : sift->kept_len;
    if (used > part->claimed && part->claimed > 0) {
        request_claim_more(part->poll->request, part->place, used - part->claimed);
        part->claimed = used;
    } else if (used < part->claimed) {
        part_unclaim(part, part->claimed - used);
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
    part_settle(part);
    if (op->error == EVLOG_ERR_NO_MEMORY) {
        part_without_memory(part);
    }
    part->first_len = part->read.first_len;
    if (part->first_len > 0) { /* again, with as much claimed */
        EL_ASSERT(part->forced);
        EL_ASSERT(part->read.data_len == 0);
        part->wanted = true;
        poll->cursor = 0;
    }
    if (part->sift != NULL && op->error == 0 && part->read.data_len == 0) {
        part->offset = part->read.next_offset; /* nothing there up to it */
    }
    if (!poll->pumping) {
        poll_pump(poll);
    }
}

/* Is there nothing to answer with before it is read? What a sieve has not looked through yet cannot be waited for. */
static bool part_is_due(const struct long_poll_part *part)
{
    return part->poll->bytes == 0 && (part->forced || part->sift != NULL);
}

/* Memory for a read of so many bytes: a sieve reads more than it keeps, and keeps some of it elsewhere. */
static struct request_need part_need(const struct long_poll_part *part, uint32_t room)
{
    bool entries = part->want_entries;
    struct request_need need = {.must = part_is_due(part), .place = part->place};
    if (part->sift != NULL) {
        uint32_t len = EL_MIN(EL_MAX(room, SIFT_FIRST_LEN), part->sift->read_len);
        need.least = 2 * store_read_memory(SIFT_FIRST_LEN, entries);
        need.most = EL_MAX(store_read_memory(len, entries) + len, need.least);
    } else if (room > 0 || part->forced) {
        need.least = store_read_memory(EL_MAX(EL_MIN(room, ROOM_MIN), part->first_len), entries);
        need.most = EL_MAX(store_read_memory(EL_MIN(room, STORE_READ_LEN_MAX), entries), need.least);
    } /* else it only learns where the log ends */
    return need;
}

/* Claim it, or less: then *room is less. What is there of the partition has its claim, and is given back before it is
 * read again. returns false: too little is left */
static bool part_claim(struct long_poll_part *part, struct request_need need, uint32_t *room)
{
    bool entries = part->want_entries;
    if (part->claimed >= need.most) {
        part_unclaim(part, part->claimed - need.most);
        return true;
    }
    size_t most = need.most;
    need.most -= part->claimed;
    need.least = need.least > part->claimed ? need.least - part->claimed : 1;
    size_t given = request_claim(part->poll->request, &need);
    part->claimed += given;
    if (part->claimed < most && given > 0) {
        part->poll->without_memory = true; /* others wait for it: no waiting for more than there is */
        size_t block_len = part->sift != NULL ? part->claimed / 2 : part->claimed;
        *room = EL_MIN(*room, store_read_room(block_len, entries));
    }
    return given > 0;
}

static void part_read(struct long_poll_part *part, uint32_t room, bool claimed)
{
    struct long_poll *poll = part->poll;
    EL_ASSERT(!part->reading);
    EL_ASSERT(!part->watching);
    EL_ASSERT(claimed || (room == 0 && !part->forced));
    size_t memory_len = part->claimed;
    part->claimed = 0;
    part_drop(part);
    part->claimed = memory_len;
    part->read = (struct read_op){
        .base = {.done = poll_on_read, .arg = part},
        .topic_id = part->target.topic_id,
        .partition = part->partition,
        .offset = part->offset,
        .max_bytes = room,
        .at_least_one = part->forced,
        .first_len_max = part->sift != NULL ? 0 : store_read_room(memory_len, part->want_entries),
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
    if (part->sift != NULL && claimed) {
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

static void poll_on_claim(struct request *request)
{
    struct long_poll *poll = request->user;
    OBJ_CHECK(poll, LONG_POLL);
    EL_ASSERT(poll->claiming);
    poll_pump(poll);
}

/* Wait for memory for the partition, when it is the one that the answer cannot be without. returns false: there is no
 * time for it */
static bool part_claim_wait(struct long_poll_part *part, const struct request_need *need)
{
    struct long_poll *poll = part->poll;
    poll->expired = poll->expired || request_abandoned(poll->request);
    if (!part_is_due(part) || poll->expired || poll->api->stopping) {
        return false;
    }
    if (poll->wait_ms <= 0 && poll->deadline.heap_index == 0) {
        io_timer_set(poll->api->io, &poll->deadline, poll->api->io->now_ns + CLAIM_WAIT_NS);
    }
    poll->claiming = true;
    request_claim_wait(poll->request, need, poll_on_claim);
    return true;
}

/* There is no memory to read it: what is there of it goes out, or else where it ends is all that is told. */
static void part_bar(struct long_poll_part *part)
{
    part->poll->without_memory = true;
    part->barred = part->barred || part->forced;
    part->forced = false;
    if (part->holding && part->read.data_len > 0) {
        part->wanted = false;
    } else {
        part_read(part, 0, false);
    }
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
        uint32_t len = (uint32_t)room;
        struct request_need need = part_need(part, len);
        bool claimed = part_claim(part, need, &len);
        if (!claimed && (poll->reading_count > 0 || part_claim_wait(part, &need))) {
            return false; /* those under way may leave some */
        }
        poll->cursor++; /* before the read, which may end inside and move it back */
        if (claimed) {
            part_read(part, len, true);
        } else {
            part_bar(part);
        }
    }
    return true;
}

/* Go on until reads are under way, watches are armed, or the end. */
static void poll_pump(struct long_poll *poll)
{
    poll->looked_ns = poll->api->io->now_ns;
    request_wait_end(poll->request);
    request_claim_cancel(poll->request);
    poll->claiming = false;
    for (;;) {
        poll->pumping = true;
        bool all = poll_read_wanted(poll);
        poll->pumping = false;
        if (poll->reading_count > 0 || poll->claiming) {
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
        part->place = store_owner_index(poll->api->shard, &part->target.topic_id, part->partition);
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
