/* From a hidden verb to a role: restricts the process, then runs it. */
#include "roles/roles.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/error.h"
#include "base/log.h"
#include "reader.h"
#include "sandbox.h"
#include "spawn.h"

static enum pst_role role_of(const char *verb)
{
    if (strncmp(verb, "__", 2) != 0)
        return PST_ROLE_COUNT;
    for (int role = PST_ROLE_SCAN; role < PST_ROLE_COUNT; role++)
        if (strcmp(verb + 2, pst_role_word((enum pst_role)role)) == 0)
            return (enum pst_role)role;
    return PST_ROLE_COUNT;
}

bool pst_role_is_verb(const char *verb)
{
    return role_of(verb) != PST_ROLE_COUNT;
}

static int run_daemon(int argc, char **argv)
{
    int status = pst_sandbox_filter(PST_ROLE_DAEMON, false);

    if (status < 0)
        pst_log_warn("no_seccomp", "system calls are not restricted: %s", strerror(-status));
    return pst_daemon_run(argc, argv);
}

int pst_role_main(const char *verb, int argc, char **argv)
{
    enum pst_role role = role_of(verb);
    char name[16];

    if (role == PST_ROLE_COUNT)
        return PST_EXIT_USAGE;
    (void)snprintf(name, sizeof(name), "pst-%s", pst_role_word(role));
    (void)prctl(PR_SET_NAME, name, 0, 0, 0);
    pst_log_setup(PST_LOG_INFO, PST_LOG_LOGFMT, pst_role_word(role));
    if (role == PST_ROLE_SAMPLE)
        pst_reader_wake_on_time();
    int status = pst_sandbox_drop(role, false);
    if (status < 0) {
        pst_log_error("sandbox", "cannot give up privileges: %s", strerror(-status));
        return PST_EXIT_FAILED;
    }
    if (role == PST_ROLE_DAEMON)
        return run_daemon(argc, argv);
    if (role == PST_ROLE_SCAN)
        return pst_reader_scan_main();
    return pst_reader_sample_main(argc > 1 && strcmp(argv[1], PST_WORD_NATIVE) == 0);
}
