/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: records of groups come back as they were written, and nothing else is taken for one. Method: one of each kind,
 * cut at every byte, with a byte too many, of other versions, and with fields that contradict each other.
 */
#include <test.h>

#include <evlog/error.h>
#include <group/group_record.h>
#include <stdlib.h>

static uint8_t room[512];

static struct el_slice encode_key(enum group_record_kind kind)
{
    struct el_writer w;
    struct group_record_key key = {.kind = kind, .group_id = el_slice_str("orders"), .partition = 7};
    memset(key.topic_id.bytes, 9, 16);
    el_writer_init(&w, room, sizeof room);
    group_record_key_encode(&w, &key);
    assert_int_equal(w.err, 0);
    assert_int_equal(el_writer_len(&w), group_record_key_len(&key));
    return el_slice_of(room, el_writer_len(&w));
}

static struct el_slice encode_commit(void)
{
    struct el_writer w;
    struct group_record_commit commit = {
        .offset = 1234567890123, .leader_epoch = -1, .time_ms = 42, .metadata = el_slice_str("note")};
    el_writer_init(&w, room, sizeof room);
    group_record_commit_encode(&w, &commit);
    return el_slice_of(room, el_writer_len(&w));
}

static struct el_slice encode_state(uint32_t member_count, const char *leader, const char *protocol)
{
    struct el_writer w;
    struct group_record_state state = {.generation = 5,
                                       .time_ms = 77,
                                       .protocol_type = el_slice_str("consumer"),
                                       .protocol = el_slice_str(protocol),
                                       .leader_id = el_slice_str(leader),
                                       .member_count = member_count};
    struct group_record_member members[2] = {
        {.id = el_slice_str("a"),
         .client_id = el_slice_str("c"),
         .host = el_slice_str("h"),
         .session_ms = 6000,
         .rebalance_ms = 60000,
         .metadata = el_slice_str("topics"),
         .assignment = el_slice_str("p0")},
        {.id = el_slice_str("b"),
         .instance_id = el_slice_str("static"),
         .client_id = el_slice_str(""),
         .host = el_slice_str(""),
         .metadata = el_slice_str(""),
         .assignment = el_slice_str("")},
    };
    el_writer_init(&w, room, sizeof room);
    group_record_state_encode(&w, &state);
    for (uint32_t i = 0; i < 2 && i < member_count; i++) {
        size_t before = el_writer_len(&w);
        group_record_member_encode(&w, &members[i]);
        assert_int_equal(el_writer_len(&w) - before, group_record_member_len(&members[i]));
    }
    return el_slice_of(room, el_writer_len(&w));
}

/* From a block of exactly its length, so that the sanitizer sees one byte too many. */
static int decode(int kind, const uint8_t *data, size_t len)
{
    struct group_record_key key;
    struct group_record_commit commit;
    struct group_record_state state;
    uint8_t *copy = malloc(len == 0 ? 1 : len);
    memcpy(copy, data, len);
    struct el_slice slice = el_slice_of(copy, len);
    int code = kind == 0   ? group_record_key_decode(slice, &key)
               : kind == 1 ? group_record_commit_decode(slice, &commit)
                           : group_record_state_decode(slice, &state);
    free(copy);
    return code;
}

static void refuse_damage(int kind, struct el_slice good)
{
    uint8_t copy[sizeof room + 1];
    memcpy(copy, good.data, good.len);
    copy[good.len] = 0;
    for (size_t len = 0; len < good.len; len++) {
        assert_int_equal(decode(kind, copy, len), EVLOG_ERR_CORRUPT);
    }
    assert_int_equal(decode(kind, copy, good.len), 0);
    assert_int_equal(decode(kind, copy, good.len + 1), EVLOG_ERR_CORRUPT);
    copy[0] = 0;
    assert_int_equal(decode(kind, copy, good.len), EVLOG_ERR_CORRUPT);
    copy[0] = GROUP_RECORD_VERSION + 1;
    assert_int_equal(decode(kind, copy, good.len), EVLOG_ERR_FORMAT);
    copy[0] = GROUP_RECORD_VERSION;
    if (kind != 0) {
        copy[1] = 1;
        assert_int_equal(decode(kind, copy, good.len), EVLOG_ERR_CORRUPT);
    }
}

TEST(group_record, refuses_what_is_cut_or_longer_or_of_another_version)
{
    refuse_damage(0, encode_key(GROUP_RECORD_COMMIT));
    refuse_damage(0, encode_key(GROUP_RECORD_STATE));
    refuse_damage(1, encode_commit());
    refuse_damage(2, encode_state(0, NULL, NULL));
    refuse_damage(2, encode_state(2, "b", "range"));
}

