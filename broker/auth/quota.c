/* SPDX-License-Identifier: Apache-2.0 */
#include <auth/quota.h>

#include <core/utf8.h>
#include <evlog/error.h>
#include <math.h>
#include <string.h>

#define KEY_LEN_MAX (3u + QUOTA_USER_LEN_MAX + QUOTA_NAME_LEN_MAX)
#define LIMIT_MAX 1e15 /* bytes a second; beyond it a double counts no single bytes */
#define SHAPE_IP 8u    /* added to the part: 9 the default, 10 by name */

struct quota_entry {
    struct quota_limits limits; /* its names are in key */
    uint16_t key_len;
    uint8_t key[KEY_LEN_MAX]; /* shape, length of the first name, both names; of the map */
};

static const char *const kind_names[QUOTA_KIND_COUNT] = {
    [QUOTA_PRODUCE] = "producer_byte_rate",
    [QUOTA_CONSUME] = "consumer_byte_rate",
    [QUOTA_REQUEST] = "request_percentage",
    [QUOTA_CONNECT] = "connection_creation_rate",
};

void quota_init(struct quota_table *table, struct el_buddy *buddy)
{
    memset(table, 0, sizeof *table);
    el_map_init(&table->entries, buddy);
    el_pool_init(&table->entry_pool, buddy, sizeof(struct quota_entry));
}

void quota_destroy(struct quota_table *table)
{
    EL_ASSERT((quota_count(table) == 0) == (quota_limit_count(table) == 0)); /* no entry without a limit */
    el_map_destroy(&table->entries);
    el_pool_destroy(&table->entry_pool);
}

const char *quota_kind_name(enum quota_kind kind)
{
    EL_ASSERT(kind < QUOTA_KIND_COUNT);
    return kind_names[kind];
}

enum quota_kind quota_kind_find(struct el_slice name)
{
    int kind = 0;
    while (kind < QUOTA_KIND_COUNT && !el_slice_eq(name, el_slice_str(kind_names[kind]))) {
        kind++;
    }
    return (enum quota_kind)kind;
}

/* --- checks ------------------------------------------------------------------------------------------------------- */

static bool name_valid(uint8_t part, struct el_slice name, size_t len_max)
{
    if (part != QUOTA_PART_NAMED) {
        return part < QUOTA_PART_NAMED && name.len == 0;
    }
    bool clean = name.len > 0 && name.len <= len_max && el_utf8_valid(name.data, name.len);
    for (size_t i = 0; clean && i < name.len; i++) {
        clean = name.data[i] >= 0x20 && name.data[i] != 0x7f;
    }
    return clean;
}

int quota_entity_check(const struct quota_entity *entity, const char **why)
{
    *why = NULL;
    bool some = entity->user != QUOTA_PART_NONE || entity->client_id != QUOTA_PART_NONE;
    if (!some && entity->ip == QUOTA_PART_NONE) {
        *why = "limits are set for a user, a client-id, both, or an ip";
    } else if (some && entity->ip != QUOTA_PART_NONE) {
        *why = "limits of an ip are for no user or client-id";
    } else if (!name_valid(entity->user, entity->user_name, QUOTA_USER_LEN_MAX) ||
               !name_valid(entity->client_id, entity->client_name, QUOTA_NAME_LEN_MAX) ||
               !name_valid(entity->ip, entity->ip_name, QUOTA_NAME_LEN_MAX)) {
        *why = "names of users have 1 to 511 bytes of UTF-8 without control characters, others 1 to 255";
    }
    return *why == NULL ? 0 : EVLOG_ERR_ARGUMENT;
}

