/* SPDX-License-Identifier: Apache-2.0
 *
 * A replay into a topic.
 *
 * Without the fold every event is published anew, in the order of the replay, with its key, value, headers and time,
 * into a topic that is empty or made for it.
 *
 * With --fold latest a table is rolled back. The target is a compacted topic, also that of the table itself:
 *   1. open reads what the target holds now, last event by last event.
 *   2. take() gets the wanted rows by key, and compares them with those: rows that differ are kept to be written, keys
 *      that the target has and the wanted state has not will get a tombstone.
 *   3. finish() says what will change, asks for the name where a topic holds something already, writes only the
 *      difference, and waits until it is stored. So the same command again writes nothing.
 * Nothing is taken away from the log but by its compaction later. Somebody who writes at the same time is noticed by
 * the topic's ends, and told.
 */
#include "kept_rows.h"
#include "replay_target.h"

#include <core/alloc.h>
#include <string.h>

#define PROGRESS_EVENTS 64

struct into_topic {
    struct replay_target base;
    const struct replay_wanted *wanted;
    const char *name;
    bool made; /* by us, empty */
    int32_t partition_count;
    struct evlog_producer *producer;
    struct evlog_failure failure; /* of the first event that was not stored, code 0: none */
    uint64_t sent_count;
    /* the table */
    struct kept_rows now; /* what the target holds */
    size_t next;          /* of now, not compared yet */
    struct kept_rows changes;
    uint64_t same_count, remove_count;
    int64_t end_sum; /* of the target, before it was read */
};

/* --- the target --------------------------------------------------------------------------------------------------- */

static const char *setting_of(const struct evlog_topic_info *info, const char *key)
{
    for (size_t i = 0; i < info->setting_count + info->default_count; i++) {
        const struct evlog_setting *setting = i < info->setting_count ? &info->settings[i]
                                                                      : &info->defaults[i - info->setting_count];
        if (strcmp(setting->key, key) == 0 && setting->value != NULL) {
            return setting->value;
        }
    }
    return "";
}

static int make_topic(struct into_topic *t)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_topic_create_options options = EVLOG_TOPIC_CREATE_OPTIONS_INIT;
    const struct evlog_setting compacted = {"cleanup.policy", "compact"};
    options.name = t->name;
    if (evlog_topic_partition_count(t->base.cli->client, t->wanted->topic, &options.partition_count, &failure) != 0) {
        return cli_failure(t->base.cli, &failure);
    }
    options.settings = &compacted;
    options.setting_count = t->wanted->fold_latest ? 1 : 0;
    t->partition_count = options.partition_count;
    t->made = true;
    if (t->wanted->dry_run) {
        return CLI_OK;
    }
    if (evlog_topic_create(t->base.cli->client, &options, &failure) != 0) {
        return cli_failure(t->base.cli, &failure);
    }
    cli_say(t->base.cli, "made topic %s with %d partitions%s", t->name, t->partition_count,
            t->wanted->fold_latest ? ", compacted" : "");
    return CLI_OK;
}

/* Is it a topic that a table can be rolled back into? */
static int check_table(const struct into_topic *t, const struct evlog_topic_info *info)
{
    const struct cli *cli = t->base.cli;
    if (strcmp(setting_of(info, "evlog.streams"), "true") == 0) {
        return cli_error_remedy(cli,
                                (struct cli_remedy){CLI_ERR_TARGET, "name a topic that is not there: it is made, "
                                                                    "compacted"},
                                "topic %s has streams, whose events are never taken back", t->name);
    }
    if (strstr(setting_of(info, "cleanup.policy"), "compact") == NULL) {
        return cli_error_remedy(cli,
                                (struct cli_remedy){CLI_ERR_TARGET, "name a topic that is not there, or one with "
                                                                    "cleanup.policy=compact"},
                                "topic %s is no table: it is not compacted", t->name);
    }
    return CLI_OK;
}

static int check_copy(const struct into_topic *t, const struct evlog_topic_info *info)
{
    const struct cli_remedy remedy = {CLI_ERR_TARGET, "name a topic that is not there: it is made"};
    if (strcmp(t->name, t->wanted->topic) == 0) {
        return cli_error_remedy(t->base.cli, remedy, "topic %s cannot be replayed into itself, but with --fold latest",
                                t->name);
    }
    for (size_t i = 0; i < info->partition_count; i++) {
        if (info->partitions[i].end_offset > 0) {
            return cli_error_remedy(t->base.cli, remedy, "topic %s holds events already", t->name);
        }
    }
    return CLI_OK;
}

static int look_at_topic(struct into_topic *t)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_topic_info *info;
    int rc = evlog_topic_describe(t->base.cli->client, t->name, &info, &failure);
    if (rc == EVLOG_ERR_UNKNOWN_TOPIC) {
        return make_topic(t);
    }
    if (rc != 0) {
        return cli_failure(t->base.cli, &failure);
    }
    t->partition_count = (int32_t)info->partition_count;
    for (size_t i = 0; i < info->partition_count; i++) {
        t->end_sum += info->partitions[i].end_offset;
    }
    rc = t->wanted->fold_latest ? check_table(t, info) : check_copy(t, info);
    evlog_topic_info_free(info);
    return rc;
}

