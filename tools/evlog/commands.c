/* SPDX-License-Identifier: Apache-2.0
 *
 * Which word starts which command. Options for all commands may stand before the command too: they are moved behind it.
 */
#include "cli.h"

#include <core/alloc.h>
#include <core/nearest.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_MAX 128
#define ARGUMENT_MAX 100000

const struct cli_command cli_commands[] = {
    {"up", "[--demo]", "Start a local server in the background",
     "Its data lies in $XDG_DATA_HOME/evlog (~/.local/share/evlog) unless --data says otherwise.", cmd_up},
    {"down", "", "Stop the server that 'evlog up' started, and wait until it has stopped", NULL, cmd_down},
    {"produce", "TOPIC [VALUE...]", "Publish events: the values given, the lines of a file, or of stdin",
     "--cloudevents FILE publishes CloudEvents, one JSON object a line; FILE may be gzip-compressed or - for stdin.\n"
     "-f reads lines by a format such as '%k %v'; -K: takes what stands before the first ':' as key.",
     cmd_produce},
    {"consume", "TOPIC...", "Print events up to the end of the log; --follow goes on",
     "-o says where to begin: start, end, 100 (offset), -10 (before the end), +10 (behind the start), @TIME.\n"
     "-f prints by a format: %t topic, %p partition, %o offset, %k key, %v value, %h headers, %d time, %T its\n"
     "milliseconds, %a append time, %K and %V lengths, %% a percent sign, \\n \\t \\xHH.\n"
     "--filter takes events by key, headers and payload: {\"data\":{\"total\":[{\"numeric\":[\">\",100]}]}}; see\n"
     "docs/patterns.md.",
     cmd_consume},
    {"tail", "TOPIC...", "Follow topics: the last ten events of each partition, then what comes", NULL, cmd_tail},
    {"append", "TOPIC KEY --type NAME", "Append an event to a stream, if the stream is as expected",
     "TOPIC has evlog.streams=true; KEY names the stream, whose events are numbered 0, 1, 2 ...\n"
     "--expect none|any|exists|N: the stream has no event yet, is whatever it is, has one, or its last event is N;\n"
     "else nothing is appended, and the exit code is 6. The same --id again is a success that appends nothing.",
     cmd_append},
    {"read", "TOPIC KEY | TOPIC --type NAME | TOPIC --follow", "Print the events of a stream, or those of a type",
     "JSON objects, one a line; on a terminal, lines for people. Exit code 5: there is no such stream.", cmd_read},
    {"subscribe", "TOPIC", "Print what is stored, and then what comes, each line with the position to go on from",
     "JSON objects, one a line: \"item\" is event, position (nothing matched, but it has come further), caught-up,\n"
     "fell-behind or missing. The filter is evaluated at the server. Exit code 7: events were removed before they\n"
     "were read.",
     cmd_subscribe},
    {"streams ls", "TOPIC", "List the streams of a topic by key", NULL, cmd_streams_ls},
    {"streams top", "TOPIC", "List the longest streams of a topic", NULL, cmd_streams_top},
    {"streams delete", "TOPIC KEY", "Delete a stream: its events are not read as a stream any more",
     "A later append begins it anew and goes on numbering. --hard: nothing is ever appended to it again.",
     cmd_streams_delete},
    {"snapshot get", "TOPIC KEY", "Print the newest snapshot of a stream's state", NULL, cmd_snapshot_get},
    {"snapshot put", "TOPIC KEY --data STATE", "Keep a state with the version of the stream that it stands for",
     "Snapshots are events of the topic TOPIC.snapshots, which is made when it is not there. Programs that load the\n"
     "stream take the newest one of their schema number and read only the events behind it.",
     cmd_snapshot_put},
    {"snapshot rm", "TOPIC KEY", "Forget the snapshots of a stream: loading reads all its events", NULL,
     cmd_snapshot_rm},
    {"saga ls", "NAME", "List the sagas of a kind: status, steps, and why one is stuck",
     "NAME is that of the program's sagas; they are the streams of the topic NAME.sagas.", cmd_saga_ls},
    {"saga show", "NAME ID", "Show a saga: status, state, and with --history all that it has done", NULL,
     cmd_saga_show},
    {"saga retry", "NAME ID", "Let a stuck saga go on: the event that it is stuck at is handled again", NULL,
     cmd_saga_retry},
    {"saga cancel", "NAME ID", "Undo a saga that runs or is stuck, the newest step first", NULL, cmd_saga_cancel},
    {"topics ls", "", "List topics", NULL, cmd_topics_ls},
    {"topics create", "TOPIC...", "Make topics", NULL, cmd_topics_create},
    {"topics describe", "TOPIC...", "Show partitions, offsets and settings", NULL, cmd_topics_describe},
    {"topics alter", "TOPIC", "Change settings, or raise the number of partitions", NULL, cmd_topics_alter},
    {"topics rm", "TOPIC", "Remove a topic and everything in it", NULL, cmd_topics_rm},
    {"topics copy", "SOURCE TARGET", "Copy all events of a topic, byte for byte, partition by partition",
     "TARGET is made with the settings of SOURCE when it is not there. Interrupted, the same command goes on.",
     cmd_topics_copy},
    {"topics export", "TOPIC FILE", "Write all events of a topic to a file, one JSON object a line",
     "Interrupted, the same command goes on behind the last whole line.", cmd_topics_export},
    {"topics import", "FILE TOPIC", "Publish the events of an export, as they were",
     "FILE may be gzip-compressed or - for stdin. Interrupted, the same command goes on.", cmd_topics_import},
    {"work", "TOPIC -g GROUP [--] COMMAND [ARG...]", "Run a program on every event, as a member of a work group",
     "COMMAND runs once an event: payload on stdin, EVLOG_TOPIC, _PARTITION, _OFFSET, _KEY, _TYPE, _ID, _ATTEMPT\n"
     "and _TIME in its environment. Exit 0: done; 75: try again later; 65: a dead letter, now; anything else: failed,\n"
     "with the last line of stderr as the reason. --batch: failed items are lines of their offsets on descriptor 3.\n"
     "--emit publishes each line of stdout, together with the acknowledgement.",
     cmd_work},
    {"groups ls", "", "List consumer groups", NULL, cmd_groups_ls},
    {"groups describe", "GROUP...", "Show the members of groups, and who reads what", NULL, cmd_groups_describe},
    {"groups lag", "GROUP...", "Show how far groups are behind, in events and in time",
     "AGE is the age of the first event that is not committed. TREND compares two looks, --trend apart. Exit code 7:\n"
     "members read topics that you may not describe; 4: no others are left.",
     cmd_groups_lag},
    {"groups seek", "GROUP", "Set the offsets of a group without members",
     "Without -t, of all partitions that the group has offsets for. --dry-run shows what would change.",
     cmd_groups_seek},
    {"groups rm", "GROUP", "Remove a group without members, and its offsets", NULL, cmd_groups_rm},
    {"groups create", "GROUP", "Make a work group", NULL, cmd_groups_create},
    {"groups set", "GROUP NAME=VALUE...", "Change settings of a work group", "NAME= goes back to the default.",
     cmd_groups_set},
    {"groups why", "GROUP KEY -t TOPIC", "Say what the events of a key wait for in a work group", NULL, cmd_groups_why},
    {"groups release", "GROUP -t TOPIC", "Let partitions go on that a work group has halted",
     "The event that failed for the last time is tried anew, with all its attempts.", cmd_groups_release},
    {"dlq ls", "", "List topics of dead letters", NULL, cmd_dlq_ls},
    {"dlq inspect", "TOPIC", "Show dead letters: where each came from, why it was given up, and its history",
     "What has become of a letter is \"unknown\" to who may not describe its group.", cmd_dlq_inspect},
    {"dlq stats", "TOPIC", "Count dead letters by reason", NULL, cmd_dlq_stats},
    {"dlq redrive", "TOPIC", "Deliver the events of dead letters to their group once more",
     "Runs in the broker, over restarts as well; this shows it until it ends. Only the group that gave the events up "
     "gets them again, in the order of each key, with all attempts. With --to they are appended to a topic instead.",
     cmd_dlq_redrive},
    {"dlq drop", "TOPIC", "Settle dead letters without redriving them", NULL, cmd_dlq_drop},
    {"dlq tasks", "[TOPIC]", "Show redrives that run, and the last that have ended", NULL, cmd_dlq_tasks},
    {"dlq cancel", "ID", "End a redrive; what it has done stays done", NULL, cmd_dlq_cancel},
    {"dlq release", "TOPIC KEY", "Let a parked key go on, after its dead letters were redriven", NULL, cmd_dlq_release},
    {"quota ls", "", "List the limits of users, client ids and addresses", NULL, cmd_quota_ls},
    {"quota set", "LIMIT=VALUE...", "Set limits of a user, a client id, both, or an address",
     "producer_byte_rate and consumer_byte_rate: bytes a second, such as 10MiB; request_percentage: of one thread;\n"
     "connection_creation_rate: new connections a second, of --ip. They hold at once, and for all shards together.",
     cmd_quota_set},
    {"quota rm", "[LIMIT...]", "Remove limits of a user, a client id, both, or an address: those named, or all", NULL,
     cmd_quota_rm},
    {"trace", "ID", "Show the chain of events that an event belongs to, as a tree",
     "ID is an event's ce_id, TOPIC/PARTITION/OFFSET, or a correlation id. All topics are read, or those of -t.",
     cmd_trace},
    {"replay", "TOPIC [KEY]", "Print the events, or the state they add up to, as they stood at a point in time",
     "--until is an append time (when the server took an event) and exact over all partitions; with --event-time\n"
     "the publishers' times count. Times: 2026-03-01T12:00Z, -1h, @1772366400000, 'yesterday 14:00'.\n"
     "The digest on stderr is equal exactly when the history is. --to topic:NAME --fold latest rolls a table back.",
     cmd_replay},
    {"table", "TOPIC [KEY]", "Print a compacted topic as a table: the last event of each key, by key",
     "--follow goes on with every change; a row that was removed has null data.", cmd_table},
    {"diff", "TOPIC TIME TIME", "Show the keys whose state differs between two points in time",
     "The state of a key is its last event: type and value. JSON objects, one a line; on a terminal, lines for people.",
     cmd_diff},
    {"blame", "TOPIC KEY", "Show the event that made the state of a key, or each field of it, what it is",
     "With --field or --fields: the event since which a field has its value.", cmd_blame},
    {"bisect", "TOPIC --good TIME --bad TIME -- COMMAND [ARG...]", "Find the event after which a command fails",
     "COMMAND gets the state on stdin, as replay --fold latest prints it, or with --project FILE.sql a SQLite file in\n"
     "EVLOG_DB. Exit 0: good; 125: cannot be judged; 1 to 127 else: bad; anything else ends the search. Events are\n"
     "taken in the order of append time, then partition, then offset.",
     cmd_bisect},
    {"project run", "FILE.sql --db DB", "Keep the rows of a database up with topics, each event exactly once",
     "FILE.sql holds a head (-- name:, -- topics:, -- filter:), a block -- setup, and blocks -- on TYPE of SQL with\n"
     "values of the event: :key :version :type :id :time :append_time :topic :partition :offset :data :data.field.\n"
     "docs/projections.md describes it.",
     cmd_project_run},
    {"project rebuild", "FILE.sql --db DB", "Make the rows anew beside the live ones, and swap",
     "The runner of the old rows ends at the swap. Interrupted, the same command goes on.", cmd_project_rebuild},
    {"project verify", "FILE.sql --db DB", "Compare the rows with those that the log gives",
     "Exit code 8 when they differ.", cmd_project_verify},
    {"project ls", "", "List the projections of a database", NULL, cmd_project_ls},
    {"project status", "NAME", "Show how far a projection is, how fast, and why it stopped", NULL, cmd_project_status},
    {"project pause", "NAME", "Let a projection's runner apply nothing", NULL, cmd_project_pause},
    {"project resume", "NAME", "Let it go on", NULL, cmd_project_resume},
    {"project wait", "NAME --position POSITION", "Wait until a projection has applied an event",
     "--timeout says how long (30s).", cmd_project_wait},
    {"archive status", "", "How far the server's archive reaches", NULL, cmd_archive_status},
    {"archive now", "", "Archive at once what is new",
     "--wait waits until everything that was durable before is in the archive, under a signed root. --seal makes\n"
     "objects of their own of what is in bundles, of all topics or of those that are named.",
     cmd_archive_now},
    {"archive restore", "URL --to DIR", "Make a data directory of an archive, as it is or as it was at a time",
     "Needs no broker. Internal topics come along: topics, their settings, progress of groups. --until TIME takes\n"
     "exactly the events appended up to it, where the archive is complete. Interrupted, the same command goes on.\n"
     "Exit code 8: an object is not what the archive's root says.",
     cmd_archive_restore},
    {"user ls", "[NAME...]", "List users: who may prove by SCRAM to be somebody", NULL, cmd_user_ls},
    {"user create", "NAME", "Make a user",
     "Asks for a password, reads it from --password-file, or makes one with --generate and prints it once.",
     cmd_user_create},
    {"user passwd", "NAME", "Give a user another password",
     "No mechanism keeps the old one. Connections stay until their proof has to be renewed.", cmd_user_passwd},
    {"user rm", "NAME", "Remove a user", "Rules that name it stay.", cmd_user_rm},
    {"acl ls", "[PRINCIPAL [OPERATIONS [RESOURCE [NAME...]]]]", "List access rules (ACLs)",
     "Words that are missing, and \"any\" for the first two, fit all. A NAME that ends in * is a prefix.", cmd_acl_ls},
    {"acl allow", "PRINCIPAL OPERATIONS RESOURCE [NAME...]", "Add rules that allow something",
     "As in: evlog acl allow User:billing read,describe topic orders invoices-*\n"
     "PRINCIPAL is User:NAME, or User:* for everybody. OPERATIONS: read, write, create, delete, alter, describe,\n"
     "describe-configs, alter-configs, cluster-action, idempotent-write, all. RESOURCE: topic, group, or\n"
     "transactional-id with names, or cluster without. A NAME that ends in * stands for all that begin so,\n"
     "* alone for all.",
     cmd_acl_allow},
    {"acl deny", "PRINCIPAL OPERATIONS RESOURCE [NAME...]", "Add rules that deny something",
     "They win over all rules that allow. Words are those of 'evlog acl allow'.", cmd_acl_deny},
    {"acl rm", "PRINCIPAL [OPERATIONS [RESOURCE [NAME...]]]", "Remove access rules",
     "Shows what will go. Words that are missing, and \"any\" for the first two, fit all.", cmd_acl_rm},
    {"acl explain", "PRINCIPAL OPERATION RESOURCE [NAME]", "Say whether something is allowed, and which rule decides",
     "Exit code 4: it is denied.", cmd_acl_explain},
    {"apply", "FILE", "Make a server what a file declares: topics, groups, users, limits, rules",
     "Shows the difference and makes it; done twice, the second time changes nothing. Sections of key = value lines:\n"
     "[topic NAME] partitions and settings; [group NAME] settings; [user NAME] password.file, mechanisms, iterations;\n"
     "[quota user NAME], [quota client-id ID], [quota ip ADDRESS] and the like with limits of 'evlog quota';\n"
     "[acl PRINCIPAL] allow and deny = OPERATIONS RESOURCE NAME... [from ADDRESS]. Nothing is taken away without\n"
     "--prune. --dry-run ends with exit code 6 when there is a difference. docs/operations.md describes the file.",
     cmd_apply},
    {"keys init", "DIR --master FILE", "Make a key store for sealed fields",
     "DIR holds the keys of subjects, wrapped by the master key in FILE. Copies of both belong apart from each other\n"
     "and from the log, and none is to be kept longer than an erasure may take.",
     cmd_keys_init},
    {"keys ls", "", "List the keys of a key store: pseudonyms, states, times", NULL, cmd_keys_ls},
    {"keys rotate", "", "Wrap every key anew, under another master key or the same",
     "Interrupted, the same command goes on. Others may use the key store meanwhile.", cmd_keys_rotate},
    {"keys restore", "SUBJECT", "Make a key live again that 'evlog erase' has disabled", NULL, cmd_keys_restore},
    {"erase", "SUBJECT", "Erase a subject's sealed data everywhere, by destroying its key",
     "The first time the key is disabled and can be restored until the time of grace is over; the same command then\n"
     "destroys it for good and appends an event that says so. --report tells who may still hold decrypted copies;\n"
     "SUBJECT may be a pseudonym there.",
     cmd_erase},
    {"redact", "TOPIC -p P --offsets A-B --reason TEXT", "Take published events out of a log, its disk and its archive",
     "For a secret that was published in clear. Batches go as a whole: --dry-run says which offsets. What the\n"
     "archive's tree says of them stays, so it still verifies, and every audit names range and reason. Run again, it\n"
     "waits again. Copies in other topics (dead letters, emitted events), in projections and at consumers stay.",
     cmd_redact},
    {"audit tail", "", "Print the audit log: who has changed, wanted and read what",
     "Of a change its outcome is shown; one without outcome comes last, as unknown. --json prints the records as they\n"
     "are, one a line; docs/audit.md says what they hold. --source archive --archive URL needs no broker.",
     cmd_audit_tail},
    {"top", "", "Watch topics and groups: events, rates, lag", "--once prints one picture, for scripts.", cmd_top},
    {"bench produce", "TOPIC", "Publish as fast as it goes, and time the acknowledgements",
     "The events stay in the topic: use one of its own.", cmd_bench_produce},
    {"bench consume", "TOPIC", "Read as fast as it goes", NULL, cmd_bench_consume},
    {"bench e2e", "TOPIC", "Publish at a rate and read at the same time: time from publish to reader",
     "The events stay in the topic: use one of its own.", cmd_bench_e2e},
    {"bench latency", "TOPIC", "Publish one event after the other, each waiting for its acknowledgement",
     "The events stay in the topic: use one of its own.", cmd_bench_latency},
    {"bench append", "TOPIC", "Append to streams with exact versions, each append waiting for its answer",
     "The events stay in the topic, which has evlog.streams=true: use one of its own.", cmd_bench_append},
    {"bench replay", "TOPIC", "Replay a topic as fast as it goes, beside reading alone", NULL, cmd_bench_replay},
    {"archive ls", "URL", "List the topics of an archive, in a bucket or a directory, without a server",
     "URL is s3://BUCKET/PREFIX (credentials and endpoint by the names of the AWS programs) or file:///DIR.",
     cmd_archive_ls},
    {"archive verify", "URL --key FILE", "Prove that an archive is what was signed, without a server",
     "Exit code 8: it is not; objects, offsets and bytes are named. --since FILE compares with an earlier visit,\n"
     "whose root --save FILE has kept: only so is it seen that the newest roots were taken away.",
     cmd_archive_verify},
    {"archive tail", "URL --topic TOPIC", "Print the events of an archived topic; --follow goes on with each new root",
     "JSON objects, one a line, each with the position to go on from; on a terminal, lines for people. In the order\n"
     "of append times. A position is one of 'evlog subscribe' as well.",
     cmd_archive_tail},
    {"archive prove", "URL --topic TOPIC --offset N --out FILE", "Write a file that proves an event to others",
     "It holds the batch of the event, its place in the partition's tree, and the signed checkpoint (C2SP tlog-proof).",
     cmd_archive_prove},
    {"archive check-proof", "FILE --key FILE", "Check such a file with the public key alone", NULL,
     cmd_archive_check_proof},
    {"archive attest", "URL --topic TOPIC --until TIME --project FILE.sql --out FILE",
     "Write evidence that a report is what this history says at a time",
     "Makes the rows of the projection from the archive alone, in a temporary database, and signs what they were\n"
     "made of and what they are: root, topic, time, projection, digests of events and tables. docs/archive.md\n"
     "describes the file. A time through which the archive is not complete is refused.",
     cmd_archive_attest},
    {"archive check-attest", "FILE --key FILE", "Check such evidence; with --archive by doing the work again",
     "With --archive URL and --project FILE.sql all is made anew and compared line by line. Exit code 8: the\n"
     "signature does not hold, or a line differs; the first one is named.",
     cmd_archive_check_attest},
    {"archive export", "URL --topic TOPIC --to DIR", "Write an archived topic as files for query engines",
     "One folder a topic and a day (topic=T/date=YYYY-MM-DD), by append time. Run again, it goes on.",
     cmd_archive_export},
    {"config check", "[FILE]", "Check a server's configuration", NULL, cmd_config_check},
    {"config print", "[FILE]", "Print a server's configuration as it would be in force", NULL, cmd_config_print},
    {"config explain", "NAME [FILE]", "Say what a server's setting does, takes and is, and where that comes from",
     "FILE is the server's file of settings. Settings of topics are explained as the defaults of all topics.",
     cmd_config_explain},
    {"config init", "[--data DIR]", "Write a server's file of settings to begin with, of what is set most often", NULL,
     cmd_config_init},
    {"config get", "[NAME...]", "Show the settings of a running broker, and which of them its configuration has set",
     NULL, cmd_config_get},
    {"config set", "NAME=VALUE...", "Change settings of a running broker; they are kept over restarts",
     "What takes a restart or says who may do what is refused, with the place to set it. NAME= goes back to what the\n"
     "configuration says.",
     cmd_config_set},
    {"doctor", "[FILE]", "Look at this machine, the server's settings and, with -b, the server: what to do",
     "FILE is the server's file of settings. Looked at are kernel, io_uring, clock, limits, the data directory with\n"
     "its file system, space and durable writes (one small file is written and removed), certificates, the archive.\n"
     "Exit code 1: a line failed.",
     cmd_doctor},
    {"check", "ready|lag|dlq|archive|disk|certificate",
     "Answer one question for a monitor, by the exit codes of Nagios' plugins",
     "0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN. lag: seconds that the worst group is behind; dlq: events in the\n"
     "largest topic of dead letters; archive: seconds that a loss of the disk would lose; disk: percent that is free;\n"
     "certificate: days that the server's is still good for.",
     cmd_check},
    {"debug-bundle", "FILE.tar.gz", "Gather what somebody who helps needs to see, without secrets and events",
     "Settings, the lines of evlog doctor, metrics, health, versions, facts of the machine, and with --log the last\n"
     "of the log. What may be secret is masked. The file must not be there yet.",
     cmd_debug_bundle},
    {"inspect", "FILE...", "Print what a file of the data directory holds, checking every checksum", NULL, cmd_inspect},
    {"version", "", "Print the version", NULL, cmd_version},
    {"explain", "CODE...", "Explain an error code such as EVL-1036", NULL, cmd_explain},
    {"help", "[COMMAND]", "List the commands, or explain one", NULL, cmd_help},
    {NULL, NULL, NULL, NULL, NULL},
};

