/* SPDX-License-Identifier: Apache-2.0 */
#include "password.h"

#include <core/assert.h>
#include <core/base64.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define RANDOM_LEN 24u /* bytes, 32 characters */

void password_wipe(struct password *password)
{
    explicit_bzero(password, sizeof *password);
}

/* --- a file ------------------------------------------------------------------------------------------------------- */

static int read_all(const struct cli *cli, int fd, const char *path, struct password *password)
{
    size_t len = 0;
    for (ssize_t got = 1; got != 0 && len < sizeof password->text;) {
        got = read(fd, password->text + len, sizeof password->text - len);
        if (got < 0 && errno != EINTR) {
            return cli_error(cli, CLI_ERR_FILE, "%s: %s", path, strerror(errno));
        }
        len += got > 0 ? (size_t)got : 0;
    }
    if (len > 0 && len < sizeof password->text && password->text[len - 1] == '\n') {
        len -= len > 1 && password->text[len - 2] == '\r' ? 2 : 1;
    }
    if (len == 0 || len == sizeof password->text || memchr(password->text, 0, len) != NULL) {
        return cli_error(cli, CLI_ERR_PASSWORD, "%s holds no password, which has 1 to %d characters in one line", path,
                         EVLOG_PASSWORD_LEN_MAX);
    }
    password->text[len] = '\0';
    return CLI_OK;
}

int password_read(const struct cli *cli, const char *path, struct password *password)
{
    struct stat about;
    bool input = strcmp(path, "-") == 0;
    int fd = input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return cli_error(cli, CLI_ERR_FILE, "%s: %s", path, strerror(errno));
    }
    int rc = CLI_OK;
    if (!input && fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && (about.st_mode & S_IROTH) != 0) {
        rc = cli_error_remedy(cli, (struct cli_remedy){CLI_ERR_PASSWORD, "chmod o= it, and choose another password"},
                              "everybody may read %s", path);
    }
    rc = rc == CLI_OK ? read_all(cli, fd, input ? "the standard input" : path, password) : rc;
    if (!input) {
        (void)close(fd);
    }
    if (rc != CLI_OK) {
        password_wipe(password);
    }
    return rc;
}

/* --- a terminal --------------------------------------------------------------------------------------------------- */

/* A line from the terminal without its end; false: none, or one that is too long. */
static bool read_line(int fd, const char *prompt, struct password *password)
{
    size_t len = 0;
    char c = '\0';
    (void)fprintf(stderr, "%s", prompt);
    while (read(fd, &c, 1) == 1 && c != '\n' && len < EVLOG_PASSWORD_LEN_MAX && !cli_interrupted) {
        password->text[len++] = c;
    }
    password->text[len] = '\0';
    (void)fputc('\n', stderr);
    return c == '\n';
}

static int ask_twice(const struct cli *cli, int fd, const char *user, struct password *password)
{
    struct password again = {{0}};
    char prompt[300];
    (void)snprintf(prompt, sizeof prompt, "Password of %.255s: ", user);
    bool told = read_line(fd, prompt, password) && read_line(fd, "Once more: ", &again);
    bool same = told && strcmp(password->text, again.text) == 0;
    password_wipe(&again);
    if (!told || password->text[0] == '\0') {
        return cli_error(cli, CLI_ERR_PASSWORD, "no password was given");
    }
    return same ? CLI_OK : cli_error(cli, CLI_ERR_PASSWORD, "the two passwords differ");
}

int password_ask(const struct cli *cli, const char *user, struct password *password)
{
    struct termios before, quiet;
    if (cli->no_input || isatty(STDIN_FILENO) == 0 || tcgetattr(STDIN_FILENO, &before) != 0) {
        return cli_error(cli, CLI_ERR_PASSWORD, "nobody is there to ask for the password of %.255s", user);
    }
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) != 0) {
        return cli_error(cli, CLI_ERR_PASSWORD, "the terminal does not let its echo be turned off: %s",
                         strerror(errno));
    }
    int rc = ask_twice(cli, STDIN_FILENO, user, password);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    if (rc != CLI_OK) {
        password_wipe(password);
    }
    return rc;
}

/* --- made --------------------------------------------------------------------------------------------------------- */

int password_make(const struct cli *cli, struct password *password)
{
    uint8_t random[RANDOM_LEN];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        return cli_error(cli, CLI_ERR_PASSWORD, "the system gives no random bytes");
    }
    EL_ASSERT(el_base64_encoded_len(sizeof random) < sizeof password->text);
    el_base64_encode(password->text, random, sizeof random);
    for (char *c = password->text; *c != '\0'; c++) {
        *c = (char)(*c == '+' ? '-' : *c == '/' ? '_' : *c); /* nothing that a shell or a URL would want quoted */
    }
    explicit_bzero(random, sizeof random);
    return CLI_OK;
}
