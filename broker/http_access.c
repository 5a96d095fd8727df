/* SPDX-License-Identifier: Apache-2.0
 *
 * With the authorizer off everybody is let in, as on the Kafka port, unless certificates are required. Else whoever
 * asks must be allowed to Describe the cluster: as the user of its Basic credentials or of its bearer token, without
 * either as the name of its certificate, and without that as User:ANONYMOUS.
 *
 * 1. Basic credentials become a message of SASL PLAIN; a token or a certificate is a principal at once
 * 2. shard 0, whose copy of users and rules is asked, takes it and says what it finds: a message, carried out at once
 * 3. the password is salted and compared here, for it takes milliseconds; one that was right before is known by a MAC,
 *    so that a scraper costs that once
 *
 * Proofs, failed and not, and denials are told to the audit log as those of the Kafka port are; with the authorizer off
 * nobody looks at credentials.
 *
 * Guessing is bounded: after CHECKS_PER_S_MAX passwords in a second others are told to come again. Passwords and tokens
 * are taken by TLS or over the loopback only, unless insecure.http.password says else.
 *
 * A password is in memory for as long as its question: who is done with it last wipes it. That is this thread, but for
 * a question that it has left because the shard was late, which the shard wipes when it comes to it.
 */
#include <http_access.h>

#include <core/alloc.h>
#include <core/crypto.h>
#include <core/logger.h>
#include <http/authorization.h>

#include <errno.h>
#include <pthread.h>
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

/* Whose the question is. The shard's until it has answered; left: the shard's, and nobody waits for the answer. */
enum question { QUESTION_OURS, QUESTION_ASKED, QUESTION_LEFT };

#define HTTP_ACCESS_MAGIC OBJ_MAGIC('h', 't', 'a', 'c')

struct http_access {
    uint32_t magic;
    struct shard *shard;
    struct audit_relay *audit;
    bool open_to_loopback;
    bool password_anywhere;
    uint8_t mac_key[MAC_LEN];
    uint8_t known[KNOWN_MAX][MAC_LEN]; /* of user, password and the keys that it fitted */
    uint32_t known_count, known_next;
    uint64_t second; /* of the checks counted */
    uint32_t check_count;
    uint64_t log_second;
    pthread_mutex_t lock;
    struct http_tokens *tokens; /* under the lock, as what follows; NULL before the first */
    bool authorizes;            /* the settings have the authorizer on */
    bool wants_certificate;
    /* the question, and the answer below */
    struct io_message message;
    _Atomic int question; /* enum question */
    sem_t answered;
    const uint8_t *secret;
    char host[64];
    uint8_t plain[HTTP_PLAIN_MAX];
    size_t plain_len;                           /* 0: no Basic credentials */
    const char *scheme;                         /* of the credentials, for the audit log; NULL: there are none */
    const char *flaw;                           /* what is wrong with them at first sight, in one word; "": nothing */
    char principal[AUTH_PRINCIPAL_LEN_MAX + 1]; /* without those; "": a token that is nobody's */
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

/* By whose the question is. */
static void wipe(struct http_access *a)
{
    if (a->plain_len > 0) {
        sasl_end(&a->sasl);
    }
    explicit_bzero(a->plain, sizeof a->plain);
    a->plain_len = 0;
}

static void on_question(struct io_message *message)
{
    struct http_access *a = EL_CONTAINER(message, struct http_access, message);
    OBJ_CHECK(a, HTTP_ACCESS);
    static const uint8_t no_random[SASL_RANDOM_LEN]; /* PLAIN needs none */
    const struct auth *auth = access_auth(a->shard->access);
    struct sasl_answer answer;
    EL_ASSERT(atomic_load(&a->question) != QUESTION_OURS);
    EL_ASSERT(a->plain_len <= sizeof a->plain);
    a->known_rules = access_known(a->shard->access);
    a->failed = access_failed(a->shard->access);
    a->enabled = auth->enabled;
    if (a->plain_len > 0) {
        sasl_begin(&a->sasl, SASL_PLAIN);
        a->result = sasl_take(&a->sasl, auth, a->secret, no_random, el_slice_of(a->plain, a->plain_len), &answer);
        struct el_slice name = sasl_user(&a->sasl);
        snprintf(a->principal, sizeof a->principal, "User:%.*s", (int)name.len,
                 name.len == 0 ? "" : (const char *)name.data);
    }
    a->allowed = may(a, auth, a->principal);
    int asked = QUESTION_ASKED;
    if (!atomic_compare_exchange_strong(&a->question, &asked, QUESTION_OURS)) {
        EL_ASSERT(asked == QUESTION_LEFT);
        wipe(a);
        atomic_store(&a->question, QUESTION_OURS);
    }
    sem_post(&a->answered);
}

/* --- on the HTTP thread ------------------------------------------------------------------------------------------- */

/* returns false when the shard is late; it still has the question then, and wipes it */
static bool ask(struct http_access *a)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(WAIT_MS % 1000) * NS_PER_MS;
    until.tv_sec += WAIT_MS / 1000 + until.tv_nsec / NS_PER_S;
    until.tv_nsec %= NS_PER_S;
    while (sem_trywait(&a->answered) == 0) { /* an answer that was late */
    }
    EL_ASSERT(atomic_load(&a->question) == QUESTION_OURS);
    a->message.run = on_question;
    atomic_store(&a->question, QUESTION_ASKED);
    io_post(a->shard->io, &a->message);
    while (atomic_load(&a->question) != QUESTION_OURS) {
        int asked = QUESTION_ASKED;
        if (sem_clockwait(&a->answered, CLOCK_MONOTONIC, &until) != 0 && errno == ETIMEDOUT) {
            return !atomic_compare_exchange_strong(&a->question, &asked, QUESTION_LEFT);
        }
    }
    return true;
}

