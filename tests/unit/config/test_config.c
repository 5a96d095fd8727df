/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: evlogd starts with what the operator wrote or says what is wrong and where. Method: argument lists,
 * environments and files in a temporary folder through config_load(), as evlogd calls it.
 */
#include <config/config.h>
#include <config/setting.h>

#include "../../lib/test.h"

#include <core/logger.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGS_MAX 16

static struct config cfg;
static struct el_error err;
static char path[512];
static char path_flag[600];

/* The file is passed as --config when text is not NULL. */
static int load_all(const char *text, const char *const *env, const char *const *flags)
{
    char *argv[ARGS_MAX] = {(char *)(uintptr_t) "evlogd"};
    int argc = 1;
    if (text != NULL) {
        snprintf(path, sizeof path, "%s/evlogd.conf", el_test_dir());
        snprintf(path_flag, sizeof path_flag, "--config=%s", path);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(text, file);
        fclose(file);
        argv[argc++] = path_flag;
    }
    for (; flags != NULL && *flags != NULL; flags++) {
        assert_true(argc < ARGS_MAX);
        argv[argc++] = (char *)(uintptr_t)*flags;
    }
    err = (struct el_error){.code = 0};
    return config_load(&cfg, argc, argv, (char *const *)(uintptr_t)env, &err);
}

#define FLAGS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define ENV(...) FLAGS(__VA_ARGS__)

static void assert_said(const char *said)
{
    if (strstr(err.text, said) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.text, said);
    }
    assert_int_not_equal(err.code, 0);
}

#define assert_flags_refused(said, ...)                                                                                \
    do {                                                                                                               \
        assert_int_equal(load_all(NULL, NULL, FLAGS(__VA_ARGS__)), EVLOG_ERR_INVALID_CONFIG);                          \
        assert_said(said);                                                                                             \
    } while (0)

static void assert_file_refused(const char *text, const char *said)
{
    char where[700];
    assert_int_equal(load_all(text, NULL, FLAGS("--data=d")), EVLOG_ERR_INVALID_CONFIG);
    snprintf(where, sizeof where, "%s:%s", path, said);
    assert_said(where);
}

/* --- refusals ---------------------------------------------------------------------------------------------------- */

TEST(config, unknown_flags_are_refused_with_the_nearest)
{
    assert_flags_refused("unknown flag --lsten; did you mean '--listen'?", "--lsten=x");
    assert_flags_refused("did you mean '--print-config'?", "--print-confg");
    assert_flags_refused("did you mean '--retention-ms'?", "--retention.ms=1");
    assert_flags_refused("unexpected argument 'start'", "start");
    assert_flags_refused("unexpected argument ''", "");
    assert_flags_refused("unknown flag --", "--");
    assert_flags_refused("unknown flag -x", "-x");
    assert_flags_refused("unexpected argument 'false'", "--ephemeral", "false");
    assert_flags_refused("--data needs a value", "--data");
    assert_flags_refused("--config: it needs the path", "--config=");
}

TEST(config, bad_values_are_refused_by_setting)
{
    assert_flags_refused("flag --shards: shards cannot be '65'", "--data=d", "--shards=65");
    assert_flags_refused("at most 64", "--data=d", "--shards=-1");
    assert_flags_refused("io cannot be 'epoll': allowed is one of auto|uring|posix", "--data=d", "--io", "epoll");
    assert_flags_refused("ephemeral cannot be 'maybe': it must be true or false", "--ephemeral=maybe");
    assert_flags_refused("bytes such as", "--data=d", "--disk-reserve-bytes=lots");
    assert_flags_refused("at least 1000 ms", "--data=d", "--connections-max-idle-ms=10ms");
    assert_flags_refused("retention.ms cannot be '-2'", "--data=d", "--retention-ms=-2");
    assert_flags_refused("for single topics", "--data=d", "--evlog-durability=store");
    assert_flags_refused("a path without control characters", "--data=a\nb");
}

