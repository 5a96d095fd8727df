/* SPDX-License-Identifier: Apache-2.0
 *
 * Clients that set quotas and look at them. Each limit has one client that changes it, and each value is used once. A
 * change sets two limits of a user: they must never be seen apart.
 *
 * What may be seen is what was acknowledged last, and what was asked for without an answer since then: as long as the
 * process lives that is perhaps still to come, and after its end it was either made or not, so that one look settles
 * it.
 */
#include "clients.h"

#include <core/assert.h>
#include <stdio.h>
#include <wire/error_code.h>
#include <wire/msg_alter_client_quotas.h>
#include <wire/msg_describe_client_quotas.h>

#define NAME_PREFIX "sim-"
#define PAIR 2u

static const char *const kinds[PAIR] = {"producer_byte_rate", "consumer_byte_rate"};

/* What a healthy broker may say, or one whose records cannot be read. */
static bool excused(const struct quota_client *q, int16_t code)
{
    return clients_excuse(q->c, code) || code == EL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS ||
           code == EL_KAFKA_COORDINATOR_NOT_AVAILABLE || code == EL_KAFKA_UNKNOWN_SERVER_ERROR || q->c->w->rotten > 0 ||
           q->c->w->lying;
}

/* --- changes ------------------------------------------------------------------------------------------------------ */

static void unsure(struct quota_model *slot, uint64_t value)
{
    EL_ASSERT(slot->unsure_count < QUOTA_UNSURE_MAX);
    slot->unsure[slot->unsure_count++] = value;
    slot->under_way = true;
}

static void on_altered(void *arg, const void *response)
{
    struct quota_client *q = arg;
    const struct el_msg_alter_client_quotas_response *answer = response;
    struct quota_model *slot = &q->c->quotas[q->slot];
    int16_t code = EL_KAFKA_NONE;
    q->busy = false;
    slot->asked = false;
    slot->change_count++;
    if (answer != NULL) {
        q->c->answers++;
        EL_ASSERT(answer->entry_count == 1);
        code = answer->entries[0].error_code;
        if (code != EL_KAFKA_NONE && !excused(q, code)) {
            world_violation(q->c->w, "quota %u: a change failed: %s", q->slot, el_kafka_error_name(code));
        }
    }
    if (answer == NULL || code != EL_KAFKA_NONE) {
        unsure(slot, q->value);
        return;
    }
    slot->acked = q->value;
    slot->open = false;
    q->c->w->events[EVENT_QUOTA_SET]++;
}

static void alter(struct quota_client *q)
{
    struct world *w = q->c->w;
    struct el_msg_alter_client_quotas_request request;
    struct el_msg_alter_client_quotas_entry entry;
    struct el_msg_alter_client_quotas_entity entity;
    struct el_msg_alter_client_quotas_op ops[PAIR];
    char name[16];
    uint32_t own = (uint32_t)world_below(w, QUOTA_SLOTS / CLIENT_QUOTAS);
    q->slot = own * CLIENT_QUOTAS + q->index;
    struct quota_model *slot = &q->c->quotas[q->slot];
    if (slot->unsure_count == QUOTA_UNSURE_MAX) {
        return;
    }
    q->value = world_chance(w, 200000) ? 0 : ++q->c->quota_value_last;
    (void)snprintf(name, sizeof name, NAME_PREFIX "%u", q->slot);
    el_schema_init(&el_schema_alter_client_quotas_request, &request);
    el_schema_init(&el_schema_alter_client_quotas_entry, &entry);
    el_schema_init(&el_schema_alter_client_quotas_entity, &entity);
    entity.entity_type = el_slice_str("user");
    entity.entity_name = el_slice_str(name);
    for (uint32_t i = 0; i < PAIR; i++) {
        el_schema_init(&el_schema_alter_client_quotas_op, &ops[i]);
        ops[i].key = el_slice_str(kinds[i]);
        ops[i].value = (double)q->value;
        ops[i].remove = q->value == 0;
    }
    entry.entity = &entity;
    entry.entity_count = 1;
    entry.ops = ops;
    entry.op_count = PAIR;
    request.entries = &entry;
    request.entry_count = 1;
    slot->change_count++;
    slot->asked = true;
    q->busy = true;
    peer_send(&q->peer, EL_API_AlterClientQuotas, peer_version(&q->peer, EL_API_AlterClientQuotas), &request,
              on_altered, q);
}

