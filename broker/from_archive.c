/* SPDX-License-Identifier: Apache-2.0
 *
 * See from_archive.h. Before evlogd serves come evlog's own topics, those that are compacted or have streams (their
 * maps and indexes need every event), and the newest events of the others, in which are the numbers of producers that
 * may send a batch again. The rest is served from the archive, and storage brings it back (storage/refill.c).
 */
#include <from_archive.h>

#include <archive_keys.h>
#include <config/config_target.h>
#include <core/alloc.h>
#include <core/logger.h>
#include <core/timefmt.h>
#include <format/node_layout.h>
#include <poll.h>
#include <stdio.h>
#include <store/archive_restore.h>
#include <time.h>
#include <unistd.h>

#define SAY_S 10

struct restoring {
    const struct config *cfg;
    int signal_fd;
    int64_t begun_s, said_s;
};

static int64_t now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static bool on_progress(void *arg, const struct archive_restore_counts *counts)
{
    struct restoring *r = arg;
    struct pollfd signals = {.fd = r->signal_fd, .events = POLLIN};
    if (now_s() - r->said_s >= SAY_S) {
        r->said_s = now_s();
        el_log(EL_LOG_INFO, "server", "restored %llu of about %llu MiB", (unsigned long long)(counts->bytes >> 20),
               (unsigned long long)(counts->bytes_all >> 20) + 1);
    }
    return poll(&signals, 1, 0) <= 0;
}

/* Public parts of the keys that signed the archive, where their file is named: those in a lost directory are lost. */
static int trusted_keys(const struct config *cfg, struct el_public_key *publics, size_t *count, struct el_error *err)
{
    struct el_private_key *keys[EL_SIGN_KEYS_MAX];
    *count = 0;
    if (cfg->archive_key_file[0] == 0) {
        el_log(EL_LOG_WARN, "server",
               "restoring from an archive whose signatures are not checked: archive.key.file names no keys");
        return 0;
    }
    int code = CONFIG_BLAME(cfg, err, archive_keys_read(cfg->archive_key_file, keys, count, err),
                            CONFIG_archive_key_file);
    for (size_t i = 0; i < *count && code == 0; i++) {
        el_private_key_public(keys[i], &publics[i]);
        el_private_key_free(keys[i]);
    }
    return code;
}

static bool is_whole(void *arg, const char *name, struct el_slice settings)
{
    const struct restoring *r = arg;
    struct topic_config topic;
    topic_config_init(&topic);
    if (topic_config_decode(&topic, settings.data, settings.len) != 0) {
        el_log(EL_LOG_WARN, "server", "the settings of topic %s cannot be read: it is restored whole", name);
        return true;
    }
    return topic_config_streams(&topic) ||
           topic_config_int(&topic, &r->cfg->topic_defaults, TOPIC_CLEANUP_POLICY) != TOPIC_CLEANUP_DELETE;
}

static void say_done(const struct archive_restore_result *result, int64_t seconds)
{
    char text[64] = "none";
    if (result->counts.last_append_ns > 0) {
        el_time_format(text, (int64_t)result->counts.last_append_ns, 3);
    }
    el_log(EL_LOG_INFO, "server",
           "restored %llu topics, %llu events from root %llu of the archive in %lld s; the newest event is of %s",
           (unsigned long long)result->counts.topics, (unsigned long long)result->counts.records,
           (unsigned long long)result->root.sequence, (long long)seconds, text);
    if (result->counts.left > 0) {
        el_log(EL_LOG_INFO, "server",
               "older events of %llu partitions are served from the archive, and come back to this disk behind",
               (unsigned long long)result->counts.left);
    }
}

static int restore(const struct config *cfg, const char *data_path, struct restoring *r, struct el_error *err)
{
    struct el_public_key publics[EL_SIGN_KEYS_MAX];
    struct archive_reader_options reader = {.keys = publics};
    struct archive_restore_options options = {.path = data_path, .progress = on_progress, .arg = r};
    struct archive_restore_result *result = el_calloc(1, sizeof *result);
    struct object_store *bucket = NULL;
    if (cfg->from_archive_recent_ms >= 0) {
        options.whole = is_whole;
        options.recent_ns = (uint64_t)EL_MIN(cfg->from_archive_recent_ms, INT64_MAX / 1000000) * 1000000u;
    }
    int code = result == NULL ? el_error_set(err, EVLOG_ERR_NO_MEMORY, "out of memory at start") : 0;
    code = code != 0 ? code : trusted_keys(cfg, publics, &reader.key_count, err);
    if (code == 0) {
        code = CONFIG_BLAME(cfg, err, object_store_open(cfg->archive_url, false, &bucket, err), CONFIG_archive_url);
    }
    code = code != 0 ? code : archive_restore(bucket, &reader, &options, result, err);
    if (code == 0) {
        say_done(result, now_s() - r->begun_s);
    }
    object_store_close(bucket);
    el_free(result);
    return code;
}

int from_archive(const struct config *cfg, const char *data_path, int signal_fd, struct el_error *err)
{
    struct restoring r = {.cfg = cfg, .signal_fd = signal_fd, .begun_s = now_s(), .said_s = now_s()};
    char node[CONFIG_PATH_MAX + 16];
    snprintf(node, sizeof node, "%s/node", data_path);
    if (!cfg->from_archive || access(node, F_OK) == 0) {
        return 0;
    }
    el_log(EL_LOG_INFO, "server", "the data directory is empty: restoring it from the archive at %s", cfg->archive_url);
    int code = restore(cfg, data_path, &r, err);
    return code == 0 ? 0 : el_error_wrap(err, "--from-archive");
}
