/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog inspect: what a journal slot, a segment or a file of the stream index (inspect_run.c) holds, one line for each
 * group, frame, chunk, batch and block, with every checksum computed again. Needs no server; a server may be running,
 * but then the end of a file may be half written.
 *
 * 1. The file is mapped; its first bytes say what it is.
 * 2. A journal slot is looked at block by block: a group, a durable-end mark, or zeros.
 * 3. A segment is walked from its header through the chunks to the footer, or to the zeros behind the last chunk.
 *
 * Exit code 8 when anything does not add up; the rest is still printed. Source: docs/format.md.
 */
#include "cli.h"
#include "inspect_run.h"

#include <core/base64.h>
#include <core/crypto.h>
#include <core/hash.h>
#include <core/timefmt.h>
#include <errno.h>
#include <fcntl.h>
#include <format/batch.h>
#include <format/journal_layout.h>
#include <format/segment_layout.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct inspect {
    struct cli *cli;
    const char *path;
    const uint8_t *data;
    size_t len;
    uint64_t problem_count;
};

static void problem(struct inspect *in, uint64_t pos, const char *what)
{
    in->problem_count++;
    (void)fflush(stdout);
    (void)fprintf(stderr, "%s: at %llu: %s\n", in->path, (unsigned long long)pos, what);
}

