/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory for answers, counted for the principal before it is taken (account.c): answers that many connections ask for
 * at once are read from the disk at the same time, and would all be there before the first of them counted.
 *
 *   1. a handler claims what it is about to take; when less is left it makes a smaller answer, and when too little is
 *      left it waits in account.waiting, or answers with what it has. No request behind one that waits is looked at
 *   2. what it has not used is given back at once; the rest stands for the answer until all of it has left, or its
 *      connection is gone
 *   3. whenever something is given back, those that wait are called in the order in which they came; every 20 ms as
 *      well, for what shards give back is not told to others
 *
 * What is read is in the memory of the shard whose partition it is. A claim counts for the principal on the shard of
 * its connection, and at the place where the memory is over all shards (lent.h): neither may be more than the limit.
 *
 * Nobody waits for ever: one answer of a principal goes on over the limit (it has the floor), with as little as it can
 * go on with. It is the first in the order of its connection, so that it leaves at once; who does not read it is
 * closed. A claim stays with the account that it was made for, as a buffer does.
 */
#include <net/conn.h>

#define LOOK_AGAIN_NS 20000000u

static bool is_lent(const struct net *net, uint32_t place)
{
    return net->config.lent != NULL && place != CLAIM_NOWHERE;
}

/* At both: on this shard, and of the memory of the place on all. */
static size_t bytes_left(const struct net *net, const struct net_account *account, uint32_t place)
{
    size_t limit = net->config.principal_bytes_max, used = account->bytes;
    if (is_lent(net, place)) {
        used = EL_MAX(used, lent_bytes(net->config.lent, account->id, place));
    }
    return used >= limit ? 0 : limit - used;
}

/* So much more is claimed. */
static void count_more(struct request *request, uint32_t place, size_t len)
{
    request->claimed += len;
    request->claim_account->pledged += request->state == REQUEST_WORKING ? len : 0;
    account_add(request->claim_account, len);
    if (is_lent(request->net, place)) {
        request->lent += len;
        lent_add(request->net->config.lent, request->claim_account->id, place, len);
    }
    EL_ASSERT(request->lent <= request->claimed);
}

static bool is_first(const struct request *request)
{
    return request->conn != NULL && request->conn->requests.next == &request->order;
}

static bool may_have_floor(const struct net_account *account, const struct request *request)
{
    return account->answer_floor == request || (account->answer_floor == NULL && is_first(request));
}

/* The request refers to its account while it has a claim or waits. */
static void leave_account(struct request *request)
{
    struct net_account *account = request->claim_account;
    if (account == NULL || request->claimed > 0 || !el_list_empty(&request->claim_link)) {
        return;
    }
    if (account->answer_floor == request) {
        account->answer_floor = NULL;
        account_wake(request->net, account);
    }
    request->claim_account = NULL;
    account_unref(request->net, account);
}

static void enter_account(struct request *request)
{
    if (request->claim_account == NULL) {
        EL_ASSERT(request->conn != NULL);
        EL_ASSERT(request->claimed == 0);
        request->claim_account = request->conn->account;
        account_ref(request->claim_account);
    }
}

size_t request_claim(struct request *request, const struct request_need *need)
{
    OBJ_CHECK(request, REQUEST);
    EL_ASSERT(request->state == REQUEST_WORKING);
    EL_ASSERT(need->least > 0);
    EL_ASSERT(need->least <= need->most);
    if (request->conn == NULL) {
        return 0;
    }
    struct net_account *account = request->claim_account != NULL ? request->claim_account : request->conn->account;
    if (account == NULL) {
        return need->most;
    }
    size_t given = EL_MIN(bytes_left(request->net, account, need->place), need->most);
    if (given < need->least) {
        if (!need->must || !may_have_floor(account, request)) {
            return 0;
        }
        account->answer_floor = request;
        given = need->least;
    }
    enter_account(request);
    count_more(request, need->place, given);
    return given;
}

void request_claim_more(struct request *request, uint32_t place, size_t len)
{
    OBJ_CHECK(request, REQUEST);
    if (request->claim_account == NULL) {
        return; /* nobody counts */
    }
    EL_ASSERT(request->claimed > 0);
    count_more(request, place, len);
}

void request_unclaim(struct request *request, uint32_t place, size_t len)
{
    OBJ_CHECK(request, REQUEST);
    if (request->claim_account == NULL) {
        return;
    }
    EL_ASSERT(request->claimed >= len);
    request->claimed -= len;
    if (request->state == REQUEST_WORKING) {
        EL_ASSERT(request->claim_account->pledged >= len);
        request->claim_account->pledged -= len;
    }
    if (is_lent(request->net, place)) {
        EL_ASSERT(request->lent >= len);
        request->lent -= len;
        lent_take(request->net->config.lent, request->claim_account->id, place, len);
    }
    account_take(request->net, request->claim_account, len);
    leave_account(request);
}