TEST(config, bad_addresses_are_refused)
{
    assert_flags_refused("host:port", "--data=d", "--listen=localhost");
    assert_flags_refused("host:port", "--data=d", "--listen=:9092");
    assert_flags_refused("host:port", "--data=d", "--listen=");
    assert_flags_refused("host:port", "--data=d", "--listen=off");
    assert_flags_refused("host:port", "--data=d", "--listen=host:");
    assert_flags_refused("host:port", "--data=d", "--listen=host:65536");
    assert_flags_refused("host:port", "--data=d", "--listen=host:-1");
    assert_flags_refused("host:port", "--data=d", "--listen=::1:9092");
    assert_flags_refused("host:port", "--data=d", "--listen=[::1]");
    assert_flags_refused("host:port", "--data=d", "--listen=[host%eth0]:9092");
    assert_flags_refused("host:port", "--data=d", "--listen=[::1:9092");
    assert_flags_refused("host:port", "--data=d", "--listen=*:9092");
    assert_flags_refused("host:port or [address]:port or off", "--data=d", "--http=no");
    assert_flags_refused("or https:// before it", "--data=d", "--http=https://");
    assert_flags_refused("or https:// before it", "--data=d", "--http=https://off");
    assert_flags_refused("or https:// before it", "--data=d", "--http=https://https://a:1");
    assert_flags_refused("or https:// before it", "--data=d", "--http=https://a");
    assert_flags_refused("host:port", "--data=d", "--listen=https://127.0.0.1:9092");
}

TEST(config, contradictions_are_refused)
{
    assert_flags_refused("no data directory", "--shards=1");
    assert_flags_refused("advertised.address must say", "--data=d", "--listen=0.0.0.0:9092");
    assert_flags_refused("advertised.address must say", "--data=d", "--listen=[::]:9092");
    assert_flags_refused("advertised.address must say", "--data=d", "--listen=0:9092");
    assert_flags_refused("advertised.address cannot be 0.0.0.0", "--data=d", "--advertised-address=0.0.0.0:9092");
    assert_flags_refused("both on port 9092", "--data=d", "--http=127.0.0.1:9092");
    assert_flags_refused("four times journal.slot.bytes", "--data=d", "--journal-ring-bytes=100MiB");
    assert_flags_refused("multiple of 4096", "--data=d", "--journal-slot-bytes=25165825");
    assert_flags_refused("at least 64MiB", "--data=d", "--memory-max=1MiB");
    assert_flags_refused("needs io_uring, and io is posix", "--data=d", "--io=posix", "--io-commit=linked");
    assert_flags_refused("does not fit into socket.request.max.bytes", "--data=d", "--socket-request-max-bytes=1KiB");
}

