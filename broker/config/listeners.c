/* SPDX-License-Identifier: Apache-2.0
 *
 * From the texts of the settings to the table of listeners. Start-up's thread; pure functions over struct config.
 *
 *   listeners                       NAME://HOST:PORT, with commas between them; without a host: all addresses
 *   advertised.listeners            the same names, with the addresses that clients are told
 *   listener.security.protocol.map  NAME:PROTOCOL; a name that is not in it is a protocol itself
 *
 * Without listeners there is one, PLAINTEXT, on listen and advertised.address.
 */
#include <config/config.h>
#include <config/config_target.h>
#include <config/listeners.h>
#include <config/setting.h>
#include <config/value.h>
#include <core/assert.h>

#include <arpa/inet.h>
#include <ctype.h>

static const char *const protocol_names[CONFIG_PROTOCOL_COUNT] = {
    [CONFIG_PLAINTEXT] = "PLAINTEXT",
    [CONFIG_SSL] = "SSL",
    [CONFIG_SASL_PLAINTEXT] = "SASL_PLAINTEXT",
    [CONFIG_SASL_SSL] = "SASL_SSL",
};

const char *config_protocol_name(enum config_protocol protocol)
{
    EL_ASSERT((unsigned)protocol < CONFIG_PROTOCOL_COUNT);
    return protocol_names[protocol];
}

/* 0.0.0.0 and :: in any spelling: listening there is listening on all addresses. */
static bool is_any_address(const char *host)
{
    static const struct in6_addr any6 = IN6ADDR_ANY_INIT;
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_aton(host, &v4) != 0) {
        return v4.s_addr == 0;
    }
    return inet_pton(AF_INET6, host, &v6) == 1 && memcmp(&v6, &any6, sizeof any6) == 0;
}

/* The text up to the next comma, without blanks; *rest moves behind it. returns false at the end */
static bool next_item(struct el_slice *rest, struct el_slice *item)
{
    if (rest->data == NULL) {
        return false;
    }
    const uint8_t *comma = rest->len == 0 ? NULL : memchr(rest->data, ',', rest->len);
    size_t len = comma == NULL ? rest->len : (size_t)(comma - rest->data);
    *item = value_trim(el_slice_of(rest->data, len));
    *rest = comma == NULL ? el_slice_of(NULL, 0) : el_slice_of(comma + 1, rest->len - len - 1);
    return true;
}

bool config_listener_name(struct el_slice text, char name[CONFIG_LISTENER_NAME_MAX])
{
    if (text.len == 0 || text.len >= CONFIG_LISTENER_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (!isalnum(text.data[i]) && text.data[i] != '_' && text.data[i] != '-') {
            return false;
        }
        name[i] = (char)toupper(text.data[i]);
    }
    name[text.len] = 0;
    return true;
}

static int find_protocol(const char *name)
{
    for (int i = 0; i < CONFIG_PROTOCOL_COUNT; i++) {
        if (strcmp(name, protocol_names[i]) == 0) {
            return i;
        }
    }
    return -1;
}

/* --- listener.security.protocol.map ------------------------------------------------------------------------------- */

struct protocol_map {
    struct {
        char name[CONFIG_LISTENER_NAME_MAX];
        enum config_protocol protocol;
    } rows[2 * CONFIG_LISTENERS_MAX];
    uint32_t count;
};

static int read_map(const char *text, struct protocol_map *map, struct el_error *err)
{
    struct el_slice rest = el_slice_str(text), item;
    map->count = 0;
    while (text[0] != 0 && next_item(&rest, &item)) {
        const uint8_t *colon = item.len == 0 ? NULL : memchr(item.data, ':', item.len);
        char name[CONFIG_LISTENER_NAME_MAX], word[CONFIG_LISTENER_NAME_MAX];
        size_t len = colon == NULL ? 0 : (size_t)(colon - item.data);
        bool ok = colon != NULL && config_listener_name(value_trim(el_slice_of(item.data, len)), name) &&
                  config_listener_name(value_trim(el_slice_of(colon + 1, item.len - len - 1)), word);
        int protocol = ok ? find_protocol(word) : -1;
        if (protocol < 0 || map->count == sizeof map->rows / sizeof map->rows[0]) {
            return el_error_set(
                err, EVLOG_ERR_INVALID_CONFIG,
                "listener.security.protocol.map: '%.*s' is not NAME:PROTOCOL with one of PLAINTEXT, SSL, "
                "SASL_PLAINTEXT, SASL_SSL",
                value_shown_len(item), (const char *)item.data);
        }
        memcpy(map->rows[map->count].name, name, sizeof name);
        map->rows[map->count++].protocol = (enum config_protocol)protocol;
    }
    return 0;
}

