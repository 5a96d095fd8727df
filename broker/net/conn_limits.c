/* SPDX-License-Identifier: Apache-2.0
 *
 * Limits on connections: of all, of new ones of an address, of those of an address and of a principal. Over a limit a
 * socket is closed at once, so that its client learns; over that of its principal when it has proved who it is. Refused
 * sockets of a kind are logged once a minute, with how many there were; those of a principal once a minute for each, as
 * long as there are no more than NET_SAID_PRINCIPALS of them.
 */
#include <core/logger.h>
#include <net/conn.h>

#include <inttypes.h>
#include <stdio.h>

#define SAY_AGAIN_NS UINT64_C(60000000000)

static const char *const refusal_texts[NET_REFUSAL_COUNT] = {
    [NET_REFUSED_FULL] = "connection refused: too many connections (max.connections)",
    [NET_REFUSED_RATE] = "connection refused: its address opens them faster than connection_creation_rate allows",
    [NET_REFUSED_ADDRESS] = "connection refused: too many connections from this address (max.connections.per.ip)",
    [NET_REFUSED_MEMORY] = "connection refused: no memory",
    [NET_HELD_BACK] = "reading pauses: its principal holds as much as it may (evlog.inflight.bytes.per.principal)",
};

/* --- refusals ----------------------------------------------------------------------------------------------------- */

void net_say(struct net *net, const char *peer, enum net_refusal why)
{
    struct net_refusals *refusals = &net->refusals[why];
    char more[64] = "";
    if (refusals->said_ns != 0 && net->io->now_ns - refusals->said_ns < SAY_AGAIN_NS) {
        refusals->unsaid++;
        return;
    }
    if (refusals->unsaid > 0) {
        (void)snprintf(more, sizeof more, "; %" PRIu64 " others since this was last said", refusals->unsaid);
    }
    *refusals = (struct net_refusals){.said_ns = EL_MAX(net->io->now_ns, UINT64_C(1))};
    el_log(EL_LOG_WARN, "net", "%s: %s%s", peer, refusal_texts[why], more);
}

void net_refuse(struct net *net, int fd, const char *peer, enum net_refusal why)
{
    EL_ASSERT(fd >= 0);
    EL_ASSERT(why < NET_REFUSAL_COUNT);
    metrics_add(net->metrics, METRIC_REFUSED_CONNECTIONS, 1);
    if (why == NET_REFUSED_RATE) {
        metrics_add(net->metrics, METRIC_THROTTLED_CONNECTIONS, 1);
    }
    net_say(net, peer, why);
    io_close(net->io, fd);
}

/* Two shards that accept at the same moment may both take the last place: one too many does no harm. */
static bool is_full(const struct net *net)
{
    uint32_t count = net->config.conn_total == NULL ? net->conn_count : atomic_load(net->config.conn_total);
    return count >= net->config.conn_count_max;
}

bool net_admits(struct net *net, const char *peer, enum net_refusal *why)
{
    if (is_full(net) && !net_drop_unproven(net)) {
        *why = NET_REFUSED_FULL;
        return false;
    }
    *why = NET_REFUSED_RATE;
    return net->config.admit == NULL || net->config.admit(net->config.arg, conn_address(peer));
}

/* Of this principal, a new one in place of one that has been quiet for long enough, or NULL. */
static struct net_said *said_of(struct net *net, uint64_t id)
{
    struct net_said *free_row = NULL;
    for (uint32_t i = 0; i < NET_SAID_PRINCIPALS; i++) {
        struct net_said *row = &net->said[i];
        bool quiet = row->refusals.said_ns == 0 || net->io->now_ns - row->refusals.said_ns >= SAY_AGAIN_NS;
        if (row->refusals.said_ns != 0 && row->id == id) {
            return row;
        }
        free_row = free_row == NULL && quiet ? row : free_row;
    }
    if (free_row != NULL) {
        net->unsaid_others += free_row->refusals.unsaid;
        *free_row = (struct net_said){.id = id};
    }
    return free_row;
}

