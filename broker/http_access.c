/* SPDX-License-Identifier: Apache-2.0
 *
 * With the authorizer off everybody is let in, as on the Kafka port. Else whoever asks must be allowed to Describe the
 * cluster: as the user of its Basic credentials, or without any as User:ANONYMOUS.
 *
 * 1. the credentials become a message of SASL PLAIN
 * 2. shard 0, whose copy of users and rules is asked, takes it and says what it finds: a message, carried out at once
 * 3. the password is salted and compared here, for it takes milliseconds; one that was right before is known by a MAC,
 *    so that a scraper costs that once
 *
 * Guessing is bounded: after CHECKS_PER_S_MAX passwords in a second others are told to come again. A password is taken
 * over the loopback only, unless insecure.http.password says else: the port does not speak TLS.
 */
#include <http_access.h>

#include <core/alloc.h>
#include <core/crypto.h>
#include <core/logger.h>
#include <http/authorization.h>

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/random.h>
#include <time.h>

#define WAIT_MS 1000
#define NS_PER_MS 1000000
#define NS_PER_S 1000000000
#define CHECKS_PER_S_MAX 10u
#define KNOWN_MAX 16u
#define MAC_LEN 32u

#define HTTP_ACCESS_MAGIC OBJ_MAGIC('h', 't', 'a', 'c')

struct http_access {
    uint32_t magic;
    struct shard *shard;
    bool open_to_loopback;
    bool password_anywhere;
    bool was_enabled; /* the authorizer, when the shard last said */
    uint8_t mac_key[MAC_LEN];
    uint8_t known[KNOWN_MAX][MAC_LEN]; /* of user, password and the keys that it fitted */
    uint32_t known_count, known_next;
    uint64_t second; /* of the checks counted */
    uint32_t check_count;
    uint64_t log_second;
    /* the question; the shard's while asked is true */
    struct io_message message;
    _Atomic bool asked;
    sem_t answered;
    const uint8_t *secret;
    char host[64];
    uint8_t plain[HTTP_PLAIN_MAX];
    size_t plain_len; /* 0: no credentials */
    /* the answer */
    struct sasl sasl;
    enum sasl_result result;
    bool known_rules; /* users and rules have been read */
    bool failed;      /* they cannot be */
    bool enabled;
    bool allowed; /* whom the question says it is from */
};

/* --- on the shard ------------------------------------------------------------------------------------------------- */

static bool may(const struct http_access *a, const struct auth *auth, const char *principal)
{
    struct auth_caller caller = {.principal = el_slice_str(principal), .host = el_slice_str(a->host)};
    return auth_allowed(auth, &caller, EL_ACL_OP_DESCRIBE, EL_ACL_RESOURCE_CLUSTER, el_slice_str(EL_ACL_CLUSTER_NAME));
}

static void on_question(struct io_message *message)
{
    struct http_access *a = EL_CONTAINER(message, struct http_access, message);
    OBJ_CHECK(a, HTTP_ACCESS);
    static const uint8_t no_random[SASL_RANDOM_LEN]; /* PLAIN needs none */
    const struct auth *auth = access_auth(a->shard->access);
    struct sasl_answer answer;
    char principal[AUTH_USER_NAME_MAX + sizeof "User:"] = AUTH_ANONYMOUS;
    a->known_rules = access_known(a->shard->access);
    a->failed = access_failed(a->shard->access);
    a->enabled = auth->enabled;
    if (a->plain_len > 0) {
        sasl_begin(&a->sasl, SASL_PLAIN);
        a->result = sasl_take(&a->sasl, auth, a->secret, no_random, el_slice_of(a->plain, a->plain_len), &answer);
        struct el_slice name = sasl_user(&a->sasl);
        snprintf(principal, sizeof principal, "User:%.*s", (int)name.len, name.len == 0 ? "" : (const char *)name.data);
    }
    a->allowed = may(a, auth, principal);
    atomic_store(&a->asked, false);
    sem_post(&a->answered);
}

/* --- on the HTTP thread ------------------------------------------------------------------------------------------- */