static int protocol_of(const struct protocol_map *map, const char *name)
{
    for (uint32_t i = 0; i < map->count; i++) {
        if (strcmp(map->rows[i].name, name) == 0) {
            return (int)map->rows[i].protocol;
        }
    }
    return find_protocol(name);
}

/* --- NAME://HOST:PORT --------------------------------------------------------------------------------------------- */

static bool take_item(struct el_slice item, bool advertised, char name[CONFIG_LISTENER_NAME_MAX],
                      struct config_address *address)
{
    const uint8_t *mark = item.len == 0 ? NULL : memmem(item.data, item.len, "://", 3);
    size_t len = mark == NULL ? 0 : (size_t)(mark - item.data);
    if (mark == NULL || !config_listener_name(el_slice_of(item.data, len), name)) {
        return false;
    }
    char where[CONFIG_HOST_MAX + 16];
    struct el_slice text = el_slice_of(mark + 3, item.len - len - 3);
    bool all = !advertised && text.len > 0 && text.data[0] == ':';
    int where_len = snprintf(where, sizeof where, "%s%.*s", all ? "0.0.0.0" : "", (int)text.len,
                             (const char *)text.data);
    return text.len > 0 && where_len > 0 && (size_t)where_len < sizeof where &&
           setting_address(address, el_slice_str(where), advertised);
}

static int refuse_item(const char *setting, struct el_slice item, struct el_error *err)
{
    return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                        "%s: '%.*s' must be NAME://HOST:PORT, such as PLAINTEXT://127.0.0.1:9092", setting,
                        value_shown_len(item), (const char *)item.data);
}

static struct config_listener *find_listener(struct config_listeners *table, const char *name)
{
    for (uint32_t i = 0; i < table->count; i++) {
        if (strcmp(table->list[i].name, name) == 0) {
            return &table->list[i];
        }
    }
    return NULL;
}

const struct config_listener *config_listener_find(const struct config_listeners *table, struct el_slice name)
{
    char upper[CONFIG_LISTENER_NAME_MAX];
    return config_listener_name(name, upper) ? find_listener((struct config_listeners *)(uintptr_t)table, upper) : NULL;
}

static int add_listener(struct config_listeners *table, const struct protocol_map *map, struct el_slice item,
                        struct el_error *err)
{
    struct config_listener made = {.name = ""};
    char hint[96];
    if (!take_item(item, false, made.name, &made.address)) {
        return refuse_item("listeners", item, err);
    }
    int protocol = protocol_of(map, made.name);
    if (protocol < 0) {
        return el_error_set(
            err, EVLOG_ERR_INVALID_CONFIG,
            "listeners: %s is no protocol%s; a name of your own needs its protocol in "
            "listener.security.protocol.map",
            made.name,
            value_nearest_text(el_slice_str(made.name), protocol_names, CONFIG_PROTOCOL_COUNT, hint, sizeof hint));
    }
    if (find_listener(table, made.name) != NULL) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                            "listeners: %s is there twice; give one of them a name of its own, with its protocol in "
                            "listener.security.protocol.map",
                            made.name);
    }
    if (table->count == CONFIG_LISTENERS_MAX) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "listeners: at most %d", CONFIG_LISTENERS_MAX);
    }
    made.protocol = (enum config_protocol)protocol;
    table->list[table->count++] = made;
    return 0;
}

