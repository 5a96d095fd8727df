/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a shard's copy of users and rules, and how it reads the records at a start. Changes are access_change.c.
 *
 * Records that cannot be read leave a shard without any: then nobody is known there, and with the authorizer on nobody
 * but super users may anything. That is told in the log, and needs an operator.
 */
#include <access/access_state.h>

#include <core/logger.h>
#include <stdio.h>

int access_create(struct store_shard *shard, struct access **peers, uint32_t shard_count, struct access **out)
{
    struct el_buddy *buddy = store_shard_buddy(shard);
    struct access *access = el_buddy_alloc(buddy, sizeof *access);
    if (access == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    memset(access, 0, sizeof *access);
    access->magic = ACCESS_MAGIC;
    access->shard = shard;
    access->io = store_shard_io(shard);
    access->buddy = buddy;
    access->metrics = store_shard_metrics(shard);
    access->peers = peers;
    access->shard_count = shard_count;
    access->index = store_shard_index(shard);
    access->reports_left = shard_count;
    el_list_init(&access->queue);
    auth_init(&access->auth, buddy);
    peers[access->index] = access;
    *out = access;
    return 0;
}

void access_destroy(struct access *access)
{
    OBJ_CHECK(access, ACCESS);
    EL_ASSERT(access_idle(access));
    auth_destroy(&access->auth);
    access->magic = 0;
    el_buddy_free(access->buddy, access);
}

bool access_idle(const struct access *access)
{
    return access->busy == 0 && access->current == NULL && el_list_empty(&access->queue);
}

bool access_known(const struct access *access)
{
    return access->state == ACCESS_KNOWN;
}

bool access_failed(const struct access *access)
{
    return access->state == ACCESS_FAILED;
}

struct auth *access_auth(struct access *access)
{
    OBJ_CHECK(access, ACCESS);
    return &access->auth;
}

int access_apply(struct access *access, const struct access_op *op)
{
    for (uint32_t i = 0; i < op->record_count; i++) {
        struct auth_record record;
        int code = auth_record_decode(op->records[i].key, op->records[i].value, &record);
        EL_ASSERT(code == 0); /* home has looked */
        code = auth_record_apply(&access->auth, &record);
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

/* --- the start ---------------------------------------------------------------------------------------------------- */

static void report_arrive(struct io_message *message)
{
    struct access *from = EL_CONTAINER(message, struct access, report);
    struct access *home = from->peers[ACCESS_HOME];
    OBJ_CHECK(home, ACCESS);
    EL_ASSERT(home->reports_left > 0);
    home->reports_left--;
    home->unreadable = home->unreadable || from->state == ACCESS_FAILED;
    access_next(home);
}

static void read_end(struct access *access, int error)
{
    EL_ASSERT(access->state == ACCESS_READING);
    access->state = error == 0 ? ACCESS_KNOWN : ACCESS_FAILED;
    access->known(access->known_arg, error);
    access->report.run = report_arrive;
    if (access->index == ACCESS_HOME) {
        report_arrive(&access->report);
    } else {
        io_post(access->peers[ACCESS_HOME]->io, &access->report);
    }
}

static int scan_take(void *arg, const struct el_record *record)
{
    struct access *access = arg;
    struct auth_record decoded;
    OBJ_CHECK(access, ACCESS);
    int code = auth_record_decode(record->key, record->value, &decoded);
    return code != 0 ? code : auth_record_apply(&access->auth, &decoded);
}

static void scan_end(void *arg, int error)
{
    struct access *access = arg;
    OBJ_CHECK(access, ACCESS);
    access->busy--;
    read_end(access, error);
}

void access_start(struct access *access, void (*known)(void *arg, int error), void *arg)
{
    OBJ_CHECK(access, ACCESS);
    EL_ASSERT(access->state == ACCESS_READING);
    access->known = known;
    access->known_arg = arg;
    const struct topic *topic = store_topic_by_name(access->shard, el_slice_str(ACCESS_TOPIC));
    if (topic == NULL) {
        read_end(access, 0);
        return;
    }
    access->scan = (struct record_scan){.shard = access->shard,
                                        .io = access->io,
                                        .metrics = access->metrics,
                                        .stopping = &access->stopping,
                                        .topic_id = topic->id,
                                        .partition = 0,
                                        .module = "access",
                                        .topic = ACCESS_TOPIC,
                                        .damaged = METRIC_ACCESS_RECORDS_DAMAGED,
                                        .take = scan_take,
                                        .end = scan_end,
                                        .arg = access};
    snprintf(access->scan.waiters, sizeof access->scan.waiters, "users and rules on shard %u", access->index);
    access->busy++;
    record_scan_start(&access->scan);
}

void access_stop(struct access *access)
{
    OBJ_CHECK(access, ACCESS);
    access->stopping = true;
    if (access->index == ACCESS_HOME) {
        access_change_stop(access);
    }
}
