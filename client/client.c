/* SPDX-License-Identifier: Apache-2.0
 *
 * A client: its lock, its thread, and the way of a blocking request.
 *
 * The thread, again and again:
 *   1. producers fill requests from batches that are due; the cluster is refreshed when somebody asked for it
 *   2. waiting calls find a connection, or open one
 *   3. poll on all connections and the wake-up, until something happens or something is due
 *   4. read and write; every call that ends tells its owner
 *
 * A blocking call (el_client_ask) makes a struct el_call on its own stack, hands it over and waits; it decodes the
 * answer itself, so that the thread only moves bytes. Fails by ending the call: with the reason, at its deadline at the
 * latest. Nothing here is ever left waiting when the client is closed.
 */
#include "client_conn.h"
#include "fail.h"

#include <core/alloc.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

int64_t el_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t el_unix_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void el_client_lock(struct evlog_client *client)
{
    EL_ASSERT(client != NULL && client->magic == EL_CLIENT_MAGIC);
    (void)pthread_mutex_lock(&client->lock);
}

void el_client_unlock(struct evlog_client *client)
{
    (void)pthread_mutex_unlock(&client->lock);
}

bool el_client_wait(struct evlog_client *client, int64_t deadline_ns)
{
    if (deadline_ns == EL_NEVER_NS) {
        (void)pthread_cond_wait(&client->changed, &client->lock);
        return true;
    }
    struct timespec until = {deadline_ns / 1000000000, deadline_ns % 1000000000};
    return pthread_cond_timedwait(&client->changed, &client->lock, &until) != ETIMEDOUT;
}

void el_client_wake(struct evlog_client *client)
{
    if (!client->wake_sent) {
        uint64_t one = 1;
        client->wake_sent = write(client->wake_fd, &one, sizeof one) == (ssize_t)sizeof one;
    }
}

void el_client_notify(struct evlog_client *client)
{
    (void)pthread_cond_broadcast(&client->changed);
    el_client_announce(client);
}

void evlog_client_give_up(struct evlog_client *client)
{
    int error = errno;
    uint64_t one = 1;
    __atomic_store_n(&client->given_up, true, __ATOMIC_RELAXED);
    (void)!write(client->wake_fd, &one, sizeof one);
    errno = error;
}

int64_t el_client_backoff_ns(struct evlog_client *client, uint32_t tries, int64_t first_ms, int64_t max_ms)
{
    int64_t bound_ms = first_ms;
    for (uint32_t i = 1; i < tries && bound_ms < max_ms; i++) {
        bound_ms *= 2;
    }
    bound_ms = EL_MIN(bound_ms, max_ms);
    return (int64_t)el_rng_below(&client->rng, (uint64_t)(bound_ms * EL_NS_PER_MS) + 1);
}

bool el_pause_before_retry(struct evlog_client *client, uint32_t tries, int64_t deadline_ns)
{
    el_client_lock(client);
    int64_t resume_ns = el_now_ns() + el_client_backoff_ns(client, tries, client->cfg.retry_backoff_ms,
                                                           client->cfg.retry_backoff_max_ms);
    bool goes_on = !el_client_ends(client) && resume_ns < deadline_ns;
    while (goes_on && !el_client_ends(client) && el_now_ns() < resume_ns) {
        (void)el_client_wait(client, resume_ns);
    }
    goes_on = goes_on && !el_client_ends(client);
    el_client_unlock(client);
    return goes_on;
}

/* --- calls ------------------------------------------------------------------------------------------------------ */

void el_call_init(struct el_call *call, const struct el_api *api, const void *request)
{
    memset(call, 0, sizeof *call);
    el_list_init(&call->link);
    call->api = api;
    call->request = request;
    call->version_max = INT16_MAX;
    call->node_id = EL_NODE_ANY;
    call->deadline_ns = EL_NEVER_NS;
    call->failure.size = sizeof call->failure;
    el_arena_init(&call->arena, NULL, EL_ANSWER_ARENA_MAX);
}

void el_call_submit(struct evlog_client *client, struct el_call *call)
{
    el_list_push_back(&client->calls, &call->link);
    el_client_wake(client);
}

void el_call_end(struct evlog_client *client, struct el_call *call)
{
    EL_ASSERT(!call->done);
    EL_ASSERT(el_list_empty(&call->link));
    call->done = true;
    client->request_count++;
    client->request_failed_count += call->failure.code != 0;
    if (call->on_done != NULL) {
        call->on_done(client, call);
        return;
    }
    el_client_notify(client);
}

