/* SPDX-License-Identifier: Apache-2.0
 *
 * The words of access rules: operations, kinds of resources, patterns and permissions, by the numbers that Kafka gives
 * them on the wire and evlog keeps on disk, and the names that people write. Pure functions.
 */
#ifndef EL_CORE_ACL_H
#define EL_CORE_ACL_H

#include <core/bytes.h>
#include <stdbool.h>

enum el_acl_operation {
    EL_ACL_OP_UNKNOWN,
    EL_ACL_OP_ANY, /* in filters: whichever */
    EL_ACL_OP_ALL, /* in rules: every one */
    EL_ACL_OP_READ,
    EL_ACL_OP_WRITE,
    EL_ACL_OP_CREATE,
    EL_ACL_OP_DELETE,
    EL_ACL_OP_ALTER,
    EL_ACL_OP_DESCRIBE,
    EL_ACL_OP_CLUSTER_ACTION,
    EL_ACL_OP_DESCRIBE_CONFIGS,
    EL_ACL_OP_ALTER_CONFIGS,
    EL_ACL_OP_IDEMPOTENT_WRITE,
    EL_ACL_OP_COUNT
};

enum el_acl_resource {
    EL_ACL_RESOURCE_UNKNOWN,
    EL_ACL_RESOURCE_ANY, /* in filters */
    EL_ACL_RESOURCE_TOPIC,
    EL_ACL_RESOURCE_GROUP,
    EL_ACL_RESOURCE_CLUSTER, /* the one name is EL_ACL_CLUSTER_NAME */
    EL_ACL_RESOURCE_TRANSACTIONAL_ID,
    EL_ACL_RESOURCE_COUNT
};

enum el_acl_pattern {
    EL_ACL_PATTERN_UNKNOWN,
    EL_ACL_PATTERN_ANY,      /* in filters: of either kind with exactly this name */
    EL_ACL_PATTERN_MATCH,    /* in filters: every rule that is about a resource of this name */
    EL_ACL_PATTERN_LITERAL,  /* one name, or "*" for all */
    EL_ACL_PATTERN_PREFIXED, /* all names that begin so */
    EL_ACL_PATTERN_COUNT
};

enum el_acl_permission {
    EL_ACL_PERMISSION_UNKNOWN,
    EL_ACL_PERMISSION_ANY, /* in filters */
    EL_ACL_PERMISSION_DENY,
    EL_ACL_PERMISSION_ALLOW,
    EL_ACL_PERMISSION_COUNT
};

#define EL_ACL_CLUSTER_NAME "kafka-cluster" /* as every client writes it */

/* A rule that grants every operation on a resource of this kind could be one for these: a set of 1 << operation. */
uint32_t el_acl_operations_of(int resource);
/* Which operations, of rules that allow, are enough for this one: a set of 1 << operation. Read, Write, Delete and
 * Alter include Describe, AlterConfigs includes DescribeConfigs; rules that deny include nothing. */
uint32_t el_acl_enough_for(int operation);

/* Names as people write them: "Read", "DescribeConfigs", "Topic", "Literal", "Allow"; "Unknown" out of range. */
const char *el_acl_operation_name(int operation);
const char *el_acl_resource_name(int resource);
const char *el_acl_pattern_name(int pattern);
const char *el_acl_permission_name(int permission);
/* The way back, whatever the case and with or without '-' and '_' between words; 0 when there is none of that name. */
int el_acl_operation_of(struct el_slice name);
int el_acl_resource_of(struct el_slice name);
int el_acl_pattern_of(struct el_slice name);
int el_acl_permission_of(struct el_slice name);

#endif
