/* SPDX-License-Identifier: Apache-2.0
 *
 * Users: list, make, other passwords, remove. Blocking, any thread.
 *
 * A password is salted and hashed here, and what was made of it is wiped; the broker learns the salted one, of which
 * it keeps two keys. See docs/security.md, Users.
 */
#include "admin_change.h"
#include "admin_list.h"
#include "fail.h"

#include <core/alloc.h>
#include <evlog/access.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <wire/error_code.h>
#include <wire/msg_alter_user_scram_credentials.h>
#include <wire/msg_describe_user_scram_credentials.h>

#define SALT_LEN 24u
#define MECHANISM_COUNT 2u
#define WHAT_LEN (EL_SCRAM_NAME_MAX + 32u)

EL_STATIC_ASSERT(EVLOG_SCRAM_SHA_256 == EL_SCRAM_SHA256 && EVLOG_SCRAM_SHA_512 == EL_SCRAM_SHA512,
                 "numbers of the header are those of the wire");
EL_STATIC_ASSERT(EVLOG_PASSWORD_LEN_MAX == EL_SASL_PASSWORD_MAX, "what can be set can be proved");

/* --- list --------------------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct evlog_user *)a)->name, ((const struct evlog_user *)b)->name);
}

static int fill_user(struct el_arena *arena, const struct el_msg_describe_user_scram_credentials_result *source,
                     struct evlog_user *user)
{
    struct evlog_user_key *keys = el_arena_zalloc(arena, (source->credential_info_count + 1) * sizeof *keys);
    user->name = el_arena_strndup(arena, source->user.data, source->user.len);
    if (user->name == NULL || keys == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < source->credential_info_count; i++) {
        keys[i].mechanism = source->credential_infos[i].mechanism;
        keys[i].iterations = (uint32_t)EL_MAX(source->credential_infos[i].iterations, 0);
    }
    user->keys = keys;
    user->key_count = source->credential_info_count;
    return 0;
}

static int fill_list(void *list, struct el_arena *arena, const void *response_)
{
    const struct el_msg_describe_user_scram_credentials_response *response = response_;
    struct evlog_user *users = el_arena_zalloc(arena, ((size_t)response->result_count + 1) * sizeof *users);
    for (uint32_t i = 0; users != NULL && i < response->result_count; i++) {
        if (fill_user(arena, &response->results[i], &users[i]) != 0) {
            return EVLOG_ERR_NO_MEMORY;
        }
    }
    if (users == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    qsort(users, response->result_count, sizeof *users, by_name);
    *(struct evlog_user_list *)list = (struct evlog_user_list){users, response->result_count};
    return 0;
}

/* The error of the whole, or else that of the one user that was asked for. */
static int list_refusal(const struct el_msg_describe_user_scram_credentials_response *response, const char *name,
                        struct evlog_failure *failure)
{
    if (response->error_code != 0) {
        int rc = el_fail_kafka(failure, response->error_code, response->error_message, "list users");
        el_fail_right(failure, "describe cluster", NULL);
        return rc;
    }
    for (uint32_t i = 0; i < response->result_count; i++) {
        int code = response->results[i].error_code;
        if (code == EL_KAFKA_RESOURCE_NOT_FOUND) {
            return el_fail(failure, EVLOG_ERR_NOT_FOUND, "there is no user %.255s", name == NULL ? "like that" : name);
        }
        if (code != 0) {
            return el_fail_kafka(failure, code, response->results[i].error_message, "list users");
        }
    }
    return 0;
}

int evlog_user_list(struct evlog_client *client, const char *name, struct evlog_user_list **list,
                    struct evlog_failure *failure)
{
    struct el_msg_describe_user_scram_credentials_request request;
    struct el_msg_describe_user_scram_credentials_response response;
    struct el_msg_describe_user_scram_credentials_user user;
    struct el_call call;
    el_schema_init(&el_schema_describe_user_scram_credentials_request, &request);
    el_schema_init(&el_schema_describe_user_scram_credentials_user, &user);
    user.name = el_slice_str(name);
    request.users = name == NULL ? NULL : &user;
    request.user_count = name == NULL ? 0 : 1;
    int rc = el_look(client, EL_API_DescribeUserScramCredentials, &request, NULL, &call, &response, failure);
    if (rc != 0) {
        return rc;
    }
    rc = list_refusal(&response, name, failure);
    struct evlog_user_list *made = rc != 0 ? NULL : el_list_make(sizeof *made, fill_list, &response, "users", failure);
    el_call_free(&call);
    if (made != NULL) {
        *list = made;
    }
    return rc == 0 && made == NULL ? EVLOG_ERR_NO_MEMORY : rc;
}

