/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the life of a shard's stream index, start to end, does what its document says: what is not ours to change is
 * left alone, what is lost comes back from the log. Method: a node on the simulated machine, one thing at a time.
 */
#include "life_kit.h"

#include <core/hash.h>
#include <stdlib.h>

/* --- of a newer format -------------------------------------------------------------------------------------------- */

/* Give the header of a file another format number, with a sum that is right. */
static void make_newer(struct life *l, const char *path, size_t header_len)
{
    uint8_t p[EL_RUN_BLOCK_LEN];
    struct disk *disk = sim_disk_as_disk(l->w.disk);
    size_t done = 0;
    int fd = -1;
    assert_int_equal(disk_open(disk, path, DISK_WRITE, &fd), 0);
    assert_int_equal(disk_pread(disk, fd, p, header_len, 0, &done), 0);
    assert_int_equal(done, header_len);
    el_put_le32(p + 8, 2);
    el_put_le64(p + header_len - 8, el_xxh3(p, header_len - 8));
    assert_int_equal(disk_pwrite(disk, fd, p, header_len, 0), 0);
    assert_int_equal(disk_sync(disk, fd), 0);
    disk_close(disk, fd);
}

static void begin_with_runs(struct life *l, uint64_t seed)
{
    life_init(l, seed);
    life_begin(l);
    for (uint32_t i = 0; i < 2; i++) {
        life_append_many(l, i * 100, 100);
        life_flush(l);
    }
    life_stop(l);
}

struct mix {
    struct disk *disk;
    uint64_t sum;
};

static void mix_file(void *arg, const char *path, uint64_t len)
{
    struct mix *m = arg;
    uint8_t *p = malloc((size_t)len + 1);
    size_t done = 0;
    int fd = -1;
    if (strncmp(path, "streams/", 8) == 0) {
        assert_int_equal(disk_open(m->disk, path, DISK_READ, &fd), 0);
        assert_int_equal(disk_pread(m->disk, fd, p, (size_t)len, 0, &done), 0);
        disk_close(m->disk, fd);
        m->sum = m->sum * 31 + el_xxh3(path, strlen(path)) + el_xxh3(p, done);
    }
    free(p);
}

/* Of all names and bytes of the index. */
static uint64_t index_mix(struct life *l)
{
    struct mix m = {.disk = sim_disk_as_disk(l->w.disk)};
    sim_disk_each(l->w.disk, false, mix_file, &m);
    return m.sum;
}

static void refused_and_unchanged(struct life *l)
{
    struct el_error err = {0};
    uint64_t before = index_mix(l);
    assert_int_equal(life_open(l, &err), EVLOG_ERR_FORMAT);
    assert_non_null(strstr(err.text, "start a newer evlogd"));
    assert_non_null(strstr(err.text, "streams/0000"));
    assert_int_equal(index_mix(l), before);
    assert_int_equal(sim_disk_open_count(l->w.disk), 0);
}

TEST(streams, a_list_of_a_newer_format_refuses_the_start)
{
    struct life l;
    begin_with_runs(&l, 1);
    make_newer(&l, "streams/0000/list", 128);
    refused_and_unchanged(&l);
    life_free(&l);
}

TEST(streams, a_run_of_a_newer_format_refuses_the_start)
{
    struct life l;
    char path[128];
    begin_with_runs(&l, 2);
    assert_true(life_files(&l, ".run", path) >= 2);
    make_newer(&l, path, EL_RUN_BLOCK_LEN);
    refused_and_unchanged(&l);
    life_free(&l);
}

static void last_path(void *arg, const char *path, uint64_t len)
{
    (void)len;
    if (strstr(path, ".run") != NULL) {
        memcpy(arg, path, strlen(path) + 1);
    }
}

/* Whichever is looked at first: the newer one counts. */
TEST(streams, a_run_of_a_newer_format_is_found_beside_damage)
{
    for (unsigned i = 0; i < 2; i++) {
        struct life l;
        char first[128], last[128];
        begin_with_runs(&l, 3);
        assert_true(life_files(&l, ".run", first) >= 2);
        sim_disk_each(l.w.disk, false, last_path, last);
        make_newer(&l, i == 0 ? first : last, EL_RUN_BLOCK_LEN);
        assert_true(sim_disk_flip(l.w.disk, i == 0 ? last : first, 20, 1));
        refused_and_unchanged(&l);
        life_free(&l);
    }
}
