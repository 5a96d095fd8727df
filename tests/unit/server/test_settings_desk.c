/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a change of settings that was kept is in the file, one that was refused is not, and where the disk leaves that
 * open the answer says so, and the next change ends it. Method: the desk on a folder, through a disk of which one call
 * fails, or all from one on, for each call that there is.
 */
#include <settings_desk.h>

#include <core/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <test.h>
#include <unistd.h>

#define CALLS_MAX 40

/* Calls that change something, or read, are counted; a rename that fails may have been made all the same. */
struct sick_disk {
    struct disk disk;
    struct disk *under;
    int calls;
    int first, last; /* calls [first, last] fail */
    bool renames;    /* ... after it was made, where it is a rename */
};

static struct sick_disk *sick_of(struct disk *disk)
{
    return (struct sick_disk *)(void *)disk;
}

static bool fails(struct sick_disk *s)
{
    int call = s->calls++;
    return call >= s->first && call <= s->last;
}

static int sick_open(struct disk *disk, const char *path, int flags, int *fd)
{
    struct sick_disk *s = sick_of(disk);
    return fails(s) ? EVLOG_ERR_IO : disk_open(s->under, path, flags, fd);
}
static int sick_close(struct disk *disk, int fd)
{
    return disk_close(sick_of(disk)->under, fd);
}
static int sick_pread(struct disk *disk, int fd, void *buf, size_t len, uint64_t pos, size_t *done)
{
    struct sick_disk *s = sick_of(disk);
    return fails(s) ? EVLOG_ERR_IO : disk_pread(s->under, fd, buf, len, pos, done);
}
static int sick_pwritev(struct disk *disk, int fd, const struct iovec *iov, int iov_count, uint64_t pos)
{
    struct sick_disk *s = sick_of(disk);
    return fails(s) ? EVLOG_ERR_NO_SPACE : disk_pwritev(s->under, fd, iov, iov_count, pos);
}
static int sick_sync(struct disk *disk, int fd)
{
    struct sick_disk *s = sick_of(disk);
    return fails(s) ? EVLOG_ERR_IO : disk_sync(s->under, fd);
}
static int sick_sync_dir(struct disk *disk, const char *path)
{
    struct sick_disk *s = sick_of(disk);
    return fails(s) ? EVLOG_ERR_IO : disk_sync_dir(s->under, path);
}
static int sick_rename(struct disk *disk, const char *from, const char *to)
{
    struct sick_disk *s = sick_of(disk);
    bool fail = fails(s);
    int code = fail && !s->renames ? EVLOG_ERR_IO : disk_rename(s->under, from, to);
    return fail ? EVLOG_ERR_IO : code;
}
static int sick_unlink(struct disk *disk, const char *path)
{
    struct sick_disk *s = sick_of(disk);
    return fails(s) ? EVLOG_ERR_IO : disk_unlink(s->under, path);
}

static const struct disk_ops sick_ops = {
    .open = sick_open,
    .close = sick_close,
    .pread = sick_pread,
    .pwritev = sick_pwritev,
    .sync = sick_sync,
    .sync_dir = sick_sync_dir,
    .rename = sick_rename,
    .unlink = sick_unlink,
};

struct office {
    char dir[32];
    struct sick_disk sick;
    struct settings_desk desk;
};

static void office_open(struct office *o)
{
    memset(o, 0, sizeof(*o));
    (void)snprintf(o->dir, sizeof o->dir, "/tmp/evlog-desk-XXXXXX");
    assert_non_null(mkdtemp(o->dir));
    assert_int_equal(disk_posix_open(o->dir, &o->sick.under), 0);
    o->sick.disk.ops = &sick_ops;
    o->sick.first = CALLS_MAX;
    o->sick.last = -1;
    settings_desk_init(&o->desk, -1);
}

static void office_close(struct office *o)
{
    settings_desk_free(&o->desk);
    (void)disk_unlink(o->sick.under, CONFIG_REQUEST_FILE);
    (void)disk_unlink(o->sick.under, CONFIG_REQUEST_FILE ".new");
    disk_posix_close(o->sick.under);
    assert_int_equal(rmdir(o->dir), 0);
}

static int change(struct office *o, const char *value, struct el_error *err)
{
    static char flag[] = "evlogd", ephemeral[] = "--ephemeral=true";
    char *argv[] = {flag, ephemeral, NULL};
    const struct config_sources from = {2, argv, NULL};
    const struct config_change one = {el_slice_str("num.partitions"), el_slice_str(value)};
    struct broker_settings_op op = {.changes = &one, .change_count = 1};
    struct el_buffer kept = {.err = 0};
    int error = settings_desk_keep(&o->desk, &o->sick.disk, &from, &op, &kept);
    assert_true(error != 0 || strstr(el_buffer_text(&kept), value) != NULL);
    el_buffer_free(&kept);
    assert_int_equal(error, op.err.code);
    *err = op.err;
    return error;
}

