/* SPDX-License-Identifier: Apache-2.0
 *
 * Golden files of the stream index, written and read by evlogd's own code.
 *
 *   make_index FOLDER          write streams/0000 into it: a list and two runs, the same bytes each time
 *   make_index --sound FOLDER  the same without versions and offsets that no log comes to
 *   make_index --read FOLDER   print what evlogd finds there, a line of JSON for each thing; exit 8 for damage
 *
 * The first run has all ways in which an entry is told, the second names with a tree over them.
 */
#include <core/alloc.h>
#include <core/rng.h>
#include <stdio.h>
#include <stdlib.h>
#include <stream/index_list.h>
#include <stream/index_run.h>
#include <string.h>

#define EXIT_DAMAGE 8

static void need(int code, const char *what)
{
    if (code < 0) {
        fprintf(stderr, "make_index: %s: %s\n", what, evlog_error_text(code));
        exit(code == EVLOG_ERR_CORRUPT || code == EVLOG_ERR_FORMAT ? EXIT_DAMAGE : 1);
    }
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static bool sound;

static void add(struct index_run_writer *w, struct el_stream_entry e)
{
    e.position = sound ? e.position % INDEX_POSITION_END : e.position;
    need(index_run_writer_add(w, &e), "entry");
}

static void add_text(struct index_run_writer *w, uint32_t slot, const char *text)
{
    need(index_run_writer_add_name(w, slot, el_slice_str(text)), text);
}

static struct index_run_writer *begin(struct disk *disk, uint64_t run_id)
{
    struct index_run_writer *w = NULL;
    char path[INDEX_PATH_LEN];
    index_run_path(path, 0, run_id);
    need(index_run_writer_open(disk, path, run_id, &w, NULL), path);
    return w;
}

static void end(struct index_run_writer *w)
{
    struct el_index_run_info info;
    need(index_run_writer_finish(w, &info), "finish");
    index_run_writer_close(w);
}

static void write_entries(struct disk *disk)
{
    struct index_run_writer *w = begin(disk, 0x2a);
    struct el_hash128 hash = {.high = 0x0123456789abcdef, .low = 0xfedcba9876543210};
    struct el_rng rng;
    el_rng_seed(&rng, 12);
    for (uint64_t v = 0; v < 700; v++) { /* a stream: steps of every width, tombstones */
        uint64_t flags = v % 50 == 49 ? 1ull << 62 : v == 699 ? 1ull << 63 : 0;
        add(w, (struct el_stream_entry){.slot = 1, .hash = hash, .position = v, .place = (v * v * 3) | flags});
    }
    hash.low++; /* a type, in the second half of a hash */
    for (uint64_t v = 0; v < 300; v++) {
        add(w, (struct el_stream_entry){.slot = 1, .hash = hash, .position = v * v * v});
    }
    hash.high++;
    add(w, (struct el_stream_entry){.slot = 1, .hash = hash, .position = UINT64_MAX, .place = UINT64_MAX});
    for (uint32_t i = 0; i < 300; i++) { /* nothing near to anything, in several slots */
        hash.high = i % 100 == 0 ? 0 : hash.high + (el_rng_next(&rng) >> 8);
        hash.low = el_rng_next(&rng);
        add(w, (struct el_stream_entry){.slot = 3 + i / 100 * 70000,
                                        .hash = hash,
                                        .position = el_rng_next(&rng) >> el_rng_below(&rng, 64),
                                        .place = el_rng_next(&rng) >> el_rng_below(&rng, 64)});
    }
    add(w, (struct el_stream_entry){.slot = UINT32_MAX - 1, .hash = {UINT64_MAX, UINT64_MAX}, .position = UINT64_MAX});
    add_text(w, 1, "");
    add_text(w, 1, "order-1");
    add_text(w, 1, "order-10");
    add_text(w, 1, "order-2");
    add_text(w, 3, "order-2");
    add_text(w, 140003, "z\xff");
    end(w);
}

static void write_names(struct disk *disk)
{
    static uint8_t key[EL_RUN_NAME_KEY_MAX];
    struct index_run_writer *w = begin(disk, 0x29);
    add(w, (struct el_stream_entry){.slot = 1, .hash = {1, 2}, .place = 3});
    for (uint32_t i = 0; i < 9; i++) {
        memset(key, 'a' + (int)i, sizeof(key));
        need(index_run_writer_add_name(w, 7, el_slice_of(key, i % 4 == 3 ? 40 : EL_RUN_NAME_KEY_MAX - i)), "name");
    }
    end(w);
}

static void write_all(struct disk *disk)
{
    struct index_slot slots[] = {{.slot = 1, .partition = 0, .end_offset = 1000},
                                 {.slot = 3, .partition = 12, .end_offset = 0},
                                 {.slot = 140003, .partition = 0, .end_offset = INT64_MAX}};
    uint64_t run_ids[] = {0x2a, 0x29};
    struct index_list list = {.sequence = 5,
                              .next_run_id = 0x2b,
                              .next_slot = UINT32_MAX,
                              .slots = slots,
                              .slot_count = 3,
                              .run_ids = run_ids,
                              .run_count = 2};
    for (int i = 0; i < 3; i++) {
        memset(slots[i].topic_id.bytes, 0x10 * (i + 1), 16);
    }
    memset(list.secret_tag, 0x5e, sizeof(list.secret_tag));
    need(index_list_folder(disk, 0, NULL), "folder");
    write_entries(disk);
    write_names(disk);
    need(index_list_save(disk, 0, &list, NULL), "list");
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static void print_hex(const uint8_t *bytes, size_t len)
{
    putchar('"');
    for (size_t i = 0; i < len; i++) {
        printf("%02x", bytes[i]);
    }
    putchar('"');
}

static void read_run(struct disk *disk, uint64_t run_id)
{
    struct el_index_run_info info;
    struct index_run run;
    struct index_cursor *c = NULL;
    struct el_stream_entry e;
    struct el_slice key;
    char path[INDEX_PATH_LEN];
    uint32_t slot = 0;
    int code = 1;
    index_run_path(path, 0, run_id);
    need(index_run_peek(disk, path, &info, NULL), path);
    void *memory = el_malloc(index_run_memory(&info, true));
    need(memory == NULL ? EVLOG_ERR_NO_MEMORY : index_run_open(disk, path, &info, memory, true, &run, NULL), path);
    need(index_cursor_open(&run, &c), path);
    printf("{\"run\": %llu, \"entries\": %llu, \"names\": %llu, \"hashes\": %llu, \"lines\": %llu}\n",
           (unsigned long long)info.run_id, (unsigned long long)info.entry_count, (unsigned long long)info.name_count,
           (unsigned long long)info.hash_count, (unsigned long long)info.filter_len / EL_RUN_LINE_LEN);
    while ((code = index_cursor_next(c, &e)) > 0) {
        printf("{\"entry\": [%u, \"%016llx%016llx\", %llu, %llu]}\n", e.slot, (unsigned long long)e.hash.high,
               (unsigned long long)e.hash.low, (unsigned long long)e.position, (unsigned long long)e.place);
    }
    while (code == 0 && (code = index_cursor_next_name(c, &slot, &key)) > 0) {
        printf("{\"name\": [%u, ", slot);
        print_hex(key.data, key.len);
        printf("]}\n");
        code = 0;
    }
    need(code, path);
    index_cursor_close(c);
    index_run_close(&run);
    el_free(memory);
}

static void read_all(struct disk *disk)
{
    struct index_list list;
    need(index_list_load(disk, 0, &list, NULL), "list");
    printf("{\"list\": %llu, \"next_run_id\": %llu, \"next_slot\": %u, \"secret_tag\": ",
           (unsigned long long)list.sequence, (unsigned long long)list.next_run_id, list.next_slot);
    print_hex(list.secret_tag, sizeof(list.secret_tag));
    printf("}\n");
    for (uint32_t i = 0; i < list.slot_count; i++) {
        const struct index_slot *s = &list.slots[i];
        printf("{\"slot\": [%u, ", s->slot);
        print_hex(s->topic_id.bytes, sizeof(s->topic_id.bytes));
        printf(", %d, %lld]}\n", s->partition, (long long)s->end_offset);
    }
    for (uint32_t i = 0; i < list.run_count; i++) {
        read_run(disk, list.run_ids[i]);
    }
    index_list_free(&list);
}

int main(int argc, char **argv)
{
    bool reads = argc == 3 && strcmp(argv[1], "--read") == 0;
    struct disk *disk = NULL;
    sound = argc == 3 && strcmp(argv[1], "--sound") == 0;
    if (argc != 2 && !reads && !sound) {
        fprintf(stderr, "usage: make_index [--sound|--read] FOLDER\n");
        return 2;
    }
    need(disk_posix_open(argv[argc - 1], &disk), argv[argc - 1]);
    if (reads) {
        read_all(disk);
    } else {
        write_all(disk);
    }
    disk_posix_close(disk);
    return 0;
}
