/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration of evlogd: flag over environment over file over default, with the origin of every value. The
 * table is settings.def. Read once before any thread runs and again on SIGHUP; afterwards plain data that is only
 * read.
 */
#ifndef EL_CONFIG_CONFIG_H
#define EL_CONFIG_CONFIG_H

#include <config/listeners.h>
#include <config/topic_config.h>
#include <core/err.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define CONFIG_PATH_MAX 4096       /* with the NUL */
#define CONFIG_FILE_MAX (1u << 20) /* bytes of a configuration file */

enum config_setting_id {
#define SETTING(member, name, section, key, kind, default_, min, max, choices, reload, doc) CONFIG_##member,
#include <config/settings.def>
#undef SETTING
    CONFIG_SETTING_COUNT
};

#define CONFIG_NAME_MAX 96 /* a setting, its flag or its variable, with the NUL */

/* What evlogd was asked to do. */
enum config_action {
    CONFIG_RUN,
    CONFIG_REPAIR_INDEXES,
    CONFIG_REPAIR_CHECK,
    CONFIG_CHECK,
    CONFIG_PRINT,
    CONFIG_EXPLAIN,
    CONFIG_INIT,
    CONFIG_HELP,
    CONFIG_VERSION
};

/* Choices, in the order of the table. */
enum config_io { CONFIG_IO_AUTO, CONFIG_IO_URING, CONFIG_IO_POSIX };
enum config_authorizer { CONFIG_AUTHORIZER_OFF, CONFIG_AUTHORIZER_ON };
enum config_principal_from { CONFIG_PRINCIPAL_SUBJECT, CONFIG_PRINCIPAL_URI };
enum config_log_format { CONFIG_LOG_TEXT, CONFIG_LOG_JSON };
/* The order of enum io_commit_method. */
enum config_commit { CONFIG_COMMIT_AUTO, CONFIG_COMMIT_RING_DSYNC, CONFIG_COMMIT_THREAD, CONFIG_COMMIT_LINKED };

enum config_origin_kind {
    CONFIG_FROM_DEFAULT,
    CONFIG_FROM_FILE,
    CONFIG_FROM_ENVIRONMENT,
    CONFIG_FROM_FLAG,
    CONFIG_FROM_REQUEST, /* made while evlogd ran, and kept: config_request.h */
};
struct config_origin {
    enum config_origin_kind kind;
    uint32_t line;   /* of the file, from 1 */
    uint32_t column; /* of the value in it, from 1, bytes */
    bool other_name; /* in the environment or a flag: the name that Kafka's brokers have for it */
};

/* What one listener has in place of a setting of all: listener_settings.h. */
#define LISTENER_VALUES_MAX 128u            /* all settings of twice CONFIG_LISTENERS_MAX */
#define LISTENER_TEXTS_READ_MAX (16u << 10) /* bytes of the values that are read, each with its NUL */
struct listener_value {
    char listener[CONFIG_LISTENER_NAME_MAX]; /* its name, upper case */
    enum config_setting_id id;
    struct config_origin origin;
    uint32_t text_pos; /* of the value, in texts */
};
struct listener_values {
    struct listener_value list[LISTENER_VALUES_MAX]; /* [count] */
    uint32_t count;
    uint32_t texts_len;
    char texts[2 * LISTENER_TEXTS_READ_MAX];
};

struct config {
    enum config_action action;
    char path[CONFIG_PATH_MAX];      /* of the configuration file, "" for none */
    char explained[CONFIG_NAME_MAX]; /* the setting of --explain */

    /* server */
    char data[CONFIG_PATH_MAX];
    bool ephemeral;
    int64_t shards;     /* 0: see config_shard_count() */
    int64_t memory_max; /* bytes; 0: see config_memory_max() */
    int io;             /* enum config_io */
    int io_commit;      /* enum config_commit */
    bool accept_clock;
    bool unsafe_filesystem;
    bool seccomp;
    bool landlock;
    bool core_dumps;
    bool memory_lock;

    /* network */
    struct config_address listen;
    struct config_address advertised;
    char listeners[CONFIG_PATH_MAX]; /* "": one, on listen */
    char advertised_listeners[CONFIG_PATH_MAX];
    char listener_map[CONFIG_PATH_MAX];
    char ssl_certificate_file[CONFIG_PATH_MAX];
    char ssl_key_file[CONFIG_PATH_MAX];
    char ssl_ca_file[CONFIG_PATH_MAX];
    int ssl_client_auth;    /* enum el_tls_auth */
    int ssl_principal_from; /* enum config_principal_from */
    char ssl_principal_rules[CONFIG_PATH_MAX];
    struct config_address http;
    int64_t max_connections;
    int64_t connections_per_ip_max;
    char connections_per_ip_overrides[CONFIG_PATH_MAX]; /* see address_limits.h */
    int64_t connections_per_principal_max;
    int64_t inflight_per_principal_max; /* 0: evlogd's choice */
    int64_t unproven_max;
    int64_t unproven_ms;
    int64_t connections_idle_ms;
    int64_t request_len_max; /* bytes */
    int64_t fetch_len_max;   /* bytes */

