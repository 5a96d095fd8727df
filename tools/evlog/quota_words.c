/* SPDX-License-Identifier: Apache-2.0 */
#include "quota_words.h"

#include <core/nearest.h>
#include <core/timefmt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define KEY_OF_ADDRESSES 3

static const char *const keys[QUOTA_KEY_COUNT] = {"producer_byte_rate", "consumer_byte_rate", "request_percentage",
                                                  "connection_creation_rate"};

int quota_value_parse(const char *key, const char *text, double *value, struct el_error *err)
{
    char *rest = NULL;
    uint64_t len = 0;
    if (strstr(key, "byte_rate") != NULL) {
        if (el_size_parse(text, &len, err) != 0) {
            return EVLOG_ERR_ARGUMENT;
        }
        *value = (double)len;
    } else {
        *value = strtod(text, &rest);
    }
    if (*text == '\0' || (rest != NULL && *rest != '\0') || !(*value > 0) || !isfinite(*value)) {
        return el_error_set(err, EVLOG_ERR_ARGUMENT, "\"%.60s\": a limit is a number above 0", text);
    }
    return 0;
}

int quota_key_check(const struct evlog_quota_entity *entity, const char *key, char *remedy, struct el_error *err)
{
    bool of_address = entity->ip != NULL || entity->default_ip;
    int known = 0;
    remedy[0] = '\0';
    while (known < QUOTA_KEY_COUNT && strcmp(keys[known], key) != 0) {
        known++;
    }
    if (known == QUOTA_KEY_COUNT) {
        const char *near = el_nearest(key, keys, QUOTA_KEY_COUNT);
        (void)snprintf(remedy, QUOTA_REMEDY_MAX,
                       near == NULL ? "'evlog help quota' tells the limits" : "did you mean %s?", near);
        return el_error_set(err, EVLOG_ERR_ARGUMENT, "there is no limit \"%.60s\"", key);
    }
    if (of_address != (known == KEY_OF_ADDRESSES)) {
        return el_error_set(err, EVLOG_ERR_ARGUMENT,
                            of_address ? "an address has the limit connection_creation_rate alone"
                                       : "connection_creation_rate is a limit of addresses");
    }
    return 0;
}

/* --- entities ----------------------------------------------------------------------------------------------------- */

/* Cut words in two at a blank: the first, and what is behind it, "" nothing. */
static char *cut(char *words)
{
    char *rest = words + strcspn(words, " \t");
    if (*rest != '\0') {
        *rest++ = '\0';
    }
    return rest + strspn(rest, " \t");
}

static int whom(struct el_error *err)
{
    return el_error_set(err, EVLOG_ERR_ARGUMENT,
                        "a limit is for user NAME, client-id ID, both of them, or ip ADDRESS; default-user, "
                        "default-client-id and default-ip stand for those without a limit of their own");
}

/* "client-id nightly" or "default-client-id" behind a user; rest is from there on */
static int take_client(char *rest, struct evlog_quota_entity *entity, struct el_error *err)
{
    char *name = cut(rest);
    if (strcmp(rest, "client-id") == 0 && *name != '\0') {
        entity->client_id = name;
        return 0;
    }
    entity->default_client_id = strcmp(rest, "default-client-id") == 0 && *name == '\0';
    return entity->default_client_id ? 0 : whom(err);
}

/* The name of a user may have blanks, as those in certificates do: it ends where a client id begins. */
static char *end_of_user(char *name)
{
    static const char *const words[] = {" client-id ", " default-client-id"};
    char *client = strstr(name, words[0]), *last = strstr(name, words[1]);
    if (client == NULL && last != NULL && last[strlen(words[1])] == '\0') {
        client = last;
    }
    if (client == NULL) {
        return NULL;
    }
    char *rest = client + 1;
    for (; client > name && (client[-1] == ' ' || client[-1] == '\t');) {
        client--;
    }
    *client = '\0';
    return rest;
}

int quota_entity_parse(char *words, struct evlog_quota_entity *entity, char address[EL_ADDRESS_TEXT_MAX],
                       struct el_error *err)
{
    *entity = (struct evlog_quota_entity){0};
    char *name = cut(words);
    if (strcmp(words, "user") == 0) {
        char *client = end_of_user(name);
        entity->user = name;
        return *name == '\0' ? whom(err) : client == NULL ? 0 : take_client(client, entity, err);
    }
    if (strcmp(words, "default-user") == 0) {
        entity->default_user = true;
        return *name == '\0' ? 0 : take_client(name, entity, err);
    }
    if (strcmp(words, "ip") == 0 && *name != '\0') {
        entity->ip = address;
        return el_address_canonical(el_slice_str(name), address)
                   ? 0
                   : el_error_set(err, EVLOG_ERR_ARGUMENT, "\"%.60s\" is no address, IPv4 or IPv6", name);
    }
    if (strcmp(words, "default-ip") == 0 && *name == '\0') {
        entity->default_ip = true;
        return 0;
    }
    if (*name != '\0') {
        name[-1] = ' '; /* one word again: what is cut is looked at anew */
    }
    return take_client(words, entity, err);
}

static void say(struct el_buffer *out, const char *kind, const char *name, bool is_default)
{
    const char *separator = out->len == 0 || out->data[out->len - 1] == ' ' ? "" : " ";
    if (is_default) {
        el_buffer_printf(out, "%sdefault-%s", separator, kind);
    } else if (name != NULL) {
        el_buffer_printf(out, "%s%s %s", separator, kind, name);
    }
}

void quota_entity_say(struct el_buffer *out, const struct evlog_quota_entity *entity)
{
    say(out, "user", entity->user, entity->default_user);
    say(out, "client-id", entity->client_id, entity->default_client_id);
    say(out, "ip", entity->ip, entity->default_ip);
}

static bool same_name(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool quota_entity_same(const struct evlog_quota_entity *a, const struct evlog_quota_entity *b)
{
    return same_name(a->user, b->user) && same_name(a->client_id, b->client_id) && same_name(a->ip, b->ip) &&
           a->default_user == b->default_user && a->default_client_id == b->default_client_id &&
           a->default_ip == b->default_ip;
}
