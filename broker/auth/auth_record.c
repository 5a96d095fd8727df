/* SPDX-License-Identifier: Apache-2.0 */
#include <auth/auth_record.h>

#include <evlog/error.h>

void auth_record_rule_key(struct el_writer *w, const struct auth_rule *rule)
{
    el_write_u8(w, AUTH_RECORD_VERSION);
    el_write_u8(w, AUTH_RECORD_RULE);
    el_write_u8(w, (uint8_t)rule->resource);
    el_write_u8(w, (uint8_t)rule->pattern);
    el_write_u8(w, (uint8_t)rule->operation);
    el_write_u8(w, (uint8_t)rule->permission);
    el_write_le16(w, (uint16_t)rule->name.len);
    el_write_le16(w, (uint16_t)rule->principal.len);
    el_write_le16(w, (uint16_t)rule->host.len);
    el_write_bytes(w, rule->name.data, rule->name.len);
    el_write_bytes(w, rule->principal.data, rule->principal.len);
    el_write_bytes(w, rule->host.data, rule->host.len);
    EL_ASSERT(w->err == 0);
}

void auth_record_rule_value(struct el_writer *w)
{
    el_write_u8(w, AUTH_RECORD_VERSION);
    EL_ASSERT(w->err == 0);
}

void auth_record_user_key(struct el_writer *w, const struct auth_user *user)
{
    el_write_u8(w, AUTH_RECORD_VERSION);
    el_write_u8(w, AUTH_RECORD_USER);
    el_write_u8(w, (uint8_t)user->mechanism);
    el_write_u8(w, 0);
    el_write_le16(w, (uint16_t)user->name.len);
    el_write_bytes(w, user->name.data, user->name.len);
    EL_ASSERT(w->err == 0);
}

void auth_record_user_value(struct el_writer *w, const struct auth_user *user)
{
    size_t key_len = auth_mechanism_key_len(user->mechanism);
    EL_ASSERT(key_len > 0);
    EL_ASSERT(user->salt_len >= AUTH_SALT_LEN_MIN);
    EL_ASSERT(user->salt_len <= AUTH_SALT_LEN_MAX);
    el_write_u8(w, AUTH_RECORD_VERSION);
    el_write_u8(w, (uint8_t)user->salt_len);
    el_write_le16(w, 0);
    el_write_le32(w, user->iterations);
    el_write_bytes(w, user->salt, user->salt_len);
    el_write_bytes(w, user->stored_key, key_len);
    el_write_bytes(w, user->server_key, key_len);
    EL_ASSERT(w->err == 0);
}

void auth_record_limit_key(struct el_writer *w, const struct quota_entity *entity, enum quota_kind limit)
{
    struct el_slice first = entity->ip == QUOTA_PART_NAMED ? entity->ip_name : entity->user_name;
    el_write_u8(w, AUTH_RECORD_VERSION);
    el_write_u8(w, AUTH_RECORD_LIMIT);
    el_write_u8(w, (uint8_t)(limit + 1));
    el_write_u8(w, entity->user);
    el_write_u8(w, entity->client_id);
    el_write_u8(w, entity->ip);
    el_write_le16(w, (uint16_t)first.len);
    el_write_le16(w, (uint16_t)entity->client_name.len);
    el_write_bytes(w, first.data, first.len);
    el_write_bytes(w, entity->client_name.data, entity->client_name.len);
    EL_ASSERT(w->err == 0);
}

void auth_record_limit_value(struct el_writer *w, double value)
{
    uint64_t bits;
    EL_STATIC_ASSERT(sizeof bits == sizeof value, "a double is eight bytes of a record");
    memcpy(&bits, &value, sizeof bits);
    el_write_u8(w, AUTH_RECORD_VERSION);
    el_write_le64(w, bits);
    EL_ASSERT(w->err == 0);
}

/* --- the way back ------------------------------------------------------------------------------------------------- */

static struct el_slice take(struct el_reader *r, size_t len)
{
    return el_slice_of(el_read_bytes(r, len), len);
}

static int rule_decode(struct el_reader *r, struct el_slice value, struct auth_record *record)
{
    struct auth_rule *rule = &record->rule;
    const char *why;
    rule->resource = el_read_u8(r);
    rule->pattern = el_read_u8(r);
    rule->operation = el_read_u8(r);
    rule->permission = el_read_u8(r);
    size_t name_len = el_read_le16(r), principal_len = el_read_le16(r), host_len = el_read_le16(r);
    rule->name = take(r, name_len);
    rule->principal = take(r, principal_len);
    rule->host = take(r, host_len);
    if (r->err != 0 || el_reader_left(r) != 0 || auth_rule_check(rule, &why) != 0) {
        return EVLOG_ERR_CORRUPT;
    }
    if (!record->gone && (value.len != 1 || value.data[0] != AUTH_RECORD_VERSION)) {
        return value.len > 0 && value.data[0] > AUTH_RECORD_VERSION ? EVLOG_ERR_FORMAT : EVLOG_ERR_CORRUPT;
    }
    return 0;
}

static int user_value_decode(struct el_slice value, struct auth_user *user)
{
    struct el_reader r;
    el_reader_init(&r, value.data, value.len);
    size_t key_len = auth_mechanism_key_len(user->mechanism);
    uint8_t version = el_read_u8(&r);
    if (r.err == 0 && version > AUTH_RECORD_VERSION) {
        return EVLOG_ERR_FORMAT;
    }
    user->salt_len = el_read_u8(&r);
    uint16_t zero = el_read_le16(&r);
    user->iterations = el_read_le32(&r);
    if (r.err != 0 || version != AUTH_RECORD_VERSION || zero != 0 || user->salt_len < AUTH_SALT_LEN_MIN ||
        user->salt_len > AUTH_SALT_LEN_MAX || el_reader_left(&r) != user->salt_len + 2 * key_len) {
        return EVLOG_ERR_CORRUPT;
    }
    memcpy(user->salt, el_read_bytes(&r, user->salt_len), user->salt_len);
    memcpy(user->stored_key, el_read_bytes(&r, key_len), key_len);
    memcpy(user->server_key, el_read_bytes(&r, key_len), key_len);
    return 0;
}

