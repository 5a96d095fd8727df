/* SPDX-License-Identifier: Apache-2.0 */
#include "attestation.h"
#include "row_digest.h"

#include <core/alloc.h>
#include <core/base64.h>
#include <core/crypto.h>
#include <core/timefmt.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROJECT_FILE_MAX (1u << 20)

/* --- what is known without events --------------------------------------------------------------------------------- */

static int put_archive(struct attestation *at, struct archive_reader *reader)
{
    struct cli *cli = at->archive->cli;
    const struct archive_root *root = archive_reader_root(reader);
    const struct archive_state *state = archive_reader_state(reader);
    const struct archive_topic *topic = archive_state_topic_named(state, el_slice_str(at->topic));
    int64_t complete_ns = (int64_t)EL_MIN(state->header.cut_ns, (uint64_t)INT64_MAX);
    char cluster[33], topic_id[33], hash[45], until[40], complete[40];
    el_time_format(until, at->until_ns, 9);
    el_time_format(complete, complete_ns, 9);
    if (topic == NULL) {
        return cli_error(cli, CLI_ERR_NO_TOPIC, "the archive has no topic %s", at->topic);
    }
    if (at->until_ns > complete_ns) {
        return cli_error(cli, CLI_ERR_INCOMPLETE, "the archive is complete through %s, not through %s",
                         complete_ns == 0 ? "no time yet" : complete, until);
    }
    at->root = root->sequence;
    el_hex(at->incarnation, root->incarnation.bytes, sizeof root->incarnation.bytes);
    el_hex(cluster, root->cluster.bytes, sizeof root->cluster.bytes);
    el_hex(topic_id, topic->now.id.bytes, sizeof topic->now.id.bytes);
    el_base64_encode(hash, root->hash.bytes, sizeof root->hash.bytes);
    el_buffer_printf(&at->text, "evlog/%s/attest\narchive %s\nroot %llu %s\ntopic %s %s\nuntil %s\n", cluster,
                     at->incarnation, (unsigned long long)at->root, hash, topic_id, at->topic, until);
    return CLI_OK;
}

static int put_projection(struct attestation *at)
{
    struct el_buffer file = {0};
    uint8_t digest[32];
    char hex[65];
    int rc = archive_read_file(at->archive->cli, at->project, PROJECT_FILE_MAX, &file);
    if (rc == CLI_OK) {
        el_sha256(file.data, file.len, digest);
        el_hex(hex, digest, sizeof digest);
        el_buffer_printf(&at->text, "projection %s\n", hex);
    }
    el_buffer_free(&file);
    return rc;
}

int attestation_begin(struct attestation *at)
{
    struct object_store *store = NULL;
    struct archive_reader *reader = NULL;
    int rc = archive_open(at->archive, &store, &reader);
    if (rc != CLI_OK) {
        return rc;
    }
    rc = put_archive(at, reader);
    archive_reader_close(reader);
    object_store_close(store);
    return rc == CLI_OK ? put_projection(at) : rc;
}

/* --- events and rows ---------------------------------------------------------------------------------------------- */

static int on_event(void *arg, const struct evlog_replay_event *event)
{
    struct attestation *at = arg;
    if (cli_interrupted) {
        return EVLOG_ERR_CLOSED;
    }
    at->exit_code = at->target->take(at->target, event);
    return at->exit_code == CLI_OK ? 0 : EVLOG_ERR_IO;
}

static int on_progress(void *arg, uint64_t read_count, uint64_t total_count)
{
    const struct attestation *at = arg;
    cli_progress(at->archive->cli, "replayed", read_count, total_count);
    return cli_interrupted ? EVLOG_ERR_CLOSED : 0;
}

/* At the root of the first part, whatever came since. */
static int replay(struct attestation *at)
{
    struct evlog_replay_options options = EVLOG_REPLAY_OPTIONS_INIT;
    struct evlog_replay_summary summary = EVLOG_REPLAY_SUMMARY_INIT;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    const struct archive_arguments *a = at->archive;
    char digest[65];
    options.topic = at->topic;
    options.until_ns = at->until_ns;
    options.on_event = on_event;
    options.on_progress = on_progress;
    options.arg = at;
    options.archive_url = a->url;
    options.archive_keys = (struct evlog_bytes){a->pem, a->pem == NULL ? 0 : strlen(a->pem)};
    options.archive_only = true;
    options.archive_incarnation = at->incarnation;
    options.archive_root = at->root;
    int code = evlog_replay_run(NULL, &options, &summary, &failure);
    cli_progress_end(a->cli);
    if (code != 0 && cli_interrupted) {
        return CLI_INTERRUPTED;
    }
    if (code != 0) {
        return at->exit_code != CLI_OK ? at->exit_code : cli_failure(a->cli, &failure);
    }
    el_hex(digest, summary.digest, sizeof summary.digest);
    at->event_count = summary.event_count;
    el_buffer_printf(&at->text, "events %llu %s\nhistory %s %llu\n", (unsigned long long)summary.event_count, digest,
                     summary.partial ? "partial" : "whole", (unsigned long long)summary.hole_count);
    return at->target->finish(at->target, &summary);
}

static int put_tables(struct attestation *at, const char *path)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_sql_driver *driver;
    int code = evlog_sqlite_open(path, false, &driver, &failure);
    if (code == 0) {
        code = row_digest(driver, &at->text, &at->table_count, &failure);
        driver->close(driver, true);
    }
    return code == 0 ? CLI_OK : cli_failure(at->archive->cli, &failure);
}

static int replay_into(struct attestation *at, const char *path)
{
    struct el_buffer to = {0};
    el_buffer_printf(&to, "sqlite:%s", path);
    const struct replay_wanted wanted = {.topic = at->topic,
                                         .to = el_buffer_text(&to),
                                         .project = at->project,
                                         .whole = true,
                                         .temporary = true,
                                         .keys = at->keys};
    int rc = wanted.to == NULL ? cli_error(at->archive->cli, CLI_ERR_OUTPUT, "no memory")
                               : replay_target_open(at->archive->cli, &wanted, &at->target);
    if (rc == CLI_OK) {
        rc = replay(at);
    }
    replay_target_close(at->target);
    at->target = NULL;
    el_buffer_free(&to);
    return rc == CLI_OK ? put_tables(at, path) : rc;
}

int attestation_finish(struct attestation *at)
{
    const char *base = getenv("TMPDIR");
    char *folder = el_format("%s/evlog-attest-XXXXXX", base == NULL || base[0] == '\0' ? "/tmp" : base), *path = NULL;
    bool made = folder != NULL && mkdtemp(folder) != NULL;
    int rc = CLI_OK;
    if (made) {
        path = el_format("%s/rows", folder);
    }
    if (path == NULL) {
        rc = cli_error(at->archive->cli, CLI_ERR_OUTPUT, "no temporary folder: %s", strerror(errno));
    } else {
        rc = replay_into(at, path);
        (void)unlink(path);
    }
    if (made) {
        (void)rmdir(folder);
    }
    el_free(path);
    el_free(folder);
    el_buffer_printf(&at->text, ATTESTATION_MADE_BY "evlog %s\n", evlog_version());
    return rc == CLI_OK && at->text.err != 0 ? cli_error(at->archive->cli, CLI_ERR_OUTPUT, "no memory") : rc;
}

void attestation_close(struct attestation *at)
{
    el_buffer_free(&at->text);
}