static bool all_zero(const uint8_t *p, size_t len)
{
    return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

static void time_text(char *text, uint64_t ns)
{
    if (ns > INT64_MAX) {
        memcpy(text, "-", 2);
    } else {
        el_time_format(text, (int64_t)ns, 9);
    }
}

static const char *frame_name(enum el_frame_type type)
{
    switch (type) {
    case EL_FRAME_BATCH:
        return "batch";
    case EL_FRAME_CARRY:
        return "carry";
    case EL_FRAME_LOG_START:
        return "log-start";
    case EL_FRAME_CLOCK:
        return "clock";
    case EL_FRAME_PRODUCER_IDS:
        return "producer-ids";
    }
    return "unknown";
}

/* --- batches ---------------------------------------------------------------------------------------------------- */

/* The rest of a line about a batch; false when its own checksum is wrong. */
static bool print_batch(const struct inspect *in, const uint8_t *batch, size_t len)
{
    struct el_batch_info info;
    bool ok = el_batch_header(batch, len, &info) == 0 && el_batch_verify(batch, len) == 0;
    if (!ok) {
        (void)printf(in->cli->json ? ",\"batch\":null}\n" : " batch unreadable\n");
        return false;
    }
    const char *codec = el_codec_name(info.codec);
    if (in->cli->json) {
        (void)printf(",\"records\":%d,\"last_offset_delta\":%d,\"bytes\":%u,\"codec\":\"%s\",\"max_timestamp\":%lld,"
                     "\"producer_id\":%lld,\"producer_epoch\":%d,\"base_sequence\":%d}\n",
                     info.record_count, info.last_offset_delta, info.len, codec == NULL ? "?" : codec,
                     (long long)info.max_timestamp, (long long)info.producer_id, info.producer_epoch,
                     info.base_sequence);
    } else {
        (void)printf(" records %d bytes %u %s producer %lld/%d sequence %d\n", info.record_count, info.len,
                     codec == NULL ? "?" : codec, (long long)info.producer_id, info.producer_epoch, info.base_sequence);
    }
    return true;
}

/* --- journal ---------------------------------------------------------------------------------------------------- */

static void print_frame(struct inspect *in, uint64_t pos, const struct el_frame *frame)
{
    char id[EL_UUID_TEXT_LEN + 1], when[40];
    el_uuid_format(id, &frame->topic_id);
    time_text(when, frame->append_time_ns);
    if (in->cli->json) {
        (void)printf("{\"frame\":\"%s\",\"pos\":%llu,\"topic_id\":\"%s\",\"partition\":%d,\"offset\":%lld,"
                     "\"leader_epoch\":%d,\"append_time\":\"%s\"",
                     frame_name(frame->type), (unsigned long long)pos, id, frame->partition,
                     (long long)frame->base_offset, frame->leader_epoch, when);
    } else {
        (void)printf("  %-12s %s[%d] offset %lld epoch %d %s", frame_name(frame->type), id, frame->partition,
                     (long long)frame->base_offset, frame->leader_epoch, when);
    }
    bool has_batch = frame->type == EL_FRAME_BATCH || frame->type == EL_FRAME_CARRY;
    if (!has_batch) {
        (void)printf(in->cli->json ? "}\n" : "\n");
    } else if (!print_batch(in, frame->payload, frame->payload_len)) {
        problem(in, pos, "the frame's batch does not pass its checks");
    }
}

static void print_group(struct inspect *in, uint64_t pos, const struct el_group_header *h)
{
    char when[40];
    time_text(when, h->append_time_ns);
    if (in->cli->json) {
        (void)printf("{\"group\":%llu,\"pos\":%llu,\"shard\":%u,\"slot\":%u,\"frames\":%u,\"bytes\":%u,"
                     "\"incarnation\":\"%016llx\",\"durable_through\":%llu,\"boot\":%llu,\"append_time\":\"%s\"}\n",
                     (unsigned long long)h->sequence, (unsigned long long)pos, h->shard, h->slot, h->frame_count,
                     h->len, (unsigned long long)h->incarnation, (unsigned long long)h->durable_through,
                     (unsigned long long)h->boot, when);
    } else {
        (void)printf("group %llu at %llu: shard %u slot %u frames %u bytes %u incarnation %016llx durable through %llu"
                     " %s\n",
                     (unsigned long long)h->sequence, (unsigned long long)pos, h->shard, h->slot, h->frame_count,
                     h->len, (unsigned long long)h->incarnation, (unsigned long long)h->durable_through, when);
    }
}

static size_t inspect_group(struct inspect *in, uint64_t pos, const struct el_group_header *h)
{
    const uint8_t *group = in->data + pos;
    size_t frame_pos = EL_GROUP_HEADER_LEN;
    struct el_frame frame;
    print_group(in, pos, h);
    for (uint32_t i = 0; i < h->frame_count; i++) {
        uint64_t at = pos + frame_pos;
        int rc = el_frame_next(group, h, &frame_pos, &frame);
        if (rc != 0) {
            problem(in, at, "the group's frames do not add up");
            break;
        }
        print_frame(in, at, &frame);
    }
    return (size_t)EL_ALIGN_UP(h->len, EL_JOURNAL_ALIGN);
}

static void print_mark(const struct inspect *in, uint64_t pos)
{
    uint32_t shard = el_get_le32(in->data + pos + 12);
    uint64_t incarnation, sequence;
    if (el_mark_get(in->data + pos, shard, &incarnation, &sequence) != 0) {
        (void)printf(in->cli->json ? "{\"mark\":null,\"pos\":%llu}\n" : "mark at %llu: unreadable\n",
                     (unsigned long long)pos);
        return;
    }
    (void)printf(in->cli->json ? "{\"mark\":%llu,\"pos\":%llu,\"shard\":%u,\"incarnation\":\"%016llx\"}\n"
                               : "mark %llu at %llu: shard %u incarnation %016llx\n",
                 (unsigned long long)sequence, (unsigned long long)pos, shard, (unsigned long long)incarnation);
}

static void inspect_journal(struct inspect *in)
{
    uint64_t pos = 0;
    if (all_zero(in->data, in->len)) {
        (void)printf(in->cli->json ? "{\"free_slot\":%zu}\n" : "free slot, %zu bytes of zeros\n", in->len);
        return;
    }
    while (pos + EL_JOURNAL_ALIGN <= in->len) {
        struct el_group_header h;
        int rc = el_group_open(in->data + pos, in->len - pos, true, &h);
        if (rc == 0) {
            pos += inspect_group(in, pos, &h);
            continue;
        }
        if (memcmp(in->data + pos, EL_MARK_MAGIC, 8) == 0) {
            print_mark(in, pos);
        } else if (rc == EVLOG_ERR_FORMAT) {
            problem(in, pos, "a group in a newer format");
        } else if (rc != EVLOG_ERR_NOT_FOUND) {
            problem(in, pos, "a group that does not pass its checksum: torn, or written over later");
        }
        pos += EL_JOURNAL_ALIGN;
    }
}

/* --- segment ---------------------------------------------------------------------------------------------------- */

static void print_entry(struct inspect *in, uint64_t pos, const struct el_chunk_entry *e)
{
    char when[40];
    time_text(when, e->append_time_ns);
    if (in->cli->json) {
        (void)printf("{\"batch\":%lld,\"pos\":%llu,\"leader_epoch\":%d,\"append_time\":\"%s\"",
                     (long long)e->base_offset, (unsigned long long)pos, e->leader_epoch, when);
    } else {
        (void)printf("  offset %lld epoch %d %s", (long long)e->base_offset, e->leader_epoch, when);
    }
    bool ok = print_batch(in, in->data + pos, e->len);
    if (!ok || el_xxh3(in->data + pos, e->len) != e->checksum) {
        problem(in, pos, "the batch does not pass its checks");
    }
}

/* A chunk at pos. returns its length | 0 it cannot be walked */
static uint64_t inspect_chunk(struct inspect *in, uint64_t pos)
{
    struct el_chunk_header h;
    const uint8_t *p = in->data + pos;
    if (in->len - pos < EL_CHUNK_HEADER_LEN || el_chunk_header_get(p, &h) != 0 ||
        in->len - pos < el_chunk_len(h.count, h.data_len) || h.pos != pos) {
        problem(in, pos, "no chunk where one should be");
        return 0;
    }
    if (el_chunk_check(p, &h) != 0) {
        problem(in, pos, "the chunk's table does not pass its checks");
        return 0;
    }
    (void)printf(in->cli->json ? "{\"chunk\":%llu,\"batches\":%u,\"bytes\":%u}\n"
                               : "chunk at %llu: batches %u bytes %u\n",
                 (unsigned long long)pos, h.count, h.data_len);
    uint64_t batch_pos = pos + EL_CHUNK_HEADER_LEN + (uint64_t)h.count * EL_CHUNK_ENTRY_LEN;
    for (uint32_t i = 0; i < h.count; i++) {
        struct el_chunk_entry e;
        el_chunk_entry_get(p + EL_CHUNK_HEADER_LEN + (size_t)i * EL_CHUNK_ENTRY_LEN, &e);
        print_entry(in, batch_pos, &e);
        batch_pos += e.len;
    }
    return el_chunk_end(pos, h.count, h.data_len) - pos;
}

static void inspect_footer(struct inspect *in, uint64_t pos, uint64_t len, uint64_t checksum)
{
    struct el_slice section;
    uint8_t digest[32];
    char hex[65];
    int rc = el_footer_section(in->data + pos, (size_t)len, checksum, EL_FOOTER_SHA256_TAG, &section);
    bool has_digest = rc == 0 && section.len == sizeof digest;
    if (!has_digest && rc != EVLOG_ERR_NOT_FOUND) {
        problem(in, pos, "the footer does not pass its checks");
        return;
    }
    el_sha256(in->data, (size_t)pos, digest);
    el_hex(hex, digest, sizeof digest);
    if (has_digest && memcmp(digest, section.data, sizeof digest) != 0) {
        problem(in, pos, "the segment's SHA-256 is another one");
    }
    (void)printf(in->cli->json ? "{\"footer\":%llu,\"sha256\":\"%s\"}\n" : "footer at %llu: sealed, sha256 %s\n",
                 (unsigned long long)pos, hex);
}

static void inspect_segment(struct inspect *in)
{
    struct el_segment_header h;
    char id[EL_UUID_TEXT_LEN + 1];
    if (in->len < EL_SEGMENT_HEADER_LEN || el_segment_header_get(in->data, &h) != 0) {
        problem(in, 0, "the segment's header does not pass its checks");
        return;
    }
    el_uuid_format(id, &h.topic_id);
    (void)printf(in->cli->json ? "{\"segment\":%llu,\"topic_id\":\"%s\",\"partition\":%d,\"offset\":%lld}\n"
                               : "segment %llu: %s[%d] from offset %lld\n",
                 (unsigned long long)h.segment_id, id, h.partition, (long long)h.base_offset);
    uint64_t end = in->len, footer_len = 0, checksum = 0;
    bool sealed = in->len > EL_SEGMENT_HEADER_LEN + EL_SEGMENT_TRAILER_LEN &&
                  el_trailer_get(in->data + in->len - EL_SEGMENT_TRAILER_LEN, in->len, &end, &footer_len, &checksum) ==
                      0;
    end = sealed ? end : in->len;
    uint64_t pos = EL_SEGMENT_HEADER_LEN;
    while (pos < end && !all_zero(in->data + pos, (size_t)(end - pos))) {
        uint64_t len = inspect_chunk(in, pos);
        if (len == 0) {
            break;
        }
        pos += len;
    }
    if (sealed) {
        inspect_footer(in, end, footer_len, checksum);
    }
}

/* --- files ------------------------------------------------------------------------------------------------------ */

/* A journal slot begins with a group or a mark, or is all zeros up to its first group. */
static bool looks_like_journal(const struct inspect *in)
{
    for (uint64_t pos = 0; pos + EL_JOURNAL_ALIGN <= in->len; pos += EL_JOURNAL_ALIGN) {
        const uint8_t *p = in->data + pos;
        if (memcmp(p, EL_GROUP_MAGIC, 8) == 0 || memcmp(p, EL_MARK_MAGIC, 8) == 0) {
            return true;
        }
    }
    return in->len > 0 && in->len % EL_JOURNAL_ALIGN == 0 && all_zero(in->data, in->len);
}

static int inspect_mapped(struct inspect *in)
{
    if (in->len >= 8 && memcmp(in->data, "EVLOGSEG", 8) == 0) {
        inspect_segment(in);
    } else if (in->len >= 8 && memcmp(in->data, INSPECT_RUN_MAGIC, 8) == 0) {
        in->problem_count = inspect_run(in->cli, in->path, in->data, in->len);
    } else if (looks_like_journal(in)) {
        inspect_journal(in);
    } else {
        return cli_error(in->cli, CLI_ERR_UNKNOWN_FILE,
                         "%s is no journal slot, no segment and no file of the stream index", in->path);
    }
    if (in->problem_count > 0) {
        return cli_error(in->cli, CLI_ERR_FORMAT, "%s: %llu places do not add up", in->path,
                         (unsigned long long)in->problem_count);
    }
    return CLI_OK;
}

static int inspect_file(struct cli *cli, const char *path)
{
    struct inspect in = {.cli = cli, .path = path};
    struct stat status;
    char reason[64];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        int rc = cli_error(cli, CLI_ERR_FILE, "%s: %s", path, strerror_r(errno, reason, sizeof reason));
        if (fd >= 0) {
            (void)close(fd);
        }
        return rc;
    }
    in.len = S_ISREG(status.st_mode) ? (size_t)status.st_size : 0;
    void *mapped = in.len == 0 ? MAP_FAILED : mmap(NULL, in.len, PROT_READ, MAP_PRIVATE, fd, 0);
    (void)close(fd);
    if (mapped == MAP_FAILED) {
        return cli_error(cli, CLI_ERR_UNKNOWN_FILE, "%s is empty, or no file", path);
    }
    in.data = mapped;
    int rc = inspect_mapped(&in);
    (void)munmap(mapped, in.len);
    return rc;
}

int cmd_inspect(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct cli_grammar grammar = {NULL, 0, 1, -1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    rc = CLI_OK;
    for (int i = 0; i < words.count; i++) {
        int its = inspect_file(cli, words.items[i]);
        rc = rc == CLI_OK ? its : rc;
    }
    return rc;
}
