/* SPDX-License-Identifier: Apache-2.0
 *
 * What each principal, and each address whose clients have not said who they are, holds of the shard's memory: receive
 * buffers beyond the first of a connection, answers that have not left, and what answers that are being made have
 * claimed (claim.c). Over its limit no connection of it is read on that has a request under way, or would take a larger
 * buffer for one that has begun; requests of others are.
 *
 * One connection always goes on (it has the floor) until its request is whole: so a single request may be larger than
 * the limit, and many that have begun do not hold each other up. Whoever is held back looks again every 20 ms, and is
 * not late meanwhile.
 *
 * A buffer stays with the account that it was taken for, whoever its connection proves to be later.
 */
#include <net/conn.h>

static struct net_account *find(struct net *net, uint64_t id)
{
    struct net_account *account = el_map_get(&net->accounts, &id, sizeof id);
    if (account != NULL) {
        account->ref_count++;
        return account;
    }
    account = el_pool_get(&net->account_pool);
    if (account == NULL) {
        return NULL;
    }
    account->id = id;
    account->ref_count = 1;
    el_list_init(&account->waiting);
    el_list_init(&account->wake_link);
    if (el_map_put(&net->accounts, &account->id, sizeof account->id, account) != 0) {
        el_pool_put(&net->account_pool, account);
        return NULL;
    }
    EL_ASSERT(account->bytes == 0);
    return account;
}

void account_ref(struct net_account *account)
{
    EL_ASSERT(account->ref_count > 0);
    account->ref_count++;
}

void account_unref(struct net *net, struct net_account *account)
{
    EL_ASSERT(account->ref_count > 0);
    if (--account->ref_count > 0) {
        return;
    }
    EL_ASSERT(account->bytes == 0);
    EL_ASSERT(account->pledged == 0);
    EL_ASSERT(account->floor == NULL);
    EL_ASSERT(account->answer_floor == NULL);
    EL_ASSERT(el_list_empty(&account->waiting));
    el_list_remove(&account->wake_link);
    void *removed = el_map_remove(&net->accounts, &account->id, sizeof account->id);
    EL_ASSERT(removed == account);
    el_pool_put(&net->account_pool, account);
}

void account_wake(struct net *net, struct net_account *account)
{
    if (el_list_empty(&account->waiting)) {
        return;
    }
    if (el_list_empty(&account->wake_link)) {
        el_list_push_back(&net->waking, &account->wake_link);
    }
    if (net->wake_timer.heap_index == 0 || net->wake_timer.at_ns > net->io->now_ns) {
        io_timer_set(net->io, &net->wake_timer, net->io->now_ns);
    }
}

void account_add(struct net_account *account, size_t len)
{
    EL_ASSERT(account->ref_count > 0);
    EL_ASSERT(account->bytes <= SIZE_MAX - len);
    account->bytes += len;
}

void account_take(struct net *net, struct net_account *account, size_t len)
{
    EL_ASSERT(account->ref_count > 0);
    EL_ASSERT(account->bytes >= len);
    account->bytes -= len;
    account_wake(net, account);
}

int account_join(struct conn *conn, uint64_t id)
{
    struct net_account *account = find(conn->net, id);
    if (account == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    account_leave(conn);
    account_add(account, conn->owed_bytes);
    conn->account = account;
    return 0;
}

void account_leave(struct conn *conn)
{
    struct net_account *account = conn->account;
    if (account != NULL) {
        account_yield(conn);
        account_take(conn->net, account, conn->owed_bytes);
        conn->account = NULL;
        account_unref(conn->net, account);
    }
}

void account_owe(struct conn *conn, struct request *request)
{
    EL_ASSERT(conn->owed_bytes <= conn->reply_bytes);
    conn->reply_bytes += request->reply_len;
    if (request->claimed > 0) {
        claim_settle(request);
        return;
    }
    conn->owed_bytes += request->reply_len;
    if (conn->account != NULL) {
        account_add(conn->account, request->reply_len);
    }
}

void account_paid(struct conn *conn, const struct request *request, size_t len)
{
    EL_ASSERT(conn->reply_bytes >= len);
    conn->reply_bytes -= len;
    if (request->claimed > 0) {
        return; /* until all has left, for until then its memory is held */
    }
    EL_ASSERT(conn->owed_bytes >= len);
    conn->owed_bytes -= len;
    if (conn->account != NULL) {
        account_take(conn->net, conn->account, len);
    }
}

void account_charge(struct net_account *account, struct net_buffer *buffer)
{
    EL_ASSERT(buffer->account == NULL);
    if (account != NULL && buffer->block_len > CONN_BUFFER_LEN_FIRST) {
        account_ref(account);
        account_add(account, buffer->block_len);
        buffer->account = account;
    }
}

void account_discharge(struct net_buffer *buffer)
{
    struct net_account *account = buffer->account;
    if (account != NULL) {
        account_take(buffer->net, account, buffer->block_len);
        buffer->account = NULL;
        account_unref(buffer->net, account);
    }
}

void account_yield(struct conn *conn)
{
    conn->held_back = false;
    if (conn->account != NULL && conn->account->floor == conn) {
        conn->account->floor = NULL;
    }
}

static bool lets(struct conn *conn, size_t more_len)
{
    struct net_account *account = conn->account;
    if (account == NULL || account->floor == conn) {
        return true;
    }
    EL_ASSERT(account->bytes >= account->pledged);
    if (account->bytes - account->pledged + more_len <= conn->net->config.principal_bytes_max) {
        return true; /* what is claimed may not be taken: a request behind it may be what it waits for */
    }
    if (account->floor != NULL || conn->request_count > 0) {
        return false;
    }
    account->floor = conn;
    return true;
}

bool account_lets(struct conn *conn, size_t more_len)
{
    bool held_back = !lets(conn, more_len);
    if (held_back && !conn->held_back) {
        metrics_add(conn->net->metrics, METRIC_HELD_BACK, 1);
        net_say(conn->net, conn->peer, NET_HELD_BACK);
    }
    conn->held_back = held_back;
    return !held_back;
}