bool request_claim_presses(const struct request *request)
{
    const struct net_account *account = request->claim_account;
    return account != NULL &&
           (account->bytes > request->net->config.principal_bytes_max || !el_list_empty(&account->waiting));
}

/* --- waiting ------------------------------------------------------------------------------------------------------ */

/* What other shards give back tells nobody. */
static void look_again(struct net *net, struct net_account *account)
{
    if (net->config.lent == NULL || !el_list_empty(&account->wake_link)) {
        return;
    }
    el_list_push_back(&net->waking, &account->wake_link);
    if (net->wake_timer.heap_index == 0) {
        io_timer_set(net->io, &net->wake_timer, net->io->now_ns + LOOK_AGAIN_NS);
    }
}

void request_claim_wait(struct request *request, const struct request_need *need, request_fn again)
{
    OBJ_CHECK(request, REQUEST);
    EL_ASSERT(request->conn != NULL);
    EL_ASSERT(request->state == REQUEST_WORKING);
    EL_ASSERT(el_list_empty(&request->claim_link));
    enter_account(request);
    request->claim_need = *need;
    request->claim_again = again;
    el_list_push_back(&request->claim_account->waiting, &request->claim_link);
    request->conn->claim_waits++;
    metrics_add(request->net->metrics, METRIC_HELD_BACK, 1);
    net_say(request->net, request->conn->peer, NET_HELD_BACK);
    request_wait_begin(request);
    look_again(request->net, request->claim_account);
}

void request_claim_cancel(struct request *request)
{
    OBJ_CHECK(request, REQUEST);
    if (!el_list_empty(&request->claim_link)) {
        EL_ASSERT(request->conn != NULL);
        EL_ASSERT(request->conn->claim_waits > 0);
        el_list_remove(&request->claim_link);
        request->conn->claim_waits--;
        request->claim_again = NULL;
        conn_attend(request->conn); /* reading may go on */
        request_wait_end(request);
        leave_account(request);
    }
}

void claim_leave(struct request *request)
{
    request_fn again = request->claim_again;
    request_claim_cancel(request);
    request->claim_again = again;
}

/* The next that may go on, since what it needs is left, or since nobody has the floor and it may. NULL: none */
static struct request *next_of(const struct net *net, const struct net_account *account)
{
    EL_LIST_EACH(node, &account->waiting) {
        struct request *request = EL_CONTAINER(node, struct request, claim_link);
        EL_ASSERT(request->claim_account == account);
        const struct request_need *need = &request->claim_need;
        if (bytes_left(net, account, need->place) >= need->least || (need->must && may_have_floor(account, request))) {
            return request;
        }
    }
    return NULL;
}

void net_on_wake(struct io_timer *timer)
{
    struct net *net = timer->arg;
    OBJ_CHECK(net, NET);
    struct el_list list;
    el_list_init(&list);
    el_list_splice_back(&list, &net->waking);
    for (struct el_list *node = el_list_pop_front(&list); node != NULL; node = el_list_pop_front(&list)) {
        struct net_account *account = EL_CONTAINER(node, struct net_account, wake_link);
        account_ref(account); /* who is called may be the last that refers to it */
        struct request *request = next_of(net, account);
        if (request != NULL) {
            request_fn again = request->claim_again;
            request_claim_cancel(request);
            again(request);
            if (account->waiting.prev != &request->claim_link) { /* it does not wait again */
                account_wake(net, account);
            }
        }
        if (!el_list_empty(&account->waiting)) {
            look_again(net, account);
        }
        account_unref(net, account);
    }
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

void claim_redeem(struct request *request)
{
    EL_ASSERT(request->state == REQUEST_WORKING);
    if (request->claim_account != NULL) {
        EL_ASSERT(request->claim_account->pledged >= request->claimed);
        request->claim_account->pledged -= request->claimed;
    }
}

void claim_settle(struct request *request)
{
    EL_ASSERT(request->claimed > 0);
    EL_ASSERT(el_list_empty(&request->claim_link));
    if (request->claimed < request->reply_len) {
        request_claim_more(request, CLAIM_NOWHERE, request->reply_len - request->claimed);
    }
}

void claim_end(struct request *request)
{
    EL_ASSERT(el_list_empty(&request->claim_link));
    EL_ASSERT(request->lent == 0); /* given back with the memory */
    request_unclaim(request, CLAIM_NOWHERE, request->claimed);
    EL_ASSERT(request->claimed == 0);
    EL_ASSERT(request->claim_account == NULL);
}

void claim_first(struct conn *conn)
{
    if (!el_list_empty(&conn->requests)) {
        const struct request *request = EL_CONTAINER(conn->requests.next, struct request, order);
        if (!el_list_empty(&request->claim_link)) {
            account_wake(conn->net, request->claim_account);
        }
    }
}