/* returns false when the shard is late; it still has the question then */
static bool ask(struct http_access *a)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (long)(WAIT_MS % 1000) * NS_PER_MS;
    until.tv_sec += WAIT_MS / 1000 + until.tv_nsec / NS_PER_S;
    until.tv_nsec %= NS_PER_S;
    while (sem_trywait(&a->answered) == 0) { /* an answer that was late */
    }
    a->message.run = on_question;
    atomic_store(&a->asked, true);
    io_post(a->shard->io, &a->message);
    while (atomic_load(&a->asked)) {
        if (sem_timedwait(&a->answered, &until) != 0 && errno == ETIMEDOUT) {
            return !atomic_load(&a->asked);
        }
    }
    return true;
}

/* What stands for credentials that fitted these keys; not with another password or other keys. */
static void mac_of(const struct http_access *a, uint8_t mac[MAC_LEN])
{
    uint8_t text[HTTP_PLAIN_MAX + AUTH_SCRAM_KEY_MAX];
    size_t key_len = el_scram_key_len(a->sasl.user.mechanism);
    memcpy(text, a->sasl.user.stored_key, key_len);
    memcpy(text + key_len, a->plain, a->plain_len);
    el_scram_hmac(EL_SCRAM_SHA256, el_slice_of(a->mac_key, MAC_LEN), el_slice_of(text, key_len + a->plain_len), mac);
    explicit_bzero(text, sizeof text);
}

static bool is_known(const struct http_access *a, const uint8_t mac[MAC_LEN])
{
    bool found = false;
    for (uint32_t i = 0; i < a->known_count; i++) {
        found = el_scram_equal(a->known[i], mac, MAC_LEN) || found;
    }
    return found;
}

static void remember(struct http_access *a, const uint8_t mac[MAC_LEN])
{
    memcpy(a->known[a->known_next], mac, MAC_LEN);
    a->known_next = (a->known_next + 1) % KNOWN_MAX;
    a->known_count = EL_MIN(a->known_count + 1, KNOWN_MAX);
}

static uint64_t now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec + 1; /* 0 is before all seconds */
}

static bool may_check(struct http_access *a)
{
    uint64_t second = now_s();
    a->check_count = second == a->second ? a->check_count : 0;
    a->second = second;
    return a->check_count++ < CHECKS_PER_S_MAX;
}

static void count_failure(struct http_access *a, enum metric_id metric, const char *what)
{
    metrics_add(a->shard->metrics, metric, 1);
    if (a->log_second != now_s()) {
        a->log_second = now_s();
        struct el_slice name = a->plain_len > 0 ? sasl_user(&a->sasl) : el_slice_str("");
        el_log(EL_LOG_WARN, "auth", "http from %s: user \"%.*s\" %s", a->host, (int)name.len,
               name.len == 0 ? "" : (const char *)name.data, what);
    }
}

/* The password of the question. */
static enum http_verdict prove(struct http_access *a, const char **why)
{
    uint8_t mac[MAC_LEN];
    if (a->result == SASL_CHECK) {
        mac_of(a, mac);
        if (a->sasl.known && is_known(a, mac)) {
            return HTTP_ALLOWED;
        }
        if (!may_check(a)) {
            *why = "too many passwords are being tried: come again in a second";
            return HTTP_TOO_MANY;
        }
        sasl_check(&a->sasl);
        a->result = sasl_checked(&a->sasl);
    }
    if (a->result != SASL_DONE) {
        count_failure(a, METRIC_AUTHENTICATION_FAILURES, "could not prove who it is");
        *why = "wrong user or password";
        return HTTP_WHO;
    }
    metrics_add(a->shard->metrics, METRIC_AUTHENTICATIONS, 1);
    remember(a, mac);
    return HTTP_ALLOWED;
}