/* One refusal of every kind that config_check() makes. */
TEST(config, contradictions_name_the_place_of_every_value)
{
    assert_file_refused("[storage]\njournal.ring.bytes = 100MiB\n",
                        "2:22: journal.ring.bytes (104857600) must be at least four times journal.slot.bytes "
                        "(33554432); journal.slot.bytes is at its default");
    assert_file_refused("[storage]\njournal.slot.bytes=\"65MiB\" # much\n",
                        "2:20: journal.ring.bytes (268435456) must be at least four times journal.slot.bytes "
                        "(68157440); journal.ring.bytes is at its default");
    assert_file_refused("[storage]\njournal.slot.bytes = 25165825\n", "2:22: journal.slot.bytes must be a multiple");
    assert_file_refused("[groups]\ngroup.max.session.timeout.ms=1s\ngroup.min.session.timeout.ms=2s\n",
                        "3:30: group.min.session.timeout.ms (2000) is above group.max.session.timeout.ms (1000); "
                        "group.max.session.timeout.ms is of ");
    assert_said("evlogd.conf:2:30");
    assert_file_refused("[server]\n  memory.max =  1MiB\n", "2:17: memory.max must be at least 64MiB");
    assert_file_refused("[server]\nio=posix\nio.commit=linked\n", "3:11: io.commit=linked needs io_uring");
    assert_file_refused("[network]\nsocket.request.max.bytes=1KiB\n", "2:26: max.message.bytes");
    assert_said("; max.message.bytes is at its default");
    assert_file_refused("[topics]\n\nevlog.durability = store\n", "3:20: evlog.durability=store and both");
    assert_file_refused("[network]\nhttp = 127.0.0.1:9092\n", "2:8: listen and http are both on port 9092; listen is");
    assert_file_refused("[network]\nmax.connections.per.ip.overrides = a\n", "2:36: max.connections.per.ip.overrides");
    assert_file_refused("[network]\nlisten=0.0.0.0:1\n", "2:8: listen is on all addresses");
    assert_file_refused("[network]\nadvertised.address=::\n", "2:20: advertised.address");
    assert_file_refused("[network]\nadvertised.address=[::]:1\n", "2:20: advertised.address cannot be ::");
    assert_file_refused("[network]\nlisteners=SSL://h:1\nadvertised.listeners=SSL://0.0.0.0:1\n",
                        "3:22: advertised.listeners cannot be 0.0.0.0");
    assert_file_refused("[network]\nlisteners=A\n", "2:11: listeners: 'A' must be");
    assert_file_refused("[network]\nlisteners=SSL://h:1\nadvertised.listeners=A\n", "3:22: advertised.listeners: 'A'");
    assert_file_refused("[network]\nlisteners=SSL://h:1,PLAINTEXT://h:1\n", "2:11: listeners SSL and PLAINTEXT");
    assert_file_refused("[network]\nlisteners=SASL_PLAINTEXT://h:1\n", "2:11: listener SASL_PLAINTEXT");
    assert_file_refused("[network]\nlisteners=SSL://h:1\nlisten=h:1\n", "3:8: listeners is set, so that listen");
    assert_file_refused("[network]\nlistener.security.protocol.map=A\nlisteners=A://h:1\n",
                        "2:32: listener.security.protocol.map: 'A'");
    assert_file_refused("[network]\nadvertised.listeners=A://h:1\n", "2:22: advertised.listeners and");
    assert_file_refused("[archive]\nurl = http://bucket/x\n", "2:7: archive.url is neither s3://BUCKET/PREFIX nor");
    assert_null(strstr(err.text, "bucket/x"));
    assert_file_refused("[archive]\nurl = s3://b\n", "2:7: archive.url is no s3://BUCKET/PREFIX: a bucket's name");
    assert_file_refused("[archive]\nfrom.archive = true\n", "2:16: from.archive restores an empty directory");
    assert_file_refused("[security]\nsasl.enabled.mechanisms = PLANE\n", "2:27: sasl.enabled.mechanisms holds");
    assert_file_refused("[security]\nsuper.users = bob\n", "2:15: super.users holds 'bob'");
    assert_file_refused("[audit]\nevlog.audit.include = all\n", "2:23: evlog.audit.include holds 'all'");
}

TEST(config, contradictions_of_file_environment_and_flags_name_all_of_them)
{
    assert_int_equal(load_all("[archive]\nurl=file:///d\n", NULL, FLAGS("--ephemeral")), EVLOG_ERR_INVALID_CONFIG);
    assert_said("flag --ephemeral: ephemeral has no archive");
    assert_said("; archive is of ");
    assert_said("evlogd.conf:2:5");
    assert_int_equal(load_all(NULL, ENV("EVLOG_TOPICS__MESSAGE_MAX_BYTES=2MiB"),
                              FLAGS("--data=d", "--socket-request-max-bytes=1MiB")),
                     EVLOG_ERR_INVALID_CONFIG);
    assert_said("environment variable EVLOG_TOPICS__MESSAGE_MAX_BYTES: max.message.bytes (2097152)");
    assert_said("; socket.request.max.bytes is of flag --socket-request-max-bytes");
    assert_flags_refused("flag --message-max-bytes: max.message.bytes (2097152)", "--data=d",
                         "--message-max-bytes=2MiB", "--socket-request-max-bytes=1MiB");
    assert_int_equal(load_all("[archive]\nurl=x\n", ENV("EVLOG_ARCHIVE__URL=y"), FLAGS("--data=d")),
                     EVLOG_ERR_INVALID_CONFIG);
    assert_said("environment variable EVLOG_ARCHIVE__URL: archive.url is neither");
    assert_int_equal(load_all("[server]\ndata = \"\"\n", NULL, FLAGS("--shards=1")), EVLOG_ERR_INVALID_CONFIG);
    assert_said("evlogd.conf:2:8: no data directory");
    assert_flags_refused("no data directory", "--shards=1");
    assert_int_equal(strncmp(err.text, "no data", 7), 0);
}

