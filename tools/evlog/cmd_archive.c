/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog archive ls | verify: what an archive holds, and whether it is what was signed. Neither asks a server.
 */
#include "archive_open.h"
#include "table.h"

#include <core/alloc.h>
#include <core/crypto.h>
#include <core/timefmt.h>
#include <store/archive_report.h>
#include <string.h>
#include <unistd.h>

#define NOTE_FILE_MAX 65536u

static int64_t known_ns(uint64_t ns)
{
    return ns == 0 || ns > INT64_MAX ? -1 : (int64_t)ns;
}

/* --- ls ----------------------------------------------------------------------------------------------------------- */

struct listing {
    struct cli *cli;
    struct archive_reader *reader;
    const struct archive_state *state;
    bool internal; /* evlog's own topics too */
    struct table table;
};

struct sums {
    uint64_t batches, data_len, pending_len; /* pending: in bundles, to become segments */
    uint64_t last_append_ns;
    int64_t offsets;
};

static void partition_sums(const struct archive_state *state, const struct archive_partition *p, struct sums *s)
{
    for (uint32_t i = 0; i < p->part_count; i++) {
        struct el_archive_part part = archive_part_at(p, i);
        struct archive_object o;
        bool known = archive_state_object(state, part.object, &o);
        s->data_len += part.data_len;
        s->pending_len += known && o.now.kind == EL_PACK_BUNDLE ? part.data_len : 0;
    }
    s->batches += p->now.tree.size;
    s->last_append_ns = EL_MAX(s->last_append_ns, p->now.last_append_ns);
}

/* What the archive, and those that it continues, have of a topic. */
static int topic_sums(const struct listing *l, const struct archive_topic *topic, struct sums *s)
{
    struct archive_reader *at = l->reader;
    struct el_error err = {0};
    for (uint32_t i = 0; i < topic->now.partition_count; i++) {
        struct archive_range range;
        int code = archive_reader_range(l->reader, &topic->now.id, (int32_t)i, &range, &err);
        if (code != 0 && code != EVLOG_ERR_UNKNOWN_TOPIC) {
            return archive_failed(l->cli, &err);
        }
        s->offsets += code != 0 ? 0 : EL_MAX(range.end_offset - EL_MAX(range.start_offset, range.log_start), 0);
    }
    while (at != NULL) {
        const struct archive_state *state = archive_reader_state(at);
        for (uint32_t i = 0; i < topic->now.partition_count; i++) {
            const struct archive_partition *p = archive_state_partition(state, &topic->now.id, (int32_t)i);
            if (p != NULL) {
                partition_sums(state, p, s);
            }
        }
        if (archive_reader_parent(at, &at, &err) != 0) {
            return archive_failed(l->cli, &err);
        }
    }
    return CLI_OK;
}

static int print_topic(struct listing *l, const struct archive_topic *topic)
{
    struct sums sums = {.batches = 0};
    char name[EL_TOPIC_NAME_MAX + 1], age[32];
    int rc = topic_sums(l, topic, &sums);
    if (rc != CLI_OK) {
        return rc;
    }
    (void)snprintf(name, sizeof name, "%.*s", (int)topic->now.name.len, (const char *)topic->now.name.data);
    if (l->cli->json) {
        struct el_buffer line = {0};
        struct el_json_writer w;
        cli_json_begin(&w, &line);
        el_json_add_str(&w, "topic", name);
        el_json_add_bool(&w, "deleted", topic->now.deleted);
        el_json_add_int(&w, "partitions", topic->now.partition_count);
        el_json_add_int(&w, "offsets", sums.offsets);
        el_json_add_uint(&w, "batches", sums.batches);
        el_json_add_uint(&w, "bytes", sums.data_len);
        el_json_add_uint(&w, "bundled_bytes", sums.pending_len);
        cli_json_time(&w, "last_append", known_ns(sums.last_append_ns), 9);
        rc = cli_json_end(l->cli, &w, &line);
        el_buffer_free(&line);
        return rc;
    }
    int64_t last_ns = known_ns(sums.last_append_ns);
    table_cell(&l->table, "%s%s", name, topic->now.deleted ? " (deleted)" : "");
    table_number(&l->table, topic->now.partition_count);
    table_number(&l->table, sums.offsets);
    table_number(&l->table, (int64_t)sums.batches);
    table_number(&l->table, (int64_t)sums.data_len);
    table_cell(&l->table, "%s", last_ns < 0 ? "-" : cli_age((l->cli->now_ns - last_ns) / 1000000, age, sizeof age));
    return CLI_OK;
}

static int print_head(const struct listing *l)
{
    const struct archive_root *root = archive_reader_root(l->reader);
    const struct el_manifest_header *h = &l->state->header;
    char cluster[33], incarnation[33], complete[40] = "-", made[40];
    el_hex(cluster, root->cluster.bytes, 16);
    el_hex(incarnation, root->incarnation.bytes, 16);
    if (l->cli->json) {
        struct el_buffer line = {0};
        struct el_json_writer w;
        cli_json_begin(&w, &line);
        el_json_add_str(&w, "cluster", cluster);
        el_json_add_str(&w, "incarnation", incarnation);
        el_json_add_uint(&w, "root", root->sequence);
        cli_json_time(&w, "made", cli_event_ns((int64_t)h->made_ms), 3);
        cli_json_time(&w, "complete_through", known_ns(h->cut_ns), 9);
        el_json_add_uint(&w, "objects", l->state->object_count);
        int rc = cli_json_end(l->cli, &w, &line);
        el_buffer_free(&line);
        return rc;
    }
    if (h->cut_ns != 0) {
        el_time_format(complete, known_ns(h->cut_ns), 3);
    }
    el_time_format(made, (int64_t)h->made_ms * 1000000, 0);
    cli_say(l->cli, "cluster %s, archive %s\nroot %llu of %s; complete through %s; %zu objects", cluster, incarnation,
            (unsigned long long)root->sequence, made, complete, l->state->object_count);
    return CLI_OK;
}

