/* SPDX-License-Identifier: Apache-2.0
 *
 * What no setting can see alone: values that contradict each other, and texts that are taken apart only when all are
 * there. Start-up's thread; pure functions over struct config.
 *
 * A refusal says where each value comes from that it is about (config_target.h), so that one can tell which of file,
 * environment and flags to change.
 */
#include <config/config_check.h>

#include <config/address_limits.h>
#include <config/audit_classes.h>
#include <config/config_target.h>
#include <config/listener_settings.h>
#include <config/principals.h>
#include <config/setting.h>
#include <config/value.h>
#include <core/scram.h>

#include <inttypes.h>
#include <string.h>

static int check_network(struct config *cfg, struct el_error *err)
{
    struct address_limits limits;
    int error = config_listeners_make(cfg, err);
    error = error != 0 ? error : listener_settings_check(cfg, err);
    if (error == 0) {
        error = CONFIG_BLAME(cfg, err, address_limits_parse(cfg->connections_per_ip_overrides, &limits, err),
                             CONFIG_connections_per_ip_overrides);
    }
    for (uint32_t i = 0; i < cfg->listener_table.count && error == 0; i++) {
        const struct config_address *address = &cfg->listener_table.list[i].address;
        bool same_host = strcmp(address->host, cfg->http.host) == 0;
        if (!cfg->http.off && same_host && cfg->http.port == address->port && cfg->http.port != 0) {
            int kafka = cfg->listeners[0] == 0 ? CONFIG_listen : CONFIG_listeners;
            error = el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "%s and http are both on port %u",
                                 config_target_name(kafka), cfg->http.port);
            error = CONFIG_BLAME(cfg, err, error, kafka, CONFIG_http);
        }
    }
    return error;
}

static int check_journal(const struct config *cfg, struct el_error *err)
{
    if (cfg->journal_slot_len % EL_JOURNAL_ALIGN != 0) {
        int code = el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "journal.slot.bytes must be a multiple of %u",
                                EL_JOURNAL_ALIGN);
        return CONFIG_BLAME(cfg, err, code, CONFIG_journal_slot_len);
    }
    if (cfg->journal_ring_len / 4 < cfg->journal_slot_len) {
        int code = el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                "journal.ring.bytes (%" PRId64
                                ") must be at least four times journal.slot.bytes (%" PRId64 ")",
                                cfg->journal_ring_len, cfg->journal_slot_len);
        return CONFIG_BLAME(cfg, err, code, CONFIG_journal_ring_len, CONFIG_journal_slot_len);
    }
    return 0;
}

static int check_memory(const struct config *cfg, struct el_error *err)
{
    if (cfg->memory_max != 0 && (uint64_t)cfg->memory_max < CONFIG_MEMORY_MIN) {
        int code = el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                "memory.max must be at least 64MiB, or 0 for evlogd's choice");
        return CONFIG_BLAME(cfg, err, code, CONFIG_memory_max);
    }
    return 0;
}

static int check_topics(const struct config *cfg, struct el_error *err)
{
    int64_t batch_len_max = topic_config_int(NULL, &cfg->topic_defaults, TOPIC_MAX_MESSAGE_BYTES);
    if (batch_len_max > cfg->request_len_max) {
        int code = el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                "max.message.bytes (%" PRId64 ") does not fit into socket.request.max.bytes (%" PRId64
                                ")",
                                batch_len_max, cfg->request_len_max);
        return CONFIG_BLAME(cfg, err, code, CONFIG_TARGET_OF_TOPIC(TOPIC_MAX_MESSAGE_BYTES), CONFIG_request_len_max);
    }
    if (topic_config_needs_archive(NULL, &cfg->topic_defaults)) {
        int code = el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                "evlog.durability=store and both are for single topics: leave it out here, and set it "
                                "when a topic is made");
        return CONFIG_BLAME(cfg, err, code, CONFIG_TARGET_OF_TOPIC(TOPIC_DURABILITY));
    }
    return 0;
}

static int check_groups(const struct config *cfg, struct el_error *err)
{
    if (cfg->group_session_min_ms > cfg->group_session_max_ms) {
        int code = el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                "group.min.session.timeout.ms (%" PRId64
                                ") is above group.max.session.timeout.ms (%" PRId64 ")",
                                cfg->group_session_min_ms, cfg->group_session_max_ms);
        return CONFIG_BLAME(cfg, err, code, CONFIG_group_session_min_ms, CONFIG_group_session_max_ms);
    }
    return 0;
}

