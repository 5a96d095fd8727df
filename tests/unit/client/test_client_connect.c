/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections that are retired while a name is resolved. Goal: whichever of them goes, each call ends once, the others
 * go on, and nothing is used after it was freed (AddressSanitizer looks). Method: a getaddrinfo() that says when it is
 * entered and waits for leave, under a client whose one node has a name that is slow to resolve.
 */
#include "../../../client/client_conn.h"
#include "../../lib/test.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <evlog/evlog.h>
#include <netdb.h>
#include <semaphore.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <wire/msg_find_coordinator.h>
#include <wire/msg_metadata.h>

#define SLOW_HOST "slow.test"
#define NODE_ID 7
#define LANE_A EL_LANE_OWN
#define LANE_B (EL_LANE_OWN + 2)

static struct {
    sem_t entered, leave;
    bool known; /* the name means this machine, else nothing */
} resolver;

int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **found)
{
    typedef int (*resolve_fn)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    resolve_fn real;
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (strcmp(host, SLOW_HOST) != 0) {
        return real(host, port, hints, found);
    }
    (void)sem_post(&resolver.entered);
    (void)sem_wait(&resolver.leave);
    return resolver.known ? real("127.0.0.1", port, hints, found) : EAI_AGAIN;
}

struct asker {
    struct evlog_client *client;
    int port_fd; /* bound, not listening: connections are refused */
    struct el_msg_find_coordinator_request request;
    struct el_call calls[2]; /* in LANE_A, LANE_B */
};

static void know_node(struct asker *a)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    a->port_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(a->port_fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(a->port_fd, (struct sockaddr *)&address, &len), 0);
    struct el_msg_metadata_response response;
    struct el_msg_metadata_broker broker;
    el_schema_init(&el_schema_metadata_response, &response);
    el_schema_init(&el_schema_metadata_broker, &broker);
    broker.node_id = NODE_ID;
    broker.host = el_slice_str(SLOW_HOST);
    broker.port = ntohs(address.sin_port);
    response.brokers = &broker;
    response.broker_count = 1;
    assert_int_equal(el_cluster_take(a->client, &response), 0);
}

/* Both calls want a connection of their own; LANE_A's is being resolved when this returns. */
static void begin(struct asker *a, bool known)
{
    resolver.known = known;
    assert_int_equal(sem_init(&resolver.entered, 0, 0), 0);
    assert_int_equal(sem_init(&resolver.leave, 0, 0), 0);
    assert_int_equal(evlog_client_open(NULL, &a->client, NULL), 0);
    el_schema_init(&el_schema_find_coordinator_request, &a->request);
    el_client_lock(a->client);
    know_node(a);
    for (int i = 0; i < 2; i++) {
        el_call_init(&a->calls[i], el_api_find(EL_API_FindCoordinator), &a->request);
        a->calls[i].node_id = NODE_ID;
        a->calls[i].lane = i == 0 ? LANE_A : LANE_B;
        a->calls[i].deadline_ns = el_deadline(10000);
        el_call_submit(a->client, &a->calls[i]);
    }
    el_client_unlock(a->client);
    (void)sem_wait(&resolver.entered);
}

static void retire(struct asker *a, uint32_t lane)
{
    el_client_lock(a->client);
    el_conns_retire(a->client, lane);
    el_client_unlock(a->client);
}

/* Let the resolver go on, now and from now on. */
static void let_go(struct asker *a, uint32_t conns_left)
{
    for (int i = 0; i < 8; i++) {
        (void)sem_post(&resolver.leave);
    }
    int64_t deadline_ns = el_deadline(10000);
    el_client_lock(a->client);
    while (!a->calls[0].done || !a->calls[1].done) {
        assert_true(el_client_wait(a->client, deadline_ns));
    }
    el_client_unlock(a->client);
    while (true) { /* the thread frees what was retired at the end of its turn, and tells nobody */
        el_client_lock(a->client);
        uint32_t count = el_conns_count(a->client);
        el_client_unlock(a->client);
        if (count == conns_left) {
            break;
        }
        assert_true(el_now_ns() < deadline_ns);
        (void)usleep(1000);
    }
}

static void finish(struct asker *a)
{
    evlog_client_close(a->client);
    for (int i = 0; i < 2; i++) {
        el_call_free(&a->calls[i]);
    }
    (void)close(a->port_fd);
    (void)sem_destroy(&resolver.entered);
    (void)sem_destroy(&resolver.leave);
}

TEST(client_connect, a_connection_may_be_retired_while_its_name_is_resolved)
{
    for (int known = 0; known < 2; known++) {
        static struct asker a;
        begin(&a, known != 0);
        retire(&a, LANE_A);
        assert_true(a.calls[0].done);
        assert_int_equal(a.calls[0].failure.code, EVLOG_ERR_CLOSED);
        let_go(&a, 1);
        assert_int_equal(a.calls[1].failure.code, EVLOG_ERR_UNREACHABLE);
        finish(&a);
    }
}

TEST(client_connect, the_next_connection_may_be_retired_while_a_name_is_resolved)
{
    static struct asker a;
    begin(&a, true);
    retire(&a, LANE_B);
    assert_true(a.calls[1].done);
    let_go(&a, 1);
    assert_int_equal(a.calls[0].failure.code, EVLOG_ERR_UNREACHABLE);
    finish(&a);
}

TEST(client_connect, all_connections_may_be_retired_while_a_name_is_resolved)
{
    static struct asker a;
    begin(&a, true);
    retire(&a, LANE_B);
    retire(&a, LANE_A);
    let_go(&a, 0);
    finish(&a);
}