/* What the target holds, to be compared with. */
static int read_now(struct into_topic *t)
{
    struct evlog_replay_options options = EVLOG_REPLAY_OPTIONS_INIT;
    struct evlog_replay_summary summary = EVLOG_REPLAY_SUMMARY_INIT;
    options.topic = t->name;
    options.fold_latest = options.with_headers = true;
    return t->made ? CLI_OK : kept_rows_read(t->base.cli, &options, &t->now, &summary);
}

/* --- publishing --------------------------------------------------------------------------------------------------- */

static void on_delivery(void *arg, const struct evlog_receipt *receipt, const struct evlog_failure *failure)
{
    struct into_topic *t = arg;
    if (receipt == NULL && t->failure.code == 0) {
        t->failure = *failure;
    }
}

static int publish(struct into_topic *t, const struct evlog_event *event, int64_t timestamp_ms)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_message message = EVLOG_MESSAGE_INIT;
    message.topic = t->name;
    message.timestamp_ms = timestamp_ms;
    message.key = event->key;
    message.value = event->value;
    message.headers = event->headers;
    message.header_count = event->header_count;
    if (evlog_publish_async(t->producer, &message, on_delivery, t, &failure) != 0) {
        return cli_failure(t->base.cli, &failure);
    }
    (void)evlog_poll(t->producer, 0);
    t->sent_count++;
    return t->failure.code == 0 ? CLI_OK : cli_failure(t->base.cli, &t->failure);
}

static int flush(struct into_topic *t)
{
    (void)evlog_flush(t->producer, -1, NULL);
    (void)evlog_poll(t->producer, 0);
    return t->failure.code == 0 ? CLI_OK : cli_failure(t->base.cli, &t->failure);
}

static int copy_take(struct replay_target *target, const struct evlog_replay_event *event)
{
    struct into_topic *t = (struct into_topic *)target;
    return t->wanted->dry_run ? CLI_OK : publish(t, event->event, event->event->timestamp_ms);
}

static int copy_finish(struct replay_target *target, const struct evlog_replay_summary *summary)
{
    struct into_topic *t = (struct into_topic *)target;
    if (t->wanted->dry_run) {
        cli_say(target->cli, "would publish %llu events to topic %s", (unsigned long long)summary->event_count,
                t->name);
        return CLI_OK;
    }
    int rc = flush(t);
    cli_say(target->cli, "%llu events published to topic %s", (unsigned long long)t->sent_count, t->name);
    return rc;
}

/* --- the table ---------------------------------------------------------------------------------------------------- */

static bool same_row(const struct evlog_event *a, const struct evlog_event *b)
{
    bool same = kept_bytes_equal(a->value, b->value) && a->header_count == b->header_count;
    for (size_t i = 0; same && i < a->header_count; i++) {
        same = kept_bytes_equal(a->headers[i].key, b->headers[i].key) &&
               kept_bytes_equal(a->headers[i].value, b->headers[i].value);
    }
    return same;
}

static int no_memory(const struct into_topic *t)
{
    return cli_error(t->base.cli, CLI_ERR_VALUE, "no memory for what is to be written");
}

/* A tombstone for a key that the wanted state has not. */
static int remove_key(struct into_topic *t, struct evlog_bytes key)
{
    const struct evlog_event tombstone = {.partition = -1, .timestamp_ms = -1, .key = key};
    const struct evlog_replay_event row = {.event = &tombstone};
    t->remove_count++;
    return kept_rows_add(&t->changes, &row) == 0 ? CLI_OK : no_memory(t);
}

static int table_take(struct replay_target *target, const struct evlog_replay_event *event)
{
    struct into_topic *t = (struct into_topic *)target;
    int order = 1, rc = CLI_OK;
    while (rc == CLI_OK && t->next < t->now.count &&
           (order = kept_key_order(t->now.rows[t->next]->event.key, event->event->key)) < 0) {
        rc = remove_key(t, t->now.rows[t->next++]->event.key);
    }
    if (rc != CLI_OK) {
        return rc;
    }
    bool there = t->next < t->now.count && order == 0;
    if (there && same_row(&t->now.rows[t->next++]->event, event->event)) {
        t->same_count++;
        return CLI_OK;
    }
    return kept_rows_add(&t->changes, event) == 0 ? CLI_OK : no_memory(t);
}

