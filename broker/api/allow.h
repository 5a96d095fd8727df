/* SPDX-License-Identifier: Apache-2.0
 *
 * May the caller of a request do what it asks for? dispatch.c asks for the whole request where its rule says so;
 * handlers ask for each resource. Nothing finds a topic by what a client wrote but api_topic(), which asks on the way.
 */
#ifndef EL_API_ALLOW_H
#define EL_API_ALLOW_H

#include <access/access.h>
#include <api/rules.h>
#include <net/request.h>
#include <storage/store.h>

struct api;

/* The rule of the request's row. */
const struct api_rule *api_rule_of(const struct request *request);
/* May its caller? A refusal is counted, and logged once a second. operation 0: that of the rule. */
bool api_may(struct api *api, const struct request *request, int operation, int resource, struct el_slice name);
/* The same, without count or log: for what is then left out of an answer, or allowed by something else. */
bool api_could(struct api *api, const struct request *request, int operation, int resource, struct el_slice name);
/* The set of operations for the authorized_operations of an answer. */
int32_t api_operations(struct api *api, const struct request *request, int resource, struct el_slice name);
/* May it do so to any topic at all? */
bool api_could_somewhere(struct api *api, const struct request *request, int operation, int resource);

/* Find a topic that the caller may do to what the request's rule says; by id unless that is NULL or zero.
 *
 * error    out: 0 | EVLOG_ERR_TOPIC_DENIED, whether there is such a topic or not | EVLOG_ERR_UNKNOWN_TOPIC
 *          | EVLOG_ERR_UNKNOWN_TOPIC_ID
 * returns  NULL with an error
 */
const struct topic *api_topic(struct api *api, const struct request *request, struct el_slice name,
                              const struct el_uuid *id, int *error);
/* The same for another operation than the rule's: enum el_acl_operation. */
const struct topic *api_topic_for(struct api *api, const struct request *request, int operation, struct el_slice name,
                                  int *error);
/* Topics for lists of all: those the caller may do to what the rule says. NULL: this one is left out. */
const struct topic *api_topic_shown(struct api *api, const struct request *request, uint32_t index);

/* The right of the rule's operation on the settings of a resource: of a group, or of the cluster for those of the
 * broker and others. Topics are asked for where they are found. */
bool api_config_right(struct api *api, const struct request *request, int8_t config_resource, struct el_slice name);

/* Ask for the whole request. returns 0 | EVLOG_ERR_GROUP_DENIED | EVLOG_ERR_CLUSTER_DENIED */
int api_rule_ask(struct api *api, const struct request *request, const void *message);
/* Answer a request whose rule has refused it: the error in the place that the answer has for it. */
void api_rule_refuse(struct api *api, struct request *request, int error);

#endif
