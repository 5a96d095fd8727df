/* SPDX-License-Identifier: Apache-2.0
 *
 * See group_record.h. A length is believed only as far as bytes are left; what is left over behind a value is damage.
 */
#include <group/group_record.h>

#include <core/assert.h>
#include <evlog/error.h>

#define LEN_NONE 0xffffu

static void put_len16(struct el_writer *w, struct el_slice text)
{
    EL_ASSERT(text.len < LEN_NONE);
    el_write_le16(w, text.data == NULL ? LEN_NONE : (uint16_t)text.len);
}

static void put(struct el_writer *w, struct el_slice text)
{
    if (text.len > 0) {
        el_write_bytes(w, text.data, text.len);
    }
}

static struct el_slice take(struct el_reader *r, size_t len)
{
    const uint8_t *data = el_read_bytes(r, len);
    return el_slice_of(data == NULL ? (const uint8_t *)"" : data, data == NULL ? 0 : len);
}

/* A text that is never null: the length that says so is damage. */
static struct el_slice take_text(struct el_reader *r, uint16_t len)
{
    if (len == LEN_NONE) {
        el_reader_fail(r, EVLOG_ERR_MALFORMED);
        return el_slice_str("");
    }
    return take(r, len);
}

static struct el_slice take_nullable(struct el_reader *r, uint16_t len)
{
    return len == LEN_NONE ? (struct el_slice){0} : take(r, len);
}

/* Version first, so that a newer program's record is told from damage. */
static int check_version(struct el_reader *r)
{
    uint8_t version = el_read_u8(r);
    if (r->err != 0 || version == 0) {
        return EVLOG_ERR_CORRUPT;
    }
    return version > GROUP_RECORD_VERSION ? EVLOG_ERR_FORMAT : 0;
}

static int check_end(const struct el_reader *r)
{
    return r->err != 0 || el_reader_left(r) != 0 ? EVLOG_ERR_CORRUPT : 0;
}

/* --- keys --------------------------------------------------------------------------------------------------------- */

size_t group_record_key_len(const struct group_record_key *key)
{
    return 4 + key->group_id.len + (key->kind == GROUP_RECORD_COMMIT ? 20 : 0);
}

void group_record_key_encode(struct el_writer *w, const struct group_record_key *key)
{
    EL_ASSERT(key->group_id.len < LEN_NONE);
    el_write_u8(w, GROUP_RECORD_VERSION);
    el_write_u8(w, (uint8_t)key->kind);
    el_write_le16(w, (uint16_t)key->group_id.len);
    put(w, key->group_id);
    if (key->kind == GROUP_RECORD_COMMIT) {
        EL_ASSERT(key->partition >= 0);
        el_write_bytes(w, key->topic_id.bytes, sizeof key->topic_id.bytes);
        el_write_le32(w, (uint32_t)key->partition);
    }
}

int group_record_key_decode(struct el_slice data, struct group_record_key *key)
{
    struct el_reader r;
    struct group_record_key out = {0};
    el_reader_init(&r, data.data, data.len);
    int code = check_version(&r);
    if (code != 0) {
        return code;
    }
    uint8_t kind = el_read_u8(&r);
    out.group_id = take_text(&r, el_read_le16(&r));
    if (kind == GROUP_RECORD_COMMIT) {
        const uint8_t *id = el_read_bytes(&r, sizeof out.topic_id.bytes);
        out.partition = (int32_t)el_read_le32(&r);
        if (id != NULL) {
            memcpy(out.topic_id.bytes, id, sizeof out.topic_id.bytes);
        }
    } else if (kind != GROUP_RECORD_STATE) {
        return EVLOG_ERR_CORRUPT;
    }
    out.kind = (enum group_record_kind)kind;
    if (check_end(&r) != 0 || out.partition < 0) {
        return EVLOG_ERR_CORRUPT;
    }
    *key = out;
    return 0;
}

/* --- commits ------------------------------------------------------------------------------------------------------ */

void group_record_commit_encode(struct el_writer *w, const struct group_record_commit *commit)
{
    EL_ASSERT(commit->metadata.len < LEN_NONE);
    el_write_u8(w, GROUP_RECORD_VERSION);
    el_write_u8(w, 0);
    el_write_le16(w, (uint16_t)commit->metadata.len);
    el_write_le32(w, (uint32_t)commit->leader_epoch);
    el_write_le64(w, (uint64_t)commit->offset);
    el_write_le64(w, (uint64_t)commit->time_ms);
    put(w, commit->metadata);
}

int group_record_commit_decode(struct el_slice data, struct group_record_commit *commit)
{
    struct el_reader r;
    struct group_record_commit out = {0};
    el_reader_init(&r, data.data, data.len);
    int code = check_version(&r);
    if (code != 0) {
        return code;
    }
    uint8_t zero = el_read_u8(&r);
    uint16_t metadata_len = el_read_le16(&r);
    out.leader_epoch = (int32_t)el_read_le32(&r);
    out.offset = (int64_t)el_read_le64(&r);
    out.time_ms = (int64_t)el_read_le64(&r);
    out.metadata = take_text(&r, metadata_len);
    if (check_end(&r) != 0 || zero != 0 || out.leader_epoch < -1) {
        return EVLOG_ERR_CORRUPT;
    }
    *commit = out;
    return 0;
}

