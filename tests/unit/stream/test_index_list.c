/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a shard has its old list or its new one, whole, and every run that the list names, whatever a crash or an error
 * cuts short; what is not listed goes. Method: each byte changed, each call of the disk crashed at or failed, many ways
 * for a power cut to leave things.
 */
#include "run_kit.h"

#include <core/hash.h>
#include <evlog/error.h>
#include <stdio.h>
#include <string.h>

#define LIST "streams/0000/list"
#define SLOTS 3u
#define RUNS 2u

/* A list with everything; sequence and runs rise with n. */
struct made {
    struct index_list list;
    struct index_slot slots[SLOTS];
    uint64_t run_ids[RUNS];
};

static void make(struct made *m, uint64_t n)
{
    memset(m, 0, sizeof(*m));
    for (uint32_t i = 0; i < SLOTS; i++) {
        m->slots[i] = (struct index_slot){
            .slot = 2 * i + 1, .partition = (int32_t)i, .end_offset = (int64_t)(1000 * n + i)};
        memset(m->slots[i].topic_id.bytes, (int)(0x40 + i), 16);
    }
    m->run_ids[0] = n + 1;
    m->run_ids[1] = n;
    m->list = (struct index_list){.sequence = n,
                                  .next_run_id = n + 2,
                                  .next_slot = 9,
                                  .slots = m->slots,
                                  .slot_count = SLOTS,
                                  .run_ids = m->run_ids,
                                  .run_count = RUNS};
    memset(m->list.secret_tag, 0x5a, sizeof(m->list.secret_tag));
}

static void lists_are_equal(const struct index_list *a, const struct index_list *b)
{
    assert_int_equal(a->sequence, b->sequence);
    assert_int_equal(a->next_run_id, b->next_run_id);
    assert_int_equal(a->next_slot, b->next_slot);
    assert_int_equal(a->slot_count, b->slot_count);
    assert_int_equal(a->run_count, b->run_count);
    for (uint32_t i = 0; i < a->slot_count; i++) {
        assert_int_equal(a->slots[i].slot, b->slots[i].slot);
        assert_int_equal(a->slots[i].partition, b->slots[i].partition);
        assert_int_equal(a->slots[i].end_offset, b->slots[i].end_offset);
        assert_memory_equal(&a->slots[i].topic_id, &b->slots[i].topic_id, 16);
    }
    assert_memory_equal(a->run_ids, b->run_ids, a->run_count * sizeof(*a->run_ids));
    assert_memory_equal(a->secret_tag, b->secret_tag, 16);
}

static int load(struct kit *k, struct index_list *list)
{
    return index_list_load(&k->d.disk, 0, list, NULL);
}

TEST(index_list, an_absent_one_is_empty)
{
    struct kit k;
    struct index_list list;
    kit_init(&k, 1);
    assert_int_equal(load(&k, &list), 0);
    assert_int_equal(list.sequence, 0);
    assert_int_equal(list.slot_count, 0);
    assert_int_equal(list.run_count, 0);
    assert_int_equal(list.next_run_id, 1);
    assert_int_equal(list.next_slot, 1);
    index_list_free(&list);
    assert_int_equal(index_list_sweep(&k.d.disk, 5, &list, NULL), 0); /* there is not even a folder */
    kit_free(&k);
}

TEST(index_list, is_read_as_it_was_saved)
{
    struct kit k;
    struct made m;
    struct index_list list;
    kit_init(&k, 2);
    for (uint64_t n = 1; n < 4; n++) {
        make(&m, n);
        m.list.slot_count = (uint32_t)(n % 3 + 1);
        m.list.run_count = (uint32_t)(n - 1);
        m.list.run_count = EL_MIN(m.list.run_count, RUNS);
        assert_int_equal(index_list_save(&k.d.disk, 0, &m.list, NULL), 0);
        assert_int_equal(load(&k, &list), 0);
        lists_are_equal(&list, &m.list);
        index_list_free(&list);
    }
    kit_free(&k);
}

TEST(index_list, every_changed_byte_and_every_cut_is_told)
{
    struct kit k;
    struct made m;
    struct index_list list;
    uint64_t len = 128 + SLOTS * 32 + RUNS * 8;
    kit_init(&k, 3);
    make(&m, 5);
    assert_int_equal(index_list_save(&k.d.disk, 0, &m.list, NULL), 0);
    for (uint64_t pos = 0; pos < len; pos++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            assert_true(sim_disk_flip(k.sim, LIST, pos, (uint8_t)(1u << bit)));
            assert_int_equal(load(&k, &list), EVLOG_ERR_CORRUPT);
            assert_true(sim_disk_flip(k.sim, LIST, pos, (uint8_t)(1u << bit)));
        }
    }
    assert_int_equal(load(&k, &list), 0);
    index_list_free(&list);
    while (len-- > 0) {
        assert_true(sim_disk_cut(k.sim, LIST, len));
        assert_int_equal(load(&k, &list), EVLOG_ERR_CORRUPT);
    }
    kit_free(&k);
}

