/* SPDX-License-Identifier: Apache-2.0
 *
 * Poll of leases. Runs on the connection's shard.
 *
 *   1. every partition of the session is asked once, several at a time, beginning with the one whose turn it is, for
 *      its part of what is left, which is reserved. Those that have had something come last, so that what the others
 *      have not used is theirs: a single busy partition fills the answer, and many cannot starve each other
 *   2. something leased, an error, or no time to wait: finish. Partitions that brought something go to the end of the
 *      turns
 *   3. otherwise watch all of them; one that fires is asked again. Somebody else may have been faster: then it is
 *      watched again
 *   4. at the deadline, or when the client is gone or sends another request of the session, or the shard stops: finish
 *      with what is there
 *   5. the answer leaves at once; watches still under way are cancelled, and the request is held until they have ended
 *
 * A partition is read at most once with success, because its records are one piece of the answer.
 *
 * What the reads under way may bring is within the limits together with what is there, but for first batches. The
 * memory for it is claimed for the principal before it is read (net/claim.c): with less of it less is leased, and with
 * too little for anything it is waited for.
 */
#include <api/share_poll.h>

#define SHARE_POLL_MAGIC OBJ_MAGIC('s', 'h', 'p', 'o')
#define READS_MAX 16u                     /* under way at a time */
#define RECORDS_MIN 32u                   /* asked of a partition at least */
#define BYTES_MIN (64u << 10)             /* the same */
#define RECHECK_NS 100000000u             /* a partition that is being loaded */
#define CLAIM_WAIT_NS UINT64_C(500000000) /* who does not wait for events does so for memory */

static void poll_pump(struct share_poll *poll);

/* --- the end ------------------------------------------------------------------------------------------------------ */

static void poll_watch_ended(struct share_poll *poll)
{
    EL_ASSERT(poll->watching_count > 0);
    poll->watching_count--;
    if (poll->finishing && poll->watching_count == 0) {
        poll->magic = 0;
        request_unhold(poll->request);
    }
}

/* Those that brought something come last from now on, in the order in which they are. */
static void poll_turn(struct share_poll *poll)
{
    for (uint32_t i = 0; i < poll->part_count; i++) {
        struct share_poll_part *part = &poll->parts[i];
        struct share_part *known = share_session_part(poll->session, &part->topic_id, part->partition);
        if (known != NULL && part->read != NULL && part->read->range_count > 0) {
            share_part_turn(poll->session, known);
        }
    }
}

static void poll_finish(struct share_poll *poll)
{
    EL_ASSERT(!poll->finishing);
    EL_ASSERT(poll->reading_count == 0);
    request_claim_cancel(poll->request);
    poll->claiming = false;
    poll->finishing = true;
    io_timer_cancel(poll->api->io, &poll->deadline);
    io_timer_cancel(poll->api->io, &poll->recheck);
    poll->request->on_abandon = NULL;
    if (poll->session->hurry_arg == poll) {
        poll->session->hurry = NULL;
        poll->session->hurry_arg = NULL;
    }
    el_list_remove(&poll->request->link);
    poll_turn(poll);
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
            leases_cancel(&poll->parts[i].watch.base);
        }
    }
    poll_watch_ended(poll);
}

/* The time is over, or nobody waits any more. */
static void poll_expire(struct share_poll *poll)
{
    poll->expired = true;
    if (!poll->finishing && !poll->pumping && poll->reading_count == 0) {
        poll_finish(poll);
    }
}

static void poll_on_deadline(struct io_timer *timer)
{
    struct share_poll *poll = timer->arg;
    OBJ_CHECK(poll, SHARE_POLL);
    poll_expire(poll);
}

static void poll_on_abandon(struct request *request)
{
    struct share_poll *poll = request->user;
    OBJ_CHECK(poll, SHARE_POLL);
    poll_expire(poll);
}

static void poll_on_hurry(void *arg)
{
    struct share_poll *poll = arg;
    OBJ_CHECK(poll, SHARE_POLL);
    poll_expire(poll);
}

/* --- watches ------------------------------------------------------------------------------------------------------ */

static void part_want(struct share_poll_part *part)
{
    if (!part->wanted) {
        part->wanted = true;
        part->poll->wanted_count++;
        part->poll->cursor = 0;
    }
}