int quota_limit_check(const struct quota_entity *entity, enum quota_kind kind, double value, const char **why)
{
    *why = NULL;
    bool of_ip = entity->ip != QUOTA_PART_NONE;
    if (kind >= QUOTA_KIND_COUNT) {
        *why = "limits are producer_byte_rate, consumer_byte_rate, request_percentage and connection_creation_rate";
    } else if (of_ip != (kind == QUOTA_CONNECT)) {
        *why = of_ip ? "an ip has the limit connection_creation_rate alone"
                     : "connection_creation_rate is a limit of an ip";
    } else if (!isfinite(value) || value <= 0 || value > LIMIT_MAX) {
        *why = "a limit is more than 0 and at most 1e15; remove it to have none";
    } else if (kind != QUOTA_REQUEST && value != floor(value)) {
        *why = "a rate of bytes or connections is a whole number";
    }
    return *why == NULL ? 0 : EVLOG_ERR_ARGUMENT;
}

/* --- the table ---------------------------------------------------------------------------------------------------- */

static uint8_t shape_of(const struct quota_entity *entity)
{
    return (uint8_t)(entity->ip != QUOTA_PART_NONE ? SHAPE_IP + entity->ip : 3u * entity->user + entity->client_id);
}

static size_t key_of(uint8_t *key, const struct quota_entity *entity)
{
    struct el_slice first = entity->ip == QUOTA_PART_NAMED ? entity->ip_name : entity->user_name;
    EL_ASSERT(first.len <= QUOTA_USER_LEN_MAX);
    EL_ASSERT(entity->client_name.len <= QUOTA_NAME_LEN_MAX);
    EL_ASSERT(entity->ip == QUOTA_PART_NONE || (entity->user_name.len == 0 && entity->client_name.len == 0));
    key[0] = shape_of(entity);
    EL_ASSERT(key[0] > 0);
    EL_ASSERT(key[0] < QUOTA_SHAPE_COUNT);
    key[1] = (uint8_t)first.len;
    key[2] = (uint8_t)(first.len >> 8);
    if (first.len > 0) {
        memcpy(key + 3, first.data, first.len);
    }
    if (entity->client_name.len > 0) {
        memcpy(key + 3 + first.len, entity->client_name.data, entity->client_name.len);
    }
    return 3 + first.len + entity->client_name.len;
}

static struct quota_entry *find(const struct quota_table *table, const struct quota_entity *entity)
{
    uint8_t key[KEY_LEN_MAX];
    return el_map_get(&table->entries, key, key_of(key, entity));
}

/* returns NULL without memory */
static struct quota_entry *add(struct quota_table *table, const struct quota_entity *entity)
{
    struct quota_entry *entry = el_pool_get(&table->entry_pool);
    if (entry == NULL) {
        return NULL;
    }
    entry->key_len = (uint16_t)key_of(entry->key, entity);
    if (el_map_put(&table->entries, entry->key, entry->key_len, entry) != 0) {
        el_pool_put(&table->entry_pool, entry);
        return NULL;
    }
    struct quota_entity *own = &entry->limits.entity;
    *own = *entity;
    struct el_slice *first = own->ip == QUOTA_PART_NAMED ? &own->ip_name : &own->user_name;
    first->data = entry->key + 3;
    own->client_name.data = entry->key + 3 + first->len;
    EL_ASSERT(own->client_name.data + own->client_name.len == entry->key + entry->key_len);
    table->shape_count[entry->key[0]]++;
    return entry;
}

static bool is_empty(const struct quota_limits *limits)
{
    for (int kind = 0; kind < QUOTA_KIND_COUNT; kind++) {
        if (limits->values[kind] > 0) {
            return false;
        }
    }
    return true;
}