void el_call_free(struct el_call *call)
{
    el_free(call->frame);
    call->frame = NULL;
    el_arena_reset(&call->arena);
}

int el_call_decode(struct el_call *call, void *response, struct evlog_failure *failure)
{
    struct el_reader r;
    el_reader_init(&r, call->frame, call->frame_len);
    (void)el_read_bytes(&r, call->body_pos);
    int rc = el_api_decode(call->api, EL_SIDE_RESPONSE, call->version, &r, &call->arena, response);
    if (rc != 0) {
        return el_fail(failure, rc, "%s answer of the broker cannot be read: %s", call->api->name,
                       evlog_error_text(rc));
    }
    return 0;
}

/* One try of a request; the call has ended when this returns. */
static int ask_once(struct evlog_client *client, const struct el_ask *ask, struct el_call *call, void *response,
                    struct evlog_failure *failure)
{
    el_call_init(call, el_api_find(ask->api), ask->request);
    call->version_max = ask->version_max;
    call->node_id = ask->node_id;
    int64_t limit_ns = el_now_ns() + client->cfg.request_timeout_ms * EL_NS_PER_MS;
    call->deadline_ns = EL_MIN(ask->deadline_ns, limit_ns);
    el_client_lock(client);
    if (el_client_ends(client)) {
        el_client_unlock(client);
        return el_fail(failure, EVLOG_ERR_CLOSED, "the client is closed, or given up");
    }
    el_call_submit(client, call);
    while (!call->done) {
        (void)el_client_wait(client, EL_NEVER_NS);
    }
    el_client_unlock(client);
    int rc = call->failure.code;
    if (rc != 0) {
        (void)el_fail_copy(failure, &call->failure);
    } else {
        rc = el_call_decode(call, response, failure);
    }
    if (rc != 0) {
        if (call->sent && ask->once) {
            el_fail_doubt(failure);
        }
        el_call_free(call);
    }
    return rc;
}

static bool worth_another_try(int code)
{
    return code == EVLOG_ERR_CLOSED || code == EVLOG_ERR_UNREACHABLE || code == EVLOG_ERR_TIMED_OUT;
}

int el_client_ask(struct evlog_client *client, const struct el_ask *ask, struct el_call *call, void *response,
                  struct evlog_failure *failure)
{
    for (uint32_t tries = 1;; tries++) {
        int rc = ask_once(client, ask, call, response, failure);
        if (rc == 0 || ask->once || !worth_another_try(rc) || !el_pause_before_retry(client, tries, ask->deadline_ns)) {
            return rc;
        }
    }
}

/* --- thread ----------------------------------------------------------------------------------------------------- */

static int poll_timeout_ms(int64_t until_ns)
{
    if (until_ns == EL_NEVER_NS) {
        return -1;
    }
    int64_t left_ns = until_ns - el_now_ns();
    if (left_ns <= 0) {
        return 0;
    }
    int64_t ms = (left_ns + EL_NS_PER_MS - 1) / EL_NS_PER_MS;
    return (int)EL_MIN(ms, INT32_MAX);
}

/* The calls that somebody waits for are too late now, and who waits to try again is woken. */
static void look_given_up(struct evlog_client *client)
{
    if (!client->stopping && !client->given_up_seen && el_client_ends(client)) {
        client->given_up_seen = true;
        el_conns_give_up(client);
        el_client_notify(client);
    }
}

static void *run(void *arg)
{
    struct evlog_client *client = arg;
    struct pollfd *fds = client->poll_set;
    el_client_lock(client);
    while (!client->stopping) {
        int64_t until_ns = EL_NEVER_NS;
        look_given_up(client);
        el_producers_tick(client, el_now_ns(), &until_ns);
        el_subscribers_tick(client, el_now_ns(), &until_ns);
        el_groups_tick(client, el_now_ns(), &until_ns);
        el_cluster_tick(client, el_now_ns(), &until_ns);
        el_conns_dispatch(client, el_now_ns());
        fds[0] = (struct pollfd){.fd = client->wake_fd, .events = POLLIN};
        uint32_t count = el_conns_poll_set(client, fds + 1, EL_CLIENT_POLL_MAX, &until_ns);
        el_client_unlock(client);
        (void)poll(fds, count + 1, poll_timeout_ms(until_ns));
        el_client_lock(client);
        if ((fds[0].revents & POLLIN) != 0) {
            uint64_t value;
            (void)!read(client->wake_fd, &value, sizeof value);
            client->wake_sent = false;
        }
        el_conns_poll_done(client, fds + 1, count);
    }
    el_conns_close(client);
    el_client_unlock(client);
    return NULL;
}

