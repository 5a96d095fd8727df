/* SPDX-License-Identifier: Apache-2.0
 *
 * AlterConfigs: the whole set of a resource's settings; what is not named returns to its default. The question is
 * rewritten as one of IncrementalAlterConfigs that sets every setting, over a set without any. See alter_configs.c.
 */
#include <api/alter_configs.h>
#include <wire/msg_alter_configs.h>

static void reply(struct api *api, struct request *request,
                  struct el_msg_incremental_alter_configs_resource_result *results, uint32_t count)
{
    struct el_msg_alter_configs_response response;
    el_schema_init(&el_schema_alter_configs_response, &response);
    response.responses = api_new(api, request, &el_schema_alter_configs_resource_result, count);
    if (response.responses == NULL) {
        return;
    }
    response.response_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct el_msg_alter_configs_resource_result *out = &response.responses[i];
        out->error_code = results[i].error_code;
        out->error_message = results[i].error_message;
        out->resource_type = results[i].resource_type;
        out->resource_name = results[i].resource_name;
    }
    request_reply(request, &el_schema_alter_configs_response, &response);
}

/* returns false when the request has been refused, for want of memory */
static bool rewrite(struct api *api, struct request *request, const struct el_msg_alter_configs_resource *ask,
                    struct el_msg_incremental_alter_configs_resource *out)
{
    out->resource_type = ask->resource_type;
    out->resource_name = ask->resource_name;
    out->configs = api_new(api, request, &el_schema_incremental_alter_configs_config, ask->config_count);
    if (out->configs == NULL) {
        return false;
    }
    out->config_count = ask->config_count;
    for (uint32_t i = 0; i < ask->config_count; i++) {
        out->configs[i].name = ask->configs[i].name;
        out->configs[i].value = ask->configs[i].value;
        out->configs[i].config_operation = ALTER_SET;
    }
    return true;
}

void api_alter_configs(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_alter_configs_request *ask = message;
    struct el_msg_incremental_alter_configs_request *all = api_new(api, request,
                                                                   &el_schema_incremental_alter_configs_request, 1);
    if (all == NULL) {
        return;
    }
    all->validate_only = ask->validate_only;
    all->resources = api_new(api, request, &el_schema_incremental_alter_configs_resource, ask->resource_count);
    if (all->resources == NULL) {
        return;
    }
    all->resource_count = ask->resource_count;
    for (uint32_t i = 0; i < ask->resource_count; i++) {
        if (!rewrite(api, request, &ask->resources[i], &all->resources[i])) {
            return;
        }
    }
    alter_configs(api, request, all, true, reply);
}