static void say_principal(struct net *net, const char *peer, const char *principal, uint64_t id)
{
    struct net_said *row = said_of(net, id);
    char more[64] = "", others[64] = "";
    if (row == NULL) {
        net->unsaid_others++;
        return;
    }
    struct net_refusals *refusals = &row->refusals;
    if (refusals->said_ns != 0 && net->io->now_ns - refusals->said_ns < SAY_AGAIN_NS) {
        refusals->unsaid++;
        return;
    }
    if (refusals->unsaid > 0) {
        (void)snprintf(more, sizeof more, "; %" PRIu64 " others of it since this was last said", refusals->unsaid);
    }
    if (net->unsaid_others > 0) {
        (void)snprintf(others, sizeof others, "; %" PRIu64 " of other principals", net->unsaid_others);
    }
    *refusals = (struct net_refusals){.said_ns = EL_MAX(net->io->now_ns, UINT64_C(1))};
    net->unsaid_others = 0;
    el_log(EL_LOG_WARN, "net", "%s: connection refused: %s has too many (evlog.max.connections.per.principal)%s%s",
           peer, principal, more, others);
}

/* --- seats -------------------------------------------------------------------------------------------------------- */

static void leave(struct net *net, struct conn_seat *seat)
{
    if (seat->seated) {
        EL_ASSERT(net->config.census != NULL);
        census_leave(net->config.census, seat->id);
    }
    *seat = (struct conn_seat){.seated = false};
}

/* limit  0: none, but whoever has one later is counted from now on */
static bool enter(struct net *net, enum census_kind kind, struct el_slice name, uint32_t limit, struct conn_seat *seat)
{
    struct census *census = net->config.census;
    EL_ASSERT(!seat->seated);
    if (census == NULL) {
        return true;
    }
    seat->id = census_id(census, kind, name);
    return census_enter(census, seat->id, limit, &seat->seated);
}

bool conn_seat_address(struct conn *conn, enum net_refusal *why)
{
    struct net *net = conn->net;
    struct el_slice address = conn_address(conn->peer);
    uint32_t limit = net->config.address_conn_count_max;
    limit = address_limits_find(&net->config.address_limits, address, limit == 0 ? ADDRESS_LIMIT_MAX : limit);
    if (!enter(net, CENSUS_ADDRESS, address, limit, &conn->address_seat)) {
        *why = NET_REFUSED_ADDRESS;
        return false;
    }
    if (net->config.census != NULL && account_join(conn, conn->address_seat.id) != 0) {
        leave(net, &conn->address_seat);
        *why = NET_REFUSED_MEMORY;
        return false;
    }
    return true;
}

int conn_seat_principal(struct conn *conn, const char *principal)
{
    struct net *net = conn->net;
    struct conn_seat seat = {.seated = false};
    uint32_t limit = net->config.principal_conn_count_max;
    limit = limit == 0 ? ADDRESS_LIMIT_MAX : limit;
    if (!enter(net, CENSUS_PRINCIPAL, el_slice_str(principal), limit, &seat)) {
        metrics_add(net->metrics, METRIC_REFUSED_PRINCIPAL, 1);
        say_principal(net, conn->peer, principal, seat.id);
        return EVLOG_ERR_LIMIT;
    }
    if (net->config.census != NULL && account_join(conn, seat.id) != 0) {
        leave(net, &seat);
        return EVLOG_ERR_NO_MEMORY;
    }
    leave(net, &conn->principal_seat);
    conn->principal_seat = seat;
    return 0;
}

void conn_seats_leave(struct conn *conn)
{
    leave(conn->net, &conn->address_seat);
    leave(conn->net, &conn->principal_seat);
    EL_ASSERT(!conn->address_seat.seated);
    EL_ASSERT(!conn->principal_seat.seated);
}