TEST(config, contradictions_that_requests_made_name_their_file)
{
    const char *argv[] = {"evlogd", "--data=dir", "--socket-request-max-bytes=1MiB"};
    const struct config_sources from = {3, (char *const *)(uintptr_t)argv, NULL};
    struct el_slice requested = el_slice_str("[topics]\nmax.message.bytes = 2097152\n");
    assert_int_equal(config_load_requested(&cfg, &from, &requested, &err), EVLOG_ERR_INVALID_CONFIG);
    assert_said("dir/settings.conf:2:21: max.message.bytes (2097152) does not fit");
    assert_said("; socket.request.max.bytes is of flag --socket-request-max-bytes");
}

TEST(config, faults_of_the_file_are_named_by_place)
{
    assert_file_refused("[server]\nshards = many\n", "2:10: shards cannot be 'many'");
    assert_file_refused("[server]\nshrads = 1\n", "2:1: unknown key 'shrads' in [server]; did you mean 'shards'?");
    assert_file_refused("[server]\n\nlisten = a:1\n",
                        "3:1: unknown key 'listen' in [server]; it belongs into [network]");
    assert_file_refused("\n[serve]\nshards = 1\n", "2:1: unknown section [serve]; did you mean 'server'?");
    assert_file_refused("[server]\nshards = 1\nshards = 2\n", "3:1: 'shards' was set already in line 2");
    assert_file_refused("[topics]\nretention.ms=x\n", "2:14: retention.ms cannot be 'x'");
    assert_file_refused("shards = 1\n", "1:1: a setting stands in a section");
}

TEST(config, missing_and_huge_files_are_refused)
{
    assert_int_equal(load_all(NULL, NULL, FLAGS("--config=/nonexistent/evlogd.conf")), EVLOG_ERR_NOT_FOUND);
    assert_said("/nonexistent/evlogd.conf");
    assert_true(load_all(NULL, NULL, FLAGS("--config", "/")) < 0);
    char *text = malloc(CONFIG_FILE_MAX + 2);
    assert_non_null(text);
    memset(text, '#', CONFIG_FILE_MAX + 1);
    text[CONFIG_FILE_MAX + 1] = 0;
    assert_int_equal(load_all(text, NULL, NULL), EVLOG_ERR_LIMIT);
    text[CONFIG_FILE_MAX] = 0;
    assert_int_equal(load_all(text, NULL, FLAGS("--data=d")), 0);
    free(text);
}

TEST(config, faults_of_the_environment_are_named_by_variable)
{
    assert_int_equal(load_all(NULL, ENV("EVLOG_SERVER__SHARD=1"), NULL), EVLOG_ERR_INVALID_CONFIG);
    assert_said("unknown variable EVLOG_SERVER__SHARD; did you mean 'EVLOG_SERVER__SHARDS'?");
    assert_int_equal(load_all(NULL, ENV("EVLOG_SERVER__SHARDS=x"), NULL), EVLOG_ERR_INVALID_CONFIG);
    assert_said("environment variable EVLOG_SERVER__SHARDS: shards cannot be 'x'");
    assert_int_equal(load_all(NULL, ENV("EVLOG_SERVR__SHARDS=1"), NULL), EVLOG_ERR_INVALID_CONFIG);
    assert_int_equal(load_all(NULL, ENV("EVLOG_SERVER__QQQQQQQQ=1"), NULL), EVLOG_ERR_INVALID_CONFIG);
}

TEST(config, variables_of_clients_are_passed_over)
{
    assert_int_equal(load_all(NULL, ENV("EVLOG_BOOTSTRAP__SERVERS=h:1"), FLAGS("--data=d")), 0);
}

/* --- what is taken ----------------------------------------------------------------------------------------------- */

