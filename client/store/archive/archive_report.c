/* SPDX-License-Identifier: Apache-2.0
 *
 * What a verification found, as text and as JSON. Pure functions.
 */
#include <store/archive_report.h>

#include <core/base64.h>
#include <core/crypto.h>
#include <core/json_writer.h>
#include <core/timefmt.h>
#include <inttypes.h>
#include <stdio.h>

#define NS_PER_MS 1000000
#define TIME_TEXT_LEN 40u
#define SHOWN_MAX 20u /* gaps and redactions that people are shown */

/* Name of a topic, or its id where the archive has none for it. */
struct topic_text {
    char text[EL_TOPIC_NAME_MAX + 33];
};

static const char *topic_of(const struct archive_report *report, const struct el_uuid *id, struct topic_text *name)
{
    const struct archive_topic *topic = report->state == NULL ? NULL : archive_state_topic(report->state, id);
    if (topic == NULL) {
        el_hex(name->text, id->bytes, sizeof(id->bytes));
    } else {
        (void)snprintf(name->text, sizeof(name->text), "%.*s", (int)topic->now.name.len,
                       (const char *)topic->now.name.data);
    }
    return name->text;
}

/* "" when there is none. */
static const char *time_of(uint64_t ns, char text[TIME_TEXT_LEN])
{
    text[0] = '\0';
    if (ns > 0 && ns <= INT64_MAX) {
        el_time_format(text, (int64_t)ns, 3);
    }
    return text;
}

/* --- JSON --------------------------------------------------------------------------------------------------------- */

static void add_text(struct el_json_writer *w, const char *name, const char *text)
{
    el_json_add_str(w, name, text[0] == '\0' ? NULL : text);
}

static void add_number(struct el_json_writer *w, const char *name, int64_t number)
{
    el_json_key(w, name);
    if (number < 0) {
        el_json_put_null(w);
    } else {
        el_json_put_int(w, number);
    }
}

static void add_root(struct el_json_writer *w, const struct archive_report *report)
{
    const struct archive_root *root = &report->root;
    char hex[33], tree[45], text[TIME_TEXT_LEN];
    bool opened = root->sequence > 0;
    el_hex(hex, root->cluster.bytes, 16);
    add_text(w, "cluster", opened ? hex : "");
    el_hex(hex, root->incarnation.bytes, 16);
    add_text(w, "incarnation", opened ? hex : "");
    add_number(w, "root", opened ? (int64_t)root->sequence : -1);
    el_base64_encode(tree, root->hash.bytes, sizeof(root->hash.bytes));
    add_text(w, "tree", opened ? tree : "");
    add_text(w, "made", time_of(report->made_ms * NS_PER_MS, text));
    add_text(w, "complete_through", time_of(report->cut_ns, text));
    add_number(w, "since", report->since_sequence > 0 ? (int64_t)report->since_sequence : -1);
}

static void add_counts(struct el_json_writer *w, const struct archive_report *report)
{
    el_json_add_uint(w, "incarnations", report->incarnations);
    el_json_add_uint(w, "topics", report->topics);
    el_json_add_uint(w, "partitions", report->partitions);
    el_json_add_uint(w, "batches", report->batches);
    el_json_add_uint(w, "events", report->events);
    el_json_add_uint(w, "bytes", report->data_len);
    el_json_add_uint(w, "objects", report->objects);
    el_json_add_uint(w, "manifests", report->manifests);
    el_json_add_uint(w, "roots", report->roots);
    el_json_add_uint(w, "tiles", report->tiles);
    el_json_add_uint(w, "checkpoints", report->checkpoints);
    el_json_add_uint(w, "uncovered", report->orphans);
}

static void add_span(struct el_json_writer *w, const char *topic, int32_t partition, int64_t first, int64_t end)
{
    el_json_add_str(w, "topic", topic);
    el_json_add_int(w, "partition", partition);
    el_json_add_int(w, "first", first);
    el_json_add_int(w, "end", end);
}

