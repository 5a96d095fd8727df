/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog archive prove | check-proof: one batch, and what proves that it was signed, in one file (docs/format.md 15.8).
 *
 *   prove        the leaf of the batch that has the offset, the hashes from it up to the root of the partition's newest
 *                checkpoint, and that checkpoint: out of tiles; the batch is the file's extra data
 *   check-proof  signature, hashes, digest: with the file and a public key alone
 */
#include "archive_open.h"

#include <core/alloc.h>
#include <core/crypto.h>
#include <core/timefmt.h>
#include <format/batch.h>
#include <format/tlog_proof.h>
#include <store/archive_cluster.h>
#include <string.h>

#define FILE_MAX (64u << 20)
#define EXTRA_HEAD_LEN (EL_LEAF_ENTRY_LEN + 16u) /* leaf entry, salt; then the batch */

/* --- prove -------------------------------------------------------------------------------------------------------- */

struct proving {
    struct cli *cli;
    struct object_store *store;
    struct archive_reader *reader;
    const char *topic, *out;
    int64_t partition, offset;
    struct archive_batches batches;
    struct el_tlog_proof *proof;
    struct el_buffer extra, text;
    uint8_t note[EL_NOTE_LEN_MAX];
};

/* The incarnation that the batch is in: this one, or one that it continues. */
static struct archive_reader *reader_of(const struct proving *p)
{
    struct archive_reader *at = p->reader;
    while (at != NULL && !el_uuid_eq(&archive_reader_root(at)->incarnation, &p->batches.incarnation)) {
        if (archive_reader_parent(at, &at, NULL) != 0) {
            return NULL;
        }
    }
    return at;
}

static int find_batch(struct proving *p, const struct el_uuid *topic_id)
{
    struct el_error err = {0};
    if (archive_reader_read(p->reader, topic_id, (int32_t)p->partition, p->offset, 1, &p->batches, &err) != 0) {
        return archive_failed(p->cli, &err);
    }
    const struct el_pack_batch *row = p->batches.rows;
    if (p->batches.count == 0 || p->offset < row->leaf.first_offset) {
        return cli_error(p->cli, CLI_ERR_NO_PROOF, "%s[%lld] has no event at offset %lld in the archive", p->topic,
                         (long long)p->partition, (long long)p->offset);
    }
    if (row->redacted) {
        return cli_error(p->cli, CLI_ERR_NO_PROOF, "the batch with offset %lld was redacted", (long long)p->offset);
    }
    uint8_t entry[EL_LEAF_ENTRY_LEN];
    el_leaf_entry_put(entry, &row->leaf);
    el_buffer_append(&p->extra, entry, sizeof entry);
    el_buffer_append(&p->extra, row->salt, sizeof row->salt);
    el_buffer_append(&p->extra, p->batches.data, row->len);
    return p->extra.err == 0 ? CLI_OK : cli_error(p->cli, CLI_ERR_OUTPUT, "no memory");
}

static int write_proof(struct proving *p, const struct el_uuid *topic_id)
{
    struct el_error err = {0};
    struct archive_reader *at = reader_of(p);
    const struct archive_partition *stated = at == NULL ? NULL
                                                        : archive_state_partition(archive_reader_state(at), topic_id,
                                                                                  (int32_t)p->partition);
    uint64_t size = stated == NULL ? 0 : archive_partition_segment_leaves(archive_reader_state(at), stated), done = 0;
    if (p->batches.first_leaf >= size) {
        return cli_error(
            p->cli, CLI_ERR_NO_CHECKPOINT,
            "no checkpoint covers offset %lld of %s[%lld] yet: it is in a bundle, and the newest checkpoint "
            "has %llu batches",
            (long long)p->offset, p->topic, (long long)p->partition, (unsigned long long)size);
    }
    struct archive_tree tree = {.store = p->store,
                                .incarnation = p->batches.incarnation,
                                .topic_id = *topic_id,
                                .partition = (int32_t)p->partition};
    char key[EL_ARCHIVE_KEY_MAX];
    el_archive_key_checkpoint(key, &tree.incarnation, topic_id, (int32_t)p->partition, size);
    int code = object_get(p->store, key, 0, p->note, sizeof p->note, &done, &err);
    p->proof->index = p->batches.first_leaf;
    p->proof->note = el_slice_of(p->note, (size_t)done);
    if (code == 0) {
        code = archive_tiles_prove(&tree, p->proof->index, size, p->proof->hashes, &p->proof->count, &err);
    }
    if (code == 0) {
        code = el_tlog_proof_write(el_buffer_slice(&p->extra), p->proof, &p->text);
        (void)(code == 0 ? 0 : el_error_set(&err, code, "the proof does not fit into memory"));
    }
    return code != 0 ? archive_failed(p->cli, &err) : archive_write_file(p->cli, p->out, el_buffer_slice(&p->text));
}

