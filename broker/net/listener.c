/* SPDX-License-Identifier: Apache-2.0
 *
 * The net object of a shard: its listeners, limits, what is done once per step, deadlines, stopping.
 *
 * 1. one accept of each listener is always under way; each connection it gives goes to conn.c
 * 2. what happens to a connection in a step (answers, freed requests) puts it on the attention list; a timer that is
 *    due at once runs that list after all completions and messages of the step, so that many answers leave in one
 *    send
 * 3. connections that wait for their client stand in one list per kind of waiting, oldest first; a sweep looks at
 *    the fronts
 *
 * Out of descriptors: accepting pauses for 100 ms; the clients wait in the kernel's queue. Over a limit: the
 * connection is accepted and closed, so that its client learns at once. Out of memory: connections wait in starving
 * and try again.
 */
#include <core/limits.h>
#include <core/logger.h>
#include <net/conn.h>

#include <string.h>

#define NS_PER_S 1000000000u
#define NS_PER_MS 1000000u
#define ACCEPT_PAUSE_NS (100ull * NS_PER_MS)
#define LOG_PER_S_MAX 10u
#define SLOW_LOG_PER_S_MAX 2u /* of each shard: when all is slow, a few lines say it */

bool net_may_log(struct net *net)
{
    uint64_t second = net->io->now_ns / NS_PER_S;
    if (second != net->log_second) {
        net->log_second = second;
        net->log_count = 0;
    }
    return net->log_count++ < LOG_PER_S_MAX;
}

bool net_may_log_slow(struct net *net)
{
    uint64_t second = net->io->now_ns / NS_PER_S;
    if (second != net->slow_second) {
        net->slow_second = second;
        net->slow_count = 0;
    }
    return net->slow_count++ < SLOW_LOG_PER_S_MAX;
}

/* --- accepting -------------------------------------------------------------------------------------------------- */

static void accept_next(struct net_listener *listener)
{
    EL_ASSERT(listener->net->state == NET_LISTENING);
    EL_ASSERT(!listener->accepting);
    listener->accepting = true;
    io_accept(listener->net->io, &listener->accept_op, listener->fd);
}

static void listener_close(struct net_listener *listener)
{
    EL_ASSERT(!listener->accepting);
    if (listener->fd >= 0) {
        io_close(listener->net->io, listener->fd);
        listener->fd = -1;
    }
}

static void listener_on_accept(struct io_op *op)
{
    struct net_listener *listener = op->arg;
    OBJ_CHECK(listener, LISTENER);
    struct net *net = listener->net;
    listener->accepting = false;
    if (net->state != NET_LISTENING) {
        if (op->result >= 0) {
            io_close(net->io, (int)op->result);
        }
        listener_close(listener);
        net_check_stopped(net);
        return;
    }
    if (op->result >= 0) {
        conn_open(listener, (int)op->result);
        accept_next(listener);
        return;
    }
    if (net_may_log(net)) {
        el_log(EL_LOG_WARN, "net", "cannot accept a connection: %s; trying again in 100 ms%s",
               evlog_error_text((int)op->result),
               op->result == EVLOG_ERR_NO_FILES ? " (raise the limit of open files, LimitNOFILE)" : "");
    }
    io_timer_set(net->io, &listener->accept_timer, net->io->now_ns + ACCEPT_PAUSE_NS);
}

static void listener_on_accept_timer(struct io_timer *timer)
{
    struct net_listener *listener = timer->arg;
    OBJ_CHECK(listener, LISTENER);
    accept_next(listener);
}

static void listener_stop(struct net_listener *listener)
{
    io_timer_cancel(listener->net->io, &listener->accept_timer);
    if (listener->accepting) {
        io_cancel(listener->net->io, &listener->accept_op);
    } else {
        listener_close(listener);
    }
}

static bool any_accepting(const struct net *net)
{
    for (uint32_t i = 0; i < net->listener_count; i++) {
        if (net->listeners[i].accepting) {
            return true;
        }
    }
    return false;
}

/* --- deadlines -------------------------------------------------------------------------------------------------- */

uint64_t net_wait_ns(const struct net *net, enum conn_wait_kind kind)
{
    switch (kind) {
    case WAIT_FRAME:
        return net->config.frame_ns_max;
    case WAIT_SEND:
        return net->config.send_ns_max;
    case WAIT_IDLE:
        return net->config.idle_ns_max;
    case WAIT_LINGER:
        return net->config.linger_ns_max;
    case WAIT_HANDSHAKE:
        return net->config.handshake_ns_max;
    case WAIT_PROOF:
        return net->config.unproven_ns_max;
    case WAIT_KIND_COUNT:
        break;
    }
    EL_ASSERT(kind != WAIT_KIND_COUNT);
    return 0;
}