TEST(config, defaults_are_those_of_the_table)
{
    assert_int_equal(load_all(NULL, NULL, FLAGS("--data", "/tmp/some dir")), 0);
    assert_int_equal(cfg.action, CONFIG_RUN);
    assert_string_equal(cfg.data, "/tmp/some dir");
    assert_string_equal(cfg.listen.host, "127.0.0.1");
    assert_int_equal(cfg.listen.port, 9092);
    assert_int_equal(cfg.http.port, 8080);
    assert_false(cfg.http.off);
    assert_true(cfg.auto_create_topics);
    assert_int_equal(cfg.num_partitions, 1);
    assert_int_equal(cfg.request_len_max, 100 << 20);
    assert_int_equal(cfg.connections_idle_ms, 600000);
    assert_int_equal(cfg.journal_ring_len, 256 << 20);
    assert_int_equal(cfg.log_level, EL_LOG_INFO);
    assert_int_equal(cfg.topic_defaults.set.overridden, 0);
    assert_int_equal(cfg.origin[CONFIG_data].kind, CONFIG_FROM_FLAG);
    assert_int_equal(cfg.origin[CONFIG_shards].kind, CONFIG_FROM_DEFAULT);
    assert_true(config_shard_count(&cfg) >= 1);
    assert_true(config_memory_max(&cfg) >= (uint64_t)64 << 20 && config_memory_max(&cfg) <= (uint64_t)1 << 30);
}

TEST(config, flag_wins_over_environment_over_file)
{
    const char *file =
        "[server]\nshards = 1\nmemory.max = 128MiB\n[log]\nlevel = debug # see\n[topics]\nretention.ms = 7d\n";
    assert_int_equal(load_all(file, ENV("EVLOG_SERVER__SHARDS=2", "EVLOG_LOG__LEVEL=warn", "PATH=/bin"),
                              FLAGS("--shards=3", "--data=d", "--shards=4")),
                     0);
    assert_int_equal(cfg.shards, 4);
    assert_int_equal(cfg.origin[CONFIG_shards].kind, CONFIG_FROM_FLAG);
    assert_int_equal(cfg.log_level, EL_LOG_WARN);
    assert_int_equal(cfg.origin[CONFIG_log_level].kind, CONFIG_FROM_ENVIRONMENT);
    assert_int_equal(cfg.memory_max, 128 << 20);
    assert_int_equal(cfg.origin[CONFIG_memory_max].kind, CONFIG_FROM_FILE);
    assert_int_equal(cfg.origin[CONFIG_memory_max].line, 3);
    assert_int_equal(topic_config_int(NULL, &cfg.topic_defaults, TOPIC_RETENTION_MS), 7 * 86400000);
    assert_int_equal(cfg.topic_origin[TOPIC_RETENTION_MS].line, 7);
    assert_int_equal(config_shard_count(&cfg), 4);
    assert_int_equal(config_memory_max(&cfg), 128 << 20);
}

/* Kafka's brokers call the default of all topics otherwise than the topic's own setting. */
TEST(config, the_brokers_names_of_topic_defaults_are_taken_everywhere)
{
    assert_file_refused("[topics]\nlog.retention.ms=1\nretention.ms=2\n",
                        "3:1: 'retention.ms' was set already in line 2");
    assert_file_refused("[topics]\nlog.retention.ms=x\n", "2:18: retention.ms cannot be 'x'");
    assert_file_refused("[storage]\nlog.retention.ms=1\n", "2:1: unknown key 'log.retention.ms'");
    assert_int_equal(load_all("[topics]\nlog.retention.ms=7d\nmessage.max.bytes = 2MiB\n",
                              ENV("EVLOG_TOPICS__LOG_ROLL_MS=5s"),
                              FLAGS("--data=d", "--log-message-timestamp-type=LogAppendTime")),
                     0);
    assert_int_equal(topic_config_int(NULL, &cfg.topic_defaults, TOPIC_RETENTION_MS), 604800000);
    assert_int_equal(topic_config_int(NULL, &cfg.topic_defaults, TOPIC_MAX_MESSAGE_BYTES), 2097152);
    assert_int_equal(topic_config_int(NULL, &cfg.topic_defaults, TOPIC_SEGMENT_MS), 5000);
    assert_int_equal(topic_config_int(NULL, &cfg.topic_defaults, TOPIC_TIMESTAMP_TYPE), TOPIC_LOG_APPEND_TIME);
    assert_int_equal(cfg.topic_origin[TOPIC_SEGMENT_MS].kind, CONFIG_FROM_ENVIRONMENT);
}