/* The command that the words begin with, and how many words it took. */
static const struct cli_command *find(char **words, int count, int *used)
{
    for (const struct cli_command *command = cli_commands; command->name != NULL; command++) {
        const char *space = strchr(command->name, ' ');
        size_t len = space == NULL ? strlen(command->name) : (size_t)(space - command->name);
        if (count < 1 || strlen(words[0]) != len || strncmp(words[0], command->name, len) != 0) {
            continue;
        }
        if (space == NULL || (count > 1 && strcmp(words[1], space + 1) == 0)) {
            *used = space == NULL ? 1 : 2;
            return command;
        }
    }
    return NULL;
}

/* Is the word the first of this command's two? */
static bool has_noun(const struct cli_command *command, const char *word)
{
    const char *space = strchr(command->name, ' ');
    size_t len = space == NULL ? 0 : (size_t)(space - command->name);
    return len > 0 && strlen(word) == len && strncmp(command->name, word, len) == 0;
}

static bool is_noun(const char *word)
{
    const struct cli_command *command = cli_commands;
    while (command->name != NULL && !has_noun(command, word)) {
        command++;
    }
    return command->name != NULL;
}

/* Commands of a noun, or all. */
static void print_summaries(const char *noun)
{
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
        if (noun == NULL || has_noun(c, noun)) {
            (void)printf("  %-20s %s\n", c->name, c->summary);
        }
    }
}