void evlog_user_list_free(struct evlog_user_list *list)
{
    el_list_free(list);
}

/* --- change ------------------------------------------------------------------------------------------------------- */

/* Salted passwords, one for each mechanism; wiped when they were sent. */
struct secrets {
    uint8_t salt[MECHANISM_COUNT][SALT_LEN];
    uint8_t salted[MECHANISM_COUNT][EL_SCRAM_KEY_MAX];
};

struct change {
    struct el_msg_alter_user_scram_credentials_request request;
    struct el_msg_alter_user_scram_credentials_deletion deletions[MECHANISM_COUNT];
    struct el_msg_alter_user_scram_credentials_upsertion upsertions[MECHANISM_COUNT];
};

static void change_init(struct change *change)
{
    el_schema_init(&el_schema_alter_user_scram_credentials_request, &change->request);
    change->request.deletions = change->deletions;
    change->request.upsertions = change->upsertions;
}

static int alter_outcome(const void *response_, void *arg, struct el_slice *message)
{
    const struct el_msg_alter_user_scram_credentials_response *response = response_;
    if (response->result_count != 1) {
        return EL_KAFKA_UNKNOWN_SERVER_ERROR;
    }
    *message = response->results[0].error_message;
    return response->results[0].error_code;
}

static int send_change(struct evlog_client *client, const struct change *change, const char *verb, const char *name,
                       struct evlog_failure *failure)
{
    struct el_msg_alter_user_scram_credentials_response response;
    char what[WHAT_LEN];
    (void)snprintf(what, sizeof what, "%s user %.*s", verb, (int)EL_SCRAM_NAME_MAX, name);
    struct el_change full = {
        client, EL_API_AlterUserScramCredentials, INT16_MAX, &change->request, &response, alter_outcome, NULL, what,
    };
    struct evlog_failure why = EVLOG_FAILURE_INIT;
    int rc = el_change_make(&full, &why);
    if (rc != 0 && why.kafka_code == EL_KAFKA_RESOURCE_NOT_FOUND) {
        return el_fail(failure, EVLOG_ERR_NOT_FOUND, "there is no user %.255s, or it has changed meanwhile", name);
    }
    if (rc != 0) {
        el_fail_right(&why, "alter cluster", NULL);
        (void)el_fail_copy(failure, &why);
    }
    return rc;
}

/* Mechanisms that a user has and does not keep. */
static void drop_others(struct change *change, const struct evlog_user *user, struct el_slice name)
{
    for (size_t i = 0; i < user->key_count && change->request.deletion_count < MECHANISM_COUNT; i++) {
        bool kept = false;
        for (uint32_t k = 0; k < change->request.upsertion_count; k++) {
            kept = kept || change->upsertions[k].mechanism == user->keys[i].mechanism;
        }
        if (!kept) {
            struct el_msg_alter_user_scram_credentials_deletion *out =
                &change->deletions[change->request.deletion_count++];
            el_schema_init(&el_schema_alter_user_scram_credentials_deletion, out);
            out->name = name;
            out->mechanism = (int8_t)user->keys[i].mechanism;
        }
    }
}

static int find_others(struct evlog_client *client, struct change *change, const char *name,
                       struct evlog_failure *failure)
{
    struct evlog_failure why = EVLOG_FAILURE_INIT;
    struct evlog_user_list *list;
    int rc = evlog_user_list(client, name, &list, &why);
    if (rc == EVLOG_ERR_NOT_FOUND) {
        return 0;
    }
    if (rc != 0) {
        return el_fail_copy(failure, &why);
    }
    if (list->user_count == 1) {
        drop_others(change, &list->users[0], el_slice_str(name));
    }
    evlog_user_list_free(list);
    return 0;
}

static int check_password(const char *password, struct evlog_failure *failure)
{
    size_t len = password == NULL ? 0 : strnlen(password, EVLOG_PASSWORD_LEN_MAX + 1);
    if (len == 0 || len > EVLOG_PASSWORD_LEN_MAX) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "a password has 1 to %d characters", EVLOG_PASSWORD_LEN_MAX);
    }
    for (size_t i = 0; i < len; i++) {
        if (password[i] < ' ' || password[i] > '~') {
            return el_fail(failure, EVLOG_ERR_ARGUMENT,
                           "a password has printable ASCII characters only: clients differ in how they prepare others");
        }
    }
    return 0;
}