void net_sweep_by(struct net *net, uint64_t at_ns)
{
    if (net->sweep_timer.heap_index == 0 || net->sweep_timer.at_ns > at_ns) {
        io_timer_set(net->io, &net->sweep_timer, at_ns);
    }
}

/* Report who is late in one kind; returns when the next one will be. */
static uint64_t sweep_kind(struct net *net, enum conn_wait_kind kind)
{
    uint64_t limit_ns = net_wait_ns(net, kind);
    struct el_list *list = &net->waits[kind];
    while (!el_list_empty(list)) {
        struct conn_wait *wait = EL_CONTAINER(list->next, struct conn_wait, link);
        if (wait->since_ns + limit_ns > net->io->now_ns) {
            return wait->since_ns + limit_ns;
        }
        struct conn *conn = EL_CONTAINER(wait - kind, struct conn, waits);
        OBJ_CHECK(conn, CONN);
        if (kind == WAIT_PROOF) {
            conn_proved(conn); /* it is counted */
        }
        el_list_remove(&wait->link);
        conn_late(conn, kind);
    }
    return UINT64_MAX;
}

static void net_on_sweep(struct io_timer *timer)
{
    struct net *net = timer->arg;
    OBJ_CHECK(net, NET);
    uint64_t next_ns = UINT64_MAX;
    for (int kind = 0; kind < WAIT_KIND_COUNT; kind++) {
        next_ns = EL_MIN(next_ns, sweep_kind(net, (enum conn_wait_kind)kind));
    }
    if (next_ns != UINT64_MAX) {
        net_sweep_by(net, next_ns);
    }
}

static void net_on_starve_timer(struct io_timer *timer)
{
    struct net *net = timer->arg;
    OBJ_CHECK(net, NET);
    while (!el_list_empty(&net->starving)) {
        struct conn *conn = EL_CONTAINER(net->starving.next, struct conn, starve_link);
        OBJ_CHECK(conn, CONN);
        conn_feed(conn);
    }
}

/* --- stopping --------------------------------------------------------------------------------------------------- */

static bool all_ended(const struct net *net)
{
    return net->conn_count == 0 && net->request_count == 0 && !any_accepting(net);
}

/* Seen from a timer and not from here: the caller may be deep inside what net_free() would free. */
void net_check_stopped(struct net *net)
{
    if (net->state == NET_STOPPING && all_ended(net)) {
        io_timer_set(net->io, &net->stop_timer, net->io->now_ns);
    }
}

static void net_on_stop_timer(struct io_timer *timer)
{
    struct net *net = timer->arg;
    OBJ_CHECK(net, NET);
    EL_ASSERT(net->state == NET_STOPPING);
    if (all_ended(net)) {
        net->state = NET_STOPPED;
        net->stopped(net->stopped_arg);
        return;
    }
    if (net->io->now_ns < net->stop_at_ns) {
        io_timer_set(net->io, &net->stop_timer, net->stop_at_ns);
        return;
    }
    EL_LIST_EACH_SAFE(node, next, &net->conns) {
        conn_close(EL_CONTAINER(node, struct conn, link), true);
    }
}

void net_stop(struct net *net, uint64_t deadline_ns, net_stopped_fn stopped, void *arg)
{
    OBJ_CHECK(net, NET);
    EL_ASSERT(net->state == NET_LISTENING);
    EL_ASSERT(stopped != NULL);
    net->state = NET_STOPPING;
    net->stopped = stopped;
    net->stopped_arg = arg;
    net->stop_at_ns = deadline_ns;
    for (uint32_t i = 0; i < net->listener_count; i++) {
        listener_stop(&net->listeners[i]);
    }
    EL_LIST_EACH_SAFE(node, next, &net->conns) {
        conn_drain(EL_CONTAINER(node, struct conn, link));
    }
    io_timer_set(net->io, &net->stop_timer, all_ended(net) ? net->io->now_ns : deadline_ns);
}

bool net_stopping(const struct net *net)
{
    OBJ_CHECK(net, NET);
    return net->state != NET_LISTENING;
}

static void drop_tls(struct net *net)
{
    for (int i = 0; i < CONFIG_LISTENERS_MAX; i++) {
        el_tls_config_unref(net->config.tls[i]);
        net->config.tls[i] = NULL;
    }
}

static void take_tls(struct net *net, struct el_tls_config *const *tls)
{
    for (int i = 0; i < CONFIG_LISTENERS_MAX; i++) {
        net->config.tls[i] = tls[i] == NULL ? NULL : el_tls_config_ref(tls[i]);
    }
}

