/* SPDX-License-Identifier: Apache-2.0
 *
 * A client that changes settings of the broker and looks at them. Each value is used once. A change sets two settings,
 * or takes both back: they must never be seen apart.
 *
 * What may be seen is what was acknowledged last, and what was asked for without an answer since then, or with one that
 * leaves it open: as with quotas, a look settles it when the process that was asked has ended. What was refused for the
 * disk is never seen, whatever of it was written.
 */
#include "clients.h"

#include <config/config_request.h>
#include <core/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <wire/error_code.h>
#include <wire/msg_describe_configs.h>
#include <wire/msg_incremental_alter_configs.h>

#define PAIR 2u
#define VALUE_MAX 999u /* below the first default */
#define BROKER_RESOURCE 4
#define BROKER_NAME "1"
#define SET 0
#define DELETE 1

/* Settings that change nothing for the other clients. */
static const char *const names[PAIR] = {"evlog.slow.operation.ms", "log.flush.interval.messages"};
static const uint64_t defaults[PAIR] = {1000, INT64_MAX};

static bool excused(const struct settings_client *s, int16_t code)
{
    return clients_excuse(s->c, code) || code == EL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS ||
           code == EL_KAFKA_COORDINATOR_NOT_AVAILABLE || code == EL_KAFKA_UNKNOWN_SERVER_ERROR || s->c->w->rotten > 0 ||
           s->c->w->lying;
}

/* --- changes ------------------------------------------------------------------------------------------------------ */

/* The file could not be written, and is as it was. */
static bool is_refused(const struct el_msg_incremental_alter_configs_resource_result *result)
{
    const struct el_slice *text = &result->error_message;
    size_t len = strlen(CONFIG_REQUEST_FILE);
    return result->error_code == EL_KAFKA_KAFKA_STORAGE_ERROR && text->len > len &&
           memcmp(text->data, CONFIG_REQUEST_FILE, len) == 0;
}

static void on_altered(void *arg, const void *response)
{
    struct settings_client *s = arg;
    const struct el_msg_incremental_alter_configs_response *answer = response;
    int16_t code = EL_KAFKA_NONE;
    bool refused = false;
    s->busy = false;
    if (answer != NULL) {
        s->c->answers++;
        EL_ASSERT(answer->response_count == 1);
        code = answer->responses[0].error_code;
        refused = is_refused(&answer->responses[0]);
        if (code != EL_KAFKA_NONE && !excused(s, code)) {
            world_violation(s->c->w, "a change of settings failed: %s", el_kafka_error_name(code));
        }
    }
    if (s->validates || refused) {
        s->c->w->events[EVENT_SETTING_REFUSED] += refused;
        return;
    }
    if (answer == NULL || code != EL_KAFKA_NONE) {
        EL_ASSERT(s->unsure_count < SETTINGS_UNSURE_MAX);
        s->unsure[s->unsure_count++] = s->value;
        s->under_way = true;
        return;
    }
    s->acked = s->value;
    s->open = false;
    s->c->w->events[EVENT_SETTING_SET]++;
}

static void alter(struct settings_client *s)
{
    struct world *w = s->c->w;
    struct el_msg_incremental_alter_configs_request request;
    struct el_msg_incremental_alter_configs_resource resource;
    struct el_msg_incremental_alter_configs_config configs[PAIR];
    char text[24];
    if (s->unsure_count == SETTINGS_UNSURE_MAX || s->value_last == VALUE_MAX) {
        return;
    }
    s->value = world_chance(w, 200000) ? 0 : ++s->value_last;
    s->validates = world_chance(w, 100000);
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)s->value);
    el_schema_init(&el_schema_incremental_alter_configs_request, &request);
    el_schema_init(&el_schema_incremental_alter_configs_resource, &resource);
    for (uint32_t i = 0; i < PAIR; i++) {
        el_schema_init(&el_schema_incremental_alter_configs_config, &configs[i]);
        configs[i].name = el_slice_str(names[i]);
        configs[i].config_operation = s->value == 0 ? DELETE : SET;
        configs[i].value = s->value == 0 ? (struct el_slice){0} : el_slice_str(text);
    }
    resource.resource_type = BROKER_RESOURCE;
    resource.resource_name = el_slice_str(BROKER_NAME);
    resource.configs = configs;
    resource.config_count = PAIR;
    request.resources = &resource;
    request.resource_count = 1;
    request.validate_only = s->validates;
    s->busy = true;
    peer_send(&s->peer, EL_API_IncrementalAlterConfigs, peer_version(&s->peer, EL_API_IncrementalAlterConfigs),
              &request, on_altered, s);
}

