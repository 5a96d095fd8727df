/* SPDX-License-Identifier: Apache-2.0 */
#include "acl_decide.h"

#include <core/acl.h>
#include <core/address.h>
#include <string.h>

/* How a rule stands to a question, the strongest first. */
enum { DENIES, ALLOWS, OTHERS_OPERATION, NOT_HIS, STANDING_COUNT };

bool acl_names(const char *super_users, const char *principal)
{
    size_t len = strlen(principal);
    for (const char *at = super_users; at != NULL;) {
        const char *end = strchr(at, ';');
        size_t part_len = end == NULL ? strlen(at) : (size_t)(end - at);
        for (; part_len > 0 && (*at == ' ' || *at == '\t'); part_len--) {
            at++;
        }
        for (; part_len > 0 && (at[part_len - 1] == ' ' || at[part_len - 1] == '\t');) {
            part_len--;
        }
        if (part_len == len && memcmp(at, principal, len) == 0) {
            return true;
        }
        at = end == NULL ? NULL : end + 1;
    }
    return false;
}

static int standing(const struct evlog_acl_question *question, const struct evlog_acl *rule)
{
    if (strcmp(rule->principal, question->principal) != 0 && strcmp(rule->principal, "User:*") != 0) {
        return NOT_HIS;
    }
    bool here = strcmp(rule->host, "*") == 0 ||
                (question->host != NULL && (strcmp(rule->host, question->host) == 0 ||
                                            el_address_same(el_slice_str(rule->host), el_slice_str(question->host))));
    uint32_t operation = rule->operation < EL_ACL_OP_COUNT && rule->operation > 0 ? 1u << rule->operation : 0;
    if (here && rule->permission == EVLOG_ACL_DENY &&
        (operation & (1u << EVLOG_ACL_ALL | 1u << question->operation)) != 0) {
        return DENIES;
    }
    if (here && rule->permission == EVLOG_ACL_ALLOW && (operation & el_acl_enough_for(question->operation)) != 0) {
        return ALLOWS;
    }
    return OTHERS_OPERATION;
}

/* Bring the rules into the order of their standing; what stands alike keeps its order. returns how many are his */
static size_t sort(const struct evlog_acl_question *question, struct evlog_acl *rules, size_t count)
{
    size_t at = 0;
    for (int wanted = DENIES; wanted < NOT_HIS; wanted++) {
        for (size_t i = at; i < count; i++) {
            if (standing(question, &rules[i]) == wanted) {
                struct evlog_acl rule = rules[i];
                memmove(&rules[at + 1], &rules[at], (i - at) * sizeof rule);
                rules[at++] = rule;
            }
        }
    }
    return at;
}

void acl_decide(const struct evlog_acl_question *question, const struct acl_settings *settings, struct evlog_acl *rules,
                size_t count, struct evlog_acl_answer *answer)
{
    *answer = (struct evlog_acl_answer){.settings_known = settings->known};
    size_t his_count = sort(question, rules, count);
    int first = his_count == 0 ? NOT_HIS : standing(question, &rules[0]);
    answer->others = rules;
    answer->other_count = his_count;
    if (!settings->enabled || settings->is_super) {
        answer->reason = settings->enabled ? EVLOG_ACL_BY_SUPER : EVLOG_ACL_BY_SETTING;
        answer->allowed = true;
    } else if (first == DENIES || first == ALLOWS) {
        answer->reason = EVLOG_ACL_BY_RULE;
        answer->allowed = first == ALLOWS;
        answer->rule = &rules[0];
        answer->others = &rules[1];
        answer->other_count = his_count - 1;
    } else {
        answer->reason = count == 0 ? EVLOG_ACL_BY_DEFAULT : EVLOG_ACL_BY_NO_RULE;
        answer->allowed = count == 0 && settings->allow_if_none;
    }
}