void net_set_tls(struct net *net, struct el_tls_config *const tls[CONFIG_LISTENERS_MAX])
{
    OBJ_CHECK(net, NET);
    drop_tls(net);
    take_tls(net, tls);
}

void net_free(struct net *net)
{
    OBJ_CHECK(net, NET);
    EL_ASSERT(net->state == NET_STOPPED);
    EL_ASSERT(el_list_empty(&net->conns));
    EL_ASSERT(el_list_empty(&net->attention));
    struct io_timer *timers[] = {&net->attend_timer, &net->sweep_timer, &net->starve_timer,
                                 &net->stop_timer,   &net->tls_timer,   &net->wake_timer};
    for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++) {
        io_timer_cancel(net->io, timers[i]);
    }
    buffer_drop_spares(net);
    EL_ASSERT(net->recv_bytes == 0);
    EL_ASSERT(net->tls_half_count == 0);
    drop_tls(net);
    el_pool_destroy(&net->tls_pool);
    el_pool_destroy(&net->principal_pool);
    EL_ASSERT(net->accounts.count == 0);
    el_map_destroy(&net->accounts);
    el_pool_destroy(&net->account_pool);
    el_pool_destroy(&net->sasl_pool);
    el_pool_destroy(&net->request_pool);
    el_pool_destroy(&net->conn_pool);
    net->magic = 0;
    el_buddy_free(net->buddy, net);
}

/* --- starting --------------------------------------------------------------------------------------------------- */

static void net_on_attend(struct io_timer *timer)
{
    struct net *net = timer->arg;
    OBJ_CHECK(net, NET);
    struct el_list list;
    el_list_init(&list);
    el_list_splice_back(&list, &net->attention);
    struct el_list *node = el_list_pop_front(&list);
    while (node != NULL) {
        conn_look_after(EL_CONTAINER(node, struct conn, attend_link));
        node = el_list_pop_front(&list);
    }
}

static void config_fill(struct net_config *config, const struct el_buddy *buddy)
{
#define DEFAULT(field, value)                                                                                          \
    do {                                                                                                               \
        if (config->field == 0) {                                                                                      \
            config->field = (value);                                                                                   \
        }                                                                                                              \
    } while (0)
    DEFAULT(conn_count_max, 10000);
    DEFAULT(unproven_count_max, 1000);
    DEFAULT(unproven_ns_max, UINT64_C(10) * NS_PER_S);
    DEFAULT(pipeline_max, 64);
    DEFAULT(pipeline_bytes_max, 16u << 20);
    DEFAULT(backlog_bytes_max, 4u << 20);
    DEFAULT(frame_len_max, EL_REQUEST_LEN_MAX);
    DEFAULT(recv_bytes_max, buddy->len / 2);
    DEFAULT(request_bytes_max, buddy->len / 2);
    DEFAULT(principal_bytes_max, buddy->len / 4);
    DEFAULT(frame_ns_max, UINT64_C(30) * NS_PER_S);
    DEFAULT(send_ns_max, UINT64_C(30) * NS_PER_S);
    DEFAULT(idle_ns_max, UINT64_C(600) * NS_PER_S);
    DEFAULT(linger_ns_max, UINT64_C(1) * NS_PER_S);
    DEFAULT(handshake_ns_max, UINT64_C(10) * NS_PER_S);
    DEFAULT(handshake_count_max, 128);
    DEFAULT(handshake_patience_ns, UINT64_C(1) * NS_PER_S);
#undef DEFAULT
    config->listeners = NULL;
}

static void timer_init(struct io_timer *timer, struct net *net, void (*fire)(struct io_timer *timer))
{
    timer->fire = fire;
    timer->arg = net;
}

static void net_init(struct net *net, const struct net_config *config)
{
    net->magic = NET_MAGIC;
    net->state = NET_LISTENING;
    net->config = *config;
    config_fill(&net->config, net->buddy);
    el_list_init(&net->conns);
    el_list_init(&net->attention);
    el_list_init(&net->starving);
    el_list_init(&net->waking);
    for (int kind = 0; kind < WAIT_KIND_COUNT; kind++) {
        el_list_init(&net->waits[kind]);
    }
    el_pool_init(&net->conn_pool, net->buddy, sizeof(struct conn));
    el_pool_init(&net->request_pool, net->buddy, sizeof(struct request));
    el_pool_init(&net->principal_pool, net->buddy, NET_PRINCIPAL_MAX);
    el_pool_init(&net->account_pool, net->buddy, sizeof(struct net_account));
    el_map_init(&net->accounts, net->buddy);
    el_pool_init(&net->tls_pool, net->buddy, sizeof(struct conn_tls));
    el_list_init(&net->tls_queue);
    el_list_init(&net->tls_greeting);
    el_pool_init(&net->sasl_pool, net->buddy, sizeof(struct sasl));
    timer_init(&net->attend_timer, net, net_on_attend);
    timer_init(&net->sweep_timer, net, net_on_sweep);
    timer_init(&net->starve_timer, net, net_on_starve_timer);
    timer_init(&net->stop_timer, net, net_on_stop_timer);
    timer_init(&net->tls_timer, net, net_on_tls_timer);
    timer_init(&net->wake_timer, net, net_on_wake);
    take_tls(net, config->tls);
}