static void add_gaps(struct el_json_writer *w, const struct archive_report *report)
{
    struct topic_text name;
    el_json_key(w, "gaps");
    el_json_begin_array(w);
    for (size_t i = 0; i < report->gap_count; i++) {
        const struct archive_gap *gap = &report->gaps[i];
        el_json_begin_object(w);
        add_span(w, topic_of(report, &gap->topic_id, &name), gap->partition, gap->first_offset, gap->end_offset);
        el_json_end_object(w);
    }
    el_json_end_array(w);
    el_json_add_uint(w, "gap_count", report->gap_total);
}

static void add_redactions(struct el_json_writer *w, const struct archive_report *report)
{
    struct topic_text name;
    char text[TIME_TEXT_LEN];
    el_json_key(w, "redactions");
    el_json_begin_array(w);
    for (size_t i = 0; i < report->redaction_count; i++) {
        const struct el_manifest_redaction *r = &report->redactions[i].redaction;
        el_json_begin_object(w);
        add_span(w, topic_of(report, &r->topic_id, &name), r->partition, r->first_offset, r->end_offset);
        add_text(w, "when", time_of(r->when_ms * NS_PER_MS, text));
        el_json_key(w, "reason");
        el_json_put_slice(w, r->reason);
        el_json_end_object(w);
    }
    el_json_end_array(w);
}

static void add_retired(struct el_json_writer *w, const struct archive_report *report)
{
    struct topic_text name;
    char text[TIME_TEXT_LEN];
    el_json_key(w, "retired");
    el_json_begin_array(w);
    for (size_t i = 0; i < report->retired_count; i++) {
        const struct el_manifest_retired *r = &report->retired[i].retired;
        el_json_begin_object(w);
        add_span(w, topic_of(report, &r->topic_id, &name), r->partition, report->retired[i].first_offset,
                 r->end_offset);
        add_text(w, "when", time_of(r->when_ms * NS_PER_MS, text));
        add_text(w, "newest", time_of(r->newest_append_ns, text));
        el_json_add_int(w, "retention_ms", r->retention_ms);
        el_json_end_object(w);
    }
    el_json_end_array(w);
}

static void add_failures(struct el_json_writer *w, const struct archive_report *report)
{
    el_json_key(w, "failures");
    el_json_begin_array(w);
    for (size_t i = 0; i < report->finding_count; i++) {
        const struct archive_finding *f = &report->findings[i];
        el_json_begin_object(w);
        add_text(w, "object", f->object);
        add_text(w, "topic", f->topic);
        add_number(w, "partition", f->partition);
        add_number(w, "offset", f->offset);
        add_number(w, "byte", f->byte);
        el_json_add_str(w, "text", f->text);
        el_json_end_object(w);
    }
    el_json_end_array(w);
    el_json_add_uint(w, "failure_count", report->finding_total);
}

int archive_report_json(const struct archive_report *report, struct el_buffer *out)
{
    struct el_json_writer w;
    el_json_writer_init(&w, out);
    el_json_begin_object(&w);
    el_json_add_bool(&w, "proven", report->proven);
    add_root(&w, report);
    add_counts(&w, report);
    add_gaps(&w, report);
    add_redactions(&w, report);
    add_retired(&w, report);
    add_failures(&w, report);
    el_json_end_object(&w);
    int rc = el_json_writer_end(&w);
    el_buffer_append_char(out, '\n');
    return rc != 0 ? rc : out->err;
}

/* --- text --------------------------------------------------------------------------------------------------------- */

static void put_place(struct el_buffer *out, const struct archive_finding *f)
{
    el_buffer_append_str(out, f->object[0] != '\0' ? f->object : "archive");
    if (f->byte >= 0) {
        el_buffer_printf(out, ", byte %" PRId64, f->byte);
    }
    if (f->topic[0] != '\0') {
        el_buffer_printf(out, " (%s/%d", f->topic, f->partition);
        if (f->offset >= 0) {
            el_buffer_printf(out, ", offset %" PRId64, f->offset);
        }
        el_buffer_append_char(out, ')');
    }
}

static void put_failures(struct el_buffer *out, const struct archive_report *report)
{
    for (size_t i = 0; i < report->finding_count; i++) {
        el_buffer_append_str(out, "FAILED ");
        put_place(out, &report->findings[i]);
        el_buffer_printf(out, ": %s\n", report->findings[i].text);
    }
    if (report->finding_total > report->finding_count) {
        el_buffer_printf(out, "and %zu failures more\n", report->finding_total - report->finding_count);
    }
}