static void healthy(struct office *o)
{
    o->sick.last = -1;
}

static bool file_says(struct office *o, const char *value)
{
    char line[64];
    struct el_buffer text = {.err = 0};
    (void)snprintf(line, sizeof line, "num.partitions = \"%s\"\n", value);
    assert_int_equal(settings_desk_read(o->sick.under, &text, NULL), 0);
    bool found = strstr(el_buffer_text(&text), line) != NULL;
    el_buffer_free(&text);
    return found;
}

TEST(settings_desk, keeps_a_change_and_refuses_what_cannot_be)
{
    struct office o;
    struct el_error err;
    office_open(&o);
    assert_int_equal(change(&o, "7", &err), 0);
    assert_true(file_says(&o, "7"));
    assert_int_equal(change(&o, "0", &err), EVLOG_ERR_INVALID_CONFIG); /* checked with no data directory in the flags */
    assert_true(file_says(&o, "7"));
    assert_int_equal(change(&o, "8", &err), 0);
    assert_true(file_says(&o, "8"));
    office_close(&o);
}

/* `more`: how many calls behind it fail as well. */
static void each_call_fails(int more, bool renames, int *kept, int *refused, int *doubted)
{
    for (int first = 0; first < CALLS_MAX; first++) {
        struct office o;
        struct el_error err;
        office_open(&o);
        assert_int_equal(change(&o, "7", &err), 0);
        o.sick.renames = renames;
        o.sick.calls = 0;
        o.sick.first = first;
        o.sick.last = first + more;
        int error = change(&o, "8", &err);
        int calls = o.sick.calls;
        healthy(&o);
        if (error == 0) {
            assert_true(file_says(&o, "8"));
            *kept += 1;
        } else if (error != EVLOG_ERR_IN_DOUBT) {
            assert_true(file_says(&o, "7"));
            assert_false(o.desk.doubtful);
            *refused += 1;
        } else {
            assert_true(o.desk.doubtful);
            assert_non_null(strstr(err.text, "may be after the next start"));
            assert_int_equal(change(&o, "0", &err), EVLOG_ERR_INVALID_CONFIG);
            assert_true(file_says(&o, "7")); /* taken back, whatever came of the other change */
            *doubted += 1;
        }
        assert_int_equal(change(&o, "9", &err), 0);
        assert_true(file_says(&o, "9"));
        office_close(&o);
        if (first >= calls) {
            return; /* nothing failed */
        }
    }
    assert_true(false);
}

TEST(settings_desk, one_failed_call_leaves_the_old_text_or_the_new_one)
{
    for (int renames = 0; renames < 2; renames++) {
        int kept = 0, refused = 0, doubted = 0;
        each_call_fails(0, renames == 1, &kept, &refused, &doubted);
        assert_int_equal(kept, 2); /* nothing failed, or the removal of what is not there */
        assert_int_equal(refused, 7);
        assert_int_equal(doubted, 0);
    }
}

TEST(settings_desk, a_disk_that_fails_for_good_leaves_a_doubt_and_says_so)
{
    int kept = 0, refused = 0, doubted = 0;
    each_call_fails(CALLS_MAX, true, &kept, &refused, &doubted);
    assert_int_equal(kept, 1);
    assert_true(doubted > 0);
}

TEST(settings_desk, nothing_is_changed_before_a_doubt_is_over)
{
    struct office o;
    struct el_error err;
    office_open(&o);
    assert_int_equal(change(&o, "7", &err), 0);
    o.sick.calls = 0;
    o.sick.first = 7; /* the sync of the folder, and all that is to take it back */
    o.sick.last = INT32_MAX;
    assert_int_equal(change(&o, "8", &err), EVLOG_ERR_IN_DOUBT);
    assert_true(file_says(&o, "8"));
    assert_int_equal(change(&o, "9", &err), EVLOG_ERR_IO); /* for certain */
    assert_true(o.desk.doubtful);
    healthy(&o);
    assert_int_equal(settings_desk_settle(&o.desk, &o.sick.disk, &err), 0);
    assert_true(file_says(&o, "7"));
    assert_int_equal(change(&o, "9", &err), 0);
    assert_true(file_says(&o, "9"));
    office_close(&o);
}