static int user_decode(struct el_reader *r, struct el_slice value, struct auth_record *record)
{
    struct auth_user *user = &record->user;
    const char *why;
    user->mechanism = el_read_u8(r);
    uint8_t zero = el_read_u8(r);
    size_t name_len = el_read_le16(r);
    user->name = take(r, name_len);
    if (r->err != 0 || zero != 0 || el_reader_left(r) != 0 || auth_mechanism_key_len(user->mechanism) == 0 ||
        auth_user_name_check(user->name, &why) != 0) {
        return EVLOG_ERR_CORRUPT;
    }
    int code = record->gone ? 0 : user_value_decode(value, user);
    return code == 0 && !record->gone && auth_user_check(user, &why) != 0 ? EVLOG_ERR_CORRUPT : code;
}

static int limit_value_decode(struct el_slice value, double *limit)
{
    struct el_reader r;
    el_reader_init(&r, value.data, value.len);
    uint8_t version = el_read_u8(&r);
    if (r.err == 0 && version > AUTH_RECORD_VERSION) {
        return EVLOG_ERR_FORMAT;
    }
    uint64_t bits = el_read_le64(&r);
    if (r.err != 0 || version != AUTH_RECORD_VERSION || el_reader_left(&r) != 0) {
        return EVLOG_ERR_CORRUPT;
    }
    memcpy(limit, &bits, sizeof bits);
    return 0;
}

static int limit_decode(struct el_reader *r, struct el_slice value, struct auth_record *record)
{
    struct quota_entity *entity = &record->entity;
    const char *why;
    uint8_t limit = el_read_u8(r);
    entity->user = el_read_u8(r);
    entity->client_id = el_read_u8(r);
    entity->ip = el_read_u8(r);
    size_t first_len = el_read_le16(r), client_len = el_read_le16(r);
    *(entity->ip == QUOTA_PART_NAMED ? &entity->ip_name : &entity->user_name) = take(r, first_len);
    entity->client_name = take(r, client_len);
    if (r->err != 0 || el_reader_left(r) != 0 || limit == 0 || quota_entity_check(entity, &why) != 0) {
        return EVLOG_ERR_CORRUPT;
    }
    if (limit > QUOTA_KIND_COUNT) {
        return EVLOG_ERR_FORMAT;
    }
    record->limit = (enum quota_kind)(limit - 1);
    int code = record->gone ? 0 : limit_value_decode(value, &record->value);
    double checked = record->gone ? 1 : record->value;
    return code == 0 && quota_limit_check(entity, record->limit, checked, &why) != 0 ? EVLOG_ERR_CORRUPT : code;
}

int auth_record_decode(struct el_slice key, struct el_slice value, struct auth_record *record)
{
    struct el_reader r;
    el_reader_init(&r, key.data, key.len);
    memset(record, 0, sizeof *record);
    uint8_t version = el_read_u8(&r), kind = el_read_u8(&r);
    if (r.err != 0 || version == 0 || kind == 0) {
        return EVLOG_ERR_CORRUPT;
    }
    if (version > AUTH_RECORD_VERSION || kind > AUTH_RECORD_LIMIT) {
        return EVLOG_ERR_FORMAT;
    }
    record->kind = (enum auth_record_kind)kind;
    record->gone = value.data == NULL;
    switch (record->kind) {
    case AUTH_RECORD_RULE:
        return rule_decode(&r, value, record);
    case AUTH_RECORD_USER:
        return user_decode(&r, value, record);
    case AUTH_RECORD_LIMIT:
        return limit_decode(&r, value, record);
    }
    return EVLOG_ERR_CORRUPT;
}

int auth_record_now(const struct auth *auth, struct el_slice key, struct el_writer *value, bool *there)
{
    struct auth_record record;
    const struct auth_user *user = NULL;
    double limit = 0;
    int code = auth_record_decode(key, (struct el_slice){0}, &record);
    if (code != 0) {
        return code;
    }
    switch (record.kind) {
    case AUTH_RECORD_RULE:
        *there = auth_rule_has(auth, &record.rule);
        if (*there) {
            auth_record_rule_value(value);
        }
        break;
    case AUTH_RECORD_USER:
        user = auth_user_find(auth, record.user.mechanism, record.user.name);
        *there = user != NULL;
        if (*there) {
            auth_record_user_value(value, user);
        }
        break;
    case AUTH_RECORD_LIMIT:
        limit = quota_limit_of(&auth->quotas, &record.entity, record.limit);
        *there = limit > 0;
        if (*there) {
            auth_record_limit_value(value, limit);
        }
        break;
    }
    return 0;
}

int auth_record_apply(struct auth *auth, const struct auth_record *record)
{
    if (record->kind == AUTH_RECORD_LIMIT) {
        return quota_put(&auth->quotas, &record->entity, record->limit, record->value);
    }
    if (record->kind == AUTH_RECORD_RULE) {
        if (!record->gone) {
            return auth_rule_put(auth, &record->rule);
        }
        auth_rule_remove(auth, &record->rule);
        return 0;
    }
    if (!record->gone) {
        return auth_user_put(auth, &record->user);
    }
    auth_user_remove(auth, record->user.mechanism, record->user.name);
    return 0;
}
