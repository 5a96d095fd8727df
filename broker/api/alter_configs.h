/* SPDX-License-Identifier: Apache-2.0
 *
 * What AlterConfigs and IncrementalAlterConfigs share: each resource is checked, its new set of settings made, and
 * changed in one step or not at all.
 */
#ifndef EL_API_ALTER_CONFIGS_H
#define EL_API_ALTER_CONFIGS_H

#include <api/api.h>
#include <wire/msg_incremental_alter_configs.h>

enum alter_operation { ALTER_SET = 0, ALTER_DELETE = 1, ALTER_APPEND = 2, ALTER_SUBTRACT = 3 };

/* Answers: results[count], in the order of the resources; in the request's arena. */
typedef void (*alter_reply_fn)(struct api *api, struct request *request,
                               struct el_msg_incremental_alter_configs_resource_result *results, uint32_t count);

/* Change the settings that ask names and call reply once.
 *
 * ask    lives as long as the request
 * whole  settings that are not named return to their default; all operations are ALTER_SET
 */
void alter_configs(struct api *api, struct request *request, const struct el_msg_incremental_alter_configs_request *ask,
                   bool whole, alter_reply_fn reply);

#endif
