/* SPDX-License-Identifier: Apache-2.0 */
#include <access_gate.h>

#include <config/config_target.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <store/access_key_file.h>

static int refused(struct el_error *err)
{
    err->code = EVLOG_ERR_INVALID_CONFIG;
    return err->code;
}

/* The directory's own file: others must not be able to read it. */
static int look_own(const char *data_path, struct el_error *err)
{
    char path[CONFIG_PATH_MAX + 64];
    struct el_access_keys keys;
    snprintf(path, sizeof path, "%s/" EL_ACCESS_KEYS_FILE, data_path);
    int code = access_key_file_read(path, &keys, err);
    explicit_bzero(&keys, sizeof keys);
    return code == 0 || code == EVLOG_ERR_NOT_FOUND ? 0 : refused(err);
}

/* Those of the setting come first. */
static int add_named(const char *path, struct access_keys *keys, struct el_error *err)
{
    struct el_access_keys named, before = keys->keys;
    if (access_key_file_read(path, &named, err) != 0) {
        return refused(err);
    }
    int code = el_access_keys_merge(&keys->keys, &named);
    if (code != 0) {
        code = el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                            "%.200s: with those of " EL_ACCESS_KEYS_FILE " that is more than %u keys: take the oldest "
                            "out",
                            path, EL_ACCESS_KEYS_MAX);
    }
    keys->unsaved = before.count != keys->keys.count ||
                    memcmp(before.keys[0].id, keys->keys.keys[0].id, EL_ACCESS_KEY_ID_LEN) != 0;
    explicit_bzero(&named, sizeof named);
    explicit_bzero(&before, sizeof before);
    return code;
}

int access_gate_open(const struct config *cfg, const char *data_path, struct disk *disk, struct access_keys *keys,
                     struct el_error *err)
{
    int code = look_own(data_path, err);
    code = code != 0 ? code : access_keys_load(disk, keys, err);
    keys->forget = cfg->forget_access;
    if (code == 0 && cfg->access_key_file[0] != 0) {
        code = CONFIG_BLAME(cfg, err, add_named(cfg->access_key_file, keys, err), CONFIG_access_key_file);
    }
    return code;
}

int access_gate_look(struct shard *shards, uint32_t shard_count, struct el_error *err)
{
    char id[EL_ACCESS_KEY_ID_TEXT];
    for (uint32_t i = 0; i < shard_count; i++) {
        if (!atomic_load_explicit(&shards[i].access_read, memory_order_acquire)) {
            return EVLOG_ERR_AGAIN;
        }
    }
    for (uint32_t i = 0; i < shard_count; i++) {
        if (shards[i].access_error == EVLOG_ERR_KEYS) {
            uint32_t count = access_missing_key(shards[i].access, id);
            return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                "%" PRIu32
                                " users, access rules or quotas are sealed by the key %s, which " EL_ACCESS_KEYS_FILE
                                " in the data directory does not have: start with --access-key FILE, a copy of that "
                                "file from before. If there is none any more, --forget-access=true forgets all users, "
                                "rules and quotas for good, and the start goes on",
                                count, id);
        }
    }
    return 0;
}
