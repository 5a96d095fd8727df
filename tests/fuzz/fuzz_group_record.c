/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of __consumer_offsets read from a damaged or hostile disk. The first byte says what the rest is taken for;
 * what is accepted is encoded again and must be the same bytes.
 */
#include <core/assert.h>
#include <evlog/error.h>
#include <group/group_record.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_same(const struct el_writer *w, struct el_slice in)
{
    EL_ASSERT(w->err == 0);
    EL_ASSERT(el_writer_len(w) == in.len);
    EL_ASSERT(memcmp(w->base, in.data, in.len) == 0);
}

static void read_key(struct el_slice in, struct el_writer *w)
{
    struct group_record_key key;
    if (group_record_key_decode(in, &key) == 0) {
        EL_ASSERT(group_record_key_len(&key) == in.len);
        group_record_key_encode(w, &key);
        check_same(w, in);
    }
}

static void read_commit(struct el_slice in, struct el_writer *w)
{
    struct group_record_commit commit;
    if (group_record_commit_decode(in, &commit) == 0) {
        group_record_commit_encode(w, &commit);
        check_same(w, in);
    }
}

static void read_state(struct el_slice in, struct el_writer *w)
{
    struct group_record_state state;
    struct group_record_member member;
    uint32_t count = 0;
    if (group_record_state_decode(in, &state) != 0) {
        return;
    }
    group_record_state_encode(w, &state);
    for (; group_record_member_next(&state.members, &member); count++) {
        group_record_member_encode(w, &member);
    }
    EL_ASSERT(count == state.member_count);
    check_same(w, in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0) {
        return 0;
    }
    struct el_slice in = el_slice_of(data + 1, len - 1);
    struct el_writer w;
    uint8_t *room = malloc(len);
    EL_ASSERT(room != NULL);
    el_writer_init(&w, room, len);
    if (data[0] % 3 == 0) {
        read_key(in, &w);
    } else if (data[0] % 3 == 1) {
        read_commit(in, &w);
    } else {
        read_state(in, &w);
    }
    free(room);
    return 0;
}