/* --- looks -------------------------------------------------------------------------------------------------------- */

static bool may_be(const struct settings_client *s, uint64_t value)
{
    bool found = s->open || value == s->acked;
    for (uint32_t i = 0; i < s->unsure_count; i++) {
        found = found || value == s->unsure[i];
    }
    return found;
}

static void see(struct settings_client *s, const uint64_t values[PAIR])
{
    uint64_t value = values[0] == defaults[0] && values[1] == defaults[1] ? 0 : values[0];
    if (value != 0 && values[1] != value) {
        world_violation(s->c->w, "half a change of settings is seen: %llu and %llu", (unsigned long long)values[0],
                        (unsigned long long)values[1]);
    }
    if (!may_be(s, value)) {
        world_violation(s->c->w, "settings are of change %llu, and of %llu as acknowledged (%u unsure)",
                        (unsigned long long)value, (unsigned long long)s->acked, s->unsure_count);
    }
    s->c->w->events[EVENT_SETTING_KEPT] += s->settled && value != 0 && value == s->acked;
    s->settled = false;
    if (!s->under_way) {
        s->acked = value;
        s->open = false;
        s->unsure_count = 0;
    }
}

static uint64_t number(struct el_slice text)
{
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%.*s", (int)text.len, (const char *)text.data);
    return strtoull(digits, NULL, 10);
}

static void on_described(void *arg, const void *response)
{
    struct settings_client *s = arg;
    const struct el_msg_describe_configs_response *answer = response;
    uint64_t values[PAIR] = {0};
    s->busy = false;
    if (answer == NULL) {
        return;
    }
    s->c->answers++;
    EL_ASSERT(answer->result_count == 1);
    const struct el_msg_describe_configs_result *result = &answer->results[0];
    if (result->error_code != EL_KAFKA_NONE || result->config_count != PAIR) {
        if (!excused(s, result->error_code)) {
            world_violation(s->c->w, "a look at settings failed: %s, %u of them",
                            el_kafka_error_name(result->error_code), result->config_count);
        }
        return;
    }
    for (uint32_t i = 0; i < PAIR; i++) {
        values[el_slice_eq(result->configs[i].name, el_slice_str(names[1]))] = number(result->configs[i].value);
    }
    see(s, values);
}

static void look(struct settings_client *s)
{
    struct el_msg_describe_configs_request request;
    struct el_msg_describe_configs_resource resource;
    struct el_slice wanted[PAIR] = {el_slice_str(names[0]), el_slice_str(names[1])};
    el_schema_init(&el_schema_describe_configs_request, &request);
    el_schema_init(&el_schema_describe_configs_resource, &resource);
    resource.resource_type = BROKER_RESOURCE;
    resource.resource_name = el_slice_str(BROKER_NAME);
    resource.configuration_keys = wanted;
    resource.configuration_key_count = PAIR;
    request.resources = &resource;
    request.resource_count = 1;
    s->busy = true;
    peer_send(&s->peer, EL_API_DescribeConfigs, peer_version(&s->peer, EL_API_DescribeConfigs), &request, on_described,
              s);
}

/* ------------------------------------------------------------------------------------------------------------------ */

void settings_restart(struct settings_client *s)
{
    s->under_way = false;
    s->settled = true;
    s->open = s->open || s->c->w->lying || s->c->w->rotten > 0;
}

void settings_act(struct settings_client *s)
{
    if (s->busy || !peer_can_ask(&s->peer)) {
        return;
    }
    if (world_chance(s->c->w, 500000)) {
        alter(s);
    } else {
        look(s);
    }
}