/* Write a number of `bits` bits at pos of the saved list, put the sums right, and load it. */
static int lie(struct kit *k, size_t pos, unsigned bits, uint64_t value)
{
    uint8_t p[512], was[512];
    struct index_list list;
    size_t len = 0;
    int fd = -1;
    assert_int_equal(disk_open(k->d.inner, LIST, DISK_WRITE, &fd), 0);
    assert_int_equal(disk_pread(k->d.inner, fd, p, sizeof(p), 0, &len), 0);
    memcpy(was, p, len);
    memcpy(p + pos, &value, bits / 8);
    el_put_le64(p + 72, el_xxh3(p + 128, len - 128));
    el_put_le64(p + 120, el_xxh3(p, 120));
    assert_int_equal(disk_pwrite(k->d.inner, fd, p, len, 0), 0);
    int code = load(k, &list);
    if (code == 0) {
        index_list_free(&list);
    }
    assert_int_equal(disk_pwrite(k->d.inner, fd, was, len, 0), 0);
    disk_close(k->d.inner, fd);
    return code;
}

TEST(index_list, one_that_contradicts_itself_is_refused)
{
    struct kit k;
    struct made m;
    kit_init(&k, 4);
    make(&m, 5);
    assert_int_equal(index_list_save(&k.d.disk, 0, &m.list, NULL), 0);
    assert_int_equal(lie(&k, 8, 32, 2), EVLOG_ERR_FORMAT);
    assert_int_equal(lie(&k, 8, 32, 0), EVLOG_ERR_CORRUPT);
    assert_int_equal(lie(&k, 12, 32, 1), EVLOG_ERR_CORRUPT); /* another shard's */
    assert_int_equal(lie(&k, 16, 64, 0), EVLOG_ERR_CORRUPT); /* sequence */
    assert_int_equal(lie(&k, 24, 64, 6), EVLOG_ERR_CORRUPT); /* a run that is still to be given */
    assert_int_equal(lie(&k, 32, 32, 5), EVLOG_ERR_CORRUPT); /* a slot that is */
    assert_int_equal(lie(&k, 36, 32, 4), EVLOG_ERR_CORRUPT); /* more slots than there are */
    assert_int_equal(lie(&k, 36, 32, UINT32_MAX), EVLOG_ERR_CORRUPT);
    assert_int_equal(lie(&k, 40, 32, 3), EVLOG_ERR_CORRUPT); /* more runs */
    assert_int_equal(lie(&k, 40, 32, UINT32_MAX), EVLOG_ERR_CORRUPT);
    assert_int_equal(lie(&k, 64, 64, 1), EVLOG_ERR_CORRUPT);           /* length of the body */
    assert_int_equal(lie(&k, 128, 32, 0), EVLOG_ERR_CORRUPT);          /* slot 0 */
    assert_int_equal(lie(&k, 160, 32, 1), EVLOG_ERR_CORRUPT);          /* the same slot twice */
    assert_int_equal(lie(&k, 132, 32, UINT32_MAX), EVLOG_ERR_CORRUPT); /* partition */
    assert_int_equal(lie(&k, 152, 64, UINT64_MAX), EVLOG_ERR_CORRUPT); /* end offset */
    assert_int_equal(lie(&k, 224, 64, 5), EVLOG_ERR_CORRUPT);          /* the same run twice */
    assert_int_equal(lie(&k, 44, 32, 7), 0);                           /* zero: not looked at */
    assert_int_equal(lie(&k, 40, 32, 1), 0);                           /* something behind the runs: passed over */
    kit_free(&k);
}

static uint32_t file_count;
static void count_file(void *arg, const char *path, uint64_t len)
{
    file_count += strstr(path, arg) != NULL;
}
static uint32_t files(struct kit *k, const char *text)
{
    file_count = 0;
    sim_disk_each(k->sim, false, count_file, (void *)(uintptr_t)text);
    return file_count;
}

static void touch(struct kit *k, const char *path)
{
    int fd = -1;
    assert_int_equal(disk_open(k->d.inner, path, DISK_WRITE | DISK_CREATE, &fd), 0);
    assert_int_equal(disk_close(k->d.inner, fd), 0);
}

TEST(index_list, sweeps_what_it_does_not_name_and_nothing_else)
{
    struct kit k;
    struct made m;
    char path[INDEX_PATH_LEN];
    kit_init(&k, 5);
    make(&m, 7);
    assert_int_equal(index_list_save(&k.d.disk, 0, &m.list, NULL), 0);
    for (uint64_t id = 0; id < 200; id++) {
        index_run_path(path, 0, id);
        touch(&k, path);
    }
    touch(&k, "streams/0000/list.tmp");
    touch(&k, "streams/0000/00000000000000FF.run");
    touch(&k, "streams/0000/00000000000000ff.runs");
    touch(&k, "streams/0000/notes");
    touch(&k, "streams/secret");
    assert_int_equal(index_list_sweep(&k.d.disk, 0, &m.list, NULL), 0);
    assert_int_equal(files(&k, ".run"), 4);
    assert_int_equal(files(&k, "0007.run"), 1);
    assert_int_equal(files(&k, "0008.run"), 1);
    assert_int_equal(files(&k, "list"), 1);
    assert_int_equal(files(&k, "notes"), 1);
    assert_int_equal(files(&k, "secret"), 1);
    kit_free(&k);
}