static int check(const struct evlog_user_options *options, struct evlog_failure *failure)
{
    if (options->name == NULL || options->name[0] == '\0' || strlen(options->name) > EL_SCRAM_NAME_MAX) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the name of a user has 1 to %u bytes", EL_SCRAM_NAME_MAX);
    }
    bool once = options->mechanism_count <= MECHANISM_COUNT;
    for (size_t i = 0; once && i < options->mechanism_count; i++) {
        once = el_scram_key_len(options->mechanisms[i]) != 0 &&
               (i == 0 || options->mechanisms[i] != options->mechanisms[0]);
    }
    if (!once) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "mechanisms are SCRAM-SHA-256 and SCRAM-SHA-512, each once");
    }
    if (options->iterations != 0 &&
        (options->iterations < EL_SCRAM_ITERATIONS_MIN || options->iterations > EL_SCRAM_ITERATIONS_MAX)) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "iterations are %u to %u, not %u", EL_SCRAM_ITERATIONS_MIN,
                       EL_SCRAM_ITERATIONS_MAX, options->iterations);
    }
    return check_password(options->password, failure);
}

/* returns 0 | EVLOG_ERR_IO the kernel gives no random bytes */
static int make_keys(const struct evlog_user_options *options, struct secrets *secrets, struct change *change)
{
    static const int both[MECHANISM_COUNT] = {EL_SCRAM_SHA256, EL_SCRAM_SHA512};
    const int *mechanisms = options->mechanism_count == 0 ? both : options->mechanisms;
    size_t count = options->mechanism_count == 0 ? MECHANISM_COUNT : options->mechanism_count;
    uint32_t iterations = options->iterations == 0 ? EL_SCRAM_ITERATIONS_DEFAULT : options->iterations;
    for (size_t i = 0; i < count; i++) {
        struct el_msg_alter_user_scram_credentials_upsertion *out = &change->upsertions[i];
        if (getrandom(secrets->salt[i], SALT_LEN, 0) != (ssize_t)SALT_LEN) {
            return EVLOG_ERR_IO;
        }
        el_schema_init(&el_schema_alter_user_scram_credentials_upsertion, out);
        out->name = el_slice_str(options->name);
        out->mechanism = (int8_t)mechanisms[i];
        out->iterations = (int32_t)iterations;
        out->salt = el_slice_of(secrets->salt[i], SALT_LEN);
        out->salted_password = el_slice_of(secrets->salted[i], el_scram_key_len(mechanisms[i]));
        el_scram_salt(mechanisms[i], el_slice_str(options->password), out->salt, iterations, secrets->salted[i]);
    }
    change->request.upsertion_count = (uint32_t)count;
    return 0;
}

int evlog_user_set(struct evlog_client *client, const struct evlog_user_options *given, struct evlog_failure *failure)
{
    struct evlog_user_options options = EVLOG_USER_OPTIONS_INIT;
    struct change change = {0};
    struct secrets secrets;
    if (given == NULL || !EL_OPTIONS_TAKE(&options, given)) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the options were not initialised");
    }
    int rc = check(&options, failure);
    if (rc != 0) {
        return rc;
    }
    change_init(&change);
    rc = make_keys(&options, &secrets, &change);
    if (rc != 0) {
        rc = el_fail(failure, rc, "the system gives no random bytes");
    } else {
        rc = find_others(client, &change, options.name, failure);
    }
    if (rc == 0) {
        rc = send_change(client, &change, "set", options.name, failure);
    }
    explicit_bzero(&secrets, sizeof secrets);
    return rc;
}

int evlog_user_delete(struct evlog_client *client, const char *name, struct evlog_failure *failure)
{
    struct change change = {0};
    if (name == NULL || name[0] == '\0' || strlen(name) > EL_SCRAM_NAME_MAX) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the name of a user has 1 to %u bytes", EL_SCRAM_NAME_MAX);
    }
    change_init(&change);
    int rc = find_others(client, &change, name, failure);
    if (rc != 0) {
        return rc;
    }
    if (change.request.deletion_count == 0) {
        return el_fail(failure, EVLOG_ERR_NOT_FOUND, "there is no user %.255s", name);
    }
    return send_change(client, &change, "remove", name, failure);
}
