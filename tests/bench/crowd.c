/* A host with much on it, for `./dev bench hosts`.
 *
 *   crowd sleep N      N processes that sleep, as small as a process can be; prints how many there
 * are crowd fork RATE    so many short-lived processes a second, until it is killed; prints how
 * many so far crowd look TIMES   CPU ns of one listing of /proc, and of one that reads every
 * process's stat
 *
 * Children die with their parent. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void sleep_for_good(void)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;)
        (void)pause();
}

static long crowd(long wanted)
{
    long made = 0;

    for (; made < wanted; made++) {
        pid_t pid = fork();
        if (pid == 0)
            sleep_for_good();
        if (pid < 0)
            break;
    }
    return made;
}

static int64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Ten times a second prints how many it has made, so that the rate that the machine gave is known.
 */
static void churn(long rate)
{
    enum { ROUNDS = 100 };
    const struct timespec round = {0, 1000000000 / ROUNDS};
    int64_t begun = now_ns();
    int64_t made = 0;

    for (unsigned turn = 0;; turn++) {
        for (int64_t due = (now_ns() - begun) * rate / 1000000000; made < due; made++) {
            pid_t pid = fork();
            if (pid == 0)
                _exit(0);
            if (pid < 0)
                break;
        }
        while (waitpid(-1, NULL, WNOHANG) > 0)
            continue;
        if (turn % (ROUNDS / 10) == 0) {
            printf("%lld\n", (long long)made);
            (void)fflush(stdout);
        }
        (void)nanosleep(&round, NULL);
    }
}

static void read_stat(const char *pid)
{
    char path[300], text[2048];

    (void)snprintf(path, sizeof(path), "/proc/%s/stat", pid);
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return;
    if (read(fd, text, sizeof(text)) < 0)
        perror(path);
    (void)close(fd);
}

static int64_t look(long times, int with_stat)
{
    struct timespec before, after;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    for (long i = 0; i < times; i++) {
        DIR *folder = opendir("/proc");
        struct dirent *entry;
        while (folder && (entry = readdir(folder))) {
            if (with_stat && entry->d_name[0] >= '0' && entry->d_name[0] <= '9')
                read_stat(entry->d_name);
        }
        if (folder)
            (void)closedir(folder);
    }
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    return ((after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec) / times;
}

int main(int argc, char **argv)
{
    long number = argc == 3 ? strtol(argv[2], NULL, 10) : 0;

    if (number <= 0)
        return 2;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (strcmp(argv[1], "fork") == 0)
        churn(number);
    if (strcmp(argv[1], "look") == 0) {
        (void)look(1, 0);
        printf("%lld ", (long long)look(number, 0));
        printf("%lld\n", (long long)look(number, 1));
        return 0;
    }
    printf("%ld\n", crowd(number));
    (void)fflush(stdout);
    sleep_for_good();
}
