/* SPDX-License-Identifier: Apache-2.0
 *
 * See acl.h. Which operations a kind of resource knows follows Kafka's own table, so that its tools show the same.
 */
#include <core/acl.h>

#include <ctype.h>

#define OP(name) (1u << EL_ACL_OP_##name)

static const char *const operations[EL_ACL_OP_COUNT] = {
    "Unknown",         "Any",   "All",      "Read",          "Write",           "Create",
    "Delete",          "Alter", "Describe", "ClusterAction", "DescribeConfigs", "AlterConfigs",
    "IdempotentWrite",
};
static const char *const resources[EL_ACL_RESOURCE_COUNT] = {"Unknown", "Any",     "Topic",
                                                             "Group",   "Cluster", "TransactionalId"};
static const char *const patterns[EL_ACL_PATTERN_COUNT] = {"Unknown", "Any", "Match", "Literal", "Prefixed"};
static const char *const permissions[EL_ACL_PERMISSION_COUNT] = {"Unknown", "Any", "Deny", "Allow"};

uint32_t el_acl_operations_of(int resource)
{
    switch (resource) {
    case EL_ACL_RESOURCE_TOPIC:
        return OP(READ) | OP(WRITE) | OP(CREATE) | OP(DELETE) | OP(ALTER) | OP(DESCRIBE) | OP(DESCRIBE_CONFIGS) |
               OP(ALTER_CONFIGS);
    case EL_ACL_RESOURCE_GROUP:
        return OP(READ) | OP(DELETE) | OP(DESCRIBE) | OP(DESCRIBE_CONFIGS) | OP(ALTER_CONFIGS);
    case EL_ACL_RESOURCE_CLUSTER:
        return OP(CREATE) | OP(ALTER) | OP(DESCRIBE) | OP(CLUSTER_ACTION) | OP(DESCRIBE_CONFIGS) | OP(ALTER_CONFIGS) |
               OP(IDEMPOTENT_WRITE);
    case EL_ACL_RESOURCE_TRANSACTIONAL_ID:
        return OP(WRITE) | OP(DESCRIBE);
    default:
        return 0;
    }
}

uint32_t el_acl_enough_for(int operation)
{
    uint32_t set = OP(ALL) | 1u << operation;
    if (operation == EL_ACL_OP_DESCRIBE) {
        set |= OP(READ) | OP(WRITE) | OP(DELETE) | OP(ALTER);
    } else if (operation == EL_ACL_OP_DESCRIBE_CONFIGS) {
        set |= OP(ALTER_CONFIGS);
    }
    return set;
}

static const char *name_at(const char *const *names, int count, int index)
{
    return index < 0 || index >= count ? names[0] : names[index];
}

static bool between_words(uint8_t c)
{
    return c == '-' || c == '_';
}

static bool same_word(const char *name, struct el_slice text)
{
    size_t at = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (between_words(text.data[i])) {
            continue;
        }
        if (name[at] == 0 || tolower((unsigned char)name[at]) != tolower(text.data[i])) {
            return false;
        }
        at++;
    }
    return name[at] == 0;
}

static int index_of(const char *const *names, int count, struct el_slice text)
{
    for (int i = 1; i < count; i++) {
        if (same_word(names[i], text)) {
            return i;
        }
    }
    return 0;
}

const char *el_acl_operation_name(int operation)
{
    return name_at(operations, EL_ACL_OP_COUNT, operation);
}

const char *el_acl_resource_name(int resource)
{
    return name_at(resources, EL_ACL_RESOURCE_COUNT, resource);
}

const char *el_acl_pattern_name(int pattern)
{
    return name_at(patterns, EL_ACL_PATTERN_COUNT, pattern);
}

const char *el_acl_permission_name(int permission)
{
    return name_at(permissions, EL_ACL_PERMISSION_COUNT, permission);
}

int el_acl_operation_of(struct el_slice name)
{
    return index_of(operations, EL_ACL_OP_COUNT, name);
}

int el_acl_resource_of(struct el_slice name)
{
    return index_of(resources, EL_ACL_RESOURCE_COUNT, name);
}

int el_acl_pattern_of(struct el_slice name)
{
    return index_of(patterns, EL_ACL_PATTERN_COUNT, name);
}

int el_acl_permission_of(struct el_slice name)
{
    return index_of(permissions, EL_ACL_PERMISSION_COUNT, name);
}