/* --- crashes and errors ------------------------------------------------------------------------------------------- */

static struct kit_set sets[2];

/* From list 1 with run 1 to list 2 with runs 2 and 1. */
static int step_on(struct kit *k)
{
    struct made m;
    struct el_index_run_info info;
    int code = kit_write(k, 2, &sets[1], &info);
    make(&m, 1);
    m.list.sequence = 2;
    m.run_ids[0] = 2;
    m.run_ids[1] = 1;
    return code != 0 ? code : index_list_save(&k->d.disk, 0, &m.list, NULL);
}

static void start_with_one(struct kit *k, uint64_t seed)
{
    struct made m;
    struct el_index_run_info info;
    kit_init(k, seed);
    assert_int_equal(kit_write(k, 1, &sets[0], &info), 0);
    make(&m, 1);
    m.list.run_count = 1;
    m.run_ids[0] = 1;
    assert_int_equal(index_list_save(&k->d.disk, 0, &m.list, NULL), 0);
}

/* As at a start. returns the sequence of the list */
static uint64_t start_again(struct kit *k)
{
    struct index_list list;
    struct kit_run run;
    assert_int_equal(load(k, &list), 0);
    assert_int_equal(index_list_sweep(&k->d.disk, 0, &list, NULL), 0);
    assert_int_equal(files(k, ".run"), list.run_count);
    assert_int_equal(files(k, "tmp"), 0);
    for (uint32_t i = 0; i < list.run_count; i++) {
        assert_int_equal(kit_open(k, list.run_ids[i], true, &run), 0);
        kit_run_is(&run, &sets[list.run_ids[i] - 1]);
        kit_close(&run);
    }
    uint64_t sequence = list.sequence;
    assert_int_equal(list.run_count, sequence);
    index_list_free(&list);
    return sequence;
}

static void sets_make(void)
{
    struct el_rng rng;
    el_rng_seed(&rng, 6);
    for (int i = 0; i < 2; i++) {
        do {
            kit_set_free(&sets[i]);
            kit_set_draw(&sets[i], &rng, 60000, 3000, 4);
        } while (sets[i].entry_count < 30000);
    }
}

static void sets_free(void)
{
    kit_set_free(&sets[0]);
    kit_set_free(&sets[1]);
    memset(sets, 0, sizeof(sets));
}

TEST(index_list, a_crash_at_any_call_leaves_the_old_one_or_the_new_one)
{
    uint32_t old_count = 0, new_count = 0;
    bool done = false;
    sets_make();
    for (uint64_t n = 1; !done; n++) {
        for (uint64_t seed = 0; seed < 8; seed++) {
            struct kit k;
            start_with_one(&k, seed);
            sim_disk_fault_set(k.sim, FAULT_NAMES_LOST, SIM_PPM / 2);
            sim_disk_crash_at(k.sim, n);
            int code = step_on(&k);
            done = code == 0;
            sim_disk_crash_at(k.sim, 0);
            sim_disk_power_cycle(k.sim);
            uint64_t sequence = start_again(&k);
            assert_true(code != 0 || sequence == 2);
            old_count += sequence == 1;
            new_count += sequence == 2;
            kit_free(&k);
        }
    }
    assert_true(old_count > 20);
    assert_true(new_count > 8); /* also by a cut after the rename whose call never returned */
    sets_free();
}

TEST(index_list, an_error_at_any_call_leaves_the_old_one_or_the_new_one)
{
    uint64_t n = 1;
    sets_make();
    for (int code = EVLOG_ERR_IO; code != 0; n++) {
        struct kit k;
        start_with_one(&k, n);
        kit_fail_at(&k, n, EVLOG_ERR_IO);
        code = step_on(&k);
        kit_fail_at(&k, 0, 0);
        assert_true(code == 0 || code == EVLOG_ERR_IO);
        assert_int_equal(sim_disk_open_count(k.sim), 0);
        uint64_t sequence = start_again(&k);
        assert_true(code != 0 || sequence == 2);
        kit_free(&k);
    }
    assert_true(n > 10);
    sets_free();
}

TEST_TORTURE(index_list, survives_failing_memory)
{
    struct kit k;
    struct made m;
    struct index_list list;
    kit_init(&k, 8);
    make(&m, 1);
    int code = index_list_save(&k.d.disk, 0, &m.list, NULL);
    if (code == 0) {
        code = load(&k, &list);
        if (code == 0) {
            lists_are_equal(&list, &m.list);
            index_list_free(&list);
        }
    }
    assert_true(code == 0 || (el_test_failing() && code == EVLOG_ERR_NO_MEMORY));
    kit_free(&k);
}
