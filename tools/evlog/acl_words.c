/* SPDX-License-Identifier: Apache-2.0 */
#include "acl_words.h"

#include <core/acl.h>
#include <core/alloc.h>
#include <core/nearest.h>
#include <ctype.h>
#include <stdarg.h>
#include <string.h>

#define PRINCIPAL_KIND "User:"
#define WORD_MAX 32
#define RULES_MAX EVLOG_ACL_COUNT_MAX

enum { WORD_PRINCIPAL, WORD_OPERATIONS, WORD_RESOURCE, WORD_NAME };

/* --- words -------------------------------------------------------------------------------------------------------- */

static int wrong(struct acl_mistake *mistake, int word, const char *format, ...) __attribute__((format(printf, 3, 4)));

static int wrong(struct acl_mistake *mistake, int word, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    mistake->word = word;
    mistake->remedy[0] = '\0';
    (void)vsnprintf(mistake->text, sizeof mistake->text, format, args);
    va_end(args);
    return EVLOG_ERR_ARGUMENT;
}

static void remedy(struct acl_mistake *mistake, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void remedy(struct acl_mistake *mistake, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(mistake->remedy, sizeof mistake->remedy, format, args);
    va_end(args);
}

const char *acl_word(char *text, const char *name)
{
    size_t at = 0;
    for (const char *c = name; *c != '\0' && at + 2 < WORD_MAX; c++) {
        if (isupper((unsigned char)*c) && c != name) {
            text[at++] = '-';
        }
        text[at++] = (char)tolower((unsigned char)*c);
    }
    text[at] = '\0';
    return text;
}

/* All words of a kind from a number on, for "did you mean". */
static const char *nearest(const char *word, const char *(*name_of)(int), int first, int end, char *found)
{
    char texts[EL_ACL_OP_COUNT][WORD_MAX];
    const char *names[EL_ACL_OP_COUNT];
    for (int i = first; i < end; i++) {
        names[i - first] = acl_word(texts[i - first], name_of(i));
    }
    const char *near = el_nearest(word, names, (size_t)(end - first));
    return near == NULL ? NULL : strcpy(found, near);
}

int acl_operation_word(const char *word, size_t len, struct acl_mistake *mistake)
{
    char copy[WORD_MAX * 2], found[WORD_MAX];
    int operation = el_acl_operation_of(el_slice_of(word, len));
    if (operation >= EL_ACL_OP_ALL) {
        return operation;
    }
    (void)snprintf(copy, sizeof copy, "%.*s", (int)EL_MIN(len, sizeof copy - 1), word);
    (void)wrong(mistake, WORD_OPERATIONS, "there is no operation \"%s\"", copy);
    const char *near = nearest(copy, el_acl_operation_name, EL_ACL_OP_ALL, EL_ACL_OP_COUNT, found);
    remedy(mistake,
           near == NULL
               ? "operations are read, write, create, delete, alter, describe, describe-configs, alter-configs,"
                 " cluster-action, idempotent-write and all"
               : "did you mean %s?",
           near);
    return 0;
}

int acl_resource_word(const char *word, struct acl_mistake *mistake)
{
    char found[WORD_MAX];
    int resource = el_acl_resource_of(el_slice_str(word));
    if (resource > EL_ACL_RESOURCE_ANY) {
        return resource;
    }
    (void)wrong(mistake, WORD_RESOURCE, "there is no kind of resource \"%.60s\"", word);
    const char *near = nearest(word, el_acl_resource_name, EL_ACL_RESOURCE_TOPIC, EL_ACL_RESOURCE_COUNT, found);
    remedy(mistake,
           near == NULL ? "resources are topic NAME, group NAME, transactional-id NAME, and cluster"
                        : "did you mean %s?",
           near);
    return 0;
}

int acl_principal_check(const char *principal, struct acl_mistake *mistake)
{
    size_t len = sizeof PRINCIPAL_KIND - 1;
    if (strncmp(principal, PRINCIPAL_KIND, len) == 0 && principal[len] != '\0') {
        return 0;
    }
    (void)wrong(mistake, WORD_PRINCIPAL, "\"%.100s\" is no principal, which is %sNAME, or %s* for everybody", principal,
                PRINCIPAL_KIND, PRINCIPAL_KIND);
    if (strchr(principal, ':') == NULL && principal[0] != '\0') {
        remedy(mistake, "did you mean %s%.100s?", PRINCIPAL_KIND, principal);
    }
    return EVLOG_ERR_ARGUMENT;
}

int acl_host_check(const char *host, char address[EL_ADDRESS_TEXT_MAX], struct acl_mistake *mistake)
{
    if (el_address_canonical(el_slice_of(host, strlen(host)), address)) {
        return 0;
    }
    (void)wrong(mistake, ACL_WORD_HOST, "\"%.100s\" is no address, IPv4 or IPv6: a rule for it would hold for nobody",
                host);
    remedy(mistake, strchr(host, '/') == NULL ? "names of hosts are not looked up: write an address of each"
                                              : "write a rule for each address, or keep others out by a firewall");
    return EVLOG_ERR_ARGUMENT;
}

/* --- rules -------------------------------------------------------------------------------------------------------- */

int acl_set_put(struct acl_set *set, const struct evlog_acl *acl)
{
    struct evlog_acl *grown = el_realloc(set->acls, (set->count + 1) * sizeof *grown);
    if (grown == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    set->acls = grown;
    set->acls[set->count++] = *acl;
    return 0;
}

/* A copy that lives as long as the set: of a name without the "*" at its end, of an address. */
static const char *copy(struct acl_set *set, const char *name, size_t len)
{
    char **grown = el_realloc(set->texts, (set->text_count + 1) * sizeof *grown);
    set->texts = grown == NULL ? set->texts : grown;
    char *text = grown == NULL ? NULL : el_malloc(len + 1);
    if (text != NULL) {
        memcpy(text, name, len);
        text[len] = '\0';
        set->texts[set->text_count++] = text;
    }
    return text;
}

void acl_set_free(struct acl_set *set)
{
    for (size_t i = 0; i < set->text_count; i++) {
        el_free(set->texts[i]);
    }
    el_free(set->texts);
    el_free(set->acls);
    memset(set, 0, sizeof *set);
}

static int take_name(struct acl_set *set, const struct acl_words *words, int index, struct evlog_acl *acl,
                     struct acl_mistake *mistake)
{
    const char *name = words->words[index], *star = strchr(name, '*');
    size_t len = strlen(name);
    acl->pattern = EVLOG_ACL_LITERAL;
    acl->name = name;
    if (len == 0 || len > 255) {
        return wrong(mistake, index, "the name of a resource has 1 to 255 bytes");
    }
    if (words->literal || star == NULL || len == 1) {
        return 0;
    }
    if (star != name + len - 1) {
        (void)wrong(mistake, index, "\"%.100s\": a \"*\" stands at the end of a name, or alone", name);
        remedy(mistake, "write one rule for each beginning of names");
        return EVLOG_ERR_ARGUMENT;
    }
    acl->pattern = EVLOG_ACL_PREFIXED;
    acl->name = copy(set, name, len - 1);
    return acl->name == NULL ? EVLOG_ERR_NO_MEMORY : 0;
}

static int check_operation(int operation, int resource, struct acl_mistake *mistake)
{
    uint32_t known = el_acl_operations_of(resource);
    char word[WORD_MAX], kind[WORD_MAX];
    if (operation == EVLOG_ACL_ALL || (known & 1u << operation) != 0) {
        return 0;
    }
    (void)wrong(mistake, WORD_OPERATIONS, "nobody does %s to a %s", acl_word(word, el_acl_operation_name(operation)),
                acl_word(kind, el_acl_resource_name(resource)));
    size_t at = (size_t)snprintf(mistake->remedy, sizeof mistake->remedy, "of a %s there are: all", kind);
    for (int i = EVLOG_ACL_ALL + 1; i < EL_ACL_OP_COUNT; i++) {
        if ((known & 1u << i) != 0) {
            at += (size_t)snprintf(mistake->remedy + at, sizeof mistake->remedy - at, ", %s",
                                   acl_word(word, el_acl_operation_name(i)));
        }
    }
    return EVLOG_ERR_ARGUMENT;
}

/* One rule for each operation of the second word. */
static int put_operations(struct acl_set *set, const char *operations, struct evlog_acl *acl,
                          struct acl_mistake *mistake)
{
    for (const char *at = operations;;) {
        size_t len = strcspn(at, ",");
        acl->operation = acl_operation_word(at, len, mistake);
        int rc = acl->operation == 0              ? EVLOG_ERR_ARGUMENT
                 : acl->resource == EVLOG_ACL_ANY ? 0
                                                  : check_operation(acl->operation, acl->resource, mistake);
        if (rc == 0 && set->count >= RULES_MAX) {
            rc = wrong(mistake, WORD_OPERATIONS, "one change has at most %d rules", RULES_MAX);
        }
        rc = rc == 0 ? acl_set_put(set, acl) : rc;
        if (rc != 0 || at[len] == '\0') {
            return rc;
        }
        at += len + 1;
    }
}

/* The host of rules. returns 0 | EVLOG_ERR_ARGUMENT | EVLOG_ERR_NO_MEMORY */
static int take_host(struct acl_set *set, const char *host, const char **taken, struct acl_mistake *mistake)
{
    char address[EL_ADDRESS_TEXT_MAX];
    if (host == NULL || strcmp(host, "*") == 0) {
        return 0;
    }
    int rc = acl_host_check(host, address, mistake);
    *taken = rc == 0 ? copy(set, address, strlen(address)) : NULL;
    return rc == 0 && *taken == NULL ? EVLOG_ERR_NO_MEMORY : rc;
}

int acl_rules_add(struct acl_set *set, const struct acl_words *words, struct acl_mistake *mistake)
{
    struct evlog_acl acl = {
        .host = "*",
        .permission = words->permission,
        .pattern = EVLOG_ACL_LITERAL,
        .name = EL_ACL_CLUSTER_NAME,
    };
    if (words->count <= WORD_RESOURCE) {
        return wrong(mistake, words->count, "a rule is PRINCIPAL OPERATION RESOURCE NAME");
    }
    acl.principal = words->words[WORD_PRINCIPAL];
    int rc = acl_principal_check(acl.principal, mistake);
    acl.resource = rc == 0 ? acl_resource_word(words->words[WORD_RESOURCE], mistake) : 0;
    if (rc == 0 && acl.resource == 0) {
        return EVLOG_ERR_ARGUMENT;
    }
    bool is_cluster = acl.resource == EVLOG_ACL_CLUSTER;
    if (rc == 0 && is_cluster && words->count > WORD_NAME) {
        rc = wrong(mistake, WORD_NAME, "the cluster has no name");
    } else if (rc == 0 && !is_cluster && words->count == WORD_NAME) {
        rc = wrong(mistake, WORD_NAME, "the name of the %.60s is missing", words->words[WORD_RESOURCE]);
        remedy(mistake, "\"*\" stands for all names, \"orders-*\" for those that begin so");
    }
    rc = rc == 0 ? take_host(set, words->host, &acl.host, mistake) : rc;
    for (int i = WORD_NAME; rc == 0 && (i < words->count || (is_cluster && i == WORD_NAME)); i++) {
        rc = is_cluster ? 0 : take_name(set, words, i, &acl, mistake);
        rc = rc == 0 ? put_operations(set, words->words[WORD_OPERATIONS], &acl, mistake) : rc;
    }
    return rc;
}

int acl_filters_add(struct acl_set *set, const struct acl_words *words, struct acl_mistake *mistake)
{
    struct evlog_acl acl = EVLOG_ACL_FILTER_INIT;
    const char *const *word = words->words;
    int rc = 0;
    acl.host = words->host;
    acl.permission = words->permission;
    if (words->count > WORD_PRINCIPAL && strcmp(word[WORD_PRINCIPAL], "any") != 0) {
        acl.principal = word[WORD_PRINCIPAL];
        rc = acl_principal_check(acl.principal, mistake);
    }
    if (rc == 0 && words->count > WORD_RESOURCE) {
        acl.resource = acl_resource_word(word[WORD_RESOURCE], mistake);
        rc = acl.resource == 0 ? EVLOG_ERR_ARGUMENT : 0;
    }
    if (rc == 0 && words->count > WORD_NAME && acl.resource == EVLOG_ACL_CLUSTER) {
        rc = wrong(mistake, WORD_NAME, "the cluster has no name");
    }
    bool any = words->count <= WORD_OPERATIONS || strcmp(word[WORD_OPERATIONS], "any") == 0;
    for (int i = WORD_NAME; rc == 0 && (i < words->count || i == WORD_NAME); i++) {
        rc = i < words->count ? take_name(set, words, i, &acl, mistake) : 0;
        if (rc == 0) {
            rc = any ? acl_set_put(set, &acl) : put_operations(set, word[WORD_OPERATIONS], &acl, mistake);
        }
    }
    return rc;
}

const char *acl_name_mark(const struct evlog_acl *acl)
{
    bool is_all = strcmp(acl->name, "*") == 0;
    return acl->pattern == EVLOG_ACL_PREFIXED                                               ? "*"
           : acl->pattern == EVLOG_ACL_LITERAL && !is_all && strchr(acl->name, '*') != NULL ? " (literal)"
                                                                                            : "";
}

/* --- out ---------------------------------------------------------------------------------------------------------- */

void acl_say(struct el_buffer *out, const struct evlog_acl *acl)
{
    char permission[WORD_MAX], operation[WORD_MAX], resource[WORD_MAX];
    el_buffer_printf(out, "%s ", acl_word(permission, el_acl_permission_name(acl->permission)));
    cli_text(out, (struct evlog_bytes){acl->principal, strlen(acl->principal)}, CLI_SHOWN_MAX);
    el_buffer_printf(out, " %s %s", acl_word(operation, el_acl_operation_name(acl->operation)),
                     acl_word(resource, el_acl_resource_name(acl->resource)));
    if (acl->resource != EVLOG_ACL_CLUSTER) {
        el_buffer_append_char(out, ' ');
        cli_text(out, (struct evlog_bytes){acl->name, strlen(acl->name)}, CLI_SHOWN_MAX);
        el_buffer_append_str(out, acl_name_mark(acl));
    }
    if (strcmp(acl->host, "*") != 0) {
        el_buffer_append_str(out, " from ");
        cli_text(out, (struct evlog_bytes){acl->host, strlen(acl->host)}, CLI_SHOWN_MAX);
    }
}

bool acl_same(const struct evlog_acl *a, const struct evlog_acl *b)
{
    return a->operation == b->operation && a->permission == b->permission && a->resource == b->resource &&
           a->pattern == b->pattern && strcmp(a->principal, b->principal) == 0 && strcmp(a->host, b->host) == 0 &&
           strcmp(a->name, b->name) == 0;
}
