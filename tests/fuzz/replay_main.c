/* SPDX-License-Identifier: Apache-2.0
 *
 * A main for fuzz targets without a fuzzer: the same inputs on every machine, so it is a test.
 *
 *   fuzz_<target> [--mutations N] [FILE|FOLDER ...]
 *
 * 1. every file is given to the target as it is, and cut at a few lengths;
 * 2. N mutations follow, drawn by a fixed generator from the files in the order of their names (from nothing when
 *    there are none): flipped bits, set bytes and numbers, cuts, insertions, repeats, pieces of another file.
 *
 * Each input lies in a block of exactly its length, so that the address sanitizer sees the first byte past it. A
 * finding ends the program through the sanitizer; the input that was being tried is written to the path in
 * EVLOG_FUZZ_INPUT, when set, before each call.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILES_MAX 4096
#define INPUT_LEN_MAX (1U << 20)
#define MUTATED_LEN_MAX (1U << 16)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

struct input {
    char *path;
    uint8_t *data;
    size_t len;
};

static struct input inputs[FILES_MAX];
static size_t input_count;
static uint64_t random_state = 0x9e3779b97f4a7c15ULL;
static uint64_t run_count;

static void fail(const char *what, const char *path)
{
    fprintf(stderr, "replay: %s: %s\n", what, path);
    exit(2);
}

/* splitmix64; the bias of the remainder does not matter here. */
static size_t draw(size_t bound)
{
    uint64_t z = (random_state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return bound == 0 ? 0 : (size_t)((z ^ (z >> 31)) % bound);
}

static void keep_input(const uint8_t *data, size_t len)
{
    const char *path = getenv("EVLOG_FUZZ_INPUT");
    if (path == NULL) {
        return;
    }
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(data, 1, len, file) != len || fclose(file) != 0) {
        fail("cannot write", path);
    }
}

static void try_input(const uint8_t *data, size_t len)
{
    uint8_t *exact = malloc(len == 0 ? 1 : len);
    if (exact == NULL) {
        fail("out of memory", "input");
    }
    if (len > 0) {
        memcpy(exact, data, len);
    }
    keep_input(exact, len);
    /* A zero-length block still has one byte; its end is what the target gets, so that reading it is caught. */
    LLVMFuzzerTestOneInput(len == 0 ? exact + 1 : exact, len);
    free(exact);
    run_count++;
}

static void add_file(const char *path)
{
    if (input_count == FILES_MAX) {
        fail("too many files", path);
    }
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(INPUT_LEN_MAX);
    if (file == NULL || data == NULL) {
        fail("cannot open", path);
    }
    size_t len = fread(data, 1, INPUT_LEN_MAX, file);
    fclose(file);
    inputs[input_count].path = strdup(path);
    inputs[input_count].data = data;
    inputs[input_count].len = len;
    input_count++;
}

static void add_path(const char *path)
{
    struct stat about;
    if (stat(path, &about) != 0) {
        fail("cannot open", path);
    }
    if (!S_ISDIR(about.st_mode)) {
        add_file(path);
        return;
    }
    struct dirent **entries;
    int entry_count = scandir(path, &entries, NULL, alphasort);
    if (entry_count < 0) {
        fail("cannot list", path);
    }
    for (int i = 0; i < entry_count; i++) {
        if (entries[i]->d_name[0] != '.') {
            char name[4096];
            int len = snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
            if (len < 0 || (size_t)len >= sizeof name) {
                fail("path too long", path);
            }
            add_file(name);
        }
        free(entries[i]);
    }
    free(entries);
}

/* Open a hole of hole_len bytes at pos; returns the new length, which stays below MUTATED_LEN_MAX. */
static size_t open_hole(uint8_t *data, size_t len, size_t pos, size_t hole_len)
{
    if (len + hole_len > MUTATED_LEN_MAX) {
        return len;
    }
    memmove(data + pos + hole_len, data + pos, len - pos);
    memset(data + pos, 0, hole_len);
    return len + hole_len;
}