TEST(group_record, refuses_keys_of_no_kind_and_no_partition)
{
    struct el_slice key = encode_key(GROUP_RECORD_COMMIT);
    room[1] = 3;
    assert_int_equal(decode(0, room, key.len), EVLOG_ERR_CORRUPT);
    room[1] = 0;
    assert_int_equal(decode(0, room, key.len), EVLOG_ERR_CORRUPT);
    room[1] = GROUP_RECORD_STATE; /* a commit's tail behind a group's key */
    assert_int_equal(decode(0, room, key.len), EVLOG_ERR_CORRUPT);
    room[1] = GROUP_RECORD_COMMIT;
    room[key.len - 1] = 0x80;
    assert_int_equal(decode(0, room, key.len), EVLOG_ERR_CORRUPT);
}

TEST(group_record, refuses_groups_that_contradict_themselves)
{
    static const struct {
        uint32_t member_count;
        const char *leader, *protocol;
    } cases[] = {{2, NULL, "range"}, {2, "b", NULL}, {2, "c", "range"}, {0, "a", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct el_slice value = encode_state(cases[i].member_count, cases[i].leader, cases[i].protocol);
        assert_int_equal(decode(2, value.data, value.len), EVLOG_ERR_CORRUPT);
    }
    struct el_slice value = encode_state(2, "b", "range");
    el_put_le32(room + 12, UINT32_MAX); /* more members than there are bytes */
    assert_int_equal(decode(2, value.data, value.len), EVLOG_ERR_CORRUPT);
    value = encode_state(0, NULL, NULL);
    room[11] = 0x80; /* generation below 0 */
    assert_int_equal(decode(2, value.data, value.len), EVLOG_ERR_CORRUPT);
}

TEST(group_record, comes_back_as_it_was)
{
    struct group_record_key key;
    struct group_record_commit commit;
    struct group_record_state state;
    struct group_record_member member;
    assert_int_equal(group_record_key_decode(encode_key(GROUP_RECORD_COMMIT), &key), 0);
    assert_int_equal(key.kind, GROUP_RECORD_COMMIT);
    assert_int_equal(key.partition, 7);
    assert_int_equal(key.topic_id.bytes[15], 9);
    assert_true(el_slice_eq(key.group_id, el_slice_str("orders")));
    assert_int_equal(group_record_commit_decode(encode_commit(), &commit), 0);
    assert_int_equal(commit.offset, 1234567890123);
    assert_int_equal(commit.leader_epoch, -1);
    assert_int_equal(commit.time_ms, 42);
    assert_true(el_slice_eq(commit.metadata, el_slice_str("note")));
    assert_int_equal(group_record_state_decode(encode_state(2, "b", "range"), &state), 0);
    assert_int_equal(state.generation, 5);
    assert_int_equal(state.time_ms, 77);
    assert_true(group_record_member_next(&state.members, &member));
    assert_null(member.instance_id.data);
    assert_int_equal(member.session_ms, 6000);
    assert_true(el_slice_eq(member.assignment, el_slice_str("p0")));
    assert_true(group_record_member_next(&state.members, &member));
    assert_true(el_slice_eq(member.instance_id, el_slice_str("static")));
    assert_false(group_record_member_next(&state.members, &member));
    assert_int_equal(group_record_state_decode(encode_state(0, NULL, NULL), &state), 0);
    assert_null(state.leader_id.data);
    assert_null(state.protocol.data);
}

TEST(group_record, has_the_bytes_that_the_document_says)
{
    static const uint8_t key[] = {1, 1, 6, 0, 'o', 'r', 'd', 'e', 'r', 's', 9, 9, 9, 9, 9,
                                  9, 9, 9, 9, 9,   9,   9,   9,   9,   9,   9, 7, 0, 0, 0};
    static const uint8_t commit[] = {1, 0, 4,  0, 0xff, 0xff, 0xff, 0xff, 0xcb, 0x04, 0xfb, 0x71, 0x1f, 1,
                                     0, 0, 42, 0, 0,    0,    0,    0,    0,    0,    'n',  'o',  't',  'e'};
    static const uint8_t state[] = {1,  0, 8, 0, 0xff, 0xff, 0xff, 0xff, 5,   0,   0,   0,   0,   0,   0,   0,
                                    77, 0, 0, 0, 0,    0,    0,    0,    'c', 'o', 'n', 's', 'u', 'm', 'e', 'r'};
    struct el_slice out = encode_key(GROUP_RECORD_COMMIT);
    assert_int_equal(out.len, sizeof key);
    assert_memory_equal(out.data, key, sizeof key);
    out = encode_commit();
    assert_int_equal(out.len, sizeof commit);
    assert_memory_equal(out.data, commit, sizeof commit);
    out = encode_state(0, NULL, NULL);
    assert_int_equal(out.len, sizeof state);
    assert_memory_equal(out.data, state, sizeof state);
}