static int list(struct listing *l)
{
    static const struct table_column columns[] = {{"TOPIC", false},  {"PARTITIONS", true}, {"OFFSETS", true},
                                                  {"BATCHES", true}, {"BYTES", true},      {"NEWEST", true}};
    table_begin(&l->table, columns, sizeof columns / sizeof columns[0]);
    int rc = print_head(l);
    for (size_t i = 0; rc == CLI_OK && i < l->state->topics.count; i++) {
        const struct archive_topic *topic = l->state->topics.entries[i].value;
        if (!topic->now.internal || l->internal) {
            rc = print_topic(l, topic);
        }
    }
    int written = table_end(l->cli, &l->table);
    return rc == CLI_OK && !l->cli->json ? written : rc;
}

int cmd_archive_ls(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct archive_arguments a = {.cli = cli};
    struct listing l = {.cli = cli};
    const struct cli_option options[] = {
        ARCHIVE_OPTIONS(&a),
        {"internal", 0, CLI_FLAG, &l.internal, NULL, "show evlog's own topics too"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct object_store *store = NULL;
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    a.url = words.items[0];
    rc = archive_arguments_check(&a, false);
    if (rc == CLI_OK) {
        rc = archive_open(&a, &store, &l.reader);
    }
    if (rc == CLI_OK) {
        l.state = archive_reader_state(l.reader);
        rc = list(&l);
        archive_reader_close(l.reader);
        object_store_close(store);
    }
    archive_arguments_free(&a);
    return rc;
}

/* --- verify ------------------------------------------------------------------------------------------------------- */

struct verifying {
    struct cli *cli;
    struct archive_report report;
    const char *since_path, *save_path;
    int64_t threads;
    bool deep;
};

static void progress(void *arg, uint64_t done, uint64_t total)
{
    const struct verifying *v = arg;
    cli_progress(v->cli, "verified", done, total);
}

static int print(const struct verifying *v)
{
    struct el_buffer out = {0};
    if (v->cli->json) {
        (void)archive_report_json(&v->report, &out);
    } else {
        archive_report_text(&v->report, &out);
        el_buffer_append_str(&out, v->deep ? "" : "--deep compares every byte\n");
    }
    int rc = cli_put(v->cli, &out);
    el_buffer_free(&out);
    return rc;
}

static int verify(struct verifying *v, const struct archive_arguments *a)
{
    struct object_store *store = NULL;
    struct el_buffer since = {0};
    struct el_error err = {0};
    int rc = v->since_path == NULL ? CLI_OK : archive_read_file(v->cli, v->since_path, NOTE_FILE_MAX, &since);
    if (rc != CLI_OK) {
        return rc;
    }
    int code = object_store_open(a->url, false, &store, &err);
    if (code == 0) {
        struct archive_verify_options options = {.keys = a->keys,
                                                 .key_count = a->key_count,
                                                 .incarnation = a->incarnation == NULL ? NULL : &a->incarnation_id,
                                                 .sequence = (uint64_t)a->root,
                                                 .since = el_buffer_slice(&since),
                                                 .deep = v->deep,
                                                 .threads = (uint32_t)v->threads,
                                                 .progress = v->deep ? progress : NULL,
                                                 .progress_arg = v};
        code = archive_verify(store, &options, &v->report, &err);
        cli_progress_end(v->cli);
        object_store_close(store);
    }
    el_buffer_free(&since);
    if (code != 0) {
        return archive_failed(v->cli, &err);
    }
    rc = print(v);
    if (rc == CLI_OK && v->report.proven && v->save_path != NULL) {
        rc = archive_write_file(v->cli, v->save_path, el_slice_of(v->report.root.note, v->report.root.note_len));
    }
    return rc != CLI_OK ? rc : v->report.proven ? CLI_OK : CLI_INTEGRITY;
}

int cmd_archive_verify(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct archive_arguments a = {.cli = cli};
    struct verifying *v = el_calloc(1, sizeof *v);
    if (v == NULL) {
        return cli_error(cli, CLI_ERR_OUTPUT, "no memory");
    }
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    v->cli = cli;
    v->threads = processors < 1 ? 1 : processors;
    const struct cli_option options[] = {
        ARCHIVE_OPTIONS(&a),
        {"since", 0, CLI_TEXT, &v->since_path, "FILE",
         "a root note saved before: the archive must have grown out of it"},
        {"save", 0, CLI_TEXT, &v->save_path, "FILE", "keep the root's note, once it is proven"},
        {"deep", 0, CLI_FLAG, &v->deep, NULL, "compare every byte of every object"},
        {"threads", 'j', CLI_INT, &v->threads, "N", "read and hash with so many; default: one a processor"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED) {
        a.url = words.items[0];
        rc = v->threads < 1 || v->threads > (int64_t)ARCHIVE_THREADS_MAX
                 ? cli_error(cli, CLI_ERR_VALUE, "--threads is 1 to %u", ARCHIVE_THREADS_MAX)
                 : archive_arguments_check(&a, true);
        if (rc == CLI_OK) {
            rc = verify(v, &a);
        }
        archive_arguments_free(&a);
        archive_report_free(&v->report);
    }
    el_free(v);
    return rc;
}