/* A noun alone: with -h or --help what can be done with it, else a mistake that says so too. */
static int noun_alone(const struct cli *cli, char **words, int count)
{
    for (int i = 1; i < count; i++) {
        if (strcmp(words[i], "-h") == 0 || strcmp(words[i], "--help") == 0) {
            (void)printf("usage: evlog %s COMMAND ...\n\n", words[0]);
            print_summaries(words[0]);
            (void)printf("\n'evlog help %s COMMAND' explains one.\n", words[0]);
            return CLI_OK;
        }
    }
    struct el_buffer verbs = {0};
    char remedy[80];
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
        if (has_noun(c, words[0])) {
            el_buffer_printf(&verbs, "%s%s", verbs.len == 0 ? "" : ", ", c->name + strlen(words[0]) + 1);
        }
    }
    (void)snprintf(remedy, sizeof remedy, "evlog help %.32s says what each does", words[0]);
    int rc = cli_error_remedy(cli, (struct cli_remedy){CLI_ERR_COMMAND, remedy}, "evlog %s wants one more word: %s",
                              words[0], el_buffer_text(&verbs));
    el_buffer_free(&verbs);
    return rc;
}

/* The command that was meant, perhaps; both words count where both are there. near: out, its name */
static bool find_near(char **words, int count, char near[64])
{
    const char *names[2 * COMMAND_MAX];
    char nouns[COMMAND_MAX][32], both[128];
    size_t name_count = 0;
    for (const struct cli_command *c = cli_commands; c->name != NULL; c++) {
        names[name_count++] = c->name;
    }
    (void)snprintf(both, sizeof both, "%.60s %.60s", words[0], count > 1 ? words[1] : "");
    const char *found = count > 1 ? el_nearest(both, names, name_count) : NULL;
    for (const struct cli_command *c = cli_commands; found == NULL && c->name != NULL; c++) {
        const char *space = strchr(c->name, ' ');
        if (space != NULL) {
            (void)snprintf(nouns[c - cli_commands], sizeof nouns[0], "%.*s", (int)(space - c->name), c->name);
            names[name_count++] = nouns[c - cli_commands];
        }
    }
    found = found == NULL && !is_noun(words[0]) ? el_nearest(words[0], names, name_count) : found;
    (void)snprintf(near, 64, "%s", found == NULL ? "" : found);
    return found != NULL;
}

