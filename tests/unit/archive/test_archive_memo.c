/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: an answer that is kept is the store's, and what may change is asked for each time.
 * Method: a memo over a store in memory that counts its calls.
 */
#include "mem_store.h"

#include <archive/archive_memo.h>
#include <core/alloc.h>
#include <core/crypto.h>
#include <test.h>

struct rig {
    struct mem_store *mem;
    struct archive_memo *memo;
    struct object_store *store;
};

static void rig_init(struct rig *r)
{
    r->mem = mem_store_open();
    r->memo = archive_memo_new(&r->mem->base);
    assert_non_null(r->memo);
    r->store = archive_memo_store(r->memo);
}

static void rig_end(struct rig *r)
{
    archive_memo_free(r->memo);
    object_store_close(&r->mem->base);
}

static int put(struct rig *r, const char *text)
{
    uint8_t sha256[32];
    el_sha256(text, strlen(text), sha256);
    return object_put_once(r->store, "a/b", text, strlen(text), sha256, NULL);
}

TEST(archive_memo, gives_bytes_again_by_their_range)
{
    struct rig r;
    char buf[8] = "";
    uint64_t done = 0;
    rig_init(&r);
    assert_int_equal(mem_store_set(r.mem, "a/b", "abcdef", 6), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(object_get(r.store, "a/b", 0, buf, 4, &done, NULL), 0);
        assert_int_equal(done, 4);
        assert_memory_equal(buf, "abcd", 4);
        assert_int_equal(object_get(r.store, "a/b", 4, buf, 4, &done, NULL), 0);
        assert_int_equal(done, 2);
        assert_memory_equal(buf, "ef", 2);
        assert_int_equal(object_get(r.store, "a/b", 6, buf, 4, &done, NULL), 0);
        assert_int_equal(done, 0);
    }
    assert_int_equal(r.mem->calls[MEM_GET], 3);
    assert_int_equal(archive_memo_count(r.memo), 3);
    rig_end(&r);
}

TEST(archive_memo, keeps_no_failure)
{
    struct rig r;
    char buf[8];
    uint64_t done = 0;
    struct object_info info;
    rig_init(&r);
    assert_int_equal(object_get(r.store, "a/b", 0, buf, 4, &done, NULL), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(object_head(r.store, "a/b", &info, NULL), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(put(&r, "abc"), 0);
    mem_store_fault(r.mem, (struct mem_fault){.call = MEM_GET, .count = 1, .effect = MEM_SHORT});
    assert_int_equal(object_get(r.store, "a/b", 0, buf, 3, &done, NULL), EVLOG_ERR_TRUNCATED);
    assert_int_equal(object_get(r.store, "a/b", 0, buf, 3, &done, NULL), 0);
    assert_int_equal(object_head(r.store, "a/b", &info, NULL), 0);
    assert_int_equal(info.len, 3);
    rig_end(&r);
}

TEST(archive_memo, puts_what_is_there_no_second_time)
{
    struct rig r;
    rig_init(&r);
    assert_int_equal(put(&r, "abc"), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(put(&r, "abc"), 0);
    }
    assert_int_equal(r.mem->calls[MEM_PUT], 1);
    assert_int_equal(r.mem->calls[MEM_HEAD], 1);
    assert_int_equal(put(&r, "abd"), EVLOG_ERR_CONFLICT);
    rig_end(&r);
}

/* The answer of a put was lost, and before it is looked for the object is gone. */
TEST(archive_memo, puts_again_what_is_not_there_any_more)
{
    struct rig r;
    rig_init(&r);
    assert_int_equal(put(&r, "abc"), 0);
    mem_store_drop(r.mem, "a/b");
    assert_int_equal(put(&r, "abc"), EVLOG_ERR_AGAIN);
    assert_int_equal(put(&r, "abc"), 0);
    assert_int_equal(r.mem->calls[MEM_PUT], 2);
    rig_end(&r);
}

TEST(archive_memo, forgets_everything_when_something_is_removed)
{
    struct rig r;
    char buf[8];
    uint64_t done = 0;
    rig_init(&r);
    assert_int_equal(put(&r, "abc"), 0);
    assert_int_equal(object_get(r.store, "a/b", 0, buf, 3, &done, NULL), 0);
    assert_int_equal(object_remove(r.store, "a/b", NULL), 0);
    assert_int_equal(archive_memo_count(r.memo), 0);
    assert_int_equal(object_get(r.store, "a/b", 0, buf, 3, &done, NULL), EVLOG_ERR_NOT_FOUND);
    rig_end(&r);
}

TEST(archive_memo, keeps_no_more_than_there_is_room_for)
{
    struct rig r;
    uint64_t len = ARCHIVE_MEMO_LEN_MAX / 2, done = 0;
    uint8_t *data = el_calloc(1, len);
    rig_init(&r);
    assert_non_null(data);
    assert_int_equal(mem_store_set(r.mem, "a/b", data, len), 0);
    for (int i = 0; i < 3; i++) { /* the first is kept, the second is asked for each time */
        assert_int_equal(object_get(r.store, "a/b", 0, data, len, &done, NULL), 0);
        assert_int_equal(object_get(r.store, "a/b", 1, data, len, &done, NULL), 0);
        assert_int_equal(done, len - 1);
    }
    assert_int_equal(r.mem->calls[MEM_GET], 4);
    assert_int_equal(archive_memo_count(r.memo), 1);
    el_free(data);
    rig_end(&r);
}