TEST(config, variables_that_are_not_settings_are_left_alone)
{
    assert_int_equal(load_all(NULL, ENV("EVLOG_BOOTSTRAP=x", "EVLOG_URL=a__b", "OTHER__EVLOG_=1"), FLAGS("--data=d")),
                     0);
    assert_int_equal(load_all(NULL, ENV("EVLOG_TOPICS__EVLOG_DURABILITY=memory"), FLAGS("--data=d")), 0);
    assert_int_equal(topic_config_int(NULL, &cfg.topic_defaults, TOPIC_DURABILITY), TOPIC_DURABILITY_MEMORY);
}

TEST(config, every_setting_has_flag_variable_and_key)
{
    char flag[128], variable[128], value[SETTING_TEXT_MAX], file[SETTING_TEXT_MAX + 128];
    for (int id = 0; id < CONFIG_SETTING_COUNT; id++) {
        const struct setting *row = setting_at((enum config_setting_id)id);
        const char *text = row->default_text[0] != 0   ? row->default_text
                           : row->kind == SETTING_PATH ? "d"
                           : row->kind == SETTING_TEXT ? ""
                           : row->kind == SETTING_URL  ? "file:///d"
                                                       : "h:1";
        setting_flag_name(row->name, flag, sizeof flag);
        snprintf(value, sizeof value, "%s=%s", flag, text);
        assert_int_equal(load_all(NULL, NULL, FLAGS("--data=x", value)), 0);
        assert_int_equal(cfg.origin[id].kind, CONFIG_FROM_FLAG);
        setting_variable_name(row->section, row->key, variable, sizeof variable);
        snprintf(value, sizeof value, "%s=%s", variable, text);
        assert_int_equal(load_all(NULL, ENV(value), FLAGS("--data=d")), 0);
        assert_int_equal(cfg.origin[id].kind, id == CONFIG_data ? CONFIG_FROM_FLAG : CONFIG_FROM_ENVIRONMENT);
        snprintf(file, sizeof file, "[%s]\n%s=%s\n", row->section, row->key, text);
        assert_int_equal(load_all(file, NULL, FLAGS("--check-config", "--data=d")), 0);
        assert_int_equal(cfg.origin[id].kind, id == CONFIG_data ? CONFIG_FROM_FLAG : CONFIG_FROM_FILE);
        assert_true(strlen(row->doc) > 10);
    }
}

TEST(config, an_archive_is_a_bucket_or_a_directory_and_not_of_an_ephemeral_broker)
{
    assert_int_equal(load_all(NULL, NULL, FLAGS("--data=d", "--archive=http://bucket/prefix")),
                     EVLOG_ERR_INVALID_CONFIG);
    assert_int_equal(load_all(NULL, NULL, FLAGS("--data=d", "--archive=file://relative")), EVLOG_ERR_INVALID_CONFIG);
    assert_int_equal(load_all(NULL, NULL, FLAGS("--data=d", "--archive=s3://")), EVLOG_ERR_INVALID_CONFIG);
    assert_int_equal(load_all(NULL, NULL, FLAGS("--data=d", "--archive=s3://ab/prefix")), EVLOG_ERR_INVALID_CONFIG);
    assert_int_equal(load_all(NULL, NULL, FLAGS("--ephemeral", "--archive=file:///d")), EVLOG_ERR_INVALID_CONFIG);
    assert_int_equal(load_all(NULL, NULL, FLAGS("--data=d", "--archive=s3://bucket/prefix", "--archive-key=k.pem")), 0);
    assert_string_equal(cfg.archive_url, "s3://bucket/prefix");
    assert_string_equal(cfg.archive_key_file, "k.pem");
}

TEST(config, http_takes_a_scheme)
{
    char text[SETTING_TEXT_MAX];
    assert_int_equal(load_all(NULL, NULL, FLAGS("--data=d", "--http=https://[::1]:8443")), 0);
    assert_string_equal(cfg.http.host, "::1");
    assert_int_equal(cfg.http.port, 8443);
    assert_true(cfg.http.tls);
    assert_string_equal(setting_text(&cfg, CONFIG_http, text, sizeof text), "https://[::1]:8443");
    assert_int_equal(load_all(NULL, NULL, FLAGS("--data=d", "--http=http://h:80")), 0);
    assert_false(cfg.http.tls);
    assert_string_equal(setting_text(&cfg, CONFIG_http, text, sizeof text), "h:80");
    assert_int_equal(load_all(NULL, NULL, FLAGS("--data=d", "--http=off")), 0);
    assert_true(cfg.http.off);
}