static int read_listeners(const struct config *cfg, struct config_listeners *table, struct el_error *err)
{
    struct el_slice rest = el_slice_str(cfg->listeners), item;
    struct protocol_map map;
    int error = CONFIG_BLAME(cfg, err, read_map(cfg->listener_map, &map, err), CONFIG_listener_map);
    while (error == 0 && next_item(&rest, &item)) {
        error = CONFIG_BLAME(cfg, err, add_listener(table, &map, item, err), CONFIG_listeners);
    }
    return error;
}

static int add_advertised(struct config_listeners *table, struct el_slice item, struct el_error *err)
{
    char name[CONFIG_LISTENER_NAME_MAX];
    struct config_address address = {.port = 0};
    if (!take_item(item, true, name, &address)) {
        return refuse_item("advertised.listeners", item, err);
    }
    struct config_listener *listener = find_listener(table, name);
    if (listener == NULL) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "advertised.listeners: there is no listener %s", name);
    }
    if (listener->advertised.host[0] != 0) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "advertised.listeners: %s is there twice", name);
    }
    listener->advertised = address;
    return 0;
}

static int read_advertised(const struct config *cfg, struct config_listeners *table, struct el_error *err)
{
    struct el_slice rest = el_slice_str(cfg->advertised_listeners), item;
    int error = 0;
    while (cfg->advertised_listeners[0] != 0 && error == 0 && next_item(&rest, &item)) {
        error = CONFIG_BLAME(cfg, err, add_advertised(table, item, err), CONFIG_advertised_listeners, CONFIG_listeners);
    }
    return error;
}

/* --- checks ------------------------------------------------------------------------------------------------------- */

static int check_advertised(const struct config *cfg, const struct config_listener *listener, struct el_error *err)
{
    bool simple = cfg->listeners[0] == 0;
    int bound = simple ? CONFIG_listen : CONFIG_listeners;
    int advertised = simple ? CONFIG_advertised : CONFIG_advertised_listeners;
    if (is_any_address(listener->address.host) && listener->advertised.host[0] == 0) {
        int code = simple ? el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                         "listen is on all addresses (%s), so advertised.address must say at which of "
                                         "them clients reach this machine: --advertised-address=HOST",
                                         listener->address.host)
                          : el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                         "listener %s is on all addresses, so advertised.listeners must say at which "
                                         "of them clients reach this machine: --advertised-listeners=%s://HOST:PORT",
                                         listener->name, listener->name);
        return CONFIG_BLAME(cfg, err, code, bound, advertised);
    }
    if (is_any_address(listener->advertised.host)) {
        int code = el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                "%s cannot be %s: it is where clients connect to, a name or address of this machine",
                                config_target_name(advertised), listener->advertised.host);
        return CONFIG_BLAME(cfg, err, code, advertised);
    }
    return 0;
}

static bool is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1) {
        return (ntohl(v4.s_addr) >> 24) == 127;
    }
    return strcmp(host, "localhost") == 0 || (inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6));
}

/* AF_INET or AF_INET6 of an address in figures; 0: it may be either */
static int family_of(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_aton(host, &v4) != 0) {
        return AF_INET;
    }
    return inet_pton(AF_INET6, host, &v6) == 1 && !IN6_IS_ADDR_V4MAPPED(&v6) ? AF_INET6 : 0;
}

/* One of IPv4 and one of IPv6 on a port: no client can mean both, since all of IPv6 leaves IPv4 alone then. */
static bool are_apart(const struct config_address *a, const struct config_address *b)
{
    int of_a = family_of(a->host), of_b = family_of(b->host);
    return of_a != 0 && of_b != 0 && of_a != of_b;
}

static bool same_place(const struct config_address *a, const struct config_address *b)
{
    return a->port == b->port && a->port != 0 && !are_apart(a, b) &&
           (strcmp(a->host, b->host) == 0 || is_any_address(a->host) || is_any_address(b->host));
}