static int start_thread(struct evlog_client *client)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&client->thread, NULL, run, client);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static void client_free(struct evlog_client *client)
{
    if (client->wake_fd >= 0) {
        (void)close(client->wake_fd);
    }
    el_client_events_destroy(client);
    el_cluster_destroy(&client->cluster);
    el_client_config_free(&client->cfg);
    el_tls_config_unref(client->tls);
    el_free(client->plain);
    el_free(client->chunk);
    el_free(client->poll_set);
    explicit_bzero(&client->salted, sizeof client->salted);
    client->magic = 0;
    el_free(client);
}

static void client_init(struct evlog_client *client)
{
    uint64_t seed = (uint64_t)el_now_ns();
    (void)!getrandom(&seed, sizeof seed, 0);
    client->magic = EL_CLIENT_MAGIC;
    el_rng_seed(&client->rng, seed);
    el_list_init(&client->calls);
    el_list_init(&client->conns);
    el_list_init(&client->producers);
    el_list_init(&client->subscribers);
    el_list_init(&client->groups);
    client->lane_next = EL_LANE_OWN;
    el_list_init(&client->log);
    client->event_fd = -1;
    el_map_init(&client->cluster.topics, NULL);
    client->cluster.controller_id = -1;
    client->bootstrap_count = 1;
    for (const char *p = client->cfg.bootstrap; *p != '\0'; p++) {
        client->bootstrap_count += *p == ',';
    }
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&client->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)pthread_mutex_init(&client->lock, NULL);
    client->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

int evlog_client_open(const struct evlog_settings *settings, struct evlog_client **client,
                      struct evlog_failure *failure)
{
    struct evlog_client *fresh = el_calloc(1, sizeof *fresh);
    if (fresh == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a client");
    }
    int rc = el_client_config_make(settings, &fresh->cfg, failure);
    if (rc != 0) {
        el_free(fresh);
        return rc;
    }
    client_init(fresh);
    fresh->chunk = el_malloc(EL_CLIENT_CHUNK_LEN);
    fresh->poll_set = el_calloc(EL_CLIENT_POLL_MAX + 1, sizeof *fresh->poll_set);
    if (fresh->chunk == NULL || fresh->poll_set == NULL) {
        client_free(fresh);
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a client");
    }
    rc = el_client_tls_open(fresh, failure);
    if (rc != 0) {
        client_free(fresh);
        return rc;
    }
    if (fresh->wake_fd < 0 || start_thread(fresh) != 0) {
        rc = el_error_from_errno(errno);
        client_free(fresh);
        return el_fail(failure, rc, "no descriptor or thread for a client: %s", evlog_error_text(rc));
    }
    *client = fresh;
    return 0;
}

void evlog_client_close(struct evlog_client *client)
{
    if (client == NULL) {
        return;
    }
    el_client_lock(client);
    EL_ASSERT(el_list_empty(&client->producers));
    EL_ASSERT(el_list_empty(&client->subscribers));
    EL_ASSERT(el_list_empty(&client->groups));
    client->stopping = true;
    el_client_wake(client);
    el_client_notify(client);
    el_client_unlock(client);
    (void)pthread_join(client->thread, NULL);
    (void)pthread_mutex_destroy(&client->lock);
    (void)pthread_cond_destroy(&client->changed);
    client_free(client);
}

int evlog_client_ping(struct evlog_client *client, int timeout_ms, struct evlog_failure *failure)
{
    return el_cluster_refresh(client, NULL, false,
                              el_deadline(timeout_ms < 0 ? client->cfg.request_timeout_ms : timeout_ms), failure);
}

int evlog_client_info(struct evlog_client *client, struct evlog_broker_info *info, struct evlog_failure *failure)
{
    el_client_lock(client);
    bool known = client->cluster.node_count > 0;
    el_client_unlock(client);
    if (!known) {
        int rc = evlog_client_ping(client, -1, failure);
        if (rc != 0) {
            return rc;
        }
    }
    struct evlog_broker_info full = {.size = info->size};
    el_client_lock(client);
    full.is_evlog = client->is_evlog;
    full.node_count = (int32_t)client->cluster.node_count;
    memcpy(full.cluster_id, client->cluster.cluster_id, sizeof full.cluster_id);
    el_client_unlock(client);
    memcpy(info, &full, EL_MIN(info->size, sizeof full));
    return 0;
}

const char *evlog_version(void)
{
    return EVLOG_VERSION;
}
