/* fork, wait for leave, exec. */
#include "session/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"

bool pst_launch_invoker(struct pst_launch_user *ret)
{
    const char *uid = getenv("SUDO_UID"), *gid = getenv("SUDO_GID"), *name = getenv("SUDO_USER");
    uint64_t uid_value, gid_value;

    if (geteuid() != 0 || !uid || !gid || !name || !name[0] ||
        pst_str_u64(pst_str(uid), 10, UINT_MAX - 1, &uid_value) < 0 ||
        pst_str_u64(pst_str(gid), 10, UINT_MAX - 1, &gid_value) < 0)
        return false;
    *ret = (struct pst_launch_user){(uid_t)uid_value, (gid_t)gid_value, name};
    return true;
}

/* sudo has put its own user's words there, who has another home that this one cannot write. Others
 * were put there by somebody on purpose. */
static void replace_word(const char *name, const char *old, const char *now)
{
    const char *word = getenv(name);

    if (word && strcmp(word, old) == 0)
        (void)setenv(name, now, 1);
}

static void rename_user(const struct pst_launch_user *user)
{
    const struct passwd *root = getpwuid(geteuid());
    char name[256], home[PATH_MAX];

    (void)snprintf(name, sizeof(name), "%s", root ? root->pw_name : "");
    (void)snprintf(home, sizeof(home), "%s", root ? root->pw_dir : "");
    const struct passwd *theirs = getpwuid(user->uid);
    if (!theirs)
        return;
    replace_word("HOME", home, theirs->pw_dir);
    replace_word("USER", name, theirs->pw_name);
    replace_word("LOGNAME", name, theirs->pw_name);
}

static int become_invoker(void)
{
    struct pst_launch_user user;

    if (!pst_launch_invoker(&user) || user.uid == 0)
        return 0;
    rename_user(&user);
    if (initgroups(user.name, user.gid) < 0 || setgid(user.gid) < 0 || setuid(user.uid) < 0)
        return -errno;
    return 0;
}

static int redirect(const struct pst_launch_options *options)
{
    bool all = !options->terminal_only;

    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
        if ((all || isatty(fd)) && dup2(options->capture, fd) < 0)
            return -errno;
    if (all || !isatty(STDIN_FILENO))
        return 0;
    int empty = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return empty < 0 || dup2(empty, STDIN_FILENO) < 0 ? -errno : 0;
}

static _Noreturn void run(char *const *argv, const struct pst_launch_options *options, int go,
                          int status)
{
    char leave;
    int error;

    if (read(go, &leave, 1) != 1)
        _exit(127);
    error = become_invoker();
    if (error == 0 && options->capture >= 0)
        error = redirect(options);
    if (error == 0) {
        (void)sigaction(SIGCHLD, options->child, NULL);
        (void)sigprocmask(SIG_SETMASK, options->mask, NULL);
        (void)execvp(argv[0], argv);
        error = -errno;
    }
    (void)!write(status, &error, sizeof(error));
    _exit(127);
}

static void close_one(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

int pst_launch_hold(char *const *argv, const struct pst_launch_options *options,
                    struct pst_launch *ret)
{
    int go[2] = {-1, -1}, status[2] = {-1, -1}, error = 0;
    pid_t pid = -1;

    if (pipe2(go, O_CLOEXEC) < 0 || pipe2(status, O_CLOEXEC) < 0)
        error = -errno;
    else if ((pid = fork()) < 0)
        error = -errno;
    if (pid == 0) {
        (void)close(go[1]);
        (void)close(status[0]);
        run(argv, options, go[0], status[1]);
    }
    close_one(&go[0]);
    close_one(&status[1]);
    if (error < 0) {
        close_one(&go[1]);
        close_one(&status[0]);
    }
    *ret = (struct pst_launch){.pid = pid, .go = go[1], .status = status[0]};
    return error;
}

int pst_launch_go(struct pst_launch *launch)
{
    int error = 0;
    ssize_t got;

    if (write(launch->go, "", 1) != 1)
        error = -errno;
    close_one(&launch->go);
    do
        got = read(launch->status, &error, sizeof(error));
    while (got < 0 && errno == EINTR);
    close_one(&launch->status);
    return got == (ssize_t)sizeof(error) ? error : 0;
}

void pst_launch_cancel(struct pst_launch *launch)
{
    close_one(&launch->go);
    close_one(&launch->status);
    while (waitpid(launch->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

int pst_launch_exit_code(int wait_status)
{
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}