static void poll_on_recheck(struct io_timer *timer)
{
    struct share_poll *poll = timer->arg;
    OBJ_CHECK(poll, SHARE_POLL);
    for (uint32_t i = 0; i < poll->part_count; i++) {
        if (poll->parts[i].later) {
            poll->parts[i].later = false;
            part_want(&poll->parts[i]);
        }
    }
    if (poll->reading_count == 0) {
        poll_pump(poll);
    }
}

static void poll_on_watch(struct lease_op *op)
{
    struct share_poll_part *part = op->arg;
    struct share_poll *poll = part->poll;
    OBJ_CHECK(poll, SHARE_POLL);
    EL_ASSERT(part->watching);
    part->watching = false;
    lease_op_release(op);
    if (poll->finishing) {
        poll_watch_ended(poll);
        return;
    }
    poll->watching_count--;
    if (op->error == EVLOG_ERR_CLOSED) {
        poll->expired = true; /* the shard stops: answer with what is there */
    } else if (op->error == EVLOG_ERR_GROUP_LOADING || op->error == EVLOG_ERR_NO_MEMORY) {
        part->later = true;
    } else {
        part_want(part);
    }
    if (!poll->pumping && poll->reading_count == 0) {
        poll_pump(poll);
    }
}

static void poll_watch_all(struct share_poll *poll)
{
    bool later = false;
    poll->pumping = true;
    for (uint32_t i = 0; i < poll->part_count; i++) {
        struct share_poll_part *part = &poll->parts[i];
        if (part->later || part->watching || part->wanted) {
            later = later || part->later;
            continue;
        }
        part->watch = (struct lease_watch_op){
            .base = {.group_id = poll->group_id, .done = poll_on_watch, .arg = part},
            .topic_id = part->topic_id,
            .partition = part->partition,
        };
        part->watching = true;
        poll->watching_count++;
        leases_watch(poll->api->leases, &part->watch);
        later = later || part->later;
    }
    poll->pumping = false;
    if (later && poll->recheck.heap_index == 0) {
        io_timer_set(poll->api->io, &poll->recheck, poll->api->io->now_ns + RECHECK_NS);
    }
}

/* --- reads -------------------------------------------------------------------------------------------------------- */

/* Memory that the read holds: of it no more is claimed. */
static void part_settle(struct share_poll_part *part, size_t used)
{
    if (used > part->claimed) {
        request_claim_more(part->poll->request, part->place, used - part->claimed);
    } else if (used < part->claimed) {
        request_unclaim(part->poll->request, part->place, part->claimed - used);
    }
    part->claimed = used;
}

static void poll_on_read(struct lease_op *op)
{
    struct share_poll_part *part = op->arg;
    struct share_poll *poll = part->poll;
    OBJ_CHECK(poll, SHARE_POLL);
    EL_ASSERT(part->reading);
    EL_ASSERT(poll->reading_count > 0);
    part->reading = false;
    EL_ASSERT(poll->records_reserved >= part->records_reserved);
    EL_ASSERT(poll->bytes_reserved >= part->bytes_reserved);
    poll->reading_count--;
    poll->records_reserved -= part->records_reserved;
    poll->bytes_reserved -= part->bytes_reserved;
    part->error = op->error;
    if (op->error == 0 && part->read->lease_ms > 0) {
        poll->session->lease_ms = part->read->lease_ms;
    }
    if (op->error == EVLOG_ERR_GROUP_LOADING || op->error == EVLOG_ERR_NO_MEMORY) {
        part->error = 0;
        part->later = true;
    }
    poll->failed = poll->failed || part->error != 0;
    bool empty = op->error != 0 || part->read->range_count == 0;
    part_settle(part, empty ? 0 : part->read->memory_len);
    if (part->error == 0 && empty) {
        lease_op_release(op);
        poll->free_op = part->read;
        part->read = NULL;
    } else if (part->error == 0) {
        for (uint32_t i = 0; i < part->read->range_count; i++) {
            poll->records += (uint32_t)(part->read->ranges[i].last - part->read->ranges[i].first + 1);
        }
        EL_ASSERT(poll->records + poll->records_reserved <= poll->records_max);
        poll->bytes += part->read->data_len;
    }
    if (!poll->pumping) {
        poll_pump(poll);
    }
}

