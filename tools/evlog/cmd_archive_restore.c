/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog archive restore URL --to DIR: from an archive alone to a data directory that evlogd opens.
 *
 * Says afterwards what a disaster cost: how old the newest event is (RPO), and how long it took (RTO).
 */
#include "cli.h"

#include <core/alloc.h>
#include <core/crypto.h>
#include <core/timefmt.h>
#include <store/access_key_file.h>
#include <store/archive_cluster.h>
#include <store/archive_restore.h>
#include <string.h>
#include <time.h>

#define KEY_FILE_LEN_MAX (64u << 10)
#define NS_PER_S 1000000000.0

struct restoring {
    const struct cli *cli;
    const char *to, *incarnation, *access_key;
    struct el_access_keys access_keys;
    int64_t until_ns, root;
    int64_t threads;
    struct cli_list topics, keys;
    struct el_public_key publics[EL_SIGN_KEYS_MAX];
    size_t key_count;
};

/* --- keys --------------------------------------------------------------------------------------------------------- */

static int read_file(const char *path, char *text, size_t room, size_t *len)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return -1;
    }
    *len = fread(text, 1, room, file);
    bool whole = *len < room && ferror(file) == 0;
    (void)fclose(file);
    return whole ? 0 : -1;
}

static int take_keys(struct restoring *r)
{
    static char text[KEY_FILE_LEN_MAX];
    for (size_t i = 0; i < r->keys.count; i++) {
        struct el_public_key more[EL_SIGN_KEYS_MAX];
        struct el_error err = {0};
        size_t len = 0, count = 0;
        if (read_file(r->keys.items[i], text, sizeof text, &len) != 0) {
            return cli_error(r->cli, CLI_ERR_FILE, "%.200s cannot be read", r->keys.items[i]);
        }
        if (el_public_keys_parse(el_slice_of(text, len), more, &count, &err) != 0) {
            return cli_error(r->cli, CLI_ERR_VALUE, "%.200s: %s", r->keys.items[i], err.text);
        }
        if (r->key_count + count > EL_SIGN_KEYS_MAX) {
            return cli_error(r->cli, CLI_ERR_VALUE, "more than %u public keys", EL_SIGN_KEYS_MAX);
        }
        memcpy(r->publics + r->key_count, more, count * sizeof more[0]);
        r->key_count += count;
    }
    return CLI_OK;
}

static int take_access_keys(struct restoring *r)
{
    struct el_error err = {0};
    if (r->access_key != NULL && access_key_file_read(r->access_key, &r->access_keys, &err) != 0) {
        return cli_error(r->cli, err.code == EVLOG_ERR_NOT_FOUND ? CLI_ERR_FILE : CLI_ERR_VALUE, "--access-key: %s",
                         err.text);
    }
    return CLI_OK;
}

/* --- talk --------------------------------------------------------------------------------------------------------- */

static bool on_progress(void *arg, const struct archive_restore_counts *counts)
{
    const struct restoring *r = arg;
    cli_progress(r->cli, "restored MiB", counts->bytes >> 20, (counts->bytes_all >> 20) + 1);
    return cli_interrupted == 0;
}

static double seconds_since(const struct timespec *begun)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - begun->tv_sec) + (double)(now.tv_nsec - begun->tv_nsec) / NS_PER_S;
}

static int tell_json(const struct restoring *r, const struct archive_restore_result *result, double seconds)
{
    const struct archive_restore_counts *counts = &result->counts;
    struct el_buffer line = {0};
    struct el_json_writer w;
    char hex[33];
    el_json_writer_init(&w, &line);
    el_json_begin_object(&w);
    el_json_add_str(&w, "directory", r->to);
    el_hex(hex, result->root.incarnation.bytes, 16);
    el_json_add_str(&w, "incarnation", hex);
    el_json_add_uint(&w, "root", result->root.sequence);
    cli_json_time(&w, "complete_through", result->complete_ns == 0 ? -1 : (int64_t)result->complete_ns, 9);
    cli_json_time(&w, "until", r->until_ns, 9);
    cli_json_time(&w, "newest_event", counts->last_append_ns == 0 ? -1 : (int64_t)counts->last_append_ns, 9);
    el_json_add_uint(&w, "topics", counts->topics);
    el_json_add_uint(&w, "partitions", counts->partitions);
    el_json_add_uint(&w, "partitions_before", counts->before);
    el_json_add_uint(&w, "events", counts->records);
    el_json_add_uint(&w, "bytes", counts->bytes);
    el_json_add_uint(&w, "redacted_batches", counts->redacted);
    el_json_add_uint(&w, "access_unopened", result->access_unopened);
    el_json_add_str(&w, "access_key", result->access_key);
    el_json_key(&w, "rpo_seconds");
    if (counts->last_append_ns == 0) {
        el_json_put_null(&w);
    } else {
        el_json_put_real(&w, (double)(r->cli->now_ns - (int64_t)counts->last_append_ns) / NS_PER_S);
    }
    el_json_key(&w, "rto_seconds");
    el_json_put_real(&w, seconds);
    el_json_end_object(&w);
    el_buffer_append_char(&line, '\n');
    int rc = cli_put(r->cli, &line);
    el_buffer_free(&line);
    return rc;
}