/* --- looks -------------------------------------------------------------------------------------------------------- */

static bool may_be(const struct quota_model *slot, uint64_t value)
{
    bool found = slot->open || value == slot->acked;
    for (uint32_t i = 0; i < slot->unsure_count; i++) {
        found = found || value == slot->unsure[i];
    }
    return found;
}

/* The two limits of a user; 0: it has none. */
static void see(struct quota_client *q, uint32_t index, const uint64_t values[PAIR])
{
    struct quota_model *slot = &q->c->quotas[index];
    if (values[0] != values[1]) {
        world_violation(q->c->w, "quota %u: half a change is seen: %llu and %llu", index, (unsigned long long)values[0],
                        (unsigned long long)values[1]);
    }
    if (slot->asked || slot->change_count != q->change_counts[index]) {
        return; /* it is changed meanwhile: before or behind the look */
    }
    if (!may_be(slot, values[0])) {
        world_violation(q->c->w, "quota %u is %llu, and was acknowledged as %llu (%u unsure)", index,
                        (unsigned long long)values[0], (unsigned long long)slot->acked, slot->unsure_count);
    }
    q->c->w->events[EVENT_QUOTA_KEPT] += slot->settled && values[0] != 0 && values[0] == slot->acked;
    slot->settled = false;
    if (!slot->under_way) {
        slot->acked = values[0];
        slot->open = false;
        slot->unsure_count = 0;
    }
}

static bool is_ours(const struct el_msg_describe_client_quotas_entry *entry, uint32_t index)
{
    char name[16];
    (void)snprintf(name, sizeof name, NAME_PREFIX "%u", index);
    return entry->entity_count == 1 && el_slice_eq(entry->entity[0].entity_name, el_slice_str(name));
}

static void on_described(void *arg, const void *response)
{
    struct quota_client *q = arg;
    const struct el_msg_describe_client_quotas_response *answer = response;
    q->busy = false;
    if (answer == NULL) {
        return;
    }
    q->c->answers++;
    if (answer->error_code != EL_KAFKA_NONE) {
        if (!excused(q, answer->error_code)) {
            world_violation(q->c->w, "a look at quotas failed: %s", el_kafka_error_name(answer->error_code));
        }
        return;
    }
    for (uint32_t i = 0; i < QUOTA_SLOTS; i++) {
        uint64_t values[PAIR] = {0};
        for (uint32_t k = 0; k < answer->entry_count; k++) {
            const struct el_msg_describe_client_quotas_entry *entry = &answer->entries[k];
            for (uint32_t n = 0; is_ours(entry, i) && n < entry->value_count; n++) {
                bool second = el_slice_eq(entry->values[n].key, el_slice_str(kinds[1]));
                values[second] = (uint64_t)entry->values[n].value;
            }
        }
        see(q, i, values);
    }
}

static void look(struct quota_client *q)
{
    struct el_msg_describe_client_quotas_request request;
    struct el_msg_describe_client_quotas_component component;
    el_schema_init(&el_schema_describe_client_quotas_request, &request);
    el_schema_init(&el_schema_describe_client_quotas_component, &component);
    component.entity_type = el_slice_str("user");
    component.match_type = 2; /* whichever there are */
    request.components = &component;
    request.component_count = 1;
    for (uint32_t i = 0; i < QUOTA_SLOTS; i++) {
        q->change_counts[i] = q->c->quotas[i].change_count;
    }
    q->busy = true;
    peer_send(&q->peer, EL_API_DescribeClientQuotas, peer_version(&q->peer, EL_API_DescribeClientQuotas), &request,
              on_described, q);
}

/* ------------------------------------------------------------------------------------------------------------------ */

void quotas_restart(struct clients *c)
{
    for (uint32_t i = 0; i < QUOTA_SLOTS; i++) {
        struct quota_model *slot = &c->quotas[i];
        slot->under_way = false;
        slot->settled = true;
        slot->open = slot->open || c->w->lying;
    }
}

void quota_act(struct quota_client *q)
{
    if (q->busy || !peer_can_ask(&q->peer)) {
        return;
    }
    if (world_chance(q->c->w, 500000)) {
        alter(q);
    } else {
        look(q);
    }
}