static uint32_t left_of(uint32_t max, uint32_t used)
{
    return used >= max ? 0 : max - used;
}

/* How many records, or bytes, to ask a partition for; 0: nothing is left. */
static uint32_t share_of(const struct share_poll *poll, uint32_t left, uint32_t least)
{
    EL_ASSERT(poll->wanted_count > 0);
    return EL_MIN(EL_MAX(left / EL_MIN(poll->wanted_count, READS_MAX), least), left);
}

/* Asked whenever leases are: rights may have gone since the partition came into the session. */
static bool part_allowed(const struct share_poll_part *part)
{
    const struct share_poll *poll = part->poll;
    const struct topic *topic = store_topic_by_id(poll->api->shard, &part->topic_id);
    return topic == NULL || api_may(poll->api, poll->request, EL_ACL_OP_READ, EL_ACL_RESOURCE_TOPIC,
                                    el_slice_of(topic->name, topic->name_len));
}

/* returns false when there is no memory for the op */
static bool part_read(struct share_poll_part *part, uint32_t records, uint32_t bytes)
{
    struct share_poll *poll = part->poll;
    struct share_part *known = share_session_part(poll->session, &part->topic_id, part->partition);
    part->read = poll->free_op;
    poll->free_op = NULL;
    if (part->read == NULL) {
        part->read = el_arena_alloc(&poll->request->arena, sizeof *part->read);
    }
    if (part->read == NULL) {
        return false;
    }
    EL_ASSERT(!part->reading);
    EL_ASSERT(!part->watching);
    *part->read = (struct lease_fetch_op){
        .base = {.group_id = poll->group_id, .done = poll_on_read, .arg = part},
        .topic_id = part->topic_id,
        .partition = part->partition,
        .session = poll->session->number,
        .worker = poll->member_id,
        .records_max = records,
        .bytes_max = bytes,
        .range_fill = poll->range_fill,
        .window_ms = poll->expired ? 0 : poll->window_ms,
    };
    if (!part_allowed(part)) {
        part_settle(part, 0);
        part->read->base.error = part->error = EVLOG_ERR_TOPIC_DENIED;
        poll->failed = true;
        return true;
    }
    if (known != NULL) {
        known->held = true;
    }
    part->reading = true;
    part->records_reserved = records;
    part->bytes_reserved = bytes;
    poll->records_reserved += records;
    poll->bytes_reserved += bytes;
    poll->reading_count++;
    leases_fetch(poll->api->leases, part->read);
    return true;
}

static void part_unwant(struct share_poll_part *part)
{
    EL_ASSERT(part->wanted);
    EL_ASSERT(part->poll->wanted_count > 0);
    part->wanted = false;
    part->poll->wanted_count--;
}

static void poll_on_claim(struct request *request)
{
    struct share_poll *poll = request->user;
    OBJ_CHECK(poll, SHARE_POLL);
    EL_ASSERT(poll->claiming);
    poll_pump(poll);
}

/* Memory for a read of so many bytes, or of fewer: *bytes says how many. returns false: there is too little now */
static bool part_claim(struct share_poll_part *part, uint32_t *bytes)
{
    struct share_poll *poll = part->poll;
    struct request_need need = {
        .least = store_read_memory(EL_MIN(*bytes, BYTES_MIN), false),
        .most = store_read_memory(*bytes, false),
        .must = poll->records == 0,
        .place = part->place,
    };
    EL_ASSERT(part->claimed == 0);
    part->claimed = request_claim(poll->request, &need);
    if (part->claimed >= need.most) {
        return true;
    }
    if (part->claimed > 0) {
        *bytes = EL_MIN(*bytes, store_read_room(part->claimed, false));
        EL_ASSERT(*bytes > 0);
        return true;
    }
    poll->expired = poll->expired || request_abandoned(poll->request);
    bool has_time = !poll->expired && !poll->failed && !poll->api->stopping;
    if (poll->reading_count == 0 && poll->records == 0 && has_time) {
        if (poll->wait_ms <= 0 && poll->deadline.heap_index == 0) {
            io_timer_set(poll->api->io, &poll->deadline, poll->api->io->now_ns + CLAIM_WAIT_NS);
        }
        poll->claiming = true;
        request_claim_wait(poll->request, &need, poll_on_claim);
    }
    return false;
}

