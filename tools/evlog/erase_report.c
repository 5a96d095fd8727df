/* SPDX-License-Identifier: Apache-2.0
 *
 * 1. The topics are read from end to end: each partition with events that are sealed with the subject's key, and the
 *    streams that they belong to. Every event names its key in clear, so nothing has to be opened.
 * 2. The erasure itself is looked for in the topic that is told of them.
 * 3. Whoever has read such an event (groups by their commits, projections by their checkpoints) may hold a copy of it,
 *    until it has read the erasure as well and acted on it. Snapshots of those streams may hold one too.
 *
 * What cannot be found from here, the docs name: backups of the key store, files and mails that a program has written.
 */
#include "erase_report.h"

#include "project_db.h"
#include "table.h"
#include "topic_scan.h"

#include <core/alloc.h>
#include <core/base64.h>
#include <string.h>

#define HIT_MAX 4096
#define STREAM_MAX 4096
#define PROJECTION_MAX 256

/* One partition with events of the subject. */
struct hit {
    char topic[256];
    int32_t partition;
    int64_t first, last, count;
};

struct stream {
    const char *topic; /* of a hit */
    void *key;
    size_t key_len;
};

struct report {
    struct cli *cli;
    const struct erase_report_wanted *wanted;
    struct el_uuid id;
    const char *topic; /* being read */
    struct hit *hits;
    size_t hit_count;
    struct stream *streams;
    size_t stream_count;
    int32_t fact_partition;
    int64_t fact_offset; /* -1: no erasure was told */
    struct table table;
    bool cut; /* more than can be kept */
};

static const struct table_column columns[] = {{"KIND", false},  {"NAME", false}, {"TOPIC", false}, {"PARTITION", true},
                                              {"EVENTS", true}, {"FROM", true},  {"TO", true},     {"STATE", false}};

/* One line: of a partition, or of who has read it. */
static void put(struct report *r, const char *kind, const char *name, const struct hit *hit, const char *state)
{
    struct el_buffer line = {0};
    struct el_json_writer w;
    if (!r->cli->json) {
        table_cell(&r->table, "%s", kind);
        table_cell(&r->table, "%s", name);
        table_cell(&r->table, "%s", hit->topic);
        table_number(&r->table, hit->partition);
        table_number(&r->table, hit->count);
        table_number(&r->table, hit->first);
        table_number(&r->table, hit->last);
        table_cell(&r->table, "%s", state);
        return;
    }
    cli_json_begin(&w, &line);
    el_json_add_str(&w, "kind", kind);
    el_json_add_str(&w, "name", name);
    el_json_add_str(&w, "topic", hit->topic);
    el_json_add_int(&w, "partition", hit->partition);
    el_json_add_int(&w, "events", hit->count);
    el_json_add_int(&w, "from", hit->first);
    el_json_add_int(&w, "to", hit->last);
    el_json_add_str(&w, "state", state);
    (void)cli_json_end(r->cli, &w, &line);
    el_buffer_free(&line);
}

/* --- where the events are ----------------------------------------------------------------------------------------- */

/* Is the event sealed with the subject's key? */
static bool is_of_subject(const struct report *r, const struct evlog_event *event)
{
    const char *value = event->value.data;
    size_t len = event->value.len;
    if (value == NULL || !evlog_is_sealed(event->value)) {
        return false;
    }
    return memmem(value, len, r->wanted->subject, EL_UUID_TEXT_LEN) != NULL ||
           (len > 24 && memcmp(value + 8, r->id.bytes, sizeof r->id.bytes) == 0);
}

static struct hit *hit_of(struct report *r, int32_t partition)
{
    for (size_t i = r->hit_count; i > 0; i--) {
        if (r->hits[i - 1].partition == partition && strcmp(r->hits[i - 1].topic, r->topic) == 0) {
            return &r->hits[i - 1];
        }
    }
    if (r->hit_count == HIT_MAX) {
        r->cut = true;
        return NULL;
    }
    struct hit *hit = &r->hits[r->hit_count++];
    *hit = (struct hit){.partition = partition, .first = INT64_MAX, .last = -1};
    (void)snprintf(hit->topic, sizeof hit->topic, "%s", r->topic);
    return hit;
}