/* Text of strangers on a terminal: bytes that could move its cursor are shown as question marks. */
static void put_text(struct el_buffer *out, struct el_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        el_buffer_append_char(out, text.data[i] < ' ' || text.data[i] == 0x7f ? '?' : (char)text.data[i]);
    }
}

/* Offsets that nobody can read any more, each with its reason. */
static void put_left_out(struct el_buffer *out, const struct archive_report *report)
{
    struct topic_text name;
    char text[TIME_TEXT_LEN];
    for (size_t i = 0; i < report->redaction_count; i++) {
        const struct el_manifest_redaction *r = &report->redactions[i].redaction;
        el_buffer_printf(
            out, "redacted %s/%d: offsets %" PRId64 " to %" PRId64 ", %s: ", topic_of(report, &r->topic_id, &name),
            r->partition, r->first_offset, r->end_offset - 1, time_of(r->when_ms * NS_PER_MS, text));
        put_text(out, r->reason);
        el_buffer_append_char(out, '\n');
    }
    for (size_t i = 0; i < report->retired_count && i < SHOWN_MAX; i++) {
        const struct el_manifest_retired *r = &report->retired[i].retired;
        char newest[TIME_TEXT_LEN];
        el_buffer_printf(
            out,
            "retired  %s/%d: offsets %" PRId64 " to %" PRId64 " left the archive, the last of them %s: the "
            "newest was appended %s, and evlog.archive.retention.ms was %" PRId64 "\n",
            topic_of(report, &r->topic_id, &name), r->partition, report->retired[i].first_offset, r->end_offset - 1,
            time_of(r->when_ms * NS_PER_MS, text), time_of(r->newest_append_ns, newest), r->retention_ms);
    }
    if (report->retired_count > SHOWN_MAX) {
        el_buffer_printf(out, "and %zu partitions more of which events left\n", report->retired_count - SHOWN_MAX);
    }
    for (size_t i = 0; i < report->gap_count && i < SHOWN_MAX; i++) {
        const struct archive_gap *gap = &report->gaps[i];
        el_buffer_printf(out, "gap      %s/%d: offsets %" PRId64 " to %" PRId64 " were never archived\n",
                         topic_of(report, &gap->topic_id, &name), gap->partition, gap->first_offset,
                         gap->end_offset - 1);
    }
    if (report->gap_total > SHOWN_MAX) {
        el_buffer_printf(out, "and %zu gaps more\n", report->gap_total - SHOWN_MAX);
    }
    if (report->orphans > 0) {
        el_buffer_printf(out, "%" PRIu64 " objects are not covered by a root and do not count\n", report->orphans);
    }
}

void archive_report_text(const struct archive_report *report, struct el_buffer *out)
{
    char hex[33], made[TIME_TEXT_LEN], cut[TIME_TEXT_LEN];
    put_failures(out, report);
    put_left_out(out, report);
    el_hex(hex, report->root.incarnation.bytes, 16);
    if (report->root.sequence == 0) {
        el_buffer_append_str(out, "not proven: no root could be opened\n");
        return;
    }
    el_buffer_printf(out, "%s: root %" PRIu64 " of %s, made %s, complete through %s\n",
                     report->proven ? "proven" : "not proven", report->root.sequence, hex,
                     time_of(report->made_ms * NS_PER_MS, made),
                     report->cut_ns == 0 ? "nothing yet" : time_of(report->cut_ns, cut));
    el_buffer_printf(out,
                     "%" PRIu64 " events in %" PRIu64 " batches of %" PRIu64 " partitions; %" PRIu64 " packs, %" PRIu64
                     " manifests, %" PRIu64 " tiles, %" PRIu64 " checkpoints\n",
                     report->events, report->batches, report->partitions, report->objects, report->manifests,
                     report->tiles, report->checkpoints);
    if (report->since_sequence > 0) {
        el_buffer_printf(out, "%s root %" PRIu64 ", which was given\n",
                         report->proven ? "it has grown out of" : "it was compared with", report->since_sequence);
    }
}