TEST(config, addresses_are_read)
{
    struct config_address address;
    assert_int_equal(
        load_all(NULL, NULL,
                 FLAGS("--data=d", "--listen=[::]:0", "--advertised-address=kafka.example.com", "--http=off")),
        0);
    assert_string_equal(cfg.listen.host, "::");
    assert_int_equal(cfg.listen.port, 0);
    assert_true(cfg.http.off);
    config_listener_advertised(&cfg.listener_table.list[0], 1234, &address);
    assert_string_equal(address.host, "kafka.example.com");
    assert_int_equal(address.port, 1234);
    assert_int_equal(load_all(NULL, NULL, FLAGS("--data=d", "--advertised-address=[fe80::1%eth0]:19092")), 0);
    config_listener_advertised(&cfg.listener_table.list[0], 1234, &address);
    assert_string_equal(address.host, "fe80::1%eth0");
    assert_int_equal(address.port, 19092);
    assert_int_equal(load_all(NULL, NULL, FLAGS("--data=d", "--listen=localhost:7")), 0);
    config_listener_advertised(&cfg.listener_table.list[0], 7, &address);
    assert_string_equal(address.host, "localhost");
    assert_int_equal(address.port, 7);
}

TEST(config, actions_are_taken_before_anything_is_checked)
{
    assert_int_equal(load_all(NULL, NULL, FLAGS("--version")), 0);
    assert_int_equal(cfg.action, CONFIG_VERSION);
    assert_int_equal(load_all(NULL, NULL, FLAGS("--check-config", "-h", "--version", "--print-config")), 0);
    assert_int_equal(cfg.action, CONFIG_HELP);
    assert_int_equal(load_all(NULL, NULL, FLAGS("--print-config")), 0);
    assert_int_equal(cfg.action, CONFIG_PRINT);
    assert_int_equal(load_all(NULL, NULL, FLAGS("--check-config", "--ephemeral")), 0);
    assert_int_equal(cfg.action, CONFIG_CHECK);
    assert_flags_refused("unknown flag", "--help", "--nonsense");
}

TEST(config, a_repair_is_told_what_to_repair_and_where)
{
    assert_flags_refused("--repair needs a word more", "--data=d", "--repair");
    assert_flags_refused("--repair needs a word more", "--repair", "--data=d");
    assert_flags_refused("--repair needs a word more", "--repair=everything", "--data=d");
    assert_flags_refused("no data directory", "--repair", "indexes");
    assert_flags_refused("no data directory", "--repair", "--check", "--ephemeral");
    assert_int_equal(load_all(NULL, NULL, FLAGS("--data=d", "--repair", "indexes")), 0);
    assert_int_equal(cfg.action, CONFIG_REPAIR_INDEXES);
    assert_int_equal(load_all(NULL, NULL, FLAGS("--repair", "--check", "--data=d", "--repair", "indexes")), 0);
    assert_int_equal(cfg.action, CONFIG_REPAIR_CHECK); /* what changes nothing wins */
    assert_int_equal(load_all(NULL, NULL, FLAGS("--repair=indexes", "--data=d", "--print-config")), 0);
    assert_int_equal(cfg.action, CONFIG_PRINT);
}

static char *printed(void (*print)(FILE *out))
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    print(out);
    fclose(out);
    return text;
}

static void print_cfg(FILE *out)
{
    config_print(&cfg, out);
}