static void keep_stream(struct report *r, const struct hit *hit, struct evlog_bytes key)
{
    for (size_t i = 0; i < r->stream_count; i++) {
        const struct stream *s = &r->streams[i];
        if (s->key_len == key.len && memcmp(s->key, key.data, key.len) == 0 && strcmp(s->topic, hit->topic) == 0) {
            return;
        }
    }
    void *copy = r->stream_count == STREAM_MAX ? NULL : el_memdup(key.data, key.len);
    if (copy == NULL) {
        r->cut = true;
        return;
    }
    r->streams[r->stream_count++] = (struct stream){hit->topic, copy, key.len};
}

static bool on_event(void *arg, const struct evlog_event *event)
{
    struct report *r = arg;
    struct hit *hit = is_of_subject(r, event) ? hit_of(r, event->partition) : NULL;
    if (hit != NULL) {
        hit->first = EL_MIN(hit->first, event->offset);
        hit->last = EL_MAX(hit->last, event->offset);
        hit->count++;
        if (event->key.data != NULL && event->key.len > 0) {
            keep_stream(r, hit, event->key);
        }
    }
    return true;
}

static bool on_erasure(void *arg, const struct evlog_event *event)
{
    struct report *r = arg;
    if (event->key.data != NULL && event->key.len == EL_UUID_TEXT_LEN &&
        memcmp(event->key.data, r->wanted->subject, EL_UUID_TEXT_LEN) == 0) {
        r->fact_partition = event->partition;
        r->fact_offset = event->offset;
    }
    return true;
}

static bool is_wanted(const struct report *r, const struct evlog_topic_name *topic)
{
    const struct cli_list *topics = r->wanted->topics;
    for (size_t i = 0; i < topics->count; i++) {
        if (strcmp(topics->items[i], topic->name) == 0) {
            return true;
        }
    }
    return topics->count == 0 && !topic->internal && strcmp(topic->name, r->wanted->erasures) != 0;
}

static int scan(struct report *r, const struct evlog_topic_list *all)
{
    int rc = CLI_OK;
    for (size_t i = 0; rc == CLI_OK && i < all->topic_count; i++) {
        const struct evlog_topic_name *topic = &all->topics[i];
        r->topic = topic->name;
        if (strcmp(topic->name, r->wanted->erasures) == 0) {
            rc = topic_scan(r->cli, topic->name, on_erasure, r);
        } else if (is_wanted(r, topic)) {
            rc = topic_scan(r->cli, topic->name, on_event, r);
        }
    }
    return rc == CLI_OK && cli_interrupted ? CLI_INTERRUPTED : rc;
}

/* Topics that are named are there and may be seen: what is left out would look like what is clean. */
static int check_named(const struct report *r)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    int32_t count;
    int rc = evlog_topic_partition_count(r->cli->client, r->wanted->erasures, &count, &failure);
    rc = rc == EVLOG_ERR_UNKNOWN_TOPIC ? 0 : rc;
    for (size_t i = 0; rc == 0 && i < r->wanted->topics->count; i++) {
        rc = evlog_topic_partition_count(r->cli->client, r->wanted->topics->items[i], &count, &failure);
    }
    return rc == 0 ? CLI_OK : cli_failure(r->cli, &failure);
}

/* --- who has read them -------------------------------------------------------------------------------------------- */

/* How far a reader is with the erasure. told: it reads that topic; next: the first offset it has not read of it */
static const char *state_of(const struct report *r, bool told, int64_t next)
{
    if (r->fact_offset < 0) {
        return "has read them; no erasure was told";
    }
    if (!told) {
        return "has read them; does not read erasures";
    }
    return next > r->fact_offset ? "has read the erasure" : "has read them; lags behind the erasure";
}

static void put_reader(struct report *r, const char *kind, const char *name, const struct hit *hit, int64_t read_to,
                       const char *state)
{
    if (read_to > hit->first) {
        put(r, kind, name, hit, state);
    }
}