static enum http_verdict judge(struct http_access *a, const char **why)
{
    if (!a->enabled) {
        return HTTP_ALLOWED;
    }
    if (!a->known_rules) {
        *why = a->failed ? "users and access rules cannot be read: the log says why"
                         : "users and access rules are being read";
        return HTTP_NOT_NOW;
    }
    enum http_verdict verdict = a->plain_len == 0 ? HTTP_ALLOWED : prove(a, why);
    if (verdict != HTTP_ALLOWED || a->allowed) {
        return verdict;
    }
    count_failure(a, METRIC_DENIED, "has no right to Describe the cluster");
    *why = a->plain_len == 0 ? "metrics need a user with the right to Describe the cluster: name and password (Basic)"
                             : "the user has no right to Describe the cluster";
    return a->plain_len == 0 ? HTTP_WHO : HTTP_DENIED;
}

/* The header into the question. returns 0 | why not */
static enum http_verdict take_header(struct http_access *a, const struct http_caller *caller, const char **why)
{
    a->plain_len = 0;
    snprintf(a->host, sizeof a->host, "%s", caller->address);
    if (caller->authorization == NULL) {
        return HTTP_ALLOWED;
    }
    if (!caller->loopback && !a->password_anywhere) {
        *why = "a password over a connection without TLS is refused: put a proxy with TLS on this machine before the "
               "port, or set insecure.http.password, and change this password, for it was sent in the clear";
        return HTTP_DENIED;
    }
    if (http_basic_plain(caller->authorization, a->plain, &a->plain_len) != 0) {
        a->plain_len = 0;
        *why = "the Authorization header is not one of Basic, with the user's name and password";
        return HTTP_WHO;
    }
    return HTTP_ALLOWED;
}

/* Metrics of a shard that hangs are wanted most: where everybody was let in, they still are. */
static enum http_verdict late(const struct http_access *a, char *reason, size_t reason_max)
{
    snprintf(reason, reason_max, "the shard that knows users and rules does not answer");
    return a->was_enabled ? HTTP_NOT_NOW : HTTP_ALLOWED;
}

enum http_verdict http_access_judge(struct http_access *access, const struct http_caller *caller, char *reason,
                                    size_t reason_max)
{
    OBJ_CHECK(access, HTTP_ACCESS);
    const char *why = "";
    enum http_verdict verdict = HTTP_NOT_NOW;
    if (access->open_to_loopback && caller->loopback) {
        return HTTP_ALLOWED;
    }
    if (atomic_load(&access->asked)) {
        return late(access, reason, reason_max);
    }
    verdict = take_header(access, caller, &why);
    enum http_verdict header = verdict;
    if (!ask(access)) {
        return late(access, reason, reason_max);
    }
    access->was_enabled = access->enabled;
    if (header == HTTP_ALLOWED || !access->enabled) {
        verdict = judge(access, &why);
    }
    if (access->plain_len > 0) {
        sasl_end(&access->sasl);
        explicit_bzero(access->plain, sizeof access->plain);
    }
    snprintf(reason, reason_max, "%s", why);
    return verdict;
}

/* --- life --------------------------------------------------------------------------------------------------------- */

int http_access_create(struct shard *shard, const struct config *cfg, struct http_access **access)
{
    struct http_access *made = el_calloc(1, sizeof *made);
    if (made == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    made->magic = HTTP_ACCESS_MAGIC;
    made->shard = shard;
    made->was_enabled = cfg->authorizer == CONFIG_AUTHORIZER_ON;
    made->open_to_loopback = cfg->metrics_open_loopback;
    made->password_anywhere = cfg->insecure_http_password;
    made->secret = shard->stream_secret->bytes;
    sem_init(&made->answered, 0, 0);
    if (getrandom(made->mac_key, sizeof made->mac_key, 0) != (ssize_t)sizeof made->mac_key) {
        http_access_destroy(made);
        return EVLOG_ERR_FAILED;
    }
    *access = made;
    return 0;
}

void http_access_destroy(struct http_access *access)
{
    if (access == NULL) {
        return;
    }
    OBJ_CHECK(access, HTTP_ACCESS);
    sem_destroy(&access->answered);
    explicit_bzero(access, sizeof *access);
    el_free(access);
}