/* What can be told without asking it. The value is not repeated: there may be a secret in it. */
static int check_url(const struct config *cfg, struct el_error *err)
{
    bool known = strncmp(cfg->archive_url, "s3://", 5) == 0 || strncmp(cfg->archive_url, "file:///", 8) == 0;
    if (cfg->archive_url[0] != 0 && !known) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                            "archive.url is neither s3://BUCKET/PREFIX nor file:///DIRECTORY");
    }
    size_t bucket_len = known && cfg->archive_url[0] == 's' ? strcspn(cfg->archive_url + 5, "/") : 3;
    if (bucket_len < 3 || bucket_len > 63) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                            "archive.url is no s3://BUCKET/PREFIX: a bucket's name has 3 to 63 characters");
    }
    return 0;
}

static int check_archive(const struct config *cfg, struct el_error *err)
{
    if (cfg->from_archive && cfg->archive_url[0] == 0) {
        int code = el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                "from.archive restores an empty directory from the archive: say which with "
                                "--archive=URL");
        return CONFIG_BLAME(cfg, err, code, CONFIG_from_archive, CONFIG_archive_url);
    }
    if (cfg->archive_url[0] != 0 && cfg->ephemeral) {
        int code = el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                "ephemeral has no archive: give --data=DIR, or leave --archive out");
        return CONFIG_BLAME(cfg, err, code, CONFIG_ephemeral, CONFIG_archive_url);
    }
    return CONFIG_BLAME(cfg, err, check_url(cfg, err), CONFIG_archive_url);
}

int config_check_mechanisms(const char *setting, const char *list, struct el_error *err)
{
    struct el_slice name;
    for (const char *rest = list; config_word_next(&rest, &name);) {
        if (!el_slice_eq(name, el_slice_str("PLAIN")) && el_scram_find(name) == EL_SCRAM_UNKNOWN) {
            return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                "%s holds '%.*s': known are SCRAM-SHA-256, SCRAM-SHA-512 and PLAIN", setting,
                                value_shown_len(name), (const char *)name.data);
        }
    }
    return 0;
}

static int check_security(const struct config *cfg, struct el_error *err)
{
    uint32_t classes;
    const char *name = setting_at(CONFIG_sasl_mechanisms)->name;
    int error = CONFIG_BLAME(cfg, err, config_check_mechanisms(name, cfg->sasl_mechanisms, err),
                             CONFIG_sasl_mechanisms);
    if (error == 0) {
        error = CONFIG_BLAME(cfg, err, config_audit_classes(cfg->audit_include, &classes, err), CONFIG_audit_include);
    }
    if (error == 0) {
        error = CONFIG_BLAME(cfg, err, config_principals_check("super.users", cfg->super_users, err),
                             CONFIG_super_users);
    }
    return error;
}

/* Where the data lies, and how it is written. A file may leave the directory to the command line, as the service does.
 */
static int check_data(const struct config *cfg, struct el_error *err)
{
    char commit[32];
    bool ring_commit = cfg->io_commit == CONFIG_COMMIT_RING_DSYNC || cfg->io_commit == CONFIG_COMMIT_LINKED;
    bool repairs = cfg->action == CONFIG_REPAIR_INDEXES || cfg->action == CONFIG_REPAIR_CHECK;
    if (cfg->data[0] == 0 && (repairs || (!cfg->ephemeral && cfg->action == CONFIG_RUN))) {
        int code = el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                "no data directory: give --data=DIR, or --ephemeral to keep everything in memory");
        return CONFIG_BLAME(cfg, err, code, CONFIG_data);
    }
    if (cfg->io == CONFIG_IO_POSIX && ring_commit) {
        setting_text(cfg, CONFIG_io_commit, commit, sizeof commit);
        int code = el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "io.commit=%s needs io_uring, and io is posix", commit);
        return CONFIG_BLAME(cfg, err, code, CONFIG_io_commit, CONFIG_io);
    }
    return 0;
}

int config_check(struct config *cfg, struct el_error *err)
{
    int error = check_data(cfg, err);
    error = error != 0 ? error : check_network(cfg, err);
    error = error != 0 ? error : check_journal(cfg, err);
    error = error != 0 ? error : check_memory(cfg, err);
    error = error != 0 ? error : check_topics(cfg, err);
    error = error != 0 ? error : check_archive(cfg, err);
    error = error != 0 ? error : check_security(cfg, err);
    return error != 0 ? error : check_groups(cfg, err);
}
