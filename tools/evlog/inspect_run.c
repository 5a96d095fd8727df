/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog inspect on a run of the stream index: docs/format.md section 12.2. Each block by itself; whether they fit
 * together is what `evlogd --repair --check` looks at.
 */
#include "inspect_run.h"

#include <evlog/error.h>
#include <format/index_layout.h>

struct look {
    const struct cli *cli;
    const char *path;
    const uint8_t *data;
    uint32_t block_count;
    uint64_t run_id;
    uint64_t problem_count;
};

static void problem(struct look *l, uint32_t number, const char *what)
{
    l->problem_count++;
    (void)fflush(stdout);
    (void)fprintf(stderr, "%s: at %llu: %s\n", l->path, (unsigned long long)number * EL_RUN_BLOCK_LEN, what);
}

static const char *kind_name(enum el_run_block_kind kind)
{
    switch (kind) {
    case EL_RUN_ENTRIES:
        return "entries";
    case EL_RUN_INDEX:
        return "index";
    case EL_RUN_FILTER:
        return "filter";
    case EL_RUN_NAMES:
        return "names";
    case EL_RUN_NAME_INDEX:
        return "name-index";
    case EL_RUN_TOP:
        return "top";
    case EL_RUN_FOOTER:
        return "footer";
    }
    return "unknown";
}

static void print_block(const struct look *l, const struct el_run_block *block)
{
    if (l->cli->json) {
        (void)printf("{\"block\":%u,\"kind\":\"%s\",\"items\":%u", block->number, kind_name(block->kind), block->count);
    } else {
        (void)printf("block %-8u %-10s items %u", block->number, kind_name(block->kind), block->count);
    }
}

static void print_entry(const struct look *l, const char *what, const struct el_stream_entry *e)
{
    (void)printf(l->cli->json ? ",\"%s\":{\"slot\":%u,\"hash\":\"%016llx%016llx\",\"position\":%llu}"
                              : " %s slot %u hash %016llx%016llx position %llu",
                 what, e->slot, (unsigned long long)e->hash.high, (unsigned long long)e->hash.low,
                 (unsigned long long)e->position);
}

/* First and last entry. returns false when one cannot be decoded */
static bool look_at_entries(const struct look *l, const uint8_t *p, uint16_t count)
{
    struct el_entry_unpacker u;
    el_entry_unpacker_init(&u, p + EL_RUN_BLOCK_HEADER_LEN, EL_RUN_BLOCK_LEN - EL_RUN_BLOCK_HEADER_LEN, count);
    int code = el_entry_unpack(&u);
    if (code > 0) {
        print_entry(l, "first", &u.last);
    }
    while (code > 0) {
        code = el_entry_unpack(&u);
    }
    if (code == 0 && count > 0) {
        print_entry(l, "last", &u.last);
    }
    return code == 0;
}

static bool look_at_names(const struct look *l, const uint8_t *p, uint16_t count, bool index)
{
    struct el_name_unpacker u;
    el_name_unpacker_init(&u, p + EL_RUN_BLOCK_HEADER_LEN, EL_RUN_NAME_LEN - EL_RUN_BLOCK_HEADER_LEN, count, index);
    int code = el_name_unpack(&u);
    if (code > 0) {
        (void)printf(l->cli->json ? ",\"slot\":%u" : " from slot %u", u.slot);
    }
    while (code > 0) {
        code = el_name_unpack(&u);
    }
    return code == 0;
}

/* returns blocks of EL_RUN_BLOCK_LEN that it takes */
static uint32_t look_at_block(struct look *l, uint32_t number)
{
    const uint8_t *p = l->data + (size_t)number * EL_RUN_BLOCK_LEN;
    struct el_run_block block = {.run_id = l->run_id, .number = number};
    /* What a block is says how long it is, before its sum can be looked at. */
    bool names = p[20] == EL_RUN_NAMES || p[20] == EL_RUN_NAME_INDEX;
    uint32_t units = names && l->block_count - number > 4 ? EL_RUN_NAME_LEN / EL_RUN_BLOCK_LEN : 1;
    if ((names && units == 1) || el_run_block_open(p, (size_t)units * EL_RUN_BLOCK_LEN, &block) != 0) {
        problem(l, number, "the block does not verify");
        return 1;
    }
    bool good = true;
    print_block(l, &block);
    if (block.kind == EL_RUN_ENTRIES) {
        good = look_at_entries(l, p, block.count);
    } else if (names) {
        good = look_at_names(l, p, block.count, block.kind == EL_RUN_NAME_INDEX);
    }
    (void)printf(l->cli->json ? "}\n" : "\n");
    if (!good) {
        problem(l, number, "what the block holds cannot be decoded");
    }
    return units;
}

uint64_t inspect_run(const struct cli *cli, const char *path, const uint8_t *data, size_t len)
{
    struct look l = {.cli = cli, .path = path, .data = data, .block_count = (uint32_t)(len / EL_RUN_BLOCK_LEN)};
    struct el_index_run_info info;
    if (len < EL_RUN_BLOCK_LEN || el_run_header_get(data, &l.run_id) != 0) {
        problem(&l, 0, "the header does not verify, or is of a newer format");
        return l.problem_count;
    }
    if (len < 2 * EL_RUN_BLOCK_LEN ||
        el_run_footer_get(data + (size_t)(l.block_count - 1) * EL_RUN_BLOCK_LEN, l.run_id, len, &info) != 0) {
        problem(&l, l.block_count - 1, "the footer does not verify, or does not fit the length of the file");
    } else {
        (void)printf(cli->json ? "{\"run\":%llu,\"entries\":%llu,\"names\":%llu,\"hashes\":%llu,\"groups\":%u,"
                                 "\"filter_bytes\":%llu}\n"
                               : "run %llu: entries %llu names %llu hashes %llu groups %u filter %llu bytes\n",
                     (unsigned long long)info.run_id, (unsigned long long)info.entry_count,
                     (unsigned long long)info.name_count, (unsigned long long)info.hash_count, info.group_count,
                     (unsigned long long)info.filter_len);
    }
    for (uint32_t number = 1; number < l.block_count;) {
        number += look_at_block(&l, number);
    }
    return l.problem_count;
}