static int look_at_group(struct report *r, const char *name)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_group_lag *lag;
    bool told = false;
    int64_t next = -1;
    int rc = evlog_group_lag(r->cli->client, name, false, &lag, &failure);
    if (rc == EVLOG_ERR_GROUP_NOT_FOUND) {
        return CLI_OK;
    }
    if (rc != 0) {
        return cli_failure(r->cli, &failure);
    }
    for (size_t i = 0; i < lag->partition_count; i++) {
        const struct evlog_group_lag_partition *p = &lag->partitions[i];
        if (strcmp(p->topic, r->wanted->erasures) == 0 && p->partition == r->fact_partition) {
            told = true;
            next = p->committed_offset;
        }
    }
    for (size_t i = 0; i < lag->partition_count; i++) {
        const struct evlog_group_lag_partition *p = &lag->partitions[i];
        for (size_t j = 0; j < r->hit_count; j++) {
            if (strcmp(p->topic, r->hits[j].topic) == 0 && p->partition == r->hits[j].partition) {
                put_reader(r, "group", name, &r->hits[j], p->committed_offset, state_of(r, told, next));
            }
        }
    }
    evlog_group_lag_free(lag);
    return CLI_OK;
}

static int look_at_groups(struct report *r)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_group_list *list;
    int rc = CLI_OK;
    if (evlog_group_list(r->cli->client, &list, &failure) != 0) {
        return cli_failure(r->cli, &failure);
    }
    for (size_t i = 0; rc == CLI_OK && i < list->group_count; i++) {
        rc = look_at_group(r, list->groups[i].name);
    }
    evlog_group_list_free(list);
    return rc;
}

struct projections {
    struct report *report;
    char names[PROJECTION_MAX][EVLOG_PROJECTION_NAME_MAX + 1];
    size_t count;
    const char *name;         /* being looked at */
    bool told;                /* it reads erasures */
    int64_t next;             /* of that partition */
    int64_t read_to[HIT_MAX]; /* by hit, -1: it does not read it */
};

static int on_row(void *arg, const struct evlog_projection_row *row)
{
    struct projections *p = arg;
    if (p->count == PROJECTION_MAX) {
        p->report->cut = true;
        return 0;
    }
    (void)snprintf(p->names[p->count++], sizeof p->names[0], "%s", row->name);
    return 0;
}

static int on_position(void *arg, const struct evlog_projection_position *position)
{
    struct projections *p = arg;
    const struct report *r = p->report;
    if (strcmp(position->topic, r->wanted->erasures) == 0 && position->partition == r->fact_partition) {
        p->next = p->told ? EL_MIN(p->next, position->next_offset) : position->next_offset;
        p->told = true;
    }
    for (size_t i = 0; i < r->hit_count; i++) {
        if (position->partition == r->hits[i].partition && strcmp(position->topic, r->hits[i].topic) == 0) {
            p->read_to[i] = EL_MAX(p->read_to[i], position->next_offset);
        }
    }
    return 0;
}

static int look_at_store(struct report *r, struct projections *p, struct evlog_projection_store *store)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    p->count = 0;
    int rc = evlog_projection_list(store, NULL, on_row, p, &failure);
    for (size_t i = 0; rc == 0 && i < p->count; i++) {
        p->told = false;
        for (size_t j = 0; j < r->hit_count; j++) {
            p->read_to[j] = -1;
        }
        rc = evlog_projection_positions(store, p->names[i], on_position, p, &failure);
        for (size_t j = 0; rc == 0 && j < r->hit_count; j++) {
            put_reader(r, "projection", p->names[i], &r->hits[j], p->read_to[j], state_of(r, p->told, p->next));
        }
    }
    return rc == 0 ? CLI_OK : cli_failure(r->cli, &failure);
}

static int look_at_projections(struct report *r)
{
    struct projections *p = el_calloc(1, sizeof *p);
    int rc = p == NULL ? cli_error(r->cli, CLI_ERR_VALUE, "no memory") : CLI_OK;
    for (size_t i = 0; rc == CLI_OK && i < r->wanted->dbs->count; i++) {
        struct evlog_projection_store *store = NULL;
        p->report = r;
        rc = project_db_open(r->cli, r->wanted->dbs->items[i], false, &store);
        rc = rc == CLI_OK ? look_at_store(r, p, store) : rc;
        evlog_projection_store_close(store);
    }
    el_free(p);
    return rc;
}

