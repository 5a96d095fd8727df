/* SPDX-License-Identifier: Apache-2.0 */
#include "filled.h"

#include "fake_leases.h"

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (strcmp(name, *names) == 0) {
            return true;
        }
    }
    return false;
}

static struct el_slice text_for(const struct el_api *row, const char *field)
{
    static const char *const groups[] = {"group",        "group_id", "groups",           "group_ids",
                                         "groups_names", "key",      "coordinator_keys", NULL};
    static const char *const topics[] = {
        "topic", "topics", "name", "topic_name", "topic_names", "resource_name", "subscribed_topic_names", NULL};
    static const char *const members[] = {"member", "member_id", "worker", NULL};
    if (row->key == EL_API_Redact) {
        return el_slice_str("nothing"); /* nobody is there to take events out of a topic that is */
    }
    if (is_one_of(field, topics) || (strcmp(field, "to") == 0 && row->key == EL_API_RedriveStart)) {
        return el_slice_str("events");
    }
    if (is_one_of(field, groups) && !(row->body == EL_BODY_CBOR && strcmp(field, "key") == 0)) {
        return el_slice_str("g");
    }
    return is_one_of(field, members) ? el_slice_str("AAAAAAAAAAAAAAAAAAAAAA") : (struct el_slice){0};
}

/* Every array has one element, and every name is that of the one resource of its kind. */
static void fill(const struct el_api *row, const struct el_schema *schema, int version, uint8_t *out,
                 struct el_arena *arena)
{
    for (uint16_t i = 0; i < schema->field_count; i++) {
        const struct el_field *field = &schema->fields[i];
        void *at = out + field->offset;
        if ((field->versions & 1u << version) == 0) {
            continue;
        }
        if (field->array && field->type == EL_TYPE_STRUCT) {
            /* ranges, filters, and the like are left empty */
            static const char *const filled[] = {
                "topics",           "topic_data", "partitions", "partition_data", "resources",  "groups",  "dirs",
                "topic_partitions", "states",     "creations",  "filters",        "upsertions", "entries", NULL};
            if (is_one_of(field->name, filled)) {
                void *element = el_schema_new(field->schema, arena, 1);
                *(void **)at = element;
                *(uint32_t *)(void *)(out + field->count_offset) = 1;
                fill(row, field->schema, version, element, arena);
            }
        } else if (field->array && field->type == EL_TYPE_STRING) {
            struct el_slice text = text_for(row, field->name);
            if (text.data != NULL) {
                struct el_slice *element = el_arena_zalloc(arena, sizeof *element);
                *element = text;
                *(void **)at = element;
                *(uint32_t *)(void *)(out + field->count_offset) = 1;
            }
        } else if (field->array && field->type == EL_TYPE_INT32 && strncmp(field->name, "partition", 9) == 0) {
            *(void **)at = el_arena_zalloc(arena, sizeof(int32_t));
            *(uint32_t *)(void *)(out + field->count_offset) = 1;
        } else if (!field->array && field->type == EL_TYPE_STRING) {
            *(struct el_slice *)at = text_for(row, field->name);
        } else if (!field->array && field->type == EL_TYPE_UUID && strcmp(field->name, "topic_id") == 0 &&
                   row->body != EL_BODY_CBOR && row->key != EL_API_Metadata && row->key != EL_API_DeleteTopics) {
            *(struct el_uuid *)at = fake->topics[0].id;
        }
    }
}

struct fake_request *filled_send(struct fake *f, const struct el_api *row, int version)
{
    struct el_arena arena;
    const struct el_schema *schema = row->schema[EL_SIDE_REQUEST];
    el_arena_init(&arena, NULL, 0);
    uint8_t *message = el_schema_new(schema, &arena, 1);
    fill(row, schema, version, message, &arena);
    for (uint16_t i = 0; i < schema->field_count; i++) {
        const struct el_field *field = &schema->fields[i];
        if ((field->versions & 1u << version) == 0) {
            continue;
        }
        if (strcmp(field->name, "acks") == 0) {
            *(int16_t *)(void *)(message + field->offset) = -1;
        } else if (strcmp(field->name, "share_session_epoch") == 0 && row->key == EL_API_ShareAcknowledge) {
            *(int32_t *)(void *)(message + field->offset) = 1;
        } else if (row->key == EL_API_ShareFetch && strncmp(field->name, "max_", 4) == 0 &&
                   strcmp(field->name, "max_wait_ms") != 0) {
            *(int32_t *)(void *)(message + field->offset) = 1000;
        } else if (strcmp(field->name, "action") == 0 && row->key == EL_API_RedriveStart) {
            *(int8_t *)(void *)(message + field->offset) = LEASE_REDRIVE_COPY;
        } else if (strcmp(field->name, "verb") == 0 && row->key == EL_API_RedriveTasks) {
            *(int8_t *)(void *)(message + field->offset) = 1;
        } else if (strcmp(field->name, "allow_auto_topic_creation") == 0) {
            *(bool *)(message + field->offset) = false;
        }
    }
    if (row->key == EL_API_DescribeConfigs || row->key == EL_API_AlterConfigs ||
        row->key == EL_API_IncrementalAlterConfigs) {
        const struct el_field *field = &schema->fields[0];
        int8_t *type = *(int8_t **)(void *)(message + field->offset);
        for (uint16_t i = 0; i < field->schema->field_count; i++) {
            if (strcmp(field->schema->fields[i].name, "resource_type") == 0) {
                type[field->schema->fields[i].offset] = API_RESOURCE_TOPIC;
            }
        }
    }
    struct fake_request *r = fake_send(f, row->key, version, message);
    el_arena_reset(&arena);
    for (int i = 0; r->outcome == FAKE_OPEN && i < 100; i++) {
        fake_advance_ms(f, 10000);
    }
    return r;
}
