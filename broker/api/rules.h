/* SPDX-License-Identifier: Apache-2.0
 *
 * What the last column of wire/api.def means: one rule for each word, and a row whose word has none does not compile.
 *
 *   scope            WHOLE is asked once, before the handler runs, and a refusal answers the whole request
 *                    EACH is asked by the handler for every resource of the request, which fail alone
 *   operation        on which kind of resource; ANY where each names its kind itself
 *   topic_operation  asked for every topic that the request names (api_topic()), also of requests about groups; ANY:
 *                    the right on the cluster is enough
 */
#ifndef EL_API_RULES_H
#define EL_API_RULES_H

#include <core/acl.h>

enum api_scope { API_SCOPE_ANYONE, API_SCOPE_WHOLE, API_SCOPE_EACH };

struct api_rule {
    uint8_t scope;           /* enum api_scope */
    uint8_t operation;       /* enum el_acl_operation */
    uint8_t resource;        /* enum el_acl_resource */
    uint8_t topic_operation; /* enum el_acl_operation; 0: it may not look for topics */
};

#define API_RULE(scope, operation, resource, topic)                                                                    \
    {                                                                                                                  \
        API_SCOPE_##scope, EL_ACL_OP_##operation, EL_ACL_RESOURCE_##resource, EL_ACL_OP_##topic                        \
    }

#define API_RULE_anyone API_RULE(ANYONE, UNKNOWN, UNKNOWN, UNKNOWN)
#define API_RULE_alter_cluster API_RULE(WHOLE, ALTER, CLUSTER, ANY)
#define API_RULE_describe_cluster API_RULE(WHOLE, DESCRIBE, CLUSTER, ANY)
#define API_RULE_describe_configs_cluster API_RULE(WHOLE, DESCRIBE_CONFIGS, CLUSTER, ANY)
#define API_RULE_each_alter_cluster API_RULE(EACH, ALTER, CLUSTER, ANY)
#define API_RULE_each_alter_configs_cluster API_RULE(EACH, ALTER_CONFIGS, CLUSTER, ANY)
#define API_RULE_each_idempotent_write_cluster API_RULE(EACH, IDEMPOTENT_WRITE, CLUSTER, UNKNOWN)

#define API_RULE_each_alter_topic API_RULE(EACH, ALTER, TOPIC, ALTER)
#define API_RULE_each_create_topic API_RULE(EACH, CREATE, TOPIC, CREATE)
#define API_RULE_each_delete_topic API_RULE(EACH, DELETE, TOPIC, DELETE)
#define API_RULE_each_describe_topic API_RULE(EACH, DESCRIBE, TOPIC, DESCRIBE)
#define API_RULE_each_read_topic API_RULE(EACH, READ, TOPIC, READ)
#define API_RULE_each_write_topic API_RULE(EACH, WRITE, TOPIC, WRITE)

#define API_RULE_delete_group API_RULE(WHOLE, DELETE, GROUP, READ)
#define API_RULE_describe_group API_RULE(WHOLE, DESCRIBE, GROUP, DESCRIBE)
#define API_RULE_read_group API_RULE(WHOLE, READ, GROUP, READ)
#define API_RULE_each_delete_group API_RULE(EACH, DELETE, GROUP, READ)
#define API_RULE_each_describe_group API_RULE(EACH, DESCRIBE, GROUP, DESCRIBE)
#define API_RULE_each_read_group API_RULE(EACH, READ, GROUP, READ)

#define API_RULE_each_alter_configs_resource API_RULE(EACH, ALTER_CONFIGS, ANY, ALTER_CONFIGS)
#define API_RULE_each_describe_configs_resource API_RULE(EACH, DESCRIBE_CONFIGS, ANY, DESCRIBE_CONFIGS)

#endif