static bool has_topic(const struct evlog_topic_list *all, const char *topic, const char *suffix)
{
    size_t len = strlen(topic);
    for (size_t i = 0; i < all->topic_count; i++) {
        const char *name = all->topics[i].name;
        if (strncmp(name, topic, len) == 0 && strcmp(name + len, suffix) == 0) {
            return true;
        }
    }
    return false;
}

static int look_at_snapshots(struct report *r, const struct evlog_topic_list *all)
{
    for (size_t i = 0; i < r->stream_count; i++) {
        struct evlog_failure failure = EVLOG_FAILURE_INIT;
        const struct stream *s = &r->streams[i];
        const struct evlog_snapshot *snapshot;
        if (!has_topic(all, s->topic, ".snapshots")) {
            continue;
        }
        int rc = evlog_snapshot_get(r->cli->client, s->topic, (struct evlog_bytes){s->key, s->key_len}, &snapshot,
                                    &failure);
        if (rc == 0) {
            char name[128];
            (void)snprintf(name, sizeof name, "%.*s", (int)EL_MIN(s->key_len, 100), (const char *)s->key);
            struct hit where = {.partition = -1, .first = -1, .last = snapshot->version, .count = -1};
            (void)snprintf(where.topic, sizeof where.topic, "%s", s->topic);
            put(r, "snapshot", name, &where, "may hold them: evlog snapshot rm");
            evlog_snapshot_free(snapshot);
        } else if (rc != EVLOG_ERR_NOT_FOUND) {
            return cli_failure(r->cli, &failure);
        }
    }
    return CLI_OK;
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

static int look(struct report *r, const struct evlog_topic_list *all)
{
    int rc = check_named(r);
    rc = rc == CLI_OK ? scan(r, all) : rc;
    if (rc != CLI_OK) {
        return rc;
    }
    for (size_t i = 0; i < r->hit_count; i++) {
        put(r, "log", r->hits[i].topic, &r->hits[i], "sealed");
    }
    rc = look_at_groups(r);
    rc = rc == CLI_OK ? look_at_projections(r) : rc;
    rc = rc == CLI_OK ? look_at_snapshots(r, all) : rc;
    if (rc == CLI_OK && !r->cli->json) {
        rc = table_end(r->cli, &r->table);
    }
    if (rc == CLI_OK && r->fact_offset >= 0) {
        cli_say(r->cli, "erasure of %s: %s[%d] offset %lld", r->wanted->subject, r->wanted->erasures, r->fact_partition,
                (long long)r->fact_offset);
    } else if (rc == CLI_OK) {
        cli_say(r->cli, "topic %s has no erasure of %s", r->wanted->erasures, r->wanted->subject);
    }
    if (rc == CLI_OK && r->cut) {
        cli_say(r->cli, "more partitions or streams than can be shown: look at fewer topics at a time, with -t");
    }
    return rc;
}

int erase_report(struct cli *cli, const struct erase_report_wanted *wanted)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct report r = {.cli = cli, .wanted = wanted, .fact_offset = -1};
    struct evlog_topic_list *all = NULL;
    int rc = CLI_OK;
    if (el_uuid_parse(wanted->subject, strlen(wanted->subject), &r.id) != 0) {
        return cli_error(cli, CLI_ERR_VALUE, "%s is no pseudonym: 22 characters, as 'evlog keys ls' shows them",
                         wanted->subject);
    }
    table_begin(&r.table, columns, sizeof columns / sizeof columns[0]);
    r.hits = el_calloc(HIT_MAX, sizeof *r.hits);
    r.streams = el_calloc(STREAM_MAX, sizeof *r.streams);
    if (r.hits == NULL || r.streams == NULL) {
        rc = cli_error(cli, CLI_ERR_VALUE, "no memory");
    } else if (evlog_topic_list(cli->client, &all, &failure) != 0) {
        rc = cli_failure(cli, &failure);
    } else {
        rc = look(&r, all);
    }
    for (size_t i = 0; i < r.stream_count; i++) {
        el_free(r.streams[i].key);
    }
    evlog_topic_list_free(all);
    el_buffer_free(&r.table.cells);
    el_free(r.hits);
    el_free(r.streams);
    return rc;
}