/* What stands for credentials that fitted these keys; not with another password or other keys. */
static void mac_of(const struct http_access *a, uint8_t mac[MAC_LEN])
{
    uint8_t text[HTTP_PLAIN_MAX + AUTH_SCRAM_KEY_MAX];
    size_t key_len = el_scram_key_len(a->sasl.user.mechanism);
    EL_ASSERT(key_len <= AUTH_SCRAM_KEY_MAX);
    EL_ASSERT(a->plain_len <= HTTP_PLAIN_MAX);
    memcpy(text, a->sasl.user.stored_key, key_len);
    memcpy(text + key_len, a->plain, a->plain_len);
    el_scram_hmac(EL_SCRAM_SHA256, el_slice_of(a->mac_key, MAC_LEN), el_slice_of(text, key_len + a->plain_len), mac);
    explicit_bzero(text, sizeof text);
}

static bool is_known(const struct http_access *a, const uint8_t mac[MAC_LEN])
{
    bool found = false;
    EL_ASSERT(a->known_count <= KNOWN_MAX);
    for (uint32_t i = 0; i < a->known_count; i++) {
        found = el_scram_equal(a->known[i], mac, MAC_LEN) || found;
    }
    return found;
}

static void remember(struct http_access *a, const uint8_t mac[MAC_LEN])
{
    EL_ASSERT(a->known_next < KNOWN_MAX);
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
        el_log(EL_LOG_WARN, "auth", "http from %s: %s %s", a->host, a->principal[0] == 0 ? "a token" : a->principal,
               what);
    }
}

/* What has been proved of whom. flaw NULL: it has been; else why not, in one word or none ("") */
static void tell_proof(const struct http_access *a, const char *scheme, const char *flaw)
{
    /* Of a failed proof the name that was claimed, as on the Kafka port. */
    size_t skipped = flaw != NULL && strncmp(a->principal, "User:", 5) == 0 ? 5 : 0;
    audit_relay_note(a->audit, &(struct audit_note){.class = CONFIG_AUDIT_AUTHENTICATION,
                                                    .principal = el_slice_str(a->principal + skipped),
                                                    .address = el_slice_str(a->host),
                                                    .listener = el_slice_str(HTTP_AUDIT_LISTENER),
                                                    .action = el_slice_str(scheme),
                                                    .outcome = flaw == NULL ? "ok" : "failed",
                                                    .detail = el_slice_str(flaw == NULL ? "" : flaw)});
}