static int listener_open(struct net *net, const struct config_listener *config, struct el_error *err)
{
    struct net_listener *listener = &net->listeners[net->listener_count];
    EL_ASSERT(!config_protocol_has_tls(config->protocol) || net->config.tls[net->listener_count] != NULL);
    listener->magic = LISTENER_MAGIC;
    listener->index = net->listener_count;
    listener->net = net;
    listener->config = *config;
    listener->accept_op.done = listener_on_accept;
    listener->accept_op.arg = listener;
    listener->accept_timer.fire = listener_on_accept_timer;
    listener->accept_timer.arg = listener;
    const struct io_place place = {.host = config->address.host,
                                   .port = config->address.port,
                                   .join = net->config.join,
                                   .only_v6 = config->only_v6};
    int rc = io_listen(net->io, &place, &listener->fd, &listener->port, err);
    net->listener_count += rc == 0;
    return rc == 0 ? 0 : el_error_wrap(err, "listener %s", config->name);
}

int net_start(struct io *io, struct el_buddy *buddy, struct metrics *metrics, const struct net_config *config,
              struct net **net, struct el_error *err)
{
    EL_ASSERT(config->dispatch != NULL);
    EL_ASSERT(config->listener_count >= 1);
    EL_ASSERT(config->listener_count <= CONFIG_LISTENERS_MAX);
    struct net *made = el_buddy_alloc(buddy, sizeof(*made));
    if (made == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "the shard's memory is spent");
    }
    memset(made, 0, sizeof(*made));
    made->io = io;
    made->buddy = buddy;
    made->metrics = metrics;
    net_init(made, config);
    int rc = 0;
    for (uint32_t i = 0; i < config->listener_count && rc == 0; i++) {
        rc = listener_open(made, &config->listeners[i], err);
    }
    if (rc != 0) {
        for (uint32_t i = 0; i < made->listener_count; i++) {
            listener_close(&made->listeners[i]);
        }
        drop_tls(made);
        el_buddy_free(buddy, made);
        return rc;
    }
    for (uint32_t i = 0; i < made->listener_count; i++) {
        accept_next(&made->listeners[i]);
    }
    *net = made;
    return 0;
}

void net_set_limits(struct net *net, const struct net_config *config)
{
    OBJ_CHECK(net, NET);
    struct net_config *own = &net->config;
    own->conn_count_max = config->conn_count_max == 0 ? own->conn_count_max : config->conn_count_max;
    own->frame_len_max = config->frame_len_max == 0 ? own->frame_len_max : config->frame_len_max;
    own->unproven_count_max = config->unproven_count_max == 0 ? own->unproven_count_max : config->unproven_count_max;
    own->unproven_ns_max = config->unproven_ns_max == 0 ? own->unproven_ns_max : config->unproven_ns_max;
    own->idle_ns_max = config->idle_ns_max == 0 ? own->idle_ns_max : config->idle_ns_max;
    own->address_conn_count_max = config->address_conn_count_max;
    own->address_limits = config->address_limits;
    own->principal_conn_count_max = config->principal_conn_count_max;
    own->principal_bytes_max = config->principal_bytes_max == 0 ? net->buddy->len / 4 : config->principal_bytes_max;
    own->slow_ns = config->slow_ns;
    net_sweep_by(net, net->io->now_ns); /* an idle time that is shorter now */
}

uint16_t net_port(const struct net *net, uint32_t listener_index)
{
    OBJ_CHECK(net, NET);
    EL_ASSERT(listener_index < net->listener_count);
    return net->listeners[listener_index].port;
}

uint32_t net_conn_count(const struct net *net)
{
    OBJ_CHECK(net, NET);
    return net->conn_count;
}

uint32_t net_request_count(const struct net *net)
{
    OBJ_CHECK(net, NET);
    return net->request_count;
}