static int prove(struct proving *p)
{
    const struct archive_topic *topic = archive_state_topic_named(archive_reader_state(p->reader),
                                                                  el_slice_str(p->topic));
    if (topic == NULL) {
        return cli_error(p->cli, CLI_ERR_NO_TOPIC, "the archive has no topic %s", p->topic);
    }
    p->proof = el_calloc(1, sizeof *p->proof);
    int rc = p->proof == NULL ? cli_error(p->cli, CLI_ERR_OUTPUT, "no memory") : find_batch(p, &topic->now.id);
    if (rc == CLI_OK) {
        rc = write_proof(p, &topic->now.id);
    }
    if (rc == CLI_OK) {
        cli_say(p->cli, "%s: offsets %lld to %lld of %s[%lld], %u bytes", p->out,
                (long long)p->batches.rows[0].leaf.first_offset, (long long)el_pack_batch_end(p->batches.rows) - 1,
                p->topic, (long long)p->partition, p->batches.rows[0].len);
    }
    el_free(p->proof);
    el_buffer_free(&p->extra);
    el_buffer_free(&p->text);
    archive_batches_free(&p->batches);
    return rc;
}

int cmd_archive_prove(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct archive_arguments a = {.cli = cli};
    struct proving p = {.cli = cli, .partition = 0, .offset = -1};
    const struct cli_option options[] = {
        ARCHIVE_OPTIONS(&a),
        {"topic", 't', CLI_TEXT, &p.topic, "TOPIC", "of the event"},
        {"partition", 'p', CLI_INT, &p.partition, "N", "of the event; default 0"},
        {"offset", 'o', CLI_INT, &p.offset, "N", "of the event"},
        {"out", 0, CLI_TEXT, &p.out, "FILE", "the proof is written there"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    a.url = words.items[0];
    if (p.topic == NULL || p.out == NULL || p.offset < 0 || p.partition < 0 || p.partition >= EL_PARTITION_COUNT_MAX) {
        return cli_error(cli, CLI_ERR_VALUE, "--topic TOPIC --offset N --out FILE are needed, --partition is from 0");
    }
    rc = archive_arguments_check(&a, false);
    if (rc == CLI_OK) {
        rc = archive_open(&a, &p.store, &p.reader);
    }
    if (rc == CLI_OK) {
        rc = prove(&p);
        archive_reader_close(p.reader);
        object_store_close(p.store);
    }
    archive_arguments_free(&a);
    return rc;
}

/* --- check-proof -------------------------------------------------------------------------------------------------- */

/* What a checkpoint's origin says: "evlog/<cluster>/<incarnation>/<topic id>/<partition>". */
struct origin {
    struct el_uuid cluster, incarnation, topic_id;
    int32_t partition;
};

static bool origin_parse(struct el_slice text, struct origin *o)
{
    char again[EL_ARCHIVE_KEY_MAX];
    const uint8_t *p = text.data;
    if (text.len < 6 + 3 * 33 + 1 || text.len > 6 + 3 * 33 + 10 ||
        archive_id_parse(el_slice_of(p + 6, 32), &o->cluster) != 0 ||
        archive_id_parse(el_slice_of(p + 39, 32), &o->incarnation) != 0 ||
        archive_id_parse(el_slice_of(p + 72, 32), &o->topic_id) != 0) {
        return false;
    }
    int64_t partition = 0;
    for (size_t i = 6 + 3 * 33; i < text.len && p[i] >= '0' && p[i] <= '9'; i++) {
        partition = partition * 10 + (p[i] - '0');
    }
    if (partition > INT32_MAX) {
        return false;
    }
    o->partition = (int32_t)partition;
    el_archive_origin_partition(again, &o->cluster, &o->incarnation, &o->topic_id, o->partition);
    return el_slice_eq(text, el_slice_str(again));
}

static int print_batch(const struct cli *cli, const struct origin *o, const struct el_pack_batch *row,
                       const struct el_tlog_proof *proof)
{
    char topic[33], incarnation[33], when[40] = "-";
    struct el_buffer line = {0};
    el_hex(topic, o->topic_id.bytes, 16);
    el_hex(incarnation, o->incarnation.bytes, 16);
    if (row->leaf.append_time_ns <= INT64_MAX) {
        el_time_format(when, (int64_t)row->leaf.append_time_ns, 9);
    }
    if (cli->json) {
        struct el_json_writer w;
        el_json_writer_init(&w, &line);
        el_json_begin_object(&w);
        el_json_add_bool(&w, "proven", true);
        el_json_add_str(&w, "incarnation", incarnation);
        el_json_add_str(&w, "topic_id", topic);
        el_json_add_int(&w, "partition", o->partition);
        el_json_add_int(&w, "first_offset", row->leaf.first_offset);
        el_json_add_int(&w, "last_offset", el_pack_batch_end(row) - 1);
        el_json_add_int(&w, "events", row->leaf.record_count);
        el_json_add_str(&w, "append_time", when);
        el_json_add_uint(&w, "index", proof->index);
        el_json_add_uint(&w, "size", proof->checkpoint.size);
        el_json_end_object(&w);
        (void)el_json_writer_end(&w);
        el_buffer_append_char(&line, '\n');
    } else {
        el_buffer_printf(&line,
                         "proven: offsets %lld to %lld of topic %s, partition %d, were appended at %s\n"
                         "as batch %llu of the %llu that the checkpoint of archive %s covers\n",
                         (long long)row->leaf.first_offset, (long long)el_pack_batch_end(row) - 1, topic, o->partition,
                         when, (unsigned long long)proof->index, (unsigned long long)proof->checkpoint.size,
                         incarnation);
    }
    return cli_put(cli, &line);
}

static int print_events(const struct cli *cli, const uint8_t *batch, size_t len)
{
    struct el_batch_iter iter;
    struct el_batch_record record;
    struct el_buffer line = {0};
    uint8_t *scratch = NULL;
    int rc = CLI_OK, code = el_batch_open(&iter, batch, len, NULL, 0);
    if (code == EVLOG_ERR_NO_MEMORY && iter.info.scratch_len_wanted > 0) {
        size_t want = EL_MIN(iter.info.scratch_len_wanted, (size_t)EL_BATCH_OUTPUT_MAX);
        scratch = el_malloc(want);
        code = scratch == NULL ? code : el_batch_open(&iter, batch, len, scratch, want);
    }
    while (rc == CLI_OK && code == 0 && el_batch_next(&iter, &record) == 1) {
        el_buffer_printf(&line, "%lld  ", (long long)record.offset);
        cli_text(&line, (struct evlog_bytes){record.record.key.data, record.record.key.len}, CLI_SHOWN_MAX);
        el_buffer_append_str(&line, "  ");
        cli_text(&line, (struct evlog_bytes){record.record.value.data, record.record.value.len}, CLI_SHOWN_MAX);
        el_buffer_append_char(&line, '\n');
        rc = cli_put(cli, &line);
    }
    el_buffer_free(&line);
    el_free(scratch);
    return rc;
}

/* The leaf is the entry's hash, the entry's digest that of salt and batch. */
static int check_extra(struct el_slice extra, struct el_pack_batch *row, struct el_error *err)
{
    struct el_batch_info info;
    if (extra.len < EXTRA_HEAD_LEN + EL_BATCH_LEN_MIN || extra.len > EXTRA_HEAD_LEN + EL_BATCH_LEN_MAX ||
        el_leaf_entry_get(extra.data, &row->leaf) != 0 ||
        el_batch_header(extra.data + EXTRA_HEAD_LEN, extra.len - EXTRA_HEAD_LEN, &info) != 0) {
        return el_error_set(err, EVLOG_ERR_CORRUPT, "its extra data is not an entry, a salt and a batch");
    }
    row->redacted = false;
    row->len = (uint32_t)(extra.len - EXTRA_HEAD_LEN);
    row->last_offset_delta = (uint32_t)info.last_offset_delta;
    memcpy(row->salt, extra.data + EL_LEAF_ENTRY_LEN, sizeof row->salt);
    return el_pack_batch_check(row, extra.data + EXTRA_HEAD_LEN) == 0
               ? 0
               : el_error_set(err, EVLOG_ERR_CORRUPT, "the batch is not the one of the leaf");
}

static int check_text(const struct archive_arguments *a, const char *path, struct el_slice text)
{
    struct el_tlog_proof *proof = el_calloc(1, sizeof *proof);
    struct el_buffer extra = {0};
    struct el_error err = {0};
    struct el_pack_batch row = {.len = 0};
    struct el_hash256 leaf;
    struct origin origin;
    char key_name[EL_ARCHIVE_KEY_MAX];
    if (proof == NULL) {
        return cli_error(a->cli, CLI_ERR_OUTPUT, "no memory");
    }
    int code = el_tlog_proof_parse(text, proof, &err);
    if (code == 0 && !origin_parse(proof->checkpoint.origin, &origin)) {
        code = el_error_set(&err, EVLOG_ERR_CORRUPT, "its checkpoint is not that of an archived partition");
    }
    if (code == 0) {
        code = el_tlog_proof_extra(proof, &extra);
        code = code == 0 ? check_extra(el_buffer_slice(&extra), &row, &err)
                         : el_error_set(&err, EVLOG_ERR_CORRUPT, "it has no batch with it");
    }
    if (code == 0) {
        el_archive_key_name(key_name, &origin.cluster);
        el_merkle_leaf(extra.data, EL_LEAF_ENTRY_LEN, &leaf);
        struct el_tlog_trust trust = {proof->checkpoint.origin, el_slice_str(key_name), a->keys, a->key_count};
        code = el_tlog_proof_verify(proof, &leaf, &trust, &err);
    }
    int rc = code != 0 ? cli_error(a->cli, CLI_ERR_PROOF, "%s: %s", path, err.text)
                       : print_batch(a->cli, &origin, &row, proof);
    if (rc == CLI_OK && !a->cli->json) {
        rc = print_events(a->cli, extra.data + EXTRA_HEAD_LEN, row.len);
    }
    el_buffer_free(&extra);
    el_free(proof);
    return rc;
}

int cmd_archive_check_proof(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct archive_arguments a = {.cli = cli};
    struct el_buffer text = {0};
    const struct cli_option options[] = {
        {"key", 0, CLI_TEXT, &a.key_path, "FILE", "public keys, PEM: the checkpoint must be signed with one"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    rc = archive_arguments_check(&a, true);
    if (rc == CLI_OK) {
        rc = archive_read_file(cli, words.items[0], FILE_MAX, &text);
    }
    if (rc == CLI_OK) {
        rc = check_text(&a, words.items[0], el_buffer_slice(&text));
    }
    el_buffer_free(&text);
    archive_arguments_free(&a);
    return rc;
}
