/* SPDX-License-Identifier: Apache-2.0
 *
 * AlterUserScramCredentials: users get passwords, others or none. The client has salted the password; what is kept of
 * it are the two keys that it is checked with. A user that is named twice for a mechanism fails, with all that is asked
 * for it; what is sound of the others is one change.
 */
#include <api/access_call.h>
#include <wire/msg_alter_user_scram_credentials.h>

struct user_entry {
    struct el_slice name;
    int16_t code;
    const char *why; /* of code */
};

struct alter_call {
    struct access_call change;
    const struct el_msg_alter_user_scram_credentials_request *ask;
    struct user_entry *users; /* [user_count] each name once */
    uint32_t user_count;
};

static void alter_finish(struct access_call *change)
{
    struct alter_call *call = EL_CONTAINER(change, struct alter_call, change);
    struct el_msg_alter_user_scram_credentials_response response;
    el_schema_init(&el_schema_alter_user_scram_credentials_response, &response);
    response.results = api_new(change->api, change->request, &el_schema_alter_user_scram_credentials_result,
                               call->user_count);
    if (response.results == NULL) {
        return;
    }
    response.result_count = call->user_count;
    for (uint32_t i = 0; i < call->user_count; i++) {
        const struct user_entry *user = &call->users[i];
        struct el_msg_alter_user_scram_credentials_result *out = &response.results[i];
        bool tried = user->code == EL_KAFKA_NONE;
        out->user = user->name;
        out->error_code = tried ? access_error(change->op.error) : user->code;
        out->error_message = tried ? access_error_message(change->op.error) : el_slice_str(user->why);
    }
    request_reply(change->request, &el_schema_alter_user_scram_credentials_response, &response);
}

static void refuse(struct user_entry *user, int16_t code, const char *why)
{
    if (user->code == EL_KAFKA_NONE) {
        user->code = code;
        user->why = why;
    }
}

/* The entry of a name, new when there is none; NULL without memory. The array has room for all. */
static struct user_entry *entry_of(struct alter_call *call, struct el_map *seen, struct el_slice name)
{
    const void *key = name.len == 0 ? (const void *)"" : name.data;
    struct user_entry *user = el_map_get(seen, key, name.len);
    if (user != NULL) {
        return user;
    }
    user = &call->users[call->user_count];
    user->name = name;
    if (el_map_put(seen, key, name.len, user) != 0) {
        return NULL;
    }
    call->user_count++;
    return user;
}

/* The pair of user and mechanism has been seen in this request before. */
static bool seen_before(const struct alter_call *call, uint32_t deletions, uint32_t upsertions, struct el_slice name,
                        int8_t mechanism)
{
    for (uint32_t i = 0; i < deletions; i++) {
        if (call->ask->deletions[i].mechanism == mechanism && el_slice_eq(call->ask->deletions[i].name, name)) {
            return true;
        }
    }
    for (uint32_t i = 0; i < upsertions; i++) {
        if (call->ask->upsertions[i].mechanism == mechanism && el_slice_eq(call->ask->upsertions[i].name, name)) {
            return true;
        }
    }
    return false;
}

static void check_deletion(struct alter_call *call, uint32_t index, struct user_entry *user)
{
    const struct el_msg_alter_user_scram_credentials_deletion *ask = &call->ask->deletions[index];
    const char *why = NULL;
    if (auth_user_name_check(ask->name, &why) != 0) {
        refuse(user, EL_KAFKA_UNACCEPTABLE_CREDENTIAL, why);
    } else if (el_scram_key_len(ask->mechanism) == 0) {
        refuse(user, EL_KAFKA_UNSUPPORTED_SASL_MECHANISM, "mechanisms are 1 SCRAM-SHA-256 and 2 SCRAM-SHA-512");
    } else if (seen_before(call, index, 0, ask->name, ask->mechanism)) {
        refuse(user, EL_KAFKA_DUPLICATE_RESOURCE, "the user is named twice for a mechanism");
    } else if (auth_user_find(call->change.api->auth, ask->mechanism, ask->name) == NULL) {
        refuse(user, EL_KAFKA_RESOURCE_NOT_FOUND, "the user has no password for this mechanism");
    }
}

/* What is kept of an upsertion; salted must have the length of the mechanism's hash. */
static int16_t user_of(const struct el_msg_alter_user_scram_credentials_upsertion *ask, struct auth_user *user,
                       const char **why)
{
    size_t key_len = el_scram_key_len(ask->mechanism);
    memset(user, 0, sizeof *user);
    user->mechanism = ask->mechanism;
    user->name = ask->name;
    user->iterations = ask->iterations < 0 ? 0 : (uint32_t)ask->iterations;
    user->salt_len = (uint32_t)EL_MIN(ask->salt.len, (size_t)UINT32_MAX);
    if (key_len == 0) {
        *why = "mechanisms are 1 SCRAM-SHA-256 and 2 SCRAM-SHA-512";
        return EL_KAFKA_UNSUPPORTED_SASL_MECHANISM;
    }
    if (auth_user_check(user, why) != 0) {
        return EL_KAFKA_UNACCEPTABLE_CREDENTIAL;
    }
    if (ask->salted_password.len != key_len) {
        *why = "a salted password is as long as the hash of its mechanism: 32 or 64 bytes";
        return EL_KAFKA_UNACCEPTABLE_CREDENTIAL;
    }
    memcpy(user->salt, ask->salt.data, ask->salt.len);
    el_scram_server_keys(user->mechanism, ask->salted_password.data, user->stored_key, user->server_key);
    return EL_KAFKA_NONE;
}

