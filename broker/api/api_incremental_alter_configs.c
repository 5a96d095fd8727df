/* SPDX-License-Identifier: Apache-2.0
 *
 * IncrementalAlterConfigs: change single settings, the others stay. See alter_configs.c.
 */
#include <api/alter_configs.h>

static void reply(struct api *api, struct request *request,
                  struct el_msg_incremental_alter_configs_resource_result *results, uint32_t count)
{
    struct el_msg_incremental_alter_configs_response response;
    el_schema_init(&el_schema_incremental_alter_configs_response, &response);
    response.responses = results;
    response.response_count = count;
    request_reply(request, &el_schema_incremental_alter_configs_response, &response);
}

void api_incremental_alter_configs(struct api *api, struct request *request, const void *message)
{
    alter_configs(api, request, message, false, reply);
}
