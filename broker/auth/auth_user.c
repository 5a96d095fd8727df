/* SPDX-License-Identifier: Apache-2.0
 *
 * Users: what their passwords are checked with, by mechanism and name.
 */
#include <auth/auth_state.h>

#include <core/utf8.h>
#include <evlog/error.h>

#define USER_KEY_MAX (1u + AUTH_USER_NAME_MAX)

/* A user as it is kept. */
struct auth_user_entry {
    struct auth_user user;     /* its name is behind the first byte of key */
    uint64_t born;             /* auth.user_births when it was made */
    uint64_t name_born;        /* the same of the first of the entries with its name, without a gap until now */
    uint8_t key[USER_KEY_MAX]; /* mechanism, name; of the map */
};

size_t auth_mechanism_key_len(int mechanism)
{
    return mechanism == EL_SCRAM_SHA256 ? 32 : mechanism == EL_SCRAM_SHA512 ? 64 : 0;
}

int auth_user_name_check(struct el_slice name, const char **why)
{
    *why = NULL;
    bool clean = name.len > 0 && name.len <= AUTH_USER_NAME_MAX && el_utf8_valid(name.data, name.len);
    for (size_t i = 0; clean && i < name.len; i++) {
        clean = name.data[i] >= 0x20 && name.data[i] != 0x7f;
    }
    if (!clean) {
        *why = "the name of a user has 1 to 255 bytes of UTF-8 without control characters";
    } else if (name.len == 1 && name.data[0] == '*') {
        *why = "no user can be called *, which stands for everybody";
    } else if (el_slice_eq(name, el_slice_str("ANONYMOUS"))) {
        *why = "no user can be called ANONYMOUS, which stands for whoever has not said who it is";
    }
    return *why == NULL ? 0 : EVLOG_ERR_ARGUMENT;
}

int auth_user_check(const struct auth_user *user, const char **why)
{
    if (auth_user_name_check(user->name, why) != 0) {
        return EVLOG_ERR_ARGUMENT;
    }
    if (auth_mechanism_key_len(user->mechanism) == 0) {
        *why = "mechanisms are 1 SCRAM-SHA-256 and 2 SCRAM-SHA-512";
    } else if (user->iterations < EL_SCRAM_ITERATIONS_MIN || user->iterations > EL_SCRAM_ITERATIONS_MAX) {
        *why = "iterations are 4096 to 1000000";
    } else if (user->salt_len < AUTH_SALT_LEN_MIN || user->salt_len > AUTH_SALT_LEN_MAX) {
        *why = "a salt has 8 to 64 bytes";
    }
    return *why == NULL ? 0 : EVLOG_ERR_ARGUMENT;
}

static size_t user_key(uint8_t *key, int mechanism, struct el_slice name)
{
    EL_ASSERT(name.len <= AUTH_USER_NAME_MAX);
    key[0] = (uint8_t)mechanism;
    memcpy(key + 1, name.data, name.len);
    return 1 + name.len;
}

static struct auth_user_entry *find(const struct auth *auth, int mechanism, struct el_slice name)
{
    uint8_t key[USER_KEY_MAX];
    if (name.len == 0 || name.len > AUTH_USER_NAME_MAX) {
        return NULL;
    }
    return el_map_get(&auth->users, key, user_key(key, mechanism, name));
}

const struct auth_user *auth_user_find(const struct auth *auth, int mechanism, struct el_slice name)
{
    OBJ_CHECK(auth, AUTH);
    const struct auth_user_entry *entry = find(auth, mechanism, name);
    return entry == NULL ? NULL : &entry->user;
}

bool auth_user_since(const struct auth *auth, int mechanism, struct el_slice name, uint64_t births)
{
    OBJ_CHECK(auth, AUTH);
    const struct auth_user_entry *entry = find(auth, mechanism == 0 ? EL_SCRAM_SHA256 : mechanism, name);
    if (mechanism != 0) {
        return entry != NULL && entry->born <= births;
    }
    entry = entry == NULL ? find(auth, EL_SCRAM_SHA512, name) : entry;
    return entry != NULL && entry->name_born <= births;
}

/* Since when the name has been there, by an entry of another mechanism; 0: there is none. */
static uint64_t name_born(const struct auth *auth, const struct auth_user *user)
{
    const struct auth_user_entry *other = find(
        auth, user->mechanism == EL_SCRAM_SHA256 ? EL_SCRAM_SHA512 : EL_SCRAM_SHA256, user->name);
    return other == NULL ? 0 : other->name_born;
}

int auth_user_put(struct auth *auth, const struct auth_user *user)
{
    OBJ_CHECK(auth, AUTH);
    struct auth_user_entry *entry = find(auth, user->mechanism, user->name);
    if (entry == NULL) {
        entry = el_pool_get(&auth->user_pool);
        if (entry == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        size_t key_len = user_key(entry->key, user->mechanism, user->name);
        if (el_map_put(&auth->users, entry->key, key_len, entry) != 0) {
            el_pool_put(&auth->user_pool, entry);
            return EVLOG_ERR_NO_MEMORY;
        }
        entry->born = ++auth->user_births;
        entry->name_born = name_born(auth, user);
        entry->name_born = entry->name_born == 0 ? entry->born : entry->name_born;
    }
    EL_ASSERT(entry->name_born <= entry->born);
    EL_ASSERT(entry->born <= auth->user_births);
    entry->user = *user;
    entry->user.name = el_slice_of(entry->key + 1, user->name.len);
    return 0;
}

void auth_user_remove(struct auth *auth, int mechanism, struct el_slice name)
{
    OBJ_CHECK(auth, AUTH);
    struct auth_user_entry *entry = find(auth, mechanism, name);
    if (entry != NULL) {
        el_map_remove(&auth->users, entry->key, 1 + entry->user.name.len);
        explicit_bzero(entry, sizeof *entry);
        el_pool_put(&auth->user_pool, entry);
        auth->user_deaths++;
    }
}

uint32_t auth_user_count(const struct auth *auth)
{
    return (uint32_t)auth->users.count;
}

const struct auth_user *auth_user_at(const struct auth *auth, uint32_t index)
{
    EL_ASSERT(index < auth->users.count);
    const struct auth_user_entry *entry = auth->users.entries[index].value;
    return &entry->user;
}

void auth_users_init(struct auth *auth, struct el_buddy *buddy)
{
    el_map_init(&auth->users, buddy);
    el_pool_init(&auth->user_pool, buddy, sizeof(struct auth_user_entry));
}

void auth_users_destroy(struct auth *auth)
{
    el_map_destroy(&auth->users);
    el_pool_destroy(&auth->user_pool);
}