/* Numbers at which length fields break: limits of each width, small ones, negatives. */
static void set_number(uint8_t *data, size_t len)
{
    static const uint64_t numbers[] = {0,
                                       1,
                                       0x7f,
                                       0x80,
                                       0xff,
                                       0x7fff,
                                       0x8000,
                                       0xffff,
                                       0x7fffffff,
                                       0x80000000,
                                       0xffffffff,
                                       0x7fffffffffffffff,
                                       0x8000000000000000,
                                       0xffffffffffffffff};
    uint64_t number = numbers[draw(sizeof numbers / sizeof numbers[0])];
    size_t width = (size_t)1 << draw(4);
    if (width > len) {
        return;
    }
    size_t pos = draw(len - width + 1);
    bool big_endian = draw(2) == 0;
    for (size_t i = 0; i < width; i++) {
        size_t shift = 8 * (big_endian ? width - 1 - i : i);
        data[pos + i] = (uint8_t)(number >> shift);
    }
}

static size_t splice(uint8_t *data, size_t len)
{
    if (input_count == 0) {
        return len;
    }
    const struct input *other = &inputs[draw(input_count)];
    size_t piece_len = draw(other->len < 256 ? other->len + 1 : 256);
    size_t from = draw(other->len - piece_len + 1);
    size_t pos = draw(len + 1);
    size_t new_len = open_hole(data, len, pos, piece_len);
    if (new_len != len) {
        memcpy(data + pos, other->data + from, piece_len);
    }
    return new_len;
}

/* One change to data[len]; returns the new length. */
static size_t mutate_once(uint8_t *data, size_t len)
{
    size_t pos = draw(len);
    switch (draw(7)) {
    case 0:
        if (len > 0) {
            data[pos] ^= (uint8_t)(1U << draw(8));
        }
        return len;
    case 1:
        if (len > 0) {
            data[pos] = (uint8_t)draw(256);
        }
        return len;
    case 2:
        set_number(data, len);
        return len;
    case 3:
        return pos;
    case 4:
        len = open_hole(data, len, pos, 1 + draw(8));
        for (size_t i = pos; i < len && i < pos + 8; i++) {
            data[i] = (uint8_t)draw(256);
        }
        return len;
    case 5: {
        size_t cut_len = draw(len - pos + 1);
        memmove(data + pos, data + pos + cut_len, len - pos - cut_len);
        return len - cut_len;
    }
    default:
        return splice(data, len);
    }
}

static void replay_files(void)
{
    for (size_t i = 0; i < input_count; i++) {
        const struct input *input = &inputs[i];
        try_input(input->data, input->len);
        size_t cuts[] = {0, 1, 3, 4, 8, input->len / 2, input->len - (input->len > 0)};
        for (size_t c = 0; c < sizeof cuts / sizeof cuts[0]; c++) {
            if (cuts[c] < input->len) {
                try_input(input->data, cuts[c]);
            }
        }
    }
}

static void replay_mutations(uint64_t mutation_count)
{
    static uint8_t data[MUTATED_LEN_MAX];
    for (uint64_t i = 0; i < mutation_count; i++) {
        size_t len = 0;
        if (input_count > 0) {
            const struct input *input = &inputs[draw(input_count)];
            len = input->len < MUTATED_LEN_MAX ? input->len : MUTATED_LEN_MAX;
            memcpy(data, input->data, len);
        }
        size_t change_count = 1 + draw(4);
        for (size_t c = 0; c < change_count; c++) {
            len = mutate_once(data, len);
        }
        try_input(data, len);
    }
}

int main(int argc, char **argv)
{
    uint64_t mutation_count = 0;
    if (LLVMFuzzerInitialize != NULL) {
        LLVMFuzzerInitialize(&argc, &argv);
    }
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--mutations") == 0 && i + 1 < argc) {
            mutation_count = strtoull(argv[++i], NULL, 10);
        } else {
            add_path(argv[i]);
        }
    }
    replay_files();
    replay_mutations(mutation_count);
    printf("%zu files, %llu inputs\n", input_count, (unsigned long long)run_count);
    for (size_t i = 0; i < input_count; i++) {
        free(inputs[i].path);
        free(inputs[i].data);
    }
    return 0;
}
