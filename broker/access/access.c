/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a shard's copy of users and rules, and how it reads the records at a start. Changes are access_change.c.
 *
 * Records that cannot be read leave a shard without any: then nobody is known there, and with the authorizer on nobody
 * but super users may anything. That is told in the log, and needs an operator.
 */
#include <access/access_state.h>

#include <core/logger.h>
#include <inttypes.h>
#include <stdio.h>

EL_STATIC_ASSERT(AUTH_RECORD_KEY_MAX <= EL_ACCESS_NAME_MAX, "every key can be sealed");
EL_STATIC_ASSERT(AUTH_RECORD_VALUE_MAX <= EL_ACCESS_VALUE_MAX, "every value can be sealed");
EL_STATIC_ASSERT(AUTH_RECORD_VERSION < EL_ACCESS_SEALED_VERSION, "a record says whether it is sealed");

int access_create(struct store_shard *shard, struct access **peers, uint32_t shard_count, struct access_keys *keys,
                  struct access **out)
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
    access->keys = keys;
    access->shard_count = shard_count;
    access->index = store_shard_index(shard);
    access->reports_left = shard_count;
    el_list_init(&access->queue);
    auth_init(&access->auth, buddy);
    el_access_names_init(&access->names, buddy);
    peers[access->index] = access;
    *out = access;
    return 0;
}

void access_destroy(struct access *access)
{
    OBJ_CHECK(access, ACCESS);
    EL_ASSERT(access_idle(access));
    auth_destroy(&access->auth);
    el_access_names_destroy(&access->names);
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

uint32_t access_missing_key(const struct access *access, char text[EL_ACCESS_KEY_ID_TEXT])
{
    EL_ASSERT(access->state == ACCESS_FAILED);
    el_access_names_missing_key(&access->names, text);
    return access->names.unopened_count;
}

struct auth *access_auth(struct access *access)
{
    OBJ_CHECK(access, ACCESS);
    return &access->auth;
}

void access_on_removal(struct access *access, void (*removed)(void *arg), void *arg)
{
    OBJ_CHECK(access, ACCESS);
    EL_ASSERT(access->removed == NULL);
    access->removed = removed;
    access->removed_arg = arg;
}

int access_apply(struct access *access, const struct access_op *op)
{
    uint64_t deaths = access->auth.user_deaths;
    int code = 0;
    for (uint32_t i = 0; i < op->record_count && code == 0; i++) {
        struct auth_record record;
        code = auth_record_decode(op->records[i].key, op->records[i].value, &record);
        EL_ASSERT(code == 0); /* home has looked */
        code = auth_record_apply(&access->auth, &record);
    }
    if (access->auth.user_deaths != deaths && access->removed != NULL) {
        access->removed(access->removed_arg); /* also of a change that has to be told again */
    }
    return code;
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
    if (home->reports_left == 0 && home->unreadable && home->state == ACCESS_KNOWN) {
        access_settle(home, ACCESS_PREPARE_FAILED); /* another shard cannot read what this one has */
    }
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

/* Is a record that can be opened to be written again, or ended? */
static bool is_noted(const struct access *access, struct el_slice name)
{
    const struct el_access_keys *keys = &access->keys->keys;
    bool last = keys->count > 0 && el_access_sealed_by(name, &keys->keys[0]);
    return access->index == ACCESS_HOME && (!last || access->keys->forget);
}

static int scan_take(void *arg, const struct el_record *record)
{
    struct access *access = arg;
    struct el_access_opened opened = {.key = record->key, .value = record->value};
    struct auth_record decoded;
    bool sealed = el_access_is_sealed(record->key), live = record->value.data != NULL;
    OBJ_CHECK(access, ACCESS);
    int code = sealed ? el_access_open(&access->keys->keys, record->key, record->value, &opened) : 0;
    if (code == EVLOG_ERR_NOT_FOUND) {
        return el_access_names_note(&access->names, record->key, live, true);
    }
    code = code != 0 ? code : auth_record_decode(opened.key, opened.value, &decoded);
    code = code != 0 ? code : auth_record_apply(&access->auth, &decoded);
    if (code == 0 && is_noted(access, record->key)) {
        code = el_access_names_note(&access->names, record->key, live, false);
    }
    return code;
}

/* Nothing is forgotten: what the first key has sealed stays as it is. */
static void names_keep_old(struct access *access)
{
    for (uint32_t i = el_access_names_count(&access->names); i > 0 && access->keys->keys.count > 0; i--) {
        const struct el_access_name *name = el_access_names_at(&access->names, i - 1);
        struct el_slice bytes = el_slice_of(name->bytes, name->len);
        if (el_access_sealed_by(bytes, &access->keys->keys.keys[0])) {
            int code = el_access_names_note(&access->names, bytes, false, false);
            EL_ASSERT(code == 0);
        }
    }
}

/* Records that cannot be opened: none is passed over in silence, for it may be the one that denies. */
static int look_unopened(struct access *access)
{
    char id[EL_ACCESS_KEY_ID_TEXT];
    if (access->names.unopened_count == 0) {
        names_keep_old(access);
        return 0;
    }
    if (!access->keys->forget) {
        return EVLOG_ERR_KEYS;
    }
    if (access->index == ACCESS_HOME) {
        el_access_names_missing_key(&access->names, id);
        el_log(EL_LOG_WARN, "access",
               "forgetting all users, rules and quotas, as forget.access says: %" PRIu32
               " of them are sealed by the key "
               "%s, or others, that %s does not have",
               access->names.unopened_count, id, EL_ACCESS_KEYS_FILE);
    }
    access->forgotten = true;
    auth_clear(&access->auth);
    return 0;
}

static void scan_end(void *arg, int error)
{
    struct access *access = arg;
    OBJ_CHECK(access, ACCESS);
    access->busy--;
    read_end(access, error != 0 ? error : look_unopened(access));
}

void access_start(struct access *access, void (*known)(void *arg, int error), void (*settled)(void *arg), void *arg)
{
    OBJ_CHECK(access, ACCESS);
    EL_ASSERT(access->state == ACCESS_READING);
    access->known = known;
    access->settled = settled;
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
