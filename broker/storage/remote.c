/* SPDX-License-Identifier: Apache-2.0
 *
 * Turns and deadlines of reads from the archive; remote.h says why.
 */
#include <storage/remote.h>

#include <core/assert.h>

#define LOOK_NS 500000000u

static int outcome(const struct tier_read *read)
{
    switch (read->error) {
    case 0:
    case EVLOG_ERR_CORRUPT:
    case EVLOG_ERR_LIMIT:
    case EVLOG_ERR_NO_MEMORY:
    case EVLOG_ERR_UNSUPPORTED:
        return read->error;
    default:
        return EVLOG_ERR_ARCHIVE;
    }
}

/* The memory is the caller's again; error: what it is told, unless it was told before. */
static void over(struct remote *remote, int error)
{
    struct partition *part = remote->part;
    EL_ASSERT(part->shard->jobs > 0);
    EL_ASSERT(el_list_empty(&remote->link));
    part->shard->jobs--;
    if (remote->answered) {
        remote->gone(remote);
    } else {
        remote->answered = true;
        remote->done(remote, error, true);
    }
    partition_unpin(part);
}

static void run_next(struct store_shard *shard)
{
    while (shard->remote_count < REMOTE_RUNNING_MAX && !el_list_empty(&shard->remote_waiting)) {
        struct remote *remote = EL_CONTAINER(el_list_pop_front(&shard->remote_waiting), struct remote, link);
        EL_ASSERT(!remote->running);
        EL_ASSERT(!remote->answered);
        remote->running = true;
        shard->remote_count++;
        el_list_push_back(&shard->remote_running, &remote->link);
        shard->tier->read(shard->tier->arg, &remote->read);
    }
}

static void on_read(struct tier_read *read)
{
    struct remote *remote = EL_CONTAINER(read, struct remote, read);
    struct store_shard *shard = remote->part->shard;
    EL_ASSERT(remote->running);
    EL_ASSERT(shard->remote_count > 0);
    shard->remote_count--;
    el_list_remove(&remote->link);
    metrics_add(shard->metrics, METRIC_REMOTE_READ_BYTES, read->error == 0 ? read->data_len : 0);
    over(remote, outcome(read));
    run_next(shard);
}

/* All that are late leave their lists before the first is told. */
static void on_look(struct io_timer *timer)
{
    struct store_shard *shard = timer->arg;
    struct el_list late;
    el_list_init(&late);
    EL_LIST_EACH_SAFE(n, tmp, &shard->remote_waiting) {
        struct remote *remote = EL_CONTAINER(n, struct remote, link);
        if (shard->io->now_ns >= remote->by_ns) {
            el_list_remove(n);
            el_list_push_back(&late, n);
        }
    }
    EL_LIST_EACH_SAFE(n, tmp, &shard->remote_running) {
        struct remote *remote = EL_CONTAINER(n, struct remote, link);
        if (shard->io->now_ns >= remote->by_ns) {
            el_list_remove(n);
            el_list_push_back(&late, n);
        }
    }
    if (!el_list_empty(&shard->remote_waiting) || !el_list_empty(&shard->remote_running)) {
        io_timer_set(shard->io, timer, shard->io->now_ns + LOOK_NS);
    }
    for (struct el_list *n; (n = el_list_pop_front(&late)) != NULL;) {
        struct remote *remote = EL_CONTAINER(n, struct remote, link);
        if (!remote->running) {
            over(remote, EVLOG_ERR_ARCHIVE);
            continue;
        }
        EL_ASSERT(!remote->answered); /* it left its list with the first answer */
        remote->answered = true;
        remote->done(remote, EVLOG_ERR_ARCHIVE, false);
    }
}

int remote_start(struct partition *part, struct remote *remote)
{
    struct store_shard *shard = part->shard;
    if (shard->tier == NULL) {
        return EVLOG_ERR_ARCHIVE;
    }
    EL_ASSERT(remote->done != NULL);
    EL_ASSERT(remote->gone != NULL);
    EL_ASSERT(remote->read.buf != NULL || remote->read.buf_len == 0);
    remote->part = part;
    remote->running = remote->answered = false;
    remote->read.topic_id = part->key.topic_id;
    remote->read.partition = part->key.partition;
    remote->read.done = on_read;
    remote->read.first_offset = remote->read.next_offset = -1;
    remote->by_ns = shard->io->now_ns + REMOTE_WAIT_NS;
    part->pins++;
    shard->jobs++;
    el_list_init(&remote->link);
    el_list_push_back(&shard->remote_waiting, &remote->link);
    if (shard->remote_timer.heap_index == 0) {
        io_timer_set(shard->io, &shard->remote_timer, shard->io->now_ns + LOOK_NS);
    }
    metrics_add(shard->metrics, METRIC_REMOTE_READS, 1);
    run_next(shard);
    return 0;
}

void remote_init(struct store_shard *shard)
{
    el_list_init(&shard->remote_waiting);
    el_list_init(&shard->remote_running);
    shard->remote_timer.fire = on_look;
    shard->remote_timer.arg = shard;
}
