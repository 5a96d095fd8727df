/* SPDX-License-Identifier: Apache-2.0 */
#include <notify.h>
#include <ready.h>

#include <core/logger.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define LISTENERS_TEXT_MAX (CONFIG_LISTENERS_MAX * (CONFIG_HOST_MAX + CONFIG_LISTENER_NAME_MAX + 32))

static const char *address_text(const char *host, uint16_t port, char *text, size_t text_max)
{
    bool colon = strchr(host, ':') != NULL;
    snprintf(text, text_max, "%s%s%s:%u", colon ? "[" : "", host[0] == '\0' ? "0.0.0.0" : host, colon ? "]" : "", port);
    return text;
}

/* " listeners=NAME://HOST:PORT,...", "" for the simple form. */
static const char *listeners_text(const struct config *cfg, const struct net *net, char *text, size_t text_max)
{
    const struct config_listeners *table = &cfg->listener_table;
    size_t len = 0;
    text[0] = 0;
    for (uint32_t i = 0; i < table->count && cfg->listeners[0] != 0; i++) {
        char address[CONFIG_HOST_MAX + 16];
        address_text(table->list[i].address.host, net_port(net, i), address, sizeof address);
        int n = snprintf(text + len, text_max - len, "%s%s://%s", i == 0 ? " listeners=" : ",", table->list[i].name,
                         address);
        EL_ASSERT(n > 0);
        EL_ASSERT((size_t)n < text_max - len);
        len += (size_t)n;
    }
    return text;
}

void ready_print(const struct config *cfg, const struct shard *shards, uint32_t shard_count, uint16_t http_port)
{
    char listeners[LISTENERS_TEXT_MAX], kafka[CONFIG_HOST_MAX + 16], address[CONFIG_HOST_MAX + 16];
    char http[CONFIG_HOST_MAX + 32] = "off";
    const struct io *io = shards[0].io;
    const struct store *store = store_shard_store(shards[0].store);
    address_text(cfg->listener_table.list[0].address.host, net_port(shards[0].net, 0), kafka, sizeof kafka);
    if (!cfg->http.off) {
        snprintf(http, sizeof http, "%s%s", cfg->http.tls ? "https://" : "",
                 address_text(cfg->http.host, http_port, address, sizeof address));
    }
    el_log(EL_LOG_INFO, "server", "ready on %s, commit method %s, cluster %s, leader epoch %d", kafka, io->commit_name,
           store_cluster_id(store), store_leader_epoch(store));
    printf("evlogd ready kafka=%s http=%s shards=%" PRIu32 " io=%s pid=%d%s\n", kafka, http, shard_count, io->name,
           (int)getpid(), listeners_text(cfg, shards[0].net, listeners, sizeof listeners));
    fflush(stdout);
    notify_service("READY=1\nSTATUS=serving on %s, http %s, %" PRIu32 " shards", kafka, http, shard_count);
}