/* --- groups ------------------------------------------------------------------------------------------------------- */

void group_record_state_encode(struct el_writer *w, const struct group_record_state *state)
{
    EL_ASSERT(state->generation >= 0);
    EL_ASSERT(state->protocol_type.len < LEN_NONE);
    el_write_u8(w, GROUP_RECORD_VERSION);
    el_write_u8(w, 0);
    el_write_le16(w, (uint16_t)state->protocol_type.len);
    put_len16(w, state->protocol);
    put_len16(w, state->leader_id);
    el_write_le32(w, (uint32_t)state->generation);
    el_write_le32(w, state->member_count);
    el_write_le64(w, (uint64_t)state->time_ms);
    put(w, state->protocol_type);
    put(w, state->protocol);
    put(w, state->leader_id);
}

size_t group_record_member_len(const struct group_record_member *member)
{
    return GROUP_MEMBER_HEAD_LEN + member->id.len + member->instance_id.len + member->client_id.len + member->host.len +
           member->metadata.len + member->assignment.len;
}

void group_record_member_encode(struct el_writer *w, const struct group_record_member *member)
{
    EL_ASSERT(member->id.len < LEN_NONE);
    EL_ASSERT(member->client_id.len < LEN_NONE);
    EL_ASSERT(member->host.len < LEN_NONE);
    el_write_le16(w, (uint16_t)member->id.len);
    put_len16(w, member->instance_id);
    el_write_le16(w, (uint16_t)member->client_id.len);
    el_write_le16(w, (uint16_t)member->host.len);
    el_write_le32(w, (uint32_t)member->session_ms);
    el_write_le32(w, (uint32_t)member->rebalance_ms);
    el_write_le32(w, (uint32_t)member->metadata.len);
    el_write_le32(w, (uint32_t)member->assignment.len);
    put(w, member->id);
    put(w, member->instance_id);
    put(w, member->client_id);
    put(w, member->host);
    put(w, member->metadata);
    put(w, member->assignment);
}

static void member_take(struct el_reader *r, struct group_record_member *out)
{
    uint16_t id_len = el_read_le16(r), instance_len = el_read_le16(r);
    uint16_t client_len = el_read_le16(r), host_len = el_read_le16(r);
    out->session_ms = (int32_t)el_read_le32(r);
    out->rebalance_ms = (int32_t)el_read_le32(r);
    uint32_t metadata_len = el_read_le32(r), assignment_len = el_read_le32(r);
    out->id = take_text(r, id_len);
    out->instance_id = take_nullable(r, instance_len);
    out->client_id = take_text(r, client_len);
    out->host = take_text(r, host_len);
    out->metadata = take(r, metadata_len);
    out->assignment = take(r, assignment_len);
}

/* Which combinations of a group's fields can be: without members there is no leader, with members there are both. */
static bool state_fits(const struct group_record_state *state)
{
    bool leader = state->leader_id.data != NULL, protocol = state->protocol.data != NULL;
    return state->generation >= 0 && (state->member_count > 0 ? leader && protocol : !leader);
}

int group_record_state_decode(struct el_slice data, struct group_record_state *state)
{
    struct el_reader r;
    struct group_record_state out = {0};
    el_reader_init(&r, data.data, data.len);
    int code = check_version(&r);
    if (code != 0) {
        return code;
    }
    uint8_t zero = el_read_u8(&r);
    uint16_t type_len = el_read_le16(&r), protocol_len = el_read_le16(&r), leader_len = el_read_le16(&r);
    out.generation = (int32_t)el_read_le32(&r);
    out.member_count = el_read_le32(&r);
    out.time_ms = (int64_t)el_read_le64(&r);
    out.protocol_type = take_text(&r, type_len);
    out.protocol = take_nullable(&r, protocol_len);
    out.leader_id = take_nullable(&r, leader_len);
    out.members = r;
    bool leader_found = out.member_count == 0;
    for (uint32_t i = 0; i < out.member_count && r.err == 0; i++) {
        struct group_record_member member;
        member_take(&r, &member);
        leader_found = leader_found || el_slice_eq(member.id, out.leader_id);
        if (member.session_ms < 0 || member.rebalance_ms < 0 || member.id.len == 0) {
            return EVLOG_ERR_CORRUPT;
        }
    }
    if (check_end(&r) != 0 || zero != 0 || !leader_found || !state_fits(&out)) {
        return EVLOG_ERR_CORRUPT;
    }
    *state = out;
    return 0;
}

bool group_record_member_next(struct el_reader *members, struct group_record_member *member)
{
    if (el_reader_left(members) == 0) {
        return false;
    }
    member_take(members, member);
    EL_ASSERT(members->err == 0); /* group_record_state_decode() has walked them */
    return true;
}