TEST(config, printed_configuration_reads_back_the_same)
{
    static struct config first;
    char text[SETTING_TEXT_MAX];
    assert_int_equal(
        load_all("[log]\nformat = json\n", ENV("EVLOG_STORAGE__DISK_RESERVE_BYTES=12345"),
                 FLAGS("--data=/a # b;c", "--listen=[::]:9", "--advertised-address=h", "--retention-ms=90s",
                       "--evlog-durability=memory", "--connections-max-idle-ms=1234567ms")),
        0);
    first = cfg;
    char *page = printed(print_cfg);
    assert_non_null(strstr(page, "level = info"));
    assert_non_null(strstr(page, "# default\n"));
    assert_non_null(strstr(page, "evlogd.conf:2\n"));
    assert_non_null(strstr(page, "# environment\n"));
    assert_non_null(strstr(page, "# flag\n"));
    assert_non_null(strstr(page, "retention.ms = 90000 "));
    assert_int_equal(load_all(page, NULL, NULL), 0);
    for (int id = 0; id < CONFIG_SETTING_COUNT; id++) {
        if (!setting_equal(&cfg, &first, (enum config_setting_id)id)) {
            fail_msg("%s became %s", setting_at((enum config_setting_id)id)->name,
                     setting_text(&cfg, (enum config_setting_id)id, text, sizeof text));
        }
    }
    for (int id = 0; id < TOPIC_SETTING_COUNT; id++) {
        assert_int_equal(topic_config_int(NULL, &cfg.topic_defaults, (enum topic_setting_id)id),
                         topic_config_int(NULL, &first.topic_defaults, (enum topic_setting_id)id));
    }
    free(page);
}

/* What a topic has for life cannot change with the broker's configuration. */
TEST(config, streams_have_no_default_for_all_topics)
{
    assert_int_equal(load_all("[topics]\nevlog.streams = true\n", NULL, FLAGS("--data=d")), EVLOG_ERR_INVALID_CONFIG);
    assert_non_null(strstr(err.text, "evlog.streams has no default for all topics"));
    assert_int_equal(load_all(NULL, NULL, FLAGS("--data=d", "--evlog-key-partitioner=crc32")),
                     EVLOG_ERR_INVALID_CONFIG);
    assert_int_equal(load_all("[topics]\nevlog.streams = false\n", NULL, FLAGS("--data=d")), 0);
    assert_int_equal(load_all("[topics]\nevlog.stream.max.count = 5\n", NULL, FLAGS("--data=d")), 0);
}

TEST(config, help_names_every_flag_within_its_columns)
{
    char flag[128];
    char *page = printed(config_print_help);
    for (int id = 0; id < CONFIG_SETTING_COUNT; id++) {
        setting_flag_name(setting_at((enum config_setting_id)id)->name, flag, sizeof flag);
        assert_non_null(strstr(page, flag));
    }
    for (char *line = page; *line != 0; line += strcspn(line, "\n") + 1) {
        assert_true(strcspn(line, "\n") <= 110);
    }
    free(page);
}

/* --- reload ------------------------------------------------------------------------------------------------------ */

TEST(config, reload_takes_what_can_change_and_keeps_the_rest)
{
    static struct config running;
    char *const argv[] = {(char *)(uintptr_t) "evlogd", path_flag};
    assert_int_equal(load_all("[server]\ndata=d\nshards=1\n[log]\nlevel=info\n", NULL, NULL), 0);
    running = cfg;
    assert_int_equal(
        load_all("[server]\ndata=d\nshards=2\n[log]\nlevel=debug\n[topics]\nretention.ms=1h\n", NULL, NULL), 0);
    assert_int_equal(config_reload(&running, 2, argv, NULL, &err), 0);
    assert_int_equal(running.shards, 1);
    assert_int_equal(running.log_level, EL_LOG_DEBUG);
    assert_int_equal(topic_config_int(NULL, &running.topic_defaults, TOPIC_RETENTION_MS), 3600000);
}

TEST(config, reload_of_a_bad_file_changes_nothing)
{
    static struct config running, before;
    char *const argv[] = {(char *)(uintptr_t) "evlogd", path_flag};
    assert_int_equal(load_all("[server]\ndata=d\n", NULL, NULL), 0);
    running = before = cfg;
    assert_true(load_all("[server]\ndata=d\n[log]\nlevel=debug\nformat=xml\n", NULL, NULL) < 0);
    assert_int_equal(config_reload(&running, 2, argv, NULL, &err), EVLOG_ERR_INVALID_CONFIG);
    assert_said("evlogd.conf:5:8: log.format cannot be 'xml'");
    assert_memory_equal(&running, &before, sizeof running);
}

TEST_TORTURE(config, load_survives_missing_memory)
{
    int result = load_all("[server]\ndata=d\n", NULL, NULL);
    assert_true(result == 0 || (el_test_failing() && result == EVLOG_ERR_NO_MEMORY));
}
