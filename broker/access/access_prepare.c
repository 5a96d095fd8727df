/* SPDX-License-Identifier: Apache-2.0
 *
 * What shard 0 does between the last shard's reading and the first change:
 *
 *   1. a key is made when there is none, and the file of keys is written: durable before anything is sealed by it
 *   2. what lies in the log in another form than sealed by the first key (plain, from before there were keys; by a key
 *      that was replaced) is written again, in batches: what ends the old form, and the new one beside it. So one form
 *      of each name is in force, whatever compaction leaves out
 *   3. after an order to forget, what ends each of them, and nothing beside it
 *
 * A crash in between leaves some done; the next start goes on. When it fails changes are refused with the reason, and
 * the next one tries again. Nobody is told of what is written: shards have it.
 */
#include <access/access_state.h>

#include <core/logger.h>
#include <inttypes.h>

#define BATCH_LEN_MAX (32u << 10) /* about */

void access_settle(struct access *home, enum access_preparing outcome)
{
    void (*settled)(void *arg) = home->settled;
    home->preparing = outcome;
    home->settled = NULL;
    if (settled != NULL) {
        settled(home->known_arg);
    }
}

static void prepare_fail(struct access *home, const char *what, int code)
{
    if (!home->stopping) {
        el_log(EL_LOG_ERROR, "access", "%s: %s; changes of users and rules are refused until it can be done", what,
               evlog_error_text(code));
    }
    access_settle(home, ACCESS_PREPARE_FAILED);
    access_refuse_all(home, home->stopping ? EVLOG_ERR_CLOSED : code);
}

/* --- the key ------------------------------------------------------------------------------------------------------ */

static int64_t save_run(struct disk *disk, void *arg)
{
    const struct access *home = arg;
    return access_keys_save(disk, &home->new_keys);
}

static void save_on_done(struct io_op *op)
{
    struct access *home = op->arg;
    OBJ_CHECK(home, ACCESS);
    bool made = home->keys->keys.count == 0;
    char id[EL_ACCESS_KEY_ID_TEXT];
    home->busy--;
    if (op->result != 0) {
        explicit_bzero(&home->new_keys, sizeof home->new_keys);
        prepare_fail(home, EL_ACCESS_KEYS_FILE " cannot be written", (int)op->result);
        return;
    }
    home->keys->keys = home->new_keys;
    home->keys->unsaved = false;
    explicit_bzero(&home->new_keys, sizeof home->new_keys);
    el_access_key_id_text(id, home->keys->keys.keys[0].id);
    el_log(EL_LOG_INFO, "access",
           made ? "made the key %s that seals users and rules: %s in the data directory. Keep a copy of it elsewhere"
                : "users and rules are sealed by the key %s: %s has it now. Keep a copy of that file elsewhere",
           id, EL_ACCESS_KEYS_FILE);
    home->preparing = ACCESS_PREPARE_IDLE;
    access_next(home);
}

static void save_begin(struct access *home)
{
    uint8_t secret[EL_AEAD_KEY_LEN];
    home->new_keys = home->keys->keys;
    if (home->new_keys.count == 0) {
        io_random(home->io, secret, sizeof secret);
        el_access_key_init(&home->new_keys.keys[home->new_keys.count++], secret);
        explicit_bzero(secret, sizeof secret);
    }
    home->preparing = ACCESS_PREPARE_BUSY;
    home->save.done = save_on_done;
    home->save.arg = home;
    home->busy++;
    io_job(home->io, &home->save, IO_JOB_DISK, save_run, home);
}

/* --- what is written again ---------------------------------------------------------------------------------------- */

static struct el_slice bytes_of(const struct el_access_name *name)
{
    return el_slice_of(name->bytes, name->len);
}

/* Room for what ends it and for what takes its place. */
static size_t again_len_max(const struct el_access_name *name)
{
    return name->len + el_access_sealed_name_len(EL_MIN(name->len, EL_ACCESS_NAME_MAX)) + EL_ACCESS_SEALED_VALUE_LEN +
           2 * ACCESS_RECORD_OVERHEAD;
}