static void leave_v4(struct config_listeners *table)
{
    for (uint32_t i = 0; i < table->count; i++) {
        struct config_listener *listener = &table->list[i];
        const struct config_address *address = &listener->address;
        bool all_v6 = is_any_address(address->host) && family_of(address->host) == AF_INET6;
        for (uint32_t k = 0; k < table->count && all_v6 && address->port != 0; k++) {
            const struct config_address *other = &table->list[k].address;
            listener->only_v6 = listener->only_v6 || (other->port == address->port && are_apart(address, other));
        }
    }
}

static int check_table(const struct config *cfg, const struct config_listeners *table, struct el_error *err)
{
    int error = 0;
    for (uint32_t i = 0; i < table->count && error == 0; i++) {
        const struct config_listener *listener = &table->list[i];
        error = check_advertised(cfg, listener, err);
        for (uint32_t k = 0; k < i && error == 0; k++) {
            if (same_place(&listener->address, &table->list[k].address)) {
                error = el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "listeners %s and %s are both on port %u",
                                     table->list[k].name, listener->name, listener->address.port);
                error = CONFIG_BLAME(cfg, err, error, CONFIG_listeners);
            }
        }
        if (error == 0 && listener->protocol == CONFIG_SASL_PLAINTEXT && !cfg->insecure_sasl_plaintext &&
            !is_loopback(listener->address.host)) {
            error = el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                 "listener %s: SASL_PLAINTEXT beyond the loopback address lets who listens in guess "
                                 "passwords: use SASL_SSL, or say --insecure-sasl-plaintext",
                                 listener->name);
            error = CONFIG_BLAME(cfg, err, error, CONFIG_listeners, CONFIG_listener_map);
        }
    }
    return error;
}

/* The simple pair and the list exclude each other. What --print-config writes has listen at its default as well. */
static int check_pair(const struct config *cfg, struct el_error *err)
{
    char listen[SETTING_TEXT_MAX];
    bool has_list = cfg->listeners[0] != 0;
    setting_text(cfg, CONFIG_listen, listen, sizeof listen);
    bool has_listen = strcmp(listen, setting_at(CONFIG_listen)->default_text) != 0;
    if (!has_list && (cfg->advertised_listeners[0] != 0 || cfg->listener_map[0] != 0)) {
        int code = el_error_set(
            err, EVLOG_ERR_INVALID_CONFIG,
            "advertised.listeners and listener.security.protocol.map belong to listeners, which is not set");
        return CONFIG_BLAME(cfg, err, code, CONFIG_advertised_listeners, CONFIG_listener_map);
    }
    if (has_list && (has_listen || cfg->advertised.host[0] != 0)) {
        int code = el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                "listeners is set, so that listen and advertised.address must go: use listeners and "
                                "advertised.listeners instead");
        return CONFIG_BLAME(cfg, err, code, has_listen ? CONFIG_listen : CONFIG_advertised, CONFIG_listeners);
    }
    return 0;
}

int config_listeners_make(struct config *cfg, struct el_error *err)
{
    struct config_listeners *table = &cfg->listener_table;
    memset(table, 0, sizeof *table);
    int error = check_pair(cfg, err);
    if (error == 0 && cfg->listeners[0] == 0) {
        struct config_listener *only = &table->list[table->count++];
        memcpy(only->name, protocol_names[CONFIG_PLAINTEXT], strlen(protocol_names[CONFIG_PLAINTEXT]) + 1);
        only->address = cfg->listen;
        only->advertised = cfg->advertised;
    } else if (error == 0) {
        error = read_listeners(cfg, table, err);
        error = error != 0 ? error : read_advertised(cfg, table, err);
    }
    leave_v4(table);
    return error != 0 ? error : check_table(cfg, table, err);
}

void config_listener_advertised(const struct config_listener *listener, uint16_t bound_port,
                                struct config_address *address)
{
    const struct config_address *advertised = &listener->advertised;
    bool own_port = advertised->host[0] != 0 && advertised->port != 0;
    *address = advertised->host[0] != 0 ? *advertised : listener->address;
    address->port = own_port ? advertised->port : bound_port;
}