int quota_put(struct quota_table *table, const struct quota_entity *entity, enum quota_kind kind, double value)
{
    EL_ASSERT(kind < QUOTA_KIND_COUNT);
    EL_ASSERT(value >= 0);
    struct quota_entry *entry = find(table, entity);
    if (entry == NULL && value > 0) {
        entry = add(table, entity);
        if (entry == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
    }
    if (entry == NULL) {
        return 0;
    }
    double *own = &entry->limits.values[kind];
    EL_ASSERT(*own <= 0 || table->limit_count[kind] > 0);
    table->limit_count[kind] += value > 0;
    table->limit_count[kind] -= *own > 0;
    *own = value;
    if (is_empty(&entry->limits)) {
        EL_ASSERT(table->shape_count[entry->key[0]] > 0);
        table->shape_count[entry->key[0]]--;
        void *removed = el_map_remove(&table->entries, entry->key, entry->key_len);
        EL_ASSERT(removed == entry);
        el_pool_put(&table->entry_pool, entry);
    }
    return 0;
}

double quota_limit_of(const struct quota_table *table, const struct quota_entity *entity, enum quota_kind kind)
{
    if (table->shape_count[shape_of(entity)] == 0) {
        return 0;
    }
    const struct quota_entry *entry = find(table, entity);
    return entry == NULL ? 0 : entry->limits.values[kind];
}

uint32_t quota_limit_count(const struct quota_table *table)
{
    uint32_t count = 0;
    for (int kind = 0; kind < QUOTA_KIND_COUNT; kind++) {
        count += table->limit_count[kind];
    }
    return count;
}

uint32_t quota_count(const struct quota_table *table)
{
    return (uint32_t)table->entries.count;
}

const struct quota_limits *quota_at(const struct quota_table *table, uint32_t index)
{
    EL_ASSERT(index < table->entries.count);
    const struct quota_entry *entry = table->entries.entries[index].value;
    EL_ASSERT(!is_empty(&entry->limits));
    return &entry->limits;
}

/* --- which counts ------------------------------------------------------------------------------------------------- */

/* A name that no entity can have is looked for as the default alone. */
static bool can_be(uint8_t part, struct el_slice name, size_t len_max)
{
    return part != QUOTA_PART_NAMED || (name.len > 0 && name.len <= len_max);
}

bool quota_find(const struct quota_table *table, enum quota_kind kind, const struct quota_caller *caller,
                struct quota_hit *hit)
{
    static const uint8_t order[][2] = {
        {QUOTA_PART_NAMED, QUOTA_PART_NAMED},     {QUOTA_PART_NAMED, QUOTA_PART_DEFAULT},
        {QUOTA_PART_NAMED, QUOTA_PART_NONE},      {QUOTA_PART_DEFAULT, QUOTA_PART_NAMED},
        {QUOTA_PART_DEFAULT, QUOTA_PART_DEFAULT}, {QUOTA_PART_DEFAULT, QUOTA_PART_NONE},
        {QUOTA_PART_NONE, QUOTA_PART_NAMED},      {QUOTA_PART_NONE, QUOTA_PART_DEFAULT},
    };
    EL_ASSERT(kind < QUOTA_KIND_COUNT);
    EL_ASSERT(kind != QUOTA_CONNECT);
    if (table->limit_count[kind] == 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        struct quota_entity entity = {.user = order[i][0], .client_id = order[i][1]};
        if (!can_be(entity.user, caller->user, QUOTA_USER_LEN_MAX) ||
            !can_be(entity.client_id, caller->client_id, QUOTA_NAME_LEN_MAX)) {
            continue;
        }
        entity.user_name = entity.user == QUOTA_PART_NAMED ? caller->user : (struct el_slice){0};
        entity.client_name = entity.client_id == QUOTA_PART_NAMED ? caller->client_id : (struct el_slice){0};
        double limit = quota_limit_of(table, &entity, kind);
        if (limit > 0) {
            EL_ASSERT(entity.ip == QUOTA_PART_NONE);
            *hit = (struct quota_hit){limit, entity.user != QUOTA_PART_NONE, entity.client_id != QUOTA_PART_NONE};
            return true;
        }
    }
    return false;
}

double quota_find_ip(const struct quota_table *table, struct el_slice address)
{
    if (table->limit_count[QUOTA_CONNECT] == 0) {
        return 0;
    }
    struct quota_entity entity = {.ip = QUOTA_PART_NAMED, .ip_name = address};
    double limit = can_be(entity.ip, address, QUOTA_NAME_LEN_MAX) ? quota_limit_of(table, &entity, QUOTA_CONNECT) : 0;
    return limit > 0 ? limit : quota_limit_of(table, &(struct quota_entity){.ip = QUOTA_PART_DEFAULT}, QUOTA_CONNECT);
}