/* What takes the place of a record that is ended: what is in force of it now, if anything is. */
static int again_put(struct access *home, struct el_batch_builder *builder, struct el_slice name)
{
    uint8_t value_bytes[AUTH_RECORD_VALUE_MAX];
    struct el_access_opened opened = {.key = name};
    struct el_writer value;
    bool there = false;
    int code = el_access_is_sealed(name) ? el_access_open(&home->keys->keys, name, (struct el_slice){0}, &opened) : 0;
    el_writer_init(&value, value_bytes, sizeof value_bytes);
    code = code != 0 ? code : auth_record_now(&home->auth, opened.key, &value, &there);
    if (code == 0 && there) {
        code = access_put(home, builder,
                          &(struct access_record){opened.key, el_slice_of(value_bytes, el_writer_len(&value))});
    }
    explicit_bzero(value_bytes, sizeof value_bytes);
    return code;
}

static int again_batch(struct access *home, struct el_slice *batch)
{
    struct el_batch_builder builder;
    uint32_t left = el_access_names_count(&home->names), count = 0;
    size_t len = EL_BATCH_HEADER_LEN;
    while (count < left && (count == 0 || len < BATCH_LEN_MAX)) {
        len += again_len_max(el_access_names_at(&home->names, left - ++count));
    }
    home->batch = el_buddy_alloc(home->buddy, len);
    if (home->batch == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    el_batch_builder_init_fixed(&builder, home->batch, len);
    int code = 0;
    for (uint32_t i = left - count; i < left && code == 0; i++) {
        struct el_slice name = bytes_of(el_access_names_at(&home->names, i));
        access_put_end(home, &builder, name);
        code = home->forgotten ? 0 : again_put(home, &builder, name);
    }
    home->again_count = count;
    if (code == 0) {
        code = el_batch_builder_finish(&builder, EL_CODEC_NONE, NULL, batch);
        EL_ASSERT(code == 0);
    }
    return code;
}

static void again_end(struct access *home)
{
    char id[EL_ACCESS_KEY_ID_TEXT];
    el_access_key_id_text(id, home->keys->keys.keys[0].id);
    if (home->again_sum > 0 && home->forgotten) {
        el_log(EL_LOG_WARN, "access", "all %" PRIu32 " users, rules and quotas are forgotten", home->again_sum);
    } else if (home->again_sum > 0) {
        el_log(EL_LOG_INFO, "access", "%" PRIu32 " users, rules and quotas are written again, sealed by the key %s",
               home->again_sum, id);
    }
    access_settle(home, ACCESS_PREPARED);
}

static void again_on_append(struct store_op *base)
{
    struct access *home = base->arg;
    OBJ_CHECK(home, ACCESS);
    access_append_end(home);
    if (base->error != 0) {
        prepare_fail(home, "users and rules cannot be written again", base->error);
        return;
    }
    for (uint32_t i = 0; i < home->again_count; i++) {
        const struct el_access_name *last = el_access_names_at(&home->names, el_access_names_count(&home->names) - 1);
        int code = el_access_names_note(&home->names, bytes_of(last), false, last->unopened);
        EL_ASSERT(code == 0);
    }
    home->again_sum += home->again_count;
    home->preparing = ACCESS_PREPARE_IDLE;
    access_next(home);
}

static void again_begin(struct access *home)
{
    const struct topic *topic = store_topic_by_name(home->shard, el_slice_str(ACCESS_TOPIC));
    struct el_slice batch;
    int code = topic == NULL ? EVLOG_ERR_UNKNOWN_TOPIC : again_batch(home, &batch);
    if (code != 0) {
        el_buddy_free(home->buddy, home->batch);
        home->batch = NULL;
        prepare_fail(home, "users and rules cannot be written again", code);
        return;
    }
    home->preparing = ACCESS_PREPARE_BUSY;
    access_append(home, topic, batch, again_on_append);
}

void access_prepare(struct access *home)
{
    EL_ASSERT(home->preparing == ACCESS_PREPARE_IDLE);
    if (home->keys->keys.count == 0 || home->keys->unsaved) {
        save_begin(home);
    } else if (el_access_names_count(&home->names) > 0) {
        again_begin(home);
    } else {
        again_end(home);
    }
}