static int tell(const struct restoring *r, const struct archive_restore_result *result, double seconds)
{
    const struct archive_restore_counts *counts = &result->counts;
    char text[64] = "";
    if (r->cli->json) {
        return tell_json(r, result, seconds);
    }
    cli_say(r->cli, "restored %llu topics, %llu events (%.1f MiB) from root %llu%s", (unsigned long long)counts->topics,
            (unsigned long long)counts->records, (double)counts->bytes / (1 << 20),
            (unsigned long long)result->root.sequence, r->key_count == 0 ? ", whose signature nobody has checked" : "");
    if (counts->redacted > 0) {
        cli_say(r->cli, "%llu batches were redacted: their events are missing", (unsigned long long)counts->redacted);
    }
    if (counts->last_append_ns > 0) {
        el_time_format(text, (int64_t)counts->last_append_ns, 3);
        cli_say(r->cli, "RPO: the newest event is of %s, %.1f s ago", text,
                (double)(r->cli->now_ns - (int64_t)counts->last_append_ns) / NS_PER_S);
    }
    cli_say(r->cli, "RTO: %.1f s, %.1f MiB/s", seconds,
            seconds > 0 ? (double)counts->bytes / (1 << 20) / seconds : 0.0);
    if (result->access_unopened > 0) {
        cli_say(r->cli,
                "%u users, access rules and quotas are sealed by the key %s, which %s: evlogd does not start on them "
                "without it",
                result->access_unopened, result->access_key,
                r->access_key == NULL ? "was not given (--access-key)" : "the given file does not have");
        cli_say(
            r->cli,
            "start it with: evlogd --data %s --access-key FILE, a copy of the broker's keys/access.key; if there is "
            "none any more, with --forget-access=true, which forgets all users, rules and quotas",
            r->to);
        return CLI_OK;
    }
    cli_say(r->cli, "start it with: evlogd --data %s", r->to);
    return CLI_OK;
}

/* --- the command -------------------------------------------------------------------------------------------------- */

static int failed(const struct cli *cli, const struct el_error *err)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    if (cli_interrupted != 0 && err->code == EVLOG_ERR_CLOSED) {
        cli_say(cli, "%s", err->text);
        return CLI_INTERRUPTED;
    }
    failure.code = err->code;
    (void)snprintf(failure.text, sizeof failure.text, "%s", err->text);
    return cli_failure(cli, &failure);
}

static int restore(struct restoring *r, const char *url)
{
    struct archive_reader_options reader_options = {
        .keys = r->publics, .key_count = r->key_count, .sequence = (uint64_t)r->root};
    struct archive_restore_options options = {.path = r->to,
                                              .until_ns = r->until_ns < 0 ? 0 : (uint64_t)r->until_ns,
                                              .topics = r->topics.items,
                                              .topic_count = r->topics.count,
                                              .threads = (uint32_t)r->threads,
                                              .access_keys = &r->access_keys,
                                              .progress = on_progress,
                                              .arg = r};
    struct archive_restore_result *result = el_calloc(1, sizeof *result);
    struct object_store *store = NULL;
    struct el_error err = {0};
    struct el_uuid incarnation;
    struct timespec begun;
    if (r->incarnation != NULL && archive_id_parse(el_slice_str(r->incarnation), &incarnation) != 0) {
        el_free(result);
        return cli_error(r->cli, CLI_ERR_VALUE, "--incarnation %s: 32 digits of lower-case hex", r->incarnation);
    }
    reader_options.incarnation = r->incarnation == NULL ? NULL : &incarnation;
    (void)clock_gettime(CLOCK_MONOTONIC, &begun);
    int code = result == NULL ? el_error_set(&err, EVLOG_ERR_NO_MEMORY, "no memory to restore")
                              : object_store_open(url, false, &store, &err);
    code = code != 0 ? code : archive_restore(store, &reader_options, &options, result, &err);
    cli_progress_end(r->cli);
    int rc = code != 0 ? failed(r->cli, &err) : tell(r, result, seconds_since(&begun));
    object_store_close(store);
    el_free(result);
    return rc;
}

int cmd_archive_restore(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct restoring r = {.cli = cli, .until_ns = -1, .threads = 2};
    const struct cli_option options[] = {
        {"to", 0, CLI_TEXT, &r.to, "DIR", "the data directory: empty, or not there yet"},
        {"until", 0, CLI_TIME, &r.until_ns, "TIME", "only events with an append time up to this one"},
        {"topic", 't', CLI_LIST, &r.topics, "TOPIC", "only this topic, and those of evlog itself; may be given again"},
        {"key", 0, CLI_LIST, &r.keys, "FILE", "public keys (PEM) of which one must have signed the archive"},
        {"access-key", 0, CLI_TEXT, &r.access_key, "FILE",
         "keys/access.key of the broker, which opens users and access rules"},
        {"incarnation", 0, CLI_TEXT, &r.incarnation, "ID",
         "of several under one prefix; the one that continues the others"},
        {"root", 0, CLI_INT, &r.root, "N", "from this root; the newest"},
        {"threads", 0, CLI_INT, &r.threads, "N", "read with so many threads, 1 to 8; 2"},
    };
    const struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct cli_words words = {NULL, 0};
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    if (r.to == NULL) {
        rc = cli_error(cli, CLI_ERR_VALUE, "--to DIR says where the data directory is to be made");
    } else if (r.root < 0 || r.threads < 1 || r.threads > (int64_t)ARCHIVE_RESTORE_THREADS_MAX) {
        rc = cli_error(cli, CLI_ERR_VALUE, "--root is a number from 1, --threads one from 1 to %u",
                       ARCHIVE_RESTORE_THREADS_MAX);
    } else {
        rc = take_keys(&r);
        rc = rc != CLI_OK ? rc : take_access_keys(&r);
        rc = rc != CLI_OK ? rc : restore(&r, words.items[0]);
    }
    explicit_bzero(&r.access_keys, sizeof r.access_keys);
    cli_list_free(&r.topics);
    cli_list_free(&r.keys);
    return rc;
}