    /* security */
    int authorizer;                    /* enum config_authorizer */
    char super_users[CONFIG_PATH_MAX]; /* see principals.h */
    bool allow_if_no_acl;
    char sasl_mechanisms[CONFIG_PATH_MAX];
    int64_t reauth_max_ms;
    int64_t auth_delay_ms;
    bool metrics_open_loopback;
    bool insecure_http_password;
    char access_key_file[CONFIG_PATH_MAX]; /* "": none is named */
    bool forget_access;
    char http_tokens_file[CONFIG_PATH_MAX];
    int64_t quota_window_s;
    bool insecure_sasl_plaintext;

    /* audit */
    char audit_include[CONFIG_PATH_MAX]; /* see audit_classes.h */
    bool audit_required;
    int64_t audit_retention_ms;    /* -1: for ever */
    int64_t audit_retention_bytes; /* -1: no bound */

    /* topics */
    bool auto_create_topics;
    int64_t num_partitions;
    bool replication_factor_strict;

    /* storage */
    int64_t journal_ring_len; /* bytes */
    int64_t journal_slot_len; /* bytes */
    int64_t disk_reserve_len; /* bytes */
    int64_t compact_map_len;  /* bytes; 0: see store_config */
    int64_t retention_check_ms;

    /* groups */
    int64_t group_session_min_ms;
    int64_t group_session_max_ms;
    int64_t group_initial_delay_ms;
    int64_t group_size_max;
    int64_t share_sessions_max;
    int64_t share_size_max;
    int64_t archive_memory_max; /* bytes; 0: an eighth of memory.max */
    int64_t group_memory_max;   /* bytes; 0: an eighth of memory.max */
    int64_t stream_memory_max;  /* bytes; 0: an eighth of memory.max */
    int64_t offset_metadata_len_max;
    int64_t offsets_retention_minutes;
    int64_t offsets_check_ms;
    int64_t offsets_partitions;

    /* archive */
    char archive_url[CONFIG_PATH_MAX]; /* "": none */
    bool from_archive;
    int64_t from_archive_recent_ms;
    char archive_key_file[CONFIG_PATH_MAX];
    int64_t archive_lag_ms;
    int64_t archive_segment_len; /* bytes */
    int64_t archive_segment_ms;
    int64_t archive_stop_ms;
    int64_t archive_replaced_ms;
    int64_t archive_hold_ms;
    int64_t archive_silent_ms; /* -1: an older disk is not healed */
    int64_t archive_orphan_ms; /* -1: never */

    /* log */
    int log_level;             /* as enum el_log_level */
    int log_format;            /* enum config_log_format */
    int64_t slow_operation_ms; /* 0: none */

    /* metrics */
    int64_t group_rows_max; /* 0: none */

    struct config_listeners listener_table; /* made of the network settings */
    struct listener_values listener_values;
    struct topic_config topic_defaults; /* topic settings given to evlogd */
    struct config_origin origin[CONFIG_SETTING_COUNT];
    struct config_origin topic_origin[TOPIC_SETTING_COUNT];
};

/* Read everything: defaults, the file of --config, the environment, the flags; then check values against each other.
 * Settings are not checked against each other when action is CONFIG_HELP or CONFIG_VERSION.
 *
 * argv      [argc], argv[0] is skipped
 * env       NULL-terminated "NAME=value" list, or NULL
 * returns   0 | EVLOG_ERR_INVALID_CONFIG and other codes with a text that names the flag, the variable or
 *           file:line:column; *cfg is undefined then
 */
int config_load(struct config *cfg, int argc, char *const *argv, char *const *env, struct el_error *err);
/* The same with what requests have set, as text, in place of their file; NULL: the file. */
struct config_sources {
    int argc;
    char *const *argv;
    char *const *environ;
};
int config_load_requested(struct config *cfg, const struct config_sources *from, const struct el_slice *requested,
                          struct el_error *err);
/* Read everything again (SIGHUP). Reloadable values are taken into *cfg; others stay, and one log line names those that
 * wait for a restart. On failure *cfg stays as it is. Returns as config_load(). */
int config_reload(struct config *cfg, int argc, char *const *argv, char *const *env, struct el_error *err);
/* The same with what requests have set, as config_load_requested(). */
int config_reload_requested(struct config *cfg, const struct config_sources *from, const struct el_slice *requested,
                            struct el_error *err);

/* The number in effect: 0 is resolved from the machine or the container. */
uint32_t config_shard_count(const struct config *cfg);
uint64_t config_memory_max(const struct config *cfg);
uint64_t config_archive_memory_max(const struct config *cfg);
uint64_t config_group_memory_max(const struct config *cfg);
uint64_t config_stream_memory_max(const struct config *cfg);

/* --print-config: a configuration file with all values in effect and where each came from. */
void config_print(const struct config *cfg, FILE *out);
/* --init-config: one to begin with, of what is set most often, with what each setting does. Values that are not
 * defaults stand in it as they are, others as comments. */
void config_print_start(const struct config *cfg, FILE *out);
/* --explain: what is known of cfg->explained, "label: text" a line.
 *
 * returns  0 | EVLOG_ERR_INVALID_CONFIG there is no such setting, with the nearest
 */
int config_explain(const struct config *cfg, FILE *out, struct el_error *err);
/* --help. */
void config_print_help(FILE *out);

#endif