static int unknown(const struct cli *cli, char **words, int count)
{
    char text[128], near[64], remedy[128];
    bool noun = is_noun(words[0]);
    if (noun && (count == 1 || words[1][0] == '-')) {
        return noun_alone(cli, words, count);
    }
    (void)snprintf(text, sizeof text, "%.60s%s%.60s", words[0], noun ? " " : "", noun ? words[1] : "");
    if (find_near(words, count, near)) {
        (void)snprintf(remedy, sizeof remedy, "did you mean evlog %s?", near);
    } else if (noun) {
        (void)snprintf(remedy, sizeof remedy, "evlog help %.32s lists the commands", words[0]);
    } else {
        return cli_error(cli, CLI_ERR_COMMAND, "there is no command \"%s\"", text);
    }
    return cli_error_remedy(cli, (struct cli_remedy){CLI_ERR_COMMAND, remedy}, "there is no command \"%s\"", text);
}

/* Options before the command that take a value in the next word. */
static bool takes_value(const char *word)
{
    static const char *const names[] = {"-b", "--bootstrap",  "--context", "--config",
                                        "-X", "--client-set", "--timeout"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(word, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Words up to the command that are options. */
static int leading_options(int argc, char **argv)
{
    int count = 0;
    while (count < argc && argv[count][0] == '-' && argv[count][1] != '\0') {
        count += takes_value(argv[count]) && count + 1 < argc ? 2 : 1;
    }
    return count;
}

static int run_command(struct cli *cli, int argc, char **argv, char **moved)
{
    int before = leading_options(argc, argv), used = 0;
    if (before == argc) {
        for (int i = 0; i < argc; i++) {
            cli->json = cli->json || strcmp(argv[i], "--json") == 0;
            if (strcmp(argv[i], "--version") == 0) {
                return cmd_version(cli, NULL, 0, NULL);
            }
        }
        return cmd_help(cli, NULL, 0, NULL);
    }
    const struct cli_command *command = find(argv + before, argc - before, &used);
    if (command == NULL) {
        return unknown(cli, argv + before, argc - before);
    }
    int count = 0;
    for (int i = before + used; i < argc; i++) {
        moved[count++] = argv[i];
    }
    /* Leading options go first, so that a "--" among the words does not turn them into words. */
    memmove(moved + before, moved, (size_t)count * sizeof *moved);
    memcpy(moved, argv, (size_t)before * sizeof *moved);
    return command->run(cli, command, count + before, moved);
}

int cli_run(struct cli *cli, int argc, char **argv)
{
    if (argc < 0 || argc > ARGUMENT_MAX) {
        return cli_error(cli, CLI_ERR_WORDS, "too many words");
    }
    char **moved = el_malloc(((size_t)argc + 1) * sizeof *moved);
    if (moved == NULL) {
        return cli_error(cli, CLI_ERR_WORDS, "no memory");
    }
    int rc = run_command(cli, argc, argv, moved);
    el_free(moved);
    return rc;
}

/* --- help, version, explain ------------------------------------------------------------------------------------- */

int cmd_help(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct cli_grammar none = {NULL, 0, 0, 2};
    struct cli_words words = {NULL, 0};
    int used;
    int rc = command == NULL ? CLI_PARSED : cli_parse(cli, command, &none, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    if (words.count > 0) {
        const struct cli_command *about = find(words.items, words.count, &used);
        char *help[] = {(char[]){"-h"}, NULL}, *noun[] = {words.items[0], help[0], NULL};
        if (about == NULL) {
            bool alone = words.count == 1 && is_noun(words.items[0]);
            return unknown(cli, alone ? noun : words.items, alone ? 2 : words.count);
        }
        return about->run(cli, about, 1, help);
    }
    (void)printf("evlog %s, the event store that speaks Kafka\n\nusage: evlog COMMAND ...\n\n", evlog_version());
    print_summaries(NULL);
    (void)printf("\n'evlog help COMMAND' explains a command, 'evlog explain EVL-nnnn' an error.\n"
                 "Exit codes: 0 ok, 1 failed, 2 usage, 3 not reachable, 4 denied, 5 not found, 6 conflict, 7 partial,\n"
                 "8 integrity failure, 130 interrupted.\n");
    return CLI_OK;
}

int cmd_version(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct cli_grammar none = {NULL, 0, 0, 0};
    struct cli_words words;
    int rc = command == NULL ? CLI_PARSED : cli_parse(cli, command, &none, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    (void)printf(cli->json ? "{\"evlog\":\"%s\"}\n" : "evlog %s\n", evlog_version());
    return CLI_OK;
}

int cmd_explain(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct cli_grammar grammar = {NULL, 0, 1, -1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    rc = CLI_OK;
    for (int i = 0; i < words.count; i++) {
        if (!cli_explain(words.items[i], stdout, cli->json)) {
            rc = cli_error(cli, CLI_ERR_EXPLAIN, "nothing is known under %.40s", words.items[i]);
        }
    }
    return rc;
}
