/* SPDX-License-Identifier: Apache-2.0
 *
 * The broker as a resource whose settings are changed.
 */
#ifndef EL_API_ALTER_BROKER_H
#define EL_API_ALTER_BROKER_H

#include <api/broker_settings.h>
#include <wire/msg_incremental_alter_configs.h>

struct api;
struct request;

/* Make the op of a resource's changes, in the request's arena; those that have nothing to change are left out.
 *
 * op       out; NULL: there is nothing to change
 * returns  0 | EVLOG_ERR_INVALID_REQUEST, _INVALID_CONFIG, _LIMIT, _NO_MEMORY, with a text
 */
int alter_broker_make(struct api *api, struct request *request,
                      const struct el_msg_incremental_alter_configs_resource *ask, struct broker_settings_op **op,
                      struct el_error *err);

#endif