/* History that is missing may have held keys that would be removed now. */
static int check_history(const struct into_topic *t, const struct evlog_replay_summary *summary)
{
    if ((summary->hole_count == 0 && !summary->partial) || t->wanted->accept_holes) {
        return CLI_OK;
    }
    return cli_error_remedy(t->base.cli,
                            (struct cli_remedy){CLI_ERR_HISTORY, "min.compaction.lag.ms of the topic keeps history; "
                                                                 "--accept-holes goes on with what is there"},
                            "topic %s no longer holds all events up to that time (%llu are compacted away%s): the "
                            "state of then is not certain",
                            t->wanted->topic, (unsigned long long)summary->hole_count,
                            summary->partial ? ", and it begins above offset 0" : "");
}

static int write_changes(struct into_topic *t)
{
    int rc = CLI_OK;
    for (size_t i = 0; rc == CLI_OK && i < t->changes.count; i++) {
        rc = publish(t, &t->changes.rows[i]->event, -1);
        if (i % PROGRESS_EVENTS == 0) {
            cli_progress(t->base.cli, "written", i, t->changes.count);
        }
    }
    int flushed = flush(t);
    cli_progress_end(t->base.cli);
    return rc != CLI_OK ? rc : flushed;
}

static int check_ends(const struct into_topic *t)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    int64_t sum = 0, *ends = el_calloc((size_t)t->partition_count, sizeof *ends);
    if (ends == NULL) {
        return no_memory(t);
    }
    int rc = evlog_offsets_at(t->base.cli->client, t->name, EVLOG_OFFSET_LATEST, ends, t->partition_count, &failure);
    for (int32_t i = 0; i < t->partition_count; i++) {
        sum += ends[i];
    }
    el_free(ends);
    if (rc != 0) {
        return cli_failure(t->base.cli, &failure);
    }
    if (sum == t->end_sum + (int64_t)t->sent_count) {
        return CLI_OK;
    }
    return cli_error_remedy(t->base.cli,
                            (struct cli_remedy){CLI_ERR_TARGET, "stop it, and run the same command again: it writes "
                                                                "what differs then"},
                            "somebody else wrote to topic %s meanwhile", t->name);
}

static int table_finish(struct replay_target *target, const struct evlog_replay_summary *summary)
{
    struct into_topic *t = (struct into_topic *)target;
    int rc = check_history(t, summary);
    while (rc == CLI_OK && t->next < t->now.count) {
        rc = remove_key(t, t->now.rows[t->next++]->event.key);
    }
    if (rc != CLI_OK) {
        return rc;
    }
    uint64_t set_count = t->changes.count - t->remove_count;
    cli_say(target->cli, "topic %s: %llu keys are set, %llu removed, %llu stay as they are", t->name,
            (unsigned long long)set_count, (unsigned long long)t->remove_count, (unsigned long long)t->same_count);
    if (t->changes.count == 0 || t->wanted->dry_run) {
        return CLI_OK;
    }
    if (t->now.count > 0 && (t->wanted->confirm == NULL || strcmp(t->wanted->confirm, t->name) != 0)) {
        return cli_error(target->cli, CLI_ERR_CONFIRM, "nothing was written: --confirm=%s says that you mean it",
                         t->name);
    }
    rc = write_changes(t);
    return rc == CLI_OK ? check_ends(t) : rc;
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

static void topic_close(struct replay_target *target)
{
    struct into_topic *t = (struct into_topic *)target;
    evlog_producer_close(t->producer);
    kept_rows_free(&t->now);
    kept_rows_free(&t->changes);
    el_free(t);
}

static int open_topic(struct into_topic *t)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    const struct replay_wanted *wanted = t->wanted;
    if (wanted->fold_latest && !wanted->whole) {
        return cli_error(t->base.cli, CLI_ERR_VALUE,
                         "a table is rolled back as a whole: leave KEY and --from out, or --to topic:%s", t->name);
    }
    int rc = look_at_topic(t);
    if (rc == CLI_OK && wanted->fold_latest) {
        rc = read_now(t);
    }
    if (rc == CLI_OK && evlog_producer_open(t->base.cli->client, &t->producer, &failure) != 0) {
        rc = cli_failure(t->base.cli, &failure);
    }
    return rc;
}

int replay_topic_open(struct cli *cli, const struct replay_wanted *wanted, const char *name,
                      struct replay_target **target)
{
    struct into_topic *t = el_calloc(1, sizeof *t);
    if (t == NULL) {
        return cli_error(cli, CLI_ERR_VALUE, "no memory");
    }
    bool table = wanted->fold_latest;
    t->base = (struct replay_target){
        .cli = cli,
        .take = table ? table_take : copy_take,
        .finish = table ? table_finish : copy_finish,
        .close = topic_close,
        .resume_hint = table ? "nothing was written; run the same command again"
                             : "the topic holds a part: remove it with 'evlog topics rm', and run the same command "
                               "again",
    };
    t->failure = (struct evlog_failure)EVLOG_FAILURE_INIT;
    t->wanted = wanted;
    t->name = name;
    kept_rows_init(&t->now);
    kept_rows_init(&t->changes);
    int rc = open_topic(t);
    if (rc != CLI_OK) {
        topic_close(&t->base);
        return rc;
    }
    *target = &t->base;
    return CLI_OK;
}