/* Submit wanted reads as far as the limits allow; those for which nothing is left come in another answer. */
static void poll_read_wanted(struct share_poll *poll)
{
    for (; poll->cursor < poll->part_count && poll->reading_count < READS_MAX && !poll->expired; poll->cursor++) {
        struct share_poll_part *part = &poll->parts[poll->cursor];
        if (!part->wanted) {
            continue;
        }
        uint32_t records_left = left_of(poll->records_max, poll->records + poll->records_reserved);
        uint32_t bytes_left = left_of(poll->bytes_max, poll->bytes + poll->bytes_reserved);
        if ((records_left == 0 || bytes_left == 0) && poll->reading_count > 0) {
            return; /* those under way may leave something */
        }
        uint32_t records = share_of(poll, records_left, RECORDS_MIN);
        uint32_t bytes = share_of(poll, bytes_left, BYTES_MIN);
        bool room = records > 0 && bytes > 0;
        if (room && !part_claim(part, &bytes)) {
            if (poll->reading_count > 0 || poll->claiming) {
                return; /* those under way may leave some */
            }
            room = false;
        }
        part_unwant(part);
        if (room && !part_read(part, records, bytes)) {
            poll->failed = true;
            part_settle(part, 0);
            metrics_add(poll->api->metrics, METRIC_REFUSED_MEMORY, 1);
        }
    }
}

static bool poll_satisfied(const struct share_poll *poll)
{
    return poll->expired || poll->failed || poll->wait_ms <= 0 || poll->records > 0 || poll->part_count == 0;
}

/* Go on until reads are under way, watches are armed, or the end. */
static void poll_pump(struct share_poll *poll)
{
    request_wait_end(poll->request);
    request_claim_cancel(poll->request);
    poll->claiming = false;
    for (;;) {
        poll->pumping = true;
        poll_read_wanted(poll);
        poll->pumping = false;
        if (poll->reading_count > 0 || poll->claiming) {
            return;
        }
        if (poll_satisfied(poll)) {
            poll_finish(poll);
            return;
        }
        request_wait_begin(poll->request);
        poll_watch_all(poll);
        if (poll->wanted_count == 0 && !poll->expired) {
            return;
        }
        /* A watch has fired inside: look again. */
    }
}

bool share_poll_init(struct share_poll *poll)
{
    struct share_session *session = poll->session;
    poll->part_count = poll->records_max == 0 || poll->bytes_max == 0 ? 0 : session->turn_count;
    poll->parts = el_arena_zalloc(&poll->request->arena, EL_MAX(poll->part_count, 1u) * sizeof *poll->parts);
    if (poll->parts == NULL) {
        return false;
    }
    struct el_list *turn = session->turns.next;
    for (uint32_t i = 0; i < poll->part_count; i++, turn = turn->next) {
        const struct share_part *known = EL_CONTAINER(turn, struct share_part, turn);
        struct share_poll_part *part = &poll->parts[i];
        part->poll = poll;
        part->topic_id = known->key.topic_id;
        part->partition = known->key.partition;
        part->place = store_owner_index(poll->api->shard, &part->topic_id, part->partition);
        part_want(part);
    }
    return true;
}

void share_poll_start(struct share_poll *poll)
{
    EL_ASSERT(poll->finish != NULL);
    poll->magic = SHARE_POLL_MAGIC;
    poll->request->user = poll;
    poll->request->on_abandon = poll_on_abandon;
    poll->deadline.fire = poll_on_deadline;
    poll->deadline.arg = poll;
    poll->recheck.fire = poll_on_recheck;
    poll->recheck.arg = poll;
    poll->session->hurry = poll_on_hurry;
    poll->session->hurry_arg = poll;
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

void share_poll_release(struct share_poll *poll)
{
    for (uint32_t i = 0; i < poll->part_count; i++) {
        EL_ASSERT(!poll->parts[i].reading);
        if (poll->parts[i].read != NULL) {
            lease_op_release(&poll->parts[i].read->base);
            part_settle(&poll->parts[i], 0);
            poll->parts[i].read = NULL;
        }
    }
}
