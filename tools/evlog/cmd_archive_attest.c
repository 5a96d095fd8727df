/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog archive attest | check-attest: a signed note that says what a projection makes of a topic's history up to a
 * time, and whether such a note holds: its signature, and with --archive every line of it, by doing the work again.
 */
#include "attestation.h"
#include "sealing.h"
#include "table.h"

#include <core/timefmt.h>
#include <format/archive_layout.h>
#include <format/note.h>
#include <string.h>

#define KEY_FILE_MAX 65536u

/* --- attest ------------------------------------------------------------------------------------------------------- */

static int sign(struct cli *cli, const char *key_path, struct el_slice text, struct el_buffer *note)
{
    struct el_private_key *keys[EL_SIGN_KEYS_MAX];
    struct el_buffer pem = {0};
    struct el_error err = {0};
    size_t count = 0;
    int rc = archive_read_file(cli, key_path, KEY_FILE_MAX, &pem);
    if (rc == CLI_OK && el_private_keys_parse(el_buffer_slice(&pem), keys, &count, &err) != 0) {
        rc = cli_error(cli, CLI_ERR_FILE, "%s: %s", key_path, err.text);
    }
    if (pem.data != NULL) {
        explicit_bzero(pem.data, pem.len);
    }
    el_buffer_free(&pem);
    if (rc == CLI_OK &&
        el_note_sign_text(text, el_slice_of(text.data, ATTESTATION_ORIGIN_LEN), keys, count, note) != 0) {
        rc = cli_error(cli, CLI_ERR_OUTPUT,
                       "it cannot be signed: a note has at most %u bytes, and no control characters", EL_NOTE_LEN_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        el_private_key_free(keys[i]);
    }
    return rc;
}

static int attest(struct attestation *at, const char *key_path, const char *out)
{
    struct cli *cli = at->archive->cli;
    struct el_buffer note = {0};
    int rc = attestation_begin(at);
    rc = rc == CLI_OK ? attestation_finish(at) : rc;
    if (rc == CLI_OK && key_path != NULL) {
        rc = sign(cli, key_path, el_buffer_slice(&at->text), &note);
    } else if (rc == CLI_OK) {
        el_buffer_append(&note, at->text.data, at->text.len);
        el_buffer_append_char(&note, '\n'); /* behind it come signatures */
    }
    if (rc == CLI_OK && note.err != 0) {
        rc = cli_error(cli, CLI_ERR_OUTPUT, "no memory");
    }
    rc = rc == CLI_OK ? archive_write_file(cli, out, el_buffer_slice(&note)) : rc;
    if (rc == CLI_OK) {
        cli_say(cli, "%s: %llu events of %s in %llu tables%s", out, (unsigned long long)at->event_count, at->topic,
                (unsigned long long)at->table_count, key_path == NULL ? "; not signed: --key FILE signs it" : "");
    }
    el_buffer_free(&note);
    return rc;
}

int cmd_archive_attest(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct archive_arguments a = {.cli = cli};
    struct sealing sealing = {0};
    struct attestation at = {.archive = &a, .until_ns = EVLOG_TIME_NONE};
    const char *key_path = NULL, *out = NULL;
    const struct cli_option options[] = {
        {"topic", 't', CLI_TEXT, &at.topic, "TOPIC", "whose events the report is made of"},
        {"until", 0, CLI_TIME, &at.until_ns, "TIME", "append time of the last event that counts, inclusive"},
        {"project", 0, CLI_TEXT, &at.project, "FILE.sql", "the projection whose rows are the report"},
        {"out", 0, CLI_TEXT, &out, "FILE", "the attestation is written there"},
        {"key", 0, CLI_TEXT, &key_path, "FILE", "private keys, PEM, that sign it; default: it is not signed"},
        {"pub", 0, CLI_TEXT, &a.key_path, "FILE",
         "public keys, PEM: the archive must be signed with one, or a successor"},
        {"incarnation", 0, CLI_TEXT, &a.incarnation, "ID", "of the archive, where there are several"},
        SEALING_KEYS_OPTIONS(&sealing),
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    a.url = words.items[0];
    if (at.topic == NULL || at.until_ns == EVLOG_TIME_NONE || at.project == NULL || out == NULL) {
        return cli_error(cli, CLI_ERR_VALUE, "--topic TOPIC --until TIME --project FILE.sql --out FILE are needed");
    }
    rc = archive_arguments_check(&a, false);
    rc = rc == CLI_OK ? sealing_open(&sealing, cli, false) : rc;
    at.keys = sealing.store;
    rc = rc == CLI_OK ? attest(&at, key_path, out) : rc;
    attestation_close(&at);
    sealing_close(&sealing);
    archive_arguments_free(&a);
    return rc;
}

/* --- check-attest ------------------------------------------------------------------------------------------------- */

struct checking {
    struct cli *cli;
    const char *path;
    struct archive_arguments signer;  /* whose key it is */
    struct archive_arguments archive; /* to do the work again; url NULL: it is not */
    const char *project;
    struct sealing sealing;
    struct el_buffer note;
    struct el_slice text; /* that is signed, of note */
    struct attestation_said said;
};

static int does_not_hold(const struct checking *c, const char *why)
{
    return cli_error(c->cli, CLI_ERR_ATTEST, "%s: %s", c->path, why);
}

static int check_signature(struct checking *c)
{
    struct el_slice note = el_buffer_slice(&c->note);
    int code = attestation_note_text(note, &c->text);
    if (code != 0) {
        return does_not_hold(c, code == EVLOG_ERR_NOT_FOUND ? "nobody has signed it" : "it is no attestation");
    }
    struct el_slice origin = el_slice_of(note.data, ATTESTATION_ORIGIN_LEN);
    switch (el_note_verify(note, origin, c->signer.keys, c->signer.key_count, NULL)) {
    case 0:
        return CLI_OK;
    case EVLOG_ERR_NOT_FOUND:
        return does_not_hold(c, "none of these keys has signed it");
    case EVLOG_ERR_CORRUPT:
        return does_not_hold(c, "it is not what was signed");
    default:
        return does_not_hold(c, "it is no signed note");
    }
}

/* Is what was made now what was attested, or, while it is not whole, the beginning of that? */
static int compare(const struct checking *c, const struct el_buffer *made, bool whole)
{
    struct attestation_difference d;
    if (!attestation_note_differs(c->text, el_buffer_slice(made), whole, &d)) {
        return CLI_OK;
    }
    return cli_error(c->cli, CLI_ERR_ATTEST, "%s: line %zu differs: attested is \"%.*s\", found was \"%.*s\"", c->path,
                     d.line, (int)d.theirs.len, (const char *)d.theirs.data, (int)d.ours.len,
                     (const char *)d.ours.data);
}

static int do_again(struct checking *c)
{
    if (attestation_note_read(c->text, &c->said) != 0) {
        return does_not_hold(c, "it does not say what was attested");
    }
    struct attestation at = {.archive = &c->archive,
                             .topic = c->said.topic,
                             .project = c->project,
                             .until_ns = c->said.until_ns,
                             .keys = c->sealing.store};
    c->archive.root = c->said.root;
    c->archive.incarnation = c->said.incarnation;
    c->archive.incarnation_id = c->said.incarnation_id;
    int rc = attestation_begin(&at);
    rc = rc == CLI_OK ? compare(c, &at.text, false) : rc;
    rc = rc == CLI_OK ? attestation_finish(&at) : rc;
    rc = rc == CLI_OK ? compare(c, &at.text, true) : rc;
    attestation_close(&at);
    return rc;
}

static int tell(const struct checking *c)
{
    struct el_buffer line = {0};
    if (c->cli->json) {
        struct el_json_writer w;
        cli_json_begin(&w, &line);
        el_json_add_bool(&w, "signed", true);
        el_json_add_bool(&w, "made_again", c->archive.url != NULL);
        el_json_key(&w, "attested");
        el_json_put_slice(&w, c->text);
        int rc = cli_json_end(c->cli, &w, &line);
        el_buffer_free(&line);
        return rc;
    }
    el_buffer_append(&line, c->text.data, c->text.len);
    el_buffer_append_str(&line, c->archive.url != NULL ? "\nsigned; made again, with the same result\n"
                                                       : "\nsigned; --archive makes it again and compares\n");
    int rc = cli_put(c->cli, &line);
    el_buffer_free(&line);
    return rc;
}

static int check(struct checking *c)
{
    int rc = archive_arguments_check(&c->signer, true);
    rc = rc == CLI_OK ? archive_arguments_check(&c->archive, false) : rc;
    rc = rc == CLI_OK ? sealing_open(&c->sealing, c->cli, false) : rc;
    rc = rc == CLI_OK ? archive_read_file(c->cli, c->path, EL_NOTE_LEN_MAX, &c->note) : rc;
    rc = rc == CLI_OK ? check_signature(c) : rc;
    if (rc == CLI_OK && c->archive.url != NULL) {
        rc = do_again(c);
    }
    return rc == CLI_OK ? tell(c) : rc;
}

int cmd_archive_check_attest(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct checking c = {.cli = cli, .signer.cli = cli, .archive.cli = cli};
    const struct cli_option options[] = {
        {"key", 0, CLI_TEXT, &c.signer.key_path, "FILE", "public keys, PEM: the attestation must be signed with one"},
        {"archive", 0, CLI_TEXT, &c.archive.url, "URL", "make it again of this archive, and compare"},
        {"project", 0, CLI_TEXT, &c.project, "FILE.sql", "the projection that it was made with"},
        {"pub", 0, CLI_TEXT, &c.archive.key_path, "FILE",
         "public keys, PEM: the archive must be signed with one, or a successor"},
        SEALING_KEYS_OPTIONS(&c.sealing),
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    c.path = words.items[0];
    if ((c.archive.url == NULL) != (c.project == NULL)) {
        return cli_error(cli, CLI_ERR_VALUE, "--archive URL and --project FILE.sql belong together");
    }
    rc = check(&c);
    el_buffer_free(&c.note);
    sealing_close(&c.sealing);
    archive_arguments_free(&c.signer);
    archive_arguments_free(&c.archive);
    return rc;
}