static void tell_denial(const struct http_access *a)
{
    char resource[64];
    snprintf(resource, sizeof resource, "%s %s", el_acl_resource_name(EL_ACL_RESOURCE_CLUSTER), EL_ACL_CLUSTER_NAME);
    audit_relay_note(a->audit, &(struct audit_note){.class = CONFIG_AUDIT_DENIALS,
                                                    .principal = el_slice_str(a->principal),
                                                    .address = el_slice_str(a->host),
                                                    .listener = el_slice_str(HTTP_AUDIT_LISTENER),
                                                    .action = el_slice_str("GET /metrics"),
                                                    .resource = el_slice_str(resource),
                                                    .outcome = "denied",
                                                    .detail = el_slice_str(el_acl_operation_name(EL_ACL_OP_DESCRIBE))});
}

/* The password of the question. */
static enum http_verdict prove(struct http_access *a, const char **why)
{
    uint8_t mac[MAC_LEN];
    EL_ASSERT(a->result != SASL_DONE); /* no password is right before it was looked at */
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

/* With the authorizer off: is a certificate missing? */
static bool lacks_certificate(struct http_access *a, const struct http_caller *caller)
{
    pthread_mutex_lock(&a->lock);
    bool lacks = a->wants_certificate && caller->principal == NULL;
    pthread_mutex_unlock(&a->lock);
    return lacks;
}

static enum http_verdict judge_open(struct http_access *a, const struct http_caller *caller, const char **why)
{
    bool refused = lacks_certificate(a, caller);
    if (refused) {
        a->principal[0] = '\0';
        tell_proof(a, "TLS", "no_certificate");
    }
    *why = refused ? "metrics need a certificate of the client's, since ssl.client.auth requires one" : "";
    return refused ? HTTP_DENIED : HTTP_ALLOWED;
}

static enum http_verdict judge(struct http_access *a, const struct http_caller *caller, const char **why)
{
    if (!a->known_rules) {
        *why = a->failed ? "users and access rules cannot be read: the log says why"
                         : "users and access rules are being read";
        return HTTP_NOT_NOW;
    }
    enum http_verdict verdict = a->plain_len == 0 ? HTTP_ALLOWED : prove(a, why);
    if (a->scheme != NULL) {
        tell_proof(a, a->scheme, verdict == HTTP_ALLOWED ? NULL : verdict == HTTP_TOO_MANY ? "too_many_tries" : "");
    }
    if (verdict != HTTP_ALLOWED || a->allowed) {
        return verdict;
    }
    bool nobody = caller->authorization == NULL && caller->principal == NULL;
    count_failure(a, METRIC_DENIED, "has no right to Describe the cluster");
    tell_denial(a);
    *why = nobody ? "metrics need a user with the right to Describe the cluster: name and password (Basic), or a token"
                  : "the user has no right to Describe the cluster";
    return nobody ? HTTP_WHO : HTTP_DENIED;
}

static enum http_verdict take_token(struct http_access *a, struct el_slice token, const char **why)
{
    pthread_mutex_lock(&a->lock);
    const char *principal = a->tokens == NULL ? NULL : http_tokens_find(a->tokens, token);
    snprintf(a->principal, sizeof a->principal, "%s", principal == NULL ? "" : principal);
    pthread_mutex_unlock(&a->lock);
    *why = "the token is nobody's";
    return principal == NULL ? HTTP_WHO : HTTP_ALLOWED;
}

/* Who asks into the question. returns HTTP_ALLOWED | why not */
static enum http_verdict take_caller(struct http_access *a, const struct http_caller *caller, const char **why)
{
    struct el_slice token;
    const char *principal = caller->principal == NULL ? AUTH_ANONYMOUS : caller->principal;
    a->plain_len = 0;
    a->scheme = caller->authorization == NULL ? NULL : "HTTP";
    a->flaw = "";
    snprintf(a->host, sizeof a->host, "%s", caller->address);
    snprintf(a->principal, sizeof a->principal, "%s", principal);
    if (caller->authorization == NULL) {
        return HTTP_ALLOWED;
    }
    if (!caller->loopback && !caller->secure && !a->password_anywhere) {
        a->principal[0] = '\0'; /* nobody looked */
        a->flaw = "in_the_clear";
        *why = "a password or token over a connection without TLS is refused: set http to https://HOST:PORT, or "
               "insecure.http.password, and change what was sent in the clear";
        return HTTP_DENIED;
    }
    if (http_bearer_token(caller->authorization, &token)) {
        a->scheme = "Bearer";
        return take_token(a, token, why);
    }
    if (http_basic_plain(caller->authorization, a->plain, &a->plain_len) != 0) {
        a->plain_len = 0;
        a->principal[0] = '\0';
        a->flaw = "malformed";
        *why =
            "the Authorization header is neither one of Basic, with the user's name and password, nor a bearer token";
        return HTTP_WHO;
    }
    a->scheme = "Basic";
    return HTTP_ALLOWED;
}

/* Metrics of a shard that hangs are wanted most: whom the settings alone let in, they still do. */
static enum http_verdict late(struct http_access *a, const struct http_caller *caller, char *reason, size_t reason_max)
{
    pthread_mutex_lock(&a->lock);
    bool authorizes = a->authorizes;
    pthread_mutex_unlock(&a->lock);
    snprintf(reason, reason_max, "the shard that knows users and rules does not answer");
    return authorizes || lacks_certificate(a, caller) ? HTTP_NOT_NOW : HTTP_ALLOWED;
}

enum http_verdict http_access_judge(struct http_access *access, const struct http_caller *caller, char *reason,
                                    size_t reason_max)
{
    OBJ_CHECK(access, HTTP_ACCESS);
    const char *why = "";
    enum http_verdict verdict;
    if (access->open_to_loopback && caller->loopback) {
        return HTTP_ALLOWED;
    }
    if (atomic_load(&access->question) != QUESTION_OURS) {
        return late(access, caller, reason, reason_max);
    }
    verdict = take_caller(access, caller, &why);
    if (!ask(access)) {
        return late(access, caller, reason, reason_max);
    }
    if (!access->enabled) {
        verdict = judge_open(access, caller, &why);
    } else if (verdict == HTTP_ALLOWED) {
        verdict = judge(access, caller, &why);
    } else {
        if (access->flaw[0] == '\0') {
            count_failure(access, METRIC_AUTHENTICATION_FAILURES, "is nobody's");
        }
        tell_proof(access, access->scheme, access->flaw);
    }
    wipe(access);
    snprintf(reason, reason_max, "%s", why);
    return verdict;
}

/* --- life --------------------------------------------------------------------------------------------------------- */

int http_access_create(struct shard *shard, struct audit_relay *audit, const struct config *cfg,
                       struct http_access **access)
{
    struct http_access *made = el_calloc(1, sizeof *made);
    if (made == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    made->magic = HTTP_ACCESS_MAGIC;
    made->shard = shard;
    made->audit = audit;
    made->authorizes = true; /* until http_access_renew() says so */
    made->open_to_loopback = cfg->metrics_open_loopback;
    made->password_anywhere = cfg->insecure_http_password;
    made->secret = shard->stream_secret->bytes;
    sem_init(&made->answered, 0, 0);
    pthread_mutex_init(&made->lock, NULL);
    if (getrandom(made->mac_key, sizeof made->mac_key, 0) != (ssize_t)sizeof made->mac_key) {
        http_access_destroy(made);
        return EVLOG_ERR_FAILED;
    }
    *access = made;
    return 0;
}

void http_access_renew(struct http_access *access, const struct config *cfg, struct http_tokens **take_tokens)
{
    OBJ_CHECK(access, HTTP_ACCESS);
    pthread_mutex_lock(&access->lock);
    struct http_tokens *before = *take_tokens == NULL ? NULL : access->tokens;
    access->tokens = *take_tokens == NULL ? access->tokens : *take_tokens;
    access->authorizes = cfg->authorizer == CONFIG_AUTHORIZER_ON;
    access->wants_certificate = cfg->http.tls && cfg->ssl_client_auth == EL_TLS_AUTH_REQUIRED;
    pthread_mutex_unlock(&access->lock);
    http_tokens_free(before);
    *take_tokens = NULL;
}

void http_access_destroy(struct http_access *access)
{
    if (access == NULL) {
        return;
    }
    OBJ_CHECK(access, HTTP_ACCESS);
    sem_destroy(&access->answered);
    pthread_mutex_destroy(&access->lock);
    http_tokens_free(access->tokens);
    explicit_bzero(access, sizeof *access);
    el_free(access);
}