static void check_upsertion(struct alter_call *call, uint32_t index, struct user_entry *entry)
{
    const struct el_msg_alter_user_scram_credentials_upsertion *ask = &call->ask->upsertions[index];
    struct auth_user user;
    const char *why = NULL;
    int16_t code = user_of(ask, &user, &why);
    explicit_bzero(&user, sizeof user);
    if (code != EL_KAFKA_NONE) {
        refuse(entry, code, why);
    } else if (seen_before(call, call->ask->deletion_count, index, ask->name, ask->mechanism)) {
        refuse(entry, EL_KAFKA_DUPLICATE_RESOURCE, "the user is named twice for a mechanism");
    }
}

/* returns 0 | EVLOG_ERR_NO_MEMORY */
static int check_all(struct alter_call *call, struct el_map *seen)
{
    for (uint32_t i = 0; i < call->ask->deletion_count; i++) {
        struct user_entry *user = entry_of(call, seen, call->ask->deletions[i].name);
        if (user == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        check_deletion(call, i, user);
    }
    for (uint32_t i = 0; i < call->ask->upsertion_count; i++) {
        struct user_entry *user = entry_of(call, seen, call->ask->upsertions[i].name);
        if (user == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        check_upsertion(call, i, user);
    }
    return 0;
}

/* Records of the users that nothing is wrong with; what is new first, so that a user who gets keys of another mechanism
 * in place of its own is there all the time. returns 0 | EVLOG_ERR_NO_MEMORY */
static int put_all(struct alter_call *call, struct el_map *seen)
{
    int code = 0;
    for (uint32_t i = 0; code == 0 && i < call->ask->upsertion_count; i++) {
        struct auth_user user;
        const char *why;
        if (entry_of(call, seen, call->ask->upsertions[i].name)->code == EL_KAFKA_NONE &&
            user_of(&call->ask->upsertions[i], &user, &why) == EL_KAFKA_NONE) {
            code = access_call_put_user(&call->change, &user, false);
            explicit_bzero(&user, sizeof user);
        }
    }
    for (uint32_t i = 0; code == 0 && i < call->ask->deletion_count; i++) {
        const struct el_msg_alter_user_scram_credentials_deletion *ask = &call->ask->deletions[i];
        struct auth_user user = {.mechanism = ask->mechanism, .name = ask->name};
        if (entry_of(call, seen, ask->name)->code == EL_KAFKA_NONE) {
            code = access_call_put_user(&call->change, &user, true);
        }
    }
    return code;
}

static void refuse_all(struct alter_call *call, int16_t code, const char *why)
{
    for (uint32_t i = 0; i < call->user_count; i++) {
        call->users[i].code = code;
        call->users[i].why = why;
    }
}

void api_alter_user_scram_credentials(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_alter_user_scram_credentials_request *ask = message;
    struct alter_call *call = api_alloc(api, request, 1, sizeof *call);
    size_t total = (size_t)ask->deletion_count + ask->upsertion_count;
    if (call == NULL ||
        !access_call_init(&call->change, api, request, (uint32_t)EL_MIN(total, ACCESS_RECORDS_MAX), alter_finish)) {
        return;
    }
    call->ask = ask;
    call->users = api_alloc(api, request, total, sizeof *call->users);
    if (call->users == NULL) {
        return;
    }
    struct el_map seen;
    el_map_init(&seen, api->buddy);
    bool may = api_may(api, request, 0, EL_ACL_RESOURCE_CLUSTER, el_slice_str(EL_ACL_CLUSTER_NAME));
    int code = total > ACCESS_RECORDS_MAX ? EVLOG_ERR_LIMIT : check_all(call, &seen);
    if (code == 0 && !may) {
        refuse_all(call, api_error(EVLOG_ERR_CLUSTER_DENIED, false), evlog_error_text(EVLOG_ERR_CLUSTER_DENIED));
    }
    code = code == 0 && may ? put_all(call, &seen) : code;
    el_map_destroy(&seen);
    if (code == EVLOG_ERR_LIMIT) {
        request_refuse(request, "it changes more than 1000 users");
    } else if (code != 0) {
        api_refuse_memory(api, request);
    } else {
        access_call_start(&call->change);
    }
}
